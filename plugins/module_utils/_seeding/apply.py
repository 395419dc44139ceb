# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan and apply: the whole run of ``pg_seed_guard``.

The functions and event triggers are one transaction. Then each table is one, so that no more than one table's writers
wait at a time; new tables are guarded from the first commit on.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Plan
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import (
    Login,
    capabilities,
    connect,
    end,
    execute,
    reported,
    shown,
)
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.observe import observe
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.plan import plan
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.spec import GuardSpec, environment_of

if TYPE_CHECKING:
    from psycopg2 import extensions

LOCK_KEY = 0x7365656475617264
STATEMENT_TIMEOUT = "30s"
LOCK_TIMEOUT = "2s"  # while it waits for a table, the table's writers wait behind it


@dataclass(frozen=True)
class Outcome:
    """What a run found and did."""

    plan: Plan
    statements: tuple[str, ...]
    environment: str
    tables: int


def converge(login: Login, spec: GuardSpec, *, check_mode: bool) -> Outcome:
    """Make the guard so, or only say what would be done.

    :raises DbopsError: refused before anything changed, or a statement failed; the text says what was committed.
    """
    remedy = "Mend that and run this again: it takes up where it stopped."
    with reported(f"The guard of database {login.database}", remedy, "What was not committed was rolled back."):
        return _converge(login, spec, check_mode=check_mode)


def _converge(login: Login, spec: GuardSpec, *, check_mode: bool) -> Outcome:
    connection = connect(login)
    try:
        connection.set_session(readonly=check_mode)
        seen = capabilities(connection)
        if seen.in_recovery:
            raise DbopsError(f"The server at {login.place} is a replica", "Run this against the primary.")
        if not seen.superuser and not seen.rds:
            raise DbopsError(f"{seen.user} is no superuser", "Event triggers need one: log in as a superuser.")
        roles = tuple(sorted({*spec.seed_roles, *spec.allowed_roles, *spec.callers}))
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_catalog.set_config('statement_timeout', %s, false),"
                " pg_catalog.set_config('lock_timeout', %s, false)",
                (STATEMENT_TIMEOUT, LOCK_TIMEOUT),
            )
            if not check_mode:
                _lock(cursor, login)
            guard = observe(cursor, spec.schemas, roles)
        connection.commit()
        wanted = plan(spec, guard)
        statements = tuple(shown(wanted.steps, connection))
        if not check_mode:
            _apply(connection, wanted)
        tables = sum(
            schema in spec.schemas and f"{schema}.{table}" not in spec.exempt for schema, table in guard.tables
        )
        environment = environment_of(guard.cluster_name, spec.environment)
        return Outcome(wanted, statements, environment, tables if spec.present else 0)
    finally:
        end(connection)


def _lock(cursor: extensions.cursor, login: Login) -> None:
    cursor.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", (LOCK_KEY,))
    if not (cursor.fetchone() or (False,))[0]:
        raise DbopsError(
            f"Another run of pg_seed_guard changes database {login.database}", "Wait for it, then run this again."
        )


def _apply(connection: extensions.connection, wanted: Plan) -> None:
    done: list[str] = []
    for subject, steps in groupby(wanted.steps, key=lambda step: step.subject):
        try:
            with connection.cursor() as cursor:
                for step in steps:
                    execute(cursor, step)
            connection.commit()
        except DbopsError as error:
            committed = f"Committed before: {', '.join(done)}." if done else "Nothing was changed before it."
            raise DbopsError(
                error.problem,
                error.remedy or "Mend that and run this again: it takes up where it stopped.",
                f"Rolled back: {subject}. {committed}",
            ) from None
        done.append(subject)
