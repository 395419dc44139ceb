# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rows come first, and which keys need another parent."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.observe import named_in
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.rows import components, fresh, groups, order
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    FOREIGN_KEY,
    PRIMARY_KEY,
    UNIQUE,
    Column,
    Constraint,
    Database,
    Table,
    grouped,
)


def database(columns: dict[int, Sequence[str]], constraints: Sequence[Constraint]) -> Database:
    tables = {
        oid: Table(
            *(oid, "s", f"t{oid}", "r", False, False, "", (), False, True, False, False),
            {name: Column(name, 23, -1, "integer", False) for name in names},
        )
        for oid, names in columns.items()
    }
    known = {item.id: item for item in constraints}
    return Database("d", "", "u", tables, {}, known, grouped(constraints, lambda item: item.table))


def reference(name: str, table: int, columns: Sequence[str], target: int) -> Constraint:
    return Constraint(name, name, FOREIGN_KEY, table, columns=tuple(columns), target=target)


def key(name: str, table: int, columns: Sequence[str], kind: str = PRIMARY_KEY) -> Constraint:
    return Constraint(name, name, kind, table, columns=tuple(columns))


def test_parents_come_first() -> None:
    seen = database({1: ["a"], 2: ["a"], 3: ["a"]}, [reference("x", 1, ["a"], 2), reference("y", 2, ["a"], 3)])
    assert order(seen) == [3, 2, 1]


def test_a_circle_is_one_group() -> None:
    assert [sorted(group) for group in groups({1: [2], 2: [1], 3: [1], 4: []})] == [[1, 2], [3], [4]]


@given(st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=4), max_size=10))
def test_whatever_is_in_another_group_comes_before(edges: dict[int, list[int]]) -> None:
    found = groups(edges)
    place = {node: number for number, group in enumerate(found) for node in group}
    assert sorted(place) == sorted(edges)
    assert all(place[target] <= place[node] for node, targets in edges.items() for target in targets if target in place)


def test_a_key_of_nothing_but_foreign_keys_needs_another_parent() -> None:
    seen = database(
        {1: ["a", "b", "n"], 2: ["id"], 3: ["id"]},
        [key("pk", 1, ["a", "b"]), reference("fa", 1, ["a"], 2), reference("fb", 1, ["b"], 3)],
    )
    assert len(fresh(seen, 1)) == 1
    free = database({1: ["a", "n"], 2: ["id"]}, [key("pk", 1, ["a", "n"]), reference("fa", 1, ["a"], 2)])
    assert not fresh(free, 1)
    both = database(
        {1: ["a", "b"], 2: ["id"], 3: ["id"]},
        [
            key("pk", 1, ["a"]),
            key("u", 1, ["b"], UNIQUE),
            reference("fa", 1, ["a"], 2),
            reference("fb", 1, ["b"], 3),
        ],
    )
    assert fresh(both, 1) == {"fa", "fb"}


def test_conditions_that_share_columns_go_together() -> None:
    found = components([("x", frozenset("ab")), ("y", frozenset("cd")), ("z", frozenset("bc")), ("w", frozenset("e"))])
    assert sorted((sorted(names), sorted(columns)) for names, columns in found) == [
        (["w"], ["e"]),
        (["x", "y", "z"], ["a", "b", "c", "d"]),
    ]


def test_names_in_an_expression() -> None:
    columns = ("a", "b c", 'q"x', "lower", "text")
    assert named_in("((a > 1) AND (lower(\"b c\") <> 'text a'::text))", columns) == ("a", "b c", "lower", "text")
    assert named_in('("q""x" IS NOT NULL)', columns) == ('q"x',)
