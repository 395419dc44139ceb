# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read an ENUM column and what hangs on it, and all ENUMs of a database: a constant number of queries."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ansible_collections.dbops.postgres.plugins.module_utils._enums.judge import EnumType
from ansible_collections.dbops.postgres.plugins.module_utils._enums.spec import Column, Index, Names, names
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

if TYPE_CHECKING:
    from psycopg2 import extensions

_COLUMN = """
    SELECT c.oid, a.attnum, c.relkind,
           EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)),
           a.attgenerated <> '', a.attacl IS NOT NULL, n2.nspname, coalesce(e.typname, t.typname),
           CASE WHEN e.typtype = 'e' THEN 'array' ELSE t.typtype::text END,
           t.oid, t.typarray,
           ARRAY(SELECT l.enumlabel::text FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder),
           a.attnotnull, d.oid, pg_catalog.pg_get_expr(d.adbin, d.adrelid)
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
      JOIN pg_catalog.pg_namespace n2 ON n2.oid = t.typnamespace
      LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
      LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     WHERE n.nspname = %s AND c.relname = %s AND a.attname = %s
"""
_INDEXES = """
    SELECT x.relname, m.amname, i.indisunique, i.indnullsnotdistinct,
           ARRAY(SELECT a.attname::text
                   FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place)
                   LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                  ORDER BY k.place),
           i.indnkeyatts, i.indoption::int2[], coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), ''),
           pg_catalog.pg_get_indexdef(i.indexrelid), i.indisvalid,
           i.indexprs IS NOT NULL, x.reloptions IS NOT NULL OR x.reltablespace <> 0,
           EXISTS (SELECT FROM unnest(i.indclass::oid[]) k (opclass)
                     JOIN pg_catalog.pg_opclass o ON o.oid = k.opclass WHERE NOT o.opcdefault),
           EXISTS (SELECT FROM unnest(i.indkey::int2[], i.indcollation::oid[]) k (attnum, coll)
                     JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                    WHERE k.coll <> 0 AND k.coll <> a.attcollation)
      FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
      JOIN pg_catalog.pg_am m ON m.oid = x.relam
     WHERE i.indrelid = %(table)s
       AND EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
                      AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.indrelid
                      AND d.refobjsubid = %(attnum)s)
     ORDER BY x.relname
"""
_DEPENDENTS = """
    SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
      FROM pg_catalog.pg_depend d
     WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = %(table)s AND d.refobjsubid = %(attnum)s
       AND NOT (d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = coalesce(%(default)s, 0::oid))
       AND NOT (d.classid = 'pg_catalog.pg_class'::regclass
                AND d.objid IN (SELECT i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid = %(table)s))
       AND NOT (d.classid = 'pg_catalog.pg_constraint'::regclass
                AND d.objid IN (SELECT c.oid FROM pg_catalog.pg_constraint c WHERE c.contype = 'n'))
     ORDER BY 1
"""
_TYPE_USERS = """
    SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
      FROM pg_catalog.pg_depend d
     WHERE d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid IN (%(type)s, %(array)s)
       AND NOT (d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = %(array)s)
       AND NOT (d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = %(table)s AND d.objsubid = %(attnum)s)
       AND NOT (d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = coalesce(%(default)s, 0::oid))
     ORDER BY 1
"""
_LATER = """
    SELECT t.tgname FROM pg_catalog.pg_trigger t
     WHERE t.tgrelid = %(table)s AND NOT t.tgisinternal AND t.tgtype & 3 = 3 AND t.tgtype & 20 <> 0
       AND t.tgname::text COLLATE "C" >= %(trigger)s
     ORDER BY 1
"""
_TAKEN = """
    SELECT 'table ' || c.relname FROM pg_catalog.pg_class c
     WHERE c.relnamespace = pg_catalog.to_regnamespace(quote_ident(%(schema)s)) AND c.relname = ANY (%(relations)s)
    UNION ALL
    SELECT 'type ' || t.typname FROM pg_catalog.pg_type t
     WHERE t.typnamespace = pg_catalog.to_regnamespace(quote_ident(%(schema)s)) AND t.typname = %(lookup)s
       AND t.typrelid = 0
    UNION ALL
    SELECT 'column ' || a.attname FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = %(table)s AND a.attname = %(key)s AND NOT a.attisdropped
    UNION ALL
    SELECT 'constraint ' || c.conname FROM pg_catalog.pg_constraint c
     WHERE c.conrelid = %(table)s AND c.conname = ANY (%(constraints)s)
    UNION ALL
    SELECT 'function ' || p.proname FROM pg_catalog.pg_proc p
     WHERE p.pronamespace = pg_catalog.to_regnamespace(quote_ident(%(schema)s)) AND p.proname = ANY (%(functions)s)
    ORDER BY 1
"""
_ENUMS = """
    SELECT n.nspname, t.typname,
           ARRAY(SELECT l.enumlabel::text FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder),
           coalesce(u.used, ARRAY[]::text[])
      FROM pg_catalog.pg_type t
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
      LEFT JOIN (SELECT CASE WHEN y.typtype = 'd' THEN y.typbasetype WHEN y.typcategory = 'A' THEN y.typelem
                             ELSE y.oid END AS enum,
                        array_agg(ARRAY[cn.nspname::text, c.relname, a.attname]
                                  ORDER BY cn.nspname, c.relname, a.attnum) AS used
                   FROM pg_catalog.pg_attribute a
                   JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'f')
                   JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
                   JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
                  WHERE a.attnum > 0 AND NOT a.attisdropped AND NOT c.relispartition
                  GROUP BY 1) u ON u.enum = t.oid
     WHERE t.typtype = 'e' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
     ORDER BY 1, 2
"""
_METHODS = ("btree", "hash", "brin")


