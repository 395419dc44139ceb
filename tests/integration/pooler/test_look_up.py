# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look-up of passwords on real servers: whom it knows, who may call it, what a wrong administrator is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.auth_apply import converge
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login, login_from
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import observe
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import DefinerFunction
from tests.integration.servers import Database

PASSWORD = "canary-look-up-1"


def login(database: Database, user: str | None = None, password: str | None = None) -> Login:
    given = {"login_unix_socket": "", "ssl_mode": "prefer", "ca_cert": None}
    return login_from({**given, **database.login(user, password)})


def sql(database: Database, *statements: str) -> None:
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement.replace("{p}", database.prefix))
    finally:
        connection.close()


def known(database: Database, *names: str) -> list[str]:
    """Whom the pooler's login finds."""
    connection = database.connect(f"{database.prefix}pooler", PASSWORD)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT f.username FROM pg_catalog.unnest(%s) n, dbops_pooler.lookup(n) f", (list(names),))
            return [row[0] for row in cursor.fetchall()]
    finally:
        connection.close()


@pytest.fixture
def database(pg_database: Database) -> Database:
    """One with logins of every kind."""
    sql(
        pg_database,
        f"CREATE ROLE {{p}}app LOGIN PASSWORD '{PASSWORD}'",
        f"CREATE ROLE {{p}}late LOGIN PASSWORD '{PASSWORD}' VALID UNTIL '2020-01-01'",
        f"CREATE ROLE {{p}}root LOGIN SUPERUSER PASSWORD '{PASSWORD}'",
        f"CREATE ROLE {{p}}under LOGIN PASSWORD '{PASSWORD}' IN ROLE {{p}}root",
        f"CREATE ROLE {{p}}replica LOGIN REPLICATION PASSWORD '{PASSWORD}'",
        f"CREATE ROLE {{p}}nobody PASSWORD '{PASSWORD}'",
    )
    return pg_database


def test_it_knows_ordinary_logins_only_and_is_made_once(database: Database) -> None:
    user = f"{database.prefix}pooler"
    assert converge(login(database), user, PASSWORD, [database.name], check=False)[0].changed
    kinds = ("app", "late", "root", "under", "replica", "nobody")
    assert known(database, *(f"{database.prefix}{kind}" for kind in kinds)) == [f"{database.prefix}app"]
    assert not converge(login(database), user, PASSWORD, [database.name], check=False)[0].changed


def test_somebody_else_who_may_call_it_is_seen_and_loses_the_right(database: Database) -> None:
    user, app = f"{database.prefix}pooler", f"{database.prefix}app"
    converge(login(database), user, PASSWORD, [database.name], check=False)
    sql(database, "GRANT EXECUTE ON FUNCTION dbops_pooler.lookup(text) TO {p}app")

    def definers() -> list[DefinerFunction]:
        connection = database.connect()
        try:
            rows = observe._rows(connection, observe._DEFINERS)
        finally:
            connection.close()
        return [DefinerFunction(*row[:5], executors=tuple(row[5])) for row in rows]  # type: ignore[misc]

    [found] = definers()
    assert found == DefinerFunction("dbops_pooler.lookup", True, True, False, True, (app, user))
    _plan, statements = converge(login(database), user, PASSWORD, [database.name], check=False)
    assert statements == [f'REVOKE ALL ON FUNCTION "dbops_pooler"."lookup"(text) FROM "{app}"']
    [found] = definers()
    assert found.executors == (user,)


@pytest.mark.parametrize(
    ("password", "says"),
    [(PASSWORD, "permission denied for table pg_authid"), ("wrong", "password authentication failed")],
)
def test_an_administrator_who_is_none_is_told_so(database: Database, password: str, says: str) -> None:
    with pytest.raises(DbopsError, match=f"(?s){says}.*Nothing was changed") as caught:
        converge(
            login(database, f"{database.prefix}app", password),
            f"{database.prefix}pooler",
            "canary-pooler-2",
            [database.name],
            check=False,
        )
    assert "canary" not in str(caught.value)
    with pytest.raises(psycopg2.OperationalError):
        known(database)


def test_a_database_that_does_not_exist_changes_nothing(database: Database) -> None:
    with pytest.raises(DbopsError, match="does not exist"):
        converge(
            login(database),
            f"{database.prefix}pooler",
            PASSWORD,
            [database.name, f"{database.prefix}none"],
            check=False,
        )
    with pytest.raises(psycopg2.OperationalError):
        known(database)


def test_several_poolers_of_one_server_may_be_made_at_once(database: Database) -> None:
    user = f"{database.prefix}pooler"

    def make(_number: int) -> bool:
        return converge(login(database), user, PASSWORD, [database.name], 8, check=False)[0].changed

    with ThreadPoolExecutor(max_workers=4) as pool:
        assert sorted(pool.map(make, range(4))) == [False, False, False, True]
    assert known(database, f"{database.prefix}app") == [f"{database.prefix}app"]
