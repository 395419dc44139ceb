# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the migrations so far have made: tables, columns, constraints, indexes. Pure.

The lint has no database. But the files before this one tell the type that a column has, whether a check already proves
NOT NULL, and which tables are new in this run and therefore empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import (
    Name,
    Type,
    enum,
    name_of,
    sql_of,
    strings,
    type_of,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.statement import Statement

# No types, but a way to write an integer with a sequence.
SERIALS = {
    **dict.fromkeys(("smallserial", "serial2"), "int2"),
    **dict.fromkeys(("serial", "serial4"), "int4"),
    **dict.fromkeys(("bigserial", "serial8"), "int8"),
}


@dataclass
class Constraint:
    """``proves`` is the column whose NOT NULL it proves, once it is valid."""

    kind: str
    valid: bool
    proves: str = ""
    migration: str = ""


@dataclass
class Table:
    """``run`` is the run of migrations that has made it; empty: it was there before the first file."""

    migration: str = ""
    run: str = ""
    partitioned: bool = False
    view: bool = False
    columns: dict[str, Type] = field(default_factory=dict)
    not_null: set[str] = field(default_factory=set)
    constraints: dict[str, Constraint] = field(default_factory=dict)


@dataclass(frozen=True)
class Index:
    """Of a table, on columns; an expression is an empty name."""

    table: Name
    columns: tuple[str, ...]


@dataclass
class Catalog:
    """What is known; what is not known is not guessed."""

    tables: dict[Name, Table] = field(default_factory=dict)
    indexes: dict[Name, Index] = field(default_factory=dict)
    enums: dict[Name, str] = field(default_factory=dict)
    enum_values: dict[str, str] = field(default_factory=dict)
    migration: str = ""
    run: str = ""

    def begin(self, migration: str, run: str) -> None:
        """From here on it is this migration, of this run, that makes things."""
        self.migration, self.run = migration, run
        self.enum_values.clear()

    def is_new(self, name: Name) -> bool:
        """Whether the table was made in this run: it is empty, and no running application knows it."""
        table = self.tables.get(name)
        return table is not None and table.run == self.run

    def column(self, table: Name, column: str) -> Type | None:
        """Its type, if the files tell."""
        found = self.tables.get(table)
        return found.columns.get(column) if found else None

    def is_proven_not_null(self, table: Name, column: str) -> bool:
        """A valid constraint proves it, so that SET NOT NULL need not look at the rows."""
        found = self.tables.get(table)
        return found is not None and any(c.valid and c.proves == column for c in found.constraints.values())

    def may_be_null(self, table: Name, columns: Iterable[str]) -> list[str]:
        """Those of the columns that a file has made, and of which none says that they are NOT NULL."""
        found = self.tables.get(table)
        if found is None:
            return []
        known = [column for column in columns if column in found.columns and column not in found.not_null]
        return [column for column in known if not self.is_proven_not_null(table, column)]

    def learn(self, statement: Statement) -> None:
        """What a statement has made."""
        learner = _LEARNERS.get(statement.kind)
        if learner:
            learner(self, statement.node)

    def table(self, name: Name) -> Table:
        """The table; one that no file has made was there before."""
        return self.tables.setdefault(name, Table())

    def add_constraint(self, name: Name, node: Any) -> None:
        """As ALTER TABLE ... ADD CONSTRAINT, or as part of a new table."""
        kind = enum(node.contype)
        table = self.table(name)
        proves = ""
        if kind == "CONSTR_CHECK":
            proves = proven_column(node.raw_expr)
        elif kind == "CONSTR_NOTNULL":
            proves = (strings(node.keys) or [""])[0]
        if kind == "CONSTR_PRIMARY":
            table.not_null.update(strings(node.keys))
        label = node.conname or f"{kind} {len(table.constraints)}"
        table.constraints[label] = Constraint(kind, not node.skip_validation, proves, self.migration)

    def add_column(self, name: Name, node: Any) -> None:
        """As ALTER TABLE ... ADD COLUMN, or as part of a new table."""
        table = self.table(name)
        if node.typeName is None:
            return  # of a typed table, which has the columns of its type
        kind = type_of(node.typeName)
        table.columns[node.colname] = Type(SERIALS[kind.name]) if kind.name in SERIALS else kind
        kinds = {enum(constraint.contype) for constraint in node.constraints or ()}
        if kinds & {"CONSTR_NOTNULL", "CONSTR_PRIMARY", "CONSTR_IDENTITY"}:
            table.not_null.add(node.colname)


def proven_column(expression: Any) -> str:
    """The column of ``CHECK (column IS NOT NULL)``; empty for any other expression."""
    if type(expression).__name__ != "NullTest" or enum(expression.nulltesttype) != "IS_NOT_NULL":
        return ""
    fields = getattr(expression.arg, "fields", None)
    return fields[-1].sval if fields and hasattr(fields[-1], "sval") else ""


def _create(catalog: Catalog, node: Any) -> None:
    name = name_of(node.relation)
    if node.if_not_exists and name in catalog.tables and not catalog.is_new(name):
        return
    parent = name_of(node.inhRelations[0]) if node.inhRelations else None
    table = Table(catalog.migration, catalog.run, node.partspec is not None)
    if parent in catalog.tables:
        table.columns.update(catalog.tables[parent].columns)
    catalog.tables[name] = table
    for element in node.tableElts or ():
        if type(element).__name__ == "ColumnDef":
            catalog.add_column(name, element)
            for constraint in element.constraints or ():
                if enum(constraint.contype) == "CONSTR_CHECK":
                    catalog.add_constraint(name, constraint)
        elif type(element).__name__ == "Constraint":
            catalog.add_constraint(name, element)


def _create_as(catalog: Catalog, node: Any) -> None:
    catalog.tables[name_of(node.into.rel)] = Table(
        catalog.migration, catalog.run, view=enum(node.objtype) == "OBJECT_MATVIEW"
    )


def _view(catalog: Catalog, node: Any) -> None:
    name = name_of(node.view)
    if name not in catalog.tables:
        catalog.tables[name] = Table(catalog.migration, catalog.run, view=True)


def _alter(catalog: Catalog, node: Any) -> None:
    if enum(node.objtype) != "OBJECT_TABLE":
        return
    name = name_of(node.relation)
    for command in node.cmds:
        _ALTERATIONS.get(enum(command.subtype), _nothing)(catalog, name, command)


def _nothing(catalog: Catalog, name: Name, command: Any) -> None:
    """Most alterations change nothing that a rule asks for."""


def _add_column(catalog: Catalog, name: Name, command: Any) -> None:
    catalog.add_column(name, command.def_)


def _drop_column(catalog: Catalog, name: Name, command: Any) -> None:
    catalog.table(name).columns.pop(command.name, None)


def _type(catalog: Catalog, name: Name, command: Any) -> None:
    catalog.table(name).columns[command.name] = type_of(command.def_.typeName)


def _set_not_null(catalog: Catalog, name: Name, command: Any) -> None:
    catalog.table(name).not_null.add(command.name)


def _drop_not_null(catalog: Catalog, name: Name, command: Any) -> None:
    catalog.table(name).not_null.discard(command.name)


def _add_constraint(catalog: Catalog, name: Name, command: Any) -> None:
    catalog.add_constraint(name, command.def_)


def _drop_constraint(catalog: Catalog, name: Name, command: Any) -> None:
    catalog.table(name).constraints.pop(command.name, None)


def _validate(catalog: Catalog, name: Name, command: Any) -> None:
    known = catalog.table(name).constraints.get(command.name)
    if known:
        known.valid = True


def _rename(catalog: Catalog, node: Any) -> None:
    kind = enum(node.renameType)
    if kind == "OBJECT_TABLE" and node.relation is not None:
        old = name_of(node.relation)
        catalog.tables[Name(old.schema, node.newname)] = catalog.tables.pop(old, Table())
    elif kind == "OBJECT_COLUMN" and node.relation is not None:
        columns = catalog.table(name_of(node.relation)).columns
        if node.subname in columns:
            columns[node.newname] = columns.pop(node.subname)


def _drop(catalog: Catalog, node: Any) -> None:
    kind = enum(node.removeType)
    if kind in ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW"):
        for item in node.objects:
            catalog.tables.pop(name_of(item), None)
    elif kind == "OBJECT_INDEX":
        for item in node.objects:
            catalog.indexes.pop(name_of(item), None)


def _index(catalog: Catalog, node: Any) -> None:
    if node.idxname:
        table = name_of(node.relation)
        columns = tuple(element.name or "" for element in node.indexParams)
        catalog.indexes[Name(table.schema, node.idxname)] = Index(table, columns)


def _enum(catalog: Catalog, node: Any) -> None:
    catalog.enums[name_of(node.typeName)] = catalog.migration


def _enum_value(catalog: Catalog, node: Any) -> None:
    # Values of a type that this migration has made can be used at once.
    if node.newVal and not node.oldVal and catalog.enums.get(name_of(node.typeName)) != catalog.migration:
        catalog.enum_values[node.newVal] = sql_of(node)


_LEARNERS: dict[str, Any] = {
    "CreateStmt": _create,
    "CreateTableAsStmt": _create_as,
    "ViewStmt": _view,
    "AlterTableStmt": _alter,
    "RenameStmt": _rename,
    "DropStmt": _drop,
    "IndexStmt": _index,
    "CreateEnumStmt": _enum,
    "AlterEnumStmt": _enum_value,
}
_ALTERATIONS: dict[str, Any] = {
    "AT_AddColumn": _add_column,
    "AT_DropColumn": _drop_column,
    "AT_AlterColumnType": _type,
    "AT_SetNotNull": _set_not_null,
    "AT_DropNotNull": _drop_not_null,
    "AT_AddConstraint": _add_constraint,
    "AT_DropConstraint": _drop_constraint,
    "AT_ValidateConstraint": _validate,
}
