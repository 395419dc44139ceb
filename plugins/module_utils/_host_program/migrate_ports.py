# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What :mod:`_migration.run` needs of the backups, of the schema's snapshot and of the system, on this host."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._backup import (
    contents,
    drill_cluster,
    drill_load,
    drill_set,
    faults,
    restore_database,
    restore_fetch,
)
from ansible_collections.dbops.postgres.plugins.module_utils._backup.backup import Backup
from ansible_collections.dbops.postgres.plugins.module_utils._backup.backup_spec import BackupSpec
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_cluster import Cluster
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_set import BackupError
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_spec import DrillSpec
from ansible_collections.dbops.postgres.plugins.module_utils._backup.manifest import (
    DumpedDatabase,
    Manifest,
    StoredObject,
)
from ansible_collections.dbops.postgres.plugins.module_utils._backup.receipt import size_of
from ansible_collections.dbops.postgres.plugins.module_utils._backup.restore import Restore
from ansible_collections.dbops.postgres.plugins.module_utils._backup.restore_plan import RestoreSpec
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import Directory, Target
from ansible_collections.dbops.postgres.plugins.module_utils._command import run as run_tool
from ansible_collections.dbops.postgres.plugins.module_utils._host_program import backup, config
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.pooled import clients_wait
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_state import STATE
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._schema import look as schema_look
from ansible_collections.dbops.postgres.plugins.module_utils._schema import observe
from ansible_collections.dbops.postgres.plugins.module_utils._schema.compare import compare, readable
from ansible_collections.dbops.postgres.plugins.module_utils._schema.ignore import Ignore
from ansible_collections.dbops.postgres.plugins.module_utils._urls import check_url, mask_text, parse_url

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    from psycopg2 import sql

_EXTENSION_SCHEMA = """
SELECT n.nspname, (SELECT oid::bigint FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements'
"""
_MOST_LINES = 8
_NICE = 15
_ASIDE = "sets"
_ROOM = 1.3
_SPARE_BYTES = 200 * 1024**2
_NO_MATTER_HERE = ("host",)
_COMMAND_SECONDS = 6 * 3600
_LINES = 15
_BACKUP_WAIT_SECONDS = 3600


