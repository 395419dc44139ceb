# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a schema differs from the expected one, by object and field. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._schema.ignore import ALWAYS, Ignore
from ansible_collections.dbops.postgres.plugins.module_utils._schema.snapshot import Fields, Snapshot, with_roles

MISSING, UNEXPECTED, CHANGED = "missing", "unexpected", "changed"
# Tables first: what belongs to a table reads best after it.
_FIRST = ("schema", "extension", "type", "table", "foreign_table", "column", "constraint", "index", "policy")
# Kinds whose fields ``of`` name a table or a view, which must not be told twice.
_WHOLES = ("table", "foreign_table", "view", "materialized_view")
_NEW_IN_17 = ("MAINTAIN", "MAINTAIN WITH GRANT OPTION")
_LONGEST = 400


@dataclass(frozen=True)
class Change:
    """One field. None: it is not set."""

    field: str
    expected: Any
    actual: Any


@dataclass(frozen=True)
class Difference:
    """One object that is not as expected.

    :param what: ``missing``, ``unexpected`` or ``changed``.
    :param changes: the fields that differ, of a changed one.
    :param expected: all of its fields as expected; empty for an unexpected one.
    :param actual: all of its fields as they are; empty for a missing one.
    """

    kind: str
    name: str
    what: str
    changes: tuple[Change, ...] = ()
    expected: Fields = field(default_factory=dict, repr=False)
    actual: Fields = field(default_factory=dict, repr=False)

    @property
    def subject(self) -> str:
        """The object in words."""
        return f"{self.kind.replace('_', ' ')} {self.name}"

    @property
    def lines(self) -> list[str]:
        """What is different, one line for each field."""
        if self.what != CHANGED:
            return [self.what]
        return [line for change in self.changes for line in described(change)]

    def as_dict(self) -> dict[str, Any]:
        """As a module returns it."""
        changes = [{"field": c.field, "expected": c.expected, "actual": c.actual} for c in self.changes]
        return {"kind": self.kind, "name": self.name, "what": self.what, "changes": changes}


@dataclass(frozen=True)
class Comparison:
    """All that differs.

    :param notes: what a reader should know, and what is no drift.
    :param unused_ignores: declared rules that nothing matched.
    """

    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    unused_ignores: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether the schema is the expected one."""
        return not self.differences


def compare(
    expected: Snapshot,
    actual: Snapshot,
    ignore: Ignore = ALWAYS,
    role_map: Mapping[str, str] | None = None,
) -> Comparison:
    """What differs in ``actual``.

    :param role_map: names of roles of the one side -> those of the other; applied to both.
    """
    left, right = (ignore.apply(with_roles(side, role_map or {})) for side in (expected, actual))
    older = min(expected.server_major, actual.server_major)
    notes = []
    if expected.server_major != actual.server_major:
        notes.append(
            f"Expected is of PostgreSQL {expected.server_major}, actual of {actual.server_major}: "
            "the same definition can be printed differently."
        )
    differences: list[Difference] = []
    for kind in sorted({*left.snapshot.objects, *right.snapshot.objects}, key=_position):
        wanted = left.snapshot.objects.get(kind, {})
        found = right.snapshot.objects.get(kind, {})
        for name in sorted({*wanted, *found}):
            if name not in found:
                differences.append(Difference(kind, name, MISSING, expected=wanted[name]))
            elif name not in wanted:
                differences.append(Difference(kind, name, UNEXPECTED, actual=found[name]))
            else:
                changes = _changes(wanted[name], found[name], older)
                if changes:
                    differences.append(Difference(kind, name, CHANGED, changes, wanted[name], found[name]))
                notes += _order(kind, name, wanted[name], found[name])
    return Comparison(_folded(differences), tuple(notes), tuple(ignore.unused(left, right)))


def _position(kind: str) -> tuple[int, str]:
    return (_FIRST.index(kind) if kind in _FIRST else len(_FIRST), kind)


def _changes(expected: Fields, actual: Fields, older: int) -> tuple[Change, ...]:
    found = []
    for key in sorted({*expected, *actual} - {"columns", "of"}):
        wanted, is_now = expected.get(key), actual.get(key)
        if key == "grants" and older < 17:
            wanted, is_now = _without_maintain(wanted), _without_maintain(is_now)
        if key == "option_names" and None in (wanted, is_now):
            continue  # shown to the mapping's own user and to superusers only
        if wanted != is_now:
            found.append(Change(key, wanted, is_now))
    return tuple(found)


def _without_maintain(grants: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]] | None:
    """PostgreSQL 17 has a privilege more, and gives it to every owner."""
    kept = {role: [p for p in privileges if p not in _NEW_IN_17] for role, privileges in (grants or {}).items()}
    return {role: privileges for role, privileges in kept.items() if privileges} or None


def _order(kind: str, name: str, expected: Fields, actual: Fields) -> list[str]:
    """Columns that were added later stand last in one database and elsewhere in another. That is no drift."""
    left, right = expected.get("columns", []), actual.get("columns", [])
    if [c for c in left if c in right] == [c for c in right if c in left]:
        return []
    return [f"{kind.replace('_', ' ')} {name}: the same columns in another order: {', '.join(right)}"]


def _folded(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """Without what follows from another difference: the columns of a missing table, the index of a constraint."""
    told = {(d.what, d.name) for d in differences if d.kind in (*_WHOLES, "constraint", "column") and d.what != CHANGED}

    def follows(item: Difference) -> bool:
        if item.what == CHANGED:
            return False
        fields = item.expected or item.actual
        above = (fields.get("of"), fields.get("constraint"), fields.get("owned_by"))
        return any((item.what, name) in told for name in above if name)

    return tuple(item for item in differences if not follows(item))


def described(change: Change) -> list[str]:
    """A field in words; what has parts by its parts."""
    title = change.field.replace("_", " ")
    parts = (change.expected, change.actual)
    if any(isinstance(part, dict) for part in parts):
        old, new = (part if isinstance(part, dict) else {} for part in parts)
        keys = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
        return [f"{title} of {key}: expected {shown(old.get(key))}, is {shown(new.get(key))}" for key in keys]
    if any(isinstance(part, bool) for part in parts):
        words = ["yes" if part else "no" for part in parts]
        return [f"{title}: expected {words[0]}, is {words[1]}"]
    if any(isinstance(part, str) and "\n" in part for part in parts):
        return [f"{title}: {line}" for line in _text(*(str(part or "") for part in parts))]
    return [f"{title}: expected {shown(change.expected)}, is {shown(change.actual)}"]


def _text(expected: str, actual: str) -> list[str]:
    """The lines of a definition that differ, ``-`` as expected and ``+`` as it is."""
    lines = difflib.unified_diff(expected.splitlines(), actual.splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))] or ["differs in white space"]


def shown(value: Any) -> str:
    """A value in words."""
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "none"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def readable(comparison: Comparison) -> list[str]:
    """For a person: a line for each object, below it its fields."""
    lines = []
    for item in comparison.differences:
        if item.what == CHANGED:
            lines += [item.subject, *(f"    {line}" for line in item.lines)]
        else:
            lines.append(f"{item.subject}: {item.what}")
    lines += [f"note: {note}" for note in comparison.notes]
    lines += [f"note: the ignore rule {pattern} matched nothing" for pattern in comparison.unused_ignores]
    return lines
