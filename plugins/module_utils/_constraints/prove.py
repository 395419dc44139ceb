# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try every constraint with a row that violates it, and nothing else; all of it is rolled back.

First a valid row is shown to be accepted, because a table that takes no row at all would pass every test. The row that
violates differs from it in the values that the constraint is about, and must fail with exactly its name and SQLSTATE.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import rows
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.build import Builder
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.insert import Writer
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.prove_checks import CheckTrial
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.prove_keys import KeyTrial
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.prove_references import ReferenceTrial
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.solve import Solver
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.spec import Spec
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    CHECK,
    FOREIGN_KEY,
    NOT_NULL,
    NOT_TRIED,
    Constraint,
    Database,
    NoRowError,
    Proof,
    Row,
    Table,
)
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.trial import Case
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.violated import violated

if TYPE_CHECKING:
    from psycopg2 import extensions

# Shorter than what an application waits for: it is the one that must not wait.
LOCK_TIMEOUT = "2s"
STATEMENT_TIMEOUT = "15s"


def prove(
    cursor: extensions.cursor,
    database: Database,
    chosen: Sequence[Constraint],
    spec: Spec,
    *,
    write: bool,
    alter: bool,
) -> tuple[list[Proof], dict[str, str], list[str]]:
    """Try the chosen constraints; the transaction is then as it was before.

    Returns the proofs, which constraints rows violate that are there already, and where that could not be looked at.

    :param write: False: only the rows that are there are looked at.
    :param alter: whether ALTER TABLE ... DISABLE TRIGGER USER may be used, which locks a table for a moment.
    """
    cursor.execute("SAVEPOINT dbops_prove")
    try:
        cursor.execute(
            f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}';"
            "SET LOCAL search_path = ''; SET LOCAL row_security = off; SET LOCAL jit = off"
        )
        writer = Writer(cursor, any(item.deferrable for item in database.constraints.values()), spec.search_path)
        there, unseen = violated(database, chosen, writer)
        if not write:
            return [], there, unseen
        writer.defer(database)
        solver = Solver(cursor)
        prover = _Prover(database, writer, solver, Builder(database, writer, solver, spec.values), alter)
        return prover.all(chosen), there, unseen
    finally:
        cursor.execute("ROLLBACK TO SAVEPOINT dbops_prove; RELEASE SAVEPOINT dbops_prove")


class _Prover:
    def __init__(self, database: Database, writer: Writer, solver: Solver, builder: Builder, alter: bool) -> None:
        self.database, self.builder = database, builder
        self.checks = CheckTrial(database, writer, solver, builder, alter)
        self.keys = KeyTrial(database, writer, solver, builder, alter)
        self.references = ReferenceTrial(database, writer, solver, builder, alter)

    def all(self, chosen: Iterable[Constraint]) -> list[Proof]:
        by_table: dict[int, list[Constraint]] = {}
        found: list[Proof] = []
        for item in chosen:
            if item.domain:
                found.append(self.checks.domain(item))
            else:
                by_table.setdefault(item.table, []).append(item)
        for oid in rows.order(self.database):
            if oid in by_table:
                found += self.table(self.database.tables[oid], by_table[oid])
        return found

    # -- one table ------------------------------------------------------------------------------------------------

    def table(self, table: Table, chosen: Sequence[Constraint]) -> list[Proof]:
        try:
            leaf = self.database.tables[self.builder.leaf(table.oid)]
            self.builder.usable(table)
            self.builder.usable(leaf)
            first = self.builder.anchor(table.oid, 0)
        except NoRowError as error:
            return [Proof(item.id, NOT_TRIED, str(error)) for item in chosen]
        second: Row | None = None
        alone = ""
        try:
            second, _answer, triggers = self.builder.accepted(leaf.oid, 1)
        except NoRowError as error:
            alone, triggers = str(error), leaf.oid not in self.builder.without_triggers
        case = Case(table, leaf, first, second, triggers, alone)
        return [self.one(case, item) for item in chosen]

    def one(self, case: Case, item: Constraint) -> Proof:
        try:
            if item.kind == NOT_NULL:
                return self.checks.not_null(case, item)
            if item.kind == CHECK:
                return self.checks.check(case, item)
            if item.kind == FOREIGN_KEY:
                return self.references.foreign_key(case, item)
            return self.keys.key(case, item)
        except NoRowError as error:
            return Proof(item.id, NOT_TRIED, str(error))
