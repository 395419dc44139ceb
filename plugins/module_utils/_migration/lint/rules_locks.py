# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about what keeps the queries of a table waiting: indexes, rewrites, partitions, explicit locks. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint import safe
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import (
    Name,
    enum,
    name_of,
    object_name,
    quoted,
    sql_of,
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
    Rule("table-rewrite", FORBIDDEN, _H, "The whole table is written anew while every query of it waits."),
    Rule("vacuum-full", FORBIDDEN, _H, "The whole table is written anew while every query of it waits."),
    Rule("cluster", FORBIDDEN, _H, "The whole table is written anew while every query of it waits."),
    Rule("index-concurrently", EXPAND, _H, "The table refuses writes until the index is built."),
    Rule("reindex-concurrently", EXPAND, _H, "The table refuses writes, and reads by this index, until it is built."),
    Rule("refresh-concurrently", EXPAND, _H, "Every query of the view waits until it is filled again."),
    Rule("detach-concurrently", EXPAND, _H, "Every query of the partitioned table waits."),
    Rule(
        *("attach-partition", EXPAND, _M),
        "All rows of the new partition are read under lock, unless a valid check already proves its bounds.",
    ),
    Rule("lock-table", FORBIDDEN, _H, "Every query of the table waits until the end of the transaction."),
)


@REGISTRY.on_alter("AT_SetAccessMethod", "AT_SetTableSpace", "AT_SetLogged", "AT_SetUnLogged", "AT_SetExpression")
def rewrite(ctx: Context, table: Name, command: Any) -> Iterator[Hit]:
    yield Hit("table-rewrite", str(table), "-- Make the new table beside the old one and move the rows in batches.")


@REGISTRY.on("AlterTableMoveAllStmt")
def move_all(ctx: Context, node: Any) -> Iterator[Hit]:
    text = "-- Make new tables in the other tablespace and move the rows in batches."
    yield Hit("table-rewrite", f"everything in tablespace {node.orig_tablespacename}", text)


@REGISTRY.on("VacuumStmt")
def vacuum(ctx: Context, node: Any) -> Iterator[Hit]:
    options = {option.defname: getattr(option.arg, "sval", "true") for option in node.options or ()}
    if str(options.get("full", "off")).lower() in ("true", "on", "1", ""):
        tables = [name_of(item.relation) for item in node.rels or ()] or [Name("", "every table")]
        for table in tables:
            target = f" {table.sql}" if node.rels else ""
            yield Hit("vacuum-full", str(table), safe.alone(ctx.layout, f"VACUUM (ANALYZE){target}"))


@REGISTRY.on("ClusterStmt")
def cluster(ctx: Context, node: Any) -> Iterator[Hit]:
    table = name_of(node.relation) if node.relation else Name("", "every clustered table")
    yield Hit("cluster", str(table), "-- Out of a migration: a tool that copies in the background, such as pg_repack.")


@REGISTRY.on("IndexStmt")
def index(ctx: Context, node: Any) -> Iterator[Hit]:
    table = name_of(node.relation)
    if node.concurrent or ctx.catalog.is_new(table):
        return
    known = ctx.catalog.tables.get(table)
    if known is not None and known.partitioned and node.relation.inh:
        name = node.idxname or object_name(table.name, "idx")
        text = (
            f"-- The partitioned table itself takes no CONCURRENTLY. First an empty one, then each partition:\n"
            f"{sql_of(node).replace(' ON ', ' ON ONLY ', 1)};\n"
            f"-- for each partition: CREATE INDEX CONCURRENTLY, then ALTER INDEX {quoted(name)} ATTACH PARTITION"
        )
    elif not node.relation.inh:
        return  # ON ONLY a partitioned table: it is empty until the partitions' indexes are attached
    else:
        columns = [element.name or "expr" for element in node.indexParams]
        text = safe.index_concurrently(ctx.layout, ctx.statement.text, object_name(table.name, *columns, "idx"))
    yield Hit("index-concurrently", f"{table}.{node.idxname}" if node.idxname else str(table), text)


@REGISTRY.on("ReindexStmt")
def reindex(ctx: Context, node: Any) -> Iterator[Hit]:
    if not any(option.defname == "concurrently" for option in node.params or ()):
        target = name_of(node.relation) if node.relation else Name("", node.name or "the database")
        words = {"REINDEX_OBJECT_INDEX": "INDEX", "REINDEX_OBJECT_TABLE": "TABLE", "REINDEX_OBJECT_SCHEMA": "SCHEMA"}
        kind = words.get(enum(node.kind), "DATABASE")
        text = safe.alone(ctx.layout, f"REINDEX {kind} CONCURRENTLY {target.sql}")
        yield Hit("reindex-concurrently", str(target), text)


@REGISTRY.on("RefreshMatViewStmt")
def refresh(ctx: Context, node: Any) -> Iterator[Hit]:
    view = name_of(node.relation)
    if not node.concurrent and not node.skipData and not ctx.catalog.is_new(view):
        text = f"REFRESH MATERIALIZED VIEW CONCURRENTLY {view.sql}; -- it needs a unique index"
        yield Hit("refresh-concurrently", str(view), text)


@REGISTRY.on_alter("AT_DetachPartition")
def detach(ctx: Context, table: Name, command: Any) -> Iterator[Hit]:
    if not command.def_.concurrent:
        partition = name_of(command.def_.name)
        text = f"ALTER TABLE {table.sql} DETACH PARTITION {partition.sql} CONCURRENTLY"
        yield Hit("detach-concurrently", str(partition), safe.alone(ctx.layout, text))


@REGISTRY.on_alter("AT_AttachPartition")
def attach(ctx: Context, table: Name, command: Any) -> Iterator[Hit]:
    partition = name_of(command.def_.name)
    known = ctx.catalog.tables.get(partition)
    checked = known is not None and any(c.kind == "CONSTR_CHECK" and c.valid for c in known.constraints.values())
    if not checked and not ctx.catalog.is_new(partition):
        name = quoted(object_name(partition.name, "bounds"))
        alter = f"ALTER TABLE {partition.sql}"
        text = (
            f"-- First, each in a migration of its own: {alter} ADD CONSTRAINT {name} CHECK (<its bounds>) NOT VALID; "
            f"{alter} VALIDATE CONSTRAINT {name};"
        )
        yield Hit("attach-partition", str(partition), text)


@REGISTRY.on("LockStmt")
def lock(ctx: Context, node: Any) -> Iterator[Hit]:
    for relation in node.relations:
        table = name_of(relation)
        if node.mode >= 5 and not ctx.catalog.is_new(table):  # SHARE and stronger keep writers out
            yield Hit("lock-table", str(table), "-- Leave it out: each statement takes the lock that it needs.")
