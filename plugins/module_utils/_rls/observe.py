# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what the catalog says about row-level security: a constant number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.dbops.postgres.plugins.module_utils._environment import environment_of
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import capabilities
from ansible_collections.dbops.postgres.plugins.module_utils._rls import queries
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import RlsSpec
from ansible_collections.dbops.postgres.plugins.module_utils._rls.state import (
    PUBLIC,
    Column,
    Expression,
    ForeignKey,
    Function,
    Policy,
    Privileges,
    Publication,
    RlsState,
    Role,
    Table,
    Unique,
    View,
)

if TYPE_CHECKING:
    from psycopg2 import extensions


def observe(connection: extensions.connection, spec: RlsSpec, schemas: Sequence[str] = ()) -> RlsState:
    """What the database of this connection says.

    :param schemas: look into these only; empty: all but those of the system.
    """
    params: dict[str, Any] = {
        "schemas": list(schemas) or None,
        "tenant": spec.tenant_column,
        "listed": list(spec.tables),
        "named": list(spec.named),
    }
    with connection.cursor() as cursor:
        # A migration may hold a table locked, and PostgreSQL shows no expression of such a one.
        cursor.execute("SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '2s'; SET LOCAL jit = off")
    seen = capabilities(connection)
    database, cluster, bypasses = _rows(connection, queries.SERVER)[0]
    tables = {table.oid: table for table in map(_table, _rows(connection, queries.TABLES, params))}
    params["tables"] = list(tables)
    options = seen.server_version >= 160000
    roles = _roles(
        _rows(connection, queries.ROLES), _rows(connection, queries.MEMBERS_16 if options else queries.MEMBERS)
    )
    policies = tuple(map(_policy, _rows(connection, queries.POLICIES, params)))
    audience = _audience(spec, roles, tables, _rows(connection, queries.HOLDERS, params))
    params["roles"] = [*audience, PUBLIC]
    params["functions"] = sorted({oid for p in policies for e in (p.using, p.check) for oid in e.functions})
    params["others"] = sorted({oid for p in policies for oid in p.tables} - set(tables))
    params["everybody"] = [*dict.fromkeys((*audience, *(i.role for i in spec.identities if i.role in roles))), PUBLIC]
    body = "pg_get_function_sqlbody(p.oid)" if seen.server_version >= 140000 else "NULL"
    functions = {row[0]: _function(row) for row in _rows(connection, queries.FUNCTIONS.format(body=body), params)}
    return RlsState(
        capabilities=seen,
        database=database,
        environment=environment_of(cluster),
        bypasses=bypasses,
        audience=audience,
        tables=tables,
        policies=policies,
        functions=functions,
        roles=roles,
        views=tuple(
            View(schema, name, materialised, invoker, owner, tuple(below), tuple(readers or ()))
            for schema, name, materialised, invoker, owner, below, readers in _rows(connection, queries.VIEWS, params)
        ),
        keys=tuple(
            ForeignKey(name, table, tuple(columns), target, tuple(others))
            for name, table, columns, target, others in _rows(connection, queries.FOREIGN_KEYS, params)
        ),
        uniques=tuple(
            Unique(name, table, tuple(columns), primary)
            for name, table, primary, columns in _rows(connection, queries.UNIQUES, params)
        ),
        publications=tuple(
            Publication(*row)
            for row in _rows(
                connection,
                queries.PUBLICATIONS.format(
                    filtered="p.rowfilter IS NOT NULL" if seen.server_version >= 150000 else "false"
                ),
                params,
            )
        ),
        defaults=tuple(
            (role or PUBLIC, *item.partition("=")[::2])
            for role, config in _rows(connection, queries.DEFAULTS)
            for item in config or ()
        ),
        privileges=_privileges(_rows(connection, queries.PRIVILEGES, params)),
        other_tables={
            oid: (name, enabled, tuple(writers or ()))
            for oid, name, enabled, writers in _rows(connection, queries.OTHER_TABLES, params)
        },
    )


def _rows(
    connection: extensions.connection, query: str, params: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def _table(row: Sequence[Any]) -> Table:
    oid, schema, name, kind, owner, enabled, forced, parent, partition, bound, key, columns = row
    return Table(
        oid=oid,
        schema=schema,
        name=name,
        kind=kind,
        owner=owner,
        enabled=enabled,
        forced=forced,
        parent=parent,
        partition=partition,
        bound=bound or "",
        key=tuple(key or ()),
        columns=tuple(
            Column(
                item["name"],
                item["type"],
                item["base"],
                item["kind"],
                item["not_null"],
                item["generated"],
                item["always"],
                item["unique"],
                tuple(item["labels"] or ()),
                tuple(item["checks"] or ()),
            )
            for item in columns or ()
        ),
    )


def _function(row: Sequence[Any]) -> Function:
    oid, schema, signature, name, volatility, definer, trigger, owner, settings, body, executable = row
    return Function(
        oid=oid,
        schema=schema,
        signature=signature,
        name=name,
        volatility=volatility,
        definer=definer,
        trigger=trigger,
        owner=owner,
        settings=tuple(settings or ()),
        body=body,
        executable=tuple(executable or ()),
    )


def _policy(row: Sequence[Any]) -> Policy:
    (table, name, command, permissive, roles, using, using_functions, using_sub) = row[:8]
    check, check_functions, check_sub, columns, others = row[8:]
    return Policy(
        table,
        name,
        command,
        permissive,
        tuple(role or PUBLIC for role in roles),
        Expression(using or "", tuple(using_functions or ()), bool(using_sub)),
        Expression(check or "", tuple(check_functions or ()), bool(check_sub)),
        tuple(columns or ()),
        tuple(others or ()),
    )


def _roles(rows: Iterable[Sequence[Any]], members: Iterable[Sequence[str]]) -> dict[str, Role]:
    direct: dict[str, set[str]] = {}
    for role, member in members:
        direct.setdefault(member, set()).add(role)
    found = {}
    for name, superuser, bypass, login in rows:
        reach: set[str] = set()
        todo = [name]
        while todo:
            for role in direct.get(todo.pop(), ()):
                if role not in reach:
                    reach.add(role)
                    todo.append(role)
        found[name] = Role(name, superuser, bypass, login, frozenset(reach - {name}))
    return found


def _audience(
    spec: RlsSpec, roles: Mapping[str, Role], tables: Mapping[int, Table], holders: Iterable[Sequence[str]]
) -> tuple[str, ...]:
    """The declared roles of applications and identities. Without any: whoever may do something with the tables and is
    neither a superuser, nor their owner, nor a role without login that passes by policies on purpose."""
    declared = [*spec.application_roles, *(identity.role for identity in spec.identities)]
    if declared:
        return tuple(name for name in dict.fromkeys(declared) if name in roles)
    owners = {table.owner for table in tables.values()}
    candidates = [roles[name] for (name,) in holders if name in roles]
    return tuple(
        role.name
        for role in candidates
        if not role.superuser
        and role.name not in owners
        and not role.name.startswith("pg_")
        and (role.login or not role.bypass)
    )


def _privileges(rows: Iterable[Sequence[Any]]) -> dict[tuple[str, int], Privileges]:
    return {
        (role, table): Privileges(
            frozenset(held or ()),
            {
                command: tuple(columns)
                for command, columns in (("SELECT", selects), ("INSERT", inserts), ("UPDATE", updates))
                if columns
            },
        )
        for role, table, held, selects, inserts, updates in rows
    }
