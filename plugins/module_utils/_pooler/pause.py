# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let clients wait instead of failing: PAUSE and RESUME of the running pooler (pgbouncer(5), "Process controlling
commands"), a database at a time, because only that is visible in SHOW DATABASES of every version.
"""

from __future__ import annotations

import select
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.ini import quoted_name
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.observe import LOOK, Run, ask, place, running
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.plan import OWNER, unit
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import console, reported


def planned(rows: Sequence[dict[str, object]], state: str, only: Sequence[str] = ()) -> list[str]:
    """The databases that are not in this state yet.

    :param rows: of SHOW DATABASES.
    :param state: ``paused`` or ``resumed``.
    :param only: these databases; none: all.
    :raises DbopsError: one of them is not pooled here.
    """
    paused = {str(row["name"]): bool(int(str(row["paused"]))) for row in rows if row["name"] != "pgbouncer"}
    for name in only:
        if name not in paused:
            raise DbopsError(f"Database {name!r} is not pooled here", f"Pooled are: {', '.join(sorted(paused))}.")
    return sorted(name for name, has in paused.items() if has != (state == "paused") and (not only or name in only))


# Process -> databases.
Databases = dict[int, list[str]]


def look(run: Run, state: str, only: Sequence[str] = (), silent: list[str] | None = None) -> Databases:
    """The databases whose state has to change, in each process that runs.

    :param silent: gets what the processes that do not answer say instead; None: that is an error.
    """
    found = {}
    for number in running(run) or [1]:
        try:
            with ask(place(run, number)) as questions:
                found[number] = planned(questions("SHOW DATABASES"), state, only)
        except DbopsError as error:
            if silent is None:
                raise
            silent.append(f"{unit(number)}: {error.problem}")
    return {number: names for number, names in found.items() if names}


def resume(run: Run, databases: Databases, silent: Sequence[str] = ()) -> None:
    """Let the clients of these databases go on. What cannot be resumed keeps nobody else waiting.

    :param silent: what is wrong already.
    :raises DbopsError: clients may still wait; all others go on.
    """
    problems = list(silent)
    for number, name in _each(databases):
        try:
            with ask(place(run, number)) as questions:
                questions(f"RESUME {quoted_name(name)}")
        except DbopsError as error:
            problems.append(f"{unit(number)}, database {name!r}: {error.problem}")
    if problems:
        raise DbopsError(f"Clients may still wait: {'; '.join(problems)}", LOOK, "All others go on.")


def pause(run: Run, databases: Databases, timeout: float) -> None:
    """Let clients wait from now on, and wait until the server connections of these databases are idle and closed.

    :param timeout: seconds that running transactions may take to end, all databases together.
    :raises DbopsError: they took longer, or a process does not answer; all these databases were resumed.
    """
    end = time.monotonic() + timeout
    for number, name in _each(databases):
        try:
            if not _finished(run, number, f"PAUSE {quoted_name(name)}", end):
                raise DbopsError(
                    f"Database {name!r} still had running transactions after {timeout:g} s",
                    "Find them in pg_stat_activity, or allow more time.",
                )
        except DbopsError as error:
            _resume_all(run, databases)
            raise DbopsError(error.problem, error.remedy, "All clients go on as before.") from None


@contextmanager
def holding(run: Run, databases: Databases, timeout: float) -> Generator[list[str], None, None]:
    """Let clients wait while the context is open. They go on whatever happens in it.

    :param timeout: seconds that running transactions may take to end. What they have not ended is no reason to let the
        others go on: the context begins, and has the names of their databases.
    """
    end = time.monotonic() + timeout
    late = []
    with ExitStack() as stack:
        stack.callback(_resume_all, run, databases)
        for number, name in _each(databases):
            # A console that goes away while it waits would take its PAUSE with it.
            connection = console(*place(run, number), OWNER, wait=False)
            stack.callback(connection.close)
            moment = max(end, time.monotonic() + 1)
            with reported(f"pgbouncer's console, PAUSE of {name!r}", LOOK, ""):
                done = _ready(connection, moment) and _sent(connection, f"PAUSE {quoted_name(name)}", moment)
            if not done:
                late.append(name)
        yield late


def _resume_all(run: Run, databases: Databases) -> None:
    silent: list[str] = []
    paused = look(run, "resumed", silent=silent)
    ours = {number: sorted(set(paused.get(number, ())) & set(names)) for number, names in databases.items()}
    resume(run, ours, silent)


def _each(databases: Databases) -> list[tuple[int, str]]:
    return [(number, name) for number, names in databases.items() for name in names]


def _finished(run: Run, number: int, command: str, end: float) -> bool:
    """Run a command that answers when it is done; False: not before ``end``."""
    connection = console(*place(run, number), OWNER, wait=False)
    try:
        with reported(f"pgbouncer's console, {command}", LOOK, ""):
            return _ready(connection, end) and _sent(connection, command, end)
    finally:
        connection.close()


def _sent(connection: object, command: str, end: float) -> bool:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(command)
    return _ready(connection, end)


def _ready(connection: object, end: float) -> bool:
    while True:
        state = connection.poll()  # type: ignore[attr-defined]
        if state == 0:  # psycopg2.extensions.POLL_OK
            return True
        left = end - time.monotonic()
        if left <= 0:
            return False
        sockets = [connection.fileno()]  # type: ignore[attr-defined]
        select.select(sockets if state == 1 else [], sockets if state == 2 else [], [], left)
