# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One report of many hosts: a host without findings is an error in it, never a hole."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status, passed, verdict
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.check import PROBED
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.estate import joined

GOOD = Finding("S-4", "ssl", Severity.CRITICAL, Status.PASS, "ssl = on").as_dict()


def test_hosts_keep_their_findings_and_their_order() -> None:
    report = joined({"db2": {"findings": [GOOD]}, "db1": {"findings": [GOOD]}}, "Readiness", "now", "critical")
    assert report.hosts == ("db2", "db1")
    assert [(f.host, f.status) for f in report.findings] == [("db2", Status.PASS), ("db1", Status.PASS)]
    assert [control.id for control in report.controls] == ["S-4"]
    assert passed(report.findings)


@pytest.mark.parametrize(
    "result",
    [
        {"unreachable": True, "msg": "No route to host"},
        {"failed": True, "msg": "Waiver for unknown control 'X-1'."},
        {},
        None,
        "undefined",
        {"findings": []},
        {"findings": "none"},
    ],
)
def test_a_host_without_findings_is_an_error_under_every_control(result: Any) -> None:
    report = joined({"db1": {"findings": [GOOD]}, "db2": result}, "Readiness", "now", "critical")
    assert verdict(report.of("S-4", "db2")) is Status.ERROR
    if isinstance(result, dict) and "msg" in result:
        assert result["msg"] in report.of("S-4", "db2")[0].evidence


def test_an_estate_that_nobody_reached_is_an_error_under_every_probed_control() -> None:
    report = joined({"db1": {"unreachable": True}}, "Readiness", "now", "critical")
    assert {finding.control for finding in report.findings} == set(PROBED)
    assert {finding.status for finding in report.findings} == {Status.ERROR}


@pytest.mark.parametrize("broken", [{"control": "S-4"}, {**GOOD, "status": "fine"}, {**GOOD, "colour": "red"}])
def test_a_result_that_cannot_be_read_is_an_error(broken: dict[str, Any]) -> None:
    report = joined({"db1": {"findings": [broken]}}, "Readiness", "now", "critical")
    assert verdict(report.findings) is Status.ERROR


def test_controls_without_a_probe_are_named() -> None:
    report = joined({"db1": {"findings": [GOOD]}}, "Readiness", "now", "critical")
    assert "B-3" in {control.id for control in report.not_probed}
    assert not {control.id for control in report.not_probed} & set(PROBED)


def test_the_register_becomes_an_annex() -> None:
    row = ["app", "db", "itself", "public", "SELECT on 1 table(s)"]
    report = joined({"db1": {"findings": [GOOD], "register": [row]}}, "Readiness", "now", "critical")
    assert report.annexes[0].title == "Access register of db1"
    assert report.annexes[0].rows == (tuple(row),)
