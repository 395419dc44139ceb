# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ENUMs may be there: those of a list of states that never change (E-6). Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status

CONTROL = "E-6"


@dataclass(frozen=True)
class EnumType:
    """An ENUM type and the columns that use it: schema, table, column."""

    schema: str
    name: str
    labels: tuple[str, ...]
    columns: tuple[tuple[str, str, str], ...]

    @property
    def label(self) -> str:
        """With its schema."""
        return f"{self.schema}.{self.name}"


def judge(types: Sequence[EnumType], allowed: Sequence[str], database: str) -> list[Finding]:
    """A finding for each ENUM, and one for each allowed name that is of none; one that all is well when there are none.

    :param allowed: names or shell patterns of types, with or without their schema.
    """
    if not types:
        return [_finding(database, Status.PASS, "there is no ENUM type")]
    return [_judged(item, allowed, database) for item in types]


def unused(types: Sequence[EnumType], allowed: Sequence[str]) -> list[str]:
    """Entries of the list that allow nothing that is there."""
    return [pattern for pattern in allowed if not any(_allows(pattern, item) for item in types)]


def _judged(item: EnumType, allowed: Sequence[str], database: str) -> Finding:
    values = f"{len(item.labels)} values ({', '.join(item.labels[:5])}{', ...' if len(item.labels) > 5 else ''})"
    if any(_allows(pattern, item) for pattern in allowed):
        return _finding(f"type {item.label}", Status.PASS, f"on the list of static states; {values}")
    if not item.columns:
        return _finding(
            f"type {item.label}",
            Status.FAIL,
            f"{values}; no column uses it",
            f"DROP TYPE {item.label}, in a migration.",
        )
    schema, table, column = item.columns[0]
    return _finding(
        f"type {item.label}",
        Status.FAIL,
        f"{values}; used by {', '.join('.'.join(names) for names in item.columns)}",
        "Write the migrations to a lookup table: ansible localhost -m dbops.postgres.pg_enum_to_lookup -a "
        f"'login_db={database} schema={schema} table={table} column={column} dest=migrations version=...'. "
        "When its values never change, add the type to the list.",
    )


def _allows(pattern: str, item: EnumType) -> bool:
    return fnmatch.fnmatchcase(item.label, pattern) or fnmatch.fnmatchcase(item.name, pattern)


def _finding(subject: str, status: Status, evidence: str, remedy: str = "") -> Finding:
    return Finding(CONTROL, subject, Severity.HIGH, status, evidence, remedy, title="ENUM types are static states")
