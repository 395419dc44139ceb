# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read tables, types, constraints and triggers of a database: a constant number of catalog queries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    CHECK,
    EXCLUSION,
    FOREIGN_KEY,
    NOT_NULL,
    PRIMARY_KEY,
    UNIQUE,
    UNIQUE_INDEX,
    Column,
    Constraint,
    Database,
    Table,
    Trigger,
    Type,
    grouped,
)
from ansible_collections.dbops.postgres.plugins.module_utils._environment import environment_of

if TYPE_CHECKING:
    from psycopg2 import extensions

_KINDS = {"p": PRIMARY_KEY, "u": UNIQUE, "f": FOREIGN_KEY, "c": CHECK, "x": EXCLUSION, "n": NOT_NULL}

_SERVER = (
    """
    SELECT pg_catalog.current_database()::text, pg_catalog.current_setting('cluster_name'), current_user::text"""
    ""
)

_TYPES = """
    SELECT t.oid::int8, pg_catalog.format_type(t.oid, NULL),
           CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid) THEN 'a'
                ELSE t.typtype::text END,
           t.typname::text, t.typcategory::text,
           CASE WHEN t.typtype = 'd' THEN t.typbasetype
                WHEN t.typtype = 'r' THEN r.rngsubtype
                WHEN t.typtype = 'm' THEN m.rngtypid
                ELSE t.typelem END::int8,
           t.typtypmod, t.typnotnull,
           (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
              FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
           (SELECT json_agg(json_build_array(a.atttypid::int8, a.atttypmod) ORDER BY a.attnum)
              FROM pg_catalog.pg_attribute a
             WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
      FROM pg_catalog.pg_type t
      LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
      LEFT JOIN pg_catalog.pg_range m ON m.rngmultitypid = t.oid
      LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
     WHERE t.typisdefined AND t.typtype <> 'p' AND (t.typtype <> 'c' OR c.relkind = 'c')
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e JOIN pg_catalog.pg_class ec ON ec.oid = e.typrelid
                        WHERE e.typarray = t.oid AND ec.relkind <> 'c')"""

_TABLES = """
    SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, c.relispartition,
           coalesce(pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT', false),
           CASE WHEN c.relispartition THEN coalesce(pg_catalog.pg_get_partition_constraintdef(c.oid), '') ELSE '' END,
           coalesce((SELECT array_agg(i.inhparent::int8) FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
                    '{}'),
           pg_catalog.row_security_active(c.oid),
           pg_catalog.has_table_privilege(c.oid, 'INSERT') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
               AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
           EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid AND w.ev_type = '3'),
           EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
                      AND d.objid = c.oid AND d.deptype = 'e'),
           coalesce((SELECT json_agg(json_build_array(a.attname, a.atttypid::int8, a.atttypmod,
                             pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> '',
                             a.atthasdef OR a.attidentity <> '',
                             CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END)
                         ORDER BY a.attnum)
              FROM pg_catalog.pg_attribute a
              LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'::json)
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
     ORDER BY n.nspname, c.relname"""

# On 18 NOT NULL has rows of its own here; the columns come from pg_attribute on every version, name and state from
# here. So has NOT ENFORCED a column there that earlier versions do not have.
_CONSTRAINTS = """
    SELECT c.oid::int8, c.conname::text, c.contype::text, c.conrelid::int8, c.contypid::int8,
           (SELECT array_agg(a.attname::text ORDER BY k.position)
              FROM unnest(c.conkey) WITH ORDINALITY AS k (number, position)
              JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number),
           c.conparentid::int8, c.confrelid::int8,
           (SELECT array_agg(a.attname::text ORDER BY k.position)
              FROM unnest(c.confkey) WITH ORDINALITY AS k (number, position)
              JOIN pg_catalog.pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number),
           c.condeferrable, c.convalidated, coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true),
           CASE WHEN c.contype = 'c' THEN pg_catalog.pg_get_expr(c.conbin, c.conrelid) END,
           c.conindid::int8,
           (SELECT array_agg(pg_catalog.format('OPERATOR(%I.%s)', os.nspname, o.oprname) ORDER BY k.position)
              FROM unnest(c.conexclop) WITH ORDINALITY AS k (operator, position)
              JOIN pg_catalog.pg_operator o ON o.oid = k.operator
              JOIN pg_catalog.pg_namespace os ON os.oid = o.oprnamespace),
           (SELECT array_agg(DISTINCT t.tgrelid::regclass::text) FROM pg_catalog.pg_trigger t
             WHERE t.tgconstraint = c.oid AND t.tgenabled IN ('D', 'R'))
      FROM pg_catalog.pg_constraint c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace
     WHERE c.contype IN ('p', 'u', 'f', 'c', 'x', 'n')
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
     ORDER BY c.conrelid, c.conname"""

