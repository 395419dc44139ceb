# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module readiness_report: what it writes, for whom, and when it writes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.modules import readiness_report

NAMES = ("readiness.html", "readiness.json", "readiness.xml", "readiness.md")


def run(capsys: pytest.CaptureFixture[str], directory: Path, **options: Any) -> dict[str, Any]:
    found = Finding("S-4", "ssl", Severity.CRITICAL, Status.FAIL, "ssl = off", "Set ssl = on.")
    arguments = {
        "results": {"db1": {"findings": [found.as_dict()]}, "db2": {"unreachable": True, "msg": "No route to host"}},
        "directory": str(directory),
        "generated": "2027-01-31 12:00 UTC",
        **options,
    }
    with patch_module_args(arguments), pytest.raises(SystemExit):
        readiness_report.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_all_files_are_written_for_their_owner_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = run(capsys, tmp_path / "report")
    assert result["changed"]
    for name in NAMES:
        assert (tmp_path / "report" / name).stat().st_mode & 0o777 == 0o600
    assert "No route to host" in (tmp_path / "report" / "readiness.html").read_text()
    assert result["files"]["html"] == str(tmp_path / "report" / "readiness.html")


def test_the_same_results_change_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(capsys, tmp_path)
    assert not run(capsys, tmp_path)["changed"]
    assert run(capsys, tmp_path, generated="2027-02-01 12:00 UTC")["changed"]


def test_check_mode_writes_nothing_and_tells_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    foretold = run(capsys, tmp_path, _ansible_check_mode=True)
    assert list(tmp_path.iterdir()) == []
    assert run(capsys, tmp_path) == foretold


def test_it_names_what_fails_the_estate(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = run(capsys, tmp_path)
    assert result["failures"] == (
        "2 critical finding(s) failed or could not be looked at: S-4 on db1, db2. Nothing was changed."
    )
    assert not result["passed"]
    assert run(capsys, tmp_path, fail_on="never")["failures"] == ""


def test_formats_can_be_chosen(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(capsys, tmp_path, formats=["junit"])
    assert [path.name for path in tmp_path.iterdir()] == ["readiness.xml"]


def test_a_directory_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(capsys, tmp_path / "file" / "report")
    assert result["failed"]
    assert str(tmp_path / "file" / "report") in result["msg"]
