# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a run, for the change's file: everything that was seen and done, as JSON and for a person. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA_VERSION = 1
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
MIGRATED, NOTHING, AS_BEFORE, BROKEN = "migrated", "nothing to do", "as before", "not as before"
REHEARSED = "rehearsed"
# Exit statuses of the stages, in the order in which they are made.
STAGES = ("guard", "lint", "drift", "backup", "rehearsal", "drain", "apply", "verify", "record")


@dataclass(frozen=True)
class Stage:
    """One stage."""

    name: str
    status: str
    seconds: float
    detail: str = ""
    problems: tuple[str, ...] = ()


@dataclass
class Record:
    """A run.

    :param verdict: ``migrated``, ``nothing to do``, ``rehearsed`` (it was only asked), ``as before`` or
        ``not as before``.
    :param words: how it ended, in plain words.
    """

    id: str
    database: str
    host: str
    who: str
    started: str
    verdict: str = ""
    words: str = ""
    failed_stage: str = ""
    seconds: float = 0.0
    role: str = ""
    layout: str = ""
    set: str = ""
    way_back: str = ""
    kept: str = ""
    resumed: str = ""
    stages: list[Stage] = field(default_factory=list)
    migrations: list[dict[str, Any]] = field(default_factory=list)
    statements: list[dict[str, Any]] = field(default_factory=list)
    locks: list[dict[str, Any]] = field(default_factory=list)
    wrong_downs: dict[str, str] = field(default_factory=dict)
    waits: list[str] = field(default_factory=list)
    lint: Mapping[str, Any] = field(default_factory=dict)
    plans: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether all went well."""
        return self.verdict in (MIGRATED, NOTHING, REHEARSED)

    @property
    def exit_status(self) -> int:
        """0, or 10 and the number of the stage that failed, which is 1 for the guard."""
        return 0 if self.passed else 10 + (STAGES.index(self.failed_stage) + 1 if self.failed_stage in STAGES else 0)


def to_json(record: Record) -> str:
    """For programs."""
    facts = {"schema_version": SCHEMA_VERSION, **asdict(record), "passed": record.passed}
    return json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def to_markdown(record: Record) -> str:
    """For a person."""
    lines = [
        f"# Migration of {record.database}: {record.verdict}",
        "",
        record.words,
        "",
        f"- run: {record.id}, by {record.who} on {record.host}, began {record.started}, {record.seconds:.1f} s",
        f"- layout: {record.layout or 'unknown'}, under role {record.role or 'unknown'}",
        f"- set of backups made before: {record.set or 'none'}",
        *([f"- continued: {record.resumed}"] if record.resumed else []),
        *([f"- way back: {record.way_back}"] if record.way_back else []),
        *([f"- kept: database {record.kept}"] if record.kept else []),
        "",
        *_table("Stages", ("stage", "status", "s", "what was seen"), [_stage(stage) for stage in record.stages]),
        *_table(
            "Migrations",
            ("id", "file", "way back by a file"),
            [(item["id"], item["path"], item["down"]) for item in record.migrations],
        ),
        *_table(
            "Rehearsal, statement by statement",
            ("file", "s", "rows", "locks", "rewritten", "statement"),
            [
                (
                    f"{item['file']}:{item['line']}",
                    f"{item['seconds']:.3f}",
                    item["rows"] if item["rows"] >= 0 else "",
                    ", ".join(f"{mode} {name}" for mode, name in item["locks"] if _blocks(mode)),
                    ", ".join(item["rewritten"]),
                    f"`{item['statement']}`",
                )
                for item in record.statements
            ],
        ),
        *_table(
            "Locks until the commit",
            ("file", "mode", "object", "s"),
            [
                (item["file"], item["mode"], item["object"], f"{item['seconds']:.3f}")
                for item in record.locks
                if _blocks(item["mode"])
            ],
        ),
        *_table("Attempts that had to wait", ("where",), [(wait,) for wait in record.waits]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _blocks(mode: str) -> bool:
    return mode in ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")


def _stage(stage: Stage) -> tuple[str, str, str, str]:
    return stage.name, stage.status, f"{stage.seconds:.1f}", "; ".join([*stage.problems, stage.detail]).strip("; ")


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    if not rows:
        return []
    body = [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return [f"## {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body, ""]


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
