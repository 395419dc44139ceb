# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a spec is found without a server, all of it at once."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import (
    find_cycle,
    join_list,
    parse,
    split_list,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


def roles(*given_roles: dict[str, Any]) -> dict[str, Any]:
    return {"roles": list(given_roles)}


def database(**more: Any) -> dict[str, Any]:
    return {"databases": [{"name": "shop", **more}]}


def schema(**more: Any) -> dict[str, Any]:
    return database(schemas=[{"name": "public", **more}])


def tables(**more: Any) -> dict[str, Any]:
    return schema(tables=[{"privileges": ["SELECT"], "roles": ["app"], **more}])


WRONG: list[tuple[dict[str, Any], str]] = [
    (roles({"name": "a", "logn": True}), "roles[0] has an unknown key 'logn' (did you mean 'login'?)"),
    (roles({"login": True}), "roles[0].name must be a name, not None"),
    (roles({"name": ""}), "roles[0].name must be a name, not ''"),
    (roles({"name": "x" * 64}), "is longer than 63 bytes, PostgreSQL would cut it"),
    (roles({"name": "é" * 32}), "is longer than 63 bytes, PostgreSQL would cut it"),
    (roles({"name": "a"}, {"name": "a"}), "role 'a' is declared twice"),
    (roles({"name": "pg_a"}), "role 'pg_a' is reserved by PostgreSQL"),
    (roles({"name": "Public"}), "role 'Public' is reserved by PostgreSQL"),
    (roles({"name": "a", "state": "gone"}), "state of role 'a' must be present or absent, not 'gone'"),
    (roles({"name": "a", "state": "absent", "login": False}), "role 'a' is declared absent and cannot have login"),
    (roles({"name": "a", "reassign_to": "b"}), "reassign_to of role 'a' needs state: absent"),
    (roles({"name": "a", "login": "maybe"}), "login of role 'a' must be true or false, not 'maybe'"),
    (roles({"name": "a", "connection_limit": -2}), "connection_limit of role 'a' must be -1 (no limit) or"),
    (roles({"name": "a", "connection_limit": True}), "connection_limit of role 'a' must be -1 (no limit) or"),
    (roles({"name": "a", "valid_until": "soon"}), "valid_until of role 'a' must be 'infinity' or an ISO 8601"),
    (roles({"name": "a", "password": ""}), "password of role 'a' is empty"),
    (roles({"name": "a", "password": "md5" + "0" * 32}), "password of role 'a' is an md5 hash"),
    (roles({"name": "a", "password": "SCRAM-SHA-256$1:x"}), "looks like a SCRAM-SHA-256 verifier but is broken"),
    (roles({"name": "a", "settings": {"work_mem": {}}}), "work_mem in settings of role 'a' must be a single value"),
    (roles({"name": "a", "settings": ["x"]}), "settings of role 'a' must be a dictionary"),
    (roles({"name": "a", "member_of": ["b", "b"]}), "role 'b' is declared twice in member_of of role 'a'"),
    (roles({"name": "a", "member_of": [{"role": "b", "admi": True}]}), "unknown key 'admi' (did you mean 'admin'?)"),
    (roles({"name": "a", "member_of": ["PUBLIC"]}), "member_of of role 'a' must be a role; PUBLIC is none"),
    (roles({"name": "a", "member_of": ["a"]}), "The memberships form a circle: a -> a"),
    (
        roles({"name": "a", "member_of": ["b"]}, {"name": "b", "member_of": ["c"]}, {"name": "c", "member_of": ["a"]}),
        "The memberships form a circle: a -> b -> c -> a",
    ),
    (
        {**roles({"name": "a", "state": "absent"}), **database(connect=["a"])},
        "connect of database 'shop' names role 'a', which is declared absent",
    ),
    (database(conect=[]), "databases[0] has an unknown key 'conect' (did you mean 'connect'?)"),
    ({"databases": [{"name": "a"}, {"name": "a"}]}, "database 'a' is declared twice"),
    ({"databases": [{"name": "template1"}]}, "database 'template1' is a template"),
    (database(owner="PUBLIC"), "owner of database 'shop' must be a role; PUBLIC is none"),
    (database(connect=["public"]), "connect of database 'shop': write 'PUBLIC', not 'public'"),
    (database(connect=["a", "a"]), "role 'a' is declared twice in connect of database 'shop'"),
    (database(connect="a"), "connect of database 'shop' must be a list, not 'a'"),
    (database(schemas=[{"name": "x"}, {"name": "x"}]), "schema 'x' is declared twice in database 'shop'"),
    (database(schemas=[{"name": "pg_x"}]), "schema shop.pg_x belongs to PostgreSQL"),
    (database(schemas=[{"name": "information_schema"}]), "schema shop.information_schema belongs to PostgreSQL"),
    (schema(table=[]), "schemas[0] of database 'shop' has an unknown key 'table' (did you mean 'tables'?)"),
    (schema(creators=["PUBLIC"]), "creators of schema shop.public must be a role; PUBLIC is none"),
    (tables(privileges=["SELEKT"]), "'SELEKT' is no privilege on a table (did you mean 'SELECT'?)"),
    (tables(privileges=[]), "tables[0] of schema shop.public names no privileges"),
    (tables(roles=[]), "tables[0] of schema shop.public names no roles"),
    (tables(privileges=["SELECT", "select"]), "privilege 'SELECT' is declared twice"),
    (tables(objects=["x", "x"]), "name 'x' is declared twice in objects of tables[0]"),
    (tables(objects=[]), "objects of tables[0] of schema shop.public is empty"),
    (tables(objects=["x"], **{"except": ["y"]}), "has both objects and except"),
    (tables(columns=["x"]), "columns of tables[0] of schema shop.public need objects"),
    (tables(objects=["x"], columns=["y"], privileges=["DELETE"]), "DELETE cannot be granted on columns"),
    (schema(sequences=[{"privileges": ["DELETE"], "roles": ["a"]}]), "'DELETE' is no privilege on a sequence"),
    (schema(functions=[{"privileges": ["ALL"], "roles": ["a"], "columns": ["x"]}]), "has an unknown key 'columns'"),
]


