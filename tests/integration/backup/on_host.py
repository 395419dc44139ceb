# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a throwaway host, beside the collection's module_utils: makes a set as simply as can be, and holds a drill.

    python3 on_host.py make ROOT SET DATABASE... [--recipient FILE] [--zstd]
    python3 on_host.py drill ROOT CONFIG
    python3 on_host.py restore ROOT SPEC
    python3 on_host.py program ARGUMENT...
    python3 on_host.py killed
    python3 on_host.py killed-drills ROOT CONFIG STEP...

A drill prints its receipt, a restore what it did. DBOPS_KILL=step makes a drill kill itself as that step begins, and
a restore in the place of the call of that name; DBOPS_HOLD=step makes a drill wait there for the file GO.
DBOPS_KILL_AT=7 makes the program kill itself before the seventh thing that a backup does with its targets;
DBOPS_CLOCK=60 makes its clock go a minute fast; DBOPS_ATTEMPTS=2 makes it ask S3 twice only; DBOPS_CUT=public.x makes
the session that counts end at that table; DBOPS_DEADLOCK=1 makes each parallel pg_restore end with one. ``killed``
makes one backup for each such moment, and tells of each how it ended and what is complete then; ``killed-drills`` one
drill for each step.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ.get("DBOPS_CODE", "/opt/dbops"))

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._backup import (
    contents,
    drill_cluster,
    manifest,
    receipt,
    restore_database,
)
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill import Drill
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_set import BackupError
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_spec import drill_from
from ansible_collections.dbops.postgres.plugins.module_utils._backup.restore import Restore
from ansible_collections.dbops.postgres.plugins.module_utils._backup.restore_plan import RestoreSpec
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import Directory, Target
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

LIVE = Login()
GO = "/run/dbops-test-go"
RUN = drill_cluster.run
# As PostgreSQL 17 said it, once in some dozen restores of thirty partitioned tables with such a constraint.
DEADLOCK = b"""pg_restore: error: could not execute query: ERROR:  deadlock detected
DETAIL:  Process 5121 waits for AccessExclusiveLock on relation 82273 of database 82113; blocked by process 5120.
Process 5120 waits for AccessShareLock on relation 82183 of database 82113; blocked by process 5121.
HINT:  See server log for query details.
Command was: ALTER TABLE public.events30
    ADD CONSTRAINT young CHECK ((at > '2000-01-01'::date)) NOT VALID;


pg_restore: error: a worker process died unexpectedly
"""
# As small as a part can be for these tests: so a small dump has many, and nothing of it waits in memory.
PART = 256 << 10


def stored(directory: Path, name: str, command: list[str], filters: list[list[str]]) -> manifest.StoredObject:
    path = directory / name
    with path.open("wb") as file:
        processes: list[subprocess.Popen[bytes]] = []
        commands = [command, *filters]
        for number, one in enumerate(commands):
            out = file if number == len(commands) - 1 else subprocess.PIPE
            before = processes[-1].stdout if processes else subprocess.DEVNULL
            processes.append(subprocess.Popen(one, stdin=before, stdout=out))
        for process in processes:
            if process.wait() != 0:
                sys.exit(f"{process.args!r} failed")
    data = path.read_bytes()
    programs = [one[0] for one in filters]
    return manifest.StoredObject(
        name, len(data), hashlib.sha256(data).hexdigest(), "age" in programs, "zstd" in programs
    )


def make(root: str, set_id: str, databases: list[str], recipient: str, zstd: bool) -> None:
    directory = Path(root, set_id)
    directory.mkdir(parents=True)
    filters = [["zstd", "-1", "--quiet", "--stdout"]] if zstd else []
    filters += [["age", "--recipients-file", recipient]] if recipient else []
    dumped = []
    moment = time.time()
    for name in databases:
        connection = _postgres.connect(LIVE, name)
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            contents.prepare(cursor)
            cursor.execute("SELECT pg_export_snapshot(), pg_database_size(current_database())")
            snapshot, size = cursor.fetchone() or ("", 0)
            held = contents.Contents(
                tables={f"{s}.{t}": contents.table(cursor, s, t, hashed=True) for s, t in contents.tables(cursor)},
                sequences=contents.sequences(cursor),
                schema=contents.schema(cursor),
                large_objects=contents.large_objects(cursor),
            )
            command = ["pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--compress={0 if zstd else 1}", name]
            dump = stored(directory, f"{name}.dump", command, filters)
            dumped.append(
                manifest.DumpedDatabase(
                    name,
                    dump,
                    size,
                    contents.extensions(cursor),
                    contents.roles(cursor),
                    contents.options(cursor),
                    held,
                )
            )
        connection.close()
    kept = [one for one in filters if one[0] == "age"]
    roles = stored(directory, "globals.sql", ["pg_dumpall", "--globals-only", "--no-role-passwords"], kept)
    connection = _postgres.connect(LIVE)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000,"
            " (SELECT rolname FROM pg_roles WHERE oid = 10)"
        )
        version, major, superuser = cursor.fetchone() or ("", 0, "")
    found = manifest.Manifest(set_id, moment, "main", version, major, superuser, "hashes", roles, tuple(dumped))
    text = manifest.to_json(found)
    (directory / manifest.MANIFEST).write_text(text)
    (directory / manifest.COMPLETE).write_text(manifest.complete(text))


def deadlocking(command: Sequence[str], **given: Any) -> subprocess.CompletedProcess[bytes]:
    done = RUN(command, **given)
    parallel = command[0].endswith("/pg_restore") and "--jobs=2" in command
    return subprocess.CompletedProcess(command, 1, b"", DEADLOCK) if parallel else done


