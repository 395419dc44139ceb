# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about data that goes away: TRUNCATE, DELETE without WHERE, everything that is dropped. Pure."""

# ruff: noqa: S608 - text for people, with quoted names; nothing here is executed

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint import safe
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import (
    Name,
    enum,
    name_of,
    quoted,
    sql_of,
    strings,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import (
    CONTRACT,
    EXPAND,
    FORBIDDEN,
    REGISTRY,
    Context,
    Gone,
    Hit,
    Rule,
)

_C, _H, _M = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM

REGISTRY.add(
    Rule("truncate", FORBIDDEN, _C, "All rows are gone, and with CASCADE those of every table that refers to them."),
    Rule("delete-without-where", FORBIDDEN, _C, "Every row of the table is deleted."),
    Rule("update-without-where", FORBIDDEN, _C, "Every row of the table is overwritten, and locked until the end."),
    Rule("drop-database", FORBIDDEN, _C, "The whole database is gone."),
    Rule("drop-owned", FORBIDDEN, _C, "Everything that the role owns is dropped, whatever it holds."),
    Rule("drop-schema", FORBIDDEN, _C, "A schema goes with what it holds."),
    Rule("drop-extension", FORBIDDEN, _C, "The extension's types and functions go, with CASCADE the columns of them."),
    Rule("drop-cascade", FORBIDDEN, _C, "CASCADE also drops what depends on it, and nobody has read that list."),
    Rule("drop-table", CONTRACT, _C, "The table and its rows are gone; running code that uses it fails."),
    Rule("drop-column", CONTRACT, _C, "The column and its values are gone; running code that names it fails."),
    Rule("drop-sequence", CONTRACT, _H, "The sequence's position is lost; code that asks it for numbers fails."),
    Rule("drop-view", CONTRACT, _H, "Running code that reads the view fails."),
    Rule("drop-function", CONTRACT, _H, "Running code that calls the function fails."),
    Rule("drop-type", CONTRACT, _H, "Code that casts to the type fails, with CASCADE its columns go."),
    Rule("drop-constraint", CONTRACT, _H, "Rows may now be there twice, and running code with ON CONFLICT fails."),
    Rule("loosen-constraint", EXPAND, _M, "What the constraint kept out can now be written."),
    Rule("drop-index", EXPAND, _H, "ACCESS EXCLUSIVE lock: every query of the table waits."),
)

# Without them everything that was accepted still is.
_LOOSE = ("CONSTR_FOREIGN", "CONSTR_CHECK", "CONSTR_NOTNULL")
_DROPS = {
    "OBJECT_TABLE": "drop-table",
    "OBJECT_FOREIGN_TABLE": "drop-table",
    "OBJECT_VIEW": "drop-view",
    "OBJECT_MATVIEW": "drop-view",
    "OBJECT_SEQUENCE": "drop-sequence",
    "OBJECT_FUNCTION": "drop-function",
    "OBJECT_PROCEDURE": "drop-function",
    "OBJECT_ROUTINE": "drop-function",
    "OBJECT_AGGREGATE": "drop-function",
    "OBJECT_TYPE": "drop-type",
    "OBJECT_DOMAIN": "drop-type",
    "OBJECT_SCHEMA": "drop-schema",
    "OBJECT_EXTENSION": "drop-extension",
}


@REGISTRY.on("TruncateStmt")
def truncate(ctx: Context, node: Any) -> Iterator[Hit]:
    for relation in node.relations:
        table = name_of(relation)
        if not ctx.catalog.is_new(table):
            yield Hit("truncate", str(table), safe.in_batches(ctx.layout, table, f"DELETE FROM {table.sql}"))


@REGISTRY.on("DeleteStmt")
def delete(ctx: Context, node: Any) -> Iterator[Hit]:
    table = name_of(node.relation)
    if _every_row(node.whereClause) and not ctx.catalog.is_new(table):
        text = safe.in_batches(ctx.layout, table, f"DELETE FROM {table.sql}")
        yield Hit("delete-without-where", str(table), text)


@REGISTRY.on("UpdateStmt")
def update(ctx: Context, node: Any) -> Iterator[Hit]:
    table = name_of(node.relation)
    if _every_row(node.whereClause) and not ctx.catalog.is_new(table):
        target = node.targetList[0]
        kind = type(target.val).__name__
        value = "DEFAULT" if kind == "MultiAssignRef" else sql_of(target.val)
        command, row = f"UPDATE {sql_of(node.relation)} SET {quoted(target.name)} = {value}", ""
        if node.fromClause:
            command += f" FROM {', '.join(map(sql_of, node.fromClause))}"
            row = f"{quoted(node.relation.alias.aliasname) if node.relation.alias else table.sql}."
        yield Hit("update-without-where", str(table), safe.in_batches(ctx.layout, table, command, row))


def _every_row(where: Any) -> bool:
    """No WHERE, or one that is true of any row: ``WHERE true``, ``WHERE 1 = 1``."""
    if where is None:
        return True
    kind = type(where).__name__
    if kind == "A_Const":
        return bool(getattr(where.val, "boolval", False))
    sides = {type(side).__name__ for side in (where.lexpr, where.rexpr)} if kind == "A_Expr" else set()
    if sides == {"A_Const"}:
        return strings(where.name) == ["="] and sql_of(where.lexpr) == sql_of(where.rexpr)
    return False


@REGISTRY.on("DropdbStmt")
def drop_database(ctx: Context, node: Any) -> Iterator[Hit]:
    yield Hit("drop-database", node.dbname, "-- Not in a migration: by hand, after a verified backup.")


@REGISTRY.on("DropOwnedStmt")
def drop_owned(ctx: Context, node: Any) -> Iterator[Hit]:
    roles = ", ".join(role.rolename or "CURRENT_USER" for role in node.roles)
    yield Hit("drop-owned", roles, f"REASSIGN OWNED BY {roles} TO <the new owner>; -- then REVOKE what it was granted")


@REGISTRY.on("DropStmt")
def drop(ctx: Context, node: Any) -> Iterator[Hit]:
    kind = enum(node.removeType)
    if kind == "OBJECT_INDEX":
        if not node.concurrent:
            yield from _drop_index(ctx, node)
        return
    cascades = enum(node.behavior) == "DROP_CASCADE"
    rule = _DROPS.get(kind, "")
    for item in node.objects:
        name = name_of(item)
        if ctx.catalog.is_new(name):
            continue
        if cascades:
            text = f"-- Drop what depends on it by name; then without CASCADE:\n{_without_cascade(node)};"
            yield Hit("drop-cascade", str(name), text, gone=Gone(name.name))
        elif rule and name not in ctx.made_here:
            gone = Gone(name.name) if REGISTRY.rules[rule].klass == CONTRACT else None
            yield Hit(rule, str(name), safe.later(safe.UNNEEDED_SINCE, f"{sql_of(node)};"), gone=gone)


def _without_cascade(node: Any) -> str:
    return sql_of(node).removesuffix(" CASCADE")


def _drop_index(ctx: Context, node: Any) -> Iterator[Hit]:
    for item in node.objects:
        name = name_of(item)
        known = ctx.catalog.indexes.get(name)
        if known is None or not ctx.catalog.is_new(known.table):
            exists = "IF EXISTS " if node.missing_ok else ""
            text = safe.alone(ctx.layout, f"DROP INDEX CONCURRENTLY {exists}{name.sql}")
            yield Hit("drop-index", str(name), text)


@REGISTRY.on_alter("AT_DropColumn")
def drop_column(ctx: Context, table: Name, command: Any) -> Iterator[Hit]:
    rule = "drop-cascade" if enum(command.behavior) == "DROP_CASCADE" else "drop-column"
    gone = Gone(table.name, command.name)
    text = safe.drop_column(ctx.migration, table, command.name)
    yield Hit(rule, f"{table}.{command.name}", text, gone=gone)


@REGISTRY.on_alter("AT_DropConstraint")
def drop_constraint(ctx: Context, table: Name, command: Any) -> Iterator[Hit]:
    label = f"{table}.{command.name}"
    known = ctx.catalog.tables.get(table)
    constraint = known.constraints.get(command.name) if known else None
    if enum(command.behavior) == "DROP_CASCADE":
        text = f"ALTER TABLE {table.sql} DROP CONSTRAINT {quoted(command.name)};"
        yield Hit("drop-cascade", label, text, gone=Gone(table.name))
        return
    # A check that only proved NOT NULL has done its work once the column says so itself.
    spare = constraint is not None and constraint.proves and known is not None and constraint.proves in known.not_null
    put_back = any(hit == command.name for hit in _added_constraints(ctx))
    if spare or put_back:
        return
    kind = constraint.kind if constraint else ""
    if kind in _LOOSE or (not kind and command.name.endswith(("_fkey", "_check", "_not_null"))):
        text = "-- Nothing that runs breaks; what relied on it has to look for itself."
        yield Hit("loosen-constraint", label, text)
    else:
        text = safe.later(safe.UNNEEDED_SINCE, f"ALTER TABLE {table.sql} DROP CONSTRAINT {quoted(command.name)};")
        # Queries name a constraint only in ON CONFLICT ON CONSTRAINT.
        yield Hit("drop-constraint", label, text, gone=Gone(command.name))


def _added_constraints(ctx: Context) -> Iterator[str]:
    """Constraints that this file adds: one that is dropped and made anew is changed."""
    for statement in ctx.script.statements:
        if statement.kind == "AlterTableStmt":
            for command in statement.node.cmds:
                if enum(command.subtype) == "AT_AddConstraint":
                    yield command.def_.conname or ""