@pytest.mark.parametrize(("params", "message"), WRONG, ids=[message[:60] for _params, message in WRONG])
def test_wrong(params: dict[str, Any], message: str) -> None:
    with pytest.raises(DbopsError) as error:
        parse(params)
    assert message in str(error.value)
    assert "Nothing was changed." in str(error.value)


def test_everything_that_is_wrong_is_one_error() -> None:
    with pytest.raises(DbopsError, match=r"^2 problems: \(1\) .*'logn'.*; \(2\) .*'shop' is declared twice"):
        parse({"roles": [{"name": "a", "logn": True}], "databases": [{"name": "shop"}, {"name": "shop"}]})


def test_no_message_repeats_a_password() -> None:
    for password in ("md5" + "a1" * 16, "SCRAM-SHA-256$4096:secret", "nul\0secret"):
        with pytest.raises(DbopsError) as error:
            parse(roles({"name": "a", "password": password}))
        assert password not in str(error.value)
    assert "hunter2" not in repr(parse(roles({"name": "a", "password": "hunter2"})))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("infinity", "infinity"),
        ("2027-01-31", "2027-01-31T00:00:00+00:00"),
        ("2027-01-31T02:00:00+02:00", "2027-01-31T00:00:00+00:00"),
        ("2027-01-31T00:00:00Z", "2027-01-31T00:00:00+00:00"),
    ],
)
def test_moments_have_one_form(written: str, meant: str) -> None:
    assert parse(roles({"name": "a", "valid_until": written})).roles[0].valid_until == meant


def test_settings_have_one_form() -> None:
    settings = {"Jit": False, "work_mem": 64, "search_path": 'app, "$user"', "lock_timeout": None}
    assert parse(roles({"name": "a", "settings": settings})).roles[0].settings == {
        "jit": "off",
        "work_mem": "64",
        "search_path": '"app", "$user"',
        "lock_timeout": None,
    }


def test_what_is_left_out_is_not_managed() -> None:
    role = parse(roles({"name": "a", "login": None, "member_of": None})).roles[0]
    assert (role.flags, role.member_of, role.settings, role.connection_limit) == ({}, None, None, None)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1), max_size=4))
def test_a_list_setting_survives_being_joined_and_split(names: list[str]) -> None:
    assert split_list(join_list(names)) == names


@given(st.sets(st.tuples(st.integers(0, 6).map(str), st.integers(0, 6).map(str)), max_size=14))
def test_a_circle_is_found_when_there_is_one(edges: set[tuple[str, str]]) -> None:
    path = find_cycle(edges)
    reached = set(edges)
    for _round in range(7):
        reached |= {(a, d) for a, b in reached for c, d in reached if b == c}
    assert bool(path) == any(start == end for start, end in reached)
    if path:
        assert path[0] == path[-1]
        assert all(edge in edges for edge in itertools.pairwise(path))
