# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a set: what was dumped, in the words of :mod:`.contents`, and each object with its checksum. Pure.

A set is a directory (or prefix) of its target: the objects, ``manifest.json``, and ``complete.json``, which is written
last and holds the manifest's own checksum. Without it there is no set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._backup.contents import (
    Contents,
    SequenceState,
    TableContents,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
COMPLETE = "complete.json"
LEVELS = ("counts", "hashes")
_KINDS: dict[str, tuple[type, ...]] = {
    "major": (int,),
    "time": (int, float),
    **dict.fromkeys(("id", "cluster", "server_version", "superuser", "level"), (str,)),
}
_END_OF_TIME = 1e11  # beyond it no moment can be shown


@dataclass(frozen=True)
class StoredObject:
    """An object as it is stored.

    :param encrypted: for age recipients.
    :param compressed: by zstd, outside of pg_dump.
    :param archive: it is the tar of a dump in directory format.
    """

    name: str
    size: int
    sha256: str
    encrypted: bool = False
    compressed: bool = False
    archive: bool = False


@dataclass(frozen=True)
class DumpedDatabase:
    """A database of a set.

    :param size: of the database on its server, in bytes.
    :param extensions: versions by name.
    :param roles: that something in it, or the database itself, refers to.
    :param options: of CREATE DATABASE.
    """

    name: str
    dump: StoredObject
    size: int
    extensions: Mapping[str, str]
    roles: tuple[str, ...]
    options: Mapping[str, str]
    contents: Contents

    @property
    def locales(self) -> tuple[str, ...]:
        """Locales of the operating system that it needs."""
        names = (self.options.get(key, "") for key in ("LC_COLLATE", "LC_CTYPE"))
        return tuple(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True)
class Manifest:
    """What one set holds.

    :param id: its name: ``20261124T010000Z-nightly``.
    :param time: of the snapshot of its first database, seconds since 1970.
    :param superuser: the role that initdb made on its server.
    :param level: how tables can be compared, one of :data:`LEVELS`.
    """

    id: str
    time: float
    cluster: str
    server_version: str
    major: int
    superuser: str
    level: str
    globals: StoredObject
    databases: tuple[DumpedDatabase, ...] = field(default=())

    @property
    def stored_bytes(self) -> int:
        """All objects together."""
        return self.globals.size + sum(database.dump.size for database in self.databases)


def to_json(manifest: Manifest) -> str:
    """As it is stored."""
    return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(manifest)}, ensure_ascii=False, sort_keys=True) + "\n"


def complete(text: str) -> str:
    """The marker that makes a set complete, for the text of its manifest."""
    data = text.encode()
    found = {"manifest": MANIFEST, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    return json.dumps(found, sort_keys=True) + "\n"


def parse(set_id: str, marker: bytes, manifest: bytes) -> Manifest:
    """A manifest, proven to be the one that completed this set.

    :raises DbopsError: it is not, or cannot be read.
    """
    try:
        said = json.loads(marker)["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _wrong(f"{COMPLETE} of set {set_id} cannot be read") from None
    if hashlib.sha256(manifest).hexdigest() != said:
        raise _wrong(f"{MANIFEST} of set {set_id} is not the one that {COMPLETE} names: it was changed or exchanged")
    try:
        data = json.loads(manifest)
        if data["schema_version"] != SCHEMA_VERSION:
            raise _wrong(f"The manifest of set {set_id} has the format {data['schema_version']!r}, known is 1")
        found = _manifest(data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _wrong(f"{MANIFEST} of set {set_id} cannot be read: {error!r}") from None
    if found.id != set_id:
        raise _wrong(f"The manifest of set {set_id} is that of set {found.id}: the two were exchanged")
    return found


def _wrong(problem: str) -> DbopsError:
    return DbopsError(problem, "Do not trust this set: take a new backup, and look at who wrote to the target.")


def _manifest(data: Mapping[str, Any]) -> Manifest:
    given = {key: value for key, value in data.items() if key not in ("schema_version", "globals", "databases")}
    # The major version becomes a part of a path, the time a part of a sum.
    for key, kinds in _KINDS.items():
        if type(given[key]) not in kinds:
            raise ValueError(f"{key} is {given[key]!r}")
    if not 0 <= given["time"] < _END_OF_TIME:
        raise ValueError(f"time is {given['time']!r}")
    return Manifest(
        **given,
        globals=_stored(data["globals"]),
        databases=tuple(_database(item) for item in data["databases"]),
    )


def _stored(data: Mapping[str, Any]) -> StoredObject:
    found = StoredObject(**data)
    if not isinstance(found.name, str) or "/" in found.name or found.name in ("", ".", ".."):
        raise ValueError(f"the name of an object is {found.name!r}")
    if not isinstance(found.size, int) or isinstance(found.size, bool):
        raise ValueError(f"the size of {found.name} is {found.size!r}")
    return found


def _database(data: Mapping[str, Any]) -> DumpedDatabase:
    held = data["contents"]
    return DumpedDatabase(
        **{
            **data,
            "dump": _stored(data["dump"]),
            "roles": tuple(data["roles"]),
            "contents": Contents(
                tables={name: TableContents(**item) for name, item in held["tables"].items()},
                sequences={name: SequenceState(**item) for name, item in held["sequences"].items()},
                schema=dict(held["schema"]),
                large_objects=held["large_objects"],
            ),
        }
    )
