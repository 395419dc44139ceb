# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The login that looks passwords up: what is mended, and that a good state stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Plan, Secret
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.auth import (
    BODY,
    CONFIG,
    NOTHING,
    Database,
    Function,
    Login,
    plan,
)
from ansible_collections.dbops.postgres.plugins.module_utils._secrets import scram_verifier

USER, PASSWORD = "dbops_pooler", "pooler-canary"
LOGIN = Login(frozenset({"login"}), 2, scram_verifier(PASSWORD), ())
FUNCTION = Function(BODY, owner_is_superuser=True, definer=True, config=CONFIG, grantees=frozenset({USER}))
GOOD = Database(connect=True, schema=True, usage=True, schema_grantees=frozenset({USER}), function=FUNCTION)


def planned(login: Login | None = LOGIN, seen: Database = GOOD) -> Plan:
    return plan(USER, PASSWORD, 2, ["shop_db"], login, {"shop_db": seen})


def words(made: Plan) -> list[str]:
    """The beginnings of the statements."""
    return [" ".join(step.sql.template.split()[:2]) for step in made.steps]


def test_a_good_state_stays() -> None:
    assert planned().steps == ()


def test_from_nothing() -> None:
    made = planned(None, NOTHING)
    assert words(made) == [
        "CREATE ROLE",
        "GRANT CONNECT",
        "CREATE SCHEMA",
        "GRANT USAGE",
        "CREATE FUNCTION",
        "REVOKE ALL",
        "GRANT EXECUTE",
    ]


@pytest.mark.parametrize(
    ("function", "first"),
    [
        (replace(FUNCTION, body="SELECT rolname, rolpassword FROM pg_authid"), "DROP FUNCTION"),
        (replace(FUNCTION, config=()), "DROP FUNCTION"),
        (replace(FUNCTION, definer=False), "DROP FUNCTION"),
        (replace(FUNCTION, owner_is_superuser=False), "DROP FUNCTION"),
        (replace(FUNCTION, grantees=frozenset({USER, ""})), "REVOKE ALL"),
        (replace(FUNCTION, grantees=frozenset({USER, "mallory"})), "REVOKE ALL"),
        (replace(FUNCTION, grantees=frozenset()), "GRANT EXECUTE"),
    ],
)
def test_an_unsafe_function_is_mended(function: Function, first: str) -> None:
    assert words(planned(seen=replace(GOOD, function=function)))[0] == first


@pytest.mark.parametrize(
    ("login", "statement"),
    [
        (replace(LOGIN, attributes=frozenset({"login", "createdb"})), "ALTER ROLE"),
        (replace(LOGIN, attributes=frozenset()), "ALTER ROLE"),
        (replace(LOGIN, connection_limit=-1), "ALTER ROLE"),
        (replace(LOGIN, verifier=None), "ALTER ROLE"),
        (replace(LOGIN, verifier=scram_verifier("another")), "ALTER ROLE"),
        (replace(LOGIN, member_of=("pg_read_all_data",)), "REVOKE {}"),
    ],
)
def test_a_login_that_can_do_more_or_less_is_mended(login: Login, statement: str) -> None:
    assert words(planned(login)) == [statement]


def test_a_superuser_is_refused() -> None:
    with pytest.raises(DbopsError, match="is a superuser"):
        planned(replace(LOGIN, attributes=frozenset({"login", "superuser"})))


def test_no_password_leaves_the_plan_in_clear() -> None:
    made = planned(None, NOTHING)
    assert PASSWORD not in repr(made.diff())
    secrets = [item for step in made.steps for item in step.sql.args if isinstance(item, Secret)]
    assert [item.value.split("$")[0] for item in secrets] == ["SCRAM-SHA-256"]
