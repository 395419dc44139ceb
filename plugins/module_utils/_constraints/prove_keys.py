# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try keys and exclusion constraints with a row that is a twin of another one to them, and to nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import rows
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.build import STRANGER, said
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.insert import insert
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.judge import expected, matches
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.observe import named_in
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    EXCLUSION,
    FOREIGN_KEY,
    KEYS,
    NOT_TRIED,
    PROVEN,
    Constraint,
    NoRowError,
    Proof,
    Row,
    Table,
)
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.trial import Case, Trial


class KeyTrial(Trial):
    """Tries primary keys, unique constraints and indexes, and exclusion constraints."""

    def key(self, case: Case, item: Constraint) -> Proof:
        sources = self.columns.sources(case.table, item.columns)
        first, second, before = case.first, case.second, []
        if not self.counts(case, item, first, sources):
            first = self.counting(case, item, sources)
            second = self.builder.row(case.leaf.oid, 2)[0]
            before = [insert(case.table, first)]
            control = self.writer.attempt(before, triggers=case.triggers)
            if control.rejection or not control.written:
                why = said(control.rejection) if control.rejection else "it was left out"
                return Proof(item.id, NOT_TRIED, f"no row that the key looks at was accepted: {why}")
        first = {name: first[name] for name in case.leaf.written if name in first}
        row = self.twin(case.leaf, item, sources, first, second) if second is not None else dict(first)
        places = self.database.family(item)
        answer = self.writer.attempt([*before, insert(case.table, row)], triggers=case.triggers)
        if matches(answer.rejection, item, places):
            return Proof(item.id, PROVEN, "" if case.triggers else f"with triggers off ({case.trigger_names})")
        if case.triggers and case.leaf.triggers:
            again = self.writer.attempt([*before, insert(case.table, row)], triggers=False)
            if matches(again.rejection, item, places):
                return Proof(item.id, PROVEN, f"with triggers off: one of them acts first ({case.trigger_names})")
            answer = again if answer.rejection is None else answer
        proof = expected(item, answer.rejection, answer.written, case.trigger_names, case.always)
        if proof.result == NOT_TRIED and item.kind in KEYS and not item.deferrable and not case.always:
            # Whatever this row does, another key rejects it first. As arbiter only this one is asked.
            same = [*before, insert(case.table, first, arbiter=item)]
            again = self.writer.attempt(same, triggers=case.triggers and not case.leaf.triggers)
            if again.rejection is None and again.written == 0:
                return Proof(item.id, PROVEN, "by ON CONFLICT: every row that it rejects, another key rejects too")
        return proof

    def twin(self, table: Table, item: Constraint, sources: frozenset[str], first: Row, second: Row) -> Row:
        """A row that is the first one to one key, and another one to all other keys."""
        row = dict(first)
        kept = sources | set(named_in(item.predicate, table.written))
        groups = [
            columns
            for _t, columns in rows.components((t, columns) for _n, t, columns in self.columns.conditions(table))
        ]
        for other in self.database.of(table.oid, *KEYS, EXCLUSION):
            theirs = self.columns.sources(table, other.columns) - kept
            for name in theirs & set(second):
                row[name] = second[name]
                for group in groups:  # values that a check has accepted together
                    if name in group:
                        row.update({also: second[also] for also in group - kept if also in second})
            if theirs and all(row.get(name) == first.get(name) for name in theirs):
                for key in self.database.of(table.oid, FOREIGN_KEY):
                    if set(key.columns) <= theirs:
                        parent = self.builder.anchor(key.target, STRANGER)
                        row.update({name: parent[to] for name, to in zip(key.columns, key.target_columns)})
        for name, operator in zip(item.keys, item.operators):
            if _differ(operator):
                row.update(self.other(table, name, row, second))
        return row

    def other(self, table: Table, name: str, row: Row, second: Row) -> Row:
        """Another value for a column, with those of its foreign key.

        :raises NoRowError: there is none.
        """
        for key in self.database.of(table.oid, FOREIGN_KEY):
            if name in key.columns:
                parent = self.builder.anchor(key.target, STRANGER)
                return {column: parent[to] for column, to in zip(key.columns, key.target_columns)}
        if second.get(name) in (None, row.get(name)):
            raise NoRowError(f"there is no second value for column {name or 'of an expression'}")
        return {name: second[name]}

    def counts(self, case: Case, item: Constraint, row: Row, sources: Iterable[str]) -> bool:
        """Whether the key looks at a row: no NULL in it, the condition holds, and the row would exclude itself."""
        if not item.nulls_equal and any(row.get(name) is None for name in sources):
            return False
        wanted = _wanted(item, ())
        return not wanted or self.solver.find(case.leaf, row, {}, (), _contrary(wanted)) is not None

    def counting(self, case: Case, item: Constraint, sources: Iterable[str]) -> Row:
        """A row that the key looks at, where the usual one has NULL in it or is outside of its condition.

        :raises NoRowError: there is none.
        """
        table = case.leaf
        if case.second is None:
            raise NoRowError(f"the table takes no second row: {case.alone}")
        row = dict(case.second)
        for reference in self.database.of(table.oid, FOREIGN_KEY):
            if any(row.get(name) is None and name in sources for name in reference.columns):
                target = self.builder.anchor(reference.target, 0)
                row.update({name: target[to] for name, to in zip(reference.columns, reference.target_columns)})
        tied = frozenset(name for key in self.database.of(table.oid, FOREIGN_KEY) for name in key.columns)
        wanted = _wanted(item, sources)
        conditions = self.columns.conditions(table)
        vary = set(sources) | set(named_in(item.predicate, table.written))
        holds = [text for _name, text, _columns in conditions]
        for _texts, columns in rows.components((text, columns) for _name, text, columns in conditions):
            vary |= columns if columns & vary else set()
        choices: dict[str, Sequence[str | None]] = {
            name: self.columns.choices(table, name, row, [*holds, *wanted], tied, strict=True)
            for name in sorted(vary)
            if name in row
        }
        found = self.solver.find(table, row, choices, holds, _contrary(wanted))
        if found is None:
            raise NoRowError("no values were found for which the key looks at a row")
        return {**row, **found}


def _differ(operator: str) -> bool:
    return operator.endswith(".<>)")


def _wanted(item: Constraint, sources: Iterable[str]) -> list[str]:
    """What makes a key look at a row, as conditions."""
    found = [f"{_quoted(name)} IS NOT NULL" for name in sources if not item.nulls_equal]
    found += [item.predicate] if item.predicate else []
    pairs = zip(item.compared, item.operators)
    return found + [f"({text}) {operator} ({text})" for text, operator in pairs if not _differ(operator)]


def _contrary(conditions: Iterable[str]) -> list[str]:
    """Conditions that are false where these are true."""
    return [f"({text}) IS NOT TRUE" for text in conditions]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
