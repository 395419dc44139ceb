# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences as findings. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status, ordered
from ansible_collections.dbops.postgres.plugins.module_utils._schema.compare import (
    CHANGED,
    MISSING,
    UNEXPECTED,
    Comparison,
    Difference,
)
from ansible_collections.dbops.postgres.plugins.module_utils._schema.repair import remedy
from ansible_collections.dbops.postgres.plugins.module_utils._schema.snapshot import PUBLIC

CONTROL = "E-2"
CHECK = "pg_schema_drift_check"
# Fields whose difference changes how a database performs or reads, and not what it holds or whom it lets in.
_MEDIUM_FIELDS = {
    *("comment", "options", "toast_options", "statistics", "storage", "compression", "tablespace", "version", "cache"),
    *("clustered", "target", "access_method"),
}
_MEDIUM_KINDS = {"statistics", "extension", "collation"}
_RECORDED = 50
_WITH_ROWS = {"table", "view", "materialized_view", "foreign_table", "sequence", "schema", "default_privileges"}


def findings(comparison: Comparison, objects: int) -> list[Finding]:
    """A finding for each object that differs; one that says so when none does.

    :param objects: how many were compared.
    """
    found = [
        Finding(
            CONTROL,
            item.subject,
            severity(item),
            Status.FAIL,
            "; ".join(item.lines),
            remedy(item).text,
        )
        for item in comparison.differences
    ]
    if not found:
        found = [Finding(CONTROL, "schema", Severity.CRITICAL, Status.PASS, f"{objects} objects are as expected")]
    return ordered(found)


def severity(item: Difference) -> Severity:
    """Critical: rows or functions are open to somebody to whom they should not be, or may be."""
    if item.kind == "policy":
        only_comment = item.what == CHANGED and {change.field for change in item.changes} == {"comment"}
        return Severity.MEDIUM if only_comment else Severity.CRITICAL
    if item.what == UNEXPECTED:
        open_to_all = item.kind in _WITH_ROWS and PUBLIC in item.actual.get("grants", {})
        open_function = item.actual.get("security_definer") and PUBLIC in item.actual.get("grants", {})
        if open_to_all or open_function:
            return Severity.CRITICAL
    if item.what == MISSING and item.kind == "event_trigger":
        return Severity.CRITICAL
    if item.what == CHANGED:
        worst = [_of_field(item, change.field, change.expected, change.actual) for change in item.changes]
        return min(worst, key=lambda found: found.rank)
    return Severity.MEDIUM if item.kind in _MEDIUM_KINDS else Severity.HIGH


def _of_field(item: Difference, field: str, expected: Any, actual: Any) -> Severity:
    if field in ("row_security", "force_row_security") and expected:
        return Severity.CRITICAL
    if field == "grants" and set((actual or {}).get(PUBLIC, [])) - set((expected or {}).get(PUBLIC, [])):
        return Severity.CRITICAL
    if field == "security_definer" and actual:
        return Severity.CRITICAL
    if field == "settings" and item.expected.get("security_definer"):
        return Severity.CRITICAL
    if field == "options" and item.kind == "view" and (expected or {}) != (actual or {}):
        return Severity.CRITICAL  # security_invoker and security_barrier decide whose rights read the tables
    if field == "enabled" and item.kind == "event_trigger":
        return Severity.CRITICAL
    return Severity.MEDIUM if field in _MEDIUM_FIELDS else Severity.HIGH


def message(comparison: Comparison, found: Iterable[Finding], shown: int = 8) -> str:
    """What a task says when it fails: the objects, the worst first."""
    bad = [finding for finding in found if finding.status is not Status.PASS]
    lines = [f"{finding.severity.value}: {finding.subject}: {finding.evidence}" for finding in bad[:shown]]
    more = [f"and {len(bad) - shown} more"] if len(bad) > shown else []
    return "\n".join([summary(comparison), *lines, *more, "Nothing was changed."])


def summary(comparison: Comparison) -> str:
    """In one line."""
    if comparison.equal:
        return "The schema is as expected"
    counts = {what: sum(d.what == what for d in comparison.differences) for what in (MISSING, UNEXPECTED, CHANGED)}
    parts = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"The schema differs in {len(comparison.differences)} object(s): {parts}"


def script(comparison: Comparison) -> list[str]:
    """The statements and words for all differences, as a file that a person reads before running any of it."""
    lines = []
    for item in comparison.differences:
        found = remedy(item)
        lines.append(f"-- {item.subject}: {'; '.join(item.lines)}".replace("\n", " "))
        lines += [f"-- {found.words}"] if found.words else []
        lines += [f"{statement.rstrip().rstrip(';')};" for statement in found.sql]
    return lines


def facts(comparison: Comparison, objects: int) -> dict[str, object]:
    """What the record of a check holds besides its verdict."""
    return {
        "objects": objects,
        "differences": len(comparison.differences),
        "subjects": [f"{item.subject}: {item.what}" for item in comparison.differences[:_RECORDED]],
        "unused_ignores": list(comparison.unused_ignores),
    }
