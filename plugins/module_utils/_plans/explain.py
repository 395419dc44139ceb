# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the output of EXPLAIN (ANALYZE, BUFFERS, SETTINGS, VERBOSE, FORMAT JSON) says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# A number of rows that is wrong by a factor matters when there are some.
_MANY = 100


@dataclass(frozen=True)
class Node:
    """One step of a plan, with the numbers of all its loops together.

    :param depth: how far below the top.
    :param limited: below a Limit, which stops it early: fewer rows than estimated are no error then.
    """

    kind: str
    depth: int
    table: tuple[str, str] | None
    index: str
    estimated: float
    rows: float
    loops: float
    removed: float
    filter: str
    cost: float
    ms: float
    limited: bool

    @property
    def factor(self) -> float:
        """How far the estimate is off, 1 for right."""
        if not self.loops or max(self.estimated, self.rows) < _MANY:
            return 1.0
        if self.limited and self.rows < self.estimated:
            return 1.0
        low, high = sorted((max(self.estimated, 1.0), max(self.rows, 1.0)))
        return high / low

    @property
    def sequential(self) -> bool:
        """Whether it read a table from its beginning."""
        return self.kind == "Seq Scan" and bool(self.loops)


@dataclass(frozen=True)
class Explained:
    """A plan that was executed."""

    nodes: tuple[Node, ...]
    cost: float
    ms: float
    planning_ms: float
    blocks: int
    settings: Mapping[str, str]

    @property
    def indexes(self) -> tuple[str, ...]:
        """The indexes that were read, each once."""
        return tuple(dict.fromkeys(node.index for node in self.nodes if node.index and node.loops))

    @property
    def removed(self) -> float:
        """The most rows that one step read and dropped."""
        return max((node.removed for node in self.nodes), default=0.0)


def read(document: Any) -> Explained:
    """The JSON of EXPLAIN, as a list with one element."""
    whole: Mapping[str, Any] = document[0]
    top = whole["Plan"]
    return Explained(
        nodes=tuple(_walk(top, 0, False)),
        cost=float(top["Total Cost"]),
        ms=float(whole.get("Execution Time", 0.0)),
        planning_ms=float(whole.get("Planning Time", 0.0)),
        blocks=int(top.get("Shared Hit Blocks", 0)) + int(top.get("Shared Read Blocks", 0)),
        settings=dict(whole.get("Settings", {})),
    )


def _walk(plan: Mapping[str, Any], depth: int, limited: bool) -> Iterator[Node]:
    loops = float(plan.get("Actual Loops", 0))
    names = ("Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck")
    kind = str(plan["Node Type"])
    name = plan.get("Relation Name")
    yield Node(
        kind=kind,
        depth=depth,
        table=(str(plan.get("Schema", "")), str(name)) if name else None,
        index=str(plan.get("Index Name", "")),
        estimated=float(plan.get("Plan Rows", 0)),
        rows=float(plan.get("Actual Rows", 0)),
        loops=loops,
        removed=sum(float(plan.get(key, 0)) for key in names) * loops,
        filter=str(plan.get("Filter") or plan.get("Join Filter") or ""),
        cost=float(plan["Total Cost"]),
        ms=float(plan.get("Actual Total Time", 0)) * loops,
        limited=limited,
    )
    for child in plan.get("Plans", ()):
        yield from _walk(child, depth + 1, limited or kind == "Limit")


def drawn(explained: Explained) -> list[str]:
    """The plan as indented lines, for a person."""
    lines = []
    for node in explained.nodes:
        what = node.kind
        if node.index:
            what += f" using {node.index}"
        if node.table:
            what += f" on {'.'.join(part for part in node.table if part)}"
        if not node.loops:
            lines.append(f"{'  ' * node.depth}{what}  (never executed)")
            continue
        told = f"cost {node.cost:,.2f}, rows {node.rows:,.0f} of {node.estimated:,.0f} estimated"
        told += f", {node.loops:,.0f} loops" if node.loops > 1 else ""
        told += f", {node.removed:,.0f} removed by {node.filter or 'recheck'}" if node.removed else ""
        lines.append(f"{'  ' * node.depth}{what}  ({told}, {node.ms:,.2f} ms)")
    return lines
