# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the clients of this host's pooler wait, instead of failing, while another database takes the place of theirs."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.ini import quoted_name
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.observe import ask, place, running
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.pause import Databases, holding, planned
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.plan import OWNER

with suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2

# Of the 30 s for which a client of the pooler waits.
_PAUSE_SECONDS = 10
# If we are killed meanwhile, systemd lets the clients go on.
_RESUME_SECONDS = 45
_COMMAND_SECONDS = 30


@contextmanager
def clients_wait(database: str, port: int, tell: Callable[[str], None]) -> Generator[None, None, None]:
    """While the context is open, whoever asks the pooler for this database waits. Where that cannot be, it is told, and
    sessions are ended as without a pooler.

    :param database: of the server on this host; ``port``: the server's.
    """
    stack = ExitStack()
    try:
        found = pooled(database, port)
        if found:
            stack.enter_context(_watched(found))
            late = stack.enter_context(holding(_run, found, _PAUSE_SECONDS))
            slow = f"; what was not over after {_PAUSE_SECONDS} s is ended" if late else ""
            tell(f"the clients of {database} wait in the pooler{slow}")
        else:
            tell(f"no pooler of this host leads to {database}: the sessions of its clients are ended")
    except _faults() as error:
        found = {}
        tell(f"the clients of {database} cannot be held, and their sessions are ended: {_line(error)}")
    try:
        yield
    finally:
        try:
            stack.close()
            if found:
                tell(f"the clients of {database} go on")
        except _faults() as error:
            tell(
                f"the clients of {database} could not be let go on ({_line(error)}): systemd does it within "
                f"{_RESUME_SECONDS} s. By hand: RESUME, on pgbouncer's console"
            )


def pooled(database: str, port: int) -> Databases:
    """The databases of this host's poolers that lead to a database of its server; not those that somebody has paused.

    :raises DbopsError: a pooler runs whose console does not answer.
    """
    found = {}
    for number in running(_run):
        with ask(place(_run, number)) as questions:
            rows = questions("SHOW DATABASES")
        names = [str(row["name"]) for row in rows if row["database"] == database and _here(row, port)]
        found[number] = planned(rows, "paused", names) if names else []
    return {number: names for number, names in found.items() if names}


def _here(row: Mapping[str, object], port: int) -> bool:
    """Whether this host's server is meant: by its socket, or by an address of this host."""
    host = str(row["host"] or "")
    if int(str(row["port"] or port)) != port:
        return False
    if not host or host.startswith("/"):
        return True
    try:
        kind, _type, _protocol, _name, address = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)[0]
        with socket.socket(kind, socket.SOCK_DGRAM) as trial:
            trial.bind(address)
    except OSError:
        return False
    return True


@contextmanager
def _watched(found: Databases) -> Generator[None, None, None]:
    """Should we be killed, systemd lets the clients go on."""
    units: list[str] = []
    for number, names in found.items():
        directory, port = place(_run, number)
        for name in names:
            unit = f"dbops-postgres-resume-{os.getpid()}-{len(units)}"
            psql = [
                "psql",
                "-Xq",
                f"--host={directory}",
                f"--port={port}",
                "--username=pgbouncer",
                "--dbname=pgbouncer",
            ]
            # systemd reads a dollar as the name of a variable.
            command = f"--command=RESUME {quoted_name(name)}".replace("$", "$$")
            timer = [f"--unit={unit}", f"--on-active={_RESUME_SECONDS}", "--timer-property=AccuracySec=1s"]
            status, _out, said = _run(["systemd-run", "--quiet", "--collect", f"--uid={OWNER}", *timer, *psql, command])
            if status != 0:
                raise DbopsError(f"systemd-run: {said.strip()}")
            units.append(unit)
    yield
    # Not after an error: it is what they are for.
    for unit in units:
        _run(["systemctl", "stop", f"{unit}.timer"])


def _run(arguments: Sequence[str]) -> tuple[int, str, str]:
    done = subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
        cwd="/",
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout, done.stderr


def _faults() -> tuple[type[Exception], ...]:
    known: tuple[type[Exception], ...] = (DbopsError, OSError, subprocess.SubprocessError)
    return (*known, psycopg2.Error) if _postgres.HAS_PSYCOPG2 else known


def _line(error: Exception) -> str:
    return " ".join((error.problem if isinstance(error, DbopsError) else str(error)).split())
