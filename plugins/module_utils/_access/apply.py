# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan and apply under one lock: the whole run of ``pg_access``."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from ansible_collections.dbops.postgres.plugins.module_utils._access import observe as reader
from ansible_collections.dbops.postgres.plugins.module_utils._access.plan import Planned, plan
from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import AccessSpec
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Secret, Step
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import (
    Capabilities,
    Login,
    capabilities,
    connect,
    end,
    execute,
    quiet,
    reported,
    shown,
)

with suppress(ImportError):  # connect() says so
    import psycopg2

if TYPE_CHECKING:
    from psycopg2 import extensions

LOCK_KEY = 0x64626F7073  # "dbops"
_AGAIN = "Mend that and run this again: it takes up where it stopped."


@dataclass(frozen=True)
class Outcome:
    """What a run found and did."""

    planned: Planned
    statements: tuple[str, ...]
    capabilities: Capabilities


def converge(login: Login, spec: AccessSpec, *, check_mode: bool) -> Outcome:
    """Make the declared access true, or only say what would be done.

    In check mode every transaction is read only. Otherwise one lock is held from the first look to the last commit.

    :raises DbopsError: the plan was refused, before anything changed; another run holds the lock; or a statement
        failed: then its transaction was rolled back, and the text says what was committed before.
    """
    connection = connect(login)
    try:
        with reported(f"The access on {login.place}", _AGAIN, "What was not committed was rolled back."):
            return _converge(login, spec, connection, check_mode)
    finally:
        end(connection)


def _converge(login: Login, spec: AccessSpec, connection: extensions.connection, check_mode: bool) -> Outcome:
    if check_mode:
        connection.set_session(readonly=True)
    seen = capabilities(connection)
    if seen.in_recovery:
        raise DbopsError(f"The server at {login.place} is a replica", "Run this against the primary.")
    if not check_mode:
        _lock(connection, login)
    state = reader.observe(login, reader.scope_of(spec), connection)
    connection.rollback()
    planned = plan(spec, state)
    statements = tuple(_listed(planned.plan.steps, connection))
    if not check_mode:
        _apply(login, connection, planned.plan.steps)
    return Outcome(planned, statements, state.capabilities)


def _lock(connection: extensions.connection, login: Login) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,))
        row = cursor.fetchone()
        if row and row[0]:
            return
        cursor.execute(
            """
            SELECT a.pid, a.usename, coalesce(host(a.client_addr), 'local socket'),
                   to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
              FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
               AND l.classid = (%(key)s >> 32)::int8 AND l.objid = (%(key)s & 4294967295)::int8
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """,
            {"key": LOCK_KEY},
        )
        holder = cursor.fetchone()
    who = "process {} of {} from {}, connected since {}".format(*holder) if holder else "a run that just ended"
    raise DbopsError(
        f"Another run of pg_access is changing the server at {login.place} ({who})", "Wait for it, then run this again."
    )


def _listed(steps: Sequence[Step], connection: extensions.connection) -> Iterable[str]:
    pairs = zip(steps, shown(steps, connection))
    for database, group in groupby(pairs, key=lambda pair: pair[0].database):
        yield "-- cluster" if database is None else f"-- database {database}"
        yield from (text for _step, text in group)


def _apply(login: Login, cluster: extensions.connection, steps: Sequence[Step]) -> None:
    """Run the steps; neighbours with the same place share a transaction."""
    done: list[str] = []
    for (database, transactional), group in groupby(steps, key=lambda step: (step.database, step.transactional)):
        place = "the cluster (roles and memberships)" if database is None else f"database {database}"
        try:
            if not transactional:
                _each_by_itself(login, group, done)
                continue
            if database is None:
                _in_transaction(cluster, tuple(group))
            else:
                with _opened(login, database, autocommit=False) as connection:
                    _in_transaction(connection, tuple(group))
        except DbopsError as error:
            committed = f"Committed before: {', '.join(done)}." if done else "Nothing was changed before it."
            raise DbopsError(
                error.problem,
                error.remedy or _AGAIN,
                f"Rolled back: {place}. {committed}",
            ) from None
        done.append(place)


def _each_by_itself(login: Login, steps: Iterable[Step], done: list[str]) -> None:
    with _opened(login, login.database, autocommit=True) as connection, connection.cursor() as cursor:
        for step in steps:
            execute(cursor, step)
            done.append(f"CREATE of {step.subject}")


def _in_transaction(connection: extensions.connection, steps: Sequence[Step]) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('createrole_self_grant', 'set, inherit', true) "
                "WHERE current_setting('createrole_self_grant', true) IS NOT NULL"
            )
            for secret, group in groupby(steps, key=lambda step: any(isinstance(a, Secret) for a in step.sql.args)):
                if secret:
                    with quiet(cursor):
                        _run(connection, cursor, group)
                else:
                    _run(connection, cursor, group)
        connection.commit()
    except BaseException:
        with suppress(psycopg2.Error):  # it may be gone
            connection.rollback()
        raise


def _run(connection: extensions.connection, cursor: extensions.cursor, steps: Iterable[Step]) -> None:
    for step in steps:
        connection.notices.clear()  # psycopg2 keeps the last 50 only: their number says nothing
        execute(cursor, step)
        # A GRANT or REVOKE that may not do all it says is only a warning to PostgreSQL.
        said = [text.strip() for text in connection.notices if text.startswith("WARNING")]
        if said and step.sql.template.startswith(("GRANT", "REVOKE", "ALTER DEFAULT")):
            raise DbopsError(f"{step.subject}: PostgreSQL did not do all of it: {'; '.join(said)}")


@contextmanager
def _opened(login: Login, database: str, *, autocommit: bool) -> Generator[extensions.connection, None, None]:
    connection = connect(login, database, autocommit=autocommit)
    try:
        yield connection
    finally:
        connection.close()
