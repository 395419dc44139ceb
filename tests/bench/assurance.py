# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults planted one at a time into good schemas: how many are found, and how many another judge finds.

    python -m tests.bench.assurance [--splinter splinter.sql]

Fails when one is missed, when the good schema has a finding, or when there are fewer than 40.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.integration.assurance.planted import DOMAINS, GOOD, Row, rows
from tests.integration.servers import VERSIONS, Server, given, throwaway

FEWEST = 40


def main(arguments: list[str]) -> int:
    """Print the table for each server that is given, or for those of the integration tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splinter", type=Path, help="the rules of splinter, one file of SQL, to be asked the same")
    parser.add_argument("--misses", action="store_true", help="name what the other judge misses, too")
    options = parser.parse_args(arguments)
    other = options.splinter.read_text(encoding="utf-8") if options.splinter else ""
    servers = [server for server in map(given, VERSIONS) if server is not None] or list(throwaway().values())
    good = [shown(server, other, options.misses) for server in servers]
    return int(not all(good))


def shown(server: Server, other: str, misses: bool) -> bool:
    """The table of one server; whether it is as it must be."""
    table = [row for domain in DOMAINS for row in rows(server, domain, other)]
    planted = [row for row in table if row.name != GOOD]
    good = [row for row in table if row.name == GOOD]
    print(f"PostgreSQL {server.version}: domain, planted, found" + (", by splinter" if other else ""))
    for domain in DOMAINS:
        print("  " + _line(domain.name, [row for row in planted if row.domain == domain.name], other))
    print("  " + _line("all", planted, other))
    for row in planted:
        if not row.found:
            print(f"  MISSED {row.domain}: {row.name}")
        elif misses and row.other is False:
            print(f"  missed by splinter: {row.domain}: {row.name}")
    for row in good:
        if row.found:
            print(f"  FALSE ALARM {row.domain}: the good schema has a finding")
        if row.other:
            print(f"  splinter finds something in the good schema of {row.domain}")
    return len(planted) >= FEWEST and all(row.found for row in planted) and not any(row.found for row in good)


def _line(name: str, planted: list[Row], other: str) -> str:
    text = f"{name:<12} {len(planted):>4} {sum(row.found for row in planted):>4}"
    return text + (f" {sum(bool(row.other) for row in planted):>4}" if other else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
