# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lint's findings as a person reads them in a terminal, and as files that CI systems read. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import (
    Control,
    Finding,
    Report,
    Severity,
    Status,
    passed,
    summary,
)
from ansible_collections.dbops.postgres.plugins.module_utils._findings_sarif import SarifResult, SarifRule, to_sarif
from ansible_collections.dbops.postgres.plugins.module_utils._findings_text import to_junit
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.found import LintFinding, short
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import REGISTRY
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.squawk import OWN

TOOL = "dbops.postgres migration lint"
CONTROLS = (
    Control("E-4", "Expand/contract", Severity.CRITICAL),
    Control("E-5", "Seeding guard", Severity.MEDIUM),
    Control("E-6", "Evolving value sets", Severity.HIGH),
)
_SIGNS = {Status.FAIL: "✗", Status.ERROR: "!", Status.WAIVED: "~", Status.NOT_TESTED: "?", Status.PASS: "✓"}


def lines(findings: Sequence[LintFinding], judged: int, root: str = "") -> list[str]:
    """The report of a terminal: by file, in the order of lines, each with its safe way; the totals last."""
    written: list[str] = []
    file = ""
    for finding in findings:
        if finding.file != file:
            file = finding.file
            written += ["", finding.path(root)]
        written += _one(finding)
    return [*written[1:], *([""] if written else []), total(findings, judged)]


def _one(finding: LintFinding) -> list[str]:
    about = f" {finding.object}" if finding.object else ""
    state = "" if finding.status is Status.FAIL else f" ({finding.status.words})"
    head = f"{_SIGNS[finding.status]} line {finding.line}  {finding.severity.value}  {finding.rule}{about}{state}"
    written = [f"  {head}"]
    if finding.statement:
        written.append(f"      {short(finding.statement)}")
    if finding.status is Status.WAIVED:
        return [*written, f"    {finding.waiver} (until {finding.expires})"]
    written.append(f"    why: {finding.why}")
    if finding.note:
        written.append(f"    but: {finding.note}" if finding.status is not Status.PASS else f"    now: {finding.note}")
    if finding.safe and finding.status in (Status.FAIL, Status.ERROR):
        written += ["    safe way:", *(f"      {line}" for line in finding.safe.splitlines())]
    return written


def total(findings: Sequence[LintFinding], judged: int) -> str:
    """One line: how many files, how many findings of each severity, what is waived or not known."""
    counts = [
        (sum(f.status is Status.FAIL and f.severity is severity for f in findings), severity.value)
        for severity in Severity
    ]
    counts += [
        (sum(f.status is status for f in findings), words)
        for status, words in (
            (Status.ERROR, "could not be read"),
            (Status.WAIVED, "approved"),
            (Status.NOT_TESTED, "to be asked when it is applied"),
            (Status.PASS, "contract step(s) due"),
        )
    ]
    said = ", ".join(f"{count} {words}" for count, words in counts if count) or "nothing found"
    return f"{judged} migration(s) looked at: {said}."


def as_findings(
    findings: Sequence[LintFinding], judged: Sequence[str], nothing: Finding | None, root: str
) -> list[Finding]:
    """In the form of every check: the findings, a pass for each file without one, or why nothing was looked at."""
    if nothing is not None:
        return [nothing]
    hit = {finding.file for finding in findings}
    clean = [
        Finding("E-4", f"{root.rstrip('/')}/{file}" if root else file, Severity.HIGH, Status.PASS, "Nothing found.")
        for file in judged
        if file not in hit
    ]
    return [*(finding.as_finding(root) for finding in findings), *clean]


def as_data(findings: Sequence[LintFinding], plain: Sequence[Finding], root: str) -> list[dict[str, Any]]:
    """The findings as the module returns them: ours with all that they know, then those of files without one."""
    return [*(f.as_dict(root) for f in findings), *(f.as_dict() for f in plain[len(findings) :])]


def junit(findings: Sequence[Finding], root: str, generated: str, fail_on: str) -> str:
    """A case for each finding, and for each file without one."""
    suite = root or "migrations"
    report = Report(
        *("Migration lint", generated, (suite,), CONTROLS, tuple(finding.on(suite) for finding in findings)),
        fail_on=fail_on,
    )
    return to_junit(report)


def as_json(findings: Sequence[LintFinding], plain: Sequence[Finding], generated: str, root: str) -> str:
    """Everything, for other programs."""
    data = {
        "schema_version": 1,
        "generated": generated,
        "passed": passed(plain),
        "summary": summary(plain),
        "findings": as_data(findings, plain, root),
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def sarif(findings: Sequence[LintFinding], root: str) -> str:
    """What failed, and what is approved as suppressed; what is due or asked later is no result."""
    shown = [f for f in findings if f.status in (Status.FAIL, Status.ERROR, Status.WAIVED)]
    known = {rule.id: rule for rule in (*REGISTRY.rules.values(), *OWN.values())}
    rules = {
        f.rule: SarifRule(f.rule, f.severity, known[f.rule].why if f.rule in known else f.why)
        for f in sorted(shown, key=lambda f: f.rule)
    }
    results = [
        SarifResult(
            *(f.rule, f.severity, _message(f), f.path(root), f.line, f.end_line, f.statement),
            f"{f.waiver} (until {f.expires})" if f.status is Status.WAIVED else "",
        )
        for f in shown
    ]
    return to_sarif(TOOL, list(rules.values()), results)


def _message(finding: LintFinding) -> str:
    about = f"{finding.object}: " if finding.object else ""
    parts = [f"{about}{finding.why}", finding.note, f"Safe way:\n{finding.safe}" if finding.safe else ""]
    return "\n".join(part for part in parts if part)