@dataclass
class HostPorts:
    """The backups of this host, for one run.

    :param backup_config: path of the configuration of backups; ``drill_config``: of drills, which may be missing.
    :param live_url: connection URL for a command; empty: over the local socket.
    """

    database: str
    login: Login
    backup_config: str = config.BACKUP_CONFIG
    drill_config: str = config.CONFIG
    command_line: Sequence[str] = ()
    directory: str = ""
    live_url: str = field(default="", repr=False)
    state: str = STATE
    tell: Callable[[str], None] = lambda _line: None
    target: Target | None = None
    set_id: str = ""

    def __post_init__(self) -> None:
        """Where copies are made, and by how many jobs: as drills do it, where they are configured."""
        self.drill = DrillSpec()
        if os.path.exists(self.drill_config):
            self.drill = config.read_config(self.drill_config).drill

    @property
    def _aside(self) -> str:
        return os.path.join(self.state, _ASIDE, quote(self.database, safe=""))

    def room(self, size: int) -> str:
        """A copy with its dump in the scratch directory, and a second database of this size beside the live one."""
        wanted = {_existing(self.drill.scratch): int(size * (_ROOM + 1)) + _SPARE_BYTES}
        data = restore_database.data_directory(self.login)
        if os.path.isdir(data):
            same = next((path for path in wanted if os.stat(path).st_dev == os.stat(data).st_dev), data)
            wanted[same] = wanted.get(same, 0) + int(size * _ROOM) + _SPARE_BYTES
        for path, need in wanted.items():
            free = drill_cluster.free_bytes(path)
            if free < need:
                raise DbopsError(
                    f"{path} has {size_of(free)} free; a copy and a way back need {size_of(need)}", "Make room first."
                )
        return f"{size_of(size)}, and room for a copy and a way back"

    def url(self, environment: str) -> None:
        """Refuse a connection URL for the command that must not be used, or that leads to another database."""
        if not self.live_url:
            return
        # On the database's own host its address may be a local one.
        problems = [item for item in check_url(self.live_url, environment) if item.rule not in _NO_MATTER_HERE]
        if problems:
            raise DbopsError(
                f"The connection URL must not be used: {'; '.join(item.text for item in problems)}",
                " ".join(item.remedy for item in problems),
            )
        if parse_url(self.live_url).database != self.database:
            raise DbopsError(
                f"The connection URL names another database than {self.database!r}", "Both have to be the same."
            )

    def backup(self, label: str) -> str:
        """A set at the targets of the host's backups."""
        if not os.path.exists(self.backup_config):
            raise DbopsError(
                f"No backup is configured on this host ({self.backup_config} is not there)",
                "Run the role backup, or say in words that you have another way back (without_backup).",
            )
        given = config.read_backup_config(self.backup_config)
        done, problem = backup.hold(given, label, _BACKUP_WAIT_SECONDS)
        if done is None or problem:
            raise DbopsError(problem or "There is no set", "Mend the backup first: journalctl -t dbops-postgres.")
        if self.database not in [item.name for item in done.manifest.databases]:
            raise DbopsError(
                f"The backups leave database {self.database!r} out (backup_databases, backup_exclude)", "Add it."
            )
        whole = [place for place in given.targets if place.name in done.targets]
        # A target on this host is read faster.
        self.target = min(whole, key=lambda place: place.off_host)
        self.set_id = done.manifest.id
        if any(item.dump.encrypted for item in done.manifest.databases) and not _readable():
            # By design a host cannot read its own backups. What is needed for the time of the run is dumped once more.
            self.aside(f"copy-{label[:30].rstrip('-')}")
        return done.manifest.id

    def aside(self, label: str) -> str:
        """A set of this database alone, on this host, for the time of the run."""
        self.clear()
        os.makedirs(self._aside, mode=0o700, exist_ok=True)
        spec = BackupSpec(
            socket=self.login.unix_socket or "/var/run/postgresql", port=self.login.port, databases=(self.database,)
        )
        place = Directory(self._aside)
        running = os.path.join(self.state, f"{quote(self.database, safe='')}-set-running.json")
        done = Backup(spec, [place], running, label, self.tell).run()
        self.target, self.set_id = place, done.manifest.id
        return self.set_id

    def use(self, set_id: str) -> None:
        """The set of the run that was interrupted."""
        places: list[Target] = [Directory(self._aside)] if os.path.isdir(self._aside) else []
        if os.path.exists(self.backup_config):
            places += config.read_backup_config(self.backup_config).targets
        unseen = []
        for place in places:
            try:
                if set_id in place.complete_sets():
                    self.target, self.set_id = place, set_id
                    return
            except (DbopsError, OSError) as error:  # another may have it
                unseen.append(f"{place.name}: {faults.said(error)}")
        if unseen:
            raise DbopsError(
                f"The set {set_id} of the interrupted run is not found, but not every target answers: "
                + "; ".join(unseen),
                "Mend the target, then run again.",
            )
        raise DbopsError(
            f"The set {set_id} of the interrupted run is at no target any more",
            "Look at the database: what is applied is in its history.",
        )

    def clear(self) -> None:
        """Remove the set that was only for this run."""
        shutil.rmtree(self._aside, ignore_errors=True)
        with contextlib.suppress(OSError):  # others may have something there
            os.rmdir(os.path.dirname(self._aside))
            os.rmdir(self.state)

    @contextlib.contextmanager
    def copy(self) -> Generator[Login, None, None]:
        """The database of the set in a cluster of its own."""
        try:
            with self._copy() as made:
                yield made.login
        except BackupError as error:
            raise DbopsError("; ".join(error.problems), error.remedy) from None

    @contextlib.contextmanager
    def _copy(self) -> Generator[Cluster, None, None]:
        if self.target is None:
            raise AssertionError(self.set_id)
        found = drill_set.opened(self.target, self.set_id)
        dumped = next((item for item in found.databases if item.name == self.database), None)
        if dumped is None:
            raise DbopsError(f"Set {self.set_id} has no database {self.database!r}")
        area = drill_cluster.area(self.drill.scratch)
        with ExitStack() as stack:
            stack.enter_context(drill_cluster.alone(area))
            key = stack.enter_context(config.identity(""))
            drill_cluster.leftovers(area)
            about = {"set": found.id, "migration of": self.database}
            made = stack.enter_context(drill_cluster.cluster(area, found.major, found.superuser, about))
            self._load(made, found, dumped, key)
            yield made

    def _load(self, made: Cluster, found: Manifest, dumped: DumpedDatabase, key: str) -> None:
        settings = drill_load.settings_for({dumped.name: dumped.extensions}, made.binaries)
        roles = self._fetched(made, found.globals, "globals", key)
        dump = self._fetched(made, dumped.dump, "dump", key)
        drill_cluster.start(made, {**settings, **dict(self.drill.settings)})
        _behind(made)
        with open(roles, encoding="utf-8") as file:
            drill_load.restore_globals(made, file.read())
        lacking = drill_load.missing_extensions(made, {dumped.name: dumped.extensions})
        lacking += drill_load.missing_locales({dumped.name: dumped.locales})
        if lacking:
            raise DbopsError("; ".join(lacking), "Install them on this host.")
        drill_load.clear_default_database(made)
        drill_load.restore(made, dumped.name, dump, self.drill.jobs)
        restore_fetch.remove(dump)
        compared = drill_set.compared(made.login, dumped.name, dumped, self.drill.jobs)
        if problems := [*compared.contents, *compared.schema]:
            raise BackupError(problems, "The set is not what was dumped: take another.")
        self._drop_new(made, dumped)

    def _drop_new(self, made: Cluster, dumped: DumpedDatabase) -> None:
        """Drop what every new database has and the dumped one had no more."""
        connection = _postgres.connect(made.login, dumped.name, autocommit=True)
        try:
            with connection.cursor() as cursor:
                for name in ("schema public", "extension plpgsql"):
                    if name not in dumped.contents.schema:
                        cursor.execute(f"DROP {name}")
        finally:
            connection.close()

    def _fetched(self, made: Cluster, item: StoredObject, name: str, key: str) -> str:
        if self.target is None:
            raise AssertionError(self.set_id)
        path = os.path.join(made.files, name)
        commands = restore_fetch.filters(item.encrypted, item.compressed, key)
        came = restore_fetch.fetch(self.target.read(self.set_id, item.name), commands, path, archive=item.archive)
        drill_cluster.give(path)
        if (came.size, came.sha256) != (item.size, item.sha256) or came.problem:
            raise BackupError([f"object {item.name} is damaged {came.problem}"], "Take another set.")
        return path

    def restore(self) -> str:
        """The set's database in the live one's place."""
        if self.target is None:
            raise DbopsError("There is no set of this run")
        spec = RestoreSpec(self.database, set=self.set_id, in_place=True, confirm=self.database)
        with config.identity("") as key:
            job = Restore(
                spec, self.target, self.login, self.drill.scratch, jobs=self.drill.jobs, identity=key, tell=self.tell
            )
            job.holding = partial(clients_wait, self.database, self.login.port, self.tell)
            try:
                return job.run().names.kept
            except BackupError as error:
                raise DbopsError("; ".join(error.problems), error.remedy) from None

    def schema(self, login: Login) -> Mapping[str, str]:
        """A fingerprint of each object of the whole catalog."""
        with _looking(login, self.database) as cursor:
            found = observe.snapshot(cursor, Ignore())
        return {
            f"{kind.replace('_', ' ')} {name}": contents.normalised(json.dumps(_fields(kind, fields), sort_keys=True))
            for kind, objects in found.objects.items()
            for name, fields in objects.items()
        }

    def drift(self, path: str) -> str:
        """What of the live schema is not as the snapshot in a file says; empty: nothing."""
        expected = schema_look.from_file(path)
        with _looking(self.login, self.database) as cursor:
            actual = observe.snapshot(cursor)
        found = compare(expected, actual)
        lines = readable(found)
        more = f" and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
        return "" if found.equal else "; ".join(lines[:_MOST_LINES]) + more

    def queries(self) -> Sequence[str] | None:
        """The statements of pg_stat_statements; None: it is not there."""
        with _looking(self.login, self.database) as cursor:
            cursor.execute(_EXTENSION_SCHEMA)
            row = cursor.fetchone()
            if row is None:
                return None
            cursor.execute(
                sql.SQL("SELECT query FROM {} WHERE dbid = %s::oid").format(
                    sql.Identifier(row[0], "pg_stat_statements")
                ),
                (row[1],),
            )
            return [found[0] for found in cursor.fetchall() if found[0]]

    def rows(self, login: Login) -> Mapping[str, str]:
        """Count and hash of each table's rows."""
        with _looking(login, self.database) as cursor:
            return {
                f"{schema}.{name}": str(contents.table(cursor, schema, name, hashed=True))
                for schema, name in contents.tables(cursor)
            }

    def command(self, login: Login) -> str:
        """Run the command that migrates; its URL is in its environment only."""
        url = self.live_url if login == self.login and self.live_url else _url(login, self.database)
        environment = {**drill_cluster.environment(), "DATABASE_URL": url}
        try:
            done = run_tool(
                self.command_line,
                _COMMAND_SECONDS,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=self.directory or "/",
                **drill_cluster.identity(),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            late = f"it was stopped after {_COMMAND_SECONDS / 3600:g} h"
            return f"{type(error).__name__}: {error.strerror}" if isinstance(error, OSError) else late
        if done.returncode == 0:
            return ""
        # alembic's error ends with the whole statement and an address, Prisma's with a frame: the reason stands above.
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()[-_LINES:]
        text = " ".join(" ".join(said).split())
        return f"status {done.returncode}: {mask_text(_postgres.mask(text, []), self.live_url)}"


@contextlib.contextmanager
def _looking(login: Login, database: str) -> Generator[Any, None, None]:
    connection = _postgres.connect(login, database)
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            contents.prepare(cursor)
            yield cursor
    finally:
        connection.close()


def _fields(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a copy has in common with its original: not the order of columns, nor the version of an extension."""
    left_out = {"columns", "version"} if kind == "extension" else {"columns"}
    return {key: value for key, value in fields.items() if key not in left_out}


def _behind(made: Cluster) -> None:
    """Let the live server go first: the sessions of the copy get what it leaves over."""
    pid = os.path.join(made.data, "postmaster.pid")
    with contextlib.suppress(OSError, ValueError), open(pid, encoding="utf-8") as file:
        os.setpriority(os.PRIO_PROCESS, int(file.readline()), _NICE)


def _readable() -> bool:
    with config.identity("") as key:
        return bool(key) and os.access(key, os.R_OK)


def _existing(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _url(login: Login, database: str) -> str:
    host = quote(login.unix_socket or "/var/run/postgresql", safe="")
    where = f"postgresql://{quote(login.user, safe='')}@localhost/{quote(database, safe='')}"
    return f"{where}?host={host}&port={login.port}"
