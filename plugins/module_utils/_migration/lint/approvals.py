# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals on record: in the file, or in a file of approvals. Pure.

``-- dbops: approve <rule> by <who> because <why> until <YYYY-MM-DD>`` just above a statement is for that statement;
above the first one, with an empty line between, it is for the whole file.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import REGISTRY
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.statement import Script
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_COMMENT = re.compile(
    r"approve\s+(?P<rule>\S+)\s+by\s+(?P<by>.+?)\s+because\s+(?P<because>.+)\s+until\s+(?P<until>\d{4}-\d\d-\d\d)\s*$"
)
_SHAPE = "-- dbops: approve <rule> by <who> because <why> until <YYYY-MM-DD>"
_KEYS = frozenset(("rule", "file", "statement", "object", "by", "because", "until"))
_NEEDED = ("rule", "file", "by", "because", "until")


@dataclass(frozen=True)
class Approval:
    """Somebody has looked at it and takes the responsibility.

    :param line: where the statement begins; 0: for the whole file.
    :param statement: words that stand in the statement; empty: any.
    :param place: where the approval itself stands.
    """

    rule: str
    file: str
    by: str
    because: str
    until: datetime.date
    line: int = 0
    statement: str = ""
    object: str = ""
    place: str = ""

    def covers(self, rule: str, file: str, line: int, statement: str, object_name: str) -> bool:
        """Whether it is meant for this finding, expired or not."""
        return (
            self.rule == rule
            and self.file == file
            and self.line in (0, line)
            and (not self.statement or _words(self.statement) in _words(statement))
            and self.object in ("", object_name)
        )

    def in_file(self, file: str) -> Approval:
        """The same for a file by another name."""
        return replace(self, file=file)


@dataclass(frozen=True)
class BadApproval:
    """One that says nothing, because of what is wrong with it."""

    file: str
    line: int
    problem: str
    remedy: str


def _words(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(";")


def in_file(path: str, script: Script, known: Iterable[str]) -> tuple[list[Approval], list[BadApproval]]:
    """The approvals among the comments of a file."""
    approvals: list[Approval] = []
    bad: list[BadApproval] = []
    lines = script.text.splitlines()
    for comment in script.comments:
        if not comment.text.startswith("approve"):
            continue
        match = _COMMENT.match(comment.text)
        if not match:
            bad.append(BadApproval(path, comment.line, "It is not a complete approval", f"Write it as: {_SHAPE}"))
            continue
        problem = _unknown(match["rule"], known)
        until = _date(match["until"])
        if problem or until is None:
            said = problem or f"There is no day {match['until']}"
            bad.append(BadApproval(path, comment.line, said, f"Write it as: {_SHAPE}"))
            continue
        line = _meant(comment.line, script, lines)
        place = f"{path}:{comment.line}"
        approvals.append(Approval(match["rule"], path, match["by"], match["because"], until, line, place=place))
    return approvals, bad


def _meant(line: int, script: Script, lines: Sequence[str]) -> int:
    """The line of the statement right below, 0 for the whole file at its head, -1 where it stands above nothing."""
    below = next((statement.line for statement in script.own() if statement.line > line), -1)
    if below == -1:
        return -1
    apart = any(not text.strip() for text in lines[line : below - 1])
    if apart:
        return 0 if line < script.first_line else -1
    return below


def from_list(entries: Any, place: str, known: Iterable[str]) -> list[Approval]:
    """The approvals of a file of them (a list of mappings).

    :raises DbopsError: an entry is not one, with its number.
    """
    if not isinstance(entries, list):
        raise DbopsError(f"{place} is not a list of approvals", f"Each entry has: {', '.join(_NEEDED)}.")
    return [_entry(entry, f"{place}, entry {number}", known) for number, entry in enumerate(entries, 1)]


def _entry(entry: Any, place: str, known: Iterable[str]) -> Approval:
    if not isinstance(entry, Mapping):
        raise DbopsError(f"{place} is not a mapping", f"It has: {', '.join(_NEEDED)}.")
    missing = [key for key in _NEEDED if not entry.get(key)]
    unknown = sorted(set(map(str, entry)) - _KEYS)
    if missing or unknown:
        what = f"lacks {', '.join(missing)}" if missing else f"has unknown keys: {', '.join(unknown)}"
        raise DbopsError(f"{place} {what}", f"Keys are: {', '.join(sorted(_KEYS))}.")
    rule = str(entry["rule"])
    problem = _unknown(rule, known)
    until = _date(str(entry["until"]))
    if problem or until is None:
        raise DbopsError(f"{place}: {problem or 'until is not a day, YYYY-MM-DD'}", "Correct the entry.")
    return Approval(
        *(rule, str(entry["file"]), str(entry["by"]), str(entry["because"]), until),
        statement=str(entry.get("statement") or ""),
        object=str(entry.get("object") or ""),
        place=place,
    )


def _unknown(rule: str, known: Iterable[str]) -> str:
    return "" if rule in REGISTRY.rules or rule in known else f"There is no rule {rule!r}"


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None
