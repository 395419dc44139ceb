# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole drill against a bare ``pg_restore --jobs=2`` of the same dump into a fresh cluster, on PostgreSQL 17.

    python -m tests.bench.drill [--scale 60 --documents 1000000]

The bare one is what a careful person types: initdb, start as it comes, pg_restore. It proves nothing.
The drill makes its own cluster, checks every checksum, restores, counts and hashes every row, checks every page and
index, writes, and removes all of it. Both begin with the dump on the same disk; each runs three times in turn, the
medians count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

from tests.integration.backup.conftest import CODE, SETS, install, psql
from tests.integration.servers import GROUP, throwaway
from tests.throwaway import Host, hosts

LIMIT = 1.5
DATABASE = "dbops_bench_backup"
SET = "20260101T000000Z-bench"

BARE = """
set -eu
cd /var/lib/postgresql
B=/usr/lib/postgresql/17/bin
rm -rf bare; mkdir -m 0700 bare
$B/initdb -D bare/data --auth=trust >/dev/null
echo "unix_socket_directories = '/var/lib/postgresql/bare'" >>bare/data/postgresql.auto.conf
echo "listen_addresses = ''" >>bare/data/postgresql.auto.conf
$B/pg_ctl start -D bare/data -l bare/log -s -w
createdb -h /var/lib/postgresql/bare -T template0 restored
$B/pg_restore -h /var/lib/postgresql/bare -d restored --jobs=2 {dump}
"""
CLEAN = "/usr/lib/postgresql/17/bin/pg_ctl stop -D bare/data -m immediate -s; rm -rf bare"


WORDS = (
    "about after again allergy ankle antibiotic anxiety appetite arm asthma back before better blood breath chest "
    "clinic  cold cough daily day dizzy doctor dose eight evening exercise fever five follow four given headache "
    "heart hour  infection knee left less light little lung medicine mild milligrams month morning nausea neck "
    "night nine normal  now nurse often once one pain patient please pressure pulse rash rest right sample scan "
    "seven severe she sharp  shoulder side since six skin sleep slowly sometimes sore stomach stop sugar swelling "
    "tablet take ten test that  the they three throat tired today tomorrow treatment two twice under until visit "
    "walk water week weight when  while with without worse wrist year yes yesterday you"
)


def load(host: Host, scale: int, documents: int) -> None:
    """The data, once: pgbench's tables, and documents as transcripts are: some fields, and thirty words of text."""
    size = f"{scale} {documents} transcripts"
    said = f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{DATABASE}'"
    if psql(host, "postgres", said) == size:
        return
    psql(host, "postgres", f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE);")
    psql(host, "postgres", f"CREATE DATABASE {DATABASE};")
    as_postgres = ("runuser", "-u", "postgres", "--")
    pgbench = "/usr/lib/postgresql/17/bin/pgbench"
    host.run(*as_postgres, pgbench, "-i", "-q", "-s", str(scale), DATABASE, timeout=900)
    psql(
        host,
        DATABASE,
        "CREATE TABLE documents (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, doc jsonb NOT NULL);"
        "INSERT INTO documents (doc) SELECT jsonb_build_object('id', i, 'audio', md5(i::text), 'tags',"
        " jsonb_build_array(i % 7, i % 11), 'segments', jsonb_build_array(jsonb_build_object('at', i % 100000, 'text',"
        " (SELECT string_agg(words[1 + (hashint8(i * 64 + n) & 2147483647) % cardinality(words)], ' ')"
        " FROM generate_series(1, 30) n))))"
        f" FROM generate_series(1, {documents}) i, (SELECT string_to_array('{WORDS}', ' ') AS words) w;"
        "CREATE INDEX ON documents USING gin ((doc -> 'tags') jsonb_path_ops);",
    )
    psql(host, DATABASE, "VACUUM ANALYZE;")
    psql(host, "postgres", f"COMMENT ON DATABASE {DATABASE} IS '{size}';")


def prepare(host: Host, scale: int, documents: int) -> None:
    """The data and their set, once."""
    load(host, scale, documents)
    as_postgres = ("runuser", "-u", "postgres", "--")
    size = f"{scale} {documents} transcripts"
    if host.run("sh", "-c", f"cat {SETS}/{SET}/size 2>/dev/null || true").strip() == size:
        return
    host.run("rm", "-rf", f"{SETS}/{SET}")
    host.run(*as_postgres, "python3", f"{CODE}/on_host.py", "make", SETS, SET, DATABASE, timeout=900)
    host.run(*as_postgres, "sh", "-c", f"echo {size} >{SETS}/{SET}/size")


def bare(host: Host) -> float:
    """Seconds of the bare restore."""
    as_postgres = ("runuser", "-u", "postgres", "--", "sh", "-c")
    start = time.monotonic()
    host.run(*as_postgres, BARE.format(dump=f"{SETS}/{SET}/{DATABASE}.dump"), timeout=900)
    seconds = time.monotonic() - start
    host.run(*as_postgres, f"cd /var/lib/postgresql; {CLEAN}")
    return seconds


def drill(host: Host) -> tuple[float, dict[str, float]]:
    """Seconds of a whole drill, and of its steps."""
    config = json.dumps({"scratch": "/var/lib/postgresql/scratch", "set": SET})
    command = ("runuser", "-u", "postgres", "--", "python3", f"{CODE}/on_host.py", "drill", SETS, config)
    start = time.monotonic()
    receipt = json.loads(host.run(*command, timeout=900))
    seconds = time.monotonic() - start
    if not receipt["passed"]:
        raise RuntimeError(receipt["summary"])
    return seconds, {step["name"]: step["seconds"] for step in receipt["steps"]}


def main() -> int:
    """Measure; 1 when the ratio is above its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=60)
    parser.add_argument("--documents", type=int, default=1_000_000)
    arguments = parser.parse_args()
    throwaway()
    host = next(host for host in hosts(GROUP) if host.name == "pg17")
    install(host)
    prepare(host, arguments.scale, arguments.documents)
    psql(host, "postgres", "CHECKPOINT;")
    ours: list[float] = []
    theirs: list[float] = []
    steps: dict[str, float] = {}
    for _run in range(3):
        theirs.append(bare(host))
        seconds, steps = drill(host)
        ours.append(seconds)
    ratio = statistics.median(ours) / statistics.median(theirs)
    size = psql(host, "postgres", f"SELECT pg_size_pretty(pg_database_size('{DATABASE}'))")
    print(
        f"drill of {size}: {ratio:.2f}x of bare pg_restore -j2 ({statistics.median(ours):.1f} s against "
        f"{statistics.median(theirs):.1f} s; at most {LIMIT}x): {'ok' if ratio <= LIMIT else 'TOO SLOW'}"
    )
    print("  " + ", ".join(f"{name} {value:.1f} s" for name, value in steps.items() if value >= 0.1), flush=True)
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
