# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables and indexes of a database, their use and size: a fixed number of queries, all read-only."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import (
    ColumnStatistics,
    Definition,
    ForeignKey,
    Index,
    Key,
    Node,
    Observed,
    Table,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2
    from psycopg2 import extensions, sql

STATEMENT_TIMEOUT = "60s"
LOCK_TIMEOUT = "3s"

# The tables that are looked at: of neither the system nor an extension.
_SCOPE = """
scope AS MATERIALIZED (
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltuples
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
     AND (%(schemas)s::text[] = '{}' OR n.nspname = ANY (%(schemas)s::text[]))
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::regclass
                        AND e.objid = c.oid AND e.deptype = 'e'))
"""

# When the statistics begin: at a reset of this database's, or of the server's, which a crash is as well: it loses them
# (pg_stat_bgwriter then begins anew).
_SERVER = """
SELECT pg_catalog.now(), greatest(d.stats_reset, (SELECT b.stats_reset FROM pg_catalog.pg_stat_bgwriter b)),
       pg_catalog.pg_is_in_recovery(),
       (SELECT count(*) FROM pg_catalog.pg_stat_replication r
         WHERE r.state IS DISTINCT FROM 'backup'
           AND coalesce(r.application_name, '') !~ 'pg_receivewal|pg_basebackup'),
       pg_catalog.current_setting('block_size')::int, pg_catalog.current_setting('server_version_num')::int,
       (SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
         WHERE e.extname = 'pg_stat_statements')
  FROM pg_catalog.pg_stat_database d WHERE d.datname = pg_catalog.current_database()
"""

# They do not begin before the database: this file of it is written when it is made. The catalog does not know when.
_MADE = """
SELECT (pg_catalog.pg_stat_file('base/' || oid || '/PG_VERSION', true)).modification
  FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
"""

_TABLES = f"""
WITH {_SCOPE}
SELECT s.oid, s.nspname, s.relname, s.relkind,
       CASE WHEN s.reltuples >= 0 THEN s.reltuples ELSE pg_catalog.pg_stat_get_live_tuples(s.oid) END::int8,
       pg_catalog.pg_stat_get_numscans(s.oid), pg_catalog.pg_stat_get_tuples_returned(s.oid),
       coalesce((SELECT sum(pg_catalog.pg_stat_get_numscans(i.indexrelid)) FROM pg_catalog.pg_index i
                  WHERE i.indrelid = s.oid), 0)::int8,
       pg_catalog.pg_stat_get_tuples_inserted(s.oid) + pg_catalog.pg_stat_get_tuples_updated(s.oid)
         - pg_catalog.pg_stat_get_tuples_hot_updated(s.oid),
       coalesce(p.inhparent, 0)::int8,
       coalesce((SELECT pg_catalog.json_object_agg(a.attname, t.typname)
                   FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
                  WHERE a.attrelid = s.oid AND a.attnum > 0 AND NOT a.attisdropped), '{{}}')
  FROM scope s LEFT JOIN pg_catalog.pg_inherits p ON p.inhrelid = s.oid AND p.inhseqno = 1
 ORDER BY 2, 3
"""  # noqa: S608 - constants only

_KEYS = """
(SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
          a.attname,
          CASE WHEN a.attname IS NULL THEN pg_catalog.pg_get_indexdef(i.indexrelid, o, false) END,
          CASE WHEN pn.nspname = 'pg_catalog' THEN p.opcname ELSE pn.nspname || '.' || p.opcname END,
          p.opcdefault,
          CASE WHEN i.indcollation[o - 1] <> coalesce(nullif(a.attcollation, 0), 100) AND l.collname IS NOT NULL
               THEN CASE WHEN ln.nspname = 'pg_catalog' THEN '' ELSE ln.nspname || '.' END || l.collname END,
          i.indoption[o - 1]) ORDER BY o)
   FROM pg_catalog.generate_series(1, i.indnatts) o
   LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = nullif(i.indkey[o - 1], 0)
   LEFT JOIN pg_catalog.pg_opclass p ON p.oid = i.indclass[o - 1] AND o <= i.indnkeyatts
   LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = p.opcnamespace
   LEFT JOIN pg_catalog.pg_collation l ON l.oid = i.indcollation[o - 1] AND o <= i.indnkeyatts
   LEFT JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace)
"""

