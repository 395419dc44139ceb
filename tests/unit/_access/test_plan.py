# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as data: what does not need a server to be judged."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._access.plan import plan
from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import parse
from ansible_collections.dbops.postgres.plugins.module_utils._access.state import AccessState, Membership
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Joined
from ansible_collections.dbops.postgres.plugins.module_utils._secrets import scram_verifier
from tests.unit._access.states import acl, role, schema, state


def templates(params: dict[str, Any], live: AccessState) -> list[str]:
    return [step.sql.template for step in plan(parse(params), live, lambda password: "verifier").plan.steps]


def problem(params: dict[str, Any], live: AccessState) -> str:
    with pytest.raises(DbopsError) as error:
        plan(parse(params), live)
    return str(error.value)


def test_nothing_declared_is_nothing_to_do() -> None:
    assert templates({}, state()) == []


@pytest.mark.parametrize(
    ("update", "readable", "stored", "set_again"),
    [
        ("changed", True, "same", False),
        ("changed", True, "other", True),
        ("changed", True, None, True),
        ("changed", False, "same", False),
        ("changed", False, "other", False),
        ("on_create", True, "other", False),
        ("on_create", False, None, False),
        ("always", True, "same", True),
        ("always", False, "same", True),
    ],
)
def test_when_a_password_is_set(update: str, readable: bool, stored: str | None, set_again: bool) -> None:
    verifier = scram_verifier(stored) if stored and readable else None
    live = state(role("a", verifier=verifier), pg_authid=readable)
    params = {"roles": [{"name": "a", "password": "same"}, {"name": "new", "password": "x"}], "update_password": update}
    planned = plan(parse(params), live)
    subjects = [step.subject for step in planned.plan.steps if "PASSWORD" in step.sql.template]
    assert subjects == (["role a", "role new"] if set_again else ["role new"])
    assert bool(planned.warnings) == (update == "changed" and not readable)


def test_many_objects_share_a_statement() -> None:
    live = state(role("app"), schemas=(schema(table={f"t{n:03}": acl("own") for n in range(250)}),))
    spec = {"databases": [{"name": "shop", "schemas": [
        {"name": "public", "tables": [{"privileges": ["SELECT"], "roles": ["app"]}]}]}]}  # fmt: skip
    steps = plan(parse(spec), live).plan.steps
    sizes = [len(step.sql.args[0].items) for step in steps if isinstance(step.sql.args[0], Joined)]
    assert sizes == [100, 100, 50]
    assert steps[0].subject.startswith("tables shop.{public.t000, public.t001, ")
    assert steps[0].subject.endswith(", ... 80 more}")


def test_purge_takes_builtin_defaults_away_for_all_schemas_and_grants_in_one() -> None:
    spec = {
        "databases": [{"name": "shop", "connect": ["PUBLIC"], "temporary": ["PUBLIC"], "schemas": [
            {"name": "public", "creators": ["mig"], "functions": [{"privileges": ["EXECUTE"], "roles": ["app"]}]}]}],
        "purge": True,
    }  # fmt: skip
    assert templates(spec, state(role("app"), role("mig"), schemas=(schema(),))) == [
        "ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE EXECUTE ON ROUTINES FROM {}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE USAGE ON TYPES FROM {}",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} GRANT EXECUTE ON ROUTINES TO {}",
    ]


def test_purge_spares_superusers_predefined_and_ignored_roles_and_the_own_login() -> None:
    held = acl("own", *(f"{name}=SELECT" for name in ("root", "pg_monitor", "legacy_a", "me", "stranger", "")))
    live = state(
        role("root", superuser=True),
        *(role(name) for name in ("pg_monitor", "legacy_a", "me", "stranger")),
        user="me",
        schemas=(schema(table={"t": held}),),
    )
    spec = {
        "databases": [
            {"name": "shop", "connect": ["PUBLIC"], "temporary": ["PUBLIC"], "schemas": [{"name": "public"}]}
        ],
        "purge": True,
        "ignore_roles": ["legacy_*"],
    }
    planned = plan(parse(spec), live).plan
    assert [step.sql.template for step in planned.steps] == ["REVOKE SELECT ON TABLE {} FROM {}"]
    assert planned.diff()["after"] == ("table shop.public.t: legacy_a=SELECT me=SELECT pg_monitor=SELECT root=SELECT\n")


def test_maintain_is_refused_before_postgresql_17() -> None:
    spec = {"databases": [{"name": "shop", "schemas": [
        {"name": "public", "tables": [{"privileges": ["MAINTAIN"], "roles": ["own"]}]}]}]}  # fmt: skip
    live = state(version=160000, schemas=(schema(),))
    assert "MAINTAIN needs PostgreSQL 17" in problem(spec, live)
    assert templates(spec, state(schemas=(schema(),))) == []


def test_an_unknown_setting_is_refused() -> None:
    live = state(settings=frozenset({"statement_timeout"}))
    spec = {"roles": [{"name": "a", "settings": {"statment_timeout": "1s"}}]}
    assert "no setting 'statment_timeout' (did you mean 'statement_timeout'?)" in problem(spec, live)


def test_a_circle_with_existing_memberships_is_refused() -> None:
    live = state(role("a"), role("b"), memberships=(Membership("a", "b", "postgres", False, True, True),))
    assert "form a circle: a -> b -> a" in problem({"roles": [{"name": "a", "member_of": ["b"]}]}, live)


def test_the_membership_of_a_roles_creator_is_not_purged() -> None:
    live = state(
        role("made"), role("admin"), memberships=(Membership("made", "admin", "postgres", True, False, False),)
    )
    assert templates({"roles": [{"name": "admin", "member_of": []}], "purge": True}, live) == []


def test_a_login_that_cannot_inherit_is_not_locked_out_of_its_database() -> None:
    live = state(
        role("me", inherit=False, flags={"createrole": True}, usable=False, settable=False),
        role("heir", usable=False, settable=False),
        user="me",
        superuser=False,
        version=150000,
    )
    spec = {"databases": [{"name": "shop", "owner": "heir"}], "purge": True}
    # Its own grants are spared, so only PUBLIC's CONNECT matters, which it had and would lose.
    assert "lock its own login 'me' out of database 'shop'" in problem(
        spec, _without(live, "own", usable=False, settable=False)
    )


def _without(live: AccessState, name: str, **more: Any) -> AccessState:
    roles = dict(live.roles)
    roles[name] = role(name, **more)
    return AccessState(live.capabilities, roles, live.memberships, live.databases)
