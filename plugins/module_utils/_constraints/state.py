# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database as the proofs of its constraints see it, and what they found. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Callable, Optional, TypeVar

# Values travel as the text that PostgreSQL reads and writes; None is NULL. Keys are the names of columns.
Row = dict[str, Optional[str]]

PRIMARY_KEY = "primary key"
UNIQUE = "unique"
UNIQUE_INDEX = "unique index"
FOREIGN_KEY = "foreign key"
CHECK = "check"
NOT_NULL = "not null"
EXCLUSION = "exclusion"
KINDS = (PRIMARY_KEY, UNIQUE, UNIQUE_INDEX, FOREIGN_KEY, CHECK, NOT_NULL, EXCLUSION)
KEYS = (PRIMARY_KEY, UNIQUE, UNIQUE_INDEX)


@dataclass(frozen=True)
class Type:
    """A data type.

    :param shown: as a cast names it, qualified.
    :param kind: ``typtype`` of pg_type, or ``a`` for an array.
    :param name: its bare name, by which the built-in ones are known.
    :param part: the element of an array, what a domain is over, or what a range is over.
    :param part_typmod: the modifier of a domain's base type.
    :param labels: of an enum.
    :param fields: of a composite type: type and modifier of each.
    """

    oid: int
    shown: str
    kind: str
    name: str
    category: str = "U"
    part: int = 0
    part_typmod: int = -1
    not_null: bool = False
    labels: tuple[str, ...] = ()
    fields: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Column:
    """A column. ``shown`` is its type with the modifier; ``expression`` that of a generated one."""

    name: str
    type: int
    typmod: int
    shown: str
    not_null: bool
    generated: bool = False
    has_default: bool = False
    expression: str = ""


@dataclass(frozen=True)
class Trigger:
    """A trigger of the user's on INSERT. ``always``: no setting switches it off."""

    name: str
    always: bool


@dataclass(frozen=True)
class Constraint:
    """A constraint, a unique index without one, or NOT NULL of a column.

    :param id: what it is known by here; of its catalog row.
    :param table: oid of the table; 0 for one of a domain.
    :param domain: oid of the domain; 0 for one of a table.
    :param columns: those that it looks at, also inside expressions.
    :param parent: ``id`` of the constraint of the partitioned table that it belongs to.
    :param expression: of a check.
    :param predicate: of a partial index.
    :param operators: of an exclusion constraint, for each of ``compared``.
    :param compared: columns and expressions of an index in their order, as SQL.
    :param keys: columns of an index in their order; empty text for an expression.
    :param nulls_equal: NULLS NOT DISTINCT.
    :param trouble: what the catalog alone says against it; empty: nothing.
    """

    id: str
    name: str
    kind: str
    table: int = 0
    domain: int = 0
    columns: tuple[str, ...] = ()
    parent: str = ""
    target: int = 0
    target_columns: tuple[str, ...] = ()
    deferrable: bool = False
    expression: str = ""
    predicate: str = ""
    operators: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    nulls_equal: bool = False
    validated: bool = True
    trouble: str = ""


@dataclass(frozen=True)
class Table:
    """A table, with whatever decides whether a row can get into it.

    :param kind: ``relkind`` of pg_class: r, p or f.
    :param bound: the condition of a partition, of all its ancestors too.
    :param parents: oids of the tables that it is a partition or a child of.
    :param row_security: whether its policies apply to the connected role.
    """

    oid: int
    schema: str
    name: str
    kind: str
    partition: bool
    default_partition: bool
    bound: str
    parents: tuple[int, ...]
    row_security: bool
    may_write: bool
    rules: bool
    extension: bool
    columns: Mapping[str, Column]
    triggers: tuple[Trigger, ...] = ()

    @property
    def shown(self) -> str:
        """``schema.table``."""
        return f"{self.schema}.{self.name}"

    @property
    def written(self) -> tuple[str, ...]:
        """The columns that a row gives: not the generated ones."""
        return tuple(name for name, column in self.columns.items() if not column.generated)


@dataclass(frozen=True)
class Database:
    """What was read from the catalog. ``constraints`` are those of all tables, ``id`` -> constraint."""

    name: str
    environment: str
    user: str
    tables: Mapping[int, Table]
    types: Mapping[int, Type]
    constraints: Mapping[str, Constraint]
    by_table: Mapping[int, tuple[Constraint, ...]] = field(default_factory=dict)
    by_domain: Mapping[int, tuple[Constraint, ...]] = field(default_factory=dict)
    by_parent: Mapping[str, tuple[Constraint, ...]] = field(default_factory=dict)
    children: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    domain_schemas: Mapping[int, str] = field(default_factory=dict)

    def of(self, table: int, *kinds: str) -> tuple[Constraint, ...]:
        """The constraints of a table, of some kinds or of all."""
        return tuple(item for item in self.by_table.get(table, ()) if not kinds or item.kind in kinds)

    def family(self, constraint: Constraint) -> frozenset[str]:
        """``schema.table.constraint`` of a constraint and of those of partitions that belong to it."""
        found: set[str] = set()
        waiting = [constraint]
        while waiting:
            item = waiting.pop()
            if item.table in self.tables:
                found.add(f"{self.tables[item.table].shown}.{item.name}")
            waiting += self.by_parent.get(item.id, ())
        return frozenset(found)

    def leaves(self, table: int) -> list[int]:
        """The partitions of a partitioned table that hold rows, those with bounds first; itself if it is none."""
        if self.tables[table].kind != "p":
            return [table]
        found = [leaf for child in self.children.get(table, ()) for leaf in self.leaves(child)]
        return sorted(found, key=lambda oid: (self.tables[oid].default_partition, self.tables[oid].kind == "f"))

    def below(self, table: int) -> frozenset[str]:
        """``schema.table`` of a table and everything below it."""
        found = {self.tables[table].shown}
        for child in self.children.get(table, ()):
            found |= self.below(child)
        return frozenset(found)


class NoRowError(Exception):
    """A table has no valid row that could be made; the text says why."""


@dataclass(frozen=True)
class Rejection:
    """An error of PostgreSQL, with what it says about its origin."""

    sqlstate: str
    message: str
    schema: str = ""
    table: str = ""
    constraint: str = ""
    column: str = ""
    datatype: str = ""


@dataclass(frozen=True)
class Proof:
    """What became of one constraint.

    :param result: ``proven``, ``not enforced`` or ``could not be tried``.
    :param reason: why, or how where it is not the usual way.
    """

    constraint: str
    result: str
    reason: str = ""


PROVEN = "proven"
NOT_ENFORCED = "not enforced"
NOT_TRIED = "could not be tried"
EXEMPT = "exempt"


Key = TypeVar("Key", int, str)


def grouped(items: Iterable[Constraint], key: Callable[[Constraint], Key]) -> dict[Key, tuple[Constraint, ...]]:
    """Constraints by something that they have; those that do not have it are left out."""
    found: dict[Key, list[Constraint]] = {}
    for item in items:
        if key(item):
            found.setdefault(key(item), []).append(item)
    return {name: tuple(group) for name, group in found.items()}
