# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back by a restore, while clients work through the pooler of the same host: they wait, and none fails."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import subprocess
import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.integration.migration.conftest import CODE, MigrateHost
from tests.integration.migration.test_faults import FAILING_SMOKE, KILLED, ONLY_UP

# What differs between the versions of PostgreSQL is in the fault table.
pytestmark = pytest.mark.parametrize("pg_server", [17], indirect=True, ids=["pg17"])
STOP = "/run/dbops-load-stop"
INI = """
[databases]
shop = host=/var/run/postgresql port=5432 dbname={0} user=postgres
other = host=192.0.2.1 port=5432 dbname={0} user=postgres
[pgbouncer]
listen_port = 6432
unix_socket_dir = /var/run/postgresql
auth_type = any
pool_mode = transaction
"""


@pytest.fixture(scope="module")
def pooler(migrate_host: MigrateHost) -> Iterator[None]:
    shell = "export DEBIAN_FRONTEND=noninteractive; apt-get -q {} --yes {} pgbouncer"
    migrate_host.host.run("sh", "-c", shell.format("install", "--no-install-recommends"))
    yield
    migrate_host.host.run("sh", "-c", shell.format("purge", "") + "; rm -rf /etc/pgbouncer")


@pytest.fixture
def pool(migrate_host: MigrateHost, shop: str, pooler: None) -> str:
    migrate_host.host.run("sh", "-c", "cat >/etc/pgbouncer/pgbouncer.ini", text=INI.format(shop))
    migrate_host.host.run("systemctl", "restart", "pgbouncer")
    console(migrate_host, "SHOW VERSION")
    return shop


def console(made: MigrateHost, command: str) -> str:
    """What pgbouncer's console answers, as soon as it does."""
    psql = ("runuser", "-u", "postgres", "--", "psql", "-Xq", "--csv", "-h", "/var/run/postgresql", "-p", "6432")
    wait = "for i in $(seq 100); do [ -S /var/run/postgresql/.s.PGSQL.6432 ] && break; sleep 0.1; done"
    made.host.run("sh", "-c", wait)
    return made.host.run(*psql, "-U", "pgbouncer", "-d", "pgbouncer", "-c", command)


def paused(made: MigrateHost) -> dict[str, bool]:
    """The pooled databases, and whether each is paused."""
    rows = csv.DictReader(io.StringIO(console(made, "SHOW DATABASES")))
    return {row["name"]: row["paused"] == "1" for row in rows if row["name"] != "pgbouncer"}


@contextlib.contextmanager
def load(made: MigrateHost) -> Generator[dict[str, Any], None, None]:
    """Clients of the pooler; what they have seen when the context has ended."""
    found: dict[str, Any] = {}
    made.host.run("rm", "-f", STOP)
    command = made.host.ssh_command("python3", f"{CODE}/on_host.py", "load", STOP)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield found
    finally:
        made.host.run("touch", STOP)
        out, _err = process.communicate(timeout=120)
    found.update(json.loads(out))


def test_clients_wait_while_a_restored_database_takes_its_place(migrate_host: MigrateHost, pool: str) -> None:
    with load(migrate_host) as found:
        done = migrate_host.migrate(pool, ONLY_UP, smoke=FAILING_SMOKE)
        assert (done.record["verdict"], done.record["way_back"]) == ("as before", "restore"), done.said
        # They work on what was restored.
        count = f"SELECT xact_commit FROM pg_stat_database WHERE datname = '{pool}'"
        before, end = int(migrate_host.psql("postgres", count)), time.monotonic() + 60
        while int(migrate_host.psql("postgres", count)) < before + 20 and time.monotonic() < end:
            time.sleep(0.2)
    assert f"the clients of {pool} wait in the pooler\n" in done.said
    assert f"the clients of {pool} go on" in done.said
    assert found["failed"] == []
    assert found["queries"] > 100
    assert found["longest"] < 30
    assert paused(migrate_host) == {"shop": False, "other": False}
    timers = migrate_host.host.run("systemctl", "list-units", "--no-legend", "--plain", "dbops-postgres-resume-*")
    assert timers.strip() == ""


def test_a_transaction_that_does_not_end_in_time(migrate_host: MigrateHost, pool: str) -> None:
    """It is ended. The others wait all the same."""
    sleeper = ("psql", "-Xq", "-h", "/var/run/postgresql", "-p", "6432", "-d", "shop", "-c", "SELECT pg_sleep(600)")
    process = subprocess.Popen(migrate_host.host.ssh_command(*sleeper), stderr=subprocess.PIPE, text=True)
    with load(migrate_host) as found:
        # What is built concurrently would wait for it.
        files = {name: text for name, text in ONLY_UP.items() if "CONCURRENTLY" not in text}
        pause = {"DBOPS_PAUSE_SECONDS": 1}
        done = migrate_host.migrate(pool, files, pause, smoke=FAILING_SMOKE, long_transaction_seconds=600)
    assert (done.record["verdict"], done.record["way_back"]) == ("as before", "restore"), done.said
    assert "wait in the pooler; what was not over after 1 s is ended" in done.said
    _out, said = process.communicate(timeout=60)
    assert process.returncode != 0, said
    assert found["failed"] == []
    assert paused(migrate_host) == {"shop": False, "other": False}


def test_killed_while_clients_wait(migrate_host: MigrateHost, pool: str) -> None:
    """systemd lets them go on."""
    with load(migrate_host) as found:
        done = migrate_host.migrate(
            pool, ONLY_UP, {"DBOPS_KILL_SWAP": 1, "DBOPS_RESUME_SECONDS": 3}, smoke=FAILING_SMOKE
        )
        assert done.status == KILLED, done.said
        assert "wait in the pooler" in done.said
        end = time.monotonic() + 60
        while paused(migrate_host)["shop"] and time.monotonic() < end:
            time.sleep(0.2)
        assert not paused(migrate_host)["shop"]
    assert found["failed"] == []


def test_where_nobody_can_be_held(migrate_host: MigrateHost, pool: str) -> None:
    """The way back is not left out because the pooler does not lead there, or does not answer."""
    text = INI.format(pool).replace("/var/run/postgresql port=5432", "192.0.2.1 port=5432")
    migrate_host.host.run("sh", "-c", "cat >/etc/pgbouncer/pgbouncer.ini", text=text)
    migrate_host.host.run("systemctl", "restart", "pgbouncer")
    done = migrate_host.migrate(pool, ONLY_UP, smoke=FAILING_SMOKE)
    assert (done.record["verdict"], done.record["way_back"]) == ("as before", "restore"), done.said
    assert f"no pooler of this host leads to {pool}: the sessions of its clients are ended" in done.said
    migrate_host.host.run("sh", "-c", "systemctl kill --signal=STOP pgbouncer")
    try:
        done = migrate_host.migrate(pool, ONLY_UP, smoke=FAILING_SMOKE)
    finally:
        migrate_host.host.run("sh", "-c", "systemctl kill --signal=CONT pgbouncer")
    assert (done.record["verdict"], done.record["way_back"]) == ("as before", "restore"), done.said
    assert f"the clients of {pool} cannot be held, and their sessions are ended" in done.said
