# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict of the lint, and what only the live database can add to it: whether a contract step is due. Pure."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._migration.history import History, pending
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.contract import DUE, Live, gate
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import Gone
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import Source

_CONTRACTS = re.compile(r"--\s*dbops:\s*contracts\s+(\S+)")
_MOST = 5


def refusals(verdict: Mapping[str, Any]) -> list[str]:
    """What the lint refuses: findings that fail, from severity high on."""
    findings = verdict.get("findings")
    if findings is None:
        return [] if verdict.get("passed") else [f"the lint did not pass: {verdict.get('summary') or 'no summary'}"]
    wrong = [
        f"{item.get('subject')}: {item.get('rule') or item.get('title')}"
        for item in findings
        if item.get("status") in ("fail", "error") and item.get("severity") in ("critical", "high")
    ]
    more = [f"and {len(wrong) - _MOST} more"] if len(wrong) > _MOST else []
    return [*wrong[:_MOST], *more]


def not_due(
    verdict: Mapping[str, Any],
    source: Source,
    history: History,
    queries: Callable[[], Sequence[str] | None],
    now: datetime.datetime,
    days: int,
) -> list[str]:
    """The contract steps that the lint left to the live database, and that may not run yet.

    :param queries: the statements of pg_stat_statements.
    """
    steps = [
        item
        for item in verdict.get("findings") or ()
        if item.get("class") == "contract" and item.get("status") == "not_tested"
    ]
    if not steps:
        return []
    live = Live(now, days, applied_at(source, history, now), queries())
    problems = []
    for step in steps:
        migration = next((m for m in source.migrations if str(step.get("file", "")).endswith(m.path)), None)
        if migration is None:
            continue
        found = _CONTRACTS.search(migration.sql)
        table, column = (*(step.get("gone") or ()), "", "")[:2]
        answer = gate(source, migration.id, found[1] if found else "", Gone(table, column) if table else None, live)
        if answer.state != DUE:
            problems.append(f"{migration.path}:{step.get('line')}: {answer.reason}")
    return problems


def applied_at(source: Source, history: History, now: datetime.datetime) -> dict[str, datetime.datetime]:
    """When each migration was applied. Where the tool does not keep it: now, so that nothing is due too early."""
    known = {row.id: row.when for row in history.rows}
    open_ones = {migration.id for migration in pending(source, history)}
    return {
        m.id: datetime.datetime.fromtimestamp(when, datetime.timezone.utc) if (when := known.get(m.id)) else now
        for m in source.migrations
        if m.id not in open_ones
    }
