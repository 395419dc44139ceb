# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S608 - the parts of these queries are constants of this file
"""Reads the live access: a constant number of queries for the cluster and for each database.

Objects are grouped on the server by owner and access list before they travel: ten thousand tables with the same few
lists are a few rows. A NULL list is replaced by what it stands for with ``acldefault`` (PostgreSQL manual, 9.27).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import PUBLIC, ROLE_FLAGS, AccessSpec
from ansible_collections.dbops.postgres.plugins.module_utils._access.state import (
    AccessState,
    Acl,
    AclItem,
    DatabaseState,
    DefaultKey,
    Dependents,
    Membership,
    Role,
    Routine,
    SchemaState,
    Thing,
)
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import (
    Capabilities,
    Login,
    capabilities,
    connect,
)

if TYPE_CHECKING:
    from psycopg2 import extensions

TEMPLATE = "template1"  # what CREATE DATABASE copies
_OWNED_SHOWN = 10

# An access list as JSON: [[grantee, grantor, privilege, grantable], ...], roles by OID.
_EXPLODED = """(
    SELECT json_agg(json_build_array(x.grantee::int8, x.grantor::int8, x.privilege_type, x.is_grantable))
      FROM aclexplode({acl}) x)"""
_SCHEMA_FILTER = """
    CASE WHEN %(schemas)s::text[] IS NULL
         THEN left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'
         ELSE n.nspname = ANY (%(schemas)s::text[]) END"""
_EXTENSION = """EXISTS (
    SELECT FROM pg_depend d
     WHERE d.classid = '{catalog}'::regclass AND d.objid = {oid} AND d.deptype = 'e')"""


@dataclass(frozen=True)
class Scope:
    """How much of the server to read.

    :param databases: names, each with the schemas that are of interest (None: all); None: all databases.
    :param columns: database -> schema -> tables whose columns are of interest.
    :param passwords: roles whose stored verifier is of interest.
    :param settings: whether the names of the server's settings are of interest.
    :param absent: roles that shall be dropped.
    """

    databases: Mapping[str, tuple[str, ...] | None] | None = None
    columns: Mapping[str, Mapping[str, tuple[str, ...]]] | None = None
    passwords: tuple[str, ...] = ()
    settings: bool = False
    absent: tuple[str, ...] = ()


def scope_of(spec: AccessSpec) -> Scope:
    """What has to be read to plan a spec."""
    columns: dict[str, dict[str, tuple[str, ...]]] = {}
    for database in spec.databases:
        for schema in database.schemas:
            tables = {t for entry in schema.entries.get("table", ()) if entry.columns for t in entry.objects}
            if tables:
                columns.setdefault(database.name, {})[schema.name] = tuple(sorted(tables))
    return Scope(
        databases={d.name: tuple(schema.name for schema in d.schemas) for d in spec.databases},
        columns=columns,
        passwords=tuple(role.name for role in spec.roles if role.password is not None),
        settings=any(role.settings for role in spec.roles),
        absent=tuple(role.name for role in spec.roles if not role.present),
    )


def observe(login: Login, scope: Scope | None = None, connection: extensions.connection | None = None) -> AccessState:
    """The live access of a server, read only.

    :param scope: what to read; None for everything.
    :param connection: an open connection to ``login.database``, to be used instead of a new one.
    :raises DbopsError: a connection failed, or a database in the scope does not allow connections.
    """
    scope = scope or Scope()
    own = connection is None
    cluster = connect(login) if connection is None else connection
    try:
        if own:
            cluster.set_session(readonly=True)
        seen = capabilities(cluster)
        names = _role_names(cluster)
        state = _cluster(cluster, seen, names, scope)
    finally:
        if own:
            cluster.close()
    wanted = scope.databases
    if wanted is None:
        wanted = {d.name: None for d in state.databases.values() if d.allows_connections and not d.template}
    databases = dict(state.databases)
    template = None
    missing = [name for name in wanted if name not in databases]
    for name, schemas in wanted.items():
        if name in databases and databases[name].allows_connections:
            columns = (scope.columns or {}).get(name, {})
            databases[name] = _content(login, databases[name], names, schemas, columns)
    if missing:
        # No column of a database that is not there can be named, hence none is asked for.
        schemas_of_new = sorted({schema for name in missing for schema in wanted[name] or ()})
        template = _content(login, databases[TEMPLATE], names, tuple(schemas_of_new), {})
    return replace(state, databases=databases, template=template, dependents=_named_dependents(login, state.dependents))


def _rows(connection: extensions.connection, query: str, params: Mapping[str, Any] | None = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def _role_names(connection: extensions.connection) -> dict[int, str]:
    names: dict[int, str] = dict(_rows(connection, "SELECT oid::int8, rolname::text FROM pg_roles"))
    names[0] = PUBLIC
    return names


class _Acls:
    """Turns exploded lists into :data:`Acl`, one object for equal ones."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names
        self.known: dict[Acl, Acl] = {}

    def name(self, oid: int) -> str:
        # A role that was dropped by force leaves its number behind.
        return self.names.get(oid, str(oid))

    def __call__(self, exploded: Iterable[Sequence[Any]] | None) -> Acl:
        acl = frozenset(
            AclItem(self.name(grantee), self.name(grantor), privilege, grantable)
            for grantee, grantor, privilege, grantable in exploded or ()
        )
        return self.known.setdefault(acl, acl)


