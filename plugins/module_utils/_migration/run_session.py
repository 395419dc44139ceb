# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The session in which migrations run: as the tool's own would be, but for its timeouts."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Generator
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2
    from psycopg2 import sql

# What can go wrong with a server, a tool or a disk, and must end as a message. Not an error of ours.
FAULTS: tuple[type[Exception], ...] = (DbopsError, OSError, subprocess.SubprocessError, UnicodeError)
if _postgres.HAS_PSYCOPG2:
    FAULTS = (*FAULTS, psycopg2.Error)
ANSWER_SECONDS = 120
NAME = "dbops.postgres migration"
# What a session of this role in this database would have: the narrowest setting wins, as in PostgreSQL.
_SETTINGS = """
SELECT split_part(item, '=', 1), substr(item, strpos(item, '=') + 1)
  FROM pg_catalog.pg_db_role_setting s
  LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
  LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole,
       unnest(s.setconfig) item
 WHERE (s.setdatabase = 0 OR d.datname = pg_catalog.current_database()) AND (s.setrole = 0 OR r.rolname = %s)
   AND split_part(item, '=', 1) = 'search_path'
 ORDER BY s.setrole <> 0, s.setdatabase <> 0
"""


@contextlib.contextmanager
def migrating(login: Login, database: str, role: str) -> Generator[Any, None, None]:
    """A connection under the role of the migrations, with its search path; outside any transaction."""
    # Without the session settings of ours: the files rely on the database's own search path.
    connection = _postgres.connect(login, database, autocommit=True, pooled=True)
    try:
        # The files are UTF-8, whatever the database has.
        connection.set_client_encoding("UTF8")
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('application_name', %s, false)", (NAME,))
            cursor.execute("SET client_min_messages = warning")
            cursor.execute("SET idle_in_transaction_session_timeout = 0")
            _postgres.no_transaction_timeout(cursor)
            cursor.execute(_SETTINGS, (role,))
            for name, value in cursor.fetchall():
                cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
            cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def looking(login: Login, database: str) -> Generator[Any, None, None]:
    """A cursor that only looks, each statement for itself."""
    connection = _postgres.connect(login, database, autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")
            yield cursor
    finally:
        connection.close()


def answers(login: Login, database: str, seconds: float = ANSWER_SECONDS) -> None:
    """Wait until the server answers again, where it may be recovering from a crash.

    :raises DbopsError: it does not.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            with looking(login, database) as cursor:
                cursor.execute("SELECT 1")
            return
        except (DbopsError, psycopg2.Error):
            if time.monotonic() > end:
                raise
        time.sleep(0.5)


def timeouts(cursor: Any, lock: float, statement: float) -> None:
    """Set both; 0: none."""
    cursor.execute(
        "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)",
        (f"{int(lock * 1000)}ms", f"{int(statement * 1000)}ms"),
    )


def said(error: Exception) -> str:
    """PostgreSQL's message on one line, with its SQLSTATE."""
    if _postgres.HAS_PSYCOPG2 and isinstance(error, psycopg2.Error):
        text = error.diag.message_primary or str(error) or type(error).__name__
        detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
        code = f" (SQLSTATE {error.pgcode})" if error.pgcode else ""
        return " ".join(f"{text}{detail}{code}".split())
    if isinstance(error, DbopsError):
        return error.problem
    return " ".join(f"{type(error).__name__}: {error}".split())


def lost(connection: Any, error: Exception) -> bool:
    """Whether the session is gone."""
    return bool(connection.closed) or (
        isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError))
        and getattr(error, "pgcode", None) is None
    )
