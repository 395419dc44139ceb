# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A complete, proven backup to an S3 server against the usual script, and against the floor, on PostgreSQL 17.

    python -m tests.bench.backup [--scale 60 --documents 1000000]

The usual script is ``pg_dump --format=plain --compress=9`` into a file, then its upload. The floor is a dump that
nobody compresses and nobody keeps: ``pg_dump --format=custom --compress=0 >/dev/null``. All of them run in turn on
the same host; the S3 server runs there as well and takes its part of the two processors. Medians of three runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys

from tests.bench.drill import DATABASE, load
from tests.integration.backup.conftest import CODE, install
from tests.integration.backup.s3 import BUCKET, HOME, KEYS, S3Server
from tests.integration.servers import GROUP, throwaway
from tests.throwaway import Host, hosts

FASTER, FLOOR_COUNTS, FLOOR_HASHES, MEMORY_MB = 2.5, 1.6, 2.0, 150

# Runs a command, and says how long it took and how much memory it and its children had at once.
_WATCH = """
import json, os, subprocess, sys, threading, time
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
peak = 0
def kin():
    found, parents = {process.pid}, {}
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(open(f'/proc/{entry}/stat').read().rpartition(')')[2].split()[1])
            except OSError:
                pass
    for _ in range(4):
        found |= {pid for pid, parent in parents.items() if parent in found}
    return found
def held(pid):
    try:
        return int(next(l for l in open(f'/proc/{pid}/smaps_rollup') if l.startswith('Pss:')).split()[1])
    except (OSError, StopIteration):
        return 0
def watch():
    global peak
    while process.poll() is None:
        peak = max(peak, sum(map(held, kin())))
        time.sleep(0.2)
start = time.monotonic()
watcher = threading.Thread(target=watch)
watcher.start()
status = process.wait()
seconds = time.monotonic() - start
watcher.join()
print(json.dumps({'seconds': seconds, 'megabytes': peak / 1024, 'status': status}))
"""
_USUAL = """
set -eu
cd /var/lib/postgresql
pg_dump --format=plain --compress=9 {database} >usual.sql.gz
AWS_ACCESS_KEY_ID={access_key_id} AWS_SECRET_ACCESS_KEY={secret_access_key} python3 -c '
import boto3
from botocore.config import Config
client = boto3.client("s3", endpoint_url="https://localhost:9443", region_name="us-east-1", verify="/etc/s3/s3.crt",
                      config=Config(s3={{"addressing_style": "path"}}, request_checksum_calculation="when_required"))
client.upload_file("usual.sql.gz", "{bucket}", "usual.sql.gz")
'
rm usual.sql.gz
"""


def configure(host: Host, server: S3Server, level: str) -> None:
    """The configuration of a run."""
    config = {"targets": [server.target()], "backup": {"databases": [DATABASE], "level": level, "keep": {"days": 0}}}
    host.run("sh", "-c", "mkdir -p /etc/dbops-postgres; cat >/etc/dbops-postgres/backup.json", text=json.dumps(config))
    credential = "mkdir -p -m 0700 /run/bench; cat >/run/bench/backup_target_offsite"
    host.run("sh", "-c", credential, text=json.dumps(KEYS))


def watched(host: Host, *command: str) -> dict[str, float]:
    """Seconds and megabytes of a command."""
    found: dict[str, float] = json.loads(host.run("python3", "-c", _WATCH, *command, timeout=900).splitlines()[-1])
    if found["status"] != 0:
        raise RuntimeError(f"{command} failed")
    return found


def main() -> int:
    """Measure; 1 when a figure misses its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=60)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    throwaway()
    host = next(host for host in hosts(GROUP) if host.name == "pg17")
    install(host)
    load(host, arguments.scale, arguments.documents)
    server = S3Server(host)
    server.install()
    server.start()
    program = f"{CODE}/ansible_collections/dbops/postgres/plugins/module_utils/_host_program/program.py"
    ours = ("env", f"PYTHONPATH={CODE}", "CREDENTIALS_DIRECTORY=/run/bench", "python3", program, "backup")
    floor = ("runuser", "-u", "postgres", "--", "pg_dump", "--format=custom", "--compress=0", DATABASE)
    usual = ("runuser", "-u", "postgres", "--", "sh", "-c", _USUAL.format(database=DATABASE, bucket=BUCKET, **KEYS))
    seconds: dict[str, list[float]] = {"floor": [], "counts": [], "hashes": [], "usual": []}
    memory, sizes = 0.0, {}
    for number in range(arguments.runs):
        seconds["floor"].append(watched(host, *floor)["seconds"])
        for level in ("counts", "hashes"):
            configure(host, server, level)
            server.clear()
            found = watched(host, *ours)
            seconds[level].append(found["seconds"])
            memory = max(memory, found["megabytes"])
        sizes["ours"] = int(host.run("sh", "-c", f"du -sb {HOME}/{BUCKET} | cut -f1"))
        if number == 0:  # it takes minutes
            seconds["usual"].append(watched(host, *usual)["seconds"])
            sizes["usual"] = int(host.run("stat", "-c", "%s", f"{HOME}/{BUCKET}/usual.sql.gz"))
    server.stop()
    middle = {name: statistics.median(found) for name, found in seconds.items()}
    rows = [
        ("faster than the usual script, hashes", middle["usual"] / middle["hashes"], FASTER, False),
        ("faster than the usual script, counts", middle["usual"] / middle["counts"], FASTER, False),
        ("size against the usual script", sizes["ours"] / sizes["usual"], 1.0, True),
        ("time against the floor, counts", middle["counts"] / middle["floor"], FLOOR_COUNTS, True),
        ("time against the floor, hashes", middle["hashes"] / middle["floor"], FLOOR_HASHES, True),
        ("memory, MB", memory, MEMORY_MB, True),
    ]
    print("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in middle.items()))
    print(f"bytes: ours {sizes['ours']}, usual {sizes['usual']}")
    good = True
    for name, value, limit, most in rows:
        holds = value <= limit if most else value >= limit
        good = good and holds
        print(f"{name}: {value:.2f} ({'at most' if most else 'at least'} {limit:g}): {'ok' if holds else 'MISSED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
