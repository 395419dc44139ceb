# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A set as a drill and a restore see it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login


class BackupError(Exception):
    """The backup is not what it should be: one line for each object, table or role."""

    def __init__(self, problems: Iterable[str], remedy: str = "") -> None:
        self.problems, self.remedy = list(problems), remedy
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True)
class StoredObject:
    """An object of a set, as the manifest describes it.

    :param compressed: whether the dump was compressed outside of pg_dump.
    """

    name: str
    size: int
    sha256: str
    encrypted: bool
    compressed: bool


@dataclass(frozen=True)
class DumpedDatabase:
    """A database of a set.

    :param size: of the database itself, in bytes.
    :param extensions: versions by name.
    """

    name: str
    dump: StoredObject
    size: int
    extensions: Mapping[str, str]
    roles: tuple[str, ...]
    locales: tuple[str, ...]
    options: Mapping[str, str]


@dataclass(frozen=True)
class BackupSet:
    """A complete set.

    :param time: of its snapshot, seconds since 1970.
    :param superuser: the role that initdb made on its server.
    """

    id: str
    time: float
    server_version: str
    major: int
    superuser: str
    level: str
    globals: StoredObject
    databases: tuple[DumpedDatabase, ...]

    @property
    def stored_bytes(self) -> int:
        """All objects together."""
        return self.globals.size + sum(database.dump.size for database in self.databases)


@dataclass(frozen=True)
class Comparison:
    """A restored database against the manifest; problems name the table, sequence or object."""

    schema: tuple[str, ...]
    contents: tuple[str, ...]
    tables: int
    rows: int


class Source(Protocol):
    """Where sets are."""

    @property
    def name(self) -> str:
        """The target as a person names it."""

    def choose(self, set_id: str) -> str:
        """The id of the named set, or of the newest complete one; raises DbopsError if there is none."""

    def open(self, set_id: str) -> BackupSet:
        """The set; raises BackupError if its manifest is not the one that its marker names."""

    def read(self, set_id: str, name: str) -> Iterator[bytes]:
        """The bytes of an object as they are stored."""

    def compare(self, login: Login, set_id: str, database: str, jobs: int) -> Comparison:
        """A restored database against the manifest."""
