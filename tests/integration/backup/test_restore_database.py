# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The databases of a restore on a real server: closed until proven, and both names change at one moment."""

from __future__ import annotations

import threading
from typing import Any

import psycopg2
import pytest

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._backup import restore_database as rd
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from tests.integration.servers import Database, Server

PASSWORD = "Secret-of-a-test-1"


def login(server: Server) -> Login:
    return Login(host=server.host, port=server.port, user=server.user, password=server.password)


def sql(database: Database, *statements: str) -> list[Any]:
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement.replace("{p}", database.prefix).replace("{d}", database.name))
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def test_a_new_database_is_closed_until_it_is_proven(pg_database: Database) -> None:
    server, new = login(pg_database.server), f"{pg_database.prefix}new"
    sql(pg_database, f"CREATE ROLE {{p}}app LOGIN PASSWORD '{PASSWORD}'", "CREATE ROLE {p}owner")
    options = {"OWNER": f"{pg_database.prefix}owner", "ENCODING": "UTF8", "LC_COLLATE": "C", "LC_CTYPE": "C"}
    rd.create(server, new, "set1", options)
    assert new in rd.databases(server)
    assert rd.unproven(server) == [new]
    with pytest.raises(psycopg2.OperationalError, match="permission denied"):
        pg_database.server.connect(new, f"{pg_database.prefix}app", PASSWORD)
    rows = sql(
        pg_database,
        "SELECT pg_get_userbyid(datdba), datcollate FROM pg_database WHERE datname = '{p}new'",
    )
    assert rows == [(f"{pg_database.prefix}owner", "C")]
    rd.proven(server, new, "set1")
    assert rd.unproven(server) == []
    rd.drop_unproven(server, new)
    assert new in rd.databases(server), "a proven one stays"


def test_what_was_not_proven_goes_and_nothing_else(pg_database: Database) -> None:
    server, new = login(pg_database.server), f"{pg_database.prefix}new"
    rd.create(server, new, "set1", {})
    rd.drop_unproven(server, new)
    rd.drop_unproven(server, pg_database.name)
    assert new not in rd.databases(server)
    assert pg_database.name in rd.databases(server)


def test_what_is_there_is_not_created(pg_database: Database) -> None:
    with pytest.raises(DbopsError, match="already exists"):
        rd.create(login(pg_database.server), pg_database.name, "set1", {})


def test_what_the_server_lacks_is_named(pg_database: Database) -> None:
    found = rd.lacking(login(pg_database.server), {"plpgsql": "1.0", "no_such": "2.1"}, ["postgres", "no_such_role"])
    assert found == ["extension no_such 2.1", "role no_such_role"]


def test_the_new_one_takes_the_place_with_settings_and_privileges(pg_database: Database) -> None:
    server, live = login(pg_database.server), pg_database.name
    new, kept = f"{pg_database.prefix}new", f"{pg_database.prefix}kept"
    sql(
        pg_database,
        f"CREATE ROLE {{p}}app LOGIN PASSWORD '{PASSWORD}'",
        "CREATE ROLE {p}owner",
        "REVOKE ALL ON DATABASE {d} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {d} TO {p}app WITH GRANT OPTION",
        "ALTER DATABASE {d} SET search_path = '$user', app, public",
        "ALTER DATABASE {d} SET work_mem = '8MB'",
        "ALTER DATABASE {d} SET myapp.name = 'it''s a=b'",
        "ALTER ROLE {p}app IN DATABASE {d} SET statement_timeout = '30s'",
        "ALTER DATABASE {d} CONNECTION LIMIT 50",
        "COMMENT ON DATABASE {d} IS 'live'",
        "ALTER DATABASE {d} OWNER TO {p}owner",
        "CREATE TABLE old (id int)",
    )
    rd.create(server, new, "set1", {})
    rd.take_over(server, live, new, kept)
    facts = (
        "SELECT datacl::text, datconnlimit, shobj_description(oid, 'pg_database'), pg_get_userbyid(datdba),"
        " (SELECT array_agg(setconfig::text ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid)"
        f" FROM pg_database d WHERE datname IN ('{live}', '{new}')"
    )
    first, second = sql(pg_database, facts)
    assert first[1:] == second[1:]
    assert sorted(first[0].strip("{}").split(",")) == sorted(second[0].strip("{}").split(","))

    # Sessions that come back at once, as a pooler's do.
    stop = threading.Event()

    def come_back() -> None:
        while not stop.is_set():
            try:
                connection = pg_database.server.connect(live, f"{pg_database.prefix}app", PASSWORD)
                connection.cursor().execute("SELECT pg_sleep(0.01)")
                connection.close()
            except psycopg2.Error:
                pass

    threads = [threading.Thread(target=come_back) for _number in range(4)]
    for thread in threads:
        thread.start()
    try:
        rd.swap(server, live, new, kept)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {live, kept} <= set(rd.databases(server))
    assert new not in rd.databases(server)
    assert sql(pg_database, "SELECT to_regclass('public.old')") == [(None,)]
    connection = pg_database.server.connect(kept)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.old')::text")
        assert cursor.fetchone() == ("old",)
    connection.close()


def test_a_swap_that_cannot_be_leaves_both_as_they_were(pg_database: Database) -> None:
    server, live, new = login(pg_database.server), pg_database.name, f"{pg_database.prefix}new"
    rd.create(server, new, "set1", {})
    with pytest.raises(DbopsError, match="cannot take the place") as caught:
        rd.swap(server, live, new, "postgres")
    assert f'ALTER DATABASE "{new}" RENAME TO "{live}"' in caught.value.remedy
    assert {live, new} <= set(rd.databases(server))


def test_what_cannot_be_given_leaves_the_live_one_as_it_was(pg_database: Database) -> None:
    live = pg_database.name
    with pytest.raises(DbopsError, match='database "nowhere" does not exist') as caught:
        rd.take_over(login(pg_database.server), live, "nowhere", "kept")
    assert f"'{live}' is as it was" in str(caught.value)


def test_a_database_that_is_not_created_to_its_end_is_dropped(
    pg_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, new = login(pg_database.server), f"{pg_database.prefix}new"
    monkeypatch.setattr(rd, "_UNPROVEN", "{}\0")  # no comment can hold that
    with pytest.raises((DbopsError, ValueError)):
        rd.create(server, new, "set1", {})
    assert new not in rd.databases(server)


@pytest.mark.parametrize("error", [psycopg2.OperationalError("server closed"), psycopg2.InterfaceError("closed")])
def test_a_server_that_goes_away_is_told_in_words(monkeypatch: pytest.MonkeyPatch, error: psycopg2.Error) -> None:
    class Gone:
        def __enter__(self) -> Any:
            raise error

        def __exit__(self, *_given: object) -> None: ...

        def cursor(self) -> Any:
            return self

        def close(self) -> None: ...

    monkeypatch.setattr(_postgres, "connect", lambda *_given, **_more: Gone())
    here = Login()
    for ask in (
        lambda: rd.databases(here),
        lambda: rd.data_directory(here),
        lambda: rd.lacking(here, {}, []),
        lambda: rd.create(here, "new", "set1", {}),
        lambda: rd.proven(here, "new", "set1"),
        lambda: rd.drop_unproven(here, "new"),
        lambda: rd.take_over(here, "live", "new", "kept"),
        lambda: rd.swap(here, "live", "new", "kept"),
    ):
        with pytest.raises(DbopsError) as caught:
            ask()
        assert caught.value.remedy
