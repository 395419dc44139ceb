# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sets of a target as a drill and a restore see them. Whatever is wrong with one is a :class:`BackupError`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._backup import compare, contents, manifest
from ansible_collections.dbops.postgres.plugins.module_utils._backup.contents import Contents, TableContents
from ansible_collections.dbops.postgres.plugins.module_utils._backup.manifest import DumpedDatabase, Manifest
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import Target
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login


class BackupError(Exception):
    """The backup is not what it should be: one line for each object, table or role."""

    def __init__(self, problems: Iterable[str], remedy: str = "") -> None:
        self.problems, self.remedy = list(problems), remedy
        super().__init__("; ".join(self.problems))


def choose(target: Target, set_id: str = "") -> str:
    """The named set, or the newest complete one.

    :raises BackupError: there is none.
    """
    found = sorted(target.complete_sets())
    if set_id and set_id not in found:
        raise BackupError([f"there is no complete set {set_id} at {target.name}"], f"There are: {', '.join(found)}.")
    if not found:
        raise BackupError([f"there is no complete set at {target.name}"], "Take a backup: dbops-postgres backup.")
    return set_id or found[-1]


def opened(target: Target, set_id: str) -> Manifest:
    """The manifest of a set.

    :raises BackupError: it is not the one that completed the set.
    :raises DbopsError, OSError: the target cannot be read, which says nothing of the set.
    """
    try:
        parts = [b"".join(target.read(set_id, name)) for name in (manifest.COMPLETE, manifest.MANIFEST)]
    except FileNotFoundError as error:
        raise BackupError([f"set {set_id}: {error.filename or error} is missing"]) from None
    try:
        return manifest.parse(set_id, *parts)
    except DbopsError as error:
        raise BackupError([error.problem.rstrip(".")], error.remedy) from None


@dataclass(frozen=True)
class Comparison:
    """A restored database against its manifest; problems name the table, sequence or object."""

    schema: tuple[str, ...]
    contents: tuple[str, ...]
    tables: int
    rows: int


def compared(login: Login, database: str, dumped: DumpedDatabase, jobs: int) -> Comparison:
    """Look at a restored database with several sessions, the largest tables first."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        schema = pool.submit(_schema, login, database)
        names = _tables(login, database)
        with ThreadPoolExecutor(max_workers=jobs) as workers:
            shares = [names[number::jobs] for number in range(jobs)]
            parts = list(workers.map(lambda share: _rows(login, database, share, dumped.contents), shares))
        found = schema.result()
    restored = Contents({**{k: v for part in parts for k, v in part.items()}}, *found)
    return Comparison(
        schema=tuple(compare.schema(dumped.contents.schema, restored.schema)),
        contents=tuple(compare.contents(dumped.contents, restored)),
        tables=len(restored.tables),
        rows=restored.rows,
    )


def _tables(login: Login, database: str) -> list[tuple[str, str]]:
    connection = _postgres.connect(login, database, autocommit=True)
    try:
        with connection.cursor() as cursor:
            contents.prepare(cursor)
            return contents.tables(cursor)
    finally:
        connection.close()


def _rows(login: Login, database: str, share: Sequence[tuple[str, str]], dumped: Contents) -> dict[str, TableContents]:
    connection = _postgres.connect(login, database, autocommit=True)
    try:
        with connection.cursor() as cursor:
            contents.prepare(cursor)
            found = {}
            for schema, name in share:
                was = dumped.tables.get(f"{schema}.{name}")
                hashed = was is not None and was.hash is not None
                found[f"{schema}.{name}"] = contents.table(cursor, schema, name, hashed=hashed)
            return found
    finally:
        connection.close()


def _schema(login: Login, database: str) -> tuple[dict[str, contents.SequenceState], dict[str, str], int]:
    connection = _postgres.connect(login, database, autocommit=True)
    try:
        with connection.cursor() as cursor:
            contents.prepare(cursor)
            return contents.sequences(cursor), contents.schema(cursor), contents.large_objects(cursor)
    finally:
        connection.close()
