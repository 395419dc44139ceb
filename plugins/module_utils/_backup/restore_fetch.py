# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring an object of a set to this host: hashed, decrypted and decompressed on its way, in bounded memory.

Every byte is hashed as it comes from the target, also after decryption has failed: a flipped bit is then reported as
what it is, and not as a wrong key.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import IO

from ansible_collections.dbops.postgres.plugins.module_utils._backup import faults
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_END_SECONDS = 600  # of a filter, after its last byte


@dataclass(frozen=True)
class Fetched:
    """What came: size and hash as it is stored, and what the filters complained about."""

    size: int
    sha256: str
    problem: str = ""


def filters(encrypted: bool, compressed: bool, identity: str) -> list[list[str]]:
    """The commands through which the bytes of an object go, in order.

    :param identity: path of the file with the age identity, which nothing but age reads.
    :raises DbopsError: the object is encrypted and there is no identity.
    """
    commands = []
    if encrypted:
        if not identity or not os.access(identity, os.R_OK):
            raise DbopsError(
                "The set is encrypted, and there is no identity on this host to decrypt it with",
                "Deliver the age identity as a credential (role restore_drill: restore_drill_identity).",
            )
        commands.append(["age", "--decrypt", "--identity", identity])
    if compressed:
        commands.append(["zstd", "--decompress", "--stdout", "--quiet"])
    return commands


def fetch(chunks: Iterable[bytes], commands: Sequence[Sequence[str]], path: str, *, archive: bool = False) -> Fetched:
    """Write an object through its filters into a new file of mode 0600, or an archive into a new directory.

    :raises DbopsError: a filter is not installed, or the disk is full.
    :raises OSError: the object cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    problems: list[str] = []
    with faults.named(path):
        if archive:
            os.mkdir(path, 0o700)
            commands = [*commands, ["tar", "--extract", "--file=-", f"--directory={path}", "--no-same-owner"]]
            descriptor = os.open(os.devnull, os.O_WRONLY)
        else:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb", buffering=0) as file, _chain(commands, file, problems) as into:
        alive = True
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            if alive:
                try:
                    _write_all(into, chunk)
                except BrokenPipeError:
                    alive = False
                except OSError as error:
                    raise DbopsError(f"{path}: {error.strerror}", "Give the scratch directory more room.") from None
    return Fetched(size, digest.hexdigest(), "; ".join(problems))


def remove(path: str) -> None:
    """Remove what was fetched."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _write_all(into: IO[bytes], chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[into.write(view) :]


@contextlib.contextmanager
def _chain(commands: Sequence[Sequence[str]], file: IO[bytes], problems: list[str]) -> Generator[IO[bytes], None, None]:
    """The filters, each writing into the next, the last into the file; gives the first one's input."""
    if not commands:
        yield file
        return
    running: list[tuple[str, subprocess.Popen[bytes], IO[bytes]]] = []
    try:
        for number, command in enumerate(commands):
            last = number == len(commands) - 1
            with faults.named(f"A temporary file for what {command[0]} says"):
                said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 # lives as long as its process
            try:
                process = subprocess.Popen(
                    command,
                    stdin=running[-1][1].stdout if running else subprocess.PIPE,
                    stdout=file if last else subprocess.PIPE,
                    stderr=said,
                    bufsize=0,
                )
            except FileNotFoundError:
                said.close()
                raise DbopsError(f"{command[0]} is not on this host", f"Install the package {command[0]}.") from None
            except OSError as error:
                said.close()
                raise DbopsError(f"{command[0]} cannot be started: {error.strerror}", "Look at the memory.") from None
            running.append((command[0], process, said))
            if number:
                before = running[-2][1].stdout
                if before is not None:
                    before.close()  # the next process has it; so the one before learns when that one ends
        first = running[0][1].stdin
        if first is None:
            raise AssertionError(commands)
        with contextlib.suppress(BrokenPipeError), first:
            yield first
        for name, process, said in running:
            try:
                status = process.wait(timeout=_END_SECONDS)
            except subprocess.TimeoutExpired:
                raise DbopsError(
                    f"{name} has not ended {_END_SECONDS} s after its last byte, and was killed",
                    "Look at the load and the disks of this host.",
                ) from None
            said.seek(0)
            text = " ".join(said.read().decode("utf-8", "replace").split())
            if status != 0:
                problems.append(f"{name}: {text or f'status {status}'}")
    finally:
        for _name, process, said in running:
            if process.poll() is None:
                process.kill()
                process.wait()
            said.close()
