# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read from the catalog about row-level security. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Capabilities

PUBLIC = "public"  # as has_table_privilege calls everybody


def quoted(name: str) -> str:
    """A name as a statement has it, so that a remedy can be copied."""
    return PUBLIC if name == PUBLIC else '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Column:
    """A column.

    :param type: with its length, as ``format_type`` says it.
    :param base: name of the type, of a domain that of the type below it.
    :param kind: ``typtype`` of that: b, c, e, r, m.
    :param generated: computed by the server, so never given.
    :param always: GENERATED ALWAYS AS IDENTITY, so never updated.
    :param unique: part of a primary key, a unique index or an exclusion constraint.
    :param labels: of an enum.
    :param checks: definitions of the check constraints on this column alone, and of its domain.
    """

    name: str
    type: str
    base: str
    kind: str
    not_null: bool = False
    generated: bool = False
    always: bool = False
    unique: bool = False
    labels: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table, view or materialised view that is of interest.

    :param kind: ``relkind``: r, p, f, v, m.
    :param parent: the table that it is a partition (or child) of.
    :param bound: of a partition, ``FOR VALUES ...``.
    :param key: columns of the partition key of its parent.
    """

    oid: int
    schema: str
    name: str
    kind: str
    owner: str
    enabled: bool
    forced: bool
    parent: int | None
    partition: bool
    bound: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def full(self) -> str:
        """``schema.name``."""
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        """The same as a statement names it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def column(self, name: str) -> Column | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class Expression:
    """A USING or WITH CHECK.

    :param text: as PostgreSQL shows it; empty: there is none.
    :param functions: what it calls, by OID, casts and the functions of operators included.
    :param sublink: whether it has a sub-select.
    """

    text: str = ""
    functions: tuple[int, ...] = ()
    sublink: bool = False


@dataclass(frozen=True)
class Policy:
    """A policy.

    :param command: SELECT, INSERT, UPDATE, DELETE or ALL.
    :param roles: names; ``public`` for everybody.
    :param columns: of its own table, that it looks at.
    :param tables: other tables that it looks at.
    """

    table: int
    name: str
    command: str
    permissive: bool
    roles: tuple[str, ...]
    using: Expression
    check: Expression
    columns: tuple[str, ...] = ()
    tables: tuple[int, ...] = ()


@dataclass(frozen=True)
class Function:
    """A function that a policy calls, or that runs as its owner.

    :param volatility: i, s, v.
    :param settings: ``proconfig``.
    """

    oid: int
    schema: str
    signature: str
    name: str
    volatility: str
    definer: bool
    trigger: bool
    owner: str
    settings: tuple[str, ...]
    body: str
    executable: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """As a statement names it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}{self.signature[len(self.name) :]}"


@dataclass(frozen=True)
class Role:
    """A role, with the roles that it can become or whose rights it has."""

    name: str
    superuser: bool
    bypass: bool
    login: bool
    reach: frozenset[str] = frozenset()


@dataclass(frozen=True)
class View:
    """A view or materialised view over tables: those that it reads with the rights of its owner."""

    schema: str
    name: str
    materialised: bool
    invoker: bool
    owner: str
    tables: tuple[int, ...]
    readers: tuple[str, ...]


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key between two tables of interest."""

    name: str
    table: int
    columns: tuple[str, ...]
    target: int
    target_columns: tuple[str, ...]


@dataclass(frozen=True)
class Unique:
    """A unique index, or one of an exclusion constraint. Columns that are expressions are not named."""

    name: str
    table: int
    columns: tuple[str, ...]
    primary: bool = False


@dataclass(frozen=True)
class Publication:
    """A table in a publication."""

    name: str
    table: int
    filtered: bool


@dataclass(frozen=True)
class Privileges:
    """What a role may do with a table.

    :param table: SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES, on the whole table.
    :param columns: command -> columns, where it is allowed on some columns only.
    """

    table: frozenset[str] = frozenset()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def may(self, command: str) -> bool:
        """Whether the command is allowed at least on some columns."""
        return command in self.table or bool(self.columns.get(command))


@dataclass(frozen=True)
class RlsState:
    """Everything that was read.

    :param environment: what the server says it is, by its cluster_name.
    :param audience: the roles of applications: declared, or found.
    :param defaults: role (or ``public``), setting and value of ALTER ROLE and ALTER DATABASE ... SET.
    """

    capabilities: Capabilities
    database: str
    environment: str
    bypasses: bool
    audience: tuple[str, ...]
    tables: Mapping[int, Table]
    policies: tuple[Policy, ...]
    functions: Mapping[int, Function]
    roles: Mapping[str, Role]
    views: tuple[View, ...] = ()
    keys: tuple[ForeignKey, ...] = ()
    uniques: tuple[Unique, ...] = ()
    publications: tuple[Publication, ...] = ()
    defaults: tuple[tuple[str, str, str], ...] = ()
    privileges: Mapping[tuple[str, int], Privileges] = field(default_factory=dict)
    other_tables: Mapping[int, tuple[str, bool, tuple[str, ...]]] = field(default_factory=dict)

    def names(self, table: Table) -> tuple[str, ...]:
        """What a spec file may call a table, its own names first, then those of the tables that it is a part of."""
        found = [table.full, table.name]
        if table.parent is not None and table.parent in self.tables:
            found += self.names(self.tables[table.parent])
        return tuple(found)

    def line(self, table: Table) -> tuple[Table, ...]:
        """A table with those that it is a part of, and, of each level below it, one part."""
        found = [table]
        while found[0].partition and found[0].parent is not None and found[0].parent in self.tables:
            found.insert(0, self.tables[found[0].parent])
        while True:
            parts = [t for t in self.tables.values() if t.partition and t.parent == found[-1].oid]
            if not parts:
                return tuple(found)
            found.append(min(parts, key=lambda t: (t.bound == "DEFAULT", t.full)))

    def may(self, role: str, table: int) -> Privileges:
        """What a role may do with a table."""
        return self.privileges.get((role, table), Privileges())
