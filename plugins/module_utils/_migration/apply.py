# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply the pending migrations to the live database: short waits for locks, many attempts, each commit on record."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._migration import history
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_look import Validity, validity
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_session import (
    answers,
    looking,
    lost,
    migrating,
    said,
    timeouts,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_spec import MigrateSpec
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_split import Segment, Statement
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_state import Flight, State, Store, in_flight
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import GOLANG_MIGRATE, Migration, Source
from ansible_collections.dbops.postgres.plugins.module_utils._migration.take_back import segments_of
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2
    from psycopg2 import sql

_LONGEST_WAIT = 10.0
# lock_not_available, deadlock_detected, serialization_failure: nothing was done, and another attempt may succeed.
_AGAIN = ("55P03", "40P01", "40001")
_UNDEFINED_OBJECT = "42704"
_STATUS = "SELECT pg_catalog.pg_xact_status(%s::text::xid8)"


class ApplyError(DbopsError):
    """A migration failed."""


@dataclass
class Apply:
    """One application.

    :param invalid: the indexes that were invalid before this run.
    :param before: the schema before this run, as a fingerprint of each object.
    :param resumed: it goes on where another run was interrupted.
    """

    login: Login
    spec: MigrateSpec
    role: str
    source: Source
    store: Store
    state: State
    invalid: Validity
    tell: Callable[[str], None]
    before: Mapping[str, str] = field(default_factory=dict)
    waits: list[str] = field(default_factory=list)
    resumed: bool = False
    _at: Statement | None = None

    def run(self, pending: Sequence[Migration]) -> None:
        """Apply what is not applied yet of the pending ones.

        :raises ApplyError: one failed; what is committed is in the state.
        """
        for migration in pending:
            if migration.id not in self.state.applied:
                self._migration(migration)

    def _migration(self, migration: Migration) -> None:
        parts = segments_of(self.source.layout, migration)
        begin = self.state.flight.segment if self.state.flight.migration == migration.id else 0
        begun = time.monotonic()
        for number in range(begin, len(parts)):
            self._attempts(migration, parts, number, begun)
        self.state = self.store.save(replace(in_flight(self.state, "", 0), applied=(*self.state.applied, migration.id)))
        self.tell(f"{migration.path}: applied in {time.monotonic() - begun:.1f} s")

    def _attempts(self, migration: Migration, parts: Sequence[Segment], number: int, begun: float) -> None:
        segment = parts[number]
        for attempt in range(1, self.spec.attempts + 1):
            self.state = self.store.save(in_flight(self.state, migration.id, number))
            try:
                if segment.alone:
                    self._alone(migration, parts, number, again=attempt > 1 or self.resumed)
                else:
                    self._transaction(migration, parts, number, begun)
                return
            except psycopg2.Error as error:
                again = error.pgcode in _AGAIN and (not segment.alone or segment.statements[0].repeatable)
                if not again or attempt == self.spec.attempts:
                    tries = f" after {attempt} attempts" if attempt > 1 else ""
                    raise ApplyError(f"{self._where(migration, segment)}: {said(error)}{tries}", untouched="") from None
                pause = min(self.spec.backoff * 2 ** (attempt - 1), _LONGEST_WAIT) * random.uniform(0.5, 1)  # noqa: S311
                self.waits.append(f"{self._where(migration, segment)}: {said(error)}")
                self.tell(f"{self.waits[-1]}; attempt {attempt + 1} in {pause:.1f} s")
                time.sleep(pause)

    def _where(self, migration: Migration, segment: Segment) -> str:
        at = self._at or (segment.statements[0] if segment.statements else None)
        return f"{migration.path}:{at.line}" if at else migration.path

    def _transaction(self, migration: Migration, parts: Sequence[Segment], number: int, begun: float) -> None:
        """All of a segment, and of the last one the history's row, or nothing."""
        with migrating(self.login, self.spec.database, self.role) as connection:
            connection.autocommit = False
            xid = ""
            try:
                with connection.cursor() as cursor:
                    timeouts(cursor, self.spec.lock_timeout, self.spec.statement_timeout)
                    if number == 0 and len(parts) > 1:
                        self._begun(cursor, migration)
                    for statement in parts[number].statements:
                        self._at = statement
                        cursor.execute(statement.text)
                    self._at = None
                    if number == len(parts) - 1:
                        self._note(cursor, migration, begun)
                    cursor.execute("SELECT pg_catalog.pg_current_xact_id()::text")
                    xid = str(cursor.fetchone()[0])
                self.state = self.store.save(in_flight(self.state, migration.id, number, xid))
                connection.commit()
            except psycopg2.Error as error:
                if xid and lost(connection, error) and committed(self.login, self.spec.database, xid):
                    return
                raise

    def _alone(self, migration: Migration, parts: Sequence[Segment], number: int, *, again: bool) -> None:
        """One statement outside a transaction block: in a lane of its own, with a long patience for locks.

        CREATE INDEX CONCURRENTLY and its like wait for old transactions while everybody reads and writes.
        """
        statement = parts[number].statements[0]
        self._at = statement
        with migrating(self.login, self.spec.database, self.role) as connection, connection.cursor() as cursor:
            if number == 0:
                self._begun(cursor, migration)
            concurrent = "CONCURRENTLY" in statement.plain.upper()
            timeouts(cursor, 0 if concurrent else self.spec.lock_timeout, self.spec.concurrently_timeout)
            try:
                cursor.execute(statement.text)
            except psycopg2.Error as error:
                self.mend()
                # A DROP that was cut off leaves an invalid index, which is then dropped here already.
                if not (again and error.pgcode == _UNDEFINED_OBJECT and statement.plain.upper().startswith("DROP")):
                    raise
            self._at = None

    def _begun(self, cursor: Any, migration: Migration) -> None:
        if self.source.layout == GOLANG_MIGRATE:
            history.begin(cursor, self._table(cursor), migration)

    def _note(self, cursor: Any, migration: Migration, begun: float) -> None:
        history.keep(cursor, self.source.layout)
        table = self._table(cursor)
        history.record(cursor, self.source.layout, table, migration, time.monotonic() - begun)

    def _table(self, cursor: Any) -> tuple[str, str]:
        layout, name = self.source.layout, self.spec.history_table
        return history.read(cursor, layout, name).table or history.create(cursor, layout, name)

    def mend(self) -> list[str]:
        """Drop the invalid indexes that a concurrent build of this run has left."""
        with looking(self.login, self.spec.database) as cursor:
            left = [item for item in validity(cursor).indexes if item not in self.invalid.indexes]
        for schema, name in left:
            with migrating(self.login, self.spec.database, self.role) as connection, connection.cursor() as cursor:
                timeouts(cursor, 0, self.spec.concurrently_timeout)
                cursor.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(schema, name)))
            self.tell(f"dropped the invalid index {schema}.{name} that a failed build had left")
        return [f"{schema}.{name}" for schema, name in left]

    def resume(self, pending: Sequence[Migration]) -> list[str]:
        """Find out what became of the segment that was running when the run before was interrupted; in words."""
        words = []
        with looking(self.login, self.spec.database) as cursor:
            done = history.read(cursor, self.source.layout, self.spec.history_table)
        wanted = {migration.id: migration for migration in pending}
        applied = self._applied(pending, done)
        flight = self.state.flight
        self.state, self.resumed = replace(self.state, applied=applied), True
        dropped = self.mend()
        words += [f"the invalid index {name} was dropped" for name in dropped]
        if flight.migration in wanted and flight.migration not in applied:
            migration = wanted[flight.migration]
            segment = segments_of(self.source.layout, migration)[flight.segment]
            if segment.alone and not segment.statements[0].repeatable:
                raise DbopsError(
                    f"{migration.path}:{segment.statements[0].line} was running when the run was interrupted, and how "
                    "far it came cannot be known",
                    "It is taken back.",
                    untouched="",
                )
            if self._was_done(flight.xid, segment):
                self.state = in_flight(self.state, flight.migration, flight.segment + 1)
                words.append(f"{migration.path} is applied in part, and goes on where it was interrupted")
        self.state = self.store.save(self.state)
        return [f"{len(applied)} of {len(pending)} migration(s) were applied", *words]

    def settle(self, pending: Sequence[Migration]) -> None:
        """After a failure: what is applied is what the database says, whatever could be written down.

        :raises DbopsError: the server does not answer.
        """
        answers(self.login, self.spec.database)
        with looking(self.login, self.spec.database) as cursor:
            now = history.read(cursor, self.source.layout, self.spec.history_table)
        applied = self._applied(pending, now)
        flight = Flight() if self.state.flight.migration in applied else self.state.flight
        self.state = replace(self.state, applied=applied, flight=flight)

    def _applied(self, pending: Sequence[Migration], history_now: history.History) -> tuple[str, ...]:
        open_ids = {migration.id for migration in history.pending(self.source, history_now)}
        return tuple(migration.id for migration in pending if migration.id not in open_ids)

    def _was_done(self, xid: str, segment: Segment) -> bool:
        if xid:
            return committed(self.login, self.spec.database, xid)
        name = segment.statements[0].concurrent_index if segment.alone else ""
        if not name:
            return False
        with looking(self.login, self.spec.database) as cursor:
            cursor.execute(
                "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_index i"
                " JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
                " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = %s AND i.indisvalid",
                (name.rpartition(".")[2],),
            )
            # Not one of the same name in another schema, which was there before.
            return any(f"index {row[0]}" not in self.before for row in cursor.fetchall())


def committed(login: Login, database: str, xid: str) -> bool:
    """Whether a transaction was committed; waits while it is still ending."""
    answers(login, database)
    end = time.monotonic() + 60
    while True:
        with looking(login, database) as cursor:
            cursor.execute(_STATUS, (xid,))
            status = str(cursor.fetchone()[0])
        if status != "in progress" or time.monotonic() > end:
            return status == "committed"
        time.sleep(0.2)
