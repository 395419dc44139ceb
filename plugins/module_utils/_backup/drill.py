# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill from its first to its last step. Whatever happens, its cluster is gone afterwards and a receipt is there.

A step that finds the backup wrong *fails*; one that cannot be made on this host is an *error*. What only judges
(freshness, contents, queries) does not keep the next from judging too: one drill names everything that is wrong.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from ansible_collections.dbops.postgres.plugins.module_utils._backup import (
    drill_cluster,
    drill_load,
    drill_prove,
    drill_set,
    faults,
    restore_fetch,
)
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_cluster import Cluster
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_set import (
    BackupError,
    Comparison,
)
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_spec import DrillSpec
from ansible_collections.dbops.postgres.plugins.module_utils._backup.manifest import Manifest, StoredObject
from ansible_collections.dbops.postgres.plugins.module_utils._backup.receipt import (
    ERROR,
    FAILED,
    PASSED,
    DrillStep,
    Receipt,
    RestoredDatabase,
    duration,
    filled,
    size_of,
)
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import Target
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

# Room for indexes, WAL and what grows while it is sorted, besides the data itself.
_ROOM = 1.3
_SPARE_BYTES = 200 * 1024**2


class _StopError(Exception):
    """Nothing after this step can be done."""


@dataclass
class Note:
    """What a step tells: its words for the receipt, and what did not hold."""

    detail: str = ""
    problems: list[str] = field(default_factory=list)
    remedy: str = ""


@dataclass
class Steps:
    """The steps as they are made.

    :param tell: is told of each step as it begins and as it ends.
    """

    tell: Callable[[str], None]
    made: list[DrillStep] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Generator[Note, None, None]:
        """Make one step. Problems that it notes make it fail; an exception also ends the drill."""
        note = Note()
        begun = time.monotonic()
        self.tell(f"{name} ...")
        status = PASSED
        goes_on = True
        try:
            yield note
            status = FAILED if note.problems else PASSED
        except BackupError as error:
            note.problems += error.problems
            note.remedy, status, goes_on = error.remedy, FAILED, False
        except DbopsError as error:
            note.problems.append(error.problem)
            note.remedy, status, goes_on = error.remedy, ERROR, False
        except OSError as error:
            note.problems.append(faults.said(error))
            note.remedy = "Look at the disks of this host, and at the set's target. The backup was not judged."
            status, goes_on = ERROR, False
        except Exception as error:  # a receipt is due whatever it was
            note.problems.append(faults.said(error))
            note.remedy = "Hold the drill again: the backup was not judged."
            status, goes_on = ERROR, False
        except BaseException:
            self._add(DrillStep(name, ERROR, time.monotonic() - begun, note.detail, ("interrupted",)))
            raise
        seconds = time.monotonic() - begun
        self._add(DrillStep(name, status, seconds, note.detail, tuple(note.problems), note.remedy))
        if not goes_on:
            raise _StopError

    def _add(self, step: DrillStep) -> None:
        self.made.append(step)
        words = "; ".join(step.problems[:3]) or step.detail
        self.tell(f"{step.name}: {step.status} in {duration(step.seconds)}{f': {words}' if words else ''}")


