# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try NOT NULL, checks, and checks of domains with values that violate one and satisfy the others."""

from __future__ import annotations

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import rows
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.build import said
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.checks import Constants, candidates, constants
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.judge import expected, matches
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.solve import typed
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    CHECK,
    NOT_NULL,
    NOT_TRIED,
    PROVEN,
    Constraint,
    Proof,
    Row,
)
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.trial import Case, Trial
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Sql

_VIOLATIONS = 12  # how many ways to violate a check are followed


class CheckTrial(Trial):
    """Tries what looks at one row alone."""

    def tried(self, case: Case, item: Constraint, row: Row) -> Proof:
        """Insert the row that violates NOT NULL or a check, and judge what happened."""
        answer, place = self.answer(case, item, row, case.triggers)
        note = "" if case.triggers else f"with triggers off: they refuse or change rows ({case.trigger_names})"
        if matches(answer.rejection, item, place):
            return Proof(item.id, PROVEN, note)
        if case.triggers and case.leaf.triggers:
            again, place = self.answer(case, item, row, False)
            if matches(again.rejection, item, place):
                return Proof(item.id, PROVEN, f"with triggers off: one of them acts first ({case.trigger_names})")
            answer = again if answer.rejection is None else answer
        return expected(item, answer.rejection, answer.written, case.trigger_names, case.always)

    def not_null(self, case: Case, item: Constraint) -> Proof:
        (name,) = item.columns
        row = dict(case.row)
        if case.table.columns[name].generated:
            return self.generated_null(case, item)
        row[name] = None
        return self.tried(case, item, row)

    def generated_null(self, case: Case, item: Constraint) -> Proof:
        (name,) = item.columns
        column = case.leaf.columns[name]
        sources = self.columns.sources(case.leaf, (name,))
        choices = self.choices(case.leaf, sources, case.row, [column.expression])
        others = [text for _name, text, _columns in self.columns.conditions(case.leaf)]
        found = self.solver.find(case.leaf, case.row, choices, others, [f"({column.expression}) IS NOT NULL"])
        if found is None:
            return Proof(item.id, NOT_TRIED, f"no values were found for which {column.expression} is NULL")
        return self.tried(case, item, {**case.row, **found})

    def check(self, case: Case, item: Constraint) -> Proof:
        conditions = self.columns.conditions(case.leaf)
        columns = self.columns.sources(case.table, item.columns)
        others = [(name, text) for name, text, _columns in conditions if name != item.name]
        # PostgreSQL looks at checks in the order of their names: a later one may fail too.
        earlier = [text for name, text in others if name < item.name]
        together, wider = next(
            group
            for group in rows.components((text, theirs) for _name, text, theirs in conditions)
            if item.expression in group[0]
        )
        only = [item.expression]
        strict = [text for _name, text in others]
        for mentioned, holds in ((only, strict), (together, strict), (together, earlier)):
            choices = self.choices(case.leaf, columns, case.row, mentioned)
            found = self.solver.find(case.leaf, case.row, choices, holds, only)
            if found is not None:
                return self.tried(case, item, {**case.row, **found})
        # Other columns must change too: violate it first, then please the checks that come before it.
        before = [condition for condition in conditions if condition[1] in earlier]
        choices = self.choices(case.leaf, columns, case.row, together)
        rest = self.choices(case.leaf, wider - columns, case.row, together)
        for found in self.solver.several(case.leaf, case.row, choices, (), only, _VIOLATIONS):
            changed = {**case.row, **found}
            more = self.columns.by_steps(case.leaf, changed, rest, before)
            if more is not None:
                return self.tried(case, item, {**changed, **more})
        choices = self.choices(case.leaf, columns, case.row, only)
        if self.solver.find(case.leaf, case.row, choices, (), only) is not None:
            reason = f"whatever was found that violates {item.expression} violates another check first"
        else:
            reason = f"no values were found that violate {item.expression}"
        return Proof(item.id, NOT_TRIED, reason)

    def domain(self, item: Constraint) -> Proof:
        kind = self.database.types[item.domain]
        own = [other for other in self.database.by_domain[item.domain] if other.expression]
        inner = self.columns.domain_checks(kind.part)  # of the domain that this one is over: they come first
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
        bad: list[str | None] = [None]
        if item.kind == CHECK:
            violates = [f"({item.expression}) IS FALSE", *inner, *earlier]
            bad = [*self.solver.valid(base.shown, texts, violates)]
        if not bad or not good:
            found = "satisfies" if not good else "violates"
            return Proof(item.id, NOT_TRIED, f"no value was found that {found} {item.expression or 'all its checks'}")
        control = self.writer.attempt([Sql("SELECT {}", (typed(good[0], kind.shown),))])
        if control.rejection is not None:
            return Proof(item.id, NOT_TRIED, f"no valid value was accepted: {said(control.rejection)}")
        answer = self.writer.attempt([Sql("SELECT {}", (typed(bad[0], kind.shown),))])
        refused = answer.rejection
        if refused and refused.sqlstate == "23514" and item.kind == CHECK and refused.constraint == item.name:
            return Proof(item.id, PROVEN)
        if refused and refused.sqlstate == "23502" and item.kind == NOT_NULL and refused.datatype == kind.name:
            return Proof(item.id, PROVEN)
        return expected(item, refused, answer.written, "")
