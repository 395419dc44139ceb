# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the declared queries under EXPLAIN in one transaction that is rolled back, each behind a savepoint."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._environment import environment_of, is_production
from ansible_collections.dbops.postgres.plugins.module_utils._plan import (
    Argument,
    DbopsError,
    Ident,
    Joined,
    Literal,
    Sql,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plans import explain, generate
from ansible_collections.dbops.postgres.plugins.module_utils._plans.spec import PRODUCTION_WORDS, Generate, Query, Spec
from ansible_collections.dbops.postgres.plugins.module_utils._plans.state import Candidate, Observed, Tried
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._statement import words

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2
    from psycopg2 import extensions

LOCK_TIMEOUT = "2s"
GENERATE_TIMEOUT = "10min"
CANDIDATES = 10
_READ_ONLY = "25006"  # read_only_sql_transaction

_EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, SETTINGS, VERBOSE, FORMAT JSON) "

# Statistics are those of the planner: a partitioned table has its own only after an ANALYZE.
_ROWS = """
SELECT n.nspname, c.relname, c.reltuples::int8
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm', 'p') AND (n.nspname, c.relname) IN (
       SELECT * FROM ROWS FROM (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[])))
"""

_INDEXES = """
SELECT c.relname, ARRAY(SELECT a.relname::text FROM pg_catalog.pg_partition_ancestors(c.oid) p (oid)
                          JOIN pg_catalog.pg_class a ON a.oid = p.oid WHERE a.oid <> c.oid)
  FROM pg_catalog.pg_class c WHERE c.relkind IN ('i', 'I') AND c.relname = ANY (%s)
"""

# What a rollback does not undo: sequences, and whatever a function of one's own does outside of the database.
_VOLATILE = """
SELECT DISTINCT p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
 WHERE p.provolatile = 'v' AND p.proname = ANY (%s)
   AND (n.nspname <> 'pg_catalog'
        OR p.proname ~ '^(nextval|setval|lo_|pg_(terminate|cancel|reload|switch|create|drop))')
 ORDER BY 1
"""

_STATEMENTS = """
SELECT query, calls, mean_exec_time, total_exec_time, rows FROM {} s
 WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND query ~* '^\\s*(select|with|update|delete|insert|merge)' AND query !~ 'pg_catalog'
 ORDER BY total_exec_time DESC LIMIT {}
"""

_EXTENSION = """
SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements'
"""

_TABLES = """
SELECT n.nspname, c.relname, pg_catalog.json_agg(pg_catalog.json_build_array(
         a.attname,
         CASE WHEN b.typcategory = 'A' THEN 'array' ELSE b.typname END, bn.nspname, b.typname,
         CASE WHEN b.typname IN ('varchar', 'bpchar') AND m.mod > 4 THEN m.mod - 4
              WHEN b.typname = 'numeric' AND m.mod > 4
              THEN greatest((((m.mod - 4) >> 16) & 65535) - ((m.mod - 4) & 2047), 0) ELSE 0 END,
         (SELECT coalesce(pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder), '[]')
            FROM pg_catalog.pg_enum e WHERE e.enumtypid = b.oid),
         a.attnotnull OR t.typnotnull,
         EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indnkeyatts = 1
                    AND i.indkey[0] = a.attnum AND i.indpred IS NULL)) ORDER BY a.attnum)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
  JOIN pg_catalog.pg_namespace bn ON bn.oid = b.typnamespace
  CROSS JOIN LATERAL (SELECT CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) m (mod)
 WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 GROUP BY 1, 2
"""

_REFERENCES = """
SELECT n.nspname, c.relname,
       (SELECT pg_catalog.array_agg(a.attname::text ORDER BY o.n)
          FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY o (num, n)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = o.num),
       fn.nspname, f.relname,
       (SELECT pg_catalog.array_agg(a.attname::text ORDER BY o.n)
          FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY o (num, n)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = o.num)
  FROM pg_catalog.pg_constraint k
  JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_class f ON f.oid = k.confrelid JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
 WHERE k.contype = 'f'
"""


