# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the backup of one cluster: a set, at each target, that is complete only when all of it is proven there.

Each database is dumped in an exported snapshot; its rows are counted and hashed in the same one, while the dump runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._backup import (
    backup_directory,
    contents,
    drill_cluster,
    faults,
    manifest,
    target,
)
from ansible_collections.dbops.postgres.plugins.module_utils._backup.backup_spec import BackupSpec, chosen
from ansible_collections.dbops.postgres.plugins.module_utils._backup.backup_stream import Fan, send
from ansible_collections.dbops.postgres.plugins.module_utils._backup.manifest import (
    DumpedDatabase,
    Manifest,
    StoredObject,
)
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import Target
from ansible_collections.dbops.postgres.plugins.module_utils._evidence import replace
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    import psycopg2

# pg_dump compresses with zstd itself from this version on.
_ZSTD_INSIDE = 16
_NAMES = 3
# What PostgreSQL and pg_dump say of what has gone since the snapshot, which does not hold for all that they look up.
_ATTEMPTS = 5
_CHANGED = (
    "does not exist",
    "cache lookup failed",
    "could not open relation",
    "deadlock detected",
    "canceling statement due to statement timeout",
)
# pg_dump can wait only for who wants to change a table and waits for us: that would never end.
_DUMP_LOCK_SECONDS = 5
_TELL_SECONDS = 0.5
_LOG = "Look at PostgreSQL's log; the next run begins anew."
_DATABASES = """
SELECT datname FROM pg_catalog.pg_database
 WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2 ORDER BY datname
"""
_SERVER = """
SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000,
       (SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10)
"""
_COPYING = """
SELECT p.relid::regclass::text FROM pg_catalog.pg_stat_progress_copy p
 WHERE p.datname = current_database() AND p.command = 'COPY TO' LIMIT 1
"""


@dataclass(frozen=True)
class Done:
    """What a run has made.

    :param failed: targets that do not have the set, and why.
    """

    manifest: Manifest
    seconds: float
    targets: tuple[str, ...]
    failed: dict[str, str]


