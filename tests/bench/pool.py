# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool from another host: 1,000 clients on 20 server connections, and the pool against direct connections.

    python -m tests.bench.pool [SECONDS]

Two throwaway hosts, one with the roles server, access and pgbouncer, one with pgbench; TLS and SCRAM on both ways. A
transaction reads a row by its key and updates another.

Short-lived connections are measured twice. In the field the clients have machines of their own, and the database's host
is what limits; so first it gets a small share of a processor by its cgroup, the same for both ways, and the client the
rest: this figure is held against the limit. Then without a share, where a client's own half of TLS and SCRAM (4,096
rounds, RFC 7677), the same on both ways, takes most of the machine that the two hosts share.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.steps import step
from tests.throwaway import CHECKOUT, Host, HostSpec, down, inventory_path, up
from tests.throwaway.podman import podman

GROUP = "bench-pool"
CLIENTS, SERVER_CONNECTIONS = 1000, 20
REQUESTS_PER_SECOND = 1000.0
SHORT_LIVED, SHORT_LIVED_RATIO, PAIRS = 500, 3.0, 3
# Of one processor. So small that the client, at five milliseconds a connection, has processor time left on two.
SHARE = 0.15
WAYS = {"direct": 5432, "pool": 6432}
PASSWORDS = {"load_test_app": "bench-app-2f7c", "load_test_migrator": "bench-migrator-2f7c"}
PGBENCH = "/usr/lib/postgresql/17/bin/pgbench"
SCRIPT = """\\set one random(1, 100000)
\\set other random(1, 100000)
BEGIN;
SELECT abalance FROM pgbench_accounts WHERE aid = :one;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :other;
END;
"""


def variables(network: str) -> dict[str, Any]:
    """The estate: one service, whose application may come both ways, for the comparison."""
    address = "{{ ansible_facts['default_ipv4']['address'] }}"
    return {
        "server_environment": "test",
        "server_listen_addresses": ["localhost", address],
        "server_access_rules": [
            {"databases": ["load_db"], "users": [*PASSWORDS, "dbops_pooler"], "addresses": ["127.0.0.1/32", network]}
        ],
        "access_environment": "test",
        "access_services": [{"name": "load", "database": "load_db", "connection_limits": {"app": 90}}],
        "access_passwords": PASSWORDS,
        "pgbouncer_environment": "test",
        "pgbouncer_services": "{{ access_services }}",
        "pgbouncer_pool_size": SERVER_CONNECTIONS,
        "pgbouncer_max_client_conn": CLIENTS,
        "pgbouncer_addresses": ["127.0.0.1/32", network],
        "pgbouncer_listen_addresses": ["localhost", address],
        "pgbouncer_auth_password": "bench-pooler-2f7c",
    }


@dataclass(frozen=True)
class Result:
    """What pgbench says."""

    transactions: int
    failed: int
    tps: float
    latency_ms: float
    complete: bool


def shell(host: Host, script: str, timeout: float = 300) -> str:
    """A script on a host, and its output."""
    return host.run("sh", "-c", script, timeout=timeout)


def pgbench(client: Host, host: str, port: int, *options: str) -> Result:
    """Run pgbench on the client's host; it stops by itself."""
    command = [
        PGBENCH,
        "--no-vacuum",
        f"--host={host}",
        f"--port={port}",
        "--username=load_test_app",
        *options,
        "load_db",
    ]
    script = f"ulimit -n 8192; PGSSLMODE=require PGPASSFILE=/root/pgpass {' '.join(command)} 2>&1 || true"
    text = shell(client, script)

    def number(pattern: str) -> float:
        found = re.search(pattern, text)
        return float(found[1]) if found else 0.0

    if "tps" not in text:
        raise SystemExit(f"pgbench failed:\n{text[-2000:]}")
    return Result(
        transactions=int(number(r"transactions actually processed: (\d+)")),
        failed=int(number(r"failed transactions: (\d+)")),
        tps=number(r"tps = ([\d.]+)"),
        latency_ms=number(r"latency average = ([\d.]+)"),
        complete="aborted" not in text,
    )


