# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts values that refer to nothing, across tables, databases and servers.

The referring values are read before the target, so a row that is made in between is no orphan: what it refers to was
there first. Values travel in pieces, so that memory does not grow with the table.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.observe import opened
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.spec import Reference
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.state import Referred
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Ident, Joined, Literal, Sql
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2
    from psycopg2 import extensions

PIECE = 10_000

_TYPES = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relname = %s AND a.attname = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped
"""


def refer(login: Login, database: str, references: Sequence[Reference], timeout: str) -> tuple[Referred, ...]:
    """Look at each reference by itself, so that a target that is down leaves the others alone."""
    return tuple(_one(login, database, reference, timeout) for reference in references)


def _one(login: Login, database: str, reference: Reference, timeout: str) -> Referred:
    other = replace(login, host=reference.host or login.host, port=reference.port or login.port)
    try:
        with opened(login, database, timeout) as source:
            _declare(source, reference)
            keys = orphans = 0
            while True:
                source.execute(f"FETCH FORWARD {PIECE} FROM dbops_keys")
                piece = source.fetchall()
                if not piece:
                    return Referred(reference, keys, orphans)
                # A new snapshot of the target for each piece: it is younger than that of the source.
                with opened(other, reference.database or database, timeout) as target:
                    orphans += _missing(target, reference, piece)
                keys += len(piece)
    except DbopsError as error:
        return Referred(reference, problem=error.problem)
    except psycopg2.Error as error:
        return Referred(reference, problem=_postgres.told(error))


def _declare(cursor: extensions.cursor, reference: Reference) -> None:
    _types(cursor, reference.table, reference.columns)
    columns = tuple(Ident(column) for column in reference.columns)
    statement = Sql(
        "DECLARE dbops_keys NO SCROLL CURSOR FOR SELECT DISTINCT {} FROM {} WHERE ROW({}) IS NOT NULL",
        (Joined(tuple(Sql("{}::text", (column,)) for column in columns)), Ident(*reference.table), Joined(columns)),
    )
    cursor.execute(_postgres.compose(statement))


def _missing(cursor: extensions.cursor, reference: Reference, piece: Sequence[tuple[str, ...]]) -> int:
    types = _types(cursor, reference.target, reference.target_columns)
    # The value is cast and not the column, so that the target's index is used. PostgreSQL has written the types.
    values = (
        Sql("(k.v ->> {})::" + kind.replace("{", "{{").replace("}", "}}").replace("%", "%%"), (Literal(number),))
        for number, kind in enumerate(types)
    )
    statement = Sql(
        "SELECT count(*) FROM pg_catalog.jsonb_array_elements(%s::jsonb) k (v) "
        "WHERE NOT EXISTS (SELECT FROM {} t WHERE ROW({}) = ROW({}))",
        (
            Ident(*reference.target),
            Joined(tuple(Ident("t", column) for column in reference.target_columns)),
            Joined(tuple(values)),
        ),
    )
    cursor.execute(_postgres.compose(statement), (json.dumps(piece),))
    return int((cursor.fetchone() or (0,))[0])


def _types(cursor: extensions.cursor, table: tuple[str, str], columns: Sequence[str]) -> list[str]:
    cursor.execute(_TYPES, (*table, list(columns)))
    found = dict(cursor.fetchall())
    for column in columns:
        if column not in found:
            raise DbopsError(f"there is no column {'.'.join(table)}.{column} (or no such table)")
    return [found[column] for column in columns]
