# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The databases of a restore on a live server: a new one beside the old, and, when it is proven, in its place."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2
    from psycopg2 import sql

_SWAP_TRIES = 10
_LOG = "Look at PostgreSQL's log."
_SETTING_LISTS = (  # their value is a list of names, which one literal would turn into one name
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)
_UNPROVEN = "dbops-postgres: restored from set {}, not proven yet"
_PROVEN = "dbops-postgres: restored from set {} and proven"


def databases(login: Login) -> list[str]:
    """The databases of the server."""
    return [row[0] for row in _rows(login, "SELECT datname FROM pg_catalog.pg_database ORDER BY 1")]


def data_directory(login: Login) -> str:
    """Where the server has its data."""
    return str(_rows(login, "SELECT current_setting('data_directory')")[0][0])


def unproven(login: Login) -> list[str]:
    """Databases that a restore which was interrupted has left."""
    return [
        row[0]
        for row in _rows(
            login,
            "SELECT datname FROM pg_catalog.pg_database"
            " WHERE pg_catalog.shobj_description(oid, 'pg_database') LIKE 'dbops-postgres: %, not proven yet'"
            " ORDER BY 1",
        )
    ]


def lacking(login: Login, extensions: Mapping[str, str], roles: Sequence[str]) -> list[str]:
    """What the server lacks of what a database needs, one line each."""
    available = {row[0] for row in _rows(login, "SELECT name FROM pg_catalog.pg_available_extensions")}
    known = {row[0] for row in _rows(login, "SELECT rolname FROM pg_catalog.pg_roles")}
    return [
        *(f"extension {name} {version}" for name, version in extensions.items() if name not in available),
        *(f"role {name}" for name in roles if name not in known),
    ]


def create(login: Login, name: str, set_id: str, options: Mapping[str, str]) -> None:
    """Create the new database, closed to everybody but its owner and superusers.

    :param options: of CREATE DATABASE: OWNER (a role), and literals such as ENCODING and LC_COLLATE.
    """
    parts = [sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))]
    for key, value in options.items():
        quoted = sql.Identifier(value) if key == "OWNER" else sql.Literal(value)
        parts.append(sql.SQL("{} {}").format(sql.SQL(key), quoted))
    _do(login, f"database {name!r}", sql.SQL(" ").join(parts))
    try:
        # First what marks it as ours to drop, should what follows fail.
        _comment(login, name, _UNPROVEN.format(set_id))
        _do(login, f"database {name!r}", sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
    except BaseException:
        with contextlib.suppress(DbopsError):
            _drop(login, name)
        raise


def proven(login: Login, name: str, set_id: str) -> None:
    """Say in the catalog that what is in the database equals its set."""
    _comment(login, name, _PROVEN.format(set_id))


def drop_unproven(login: Login, name: str) -> None:
    """Drop a database that was not proven; any other stays."""
    if name in unproven(login):
        _drop(login, name)


def _drop(login: Login, name: str) -> None:
    _do(login, f"database {name!r}", sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def take_over(login: Login, live: str, new: str, kept: str) -> None:
    """Give the new database what belongs to the live one itself: settings, privileges, limit, comment.

    :raises DbopsError: the server refuses some of it; the live one is untouched.
    """
    with _postgres.reported(
        f"What belongs to database {live!r} itself (settings, privileges) cannot be given to {new!r}",
        f"Mend that and restore again, or give it by hand and rename: {_renames(live, new, kept)}",
        f"{live!r} is as it was; the proven {new!r} is beside it.",
    ):
        _take_over(login, live, new)


def _take_over(login: Login, live: str, new: str) -> None:
    connection = _postgres.connect(login, "postgres" if login.database in (live, new) else None)
    try:
        with connection, connection.cursor() as cursor:
            _settings(cursor, live, new)
            _privileges(cursor, live, new)
            cursor.execute(
                "SELECT datconnlimit, pg_catalog.shobj_description(oid, 'pg_database'), "
                "pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = %s",
                (live,),
            )
            limit, comment, owner = cursor.fetchone() or (-1, None, None)
            name = sql.Identifier(new)
            cursor.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(name, sql.Literal(limit)))
            cursor.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, sql.Identifier(owner)))
            cursor.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(comment)))
    finally:
        connection.close()


