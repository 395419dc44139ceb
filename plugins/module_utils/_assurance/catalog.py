# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a draft of a spec file is made of, as the catalog shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """An ordinary or partitioned table.

    :param secured: whether row-level security is enabled.
    :param partition: whether it is a part of another one.
    :param columns: name and type, in order.
    """

    schema: str
    name: str
    secured: bool
    partition: bool
    columns: tuple[tuple[str, str], ...]

    @property
    def full(self) -> str:
        """As spec files name it: ``schema.table``."""
        return f"{self.schema}.{self.name}"

    def type_of(self, column: str) -> str | None:
        """The type of a column; None: there is no such column."""
        return dict(self.columns).get(column)


@dataclass(frozen=True)
class Index:
    """A valid index that enforces something.

    :param keys: each key as PostgreSQL shows it: a column, or an expression.
    """

    table: str
    name: str
    method: str
    keys: tuple[str, ...]
    include: tuple[str, ...] = ()
    predicate: str = ""


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key. ``covered``: an index begins with its columns."""

    table: str
    name: str
    columns: tuple[str, ...]
    target: str
    covered: bool


@dataclass(frozen=True)
class Role:
    """A role that writes, owns nothing of it and does not bypass row-level security: an application's.

    :param tables: on how many tables it may write.
    """

    name: str
    login: bool
    tables: int


@dataclass(frozen=True)
class Statement:
    """A statement of pg_stat_statements."""

    text: str
    role: str
    calls: int
    mean_ms: float


@dataclass(frozen=True)
class Catalog:
    """One database.

    :param policies: by table, the expressions of its policies with the source of the functions that they call.
    :param statements: the dearest, the dearest first; None: pg_stat_statements cannot be read here.
    """

    database: str
    tables: tuple[Table, ...] = ()
    policies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    roles: tuple[Role, ...] = ()
    unique: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    statements: tuple[Statement, ...] | None = None
