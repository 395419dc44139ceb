# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for an empty database, so that its plans are those of a full one: one INSERT ... SELECT for each table. Pure.

A value is a function of its type and of a number, so that a column that refers to another one refers to a row that is
there: it takes a number of the other table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._plan import (
    Argument,
    DbopsError,
    Ident,
    Joined,
    Literal,
    Sql,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plans.spec import Generate

# Rows of a table that nobody declared and that others refer to.
PARENT_ROWS = 1000

# {} is a whole number from 1 on.
_VALUES = {
    "bool": "({} % 2 = 0)",
    "int2": "({} % 32767)::int2",
    "int4": "({} % 2147483647)::int4",
    "int8": "({})::int8",
    "float4": "({})::float4",
    "float8": "({})::float8",
    "numeric": "({})::numeric",
    "text": "('v' || {}::text)",
    "uuid": "pg_catalog.md5({}::text)::uuid",
    "date": "(date '2020-01-01' + ({} % 2000)::int)",
    "timestamp": "(timestamp '2020-01-01' + {} * interval '1 minute')",
    "timestamptz": "(timestamptz '2020-01-01 00:00+00' + {} * interval '1 minute')",
    "time": "(time '00:00' + {} * interval '1 minute')",
    "interval": "({} * interval '1 minute')",
    "json": "pg_catalog.json_build_object('n', {})",
    "jsonb": "pg_catalog.jsonb_build_object('n', {})",
    "bytea": "pg_catalog.decode(pg_catalog.md5({}::text), 'hex')",
    "inet": "('10.0.0.0'::inet + ({} % 16777215))",
}


@dataclass(frozen=True)
class Column:
    """A column that gets a value.

    :param kind: its type, or the base type of its domain, as ``typname``; ``array`` for any array.
    :param size: of a varchar(n) or char(n); precision of a numeric before its point; 0: none.
    :param labels: of an enum.
    :param unique: by itself.
    """

    name: str
    kind: str
    type: tuple[str, str] = ("", "")
    size: int = 0
    labels: tuple[str, ...] = ()
    required: bool = False
    unique: bool = False


@dataclass(frozen=True)
class Reference:
    """A foreign key: its columns, and the table and columns that they refer to."""

    columns: tuple[str, ...]
    table: tuple[str, str]
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table that rows can be made for."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    references: tuple[Reference, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Schema and name."""
        return self.schema, self.name


def needed(tables: Mapping[tuple[str, str], Table], generate: Generate) -> dict[tuple[str, str], int]:
    """How many rows each table gets, those that others refer to included, in an order in which they can be made.

    :raises DbopsError: a declared table is not there, or tables refer to each other in a circle that cannot be null.
    """
    counts: dict[tuple[str, str], int] = {}
    open_ones: list[tuple[str, str]] = []

    def visit(key: tuple[str, str], asked_by: str) -> None:
        if key in counts:
            return
        if key not in tables:
            raise DbopsError(f"plans.generate: there is no table {'.'.join(key)}{asked_by}")
        if key in open_ones:
            raise DbopsError(
                f"plans.generate: the foreign keys of {'.'.join(key)} lead back to it and must not be null"
            )
        open_ones.append(key)
        for reference in tables[key].references:
            optional = not _required(tables[key], reference)
            if reference.table == key or (optional and reference.table in open_ones):
                continue
            if not optional or reference.table in generate.rows:
                visit(reference.table, f", to which {'.'.join(key)} refers")
        open_ones.remove(key)
        counts[key] = generate.rows.get(key, PARENT_ROWS)

    for key in sorted(generate.rows):
        visit(key, "")
    return counts


def referring(tables: Mapping[tuple[str, str], Table], given: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Further tables that refer to these, or to one that does."""
    found = dict.fromkeys(given)
    first = len(found)
    waiting = list(found)
    while waiting:
        target = waiting.pop()
        for key, table in tables.items():
            if key not in found and any(reference.table == target for reference in table.references):
                found[key] = None
                waiting.append(key)
    return list(found)[first:]


def _required(table: Table, reference: Reference) -> bool:
    """Whether a foreign key must have a value."""
    required = {column.name for column in table.columns if column.required}
    return bool(required & set(reference.columns))


def insert(
    table: Table,
    count: int,
    made: Mapping[tuple[str, str], int],
    tables: Mapping[tuple[str, str], Table],
    distinct: Mapping[tuple[str, str, str], int],
) -> Sql:
    """The statement that fills one table. Rows that would break a unique constraint are left out.

    :param made: the tables that have rows already, and how many.
    :raises DbopsError: a column needs a value of a type that is not known here.
    """
    names: list[Argument] = []
    values: list[Argument] = []
    referring = {
        name: (reference, position) for reference in table.references for position, name in enumerate(reference.columns)
    }
    for column in table.columns:
        value = _referring(column, table, referring, made, tables)
        if value is None:
            different = distinct.get((table.schema, table.name, column.name))
            number = f"(1 + n % {different})" if different else "n"
            value = _value(column, number)
        if value is None:
            if column.required:
                raise DbopsError(
                    f"plans.generate: no value is known for {table.schema}.{table.name}.{column.name} "
                    f"of the type {column.kind}",
                    "Insert rows by a script before, or leave the table out.",
                )
            continue
        names.append(Ident(column.name))
        values.append(value)
    return Sql(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM pg_catalog.generate_series(1, {}) n "
        "ON CONFLICT DO NOTHING",
        (Ident(table.schema, table.name), Joined(tuple(names)), Joined(tuple(values)), Literal(count)),
    )


def _referring(
    column: Column,
    table: Table,
    referring: Mapping[str, tuple[Reference, int]],
    made: Mapping[tuple[str, str], int],
    tables: Mapping[tuple[str, str], Table],
) -> Sql | None:
    """The value of a column of a foreign key: that of a row of the other table; Sql NULL where there is none."""
    if column.name not in referring:
        return None
    reference, position = referring[column.name]
    if reference.table == table.key or reference.table not in made:
        return Sql("NULL")
    target = next(c for c in tables[reference.table].columns if c.name == reference.targets[position])
    count = made[reference.table]
    # All columns of one key take the same row; neighbours take rows that are far apart, but a unique column each once.
    number = f"(1 + (n - 1) % {count})" if column.unique else f"(1 + (n * 7919) % {count})"
    return _value(target, number)


def _value(column: Column, number: str) -> Sql | None:
    if column.labels:
        labels = Joined(tuple(Literal(label) for label in column.labels))
        return Sql(
            "(ARRAY[{}])[1 + (" + number + " % " + str(len(column.labels)) + ")::int]::{}",
            (labels, Ident(*column.type)),
        )
    if column.kind == "array":
        return Sql("'{{}}'")
    if column.kind in ("varchar", "bpchar", "citext", "name"):
        inner = _VALUES["text"].replace("{}", number)
        # The digits at the end are what makes it different.
        return Sql(f"pg_catalog.right({inner}, {column.size})" if column.size else inner)
    if column.kind == "numeric" and column.size:
        return Sql(f"({number} % {10 ** min(column.size, 15)})::numeric")
    if column.kind not in _VALUES:
        return None
    return Sql(_VALUES[column.kind].replace("{}", number))
