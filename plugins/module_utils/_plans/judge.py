# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the plans keep to their limits, and to those of the last time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Control, Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plans.explain import Explained, Node
from ansible_collections.dbops.postgres.plugins.module_utils._plans.spec import PRODUCTION_WORDS, Limits, Query
from ansible_collections.dbops.postgres.plugins.module_utils._plans.state import Observed, Tried

CONTROLS = (
    Control(
        "P-5", "Query-plan evidence", Severity.HIGH, "Declared queries use their indexes and keep to their limits."
    ),
)

INDEX, SEQUENTIAL, REMOVED, COST, TIME, ESTIMATES, BASELINE, RUNS = (
    "index used",
    "sequential scan",
    "rows removed",
    "cost",
    "time",
    "estimates",
    "baseline",
    "runs",
)

_EMPTY = "All of its tables are empty, or were never analysed: the plan says nothing."
_FILL = "Declare plans.generate, or ANALYZE."

# Below this a plan that has become dearer by any factor is still cheap.
_CHEAP_COST = 100.0


def judge(seen: Observed, baseline: Mapping[str, Any] | None = None, factor: float = 1.5) -> list[Finding]:
    """All findings.

    :param baseline: what :func:`measured` returned before; None: there is nothing to compare with.
    :param factor: how much dearer a plan may have become.
    """
    if not seen.tried:
        text = "No query is declared."
        if seen.candidates:
            text += f" pg_stat_statements has {len(seen.candidates)} that take most of the time (candidates)."
        return [_found(RUNS, "database", Status.NOT_TESTED, text, "Declare queries in the section plans of the spec.")]
    findings: list[Finding] = []
    for tried in seen.tried:
        if tried.kept_back:
            text = f"It changes something, and the server says that it is production: {tried.problem}"
            remedy = f"Run it on a copy, or say i_know_this_is_production: {PRODUCTION_WORDS!r}."
            findings.append(_found(RUNS, tried.query.name, Status.NOT_TESTED, text, remedy))
            continue
        if tried.explained is None:
            findings.append(_found(RUNS, tried.query.name, Status.ERROR, tried.problem, "Mend the query, or its role."))
            continue
        findings += _limits(tried.query, tried.explained, seen)
        if baseline is not None:
            findings.append(_compared(tried, tried.explained, baseline.get(tried.query.name), factor))
    return findings


def _limits(query: Query, plan: Explained, seen: Observed) -> Iterator[Finding]:
    limits: Limits = query.limits
    if limits.must_use_index:
        yield _index(query, plan, seen)
    if limits.no_seq_scan_over_rows is not None:
        yield _sequential(query, plan, seen, limits.no_seq_scan_over_rows)
    if _says_nothing(plan, seen):
        for title, limit in (
            (REMOVED, limits.max_rows_removed),
            (COST, limits.max_cost),
            (TIME, limits.max_ms),
            (ESTIMATES, limits.max_estimate_factor),
        ):
            if limit is not None:
                yield _found(title, query.name, Status.NOT_TESTED, _EMPTY, _FILL)
        return
    if limits.max_rows_removed is not None:
        worst = max(plan.nodes, key=lambda node: node.removed)
        text = f"{worst.removed:,.0f} rows were read and dropped"
        text += f" by {worst.filter or 'a recheck'} in {_told(worst)}" if worst.removed else ""
        yield _limit(query, REMOVED, plan.removed <= limits.max_rows_removed, text, f"{limits.max_rows_removed:,}")
    if limits.max_cost is not None:
        text = f"The planner's estimate is {plan.cost:,.2f}"
        yield _limit(query, COST, plan.cost <= limits.max_cost, text, f"{limits.max_cost:,.2f}")
    if limits.max_ms is not None:
        text = f"It took {plan.ms:,.2f} ms"
        yield _limit(query, TIME, plan.ms <= limits.max_ms, text, f"{limits.max_ms:,.2f} ms")
    if limits.max_estimate_factor is not None:
        worst = max(plan.nodes, key=lambda node: node.factor)
        text = f"{_told(worst)}: {worst.rows:,.0f} rows where {worst.estimated:,.0f} were estimated"
        good = worst.factor <= limits.max_estimate_factor
        yield _limit(query, ESTIMATES, good, text, f"a factor of {limits.max_estimate_factor:g}")


def _limit(query: Query, title: str, good: bool, text: str, limit: str) -> Finding:
    remedies = {
        REMOVED: "Build an index that begins with the columns of the filter.",
        COST: "Look at the dearest step of the plan (report).",
        TIME: "Look at the slowest step of the plan (report).",
        ESTIMATES: "ANALYZE the table; for columns that depend on each other, CREATE STATISTICS.",
    }
    status = Status.PASS if good else Status.FAIL
    return _found(title, query.name, status, f"{text}; the limit is {limit}.", "" if good else remedies[title])