def _cluster(
    connection: extensions.connection, seen: Capabilities, names: Mapping[int, str], scope: Scope
) -> AccessState:
    acls = _Acls(names)
    options = seen.server_version >= 160000
    verifiers: dict[str, str | None] = {}
    if scope.passwords and seen.pg_authid:
        verifiers = dict(
            _rows(
                connection,
                "SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = ANY (%(names)s)",
                {"names": list(scope.passwords)},
            )
        )
    rows = _rows(
        connection,
        f"""
        SELECT r.rolname::text, r.rolsuper, r.rolcanlogin, r.rolinherit, r.rolcreatedb, r.rolcreaterole,
               r.rolreplication, r.rolbypassrls, r.rolconnlimit,
               CASE WHEN isfinite(r.rolvaliduntil)
                    THEN to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')
                    ELSE r.rolvaliduntil::text END,
               r.rolconfig,
               pg_has_role(r.oid, 'USAGE'), pg_has_role(r.oid, '{"SET" if options else "MEMBER"}')
          FROM pg_roles r
        """,
    )
    flags = tuple(ROLE_FLAGS)
    roles = {
        row[0]: Role(
            name=row[0],
            superuser=row[1],
            flags=dict(zip(flags, row[2:8])),
            connection_limit=row[8],
            valid_until=row[9],
            settings=_settings(row[10]),
            verifier=verifiers.get(row[0]),
            usable=row[11],
            settable=row[12],
        )
        for row in rows
    }
    memberships = tuple(
        Membership(acls.name(role), acls.name(member), acls.name(grantor), *flags_of)
        for role, member, grantor, *flags_of in _rows(
            connection,
            f"""
            SELECT m.roleid::int8, m.member::int8, m.grantor::int8, m.admin_option,
                   {"m.inherit_option, m.set_option" if options else "u.rolinherit, true"}
              FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member
             ORDER BY 1, 2, 3
            """,
        )
    )
    databases = {
        name: DatabaseState(name, acls.name(owner), acls(acl), limit, allows, template)
        for name, owner, acl, limit, allows, template in _rows(
            connection,
            f"""
            SELECT d.datname::text, d.datdba::int8,
                   {_EXPLODED.format(acl="coalesce(d.datacl, acldefault('d', d.datdba))")},
                   d.datconnlimit, d.datallowconn, d.datistemplate
              FROM pg_database d ORDER BY 1
            """,
        )
    }
    settings = None
    if scope.settings:
        settings = frozenset(row[0] for row in _rows(connection, "SELECT lower(name) FROM pg_settings"))
    return AccessState(
        capabilities=seen,
        roles=dict(sorted(roles.items())),
        memberships=memberships,
        databases=databases,
        settings=settings,
        dependents=_dependents(connection, scope.absent) if scope.absent else {},
    )


def _settings(config: Sequence[str] | None) -> dict[str, str]:
    pairs = (item.partition("=") for item in config or ())
    return {name.lower(): value for name, _equals, value in pairs}


def _dependents(connection: extensions.connection, names: Sequence[str]) -> dict[str, Dependents]:
    """Where each role owns or may do anything. Owned objects are named later, from inside their databases."""
    rows = _rows(
        connection,
        """
        SELECT r.rolname::text, d.datname::text, bool_or(s.deptype = 'o'),
               array_agg(pg_describe_object(s.classid, s.objid, s.objsubid) ORDER BY s.classid, s.objid)
                   FILTER (WHERE s.deptype = 'o' AND s.dbid = 0)
          FROM pg_shdepend s
          JOIN pg_roles r ON r.oid = s.refobjid
          LEFT JOIN pg_database d ON d.oid = s.dbid
         WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = ANY (%(names)s)
         GROUP BY 1, 2 ORDER BY 1, 2 NULLS FIRST
        """,
        {"names": list(names)},
    )
    found: dict[str, Dependents] = {}
    for role, database, owns, shared in rows:
        known = found.get(role, Dependents())
        owned = {**known.owned, database: tuple(shared or ())} if owns else known.owned
        found[role] = Dependents(owned, (*known.databases, database))
    return found


