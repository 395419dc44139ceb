# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the trials of all kinds of constraints share: the table in question, and an attempt with its answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.build import Builder
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.insert import Answer, Writer, insert
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.solve import Solver
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    CHECK,
    NOT_NULL,
    Constraint,
    Database,
    Row,
    Table,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Sql


@dataclass(frozen=True)
class Case:
    """One table while its constraints are tried: where its rows go, its first row, and values of a second one.

    :param triggers: whether a valid row gets in with the triggers of the user.
    :param alone: why there is no second one.
    """

    table: Table
    leaf: Table
    first: Row
    second: Row | None
    triggers: bool
    alone: str

    @property
    def row(self) -> Row:
        """Values of a valid row: NOT NULL and checks are looked at before keys, so the first one will do."""
        return self.second if self.second is not None else {name: self.first[name] for name in self.leaf.written}

    @property
    def trigger_names(self) -> str:
        """The triggers that rows meet."""
        return ", ".join(trigger.name for trigger in self.leaf.triggers)

    @property
    def always(self) -> str:
        """Triggers that may have changed a row, although it was tried with triggers off too."""
        return ", ".join(trigger.name for trigger in self.leaf.triggers if trigger.always)


class Trial:
    """Tries constraints of one kind.

    :param alter: whether ALTER TABLE ... DISABLE TRIGGER USER may be used, which locks a table for a moment.
    """

    def __init__(self, database: Database, writer: Writer, solver: Solver, builder: Builder, alter: bool) -> None:
        self.database, self.writer, self.solver, self.builder = database, writer, solver, builder
        self.columns = builder.columns
        self.alter = alter

    def answer(
        self, case: Case, item: Constraint, row: Row, triggers: bool, before: Sequence[Sql] = ()
    ) -> tuple[Answer, frozenset[str]]:
        """What the table says to a row, and whose errors count."""
        answer = self.writer.attempt([*before, insert(case.table, row)], triggers=triggers)
        refused = answer.rejection
        if refused and refused.sqlstate == "23514" and not refused.constraint and case.table is not case.leaf:
            # No partition takes it. So the partition itself is asked, which looks at its own bound last.
            answer = self.writer.attempt([*before, insert(case.leaf, row)], triggers=triggers)
        places = self.database.below(case.table.oid) if item.kind in (NOT_NULL, CHECK) else self.database.family(item)
        return answer, places

    def choices(
        self, table: Table, columns: Iterable[str], row: Row, expressions: Sequence[str]
    ) -> dict[str, list[str | None]]:
        return {
            name: self.columns.choices(table, name, row, expressions, frozenset(), strict=False)
            for name in sorted(columns)
            if name in row
        }