_INDEXES = """
WITH {scope}
SELECT i.indexrelid, n.nspname, c.relname, i.indrelid, m.amname, i.indisunique, {distinct}, i.indisprimary,
       coalesce(k.conname, CASE WHEN i.indisexclusion THEN c.relname END, ''),
       i.indisvalid AND i.indisready AND i.indislive,
       CASE WHEN i.indisreplident THEN 'it is the replica identity'
            WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.conindid = i.indexrelid AND f.contype = 'f')
            THEN 'a foreign key refers to what it keeps unique' ELSE '' END,
       c.relkind = 'I', coalesce(p.inhparent, 0)::int8, pg_catalog.pg_relation_size(i.indexrelid),
       pg_catalog.pg_stat_get_numscans(i.indexrelid), c.reltuples::int8, c.relpages,
       coalesce((SELECT option_value::int FROM pg_catalog.pg_options_to_table(c.reloptions)
                  WHERE option_name = 'fillfactor'), 90),
       coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), ''), i.indnkeyatts, {keys},
       i.indimmediate
  FROM pg_catalog.pg_index i
  JOIN scope s ON s.oid = i.indrelid
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_am m ON m.oid = c.relam
  LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
  LEFT JOIN pg_catalog.pg_inherits p ON p.inhrelid = i.indexrelid
 ORDER BY n.nspname, c.relname
"""

# A partition has the foreign keys of its table as its own copies: one finding is enough.
_FOREIGN_KEYS = f"""
WITH {_SCOPE}
SELECT k.conrelid, k.conname, k.confrelid::regclass::text,
       (SELECT pg_catalog.json_agg(a.attname ORDER BY o.n) FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY o (num, n)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = o.num)
  FROM pg_catalog.pg_constraint k JOIN scope s ON s.oid = k.conrelid
 WHERE k.contype = 'f' AND k.conparentid = 0
 ORDER BY 1, 2
"""  # noqa: S608 - constants only

# Of the values of columns that ANALYZE noted nothing leaves the server but how rare the rarest is.
_STATISTICS = """
SELECT schemaname, tablename, attname, null_frac, avg_width, n_distinct,
       coalesce(most_common_freqs[pg_catalog.array_length(most_common_freqs, 1)], 0)
  FROM pg_catalog.pg_stats
 WHERE NOT inherited AND schemaname !~ '^pg_' AND schemaname <> 'information_schema'
   AND (%(schemas)s::text[] = '{}' OR schemaname = ANY (%(schemas)s::text[]))
"""

_BUILDING = """
SELECT index_relid, relid FROM pg_catalog.pg_stat_progress_create_index WHERE datname = pg_catalog.current_database()
"""

_STATEMENTS = """
SELECT pg_catalog.left(query, 20000) FROM {schema}.pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND query ~ '@>|@[?]|@@|[?]' AND query ~* '^\\s*(select|with|update|delete|insert|merge)'
"""

# Statements of others are hidden from a role that is no member of pg_read_all_stats.
_HIDDEN = """
SELECT count(*) FROM {schema}.pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND query = '<insufficient privilege>'
"""

_SCANS = """
SELECT indexrelid, pg_catalog.pg_stat_get_numscans(indexrelid) FROM pg_catalog.pg_index
 WHERE pg_catalog.pg_stat_get_numscans(indexrelid) > 0
"""

_SYSTEM = "SELECT system_identifier FROM pg_catalog.pg_control_system()"


@contextlib.contextmanager
def opened(login: Login, database: str) -> Generator[extensions.cursor, None, None]:
    """A read-only transaction with a limit for every statement, rolled back at the end.

    :raises DbopsError: the server refuses, or a statement takes too long.
    """
    connection = _postgres.connect(login, database)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            for name, value in (("statement_timeout", STATEMENT_TIMEOUT), ("lock_timeout", LOCK_TIMEOUT)):
                cursor.execute("SELECT pg_catalog.set_config(%s, %s, true)", (name, value))
            yield cursor
    except psycopg2.Error as error:
        raise DbopsError(
            f"Database {database!r} on {login.place}: {_postgres.told(error)}", _postgres.in_the_way(connection, error)
        ) from None
    finally:
        connection.close()  # which rolls back


def observe(
    login: Login, database: str, schemas: Sequence[str] = (), replicas: Sequence[Login] = (), *, usage: bool = True
) -> Observed:
    """Look at a database.

    :param usage: also at how its indexes are used, which a plan does not need.
    :raises DbopsError: the server, or a replica, cannot be looked at; or a replica is one of another cluster.
    """
    with opened(login, database) as cursor:
        _postgres.refuse_unknown_schemas(cursor, database, schemas)
        seen = catalog(cursor, schemas, usage=usage, place=login.place)
        system = _system(cursor) if replicas else None
    nodes = [*seen.nodes]
    for replica in replicas:
        with opened(replica, database) as cursor:
            if _system(cursor) != system:
                raise DbopsError(
                    f"The server at {replica.place} is no replica of {login.place}: it has another system identifier",
                    "Leave it out of replicas.",
                )
            nodes.append(_node(cursor, replica.place))
    return replace(seen, nodes=tuple(nodes))


