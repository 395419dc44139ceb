# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""B-1: a truth table of what can lie at the targets, and what the host program says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import backups, check
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import PROBES
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Backups,
    HeldSet,
    Thresholds,
    Unseen,
)
from tests.unit._readiness.good import SAVED, good

TARGET = SAVED.targets[0]
SAID: dict[str, Any] = {
    "max_age_hours": 26,
    "keep_days": 30,
    "keep_minimum": 7,
    "targets": [
        {
            "name": "s3://b/db1",
            "off_host": True,
            "problem": "",
            "sets": [{"id": "20261124T010000Z-a", "complete": True, "age_seconds": 7200.0, "verified": False}],
            "newest": {"id": "20261124T010000Z-a", "age_seconds": 7200.0, "encrypted": True, "databases": ["shop"]},
        }
    ],
}


def findings(saved: Backups) -> dict[str, Finding]:
    found = check.judged(replace(good(), backups=saved), Thresholds(), check.select(["B-1"], []))
    return {item.subject.partition(", ")[0]: item for item in found}


def with_target(**changes: Any) -> Backups:
    return replace(SAVED, targets=(replace(TARGET, **changes),))


def test_a_good_target_passes() -> None:
    assert {item.status for item in findings(SAVED).values()} == {Status.PASS}


@pytest.mark.parametrize(
    ("verified", "says"),
    [
        ((), "by no drill since then"),
        (("b",), "since then by a drill"),
        (("a",), "by a drill those of a"),
        (("c",), "by no drill since then"),  # it is not complete
    ],
)
def test_whether_its_checksums_were_read(verified: tuple[str, ...], says: str) -> None:
    held = tuple(HeldSet(name, name != "c", 24.0, name in verified) for name in ("b", "a", "c"))
    assert says in findings(with_target(sets=held))["complete set"].evidence


DEFECTS = [
    (Backups(0, 0, 0, ()), "complete set", "no backup of this collection"),
    (with_target(newest_hours=26.1), "complete set", "26.1 h old"),
    (with_target(newest_hours=-1.0), "complete set", "-1.0 h old"),
    (with_target(newest_hours=None), "complete set", "there is no complete set"),
    (with_target(newest_hours=None, problem="AccessDenied"), "complete set", "AccessDenied"),
    (with_target(problem="object a has 1 bytes of 2"), "complete set", "1 bytes of 2"),
    (with_target(off_host=False), "off the host", "only on this host"),
    (with_target(encrypted=False), "encryption of backups", "s3://backups/db1"),
    (with_target(sets=(HeldSet("a", True, 24 * 9.0),)), "number and window", "1 complete"),
    (with_target(sets=(*TARGET.sets, HeldSet("b", False, 49.0))), "number and window", "incomplete for days: b"),
]


@pytest.mark.parametrize(("saved", "subject", "says"), DEFECTS)
def test_each_defect_is_found(saved: Backups, subject: str, says: str) -> None:
    found = findings(saved)[subject]
    assert found.status is Status.FAIL
    assert says in found.evidence


def test_every_probe_can_fail() -> None:
    assert {item.subject for item in PROBES if item.control == "B-1"} == {subject for _s, subject, _t in DEFECTS}


def test_a_new_host_needs_no_more_sets_than_it_has_days() -> None:
    young = with_target(sets=(HeldSet("a", True, 3.0),))
    assert findings(young)["number and window"].status is Status.PASS


def test_what_the_host_program_says() -> None:
    [target] = backups.backups_from(SAID).targets
    assert (target.newest_hours, target.encrypted, target.databases) == (2.0, True, ("shop",))
    empty = {**SAID, "targets": [{**SAID["targets"][0], "newest": None, "sets": []}]}
    assert backups.backups_from(empty).targets[0].newest_hours is None


def test_a_program_that_is_not_there_or_says_nothing_is_an_error(tmp_path: Path) -> None:
    config = tmp_path / "backup.json"
    assert backups.observe("/nonexistent", str(config)) == Backups(0, 0, 0, ())
    config.write_text("{}")
    for program in ("/nonexistent", "/bin/true"):
        seen = backups.observe(program, str(config))
        assert isinstance(seen, Unseen)
        assert seen.status in (Status.ERROR, Status.NOT_TESTED)  # not as root: not tested
