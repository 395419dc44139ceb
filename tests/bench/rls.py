# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_rls_check on 50 tables, 6 identities, 4 commands, and its rules on 1,000 tables.

    DBOPS_DEV_PG17=host:port:superuser:password python -m tests.bench.rls

Prints the seconds of the whole check, and fails above 10 s and 5 s, or when it does not find what it should.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import passed
from ansible_collections.dbops.postgres.plugins.module_utils._rls import check
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import parse
from tests.integration.servers import VERSIONS, Database, create_database, drop_database, given, throwaway

TABLES, IDENTITIES, COMMANDS, ROWS = 50, 6, 4, 200
MANY = 1000
LIMIT, MANY_LIMIT = 10.0, 5.0

_TENANT = "('00000000-0000-4000-8000-00000000000' || {})::uuid"
_MAKE = f"""
CREATE ROLE {{prefix}}app;
DO $$ BEGIN FOR i IN 1..{{tables}} LOOP
    EXECUTE format('CREATE TABLE t%s (tenant uuid NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL, at timestamptz NOT NULL DEFAULT now(), amount numeric, more jsonb)', i);
    EXECUTE format('CREATE INDEX ON t%s (tenant)', i);
    EXECUTE format('INSERT INTO t%s (tenant, name) SELECT {_TENANT.format("n %% 6").replace("'", "''")}, ''name''
        FROM generate_series(1, {{rows}}) n', i);
    EXECUTE format('ALTER TABLE t%s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', i);
    EXECUTE format('CREATE POLICY p ON t%s USING (tenant =
        (SELECT nullif(current_setting(''app.tenant'', true), '''')::uuid))', i);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON t%s TO {{prefix}}app', i);
END LOOP; END $$"""


def section(database: Database) -> dict[str, Any]:
    """Six tenants of one role."""
    tenants = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(IDENTITIES)]
    return {
        "tenant_column": "tenant",
        "identities": [
            {
                "name": tenant[-1],
                "role": f"{database.prefix}app",
                "settings": {"app.tenant": tenant},
                "sees": {"*": f"tenant = '{tenant}'"},
            }
            for tenant in tenants
        ],
    }


def measured(database: Database, spec: dict[str, Any]) -> tuple[float, check.Outcome]:
    """Seconds of one check."""
    connection = database.connect(autocommit=False)
    try:
        start = time.monotonic()
        outcome = check.check(connection, parse(spec))
        return time.monotonic() - start, outcome
    finally:
        connection.close()


def make(database: Database, tables: int, rows: int) -> None:
    """The tables, each with rows of every tenant."""
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(_MAKE.format(prefix=database.prefix, tables=tables, rows=rows))
    finally:
        connection.close()


def main() -> int:
    """Measure on each server that is given, or on those of the integration tests."""
    failed = False
    servers = [server for server in map(given, VERSIONS) if server is not None] or list(throwaway().values())
    for server in servers:
        for tables, rows in ((TABLES, ROWS), (MANY, 0)):
            database = create_database(server)
            try:
                make(database, tables, rows)
                spec = section(database)
                limit, what = LIMIT, f"{IDENTITIES} identities and 2 without a tenant x {COMMANDS} commands"
                if not rows:
                    spec, limit, what = {"tenant_column": "tenant"}, MANY_LIMIT, "rules only"
                seconds, outcome = measured(database, spec)
                right = passed(outcome.findings) or not rows
                within = seconds < limit and right
                failed |= not within
                print(
                    f"pg_rls_check PostgreSQL {server.version}: {tables} tables x {what}: {seconds:.2f} s "
                    f"(limit {limit:.0f} s): {'ok' if within else 'TOO SLOW' if right else 'WRONG'}"
                )
            finally:
                drop_database(database)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
