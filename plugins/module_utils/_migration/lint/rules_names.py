# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about names that running code uses: renamed, moved to another schema. Pure."""

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
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import (
    CONTRACT,
    REGISTRY,
    Context,
    Gone,
    Hit,
    Rule,
)

_H = Severity.HIGH

REGISTRY.add(
    Rule("rename-column", CONTRACT, _H, "Running code that uses the old name fails at once."),
    Rule("rename-table", CONTRACT, _H, "Running code that uses the old name fails at once."),
    Rule("rename-other", CONTRACT, _H, "Running code that uses the old name fails at once."),
    Rule("set-schema", CONTRACT, _H, "Running code that looks for it in the old schema fails at once."),
)


@REGISTRY.on("RenameStmt")
def rename(ctx: Context, node: Any) -> Iterator[Hit]:
    kind = enum(node.renameType)
    if kind == "OBJECT_COLUMN" and enum(node.relationType) in ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW"):
        table = name_of(node.relation)
        if not ctx.catalog.is_new(table):
            known = ctx.catalog.column(table, node.subname)
            type_sql = known.sql if known else "text /* the type of " + node.subname + " */"
            old = quoted(node.subname)
            text = safe.replace_column(ctx.layout, ctx.migration, table, node.subname, node.newname, type_sql, old)
            gone = Gone(table.name, node.subname)
            yield Hit("rename-column", f"{table}.{node.subname}", text, gone=gone)
    elif kind in ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW"):
        table = name_of(node.relation)
        if not ctx.catalog.is_new(table):
            text = safe.rename_table(ctx.migration, table, node.newname, ctx.version)
            yield Hit("rename-table", str(table), text, gone=Gone(table.name))
    elif kind in ("OBJECT_SCHEMA", "OBJECT_TYPE", "OBJECT_DOMAIN", "OBJECT_FUNCTION", "OBJECT_PROCEDURE"):
        old = node.subname or str(name_of(node.object))
        text = "-- Make it anew with the new name, move the code, then drop the old one."
        yield Hit("rename-other", old, text, gone=Gone(old.rpartition(".")[2]))


@REGISTRY.on("AlterEnumStmt")
def rename_value(ctx: Context, node: Any) -> Iterator[Hit]:
    if node.oldVal:
        name = name_of(node.typeName)
        text = "-- Give the value another label where it is shown; what is stored keeps its name."
        yield Hit("rename-other", f"{name}.{node.oldVal}", text, gone=Gone(node.oldVal))


@REGISTRY.on("AlterObjectSchemaStmt")
def set_schema(ctx: Context, node: Any) -> Iterator[Hit]:
    name = name_of(node.relation) if node.relation else name_of(node.object)
    if not ctx.catalog.is_new(name):
        view = Name(node.newschema, name.name).sql
        options = safe.view_options(ctx.version)
        text = safe.steps(
            f"CREATE VIEW {view}{options} AS SELECT * FROM {name.sql}; -- code moves to the new schema",
            safe.later(ctx.migration, f"DROP VIEW {view};\n{ctx.statement.text};"),
        )
        yield Hit("set-schema", str(name), text, gone=Gone(name.name))
