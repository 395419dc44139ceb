# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The effective access: what each role may do to each object, and by which way it came to that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import PRIVILEGES, PUBLIC, all_privileges
from ansible_collections.dbops.postgres.plugins.module_utils._access.state import (
    AccessState,
    Acl,
    DatabaseState,
    Membership,
)

# How a role came to a privilege, the most direct first.
SUPERUSER = "superuser"
OWNER = "owner"
GRANT = "grant"
EVERYONE = "PUBLIC"
EVERYTHING = "*"

# Privileges of predefined roles that are in no access list (PostgreSQL manual, 22.5): kind -> role -> privileges.
_PREDEFINED: dict[str, dict[str, tuple[str, ...]]] = {
    "schema": {"pg_read_all_data": ("USAGE",), "pg_write_all_data": ("USAGE",)},
    "table": {
        "pg_read_all_data": ("SELECT",),
        "pg_write_all_data": ("INSERT", "UPDATE", "DELETE"),
        "pg_maintain": ("MAINTAIN",),
    },
    "sequence": {"pg_read_all_data": ("SELECT",), "pg_write_all_data": ("UPDATE",)},
}


@dataclass(frozen=True, order=True)
class Access:
    """What one role may do to some objects of one kind in one place, by one way.

    :param role: the role; ``PUBLIC`` for what everybody may do.
    :param database: the database.
    :param schema: the schema; empty for the database and for schemas themselves.
    :param kind: ``database``, ``schema``, ``table``, ``column``, ``sequence``, ``function`` or ``type``.
    :param objects: their names, sorted. A column is ``table.column``.
    :param privileges: sorted as the PostgreSQL manual lists them.
    :param via: ``grant``, ``owner``, ``superuser``, ``PUBLIC``; ``member of x`` with the role whose grant or ownership
        it is; ``SET ROLE x`` when the role has it only after that statement.
    """

    role: str
    database: str
    schema: str
    kind: str
    objects: tuple[str, ...]
    privileges: tuple[str, ...]
    via: str


def inherited(state: AccessState) -> dict[str, frozenset[str]]:
    """For each role, every role whose privileges it has without SET ROLE, itself included."""
    return _closure(state, lambda membership: membership.inherit)


def settable(state: AccessState) -> dict[str, frozenset[str]]:
    """For each role, every role whose privileges it can come to, by inheritance or by SET ROLE, itself included."""
    return _closure(state, lambda membership: membership.inherit or membership.set)


def _closure(state: AccessState, counts: Callable[[Membership], bool]) -> dict[str, frozenset[str]]:
    groups: dict[str, list[str]] = {}
    for membership in state.memberships:
        if counts(membership):
            groups.setdefault(membership.member, []).append(membership.role)
    reached: dict[str, frozenset[str]] = {}
    for name in state.roles:
        seen = {name}
        pending = [name]
        while pending:
            for group in groups.get(pending.pop(), ()):
                if group not in seen:
                    seen.add(group)
                    pending.append(group)
        reached[name] = frozenset(seen)
    return reached


def effective(state: AccessState, roles: Iterable[str] | None = None) -> list[Access]:
    """The matrix role x object x privilege of the databases whose content was read, sorted.

    :param roles: only these; None for all but the predefined ones. ``PUBLIC`` is always there.

    A superuser is one line: it may do everything everywhere. A privilege that a role has by several ways is listed by
    the most direct one. A privilege on an object is of use only together with CONNECT on its database and USAGE on
    its schema, which are lines of their own.
    """
    names = [name for name in state.roles if not name.startswith("pg_")] if roles is None else sorted(set(roles))
    inherits, reaches = inherited(state), settable(state)
    rows: dict[tuple[str, str, str, str, tuple[str, ...], str], list[str]] = {}
    everything: list[Access] = []
    for name in names:
        way = _superuser_way(state, name, reaches.get(name, frozenset()))
        if way:
            everything.append(Access(name, EVERYTHING, "", EVERYTHING, (EVERYTHING,), ("ALL",), way))
    ordinary = [name for name in names if name in state.roles and not state.roles[name].superuser]
    for database in state.databases.values():
        if database.schemas is None:
            continue
        groups = _groups(database)
        ways = {name: _ways(name, database.owner, inherits[name], reaches[name]) for name in ordinary}
        for (schema, kind, owner, acl), objects in groups.items():
            held = _held(kind, owner, acl, state.capabilities.server_version)
            order = PRIVILEGES[kind]
            for name, steps in (*ways.items(), (EVERYONE, [(PUBLIC, EVERYONE)])):
                for via, words in _found(name, owner, held, steps).items():
                    key = (name, database.name, schema, kind, tuple(w for w in order if w in words), via)
                    rows.setdefault(key, []).extend(objects)
    listed = [
        Access(role, database, schema, kind, tuple(sorted(objects)), words, via)
        for (role, database, schema, kind, words, via), objects in rows.items()
    ]
    return sorted([*everything, *listed])


def _superuser_way(state: AccessState, name: str, reached: frozenset[str]) -> str:
    if name in state.roles and state.roles[name].superuser:
        return SUPERUSER
    through = sorted(role for role in reached if role in state.roles and state.roles[role].superuser)
    return f"SET ROLE {through[0]}" if through else ""


def _groups(database: DatabaseState) -> dict[tuple[str, str, str, Acl], list[str]]:
    groups: dict[tuple[str, str, str, Acl], list[str]] = {
        ("", "database", database.owner, database.acl): [database.name]
    }
    for schema in (database.schemas or {}).values():
        groups.setdefault(("", "schema", schema.owner, schema.acl), []).append(schema.name)
        for kind, objects in schema.objects.items():
            for name, thing in objects.items():
                groups.setdefault((schema.name, kind, thing.owner, thing.acl), []).append(name)
        for (table, column), acl in schema.columns.items():
            # The owner of a table may do everything to its columns already: no owner here.
            groups.setdefault((schema.name, "column", "", acl), []).append(f"{table}.{column}")
    return groups


def _held(kind: str, owner: str, acl: Acl, version: int) -> dict[str, set[str]]:
    held: dict[str, set[str]] = {}
    for item in acl:
        held.setdefault(item.grantee, set()).add(item.privilege)
    if owner:
        held[owner] = set(all_privileges(kind, version))
    for role, words in _PREDEFINED.get(kind, {}).items():
        held.setdefault(role, set()).update(words)
    return held


def _ways(name: str, database_owner: str, inherits: frozenset[str], reaches: frozenset[str]) -> list[tuple[str, str]]:
    """The roles whose privileges count for ``name``, the most direct first, each with what to call it."""
    own = sorted(inherits - {name})
    far = sorted(reaches - inherits)
    steps = [(name, GRANT), *((role, f"member of {role}") for role in own)]
    if database_owner in inherits:
        steps.append(("pg_database_owner", "member of pg_database_owner"))
    return [*steps, (PUBLIC, EVERYONE), *((role, f"SET ROLE {role}") for role in far)]


def _found(name: str, owner: str, held: dict[str, set[str]], steps: list[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    have: set[str] = set()
    for role, via in steps:
        fresh = held.get(role, set()) - have
        if fresh:
            found[OWNER if role == name == owner else via] = fresh
            have |= fresh
    return found