def _index(query: Query, plan: Explained, seen: Observed) -> Finding:
    wanted = [name.rpartition(".")[2] for name in query.limits.must_use_index]
    used = set(plan.indexes)
    for name in plan.indexes:
        used |= set(seen.ancestors.get(name, ()))
    names = " or ".join(query.limits.must_use_index)
    if used & set(wanted) and _says_nothing(plan, seen):
        return _found(INDEX, query.name, Status.NOT_TESTED, _EMPTY, _FILL)
    if used & set(wanted):
        return _found(INDEX, query.name, Status.PASS, f"{', '.join(sorted(used & set(wanted)))} is used.")
    instead = f"It reads {', '.join(plan.indexes)}." if plan.indexes else "It reads no index."
    gone = [name for name in wanted if name not in seen.indexes]
    if len(gone) == len(wanted):
        return _found(INDEX, query.name, Status.FAIL, f"There is no index {names}. {instead}", "Build it: pg_index.")
    remedy = "See whether the condition fits the index (type, function, order), and whether the table is large enough."
    return _found(INDEX, query.name, Status.FAIL, f"{names} is not used. {instead}", remedy)


def _sequential(query: Query, plan: Explained, seen: Observed, limit: int) -> Finding:
    large: dict[str, int] = {}
    empty: list[str] = []
    for node in plan.nodes:
        if node.sequential and node.table:
            rows = max(seen.rows.get(node.table, 0), int((node.rows * node.loops + node.removed) / max(node.loops, 1)))
            if rows > limit:
                large[".".join(node.table)] = rows
            elif not rows:
                empty.append(".".join(node.table))
    if large:
        told = ", ".join(f"{name} (about {rows:,} rows)" for name, rows in large.items())
        text = f"It reads from the beginning: {told}; tables of up to {limit:,} rows may be."
        return _found(SEQUENTIAL, query.name, Status.FAIL, text, "Build an index for its condition: pg_index.")
    scanned = [node.table for node in plan.nodes if node.table]
    if empty or (scanned and not any(seen.rows.get(table, 0) for table in scanned)):
        text = f"It reads from the beginning what has no rows: {', '.join(empty)}." if empty else _EMPTY
        return _found(SEQUENTIAL, query.name, Status.NOT_TESTED, text, _FILL)
    return _found(SEQUENTIAL, query.name, Status.PASS, f"No table of more than {limit:,} rows is read so.")


def _says_nothing(plan: Explained, seen: Observed) -> bool:
    """Whether all of its tables are empty, as far as anybody knows: then any plan is cheap."""
    tables = [node for node in plan.nodes if node.table]
    return bool(tables) and not any(
        seen.rows.get(node.table, 0) or node.rows or node.removed for node in tables if node.table
    )


def _compared(tried: Tried, plan: Explained, before: Any, factor: float) -> Finding:
    name = tried.query.name
    if before is None:
        return _found(
            BASELINE, name, Status.NOT_TESTED, "It is new: there is nothing to compare with.", "Say update_baseline."
        )
    now = measure(plan)
    worse = []
    for key, words, cheap in (
        ("cost", "cost", _CHEAP_COST),
        ("blocks", "blocks read", 100),
        ("removed", "rows removed", 100),
    ):
        old, new = float(before.get(key, 0)), float(now[key])
        if new > max(old, cheap) * factor:
            worse.append(f"{words} {old:,.0f} -> {new:,.0f}")
    old_indexes, new_indexes = before.get("indexes", []), now["indexes"]
    lost = [index for index in old_indexes if index not in new_indexes]
    cost, ms = float(before.get("cost", 0)), float(before.get("ms", 0))
    text = f"Cost {cost:,.2f} -> {plan.cost:,.2f}, {ms:,.2f} -> {plan.ms:,.2f} ms"
    text += f", no longer used: {', '.join(lost)}" if lost else ""
    if worse:
        remedy = "Look at both plans (report); accept it with update_baseline."
        return _found(
            BASELINE, name, Status.FAIL, f"Worse by more than {factor:g}: {', '.join(worse)}. {text}.", remedy
        )
    return _found(BASELINE, name, Status.PASS, f"{text}.")


def measure(plan: Explained) -> dict[str, Any]:
    """What a baseline keeps of a plan."""
    return {
        "cost": plan.cost,
        "ms": plan.ms,
        "blocks": plan.blocks,
        "removed": plan.removed,
        "indexes": list(plan.indexes),
    }


def measured(seen: Observed) -> dict[str, Any]:
    """The baseline of all queries that could be run."""
    return {tried.query.name: measure(tried.explained) for tried in seen.tried if tried.explained}


def _told(node: Node) -> str:
    where = f" on {'.'.join(part for part in node.table if part)}" if node.table else ""
    return f"{node.kind}{where}"


def _found(title: str, subject: str, status: Status, evidence: str, remedy: str = "") -> Finding:
    return Finding("P-5", subject, Severity.HIGH, status, evidence, remedy, title=title)