def _settings(cursor: Any, live: str, new: str) -> None:
    cursor.execute(
        "SELECT r.rolname, split_part(item, '=', 1), substr(item, strpos(item, '=') + 1)"
        " FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase"
        " LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) item WHERE d.datname = %s",
        (live,),
    )
    for role, key, value in cursor.fetchall():
        whose = sql.SQL("DATABASE {}").format(sql.Identifier(new))
        if role is not None:
            whose = sql.SQL("ROLE {} IN {}").format(sql.Identifier(role), whose)
        parameter = sql.SQL(".").join(sql.Identifier(part) for part in key.split("."))
        if key in _SETTING_LISTS:
            cursor.execute("SELECT pg_catalog.set_config(%s, %s, true)", (key, value))
            cursor.execute(sql.SQL("ALTER {} SET {} FROM CURRENT").format(whose, parameter))
        else:
            cursor.execute(sql.SQL("ALTER {} SET {} = {}").format(whose, parameter, sql.Literal(value)))


def _privileges(cursor: Any, live: str, new: str) -> None:
    name = sql.Identifier(new)
    cursor.execute(
        "SELECT coalesce(r.rolname, ''), a.privilege_type, a.is_grantable FROM pg_catalog.pg_database d,"
        " aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a"
        " LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee WHERE d.datname = %s",
        (live,),
    )
    for grantee, privilege, grantable in cursor.fetchall():
        whom = sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC")
        again = sql.SQL(" WITH GRANT OPTION") if grantable else sql.SQL("")
        # The privilege is PostgreSQL's own word from the catalog, not input.
        grant = sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(sql.SQL(privilege), name, whom, again)
        cursor.execute(grant)


def swap(login: Login, live: str, new: str, kept: str) -> None:
    """Put the new database in the live one's place: both names change at one moment, or neither.

    RENAME locks the database against new sessions and waits up to 5 s for those that are there; they are ended just
    before. One that slips in between makes the attempt fail as a whole, and it is made again.

    :raises DbopsError: sessions come faster than they can be ended, or the server refuses.
    """
    with _postgres.reported(
        f"Database {new!r} cannot take the place of {live!r}",
        f"See which names there are (psql -l), then: {_renames(live, new, kept)}",
        f"Nothing is lost: both names change or neither does, and the proven {new!r} is there.",
    ):
        _swap(login, live, new, kept)


def _renames(live: str, new: str, kept: str) -> str:
    return f'ALTER DATABASE "{live}" RENAME TO "{kept}"; ALTER DATABASE "{new}" RENAME TO "{live}";'


def _swap(login: Login, live: str, new: str, kept: str) -> None:
    connection = _postgres.connect(login, "postgres" if login.database in (live, new) else None)
    renames = [
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(live), sql.Identifier(kept)),
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(new), sql.Identifier(live)),
    ]
    try:
        for _attempt in range(_SWAP_TRIES):
            try:
                with connection, connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
                        " WHERE datname IN (%s, %s)",
                        (live, new),
                    )
                    for rename in renames:
                        cursor.execute(rename)
                return
            except psycopg2.errors.ObjectInUse:
                time.sleep(0.2)
    finally:
        connection.close()
    raise DbopsError(
        f"Sessions of database {live!r} come back faster than they can be ended",
        f"Stop its applications (or pause the pooler), then: {_renames(live, new, kept)}",
        f"{live!r} is as it was; the proven {new!r} is beside it.",
    )


def _comment(login: Login, name: str, text: str) -> None:
    comment = sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(text))
    _do(login, f"database {name!r}", comment)


def _do(login: Login, subject: str, statement: Any) -> None:
    connection = _postgres.connect(login, autocommit=True)
    try:
        with _postgres.reported(subject, _LOG), connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def _rows(login: Login, query: str) -> list[Any]:
    connection = _postgres.connect(login, autocommit=True)
    try:
        with _postgres.reported(f"The server on {login.place}", _LOG), connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())
    finally:
        connection.close()
