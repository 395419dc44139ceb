# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds, mends and drops indexes, one statement after the other, because none of them may be in a transaction.

What a failed statement leaves is removed at once, unless a transaction that is open elsewhere holds that up as well:
then the error says so, and the next run removes it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.normal import normalise
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.observe import observe
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.plan import Planned, plan
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import Wanted
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.statements import leaves
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Ident, Sql, Step
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Capabilities, Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2
    from psycopg2 import extensions

LOCK_KEY = 0x6462_6F70_7369  # "dbopsi"; the same for every database, for locks are of one database

# What is not concurrent makes everybody who writes wait behind it while it waits itself.
SHORT_LOCK_TIMEOUT = "3s"

# lock_not_available, deadlock_detected: another try may succeed (PostgreSQL manual, appendix A).
_AGAIN = ("55P03", "40P01")

_LEFT = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname = %s AND c.relname ~ ('^' || %s || '[0-9]*$')
   AND i.indexrelid <> ALL (%s::oid[])
"""


@dataclass(frozen=True)
class Patience:
    """How long to wait, in the words of PostgreSQL's settings.

    :param retries: so many further tries after a lock was not to be had.
    :param delay: seconds before each of them.
    """

    lock_timeout: str = "1min"
    statement_timeout: str = "4h"
    retries: int = 3
    delay: float = 10.0


@dataclass(frozen=True)
class Outcome:
    """What was done, or would be."""

    planned: Planned
    statements: tuple[str, ...]
    capabilities: Capabilities


def converge(
    login: Login,
    database: str,
    wanted: Sequence[Wanted],
    drop: Sequence[tuple[str, str]] = (),
    *,
    mend: bool = True,
    schemas: Sequence[str] = (),
    patience: Patience = Patience(),
    check_mode: bool = False,
) -> Outcome:
    """Make the required indexes true.

    :raises DbopsError: with what was done before and that nothing is left of what failed.
    """
    connection = _postgres.connect(login, database, autocommit=True)
    try:
        with _postgres.reported(
            f"Indexes of {database}", "Run it again: it takes up where it stopped.", "What was built before is there."
        ):
            return _converged(connection, login, database, wanted, drop, mend, schemas, patience, check_mode)
    finally:
        _postgres.end(connection)


def _converged(
    connection: extensions.connection,
    login: Login,
    database: str,
    wanted: Sequence[Wanted],
    drop: Sequence[tuple[str, str]],
    mend: bool,
    schemas: Sequence[str],
    patience: Patience,
    check_mode: bool,
) -> Outcome:
    capabilities = _postgres.capabilities(connection)
    if capabilities.in_recovery:
        raise DbopsError(f"The server at {login.place} is a replica", "Connect to the primary.")
    seen = observe(login, database, schemas, usage=False)
    planned = plan(seen, normalise(login, database, seen, wanted), drop, mend=mend)
    statements = tuple(_postgres.shown(planned.plan.steps, connection))
    if planned.plan.changed and not check_mode:
        there = [index.oid for index in seen.indexes]
        _apply(connection, planned.plan.steps, there, patience, f"database {database}")
    return Outcome(planned, statements, capabilities)


def _apply(
    connection: extensions.connection, steps: Sequence[Step], there: Sequence[int], patience: Patience, place: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", (LOCK_KEY,))
        if not (cursor.fetchone() or (False,))[0]:
            raise DbopsError(f"Another run of pg_index is changing {place}", "Wait for it, then run this again.")
        cursor.execute("SELECT pg_catalog.set_config('statement_timeout', %s, false)", (patience.statement_timeout,))
        _postgres.no_transaction_timeout(cursor)
        for number, step in enumerate(steps):
            text = _postgres.compose(step.sql, masked=True).as_string(connection)  # before: it takes a connection
            try:
                _execute(cursor, step, there, patience)
            except psycopg2.Error as error:
                raise _told(cursor, step, text, error, there, steps[:number]) from None


def _execute(cursor: extensions.cursor, step: Step, there: Sequence[int], patience: Patience) -> None:
    timeout = patience.lock_timeout if "CONCURRENTLY" in step.sql.template else SHORT_LOCK_TIMEOUT
    cursor.execute("SELECT pg_catalog.set_config('lock_timeout', %s, false)", (timeout,))
    for left in range(patience.retries, -1, -1):
        try:
            if left < patience.retries:
                _clean(cursor, step, there)
            cursor.execute(_postgres.compose(step.sql))
            return
        except psycopg2.Error as error:
            if error.pgcode not in _AGAIN or not left or cursor.connection.closed:
                raise
            time.sleep(patience.delay)


def _left(cursor: extensions.cursor, step: Step, there: Sequence[int]) -> list[tuple[str, str]]:
    """What the failed statement has left: it can be nothing else, for nothing of this name was there before."""
    place = leaves(step.sql)
    if place is None or cursor.connection.closed:
        return []
    cursor.execute(_LEFT, (place[0], _escaped(place[1]), list(there)))
    return cursor.fetchall()


def _clean(cursor: extensions.cursor, step: Step, there: Sequence[int]) -> None:
    for found in _left(cursor, step, there):
        cursor.execute(_postgres.compose(Sql("DROP INDEX CONCURRENTLY IF EXISTS {}", (Ident(*found),))))


def _escaped(name: str) -> str:
    return "".join(char if char.isalnum() or char == "_" else f"\\{char}" for char in name)


def _told(
    cursor: extensions.cursor, step: Step, text: str, error: psycopg2.Error, there: Sequence[int], done: Sequence[Step]
) -> DbopsError:
    """The error in words, after what the statement has begun is removed, if that can be had now."""
    with contextlib.suppress(psycopg2.Error):  # then it is still there, and said
        _clean(cursor, step, there)
    left = [".".join(found) for found in _left(cursor, step, there)]
    detail = f" {error.diag.message_detail}" if error.diag.message_detail else ""
    remedy = "Mend that and run this again: it takes up where it stopped."
    if error.pgcode in _AGAIN:
        remedy = "Somebody holds a lock, or a transaction is open for long: see pg_stat_activity; then run this again."
    begun = "What the statement had begun was removed."
    if cursor.connection.closed:
        begun = "The session is gone; an index that it had begun is left, invalid, and the next run removes it."
    if left:
        begun = f"What it had begun, {', '.join(left)}, is left and invalid: the next run removes it."
    before = f"Done before: {', '.join(item.subject for item in done)}." if done else "Nothing was changed before it."
    problem = f"{step.subject}: {_postgres.told(error)}.{detail} Statement: {text}"
    return DbopsError(problem, remedy, f"{begun} {before}")
