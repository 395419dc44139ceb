# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The receipt of a drill: what was restored, each step with its time, and what follows from it. Pure.

A drill *fails* when the backup is not what it should be, and ends in an *error* when the drill itself could not be
held (no disk space, a missing extension). Neither counts as passed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA_VERSION = 1

PASSED, FAILED, ERROR, NOT_REACHED = "passed", "failed", "error", "not reached"
_ORDER = (ERROR, FAILED, NOT_REACHED, PASSED)  # the worst first

# Every step of a drill in its order, so that a receipt also shows what was not reached.
STEPS = (
    "set",
    "manifest",
    "freshness",
    "disk space",
    "objects",
    "scratch cluster",
    "globals",
    "extensions and roles",
    "restore",
    "contents",
    "schema",
    "integrity",
    "smoke queries",
    "newest rows",
    "write",
    "removal",
)


@dataclass(frozen=True)
class DrillStep:
    """One step: what was done, or why it did not hold.

    :param problems: one line each, with the name of the table, file or role.
    """

    name: str
    status: str
    seconds: float
    detail: str = ""
    problems: tuple[str, ...] = ()
    remedy: str = ""


@dataclass(frozen=True)
class RestoredDatabase:
    """A database as it was restored."""

    name: str
    tables: int
    rows: int
    seconds: float


@dataclass(frozen=True)
class Receipt:
    """What a drill leaves.

    :param id: moment of its start and the generated name of its cluster: ``20261124T031500Z-4f0c12ab9d3e``.
    :param set: the set that was restored; empty: none was found.
    :param target: where the set came from.
    :param set_time: of the snapshot, seconds since 1970; 0: none was found.
    :param started: seconds since 1970.
    :param seconds: how long all of it took, the proof and the removal included.
    :param rto_seconds: from the start until the last database was restored; 0: it never was.
    :param rpo_seconds: age of the snapshot when the drill started: what a loss at that moment would have cost.
    :param rto_target_seconds: 0: none was declared.
    :param every_days: how old the last drill may become, for whoever judges this receipt later.
    """

    id: str
    host: str
    set: str
    target: str
    set_time: float
    started: float
    seconds: float
    rto_seconds: float
    rpo_seconds: float
    rto_target_seconds: float
    every_days: float
    server_version: str
    level: str
    steps: tuple[DrillStep, ...]
    databases: tuple[RestoredDatabase, ...] = ()

    @property
    def verdict(self) -> str:
        """The worst of its steps; an error comes first, because what it hides is not known."""
        found = {step.status for step in self.steps}
        return next((status for status in (ERROR, FAILED) if status in found), PASSED if self.complete else ERROR)

    @property
    def complete(self) -> bool:
        """Whether every step was made."""
        return tuple(step.name for step in self.steps if step.status != NOT_REACHED) == STEPS

    @property
    def passed(self) -> bool:
        """Whether the backup is proven."""
        return self.verdict == PASSED

    @property
    def problems(self) -> list[str]:
        """Everything that did not hold, one line each."""
        return [problem for step in self.steps for problem in step.problems]

    @property
    def summary(self) -> str:
        """One line for a log and a metric's reader."""
        where = f"set {self.set}" if self.set else "no set"
        if self.passed:
            rows = sum(database.rows for database in self.databases)
            return (
                f"{where}: restored and proven, {len(self.databases)} database(s), {rows} rows, "
                f"restored in {duration(self.rto_seconds)}, {duration(self.rpo_seconds)} old"
            )
        first = next(iter(self.problems), "no step says why")
        more = len(self.problems) - 1
        return f"{where}: {self.verdict}: {first}{f' (and {more} more)' if more > 0 else ''}"


def filled(steps: Iterable[DrillStep]) -> tuple[DrillStep, ...]:
    """The steps that were made, and those that were not reached, in their order."""
    made = {step.name: step for step in steps}
    return tuple(made.get(name, DrillStep(name, NOT_REACHED, 0.0)) for name in STEPS)


