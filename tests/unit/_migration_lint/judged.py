# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the statements of :mod:`.catalogue`, each as a migration of its own, and squawk alone over the same."""

from __future__ import annotations

import datetime
from functools import cache

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.contract import Live
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.found import LintFinding
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.judge import Options, lint, read_all
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import Name
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.squawk import OFF, Note
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.squawk_run import find_squawk, run_squawk
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import Source, arrange
from tests.unit._migration_lint.catalogue import ALONE, CASES, SCHEMA, Case

NOW = datetime.datetime(2026, 11, 25, 12, 0, tzinfo=datetime.UTC)


def options(**more: object) -> Options:
    """What the catalogue takes as given: an ENUM that is allowed, a table of values."""
    given: dict[str, object] = {
        "live": Live(NOW, applied={"1_schema": NOW, "2_before": NOW}),
        "enum_allowed": frozenset({"weekday"}),
        "reference_tables": frozenset({Name("", "order_status")}),
        **more,
    }
    return Options(**given)  # type: ignore[arg-type]


def source(case: Case) -> Source:
    """The schema, what is live before, and the case."""
    files = {"1_schema.sql": SCHEMA, "2_before.sql": case.before, "3_case.sql": case.sql}
    return arrange({name: sql.encode() for name, sql in files.items()}, "plain")


@cache
def squawk_alone() -> dict[int, tuple[Note, ...]]:
    """What squawk says of each case by itself, without what is only taste; one run for all of them."""
    texts = {str(number): (case.sql, not case.sql.startswith(ALONE)) for number, case in enumerate(CASES)}
    notes: dict[int, tuple[Note, ...]] = dict.fromkeys(range(len(CASES)), ())
    for note in run_squawk(find_squawk(), texts, 15):
        if note.rule not in OFF:
            notes[int(note.file)] += (note,)
    return notes


def found(number: int) -> list[LintFinding]:
    """What we find in a case, with squawk's notes of it."""
    case = CASES[number]
    its = source(case)
    notes = [Note("3_case.sql", note.line, note.rule, note.message, note.help) for note in squawk_alone()[number]]
    return [f for f in lint(its, read_all(its), notes, options()) if f.status is not Status.PASS]
