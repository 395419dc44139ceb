# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of an environment."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._access.presets import Settings, expand
from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import parse
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

PASSWORDS = {"pay_prod_app": "secret-1", "pay_prod_migrator": "secret-2"}
PAY: dict[str, Any] = {"name": "pay", "database": "pay_db"}


def expanded(*services: dict[str, Any], **more: Any) -> dict[str, list[dict[str, Any]]]:
    options: dict[str, Any] = {"environment": "prod", "passwords": PASSWORDS, "settings": Settings(), **more}
    found = expand(services, **options)
    parse({**found, "purge": True})  # what comes out is always a valid spec
    return found


def test_a_service_is_four_roles_and_a_database() -> None:
    found = expanded(PAY)
    logins = {role["name"]: role["login"] for role in found["roles"]}
    assert logins == {"pay_prod_owner": False, "pay_prod_migrator": True, "pay_prod_app": True, "pay_prod_ro": False}
    (database,) = found["databases"]
    assert database["owner"] == "pay_prod_owner"
    assert database["connect"] == ["pay_prod_app", "pay_prod_migrator", "pay_prod_ro"]
    (schema,) = database["schemas"]
    assert schema["create"] == schema["creators"] == ["pay_prod_migrator"]
    assert schema["tables"][0] == {"privileges": ["SELECT", "INSERT", "UPDATE"], "roles": ["pay_prod_app"]}


def test_delete_only_where_the_service_says_so() -> None:
    found = expanded({**PAY, "delete": True})
    assert "DELETE" in found["databases"][0]["schemas"][0]["tables"][0]["privileges"]


def test_services_of_other_environments_are_left_out() -> None:
    assert expanded({**PAY, "environments": ["dev"]}) == {"roles": [], "databases": []}


def test_the_reader_logs_in_with_a_password_only() -> None:
    found = expanded(PAY, passwords={**PASSWORDS, "pay_prod_ro": "secret-3"})
    assert [role["login"] for role in found["roles"] if role["name"] == "pay_prod_ro"] == [True]


def test_logins_that_take_turns_are_members_of_the_role_that_has_the_rights() -> None:
    found = expanded({**PAY, "rotating": True}, passwords={"pay_prod_migrator": "secret-2"})
    roles = {role["name"]: role for role in found["roles"]}
    assert roles["pay_prod_app"]["login"] is False
    for name in ("pay_prod_app_a", "pay_prod_app_b"):
        assert roles[name]["member_of"] == ["pay_prod_app"]
        assert roles[name]["connection_limit"] == 20
        assert not {"login", "password"} & set(roles[name])  # the rotation's
    usual = expanded(PAY)["databases"]
    assert found["databases"] == usual
    with pytest.raises(DbopsError, match="whose logins rotate"):
        expanded({**PAY, "rotating": True})


def test_readers_span_services_and_may_have_exceptions() -> None:
    found = expanded(
        {**PAY, "readonly": [{"role": "ana", "except": ["cards"]}, "bob"]}, roles=[{"name": "ana"}, {"name": "bob"}]
    )
    assert found["databases"][0]["schemas"][0]["tables"][1:] == [
        {"privileges": ["SELECT"], "roles": ["pay_prod_ro", "bob"]},
        {"privileges": ["SELECT"], "roles": ["ana"], "except": ["cards"]},
    ]


def test_a_further_database_of_the_same_name_is_merged() -> None:
    more = {
        "name": "pay_db",
        "connect": ["ana"],
        "connection_limit": 9,
        "schemas": [
            {"name": "public", "tables": [{"privileges": ["SELECT"], "roles": ["ana"], "objects": ["x"]}]},
            {"name": "more"},
        ],
    }
    (database, other) = expanded(PAY, roles=[{"name": "ana"}], databases=[more, {"name": "other"}])["databases"]
    assert database["connect"][-1] == "ana"
    assert database["connection_limit"] == 9
    assert [schema["name"] for schema in database["schemas"]] == ["public", "more"]
    assert database["schemas"][0]["tables"][-1]["objects"] == ["x"]
    assert other == {"name": "other"}


@pytest.mark.parametrize(
    ("services", "databases", "expected"),
    [
        ([PAY], [], [{"name": "postgres", "connect": []}]),
        ([PAY], [{"name": "postgres", "connect": ["pay_prod_ro"]}], [{"name": "postgres", "connect": ["pay_prod_ro"]}]),
        ([], [], []),
    ],
)
def test_a_database_is_closed_unless_it_is_declared(
    services: list[dict[str, Any]], databases: list[dict[str, Any]], expected: list[dict[str, Any]]
) -> None:
    found = expanded(*services, databases=databases, closed=["postgres"])["databases"]
    assert [database for database in found if database["name"] == "postgres"] == expected


def test_further_roles_take_their_password_from_the_same_place() -> None:
    found = expanded(PAY, roles=[{"name": "ana"}], passwords={**PASSWORDS, "ana": "secret-4"})
    assert found["roles"][-1] == {"name": "ana", "password": "secret-4"}


@pytest.mark.parametrize(
    ("services", "more", "message"),
    [
        ([PAY], {"environment": ""}, "access_services needs access_environment"),
        ([PAY], {"purge": False}, "access_services needs access_purge: true"),
        ([{"name": "pay"}], {}, "service 'pay' has no database"),
        ([{**PAY, "readony": []}], {}, "unknown key 'readony' (did you mean 'readonly'?)"),
        ([{**PAY, "connection_limits": {"ap": 1}}], {}, "unknown connection limit 'ap' (did you mean 'app'?)"),
        ([{**PAY, "readonly": ["ana"]}], {}, "names 'ana', which access_roles does not declare"),
        ([{**PAY, "readonly": [1]}], {}, "must be names of roles or dictionaries"),
        ([{**PAY, "readonly": [{"role": "ana", "exept": []}]}], {}, "unknown key 'exept' (did you mean 'except'?)"),
        (
            [PAY],
            {"passwords": {"pay_prod_ap": "secret-5"}},
            "no password for 'pay_prod_app' (did you mean 'pay_prod_ap'?)",
        ),
        (
            [PAY],
            {"roles": [{"name": "pay_prod_app"}]},
            "access_roles declares 'pay_prod_app', which is a role of a service",
        ),
    ],
)
def test_wrong(services: list[dict[str, Any]], more: dict[str, Any], message: str) -> None:
    with pytest.raises(DbopsError) as error:
        expanded(*services, **more)
    assert message in str(error.value)
    assert "secret" not in str(error.value)
