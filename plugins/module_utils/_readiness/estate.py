# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the results of many hosts to one report. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import (
    Annex,
    Control,
    Finding,
    Report,
    Severity,
    Status,
    Trend,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.catalogue import CONTROLS
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.check import PROBED
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.register import COLUMNS


def joined(results: Mapping[str, Any], title: str, generated: str, fail_on: str) -> Report:
    """One report of what readiness_check returned on each host.

    A host whose task failed or that was not reached has an ``error`` under every control that was looked at
    elsewhere, or, if there is no other host, under every control that has a probe.
    """
    found = {host: _findings(host, result) for host, result in results.items()}
    looked_at = {finding.control for findings in found.values() for finding in findings} or set(PROBED)
    chosen = tuple(control for control in CONTROLS if control.id in looked_at)
    for host, findings in found.items():
        if not findings:
            reason = _reason(results[host])
            found[host] = [
                Finding(
                    control.id,
                    "host",
                    control.severity,
                    Status.ERROR,
                    reason,
                    "Reach the host and run again.",
                    host=host,
                )
                for control in chosen
            ]
    return Report(
        title=title,
        generated=generated,
        hosts=tuple(results),
        controls=chosen,
        findings=tuple(finding for findings in found.values() for finding in findings),
        fail_on=fail_on,
        not_probed=_not_probed(results),
        annexes=tuple(
            Annex(f"Access register of {host}", COLUMNS, tuple(tuple(str(cell) for cell in row) for row in rows))
            for host, rows in ((host, _register(result)) for host, result in results.items())
            if rows
        ),
        trends=tuple(trend for host, result in results.items() for trend in _trends(host, result)),
    )


def _not_probed(results: Mapping[str, Any]) -> tuple[Control, ...]:
    """What the results say that nobody looks at; what has no probe, if one of them does not say."""
    said = [result.get("not_probed") if isinstance(result, dict) else None for result in results.values()]
    if any(names is None for names in said):
        return tuple(control for control in CONTROLS if control.id not in PROBED)
    return tuple(control for control in CONTROLS if any(control.id in names for names in said if names))


def _findings(host: str, result: Any) -> list[Finding]:
    given = result.get("findings") if isinstance(result, dict) else None
    if not isinstance(given, list):
        return []
    try:
        return [Finding.from_dict(item).on(host) for item in given]
    except (KeyError, TypeError, ValueError) as error:
        return [
            Finding(
                control, "host", Severity.CRITICAL, Status.ERROR, f"Its result cannot be read: {error!r}", host=host
            )
            for control in PROBED
        ]


def _register(result: Any) -> list[list[Any]]:
    rows = result.get("register") if isinstance(result, dict) else None
    return rows if isinstance(rows, list) else []


def _trends(host: str, result: Any) -> list[Trend]:
    given = result.get("trends") if isinstance(result, dict) else None
    try:
        found = [Trend.from_dict(item) for item in given or []]
    except (KeyError, TypeError, ValueError):
        return []  # the findings of the same host say what is wrong; a picture proves nothing
    return [replace(trend, title=f"{host}: {trend.title}") for trend in found]


def _reason(result: Any) -> str:
    said = str(result.get("msg", "")).strip() if isinstance(result, dict) else ""
    return f"Nothing was looked at: {said or 'the host was not reached'}"
