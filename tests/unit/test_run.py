# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner counts what ran, and cannot be green by accident."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests import run
from tests.run import Tally, check, honest, junit, molecule_steps, one

MOLECULE = """
INFO     [server > create] Executed: Successful
molecule prints every state twice

DETAILS
server > destroy: Executed: Successful
server > create: Executed: Successful
server > prepare: Executed: Missing playbook (Remove from test_sequence to suppress)
server > converge: Executed: Failed (Ansible return code was 2)

SCENARIO RECAP
server : actions=4  successful=2
"""


def test_a_command_is_one_test() -> None:
    assert one(0, "") == Tally(passed=1)
    assert one(2, "") == Tally(failed=1)


@pytest.mark.parametrize(
    ("status", "counted", "said"),
    [
        (0, Tally(passed=3), Tally(passed=3)),
        (1, Tally(passed=3), Tally(passed=3, failed=1)),  # it crashed after its last test
        (1, Tally(passed=3, failed=2), Tally(passed=3, failed=2)),
        (0, Tally(), Tally(failed=1)),  # nothing ran
        (0, Tally(skipped=2), Tally(failed=1, skipped=2)),
    ],
)
def test_a_failure_without_a_failed_case_is_a_failure(status: int, counted: Tally, said: Tally) -> None:
    assert honest(status, counted) == said


def test_cases_of_junit_files(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        "<testsuites><testsuite><testcase/><testcase/><testcase><failure/></testcase>"
        "<testcase><error/></testcase><testcase><skipped/></testcase></testsuite></testsuites>"
    )
    assert junit(report) == Tally(passed=2, failed=2, skipped=1)


def test_a_report_that_was_not_written_is_a_failure(tmp_path: Path) -> None:
    assert junit(tmp_path / "missing.xml") == Tally(failed=1)


def test_steps_of_a_scenario() -> None:
    assert molecule_steps(MOLECULE) == Tally(passed=2, failed=1)


def test_molecule_that_crashed_has_no_steps() -> None:
    assert molecule_steps("Traceback") == Tally()


def test_a_line_says_what_ran_and_a_failure_shows_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "LOGS", tmp_path)
    monkeypatch.setattr(run, "CHECKOUT", tmp_path)
    script = "print('reason'); raise SystemExit(3)"
    assert check("lint", "tool", [sys.executable, "-c", script], cwd=tmp_path) == Tally(failed=1)
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.split()[:6] == ["lint", "tool", "0", "passed,", "1", "failed"]
    assert rest == ["    reason", "    whole log: lint.log"]
    assert "reason" in (tmp_path / "lint.log").read_text()


def test_a_missing_tool_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LOGS", tmp_path)
    monkeypatch.setattr(run, "CHECKOUT", tmp_path)
    assert check("lint", "tool", ["no-such-tool"], cwd=tmp_path) == Tally(failed=1)


def test_a_command_that_hangs_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LOGS", tmp_path)
    monkeypatch.setattr(run, "CHECKOUT", tmp_path)
    monkeypatch.setattr(run, "TIMEOUT_SECONDS", 0.2)
    start = time.monotonic()
    assert check("lint", "tool", ["sh", "-c", "sleep 60; true"], cwd=tmp_path) == Tally(failed=1)
    assert time.monotonic() - start < 30  # and what it started with it
