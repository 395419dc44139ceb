# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages before anything is changed: guard, lint, drift, backup, rehearsal."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field

from ansible_collections.dbops.postgres.plugins.module_utils._migration import (
    history,
    record,
    run_gate,
    run_guard,
    run_look,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.record import Record, Stage
from ansible_collections.dbops.postgres.plugins.module_utils._migration.rehearse import (
    Copy,
    Rehearsal,
    SpoiledError,
    differences,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_look import Validity
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_ports import Ports
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_session import FAULTS, looking, said
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_spec import MigrateSpec
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_state import State, Store
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import COMMAND, Migration, Source
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

_MOST_WRONG = 3
EXCLUSIVE = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")


class StopError(Exception):
    """The stage failed."""


@dataclass
class Note:
    """What a stage tells."""

    detail: str = ""


@dataclass
class Before:
    """The first half of a run.

    :param check: only until the rehearsal; nothing is left of it.
    """

    spec: MigrateSpec
    source: Source
    ports: Ports
    login: Login
    store: Store
    record: Record
    check: bool = False
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

    @contextlib.contextmanager
    def stage(self, name: str) -> Generator[Note, None, None]:
        note = Note()
        begun = time.monotonic()
        self.tell(f"{name} ...")
        problem = ""
        try:
            yield note
        except FAULTS as error:
            problem = said(error)
            hint = error.remedy if isinstance(error, DbopsError) else ""
            self.record.words = f"Stage {name} failed: {problem} {hint}".strip()
            self.record.failed_stage = name
            raise StopError from None
        except StopError:
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
            f"{found.longest(EXCLUSIVE):.2f} s, rewritten: {', '.join(rewritten) or 'nothing'}"
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


def text_of(migration: Migration) -> str:
    """A checksum of a migration's file and of the one that takes it back."""
    return history.digest(migration.sql + "\0" + (migration.down_sql or ""))
