# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench`: every measurement, a line each; fails when one misses its limit. ARGS names some of them only."""

from __future__ import annotations

import subprocess
import sys

BENCHES = (
    "access",
    "access_scale",
    "pool",
    "backup",
    "drill",
    "lint",
    "drift",
    "seed_guard",
    "index",
    "constraints",
    "rls",
    "assurance",
    "migrate",
)


def main(names: list[str]) -> int:
    """Run the named measurements, or all; each in a process of its own."""
    unknown = sorted(set(names) - set(BENCHES))
    if unknown:
        print(f"There is no measurement {', '.join(unknown)}; there are: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    statuses = [
        subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False).returncode
        for name in names or BENCHES
    ]
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
