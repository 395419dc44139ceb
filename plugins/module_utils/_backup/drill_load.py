# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load a set into the drill's own cluster: what is missing on this host is named first, then everything is restored."""

from __future__ import annotations

import contextlib
import locale
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._backup import drill_cluster, faults
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_cluster import Cluster
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_set import BackupError
from ansible_collections.dbops.postgres.plugins.module_utils._backup.restore_globals import for_scratch
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    from psycopg2 import sql

_GLOBALS_SECONDS = 600
_LIST_SECONDS = 600
# A server or a tool that was killed, for want of memory or by a person, says nothing of the backup.
_SERVER_IS_GONE = (
    "server closed the connection unexpectedly",
    "terminating connection",
    "the database system is",
    "connection to server on socket",
    "could not fork",
    "out of memory",
)

DEADLOCK = "{}: two workers of pg_restore were in each other's way (deadlock); restoring it again with one"

# Extensions that PostgreSQL creates only when their library was loaded at the start, and what keeps their background
# workers still: a drill must run no job of production.
_PRELOADED: dict[str, dict[str, str]] = {
    "pg_cron": {"cron.launch_active_jobs": "off"},
    "pgaudit": {},
    "timescaledb": {"timescaledb.max_background_workers": "0"},
}


def settings_for(extensions: Mapping[str, Iterable[str]], binaries: str) -> dict[str, str]:
    """The settings that the extensions of the databases need before the server starts.

    :param extensions: names by database.
    """
    libraries = os.path.join(os.path.dirname(binaries), "lib")
    wanted = {name: database for database, names in extensions.items() for name in names if name in _PRELOADED}
    # One whose library is not here must not keep the server from starting: it is named later, with its package.
    installed = sorted(name for name in wanted if os.path.exists(os.path.join(libraries, f"{name}.so")))
    found = {key: value for name in installed for key, value in _PRELOADED[name].items()}
    if "pg_cron" in installed:
        found["cron.database_name"] = wanted["pg_cron"]
    if installed:
        found["shared_preload_libraries"] = ",".join(installed)
    return found


def restore_globals(made: Cluster, text: str) -> None:
    """Roles, their memberships and settings, and tablespaces, which lie in the cluster's own directory.

    :raises BackupError: with psql's own words.
    """
    command = made.tool("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-", database="template1")
    done = drill_cluster.run(command, text=for_scratch(text, made.superuser).encode(), timeout=_GLOBALS_SECONDS)
    if done.returncode != 0:
        raise _failed(made, "psql", done)


def missing_extensions(made: Cluster, wanted: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Extensions that the databases have and this host does not, one line each.

    :param wanted: versions by name, by database.
    """
    connection = _postgres.connect(made.login, autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name FROM pg_catalog.pg_available_extensions")
            here = {row[0] for row in cursor.fetchall()}
    finally:
        connection.close()
    return [
        f"database {database}: extension {name} {version} is not installed on this host"
        for database, extensions in wanted.items()
        for name, version in extensions.items()
        if name not in here
    ]


def missing_roles(made: Cluster, wanted: Mapping[str, Iterable[str]]) -> list[str]:
    """Roles that the databases refer to and the globals did not create, one line each."""
    connection = _postgres.connect(made.login, autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolname FROM pg_catalog.pg_roles")
            here = {row[0] for row in cursor.fetchall()}
    finally:
        connection.close()
    return [
        f"database {database}: role {role} is not in the set's globals"
        for database, roles in wanted.items()
        for role in roles
        if role not in here
    ]


def missing_locales(wanted: Mapping[str, Iterable[str]]) -> list[str]:
    """Locales of the operating system that databases have and this host does not, one line each."""
    before = locale.setlocale(locale.LC_COLLATE)
    found = []
    try:
        for database, names in wanted.items():
            for name in dict.fromkeys(names):
                try:
                    locale.setlocale(locale.LC_COLLATE, name)
                except locale.Error:
                    found.append(f"database {database}: locale {name} is not on this host")
    finally:
        locale.setlocale(locale.LC_COLLATE, before)
    return found


def listing(made: Cluster, path: str) -> int:
    """How many entries the dump has, by ``pg_restore --list``.

    :raises BackupError: it is no dump.
    """
    command = [os.path.join(made.binaries, "pg_restore"), "--list", path]
    done = drill_cluster.run(command, timeout=_LIST_SECONDS)
    if done.returncode != 0:
        raise _failed(made, "pg_restore --list", done)
    return sum(not line.startswith(b";") for line in done.stdout.splitlines() if line)


def clear_default_database(made: Cluster) -> None:
    """Drop the database that initdb makes: a dump of ``postgres`` creates it again, with its own locale."""
    _drop(made, "postgres")


def _drop(made: Cluster, database: str) -> None:
    drill_cluster.assert_own(made)
    connection = _postgres.connect(made.login, autocommit=True)
    try:
        with connection.cursor() as cursor:
            # Of a pg_restore that failed, a backend may still be at work.
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))
    finally:
        connection.close()


def restore(
    made: Cluster, database: str, path: str, jobs: int, tell: Callable[[str], None] = lambda _line: None
) -> bool:
    """Restore a whole database as a person would after a loss: the dump itself creates it.

    :returns: whether it took a second attempt, with one job, because the workers of the first were in each other's way.
    :raises BackupError: the first error, in pg_restore's own words. No time limit: the unit has one.
    """
    drill_cluster.assert_own(made)

    def attempt(jobs: int) -> subprocess.CompletedProcess[bytes]:
        command = made.tool("pg_restore", "--exit-on-error", "--create", f"--jobs={jobs}", path, database="template1")
        return drill_cluster.run(command)

    done = attempt(jobs)
    again = jobs > 1 and deadlocked(done)
    if again:
        tell(DEADLOCK.format(database))
        _drop(made, database)
        done = attempt(1)
    if done.returncode != 0:
        raise _failed(made, "pg_restore", done)
    return again


def deadlocked(done: subprocess.CompletedProcess[bytes]) -> bool:
    """Whether workers of pg_restore were in each other's way, which says nothing of the backup: one that attaches the
    index of a partition, and one that gives the partitioned table a constraint that is NOT VALID, for example.

    pg_restore keeps only those entries apart whose locks the dump names (restore_toc_entries_parallel).
    """
    return done.returncode != 0 and b"deadlock detected" in done.stderr


def _failed(made: Cluster, tool: str, done: subprocess.CompletedProcess[bytes]) -> Exception:
    """What a tool that failed says of the backup, or of this host."""
    text = f"{tool}: {faults.first_error(done.stderr) or f'status {done.returncode}'}"
    if full(text):
        return DbopsError(text, "Give the scratch directory more room (restore_drill_scratch).")
    if done.returncode < 0 or any(word in text for word in _SERVER_IS_GONE):
        log = drill_cluster.log_tail(made)
        return DbopsError(
            f"{text}{f'; the server says: {log}' if log else ''}",
            "Look at the memory of this host: journalctl -k. The backup was not judged.",
        )
    return BackupError([text], "This set cannot be restored: take a new backup.")


def full(text: str) -> bool:
    """Whether a tool says that a disk of this host is full, which says nothing of the backup."""
    return "no space left on device" in text.lower() or "disk quota exceeded" in text.lower()