def duration(seconds: float) -> str:
    """As a person says it: ``4.2 s``, ``3 min 5 s``, ``2 h 10 min``, ``3 d 4 h``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, name, part, below in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {name}{f' {rest} {below}' if rest else ''}"
    raise AssertionError(seconds)


def size_of(number: float) -> str:
    """Bytes as a person says them: ``1.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TB"


def to_json(receipt: Receipt) -> str:
    """The receipt as JSON; ``schema_version`` changes when a reader would break."""
    data = {
        "schema_version": SCHEMA_VERSION,
        "verdict": receipt.verdict,
        "passed": receipt.passed,
        "summary": receipt.summary,
        **asdict(receipt),
    }
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def from_dict(data: Mapping[str, Any]) -> Receipt:
    """The reverse; raises KeyError, TypeError or ValueError for anything else."""
    if data["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema_version {data['schema_version']!r} is not {SCHEMA_VERSION}")
    derived = ("schema_version", "verdict", "passed", "summary", "steps", "databases")
    return Receipt(
        **{key: value for key, value in data.items() if key not in derived},
        steps=tuple(DrillStep(**{**step, "problems": tuple(step["problems"])}) for step in data["steps"]),
        databases=tuple(RestoredDatabase(**database) for database in data["databases"]),
    )


def to_markdown(receipt: Receipt, started: str) -> str:
    """The receipt for a person.

    :param started: the moment of its start as text.
    """
    lines = [
        f"# Restore drill {receipt.id}: {receipt.verdict}",
        "",
        f"{_md(receipt.summary)}.",
        "",
        "| | |",
        "|---|---|",
        f"| started | {_md(started)} on {_md(receipt.host)} |",
        f"| set | {_md(receipt.set or 'none')} at {_md(receipt.target or 'no target')} |",
        f"| PostgreSQL | {_md(receipt.server_version or 'unknown')} |",
        f"| compared | {_md(receipt.level or 'nothing')} |",
        f"| RTO, measured | {_rto(receipt)} |",
        f"| RPO, measured | {duration(receipt.rpo_seconds) if receipt.set_time else 'no set'} |",
        f"| whole drill | {duration(receipt.seconds)} |",
        "",
        "| step | result | time | |",
        "|---|---|---:|---|",
        *(
            f"| {step.name} | {step.status} | {duration(step.seconds) if step.status != NOT_REACHED else ''} "
            f"| {_md(step.detail)} |"
            for step in receipt.steps
        ),
    ]
    if receipt.databases:
        lines += ["", "| database | tables | rows | restored in |", "|---|---:|---:|---:|"]
        lines += [
            f"| {_md(item.name)} | {item.tables} | {item.rows} | {duration(item.seconds)} |"
            for item in receipt.databases
        ]
    for step in receipt.steps:
        if step.problems:
            lines += ["", f"## {step.name}: {step.status}", "", *(f"- {_md(text)}" for text in step.problems)]
            lines += ["", f"{_md(step.remedy)}"] if step.remedy else []
    return "\n".join(lines) + "\n"


def _rto(receipt: Receipt) -> str:
    if not receipt.rto_seconds:
        return "never restored"
    text = duration(receipt.rto_seconds)
    if not receipt.rto_target_seconds:
        return text
    held = "within" if receipt.rto_seconds <= receipt.rto_target_seconds else "**over**"
    return f"{text}, {held} the target of {duration(receipt.rto_target_seconds)}"


def _md(text: str) -> str:
    # Names come from a database that somebody else wrote: nothing of them may become markup.
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text.replace("\n", " "))


def expired(names: Sequence[str], keep: int) -> list[str]:
    """Of the names of receipts (they begin with their moment) those that are to go, the oldest first."""
    return sorted(names)[: max(len(names) - keep, 0)]
