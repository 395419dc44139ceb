# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pooler with a host of its own, whose processes share a port."""

from __future__ import annotations

import json

from testinfra.host import Host

testinfra_hosts = ["ansible://pool"]

CLIENTS = """
import psycopg2, threading
target = "host=pool port=6432 dbname=shop_db user=shop_stage_app password=canary-app-4b1 sslmode=require"
clients = [psycopg2.connect(target) for _ in range(40)]
cancelled = 0
def cancel(client, done):  # again and again: the first may come before the query has begun
    while not done.wait(0.2):
        client.cancel()
for client in clients[:10]:
    done = threading.Event()
    canceller = threading.Thread(target=cancel, args=(client, done))
    canceller.start()
    try:
        client.cursor().execute("SELECT pg_sleep(20)")
    except psycopg2.errors.QueryCanceled:
        cancelled += 1
    done.set()
    canceller.join()
    client.rollback()
"""
CONSOLES = """
import json, os, pwd, psycopg2
os.seteuid(pwd.getpwnam("postgres").pw_uid)
def ask(directory, command):
    console = psycopg2.connect(host=directory, port=6432, user="pgbouncer", dbname="pgbouncer")
    console.autocommit = True
    cursor = console.cursor()
    cursor.execute(command)
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall() if row[0] != "pgbouncer"]
directories = ("/run/postgresql", "/run/pgbouncer-2")
"""


def python(host: Host, *parts: str) -> str:
    return str(host.check_output("python3 -c %s", "".join(parts)))


def test_there_is_no_server(host: Host) -> None:
    assert not host.file("/usr/lib/postgresql/17/bin/postgres").exists


def test_processes_share_clients_and_a_query_is_cancelled_wherever_it_runs(host: Host) -> None:
    count = 'print(cancelled, *(sum(r["database"] == "shop_db" for r in ask(d, "SHOW CLIENTS")) for d in directories))'
    cancelled, *clients = python(host, CLIENTS, CONSOLES, count).split()
    assert cancelled == "10"
    assert sum(map(int, clients)) == 40
    assert min(map(int, clients)) > 5


def test_the_pools_are_for_all_processes_together(host: Host) -> None:
    found = json.loads(
        python(host, CONSOLES, 'print(json.dumps([ask(d, "SHOW DATABASES") for d in directories], default=str))')
    )
    assert [(row["name"], row["host"], row["pool_size"]) for rows in found for row in rows] == [
        ("shop_db", "debian13", 5)  # of 10
    ] * 2


def test_it_is_hardened_as_the_first(host: Host) -> None:
    for unit in ("pgbouncer.service", "dbops-pgbouncer@2.service"):
        properties = host.check_output(
            "systemctl show --property=NoNewPrivileges,ProtectSystem,CapabilityBoundingSet,User %s", unit
        )
        assert set(properties.splitlines()) == {
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "CapabilityBoundingSet=",
            "User=postgres",
        }
        assert host.service(unit).is_enabled
