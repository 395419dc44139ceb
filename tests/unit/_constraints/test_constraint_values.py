# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values by type, texts for patterns, and what is worth trying in a check."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.checks import candidates, constants
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.patterns import examples, like
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import Type
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.values import array, fits, numeric, value

TYPES = {
    1: Type(1, "integer", "b", "int4", "N"),
    2: Type(2, "numeric", "b", "numeric", "N"),
    3: Type(3, "character varying", "b", "varchar", "S"),
    4: Type(4, "mood", "e", "mood", "E", labels=("sad", "ok", "happy")),
    5: Type(5, "integer[]", "a", "_int4", "A", part=1),
    6: Type(6, "int4range", "r", "int4range", "R", part=1),
    7: Type(7, "int4multirange", "m", "int4multirange", "R", part=6),
    8: Type(8, "pair", "c", "pair", "C", fields=((1, -1), (3, 9))),
    9: Type(9, "small", "d", "small", "S", part=3, part_typmod=9),
    10: Type(10, "date", "b", "date", "D"),
    11: Type(11, "jsonb", "b", "jsonb", "U"),
    12: Type(12, "loop", "d", "loop", "U", part=12),
    13: Type(13, "character varying[]", "a", "_varchar", "A", part=3),
    14: Type(14, "strange", "b", "strange", "U"),
}


def typmod(precision: int, scale: int) -> int:
    return ((precision << 16) | (scale & 0x7FF)) + 4


@given(number=st.integers(0, 300), other=st.integers(0, 300), oid=st.sampled_from([1, 2, 3, 5, 6, 7, 8, 9, 10, 11]))
def test_different_numbers_are_different_values(number: int, other: int, oid: int) -> None:
    same = value(TYPES, oid, -1, number) == value(TYPES, oid, -1, other)
    assert same == (number == other)


def test_an_enum_has_its_labels_and_no_more() -> None:
    assert [value(TYPES, 4, -1, number) for number in range(4)] == ["sad", "ok", "happy", "sad"]


def test_nothing_is_invented_for_what_is_not_known() -> None:
    assert value(TYPES, 14) is None
    assert value(TYPES, 99) is None
    assert value(TYPES, 12) is None  # too deep


@given(precision=st.integers(1, 30), scale=st.integers(0, 12), number=st.integers(0, 500))
def test_numeric_keeps_precision_and_scale(precision: int, scale: int, number: int) -> None:
    scale = min(scale, precision)
    modifier = typmod(precision, scale)
    assert numeric(modifier) == (precision, scale)
    text = value(TYPES, 2, modifier, number)
    assert text is not None
    whole, _point, part = text.partition(".")
    assert len(part) == scale
    assert len(whole.lstrip("0")) <= precision - scale


def test_the_scale_of_numeric_may_be_negative() -> None:
    assert numeric(typmod(3, -2)) == (3, -2)
    assert value(TYPES, 2, typmod(3, -2), 1) == "200"


@given(width=st.integers(1, 80), number=st.integers(0, 5000))
def test_text_keeps_its_width(width: int, number: int) -> None:
    text = value(TYPES, 3, width + 4, number)
    assert text is not None
    assert len(text) <= width


@pytest.mark.parametrize(
    ("oid", "modifier", "text", "good"),
    [
        (1, -1, "2147483647", True),
        (1, -1, "2147483648", False),
        (1, -1, "1.5", False),
        (3, 7, "abc", True),
        (3, 7, "abcd", False),
        (2, typmod(3, 1), "99.9", True),
        (2, typmod(3, 1), "100", False),
        (2, typmod(3, 1), "-0099", True),
    ],
)
def test_fits(oid: int, modifier: int, text: str, good: bool) -> None:
    assert fits(TYPES[oid], modifier, text) is good


