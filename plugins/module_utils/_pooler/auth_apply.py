# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the login and the function true, on a live server: looks, plans, and applies in one transaction a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Plan, Step
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.auth import (
    FUNCTION,
    NOTHING,
    SCHEMA,
    Database,
    Function,
    Login,
    plan,
)
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login as ServerLogin
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import connect, execute, quiet, reported, shown

SUPERUSER = "Connect as a superuser, which alone may let somebody read pg_authid, and see the server's log."
_LOCK = 0x64626F70  # one run at a time: two create the login twice, or end in "tuple concurrently updated"
PATIENCE = "60s"


def observe_login(server: ServerLogin, user: str) -> Login | None:
    """The pooler's login; None: it does not exist. One query."""
    connection = connect(server)
    try:
        with reported(f"Role {user!r} cannot be looked at", SUPERUSER), connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT a.rolcanlogin, a.rolsuper, a.rolcreatedb, a.rolcreaterole, a.rolreplication, a.rolbypassrls,
                       a.rolconnlimit, a.rolpassword,
                       ARRAY(SELECT g.rolname::text FROM pg_catalog.pg_auth_members m
                               JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
                              WHERE m.member = a.oid ORDER BY 1)
                  FROM pg_catalog.pg_authid a WHERE a.rolname = %s
                """,
                (user,),
            )
            row = cursor.fetchone()
    finally:
        connection.close()
    if row is None:
        return None
    names = ("login", "superuser", "createdb", "createrole", "replication", "bypassrls")
    attributes = frozenset(name for name, has in zip(names, row[:6]) if has)
    return Login(attributes, row[6], row[7], tuple(row[8]))


def observe_database(server: ServerLogin, name: str, user: str) -> Database:
    """What one database has of login, schema and function. One query.

    :raises DbopsError: it does not exist.
    """
    connection = connect(server, name)
    try:
        with reported(f"Database {name!r} cannot be looked at", SUPERUSER), connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT EXISTS (SELECT FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) x
                                 JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
                                WHERE d.datname = pg_catalog.current_database()
                                  AND r.rolname = %(user)s AND x.privilege_type = 'CONNECT'),
                       n.oid IS NOT NULL,
                       ARRAY(SELECT DISTINCT coalesce(r.rolname::text, '')
                               FROM pg_catalog.aclexplode(n.nspacl) x
                               LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
                              WHERE x.grantee <> n.nspowner),
                       p.prosrc, coalesce(o.rolsuper, false), coalesce(p.prosecdef, false),
                       coalesce(p.proconfig, ARRAY[]::text[]),
                       ARRAY(SELECT DISTINCT coalesce(r.rolname::text, '')
                               FROM pg_catalog.aclexplode(
                                      coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) x
                               LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
                              WHERE x.grantee <> p.proowner)
                  FROM (SELECT 1) one
                  LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = %(schema)s
                  LEFT JOIN pg_catalog.pg_proc p
                    ON p.pronamespace = n.oid AND p.proname = %(function)s
                   AND pg_catalog.oidvectortypes(p.proargtypes) = 'text'
                  LEFT JOIN pg_catalog.pg_roles o ON o.oid = p.proowner
                """,
                {"user": user, "schema": SCHEMA, "function": FUNCTION},
            )
            row = cursor.fetchone()
    finally:
        connection.close()
    if row is None:
        raise DbopsError(f"Database {name!r} says nothing about itself", "Is it PostgreSQL?")
    connect_, schema, users, body, superuser, definer, config, grantees = row
    function = Function(body, superuser, definer, tuple(config), frozenset(grantees)) if body is not None else None
    return Database(connect_, schema, user in users, frozenset(users), function)


def converge(
    server: ServerLogin, user: str, password: str, databases: Sequence[str], limit: int = 0, *, check: bool
) -> tuple[Plan, list[str]]:
    """Look, plan, and unless ``check`` apply; the plan and its statements as text.

    :param limit: connections of the login; 0: one for each database, and one that replaces it while the server still
        counts the first.
    :raises DbopsError: a database does not exist (none was changed then), or the server refused a statement.
    """
    connection = connect(server, autocommit=True)
    try:
        if not check:
            with reported("Another run on this server goes on", "Run this again when it has ended."):
                _alone(connection)
        login = observe_login(server, user)
        seen = {
            name: observe_database(server, name, user) if login else _without_login(server, name) for name in databases
        }
        wanted = plan(user, password, limit or 2 * len(databases), databases, login, seen)
        statements = shown(wanted.steps, connection)
        if not check:
            for place in (None, *databases):
                _apply(server, place, [step for step in wanted.steps if step.database == place])
    finally:
        connection.close()
    return wanted, statements


def _alone(connection: Any) -> None:
    """From looking to the last statement: several poolers of one server are made at once. Ends with the session."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.set_config('lock_timeout', %s, false)", (PATIENCE,))
        cursor.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (_LOCK,))


def _without_login(server: ServerLogin, name: str) -> Database:
    found = observe_database(server, name, "")
    return found if found.schema else NOTHING


def _apply(server: ServerLogin, database: str | None, steps: Sequence[Step]) -> None:
    if not steps:
        return
    connection = connect(server, database)
    try:
        what = f"The look-up of passwords in {database or server.database!r}"
        with reported(what, SUPERUSER, "Its transaction was rolled back."), connection:
            _execute(connection, steps)
    finally:
        connection.close()


def _execute(connection: Any, steps: Sequence[Step]) -> None:
    with connection.cursor() as cursor, quiet(cursor):
        for step in steps:
            execute(cursor, step)
