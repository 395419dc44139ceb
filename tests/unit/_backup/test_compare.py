# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every difference is named, and what a restore rightly makes anew is none."""

from __future__ import annotations

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._backup import compare
from ansible_collections.dbops.postgres.plugins.module_utils._backup.contents import (
    Contents,
    SequenceState,
    TableContents,
    fingerprint,
    normalised,
)

DUMPED = Contents(
    tables={"public.a": TableContents(10, "7"), "public.b": TableContents(0, "0"), "public.c": TableContents(5)},
    sequences={"public.s": SequenceState(10, True), "public.down": SequenceState(-4, True, -2)},
    large_objects=2,
)


def but(**changes: object) -> Contents:
    given = {"tables": DUMPED.tables, "sequences": DUMPED.sequences, "large_objects": 2, **changes}
    return Contents(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "restored",
    [
        DUMPED,
        but(tables={**DUMPED.tables, "public.c": TableContents(5, "9")}),  # only counted when it was dumped
        but(sequences={**DUMPED.sequences, "public.s": SequenceState(11, False)}),
        but(sequences={**DUMPED.sequences, "public.s": SequenceState(12, True)}),  # went on before the dump
        but(sequences={**DUMPED.sequences, "public.down": SequenceState(-6, True, -2)}),
    ],
)
def test_no_false_alarm(restored: Contents) -> None:
    assert compare.contents(DUMPED, restored) == []


@pytest.mark.parametrize(
    ("restored", "said"),
    [
        (
            but(tables={**DUMPED.tables, "public.a": TableContents(9, "6")}),
            "public.a: 9 rows, the manifest says 10 (1 m",
        ),
        (
            but(tables={**DUMPED.tables, "public.b": TableContents(2, "6")}),
            "public.b: 2 rows, the manifest says 0 (2 too",
        ),
        (
            but(tables={**DUMPED.tables, "public.a": TableContents(10, "8")}),
            "public.a: 10 rows as in the manifest, but",
        ),
        (but(tables={"public.a": TableContents(10, "7"), "public.b": TableContents(0, "0")}), "public.c, 5 rows in"),
        (but(sequences={**DUMPED.sequences, "public.s": SequenceState(10, False)}), "sequence public.s stands at 10"),
        (
            but(sequences={**DUMPED.sequences, "public.down": SequenceState(-2, True, -2)}),
            "sequence public.down stands",
        ),
        (but(sequences={"public.s": SequenceState(10, True)}), "sequence public.down was not restored"),
        (but(large_objects=1), "1 large objects, the manifest says 2"),
    ],
)
def test_every_difference_is_named(restored: Contents, said: str) -> None:
    (found,) = compare.contents(DUMPED, restored)
    assert said in found


def test_a_cycling_sequence_may_stand_anywhere() -> None:
    assert (
        compare.contents(
            Contents(sequences={"s": SequenceState(9, True, 1, True)}),
            Contents(sequences={"s": SequenceState(1, True, 1, True)}),
        )
        == []
    )


def test_definitions() -> None:
    dumped = {"table public.a": "1", "index public.i": "2", "view public.v": "3"}
    restored = {"table public.a": "1", "view public.v": "4", "schema public": "5", "function f()": "6"}
    assert compare.schema(dumped, restored) == [
        "index public.i was not restored",
        "view public.v is defined differently",
        "function f() is not in the manifest",
    ]
    assert compare.schema(dumped, dumped) == []
    assert fingerprint(dumped) == fingerprint(dict(reversed(dumped.items())))
    assert fingerprint(dumped) != fingerprint(restored)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "CHECK (((state)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))",
            "CHECK (((state)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))",
        ),
        ("((x)::numeric(10,2) > 0)", "(x > 0)"),
        ('(x)::"My Type"[]', "x"),
    ],
)
def test_what_postgresql_writes_in_two_ways_is_the_same(before: str, after: str) -> None:
    assert normalised(before) == normalised(after)


def test_what_differs_still_differs() -> None:
    assert normalised("CHECK (x > 1)") != normalised("CHECK (x > 2)")
    assert normalised("CHECK (x > 1)") != normalised("CHECK (y > 1)")