@dataclass
class Drill:
    """One drill.

    :param identity: path of the age identity; empty: there is none.
    :param set_id: the set; empty: the newest complete one.
    :param clock: seconds since 1970.
    """

    spec: DrillSpec
    target: Target
    identity: str = ""
    set_id: str = ""
    host: str = ""
    tell: Callable[[str], None] = lambda _line: None
    clock: Callable[[], float] = time.time
    name: str = ""
    chosen: Manifest | None = None
    restored: list[RestoredDatabase] = field(default_factory=list)
    compared: dict[str, Comparison] = field(default_factory=dict)
    rto_seconds: float = 0.0
    started: float = 0.0
    begun: float = 0.0

    def __post_init__(self) -> None:
        """No step is made yet."""
        self.steps = Steps(self.tell)

    def hold(self) -> Receipt:
        """Hold the drill; never raises for what it finds, only when it is interrupted."""
        self.started, self.begun = self.clock(), time.monotonic()
        with suppress(_StopError):
            self._hold(self.started, self.begun)
        return self.receipt()

    def receipt(self) -> Receipt:
        """The receipt of what was done so far."""
        found, started = self.chosen, self.started
        moment = datetime.datetime.fromtimestamp(started, datetime.timezone.utc)
        return Receipt(
            id=f"{moment:%Y%m%dT%H%M%SZ}-{self.name.rpartition('-')[2] or 'none'}",
            host=self.host or os.uname().nodename,
            set=found.id if found else "",
            target=self.target.name,
            set_time=found.time if found else 0.0,
            started=started,
            seconds=time.monotonic() - self.begun,
            rto_seconds=self.rto_seconds,
            rpo_seconds=max(started - found.time, 0.0) if found else 0.0,
            rto_target_seconds=self.spec.rto_target_minutes * 60,
            every_days=self.spec.every_days,
            server_version=found.server_version if found else "",
            level=found.level if found else "",
            steps=filled(self.steps.made),
            databases=tuple(self.restored),
        )

    def _hold(self, started: float, begun: float) -> None:
        step = self.steps.step
        with step("set") as note:
            set_id = drill_set.choose(self.target, self.set_id)
            note.detail = f"{set_id} at {self.target.name}"
        with step("manifest") as note:
            self.chosen = found = drill_set.opened(self.target, set_id)
            note.detail = f"{len(found.databases)} database(s), PostgreSQL {found.server_version}, level {found.level}"
        with step("freshness") as note:
            self._freshness(note, started, found)
        stack = ExitStack()
        try:
            with step("disk space") as note:
                area = drill_cluster.area(self.spec.scratch)
                stack.enter_context(drill_cluster.alone(area))
                gone = drill_cluster.leftovers(area)
                self._room(note, area, found)
                if gone:
                    note.detail += f"; removed what an interrupted drill had left: {', '.join(gone)}"
            with step("objects") as note:
                about = {"set": found.id, "target": self.target.name}
                made = stack.enter_context(drill_cluster.cluster(area, found.major, found.superuser, about))
                self.name = made.name
                self._objects(note, made, found)
            self._inside(made, found, begun)
        finally:
            with suppress(_StopError), step("removal") as note:
                stack.close()
                note.detail = f"{self.name} is gone" if self.name else "there was nothing to remove"

    def _freshness(self, note: Note, now: float, found: Manifest) -> None:
        age = now - found.time
        note.detail = f"{duration(max(age, 0.0))} old, at most {self.spec.max_age_hours:g} h"
        if age < -60:
            note.problems.append(f"the set is of the future ({duration(-age)} ahead): a clock is wrong")
        elif age > self.spec.max_age_hours * 3600 and not self.set_id:
            note.problems.append(f"the newest complete set is {note.detail}")
            note.remedy = "Look at why no backup was completed since: systemctl status dbops-postgres-backup.service."

    def _room(self, note: Note, area: str, found: Manifest) -> None:
        data = sum(database.size for database in found.databases)
        # A dump lies there until its database is restored; uncompressed it is smaller than its database.
        largest = max((database.size for database in found.databases), default=0)
        need = int(data * _ROOM + max(largest, found.stored_bytes)) + _SPARE_BYTES
        free = drill_cluster.free_bytes(area)
        note.detail = f"{size_of(free)} free in {area}, {size_of(need)} needed"
        if free < need:
            raise DbopsError(
                f"{area} has {size_of(free)} free, the drill needs {size_of(need)}",
                "Give it room, or another scratch directory (restore_drill_scratch).",
            )

    def _objects(self, note: Note, made: Cluster, found: Manifest) -> None:
        stored = [found.globals, *(database.dump for database in found.databases)]
        problems = []
        entries = 0
        for item in stored:
            problem = self._object(made, found.id, item)
            problems += [problem] if problem else []
            if not problem and item is not found.globals:
                entries += self._listing(made, item, problems)
        if problems:
            raise BackupError(problems, "The set is damaged at its target: take a new backup, and look at the storage.")
        note.detail = f"{len(stored)} object(s), {size_of(found.stored_bytes)}, {entries} entries"

    def _object(self, made: Cluster, set_id: str, item: StoredObject) -> str:
        commands = restore_fetch.filters(item.encrypted, item.compressed, self.identity)
        path = local(made, item)
        try:
            came = restore_fetch.fetch(self.target.read(set_id, item.name), commands, path, archive=item.archive)
        except FileNotFoundError:
            return f"object {item.name} is missing"
        drill_cluster.give(path)
        if came.size != item.size:
            return f"object {item.name} has {came.size} bytes, the manifest says {item.size}"
        if came.sha256 != item.sha256:
            return f"object {item.name} is damaged: its sha256 is {came.sha256}, the manifest says {item.sha256}"
        if drill_load.full(came.problem):
            raise DbopsError(
                f"object {item.name}: {came.problem}", "Give the scratch directory more room (restore_drill_scratch)."
            )
        return f"object {item.name}: {came.problem}" if came.problem else ""

    def _listing(self, made: Cluster, item: StoredObject, problems: list[str]) -> int:
        try:
            return drill_load.listing(made, local(made, item))
        except BackupError as error:
            problems += [f"object {item.name}: {problem}" for problem in error.problems]
            return 0

    def _inside(self, made: Cluster, found: Manifest, begun: float) -> None:
        """Everything that needs the cluster."""
        step, spec = self.steps.step, self.spec
        extensions = {database.name: database.extensions for database in found.databases}
        with step("scratch cluster") as note:
            settings = {**drill_load.settings_for(extensions, made.binaries), **dict(spec.settings)}
            drill_cluster.start(made, settings)
            note.detail = f"{made.name}, PostgreSQL {found.major}, no TCP"
        with step("globals"), open(local(made, found.globals), encoding="utf-8") as file:
            drill_load.restore_globals(made, file.read())
        with step("extensions and roles") as note:
            self._lacking(note, made, found)
        with step("restore") as note:
            drill_load.clear_default_database(made)
            again = []
            for database in found.databases:
                start = time.monotonic()
                path = local(made, database.dump)
                if drill_load.restore(made, database.name, path, spec.jobs, self.tell):
                    again.append(database.name)
                restore_fetch.remove(path)
                self.restored.append(RestoredDatabase(database.name, 0, 0, time.monotonic() - start))
            self.rto_seconds = time.monotonic() - begun
            note.detail = f"{len(found.databases)} database(s) with {spec.jobs} job(s) each"
            if again:
                note.detail += f"; again with one, after a deadlock of pg_restore's own: {', '.join(again)}"
        names = [database.name for database in found.databases]
        with step("contents") as note:
            for number, database in enumerate(found.databases):
                name = database.name
                compared = drill_set.compared(made.login, name, database, spec.jobs)
                self.compared[name] = compared
                was = self.restored[number]
                self.restored[number] = RestoredDatabase(name, compared.tables, compared.rows, was.seconds)
                note.problems += [f"database {name}: {problem}" for problem in compared.contents]
            rows = sum(compared.rows for compared in self.compared.values())
            tables = sum(compared.tables for compared in self.compared.values())
            note.detail = f"{tables} tables, {rows} rows, level {found.level}"
        with step("schema") as note:
            note.problems += [
                f"database {d}: {text}" for d, compared in self.compared.items() for text in compared.schema
            ]
            note.detail = "as in the manifest"
        with step("integrity") as note:
            note.problems += [text for name in names for text in drill_prove.amcheck(made, name, spec.jobs)]
            note.detail = "pg_amcheck finds nothing"
        self._asked(made, found, names)

    def _lacking(self, note: Note, made: Cluster, found: Manifest) -> None:
        lacking = drill_load.missing_extensions(made, {d.name: d.extensions for d in found.databases})
        lacking += drill_load.missing_locales({d.name: d.locales for d in found.databases})
        if lacking:
            raise DbopsError(
                "; ".join(lacking), "Install them on the drill host. Nothing was restored, the backup was not judged."
            )
        # These are the backup's own fault: a whole cluster was dumped, and what its tables belong to is not in it.
        missing = drill_load.missing_roles(made, {d.name: d.roles for d in found.databases})
        if missing:
            raise BackupError(missing, "Take a new backup with globals.")
        count = sum(len(d.extensions) for d in found.databases)
        note.detail = f"{count} extension(s), {len({r for d in found.databases for r in d.roles})} role(s), all here"

    def _asked(self, made: Cluster, found: Manifest, names: Sequence[str]) -> None:
        step, spec = self.steps.step, self.spec
        with step("smoke queries") as note:
            note.problems += _unknown("smoke query " + q.name + ": " for q in spec.smoke if q.database not in names)
            for query in spec.smoke:
                if query.database in names:
                    problem = drill_prove.smoke(made.login, query, spec.query_timeout_seconds)
                    note.problems += [problem] if problem else []
            note.detail = f"{len(spec.smoke)} asked" if spec.smoke else "none declared"
        with step("newest rows") as note:
            note.problems += _unknown(f"{r.database} {r.table}: " for r in spec.newest if r.database not in names)
            snapshot = datetime.datetime.fromtimestamp(found.time, datetime.timezone.utc)
            details = []
            for rule in spec.newest:
                if rule.database in names:
                    words, problem = drill_prove.newest(made.login, rule, snapshot)
                    note.problems += [problem] if problem else []
                    details += [words] if words else []
            note.detail = "; ".join(details) or "none declared"
        with step("write") as note:
            problems = (drill_prove.write(made.login, name) for name in names)
            note.problems += [problem for problem in problems if problem]
            note.detail = "a row in each database"


def _unknown(subjects: Iterable[str]) -> list[str]:
    return [f"{subject}its database is not in the set" for subject in subjects]


def local(made: Cluster, item: StoredObject) -> str:
    """Where a fetched object lies."""
    return os.path.join(made.files, item.name.replace("/", "_"))
