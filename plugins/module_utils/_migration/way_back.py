# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back, in its order: what PostgreSQL itself rolled back; the ``down`` files, if the rehearsal has proven each
of them; the set of backups that was made before, restored beside the live database and put in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.dbops.postgres.plugins.module_utils._migration import history
from ansible_collections.dbops.postgres.plugins.module_utils._migration.rehearse import differences
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_session import (
    FAULTS,
    answers,
    looking,
    migrating,
    said,
    timeouts,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_spec import MigrateSpec
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_state import State, Store
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import (
    COMMAND,
    GOLANG_MIGRATE,
    Migration,
    Source,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.take_back import (
    LOCK_SECONDS,
    forget,
    segments_of,
    take_back,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

ROLLBACK, DOWN, RESTORE, NONE = "rollback", "down", "restore", "none"
_ROLLED_BACK = "PostgreSQL rolled everything back: the database is exactly as before"
# Its transactions are its own: what it committed cannot be told from what the applications wrote meanwhile.
_COMMAND = (
    "The schema and the history are exactly as before. Whether the command had changed rows before it failed cannot be "
    "seen from here: look at what it says"
)


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    :param how: one of the words above; :data:`NONE`: the database is neither as before nor migrated.
    :param kept: the database that was set aside by a restore.
    """

    how: str
    words: str
    kept: str = ""

    @property
    def as_before(self) -> bool:
        """Whether the database is as it was."""
        return self.how != NONE


@dataclass
class WayBack:
    """One way back.

    :param before: schema and history before the run, as the restored copy had them.
    :param downs: ids whose ``down`` the rehearsal has proven.
    :param schema: looks at the live schema; ``restore``: puts the set in the live database's place, and gives the name
        under which what was there is kept; None: there is no set.
    """

    login: Login
    spec: MigrateSpec
    role: str
    source: Source
    store: Store
    state: State
    before: Mapping[str, str]
    history: history.History
    downs: set[str]
    schema: Callable[[], Mapping[str, str]]
    restore: Callable[[], str] | None
    tell: Callable[[str], None]
    tried: list[str] = field(default_factory=list)

    def go(self, pending: Sequence[Migration]) -> Outcome:
        """Go back."""
        try:
            answers(self.login, self.spec.database)
            if halfway := self._halfway(pending):
                self.tried.append(f"rollback: {halfway}")
            else:
                self._unmark()
                if not self.state.applied and self._as_before():
                    return Outcome(ROLLBACK, _COMMAND if self.source.layout == COMMAND else _ROLLED_BACK)
        except FAULTS as error:
            self.tried.append(f"rollback: {said(error)}")
        for way, take in ((DOWN, self._down), (RESTORE, self._restore)):
            if way not in self.spec.way_back:
                self.tried.append(f"{way}: not wanted")
                continue
            try:
                outcome = take(pending)
            except FAULTS as error:
                # An error of ours says what has to be done now.
                self.tried.append(f"{way}: {error if isinstance(error, DbopsError) else said(error)}")
                continue
            if outcome:
                return outcome
        return Outcome(
            NONE,
            "The database is NOT as before, and not as it should be. "
            f"{'; '.join(self.tried)}. Applied and still there: {', '.join(self.state.applied) or 'a part'}",
        )

    def _unmark(self) -> None:
        """Take golang-migrate's mark off a migration of which nothing was committed."""
        flight = self.state.flight
        if self.source.layout != GOLANG_MIGRATE or not flight.migration or flight.segment:
            return
        if flight.migration in self.state.applied:
            return
        migration = next(item for item in self.source.migrations if item.id == flight.migration)
        with migrating(self.login, self.spec.database, self.role) as connection, connection.cursor() as cursor:
            timeouts(cursor, LOCK_SECONDS, self.spec.statement_timeout)
            if history.read(cursor, GOLANG_MIGRATE, self.spec.history_table).unfinished:
                forget(cursor, self.spec, self.source, migration, self.history)

    def _halfway(self, pending: Sequence[Migration]) -> str:
        """What is applied in part, or may be; empty: what is applied is whole."""
        flight = self.state.flight
        migration = next((item for item in pending if item.id == flight.migration), None)
        if migration is None or migration.id in self.state.applied:
            return ""
        if flight.segment:
            return f"{migration.path} was applied in part"
        first = segments_of(self.source.layout, migration)[0]
        # A procedure commits as it likes.
        if first.alone and not first.statements[0].repeatable:
            return f"{migration.path}:{first.statements[0].line} has perhaps done a part of its work"
        return ""

    def _as_before(self) -> bool:
        with looking(self.login, self.spec.database) as cursor:
            found = history.read(cursor, self.source.layout, self.spec.history_table)
        return found.state == self.history.state and not differences(self.before, self.schema())

    def _down(self, pending: Sequence[Migration]) -> Outcome | None:
        there = [migration for migration in pending if migration.id in self.state.applied]
        if halfway := self._halfway(pending):
            self.tried.append(f"down: {halfway}, and a down file takes back the whole")
            return None
        if not there:
            self.tried.append("down: no migration of this run is applied")
            return None
        unproven = [migration.path for migration in there if migration.id not in self.downs]
        if unproven:
            self.tried.append(f"down: the rehearsal has not proven the way back of {', '.join(unproven)}")
            return None
        for migration in reversed(there):
            self._take_back(migration)
            self.tell(f"{migration.down_path}: taken back")
        if not self._as_before():
            raise DbopsError(f"after the down files: {differences(self.before, self.schema())}")
        return Outcome(DOWN, f"The down files took back {len(there)} migration(s): the schema is exactly as before")

    def _take_back(self, migration: Migration) -> None:
        take_back(self.login, self.spec, self.role, self.source, migration, self.history)
        remaining = tuple(item for item in self.state.applied if item != migration.id)
        self.state = self.store.save(replace(self.state, applied=remaining))

    def _restore(self, _pending: Sequence[Migration]) -> Outcome | None:
        if self.restore is None:
            self.tried.append("restore: there is no set of this run")
            return None
        kept = self.restore()
        return Outcome(
            RESTORE,
            f"Set {self.state.set} was restored and took the database's place: it is exactly as it was when the set "
            f"was made. What it was until now, with every row written since, is kept as {kept}: drop it when you need "
            "it no more",
            kept,
        )
