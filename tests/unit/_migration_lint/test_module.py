# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module: its reports, what it refuses, when it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint import check, grammar
from ansible_collections.dbops.postgres.plugins.modules import migration_lint_check

BAD = "CREATE TABLE t (id int);\n", "-- two\nTRUNCATE t;\n", "SELECT 1;\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "db migrations"
    made.mkdir()
    for number, text in enumerate(BAD, 1):
        (made / f"{number}.sql").write_text(text)
    return made


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        migration_lint_check.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_it_fails_and_says_why(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, path=str(folder))
    assert result["failed"] is True
    assert result["passed"] is False
    assert result["changed"] is False
    assert result["summary"]["fail"] == 1
    assert result["summary"]["pass"] == 2
    assert f"{folder}/2.sql" in result["msg"]
    assert "✗ line 2  critical  truncate t" in result["msg"]
    assert "3 migration(s) looked at: 1 critical." in result["msg"]
    finding = result["findings"][0]
    assert (finding["file"], finding["line"], finding["rule"]) == (f"{folder}/2.sql", 2, "truncate")
    assert (finding["class"], finding["seen_by"]) == ("forbidden", ["dbops"])


@pytest.mark.parametrize(("fail_on", "failed"), [("never", False), ("critical", True), ("medium", True)])
def test_fail_on(folder: Path, capsys: pytest.CaptureFixture[str], fail_on: str, failed: bool) -> None:
    result = run(capsys, path=str(folder), fail_on=fail_on)
    assert result.get("failed", False) is failed
    assert result["passed"] is False


def test_only_and_history(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    result = run(capsys, path=folder.name, only=["README.md", f"{folder.name}/3.sql"])
    assert result["judged"] == [f"{folder.name}/3.sql"]
    assert result["passed"] is True
    result = run(capsys, path=folder.name, only=["README.md"])
    assert result["msg"] == "None of the files is a migration."
    assert result["summary"]["not_applicable"] == 1
    rows = [{"id": str(number), "applied_at": "2026-01-01T00:00:00Z"} for number in (1, 2, 3)]
    result = run(capsys, path=folder.name, history=rows)
    assert result["msg"] == "Every migration is applied already."
    result = run(capsys, path=folder.name, history=[{**rows[0], "checksum": "0" * 64}, *rows[1:]])
    assert [finding["rule"] for finding in result["findings"]] == ["changed-after-applied"]


def test_reports(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    approved = "-- dbops: approve truncate by Ann because <it is> a cache until 2999-01-01\nTRUNCATE é;\n"
    (folder / "4.sql").write_text(approved, encoding="utf-8")
    files = {name: str(tmp_path / "reports" / f"lint.{name}") for name in ("junit", "sarif", "json")}
    assert run(capsys, path=str(folder), **files)["changed"] is True

    suite = ElementTree.parse(files["junit"]).getroot()[0]  # noqa: S314 - written by ourselves
    assert {key: suite.get(key) for key in ("tests", "failures", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "skipped": "1",
    }

    sarif = json.loads(Path(files["sarif"]).read_text(encoding="utf-8"))
    results = sarif["runs"][0]["results"]
    assert [r["ruleId"] for r in results] == ["truncate", "truncate"]
    place = results[0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("/db%20migrations/2.sql")
    assert place["region"]["startLine"] == 2
    assert place["region"]["snippet"]["text"] == "TRUNCATE t"
    assert results[0]["level"] == "error"
    assert "Safe way" in results[0]["message"]["text"]
    assert "suppressions" not in results[0]
    assert results[1]["suppressions"] == [
        {"kind": "external", "justification": "approved by Ann: <it is> a cache (until 2999-01-01)"}
    ]
    assert results[0]["partialFingerprints"] != results[1]["partialFingerprints"]
    assert [rule["id"] for rule in sarif["runs"][0]["tool"]["driver"]["rules"]] == ["truncate"]

    data = json.loads(Path(files["json"]).read_text(encoding="utf-8"))
    assert data["passed"] is False
    assert [f["status"] for f in data["findings"]].count("pass") == 2


def test_check_mode_writes_nothing(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, path=str(folder), sarif=str(tmp_path / "x"), _ansible_check_mode=True)
    assert result["changed"] is True
    assert not (tmp_path / "x").exists()


def test_approvals_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = "- {rule: truncate, file: 2.sql, by: Ann, because: cache, until: 2999-01-01}\n"
    approvals = tmp_path / "approvals.yml"
    approvals.write_text(entry)
    result = run(capsys, path=str(folder), approvals_file=str(approvals))
    assert result["passed"] is True
    assert result["findings"][0]["waiver"] == "approved by Ann: cache"
    assert "approved by Ann: cache (until 2999-01-01)" in "\n".join(result["report"])
    for text, said in (
        (entry.replace("2.sql", "9.sql"), "names 9.sql, which is no migration"),
        ("- [", "is not YAML"),
        ("- {rule: truncate}", "lacks file"),
    ):
        approvals.write_text(text)
        assert said in run(capsys, path=str(folder), approvals_file=str(approvals))["msg"]
    assert "Cannot read approvals_file" in run(capsys, path=str(folder), approvals_file="/nonexistent")["msg"]


def test_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not a folder" in run(capsys, path=str(tmp_path / "x"))["msg"]
    row = {"id": "1", "applied_at": "yesterday"}
    assert "applied_at of 1 is not a time" in run(capsys, path=str(folder), history=[row])["msg"]
    assert "Cannot write" in run(capsys, path=str(folder), sarif="/proc/x/y")["msg"]


def test_command_is_not_tested_and_never_a_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, path=str(tmp_path), layout="command")
    assert result["passed"] is False
    assert result["summary"]["not_tested"] == 1


def test_missing_library(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "find_squawk", lambda: "")
    assert "squawk-cli" in run(capsys, path=str(folder))["msg"]
    assert run(capsys, path=str(folder), squawk=False)["summary"]["fail"] == 1
    monkeypatch.setattr(grammar, "PROBLEM", "No module named 'pglast'")
    assert "pglast" in run(capsys, path=str(folder), squawk=False)["msg"]
