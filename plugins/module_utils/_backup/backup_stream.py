# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a dump through compression and encryption to all targets at once: nothing on the disk, memory bounded."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

from ansible_collections.dbops.postgres.plugins.module_utils._backup import drill_cluster, faults
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import Target, Writer
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_READ = 256 * 1024
_END_SECONDS = 600


@dataclass
class Fan:
    """All targets of a run. One that fails is left out from then on; the others go on.

    :param failed: name of the target -> why, in words that name it.
    :param touched: names of those that have something of the set.
    """

    targets: list[Target]
    failed: dict[str, str] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)

    @property
    def alive(self) -> list[Target]:
        """Those that have taken everything so far."""
        return [target for target in self.targets if target.name not in self.failed]

    def each(self, do: Callable[[Target], None]) -> None:
        """Do something with every target that is left.

        :raises DbopsError: none is left.
        """
        for target in self.alive:
            try:
                do(target)
            except DbopsError as error:
                self.failed[target.name] = f"{error.problem.rstrip('.')}. {error.remedy}"
            except OSError as error:
                self.failed[target.name] = f"{target.name}: {faults.said(error)}. Look at what this target lies on."
        if not self.alive:
            raise DbopsError(" ".join(self.failed.values()).rstrip("."), "No target has taken the backup.")


@dataclass(frozen=True)
class Sent:
    """What went to the targets."""

    size: int
    sha256: str


def send(
    fan: Fan, set_id: str, name: str, commands: Sequence[Sequence[str]], progress: Callable[[int], None] | None = None
) -> Sent:
    """Run a chain of commands, and write what the last one says as an object.

    :raises DbopsError: a command failed, or no target is left; nothing of the object stays.
    """
    writers: dict[str, Writer] = {}

    def begin(target: Target) -> None:
        writers[target.name] = target.writer(set_id, name)
        fan.touched.add(target.name)

    digest, size = hashlib.sha256(), 0
    try:
        fan.each(begin)
        with _chain(commands) as out:
            while chunk := out.read(_READ):
                digest.update(chunk)
                size += len(chunk)
                fan.each(lambda target, chunk=chunk: writers[target.name].write(chunk))  # type: ignore[misc]
                if progress:
                    progress(size)
        fan.each(lambda target: writers[target.name].finish(digest.hexdigest()))
    except BaseException:
        for writer in writers.values():
            with contextlib.suppress(DbopsError, OSError):
                writer.abort()
        raise
    for target_name in set(writers) & set(fan.failed):
        with contextlib.suppress(DbopsError, OSError):
            writers[target_name].abort()
    return Sent(size, digest.hexdigest())


class _chain:  # noqa: N801 # reads as a verb
    """Commands, each reading what the one before says; gives the last one's output."""

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        self._commands = commands
        self._running: list[tuple[str, subprocess.Popen[bytes], IO[bytes]]] = []

    def __enter__(self) -> IO[bytes]:
        try:
            for command in self._commands:
                self._start(command)
        except BaseException:
            self._end()
            raise
        out = self._running[-1][1].stdout
        if out is None:
            raise AssertionError(self._commands)
        return out

    def _start(self, command: Sequence[str]) -> None:
        with faults.named(f"A temporary file for what {command[0]} says"):
            said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 # lives as long as its process
        before = self._running[-1][1].stdout if self._running else subprocess.DEVNULL
        try:
            process = subprocess.Popen(
                command,
                stdin=before,
                stdout=subprocess.PIPE,
                stderr=said,
                env=drill_cluster.environment(),
                cwd="/",
                **drill_cluster.identity(),
            )
        except FileNotFoundError:
            said.close()
            raise DbopsError(f"{command[0]} is not on this host", f"Install {command[0].rpartition('/')[2]}.") from None
        except OSError as error:
            said.close()
            raise DbopsError(
                f"{command[0]} cannot be started: {error.strerror}", "Look at its permissions, and at the memory."
            ) from None
        if before not in (None, subprocess.DEVNULL):
            before.close()  # type: ignore[union-attr] # the next process has it
        self._running.append((command[0].rpartition("/")[2], process, said))

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        try:
            if kind is None:
                problems = [problem for item in self._running if (problem := self._problem(*item))]
                if problems:
                    raise DbopsError("; ".join(problems), "Mend that; the next run begins anew.")
        finally:
            self._end()

    def _problem(self, name: str, process: subprocess.Popen[bytes], said: IO[bytes]) -> str:
        try:
            status = process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            return f"{name}: has not ended {_END_SECONDS} s after its last byte, and was killed"
        if status == 0:
            return ""
        said.seek(0)
        return f"{name}: {faults.first_error(said.read()) or f'status {status}'}"

    def _end(self) -> None:
        for _name, process, said in self._running:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
            said.close()
