# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index check of a database with 1,000 tables and 4,000 indexes, and of one with 100, with the queries counted.

python -m tests.bench.index
"""

from __future__ import annotations

import sys
import time
from typing import Any

from psycopg2 import extensions

from ansible_collections.dbops.postgres.plugins.module_utils._indexes import observe
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.judge import judge
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.normal import normalise
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import parse
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from tests.integration.servers import Database, Server, create_database, drop_database, given, throwaway

TABLES = 1000
LIMIT_SECONDS = 3.0


class Counting(extensions.cursor):
    """A cursor that counts."""

    queries = 0

    def execute(self, query: Any, arguments: Any = None) -> None:
        """One query more."""
        Counting.queries += 1
        super().execute(query, arguments)


def measured(server: Server, tables: int) -> tuple[float, int, int]:
    """Seconds of the fastest of three checks, indexes looked at, queries of the catalog."""
    database = create_database(server)
    try:
        _fill(database, tables)
        required = [{"table": f"public.t{n}", "columns": ["a", "b"]} for n in range(0, tables, 10)]
        spec = parse({"required": required})
        login = Login(server.host, "", server.port, server.user, server.password, database.name)
        seconds = []
        for _time in range(3):
            started = time.monotonic()
            seen = observe.observe(login, database.name)
            findings = judge(seen, spec, normalise(login, database.name, seen, spec.required))
            seconds.append(time.monotonic() - started)
        assert sum(finding.title == "foreign key without index" for finding in findings) == tables - 1
        Counting.queries = 0
        connection = database.connect(autocommit=False)
        observe.catalog(connection.cursor(cursor_factory=Counting), [], usage=True)
        connection.close()
        return min(seconds), len(seen.indexes), Counting.queries
    finally:
        drop_database(database)


def _fill(database: Database, tables: int) -> None:
    connection = database.connect()
    with connection.cursor() as cursor:
        for number in range(tables):
            above = f", parent bigint REFERENCES t{number - 1}" if number else ""
            cursor.execute(
                f"CREATE TABLE t{number} (id bigint PRIMARY KEY, a int, b text, c timestamptz, d text{above}); "
                f"CREATE INDEX ON t{number} (a, b); CREATE INDEX ON t{number} (lower(b)) WHERE a > 0; "
                f"CREATE INDEX ON t{number} (c); "
                f"INSERT INTO t{number} SELECT n, n, n::text, now(), 'd' FROM generate_series(1, 20) n"
            )
        cursor.execute("ANALYZE")
    connection.close()


def main() -> int:
    """Print one line for each server."""
    bad = 0
    servers = [given(15), given(17)]
    for server in servers if all(servers) else throwaway().values():
        assert server is not None
        *_rest, few = measured(server, TABLES // 10)
        seconds, indexes, queries = measured(server, TABLES)
        good = seconds < LIMIT_SECONDS and queries == few
        bad += not good
        print(
            f"index check, PostgreSQL {server.version}: {TABLES} tables, {indexes} indexes in {seconds:.2f} s "
            f"(limit {LIMIT_SECONDS:g} s), {queries} queries ({few} for {TABLES // 10} tables): "
            f"{'ok' if good else 'MISSED'}"
        )
    return bad


if __name__ == "__main__":
    sys.exit(main())
