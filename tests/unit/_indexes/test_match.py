# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When one index does the work of another: truth tables, and laws that hold for all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._indexes.match import covers, redundant, same, serves
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import Definition, Key
from tests.unit._indexes.examples import definition as d
from tests.unit._indexes.examples import foreign_key, index
from tests.unit._indexes.examples import wanted as w


@pytest.mark.parametrize(
    ("have", "want", "does"),
    [
        (d("a"), w("a"), True),
        (d("a", "b"), w("a"), True),
        (d("b", "a"), w("a"), False),
        (d("a", "b"), w("b", "a"), False),
        (d("a"), w("a", "b"), False),
        (d("a", unique=True), w("a"), True),
        (d("a"), w("a", unique=True), False),
        (d("a", "b", unique=True), w("a", unique=True), False),
        (d("a", "b", unique=True), w("b", "a", unique=True), False),
        (d("a", unique=True), w("a", unique=True, nulls_not_distinct=True), False),
        (d("a", unique=True, nulls_not_distinct=True), w("a", unique=True), False),
        (d("a", predicate="(b > 0)"), w("a"), False),
        (d("a", predicate="(b > 0)"), w("a", predicate="(b > 0)"), True),
        (d("a", predicate="(b > 1)"), w("a", predicate="(b > 0)"), False),
        (d("a"), w("a", predicate="(b > 0)"), True),
        (d("a desc"), w("a"), True),
        (d("a desc", "b desc"), w("a", "b"), True),
        (d("a", "b desc"), w("a", "b"), False),
        (d("a", "b desc"), w("a desc", "b"), True),
        (d("a text_pattern_ops"), w("a"), False),
        (d("a text_pattern_ops"), w("a text_pattern_ops"), True),
        (d("a"), w("a text_pattern_ops"), False),
        (d("a public.gin_trgm_ops", method="gin"), w("a gin_trgm_ops", method="gin"), True),
        (d("lower(b)"), w("b"), False),
        (d("lower(b)", "a"), w("lower(b)"), True),
        (d("a", include=("b",)), w("a", include=("b",)), True),
        (d("a", "b"), w("a", include=("b",)), True),
        (d("a"), w("a", include=("b",)), False),
        (d("a", method="hash"), w("a"), False),
        (d("a"), w("a", method="hash"), False),
        (d("a", "b", method="brin"), w("a", method="brin"), False),
        (d("b", "d", method="gin"), w("d", method="gin"), True),
        (d("d jsonb_path_ops", method="gin"), w("d", method="gin"), True),
        (d("d jsonb_path_ops", method="gin"), w("d jsonb_ops", method="gin"), False),
    ],
)
def test_covering(have: Definition, want: Definition, does: bool) -> None:
    assert covers(have, want) is does


def test_another_collation_is_another_index() -> None:
    have = replace(d("b"), keys=(replace(d("b").keys[0], collation="C"),))
    assert not covers(have, w("b"))
    assert not same(have, d("b"))


@pytest.mark.parametrize(
    ("index_", "other", "is_"),
    [
        (d("a"), d("a", "b"), True),
        (d("a"), d("a", unique=True), True),
        (d("a", unique=True), d("a", "b", unique=True), False),
        (d("a"), d("a", "b", predicate="(b > 0)"), False),
        (d("a", predicate="(b > 0)"), d("a", "b"), False),  # it is small
        (d("a", predicate="(b > 0)"), d("a", "b", predicate="(b > 0)"), True),
        (d("a", include=("b",)), d("a", "c"), False),
        (d("a", include=("b",)), d("a", "c", "b"), True),
        (d("a", method="hash"), d("a"), False),
        (d("a", method="gin"), d("a", "b", method="gin"), False),
    ],
)
def test_redundancy(index_: Definition, other: Definition, is_: bool) -> None:
    assert redundant(index_, other) is is_


@pytest.mark.parametrize(
    ("found", "columns", "does"),
    [
        (index("i", "a"), ("a",), True),
        (index("i", "a", "b"), ("a",), True),
        (index("i", "b", "a"), ("a",), False),
        (index("i", "b", "a"), ("a", "b"), True),
        (index("i", "a", method="hash"), ("a",), True),
        (index("i", "a", method="gin"), ("a",), False),
        (index("i", "a", predicate="(a IS NOT NULL)"), ("a",), True),
        (index("i", "a", predicate="(b IS NOT NULL)"), ("a",), False),
        (index("i", "a", valid=False), ("a",), False),
    ],
)
def test_serving_a_foreign_key(found: object, columns: tuple[str, ...], does: bool) -> None:
    assert serves(found, foreign_key(*columns)) is does  # type: ignore[arg-type]


KEYS = st.builds(
    Key,
    column=st.sampled_from("abc"),
    opclass=st.sampled_from(["x_ops", "y_ops"]),
    descending=st.booleans(),
    nulls_first=st.booleans(),
)
DEFINITIONS = st.builds(
    Definition,
    method=st.sampled_from(["btree", "gin", "hash"]),
    keys=st.lists(KEYS, min_size=1, max_size=3).map(tuple),
    unique=st.booleans(),
    include=st.lists(st.sampled_from("bc"), max_size=1).map(tuple),
    predicate=st.sampled_from(["", "(a > 0)"]),
)


@given(DEFINITIONS)
def test_every_index_does_its_own_work(one: Definition) -> None:
    assert covers(one, one)
    assert same(one, one)


@given(DEFINITIONS, DEFINITIONS)
def test_what_is_the_same_covers_both_ways(one: Definition, other: Definition) -> None:
    assert same(one, other) == same(other, one)
    if same(one, other):
        assert covers(one, other)
        assert covers(other, one)


@given(DEFINITIONS, DEFINITIONS, DEFINITIONS)
def test_covering_is_transitive(one: Definition, other: Definition, third: Definition) -> None:
    if covers(one, other) and covers(other, third):
        assert covers(one, third)
