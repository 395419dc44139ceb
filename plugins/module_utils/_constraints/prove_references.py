# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try foreign keys with rows that point at nothing, although every other foreign key of the row is satisfied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import rows
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.build import STRANGER
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.checks import Constants, constants
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.insert import exists, insert
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.judge import expected, matches
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    FOREIGN_KEY,
    NOT_ENFORCED,
    NOT_TRIED,
    PROVEN,
    Constraint,
    NoRowError,
    Proof,
    Row,
    Table,
)
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.trial import Case, Trial
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Ident, Sql


class ReferenceTrial(Trial):
    """Tries foreign keys."""

    def foreign_key(self, case: Case, item: Constraint) -> Proof:
        if case.second is None:
            return Proof(item.id, NOT_TRIED, f"the table takes no second row: {case.alone}")
        proof = Proof(item.id, NOT_TRIED, f"triggers of the table refuse a valid row ({case.trigger_names})")
        if case.triggers:
            proof = self.orphaned(case, item, ())
        if proof.result == PROVEN or not case.leaf.triggers:
            return proof
        # Without all triggers foreign keys are not looked at, so only those of the user are switched off.
        if not self.alter:
            return Proof(item.id, NOT_TRIED, f"{proof.reason}; they are not switched off on production")
        off = [Sql("ALTER TABLE {} DISABLE TRIGGER USER", (Ident(case.leaf.schema, case.leaf.name),))]
        control = self.writer.attempt([*off, insert(case.table, case.second)])
        if control.rejection is not None or not control.written:
            return proof
        again = self.orphaned(case, item, off)
        if again.result == PROVEN:
            return Proof(item.id, PROVEN, f"with triggers of the user off ({case.trigger_names})")
        return again if again.result == NOT_ENFORCED else proof

    def orphaned(self, case: Case, item: Constraint, off: Sequence[Sql]) -> Proof:
        """Try rows that point at nothing.

        :param off: what switches the triggers of the user off; without it they may change a row.
        """
        always = "" if off else case.trigger_names
        places = self.database.family(item)
        last = Proof(item.id, NOT_TRIED, "no values were found that its target does not have")
        for row, before in self.orphans(case, item):
            answer, _places = self.answer(case, item, row, True, [*off, *before])
            if matches(answer.rejection, item, places):
                return Proof(item.id, PROVEN)
            proof = expected(item, answer.rejection, answer.written, case.trigger_names, always)
            if proof.result == NOT_TRIED:
                last = proof
            elif not before:
                there: Row = {target: row[name] for name, target in zip(item.columns, item.target_columns)}
                if self.writer.true(exists(self.database.tables[item.target], there)) is False:
                    return proof  # it does not point at something that exists by chance
        return last

    def orphans(self, case: Case, item: Constraint) -> Iterable[tuple[Row, Sequence[Sql]]]:
        """Rows that point at nothing, and what must be there before them, so that no other foreign key is violated."""
        table = case.leaf
        row = self.filled(case, item)
        others = [
            key
            for key in self.database.of(table.oid, FOREIGN_KEY)
            if (key.columns, key.target) != (item.columns, item.target)  # a partition has its own copy of it
        ]
        shared = {name for key in others for name in key.columns}
        for changed in self.missing(table, row, [name for name in item.columns if name not in shared], item.columns):
            yield changed, ()
        # All columns are shared. A foreign key that has NULL in it looks at nothing, if it has a column of its own.
        alone = dict(row)
        for key in others:
            if set(key.columns) & set(item.columns):
                free = [n for n in key.columns if n not in item.columns and not table.columns[n].not_null]
                alone.update(dict.fromkeys(free))
        still = [key for key in others if all(alone.get(name) is not None for name in key.columns)]
        bound = {name for key in still for name in key.columns}
        for changed in self.missing(table, alone, [name for name in item.columns if name not in bound], item.columns):
            yield changed, ()
        for key in still:  # each part exists, only not together
            for name, target in zip(key.columns, key.target_columns):
                if name in item.columns:
                    yield {**alone, name: self.builder.anchor(key.target, STRANGER)[target]}, ()
        # Whoever violates this one violates another one too, unless that one's parent is there without its own parent.
        for changed in self.missing(table, alone, item.columns, item.columns):
            hit = [key for key in still if any(changed[name] != alone[name] for name in key.columns)]
            if any(key.target == item.target for key in hit):
                continue
            for number in (STRANGER - 1, STRANGER - 2):
                made, before = dict(changed), []
                for key in hit:
                    fixed = {name for other in (item, *still) if other is not key for name in other.columns}
                    before += self.bastard(key, made, fixed, number)
                yield made, before

    def bastard(self, key: Constraint, row: Row, fixed: set[str], number: int) -> list[Sql]:
        """Statements that make the row at which a foreign key points, whether or not its own parents exist.

        :param row: is changed where the foreign key alone decides.
        :param fixed: columns that others look at too.
        """
        target = self.database.tables[self.builder.leaf(key.target)]
        parent = {**self.builder.row(target.oid, number)[0]}
        for name, to in zip(key.columns, key.target_columns):
            if name in fixed:
                parent[to] = row[name]
            else:
                row[name] = parent[to]
        role = "SET LOCAL session_replication_role = {}"
        return [Sql(role, (Sql("replica"),)), insert(target, parent), Sql(role, (Sql(self.writer.role),))]

    def missing(self, table: Table, row: Row, columns: Sequence[str], kept: Sequence[str]) -> Iterable[Row]:
        """The row with another value in one of the columns, which its target will hardly have.

        :param kept: columns that must not become NULL to please a check.
        """
        conditions = self.columns.conditions(table)
        parts = rows.components((text, theirs) for _name, text, theirs in conditions)
        tied = frozenset(name for key in self.database.of(table.oid, FOREIGN_KEY) for name in key.columns)
        for name in columns:
            column = table.columns[name]
            holds, together = next((part for part in parts if name in part[1]), ([], frozenset()))
            known = Constants()
            for text in holds:
                known = known + constants(text)
            some = [self.columns.value(column.type, column.typmod, number) for number in range(17, 21)]
            some += self.columns.fitting(column.type, column.typmod, known)[:40]
            texts = [text for text in dict.fromkeys(some) if text is not None and text != row[name]]
            if not holds:
                for text in texts[:6]:
                    yield {**row, name: text}
                continue
            choices: dict[str, Sequence[str | None]] = {name: texts}
            for other in sorted(together - {name}):
                if other in kept:
                    choices[other] = [row[other]]
                elif other in row:
                    choices[other] = self.columns.choices(table, other, row, holds, tied, strict=True)
            found = self.solver.find(table, row, choices, holds)
            if found is not None:
                yield {**row, **found}

    def filled(self, case: Case, item: Constraint) -> Row:
        """The row, with all columns of a foreign key: one that is NULL in part is looked at by none."""
        row = dict(case.row)
        if any(row.get(name) is None for name in item.columns):
            target = self.builder.anchor(item.target, 0)
            row.update({name: target[column] for name, column in zip(item.columns, item.target_columns)})
            if any(row[name] is None for name in item.columns):
                raise NoRowError("the row that it would point at has NULL in these columns")
        return row
