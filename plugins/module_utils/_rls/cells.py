# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an identity can reach in a table with a command, and the findings that follow. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Control, Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

CONTROL = "T-1"
CONTROLS = (
    Control(
        CONTROL, "Row-level security regression", Severity.CRITICAL, "No identity sees or writes another tenant's rows."
    ),
)


class Level(Enum):
    """How far an identity comes, from the least to the most. UNKNOWN is no level: the attempt proves nothing."""

    NO_PRIVILEGE = "no privilege"
    NONE = "none"
    OWN = "own"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"

    @property
    def reach(self) -> int:
        """How much is reached; a privilege without a row is nothing."""
        return max(list(Level).index(self), 1)


@dataclass(frozen=True)
class Cell:
    """One identity, one table, one command.

    :param said: what happened, in words; for UNKNOWN the reason.
    :param sqlstate: of the error that ended the attempt; empty: none did, or it is the refusal that was expected.
    :param sees: it is declared to see rows of this table.
    :param missing: what it should reach according to the declaration, and does not: the positive control failed.
    """

    identity: str
    table: str
    command: str
    level: Level
    said: str = ""
    sqlstate: str = ""
    missing: bool = False
    nobody: bool = False
    sees: bool = False

    @property
    def subject(self) -> str:
        """As findings name it."""
        return f"{self.identity}: {self.command} {self.table}"


Matrix = Mapping[str, Mapping[str, Mapping[str, str]]]


def matrix(cells: Iterable[Cell]) -> dict[str, dict[str, dict[str, str]]]:
    """identity -> table -> command -> level, as a module returns it."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for cell in cells:
        found.setdefault(cell.identity, {}).setdefault(cell.table, {})[cell.command] = cell.level.value
    return found


def complete(found: Matrix) -> Matrix:
    """The same matrix, fit for a snapshot.

    :raises DbopsError: there is none, or something in it proves nothing.
    """
    unknown = [
        f"{identity}: {command} {table}"
        for identity, tables in found.items()
        for table, commands in tables.items()
        for command, level in commands.items()
        if level == Level.UNKNOWN.value
    ]
    if unknown or not found:
        why = f"{len(unknown)} attempts proved nothing: {', '.join(unknown[:5])}" if unknown else "nothing was tried"
        raise DbopsError(f"The snapshot was not written: {why}", "Read the findings of a run without write_snapshot.")
    return found


_DEEDS = {"SELECT": "sees", "INSERT": "can insert", "UPDATE": "can update or give away", "DELETE": "can delete"}
_CAST = ("22P02", "22007", "22008", "22003")  # '' is no uuid, no date, no number


def findings(cells: Sequence[Cell]) -> list[Finding]:
    """One finding for each cell in which something is wrong, and one for each identity that is as declared."""
    found = [*_casts(cells), *_powerless(cells)]
    good: dict[str, int] = {}
    bad = {finding.subject for finding in found}
    for cell in cells:
        finding = _finding(cell)
        if finding is None:
            tried = cell.level is not Level.NO_PRIVILEGE
            good[cell.identity] = good.get(cell.identity, 0) + tried
        else:
            bad.add(cell.identity)
            found.append(finding)
    for identity, count in good.items():
        if identity not in bad:
            tables = len({cell.table for cell in cells if cell.identity == identity})
            said = f"{count} attempts on {tables} tables: reaches its own rows as declared, and no others"
            if not count:
                said = f"no privilege on any of {tables} tables, and declared to see none"
            found.append(Finding(CONTROL, f"identity {identity}", Severity.CRITICAL, Status.PASS, said))
    return found


def _powerless(cells: Sequence[Cell]) -> list[Finding]:
    """An identity that may do nothing at all proves nothing, unless it is declared to see nothing."""
    mine: dict[str, list[Cell]] = {}
    for cell in cells:
        mine.setdefault(cell.identity, []).append(cell)
    return [
        Finding(
            CONTROL,
            identity,
            Severity.CRITICAL,
            Status.ERROR,
            "the positive control failed: its role has no privilege on any of these tables, so nothing was tried",
            "GRANT it what the application has, or name the role as which the application acts.",
        )
        for identity, theirs in mine.items()
        if any(cell.sees for cell in theirs) and all(cell.level is Level.NO_PRIVILEGE for cell in theirs)
    ]


def _casts(cells: Sequence[Cell]) -> list[Finding]:
    """One finding for each identity without a tenant for which policies fail, however many tables that concerns."""
    failed: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.nobody and cell.sqlstate in _CAST and cell.level is not Level.FOREIGN:
            failed.setdefault(cell.identity, []).append(cell)
    return [
        Finding(
            CONTROL,
            identity,
            Severity.MEDIUM,
            Status.FAIL,
            "on a connection that had a tenant before, policies fail instead of refusing, on "
            + ", ".join(dict.fromkeys(cell.table for cell in mine))
            + f": {mine[0].said}",
            "A setting that was made once is '' afterwards, not NULL: write"
            " nullif(current_setting('...', true), '')::uuid.",
        )
        for identity, mine in failed.items()
    ]


def _finding(cell: Cell) -> Finding | None:
    if cell.level is Level.FOREIGN:
        return Finding(
            CONTROL,
            cell.subject,
            Severity.CRITICAL,
            Status.FAIL,
            f"{cell.identity} {_DEEDS[cell.command]} rows of others in {cell.table}: {cell.said}",
            f"Look at the policies for {cell.command} on {cell.table}; if it is meant so, declare it in the spec file.",
        )
    if cell.level is Level.UNKNOWN:
        return Finding(
            CONTROL,
            cell.subject,
            Severity.CRITICAL,
            Status.ERROR,
            f"not proven: {cell.said}",
            "Make the attempt possible: rows, predicates and privileges as the guide says.",
        )
    if cell.missing:
        return Finding(
            CONTROL,
            cell.subject,
            Severity.CRITICAL,
            Status.ERROR,
            f"the positive control failed, so that the refusals prove nothing: {cell.said}",
            "If it is meant so, declare it: sees or writes of this table, false or a narrower condition.",
        )
    return None