def catalog(cursor: extensions.cursor, schemas: Sequence[str], *, usage: bool, place: str = "") -> Observed:
    """The connected server alone."""
    scope = {"schemas": list(schemas)}
    cursor.execute(_SERVER)
    now, reset, in_recovery, standbys, block_size, version, statements = cursor.fetchone() or ()
    cursor.execute(_TABLES, scope)
    tables = {row[0]: Table(*row) for row in cursor.fetchall()}
    distinct = "i.indnullsnotdistinct" if version >= 150000 else "false"
    cursor.execute(_INDEXES.format(scope=_SCOPE, distinct=distinct, keys=_KEYS), scope)
    indexes = tuple(_index(row) for row in cursor.fetchall())
    cursor.execute(_BUILDING)
    building = cursor.fetchall()
    seen = Observed(
        now=now,
        tables=tables,
        indexes=indexes,
        in_recovery=in_recovery,
        standbys=standbys,
        block_size=block_size,
        building=frozenset(oid for row in building for oid in row if oid),
        building_unseen=sum(row[1] is None for row in building),
    )
    if not usage:
        return seen
    cursor.execute(_FOREIGN_KEYS, scope)
    foreign_keys = tuple(ForeignKey(row[0], row[1], tuple(row[3]), row[2]) for row in cursor.fetchall())
    cursor.execute(_STATISTICS, scope)
    statistics = {row[:3]: ColumnStatistics(*row[3:]) for row in cursor.fetchall()}
    node = Node(place, _since(cursor, reset, now), {index.oid: index.scans for index in indexes})
    return replace(
        seen,
        foreign_keys=foreign_keys,
        statistics=statistics,
        nodes=(node,),
        statements=_statements(cursor, statements),
    )


def _index(row: Sequence[Any]) -> Index:
    keys = [
        Key(
            column=column or "",
            expression=expression or "",
            opclass=opclass or "",
            default_opclass=bool(default),
            collation=collation or "",
            descending=bool((options or 0) & 1),
            nulls_first=bool((options or 0) & 2),
        )
        for column, expression, opclass, default, collation, options in row[20]
    ]
    count = row[19]
    definition = Definition(
        method=row[4],
        keys=tuple(keys[:count]),
        unique=row[5],
        include=tuple(key.column for key in keys[count:]),
        predicate=row[18],
        nulls_not_distinct=row[6],
        immediate=row[21],
    )
    return Index(row[0], row[1], row[2], row[3], definition, *row[7:18])


def _statements(cursor: extensions.cursor, schema: str | None) -> tuple[str, ...] | None:
    """What pg_stat_statements holds; None: it is not there, not loaded, or not (wholly) to be read."""
    if schema is None:
        return None
    hidden, rows = (
        _attempt(cursor, sql.SQL(query).format(schema=sql.Identifier(schema))) for query in (_HIDDEN, _STATEMENTS)
    )
    return None if hidden != [(0,)] or rows is None else tuple(row[0] for row in rows)


def _node(cursor: extensions.cursor, place: str) -> Node:
    cursor.execute(_SERVER)
    now, reset = (cursor.fetchone() or ())[:2]
    cursor.execute(_SCANS)
    return Node(place, _since(cursor, reset, now), dict(cursor.fetchall()))


def _since(cursor: extensions.cursor, reset: datetime.datetime | None, now: datetime.datetime) -> datetime.datetime:
    """When the statistics of this database begin; a role that may not look at the file takes the reset alone."""
    made = _attempt(cursor, _MADE)
    known = [moment for moment in (reset, made[0][0] if made else None) if moment]
    return max(known) if known else now


def _attempt(cursor: extensions.cursor, query: str | sql.Composed) -> list[tuple[Any, ...]] | None:
    """The rows of a query that the connected role may not be allowed to run; None: it is not."""
    cursor.execute("SAVEPOINT attempt")
    try:
        cursor.execute(query)
        return cursor.fetchall()
    except psycopg2.Error:
        cursor.execute("ROLLBACK TO SAVEPOINT attempt")
        return None


def _system(cursor: extensions.cursor) -> Any:
    cursor.execute(_SYSTEM)
    return (cursor.fetchone() or (None,))[0]
