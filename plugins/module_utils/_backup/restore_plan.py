# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore will do, in words, before it does it; and which entries of a dump single tables need. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_LONGEST_NAME = 63  # bytes of an identifier: NAMEDATALEN - 1

# Of a dump from which single tables are wanted: what needs the rows of tables that stay empty.
_NEEDS_OTHER_ROWS = (
    "FK CONSTRAINT",
    "TRIGGER",
    "EVENT TRIGGER",
    "MATERIALIZED VIEW DATA",
    "SUBSCRIPTION",
    "PUBLICATION",
)
_ENTRY = re.compile(r"(\d+); \d+ \d+ (.*)")


@dataclass(frozen=True)
class RestoreSpec:
    """What is wanted.

    :param database: the database of the set.
    :param into: the new database; empty: ``<database>_restored_<moment>``.
    :param in_place: take the live database's place when the new one is proven.
    :param confirm: the live database's name again, needed for ``in_place``.
    :param tables: ``schema.table`` or shell patterns of it; empty: all.
    """

    database: str
    set: str = ""
    target: str = ""
    into: str = ""
    in_place: bool = False
    confirm: str = ""
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Names:
    """The databases of a restore: the new one, and, in place, what the live one will be called."""

    new: str
    kept: str = ""


def names_of(spec: RestoreSpec, moment: str, existing: Sequence[str]) -> Names:
    """Decide on the names.

    :param moment: as text that may stand in a name: ``20261124_0315``.
    :param existing: the databases of the server.
    :raises DbopsError: what is asked for would overwrite something, or was not confirmed.
    """
    if spec.in_place and spec.confirm != spec.database:
        raise DbopsError(
            f"A restore in place of {spec.database!r} needs its name once more, and has {spec.confirm!r}",
            f"--in-place --confirm {spec.database}, if that is what you mean.",
        )
    if spec.confirm and not spec.in_place:
        raise DbopsError(
            "A name is confirmed, but the restore is not in place", "Add --in-place, or leave --confirm out."
        )
    if spec.in_place and spec.into:
        raise DbopsError("A restore in place has no other name", "Leave --into out.")
    if spec.in_place and spec.tables:
        raise DbopsError(
            "Single tables cannot take the place of a whole database",
            "Restore them into a new database and copy the rows that you want.",
        )
    if spec.in_place and spec.database not in existing:
        raise DbopsError(f"There is no database {spec.database!r} to take the place of", "Use --into.")
    new = spec.into or _free(spec.database, f"_restored_{moment}", existing)
    kept = _free(spec.database, f"_before_{moment}", existing) if spec.in_place else ""
    if len(new.encode()) > _LONGEST_NAME:
        raise DbopsError(f"{new!r} is longer than the {_LONGEST_NAME} bytes of a name", "Choose another.")
    for name in filter(None, (new, kept)):
        if name in existing:
            raise DbopsError(f"There is a database {name!r} already, and a restore overwrites none", "Choose another.")
    return Names(new, kept)


def _free(database: str, suffix: str, existing: Sequence[str]) -> str:
    numbered = (_named(database, f"{suffix}{end}") for end in ("", *(f"_{number}" for number in range(2, 100))))
    return next(name for name in numbered if name not in existing)


def _named(database: str, suffix: str) -> str:
    room = _LONGEST_NAME - len(suffix)
    return database.encode()[:room].decode("utf-8", "ignore") + suffix


def steps(spec: RestoreSpec, names: Names, set_id: str, age: str, size: str, server: str) -> list[str]:
    """What will be done, one line each, for a person who may still say no."""
    what = (
        f"tables {', '.join(spec.tables)} of database {spec.database}" if spec.tables else f"database {spec.database}"
    )
    lines = [
        f"fetch {what} from set {set_id} ({age} old, {size}), check it and decrypt it",
        f"check that {server} has its extensions, roles and locale",
        f"create database {names.new} and restore into it; nobody but superusers and its owner may connect",
        "compare every table with the manifest of the set",
    ]
    if spec.in_place:
        lines += [
            f"give {names.new} the settings and privileges of {spec.database}",
            f"end all sessions of {spec.database}, rename it {names.kept} and {names.new} {spec.database}, at once",
            f"leave {names.kept} as it is: drop it when you need it no more",
        ]
    else:
        lines.append(f"leave {spec.database} as it is")
    return lines


def chosen(patterns: Sequence[str], tables: Sequence[str]) -> list[str]:
    """The tables of the set that are meant.

    :param tables: ``schema.table`` of the manifest.
    :raises DbopsError: a pattern matches none.
    """
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(table, pattern) for table in tables):
            raise DbopsError(
                f"The set has no table {pattern!r}",
                "Name it schema.table; of a partitioned table its partitions hold the rows: schema.table_*.",
            )
    return [table for table in tables if any(fnmatch.fnmatchcase(table, pattern) for pattern in patterns)]


def entries_for(listing: str, tables: Sequence[str]) -> str:
    """The list for ``pg_restore --use-list``: the whole schema, but the rows of these tables only.

    :param listing: what ``pg_restore --list`` says.
    """
    wanted = tuple(f"{table.replace('.', ' ', 1)} " for table in tables)
    kept = []
    for line in listing.splitlines():
        found = _ENTRY.fullmatch(line)
        if not found:
            continue
        entry = found.group(2)
        if entry.startswith("TABLE DATA "):
            if not entry[len("TABLE DATA ") :].startswith(wanted):
                continue
        elif entry.startswith(_NEEDS_OTHER_ROWS):
            continue
        kept.append(line)
    return "\n".join(kept) + "\n"
