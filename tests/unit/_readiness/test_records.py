# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of checks: what was written is read again, and a bad, an old or an unreadable one does not pass."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils import _checked
from ansible_collections.dbops.postgres.plugins.module_utils._evidence import record_check
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import check, records
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import CheckRecord, Records, Thresholds
from tests.unit._readiness.good import recorded

GOOD = CheckRecord("pg_rls_check", "aria_db", True, 1.0, "240 cells, as declared")


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record_check("pg_rls_check", "../aria db", True, "good", {"score": 1.0}, directory=str(tmp_path))
    record_check("pg_rls_check", "aria_db", False, "bad", statuses={"T-1": ["fail"]}, directory=str(tmp_path))
    (tmp_path / "checks" / "pg_rls_check--broken.json").write_text("{")
    seen = records.observe(time.time() + 86400, str(tmp_path))
    assert isinstance(seen, Records)
    assert [(item.database, item.passed, round(item.days, 2)) for item in seen.held] == [
        ("../aria db", True, 1.0),
        ("aria_db", False, 1.0),
    ]
    assert seen.unreadable == (str(tmp_path / "checks" / "pg_rls_check--broken.json"),)
    assert {path.parent for path in tmp_path.rglob("*.json")} == {tmp_path / "checks"}


def test_a_host_without_records(tmp_path: Path) -> None:
    assert records.observe(0, str(tmp_path)) == Records()


@pytest.mark.parametrize(
    ("held", "unreadable", "wanted"),
    [
        ((GOOD,), (), [Status.PASS]),
        ((), (), [Status.NOT_TESTED]),
        ((CheckRecord("pg_plan_check", "aria_db", True, 1.0, ""),), (), [Status.NOT_TESTED]),
        ((CheckRecord("pg_rls_check", "aria_db", False, 1.0, "2 rows of others seen"),), (), [Status.FAIL]),
        ((CheckRecord("pg_rls_check", "aria_db", True, 36.0, "old"),), (), [Status.FAIL]),
        ((CheckRecord("pg_rls_check", "aria_db", True, -1.0, "of tomorrow"),), (), [Status.FAIL]),
        ((GOOD, CheckRecord("pg_rls_check", "b", False, 1.0, "")), (), [Status.PASS, Status.FAIL]),
        ((GOOD,), ("/x/checks/pg_rls_check--b.json",), [Status.FAIL, Status.PASS]),
        ((), ("/x/checks/pg_migrate--b.json",), [Status.NOT_TESTED]),
    ],
)
def test_what_a_control_needs(held: tuple[CheckRecord, ...], unreadable: tuple[str, ...], wanted: list[Status]) -> None:
    found = check.judged(recorded(*held, unreadable=unreadable), Thresholds(), check.select(["T-1"], []))
    assert [finding.status for finding in found] == wanted


@pytest.mark.parametrize(
    ("statuses", "wanted"),
    [
        ((Status.PASS,), [Status.PASS]),
        ((Status.WAIVED, Status.NOT_APPLICABLE), [Status.PASS]),
        ((Status.PASS, Status.NOT_TESTED), [Status.PASS, Status.NOT_TESTED]),
        ((Status.NOT_TESTED, Status.NOT_APPLICABLE), [Status.NOT_TESTED]),
        ((Status.NOT_APPLICABLE,), [Status.NOT_APPLICABLE]),
        ((Status.PASS, Status.ERROR), [Status.ERROR]),
        ((Status.ERROR, Status.FAIL, Status.PASS), [Status.FAIL]),
    ],
)
def test_what_a_check_could_not_try_is_told_apart(statuses: tuple[Status, ...], wanted: list[Status]) -> None:
    seen = recorded(CheckRecord("pg_rls_check", "aria_db", True, 1.0, "", {"T-1": statuses}))
    found = check.judged(seen, Thresholds(), check.select(["T-1"], []))
    assert [item.status for item in found] == wanted


def test_a_schema_that_could_not_be_looked_at_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checked, "record_check", partial(record_check, directory=str(tmp_path)))
    _checked.record_unseen("pg_schema_drift_check", "aria_db", ["E-2"], DbopsError("No snapshot"))
    seen = records.observe(time.time(), str(tmp_path))
    assert isinstance(seen, Records)
    found = check.judged(recorded(*seen.held), Thresholds(), check.select(["E-2"], []))
    assert [(item.status, "No snapshot" in item.evidence) for item in found] == [(Status.ERROR, True)]


def test_one_check_that_proves_two_controls() -> None:
    statuses = {"P-4": (Status.FAIL,), "P-2": (Status.PASS,)}
    seen = recorded(CheckRecord("pg_index_check", "aria_db", False, 1.0, "", statuses))
    found = check.judged(seen, Thresholds(), check.select(["P-2", "P-4"], []))
    assert [(item.control, item.status) for item in found] == [("P-2", Status.PASS), ("P-4", Status.FAIL)]


def test_a_migration_does_not_grow_old() -> None:
    seen = recorded(CheckRecord("pg_migrate", "aria_db", True, 400.0, "12 applied"))
    found = check.judged(seen, Thresholds(), check.select(["E-3"], []))
    assert [item.status for item in found] == [Status.PASS]