@dataclass
class Backup:
    """One run.

    :param state: a file that names the set while it is being written, so that a run that was killed is cleaned up by
        the next.
    :param tell: is told a line for each step; ``progress``: database, bytes stored, table.
    """

    spec: BackupSpec
    targets: list[Target]
    state: str
    label: str = "nightly"
    tell: Callable[[str], None] = lambda _line: None
    progress: Callable[[str, int, str], None] | None = None
    clock: Callable[[], float] = time.time
    fan: Fan = field(init=False)

    @property
    def login(self) -> Login:
        """The cluster, by its socket and as the operating system's user."""
        return Login(unix_socket=self.spec.socket, port=self.spec.port)

    def run(self) -> Done:
        """Make a set.

        :raises DbopsError: there is no set at any target; what was begun of it is removed.
        """
        begun = time.monotonic()
        self.fan = Fan(self.targets)
        version, major, superuser, names = self._server()
        self.clean_up()
        set_id = self._new_id()
        with self._written(set_id):
            self.tell(f"Set {set_id}: {len(names)} database(s) of PostgreSQL {version}")
            made_globals = self._globals(set_id, major)
            moments: list[float] = []
            found = (self._reported(set_id, name, major, moments) for name in names)
            dumped = tuple(database for database in found if database)
            if not dumped:
                raise DbopsError("All databases were dropped meanwhile", "Run it again.")
            levels = {table.hash is None for database in dumped for table in database.contents.tables.values()}
            made = Manifest(
                set_id,
                moments[0],
                self.spec.cluster,
                version,
                major,
                superuser,
                "counts" if True in levels else "hashes",
                made_globals,
                dumped,
            )
            self._complete(made)
        return Done(made, time.monotonic() - begun, tuple(item.name for item in self.fan.alive), self.fan.failed)

    def _new_id(self) -> str:
        """A name that no target has: another run may have had this second, or the clock has jumped."""
        for _attempt in range(_NAMES):
            set_id = target.set_id(self.label, self.clock())
            taken: list[str] = []
            self.fan.each(lambda place: taken.append(place.name) if _has(place, set_id) else None)  # noqa: B023
            if not taken:
                return set_id
            time.sleep(1)
        raise DbopsError(f"{taken[0]} has a set {set_id} already", "Look at this host's clock.")

    def clean_up(self) -> None:
        """Remove what a run that was killed has left: its set, unless that was completed."""
        try:
            with open(self.state, encoding="utf-8") as file:
                left = str(json.load(file)["set"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            left = ""
        with faults.named(self.state):
            os.unlink(self.state)
        if self.spec.scratch:
            backup_directory.remove(self.spec.scratch)
        if not target.SET_ID.fullmatch(left):
            return
        for place in self.targets:
            try:
                if place.size(left, manifest.COMPLETE) == -1:
                    place.remove(left)
                    self.tell(f"{place.name}: removed what an interrupted run had left: {left}")
            except (DbopsError, OSError) as error:
                self.tell(f"Not removed, as it will be when it is a day old: {left}. {error}")

    @contextlib.contextmanager
    def _written(self, set_id: str) -> Generator[None, None, None]:
        with faults.named(self.state):
            replace(self.state, json.dumps({"set": set_id, "pid": os.getpid()}))
        try:
            yield
        except BaseException:
            self._remove(set_id, self.fan.touched)
            raise
        finally:
            with contextlib.suppress(OSError):  # the next run finds a set that is complete, or nothing
                os.unlink(self.state)
        self._remove(set_id, self.fan.touched & set(self.fan.failed))

    def _remove(self, set_id: str, names: set[str]) -> None:
        for place in self.targets:
            if place.name in names:
                with contextlib.suppress(DbopsError, OSError):
                    place.remove(set_id)

    def _server(self) -> tuple[str, int, str, list[str]]:
        connection = _postgres.connect(self.login, autocommit=True)
        try:
            with _postgres.reported("The list of databases", _LOG), connection.cursor() as cursor:
                cursor.execute(_SERVER)
                version, major, superuser = cursor.fetchone() or ("", 0, "")
                cursor.execute(_DATABASES)
                there = [row[0] for row in cursor.fetchall()]
        finally:
            connection.close()
        drill_cluster.binaries_of(major, ("pg_dump", "pg_dumpall"), "The server")
        return version, int(major), superuser, chosen(self.spec, there)

    def _tool(self, name: str, major: int, *arguments: str) -> list[str]:
        where = [f"--host={self.spec.socket}", f"--port={self.spec.port}", "--username=postgres", "--no-password"]
        return [os.path.join(drill_cluster.BINARIES.format(major=major), name), *where, *arguments]

    @property
    def _encryption(self) -> list[list[str]]:
        if not self.spec.recipients:
            return []
        return [["age", "--encrypt", *(f"--recipient={recipient}" for recipient in self.spec.recipients)]]

    def _globals(self, set_id: str, major: int) -> StoredObject:
        """Roles and tablespaces; the roles' passwords only where they are encrypted."""
        encrypted = bool(self.spec.recipients)
        options = ["--globals-only", *([] if encrypted else ["--no-role-passwords"])]
        name = "globals.sql.age" if encrypted else "globals.sql"
        sent = send(self.fan, set_id, name, [self._tool("pg_dumpall", major, *options), *self._encryption])
        return StoredObject(name, sent.size, sent.sha256, encrypted=encrypted)

    def _reported(self, set_id: str, name: str, major: int, moments: list[float]) -> DumpedDatabase | None:
        """A database's dump; nothing, if nobody has asked for this database and it is not there any more."""
        left = _ATTEMPTS
        while True:
            left -= 1
            try:
                with _postgres.reported(f"Database {name}", _LOG):
                    return self._database(set_id, name, major, moments)
            except DbopsError as error:
                if not self.spec.databases and self._gone(name):
                    self.tell(f"{name}: it was dropped meanwhile, and is not in the set")
                    return None
                if not left or not any(words in error.problem for words in _CHANGED):
                    raise
                self.tell(f"{name}: its schema changes ({error.problem.rstrip('.')}); again, in a new snapshot")

    def _gone(self, name: str) -> bool:
        """Whether the server is there, and the database is not."""
        try:
            return name not in self._server()[3]
        except DbopsError:
            return False

    def _database(self, set_id: str, name: str, major: int, moments: list[float]) -> DumpedDatabase:
        begun = time.monotonic()
        holder = _postgres.connect(self.login, name)
        looker = _postgres.connect(self.login, name)
        try:
            snapshot, size = _export(holder)
            moment = self.clock()
            _import(looker, snapshot)
            with self._patient(looker, name) as cursor:
                sequences = contents.sequences(cursor)  # they do not obey snapshots: before the dump begins
                schema = contents.schema(cursor)
                facts = (contents.extensions(cursor), contents.roles(cursor), contents.options(cursor))
                large_objects = contents.large_objects(cursor)
                contents.lock(cursor)  # before pg_dump: who comes to change a table later waits for the end of both
            with ThreadPoolExecutor(max_workers=1) as pool:
                tables = pool.submit(self._tables, looker, size)
                try:
                    dump = self._dump(set_id, name, major, size, snapshot, holder)
                    held = tables.result()
                except BaseException:
                    _end(tables, looker)
                    raise
        finally:
            looker.close()
            holder.close()
        moments.append(moment)
        found = contents.Contents(held, sequences, schema, large_objects)
        self.tell(
            f"{name}: {len(held)} tables, {found.rows} rows, {dump.size} bytes stored, {time.monotonic() - begun:.1f} s"
        )
        return DumpedDatabase(name, dump, size, *facts, found)

    @contextlib.contextmanager
    def _patient(self, connection: Any, name: str) -> Generator[Any, None, None]:
        """Wait for who changes a table, and say who it was if that was in vain."""
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{self.spec.lock_wait_seconds}s",))
                yield cursor
        except psycopg2.Error as error:
            raise DbopsError(
                f"Database {name}: {_postgres.told(error)}", _postgres.in_the_way(connection, error)
            ) from None

    def _tables(self, connection: Any, size: int) -> dict[str, contents.TableContents]:
        small = size <= self.spec.hash_limit_gib * 1024**3
        hashed = self.spec.level == "hashes" or (self.spec.level == "auto" and small)
        with connection.cursor() as cursor:
            return {
                f"{schema}.{table}": contents.table(cursor, schema, table, hashed=hashed)
                for schema, table in contents.tables(cursor)
            }

    def _dump(self, set_id: str, name: str, major: int, size: int, snapshot: str, holder: Any) -> StoredObject:
        inside = major >= _ZSTD_INSIDE
        level, jobs = self.spec.compression, self.spec.jobs
        compression = f"zstd:level={level}" if inside else "0"
        parallel = jobs > 1
        command = self._tool(
            "pg_dump",
            major,
            *(["--format=directory", f"--jobs={jobs}"] if parallel else ["--format=custom"]),
            f"--snapshot={snapshot}",
            f"--compress={compression}",
            f"--lock-wait-timeout={min(_DUMP_LOCK_SECONDS, self.spec.lock_wait_seconds)}s",
            f"--dbname={_conninfo(name)}",
        )
        outside = [] if inside else [["zstd", f"-{level}", "--quiet", "--stdout"]]
        encrypted = bool(self.spec.recipients)
        endings = [".dump", ".tar" if parallel else "", "" if inside else ".zst", ".age" if encrypted else ""]
        stored = quote(name, safe="") + "".join(endings)
        report = self.progress
        told = 0.0

        def progress(so_far: int) -> None:
            nonlocal told
            if report and time.monotonic() - told >= _TELL_SECONDS:  # each time asks the server which table it is
                told = time.monotonic()
                report(name, so_far, _copying(holder))

        with contextlib.ExitStack() as stack:
            if parallel:
                command = stack.enter_context(backup_directory.dumped(self.spec.scratch, command, size))
            sent = send(self.fan, set_id, stored, [command, *outside, *self._encryption], progress if report else None)
        return StoredObject(stored, sent.size, sent.sha256, encrypted, compressed=not inside, archive=parallel)

    def _complete(self, made: Manifest) -> None:
        text = manifest.to_json(made)
        self.fan.each(lambda place: target.put(place, made.id, manifest.MANIFEST, text.encode()))
        stored = [made.globals, *(database.dump for database in made.databases)]

        def whole(place: Target) -> None:
            for item in stored:
                size = place.size(made.id, item.name)
                if size != item.size:
                    raise DbopsError(
                        f"{place.name}: object {item.name} has {size} bytes of {item.size}",
                        "Somebody else writes to this target.",
                    )
            target.put(place, made.id, manifest.COMPLETE, manifest.complete(text).encode())

        self.fan.each(whole)


def _end(tables: Future[dict[str, contents.TableContents]], looker: Any) -> None:
    """Cancel it, also when it is just between two tables: the next would else be counted to its end."""
    while not tables.done():
        _postgres.cancel(looker)
        wait([tables], timeout=0.2)


def _has(place: Target, set_id: str) -> bool:
    return place.size(set_id, manifest.COMPLETE) != -1


def _export(connection: Any) -> tuple[str, int]:
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    with connection.cursor() as cursor:
        contents.prepare(cursor)
        cursor.execute("SELECT pg_export_snapshot(), pg_database_size(current_database())")
        snapshot, size = cursor.fetchone()
    return str(snapshot), int(size)


def _import(connection: Any, snapshot: str) -> None:
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION SNAPSHOT %s", (snapshot,))  # has to be the first
        contents.prepare(cursor)


def _copying(connection: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(_COPYING)
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def _conninfo(database: str) -> str:
    """A name as libpq's connection string, since one with = in it would be read as such a string."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"
