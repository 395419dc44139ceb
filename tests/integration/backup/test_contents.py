# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a database holds, what pg_dump and pg_restore make of it is the same; and one changed row is seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._backup import compare, contents
from ansible_collections.dbops.postgres.plugins.module_utils._backup.contents import Contents
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from tests.integration.servers import GROUP, Database, Server, create_database, drop_database
from tests.throwaway import Host, hosts

NASTY = Path(__file__).with_name("nasty.sql").read_text()


def host_of(server: Server) -> Host:
    return next(host for host in hosts(GROUP) if host.address == server.host)


def execute(database: Database, text: str) -> None:
    """By psql, each statement in a transaction of its own."""
    text = text.replace("{p}", database.prefix).replace("{d}", database.name)
    command = ("runuser", "-u", "postgres", "--", "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", database.name)
    host_of(database.server).run(*command, text=text)


def observed(server: Server, name: str) -> Contents:
    connection = server.connect(name)
    try:
        with connection.cursor() as cursor:
            contents.prepare(cursor)
            return Contents(
                tables={f"{s}.{t}": contents.table(cursor, s, t, hashed=True) for s, t in contents.tables(cursor)},
                sequences=contents.sequences(cursor),
                schema=contents.schema(cursor),
                large_objects=contents.large_objects(cursor),
            )
    finally:
        connection.close()


@pytest.fixture(scope="module")
def nasty(pg_server: Server) -> Iterator[Database]:
    database = create_database(pg_server)
    execute(database, "CREATE ROLE {p}owner; CREATE ROLE {p}app")
    execute(database, NASTY)
    host = host_of(pg_server)
    copy = f"{database.prefix}copy"
    host.run(
        *("runuser", "-u", "postgres", "--", "sh", "-c"),
        f"cd / && createdb -T template0 {copy} && pg_dump -Fc {database.name} | pg_restore --exit-on-error -d {copy}",
    )
    yield database
    drop_database(database)


def test_a_restored_database_equals_its_source(nasty: Database) -> None:
    dumped, restored = observed(nasty.server, nasty.name), observed(nasty.server, f"{nasty.prefix}copy")
    assert compare.contents(dumped, restored) == []
    assert compare.schema(dumped.schema, restored.schema) == []
    assert dumped.tables["app.customers"].rows == 521
    assert dumped.tables["app.t"].rows == 3
    assert len(dumped.tables) == 12
    assert dumped.large_objects == 1


CHANGES = [
    ("DELETE FROM app.tree WHERE id = 2", "table app.tree: 1 rows, the manifest says 2 (1 missing)"),
    ("INSERT INTO app.t VALUES (3)", "table app.t: 4 rows, the manifest says 3 (1 too many)"),
    ("UPDATE app.t SET t = 2 WHERE ctid = '(0,1)'", "table app.t: 3 rows as in the manifest, but what is in them"),
    ("UPDATE app.events SET id = -id WHERE id = 7", "table app.events_2025: 71 rows as in the manifest, but"),
    ("SELECT setval('app.free', 100)", "sequence app.free stands at 100, before the 95"),
    ("SELECT lo_unlink(oid) FROM pg_largeobject_metadata", "0 large objects, the manifest says 1"),
    ("DROP TABLE app.empty", "table app.empty, 0 rows in the manifest, was not restored"),
]


@pytest.mark.parametrize(("statement", "said"), CHANGES, ids=[statement[:25] for statement, _said in CHANGES])
def test_one_change_is_seen_and_named(nasty: Database, statement: str, said: str) -> None:
    dumped = observed(nasty.server, nasty.name)
    with_change = changed(nasty, statement)
    assert any(line.startswith(said) for line in compare.contents(dumped, with_change)), compare.contents(
        dumped, with_change
    )


DEFINITIONS = [
    ("DROP INDEX app.customers_lower_idx", "index app.customers_lower_idx was not restored"),
    ("ALTER TABLE app.t ADD COLUMN more int", "table app.t is defined differently"),
    ("ALTER TABLE app.tree ALTER up SET DEFAULT 1", "table app.tree is defined differently"),
    ("GRANT SELECT ON app.tree TO PUBLIC", "table app.tree is defined differently"),
    ("ALTER TABLE app.customers NO FORCE ROW LEVEL SECURITY", "table app.customers is defined differently"),
    ("DROP POLICY own ON app.customers", "policy own of app.customers was not restored"),
    ("ALTER TYPE app.mood RENAME VALUE 'sad' TO 'glad'", "type app.mood is defined differently"),
    (
        "CREATE OR REPLACE FUNCTION app.twice(int) RETURNS int LANGUAGE sql RETURN $1 * 3",
        "function app.twice(integer) is",
    ),
    ("ALTER TABLE app.customers ENABLE TRIGGER touch", "trigger touch of app.customers is defined differently"),
    ("ALTER TABLE app.tree DROP CONSTRAINT tree_up_fkey", "constraint tree_up_fkey of app.tree was not restored"),
    ("ALTER SCHEMA app OWNER TO postgres", "schema app is defined differently"),
    ("CREATE TABLE app.new ()", "table app.new is not in the manifest"),
]


@pytest.mark.parametrize(("statement", "said"), DEFINITIONS, ids=[statement[:30] for statement, _said in DEFINITIONS])
def test_one_changed_definition_is_seen_and_named(nasty: Database, statement: str, said: str) -> None:
    dumped = observed(nasty.server, nasty.name)
    found = compare.schema(dumped.schema, changed(nasty, statement).schema)
    assert any(line.startswith(said) for line in found), found


def changed(database: Database, statement: str) -> Contents:
    """What the database would hold after a statement, which is rolled back."""
    connection = database.connect(autocommit=False)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            contents.prepare(cursor)
            found: Any = Contents(
                tables={f"{s}.{t}": contents.table(cursor, s, t, hashed=True) for s, t in contents.tables(cursor)},
                sequences=contents.sequences(cursor),
                schema=contents.schema(cursor),
                large_objects=contents.large_objects(cursor),
            )
            connection.rollback()
            if statement.startswith("SELECT setval"):
                cursor.execute("SELECT setval('app.free', 95)")
                connection.commit()
            return Contents(found.tables, found.sequences, found.schema, found.large_objects)
    finally:
        connection.close()


def test_what_a_database_refers_to(nasty: Database) -> None:
    connection = nasty.connect()
    try:
        with connection.cursor() as cursor:
            contents.prepare(cursor)
            assert set(contents.roles(cursor)) == {f"{nasty.prefix}owner", f"{nasty.prefix}app"}
            assert set(contents.extensions(cursor)) == {"hstore"}  # pg_trgm went with the schema public
            options = contents.options(cursor)
            assert (options["OWNER"], options["ENCODING"]) == ("postgres", "UTF8")
    finally:
        connection.close()


def test_names_of_a_database_without_encoding_are_read(pg_database: Database) -> None:
    name = f"{pg_database.prefix}bytes"
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    connection.close()
    server = pg_database.server
    login = Login(host=server.host, port=server.port, user=server.user, password=server.password)
    connection = _postgres.connect(login, name)
    try:
        with connection.cursor() as cursor:
            cursor.execute('CREATE TABLE public."tänte" AS SELECT 1 AS "ö"')
            contents.prepare(cursor)
            assert contents.tables(cursor) == [("public", "tänte")]
            assert contents.table(cursor, "public", "tänte", hashed=True).rows == 1
            assert any("tänte" in item for item in contents.schema(cursor))
    finally:
        connection.close()
