# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The matrix as a file that is committed, and what has changed since. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._rls.cells import CONTROL, Level, Matrix

VERSION = 1


def dump(matrix: Matrix) -> str:
    """The file: sorted, a line for each table, so that a difference is read in a review."""
    lines = ["{", f'  "schema_version": {VERSION},', '  "identities": {']
    identities = sorted(matrix)
    for identity in identities:
        lines.append(f"    {json.dumps(identity)}: {{")
        tables = sorted(matrix[identity])
        for table in tables:
            comma = "" if table == tables[-1] else ","
            levels = json.dumps(dict(sorted(matrix[identity][table].items())))
            lines.append(f"      {json.dumps(table)}: {levels}{comma}")
        lines.append("    }" + ("" if identity == identities[-1] else ","))
    return "\n".join([*lines, "  }", "}"]) + "\n"


def load(text: str, name: str) -> Matrix:
    """The reverse.

    :raises DbopsError: it is no snapshot.
    """
    try:
        data = json.loads(text)
        if data["schema_version"] != VERSION:
            raise ValueError(data["schema_version"])
        for tables in data["identities"].values():
            for commands in tables.values():
                for level in commands.values():
                    Level(level)
        matrix: Matrix = data["identities"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DbopsError(
            f"{name} is no snapshot of a matrix", "Write it anew with write_snapshot: true, and look at the difference."
        ) from None
    return matrix


def compare(before: Matrix, now: Matrix) -> list[Finding]:
    """A finding for each widening; one for the narrowings, which fail nothing but should be written down."""
    wider = [change for change in _changes(before, now) if change[2].reach > change[1].reach]
    narrower = [change for change in _changes(before, now) if change[2].reach < change[1].reach]
    found = [
        Finding(
            CONTROL,
            subject,
            Severity.CRITICAL,
            Status.FAIL,
            f"wider than the snapshot: {old.value} -> {new.value}",
            "Take the change back; if it is meant so, write the snapshot anew and have it reviewed.",
            title="snapshot",
        )
        for subject, old, new in wider
    ]
    unknown = sum(level == Level.UNKNOWN.value for t in now.values() for c in t.values() for level in c.values())
    if unknown and not wider:
        found.append(
            Finding(
                CONTROL,
                "snapshot",
                Severity.CRITICAL,
                Status.NOT_TESTED,
                f"{unknown} attempts proved nothing, so they cannot be compared; nothing else is wider",
                title="snapshot",
            )
        )
    elif not wider:
        told = "; ".join(f"{subject}: {old.value} -> {new.value}" for subject, old, new in narrower)
        found.append(
            Finding(
                CONTROL,
                "snapshot",
                Severity.CRITICAL,
                Status.PASS,
                f"nobody reaches more than in the snapshot; narrower: {told}" if told else "equal to the snapshot",
                title="snapshot",
            )
        )
    return found


def narrowed(before: Matrix, now: Matrix) -> list[str]:
    """What is reached less than in the snapshot."""
    return [
        f"{subject}: {old.value} -> {new.value}" for subject, old, new in _changes(before, now) if new.reach < old.reach
    ]


def _changes(before: Matrix, now: Matrix) -> Iterator[tuple[str, Level, Level]]:
    """What is not in the snapshot was not reached. UNKNOWN is a finding of its own, and no change."""
    for identity in sorted({*before, *now}):
        old, new = before.get(identity, {}), now.get(identity, {})
        for table in sorted({*old, *new}):
            commands = {**old.get(table, {}), **new.get(table, {})}
            for command in sorted(commands):
                was = Level(old.get(table, {}).get(command, Level.NO_PRIVILEGE.value))
                is_now = Level(new.get(table, {}).get(command, Level.NO_PRIVILEGE.value))
                if Level.UNKNOWN not in (was, is_now):
                    yield f"{identity}: {command} {table}", was, is_now
