# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions and predicates as the server writes them, so that they can be compared.

``lower(email)`` is stored as ``lower((email)::text)`` where email is a varchar. What differs from every index of its
table in more than spaces and outer parentheses is built once, on an empty temporary copy of the table, in a transaction
that is rolled back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._indexes import statements
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import Normal, Wanted
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import Definition, Observed
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Ident, Sql
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2
    from psycopg2 import extensions

_COPY = "dbops_copy"
_INDEX = "dbops_copy_idx"

_WRITTEN = f"""
SELECT coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), ''),
       ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, o, false)
               FROM pg_catalog.generate_series(1, i.indnkeyatts) o ORDER BY o)
  FROM pg_catalog.pg_index i WHERE i.indexrelid = 'pg_temp.{_INDEX}'::regclass
"""  # noqa: S608 - a constant


def normalise(login: Login, database: str, seen: Observed, required: Sequence[Wanted]) -> Normal:
    """Required indexes in the server's words."""
    known = [_known(wanted, seen) for wanted in required]
    if not any(left for wanted, left in known):
        return Normal(tuple(wanted for wanted, left in known))
    connection = _postgres.connect(login, database)
    try:
        what = f"Database {database!r} on {login.place}"
        with _postgres.reported(what, "Run it again."), connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.set_config('statement_timeout', '15s', true)")
            return written(cursor, seen, required)
    finally:
        connection.close()  # which rolls back


def written(cursor: extensions.cursor, seen: Observed, required: Sequence[Wanted]) -> Normal:
    """The same in a transaction that the caller rolls back."""
    done, problems = [], []
    for item in required:
        wanted, left = _known(item, seen)
        # That there is no such table is for the judge to say.
        if left and (wanted.schema, wanted.table) in seen.named:
            cursor.execute("SAVEPOINT copy")
            try:
                wanted = replace(wanted, definition=_built(cursor, wanted))
            except psycopg2.Error as error:
                problems.append((wanted, (error.diag.message_primary or str(error)).strip()))
                continue
            finally:
                cursor.execute("ROLLBACK TO SAVEPOINT copy")
        done.append(wanted)
    return Normal(tuple(done), tuple(problems))


def _known(wanted: Wanted, seen: Observed) -> tuple[Wanted, bool]:
    """With the texts of an existing index that are the same but for spaces; whether a text is left that is not."""
    table = seen.named.get((wanted.schema, wanted.table))
    definitions = [index.definition for index in seen.on(table.oid)] if table else []
    expressions = {_bare(key.expression): key.expression for item in definitions for key in item.keys if key.expression}
    predicates = {_bare(item.predicate): item.predicate for item in definitions if item.predicate}
    left = False
    keys = []
    for key in wanted.definition.keys:
        if key.expression:
            left = left or _bare(key.expression) not in expressions
            key = replace(key, expression=expressions.get(_bare(key.expression), key.expression))
        keys.append(key)
    predicate = wanted.definition.predicate
    left = left or (bool(predicate) and _bare(predicate) not in predicates)
    definition = replace(
        wanted.definition, keys=tuple(keys), predicate=predicates.get(_bare(predicate), predicate) if predicate else ""
    )
    return replace(wanted, definition=definition), left


def _bare(text: str) -> str:
    text = " ".join(text.split())
    while text.startswith("(") and text.endswith(")") and _one(text[1:-1]):
        text = text[1:-1].strip()
    return text


def _one(inner: str) -> bool:
    """Whether the parentheses around it belong together: ``(a) = (b)`` would lose its meaning."""
    depth = 0
    for char in inner:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth < 0:
            return False
    return depth == 0


def _built(cursor: extensions.cursor, wanted: Wanted) -> Definition:
    copy = Sql(f"CREATE TEMPORARY TABLE {_COPY} (LIKE {{}})", (Ident(wanted.schema, wanted.table),))
    cursor.execute(_postgres.compose(copy))
    # A copy has no partition key that a unique index would have to contain.
    definition = wanted.definition
    cursor.execute(_postgres.compose(statements.create("pg_temp", _COPY, definition, _INDEX, concurrently=False)))
    cursor.execute(_WRITTEN)
    predicate, texts = cursor.fetchone() or ("", [])
    keys = tuple(replace(key, expression=text) if key.expression else key for key, text in zip(definition.keys, texts))
    return replace(definition, keys=keys, predicate=predicate)
