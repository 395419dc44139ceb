# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is looked at before and after: invalid indexes, declared queries, plans, the owner and size of the database."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_session import migrating, said, timeouts
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_spec import MigrateSpec, Query
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2

# What somebody else is building at this moment is not valid yet either, and none of our business.
_INVALID = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
 ORDER BY 1, 2
"""
_NOT_VALIDATED = """
SELECT conrelid::regclass::text, conname FROM pg_catalog.pg_constraint
 WHERE NOT convalidated AND conrelid <> 0 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Validity:
    """Indexes that are not valid, and constraints that were not validated."""

    indexes: tuple[tuple[str, str], ...] = ()
    constraints: tuple[tuple[str, str], ...] = ()


def validity(cursor: Any) -> Validity:
    """What is not valid now."""
    cursor.execute(_INVALID)
    indexes = tuple((row[0], row[1]) for row in cursor.fetchall())
    cursor.execute(_NOT_VALIDATED)
    return Validity(indexes, tuple((row[0], row[1]) for row in cursor.fetchall()))


def smoke(login: Login, spec: MigrateSpec, role: str) -> list[str]:
    """Ask the declared queries; one line for each wrong answer."""
    problems = []
    for query in spec.smoke:
        try:
            rows = _ask(login, spec, role, query.query)
        except psycopg2.Error as error:
            problems.append(f"smoke query {query.name}: {said(error)}")
            continue
        if len(rows) != 1 or len(rows[0]) != 1:
            problems.append(f"smoke query {query.name}: answered {len(rows)} row(s), not one row of one column")
            continue
        value = rows[0][0]
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if text != query.expect:
            problems.append(f"smoke query {query.name}: answered {text!r}, expected {query.expect!r}")
    return problems


def costs(login: Login, spec: MigrateSpec, role: str) -> dict[str, float]:
    """What the planner thinks that each declared query costs; one that cannot be planned is left out."""
    found = {}
    for query in spec.plans:
        with contextlib.suppress(psycopg2.Error):
            found[query.name] = _cost(login, spec, role, query)
    return found


def _cost(login: Login, spec: MigrateSpec, role: str, query: Query) -> float:
    answer = _ask(login, spec, role, f"EXPLAIN (FORMAT JSON) {query.query}")[0][0]
    plan = json.loads(answer) if isinstance(answer, str) else answer
    return float(plan[0]["Plan"]["Total Cost"])


def analyze(login: Login, database: str) -> None:
    """Let the planner know the tables."""
    connection = _postgres.connect(login, database, autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    finally:
        connection.close()


def worse(before: Mapping[str, float], after: Mapping[str, float], factor: float, names: Sequence[str]) -> list[str]:
    """The queries whose plans are worse than before, or that cannot be planned any more."""
    problems = []
    for name in names:
        if name not in after:
            was = "could be planned before, and cannot now" if name in before else "cannot be planned"
            problems.append(f"plan of {name}: {was}")
        elif name in before and after[name] > before[name] * factor:
            problems.append(
                f"plan of {name}: its cost is {after[name]:.0f}, before it was {before[name]:.0f} "
                f"(at most {factor:g} x)"
            )
    return problems


def _ask(login: Login, spec: MigrateSpec, role: str, query: str) -> list[Any]:
    with migrating(login, spec.database, role) as connection, connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        timeouts(cursor, spec.query_timeout, spec.query_timeout)
        cursor.execute(query)
        return list(cursor.fetchall())