_INDEXES = """
    SELECT i.indexrelid::int8, x.relname::text, i.indrelid::int8,
           (SELECT array_agg(coalesce(a.attname::text, '') ORDER BY k.position)
              FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, position)
              LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
             WHERE k.position <= i.indnkeyatts),
           pg_catalog.pg_get_expr(i.indexprs, i.indrelid), pg_catalog.pg_get_expr(i.indpred, i.indrelid),
           i.indnullsnotdistinct, i.indisvalid AND i.indisready,
           (SELECT h.inhparent::int8 FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid),
           i.indisunique,
           (SELECT array_agg(pg_catalog.pg_get_indexdef(i.indexrelid, k.number, false) ORDER BY k.number)
              FROM generate_series(1, i.indnkeyatts) AS k (number))
      FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
     WHERE (i.indisunique OR i.indisexclusion)
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
     ORDER BY i.indrelid, x.relname"""

_TRIGGERS = """
    SELECT t.tgrelid::int8, t.tgname::text, t.tgenabled = 'A'
      FROM pg_catalog.pg_trigger t
      JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype::int & 4 = 4
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
     ORDER BY t.tgname"""


_SEQUENCES = """
    SELECT pg_catalog.format('%I.%I', schemaname, sequencename), last_value FROM pg_catalog.pg_sequences"""

# Domains of extensions are left out.
_DOMAINS = """
    SELECT t.oid::int8, n.nspname::text
      FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
     WHERE t.typtype = 'd' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_type'::regclass
                          AND d.objid = t.oid AND d.deptype = 'e')"""


def observe(connection: extensions.connection) -> Database:
    """Everything that decides whether a row gets into a table."""
    with connection.cursor() as cursor:
        name, cluster, user = _rows(cursor, _SERVER)[0]
        types = {row[0]: _type(row) for row in _rows(cursor, _TYPES)}
        tables = _rows(cursor, _TABLES)
        constraints = _rows(cursor, _CONSTRAINTS)
        indexes = {row[0]: row for row in _rows(cursor, _INDEXES)}
        domains = dict(_rows(cursor, _DOMAINS))
        triggers: dict[int, list[Trigger]] = {}
        for table, *trigger in _rows(cursor, _TRIGGERS):
            triggers.setdefault(table, []).append(Trigger(*trigger))
    seen = {row[0]: _table(row, tuple(triggers.get(row[0], ()))) for row in tables}
    found = [*_constraints(seen, constraints, indexes), *_required_domains(types, domains, constraints)]
    children: dict[int, list[int]] = {}
    for table in seen.values():
        for parent in table.parents:
            children.setdefault(parent, []).append(table.oid)
    return Database(
        name=name,
        environment=environment_of(cluster),
        user=user,
        tables=seen,
        types=types,
        constraints={item.id: item for item in found},
        by_table=grouped(found, lambda item: item.table),
        by_domain=grouped(found, lambda item: item.domain),
        by_parent=grouped(found, lambda item: item.parent),
        domain_schemas=domains,
        children={parent: tuple(group) for parent, group in children.items()},
    )


def sequences(connection: extensions.connection) -> dict[str, int | None]:
    """The last value of every sequence that can be read."""
    with connection.cursor() as cursor:
        return dict(_rows(cursor, _SEQUENCES))


