# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rehearsal: the pending migrations on a copy, statement by statement, with what each would do to its neighbours.

A second session looks at the locks of the first. It sees only what is committed, so a lock on a table that the
migration itself has just made, which nobody waits for, is not among them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._migration import history
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_session import migrating, said, timeouts
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_spec import MigrateSpec
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_split import Segment, Statement
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import Migration, Source
from ansible_collections.dbops.postgres.plugins.module_utils._migration.take_back import segments_of, take_back
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2

_LOCKS = """
SELECT l.mode, n.nspname || '.' || c.relname
  FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE l.pid = %s AND l.locktype = 'relation' AND l.granted AND n.nspname !~ '^pg_'
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND c.relkind IN ('r', 'p', 'm', 'v', 'i', 'I', 'S', 'f')
"""
_FILES = """
SELECT c.oid::bigint, n.nspname || '.' || c.relname, pg_catalog.pg_relation_filenode(c.oid)::bigint
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


@dataclass(frozen=True)
class Trace:
    """What one statement did.

    :param locks: mode and object of each lock that it took first.
    :param rewritten: tables whose rows were all written anew.
    """

    file: str
    line: int
    statement: str
    seconds: float
    rows: int
    locks: tuple[tuple[str, str], ...] = ()
    rewritten: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """A lock, from the statement that took it to the commit."""

    file: str
    mode: str
    object: str
    seconds: float


@dataclass
class Rehearsal:
    """What was seen.

    :param after: the schema after all of it; ``downs``: the ids whose ``down`` leads back to what was before them.
    :param wrong_downs: what is wrong with the others, by id.
    """

    traces: list[Trace] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    after: Mapping[str, str] = field(default_factory=dict)
    history_after: history.History | None = None
    downs: set[str] = field(default_factory=set)
    wrong_downs: dict[str, str] = field(default_factory=dict)

    def longest(self, modes: Sequence[str]) -> float:
        """How long the longest lock of these modes was held."""
        return max((item.seconds for item in self.held if item.mode in modes), default=0.0)

    def beyond(self, limits: Mapping[str, float]) -> list[str]:
        """The locks that were held for longer than their limit."""
        return [
            f"{item.file}: {item.mode} on {item.object} for {item.seconds:.1f} s, at most {limits[item.mode]:g} s"
            for item in self.held
            if item.mode in limits and item.seconds > limits[item.mode]
        ]


class SpoiledError(Exception):
    """The copy is not what it should be any more: another is needed."""


@dataclass
class Copy:
    """The copy of the database on which it is rehearsed.

    :param before: the history that it came with.
    :param schema: looks at the schema; ``rows``: at the rows of every table.
    """

    login: Login
    spec: MigrateSpec
    role: str
    source: Source
    before: history.History
    schema: Callable[[], Mapping[str, str]]
    rows: Callable[[], Mapping[str, str]]
    found: Rehearsal = field(default_factory=Rehearsal)

    def forwards(self, pending: Sequence[Migration]) -> None:
        """Apply them all. Each that has a file to take it back is taken back at once, compared, and applied again.

        :raises SpoiledError: such a file is wrong, and has left the copy as it should not be.
        :raises DbopsError: a statement fails, with its file and line.
        """
        state = self.schema()
        for migration in pending:
            proves = migration.down_sql is not None and migration.id not in self.found.wrong_downs
            rows = self.rows() if proves else {}
            self._apply(migration)
            if proves:
                self._prove(migration, state, rows)
                traced = len(self.found.traces), len(self.found.held)
                self._apply(migration)
                del self.found.traces[traced[0] :], self.found.held[traced[1] :]
            state = self.schema()
        self.found.after = state

    def _prove(self, migration: Migration, state: Mapping[str, str], rows: Mapping[str, str]) -> None:
        try:
            take_back(self.login, self.spec, self.role, self.source, migration, self.before)
            problem = differences(state, self.schema())
            if not problem and self.rows() != rows:
                problem = "the rows are not what they were before"
        except (psycopg2.Error, DbopsError) as error:
            problem = said(error)
        if problem:
            self.found.wrong_downs[migration.id] = f"{migration.down_path}: {problem}"
            raise SpoiledError
        self.found.downs.add(migration.id)

    def _apply(self, migration: Migration) -> None:
        parts = segments_of(self.source.layout, migration)
        begun = time.monotonic()
        with migrating(self.login, self.spec.database, self.role) as connection:
            for number, segment in enumerate(parts):
                last = number >= len(parts) - 1
                with self._segment(connection, migration.path, segment) as cursor:
                    if last:
                        self._note(cursor, migration, begun)

    def _note(self, cursor: Any, migration: Migration, begun: float) -> None:
        layout = self.source.layout
        history.keep(cursor, layout)
        table = history.read(cursor, layout, self.spec.history_table).table
        table = table or history.create(cursor, layout, self.spec.history_table)
        history.record(cursor, layout, table, migration, time.monotonic() - begun)

    @contextlib.contextmanager
    def _segment(self, connection: Any, path: str, segment: Segment) -> Iterator[Any]:
        """Run a segment; what is done with the cursor afterwards is in its transaction, if it has one."""
        watcher = _postgres.connect(self.login, self.spec.database, autocommit=True)
        taken: dict[tuple[str, str], float] = {}
        try:
            connection.autocommit = segment.alone
            with watcher.cursor() as watching, connection.cursor() as cursor:
                timeouts(cursor, 0, self.spec.concurrently_timeout if segment.alone else self.spec.statement_timeout)
                for statement in segment.statements:
                    self._statement(cursor, watching, path, statement, taken, connection.info.backend_pid)
                yield cursor
                if not segment.alone:
                    connection.commit()
            end = time.monotonic()
            self.found.held += [Held(path, mode, name, end - since) for (mode, name), since in taken.items()]
        finally:
            watcher.close()
            if not connection.closed and not connection.autocommit:
                connection.rollback()
                connection.autocommit = True

    def _statement(
        self, cursor: Any, watching: Any, path: str, statement: Statement, taken: dict[tuple[str, str], float], pid: int
    ) -> None:
        first = statement.plain.split(" ", 1)[0].upper()
        # What can write a table anew; the others are spared the look.
        looks = first in ("ALTER", "VACUUM", "CLUSTER", "TRUNCATE", "REFRESH", "DO", "CALL", "SELECT")
        before = _files(cursor) if looks else {}
        begun = time.monotonic()
        try:
            cursor.execute(statement.text)
        except psycopg2.Error as error:
            raise DbopsError(
                f"{path}:{statement.line}: {said(error)}. Statement: {statement.shown}", "Mend the file."
            ) from None
        seconds = time.monotonic() - begun
        rows = cursor.rowcount if first in ("INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "WITH") else -1
        watching.execute(_LOCKS, (pid,))
        new = sorted(lock for lock in ((row[0], row[1]) for row in watching.fetchall()) if lock not in taken)
        taken.update(dict.fromkeys(new, begun))
        after = _files(cursor) if looks else {}
        rewritten = tuple(
            sorted(name for oid, (name, node) in before.items() if oid in after and after[oid][1] != node)
        )
        self.found.traces.append(Trace(path, statement.line, statement.shown, seconds, rows, tuple(new), rewritten))


def _files(cursor: Any) -> dict[int, tuple[str, int]]:
    cursor.execute(_FILES)
    return {row[0]: (row[1], row[2]) for row in cursor.fetchall()}


def differences(wanted: Mapping[str, str], found: Mapping[str, str], most: int = 5) -> str:
    """What is not as it should be, in words; empty: nothing."""
    lines = [
        *(f"{name} is missing" for name in wanted if name not in found),
        *(f"{name} is too many" for name in found if name not in wanted),
        *(f"{name} is defined differently" for name in wanted if name in found and found[name] != wanted[name]),
    ]
    more = f" and {len(lines) - most} more" if len(lines) > most else ""
    return "; ".join(lines[:most]) + more
