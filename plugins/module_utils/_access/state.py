# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live access of one server as data: what :mod:`.observe` reads, :mod:`.plan` and :mod:`.effective` judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Capabilities


class AclItem(NamedTuple):
    """One privilege in an access list. Grantee ``""`` is PUBLIC. A tuple, because there are very many."""

    grantee: str
    grantor: str
    privilege: str
    grantable: bool


# Observed lists are shared between objects that have the same one, so that equal ones are compared once.
Acl = frozenset[AclItem]
Pair = tuple[str, str]  # (grantee, privilege)


class Thing(NamedTuple):
    """An object that has an owner and an access list (a NULL list is already replaced by its built-in default)."""

    owner: str
    acl: Acl


@dataclass(frozen=True)
class Role:
    """A role. ``settings`` are those of the role in all databases; ``verifier`` is None when unset or not readable.

    :param usable: whether the connected role has its privileges without SET ROLE.
    :param settable: whether the connected role may SET ROLE to it.
    """

    name: str
    superuser: bool
    flags: Mapping[str, bool]
    connection_limit: int
    valid_until: str | None
    settings: Mapping[str, str]
    verifier: str | None = field(default=None, repr=False)
    usable: bool = True
    settable: bool = True


class Membership(NamedTuple):
    """``member`` is a member of ``role``. Before PostgreSQL 16 ``inherit`` is the member's own, ``set`` true."""

    role: str
    member: str
    grantor: str
    admin: bool
    inherit: bool
    set: bool


@dataclass(frozen=True)
class Routine:
    """How a function, procedure or aggregate is named in SQL: its input types as (schema, name)."""

    name: str
    arguments: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SchemaState:
    """One schema and the objects in it, those of extensions left out (their names are in ``extension_objects``).

    :param objects: by kind (``table``, ``sequence``, ``function``, ``type``), then by name. A function's name has its
        argument types: ``refund(integer, text)``.
    :param columns: the columns that have an access list, by table and column.
    :param known_columns: every column of the tables that were asked for.
    """

    name: str
    owner: str
    acl: Acl
    extension: bool = False
    objects: Mapping[str, Mapping[str, Thing]] = field(default_factory=dict)
    columns: Mapping[tuple[str, str], Acl] = field(default_factory=dict)
    known_columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    routines: Mapping[str, Routine] = field(default_factory=dict)
    extension_objects: frozenset[tuple[str, str]] = frozenset()


class DefaultKey(NamedTuple):
    """What a default access list is for; ``schema`` is None for the list that holds in all schemas."""

    creator: str
    schema: str | None
    kind: str


@dataclass(frozen=True)
class DatabaseState:
    """One database. ``schemas`` and ``defaults`` are None unless its content was read."""

    name: str
    owner: str
    acl: Acl
    connection_limit: int = -1
    allows_connections: bool = True
    template: bool = False
    schemas: Mapping[str, SchemaState] | None = None
    defaults: Mapping[DefaultKey, Acl] | None = None


@dataclass(frozen=True)
class Dependents:
    """What stands in the way of dropping a role.

    :param owned: objects that it owns, described as the server does, by database (None: of the whole cluster).
    :param databases: databases (None: the cluster) in which it owns or may do anything.
    """

    owned: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict)
    databases: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class AccessState:
    """The access of one server.

    :param capabilities: what the connected role can see and do.
    :param template: the content that a database gets when it is created; None unless one has to be.
    :param settings: names of the settings that the server knows; None unless asked for.
    """

    capabilities: Capabilities
    roles: Mapping[str, Role]
    memberships: tuple[Membership, ...]
    databases: Mapping[str, DatabaseState]
    template: DatabaseState | None = None
    settings: frozenset[str] | None = None
    dependents: Mapping[str, Dependents] = field(default_factory=dict)