def test_an_array_quotes_its_elements() -> None:
    assert array(['a"b', "c\\d", None, "e,f"]) == '{"a\\"b","c\\\\d",NULL,"e,f"}'


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z]{2}$",
        "^[a-z0-9](-?[a-z0-9])*$",
        "^[0-9a-f]{64}$",
        r"^\+[0-9 ()-]{6,23}$",
        r"^[^@ ]+@[^@ ]+\.[a-z]{2,}$",
        "^(foo|ba[rz])+x?$",
        r"^\d{3}-\w+\s.$",
        "^(?:a|b)c$",
        "^[]x]+$",
        "^a{2}b{0,3}c+?$",
        "",
    ],
)
def test_an_example_matches_its_pattern(pattern: str) -> None:
    found = examples(pattern)
    assert found
    assert all(re.search(pattern, text) for text in found)


def test_classes_of_posix() -> None:
    assert all(text.isupper() for text in examples("^[[:upper:]]+$"))


def test_enough_examples_for_keys() -> None:
    assert len(examples("^[0-9a-f]{64}$")) >= 5
    assert len(like("https://%")) >= 5


@given(st.text(alphabet="ab[]()^$*+?{}|\\.0,-:=!", max_size=12))
def test_no_pattern_breaks_it(pattern: str) -> None:
    assert all(isinstance(text, str) for text in examples(pattern))


@pytest.mark.parametrize("pattern", ["[0-.]", r"[a-\d]", "[[:unknown:]]"])
def test_a_set_of_nothing_has_no_example(pattern: str) -> None:
    assert examples(pattern) == []


@pytest.mark.parametrize("name", ["blank", "print", "graph", "cntrl"])
def test_the_rarer_classes_of_posix(name: str) -> None:
    assert examples(f"^[[:{name}:]]+$")


@pytest.mark.parametrize(("pattern", "texts"), [("%_@_%", {"x@x"}), (r"100\%", {"100%"}), ("a%", {"a", "adbops"})])
def test_like(pattern: str, texts: set[str]) -> None:
    assert texts <= set(like(pattern))


def test_constants_of_an_expression() -> None:
    found = constants("((kind = ANY (ARRAY['a'::text, 'it''s'::text])) AND (n >= (-5)) AND (\"x1\" < '2.50'::numeric))")
    assert found.texts == ("a", "it's", "2.50")
    assert found.numbers == ("5", "2.50")
    assert constants("(plan = ANY ('{free,paid}'::text[]))").texts[1:] == ("free", "paid")
    assert "AA" in constants("(code ~ '^[A-Z]{2}$'::text)").matching
    assert "aa" in constants("((code)::public.citext OPERATOR(public.~) '^aa$'::public.citext)").matching
    assert "xdbops" in constants("(code ~~ 'x%'::text)").matching


@pytest.mark.parametrize(
    ("oid", "expression", "wanted"),
    [
        (1, "((n >= 18) AND (n <= 130))", {"18", "17", "130", "131"}),
        (2, "(n = ANY (ARRAY[0.99, 1.29]))", {"0.99", "1.00", "0.98", "1.29"}),
        (3, "(length(t) >= 3)", {"aa", "aaa"}),
        (3, "(t = ANY (ARRAY['open'::text, 'shut'::text]))", {"open", "shut", "open!"}),
        (10, "(d > '2020-02-29'::date)", {"2020-03-01", "2020-02-28"}),
        (11, "(jsonb_typeof((j -> 'theme'::text)) = 'string'::text)", {'{"theme": "a"}', '{"theme": 1}', "{}"}),
        (13, "(a <@ ARRAY['x'::text, 'y'::text])", {'{"x"}', "{}", "{NULL}"}),
        (13, "(cardinality(a) <= 2)", {"{}"}),
    ],
)
def test_candidates_stand_on_both_sides_of_the_edge(oid: int, expression: str, wanted: set[str]) -> None:
    assert wanted <= set(candidates(TYPES, oid, -1, constants(expression)))
