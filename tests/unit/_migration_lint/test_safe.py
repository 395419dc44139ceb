# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The safe way of each finding is SQL that passes the lint itself."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.contract import Live
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.judge import lint, read_all
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.squawk_run import find_squawk, run_squawk
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import Source, arrange
from tests.unit._migration_lint.catalogue import SCHEMA, UNSAFE, Case
from tests.unit._migration_lint.judged import NOW, found, options

# Those whose safe way is complete: nothing is left to be filled in.
COMPLETE = frozenset(
    (
        *("index-concurrently", "drop-index", "reindex-concurrently", "refresh-concurrently", "detach-concurrently"),
        *("set-not-null", "add-column-not-null", "add-column-unique", "add-column-rewrite", "unique-using-index"),
        *("foreign-key-not-valid", "check-not-valid", "validate-in-same-transaction", "domain-constraint-not-valid"),
        *("type-change-lossy", "type-change-rewrite", "type-change-unknown"),
        *("drop-column", "rename-column", "rename-table", "set-schema"),
        *("update-without-where", "delete-without-where", "truncate", "backfill-with-ddl"),
        *("enum-outside-allow-list", "vacuum-full", "disable-row-security", "no-force-row-security"),
    )
)


def parts(safe: str) -> list[str]:
    """The migrations of a safe way."""
    if not safe.startswith("-- migration 1"):
        return [safe]
    return [part.split("\n", 1)[1] for part in safe.split("-- migration ")[1:]]


def written(case: Case, safe: str) -> Source:
    """The safe way in place of the case: its first migration under the case's own name."""
    files = {"1_schema.sql": SCHEMA, "2_before.sql": case.before}
    names = ["3_case.sql", *(f"{number}_next.sql" for number in range(4, 10))]
    return arrange(
        {name: sql.encode() for name, sql in [*files.items(), *zip(names, parts(safe), strict=False)]}, "plain"
    )


SAFE_WAYS = [
    (case, finding.rule, finding.safe)
    for number, case in enumerate(UNSAFE)
    for finding in found(number)
    # How many partitions there are, no file tells: that text leaves something to be filled in.
    if finding.rule in COMPLETE and "-- for each partition" not in finding.safe
]


def test_all_of_them_are_looked_at() -> None:
    assert {rule for _case, rule, _safe in SAFE_WAYS} == COMPLETE


@pytest.mark.parametrize(("case", "rule", "safe"), SAFE_WAYS, ids=[f"{r}-{c.sql[:40]}" for c, r, _s in SAFE_WAYS])
def test_safe_way_passes(case: Case, rule: str, safe: str) -> None:
    source = written(case, safe)
    readings = read_all(source)
    mine = [reading for reading in readings if reading.migration.id not in ("1_schema", "2_before")]
    assert all(reading.script is not None for reading in mine), safe
    texts = {reading.migration.path: (reading.migration.sql, reading.in_transaction) for reading in mine}
    notes = run_squawk(find_squawk(), texts, 15)
    month_ago = NOW - datetime.timedelta(days=30)
    # Each file goes live by itself, a month after the one before: judge each with those before it applied.
    for reading in mine:
        before = [m.id for m in source.migrations if m.path < reading.migration.path]
        live = Live(NOW, applied=dict.fromkeys(before, month_ago), statements=())
        given = options(live=live, only=frozenset({reading.migration.path}))
        left = [f for f in lint(source, readings, notes, given) if f.status is not Status.PASS]
        assert [(f.rule, f.statement, f.why) for f in left] == [], safe
