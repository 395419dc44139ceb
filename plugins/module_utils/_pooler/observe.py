# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host's pooler: its files, its unit, and what the running process says."""

from __future__ import annotations

import glob
import os
import pwd
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler import ini
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.plan import (
    FURTHER_UNIT,
    INI,
    MODES,
    OWNER,
    SOCKET_DIRECTORY,
    File,
    Live,
    Observed,
    ini_of,
    socket_directory,
    unit,
)
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.settings import parse_version
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import console, reported, sockets

Run = Callable[[Sequence[str]], tuple[int, str, str]]
Row = Mapping[str, Any]

PORT = "6432"
LOOK = "Look at the units of pgbouncer and their journal: systemctl status '*pgbouncer*'."


def observe(run: Run) -> Observed:
    """Version, files, and the running processes. A host without pgbouncer has none of them.

    :raises DbopsError: a process runs whose console does not answer.
    """
    if not os.path.exists("/usr/sbin/pgbouncer"):
        return Observed(version=None, files={})
    _status, out, _err = run(["/usr/sbin/pgbouncer", "--version"])
    paths = [*MODES, FURTHER_UNIT, *sorted(glob.glob(ini_of(2).replace("2", "[0-9]*")))]
    files = {path: found for path in paths if (found := _file(path))}
    return Observed(parse_version(out), files, {number: observe_live(run, number) for number in running(run)})


def running(run: Run) -> list[int]:
    """The numbers of the processes that run; the first is that of Debian's unit.

    One that died and waits for systemd to start it again does not run: what it waits for may be the configuration.
    """
    states = "--state=active,reloading,activating,deactivating"
    _status, out, _err = run(
        ["systemctl", "list-units", "--plain", "--no-legend", states, unit(1), unit(2).replace("2", "*")]
    )
    names = [line.split()[0] for line in out.splitlines() if line.strip()]
    found = [re.search(r"@(\d+)\.service", name) for name in names]
    numbers = sorted(int(number[1]) if number else 1 for number in found)
    return [number for number in numbers if _main_pid(run, number)]


def observe_live(run: Run, number: int = 1) -> Live:
    """What a running process says of itself, by its console.

    The console's socket and port are those of the running process: the file may say something newer.
    """
    with ask(place(run, number)) as questions:
        return live_of(questions, _open_files(run, number))


def live_of(questions: Callable[[str], list[dict[str, Any]]], files: int) -> Live:
    """The answers of a console as data."""
    config = questions("SHOW CONFIG")
    return Live(
        settings={row["key"]: row["value"] or "" for row in config},
        fixed=frozenset(row["key"] for row in config if row["changeable"] == "no"),
        databases={
            row["name"]: {key: _text(value) for key, value in row.items()} for row in questions("SHOW DATABASES")
        },
        clients=sum(row["database"] != "pgbouncer" for row in questions("SHOW CLIENTS")),
        files=files,
    )


class ask:  # noqa: N801 # reads as a verb: with ask(place) as questions
    """A connection to the console as a context, which gives a function from a command to its rows."""

    def __init__(self, place: tuple[str, int]) -> None:
        self.place = place

    def __enter__(self) -> Callable[[str], list[dict[str, Any]]]:
        self.connection = console(*self.place, OWNER)
        return self._rows

    def __exit__(self, *_error: object) -> None:
        self.connection.close()

    def _rows(self, command: str) -> list[dict[str, Any]]:
        with reported(f"pgbouncer's console, {command}", LOOK, ""), self.connection.cursor() as cursor:
            cursor.execute(command)
            if cursor.description is None:
                return []
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor.fetchall()]


def place(run: Run, number: int = 1) -> tuple[str, int]:
    """Socket directory and port of a running process. The file may say something newer than what runs.

    :raises DbopsError: nothing there is a console.
    """
    main_pid(run, number)
    if number > 1:
        for directory, port in sockets():
            if directory == socket_directory(number):
                return directory, port
        raise DbopsError(f"{unit(number)} has no socket in {socket_directory(number)}", "See its journal.")
    found = _file(INI)
    said = ini.read(found.text, INI).get("pgbouncer", {}) if found else {}
    written = said.get("listen_port", PORT)
    declared = (said.get("unix_socket_dir", SOCKET_DIRECTORY), int(written if written.isdigit() else PORT))
    problem = None
    for candidate in (declared, *(item for item in sockets() if item != declared)):
        try:
            console(*candidate, OWNER).close()
        except DbopsError as error:
            problem = problem or error
        else:
            return candidate
    raise problem or DbopsError("pgbouncer has no console")


def main_pid(run: Run, number: int = 1) -> int:
    """The process identifier of a process's unit.

    :raises DbopsError: there is none.
    """
    pid = _main_pid(run, number)
    if not pid:
        raise DbopsError(f"{unit(number)} has no process", f"See journalctl -u {unit(number)}.")
    return pid


def _main_pid(run: Run, number: int) -> int:
    _status, out, _err = run(["systemctl", "show", "--property=MainPID", "--value", unit(number)])
    return int(out) if out.strip().isdigit() else 0


def _open_files(run: Run, number: int) -> int:
    with open(f"/proc/{main_pid(run, number)}/limits", encoding="utf-8") as stream:
        for line in stream:
            if line.startswith("Max open files"):
                soft = line.split()[3]
                return int(soft) if soft.isdigit() else 1_000_000
    return 0


def _file(path: str) -> File | None:
    try:
        status = os.stat(path)
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise DbopsError(f"{path} is not in UTF-8", "Convert it, for example with iconv.") from None
    return File(text, stat.S_IMODE(status.st_mode), _user(status.st_uid))


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
