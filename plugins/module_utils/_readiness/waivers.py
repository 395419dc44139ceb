# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waivers: a stated reason why a finding is accepted for a time. Pure."""

from __future__ import annotations

import datetime
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.catalogue import BY_ID


@dataclass(frozen=True)
class Waiver:
    """Of one control, or of those of its subjects that match a shell pattern."""

    id: str
    reason: str
    subject: str = "*"
    expires: datetime.date | None = None

    def covers(self, finding: Finding) -> bool:
        """Whether it is about this finding."""
        return self.id == finding.control and fnmatch.fnmatchcase(finding.subject, self.subject)


def parse(given: Sequence[Mapping[str, Any]]) -> list[Waiver]:
    """The waivers of a module's parameters.

    :raises DbopsError: unknown control, no reason, a date that is none, a critical control without a date.
    """
    return [_one(item) for item in given]


def _one(item: Mapping[str, Any]) -> Waiver:
    control = str(item.get("id") or "").strip()
    if control not in BY_ID:
        raise DbopsError(f"Waiver for unknown control {control!r}", f"Known controls: {', '.join(BY_ID)}.")
    reason = str(item.get("reason") or "").strip()
    if not reason:
        raise DbopsError(f"Waiver for {control} without a reason", "Say why it is accepted; the report shows it.")
    expires = None
    text = str(item.get("expires") or "").strip()
    if text:
        try:
            expires = datetime.date.fromisoformat(text)
        except ValueError:
            raise DbopsError(
                f"Waiver for {control}: expires {text!r} is not a date", "Write it as 2027-01-31."
            ) from None
    if expires is None and BY_ID[control].severity is Severity.CRITICAL:
        raise DbopsError(
            f"Waiver for the critical control {control} without an end",
            "Give expires, at most as far as it is planned.",
        )
    return Waiver(control, reason, str(item.get("subject") or "*").strip(), expires)


def apply(findings: Iterable[Finding], waivers: Sequence[Waiver], today: datetime.date) -> list[Finding]:
    """The findings with failures waived where a waiver holds today.

    Only a failure can be waived: what could not be looked at stays unknown. A waiver that has expired waives nothing;
    the failure says so.
    """
    return [_waived(finding, waivers, today) for finding in findings]


def _waived(finding: Finding, waivers: Sequence[Waiver], today: datetime.date) -> Finding:
    if finding.status is not Status.FAIL:
        return finding
    covering = [waiver for waiver in waivers if waiver.covers(finding)]
    for waiver in covering:
        if waiver.expires is None or waiver.expires >= today:
            until = waiver.expires.isoformat() if waiver.expires else ""
            return replace(finding, status=Status.WAIVED, waiver=waiver.reason, expires=until)
    if covering:
        ended = max(waiver.expires for waiver in covering if waiver.expires)
        return replace(finding, evidence=f"{finding.evidence} (its waiver expired on {ended.isoformat()})")
    return finding


def unused(findings: Sequence[Finding], waivers: Iterable[Waiver]) -> list[str]:
    """Waivers that no failure needs any more: they can be deleted."""
    bad = [finding for finding in findings if finding.status in (Status.FAIL, Status.WAIVED)]
    return [
        f"{waiver.id} {waiver.subject}".replace(" *", "")
        for waiver in waivers
        if not any(waiver.covers(finding) for finding in bad)
    ]
