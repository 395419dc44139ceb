# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the schema of a database, and makes throwaway databases to read what migrations make."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from ansible_collections.dbops.postgres.plugins.module_utils._command import run as run_tool
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login, connect, mask, reported
from ansible_collections.dbops.postgres.plugins.module_utils._schema.ignore import ALWAYS, Ignore
from ansible_collections.dbops.postgres.plugins.module_utils._schema.observe import snapshot
from ansible_collections.dbops.postgres.plugins.module_utils._schema.snapshot import Snapshot

with contextlib.suppress(ImportError):
    import psycopg2
    from psycopg2 import extensions, sql

PREFIX = "dbops_drift_"
SEARCH_PATH = '"$user", public'
_STALE_SECONDS = 24 * 3600
_SHOWN = 2000
_ATTEMPTS = 3
# In a transaction PostgreSQL refuses these; in an empty database the plain form makes the same.
_CONCURRENTLY = re.compile(r"\b(INDEX|VIEW|REINDEX|TABLE)\s+CONCURRENTLY\b", re.IGNORECASE)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_OUTSIDE = re.compile(
    r"\b(?:CREATE|ALTER|DROP)\s+(?:ROLE|GROUP|USER(?!\s+MAPPING\b)|DATABASE|TABLESPACE)\b|\bALTER\s+SYSTEM\b"
    r"|\bCREATE\s+SUBSCRIPTION\b",
    re.IGNORECASE,
)


def observed(login: Login, ignore: Ignore = ALWAYS, timeout: int = 60) -> Snapshot:
    """The schema of the login's database, as of one moment, read only.

    :param timeout: for each query, in seconds.
    :raises DbopsError: it cannot be looked at.
    """
    connection = connect(login)
    try:
        connection.set_session(readonly=True, isolation_level="REPEATABLE READ")
        for _attempt in range(_ATTEMPTS - 1):
            # An object of this moment that is dropped before its definition is printed: look at the next moment.
            with contextlib.suppress(psycopg2.errors.InternalError_, psycopg2.errors.UndefinedTable):
                return _observed(connection, ignore, timeout)
            connection.rollback()
        return _observed(connection, ignore, timeout)
    except psycopg2.Error as error:
        raise DbopsError(
            f"The schema of {login.database} on {login.place} cannot be read: {_said(error)}",
            "If the schema was being changed at this moment, look again.",
        ) from None
    finally:
        connection.close()


def _observed(connection: extensions.connection, ignore: Ignore, timeout: int) -> Snapshot:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", (f"{timeout}s",))
        return snapshot(cursor, ignore)


@contextlib.contextmanager
def throwaway(login: Login, owner: str = "") -> Iterator[Login]:
    """An empty database on the login's server, which is dropped whatever happens.

    :param owner: the role that owns it; by default that of the login.
    :raises DbopsError: it cannot be made.
    """
    name = f"{PREFIX}{int(time.time())}_{secrets.token_hex(4)}"
    connection = connect(login, autocommit=True)
    try:
        with reported(
            "The throwaway databases of earlier runs", "Drop them yourself, or name another server (scratch)."
        ):
            _drop_stale(connection)
        owned = sql.SQL(" OWNER {}").format(sql.Identifier(owner)) if owner else sql.SQL("")
        try:
            _execute(connection, sql.SQL("CREATE DATABASE {} TEMPLATE template0{}").format(sql.Identifier(name), owned))
        except psycopg2.Error as error:
            raise DbopsError(
                f"No throwaway database can be made on {login.place} as {login.user!r}: {_said(error)}",
                "The role needs CREATEDB (and membership in the role that shall own it), or name another server.",
            ) from None
        try:
            yield replace(login, database=name)
        finally:
            with reported(
                f"The throwaway database {name}", f'DROP DATABASE "{name}" WITH (FORCE);', "It is still there."
            ):
                _drop(connection, name)
    finally:
        connection.close()