def observe(
    cursor: extensions.cursor, schema: str, table: str, column: str, lookup: str = "", key: str = ""
) -> tuple[Column, Names]:
    """A column, and the names of what would replace it.

    :raises DbopsError: it is not there.
    """
    cursor.execute(_COLUMN, (schema, table, column))
    row = cursor.fetchone()
    if row is None:
        raise DbopsError(
            f"There is no column {schema}.{table}.{column}",
            "Check schema, table, column and login_db.",
            "No file was written.",
        )
    (oid, attnum, kind, inherits, generated, own, type_schema, type_name, type_kind) = row[:9]
    (type_oid, array_oid, labels, not_null, default_oid, expression) = row[9:]
    chosen = names(table, column, type_name, lookup, key)
    ids = {"table": oid, "attnum": attnum, "default": default_oid, "type": type_oid, "array": array_oid}
    cursor.execute(_INDEXES, ids)
    indexes = tuple(_index(found, column) for found in cursor.fetchall())
    cursor.execute(_DEPENDENTS, ids)
    dependents = tuple(name for (name,) in cursor.fetchall())
    cursor.execute(_TYPE_USERS, ids)
    users = tuple(name for (name,) in cursor.fetchall())
    cursor.execute(_LATER, {**ids, "trigger": chosen.trigger})
    later = tuple(name for (name,) in cursor.fetchall())
    new = {
        "schema": schema,
        "lookup": chosen.lookup,
        "relations": [chosen.lookup, *(chosen.index(index, column) for index in indexes)],
        "key": chosen.key,
        "constraints": [chosen.foreign_key, chosen.check],
        "functions": [chosen.function],
    }
    cursor.execute(_TAKEN, {**ids, **new})
    taken = tuple(name for (name,) in cursor.fetchall())
    found = Column(
        schema=schema,
        table=table,
        name=column,
        kind=kind,
        inherits=inherits,
        generated=generated,
        own_privileges=own,
        type_schema=type_schema,
        type_name=type_name,
        type_kind=type_kind,
        labels=tuple(labels),
        not_null=not_null,
        default=_label(expression, labels),
        default_expression=expression,
        indexes=indexes,
        dependents=dependents,
        type_users=users,
        later_triggers=later,
        taken=taken,
    )
    return found, chosen


def _label(expression: str | None, labels: list[str]) -> str | None:
    """The label of a default such as ``'new'::app.order_status``; None for anything else."""
    match = re.match(r"'((?:[^']|'')*)'::", expression or "")
    value = match[1].replace("''", "'") if match else None
    return value if value in labels else None


def _index(row: tuple[Any, ...], column: str) -> Index:
    (name, method, unique, distinct, columns, keys, options, predicate, definition) = row[:9]
    valid, expressions, storage, opclass, collation = row[9:]
    special = ""
    if not valid:
        special = "it is invalid"
    elif expressions:
        special = "it has an expression"
    elif column in predicate:
        special = f"its condition may mention the column: {predicate}"
    elif method not in _METHODS:
        special = f"its method is {method}"
    elif opclass or collation:
        special = "it has an operator class or a collation of its own"
    elif storage:
        special = "it has storage parameters or a tablespace of its own"
    return Index(name, method, unique, distinct, tuple(columns), keys, tuple(options), predicate, definition, special)


def enums(cursor: extensions.cursor) -> list[EnumType]:
    """All ENUM types but those of extensions, and the columns that use each: one query."""
    cursor.execute(_ENUMS)
    return [
        EnumType(schema, name, tuple(labels), tuple(map(tuple, used)))
        for schema, name, labels, used in cursor.fetchall()
    ]
