# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about how the tool runs the file: what no transaction may surround, what nobody can read beforehand. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint import safe
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import enum, sql_of
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import (
    EXPAND,
    FORBIDDEN,
    REGISTRY,
    Context,
    Hit,
    Rule,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import FLYWAY, PLAIN

_C, _H = Severity.CRITICAL, Severity.HIGH

REGISTRY.add(
    Rule(
        *("not-in-transaction", EXPAND, _H),
        "PostgreSQL refuses it inside a transaction, and the tool runs this file in one.",
        needs_rows=False,
    ),
    Rule(
        *("transaction-control", EXPAND, _H),
        "The tool's own transaction ends here; what follows is not taken back if it fails.",
        needs_rows=False,
    ),
    Rule(
        *("enum-value-in-same-transaction", EXPAND, _H),
        "A new value of an ENUM cannot be used before the transaction that adds it has ended.",
        needs_rows=False,
    ),
    Rule(
        *("dynamic-ddl", FORBIDDEN, _H),
        "What it does is put together while it runs, so that neither a reviewer nor this check can read it.",
        needs_rows=False,
    ),
    Rule("alter-system", FORBIDDEN, _H, "It changes the whole server, not this database.", needs_rows=False),
    Rule(
        *("changed-after-applied", FORBIDDEN, _H),
        "The text is not the one that was applied: databases made from it differ from those that are live.",
        needs_rows=False,
    ),
)

_NEVER_IN_TRANSACTION = {
    "CreatedbStmt": "CREATE DATABASE",
    "DropdbStmt": "DROP DATABASE",
    "CreateTableSpaceStmt": "CREATE TABLESPACE",
    "DropTableSpaceStmt": "DROP TABLESPACE",
    "AlterSystemStmt": "ALTER SYSTEM",
}


@REGISTRY.on(
    *("IndexStmt", "DropStmt", "ReindexStmt", "VacuumStmt", "ClusterStmt", "AlterTableStmt", "CreateSubscriptionStmt"),
    *_NEVER_IN_TRANSACTION,
)
def not_in_transaction(ctx: Context, node: Any) -> Iterator[Hit]:
    words = never_in_transaction(node)
    if words and (ctx.in_transaction or ctx.statement.inside):
        yield Hit("not-in-transaction", words, safe.alone(ctx.layout, ctx.statement.text))


def never_in_transaction(node: Any) -> str:
    """The command that PostgreSQL refuses inside a transaction; empty: it takes it."""
    kind = type(node).__name__
    if kind in _NEVER_IN_TRANSACTION:
        return _NEVER_IN_TRANSACTION[kind]
    if kind == "IndexStmt" and node.concurrent:
        return "CREATE INDEX CONCURRENTLY"
    if kind == "DropStmt" and node.concurrent:
        return "DROP INDEX CONCURRENTLY"
    if kind == "ReindexStmt":
        plain = enum(node.kind) in ("REINDEX_OBJECT_INDEX", "REINDEX_OBJECT_TABLE")
        concurrent = any(option.defname == "concurrently" for option in node.params or ())
        return "" if plain and not concurrent else "REINDEX CONCURRENTLY" if concurrent else "REINDEX"
    if kind == "VacuumStmt":
        return "VACUUM" if node.is_vacuumcmd else ""
    if kind == "ClusterStmt":
        return "" if node.relation else "CLUSTER"
    if kind == "CreateSubscriptionStmt":
        options = {option.defname: sql_of(option.arg) if option.arg else "true" for option in node.options or ()}
        return "" if options.get("create_slot", "true").strip("'") == "false" else "CREATE SUBSCRIPTION"
    if kind == "AlterTableStmt":
        for command in node.cmds:
            if enum(command.subtype) == "AT_DetachPartition" and command.def_.concurrent:
                return "DETACH PARTITION CONCURRENTLY"
    return ""


@REGISTRY.on("Commit")
def commit_in_block(ctx: Context, node: Any) -> Iterator[Hit]:
    if ctx.in_transaction:
        [block, *_rest] = [s for s in ctx.script.own() if s.line <= ctx.statement.line <= s.end_line]
        yield Hit("not-in-transaction", "COMMIT in a DO block", safe.alone(ctx.layout, block.text))


@REGISTRY.on("TransactionStmt")
def transaction(ctx: Context, node: Any) -> Iterator[Hit]:
    # A file that is sent as one query may well say BEGIN and COMMIT itself.
    wraps = ctx.layout in (PLAIN, FLYWAY)
    kinds = ("TRANS_STMT_BEGIN", "TRANS_STMT_START", "TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK")
    if ctx.in_transaction and wraps and enum(node.kind) in kinds:
        yield Hit("transaction-control", sql_of(node), "-- Leave it out: the file is one transaction already.")


@REGISTRY.on("InsertStmt", "UpdateStmt", "DeleteStmt", "SelectStmt", "AlterTableStmt", "CreateStmt", "IndexStmt")
def enum_value(ctx: Context, node: Any) -> Iterator[Hit]:
    if not ctx.in_transaction:
        return
    for value, addition in ctx.catalog.enum_values.items():
        if "'" + value.replace("'", "''") + "'" in ctx.statement.text:
            yield Hit("enum-value-in-same-transaction", value, f"-- in a migration before this one\n{addition};")


@REGISTRY.on("DynamicSql", "UnreadBlock")
def dynamic(ctx: Context, node: Any) -> Iterator[Hit]:
    yield Hit("dynamic-ddl", "DO block", "-- Write the statements themselves; they are few, and they can be reviewed.")


@REGISTRY.on("AlterSystemStmt")
def alter_system(ctx: Context, node: Any) -> Iterator[Hit]:
    yield Hit("alter-system", node.setstmt.name or "all", "-- Declare it in server_settings of the role server.")