def told(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
    if line == f"{os.environ.get('DBOPS_KILL')} ...":
        os.kill(os.getpid(), signal.SIGKILL)
    while line == f"{os.environ.get('DBOPS_HOLD')} ..." and not Path(GO).exists():
        time.sleep(0.02)


def drill(root: str, config: str) -> int:
    given = json.loads(config)
    chosen, identity = given.pop("set", ""), given.pop("identity", "")
    found = Drill(drill_from(given), Directory(root), identity=identity, set_id=chosen, tell=told).hold()
    print(receipt.to_json(found))
    told(receipt.to_markdown(found, "now"))
    return 0 if found.passed else 1


def restore(root: str, given: str) -> int:
    wanted = json.loads(given)
    identity, go = wanted.pop("identity", ""), wanted.pop("go", True)
    wanted["tables"] = tuple(wanted.get("tables", ()))
    name = os.environ.get("DBOPS_KILL", "")
    if name:
        setattr(restore_database, name, lambda *_args: os.kill(os.getpid(), signal.SIGKILL))
    job = Restore(
        RestoreSpec(**wanted), Directory(root), LIVE, "/var/lib/postgresql/scratch", identity=identity, tell=told
    )
    try:
        done = job.run() if go else job.plan()
    except (DbopsError, BackupError) as error:
        told(f"{error} {getattr(error, 'remedy', '')}")
        return 1
    print(json.dumps(dataclasses.asdict(done)))
    return 0


def killed_drills(root: str, config: str, steps: list[str]) -> int:
    for step in steps:
        told(f"== {step}")
        child = os.fork()
        if not child:
            os.environ["DBOPS_KILL"] = step
            os._exit(drill(root, config))
        _pid, status = os.waitpid(child, 0)
        print(json.dumps([step, os.waitstatus_to_exitcode(status)]), flush=True)
    return 0


def killed() -> int:
    """In processes of their own, but with what they import only once."""
    from ansible_collections.dbops.postgres.plugins.module_utils._host_program import backup, config, status

    # Two of each client: a connection must not be shared with a child.
    theirs, ours = (config.read_backup_config(config.BACKUP_CONFIG) for _each in range(2))
    backup.read_backup_config = lambda _path: theirs  # type: ignore
    for moment in range(1, 200):
        child = os.fork()
        if not child:
            os.environ["DBOPS_KILL_AT"] = str(moment)
            os._exit(program_of(["backup", "--label", f"killed-{moment}"]))
        _pid, ended = os.waitpid(child, 0)
        found = status.status(ours, time.time())["targets"]
        complete = [[item["id"] for item in place["sets"] if item["complete"]] for place in found]
        print(json.dumps([os.waitstatus_to_exitcode(ended), complete]), flush=True)
        if not ended:
            return 0
    return 1


def program_of(arguments: list[str]) -> int:
    # Only here: of a drill from a directory boto3 would be half of the time.
    from ansible_collections.dbops.postgres.plugins.module_utils import _s3
    from ansible_collections.dbops.postgres.plugins.module_utils._backup import backup, backup_stream, target_s3
    from ansible_collections.dbops.postgres.plugins.module_utils._host_program.program import main

    target_s3.PART = PART
    _s3._ATTEMPTS = int(os.environ.get("DBOPS_ATTEMPTS", _s3._ATTEMPTS))
    cut, table = os.environ.get("DBOPS_CUT"), contents.table

    def ending(cursor: Any, schema: str, name: str, *, hashed: bool) -> contents.TableContents:
        if f"{schema}.{name}" == cut:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return table(cursor, schema, name, hashed=hashed)

    contents.table = ending
    left = int(os.environ.get("DBOPS_KILL_AT", "0"))
    each, clock = backup_stream.Fan.each, time.time

    def deadly(fan: backup_stream.Fan, do: Callable[[Target], None]) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        each(fan, do)

    if left:
        backup_stream._READ = 512 << 10  # fewer moments, of the same kinds
    backup_stream.Fan.each = deadly  # type: ignore
    ahead = float(os.environ.get("DBOPS_CLOCK", "0"))
    if ahead:
        time.time = lambda: clock() + ahead
        make: Any = backup.Backup.__init__
        backup.Backup.__init__ = lambda self, *given: make(self, *given, time.time)  # type: ignore
    return main(arguments)


if __name__ == "__main__":
    if sys.argv[1:2] == ["program"]:
        sys.exit(program_of(sys.argv[2:]))
    if sys.argv[1:2] == ["killed"]:
        sys.exit(killed())
    if sys.argv[1:2] == ["killed-drills"]:
        sys.exit(killed_drills(sys.argv[2], sys.argv[3], sys.argv[4:]))
    if os.environ.get("DBOPS_DEADLOCK"):
        drill_cluster.run = deadlocking
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=["make", "drill", "restore"])
    parser.add_argument("root")
    parser.add_argument("rest", nargs="+")
    parser.add_argument("--recipient", default="")
    parser.add_argument("--zstd", action="store_true")
    arguments = parser.parse_args()
    if arguments.job == "drill":
        sys.exit(drill(arguments.root, arguments.rest[0]))
    if arguments.job == "restore":
        sys.exit(restore(arguments.root, arguments.rest[0]))
    make(arguments.root, arguments.rest[0], arguments.rest[1:], arguments.recipient, arguments.zstd)
