# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module that checks a database ends."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils import _checked
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Control, Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

CONTROLS = (
    Control("P-2", "JSONB search index", Severity.MEDIUM),
    Control("P-4", "Index review", Severity.HIGH),
    Control("P-5", "Query-plan evidence", Severity.HIGH),
)


class EndedError(Exception):
    """The module has ended."""


class Module:
    """An AnsibleModule, as far as it is used."""

    def __init__(self, *, check: bool = False, **params: Any) -> None:
        self.params = {"junit": None, "evidence": False, "fail_on": "high", **params}
        self.check_mode = check
        self.result: dict[str, Any] = {}

    def exit_json(self, **result: Any) -> None:
        self.result = result
        raise EndedError

    def fail_json(self, **result: Any) -> None:
        self.result = {"failed": True, **result}
        raise EndedError

    @staticmethod
    def atomic_move(source: str, target: str) -> None:
        shutil.move(source, target)


def finding(control: str, status: Status, severity: Severity = Severity.HIGH) -> Finding:
    return Finding(control, "t", severity, status, "seen", title="rule")


def finished(module: Module, *findings: Finding, **more: Any) -> dict[str, Any]:
    with pytest.raises(EndedError):
        _checked.finish(module, "pg_index_check", "shop", CONTROLS, findings, **more)
    return module.result


def test_a_failure_of_the_severity_fails_the_task() -> None:
    result = finished(Module(), finding("P-4", Status.PASS), finding("P-4", Status.FAIL), plans={"a": 1})
    assert result["failed"]
    assert "First of them: t: seen" in result["msg"]
    assert (result["changed"], result["passed"], result["plans"]) == (False, False, {"a": 1})
    assert [item["status"] for item in result["findings"]] == ["fail", "pass"]
    assert "failed" not in finished(Module(), finding("P-4", Status.FAIL, Severity.MEDIUM))
    assert "failed" not in finished(Module(fail_on="never"), finding("P-4", Status.FAIL))
    assert finished(Module(), finding("P-4", Status.ERROR))["failed"]


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "junit.xml"
    assert finished(Module(junit=str(path), check=True), finding("P-4", Status.PASS))["changed"]
    assert not path.exists()
    assert finished(Module(junit=str(path)), finding("P-4", Status.PASS))["changed"]
    assert '<testsuites name="pg_index_check">' in path.read_text()
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = finished(Module(junit=str(blocked / "junit.xml")), finding("P-4", Status.PASS))
    assert "cannot be written" in result["msg"]


def test_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    records: list[tuple[Any, ...]] = []
    monkeypatch.setattr(_checked, "record_check", lambda *record: records.append(record))
    findings = (finding("P-2", Status.NOT_APPLICABLE), finding("P-4", Status.FAIL), finding("P-5", Status.NOT_TESTED))
    finished(Module(evidence=True, check=True), *findings)
    finished(Module(), *findings)
    assert records == []
    assert finished(Module(evidence=True), *findings)["changed"]
    ((check, database, passed, summary, facts, statuses),) = records
    assert (check, database, passed) == ("pg_index_check", "shop", False)
    assert summary == "1 fail, 1 not tested, 1 not applicable"
    assert facts["failed"] == ["rule: t"]
    # Nothing of P-5 was looked at: that is no proof that it holds.
    assert statuses == {"P-2": ["not_applicable"], "P-4": ["fail"], "P-5": ["not_tested"]}


def test_a_check_with_words_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    records: list[tuple[Any, ...]] = []
    monkeypatch.setattr(_checked, "record_check", lambda *record: records.append(record))
    words = {"said": "3 objects are as expected", "failure": "1 object differs", "facts": {"objects": 3}}
    assert finished(Module(evidence=True), finding("P-4", Status.PASS), **words)["msg"] == "3 objects are as expected"
    assert finished(Module(), finding("P-4", Status.FAIL), **words)["msg"] == "1 object differs"
    assert (records[0][3], records[0][4]["objects"]) == ("3 objects are as expected", 3)


def test_what_could_not_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    records: list[Any] = []
    monkeypatch.setattr(_checked, "record_check", lambda *record, statuses: records.append((*record, statuses)))
    for module, count in ((Module(check=True, evidence=True), 0), (Module(), 0), (Module(evidence=True), 1)):
        with pytest.raises(EndedError):
            _checked.unseen(module, "pg_index_check", "shop", ["P-2"], DbopsError("Nobody answers"))
        assert module.result["failed"]
        assert "shop could not be looked at. Nobody answers" in module.result["msg"]
        assert len(records) == count
    assert records[0][2:] == (
        False,
        "It could not be looked at: Nobody answers. Nothing was changed.",
        {"P-2": ["error"]},
    )
