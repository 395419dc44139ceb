# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a database about its integrity, in read-only transactions that are rolled back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.spec import Assertion, Spec
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.state import (
    Amcheck,
    Asserted,
    Constraint,
    Observed,
    Sequence,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Ident, Sql
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2
    from psycopg2 import extensions

MOST_ROWS = 1000
LOCK_TIMEOUT = "5s"

_SCOPE = """
n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
     AND (%(schemas)s::text[] = '{}' OR n.nspname = ANY (%(schemas)s::text[]))
"""

# A sequence belongs to the column that owns it, or to one whose default calls nextval() on it.
_SEQUENCES = f"""
SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname),
       CASE WHEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT,USAGE')
            THEN pg_catalog.pg_sequence_last_value(c.oid) END,
       CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END,
       CASE WHEN s.seqincrement > 0 THEN s.seqmax ELSE s.seqmin END,
       s.seqcycle, pg_catalog.has_sequence_privilege(c.oid, 'SELECT,USAGE'),
       coalesce(u.name, ''),
       CASE u.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                       WHEN 'int8'::regtype THEN 9223372036854775807 END * sign(s.seqincrement)::int8
  FROM pg_catalog.pg_sequence s
  JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL (
    SELECT pg_catalog.format('%%I.%%I', tn.nspname, t.relname) || '.' || pg_catalog.quote_ident(a.attname) AS name,
           CASE WHEN y.typtype = 'd' THEN y.typbasetype ELSE y.oid END AS atttypid
      FROM (SELECT d.refobjid AS relid, d.refobjsubid AS num FROM pg_catalog.pg_depend d
             WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
               AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid > 0
            UNION
            SELECT f.adrelid, f.adnum FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef f ON f.oid = d.objid
             WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
               AND d.refobjid = c.oid) o
      JOIN pg_catalog.pg_attribute a ON a.attrelid = o.relid AND a.attnum = o.num
      JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
      JOIN pg_catalog.pg_class t ON t.oid = a.attrelid
      JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
     ORDER BY y.typlen LIMIT 1) u ON true
 WHERE {_SCOPE}
 ORDER BY 1
"""  # noqa: S608 - constants only

_CONSTRAINTS = f"""
SELECT n.nspname || '.' || c.relname, k.conname, k.convalidated, coalesce(t.disabled, 0),
       pg_catalog.format('%%I.%%I', n.nspname, c.relname), pg_catalog.quote_ident(k.conname)
  FROM pg_catalog.pg_constraint k
  JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (SELECT tgconstraint, count(*) FILTER (WHERE tgenabled IN ('D', 'R')) AS disabled
               FROM pg_catalog.pg_trigger WHERE tgisinternal AND tgconstraint <> 0 GROUP BY 1) t
    ON t.tgconstraint = k.oid
 WHERE {_SCOPE} AND (NOT k.convalidated OR t.disabled > 0)
 ORDER BY 1, 2
"""  # noqa: S608 - constants only

# One that is being built is not valid yet, and nothing is wrong with it.
_INDEXES = f"""
SELECT n.nspname || '.' || c.relname,
       CASE WHEN c.relkind = 'I' THEN 'Build and attach it on every partition (pg_index).'
            ELSE pg_catalog.format('REINDEX INDEX CONCURRENTLY %%I.%%I;', n.nspname, c.relname) END
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE {_SCOPE} AND NOT (i.indisvalid AND i.indisready)
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.relid = i.indrelid)
 ORDER BY 1
"""  # noqa: S608 - constants only

_COUNTS = f"""
SELECT (SELECT count(*) FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace
         WHERE {_SCOPE}),
       (SELECT count(*) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {_SCOPE})
"""  # noqa: S608 - constants only

# Failures in shared catalogs have no database; datid is 0 for them (PostgreSQL manual, 27.2.17).
_CHECKSUMS = """
SELECT pg_catalog.current_setting('data_checksums') = 'on',
       pg_catalog.sum(checksum_failures)::int8, coalesce(pg_catalog.max(checksum_last_failure)::text, '')
  FROM pg_catalog.pg_stat_database WHERE datname = pg_catalog.current_database() OR datid = 0
"""

_AMCHECK = """
SELECT n.nspname,
       pg_catalog.has_function_privilege(p.oid, 'EXECUTE')
  FROM pg_catalog.pg_extension e
  JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
  JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid AND p.proname = %s
 WHERE e.extname = 'amcheck' ORDER BY 2 LIMIT 1
"""

_BTREES = f"""
SELECT i.indexrelid, n.nspname || '.' || c.relname
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree'
 WHERE {_SCOPE} AND c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisvalid AND i.indisready
 ORDER BY 2
"""  # noqa: S608 - constants only

_HEAPS = f"""
SELECT c.oid, n.nspname || '.' || c.relname
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'heap'
 WHERE {_SCOPE} AND c.relkind IN ('r', 'm') AND c.relpersistence = 'p'
 ORDER BY 2
"""  # noqa: S608 - constants only


@contextlib.contextmanager
def opened(login: Login, database: str, timeout: str) -> Iterator[extensions.cursor]:
    """A read-only transaction, rolled back at the end.

    :raises DbopsError: the server refuses, or a statement outside of a savepoint fails.
    """
    connection = _postgres.connect(login, database)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            for name, value in (
                ("statement_timeout", timeout),
                ("lock_timeout", LOCK_TIMEOUT),
                ("standard_conforming_strings", "on"),
                ("row_security", "off"),  # rows that policies hide would look like rows that are not there
            ):
                cursor.execute("SELECT pg_catalog.set_config(%s, %s, true)", (name, value))
            yield cursor
    except psycopg2.Error as error:
        raise DbopsError(f"Database {database!r} on {login.place}: {_postgres.told(error)}") from None
    finally:
        connection.close()  # which rolls back


@contextlib.contextmanager
def behind_savepoint(cursor: extensions.cursor) -> Iterator[None]:
    """What happens in it is undone."""
    cursor.execute("SAVEPOINT dbops_try")
    try:
        yield
    finally:
        cursor.execute("ROLLBACK TO SAVEPOINT dbops_try")
        cursor.execute("RELEASE SAVEPOINT dbops_try")


def observe(
    login: Login, database: str, spec: Spec, schemas: list[str], timeout: str, amcheck: str, rootdescend: bool
) -> Observed:
    """Look at a database; its logical references are looked at by :mod:`.references`.

    :param amcheck: ``none``, ``indexes`` or ``all``.
    """
    scope = {"schemas": schemas}
    with opened(login, database, timeout) as cursor:
        _postgres.refuse_unknown_schemas(cursor, database, schemas)
        cursor.execute(_SEQUENCES, scope)
        sequences = tuple(Sequence(*row) for row in cursor.fetchall())
        cursor.execute(_CONSTRAINTS, scope)
        constraints = tuple(Constraint(*row) for row in cursor.fetchall())
        cursor.execute(_INDEXES, scope)
        indexes = tuple(cursor.fetchall())
        cursor.execute(_COUNTS, scope)
        counts = cursor.fetchone() or (0, 0)
        cursor.execute(_CHECKSUMS)
        checksums, failures, last = cursor.fetchone() or (False, None, "")
        asserted = tuple(_assert(cursor, assertion) for assertion in spec.assertions)
        checked = _amcheck(cursor, scope, amcheck, rootdescend) if amcheck != "none" else None
    return Observed(
        asserted=asserted,
        sequences=sequences,
        constraints=constraints,
        invalid_indexes=indexes,
        checksums=checksums,
        checksum_failures=failures,
        last_failure=last,
        amcheck=checked,
        counted=(counts[0], counts[1], len(sequences)),
    )


def _assert(cursor: extensions.cursor, assertion: Assertion) -> Asserted:
    try:
        with behind_savepoint(cursor):
            cursor.execute("SELECT pg_catalog.set_config('search_path', '\"$user\", public', true)")
            if assertion.role:  # who names one wants to see what it sees
                cursor.execute("SELECT pg_catalog.set_config('row_security', 'on', true)")
                cursor.execute(_postgres.compose(Sql("SET LOCAL ROLE {}", (Ident(assertion.role),))))
            # A cursor takes a SELECT only, and one that returns millions of rows is stopped early.
            cursor.execute(f"DECLARE dbops_rows NO SCROLL CURSOR FOR {assertion.sql}")
            cursor.execute(f"FETCH FORWARD {MOST_ROWS} FROM dbops_rows")
            rows = cursor.fetchall()
            names = [column.name for column in cursor.description or ()]
    except psycopg2.Error as error:
        if cursor.connection.closed:
            raise
        return Asserted(assertion, problem=_postgres.told(error))
    shown = tuple(_shown(names, row) for row in rows[: assertion.show_rows])
    return Asserted(assertion, len(rows), shown)


def _shown(names: list[str], row: tuple[Any, ...]) -> str:
    return ", ".join(f"{name}={str(value)[:80]}" for name, value in zip(names, row))


def _amcheck(cursor: extensions.cursor, scope: dict[str, Any], what: str, rootdescend: bool) -> Amcheck:
    function = "bt_index_parent_check" if rootdescend else "bt_index_check"
    for name in (function, "verify_heapam") if what == "all" else (function,):
        cursor.execute(_AMCHECK, (name,))
        row = cursor.fetchone()
        if row is None:
            return Amcheck(blind="The extension amcheck is not installed.", remedy="CREATE EXTENSION amcheck;")
        if not row[1]:
            remedy = f"Connect as a superuser, or GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {row[0]} TO the role."
            return Amcheck(blind=f"The connected role may not call {name}() of amcheck.", remedy=remedy)
        schema = row[0]
    cursor.execute(_BTREES, scope)
    indexes: list[tuple[int, str]] = cursor.fetchall()
    arguments = "%s::regclass, true, true" if rootdescend else f"%s::regclass, {str(what == 'all').lower()}"
    call = _postgres.compose(Sql("SELECT {}({{}})".replace("{{}}", arguments), (Ident(schema, function),)))
    problems, sound = _each(cursor, call, indexes)
    tables = 0
    if what == "all":
        cursor.execute(_HEAPS, scope)
        heaps = cursor.fetchall()
        template = (
            "SELECT pg_catalog.format('block %%s, offset %%s: %%s', blkno, offnum, msg) FROM {}(%s::regclass) LIMIT 3"
        )
        more, tables = _each(cursor, _postgres.compose(Sql(template, (Ident(schema, "verify_heapam"),))), heaps)
        problems += more
    return Amcheck(sound, tables, tuple(problems))


def _each(cursor: extensions.cursor, call: Any, objects: list[tuple[int, str]]) -> tuple[list[tuple[str, str]], int]:
    """Ask about each object by itself: amcheck stops at the first fault of an index, and the others are of interest.

    Returns what is wrong, and how many objects nothing is wrong with.
    """
    problems, sound = [], 0
    for oid, name in objects:
        try:
            with behind_savepoint(cursor):
                cursor.execute(call, (oid,))
                said = [row[0] for row in cursor.fetchall() if row[0]]
        except psycopg2.Error as error:
            if cursor.connection.closed:
                raise  # or else every object that is left would look broken
            detail = f"{error.diag.message_detail} " if error.diag.message_detail else ""
            said = [detail + _postgres.told(error)]
            cursor.execute("SELECT %s::regclass::text", (oid,))
            if cursor.fetchone() == (str(oid),):
                continue  # it was dropped meanwhile
        if said:
            problems.append((name, "; ".join(said)))
        else:
            sound += 1
    return problems, sound
