# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_access on a large server: 1,000 logins with passwords, 10,000 tables in 10 schemas.

    DBOPS_DEV_PG17=host:port:superuser:password python -m tests.bench.access_scale

Prints the seconds of the first and of the second run inside the module, and fails above 60 s and 2 s.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from tests.integration.access.running import run, sql
from tests.integration.servers import VERSIONS, Database, create_database, drop_database, given, throwaway

ROLES, TABLES, SCHEMAS = 1000, 10_000, 10
FIRST_LIMIT, SECOND_LIMIT = 60.0, 2.0


def declared(database: Database, roles: int = ROLES, schemas: int = SCHEMAS) -> dict[str, Any]:
    """Logins, each a member of one of ten groups; every group reads or writes one schema."""
    prefix = database.prefix
    groups = [f"{prefix}g{number}" for number in range(schemas)]
    logins = [
        {
            "name": f"{prefix}u{number}",
            "login": True,
            "password": f"password-{number}",
            "connection_limit": 5,
            "settings": {"statement_timeout": "30s"},
            "member_of": [groups[number % schemas]],
        }
        for number in range(roles - schemas)
    ]
    return {
        "roles": [*({"name": name, "login": False} for name in groups), *logins],
        "databases": [
            {
                "name": database.name,
                "connect": groups,
                "schemas": [
                    {
                        "name": f"s{number}",
                        "usage": [group],
                        "tables": [
                            {"privileges": ["SELECT", "INSERT", "UPDATE"], "roles": [group]},
                            {"privileges": ["SELECT"], "roles": [groups[(number + 1) % schemas]]},
                        ],
                        "sequences": [{"privileges": ["USAGE"], "roles": [group]}],
                        "creators": [database.server.user],
                    }
                    for number, group in enumerate(groups)
                ],
            }
        ],
        "purge": True,
    }


def make_tables(database: Database, tables: int = TABLES, schemas: int = SCHEMAS) -> None:
    """Empty tables, evenly in the schemas; a transaction for each schema, for the lock table's sake."""
    connection = database.connect()
    try:
        for number in range(schemas):
            sql(
                connection,
                f"CREATE SCHEMA s{number}",
                f"""DO $$ BEGIN FOR i IN 1..{tables // schemas} LOOP
                        EXECUTE format('CREATE TABLE s{number}.t%s (id int)', i);
                    END LOOP; END $$""",
            )
    finally:
        connection.close()


def main() -> int:
    """Measure on each server that is given, or on those of the integration tests."""
    failed = False
    servers = [server for server in map(given, VERSIONS) if server is not None] or list(throwaway().values())
    for server in servers:
        database = create_database(server)
        try:
            make_tables(database)
            params = declared(database)
            seconds = []
            for changed in (True, False):
                start = time.monotonic()
                outcome = run(database, params)
                seconds.append(time.monotonic() - start)
                if outcome.planned.plan.changed != changed:
                    print(f"error: run {len(seconds)} should {'' if changed else 'not '}have changed something")
                    failed = True
            within = seconds[0] < FIRST_LIMIT and seconds[1] < SECOND_LIMIT
            failed |= not within
            print(
                f"pg_access PostgreSQL {server.version}: {ROLES} roles, {TABLES} tables, {SCHEMAS} schemas: "
                f"first run {seconds[0]:.1f} s (limit {FIRST_LIMIT:.0f}), second {seconds[1]:.2f} s "
                f"(limit {SECOND_LIMIT:.0f}): {'ok' if within else 'TOO SLOW'}"
            )
        finally:
            drop_database(database)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
