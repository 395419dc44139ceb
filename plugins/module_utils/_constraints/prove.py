# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try every constraint with a row that violates it, and nothing else; all of it is rolled back.

First a valid row is shown to be accepted, because a table that takes no row at all would pass every test. The row that
violates differs from it in the values that the constraint is about, and must fail with exactly its name and SQLSTATE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import rows
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.build import Builder, NoRowError, said
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.checks import (
    Constants,
    candidates,
    constants,
)
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.insert import Answer, Writer, exists, insert
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.judge import expected, matches
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.observe import named_in
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.solve import Solver, typed
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    CHECK,
    EXCLUSION,
    FOREIGN_KEY,
    KEYS,
    NOT_ENFORCED,
    NOT_NULL,
    NOT_TRIED,
    PROVEN,
    Constraint,
    Database,
    Proof,
    Row,
    Table,
)
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.violated import violated
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Ident, Sql

if TYPE_CHECKING:
    from psycopg2 import extensions

# Shorter than what an application waits for: it is the one that must not wait.
LOCK_TIMEOUT = "2s"
STATEMENT_TIMEOUT = "15s"
_STRANGER = 9  # number of a parent row that no row of ours points at


def prove(
    cursor: extensions.cursor,
    database: Database,
    chosen: Sequence[Constraint],
    given: Mapping[str, Sequence[str | None]],
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
        writer = Writer(cursor, any(item.deferrable for item in database.constraints.values()))
        there, unseen = violated(database, chosen, writer)
        if not write:
            return [], there, unseen
        writer.defer(database)
        solver = Solver(cursor)
        prover = _Prover(database, writer, solver, Builder(database, writer, solver, given), alter)
        return prover.all(chosen), there, unseen
    finally:
        cursor.execute("ROLLBACK TO SAVEPOINT dbops_prove; RELEASE SAVEPOINT dbops_prove")


class _Prover:
    def __init__(self, database: Database, writer: Writer, solver: Solver, builder: Builder, alter: bool) -> None:
        self.database, self.writer, self.solver, self.builder = database, writer, solver, builder
        self.alter = alter

    def all(self, chosen: Iterable[Constraint]) -> list[Proof]:
        by_table: dict[int, list[Constraint]] = {}
        found: list[Proof] = []
        for item in chosen:
            if item.domain:
                found.append(self.domain(item))
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
            first = self.builder.anchor(table.oid, 0)
        except NoRowError as error:
            return [Proof(item.id, NOT_TRIED, str(error)) for item in chosen]
        second: Row | None = None
        alone = ""
        try:
            second, _answer, triggers = self.builder.accepted(leaf.oid, 1)
        except NoRowError as error:
            alone, triggers = str(error), leaf.oid not in self.builder.without_triggers
        case = _Case(table, leaf, first, second, triggers, alone)
        return [self.one(case, item) for item in chosen]

    def one(self, case: _Case, item: Constraint) -> Proof:
        try:
            if item.kind == NOT_NULL:
                return self.not_null(case, item)
            if item.kind == CHECK:
                return self.check(case, item)
            if item.kind == FOREIGN_KEY:
                return self.foreign_key(case, item)
            return self.key(case, item)
        except NoRowError as error:
            return Proof(item.id, NOT_TRIED, str(error))

    def tried(self, case: _Case, item: Constraint, row: Row) -> Proof:
        """Insert the row that violates NOT NULL or a check, and judge what happened."""
        answer, place = self.answer(case, item, row, case.triggers)
        note = "" if case.triggers else f"with triggers off: they refuse or change rows ({_triggers(case.leaf)})"
        if matches(answer.rejection, item, place):
            return Proof(item.id, PROVEN, note)
        if case.triggers and case.leaf.triggers:
            again, place = self.answer(case, item, row, False)
            if matches(again.rejection, item, place):
                return Proof(item.id, PROVEN, f"with triggers off: one of them acts first ({_triggers(case.leaf)})")
            answer = again if answer.rejection is None else answer
        return expected(item, answer.rejection, answer.written, _triggers(case.leaf), self.always(case))

    def always(self, case: _Case) -> str:
        """Triggers that may have changed a row, although it was tried with triggers off too."""
        return ", ".join(trigger.name for trigger in case.leaf.triggers if trigger.always)

    def answer(
        self, case: _Case, item: Constraint, row: Row, triggers: bool, before: Sequence[Sql] = ()
    ) -> tuple[Answer, frozenset[str]]:
        """What the table says to a row, and whose errors count."""
        answer = self.writer.attempt([*before, insert(case.table, row)], triggers=triggers)
        refused = answer.rejection
        if refused and refused.sqlstate == "23514" and not refused.constraint and case.table is not case.leaf:
            # No partition takes it. So the partition itself is asked, which looks at its own bound last.
            answer = self.writer.attempt([*before, insert(case.leaf, row)], triggers=triggers)
        places = self.database.below(case.table.oid) if item.kind in (NOT_NULL, CHECK) else self.database.family(item)
        return answer, places

    def not_null(self, case: _Case, item: Constraint) -> Proof:
        (name,) = item.columns
        row = dict(case.row)
        if case.table.columns[name].generated:
            return self.generated_null(case, item)
        row[name] = None
        return self.tried(case, item, row)

    def generated_null(self, case: _Case, item: Constraint) -> Proof:
        (name,) = item.columns
        column = case.leaf.columns[name]
        sources = self.builder.sources(case.leaf, (name,))
        choices = self.choices(case.leaf, sources, case.row, [column.expression])
        others = [text for _name, text, _columns in self.builder.conditions(case.leaf)]
        found = self.solver.find(case.leaf, case.row, choices, others, [f"({column.expression}) IS NOT NULL"])
        if found is None:
            return Proof(item.id, NOT_TRIED, f"no values were found for which {column.expression} is NULL")
        return self.tried(case, item, {**case.row, **found})

    def choices(
        self, table: Table, columns: Iterable[str], row: Row, expressions: Sequence[str]
    ) -> dict[str, list[str | None]]:
        return {
            name: self.builder.choices(table, name, row, expressions, frozenset(), strict=False)
            for name in sorted(columns)
            if name in row
        }

    def check(self, case: _Case, item: Constraint) -> Proof:
        conditions = self.builder.conditions(case.leaf)
        columns = self.builder.sources(case.table, item.columns)
        others = [(name, text) for name, text, _columns in conditions if name != item.name]
        # PostgreSQL looks at checks in the order of their names: a later one may fail too.
        earlier = [text for name, text in others if name < item.name]
        together, wider = next(
            group
            for group in rows.components((text, theirs) for _name, text, theirs in conditions)
            if item.expression in group[0]
        )
        only = [item.expression]
        attempts = [
            (columns, only, [text for _name, text in others]),
            (columns, only, earlier),
            (wider, together, earlier),
        ]
        for vary, mentioned, holds in attempts:
            choices = self.choices(case.leaf, vary, case.row, mentioned)
            found = self.solver.find(case.leaf, case.row, choices, holds, only)
            if found is not None:
                return self.tried(case, item, {**case.row, **found})
        choices = self.choices(case.leaf, columns, case.row, only)
        if self.solver.find(case.leaf, case.row, choices, (), only) is not None:
            reason = f"whatever was found that violates {item.expression} violates another check first"
        else:
            reason = f"no values were found that violate {item.expression}"
        return Proof(item.id, NOT_TRIED, reason)

    def foreign_key(self, case: _Case, item: Constraint) -> Proof:
        if case.second is None:
            return Proof(item.id, NOT_TRIED, f"the table takes no second row: {case.alone}")
        proof = Proof(item.id, NOT_TRIED, f"triggers of the table refuse a valid row ({_triggers(case.leaf)})")
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
            return Proof(item.id, PROVEN, f"with triggers of the user off ({_triggers(case.leaf)})")
        return again if again.result == NOT_ENFORCED else proof

    def orphaned(self, case: _Case, item: Constraint, off: Sequence[Sql]) -> Proof:
        """Try rows that point at nothing.

        :param off: what switches the triggers of the user off; without it they may change a row.
        """
        always = "" if off else _triggers(case.leaf)
        places = self.database.family(item)
        last = Proof(item.id, NOT_TRIED, "no values were found that its target does not have")
        for row, before in self.orphans(case, item):
            answer, _places = self.answer(case, item, row, True, [*off, *before])
            if matches(answer.rejection, item, places):
                return Proof(item.id, PROVEN)
            proof = expected(item, answer.rejection, answer.written, _triggers(case.leaf), always)
            if proof.result == NOT_TRIED:
                last = proof
            elif not before:
                there: Row = {target: row[name] for name, target in zip(item.columns, item.target_columns)}
                if self.writer.true(exists(self.database.tables[item.target], there)) is False:
                    return proof  # it does not point at something that exists by chance
        return last

    def orphans(self, case: _Case, item: Constraint) -> Iterable[tuple[Row, Sequence[Sql]]]:
        """Rows that point at nothing, and what must be there before them, so that no other foreign key is violated."""
        table = case.leaf
        row = self.filled(case, item)
        others = [
            key
            for key in self.database.of(table.oid, FOREIGN_KEY)
            if (key.columns, key.target) != (item.columns, item.target)  # a partition has its own copy of it
        ]
        shared = {name for key in others for name in key.columns}
        for changed in self.missing(table, row, [name for name in item.columns if name not in shared]):
            yield changed, ()
        # All columns are shared. A foreign key that has NULL in it looks at nothing, if it has a column of its own.
        alone = dict(row)
        for key in others:
            if set(key.columns) & set(item.columns):
                free = [n for n in key.columns if n not in item.columns and not table.columns[n].not_null]
                alone.update(dict.fromkeys(free))
        still = [key for key in others if all(alone.get(name) is not None for name in key.columns)]
        bound = {name for key in still for name in key.columns}
        for changed in self.missing(table, alone, [name for name in item.columns if name not in bound]):
            yield changed, ()
        for key in still:  # each part exists, only not together
            for name, target in zip(key.columns, key.target_columns):
                if name in item.columns:
                    yield {**alone, name: self.builder.anchor(key.target, _STRANGER)[target]}, ()
        # Whoever violates this one violates another one too, unless that one's parent is there without its own parent.
        for changed in self.missing(table, alone, item.columns):
            hit = [key for key in still if any(changed[name] != alone[name] for name in key.columns)]
            if any(key.target == item.target for key in hit):
                continue
            for number in (_STRANGER - 1, _STRANGER - 2):
                yield changed, [statement for key in hit for statement in self.bastard(key, changed, number)]

    def bastard(self, key: Constraint, row: Row, number: int) -> list[Sql]:
        """Statements that make the row at which a foreign key points, whether or not its own parents exist."""
        target = self.database.tables[self.builder.leaf(key.target)]
        parent = {**self.builder.row(target.oid, number)[0]}
        parent.update({to: row[name] for name, to in zip(key.columns, key.target_columns)})
        role = "SET LOCAL session_replication_role = {}"
        return [Sql(role, (Sql("replica"),)), insert(target, parent), Sql(role, (Sql(self.writer.role),))]

    def missing(self, table: Table, row: Row, columns: Sequence[str]) -> Iterable[Row]:
        """The row with other values in one of the columns, which its target will hardly have."""
        conditions = self.builder.conditions(table)
        holds = [text for _name, text, _columns in conditions]
        checked = {name for _name, _text, theirs in conditions for name in theirs}
        for name in columns:
            column = table.columns[name]
            known = Constants()
            for text in holds if name in checked else ():
                known = known + constants(text)
            some = [self.builder.value(column.type, column.typmod, number) for number in range(17, 21)]
            some += self.builder.fitting(column.type, column.typmod, known)[:40]
            texts = [text for text in dict.fromkeys(some) if text is not None and text != row[name]]
            if name in checked:
                found = self.solver.find(table, row, {name: texts}, holds)
                texts = [text for text in (found or {}).values() if text is not None]
            for text in texts[:6]:
                yield {**row, name: text}

    def filled(self, case: _Case, item: Constraint) -> Row:
        """The row, with all columns of a foreign key: one that is NULL in part is looked at by none."""
        row = dict(case.row)
        if any(row.get(name) is None for name in item.columns):
            target = self.builder.anchor(item.target, 0)
            row.update({name: target[column] for name, column in zip(item.columns, item.target_columns)})
            if any(row[name] is None for name in item.columns):
                raise NoRowError("the row that it would point at has NULL in these columns")
        return row

    # -- keys and exclusion ---------------------------------------------------------------------------------------

    def key(self, case: _Case, item: Constraint) -> Proof:
        sources = self.builder.sources(case.table, item.columns)
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
            return Proof(item.id, PROVEN, "" if case.triggers else f"with triggers off ({_triggers(case.leaf)})")
        if case.triggers and case.leaf.triggers:
            again = self.writer.attempt([*before, insert(case.table, row)], triggers=False)
            if matches(again.rejection, item, places):
                return Proof(item.id, PROVEN, f"with triggers off: one of them acts first ({_triggers(case.leaf)})")
            answer = again if answer.rejection is None else answer
        proof = expected(item, answer.rejection, answer.written, _triggers(case.leaf), self.always(case))
        if proof.result == NOT_TRIED and item.kind in KEYS and not item.deferrable and all(item.keys):
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
            for _t, columns in rows.components((t, columns) for _n, t, columns in self.builder.conditions(table))
        ]
        for other in self.database.of(table.oid, *KEYS, EXCLUSION):
            theirs = self.builder.sources(table, other.columns) - kept
            for name in theirs & set(second):
                row[name] = second[name]
                for group in groups:  # values that a check has accepted together
                    if name in group:
                        row.update({also: second[also] for also in group - kept if also in second})
            if theirs and all(row.get(name) == first.get(name) for name in theirs):
                for key in self.database.of(table.oid, FOREIGN_KEY):
                    if set(key.columns) <= theirs:
                        parent = self.builder.anchor(key.target, _STRANGER)
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
                parent = self.builder.anchor(key.target, _STRANGER)
                return {column: parent[to] for column, to in zip(key.columns, key.target_columns)}
        if second.get(name) in (None, row.get(name)):
            raise NoRowError(f"there is no second value for column {name or 'of an expression'}")
        return {name: second[name]}

    def counts(self, case: _Case, item: Constraint, row: Row, sources: Iterable[str]) -> bool:
        """Whether the key looks at a row: no NULL in it, the condition holds, and the row would exclude itself."""
        if not item.nulls_equal and any(row.get(name) is None for name in sources):
            return False
        wanted = _wanted(item, ())
        return not wanted or self.solver.find(case.leaf, row, {}, (), _contrary(wanted)) is not None

    def counting(self, case: _Case, item: Constraint, sources: Iterable[str]) -> Row:
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
        conditions = self.builder.conditions(table)
        vary = set(sources) | set(named_in(item.predicate, table.written))
        holds = [text for _name, text, _columns in conditions]
        for _texts, columns in rows.components((text, columns) for _name, text, columns in conditions):
            vary |= columns if columns & vary else set()
        choices: dict[str, Sequence[str | None]] = {
            name: self.builder.choices(table, name, row, [*holds, *wanted], tied, strict=True)
            for name in sorted(vary)
            if name in row
        }
        found = self.solver.find(table, row, choices, holds, _contrary(wanted))
        if found is None:
            raise NoRowError("no values were found for which the key looks at a row")
        return {**row, **found}

    def domain(self, item: Constraint) -> Proof:
        kind = self.database.types[item.domain]
        own = self.database.by_domain[item.domain]
        inner = self.builder.domain_checks(kind.part)  # of the domain that this one is over: they come first
        known = Constants()
        for text in (*(other.expression for other in own), *inner):
            known = known + constants(text)
        base, typmod = kind, -1
        while base.kind == "d":
            typmod = base.part_typmod
            base = self.database.types[base.part]
        texts: list[str | None] = [*candidates(self.database.types, base.oid, typmod, known), None]
        good = self.solver.valid(base.shown, texts, [*inner, *(other.expression for other in own)])
        earlier = [other.expression for other in own if other.name < item.name]
        bad = self.solver.valid(base.shown, texts, [f"({item.expression}) IS FALSE", *inner, *earlier])
        if not bad or not good:
            found = "satisfies" if not good else "violates"
            return Proof(item.id, NOT_TRIED, f"no value was found that {found} {item.expression}")
        control = self.writer.attempt([Sql("SELECT {}", (typed(good[0], kind.shown),))])
        if control.rejection is not None:
            return Proof(item.id, NOT_TRIED, f"no valid value was accepted: {said(control.rejection)}")
        answer = self.writer.attempt([Sql("SELECT {}", (typed(bad[0], kind.shown),))])
        refused = answer.rejection
        if refused and refused.sqlstate == "23514" and refused.constraint == item.name:
            return Proof(item.id, PROVEN)
        return expected(item, refused, answer.written, "")


class _Case:
    """One table while its constraints are tried: where rows go, its first row, and values of a second one.

    :param alone: why there is no second one.
    """

    def __init__(self, table: Table, leaf: Table, first: Row, second: Row | None, triggers: bool, alone: str) -> None:
        self.table, self.leaf, self.first, self.second = table, leaf, first, second
        self.triggers, self.alone = triggers, alone

    @property
    def row(self) -> Row:
        """Values of a valid row: NOT NULL and checks are looked at before keys, so the first one will do."""
        return self.second if self.second is not None else {name: self.first[name] for name in self.leaf.written}


def _triggers(table: Table) -> str:
    return ", ".join(trigger.name for trigger in table.triggers)


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
