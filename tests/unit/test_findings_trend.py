# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a trend: every point is a bar inside the picture, and no text of it is markup."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Trend, TrendPoint
from ansible_collections.dbops.postgres.plugins.module_utils._findings_trend import picture

# Control characters are no part of any XML document.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)
POINT = st.builds(TrendPoint, TEXT, st.floats(0, 1e8), st.booleans(), TEXT)
GOOD = Trend("Drills", (TrendPoint("2026-11-24 03:15 UTC", 60.0, True, "restored"),))


def drawn(trend: Trend) -> ET.Element:
    return ET.fromstring(picture(trend))  # noqa: S314 # our own


@given(st.lists(POINT, min_size=1, max_size=80).map(tuple), st.floats(0, 1e9))
def test_every_point_is_a_bar_inside_the_picture(points: tuple[TrendPoint, ...], limit: float) -> None:
    page = drawn(Trend("<b>&", points, limit, "limit"))
    columns = page.findall(".//rect")
    assert len(columns) == min(len(points), 60)
    assert [column.get("class") for column in columns] == ["pass" if point.good else "fail" for point in points[-60:]]
    for column in columns:
        x, y, width, height = (float(column.get(key, "nan")) for key in ("x", "y", "width", "height"))
        assert 0 <= x <= 1000 - width
        assert height >= 3
        assert 0 <= y <= 190 - height
    assert len(page.findall(".//text[@class='sign']")) == sum(not point.good for point in points[-60:])


@pytest.mark.parametrize(
    ("limit", "line", "words"), [(0, False, False), (90, True, False), (180, True, False), (181, False, True)]
)
def test_a_limit_near_the_bars_is_a_line_and_one_far_above_is_words(limit: float, line: bool, words: bool) -> None:
    page = drawn(replace(GOOD, limit_seconds=limit, limit_label="target 3 min"))
    assert (page.find(".//line[@class='limit']") is not None) == line
    assert (
        "target 3 min, far above" in picture(replace(GOOD, limit_seconds=limit, limit_label="target 3 min"))
    ) == words


def test_no_points_no_picture() -> None:
    assert picture(replace(GOOD, points=())) == ""


def test_it_travels_as_data() -> None:
    assert Trend.from_dict(GOOD.as_dict()) == GOOD