def named_in(text: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns whose names occur in an expression as PostgreSQL writes it; its texts in quotes are left out."""
    bare = re.sub(r"'(?:[^']|'')*'", "''", text)
    words = set(re.findall(r'"((?:[^"]|"")+)"|([^\W\d][\w$]*)', bare))
    known = {quoted.replace('""', '"') if quoted else word for quoted, word in words}
    return tuple(name for name in columns if name in known)


def _rows(cursor: extensions.cursor, statement: str) -> list[tuple[Any, ...]]:
    cursor.execute(statement)
    return cursor.fetchall()


def _type(row: tuple[Any, ...]) -> Type:
    labels, fields = row[8:]
    oid, shown, kind, name, category, part, typmod, not_null = row[:8]
    return Type(
        oid,
        shown,
        kind,
        name,
        category,
        part,
        typmod,
        not_null,
        labels=tuple(labels or ()),
        fields=tuple((oid, typmod) for oid, typmod in fields or ()),
    )


def _table(row: tuple[Any, ...], triggers: tuple[Trigger, ...]) -> Table:
    oid, schema, name, kind, partition, default, bound, parents, secured, may_write, rules, extension, columns = row
    return Table(
        oid=oid,
        schema=schema,
        name=name,
        kind=kind,
        partition=partition,
        default_partition=default,
        bound=bound,
        parents=tuple(parents),
        row_security=secured,
        may_write=may_write,
        rules=rules,
        extension=extension,
        columns={item[0]: _column(item) for item in columns},
        triggers=triggers,
    )


def _column(item: list[Any]) -> Column:
    name, kind, typmod, shown, not_null, generated, has_default, expression = item
    return Column(name, kind, typmod, shown, not_null, generated, has_default, expression or "")


def _constraints(
    tables: dict[int, Table], rows: list[tuple[Any, ...]], indexes: dict[int, tuple[Any, ...]]
) -> list[Constraint]:
    found = []
    backed = {row[13] for row in rows if row[2] in ("p", "u", "x")}
    owners = {row[0]: row[3] for row in rows}
    not_null: dict[tuple[int, str], tuple[str, str]] = {}
    for row in rows:
        (oid, name, letter, table, domain, columns, parent, target, targets) = row[:9]
        (deferrable, validated, enforced, expression, index, operators, disabled) = row[9:]
        trouble = ""
        if not enforced:
            trouble = "it is NOT ENFORCED"
        elif disabled:
            trouble = f"its triggers are disabled on {', '.join(disabled)}"
        elif not validated:
            trouble = "it is NOT VALID: new rows are checked, those that were there never were"
        if letter == "n":
            not_null[(table, (columns or ("",))[0])] = (name, trouble)
            continue
        if (table and table not in tables) or (target and target not in tables):
            continue
        if letter == "f" and owners.get(parent) == table:  # PostgreSQL's own, for each partition that is referenced
            continue
        keys: tuple[str, ...] = ()
        compared: tuple[str, ...] = ()
        predicate = ""
        nulls_equal = False
        seen = tuple(columns or ())
        if letter in ("p", "u", "x") and index in indexes:
            entry = indexes[index]
            keys, predicate, nulls_equal = tuple(entry[3]), entry[5] or "", entry[6]
            compared = tuple(entry[10] or ())
            seen = _looked_at(tables[table], entry)
            trouble = trouble or ("" if entry[7] else "its index is invalid")
        found.append(
            Constraint(
                id=f"c{oid}",
                name=name,
                kind=_KINDS[letter],
                table=table,
                domain=domain,
                columns=seen,
                parent=f"c{parent}" if parent else "",
                target=target,
                target_columns=tuple(targets or ()),
                deferrable=deferrable,
                expression=expression or "",
                predicate=predicate,
                operators=tuple(operators or ()),
                keys=keys,
                compared=compared,
                nulls_equal=nulls_equal,
                validated=validated,
                trouble=trouble,
            )
        )
    for oid, entry in indexes.items():
        if oid in backed or entry[2] not in tables or not entry[9]:
            continue
        found.append(
            Constraint(
                id=f"i{oid}",
                name=entry[1],
                kind=UNIQUE_INDEX,
                table=entry[2],
                columns=_looked_at(tables[entry[2]], entry),
                parent=f"i{entry[8]}" if entry[8] else "",
                predicate=entry[5] or "",
                keys=tuple(entry[3]),
                compared=tuple(entry[10] or ()),
                nulls_equal=entry[6],
                trouble="" if entry[7] else "the index is invalid",
            )
        )
    for table in tables.values():
        for column in table.columns.values():
            if column.not_null:
                name, trouble = not_null.get((table.oid, column.name), (column.name, ""))
                found.append(
                    Constraint(
                        id=f"n{table.oid}.{column.name}",
                        name=name,
                        kind=NOT_NULL,
                        table=table.oid,
                        columns=(column.name,),
                        trouble=trouble,
                    )
                )
    return found


def _required_domains(
    types: dict[int, Type], domains: Iterable[int], rows: list[tuple[Any, ...]]
) -> Iterator[Constraint]:
    """NOT NULL of domains; since 17 the catalog has a name for it."""
    names = {row[4]: row[1] for row in rows if row[2] == "n" and row[4]}
    for oid in domains:
        if oid in types and types[oid].not_null:
            yield Constraint(f"d{oid}", names.get(oid, f"{types[oid].name}_not_null"), NOT_NULL, domain=oid)


def _looked_at(table: Table, entry: tuple[Any, ...]) -> tuple[str, ...]:
    keys = [name for name in entry[3] if name]
    inside = named_in(entry[4] or "", tuple(table.columns))
    return tuple(dict.fromkeys([*keys, *inside]))