def observe(
    login: Login,
    database: str,
    spec: Spec,
    timeout: str,
    allow_generate: bool,
    schemas: Sequence[str] = (),
    said: str = "",
) -> Observed:
    """Run the declared queries.

    :param schemas: must be there; a query says by itself what it looks at.
    :param said: the words of ``i_know_this_is_production``. Without them nothing is changed on a production server, not
        even to be rolled back.
    :param timeout: of each query, as PostgreSQL writes a duration.
    :param allow_generate: whether rows may be made where the spec says so; the tables must be empty.
    :raises DbopsError: the server refuses, or the rows cannot be made.
    """
    with _opened(login, database) as cursor:
        _postgres.refuse_unknown_schemas(cursor, database, schemas)
        careful = _production(cursor) and said != PRODUCTION_WORDS
        if careful and spec.generate and allow_generate:
            raise DbopsError(
                f"generate: the server of {database!r} says that it is production",
                "Rows are made in empty tables of a throwaway database only.",
            )
        generated = _generated(cursor, spec.generate) if spec.generate and allow_generate else {}
        if careful:
            _set(cursor, "transaction_read_only", "on")
        _set(cursor, "statement_timeout", timeout)
        functions = _volatile(cursor, spec.queries)
        tried = tuple(_try(cursor, query, functions.get(query.name, ()), careful) for query in spec.queries)
        nodes = [node for item in tried if item.explained for node in item.explained.nodes]
        tables = sorted({node.table for node in nodes if node.table})
        cursor.execute(_ROWS, ([table[0] for table in tables], [table[1] for table in tables]))
        rows = {(schema, name): max(count, 0) for schema, name, count in cursor.fetchall()}
        wanted = {node.index for node in nodes if node.index}
        wanted |= {name.rpartition(".")[2] for query in spec.queries for name in query.limits.must_use_index}
        cursor.execute(_INDEXES, (sorted(wanted),))
        found = cursor.fetchall()
        return Observed(
            tried=tried,
            rows=rows,
            ancestors={name: tuple(above) for name, above in found if above},
            indexes=frozenset(row[0] for row in found),
            generated=generated,
            candidates=_candidates(cursor),
        )


@contextlib.contextmanager
def _opened(login: Login, database: str) -> Iterator[extensions.cursor]:
    connection = _postgres.connect(login, database)
    try:
        with connection.cursor() as cursor:
            _set(cursor, "lock_timeout", LOCK_TIMEOUT)
            _set(cursor, "statement_timeout", GENERATE_TIMEOUT)
            _set(cursor, "standard_conforming_strings", "on")
            yield cursor
    except psycopg2.Error as error:
        raise DbopsError(f"Database {database!r} on {login.place}: {_postgres.told(error)}") from None
    finally:
        connection.close()  # which rolls back


def _production(cursor: extensions.cursor) -> bool:
    cursor.execute("SELECT pg_catalog.current_setting('cluster_name')")
    return is_production(environment_of((cursor.fetchone() or ("",))[0]))


def _set(cursor: extensions.cursor, name: str, value: str) -> None:
    cursor.execute("SELECT pg_catalog.set_config(%s, %s, true)", (name, value))


def _try(cursor: extensions.cursor, query: Query, volatile: tuple[str, ...], careful: bool) -> Tried:
    """One query; a second time when it took too long, because the first one has read the table from the disk."""
    try:
        explained = _explained(cursor, query)
        if query.limits.max_ms is not None and explained.ms > query.limits.max_ms:
            again = _explained(cursor, query)
            explained = again if again.ms < explained.ms else explained
    except psycopg2.Error as error:
        if cursor.connection.closed:
            raise
        kept_back = careful and error.pgcode == _READ_ONLY
        return Tried(query, None, _postgres.told(error), volatile, kept_back)
    return Tried(query, explained, "", volatile)


def _explained(cursor: extensions.cursor, query: Query) -> explain.Explained:
    cursor.execute("SAVEPOINT query")
    try:
        # What an application has by default; pg_catalog is always searched first.
        _set(cursor, "search_path", '"$user", public')
        for name, value in query.settings:
            _set(cursor, name, value)
        if query.role:
            cursor.execute(_postgres.compose(Sql("SET LOCAL ROLE {}", (Ident(query.role),))))
        text = query.sql
        if query.parameters:
            _set(cursor, "plan_cache_mode", "force_generic_plan" if query.generic else "force_custom_plan")
            cursor.execute(f"PREPARE dbops_query AS {query.sql}")
            values: tuple[Argument, ...] = tuple(Literal(value) for value in query.parameters)
            text = _postgres.compose(Sql("EXECUTE dbops_query ({})", (Joined(values),))).as_string(cursor.connection)
        cursor.execute(_EXPLAIN + text)
        return explain.read((cursor.fetchone() or ([],))[0])
    finally:
        cursor.execute("ROLLBACK TO SAVEPOINT query")
        # A prepared statement is not part of the transaction.
        cursor.execute("DEALLOCATE ALL")


