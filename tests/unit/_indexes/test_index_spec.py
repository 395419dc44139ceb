# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section indexes of a spec file: what it means, and every error about it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import Limits, parse, qualified, sql_text
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import Definition, Key
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError


def test_an_index_with_everything() -> None:
    wanted = parse(
        {
            "required": [
                {
                    "table": "app.Users",
                    "columns": ["Email", {"expression": "lower(name)", "order": "desc", "collation": "C"}],
                    "unique": True,
                    "nulls_not_distinct": True,
                    "include": ["id"],
                    "where": "deleted_at IS NULL",
                    "name": "users_email",
                }
            ]
        }
    ).required[0]
    key = Key(expression="lower(name)", collation="C", descending=True, nulls_first=True)
    assert (wanted.schema, wanted.table, wanted.name) == ("app", "Users", "users_email")
    assert wanted.definition == Definition(
        "btree", (Key(column="Email"), key), True, ("id",), "deleted_at IS NULL", True
    )


def test_a_jsonb_column_is_a_gin_index_of_another_control() -> None:
    wanted = parse({"jsonb": [{"table": "transcripts", "column": "transcript_json"}]}).required[0]
    assert (wanted.schema, wanted.table, wanted.control) == ("public", "transcripts", "P-2")
    assert wanted.definition == Definition("gin", (Key(column="transcript_json"),))


def test_limits_have_defaults() -> None:
    assert parse({}).limits == Limits()
    assert parse({"limits": {"unused_days": 30}}).limits == Limits(unused_days=30)


GOOD: dict[str, Any] = {"table": "t", "columns": ["a"]}


@pytest.mark.parametrize(
    ("section", "where"),
    [
        ({"requird": []}, ("requird",)),
        ({"required": {}}, ("required",)),
        ({"required": ["t"]}, ("required", 0)),
        ({"required": [{**GOOD, "table": "a.b.c"}]}, ("required", 0, "table")),
        ({"required": [{"columns": ["a"]}]}, ("required", 0, "table")),
        ({"required": [{**GOOD, "columns": []}]}, ("required", 0, "columns")),
        ({"required": [{**GOOD, "columns": "a"}]}, ("required", 0, "columns")),
        ({"required": [{**GOOD, "columns": ["a", "a"]}]}, ("required", 0, "columns")),
        ({"required": [{**GOOD, "columns": [3]}]}, ("required", 0, "columns", 0)),
        ({"required": [{**GOOD, "columns": [{"column": "a", "expression": "a"}]}]}, ("required", 0, "columns", 0)),
        ({"required": [{**GOOD, "columns": [{"column": "a", "order": "up"}]}]}, ("required", 0, "columns", 0, "order")),
        ({"required": [{**GOOD, "columns": [{"column": "a", "nulls": 1}]}]}, ("required", 0, "columns", 0, "nulls")),
        ({"required": [{**GOOD, "method": "btre"}]}, ("required", 0, "method")),
        ({"required": [{**GOOD, "method": "gin", "unique": True}]}, ("required", 0, "unique")),
        ({"required": [{**GOOD, "unique": "yes"}]}, ("required", 0, "unique")),
        ({"required": [{**GOOD, "nulls_not_distinct": True}]}, ("required", 0, "nulls_not_distinct")),
        ({"required": [{**GOOD, "where": "a = 1; DROP TABLE t"}]}, ("required", 0, "where")),
        ({"required": [{**GOOD, "name": "n" * 64}]}, ("required", 0, "name")),
        ({"required": [GOOD, GOOD]}, ("required", 1)),
        (
            {"required": [{**GOOD, "method": "hash", "columns": [{"column": "a", "order": "desc"}]}]},
            ("required", 0, "columns", 0),
        ),
        ({"jsonb": [{"table": "t", "column": "a", "opclass": "x"}]}, ("jsonb", 0, "opclass")),
        ({"jsonb": [{"table": "t"}]}, ("jsonb", 0, "column")),
        ({"ignore": [1]}, ("ignore", 0)),
        ({"limits": {"unused_day": 1}}, ("limits", "unused_day")),
        ({"limits": {"unused_days": -1}}, ("limits", "unused_days")),
        ({"limits": {"unused_days": True}}, ("limits", "unused_days")),
        ({"limits": []}, ("limits",)),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(section: dict[str, Any], where: tuple[Any, ...]) -> None:
    with pytest.raises(SpecError) as raised:
        parse(section)
    assert raised.value.where == ("indexes", *where)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("users", ("public", "users")),
        ("app.Users", ("app", "Users")),
        ('"my.schema"."a ""b"""', ("my.schema", 'a "b"')),
    ],
)
def test_names_of_tables(text: str, names: tuple[str, str]) -> None:
    assert qualified(text, ()) == names


@pytest.mark.parametrize(
    "text",
    ["a = 1", "status IN ('open', 'it''s; --')", '"we;ird" > 0', "body ->> 'n'", "(a) = (b)", "a::text ~ '^\\d+$'"],
)
def test_expressions_that_are_taken(text: str) -> None:
    assert sql_text(text, ()) == text


@pytest.mark.parametrize(
    "text",
    ["a; b", "a) WHERE (b", "(a", "a)", "a -- b", "a /* b", "'a", "E'\\'' ; DROP TABLE t --'", "$$a$$", '"a', "U&'a'"],
)
def test_expressions_that_could_be_more_than_one(text: str) -> None:
    with pytest.raises(SpecError):
        sql_text(text, ())


@given(st.text(alphabet="()';\"ab E$-", max_size=12))
def test_an_expression_never_leaves_its_parentheses(text: str) -> None:
    try:
        taken = sql_text(text, ())
    except SpecError:
        return
    depth, quote = 0, ""
    for char in taken:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        else:
            depth += {"(": 1, ")": -1}.get(char, 0)
            assert char != ";"
        assert depth >= 0
    assert (depth, quote) == (0, "")
