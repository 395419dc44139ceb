# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore says what it will do, and refuses what would overwrite something or was not confirmed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._backup.restore_plan import (
    RestoreSpec,
    chosen,
    entries_for,
    names_of,
    steps,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

BESIDE = RestoreSpec("shop")
IN_PLACE = RestoreSpec("shop", in_place=True, confirm="shop")
THERE = ["postgres", "shop", "other"]


@pytest.mark.parametrize(
    ("spec", "new", "kept"),
    [
        (BESIDE, "shop_restored_1", ""),
        (replace(BESIDE, into="looked_at"), "looked_at", ""),
        (replace(BESIDE, tables=("public.t",)), "shop_restored_1", ""),
        (IN_PLACE, "shop_restored_1", "shop_before_1"),
        (RestoreSpec("gone", into="gone"), "gone", ""),
    ],
)
def test_the_names(spec: RestoreSpec, new: str, kept: str) -> None:
    names = names_of(spec, "1", THERE)
    assert (names.new, names.kept) == (new, kept)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (replace(BESIDE, into="other"), "There is a database 'other' already"),
        (replace(BESIDE, into="shop"), "There is a database 'shop' already"),
        (replace(BESIDE, into="x" * 64), "longer than the 63 bytes"),
        (replace(IN_PLACE, confirm=""), "needs its name once more"),
        (replace(IN_PLACE, confirm="shpo"), "needs its name once more, and has 'shpo'"),
        (replace(IN_PLACE, into="x"), "has no other name"),
        (replace(IN_PLACE, tables=("public.t",)), "Single tables"),
        (RestoreSpec("gone", in_place=True, confirm="gone"), "no database 'gone'"),
        (replace(BESIDE, confirm="shop"), "the restore is not in place"),
    ],
)
def test_what_is_refused(spec: RestoreSpec, said: str) -> None:
    with pytest.raises(DbopsError) as error:
        names_of(spec, "1", THERE)
    assert said in str(error.value)
    assert "Nothing was changed." in str(error.value)


@given(st.text(min_size=1, max_size=63))
def test_every_name_fits(database: str) -> None:
    names = names_of(RestoreSpec(database, in_place=True, confirm=database), "20261124_0315", [database])
    assert len(names.new.encode()) <= 63
    assert len(names.kept.encode()) <= 63
    assert len({database, names.new, names.kept}) == 3


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    assert names_of(BESIDE, "1", [*THERE, "shop_restored_1", "shop_restored_1_2"]).new == "shop_restored_1_3"


def test_what_it_will_do_is_said() -> None:
    told = steps(IN_PLACE, names_of(IN_PLACE, "1", THERE), "20261124T010000Z", "2 h", "1.2 GB", "db1")
    assert any("rename it shop_before_1 and shop_restored_1 shop, at once" in line for line in told)
    told = steps(BESIDE, names_of(BESIDE, "1", THERE), "20261124T010000Z", "2 h", "1.2 GB", "db1")
    assert told[-1] == "leave shop as it is"
    assert "1.2 GB" in told[0]


def test_tables_by_pattern() -> None:
    tables = ["public.a", "public.p_2025", "public.p_2026", "x.a"]
    assert chosen(["public.p_*", "x.a"], tables) == ["public.p_2025", "public.p_2026", "x.a"]
    with pytest.raises(DbopsError, match=r"no table 'public\.b'"):
        chosen(["public.a", "public.b"], tables)


LISTING = """;
; Archive created at 2026-11-24 03:22:00 UTC
;
6; 2615 2200 SCHEMA - public pg_database_owner
214; 1259 16386 TABLE public t postgres
216; 1259 16390 TABLE public t2 postgres
3321; 0 16386 TABLE DATA public t postgres
3322; 0 16390 TABLE DATA public t2 postgres
3330; 0 0 SEQUENCE SET public t_id_seq postgres
3170; 2606 16392 CONSTRAINT public t t_pkey postgres
3175; 2606 16399 FK CONSTRAINT public t t_t2_fkey postgres
3176; 2620 16400 TRIGGER public t audit postgres
3177; 0 16401 MATERIALIZED VIEW DATA public m postgres
3180; 0 0 ACL public TABLE t postgres
"""


def test_the_entries_of_one_table() -> None:
    kept = entries_for(LISTING, ["public.t"])
    assert [line.split(";")[0] for line in kept.splitlines()] == ["6", "214", "216", "3321", "3330", "3170", "3180"]
