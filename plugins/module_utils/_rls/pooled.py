# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Through a pool in transaction mode: what one client has set for its transaction must not reach the next client.

A pool hands one connection to the server from client to client. Nothing is left on it: what is set here ends with its
transaction, and nothing is written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login, compose, connect
from ansible_collections.dbops.postgres.plugins.module_utils._rls import attempts
from ansible_collections.dbops.postgres.plugins.module_utils._rls.cells import CONTROL
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import Identity, nobodies
from ansible_collections.dbops.postgres.plugins.module_utils._rls.state import RlsState, Table

with contextlib.suppress(ImportError):  # connect() says so before anything of this file runs
    import psycopg2

if TYPE_CHECKING:
    from psycopg2 import extensions

TRIES = 20


def proven(
    login: Login, state: RlsState, identities: Sequence[Identity], tables: Sequence[Table], tenant: str
) -> list[Finding]:
    """Two clients of the pool, one after the other on the same connection to the server, for each role."""
    found = []
    roles = [nobody for nobody in nobodies(identities) if not nobody.settings]
    if not roles:
        why = "each role is somebody without any setting, so nothing can be left over on a connection"
        found.append(Finding(CONTROL, "pool", Severity.CRITICAL, Status.NOT_APPLICABLE, why, title="connection reuse"))
    for nobody in roles:
        somebody = next(i for i in identities if i.role == nobody.role)
        mine = [
            table
            for table in tables
            if state.may(nobody.role, table.oid).may("SELECT")
            and nobody.predicate("SELECT", state.names(table), table.column(tenant) is not None) == "false"
        ]
        found.append(_one(login, state, somebody, nobody, mine))
    return found


def _one(login: Login, state: RlsState, somebody: Identity, nobody: Identity, tables: Sequence[Table]) -> Finding:
    def finding(status: Status, evidence: str, remedy: str = "") -> Finding:
        return Finding(
            CONTROL, f"pool: {nobody.role}", Severity.CRITICAL, status, evidence, remedy, title="connection reuse"
        )

    try:
        first, second = connect(login, state.database, pooled=True), connect(login, state.database, pooled=True)
    except DbopsError as error:
        return finding(Status.ERROR, f"the pool was not reached: {error.problem}")
    try:
        for _try in range(TRIES):
            before, own = _transaction(first, somebody, tables)
            after, rows = _transaction(second, nobody, tables)
            if before == after:
                if not own and not rows:
                    return finding(
                        Status.ERROR,
                        f"{somebody.name} itself sees no row through the pool, so that nobody sees one proves nothing",
                        "Put rows of its own in; through a pool none are made.",
                    )
                if rows:
                    return finding(
                        Status.FAIL,
                        f"after {somebody.name}, on the same connection, nobody in particular sees rows of"
                        f" {', '.join(rows)}",
                        "Set the tenant with SET LOCAL, or set_config(..., true), in each transaction.",
                    )
                return finding(
                    Status.PASS,
                    f"after {somebody.name}, on the same connection (process {after} of the server), nobody sees a row"
                    f" of {len(own)} tables of which {somebody.name} sees rows",
                )
        return finding(
            Status.NOT_TESTED,
            f"in {TRIES} tries the pool never gave both clients the same connection; try a pool with one connection",
        )
    except psycopg2.Error as error:
        return finding(Status.ERROR, f"through the pool: {str(error).strip()}")
    finally:
        first.close()
        second.close()


def _transaction(
    connection: extensions.connection, identity: Identity, tables: Sequence[Table]
) -> tuple[int, list[str]]:
    """The process that served it, and the tables of which it saw rows."""
    seen = []
    try:
        with connection.cursor() as cursor:
            cursor.execute(compose(attempts.TIMEOUTS))
            cursor.execute(compose(attempts.become(identity)))
            for table in tables:
                cursor.execute(compose(attempts.exists(table, "true", own=True)))
                row = cursor.fetchone()
                if row and row[0]:
                    seen.append(table.full)
            cursor.execute("SELECT pg_catalog.pg_backend_pid()")
            served = cursor.fetchone()
        return (served[0] if served else 0), seen
    finally:
        connection.rollback()
