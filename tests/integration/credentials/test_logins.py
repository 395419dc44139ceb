# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module login_rotation against real servers: what it refuses, and what check mode leaves alone."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._secrets import url_login
from ansible_collections.dbops.postgres.plugins.modules.login_rotation import run
from tests.integration.servers import Database


def params(database: Database, **given: Any) -> dict[str, Any]:
    return {
        **database.login(),
        "login_unix_socket": "",
        "ssl_mode": "prefer",
        "ca_cert": None,
        "name": f"{database.prefix}url",
        "role": f"{database.prefix}app",
        "state": "prepared",
        "url_value": "",
        "credential": None,
        "url": {
            "host": database.server.host,
            "port": database.server.port,
            "database": database.name,
            "parameters": {"sslmode": "verify-full", "sslrootcert": "/nonexistent"},
        },
        "due_days": 0,
        "max_age_days": 90,
        "grace_seconds": 0,
        "force": False,
        "after": 0.0,
        "timeout": 1,
        **given,
    }


def sql(database: Database, statement: str) -> list[tuple[Any, ...]]:
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement.replace("{p}", database.prefix))
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


TWO = "CREATE ROLE {p}app; CREATE ROLE {p}app_a IN ROLE {p}app; CREATE ROLE {p}app_b IN ROLE {p}app"


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("CREATE ROLE {p}app", "_app_a' does not exist"),
        ("CREATE ROLE {p}app; CREATE ROLE {p}app_a IN ROLE {p}app; CREATE ROLE {p}app_b", "_app_b' is no member of"),
    ],
)
def test_logins_that_cannot_take_turns_are_refused(pg_database: Database, statement: str, says: str) -> None:
    sql(pg_database, statement)
    with pytest.raises(DbopsError, match=r"Nothing was changed.*rotating: true") as caught:
        run(params(pg_database), check_mode=False)
    assert says in str(caught.value)


def test_check_mode_says_the_same_and_changes_nothing(pg_database: Database) -> None:
    sql(pg_database, TWO)
    before = sql(
        pg_database, "SELECT rolname, rolcanlogin, rolpassword FROM pg_authid WHERE rolname LIKE '{p}%' ORDER BY 1"
    )
    predicted = run(params(pg_database), check_mode=True)
    after = sql(
        pg_database, "SELECT rolname, rolcanlogin, rolpassword FROM pg_authid WHERE rolname LIKE '{p}%' ORDER BY 1"
    )
    assert after == before
    done = run(params(pg_database), check_mode=False)
    keys = ("changed", "move", "login", "why")
    assert {key: done[key] for key in keys} == {key: predicted[key] for key in keys}
    assert done["changed"]


def test_the_new_password_is_accepted_before_it_is_returned(pg_database: Database) -> None:
    sql(pg_database, TWO)
    done = run(params(pg_database), check_mode=False)
    login = url_login(base64.b64decode(done["url_base64"]).decode())
    assert login is not None
    assert login[0] == done["login"] == f"{pg_database.prefix}app_a"
    pg_database.connect(*login).close()
    sql(pg_database, "ALTER ROLE {p}app_b CONNECTION LIMIT 0")
    with pytest.raises(DbopsError, match="Nothing was published") as caught:
        run(params(pg_database, url_value=""), check_mode=False)
    assert "SCRAM" not in str(caught.value)
    pg_database.connect(*login).close()


def test_a_login_that_is_kept_out_for_another_reason_than_its_password_gets_no_other(pg_database: Database) -> None:
    sql(pg_database, TWO)
    url = base64.b64decode(run(params(pg_database), check_mode=False)["url_base64"]).decode()
    sql(pg_database, "ALTER ROLE {p}app_a CONNECTION LIMIT 0")  # as a server that starts, or one that is full
    for state in ("prepared", "switched", "closed"):
        with pytest.raises(DbopsError, match=r"_app_a' has the right password and is not let in: .*too many") as caught:
            run(params(pg_database, state=state, url_value=url), check_mode=False)
        assert "Nothing was changed" in str(caught.value)
    assert sql(pg_database, "SELECT rolpassword FROM pg_authid WHERE rolname = '{p}app_b'") == [(None,)]
    sql(pg_database, "ALTER ROLE {p}app_a CONNECTION LIMIT -1 VALID UNTIL '2001-01-01'")
    with pytest.raises(DbopsError, match="VALID UNTIL"):
        run(params(pg_database, url_value=url), check_mode=False)
    sql(pg_database, "ALTER ROLE {p}app_a PASSWORD 'another' VALID UNTIL 'infinity'")
    assert run(params(pg_database, url_value=url), check_mode=False)["move"] == "prepare"


def test_an_unprivileged_rotator_says_what_it_lacks(pg_database: Database) -> None:
    sql(pg_database, TWO + "; CREATE ROLE {p}weak LOGIN PASSWORD 'Secret-of-a-test-1'")
    weak = pg_database.login(f"{pg_database.prefix}weak", "Secret-of-a-test-1")
    with pytest.raises(DbopsError, match=r"permission denied|must have"):
        run(params(pg_database, **weak), check_mode=False)
