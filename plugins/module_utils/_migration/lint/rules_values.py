# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about values: ENUMs outside the allow-list (E-6), seed data in a migration (E-5). Pure."""

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
    EXPAND,
    FORBIDDEN,
    REGISTRY,
    Context,
    Hit,
    Rule,
)

_H, _M = Severity.HIGH, Severity.MEDIUM

REGISTRY.add(
    Rule(
        *("enum-outside-allow-list", FORBIDDEN, _H),
        "A value of an ENUM can never be removed, described or put out of use; a lookup table can.",
        control="E-6",
        needs_rows=False,
    ),
    Rule(
        *("seed-data", FORBIDDEN, _H),
        "Rows of a test or demo would be written into production.",
        control="E-5",
    ),
    Rule(
        *("backfill-with-ddl", EXPAND, _M),
        "The locks of the schema change are held until every row is written.",
    ),
)


@REGISTRY.on("CreateEnumStmt")
def create_enum(ctx: Context, node: Any) -> Iterator[Hit]:
    name = name_of(node.typeName)
    if not _allowed(ctx, name):
        yield Hit("enum-outside-allow-list", str(name), safe.lookup_table(name, strings(node.vals)))


@REGISTRY.on("AlterEnumStmt")
def alter_enum(ctx: Context, node: Any) -> Iterator[Hit]:
    name = name_of(node.typeName)
    if not _allowed(ctx, name):
        yield Hit("enum-outside-allow-list", str(name), safe.lookup_table(name, [node.newVal] if node.newVal else []))


def _allowed(ctx: Context, name: Name) -> bool:
    return bool({str(name), name.name, f"public.{name.name}"} & ctx.enum_allowed)


@REGISTRY.on("InsertStmt")
def insert(ctx: Context, node: Any) -> Iterator[Hit]:
    table = name_of(node.relation)
    values = getattr(node.selectStmt, "valuesLists", None)
    if values and not ctx.catalog.is_new(table) and table not in ctx.reference_tables:
        yield Hit(
            *("seed-data", str(table)),
            f"-- Rows for tests and demos: a file that the seed playbook runs, which refuses production.\n"
            f"-- Rows that belong to the schema: name {table.sql} in reference_tables.",
        )


@REGISTRY.on("CopyStmt")
def copy(ctx: Context, node: Any) -> Iterator[Hit]:
    if node.is_from and node.relation is not None:
        table = name_of(node.relation)
        if not ctx.catalog.is_new(table) and table not in ctx.reference_tables:
            yield Hit("seed-data", str(table), "-- Load files with the seed playbook, which refuses production.")


@REGISTRY.on("UpdateStmt", "DeleteStmt")
def backfill(ctx: Context, node: Any) -> Iterator[Hit]:
    table = name_of(node.relation)
    if not ctx.in_transaction or ctx.catalog.is_new(table) or node.whereClause is None or ctx.statement.inside:
        return
    for other in ctx.script.own():
        if other.kind == "AlterTableStmt" and enum(other.node.objtype) == "OBJECT_TABLE":
            altered = name_of(other.node.relation)
            if altered == table and not ctx.catalog.is_new(altered):
                text = f"-- in a migration of its own\n{_batched(ctx, node, table)}"
                yield Hit("backfill-with-ddl", str(table), text)
                return


def _batched(ctx: Context, node: Any, table: Name) -> str:
    """In batches where each row certainly leaves the condition: ``SET a = 'x' WHERE a IS NULL``."""
    if type(node).__name__ == "UpdateStmt" and len(node.targetList) == 1:
        target = node.targetList[0]
        column, value, where = quoted(target.name), sql_of(target.val), sql_of(node.whereClause)
        constant = type(target.val).__name__ == "A_Const" and not target.val.isnull
        if constant and where.replace('"', "") == f"{target.name} IS NULL":
            return safe.backfill(ctx.layout, table, f"{column} = {value}", where)
    return f"{ctx.statement.text};"
