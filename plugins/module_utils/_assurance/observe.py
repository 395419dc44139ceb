# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S608 - the parts of these queries are constants of this file
"""Reads what a spec file is drafted from: seven queries, however many tables there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.dbops.postgres.plugins.module_utils._assurance.catalog import (
    Catalog,
    ForeignKey,
    Index,
    Role,
    Statement,
    Table,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Ident, Literal, Sql
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login, compose, connect

if TYPE_CHECKING:
    from psycopg2 import extensions

STATEMENTS = 10  # as many candidates as a person reads

# Tables of the chosen schemas, without those of extensions.
_TABLES = """
    SELECT c.oid, c.relname::text AS name, n.nspname::text AS schema, c.relrowsecurity, c.relispartition, c.relowner,
           c.relacl
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p')
       AND CASE WHEN %(schemas)s::text[] IS NULL
                THEN left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'
                ELSE n.nspname = ANY (%(schemas)s::text[]) END
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""


def observe(login: Login, database: str, schemas: Sequence[str]) -> Catalog:
    """Read one database, in a transaction that cannot write.

    :param schemas: empty: all but those of the system.
    :raises DbopsError: the connection failed.
    """
    connection = connect(login, database)
    try:
        connection.set_session(readonly=True, isolation_level="REPEATABLE READ")
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '15s'")
            given = {"schemas": list(schemas) or None}
            return Catalog(
                database=database,
                tables=_tables(cursor, given),
                policies=_policies(cursor, given),
                roles=_roles(cursor, given),
                unique=_unique(cursor, given),
                foreign_keys=_foreign_keys(cursor, given),
                statements=_statements(cursor),
            )
    finally:
        connection.close()


def _rows(cursor: extensions.cursor, query: str, given: dict[str, Any]) -> list[Any]:
    cursor.execute(query, given)
    return cursor.fetchall()


def _tables(cursor: extensions.cursor, given: dict[str, Any]) -> tuple[Table, ...]:
    rows = _rows(
        cursor,
        f"""
        SELECT t.schema, t.name, t.relrowsecurity, t.relispartition,
               coalesce(json_agg(json_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
                                 ORDER BY a.attnum) FILTER (WHERE a.attnum IS NOT NULL), '[]')
          FROM ({_TABLES}) t
          LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
         GROUP BY 1, 2, 3, 4
         ORDER BY 1, 2
        """,
        given,
    )
    return tuple(
        Table(schema, name, secured, partition, tuple((column, kind) for column, kind in columns))
        for schema, name, secured, partition, columns in rows
    )


def _policies(cursor: extensions.cursor, given: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    # A policy depends on the functions in its expressions (pg_depend); Supabase's auth.uid() reads the setting.
    rows = _rows(
        cursor,
        f"""
        SELECT t.schema || '.' || t.name,
               array_remove(array_agg(DISTINCT pg_catalog.pg_get_expr(p.polqual, p.polrelid)), NULL)
            || array_remove(array_agg(DISTINCT pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)), NULL)
            || array_remove(array_agg(DISTINCT f.prosrc), NULL)
          FROM ({_TABLES}) t
          JOIN pg_catalog.pg_policy p ON p.polrelid = t.oid
          LEFT JOIN pg_catalog.pg_depend d
                 ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
          LEFT JOIN pg_catalog.pg_proc f ON f.oid = d.refobjid
         GROUP BY 1
         ORDER BY 1
        """,
        given,
    )
    return {table: tuple(texts) for table, texts in rows}


def _roles(cursor: extensions.cursor, given: dict[str, Any]) -> tuple[Role, ...]:
    # Grants to the role itself: what a member inherits is its group's identity, and is tried as that.
    rows = _rows(
        cursor,
        f"""
        SELECT r.rolname::text, r.rolcanlogin, count(DISTINCT t.oid)
          FROM ({_TABLES}) t
          CROSS JOIN LATERAL pg_catalog.aclexplode(t.relacl) x
          JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
         WHERE x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE')
           AND NOT r.rolsuper AND NOT r.rolbypassrls
           AND NOT EXISTS (SELECT FROM ({_TABLES}) o WHERE pg_catalog.pg_has_role(r.oid, o.relowner, 'MEMBER'))
         GROUP BY 1, 2
         ORDER BY 3 DESC, 1
        """,
        given,
    )
    return tuple(Role(*row) for row in rows)


def _unique(cursor: extensions.cursor, given: dict[str, Any]) -> tuple[Index, ...]:
    # Those of partitions belong to the index of their parent.
    rows = _rows(
        cursor,
        f"""
        SELECT t.schema || '.' || t.name, c.relname::text, m.amname::text,
               array(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k, false)
                       FROM generate_series(1, i.indnkeyatts) k ORDER BY k),
               array(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k, false)
                       FROM generate_series(i.indnkeyatts + 1, i.indnatts) k ORDER BY k),
               coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), '')
          FROM ({_TABLES}) t
          JOIN pg_catalog.pg_index i ON i.indrelid = t.oid AND i.indisunique AND i.indisvalid
          JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND NOT c.relispartition
          JOIN pg_catalog.pg_am m ON m.oid = c.relam
         ORDER BY 1, 2
        """,
        given,
    )
    return tuple(
        Index(table, name, method, tuple(keys), tuple(include), predicate)
        for table, name, method, keys, include, predicate in rows
    )


def _foreign_keys(cursor: extensions.cursor, given: dict[str, Any]) -> tuple[ForeignKey, ...]:
    # Columns in any order serve the look-up, as long as they are the first of the index.
    rows = _rows(
        cursor,
        f"""
        SELECT t.schema || '.' || t.name, k.conname::text,
               array(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(attnum, place)
                       JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.attnum ORDER BY place),
               n.nspname || '.' || f.relname,
               EXISTS (SELECT FROM pg_catalog.pg_index i
                        WHERE i.indrelid = t.oid AND i.indisvalid AND i.indpred IS NULL
                          AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
          FROM ({_TABLES}) t
          JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid AND k.contype = 'f' AND k.conparentid = 0
          JOIN pg_catalog.pg_class f ON f.oid = k.confrelid
          JOIN pg_catalog.pg_namespace n ON n.oid = f.relnamespace
         ORDER BY 1, 2
        """,
        given,
    )
    return tuple(
        ForeignKey(table, name, tuple(columns), target, covered) for table, name, columns, target, covered in rows
    )


def _statements(cursor: extensions.cursor) -> tuple[Statement, ...] | None:
    cursor.execute(
        """
        SELECT n.nspname::text
          FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
         WHERE e.extname = 'pg_stat_statements'
           AND 'pg_stat_statements' = ANY (string_to_array(
                 replace(pg_catalog.current_setting('shared_preload_libraries'), ' ', ''), ','))
        """
    )
    row = cursor.fetchone()
    if row is None:
        return None
    query = Sql(
        """
        SELECT s.query, r.rolname::text, s.calls, s.mean_exec_time
          FROM {} s
          JOIN pg_catalog.pg_roles r ON r.oid = s.userid
         WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
           AND NOT r.rolsuper AND s.query ~* '^[[:space:]]*(select|with|update|delete)[[:space:]]'
         ORDER BY s.total_exec_time DESC
         LIMIT {}
        """,
        (Ident(row[0], "pg_stat_statements"), Literal(STATEMENTS)),
    )
    cursor.execute(compose(query))
    return tuple(Statement(*found) for found in cursor.fetchall())
