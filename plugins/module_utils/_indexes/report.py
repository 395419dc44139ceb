# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules, and how a finding about one is written. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Control, Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import Definition, Index, Observed, Table

CONTROLS = (
    Control("P-2", "JSONB search index", Severity.MEDIUM, "A JSONB column that is searched has a GIN index."),
    Control("P-4", "Index review", Severity.HIGH, "Required indexes exist, are valid and are used; no other costs."),
)


@dataclass(frozen=True)
class Rule:
    """One thing that is looked at; the severity is that of breaking it."""

    title: str
    severity: Severity
    control: str = "P-4"


REQUIRED = Rule("required index", Severity.HIGH)
INVALID = Rule("invalid index", Severity.HIGH)
DUPLICATE = Rule("duplicate index", Severity.MEDIUM)
REDUNDANT = Rule("redundant index", Severity.MEDIUM)
FOREIGN_KEY = Rule("foreign key without index", Severity.HIGH)
UNUSED = Rule("unused index", Severity.MEDIUM)
SEQUENTIAL = Rule("sequential scans", Severity.MEDIUM)
CARDINALITY = Rule("low cardinality", Severity.MEDIUM)
BLOAT = Rule("bloat", Severity.MEDIUM)
JSONB = Rule("JSONB without GIN", Severity.MEDIUM, "P-2")


@dataclass(frozen=True)
class Total:
    """An index together with those of the partitions that are attached to it."""

    scans: int = 0
    bytes: int = 0


def found(
    rule: Rule, subject: str, status: Status, evidence: str, remedy: str = "", severity: Severity | None = None
) -> Finding:
    """A finding about a rule."""
    return Finding(rule.control, subject, severity or rule.severity, status, evidence, remedy, title=rule.title)


def totals(seen: Observed) -> Mapping[int, Total]:
    """Scans and size of every index; scans on all nodes, those of a partition also for what it is attached to."""
    parents = {index.oid: index.parent for index in seen.indexes}
    counted = dict.fromkeys(parents, Total())
    for index in seen.indexes:
        scans = sum(node.scans.get(index.oid, 0) for node in seen.nodes)
        above = index.oid
        while above in counted:
            counted[above] = Total(counted[above].scans + scans, counted[above].bytes + index.bytes)
            above = parents[above]
    return counted


def keeping(total: Total, table: Table, seen: Observed) -> str:
    """What it costs to keep an index."""
    since = f" since {seen.nodes[0].since:%Y-%m-%d}" if seen.nodes else ""
    writes = _writes(table, seen)
    return f"{size(total.bytes)}, {writes:,} writes to it{since}, {total.scans:,} scans."


def _writes(table: Table, seen: Observed) -> int:
    if table.kind != "p":
        return table.index_writes
    return sum(_writes(part, seen) for part in seen.tables.values() if part.parent == table.oid)


def described(definition: Definition) -> str:
    """A definition as a person reads it: ``unique (provider, provider_user_id)``."""
    keys = ", ".join(
        (key.column or key.expression)
        + (f" {key.opclass}" if key.opclass and not key.default_opclass else "")
        + (" desc" if key.descending else "")
        for key in definition.keys
    )
    text = f"unique ({keys})" if definition.unique else f"({keys})"
    if definition.method != "btree":
        text = f"{definition.method} {text}"
    if definition.include:
        text += f" include ({', '.join(definition.include)})"
    return f"{text} where {definition.predicate}" if definition.predicate else text


def size(count: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 10240 or unit == "GB":
            break
        count /= 1024
    return f"{count:,.0f} {unit}"


def leftover(index: Index) -> bool:
    """Whether an invalid index is one that a REINDEX CONCURRENTLY left beside the real one (PostgreSQL manual, REINDEX,
    "Rebuilding Indexes Concurrently")."""
    name = index.name.rstrip("0123456789")
    return not index.valid and not index.constraint and name.endswith(("_ccnew", "_ccold"))
