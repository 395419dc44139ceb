# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about columns and constraints of a table that is in use: read, rewritten, or failing on its rows. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint import safe, type_change
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.catalog import SERIALS
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import (
    Name,
    Type,
    enum,
    name_of,
    object_name,
    quoted,
    sql_of,
    strings,
    type_of,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import (
    EXPAND,
    FORBIDDEN,
    REGISTRY,
    Context,
    Hit,
    Rule,
)

_C, _H = Severity.CRITICAL, Severity.HIGH

REGISTRY.add(
    Rule("type-change-lossy", FORBIDDEN, _C, "Values that the new type cannot hold are cut, or the statement fails."),
    Rule("type-change-rewrite", FORBIDDEN, _H, "The whole table is written anew while every query of it waits."),
    Rule(
        *("type-change-unknown", FORBIDDEN, _H),
        "No file tells the column's old type: the table may be written anew under lock, and values may not fit.",
    ),
    Rule("add-column-not-null", EXPAND, _H, "It fails as soon as the table has a row; code that omits it fails too."),
    Rule("add-column-rewrite", EXPAND, _H, "Each row gets its own value, so the table is written anew under lock."),
    Rule("add-column-unique", EXPAND, _H, "Its index is built while every query of the table waits."),
    Rule("set-not-null", EXPAND, _H, "The whole table is read while every query of it waits."),
    Rule("foreign-key-not-valid", EXPAND, _H, "Both tables refuse writes while every row is looked up."),
    Rule("check-not-valid", EXPAND, _H, "The whole table is read while every query of it waits."),
    Rule("unique-using-index", EXPAND, _H, "The index is built while every query of the table waits."),
    Rule("domain-constraint-not-valid", EXPAND, _H, "Every table with a column of the domain is read under lock."),
    Rule("exclusion-constraint", FORBIDDEN, _H, "Its index is built while every query waits; there is no other form."),
    Rule(
        *("validate-in-same-transaction", EXPAND, _H),
        "The lock of ADD CONSTRAINT is still held while VALIDATE reads the whole table.",
    ),
)

# Volatile defaults write each row. Everything else of PostgreSQL's own that defaults are made of is computed once.
_ONCE = frozenset(
    [
        "now",
        "current_timestamp",
        "transaction_timestamp",
        "statement_timestamp",
        "current_date",
        "current_time",
        "current_setting",
        "current_user",
        "session_user",
        "current_database",
        "timezone",
        "to_jsonb",
        "jsonb_build_object",
        "json_build_object",
        "jsonb_build_array",
        "array_fill",
        "lower",
        "upper",
        "coalesce",
        "md5",
        "make_interval",
        "make_date",
        "make_timestamp",
        "date_trunc",
        "to_char",
        "to_date",
        "to_timestamp",
        "text",
        "concat",
        "concat_ws",
        "current_schema",
        "pg_backend_pid",
        "extract",
        "abs",
        "round",
    ]
)
_VOLATILE = frozenset(
    [
        "random",
        "gen_random_uuid",
        "uuid_generate_v1",
        "uuid_generate_v1mc",
        "uuid_generate_v4",
        "uuidv4",
        "uuidv7",
        "nextval",
        "clock_timestamp",
        "timeofday",
        "gen_random_bytes",
    ]
)


@REGISTRY.on_alter("AT_AlterColumnType")
def alter_type(ctx: Context, table: Name, command: Any) -> Iterator[Hit]:
    old, new = ctx.catalog.column(table, command.name), type_of(command.def_.typeName)
    label = f"{table}.{command.name}"
    replacement = object_name(command.name, "new")
    using = command.def_.raw_default
    value = sql_of(using) if using is not None else f"{quoted(command.name)}::{new.sql}"
    text = safe.replace_column(ctx.layout, ctx.migration, table, command.name, replacement, new.sql, value)
    if old is None:
        yield Hit("type-change-unknown", label, text)
        return
    kind = type_change.change(old, new)
    if kind == type_change.CATALOG and using is not None and _computes(using):
        kind = type_change.REWRITE
    if kind != type_change.CATALOG:
        rule = "type-change-lossy" if kind == type_change.LOSSY else "type-change-rewrite"
        why = REGISTRY.rules[rule].why
        yield Hit(rule, label, text, f"{old.sql} to {new.sql}: {why[0].lower()}{why[1:]}")


def _computes(using: Any) -> bool:
    """A USING that is more than the column or its cast is computed for each row."""
    kind = type(using).__name__
    return _computes(using.arg) if kind == "TypeCast" else kind != "ColumnRef"


@REGISTRY.on_alter("AT_AddColumn")
def add_column(ctx: Context, table: Name, command: Any) -> Iterator[Hit]:
    column = command.def_
    label = f"{table}.{column.colname}"
    kinds = {enum(constraint.contype): constraint for constraint in column.constraints or ()}
    default = kinds.get("CONSTR_DEFAULT")
    name, kind = quoted(column.colname), type_of(column.typeName)
    serial = kind.name in SERIALS
    generated = kinds.get("CONSTR_GENERATED")
    stored = generated is not None and generated.generated_kind != "v"
    if serial or stored or "CONSTR_IDENTITY" in kinds or (default is not None and _volatile(default.raw_expr)):
        yield Hit("add-column-rewrite", label, _without_default(ctx, table, column, kinds))
    elif "CONSTR_NOTNULL" in kinds and (default is None or _is_null(default.raw_expr)) and generated is None:
        plain = f"ALTER TABLE {table.sql} ADD COLUMN {name} {kind.sql};"
        first, rest = plain, safe.set_not_null(table, column.colname)
        text = safe.steps(f"{first} -- then fill it, in batches", *_numbered(rest))
        yield Hit("add-column-not-null", label, text)
    for constraint in ("CONSTR_UNIQUE", "CONSTR_PRIMARY"):
        if constraint in kinds:
            primary = constraint == "CONSTR_PRIMARY"
            parts = [table.name] if primary else [table.name, column.colname]
            index = kinds[constraint].conname or object_name(*parts, "pkey" if primary else "key")
            text = safe.unique(ctx.layout, table, index, [column.colname], primary)
            not_null = _numbered(safe.set_not_null(table, column.colname)) if primary else []
            first = f"ALTER TABLE {table.sql} ADD COLUMN {name} {kind.sql}; -- then fill it, in batches"
            yield Hit("add-column-unique", label, safe.steps(first, *not_null, *_numbered(text)))
    # Without a default the new column is NULL everywhere, and PostgreSQL does not look the rows up.
    if "CONSTR_FOREIGN" in kinds and default is not None and not _is_null(default.raw_expr):
        yield Hit("foreign-key-not-valid", label, _foreign_key_later(table, column.colname, kinds["CONSTR_FOREIGN"]))
    if "CONSTR_CHECK" in kinds:
        check = kinds["CONSTR_CHECK"]
        given = check.conname or object_name(table.name, column.colname, "check")
        text = safe.not_valid(table, given, f"CHECK ({sql_of(check.raw_expr)})")
        first = f"ALTER TABLE {table.sql} ADD COLUMN {name} {kind.sql};"
        yield Hit("check-not-valid", label, safe.steps(first, *_numbered(text)))


def _numbered(text: str) -> list[str]:
    """The migrations of a text of several, to be numbered anew."""
    parts = text.split("-- migration ")[1:]
    return [part.split("\n", 1)[1].rstrip("\n") for part in parts]


def _without_default(ctx: Context, table: Name, column: Any, kinds: dict[str, Any]) -> str:
    """The column empty, its default for new rows, then the old rows in batches."""
    name, kind = quoted(column.colname), type_of(column.typeName)
    alter = f"ALTER TABLE {table.sql}"
    add = f"{alter} ADD COLUMN {name} {Type(SERIALS.get(kind.name, kind.name), kind.mods, kind.array).sql};"
    if "CONSTR_GENERATED" in kinds:
        value = sql_of(kinds["CONSTR_GENERATED"].raw_expr)
        fill = safe.backfill(ctx.layout, table, f"{name} = {value}", f"{name} IS NULL AND ({value}) IS NOT NULL")
        return safe.steps(f"{add} -- code writes it, or a trigger; or a view computes it", fill)
    first = [add]
    if "CONSTR_DEFAULT" in kinds:
        value = sql_of(kinds["CONSTR_DEFAULT"].raw_expr)
    else:  # serial or an identity: what both are made of
        sequence = Name(table.schema, object_name(table.name, column.colname, "seq")).sql
        value = f"nextval('{sequence}')"
        first.append(f"CREATE SEQUENCE {sequence} OWNED BY {table.sql}.{name};")
    first.append(f"{alter} ALTER COLUMN {name} SET DEFAULT {value};")
    # A default that is NULL would be filled in for ever; the numbers of a sequence never are.
    where = f"{name} IS NULL" if value.startswith("nextval(") else f"{name} IS NULL AND ({value}) IS NOT NULL"
    return safe.steps("\n".join(first), safe.backfill(ctx.layout, table, f"{name} = {value}", where))


def _foreign_key_later(table: Name, column: str, node: Any) -> str:
    target = name_of(node.pktable)
    columns = f" ({', '.join(map(quoted, strings(node.pk_attrs)))})" if node.pk_attrs else ""
    definition = f"FOREIGN KEY ({quoted(column)}) REFERENCES {target.sql}{columns}"
    return safe.not_valid(table, node.conname or object_name(table.name, column, "fkey"), definition)


def _is_null(expression: Any) -> bool:
    if type(expression).__name__ == "TypeCast":
        return _is_null(expression.arg)
    return bool(getattr(expression, "isnull", False))


def _volatile(expression: Any) -> bool:
    """Whether it can differ from row to row; a function that is not known may."""
    kind = type(expression).__name__
    if kind == "FuncCall":
        name = expression.funcname[-1].sval
        if name in _VOLATILE or name not in _ONCE:
            return True
        return any(_volatile(argument) for argument in expression.args or ())
    if kind == "TypeCast":
        return _volatile(expression.arg)
    if kind == "A_Expr":
        return any(_volatile(side) for side in (expression.lexpr, expression.rexpr) if side is not None)
    if kind in ("A_ArrayExpr", "CoalesceExpr"):
        return any(_volatile(item) for item in (_members(expression)))
    return kind not in ("A_Const", "SQLValueFunction")


def _members(expression: Any) -> Any:
    return getattr(expression, "elements", None) or getattr(expression, "args", None) or ()


@REGISTRY.on_alter("AT_SetNotNull")
def set_not_null(ctx: Context, table: Name, command: Any) -> Iterator[Hit]:
    known = ctx.catalog.tables.get(table)
    already = known is not None and command.name in known.not_null
    if not already and not ctx.catalog.is_proven_not_null(table, command.name):
        yield Hit("set-not-null", f"{table}.{command.name}", safe.set_not_null(table, command.name))


@REGISTRY.on_alter("AT_AddConstraint")
def add_constraint(ctx: Context, table: Name, command: Any) -> Iterator[Hit]:
    node = command.def_
    kind = enum(node.contype)
    columns = strings(node.keys) or strings(node.fk_attrs)
    suffix = {"CONSTR_FOREIGN": "fkey", "CONSTR_CHECK": "check", "CONSTR_PRIMARY": "pkey"}.get(kind, "key")
    name = node.conname or object_name(table.name, *([] if kind == "CONSTR_PRIMARY" else columns), suffix)
    label = f"{table}.{name}"
    if kind in ("CONSTR_FOREIGN", "CONSTR_CHECK", "CONSTR_NOTNULL") and not node.skip_validation:
        rule = {"CONSTR_FOREIGN": "foreign-key-not-valid", "CONSTR_CHECK": "check-not-valid"}.get(kind, "set-not-null")
        if kind == "CONSTR_NOTNULL":
            yield Hit(rule, label, safe.set_not_null(table, columns[0]))
        elif not (kind == "CONSTR_CHECK" and not node.is_enforced):
            node.conname, given = None, node.conname
            yield Hit(rule, label, safe.not_valid(table, name, sql_of(node)))
            node.conname = given
    elif kind == "CONSTR_PRIMARY" and node.indexname:
        index = ctx.catalog.indexes.get(Name(table.schema, node.indexname))
        for column in ctx.catalog.may_be_null(table, index.columns if index else ()):
            # A primary key makes its columns NOT NULL, and looks at every row for that.
            yield Hit("set-not-null", f"{table}.{column}", safe.set_not_null(table, column))
    elif kind in ("CONSTR_UNIQUE", "CONSTR_PRIMARY") and not node.indexname:
        primary = kind == "CONSTR_PRIMARY"
        nullable = ctx.catalog.may_be_null(table, columns) if primary else []
        first = [part for column in nullable for part in _numbered(safe.set_not_null(table, column))]
        text = safe.unique(ctx.layout, table, name, columns, primary)
        yield Hit("unique-using-index", label, safe.steps(*first, *_numbered(text)))
    elif kind == "CONSTR_EXCLUSION":
        text = "-- In a maintenance window; or a new table with the constraint, and the rows moved in batches."
        yield Hit("exclusion-constraint", label, text)


@REGISTRY.on("AlterDomainStmt")
def domain(ctx: Context, node: Any) -> Iterator[Hit]:
    if enum(node.subtype) not in ("AD_AddConstraint", "C") or node.def_ is None or node.def_.skip_validation:
        return
    name = name_of(node.typeName)
    label = node.def_.conname or object_name(name.name, "check")
    alter = f"ALTER DOMAIN {name.sql}"
    check = f"CHECK ({sql_of(node.def_.raw_expr)})" if node.def_.raw_expr is not None else "CHECK (VALUE IS NOT NULL)"
    text = safe.steps(
        f"{alter} ADD CONSTRAINT {quoted(label)} {check} NOT VALID;",
        f"{alter} VALIDATE CONSTRAINT {quoted(label)};",
    )
    yield Hit("domain-constraint-not-valid", f"{name}.{label}", text)


@REGISTRY.on_alter("AT_ValidateConstraint")
def validate(ctx: Context, table: Name, command: Any) -> Iterator[Hit]:
    known = ctx.catalog.tables.get(table)
    constraint = known.constraints.get(command.name) if known else None
    if ctx.in_transaction and constraint is not None and constraint.migration == ctx.migration:
        text = f"-- in a migration of its own\nALTER TABLE {table.sql} VALIDATE CONSTRAINT {quoted(command.name)};"
        yield Hit("validate-in-same-transaction", f"{table}.{command.name}", text)
