# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plans as Markdown, to be pasted into a pull request. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plans.explain import Explained, drawn
from ansible_collections.dbops.postgres.plugins.module_utils._plans.state import Observed, Tried

_SIGN = {Status.PASS: "ok", Status.FAIL: "**FAIL**", Status.ERROR: "**ERROR**", Status.NOT_TESTED: "not tested"}


def markdown(
    database: str, seen: Observed, findings: Sequence[Finding], baseline: Mapping[str, Any] | None = None
) -> str:
    """The report."""
    bad = sum(finding.status in (Status.FAIL, Status.ERROR) for finding in findings)
    lines = [f"### Query plans of {_cell(database)}: {'all within their limits' if not bad else f'{bad} broken'}", ""]
    if seen.generated:
        rows = ", ".join(f"{name} {count:,}" for name, count in seen.generated.items())
        lines += [f"Rows made for this, and rolled back: {rows}.", ""]
    lines += ["| query | verdict | cost | ms | blocks | rows removed | indexes |", "|---|---|---:|---:|---:|---:|---|"]
    for tried in seen.tried:
        lines.append(_row(tried, findings, (baseline or {}).get(tried.query.name)))
    for tried in seen.tried:
        lines += _details(tried, findings)
    if seen.candidates:
        lines += ["", "#### Statements that take most of the time", "", "| calls | mean ms | total ms | statement |"]
        lines += ["|---:|---:|---:|---|"]
        for item in seen.candidates:
            query = _cell(item.query[:200])
            lines.append(f"| {item.calls:,} | {item.mean_ms:,.2f} | {item.total_ms:,.0f} | `{query}` |")
    return "\n".join(lines) + "\n"


def _row(tried: Tried, findings: Iterable[Finding], before: Any) -> str:
    statuses = [finding.status for finding in findings if finding.subject == tried.query.name]
    verdict = _SIGN[min(statuses, key=lambda status: status.rank)] if statuses else "not tested"
    plan = tried.explained
    if plan is None:
        return f"| {_cell(tried.query.name)} | {verdict} | | | | | {_cell(tried.problem)} |"
    old = before or {}
    cells = [
        _change(old.get("cost"), plan.cost, 2),
        _change(old.get("ms"), plan.ms, 2),
        _change(old.get("blocks"), plan.blocks, 0),
        _change(old.get("removed"), plan.removed, 0),
        _cell(", ".join(plan.indexes)) or "none",
    ]
    return f"| {_cell(tried.query.name)} | {verdict} | {' | '.join(cells)} |"


def _change(old: Any, new: float, digits: int) -> str:
    now = f"{new:,.{digits}f}"
    before = now if old is None else f"{float(old):,.{digits}f}"
    return now if before == now else f"{before} → {now}"


def _details(tried: Tried, findings: Iterable[Finding]) -> list[str]:
    lines = [
        "",
        f"<details><summary>{_html(tried.query.name)}</summary>",
        "",
        "```sql",
        _fenced(tried.query.sql),
        "```",
    ]
    said = [finding for finding in findings if finding.subject == tried.query.name]
    lines += [""] + [f"- {_SIGN[f.status]} {f.title}: {_cell(f.evidence)} {_cell(f.remedy)}".rstrip() for f in said]
    if tried.volatile:
        lines.append(f"- It calls {', '.join(tried.volatile)}: a rollback may not undo what that does.")
    if tried.explained:
        lines += ["", "```text", *map(_fenced, drawn(tried.explained)), *_settings(tried.explained), "```"]
    return [*lines, "", "</details>"]


def _settings(plan: Explained) -> list[str]:
    told = ", ".join(f"{name} = {value}" for name, value in plan.settings.items() if name != "search_path")
    return [f"Settings: {_fenced(told)}"] if told else []


def _cell(text: str) -> str:
    return _html(" ".join(text.split())).replace("|", "\\|").replace("`", "'")


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _fenced(text: str) -> str:
    return text.replace("```", "'''")
