# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run from its first to its last stage. Until the stage ``apply`` nothing is changed; what fails after that is taken
back, or goes on when the run is started again. Whatever happens, there is a record.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from ansible_collections.dbops.postgres.plugins.module_utils._migration import (
    history,
    record,
    run_gate,
    run_guard,
    run_look,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.apply import Apply
from ansible_collections.dbops.postgres.plugins.module_utils._migration.record import Record, Stage
from ansible_collections.dbops.postgres.plugins.module_utils._migration.rehearse import (
    Copy,
    Rehearsal,
    SpoiledError,
    differences,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_look import Validity
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_session import looking, said
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_spec import BACK, MigrateSpec
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_state import WAY_BACK, State, Store
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import COMMAND, Migration, Source
from ansible_collections.dbops.postgres.plugins.module_utils._migration.way_back import NONE, WayBack
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2

DRAIN = "/run/dbops-postgres/drain"
_MOST_WRONG = 3
_EXCLUSIVE = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")


class Ports(Protocol):
    """What a run needs of the backups, of the schema's snapshot and of the operating system.

    :param set_id: the set from which copies are made and to which a way back leads.
    """

    set_id: str

    def room(self, size: int) -> str:
        """Whether there is room for a copy and for a way back; in words."""

    def url(self, environment: str) -> None:
        """Refuse a connection URL that must not be used."""

    def backup(self, label: str) -> str:
        """Make a set at the targets of the host's backups; its name."""

    def aside(self, label: str) -> str:
        """Make a set of this database alone that is only kept for this run; its name."""

    def use(self, set_id: str) -> None:
        """Take a set that another run has made."""

    def copy(self) -> AbstractContextManager[Login]:
        """The database of the set in a cluster of its own, proven against its manifest; gone afterwards."""

    def restore(self) -> str:
        """Put the database of the set in the live one's place; what the one that was there is called now."""

    def clear(self) -> None:
        """Remove what :meth:`aside` made."""

    def schema(self, login: Login) -> Mapping[str, str]:
        """A fingerprint of each object of the database."""

    def drift(self, path: str) -> str:
        """What of the live schema is not as the snapshot in a file says; empty: nothing."""

    def queries(self) -> Sequence[str] | None:
        """What applications ask, by pg_stat_statements; None: nobody knows."""

    def rows(self, login: Login) -> Mapping[str, str]:
        """A fingerprint of each table's rows."""

    def command(self, login: Login) -> str:
        """Run the command of the layout ``command`` against that server; empty, or what it said when it failed."""


class _StopError(Exception):
    """The stage failed."""


@dataclass
class Note:
    """What a stage tells."""

    detail: str = ""


@dataclass
class Run:
    """One run.

    :param check: only until the rehearsal; nothing is left of it.
    """

    spec: MigrateSpec
    source: Source
    ports: Ports
    login: Login
    store: Store
    record: Record
    check: bool = False
    drain: str = DRAIN
    tell: Callable[[str], None] = lambda _line: None
    role: str = ""
    live: history.History = field(init=False)
    pending: tuple[Migration, ...] = ()
    left: State | None = None
    rehearsal: Rehearsal = field(default_factory=Rehearsal)
    before: Mapping[str, str] = field(default_factory=dict)
    before_history: history.History = field(init=False)
    invalid: Validity = field(default_factory=Validity)
    costs: Mapping[str, float] = field(default_factory=dict)

    def hold(self) -> Record:
        """Make it; never raises for what it finds, only when it is interrupted."""
        begun = time.monotonic()
        with ExitStack() as stack, contextlib.suppress(_StopError):
            self._hold(stack)
        self.record.seconds = time.monotonic() - begun
        return self.record

    def _hold(self, stack: ExitStack) -> None:
        try:
            with self._stage("guard") as note:
                stack.enter_context(run_guard.alone(self.login, self.spec.database))
                self._guard(note)
            if not self.pending and not self.left and self.source.layout != COMMAND:
                self._ends(record.NOTHING, "Every migration is applied already. Nothing was changed.")
                return
            with self._stage("lint") as note:
                self._lint(note)
            with self._stage("drift") as note:
                self._drift(note)
            with self._stage("backup") as note:
                stack.callback(self._clear)
                self._backup(note)
            with self._stage("rehearsal") as note:
                self._rehearse(note)
        except _StopError:
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
            self._undrain()

    @contextlib.contextmanager
    def _stage(self, name: str) -> Generator[Note, None, None]:
        note = Note()
        begun = time.monotonic()
        self.tell(f"{name} ...")
        problem = ""
        try:
            yield note
        except (DbopsError, OSError, psycopg2.Error) as error:
            problem = said(error)
            hint = error.remedy if isinstance(error, DbopsError) else ""
            self.record.words = f"Stage {name} failed: {problem} {hint}".strip()
            self.record.failed_stage = name
            raise _StopError from None
        except _StopError:
            raise
        except BaseException as error:
            problem = f"interrupted: {type(error).__name__}"
            raise
        finally:
            seconds = time.monotonic() - begun
            status = record.FAILED if problem else record.PASSED
            self.record.stages.append(Stage(name, status, seconds, note.detail, (problem,) if problem else ()))
            self.tell(f"{name}: {status} in {seconds:.1f} s: {problem or note.detail}")

    def _ends(self, verdict: str, words: str) -> None:
        self.record.verdict, self.record.words = verdict, words

    # Before anything is changed.

    def _guard(self, note: Note) -> None:
        spec, layout = self.spec, self.source.layout
        self.ports.url(spec.environment)
        admitted = run_guard.admit(self.login, spec)
        self.role = self.record.role = spec.role or admitted.owner
        self.left = None if self.check else self.store.load()
        if self.check and self.store.load():
            raise DbopsError("An interrupted run has to be ended first", "Run it without --check.")
        ended = 0 if self.check else run_guard.end_left(self.login, spec.database)
        with looking(self.login, spec.database) as cursor:
            self.live = history.read(cursor, layout, spec.history_table)
        if self.left is None and self.live.unfinished:
            raise DbopsError(
                f"{', '.join(self.live.unfinished)} was begun by the tool and not ended (dirty)",
                "Look at what it has done, and mend the tool's table as its documentation says. No run of this "
                "collection was interrupted here.",
            )
        self.pending = self._pending(self.live)
        words = [f"{len(self.pending)} pending" if layout != COMMAND else "pending: what the command finds"]
        words += [f"role {self.role}", f"server {admitted.cluster_name or 'without a name'}"]
        if self.pending or layout == COMMAND:
            words.append(self.ports.room(admitted.size))
        if self.left:
            self.record.resumed = f"run {self.left.id}, interrupted in {self.left.phase}"
            words.append(f"found the interrupted run {self.left.id}")
        if ended:
            words.append(f"ended {ended} session(s) that it had left")
        note.detail = ", ".join(words)

    def _pending(self, found: history.History) -> tuple[Migration, ...]:
        if self.source.layout == COMMAND:
            return ()
        if self.left is None:
            return history.pending(self.source, found)
        wanted = self.left.texts
        there = tuple(m for m in self.source.migrations if m.id in wanted)
        changed = [m.path for m in there if wanted[m.id] != text_of(m)]
        if len(there) != len(wanted) or changed:
            raise DbopsError(
                f"The files are not those of the interrupted run {self.left.id}: "
                f"{', '.join(changed) or 'some are gone'}",
                "Take those files, and run again: what is half done is then ended or taken back.",
            )
        return there

    def _lint(self, note: Note) -> None:
        verdict = self.spec.lint
        if verdict is None:
            note.detail = "no verdict was given"
            return
        problems = run_gate.refusals(verdict)
        if not problems and self.left is None:
            now = datetime.datetime.now(datetime.timezone.utc)
            days = self.spec.contract_after_days
            problems = run_gate.not_due(verdict, self.source, self.live, self.ports.queries, now, days)
        self.record.lint = {"passed": not problems, "problems": problems, "report": verdict.get("report") or []}
        if problems:
            raise DbopsError("; ".join(problems), "Mend the files, or have them approved.")
        note.detail = str((verdict.get("report") or ["passed"])[-1])

    def _drift(self, note: Note) -> None:
        if self.left is not None:
            note.detail = "not looked at: the interrupted run was in the middle"
        elif not self.spec.expected_schema:
            note.detail = "no snapshot was given; the live schema has to equal that of the set"
        else:
            if found := self.ports.drift(self.spec.expected_schema):
                raise DbopsError(f"The live schema is not what is expected: {found}", "Look at who changed it.")
            note.detail = "as expected"

    def _backup(self, note: Note) -> None:
        if self.left is not None:
            self.record.set = self.left.set
            self.ports.use(self.left.set)
            note.detail = f"set {self.left.set} of the interrupted run"
        elif self.check or self.spec.without_backup:
            set_id = self.record.set = self.ports.aside(self.spec.label)
            note.detail = f"{set_id}, only for this run" + ("" if self.check else ": there is another way back")
        else:
            set_id = self.record.set = self.ports.backup(self.spec.label)
            note.detail = f"set {set_id}, complete and proven at its target"
            if self.ports.set_id != set_id:
                note.detail += "; it cannot be read on this host, so a second dump is kept here until the run has ended"

    def _clear(self) -> None:
        if self.store.load() is None:
            self.ports.clear()

    def _rehearse(self, note: Note) -> None:
        spec = self.spec
        if self.left is None:
            with looking(self.login, spec.database) as cursor:
                self.invalid = run_look.validity(cursor)
            live_schema = self.ports.schema(self.login)
            self.costs = run_look.costs(self.login, spec, self.role)
        again = True
        while again:
            again = self._copied(live_schema if self.left is None else None)
        found = self.rehearsal
        self.record.statements = [asdict(trace) for trace in found.traces]
        self.record.locks = [asdict(held) for held in found.held]
        self.record.wrong_downs = dict(found.wrong_downs)
        self.record.migrations = [{"id": m.id, "path": m.path, "down": self._down_word(m)} for m in self.pending]
        if problems := found.beyond(spec.lock_limits):
            raise DbopsError("; ".join(problems), "Split it into safe steps, or raise lock_limits for this run.")
        seconds = sum(trace.seconds for trace in found.traces)
        rewritten = sorted({name for trace in found.traces for name in trace.rewritten})
        note.detail = (
            f"{len(found.traces)} statement(s) in {seconds:.1f} s, longest blocking lock "
            f"{found.longest(_EXCLUSIVE):.2f} s, rewritten: {', '.join(rewritten) or 'nothing'}"
        )
        if found.wrong_downs:
            note.detail += f"; no way back by {'; '.join(found.wrong_downs.values())}"

    def _copied(self, live_schema: Mapping[str, str] | None) -> bool:
        """Rehearse on one copy; whether it has to be done again on another."""
        spec = self.spec
        with self.ports.copy() as place:
            with looking(place, spec.database) as cursor:
                self.before_history = history.read(cursor, self.source.layout, spec.history_table)
                if live_schema is None:
                    self.invalid = run_look.validity(cursor)
            self.before = self.ports.schema(place)
            if live_schema is None:
                self.costs = run_look.costs(place, spec, self.role)
            else:
                self._same(self.before_history, live_schema)
            try:
                self._on_copy(place)
            except SpoiledError:
                wrong = self.rehearsal.wrong_downs
                self.tell(f"{list(wrong.values())[-1]}; once more on another copy")
                if len(wrong) == _MOST_WRONG:
                    for migration in self.pending:
                        wrong.setdefault(migration.id, "not looked at: others are wrong")
                self.rehearsal = Rehearsal(wrong_downs=wrong)
                return True
        return False

    def _down_word(self, migration: Migration) -> str:
        if migration.id in self.rehearsal.downs:
            return "proven"
        if migration.down_sql is None:
            return "none"
        return f"wrong: {self.rehearsal.wrong_downs.get(migration.id, 'not proven')}"

    def _same(self, found: history.History, live_schema: Mapping[str, str]) -> None:
        if found.state != self.live.state:
            raise DbopsError("The set has another history than the live database", "Somebody migrates meanwhile.")
        if changed := differences(self.before, live_schema):
            raise DbopsError(f"The live schema is not that of the set: {changed}", "Somebody changes it meanwhile.")

    def _on_copy(self, place: Login) -> None:
        spec, found = self.spec, self.rehearsal
        costs = self._costs(place)
        if self.source.layout == COMMAND:
            if problem := self.ports.command(place):
                raise DbopsError(f"The command fails on the copy: {problem}", "Mend the migration.")
            found.after = self.ports.schema(place)
        else:
            copy = Copy(
                place,
                spec,
                self.role,
                self.source,
                self.before_history,
                lambda: self.ports.schema(place),
                lambda: self.ports.rows(place),
                found,
            )
            copy.forwards(self.pending)
        with looking(place, spec.database) as cursor:
            found.history_after = history.read(cursor, self.source.layout, spec.history_table)
            new = [item for item in run_look.validity(cursor).indexes if item not in self.invalid.indexes]
        problems = run_look.smoke(place, spec, self.role)
        problems += run_look.worse(costs, self._costs(place), spec.plan_factor, [query.name for query in spec.plans])
        problems += [f"index {schema}.{name} is invalid" for schema, name in new]
        if problems:
            raise DbopsError(f"After the rehearsal: {'; '.join(problems)}", "Mend the migration.")

    def _costs(self, place: Login) -> dict[str, float]:
        """The costs of the declared queries on the copy, which has no statistics of its own yet."""
        if not self.spec.plans:
            return {}
        run_look.analyze(place, self.spec.database)
        return run_look.costs(place, self.spec, self.role)

    # From here on the database is changed.

    def _change(self) -> None:
        spec = self.spec
        state = self.left or State(
            self.record.id,
            spec.database,
            set=self.ports.set_id,
            started=time.time(),
            texts={migration.id: text_of(migration) for migration in self.pending},
        )
        apply = Apply(
            self.login, spec, self.role, self.source, self.store, self.store.save(state), self.invalid, self.tell
        )
        try:
            with self._stage("drain") as note:
                self._drained(note)
            with self._stage("apply") as note:
                if self.left is not None:
                    note.detail = "; ".join(apply.resume(self.pending))
                    if self.left.phase == WAY_BACK or spec.interrupted == BACK:
                        raise DbopsError(self.left.reason or "The interrupted run is taken back, as it was asked")
                self._apply(apply, note)
            with self._stage("verify") as note:
                self._verify(note)
        except _StopError:
            self.record.waits = apply.waits
            self._go_back(apply.state)
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
        longest = self.rehearsal.longest(_EXCLUSIVE)
        if longest <= self.spec.drain_after:
            note.detail = f"not needed: the longest blocking lock is {longest:.2f} s"
            return
        os.makedirs(os.path.dirname(self.drain), mode=0o755, exist_ok=True)
        with open(self.drain, "w", encoding="utf-8") as file:
            file.write(f"migration {self.record.id} of {self.spec.database}\n")
        note.detail = f"{self.drain} is set: a blocking lock of {longest:.2f} s is expected"

    def _undrain(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            with open(self.drain, encoding="utf-8") as file:
                ours = file.read().startswith("migration ")
            if ours:
                os.unlink(self.drain)

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
        reason = self.record.words
        state = self.store.save(replace(state, phase=WAY_BACK, reason=reason))
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
        self._ends(record.AS_BEFORE if outcome.as_before else record.BROKEN, f"{reason} {outcome.words}.{tried}")
        if outcome.as_before:
            self.store.clear()


def text_of(migration: Migration) -> str:
    """A checksum of a migration's file and of the one that takes it back."""
    return history.digest(migration.sql + "\0" + (migration.down_sql or ""))