def _volatile(cursor: extensions.cursor, queries: Sequence[Query]) -> Mapping[str, tuple[str, ...]]:
    spoken = {query.name: set(words(query.sql)) for query in queries}
    cursor.execute(_VOLATILE, (sorted(set().union(*spoken.values())) if spoken else [],))
    names = [row[0] for row in cursor.fetchall()]
    return {name: tuple(found for found in names if found in said) for name, said in spoken.items()}


def _candidates(cursor: extensions.cursor) -> tuple[Candidate, ...] | None:
    cursor.execute(_EXTENSION)
    row = cursor.fetchone()
    if row is None:
        return None
    cursor.execute("SAVEPOINT statements")
    try:
        cursor.execute(_postgres.compose(Sql(_STATEMENTS, (Ident(row[0], "pg_stat_statements"), Literal(CANDIDATES)))))
        return tuple(Candidate(*found) for found in cursor.fetchall())
    except psycopg2.Error:
        cursor.execute("ROLLBACK TO SAVEPOINT statements")
        return None


def _generated(cursor: extensions.cursor, wanted: Generate) -> Mapping[str, int]:
    tables = _tables(cursor)
    counts = generate.needed(tables, wanted)
    made: dict[tuple[str, str], int] = {}
    # A foreign key that may be null can have rows although what it refers to has none.
    everything = [*counts, *generate.referring(tables, counts)]
    for key in everything:
        _empty(cursor, key)
    # So the rows go to new files, which the rollback removes. Otherwise the tables would be larger than they were
    # afterwards, and the next plans dearer.
    _generating(cursor, "its tables", Sql("TRUNCATE {}", (Joined(tuple(Ident(*key) for key in everything)),)))
    for key, count in counts.items():
        name = ".".join(key)
        made[key] = _generating(cursor, name, generate.insert(tables[key], count, made, tables, wanted.distinct))
        _generating(cursor, name, Sql("ANALYZE {}", (Ident(*key),)))
    return {".".join(key): count for key, count in made.items()}


def _empty(cursor: extensions.cursor, key: tuple[str, str]) -> None:
    # Said so that it is no candidate of pg_stat_statements.
    cursor.execute(_postgres.compose(Sql("SELECT pg_catalog.count(*) FROM (SELECT FROM {} LIMIT 1) r", (Ident(*key),))))
    if (cursor.fetchone() or (0,))[0]:
        raise DbopsError(
            f"plans.generate: {'.'.join(key)} has rows", "Rows are made in empty tables of a throwaway database only."
        )


def _generating(cursor: extensions.cursor, name: str, statement: Sql) -> int:
    try:
        cursor.execute(_postgres.compose(statement))
    except psycopg2.Error as error:
        raise DbopsError(
            f"plans.generate: no rows can be made for {name}: {_postgres.told(error)}",
            "Insert rows by a script before, or leave the table out.",
        ) from None
    return cursor.rowcount


def _tables(cursor: extensions.cursor) -> Mapping[tuple[str, str], generate.Table]:
    cursor.execute(_TABLES)
    tables = {}
    for schema, name, columns in cursor.fetchall():
        tables[schema, name] = generate.Table(schema, name, tuple(_column(column) for column in columns))
    cursor.execute(_REFERENCES)
    for schema, name, own, other_schema, other, targets in cursor.fetchall():
        table = tables.get((schema, name))
        if table:
            reference = generate.Reference(tuple(own), (other_schema, other), tuple(targets))
            tables[schema, name] = replace(table, references=(*table.references, reference))
    return tables


def _column(row: Sequence[Any]) -> generate.Column:
    name, kind, type_schema, type_name, size, labels, required, unique = row
    return generate.Column(name, kind, (type_schema, type_name), size, tuple(labels), required, unique)
