# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the seeding guard costs: single-row statements on a guarded table against one that is not, and 1,000 tables.

    DBOPS_DEV_PG17=host:port:superuser:password python -m tests.bench.seed_guard

Each statement is a round trip and a transaction of its own, as in an application, but without waiting for the disk; the
two tables take turns, and the quickest round of each counts. Fails when a guarded statement takes more than 1.25 times
as long, the first run more than 30 s, or the second more than 2 s.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.apply import converge
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.spec import GuardSpec
from tests.integration.access.running import sql
from tests.integration.servers import VERSIONS, create_database, drop_database, given, throwaway

TABLES, STATEMENTS, ROUNDS = 1000, 30, 600
RATIO_LIMIT, FIRST_LIMIT, SECOND_LIMIT = 1.25, 30.0, 2.0


def main() -> int:
    """Measure on the newest server; returns the exit status."""
    version = VERSIONS[-1]
    server = given(version) or throwaway()[version]
    database = create_database(server)
    connection = database.connect()
    try:
        for schema, count in (("guarded", TABLES), ("plain", 1)):
            sql(connection, f"CREATE SCHEMA {schema}")
            for start in range(1, count + 1, 200):
                last = min(start + 199, count)
                made = (f"CREATE TABLE {schema}.t{n} (id int PRIMARY KEY, v int)" for n in range(start, last + 1))
                sql(connection, ";".join(made))
            sql(connection, f"INSERT INTO {schema}.t1 SELECT i, 0 FROM generate_series(1, 1000) i")
        sql(connection, f"CREATE ROLE {database.prefix}seed")
        login = Login(server.host, "", server.port, server.user, server.password, database.name)
        spec = GuardSpec(schemas=("guarded",), seed_roles=(f"{database.prefix}seed",), environment="prod")
        runs = [_timed(lambda: converge(login, spec, check_mode=False)) for _run in range(2)]
        seconds: dict[str, list[float]] = {"guarded": [], "plain": []}
        for _round in range(ROUNDS):
            for schema, times in seconds.items():
                text = f"UPDATE {schema}.t1 SET v = v + 1 WHERE id = 7"
                times.append(_timed(partial(sql, connection, *[text] * STATEMENTS)))
    finally:
        connection.close()
        drop_database(database)
    best = {schema: min(times) / STATEMENTS * 1e6 for schema, times in seconds.items()}
    ratio = best["guarded"] / best["plain"]
    good = ratio <= RATIO_LIMIT and runs[0] <= FIRST_LIMIT and runs[1] <= SECOND_LIMIT
    print(
        f"seed_guard: UPDATE of a row at best {best['guarded']:.0f} us guarded, {best['plain']:.0f} us not, ratio "
        f"{ratio:.2f} (limit {RATIO_LIMIT}); {TABLES} tables: first run {runs[0]:.1f} s (limit {FIRST_LIMIT:.0f}), "
        f"second {runs[1]:.2f} s (limit {SECOND_LIMIT:.0f}); {'good' if good else 'MISSED'}"
    )
    return 0 if good else 1


def _timed(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


if __name__ == "__main__":
    sys.exit(main())
