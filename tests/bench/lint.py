# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lint: what it finds of 140 statements of real life, what squawk alone finds, and the time for 1,000 files.

python -m tests.bench.lint [--table]
"""

from __future__ import annotations

import datetime
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.check import lint_source
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.contract import Live
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.judge import Options
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source_read import read_source
from tests.unit._migration_lint.catalogue import CASES, SAFE, SCHEMA, UNSAFE
from tests.unit._migration_lint.judged import found, squawk_alone

FILES = 1000
SECONDS = 5.0


def table() -> bool:
    """Print what is found of each source of the catalogue; False when an unsafe one is missed or a safe one found."""
    ours = [bool(found(number)) for number in range(len(CASES))]
    theirs = [bool(squawk_alone()[number]) for number in range(len(CASES))]
    if "--table" in sys.argv:
        for number, case in enumerate(CASES):
            seen = "".join("x" if hit else "." for hit in (bool(case.rules), theirs[number], ours[number]))
            print(f"{seen}  {case.source:<18} {' '.join(case.sql.split())[:90]}")
    unsafe = range(len(UNSAFE))
    safe = range(len(UNSAFE), len(CASES))
    for source, count in Counter(case.source for case in CASES).most_common():
        mine = [number for number in range(len(CASES)) if CASES[number].source == source]
        print(
            f"lint, ideas of {source:<18} {count:>3} statements: unsafe found {_of(ours, mine, unsafe)} "
            f"(squawk alone {_of(theirs, mine, unsafe)}), false alarms {_of(ours, mine, safe)} "
            f"(squawk alone {_of(theirs, mine, safe)})"
        )
    missed = [number for number in unsafe if {f.rule for f in found(number)} != CASES[number].rules]
    alarms = [number for number in safe if ours[number]]
    good = not missed and not alarms
    print(
        f"lint: {sum(ours[n] for n in unsafe)} of {len(UNSAFE)} unsafe statements found (squawk alone "
        f"{sum(theirs[n] for n in unsafe)}), {len(alarms)} false alarms on {len(SAFE)} safe ones (squawk alone "
        f"{sum(theirs[n] for n in safe)}, its rules of taste left out): {'ok' if good else 'WRONG'}",
        flush=True,
    )
    return good


def _of(hits: list[bool], mine: list[int], half: range) -> str:
    chosen = [number for number in mine if number in half]
    return f"{sum(hits[number] for number in chosen)}/{len(chosen)}"


def speed() -> bool:
    """A folder of 1,000 files with the statements of the catalogue, squawk included."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "0000_schema.sql").write_text(SCHEMA, encoding="utf-8")
        for number in range(1, FILES):
            case = CASES[number % len(CASES)]
            Path(directory, f"{number:04}_case.sql").write_text(f"{case.before}\n{case.sql}\n", encoding="utf-8")
        start = time.monotonic()
        outcome = lint_source(read_source(directory), Options(Live(datetime.datetime.now(datetime.UTC))))
        seconds = time.monotonic() - start
    good = seconds < SECONDS and len(outcome.judged) == FILES
    print(
        f"lint: {FILES} files, {len(outcome.findings)} findings, in {seconds:.2f} s, squawk included "
        f"(at most {SECONDS:g} s): {'ok' if good else 'TOO SLOW'}",
        flush=True,
    )
    return good


def main() -> int:
    """Both; 1 when something is missed, a false alarm, or too slow."""
    results = [table(), speed()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
