# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a database of a set on a live server: beside the live one, and in its place only when it is proven."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._backup import (
    drill_cluster,
    drill_load,
    drill_set,
    faults,
    restore_database,
    restore_fetch,
    restore_plan,
)
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_cluster import Cluster
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_set import BackupError
from ansible_collections.dbops.postgres.plugins.module_utils._backup.manifest import DumpedDatabase, Manifest
from ansible_collections.dbops.postgres.plugins.module_utils._backup.receipt import duration, size_of
from ansible_collections.dbops.postgres.plugins.module_utils._backup.restore_plan import Names, RestoreSpec
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import Target
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

_SPARE_BYTES = 100 * 1024**2
_ROOM = 1.3


@dataclass(frozen=True)
class Restored:
    """What was done, or, when it was only asked, would be."""

    steps: tuple[str, ...]
    set: str
    database: str
    names: Names
    done: bool
    seconds: float = 0.0
    tables: int = 0
    rows: int = 0
    leftovers: tuple[str, ...] = ()


@dataclass
class Restore:
    """One restore.

    :param login: the live server, over its local socket, as its superuser.
    :param scratch: directory in which the dump lies meanwhile.
    :param identity: path of the age identity; empty: there is none.
    :param holding: lets the clients of the live database wait while the restored one takes its place.
    """

    spec: RestoreSpec
    target: Target
    login: Login
    scratch: str
    jobs: int = 2
    identity: str = ""
    tell: Callable[[str], None] = lambda _line: None
    clock: Callable[[], float] = time.time
    holding: Callable[[], AbstractContextManager[None]] = nullcontext
    found: Manifest = field(init=False)
    dumped: DumpedDatabase = field(init=False)
    names: Names = field(init=False)
    tables: list[str] = field(default_factory=list)

    def plan(self) -> Restored:
        """Find the set and say what would be done; nothing is changed.

        :raises DbopsError: what is wanted cannot be meant.
        :raises BackupError: the set is not what it should be.
        """
        self.found = drill_set.opened(self.target, drill_set.choose(self.target, self.spec.set))
        held = {database.name: database for database in self.found.databases}
        if self.spec.database not in held:
            raise DbopsError(
                f"Set {self.found.id} has no database {self.spec.database!r}", f"It has: {', '.join(sorted(held))}."
            )
        self.dumped = held[self.spec.database]
        self.tables = restore_plan.chosen(self.spec.tables, list(self.dumped.contents.tables))
        moment = datetime.datetime.fromtimestamp(self.clock(), datetime.timezone.utc).strftime("%Y%m%d_%H%M%S")
        existing = restore_database.databases(self.login)
        self.names = restore_plan.names_of(self.spec, moment, existing)
        age = duration(max(self.clock() - self.found.time, 0.0))
        size = size_of(self.dumped.dump.size)
        steps = restore_plan.steps(self.spec, self.names, self.found.id, age, size, self.login.place)
        left = tuple(restore_database.unproven(self.login))
        return Restored(tuple(steps), self.found.id, self.spec.database, self.names, done=False, leftovers=left)

    def run(self) -> Restored:
        """Do what :meth:`plan` said.

        :raises DbopsError: with what was left untouched.
        :raises BackupError: what was restored does not equal the set; it is dropped again.
        """
        planned = self.plan()
        for number, line in enumerate(planned.steps, 1):
            self.tell(f"{number}. {line}")
        for name in planned.leftovers:
            self.tell(f"An interrupted restore has left {name}; when nobody looks at it: DROP DATABASE {name};")
        begun = time.monotonic()
        area = drill_cluster.area(self.scratch)
        with drill_cluster.alone(area), faults.named(f"The restore of {self.spec.database!r}"):
            drill_cluster.leftovers(area)
            self._able(area)
            about = {"set": self.found.id, "restore": self.names.new}
            with drill_cluster.cluster(area, self._major(), self.found.superuser, about) as place:
                path = self._fetch(place)
                compared = self._load(place, path)
        if self.spec.in_place:
            self.tell(f"{self.names.new} takes the place of {self.spec.database}")
            restore_database.take_over(self.login, self.spec.database, self.names.new, self.names.kept)
            with self.holding():
                restore_database.swap(self.login, self.spec.database, self.names.new, self.names.kept)
            self.tell(f"{self.spec.database} is the restored one; what it was is {self.names.kept}")
        return Restored(
            planned.steps,
            self.found.id,
            self.spec.database,
            self.names,
            done=True,
            seconds=time.monotonic() - begun,
            tables=compared.tables,
            rows=compared.rows,
            leftovers=planned.leftovers,
        )

    def _major(self) -> int:
        connection = _postgres.connect(self.login, autocommit=True)
        try:
            with _postgres.reported(f"The server on {self.login.place}", "Look at PostgreSQL's log."):
                able = _postgres.capabilities(connection)
        finally:
            connection.close()
        if not able.superuser:
            raise DbopsError(f"{able.user!r} is no superuser", "Restore as the server's superuser, on its own host.")
        if able.in_recovery:
            raise DbopsError("The server is a replica", "Restore on its primary.")
        major = able.server_version // 10000
        if major < self.found.major:
            raise DbopsError(
                f"The set is of PostgreSQL {self.found.major}, the server is {major}",
                f"Restore on PostgreSQL {self.found.major} or later.",
            )
        return major

    def _able(self, area: str) -> None:
        """What is missing is named before anything is changed."""
        major = self._major()
        missing = restore_database.lacking(self.login, self.dumped.extensions, self.dumped.roles)
        missing += [line.partition(": ")[2] for line in drill_load.missing_locales({"": self.dumped.locales})]
        if missing:
            raise DbopsError(
                f"The server lacks what database {self.spec.database!r} needs: {'; '.join(missing)}",
                "Install the extensions; create the roles (globals.sql of the set has their definitions).",
            )
        need = int(max(self.dumped.dump.size, self.dumped.size if self.dumped.dump.compressed else 0)) + _SPARE_BYTES
        room = {area: need}
        data = restore_database.data_directory(self.login)
        if os.path.isdir(data):
            room[data] = room.get(data, 0) + int(self.dumped.size * _ROOM) + _SPARE_BYTES
        for path, wanted in room.items():
            free = drill_cluster.free_bytes(path)
            if free < wanted:
                raise DbopsError(
                    f"{path} has {size_of(free)} free, the restore needs {size_of(wanted)}",
                    "Make room first.",
                )
        self.tell(f"PostgreSQL {major} has what is needed")

    def _fetch(self, place: Cluster) -> str:
        item = self.dumped.dump
        path = os.path.join(place.files, "dump")
        commands = restore_fetch.filters(item.encrypted, item.compressed, self.identity)
        try:
            stored = self.target.read(self.found.id, item.name)
            came = restore_fetch.fetch(stored, commands, path, archive=item.archive)
        except FileNotFoundError:
            raise BackupError([f"object {item.name} of set {self.found.id} is missing"]) from None
        drill_cluster.give(path)
        if (came.size, came.sha256) != (item.size, item.sha256):
            said = f"{came.size} bytes, sha256 {came.sha256}; the manifest says {item.size} and {item.sha256}"
            raise BackupError([f"object {item.name} is damaged: {said}"], "Nothing was changed. Take an earlier set.")
        if drill_load.full(came.problem):
            raise DbopsError(f"object {item.name}: {came.problem}", "Give the scratch directory more room.")
        if came.problem:
            raise BackupError([f"object {item.name}: {came.problem}"], "Nothing was changed.")
        self.tell(f"fetched {size_of(came.size)}, its checksum is right")
        return path

    def _load(self, place: Cluster, path: str) -> drill_set.Comparison:
        new = self.names.new
        restore_database.create(self.login, new, self.found.id, self.dumped.options)
        proven = False
        try:
            if not self._pg_restore(place, path, self.jobs):
                self.tell(drill_load.DEADLOCK.format(new))
                restore_database.drop_unproven(self.login, new)
                restore_database.create(self.login, new, self.found.id, self.dumped.options)
                self._pg_restore(place, path, 1)
            lost = _postgres.reported(
                f"The comparison of {new!r} with its set",
                "Look at PostgreSQL's log, and restore again.",
                f"{self.spec.database!r} is untouched; {new!r} is not proven, and dropped if the server lets us.",
            )
            with lost:
                compared = drill_set.compared(self.login, new, self.dumped, self.jobs)
            problems = self._problems(compared)
            if problems:
                raise BackupError(problems, f"{self.spec.database!r} is untouched; {new!r} was dropped again.")
            restore_database.proven(self.login, new, self.found.id)
            proven = True
        finally:
            if not proven:
                with suppress(DbopsError):
                    restore_database.drop_unproven(self.login, new)
        self.tell(f"{new}: {compared.tables} tables, {compared.rows} rows, as in the manifest")
        return compared

    def _problems(self, compared: drill_set.Comparison) -> list[str]:
        if self.tables:
            wanted = tuple(f"table {name}{end}" for name in self.tables for end in (":", ","))
            return [line for line in compared.contents if line.startswith(wanted)]
        return [*compared.contents, *compared.schema]

    def _pg_restore(self, place: Cluster, path: str, jobs: int) -> bool:
        """Whether it is restored; not, when its own workers were in each other's way."""
        untouched = f"{self.spec.database!r} is untouched; {self.names.new!r} was dropped again."
        command = [
            os.path.join(place.binaries, "pg_restore"),
            *(f"--host={self.login.unix_socket or '/var/run/postgresql'}", f"--port={self.login.port}"),
            *(f"--username={self.login.user}", "--no-password", "--exit-on-error", f"--jobs={jobs}"),
        ]
        if self.tables:
            listed = drill_cluster.run([os.path.join(place.binaries, "pg_restore"), "--list", path])
            if listed.returncode != 0:
                raise BackupError([f"pg_restore --list: {faults.first_error(listed.stderr)}"], untouched)
            chosen = os.path.join(place.files, "entries")
            with open(chosen, "w", encoding="utf-8") as file:
                file.write(restore_plan.entries_for(listed.stdout.decode("utf-8", "replace"), self.tables))
            drill_cluster.give(chosen)
            command.append(f"--use-list={chosen}")
        done = drill_cluster.run([*command, f"--dbname={self.names.new}", path])
        if jobs > 1 and drill_load.deadlocked(done):
            return False
        if done.returncode != 0:
            said = faults.first_error(done.stderr) or f"status {done.returncode}"
            raise BackupError([f"pg_restore: {said}"], untouched)
        return True
