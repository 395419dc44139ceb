# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove what was restored: structure of every relation, declared queries, age of the newest rows, a write."""

from __future__ import annotations

import contextlib
import datetime
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._backup import drill_cluster
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_cluster import Cluster
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_spec import Newest, Smoke
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2
    from psycopg2 import sql

_MOST_LINES = 20
_CORRUPT = 2  # pg_amcheck's exit status; 1: it could not look

# Our own sessions begin with an empty search_path; this is the one that the database declares.
_SEARCH_PATH = """
SELECT set_config('search_path', coalesce((
    SELECT substr(item, length('search_path=') + 1)
      FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) item
     WHERE d.datname = current_database() AND s.setrole = 0 AND item LIKE 'search_path=%'), '"$user", public'), false)
"""


def amcheck(made: Cluster, database: str, jobs: int) -> list[str]:
    """What pg_amcheck finds in the tables and indexes of a database, one line each."""
    drill_cluster.assert_own(made)
    done = drill_cluster.run(made.tool("pg_amcheck", "--install-missing", f"--jobs={jobs}", database))
    said = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    lines = [" ".join(line.split()) for line in said if line.strip() and not line.startswith("query was:")]
    if done.returncode == 0:
        return []
    if done.returncode != _CORRUPT:
        text = " ".join(lines[:_MOST_LINES]) or f"status {done.returncode}"
        raise DbopsError(f"database {database}: {text}", "pg_amcheck could not look at all of it on this host.")
    return [f"database {database}: {line}" for line in lines[:_MOST_LINES]] or [
        f"database {database}: pg_amcheck finds it corrupt"
    ]


def smoke(login: Login, query: Smoke, timeout_seconds: int) -> str:
    """Ask a declared query; empty, or what is wrong with its answer."""
    try:
        rows = _ask(login, query.database, query.query, timeout_seconds)
    except psycopg2.Error as error:
        return f"{query.name}: {_said(error)}"
    if len(rows) != 1 or len(rows[0]) != 1:
        return f"{query.name}: answered {len(rows)} row(s), not one row of one column"
    found = rows[0][0]
    text = str(found).lower() if isinstance(found, bool) else str(found)
    return "" if text == query.expect else f"{query.name}: answered {text!r}, expected {query.expect!r}"


def newest(login: Login, rule: Newest, snapshot: datetime.datetime) -> tuple[str, str]:
    """How old the newest row of a table was at the moment of the snapshot: words, and what is wrong with it."""
    schema, table = rule.table.split(".")
    # Compared in the server: a date, a timestamp and one with time zone all have an age.
    query = sql.SQL("SELECT extract(epoch FROM %s::timestamptz - max({})::timestamptz)::float8 FROM {}").format(
        sql.Identifier(rule.column), sql.Identifier(schema, table)
    )
    where = f"{rule.database} {rule.table}.{rule.column}"
    try:
        rows = _ask(login, rule.database, query, 0, (snapshot,))
    except psycopg2.Error as error:
        return "", f"{where}: {_said(error)}"
    age = rows[0][0]
    if age is None:
        return "", f"{where}: the table has no row with a value"
    words = f"{where}: {max(age, 0) / 3600:.1f} h before the snapshot"
    return words, "" if age <= rule.max_age_hours * 3600 else f"{words}, at most {rule.max_age_hours:g} h are allowed"


def write(login: Login, database: str) -> str:
    """Write a row, read it in another session, and take it away; empty, or what is wrong."""
    try:
        _do(login, database, "CREATE SCHEMA dbops_drill", "CREATE TABLE dbops_drill.written (id int PRIMARY KEY)")
        _do(login, database, "INSERT INTO dbops_drill.written VALUES (42)")
        rows = _ask(login, database, "SELECT id FROM dbops_drill.written", 0)
        _do(login, database, "DROP SCHEMA dbops_drill CASCADE")
    except psycopg2.Error as error:
        return f"database {database}: {_said(error)}"
    return (
        "" if [tuple(row) for row in rows] == [(42,)] else f"database {database}: the row that was written is not there"
    )


def _ask(login: Login, database: str, query: Any, timeout_seconds: int, values: Any = None) -> list[Any]:
    connection = _postgres.connect(login, database, autocommit=True)
    try:
        with connection.cursor() as cursor:
            # As the application asks: names without a schema are found. Read-only, so that a query stays one.
            cursor.execute(_SEARCH_PATH)
            cursor.execute("SET default_transaction_read_only = on")
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", (f"{timeout_seconds}s",))
            cursor.execute(query, values)
            return list(cursor.fetchall())
    finally:
        connection.close()


def _do(login: Login, database: str, *statements: str) -> None:
    connection = _postgres.connect(login, database, autocommit=False)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ WRITE")  # a database may be declared read-only for its sessions
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def _said(error: psycopg2.Error) -> str:
    return " ".join((error.diag.message_primary or str(error)).split())
