# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a server through SQL: a fixed number of queries per server and per database, all read-only."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Callable, TypeVar

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import state
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Seen, Unseen

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2

T = TypeVar("T")
Row = Sequence[Any]

STATEMENT_TIMEOUT = "15s"

# The superuser alone may read the verifiers (PostgreSQL manual, 52.8 pg_authid); they never leave the server.
_ROLES = """
SELECT r.rolname, r.rolsuper, r.rolcanlogin, r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolbypassrls,
       r.rolconnlimit, {password}, r.oid = 10
  FROM {source} r WHERE r.rolname !~ '^pg_' ORDER BY 1
"""
_PASSWORD_KIND = """CASE WHEN r.rolpassword IS NULL THEN 'none'
            WHEN r.rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram'
            WHEN r.rolpassword LIKE 'md5%' THEN 'md5' ELSE 'unknown' END"""

_SETTINGS = """
SELECT name, coalesce(setting, ''), coalesce(unit, ''), source, pending_restart FROM pg_catalog.pg_settings
"""

# Superusers only. The names cannot clash with a setting: there is no extension pg_config.
_PG_CONFIG = """
SELECT 'pg_config.' || name, coalesce(setting, '') FROM pg_catalog.pg_config
 WHERE name IN ('SHAREDIR', 'SYSCONFDIR', 'BINDIR')
"""

_MEMBERSHIPS = """
SELECT pg_catalog.pg_get_userbyid(roleid), pg_catalog.pg_get_userbyid(member)
  FROM pg_catalog.pg_auth_members ORDER BY 1, 2
"""

_ROLE_SETTINGS = """
SELECT coalesce(r.rolname, ''), coalesce(d.datname, ''), pg_catalog.split_part(c, '=', 1),
       pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)
  FROM pg_catalog.pg_db_role_setting s
 CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) c
  LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
  LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
 ORDER BY 1, 2, 3
"""

_HBA = """
SELECT line_number, coalesce(type, ''), coalesce(database, '{}'), coalesce(user_name, '{}'), coalesce(address, ''),
       coalesce(netmask, ''), coalesce(auth_method, ''), coalesce(options, '{}'), coalesce(error, '')
  FROM pg_catalog.pg_hba_file_rules
"""

_CONNECTIONS = """
SELECT DISTINCT coalesce(a.usename, ''), coalesce(a.datname, ''), pg_catalog.host(a.client_addr),
       coalesce(s.ssl, false), a.backend_type = 'walsender'
  FROM pg_catalog.pg_stat_activity a LEFT JOIN pg_catalog.pg_stat_ssl s USING (pid)
 WHERE a.client_addr IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()
 ORDER BY 1, 2, 3
"""

_ARCHIVER = """
SELECT archived_count, coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)
  FROM pg_catalog.pg_stat_archiver
"""

_TABLESPACES = """
SELECT pg_catalog.pg_tablespace_location(oid) FROM pg_catalog.pg_tablespace
 WHERE pg_catalog.pg_tablespace_location(oid) <> '' ORDER BY 1
"""

# A NULL ACL is not an empty one: it stands for the built-in default (PostgreSQL manual, 5.8).
_DATABASES = """
SELECT d.datname, pg_catalog.pg_get_userbyid(d.datdba), d.datistemplate, coalesce(s.checksum_failures, 0),
       coalesce(pg_catalog.array_agg(CASE WHEN a.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END
                                     ORDER BY a.grantee, a.privilege_type)::text[], '{}'),
       coalesce(pg_catalog.array_agg(a.privilege_type ORDER BY a.grantee, a.privilege_type)::text[], '{}')
  FROM pg_catalog.pg_database d
  LEFT JOIN pg_catalog.pg_stat_database s ON s.datid = d.oid
  LEFT JOIN LATERAL pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a ON true
 WHERE d.datallowconn
 GROUP BY 1, 2, 3, 4 ORDER BY 1
"""

_EXTENSIONS = "SELECT extname FROM pg_catalog.pg_extension ORDER BY 1"

# Objects that belong to neither the system nor an extension.
_OWN_SCHEMAS = """
own AS MATERIALIZED (
  SELECT n.oid, n.nspname, n.nspowner, n.nspacl FROM pg_catalog.pg_namespace n
   WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_namespace'::regclass
                        AND e.objid = n.oid AND e.deptype = 'e'))
"""

