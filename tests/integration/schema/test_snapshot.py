# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot sees every kind of object, and two equal databases are equal however they came to be."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Sequence
from typing import Any

import pytest
from psycopg2 import extensions

from ansible_collections.dbops.postgres.plugins.module_utils._schema.compare import compare, readable
from ansible_collections.dbops.postgres.plugins.module_utils._schema.observe import snapshot
from ansible_collections.dbops.postgres.plugins.module_utils._schema.repair import remedy
from ansible_collections.dbops.postgres.plugins.module_utils._schema.snapshot import Snapshot
from tests.integration.schema.rich import BASE, PARTS, PLANTED, ROLES
from tests.integration.servers import Database, Server, create_database, drop_database

Shared = tuple[Database, extensions.connection, Snapshot]


class Counting:
    """A cursor that counts."""

    def __init__(self, cursor: extensions.cursor) -> None:
        self.cursor = cursor
        self.queries = 0

    def execute(self, query: str, parameters: Sequence[Any] | None = None) -> None:
        self.queries += 1
        self.cursor.execute(query, parameters)

    def __getattr__(self, name: str) -> object:
        return getattr(self.cursor, name)


@contextlib.contextmanager
def pg_database_of(server: Server) -> Generator[Database, None, None]:
    database = create_database(server)
    try:
        yield database
    finally:
        drop_database(database)


def execute(connection: extensions.connection, *statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def see(connection: extensions.connection) -> Snapshot:
    with connection.cursor() as cursor:
        return snapshot(cursor)


@pytest.fixture(scope="module")
def rich(pg_server: Server) -> Generator[Shared, None, None]:
    database = create_database(pg_server)
    connection = database.connect(autocommit=False)
    try:
        execute(connection, *(part.replace("{p}", database.prefix) for part in (ROLES, BASE, *PARTS)))
        connection.commit()
        yield database, connection, see(connection)
    finally:
        connection.close()
        drop_database(database)


@pytest.mark.parametrize(("planted", "kind", "name"), PLANTED, ids=[sql[:70] for sql, _kind, _name in PLANTED])
def test_a_planted_change_is_seen(rich: Shared, planted: str, kind: str, name: str) -> None:
    database, connection, before = rich
    try:
        execute(connection, planted.replace("{p}", database.prefix))
        found = compare(before, see(connection))
        # What is said to mend it does: in a transaction, hence without CONCURRENTLY and the like.
        said = [(item, remedy(item).sql if remedy(item).whole else ()) for item in found.differences]
        statements = [re.sub(" CONCURRENTLY|^(BEGIN|COMMIT)$", "", text) for _item, sql in said for text in sql]
        execute(connection, *filter(None, statements))
        again = compare(before, see(connection)).differences if statements else ()
        after = {(item.kind, item.name) for item in again}
    finally:
        connection.rollback()
    assert (kind, name.replace("{p}", database.prefix)) in {(item.kind, item.name) for item, _sql in said}
    assert not after & {(item.kind, item.name) for item, sql in said if sql}, statements


def test_nothing_changed_is_nothing_found(rich: Shared) -> None:
    _database, connection, before = rich
    again = see(connection)
    connection.rollback()
    assert compare(before, again).equal
    assert before.to_json() == again.to_json()
    assert Snapshot.from_json(before.to_json()) == before
    assert "canary" not in before.to_json()


def test_another_order_is_the_same_schema(rich: Shared) -> None:
    database, _connection, before = rich
    with pg_database_of(database.server) as other:
        parts = [part.replace("{p}", database.prefix) for part in (BASE, *reversed(PARTS))]
        connection = other.connect()
        try:
            execute(connection, *parts)
            assert readable(compare(before, see(connection))) == []
            assert see(connection).to_json() == before.to_json()
        finally:
            connection.close()


@pytest.mark.parametrize("tables", [10, 300])
def test_the_number_of_queries_is_constant(rich: Shared, tables: int) -> None:
    _database, connection, _before = rich
    counted = Counting(connection.cursor())
    try:
        execute(
            connection,
            f"""DO $$ BEGIN FOR i IN 1..{tables} LOOP
            EXECUTE format('CREATE TABLE shop.t%s (id int PRIMARY KEY, name text UNIQUE)', i); END LOOP; END $$""",
        )
        found = snapshot(counted)  # type: ignore[arg-type]
    finally:
        connection.rollback()
    assert f"shop.t{tables}" in found.objects["table"]
    assert counted.queries == 26


def test_a_role_that_may_only_connect_sees_the_same(rich: Shared) -> None:
    database, connection, before = rich
    connection.rollback()
    try:
        execute(connection, f"SET ROLE {database.prefix}other")
        assert readable(compare(before, see(connection))) == []
    finally:
        connection.rollback()