def _drop_stale(connection: extensions.connection) -> None:
    """Those of runs that were killed. Only our own, and none that can still be in use."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT datname FROM pg_catalog.pg_database WHERE datname ~ %s AND pg_catalog.pg_has_role(datdba, 'USAGE')",
            (f"^{PREFIX}[0-9]{{10,12}}_[0-9a-f]{{8}}$",),
        )
        names = [row[0] for row in cursor.fetchall()]
    for name in names:
        if time.time() - int(name.split("_")[2]) > _STALE_SECONDS:
            _drop(connection, name)


def _drop(connection: extensions.connection, name: str) -> None:
    _execute(connection, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(connection: extensions.connection, statement: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def outside(text: str) -> str:
    """The first words of a migration that reach outside of its database, to roles for example; empty: none do."""
    found = _OUTSIDE.search(_COMMENTS.sub(" ", text))
    return " ".join(found[0].split()) if found else ""


def refuse_outside(files: Sequence[tuple[str, str]]) -> None:
    """Refuse migrations that would change the server on which the throwaway database lies.

    :raises DbopsError: one of them would.
    """
    for path, text in files:
        words = outside(text)
        if words:
            raise DbopsError(
                f"{path} says {words}, which reaches outside of the throwaway database, to the live server",
                "Give a server for throwaway databases with the option scratch.",
            )


def apply_files(
    login: Login, files: Sequence[tuple[str, str]], role: str = "", search_path: str = SEARCH_PATH, timeout: int = 600
) -> None:
    """Run migrations in a database, each file as one query, as their tools do.

    :param files: paths for messages, and texts, in their order.
    :raises DbopsError: one of them fails.
    """
    connection = connect(login, autocommit=True)
    try:
        with connection.cursor() as cursor:
            settings = {"statement_timeout": f"{timeout}s", "search_path": search_path, "lock_timeout": f"{timeout}s"}
            for name, value in settings.items():
                cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
            if role:
                cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            for path, text in files:
                if _COMMENTS.sub("", text).strip():
                    _apply(cursor, path, text)
    except psycopg2.Error as error:
        raise DbopsError(f"The migrations cannot be run as {role or login.user!r}: {_said(error)}") from None
    finally:
        connection.close()


def _apply(cursor: extensions.cursor, path: str, text: str) -> None:
    try:
        try:
            cursor.execute(text)
        except psycopg2.errors.ActiveSqlTransaction:
            cursor.execute("ROLLBACK")
            cursor.execute(_CONCURRENTLY.sub(r"\1", text))
    except psycopg2.Error as error:
        line = ""
        if error.diag.statement_position:
            line = f":{text.count(chr(10), 0, int(error.diag.statement_position) - 1) + 1}"
        raise DbopsError(
            f"The migration {path}{line} fails in an empty database: {_said(error)}",
            "A schema must come from its migrations alone: mend it, or compare with a snapshot instead.",
        ) from None


def url(login: Login) -> str:
    """The login as a connection URL. It holds the password: for an environment, never for an argument or a message."""
    who = quote(login.user, safe="") + (f":{quote(login.password, safe='')}" if login.password else "")
    host = f"[{login.host}]" if ":" in login.host else login.host
    options = {"sslmode": login.ssl_mode} if login.host else {}
    if login.ca_cert and login.host:
        options["sslrootcert"] = login.ca_cert
    if not login.host:
        host, options["host"] = "localhost", login.unix_socket or "/var/run/postgresql"
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in options.items())
    return f"postgresql://{who}@{host}:{login.port}/{quote(login.database, safe='')}" + (f"?{query}" if query else "")


def run_command(login: Login, command: Sequence[str], directory: str | None = None, timeout: int = 600) -> None:
    """Run a tool that migrates the database of the environment's ``DATABASE_URL``.

    :raises DbopsError: it is not there, takes too long or fails; the text holds no password.
    """
    address = url(login)
    as_peer: dict[str, Any] = {}
    if os.geteuid() == 0 and not login.host and not login.password:
        with contextlib.suppress(KeyError):  # peer authentication, as for our own connections
            as_peer = {"user": pwd.getpwnam(login.user).pw_uid}
    secret = [address, login.password, quote(login.password, safe="")]
    try:
        done = run_tool(
            command,
            timeout,
            cwd=directory,
            env={**os.environ, "DATABASE_URL": address},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **as_peer,
        )
    except subprocess.TimeoutExpired:
        raise DbopsError(
            f"The command {command[0]} was stopped after {timeout} s", "Give it longer: migrate_timeout."
        ) from None
    except OSError as error:
        raise DbopsError(f"The command {command[0]} cannot be run: {error.strerror}", "Install it there.") from None
    if done.returncode != 0:
        said = mask(done.stdout.decode("utf-8", "replace").strip(), secret)[-_SHOWN:]
        raise DbopsError(f"The command {command[0]} failed with status {done.returncode}: {said}")


def from_file(path: str) -> Snapshot:
    """A committed snapshot.

    :raises DbopsError: it cannot be read, or is none.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise DbopsError(f"The snapshot {path} cannot be read: {said}", "Write it with pg_schema_snapshot.") from None
    return Snapshot.from_json(text, path)


def _said(error: psycopg2.Error) -> str:
    return (error.diag.message_primary or str(error)).strip()