_SCHEMAS = f"""
WITH {_OWN_SCHEMAS}
SELECT n.nspname, pg_catalog.pg_get_userbyid(n.nspowner),
       coalesce(pg_catalog.array_agg(CASE WHEN a.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END
                                     ORDER BY a.grantee, a.privilege_type)::text[], '{{}}'),
       coalesce(pg_catalog.array_agg(a.privilege_type ORDER BY a.grantee, a.privilege_type)::text[], '{{}}')
  FROM own n
  LEFT JOIN LATERAL pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a ON true
 GROUP BY 1, 2 ORDER BY 1
"""  # noqa: S608 - constants only

_OBJECTS = f"""
{_OWN_SCHEMAS},
objects AS MATERIALIZED (
  SELECT n.nspname, CASE WHEN c.relkind = 'S' THEN 'sequence' ELSE 'table' END AS kind,
         c.relname AS name, c.relowner AS owner,
         coalesce(c.relacl, pg_catalog.acldefault(CASE WHEN c.relkind = 'S' THEN 's' ELSE 'r' END::"char",
                                                  c.relowner)) AS acl
    FROM pg_catalog.pg_class c JOIN own n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::regclass
                        AND e.objid = c.oid AND e.deptype = 'e')
  UNION ALL
  SELECT n.nspname, 'column', c.relname || '.' || a.attname, c.relowner, a.attacl
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN own n ON n.oid = c.relnamespace
   WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
  UNION ALL
  SELECT n.nspname, 'function', p.proname, p.proowner, coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))
    FROM pg_catalog.pg_proc p JOIN own n ON n.oid = p.pronamespace
   WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_proc'::regclass
                        AND e.objid = p.oid AND e.deptype = 'e'))
"""  # noqa: S608 - constants only

_GRANTS = f"""
WITH {_OBJECTS}
SELECT o.nspname, o.kind, CASE WHEN a.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END,
       a.privilege_type, pg_catalog.count(*), pg_catalog.min(o.name)
  FROM objects o CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) a
 WHERE a.grantee <> o.owner
 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""  # noqa: S608 - constants only

_OWNED = f"""
WITH {_OBJECTS}
SELECT pg_catalog.pg_get_userbyid(owner), nspname, kind, pg_catalog.count(*) FROM objects WHERE kind <> 'column'
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""  # noqa: S608 - constants only

_DEFAULTS = """
SELECT pg_catalog.pg_get_userbyid(d.defaclrole), coalesce(n.nspname, ''),
       CASE d.defaclobjtype WHEN 'r' THEN 'table' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'function'
                            WHEN 'T' THEN 'type' ELSE 'schema' END,
       CASE WHEN a.grantee IS NULL THEN NULL WHEN a.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END,
       a.privilege_type
  FROM pg_catalog.pg_default_acl d
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
  LEFT JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) a ON true
 ORDER BY 1, 2, 3, 4, 5
"""

_DEFINERS = f"""
WITH {_OWN_SCHEMAS}
SELECT n.nspname || '.' || p.proname, r.rolsuper,
       EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) c WHERE c LIKE 'search\\_path=%'),
       EXISTS (SELECT FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
                WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE'),
       p.prosrc ~* 'valid_?until|valuntil',
       ARRAY(SELECT DISTINCT g.rolname::text FROM pg_catalog.aclexplode(p.proacl) a
               JOIN pg_catalog.pg_roles g ON g.oid = a.grantee
              WHERE a.privilege_type = 'EXECUTE' AND a.grantee <> p.proowner ORDER BY 1)
  FROM pg_catalog.pg_proc p JOIN own n ON n.oid = p.pronamespace JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
 WHERE p.prosecdef
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_proc'::regclass
                      AND e.objid = p.oid AND e.deptype = 'e')
 ORDER BY 1
"""  # noqa: S608 - constants only


def observe(login: Login, databases: Sequence[str] = ()) -> Seen[state.Server]:
    """Look at the whole server. What cannot be seen is :class:`.state.Unseen`, never an exception.

    :param databases: look into these only; empty: into every database that allows connections.
    """
    try:
        connection = _open(login)
    except DbopsError as error:
        return Unseen(Status.ERROR, error.problem)
    try:
        return _server(connection, login, databases)
    except psycopg2.Error as error:
        return Unseen(Status.ERROR, f"Cannot read the catalog: {_message(error)}")
    finally:
        connection.close()


