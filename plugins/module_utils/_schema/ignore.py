# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left out of a comparison. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._schema.snapshot import Fields, Objects, Snapshot

# The tables in which tools remember what they have applied, as SQL writes their names.
TOOL_TABLES = (
    "_prisma_migrations",
    "flyway_schema_history",
    "schema_migrations",
    "alembic_version",
    '"__EFMigrationsHistory"',
    "dbops_migrations",
)
# What this collection itself puts into databases lies in schemas of these names.
_OWN_SCHEMAS = ("dbops.", "dbops_")
_OWN_FUNCTION = re.compile(r"(^|EXECUTE FUNCTION )dbops(_\w+)?\.")


@dataclass(frozen=True)
class Applied:
    """A snapshot without what is ignored, and the patterns that something matched."""

    snapshot: Snapshot
    used: frozenset[str]


@dataclass(frozen=True)
class Ignore:
    """Rules of what is left out. With an object goes what belongs to it.

    :param patterns: ``kind:name`` with shell patterns, for example ``table:shop.tmp_*``, ``*:audit.*``.
    :param fields: fields that do not count, for example ``owner``.
    :param partitions_of: patterns of tables whose partitions do not count.
    """

    patterns: tuple[str, ...] = ()
    fields: frozenset[str] = frozenset()
    partitions_of: tuple[str, ...] = ()

    def apply(self, snapshot: Snapshot) -> Applied:
        """Leave it out."""
        used: set[str] = set()
        gone = self._relations(snapshot.objects, used)
        objects: dict[str, dict[str, Fields]] = {}
        for kind, found in snapshot.objects.items():
            for name, fields in found.items():
                if name in gone and kind in _RELATIONS:
                    continue
                if fields.get("of") in gone or _is_ours(kind, name, fields) or self._matches(kind, name, used):
                    continue
                kept = {key: value for key, value in fields.items() if key not in self.fields}
                objects.setdefault(kind, {})[name] = kept
        return Applied(Snapshot(snapshot.server_major, objects), frozenset(used))

    def _relations(self, objects: Objects, used: set[str]) -> set[str]:
        """Tables and views that are left out, and with them their columns, indexes, policies and the like."""
        gone = {
            name
            for kind in _RELATIONS
            for name in objects.get(kind, {})
            if name.partition(".")[2] in TOOL_TABLES or self._matches(kind, name, used)
        }
        tables = {kind: objects.get(kind, {}) for kind in ("table", "foreign_table")}
        parents = {
            name: fields["partition_of"]
            for found in tables.values()
            for name, fields in found.items()
            if "partition_of" in fields
        }
        for name in parents:
            for above in _above(name, parents):
                used.update(hit := {p for p in self.partitions_of if fnmatchcase(above, p)})
                if hit or above in gone:
                    gone.add(name)
        return gone

    def _matches(self, kind: str, name: str, used: set[str]) -> bool:
        hit = [p for p in self.patterns if _matches(p, kind, name)]
        used.update(hit)
        return bool(hit)

    def unused(self, *applied: Applied) -> list[str]:
        """The declared patterns that nothing matched: a rule that is no longer needed, or misspelt."""
        used = {pattern for item in applied for pattern in item.used}
        return [pattern for pattern in (*self.patterns, *self.partitions_of) if pattern not in used]


_RELATIONS = ("table", "foreign_table", "view", "materialized_view")
ALWAYS = Ignore()


def _is_ours(kind: str, name: str, fields: Fields) -> bool:
    """In a schema of ours, or a trigger of a guard: it does what a function in our schema says."""
    if name.startswith(_OWN_SCHEMAS) and ("." in name or kind == "schema"):
        return True
    runs = {"trigger": "definition", "event_trigger": "function"}.get(kind)
    if runs:
        return bool(_OWN_FUNCTION.search(str(fields.get(runs, ""))))
    return kind == "schema" and name == "dbops"


def _above(name: str, parents: dict[str, str]) -> Iterable[str]:
    while name in parents:
        name = parents[name]
        yield name


def _matches(pattern: str, kind: str, name: str) -> bool:
    of_kind, _colon, of_name = pattern.partition(":")
    return fnmatchcase(kind, of_kind) and fnmatchcase(name, of_name)


def ignore_from(patterns: Sequence[str], fields: Sequence[str] = (), partitions_of: Sequence[str] = ()) -> Ignore:
    """Rules as a person declares them.

    :raises DbopsError: one is not ``kind:name``.
    """
    for pattern in patterns:
        kind, colon, name = pattern.partition(":")
        if not (kind and colon and name):
            raise DbopsError(f"The ignore rule {pattern!r} is not kind:name", "For example table:shop.tmp_* .")
    return Ignore(tuple(patterns), frozenset(fields), tuple(partitions_of))
