# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check found, and what follows from it.

Everything that judges (readiness, later row-level security, indexes, migrations) speaks in findings, so that one
list gives the module's result, the exit status and every report. Pure; the writers are in :mod:`._findings_text`
and :mod:`._findings_html`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

SCHEMA_VERSION = 1
FAIL_ON = ("never", "critical", "high", "medium")


class Severity(Enum):
    """How bad it is when a control does not hold. Critical: data loss or a breach of privacy."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Severity).index(self)


class Status(Enum):
    """What is known of one subject, from the worst to the best.

    ERROR: it could not be looked at, although it should have been possible. NOT_TESTED: it cannot be looked at from
    here, or there is no probe yet. Neither ever counts as a pass.
    """

    FAIL = "fail"
    ERROR = "error"
    NOT_TESTED = "not_tested"
    WAIVED = "waived"
    PASS = "pass"
    NOT_APPLICABLE = "not_applicable"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Status).index(self)

    @property
    def words(self) -> str:
        """As a person reads it."""
        return self.value.replace("_", " ")


@dataclass(frozen=True)
class Finding:
    """What is true of one subject under one control.

    :param control: for example ``S-4``.
    :param subject: what was looked at: a host, a database, a role, a setting, the number of a recommendation.
    :param evidence: what was seen, with the values.
    :param remedy: what to do about it; empty unless it failed.
    :param benchmarks: recommendations that it answers, for example ``("CIS 6.8",)``.
    :param title: the subject in words.
    :param host: the host in the inventory; empty until a report joins hosts.
    :param waiver: the stated reason, for a waived one.
    :param expires: the last day of the waiver, ``2027-01-31``; empty: none.
    """

    control: str
    subject: str
    severity: Severity
    status: Status
    evidence: str
    remedy: str = ""
    benchmarks: tuple[str, ...] = ()
    title: str = ""
    host: str = ""
    waiver: str = ""
    expires: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As a module returns it and JSON stores it."""
        return {
            **asdict(self),
            "severity": self.severity.value,
            "status": self.status.value,
            "benchmarks": list(self.benchmarks),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """The reverse of :meth:`as_dict`; raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            **{
                **data,
                "severity": Severity(data["severity"]),
                "status": Status(data["status"]),
                "benchmarks": tuple(data.get("benchmarks", ())),
            }
        )

    def on(self, host: str) -> Finding:
        """The same finding on a host."""
        return replace(self, host=host)


@dataclass(frozen=True)
class Control:
    """A row of a catalogue: one thing that must be true.

    :param must_hold: in one sentence, for the reader of a report.
    :param unproven: the part of it that no probe looks at yet; empty: all of it is looked at.
    """

    id: str
    title: str
    severity: Severity
    must_hold: str = ""
    unproven: str = ""
    group: str = ""


@dataclass(frozen=True)
class Annex:
    """A table that a check produced besides its findings, for example who may do what."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class TrendPoint:
    """One measurement. ``good`` False: it failed, and its time is as far as it came.

    :param when: the moment as text that begins with its date, ``2026-11-24 03:15 UTC``.
    :param label: what was measured, in words.
    """

    when: str
    seconds: float
    good: bool
    label: str = ""


@dataclass(frozen=True)
class Trend:
    """How a measured time went over the weeks, the oldest first, and the limit that it must keep (0: none)."""

    title: str
    points: tuple[TrendPoint, ...]
    limit_seconds: float = 0.0
    limit_label: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As a module returns it and JSON stores it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trend:
        """The reverse; raises KeyError, TypeError or ValueError for anything else."""
        return cls(**{**data, "points": tuple(TrendPoint(**point) for point in data["points"])})


@dataclass(frozen=True)
class Report:
    """The findings of a whole estate.

    :param generated: when, as text, given by the caller, so that a report is a function of its data.
    :param hosts: in the order in which they appear; every host is here, also one that was not reached.
    :param controls: those that were looked at, in catalogue order.
    :param not_probed: those that have no probe yet.
    """

    title: str
    generated: str
    hosts: tuple[str, ...]
    controls: tuple[Control, ...]
    findings: tuple[Finding, ...]
    fail_on: str = "critical"
    not_probed: tuple[Control, ...] = ()
    annexes: tuple[Annex, ...] = ()
    trends: tuple[Trend, ...] = ()

    def of(self, control: str | None = None, host: str | None = None) -> list[Finding]:
        """The findings of one control, one host, or both, the worst first."""
        chosen = (f for f in self.findings if control in (None, f.control) and host in (None, f.host))
        return ordered(chosen)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Worst status first, then severity, control, host and subject in the order a person counts (3.1.9 < 3.1.10)."""
    return sorted(
        findings,
        key=lambda f: (
            *(f.status.rank, f.severity.rank, natural(f.control), f.host, natural(f.subject)),
            *(f.subject, f.control, f.evidence, f.title, f.remedy, f.benchmarks, f.waiver, f.expires),
        ),
    )


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key in which numbers count as numbers."""
    parts: list[tuple[int, int, str]] = []
    digits = ""
    for char in [*text, ""]:
        if char and char in "0123456789":
            digits += char
            continue
        if digits:
            parts.append((0, int(digits), ""))
            digits = ""
        if char:
            parts.append((1, 0, char))
    return tuple(parts)


def by_reason(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings that say the same about the same host, together: a server that is down is one thing to read."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in ordered(findings):
        groups.setdefault((finding.host, finding.evidence), []).append(finding)
    return list(groups.values())


def verdict(findings: Iterable[Finding]) -> Status:
    """One status for many findings: the worst of them. Nothing found is NOT_TESTED, never a pass."""
    statuses = [finding.status for finding in findings]
    return min(statuses, key=lambda status: status.rank) if statuses else Status.NOT_TESTED


def statuses(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """By control, every status that a finding of it has: what a record of a check says."""
    found: dict[str, set[str]] = {}
    for finding in findings:
        found.setdefault(finding.control, set()).add(finding.status.value)
    return {control: sorted(names) for control, names in found.items()}


def label(findings: Sequence[Finding]) -> str:
    """The verdict in words; ``in part`` where some of it holds and the rest was not tested; ``3 waived`` of many."""
    status = verdict(findings)
    waived = sum(finding.status is Status.WAIVED for finding in findings)
    if status is Status.WAIVED and waived < len(findings):
        return f"pass, {waived} waived"
    if status is Status.NOT_TESTED and any(f.status in (Status.PASS, Status.WAIVED) for f in findings):
        return "in part"
    return status.words


def offending(findings: Iterable[Finding], fail_on: str) -> list[Finding]:
    """The findings that must fail the task: failed or not to be looked at, and at least as severe as ``fail_on``."""
    if fail_on == "never":
        return []
    limit = Severity(fail_on).rank
    return ordered(f for f in findings if f.status in (Status.FAIL, Status.ERROR) and f.severity.rank <= limit)


def severities(fail_on: str) -> str:
    """The severities at which a task fails, in words."""
    return fail_on if fail_on in ("critical", "never") else f"{fail_on} or worse"


def passed(findings: Sequence[Finding]) -> bool:
    """Whether everything was looked at and holds, is waived or does not apply; with no findings: no."""
    good = (Status.PASS, Status.WAIVED, Status.NOT_APPLICABLE)
    return bool(findings) and all(finding.status in good for finding in findings)


def summary(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings there are of each status."""
    counts = {status.value: 0 for status in Status}
    for finding in findings:
        counts[finding.status.value] += 1
    return counts


def failure_message(findings: Iterable[Finding], fail_on: str) -> str:
    """What to say when the task fails: the controls, by host, that do not hold. Empty: it does not fail."""
    bad = offending(findings, fail_on)
    if not bad:
        return ""
    controls: dict[str, dict[str, None]] = {}
    for finding in bad:
        controls.setdefault(finding.control, {})[finding.host or "this host"] = None
    listed = "; ".join(f"{control} on {', '.join(hosts)}" for control, hosts in controls.items())
    return (
        f"{len(bad)} {severities(fail_on)} finding(s) failed or could not be looked at: {listed}. Nothing was changed."
    )


def to_json(report: Report) -> str:
    """The report as JSON, keys in a fixed order; ``schema_version`` changes when a reader would break."""
    data = {
        "schema_version": SCHEMA_VERSION,
        "title": report.title,
        "generated": report.generated,
        "fail_on": report.fail_on,
        "failed": bool(offending(report.findings, report.fail_on)),
        "passed": passed(report.findings),
        "summary": summary(report.findings),
        "hosts": [
            {
                "name": host,
                "verdicts": {control.id: verdict(report.of(control.id, host)).value for control in report.controls},
            }
            for host in report.hosts
        ],
        "controls": [
            {
                "id": control.id,
                "title": control.title,
                "severity": control.severity.value,
                "probed": control in report.controls,
                "unproven": control.unproven,
            }
            for control in (*report.controls, *report.not_probed)
        ],
        "findings": [finding.as_dict() for finding in ordered(report.findings)],
        "annexes": [asdict(annex) for annex in report.annexes],
        "trends": [trend.as_dict() for trend in report.trends],
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
