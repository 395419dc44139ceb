# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The constraint check of schemas in the style of known applications: coverage, and seconds per 100 constraints.

python -m tests.bench.constraints
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.run import Outcome, run
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecFile
from tests.integration import schemas
from tests.integration.servers import VERSIONS, Database, Server, create_database, drop_database, given, throwaway

LIMIT_PERCENT = 95.0
LIMIT_SECONDS = 1.0  # for 100 constraints
TABLES = 200
HARD = Path(__file__).parent.parent / "integration" / "constraints" / "hard.sql"


def measured(server: Server, make: Callable[[Database], None]) -> tuple[Outcome, float]:
    """What the check finds, and the seconds of the faster of two, connecting included."""
    database = create_database(server)
    try:
        make(database)
        login = Login(server.host, "", server.port, server.user, server.password, database.name)
        seconds = []
        for _time in range(2):
            started = time.monotonic()
            outcome = run(login, database.name, SpecFile(), (), "")
            seconds.append(time.monotonic() - started)
        return outcome, min(seconds)
    finally:
        drop_database(database)


def written(text: str) -> Callable[[Database], None]:
    """Make a schema of SQL."""

    def make(database: Database) -> None:
        connection = database.connect()
        with connection.cursor() as cursor:
            cursor.execute(text)
        connection.close()

    return make


def many() -> str:
    """Tables that reference each other in chains, as an object-relational mapper writes them."""
    return "".join(
        f"CREATE TABLE t{number} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(40) NOT NULL UNIQUE, "
        f"state text NOT NULL CHECK (state IN ('new', 'old')), amount numeric(8, 2) CHECK (amount > 0), parent int"
        + (f" REFERENCES t{number - 1} DEFERRABLE INITIALLY DEFERRED" if number % 5 else "")
        + ");"
        for number in range(TABLES)
    )


def main() -> int:
    """A line for each schema and version; fails when one misses a limit."""
    made = {version: server for version in VERSIONS if (server := given(version))} or throwaway()
    failed = False
    cases: dict[str, Callable[[Database], None]] = {name: partial(schemas.load, name=name) for name in schemas.NAMES}
    cases["hard"] = written(HARD.read_text())
    cases[f"{TABLES} tables"] = written(many())
    for name, make in cases.items():
        for version in VERSIONS:
            outcome, seconds = measured(made[version], make)
            count = len(outcome.proofs)
            each = 100 * seconds / count
            good = outcome.coverage >= LIMIT_PERCENT and each < LIMIT_SECONDS
            failed = failed or not good
            print(
                f"{name}, PostgreSQL {version}: {count} constraints, {outcome.coverage:.1f} % proven, {seconds:.2f} s, "
                f"{each:.2f} s per 100 (limits {LIMIT_PERCENT:g} %, {LIMIT_SECONDS:g} s): {'ok' if good else 'MISSED'}"
            )
            for item in outcome.listed():
                if item["result"] != "proven":
                    print(f"  {item['table']}: {item['kind']} {item['name']}: {item['result']}: {item['reason']}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
