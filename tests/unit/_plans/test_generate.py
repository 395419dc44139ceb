# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for empty tables: in which order, and with which values."""

from __future__ import annotations

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._plans.generate import (
    Column,
    Reference,
    Table,
    insert,
    needed,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plans.spec import Generate
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import compose

ID = Column("id", "int8", required=True, unique=True)


def table(name: str, *columns: Column, refers: tuple[tuple[str, str], ...] = ()) -> Table:
    references = tuple(Reference((column,), ("public", other), ("id",)) for column, other in refers)
    return Table("public", name, (ID, *columns), references)


def order(*tables: Table, **rows: int) -> list[str]:
    known = {item.key: item for item in tables}
    counts = needed(known, Generate({("public", name): count for name, count in rows.items()}, {}))
    return [f"{name} {count}" for (_schema, name), count in counts.items()]


def test_what_others_refer_to_comes_first() -> None:
    users, orders = table("users"), table("a", Column("u", "int8", required=True), refers=(("u", "users"),))
    lines = table("lines", Column("o", "int8", required=True), refers=(("o", "a"),))
    assert order(users, orders, lines, lines=50) == ["users 1000", "a 1000", "lines 50"]
    assert order(users, orders, lines, a=7, users=3) == ["users 3", "a 7"]


def test_a_reference_that_may_be_null_needs_nothing() -> None:
    users, orders = table("users"), table("a", Column("u", "int8"), refers=(("u", "users"),))
    assert order(users, orders, a=7) == ["a 7"]
    assert order(users, orders, a=7, users=3) == ["users 3", "a 7"]


def test_circles() -> None:
    one = table("one", Column("t", "int8", required=True), refers=(("t", "two"),))
    free = table("two", Column("o", "int8"), refers=(("o", "one"),))
    assert order(one, free, one=5, two=6) == ["two 6", "one 5"]
    bound = table("two", Column("o", "int8", required=True), refers=(("o", "one"),))
    with pytest.raises(DbopsError, match="lead back to it"):
        order(one, bound, one=5)


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(DbopsError, match="there is no table"):
        order(no_such=5)


def sql(item: Table, made: dict[tuple[str, str], int] | None = None, **distinct: int) -> str:
    known = {table("users").key: table("users"), item.key: item}
    counted = {("public", item.name, column): count for column, count in distinct.items()}
    text = compose(insert(item, 9, made or {}, known, counted))
    return str(text)


def test_values() -> None:
    columns = (
        Column("kind", "kind", ("app", "kind"), labels=("a", "b")),
        Column("short", "varchar", size=5),
        Column("tags", "array"),
        Column("odd", "tsvector"),
    )
    text = sql(table("t", *columns), short=3)
    assert "pg_catalog.right(('v' || (1 + n % 3)::text), 5)" in text
    assert "(n % 2)::int]::" in text
    assert "odd" not in text
    with pytest.raises(DbopsError, match=r"no value is known for public.t.odd of the type tsvector"):
        sql(table("t", Column("odd", "tsvector", required=True)))


def test_a_reference_takes_a_row_that_is_there() -> None:
    one = table("t", Column("u", "int8", required=True), refers=(("u", "users"),))
    assert "((1 + (n * 7919) % 4))::int8" in sql(one, {("public", "users"): 4})
    assert "NULL" in sql(one)
    unique = table("t", Column("u", "int8", required=True, unique=True), refers=(("u", "users"),))
    assert "((1 + (n - 1) % 4))::int8" in sql(unique, {("public", "users"): 4})
