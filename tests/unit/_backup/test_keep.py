# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sets go: the truth table, and what holds for any sets and any rule."""

from __future__ import annotations

import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._backup.backup_spec import Keep
from ansible_collections.dbops.postgres.plugins.module_utils._backup.keep import decide
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import Found, set_id, time_of

NOW = datetime.datetime(2026, 11, 24, 4, tzinfo=datetime.UTC).timestamp()
DAY = 86400.0


def held(*days: float) -> list[Found]:
    return [Found(set_id("nightly", NOW - day * DAY), True, NOW - day * DAY) for day in days]


def staying(sets: list[Found], keep: Keep, verified: set[str] | None = None) -> list[int]:
    """Ages in days of those that stay."""
    found = decide(sets, keep, NOW, verified or set())
    return [round((NOW - time_of(item.id).timestamp()) / DAY) for item in found if item.stays]


def test_by_age_with_a_minimum() -> None:
    assert staying(held(1, 2, 29, 31, 40), Keep(30, 1)) == [1, 2, 29]
    assert staying(held(31, 40, 50), Keep(30, 2)) == [31, 40]


def test_weekly_and_monthly() -> None:
    days = held(*range(0, 100, 1))
    assert staying(days, Keep(3, 1, weekly=3)) == [0, 1, 2, 9]  # 2026-11-24 is a Tuesday: the last of each week
    assert staying(days, Keep(0, 1, monthly=3)) == [0, 24, 55]


def test_the_last_that_was_proven_stays() -> None:
    sets = held(1, 2, 3, 50, 60)
    proven = {sets[3].id, sets[4].id, "20200101T000000Z-gone"}
    assert staying(sets, Keep(2, 1), proven) == [1, 50]


def test_incomplete_sets_go_after_a_day() -> None:
    begun = [Found(set_id("a", NOW - 7200), False, NOW - 60), Found(set_id("b", NOW - 2 * DAY), False, NOW - 1.5 * DAY)]
    assert staying(begun, Keep(0, 1)) == [0]


SETS = st.lists(
    st.tuples(st.integers(-5, 500), st.booleans()).map(
        lambda item: Found(set_id("x", NOW - item[0] * DAY), item[1], NOW - item[0] * DAY)
    ),
    unique_by=lambda item: item.id,
)
KEEPS = st.builds(Keep, st.integers(0, 400).map(float), st.integers(1, 20), st.integers(0, 10), st.integers(0, 10))


@given(SETS, KEEPS, st.data())
@settings(deadline=None)
def test_nothing_that_is_needed_goes(sets: list[Found], keep: Keep, data: st.DataObject) -> None:
    complete = sorted((item.id for item in sets if item.complete), reverse=True)
    proven = set(data.draw(st.lists(st.sampled_from(complete)))) if complete else set()
    stays = {item.id for item in decide(sets, keep, NOW, proven) if item.stays}
    assert set(complete[: keep.minimum]) <= stays
    assert not proven or max(proven) in stays
    # What has been pruned once is not pruned further.
    left = [item for item in sets if item.id in stays]
    assert {item.id for item in decide(left, keep, NOW, proven) if item.stays} == stays