def prepare(db: Host, client: Host) -> None:
    """Both hosts as they are measured."""
    network = re.sub(r"[0-9]+$", "0/24", db.address)
    plays = Path(inventory_path(GROUP)).parent / "plays.yml"
    roles = ["dbops.postgres.server", "dbops.postgres.access", "dbops.postgres.pgbouncer"]
    plays.write_text(json.dumps([{"hosts": "db", "become": True, "roles": roles, "vars": variables(network)}]))
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".cache" / "collections"),
    }
    program = str(Path(sys.executable).parent / "ansible-playbook")
    with step("server, access, pgbouncer"):
        done = subprocess.run(
            [program, "-i", str(inventory_path(GROUP)), str(plays)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout[-3000:])
    with step("tables, by a direct connection"):
        shell(client, "apt-get install --yes postgresql-17 >/dev/null 2>&1", timeout=300)
        lines = "".join(f"*:*:*:{user}:{password}\n" for user, password in PASSWORDS.items())
        shell(client, f"umask 077; cat >/root/pgpass <<'END'\n{lines}END\ncat >/root/script.sql <<'END'\n{SCRIPT}END")
        shell(
            client,
            f"PGSSLMODE=require PGPASSFILE=/root/pgpass {PGBENCH} --initialize --quiet --host={db.address} "
            "--username=load_test_migrator load_db",
            timeout=120,
        )


_PROCESSOR = """
import os
ticks = 0
for entry in os.listdir('/proc'):
    if entry.isdigit():
        try:
            ticks += sum(map(int, open(f'/proc/{entry}/stat').read().rpartition(')')[2].split()[11:15]))
        except OSError:
            pass
print(ticks / os.sysconf('SC_CLK_TCK'))
"""


def processor_seconds(host: Host) -> float:
    """What all processes of the host have used so far; those that have ended are in their parents' figures."""
    return float(host.run("python3", "-c", _PROCESSOR))


@contextmanager
def limited(host: Host, processors: float) -> Iterator[None]:
    """A host that has so much processor time, for as long as the block runs."""
    podman("update", f"--cpus={processors:g}", host.container)
    try:
        yield
    finally:
        podman("update", f"--cpus={os.cpu_count()}", host.container)


@dataclass(frozen=True)
class Short:
    """Short-lived connections one way: a second, and the processors that each host used meanwhile."""

    rate: float
    server: float
    client: float

    @property
    def cost_ms(self) -> float:
        """Processor time of the database's host for each, in milliseconds."""
        return self.server / self.rate * 1000


def short_lived(db: Host, client: Host, port: int) -> Short:
    """Connect, one query, disconnect, ten at a time; a thread each, so that they wait for nobody but the server."""
    each = SHORT_LIVED // 10
    options = ("--connect", "--client=10", "--jobs=10", f"--transactions={each}", "--file=/root/one.sql")
    hosts = (db, client)
    before, begun = [processor_seconds(host) for host in hosts], time.monotonic()
    result = pgbench(client, db.address, port, *options)
    seconds = time.monotonic() - begun
    used = [(processor_seconds(host) - was) / seconds for host, was in zip(hosts, before, strict=True)]
    if not result.complete or result.transactions != SHORT_LIVED:
        raise SystemExit(f"Only {result.transactions} of {SHORT_LIVED} connections were served.")
    return Short(result.tps, *used)


def pairs(db: Host, client: Host) -> dict[str, Short]:
    """Direct and pool in turn, several times; of each the run with the median rate."""
    runs: dict[str, list[Short]] = {way: [] for way in WAYS}
    for _pair in range(PAIRS):
        for way, port in WAYS.items():
            runs[way].append(short_lived(db, client, port))
    middle = {way: statistics.median_low(item.rate for item in found) for way, found in runs.items()}
    return {way: next(item for item in found if item.rate == middle[way]) for way, found in runs.items()}


def compare_short_lived(db: Host, client: Host) -> float:
    """With a share and without, printed; how many times as many the pool serves where the database's host limits."""
    shell(client, "echo 'SELECT 1;' >/root/one.sql")
    with limited(db, SHARE):
        share = pairs(db, client)
    free = pairs(db, client)
    ratio = share["pool"].rate / share["direct"].rate
    print(
        f"{SHORT_LIVED} connections with one query each, the database's host limited to {SHARE:g} of a processor, "
        f"medians of {PAIRS}: direct {share['direct'].rate:.1f}/s, pool {share['pool'].rate:.1f}/s: {ratio:.2f} x "
        f"(wanted: {SHORT_LIVED_RATIO:g} x)"
    )
    for way, item in share.items():
        print(f"  processors in use, {way}: {item.server:.2f} by the database's host, {item.client:.2f} by the client")
    if share["pool"].server < 0.85 * SHARE:
        print("  The database's host had time left with the pool: the machine is busy, and the pool could do more.")
    print(
        f"  without that limit, both hosts on the same processors: direct {free['direct'].rate:.1f}/s, pool "
        f"{free['pool'].rate:.1f}/s: {free['pool'].rate / free['direct'].rate:.2f} x; the database's host needs "
        f"{free['direct'].cost_ms:.2f} and {free['pool'].cost_ms:.2f} ms of processor time for each: "
        f"{free['direct'].cost_ms / free['pool'].cost_ms:.2f} x"
    )
    return ratio


def idle(db: Host) -> bool:
    """Whether no client is there and no server connection works."""
    pools = shell(
        db,
        "runuser -u postgres -- psql -XAt -h /run/postgresql -p 6432 -U pgbouncer pgbouncer -c 'SHOW POOLS'"
        " | grep load_test_app",
    )
    columns = pools.strip().split("|")
    return columns[2] == columns[3] == columns[6] == "0"


def main(arguments: list[str]) -> int:
    """All measurements; the status is 1 if one misses its limit."""
    seconds = int(arguments[0]) if arguments else 60
    hosts = {host.name: host for host in up(GROUP, [HostSpec("db", "debian13"), HostSpec("client", "debian13")])}
    db, client = hosts["db"], hosts["client"]
    try:
        prepare(db, client)
        many = pgbench(
            client, db.address, 6432, f"--client={CLIENTS}", "--jobs=4", f"--time={seconds}", "--file=/root/script.sql"
        )
        rests = idle(db)
        print(
            f"{CLIENTS} clients on {SERVER_CONNECTIONS} server connections, {seconds} s: "
            f"{many.transactions} transactions, {many.failed} failed, {many.tps:.0f}/s, "
            f"{many.latency_ms:.0f} ms on average; "
            f"afterwards {'idle' if rests else 'NOT idle'}"
        )
        steady = {
            way: pgbench(client, db.address, port, "--client=16", "--jobs=2", "--time=15", "--file=/root/script.sql")
            for way, port in WAYS.items()
        }
        print(
            f"16 clients that stay: direct {steady['direct'].tps:.0f}/s, pool {steady['pool'].tps:.0f}/s: "
            f"{steady['pool'].tps / steady['direct'].tps:.2f} x"
        )
        ratio = compare_short_lived(db, client)
    finally:
        down(GROUP)
    good = many.complete and many.failed == 0 and many.tps >= REQUESTS_PER_SECOND and rests
    return int(not good or ratio < SHORT_LIVED_RATIO)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
