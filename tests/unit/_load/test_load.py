# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A load test: what is refused, what its logs say, and when it passes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._load.judge import (
    judge,
    percentile,
    read_log,
    read_words,
)
from ansible_collections.dbops.postgres.plugins.module_utils._load.picture import nice, svg
from ansible_collections.dbops.postgres.plugins.module_utils._load.spec import (
    PRODUCTION_WORDS,
    Criteria,
    LoadSpec,
    arguments,
    parse,
    refuse_production,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

PARAMS: dict[str, Any] = {
    "host": "db1",
    "port": 6432,
    "database": "payments_db",
    "user": "app",
    "ssl_mode": "verify-full",
    "ca_cert": None,
    "clients": 10,
    "jobs": 4,
    "seconds": 3,
    "rate": 0.0,
    "scripts": [{"text": "SELECT 1;", "weight": 3}],
    "max_p95_ms": 100.0,
    "min_requests_per_second": 1.0,
    "allow_production": None,
}


def make(**changes: Any) -> LoadSpec:
    return parse({**PARAMS, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clients": 0}, "clients is 0"),
        ({"clients": 10_001}, "clients is 10001"),
        ({"seconds": 3601}, "seconds is 3601"),
        ({"rate": -1.0}, "rate is -1"),
        ({"port": 0}, "port is 0"),
        ({"scripts": []}, "scripts is empty"),
        ({"scripts": [{"text": " ", "weight": 1}]}, "A script is empty"),
        ({"scripts": [{"text": "SELECT 1;\n\\shell rm -rf x", "weight": 1}]}, "shell"),
        ({"scripts": [{"text": "SELECT 1;", "weight": 0}]}, "weight is 0"),
    ],
)
def test_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DbopsError, match=message):
        make(**changes)


@pytest.mark.parametrize(
    ("cluster_name", "words", "allowed"),
    [
        ("17/main@prod", "", False),
        ("17/main@PRODUCTION", "", False),
        ("17/main@prod", "yes", False),
        ("17/main@prod", PRODUCTION_WORDS, True),
        ("17/main@stage", "", True),
        ("17/main", "", True),
        ("", "", True),
    ],
)
def test_production_needs_words(cluster_name: str, words: str, allowed: bool) -> None:
    spec = make(allow_production=words)
    if allowed:
        refuse_production(spec, cluster_name)
    else:
        with pytest.raises(DbopsError, match="says that it is"):
            refuse_production(spec, cluster_name)


def test_arguments_hold_no_password() -> None:
    words = arguments(make(rate=50.0, jobs=40), ("/x/s0",), "/x/log")
    assert "--rate=50" in words
    assert "--jobs=10" in words  # not more than clients
    assert "--file=/x/s0@3" in words
    assert words[-1] == "payments_db"


def test_the_log() -> None:
    lines = ["0 1 2500 0 1700000000 500000", "1 1 failed 0 1700000000 600000", "1 2 skipped 0 1700000000 600000", "x"]
    assert read_log(lines) == [(1700000000.5, 2.5)]


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("number of failed transactions: 0 (0.000%)", 0),
        ("number of failed transactions: 7 (1.000%)", 7),
        ("pgbench: error: client 3 aborted in command 1\npgbench: error: Run was aborted; the above results", 1),
        ("", 0),
    ],
)
def test_errors(text: str, errors: int) -> None:
    assert read_words(text) == errors


RUN = [(100.0 + number / 10, 10.0 + number) for number in range(30)]


@pytest.mark.parametrize(
    ("errors", "criteria", "problems"),
    [
        (0, Criteria(0, 0), []),
        (0, Criteria(100, 10), []),
        (1, Criteria(0, 0), ["1 error(s), 0 allowed"]),
        (0, Criteria(20, 0), ["p95 is 38.0 ms, 20 ms allowed"]),
        (0, Criteria(0, 11), ["10 transactions a second, 11 wanted"]),
    ],
)
def test_criteria(errors: int, criteria: Criteria, problems: list[str]) -> None:
    result = judge(RUN, errors, 3, criteria)
    assert list(result.problems) == problems
    assert result.passed is not bool(problems)


def test_nothing_done_is_no_success() -> None:
    assert not judge([], 0, 3, Criteria(0, 0)).passed


def test_a_second_without_a_transaction_is_seen() -> None:
    result = judge([(100.1, 100.0), (102.5, 100.0)], 0, 3, Criteria(0, 0))
    assert [row.transactions for row in result.seconds] == [1, 0, 1]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(0.01, 1))
def test_a_percentile_is_the_nearest_rank(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found in ordered
    assert sum(value <= found for value in ordered) >= share * len(ordered) - 1e-6


@given(st.floats(1e-6, 1e9))
def test_a_nice_number_is_not_smaller(value: float) -> None:
    assert value * (1 - 1e-6) <= nice(value) <= value * 5.1


@pytest.mark.parametrize("run", [RUN, RUN[:1], []])
def test_the_picture_is_well_formed_and_quotes_what_it_shows(run: list[tuple[float, float]]) -> None:
    record = judge(run, 0, 3, Criteria(50, 5)).as_dict(make(database="a<b>&c"), "2026-01-01T00:00:00+00:00")
    root = ET.fromstring(svg(record))  # noqa: S314 # our own
    assert root.tag.endswith("svg")
    assert "a<b>&c" in root.attrib["aria-label"]
