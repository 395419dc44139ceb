# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the tables and indexes of a database. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Key:
    """One column or expression of an index.

    :param opclass: its operator class; empty: the default one of its type.
    :param default_opclass: whether ``opclass`` is the default one.
    :param collation: empty: the column's own.
    """

    column: str = ""
    expression: str = ""
    opclass: str = ""
    default_opclass: bool = False
    collation: str = ""
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True)
class Definition:
    """What an index does, whatever its name.

    :param immediate: False for that of a deferrable constraint, which no foreign key and no ON CONFLICT can use.
    """

    method: str
    keys: tuple[Key, ...]
    unique: bool = False
    include: tuple[str, ...] = ()
    predicate: str = ""
    nulls_not_distinct: bool = False
    immediate: bool = True


@dataclass(frozen=True)
class Table:
    """A table, partitioned table or materialised view.

    :param kind: ``relkind``.
    :param rows: as ANALYZE estimated or, before the first one, as the statistics count.
    :param index_writes: rows inserted, and updated so that each index got a new entry, since the reset.
    :param parent: of a partition; 0: none.
    :param columns: name to type.
    """

    oid: int
    schema: str
    name: str
    kind: str = "r"
    rows: int = 0
    seq_scans: int = 0
    seq_rows: int = 0
    index_scans: int = 0
    index_writes: int = 0
    parent: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """As a person writes it."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Index:
    """An index.

    :param constraint: the primary key, unique or exclusion constraint that it belongs to; empty: none.
    :param valid: PostgreSQL uses it; False after a CREATE INDEX CONCURRENTLY that failed.
    :param kept: why it cannot go although it is no constraint (replica identity, foreign keys); empty: it can.
    :param parent: the index of the partitioned table that it is attached to; 0: none.
    :param scans: on the connected server, and, once they are added, on the replicas.
    """

    oid: int
    schema: str
    name: str
    table: int
    definition: Definition
    primary: bool = False
    constraint: str = ""
    valid: bool = True
    kept: str = ""
    partitioned: bool = False
    parent: int = 0
    bytes: int = 0
    scans: int = 0
    tuples: int = -1
    pages: int = 0
    fillfactor: int = 90

    @property
    def full_name(self) -> str:
        """As a person writes it."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key: the columns that refer to another table."""

    table: int
    name: str
    columns: tuple[str, ...]
    target: str


@dataclass(frozen=True)
class ColumnStatistics:
    """What ANALYZE knows of a column.

    :param rarest: share of the least common of its most common values; 0: there are none.
    """

    null_share: float
    width: int
    distinct: float
    rarest: float


@dataclass(frozen=True)
class Node:
    """A server whose scans are counted, and since when."""

    place: str
    since: datetime.datetime
    scans: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Observed:
    """Everything that the judge looks at.

    :param nodes: the connected server first, then the given replicas.
    :param standbys: how many stream from the connected server.
    :param in_recovery: the connected server is a replica itself.
    :param building: indexes and tables on which an index is being built now.
    :param building_unseen: builds that the connected role may not see.
    :param statistics: by (schema, table or index, column).
    :param statements: what pg_stat_statements recorded with operators that GIN serves; None: it is not there.
    """

    now: datetime.datetime
    tables: Mapping[int, Table] = field(default_factory=dict)
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    nodes: tuple[Node, ...] = ()
    standbys: int = 0
    in_recovery: bool = False
    building: frozenset[int] = frozenset()
    building_unseen: int = 0
    statistics: Mapping[tuple[str, str, str], ColumnStatistics] = field(default_factory=dict)
    statements: tuple[str, ...] | None = None
    block_size: int = 8192

    @cached_property
    def by_table(self) -> Mapping[int, list[Index]]:
        """The indexes of each table."""
        grouped: dict[int, list[Index]] = {}
        for index in self.indexes:
            grouped.setdefault(index.table, []).append(index)
        return grouped

    @cached_property
    def named(self) -> Mapping[tuple[str, str], Table]:
        """The tables by schema and name."""
        return {(table.schema, table.name): table for table in self.tables.values()}

    def on(self, table: int) -> list[Index]:
        """The indexes of a table."""
        return self.by_table.get(table, [])