def _named_dependents(login: Login, dependents: Mapping[str, Dependents]) -> dict[str, Dependents]:
    places: dict[str, list[str]] = {}
    for role, found in dependents.items():
        for database in found.owned:
            if database is not None:
                places.setdefault(database, []).append(role)
    named = dict(dependents)
    for database, roles in places.items():
        rows = _inside(
            login,
            database,
            lambda connection, roles=tuple(roles): _rows(  # type: ignore[misc]
                connection,
                """
                SELECT r.rolname::text, pg_describe_object(s.classid, s.objid, s.objsubid)
                  FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
                 WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o' AND r.rolname = ANY (%(names)s)
                   AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                 ORDER BY 1, 2
                """,
                {"names": list(roles)},
            ),
        )
        for role in roles:
            mine = [text for owner, text in rows if owner == role]
            if len(mine) > _OWNED_SHOWN:
                mine = [*mine[:_OWNED_SHOWN], f"{len(mine) - _OWNED_SHOWN} more"]
            found = named[role]
            named[role] = replace(found, owned={**found.owned, database: tuple(mine)})
    return named


def _inside(login: Login, database: str, read: Callable[[extensions.connection], Any]) -> Any:
    connection = connect(login, database)
    try:
        connection.set_session(readonly=True)
        return read(connection)
    finally:
        # CREATE DATABASE refuses while anybody is connected to the template.
        connection.close()


def _content(
    login: Login,
    database: DatabaseState,
    names: Mapping[int, str],
    schemas: tuple[str, ...] | None,
    columns: Mapping[str, tuple[str, ...]],
) -> DatabaseState:
    def read(connection: extensions.connection) -> DatabaseState:
        return observe_content(connection, database, names, schemas, columns)

    found: DatabaseState = _inside(login, database.name, read)
    return found


def observe_content(
    connection: extensions.connection,
    database: DatabaseState,
    names: Mapping[int, str],
    schemas: tuple[str, ...] | None = None,
    columns: Mapping[str, tuple[str, ...]] | None = None,
) -> DatabaseState:
    """What is in the database that ``connection`` is to: seven queries, however much that is.

    :param names: roles by OID.
    :param schemas: the schemas whose objects are read; None for all but the system's. Every schema is listed.
    :param columns: tables by schema whose column names are read.
    """
    acls = _Acls(names)
    filters: dict[str, Any] = {"schemas": None if schemas is None else list(schemas)}
    objects: dict[str, dict[str, dict[str, Thing]]] = {}
    extension_objects: dict[str, set[tuple[str, str]]] = {}

    def put(schema: str, kind: str, owner: int, acl: Acl, extension: bool, found: Iterable[str]) -> None:
        if extension:
            extension_objects.setdefault(schema, set()).update((kind, name) for name in found)
        else:
            thing = Thing(acls.name(owner), acl)
            objects.setdefault(schema, {}).setdefault(kind, {}).update(dict.fromkeys(found, thing))

    for schema, kind, owner, exploded, extension, found in _rows(connection, _RELATIONS, filters):
        put(schema, kind, owner, acls(exploded), extension, found)
    for schema, owner, exploded, extension, found in _rows(connection, _TYPES, filters):
        put(schema, "type", owner, acls(exploded), extension, found)
    routines: dict[str, dict[str, Routine]] = {}
    for schema, owner, exploded, extension, found in _rows(connection, _ROUTINES, filters):
        named = {}
        for name, arguments in found:
            signature = f"{name}({', '.join(shown for shown, _schema, _type in arguments)})"
            named[signature] = Routine(name, tuple((space, kind) for _shown, space, kind in arguments))
        routines.setdefault(schema, {}).update(named)
        put(schema, "function", owner, acls(exploded), extension, named)
    column_acls: dict[str, dict[tuple[str, str], Acl]] = {}
    for schema, exploded, found in _rows(connection, _COLUMN_ACLS, filters):
        acl = acls(exploded)
        column_acls.setdefault(schema, {}).update(dict.fromkeys(map(tuple, found), acl))
    known: dict[str, dict[str, frozenset[str]]] = {}
    pairs = [(schema, table) for schema, tables in (columns or {}).items() for table in tables]
    asked = {"spaces": [schema for schema, _table in pairs], "tables": [table for _schema, table in pairs]}
    for schema, table, found in _rows(connection, _COLUMN_NAMES, asked):
        known.setdefault(schema, {})[table] = frozenset(found)
    spaces = {
        name: SchemaState(
            name=name,
            owner=acls.name(owner),
            acl=acls(exploded),
            extension=extension,
            objects=objects.get(name, {}),
            columns=column_acls.get(name, {}),
            known_columns=known.get(name, {}),
            routines=routines.get(name, {}),
            extension_objects=frozenset(extension_objects.get(name, ())),
        )
        for name, owner, exploded, extension in _rows(connection, _SCHEMAS)
    }
    defaults = {
        DefaultKey(acls.name(creator), schema, kind): acls(exploded)
        for creator, schema, kind, exploded in _rows(connection, _DEFAULTS, filters)
    }
    return replace(database, schemas=spaces, defaults=defaults)


