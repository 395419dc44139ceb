# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of the checks for the report: what did not run is an error, never a hole."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._assurance.results import CHECKS, gathered
from ansible_collections.dbops.postgres.plugins.module_utils._findings import (
    Finding,
    Severity,
    Status,
    to_json,
    verdict,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.catalogue import CONTROLS
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.estate import joined

GOOD = Finding("T-2", "public.a", Severity.HIGH, Status.PASS, "12 of 12 proven").as_dict()


def spec(database: str) -> dict[str, Any]:
    lines = {"rls": 3, "rls.identities": 4, "rls.identities[0]": 5, "rls.identities[0].role": 6}
    return {"database": database, "name": f"{database}.yml", "lines": lines}


def test_findings_are_kept_by_host_and_database() -> None:
    returned = {"pg_constraint_check": {"results": [{"findings": [GOOD]}, {"findings": [GOOD, GOOD]}]}}
    results = gathered(returned, "db1", [spec("a"), spec("b")])
    assert list(results) == ["db1/a", "db1/b"]
    assert [len(result["findings"]) for result in results.values()] == [1, 2]


@pytest.mark.parametrize(
    ("registered", "said"),
    [
        ({"results": [{"failed": True, "msg": "Cannot connect to database 'a'."}]}, "Cannot connect to database 'a'."),
        ({"unreachable": True, "msg": "No route to host"}, "No route to host"),
        ({"results": []}, "it returned nothing"),
        ({"results": [{"findings": []}]}, "it returned nothing"),
        ({"results": [{"findings": "none"}]}, "it returned nothing"),
        ({"results": [{"findings": [{"control": "T-2"}]}]}, "cannot be read"),
        ({"results": [{"findings": [{**GOOD, "status": "fine"}]}]}, "cannot be read"),
        ({"results": [None]}, "it returned nothing"),
        ("undefined", "it returned nothing"),
    ],
)
@pytest.mark.parametrize("check", CHECKS)
def test_a_check_without_findings_is_an_error_under_its_controls(check: str, registered: Any, said: str) -> None:
    results = gathered({check: registered}, "db1", [spec("a")])
    findings = [Finding.from_dict(item) for item in results["db1/a"]["findings"]]
    assert tuple(finding.control for finding in findings) == CHECKS[check]
    assert {finding.status for finding in findings} == {Status.ERROR}
    assert all(said in finding.evidence for finding in findings)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "spec: rls.identities[0].role: there is no role 'x'.",
            "a.yml:6: rls.identities[0].role: there is no role 'x'.",
        ),
        ("spec: rls.identities[0].sees.*: no", "a.yml:5: rls.identities[0].sees.*: no"),
        ("spec: rls.identities[7]: no", "a.yml:4: rls.identities[7]: no"),
        ("spec: plans.queries[0]: no", "looked at: spec: plans.queries[0]: no"),
        ("spec: unknown", "looked at: spec: unknown"),
        ("Cannot connect: spec: rls: no", "looked at: Cannot connect: spec: rls: no"),
    ],
)
def test_an_error_of_the_spec_file_gets_its_line(said: str, shown: str) -> None:
    results = gathered({"pg_rls_check": {"results": [{"msg": said}]}}, "db1", [spec("a")])
    assert shown in results["db1/a"]["findings"][0]["evidence"]


def test_a_check_that_was_not_asked_for_says_nothing_and_the_others_stay() -> None:
    returned: dict[str, Any] = {"pg_rls_check": None, "pg_constraint_check": {"results": [{"findings": [GOOD]}]}}
    assert gathered(returned, "db1", [spec("a")])["db1/a"]["findings"] == [GOOD]


def test_the_report_of_them_has_a_column_for_each_database_and_names_no_other_control() -> None:
    returned = {"pg_constraint_check": {"results": [{"findings": [GOOD]}, {"msg": "down"}]}}
    report = joined(gathered(returned, "db1", [spec("a"), spec("b")]), "Assurance", "now", "high")
    assert report.hosts == ("db1/a", "db1/b")
    assert [control.id for control in report.controls] == ["T-2"]
    assert verdict(report.of(host="db1/a")) is Status.PASS
    assert verdict(report.of(host="db1/b")) is Status.ERROR
    assert report.not_probed == ()
    assert "T-2" in to_json(report)


def test_each_control_of_a_check_is_in_the_catalogue() -> None:
    assert {control for controls in CHECKS.values() for control in controls} <= {control.id for control in CONTROLS}
