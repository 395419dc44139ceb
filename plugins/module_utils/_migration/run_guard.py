# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first stage: may this database be migrated now? Nothing is changed, and one run at a time is let in."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._environment import environment_of, short
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_session import NAME
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_spec import MigrateSpec
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

_LOCK_CLASS = 0x64626F70  # "dbop"
_SERVER = """
SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('cluster_name'),
       (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
       (SELECT count(*) FROM pg_catalog.pg_prepared_xacts WHERE database = %(database)s)
"""
_DATABASE = """
SELECT pg_catalog.pg_get_userbyid(datdba), pg_catalog.pg_database_size(oid)
  FROM pg_catalog.pg_database WHERE datname = %(database)s AND datallowconn
"""
_LONG = """
SELECT pid, usename, extract(epoch FROM pg_catalog.clock_timestamp() - xact_start)::float8, state
  FROM pg_catalog.pg_stat_activity
 WHERE datname = %(database)s AND backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()
   AND xact_start < pg_catalog.clock_timestamp() - make_interval(secs => %(seconds)s) AND application_name <> %(name)s
 ORDER BY xact_start
"""
_LEFT = "SELECT pid FROM pg_catalog.pg_stat_activity WHERE datname = %s AND application_name = %s"


@dataclass(frozen=True)
class Admitted:
    """What the guard has learned about the database."""

    owner: str
    size: int
    cluster_name: str


@contextlib.contextmanager
def alone(login: Login, database: str) -> Generator[None, None, None]:
    """Hold the lock of the migration of a database, for the whole run.

    It is a lock of the server, in the database of the login: the session survives when the migrated database is
    exchanged. Another host that migrates the same database is kept out as well.

    :raises DbopsError: another run holds it.
    """
    connection = _postgres.connect(login, autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET idle_session_timeout = 0")
            cursor.execute(
                "SELECT pg_catalog.pg_try_advisory_lock(%s, pg_catalog.hashtext(%s))", (_LOCK_CLASS, database)
            )
            row = cursor.fetchone()
        if not row or not row[0]:
            raise DbopsError(f"Another run is migrating database {database!r}", "Wait until it has ended.")
        yield
    finally:
        _postgres.end(connection)


def admit(login: Login, spec: MigrateSpec) -> Admitted:
    """Look at the server and the database.

    :raises DbopsError: it must not be migrated, or not now; everything that speaks against it.
    """
    values = {"database": spec.database, "seconds": spec.long_transaction_seconds, "name": NAME}
    connection = _postgres.connect(login, autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(_SERVER, values)
            replica, cluster, superuser, prepared = cursor.fetchone() or (False, "", False, 0)
            cursor.execute(_DATABASE, values)
            found = cursor.fetchone()
            cursor.execute(_LONG, values)
            long = [tuple(row) for row in cursor.fetchall()]
    finally:
        connection.close()
    if replica:
        raise DbopsError("The server is a replica", "Migrate its primary.")
    if found is None:
        raise DbopsError(
            f"There is no database {spec.database!r} here, or nobody may connect to it", "Look at psql -l."
        )
    problems = []
    if not superuser:
        problems.append(f"{login.user!r} is no superuser, and so cannot make a copy of the database")
    said = environment_of(cluster)
    if spec.environment and said != short(spec.environment):
        problems.append(
            f"the server says that it is {said or 'of no environment'!r} (cluster_name {cluster!r}), "
            f"expected is {spec.environment!r}"
        )
    if prepared:
        problems.append(f"{prepared} prepared transaction(s) hold locks until somebody ends them (pg_prepared_xacts)")
    problems += [
        f"session {pid} of {user} has a transaction open for {seconds:.0f} s ({state})"
        for pid, user, seconds, state in long[:5]
    ]
    if problems:
        raise DbopsError(
            f"Database {spec.database!r} cannot be migrated now: {'; '.join(problems)}", "Mend this, and run it again."
        )
    return Admitted(str(found[0]), int(found[1]), str(cluster))


def end_left(login: Login, database: str) -> int:
    """End the sessions that a run which was killed has left; only inside :func:`alone`. How many there were.

    Their client is gone, so their transaction can only be rolled back.
    """
    connection = _postgres.connect(login, autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(_LEFT, (database, NAME))
            pids = [row[0] for row in cursor.fetchall()]
            for pid in pids:
                cursor.execute("SELECT pg_catalog.pg_terminate_backend(%s, 30000)", (pid,))
    finally:
        connection.close()
    return len(pids)
