# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings as text: the table of a terminal, Markdown, JUnit XML. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.dbops.postgres.plugins.module_utils._findings import (
    Finding,
    Report,
    Status,
    by_reason,
    label,
    natural,
    ordered,
    summary,
)

# XML 1.0, section 2.2: these characters cannot appear in a document, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WIDEST_TITLE = 26
_MOST_SUBJECTS = 6


def table(report: Report) -> list[str]:
    """One line per control, one column per host, for a terminal; C, H, M: critical, high, medium."""
    width = min(max([len(control.title) for control in report.controls] + [7]), _WIDEST_TITLE)
    cells = {(c.id, host): _cell(report.of(c.id, host)) for c in report.controls for host in report.hosts}
    columns = [
        max([len(host)] + [len(cells[control.id, host]) for control in report.controls]) for host in report.hosts
    ]
    lines = [
        f"{'control':<{width + 8}}" + "".join(f"  {host:<{size}}" for host, size in zip(report.hosts, columns)),
        "─" * (width + 8 + sum(size + 2 for size in columns)),  # not "-": YAML would quote it
    ]
    for control in report.controls:
        verdicts = "".join(f"  {cells[control.id, host]:<{size}}" for host, size in zip(report.hosts, columns))
        letter = control.severity.value[0].upper()
        lines.append(f"{control.id:<5} {_short(control.title, width):<{width}} {letter}{verdicts}")
    if report.not_probed:
        lines.append(f"no probe yet for {len(report.not_probed)} further controls, not counted as passed")
    return [line.rstrip() for line in lines]


def _cell(findings: list[Finding]) -> str:
    bad = sum(finding.status in (Status.FAIL, Status.ERROR) for finding in findings)
    counted = sum(finding.status is not Status.NOT_APPLICABLE for finding in findings)
    return f"{label(findings).upper()} {bad}/{counted}" if bad else label(findings)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def totals(report: Report) -> str:
    """The counts in one line, zeroes left out."""
    counts = summary(report.findings)
    return ", ".join(f"{counts[s.value]} {s.words}" for s in Status if counts[s.value]) or "nothing was looked at"


def to_markdown(report: Report) -> str:
    """The report as Markdown, fit for a pull request or a wiki."""
    lines = [
        f"# {_md(report.title)}",
        "",
        f"{_md(report.generated)}: {totals(report)}.",
        "",
        "| control | severity | " + " | ".join(_md(host) for host in report.hosts) + " |",
        "|---|---|" + "---|" * len(report.hosts),
    ]
    for control in report.controls:
        cells = " | ".join(_cell(report.of(control.id, host)) for host in report.hosts)
        lines.append(f"| {_md(control.id)} {_md(control.title)} | {control.severity.value} | {cells} |")
    failed = [finding for finding in ordered(report.findings) if finding.status is Status.FAIL]
    lines += _list("Failed", [_bullet([finding], finding.remedy) for finding in failed])
    for heading, status in (("Could not be looked at", Status.ERROR), ("Not tested", Status.NOT_TESTED)):
        groups = by_reason(finding for finding in report.findings if finding.status is status)
        lines += _list(heading, [_bullet(group, "") for group in groups])
    waived = [finding for finding in ordered(report.findings) if finding.status is Status.WAIVED]
    lines += _list("Waived", [_bullet([finding], "", _reason(finding)) for finding in waived])
    if report.not_probed:
        names = ", ".join(f"{_md(control.id)} {_md(control.title)}" for control in report.not_probed)
        lines += ["", "## No probe yet", "", f"{len(report.not_probed)} controls, not counted as passed: {names}."]
    return "\n".join(lines) + "\n"


def _list(heading: str, bullets: list[str]) -> list[str]:
    return ["", f"## {heading}", "", *bullets] if bullets else []


def _bullet(group: list[Finding], remedy: str, waiver: str = "") -> str:
    first = group[0]
    where = f" on {_md(first.host)}" if first.host else ""
    lines = [
        f"- **{_md(subjects(group))}**{where} ({first.severity.value}{_md(_numbers(first))}): {_md(first.evidence)}"
    ]
    if remedy:
        lines.append(f"  Remedy: {_md(remedy)}")
    if waiver:
        lines.append(f"  Waived: {_md(waiver)}")
    return "\n".join(lines)


def _reason(finding: Finding) -> str:
    return f"{finding.waiver} (until {finding.expires})" if finding.expires else finding.waiver


def subjects(group: Sequence[Finding]) -> str:
    """What a group of findings is about: each subject, or, of many, how many under each control."""
    if len(group) <= _MOST_SUBJECTS:
        return ", ".join(f"{finding.control} {name_of(finding)}" for finding in group)
    counts: dict[str, int] = {}
    for finding in sorted(group, key=lambda item: natural(item.control)):
        counts[finding.control] = counts.get(finding.control, 0) + 1
    return f"{len(group)} subjects of " + ", ".join(f"{control} ({count})" for control, count in counts.items())


def name_of(finding: Finding) -> str:
    """Subject and title, without saying the same twice."""
    if not finding.title or finding.title == finding.subject:
        return finding.subject
    return f"{finding.subject} {finding.title}"


def _numbers(finding: Finding) -> str:
    return f", {', '.join(finding.benchmarks)}" if finding.benchmarks else ""


def _md(text: str) -> str:
    """Text that Markdown and the HTML inside Markdown leave alone, on one line."""
    plain = escape(" ".join(text.split()))
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", plain)


def to_junit(report: Report) -> str:
    """The report as JUnit XML: a suite per host, a case per finding.

    A waived, an untested and an inapplicable finding is ``skipped``: a CI server must not count it as passed.
    """
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites name={_attribute(report.title)}>"]
    for host in report.hosts:
        findings = report.of(host=host)
        counts = summary(findings)
        skipped = len(findings) - counts["fail"] - counts["error"] - counts["pass"]
        lines.append(
            f'  <testsuite name={_attribute(host)} tests="{len(findings)}" failures="{counts["fail"]}"'
            f' errors="{counts["error"]}" skipped="{skipped}" timestamp={_attribute(report.generated)}>'
        )
        for finding in findings:
            lines.append(
                f"    <testcase classname={_attribute(host + '.' + finding.control)}"
                f" name={_attribute(name_of(finding))}>{_outcome(finding)}</testcase>"
            )
        lines.append("  </testsuite>")
    lines.append("</testsuites>")
    return "\n".join(lines) + "\n"


def _outcome(finding: Finding) -> str:
    said = _text(f"{finding.evidence}\n{finding.remedy}".strip())
    element = {Status.FAIL: "failure", Status.ERROR: "error"}.get(finding.status)
    if element:
        attributes = f"type={_attribute(finding.severity.value)} message={_attribute(finding.evidence)}"
        return f"<{element} {attributes}>{said}</{element}>"
    if finding.status is Status.PASS:
        return f"<system-out>{said}</system-out>"
    reason = f"waived: {_reason(finding)}" if finding.waiver else f"{finding.status.words}: {finding.evidence}"
    return f"<skipped message={_attribute(reason)}/>"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