def _open(login: Login, database: str | None = None) -> Any:
    connection = _postgres.connect(login, database, autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        cursor.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'")
    return connection


def _server(connection: Any, login: Login, databases: Sequence[str]) -> state.Server:
    able = _postgres.capabilities(connection)
    roles = _ROLES.format(
        source="pg_catalog.pg_authid" if able.pg_authid else "pg_catalog.pg_roles",
        password=_PASSWORD_KIND if able.pg_authid else "'unknown'",
    )
    found = _seen(connection, _DATABASES, lambda row: row)
    settings = state.Settings({row[0]: state.Setting(*row[1:]) for row in _rows(connection, _SETTINGS)})
    places = _seen(connection, _PG_CONFIG, lambda row: (str(row[0]), state.Setting(str(row[1]))))
    if not isinstance(places, Unseen):
        settings.update(places)
    return state.Server(
        version=able.server_version,
        user=able.user,
        in_recovery=able.in_recovery,
        settings=settings,
        roles=_seen(connection, roles, lambda row: state.Role(*row)),
        memberships=_seen(connection, _MEMBERSHIPS, lambda row: state.Membership(*row)),
        role_settings=_seen(connection, _ROLE_SETTINGS, lambda row: state.RoleSetting(*row)),
        hba=_seen(connection, _HBA, _rule),
        connections=_seen(connection, _CONNECTIONS, lambda row: state.Connection(*row)),
        archiver=_seen(connection, _ARCHIVER, lambda row: state.Archiver(*row)),
        tablespaces=_seen(connection, _TABLESPACES, lambda row: str(row[0])),
        databases=found if isinstance(found, Unseen) else _databases(login, found, databases),
    )


def _databases(login: Login, rows: Sequence[Row], chosen: Sequence[str]) -> tuple[state.Database, ...]:
    return tuple(
        state.Database(
            name=row[0],
            owner=row[1],
            template=row[2],
            checksum_failures=row[3],
            grants=tuple(state.Grant(*pair) for pair in zip(row[4], row[5])),
            inside=_inside(login, row[0]),
        )
        for row in rows
        if not chosen or row[0] in chosen
    )


def _inside(login: Login, database: str) -> Seen[state.Inside]:
    try:
        connection = _open(login, database)
    except DbopsError as error:
        return Unseen(Status.ERROR, error.problem)
    try:
        defaults = _rows(connection, _DEFAULTS)
        return state.Inside(
            extensions=tuple(row[0] for row in _rows(connection, _EXTENSIONS)),
            schemas=tuple(
                state.Schema(row[0], row[1], tuple(state.Grant(*pair) for pair in zip(row[2], row[3])))
                for row in _rows(connection, _SCHEMAS)
            ),
            grants=tuple(state.ObjectGrants(*row) for row in _rows(connection, _GRANTS)),
            owned=tuple(state.Owned(*row) for row in _rows(connection, _OWNED)),
            defaults=tuple(state.DefaultGrant(*row) for row in defaults if row[3] is not None),
            default_entries=tuple(dict.fromkeys((row[0], row[1], row[2]) for row in defaults)),
            definers=tuple(
                state.DefinerFunction(name, superuser, pinned, public, expiry, tuple(executors))
                for name, superuser, pinned, public, expiry, executors in _rows(connection, _DEFINERS)
            ),
        )
    except psycopg2.Error as error:
        return Unseen(Status.ERROR, f"Cannot read the catalog of database {database!r}: {_message(error)}")
    finally:
        connection.close()


def _rule(row: Row) -> state.HbaRule:
    return state.HbaRule(row[0], row[1], tuple(row[2]), tuple(row[3]), row[4], row[5], row[6], tuple(row[7]), row[8])


def _seen(connection: Any, query: str, make: Callable[[Row], T]) -> Seen[tuple[T, ...]]:
    try:
        return tuple(make(row) for row in _rows(connection, query))
    except psycopg2.errors.InsufficientPrivilege as error:
        return Unseen(Status.NOT_TESTED, f"The connected role may not see this: {_message(error)}")
    except psycopg2.Error as error:
        return Unseen(Status.ERROR, _message(error))


def _rows(connection: Any, query: str) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows: list[Row] = cursor.fetchall()
    return rows


def _message(error: psycopg2.Error) -> str:
    return _postgres.mask((error.diag.message_primary or str(error)).strip(), [])


def value(settings: Mapping[str, state.Setting], name: str) -> str:
    """A setting's value, empty when the server has no such setting."""
    return settings[name].value if name in settings else ""
