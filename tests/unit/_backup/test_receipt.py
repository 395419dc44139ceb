# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receipts: no verdict is better than the worst step, and what is written is read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._backup import receipt as r
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_receipts import read, save
from ansible_collections.dbops.postgres.plugins.module_utils._backup.receipt import DrillStep, Receipt, RestoredDatabase

GOOD = Receipt(
    id="20261124T031500Z-0123456789ab",
    host="drill1",
    set="20261124T010000Z-nightly",
    target="s3",
    set_time=1_800_000_000.0,
    started=1_800_008_100.0,
    seconds=190.0,
    rto_seconds=120.0,
    rpo_seconds=8100.0,
    rto_target_seconds=3600.0,
    every_days=8.0,
    server_version="17.6",
    level="hashes",
    steps=tuple(DrillStep(name, r.PASSED, 1.0, "fine") for name in r.STEPS),
    databases=(RestoredDatabase("payments_db", 12, 3456, 60.0),),
)


def with_step(name: str, status: str, *problems: str) -> Receipt:
    steps = tuple(replace(s, status=status, problems=problems) if s.name == name else s for s in GOOD.steps)
    return replace(GOOD, steps=steps)


def test_a_drill_passes_only_with_every_step() -> None:
    assert GOOD.passed
    assert "restored and proven, 1 database(s), 3456 rows, restored in 2 min, 2 h 15 min old" in GOOD.summary
    for name in r.STEPS:
        assert with_step(name, r.FAILED, "x").verdict == r.FAILED
        assert with_step(name, r.ERROR, "x").verdict == r.ERROR
        assert with_step(name, r.NOT_REACHED).verdict == r.ERROR
        assert not replace(GOOD, steps=tuple(step for step in GOOD.steps if step.name != name)).passed
    assert not replace(GOOD, steps=()).passed


def test_an_error_hides_what_failed_besides() -> None:
    both = replace(with_step("restore", r.ERROR, "a"), steps=with_step("restore", r.ERROR, "a").steps)
    steps = tuple(replace(s, status=r.FAILED, problems=("b",)) if s.name == "freshness" else s for s in both.steps)
    assert replace(both, steps=steps).verdict == r.ERROR
    assert replace(both, steps=steps).summary.endswith("error: b (and 1 more)")


@given(
    st.lists(
        st.builds(
            DrillStep,
            st.sampled_from(r.STEPS),
            st.sampled_from([r.PASSED, r.FAILED, r.ERROR]),
            st.floats(0, 1e6),
            st.text(),
            st.lists(st.text()).map(tuple),
            st.text(),
        ),
        unique_by=lambda step: step.name,
    )
)
def test_what_is_written_is_read_back(steps: list[DrillStep]) -> None:
    receipt = replace(GOOD, steps=r.filled(steps))
    assert [step.name for step in receipt.steps] == list(r.STEPS)
    assert r.from_dict(json.loads(r.to_json(receipt))) == receipt
    assert receipt.passed == (len(steps) == len(r.STEPS) and all(step.status == r.PASSED for step in steps))
    assert r.to_markdown(receipt, "now").count("\n| restore |") == 1


@pytest.mark.parametrize("data", [{}, {"schema_version": 2}, {"schema_version": 1, "steps": [], "databases": []}])
def test_what_is_no_receipt_is_refused(data: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        r.from_dict(data)


def test_names_from_the_database_are_no_markup() -> None:
    text = r.to_markdown(with_step("contents", r.FAILED, 'table public."a|b\n# <b>": 1 row is missing'), "now")
    assert r'public."a\|b \# \<b\>"' in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min"), (185, "3 min 5 s"), (7800, "2 h 10 min"), (273600, "3 d 4 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert r.duration(seconds) == text


def test_the_time_over_the_target_is_said() -> None:
    assert "within the target of 1 h" in r.to_markdown(GOOD, "now")
    assert "**over** the target" in r.to_markdown(replace(GOOD, rto_seconds=3601.0), "now")
    assert "never restored" in r.to_markdown(replace(GOOD, rto_seconds=0.0), "now")


def test_the_oldest_receipts_go() -> None:
    assert r.expired(["3", "1", "2"], 2) == ["1"]
    assert r.expired(["3", "1"], 2) == []


def test_receipts_on_a_host(tmp_path: Path) -> None:
    directory = tmp_path / "drills"
    for number in range(4):
        save(replace(GOOD, id=f"2026010{number + 1}T000000Z-a"), str(directory), keep=3)
    assert sorted(path.name for path in directory.iterdir()) == [
        f"2026010{day}T000000Z-a.{suffix}" for day in (2, 3, 4) for suffix in ("json", "md")
    ]
    (directory / "20260109T000000Z-a.json").write_text("{}")
    assert [receipt.id[:8] for receipt in read(str(directory))] == ["20260102", "20260103", "20260104"]
    assert (directory / "20260104T000000Z-a.json").stat().st_mode & 0o777 == 0o640