_SCHEMAS = f"""
    SELECT n.nspname::text, n.nspowner::int8,
           {_EXPLODED.format(acl="coalesce(n.nspacl, acldefault('n', n.nspowner))")},
           {_EXTENSION.format(catalog="pg_namespace", oid="n.oid")}
      FROM pg_namespace n
     WHERE left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'
     ORDER BY 1"""

_RELATIONS = f"""
    SELECT g.nspname, CASE g.letter WHEN 's' THEN 'sequence' ELSE 'table' END, g.owner::int8,
           {_EXPLODED.format(acl="coalesce(g.acl, acldefault(g.letter, g.owner))")},
           g.extension, g.names
      FROM (SELECT n.nspname::text AS nspname,
                   (CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char" AS letter,
                   c.relowner AS owner, c.relacl AS acl,
                   {_EXTENSION.format(catalog="pg_class", oid="c.oid")} AS extension,
                   array_agg(c.relname::text) AS names
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S') AND {_SCHEMA_FILTER}
             GROUP BY 1, 2, 3, 4, 5) g"""

_COLUMN_ACLS = f"""
    SELECT g.nspname, {_EXPLODED.format(acl="g.acl")}, g.names
      FROM (SELECT n.nspname::text AS nspname, a.attacl AS acl,
                   json_agg(json_build_array(c.relname, a.attname)) AS names
              FROM pg_attribute a
              JOIN pg_class c ON c.oid = a.attrelid
              JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
               AND {_SCHEMA_FILTER}
               AND NOT {_EXTENSION.format(catalog="pg_class", oid="c.oid")}
             GROUP BY 1, 2) g"""

_COLUMN_NAMES = """
    SELECT n.nspname::text, c.relname::text, array_agg(a.attname::text)
      FROM unnest(%(spaces)s::text[], %(tables)s::text[]) AS asked (space, name)
      JOIN pg_namespace n ON n.nspname = asked.space
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = asked.name
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p')
     GROUP BY 1, 2"""

_ROUTINES = f"""
    SELECT g.nspname, g.owner::int8,
           {_EXPLODED.format(acl="coalesce(g.acl, acldefault('f', g.owner))")},
           g.extension, g.names
      FROM (SELECT n.nspname::text AS nspname, p.proowner AS owner, p.proacl AS acl,
                   {_EXTENSION.format(catalog="pg_proc", oid="p.oid")} AS extension,
                   json_agg(json_build_array(p.proname, (
                       SELECT coalesce(json_agg(json_build_array(format_type(t.oid, NULL), tn.nspname, t.typname)
                                                ORDER BY u.position), '[]'::json)
                         FROM unnest(p.proargtypes) WITH ORDINALITY AS u (type, position)
                         JOIN pg_type t ON t.oid = u.type
                         JOIN pg_namespace tn ON tn.oid = t.typnamespace))) AS names
              FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE {_SCHEMA_FILTER}
             GROUP BY 1, 2, 3, 4) g"""

# Only types that stand for themselves: the row types of tables, arrays and multiranges follow theirs.
_TYPES = f"""
    SELECT g.nspname, g.owner::int8,
           {_EXPLODED.format(acl="coalesce(g.acl, acldefault('T', g.owner))")},
           g.extension, g.names
      FROM (SELECT n.nspname::text AS nspname, t.typowner AS owner, t.typacl AS acl,
                   {_EXTENSION.format(catalog="pg_type", oid="t.oid")} AS extension,
                   array_agg(t.typname::text) AS names
              FROM pg_type t
              JOIN pg_namespace n ON n.oid = t.typnamespace
              LEFT JOIN pg_class c ON c.oid = t.typrelid
             WHERE t.typisdefined AND t.typtype IN ('b', 'c', 'd', 'e', 'r')
               AND (t.typtype <> 'c' OR c.relkind = 'c')
               AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = t.oid)
               AND {_SCHEMA_FILTER}
             GROUP BY 1, 2, 3, 4) g"""

_DEFAULTS = f"""
    SELECT d.defaclrole::int8, n.nspname::text,
           CASE d.defaclobjtype WHEN 'r' THEN 'table' WHEN 'S' THEN 'sequence'
                                WHEN 'f' THEN 'function' ELSE 'type' END,
           {_EXPLODED.format(acl="d.defaclacl")}
      FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
     WHERE d.defaclobjtype IN ('r', 'S', 'f', 'T') AND (d.defaclnamespace = 0 OR {_SCHEMA_FILTER})
     ORDER BY 1, 2, 3"""
