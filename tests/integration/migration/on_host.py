# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a throwaway host, beside the collection's module_utils: a run of pg_migrate, with a fault at a chosen moment.

    python3 on_host.py migrate PARAMETERS
    python3 on_host.py look DATABASE
    python3 on_host.py snapshot DATABASE
    python3 on_host.py threads DATABASE
    python3 on_host.py load STOP

A run prints its record, a look everything that is in a database, a snapshot its schema, threads how many of many
connections, made at the same time, have failed. A load works through the pool until the file STOP is there, and prints
how many queries it made, what failed, and the longest in seconds.

DBOPS_SQL is executed in the database as the stage apply begins. DBOPS_KILL=3 makes the run kill itself at the third
time that it writes down where it stands, DBOPS_KILL_AFTER=3 just after that, DBOPS_KILL_BUILDING as soon as an index is
built concurrently, DBOPS_KILL_SWAP before a restored database takes its place. DBOPS_SIGNAL=15 sends it this signal as
the stage apply begins. DBOPS_TERMINATE ends its session before the first commit; DBOPS_TERMINATE=crash kills it.
DBOPS_PAUSE_SECONDS and DBOPS_RESUME_SECONDS are those of the pooler.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2

sys.path.insert(0, str(Path(__file__).parent))  # the code that was brought with it, and no other test's

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._backup import contents, drill_cluster, restore_database
from ansible_collections.dbops.postgres.plugins.module_utils._host_program import migrate, pooled
from ansible_collections.dbops.postgres.plugins.module_utils._migration import apply, run_state
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._schema import observe

LIVE = Login()
INITIALISED = "/var/lib/postgresql/migrate-fast/initialised"


def execute(database: str, text: str) -> None:
    connection = _postgres.connect(LIVE, database, autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("SET search_path = public")
        cursor.execute(text)
    connection.close()


def kill_building(connection: Any) -> None:
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "SELECT FROM pg_stat_progress_create_index WHERE datname = current_database() AND command ~ 'CONC'"
            )
            if cursor.rowcount:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.02)


def faults(database: str) -> None:
    saves = 0
    save, run, note = run_state.Store.save, apply.Apply.run, apply.Apply._note
    kill, after = (int(os.environ.get(name) or 0) for name in ("DBOPS_KILL", "DBOPS_KILL_AFTER"))

    def counted(store: run_state.Store, state: run_state.State) -> run_state.State:
        nonlocal saves
        saves += 1
        if saves == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        found = save(store, state)
        if saves == after:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    def surprised(self: apply.Apply, *given: Any) -> None:
        if text := os.environ.get("DBOPS_SQL"):
            execute(database, text)
        if number := os.environ.get("DBOPS_SIGNAL"):
            os.kill(os.getpid(), int(number))
        if os.environ.get("DBOPS_KILL_BUILDING"):
            looker = _postgres.connect(LIVE, database, autocommit=True)
            threading.Thread(target=kill_building, args=(looker,), daemon=True).start()
        run(self, *given)

    def ended(self: apply.Apply, cursor: Any, *given: Any) -> None:
        pid = cursor.connection.info.backend_pid
        if os.environ["DBOPS_TERMINATE"] == "crash":
            os.kill(pid, signal.SIGKILL)  # the whole server starts anew
        else:
            execute(database, f"SELECT pg_catalog.pg_terminate_backend({pid}, 5000)")
        note(self, cursor, *given)

    pooled._PAUSE_SECONDS = int(os.environ.get("DBOPS_PAUSE_SECONDS") or pooled._PAUSE_SECONDS)
    pooled._RESUME_SECONDS = int(os.environ.get("DBOPS_RESUME_SECONDS") or pooled._RESUME_SECONDS)
    run_state.Store.save = counted  # type: ignore
    apply.Apply.run = surprised  # type: ignore
    if os.environ.get("DBOPS_KILL_SWAP"):
        restore_database.swap = lambda *_given: os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get("DBOPS_TERMINATE"):
        apply.Apply._note = ended  # type: ignore


def initdb_once() -> None:
    """A cluster is initialised once for all tests, and copied."""
    run = drill_cluster.run

    def copied(command: Sequence[str], **given: Any) -> subprocess.CompletedProcess[bytes]:
        if not command[0].endswith("/initdb"):
            return run(command, **given)
        data = next(item.partition("=")[2] for item in command if item.startswith("--pgdata="))
        if not Path(INITIALISED).is_dir():
            done = run(command, **given)
            if done.returncode == 0:
                subprocess.run(["cp", "-a", data, INITIALISED], check=True)
            return done
        return subprocess.run(["cp", "-a", INITIALISED, data], capture_output=True, check=False)

    drill_cluster.run = copied


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run(text: str) -> int:
    params = json.loads(text)
    faults(params["database"])
    initdb_once()
    check = params.pop("check", False)
    found, path = migrate.hold(params, check=check, tell=tell, database_url=params.pop("database_url", ""))
    print(json.dumps({**dataclasses.asdict(found), "passed": found.passed, "path": path}))
    return found.exit_status


def look(database: str) -> int:
    connection = _postgres.connect(LIVE, database)
    with connection.cursor() as cursor:
        contents.prepare(cursor)
        found = {
            "schema": contents.schema(cursor),
            "rows": {f"{s}.{t}": str(contents.table(cursor, s, t, hashed=True)) for s, t in contents.tables(cursor)},
            "sequences": {name: str(state) for name, state in contents.sequences(cursor).items()},
            "options": contents.options(cursor),
        }
    connection.close()
    print(json.dumps(found))
    return 0


def snapshot(database: str) -> int:
    connection = _postgres.connect(LIVE, database)
    with connection.cursor() as cursor:
        print(observe.snapshot(cursor).to_json())
    connection.close()
    return 0


def load(stop: str) -> int:
    taken: list[float] = []
    failed: list[str] = []

    def client(_number: int) -> None:
        connection = psycopg2.connect(host="/var/run/postgresql", port=6432, dbname="shop", user="app")
        connection.autocommit = True
        cursor = connection.cursor()
        while not Path(stop).exists():
            begun = time.monotonic()
            try:
                cursor.execute("SELECT count(*) FROM customers")
            except psycopg2.Error as error:
                failed.append(str(error))
                break
            taken.append(time.monotonic() - begun)
            time.sleep(0.02)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(client, range(4)))
    print(json.dumps({"queries": len(taken), "failed": failed, "longest": max(taken, default=0)}))
    return 0


def threads(database: str) -> int:
    def failed(_number: int) -> bool:
        try:
            _postgres.connect(LIVE, database).close()
        except DbopsError:
            return True
        return False

    with ThreadPoolExecutor(8) as pool:
        print(sum(pool.map(failed, range(300))))
    return 0


if __name__ == "__main__":
    sys.exit(
        {"threads": threads, "load": load, "migrate": run, "look": look, "snapshot": snapshot}[sys.argv[1]](sys.argv[2])
    )
