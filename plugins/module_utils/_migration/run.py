# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run from its first to its last stage. Until the stage ``apply`` nothing is changed; what fails after that is taken
back, or goes on when the run is started again. Whatever happens, there is a record.
"""

from __future__ import annotations

import contextlib
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace

from ansible_collections.dbops.postgres.plugins.module_utils._migration import (
    drain,
    history,
    record,
    run_guard,
    run_look,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.apply import Apply
from ansible_collections.dbops.postgres.plugins.module_utils._migration.record import Record
from ansible_collections.dbops.postgres.plugins.module_utils._migration.rehearse import (
    differences,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_before import (
    EXCLUSIVE,
    Before,
    Note,
    StopError,
    text_of,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_session import FAULTS, looking, said
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_spec import BACK
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_state import WAY_BACK, State
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import COMMAND
from ansible_collections.dbops.postgres.plugins.module_utils._migration.way_back import NONE, WayBack
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


@dataclass
class Run(Before):
    """One run."""

    drain: str = drain.DRAIN
    changing: bool = False

    def hold(self) -> Record:
        """Make it; never raises for what it finds, only when it is interrupted. The record is complete even then."""
        begun = time.monotonic()
        try:
            with ExitStack() as stack, contextlib.suppress(StopError):
                self._hold(stack)
        except FAULTS as error:
            self._broke_off(said(error))
        except BaseException as error:
            self._broke_off(f"interrupted: {type(error).__name__}")
            raise
        finally:
            self.record.seconds = time.monotonic() - begun
        return self.record

    def _broke_off(self, problem: str) -> None:
        if self.record.verdict:
            self.record.words += f" Afterwards: {problem}."
        elif self.changing or self.left is not None:
            self._ends(record.BROKEN, f"It broke off: {problem}. Run it again: it goes on, or back, from where it was.")
        else:
            self._ends(record.AS_BEFORE, f"It broke off: {problem}. Nothing was changed.")

    def _hold(self, stack: ExitStack) -> None:
        try:
            with self.stage("guard") as note:
                stack.enter_context(run_guard.alone(self.login, self.spec.database))
                if not self.check:  # of a run that was killed
                    drain.release(self.drain, self.spec.database)
                self._guard(note)
            if not self.pending and not self.left and self.source.layout != COMMAND:
                self._ends(record.NOTHING, "Every migration is applied already. Nothing was changed.")
                return
            with self.stage("lint") as note:
                self._lint(note)
            with self.stage("drift") as note:
                self._drift(note)
            with self.stage("backup") as note:
                stack.callback(self._clear)
                self._backup(note)
            with self.stage("rehearsal") as note:
                self._rehearse(note)
        except StopError:
            if self.left is None:
                self._ends(record.AS_BEFORE, f"{self.record.words} Nothing was changed.")
            else:
                self._ends(
                    record.BROKEN,
                    f"{self.record.words} The interrupted run {self.left.id} stays as it was left: mend this, and run "
                    "again.",
                )
            raise
        if self.check:
            self._ends(record.REHEARSED, "The rehearsal passed. It was only asked: nothing was changed.")
            return
        try:
            self._change()
        finally:
            drain.release(self.drain, self.spec.database)

    def _change(self) -> None:
        spec = self.spec
        state = self.left or State(
            self.record.id,
            spec.database,
            set=self.ports.set_id,
            started=time.time(),
            texts={migration.id: text_of(migration) for migration in self.pending},
        )
        apply = Apply(self.login, spec, self.role, self.source, self.store, state, self.invalid, self.tell, self.before)
        self.changing = True
        try:
            with self.stage("drain") as note:
                self.store.save(state)
                self._drained(note)
            with self.stage("apply") as note:
                if self.left is not None:
                    note.detail = "; ".join(apply.resume(self.pending))
                    if self.left.phase == WAY_BACK or spec.interrupted == BACK:
                        raise DbopsError(self.left.reason or "The interrupted run is taken back, as it was asked")
                self._apply(apply, note)
            with self.stage("verify") as note:
                self._verify(note)
        except StopError:
            self.record.waits = apply.waits
            reason = self.record.words
            try:
                apply.settle(self.pending)
                self.store.save(replace(apply.state, phase=WAY_BACK, reason=reason))
            except FAULTS as error:
                self.tell(f"way back: {said(error)}")
            self._go_back(replace(apply.state, phase=WAY_BACK, reason=reason))
            return
        self.record.waits = apply.waits
        self.store.clear()
        self._ends(record.MIGRATED, f"Migrated and verified: {self._count()}.")

    def _count(self) -> str:
        if self.source.layout == COMMAND:
            return "by the command"
        return f"{len(self.pending)} migration(s)"

    def _apply(self, apply: Apply, note: Note) -> None:
        if self.source.layout == COMMAND:
            if problem := self.ports.command(self.login):
                raise DbopsError(f"The command failed: {problem}", untouched="")
        else:
            apply.run(self.pending)
        more = f", {len(apply.waits)} attempt(s) had to wait for a lock" if apply.waits else ""
        note.detail = f"{note.detail}; " * bool(note.detail) + f"{self._count()} applied{more}"

    def _drained(self, note: Note) -> None:
        longest = self.rehearsal.longest(EXCLUSIVE)
        if longest <= self.spec.drain_after:
            note.detail = f"not needed: the longest blocking lock is {longest:.2f} s"
            return
        held = drain.hold(self.drain, self.record.id, self.spec.database)
        whose = "set" if held else "there already, and stays"
        note.detail = f"{self.drain} is {whose}: a blocking lock of {longest:.2f} s is expected"

    def _verify(self, note: Note) -> None:
        spec, problems = self.spec, []
        if found := differences(self.rehearsal.after, self.ports.schema(self.login)):
            problems.append(f"the schema is not that of the rehearsal: {found}")
        with looking(self.login, spec.database) as cursor:
            now = history.read(cursor, self.source.layout, spec.history_table)
            valid = run_look.validity(cursor)
        after = self.rehearsal.history_after
        if after is None or sorted(now.state) != sorted(after.state):
            problems.append("the history is not that of the rehearsal")
        new = [item for item in valid.indexes if item not in self.invalid.indexes]
        problems += [f"index {schema}.{name} is invalid" for schema, name in new]
        problems += run_look.smoke(self.login, spec, self.role)
        costs = run_look.costs(self.login, spec, self.role)
        problems += run_look.worse(self.costs, costs, spec.plan_factor, [query.name for query in spec.plans])
        self.record.plans = {"before": dict(self.costs), "after": dict(costs)}
        open_ones = [
            f"{table} {name}" for table, name in valid.constraints if (table, name) not in self.invalid.constraints
        ]
        if problems:
            raise DbopsError("; ".join(problems), untouched="")
        note.detail = f"as rehearsed; {len(spec.smoke)} smoke queries, {len(spec.plans)} plans"
        if open_ones:
            note.detail += f"; not validated yet, as the files want it: {', '.join(open_ones)}"

    def _go_back(self, state: State) -> None:
        self.tell("way back ...")
        way = WayBack(
            self.login,
            self.spec,
            self.role,
            self.source,
            self.store,
            state,
            self.before,
            self.before_history,
            self.rehearsal.downs,
            lambda: self.ports.schema(self.login),
            self.ports.restore,
            self.tell,
        )
        outcome = way.go(self.pending)
        self.record.way_back, self.record.kept = outcome.how, outcome.kept
        self.tell(f"way back: {outcome.words}")
        tried = f" ({'; '.join(way.tried)})" if way.tried and outcome.how != NONE else ""
        self._ends(record.AS_BEFORE if outcome.as_before else record.BROKEN, f"{state.reason} {outcome.words}.{tried}")
        if outcome.as_before:
            self.store.clear()
