# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where sets are kept: what each target can do, and the one that is a directory.

A set is a directory (or prefix) of its own. Its objects are written first, each read back or checked by the server
that received it; ``complete.json`` comes last, and goes first when a set is removed: what has no marker is no set.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ansible_collections.dbops.postgres.plugins.module_utils._backup import manifest
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

CHUNK = 1 << 20
SET_ID = re.compile(r"\d{8}T\d{6}Z-[a-z0-9][a-z0-9-]{0,40}")


def is_set(name: str) -> bool:
    """Whether a name is that of a set: also 99999999T999999Z-x looks like one, and is of no moment."""
    try:
        time_of(name)
    except ValueError:
        return False
    return bool(SET_ID.fullmatch(name))


def time_of(set_id: str) -> datetime.datetime:
    """When a set was begun, by its name.

    :raises ValueError: it is no name of a set.
    """
    return datetime.datetime.strptime(set_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


@dataclass(frozen=True)
class Found:
    """A set as it lies at its target.

    :param changed: when something of it was last written, seconds since 1970.
    """

    id: str
    complete: bool
    changed: float


class Writer(Protocol):
    """An object that is being written. Nothing of it can be read before :meth:`finish`."""

    def write(self, chunk: bytes) -> None:
        """The next bytes."""

    def finish(self, sha256: str) -> None:
        """Make it whole, and see that what lies there is what was written.

        :raises DbopsError: it is not.
        """

    def abort(self) -> None:
        """Leave nothing of it."""


class Target(Protocol):
    """Where sets are."""

    @property
    def name(self) -> str:
        """As a person names it."""

    @property
    def off_host(self) -> bool:
        """Whether it outlives this host."""

    def sets(self) -> Sequence[Found]:
        """Every set, complete or not."""

    def complete_sets(self) -> Sequence[str]:
        """The ids of the sets that are complete; they sort by their time."""

    def read(self, set_id: str, name: str) -> Iterator[bytes]:
        """The bytes of an object as they are stored.

        :raises FileNotFoundError: there is none.
        """

    def size(self, set_id: str, name: str) -> int:
        """How large an object is as it is stored; -1: there is none."""

    def writer(self, set_id: str, name: str) -> Writer:
        """A new object."""

    def remove(self, set_id: str) -> None:
        """Remove a set, its marker first."""


def put(target: Target, set_id: str, name: str, data: bytes) -> None:
    """Write a small object."""
    writer = target.writer(set_id, name)
    try:
        writer.write(data)
        writer.finish(hashlib.sha256(data).hexdigest())
    except BaseException:
        writer.abort()
        raise


class Directory:
    """A local or mounted directory, with a directory for each set."""

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """As a person names it."""
        return f"directory {self._path}"

    @property
    def off_host(self) -> bool:
        """True for a network file system (proc(5): mounts)."""
        best, kind = "", ""
        with contextlib.suppress(OSError), open("/proc/self/mounts", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                place, found = line.split()[1:3]
                if f"{os.path.realpath(self._path)}/".startswith(f"{place.rstrip('/')}/") and len(place) >= len(best):
                    best, kind = place, found
        return kind.partition(".")[0] in ("nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "fuse")

    def sets(self) -> Sequence[Found]:
        """Every set, complete or not.

        :raises OSError: the directory is not there, or cannot be read, which is not the same as one without sets.
        """
        found = []
        for set_id in sorted(os.listdir(self._path)):
            path = os.path.join(self._path, set_id)
            if is_set(set_id) and os.path.isdir(path):
                # Another run may be writing it, or removing it.
                with contextlib.suppress(FileNotFoundError):
                    names = os.listdir(path)
                    found.append(Found(set_id, manifest.COMPLETE in names, _changed(path, names)))
        return found

    def complete_sets(self) -> Sequence[str]:
        """The ids of the sets that are complete."""
        return [item.id for item in self.sets() if item.complete]

    def read(self, set_id: str, name: str) -> Iterator[bytes]:
        """The bytes of an object as they are stored."""
        with open(os.path.join(self._path, set_id, name), "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def size(self, set_id: str, name: str) -> int:
        """How large an object is; -1: there is none."""
        try:
            return os.stat(os.path.join(self._path, set_id, name)).st_size
        except FileNotFoundError:
            return -1

    def writer(self, set_id: str, name: str) -> Writer:
        """A new object."""
        if not os.path.isdir(self._path):
            raise DbopsError(
                f"The directory {self._path} of the backups is not there", "Make it, or mount what it is to be on."
            )
        os.makedirs(os.path.join(self._path, set_id), mode=0o700, exist_ok=True)
        return _File(os.path.join(self._path, set_id, name))

    def remove(self, set_id: str) -> None:
        """Remove a set, its marker first."""
        directory = os.path.join(self._path, set_id)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, manifest.COMPLETE))
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(directory)


def _changed(path: str, names: Sequence[str]) -> float:
    latest = os.stat(path).st_mtime
    for name in names:
        with contextlib.suppress(FileNotFoundError):  # moved to its place meanwhile
            latest = max(latest, os.stat(os.path.join(path, name)).st_mtime)
    return latest


class _File:
    """A file that is written beside its place, and moved there when it is on the disk."""

    def __init__(self, path: str) -> None:
        self._path, self._new = path, f"{path}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        self._file = open(os.open(self._new, flags, 0o600), "wb", buffering=0)  # noqa: SIM115 # closed by finish, abort

    def write(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            view = view[self._file.write(view) :]

    def finish(self, sha256: str) -> None:
        os.fsync(self._file.fileno())
        # Else what is read back is what was written into memory, and not what lies on the disk.
        os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self._file.close()
        digest = hashlib.sha256()
        with open(self._new, "rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != sha256:
            raise DbopsError(f"{self._path} is not what was written", "Look at the storage: dmesg, SMART.")
        os.rename(self._new, self._path)
        directory = os.open(os.path.dirname(self._path), os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def abort(self) -> None:
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._new)


def set_id(label: str, now: float) -> str:
    """The name of a set that begins now; names sort by time.

    :raises DbopsError: the label cannot be part of a name.
    """
    found = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}-{label}"
    if not SET_ID.fullmatch(found):
        raise DbopsError(
            f"The label {label!r} cannot be part of a name", "Lower-case letters, digits and -, at most 40."
        )
    return found
