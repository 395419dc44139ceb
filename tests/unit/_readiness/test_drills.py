# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receipts as the readiness report reads them: what cannot be read is said, and every drill is in the picture."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

from ansible_collections.dbops.postgres.plugins.module_utils._backup.receipt import to_json
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status, Trend
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import check, drills
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.estate import joined
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Drills, Thresholds
from tests.unit._backup.test_receipt import GOOD
from tests.unit._readiness.good import DRILL, drilled, good

NOW = datetime.datetime.fromtimestamp(GOOD.started + 86400, datetime.UTC)


def test_receipts_are_read_in_their_order(tmp_path: Path) -> None:
    (tmp_path / f"{GOOD.id}.json").write_text(to_json(GOOD))
    earlier = replace(GOOD, id="20260101T000000Z-a", started=GOOD.started - 86400, steps=())
    (tmp_path / f"{earlier.id}.json").write_text(to_json(earlier))
    (tmp_path / "20260101T000000Z-b.json").write_text('{"passed": true}')
    seen = drills.observe(NOW, str(tmp_path))
    assert isinstance(seen, Drills)
    assert [(drill.age_days, drill.passed) for drill in seen.held] == [(2.0, False), (1.0, True)]
    assert seen.unreadable == (str(tmp_path / "20260101T000000Z-b.json"),)


def test_a_host_without_drills(tmp_path: Path) -> None:
    assert drills.observe(NOW, str(tmp_path / "none")) == Drills()
    assert drills.trend(Drills()) is None


def test_no_declared_target_is_no_failure() -> None:
    found = check.judged(drilled(replace(DRILL, rto_target_seconds=0.0)), Thresholds(), check.select(["B-2"], []))
    assert [finding.status for finding in found] == [Status.PASS, Status.NOT_APPLICABLE]


def test_the_trend_of_each_host_is_in_the_report() -> None:
    trend = drills.trend(Drills((replace(DRILL, passed=False), DRILL)))
    assert trend is not None
    assert [point.good for point in trend.points] == [False, True]
    findings = [finding.as_dict() for finding in check.judged(good(), Thresholds(), check.select(["B-2"], []))]
    results = {
        "db1": {"findings": findings, "trends": [trend.as_dict()]},
        "db2": {"findings": findings, "trends": [{"title": "broken"}]},
    }
    report = joined(results, "title", "now", "high")
    assert report.trends == (Trend("db1: Restore drills: time until restored", trend.points, 3600.0, "target 60 min"),)
