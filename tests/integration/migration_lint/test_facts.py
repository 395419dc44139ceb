# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lint takes for true, asked of PostgreSQL itself: what rewrites a table, and that its safe ways run."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from tests.integration.servers import Database
from tests.unit._migration_lint.catalogue import CASES, SCHEMA, UNSAFE, Case
from tests.unit._migration_lint.judged import found
from tests.unit._migration_lint.test_safe import parts
from tests.unit._migration_lint.type_pairs import CATALOG, PAIRS

VALUES = {
    "varchar": "'a'",
    "text": "'7'",
    "char": "'a'",
    "varchar[]": "'{a}'",
    "text[]": "'{a}'",
    "integer[]": "'{1}'",
    "bigint[]": "'{1}'",
    "varchar(10)[]": "'{a}'",
    "cidr": "'10.0.0.0/8'",
    "timestamp": "'2026-01-01 01:02:03.456'",
    "timestamptz": "'2026-01-01 01:02:03Z'",
    "time": "'01:02:03'",
    "varbit": "B'101'",
    "uuid": "'00000000-0000-0000-0000-000000000001'",
    "date": "'2026-01-01'",
    "json": "'{}'",
    "jsonb": "'{}'",
}


@pytest.fixture
def connection(pg_database: Database) -> Generator[Any, None, None]:
    with closing(pg_database.connect()) as made:
        yield made


def one(connection: Any, sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone() if cursor.description else None


def test_pairs_of_types(connection: Any) -> None:
    """A change that we call one of the catalog leaves the table's file as it is; every other one does not."""
    # In a session in UTC, PostgreSQL takes a timestamp for a timestamptz as it lies; nobody knows the runner's zone.
    one(connection, "SET TimeZone = 'Europe/Berlin'")
    wrong = []
    for number, (old, new, expected) in enumerate(PAIRS):
        table, base = f"t{number}", old if old.endswith("[]") else old.split("(")[0].strip()
        one(connection, f"CREATE TABLE {table} (c {old})")
        if not (base == "text" and new == "uuid"):
            one(connection, f"INSERT INTO {table} VALUES ({VALUES.get(base, '1')})")
        before = one(connection, f"SELECT pg_relation_filenode('{table}')")
        one(connection, f"ALTER TABLE {table} ALTER c TYPE {new} USING c::{new}")
        same = before == one(connection, f"SELECT pg_relation_filenode('{table}')")
        if same != (expected == CATALOG):
            wrong.append((old, new, expected, "not rewritten" if same else "rewritten"))
    assert not wrong, wrong


ROWS = """
INSERT INTO customers (id, email, name, amount, quantity, seen, profile)
  SELECT n, n || '@example.com', n::text, n, n, now(), '{}' FROM generate_series(1, 50) n;
INSERT INTO orders (id, customer_id, status, total, number)
  SELECT n, n, 'open', n, n FROM generate_series(1, 50) n;
DROP VIEW open_orders;
CREATE UNIQUE INDEX order_totals_key ON order_totals (customer_id);
CREATE UNIQUE INDEX events_old_idx ON events_old (id);
CREATE TYPE mood AS ENUM ('happy');
CREATE DOMAIN positive AS integer;
CREATE SCHEMA archive;
ALTER TABLE events ATTACH PARTITION events_old FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE legacy (id bigint, state integer);
"""
# Rules whose safe way is run here as it stands.
RUN = frozenset(
    (
        *("index-concurrently", "drop-index", "reindex-concurrently", "refresh-concurrently"),
        *("set-not-null", "add-column-unique", "unique-using-index", "foreign-key-not-valid", "check-not-valid"),
        *("type-change-lossy", "type-change-rewrite", "type-change-unknown", "domain-constraint-not-valid"),
        *("drop-column", "rename-column", "rename-table", "set-schema", "add-column-rewrite", "detach-concurrently"),
        *("update-without-where", "delete-without-where", "truncate", "enum-outside-allow-list"),
    )
)
# These cannot run in a database of their own: what they are about is not there, or is one of the server.
WITHOUT = ("expr", "events_at_idx", "events_old ADD PRIMARY KEY")


def migrate(connection: Any, part: str) -> None:
    """As a tool does: what is marked so by itself, everything else as one transaction."""
    one(connection, "SET statement_timeout = '5s'")  # a loop that fills a column must end
    one(connection, part if "no-transaction" in part else f"BEGIN;\n{part}\nCOMMIT;")


def test_safe_ways_run(connection: Any) -> None:
    """Each on the schema of the catalogue with rows; afterwards the schema is made anew."""
    ran, failed = set(), []
    for number, case in enumerate(UNSAFE):
        ways = {f.safe: f.rule for f in found(number) if f.rule in RUN}
        if not ways or any(word in case.sql for word in WITHOUT):
            continue
        fresh(connection, case)
        for safe, rule in ways.items():
            for part in parts(safe):
                try:
                    migrate(connection, part)
                except psycopg2.Error as error:
                    failed.append(f"{case.sql}\n{part}\n{error}")
                    one(connection, "ROLLBACK")
            ran.add(rule)
    assert not failed, "\n".join(failed)
    assert ran == RUN


def fresh(connection: Any, case: Case) -> None:
    one(connection, "DROP SCHEMA IF EXISTS archive CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    one(connection, f"{SCHEMA}\n{case.before}\n{ROWS}")


def test_columns_stay_in_step(connection: Any) -> None:
    """While both columns are there, code may write either, and the rows of before are filled."""
    number = next(n for n, case in enumerate(CASES) if "RENAME COLUMN status" in case.sql)
    fresh(connection, CASES[number])
    expand, fill, contract = parts(found(number)[0].safe)
    migrate(connection, expand)
    one(connection, "INSERT INTO orders (id, total, status) VALUES (101, 1, 'old code')")
    one(connection, "INSERT INTO orders (id, total, state) VALUES (102, 1, 'new code')")
    one(connection, "UPDATE orders SET status = 'by old' WHERE id = 1")
    one(connection, "UPDATE orders SET state = 'by new' WHERE id = 101")
    one(connection, "UPDATE orders SET total = 5 WHERE id = 2")
    migrate(connection, fill)
    assert one(connection, "SELECT count(*) FROM orders WHERE status IS DISTINCT FROM state") == (0,)
    one(connection, "UPDATE orders SET state = 'by new' WHERE id = 3")
    seen = {i: one(connection, f"SELECT status, state FROM orders WHERE id = {i}") for i in (1, 2, 3, 101, 102)}
    migrate(connection, contract)
    assert seen == {
        1: ("by old", "by old"),
        2: ("open", "open"),
        3: ("by new", "by new"),
        101: ("by new", "by new"),
        102: ("new code", "new code"),
    }
    assert one(connection, "SELECT count(*), count(state) FROM orders") == (52, 52)
