# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An expand migration of a table with a million rows while clients work through the pool.

    python -m tests.bench.migrate

A nullable column, a constraint that is added and then validated, an index built concurrently. No query may fail, and
none may take a second. The hosts are those of the measurement of the pool.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.bench.pool import GROUP, PGBENCH, prepare, shell
from tests.steps import step
from tests.throwaway import CHECKOUT, Host, HostSpec, down, inventory_path, up

CLIENTS, RATE, SECONDS = 8, 200, 100
STALL_SECONDS = 1.0
FILES = {
    "001_expand.sql": "ALTER TABLE pgbench_accounts ADD COLUMN note text;\n"
    "ALTER TABLE pgbench_accounts ADD CONSTRAINT sane CHECK (abalance > -2000000000) NOT VALID;\n",
    "002_index.sql": "CREATE INDEX CONCURRENTLY pgbench_accounts_abalance ON pgbench_accounts (abalance);\n",
    "003_validate.sql": "ALTER TABLE pgbench_accounts VALIDATE CONSTRAINT sane;\n",
}
SETS = "/var/lib/postgresql/sets"


def grow(db: Host, client: Host) -> None:
    """A million rows, a configuration of backups, the files."""
    with step("a million rows"):
        shell(
            client,
            f"PGSSLMODE=require PGPASSFILE=/root/pgpass {PGBENCH} --initialize --quiet --scale=10 --host={db.address} "
            "--username=load_test_migrator load_db",
            timeout=300,
        )
        config = {"targets": [{"directory": SETS}], "backup": {"databases": ["load_db"]}}
        files = "".join(f"cat >/root/migrations/{name} <<'END'\n{text}END\n" for name, text in FILES.items())
        shell(
            db,
            f"mkdir -p -m 0700 {SETS} /root/migrations /etc/dbops-postgres\n{files}"
            f"cat >/etc/dbops-postgres/backup.json <<'END'\n{json.dumps(config)}\nEND\n",
        )


def load(client: Host, db: Host, found: dict[str, str]) -> None:
    """Clients at a steady rate, each transaction logged with its time."""
    command = (
        f"cd /root && rm -f pgbench_log* && ulimit -n 8192; PGSSLMODE=require PGPASSFILE=/root/pgpass {PGBENCH}"
        f" --no-vacuum --host={db.address} --port=6432 --username=load_test_app --client={CLIENTS} --jobs=2"
        f" --rate={RATE} --time={SECONDS} --log --file=/root/script.sql load_db 2>&1 || true"
    )
    found["said"] = shell(client, command, timeout=SECONDS + 60)


def migrate(db: Host) -> dict[str, Any]:
    """What pg_migrate returns."""
    owner = shell(
        db,
        "runuser -u postgres -- psql -XqAt -d load_db"
        " -c \"SELECT tableowner FROM pg_tables WHERE tablename = 'pgbench_accounts'\"",
    ).strip()
    task = {
        "dbops.postgres.pg_migrate": {"database": "load_db", "path": "/root/migrations", "role": owner},
        "register": "done",
    }
    show = {"ansible.builtin.copy": {"content": "{{ done | to_json }}", "dest": "/root/done.json", "mode": "0600"}}
    plays = Path(inventory_path(GROUP)).parent / "migrate.yml"
    tasks = [{"block": [task], "always": [show]}]
    plays.write_text(json.dumps([{"hosts": "db", "become": True, "gather_facts": False, "tasks": tasks}]))
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".cache" / "collections"),
    }
    program = str(Path(sys.executable).parent / "ansible-playbook")
    command = [program, "-i", str(inventory_path(GROUP)), str(plays)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        print(done.stdout[-3000:])
    result: dict[str, Any] = json.loads(shell(db, "cat /root/done.json"))
    return result


def transactions(client: Host) -> list[tuple[float, float]]:
    """When each transaction ended, and how long it took, in seconds; in order."""
    # Columns: client, transaction, time in us, script, end in s, end in us, lag in us. With a rate the time counts from
    # when the transaction should have begun.
    lines = shell(client, "cat /root/pgbench_log.*").splitlines()
    columns = [line.split() for line in lines]
    return sorted((float(row[4]) + float(row[5]) / 1e6, float(row[2]) / 1e6) for row in columns if row[2].isdigit())


def longest(found: list[tuple[float, float]], since: float, until: float) -> float:
    """The longest transaction that ended in this time."""
    return max((took for end, took in found if since <= end <= until), default=0.0)


def main() -> int:
    """The measurement; the status is 1 if it misses its limit."""
    hosts = {host.name: host for host in up(GROUP, [HostSpec("db", "debian13"), HostSpec("client", "debian13")])}
    db, client = hosts["db"], hosts["client"]
    try:
        prepare(db, client)
        grow(db, client)
        found: dict[str, str] = {}
        worker = threading.Thread(target=load, args=(client, db, found))
        worker.start()
        time.sleep(10)
        with step("the migration"):
            done = migrate(db)
        run = json.loads(shell(db, f"cat {done['path']}"))
        worker.join()
        said = found["said"]
        failed = int((re.search(r"failed transactions: (\d+)", said) or [0, 0])[1])
        count = int((re.search(r"transactions actually processed: (\d+)", said) or [0, 0])[1])
        log = transactions(client)
    finally:
        down(GROUP)
    stages = {stage["name"]: stage["seconds"] for stage in done.get("stages", [])}
    times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in stages.items() if seconds >= 0.05)
    whole = "aborted" not in said and sum(stages.values()) < SECONDS - 10
    # The record says to the second when it began.
    started = datetime.datetime.fromisoformat(run["started"]).timestamp()
    ended = started + run["seconds"] + 1
    begun = ended - stages.get("apply", 0) - stages.get("verify", 0) - 1
    during = longest(log, started, ended)
    # What the machine does to the clients by itself; a machine with other work stalls them without any migration.
    alone = max(longest(log, 0, started), longest(log, ended + 1, float("inf")))
    print(
        f"1,000,000 rows, {CLIENTS} clients through the pool at {RATE}/s: {done.get('verdict')}; {times}; "
        f"{count} transactions, {failed} failed; longest during the run {during:.2f} s, while it was applied "
        f"{longest(log, begun, ended):.2f} s, before and after the run {alone:.2f} s "
        f"(wanted: 0 failed, < {STALL_SECONDS:g} s during the run)"
    )
    if alone >= STALL_SECONDS:
        print("The machine stalls its clients without a migration: measure on a quiet one.")
    good = done.get("verdict") == "migrated" and whole and count and not failed
    return int(not good or during >= STALL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
