# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills on real hosts: a good set passes, every fault is named, none leaves anything behind, none is a false alarm."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._backup.receipt import STEPS
from tests.integration.backup.conftest import CODE, GO, HOME, SCRATCH, SETS, DrillHost, psql
from tests.integration.servers import Database, create_database, drop_database

A = "20261124T010000Z-a"
NASTY = Path(__file__).with_name("nasty.sql").read_text()


@pytest.fixture
def copy(drill_host: DrillHost, shop: Database) -> Iterator[str]:
    """A copy of the set A that a test may damage; the newest."""
    name = "20261124T020000Z-copy"
    script = f"rm -rf {SETS}/{name}; cp -a {SETS}/{A} {SETS}/{name}"
    drill_host.host.run("sh", "-c", script)
    drill_host.edit(name, f"m['id'] = {name!r}")
    yield name
    drill_host.host.run("rm", "-rf", f"{SETS}/{name}")


def test_whatever_a_database_holds_it_passes(drill_host: DrillHost) -> None:
    database = create_database(drill_host.server)
    try:
        psql(drill_host.host, database.name, f"CREATE ROLE {database.prefix}owner; CREATE ROLE {database.prefix}app")
        script = NASTY.replace("{p}", database.prefix).replace("{d}", database.name)
        psql(drill_host.host, database.name, script)
        drill_host.host.run(
            "sh",
            "-c",
            f"rm -f {HOME}/id*; age-keygen -o {HOME}/identity 2>/dev/null;"
            f"age-keygen -y {HOME}/identity >{HOME}/id.pub; chown postgres {HOME}/identity; chmod 0400 {HOME}/identity",
        )
        options = ("--recipient", f"{HOME}/id.pub", "--zstd")
        drill_host.make("20261123T000000Z-nasty", [database.name, "postgres"], *options)
        for root in (False, True):
            held = drill_host.drill(
                root=root,
                set="20261123T000000Z-nasty",
                identity=f"{HOME}/identity",
                smoke=[
                    {"database": database.name, "query": "SELECT count(*) = 521 FROM customers"},
                    {"database": database.name, "query": "SELECT 'it''s 100%'", "expect": "it's 100%"},
                ],
                newest=[
                    {"database": database.name, "table": "app.customers", "column": "at", "max_age_hours": 1},
                    {"database": database.name, "table": "app.events", "column": "at", "max_age_hours": 100000},
                ],
                rto_target_minutes=10,
            )
            assert held.problems == []
            assert (held.status, held.receipt["verdict"]) == (0, "passed")
            assert {step["status"] for step in held.receipt["steps"]} == {"passed"}
            assert [item["name"] for item in held.receipt["databases"]] == [database.name, "postgres"]
            assert held.receipt["databases"][0]["tables"] == 12
            assert 0 < held.receipt["rto_seconds"] < held.receipt["seconds"] < 120
            assert drill_host.left() == []
        assert "AGE-SECRET-KEY" not in held.said
    finally:
        drop_database(database)


def test_it_is_killed_in_every_step_and_the_next_cleans_up(drill_host: DrillHost, shop: Database) -> None:
    said = drill_host.killed_drills(STEPS)
    cleaned = said.count("removed what an interrupted drill had left")
    held = drill_host.drill()
    assert held.status == 0, held.said
    assert drill_host.left() == []
    assert cleaned >= 10


def test_workers_in_each_others_way_are_no_alarm(drill_host: DrillHost, shop: Database) -> None:
    held = drill_host.drill(set=A, deadlock="1")
    assert (held.status, held.problems) == (0, []), held.said
    assert f"{shop.name}: two workers of pg_restore were in each other's way (deadlock)" in held.said
    assert held.step("restore")["detail"].endswith(f"again with one, after a deadlock of pg_restore's own: {shop.name}")
    assert drill_host.left() == []


def test_a_row_that_was_deleted_after_the_snapshot_is_no_alarm(drill_host: DrillHost, shop: Database) -> None:
    psql(drill_host.host, shop.name, "BEGIN; DELETE FROM payments WHERE id = 7; UPDATE payments SET card = 'x'; COMMIT")
    held = drill_host.drill(set=A)
    psql(drill_host.host, shop.name, "UPDATE payments SET card = md5(id::text); INSERT INTO payments VALUES (7)")
    assert (held.status, held.problems) == (0, [])


def test_a_row_that_is_missing_in_the_dump_is_named_by_its_table(
    drill_host: DrillHost, shop: Database, copy: str
) -> None:
    psql(drill_host.host, shop.name, "DELETE FROM payments WHERE id = 8")
    drill_host.make("20261124T030000Z-less", [shop.name])
    psql(drill_host.host, shop.name, "INSERT INTO payments VALUES (8)")
    other = f"{SETS}/20261124T030000Z-less/{shop.name}.dump"
    drill_host.edit(copy, f"stored(m['databases'][0]['dump'], pathlib.Path({other!r}).read_bytes())")
    held = drill_host.drill(set=copy)
    drill_host.host.run("rm", "-rf", f"{SETS}/20261124T030000Z-less")
    assert (held.status, held.receipt["verdict"]) == (1, "failed")
    assert held.problems == [
        f"database {shop.name}: table public.payments: 999 rows, the manifest says 1000 (1 missing)"
    ]
    assert held.step("write")["status"] == "passed", "what comes after is judged all the same"
    assert drill_host.left() == []


FLIP = "b = bytearray((d / o['name']).read_bytes()); b[len(b) // 2] ^= 4; (d / o['name']).write_bytes(bytes(b))"
DAMAGES = {
    "a flipped bit in the dump": (f"o = m['databases'][0]['dump']; {FLIP}", ".dump is damaged: its sha256 is"),
    "a flipped bit in the globals": (f"o = m['globals']; {FLIP}", "object globals.sql is damaged: its sha256 is"),
    "a truncated object": (
        "o = m['databases'][0]['dump']; p = d / o['name']; p.write_bytes(p.read_bytes()[:-10])",
        "bytes, the manifest says",
    ),
    "a missing object": ("(d / m['globals']['name']).unlink()", "object globals.sql is missing"),
    "a manifest of another set": ("m['id'] = '20261124T010000Z-a'", "is that of set 20261124T010000Z-a"),
    "a dump that is none": ("stored(m['databases'][0]['dump'], b'x' * 9000)", "pg_restore --list"),
    "a dump whose data are damaged": (
        """o = m['databases'][0]['dump']; b = bytearray((d / o['name']).read_bytes())
b[-3000:-2000] = bytes(1000); stored(o, bytes(b))""",
        "pg_restore: ",
    ),
    "globals without a role": (
        """o = m['globals']; t = (d / o['name']).read_text()
stored(o, '\\n'.join(l for l in t.splitlines() if '_app' not in l).encode())""",
        "_app is not in the set's globals",
    ),
    "globals that fail": ("stored(m['globals'], b'CREATE ROLE app; CREATE ROLE app;')", "psql: "),
    "a table more in the manifest": (
        "m['databases'][0]['contents']['tables']['public.gone'] = {'rows': 3, 'hash': '1'}",
        "table public.gone, 3 rows in the manifest, was not restored",
    ),
    "an index more in the manifest": (
        "m['databases'][0]['contents']['schema']['index public.gone'] = 'x'",
        "index public.gone was not restored",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_fails_with_its_name(drill_host: DrillHost, shop: Database, copy: str, damage: str) -> None:
    statement, said = DAMAGES[damage]
    drill_host.edit(copy, statement)
    held = drill_host.drill(set=copy)
    assert (held.status, held.receipt["verdict"]) == (1, "failed"), held.said
    assert any(said in problem for problem in held.problems), held.problems
    assert drill_host.left() == []


def test_a_manifest_that_was_changed_is_refused(drill_host: DrillHost, shop: Database, copy: str) -> None:
    drill_host.host.run("cp", f"{SETS}/{A}/manifest.json", f"{SETS}/{copy}/manifest.json")
    held = drill_host.drill(set=copy)
    assert held.receipt["verdict"] == "failed"
    assert "it was changed or exchanged" in held.problems[0]
    drill_host.host.run("cp", f"{SETS}/{A}/complete.json", f"{SETS}/{copy}/complete.json")
    held = drill_host.drill(set=copy)
    assert f"is that of set {A}: the two were exchanged" in held.problems[0]


def test_a_missing_extension_is_named_before_the_restore(drill_host: DrillHost, shop: Database) -> None:
    control = f"/usr/share/postgresql/{drill_host.server.version}/extension/hstore.control"
    drill_host.host.run("mv", control, f"{control}.hidden")
    try:
        held = drill_host.drill(set=A)
    finally:
        drill_host.host.run("mv", f"{control}.hidden", control)
    assert (held.status, held.receipt["verdict"]) == (1, "error")
    (problem,) = held.problems
    assert problem.startswith(f"database {shop.name}: extension hstore 1.8 is not installed on this host")
    assert held.step("restore")["status"] == "not reached"
    assert drill_host.left() == []


def test_an_old_set_is_proven_all_the_same_and_fails(drill_host: DrillHost, shop: Database) -> None:
    held = drill_host.drill(max_age_hours=0.000001)
    assert (held.receipt["verdict"], held.step("freshness")["status"]) == ("failed", "failed")
    assert {step["status"] for step in held.receipt["steps"]} == {"passed", "failed"}
    assert drill_host.drill(max_age_hours=0.000001, set=A).status == 0, "a named set may be old"


def test_what_is_asked_of_the_restored_database(drill_host: DrillHost, shop: Database) -> None:
    held = drill_host.drill(
        set=A,
        query_timeout_seconds=1,
        smoke=[
            {"name": "wrong", "database": shop.name, "query": "SELECT count(*) FROM payments", "expect": 5},
            {"name": "no table", "database": shop.name, "query": "SELECT 1 FROM nothing"},
            {"name": "writes", "database": shop.name, "query": "DELETE FROM payments"},
            {"name": "slow", "database": shop.name, "query": "SELECT pg_sleep(60)"},
            {"name": "elsewhere", "database": "elsewhere", "query": "SELECT 1"},
        ],
        newest=[
            {"database": shop.name, "table": "public.payments", "column": "at", "max_age_hours": 0.0000001},
            {"database": shop.name, "table": "public.payments", "column": "none", "max_age_hours": 1},
        ],
    )
    assert held.receipt["verdict"] == "failed"
    smoke = sorted(held.step("smoke queries")["problems"])
    assert [problem.split(":")[0] for problem in smoke] == [
        "no table",
        "slow",
        "smoke query elsewhere",
        "writes",
        "wrong",
    ]
    assert "read-only transaction" in smoke[3]
    assert smoke[4] == "wrong: answered '1000', expected '5'"
    assert len(held.step("newest rows")["problems"]) == 2
    assert held.step("write")["status"] == "passed"


def test_a_wrong_and_a_missing_identity(drill_host: DrillHost, shop: Database) -> None:
    script = f"cd {HOME}; for n in 1 2; do rm -f k$n; age-keygen -o k$n 2>/dev/null; chown postgres k$n; done"
    drill_host.host.run("sh", "-c", f"{script}; age-keygen -y k1 >k1.pub; chmod 0644 k1.pub")
    drill_host.make("20261122T000000Z-sealed", [shop.name], "--recipient", f"{HOME}/k1.pub")
    held = drill_host.drill(set="20261122T000000Z-sealed", identity=f"{HOME}/k2")
    assert held.receipt["verdict"] == "failed"
    assert "age: " in held.problems[0]
    assert "AGE-SECRET-KEY" not in held.said + str(held.receipt)
    held = drill_host.drill(set="20261122T000000Z-sealed")
    assert held.receipt["verdict"] == "error"
    assert "no identity on this host" in held.problems[0]
    assert drill_host.left() == []


@contextlib.contextmanager
def held_at(drill_host: DrillHost, step: str) -> Iterator[subprocess.Popen[str]]:
    """A drill of the set A that stands still as a step begins, until the end of the block."""
    command = ("runuser", "-u", "postgres", "--", "env", f"DBOPS_HOLD={step}", "python3", f"{CODE}/on_host.py")
    given = json.dumps({"scratch": SCRATCH, "set": A})
    drill_host.host.run("rm", "-f", GO)
    with subprocess.Popen(
        drill_host.host.ssh_command(*command, "drill", SETS, given),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(step):
                break
        try:
            yield process
        finally:
            drill_host.host.run("touch", GO)
    drill_host.host.run("rm", "-f", GO)


def test_two_at_once(drill_host: DrillHost, shop: Database) -> None:
    with held_at(drill_host, "smoke queries") as first:
        second = drill_host.drill()
        drill_host.host.run("touch", GO)
        first.communicate(timeout=120)
    assert first.returncode == 0
    assert second.receipt["verdict"] == "error"
    assert "Another drill or restore is running" in second.problems[0]
    assert drill_host.left() == []


@pytest.mark.parametrize("step", ["restore", "contents"])
def test_a_scratch_server_that_is_killed_is_no_broken_backup(drill_host: DrillHost, shop: Database, step: str) -> None:
    with held_at(drill_host, step) as process:
        drill_host.host.run("sh", "-c", f"kill -KILL $(head -qn1 {SCRATCH}/drill-*/data/postmaster.pid)")
        drill_host.host.run("touch", GO)
        out, said = process.communicate(timeout=120)
    receipt = json.loads(out)
    assert receipt["verdict"] == "error", said
    [found] = [item for item in receipt["steps"] if item["name"] == step]
    assert "Cannot connect to database" in found["problems"][0] or "throwaway server" in found["problems"][0]
    assert found["remedy"]
    assert drill_host.left() == []


def test_a_disk_that_is_too_small(drill_host: DrillHost, shop: Database, copy: str) -> None:
    small = f"{HOME}/small"
    mount = f"mkdir -p {small}; mount -t tmpfs -o size=24m,uid=postgres,mode=0700 tmpfs {small}"
    drill_host.host.run("sh", "-c", mount.replace("uid=postgres", "uid=$(id -u postgres)"))
    try:
        held = drill_host.drill(scratch=small)
        assert held.receipt["verdict"] == "error"
        assert "24.0 MB free, the drill needs" in held.problems[0]
        assert held.step("objects")["status"] == "not reached"
        # What was foreseen is one thing; a disk that fills up meanwhile is another.
        drill_host.edit(copy, "m['databases'][0]['size'] = -10**9")
        held = drill_host.drill(scratch=small, set=copy)
        assert held.receipt["verdict"] == "error", held.said
        assert "No space left on device" in " ".join(held.problems)
        assert drill_host.host.run("ls", small).split() == ["lock"]
    finally:
        drill_host.host.run("umount", small)


def test_a_disk_that_a_filter_finds_full_is_no_broken_backup(drill_host: DrillHost, shop: Database) -> None:
    small, name = f"{HOME}/small", "20261122T000000Z-full"
    key = f"cd {HOME}; rm -f k3; age-keygen -o k3 2>/dev/null; chown postgres k3; age-keygen -y k3 >k3.pub"
    drill_host.host.run("sh", "-c", f"{key}; chmod 0644 k3.pub; mkdir -p {small}")
    drill_host.make(name, [shop.name], "--recipient", f"{HOME}/k3.pub")
    drill_host.edit(name, "m['databases'][0]['size'] = -10**9")
    mount = f"mount -t tmpfs -o size=16k,uid=$(id -u postgres),mode=0700 tmpfs {small}"
    drill_host.host.run("sh", "-c", mount)
    try:
        held = drill_host.drill(scratch=small, set=name, identity=f"{HOME}/k3")
    finally:
        drill_host.host.run("umount", small)
        drill_host.host.run("rm", "-rf", f"{SETS}/{name}")
    assert held.receipt["verdict"] == "error", held.said
    assert "no space left on device" in held.problems[0].lower()
    assert "more room" in held.step("objects")["remedy"]


def test_what_is_not_its_own_stays(drill_host: DrillHost, shop: Database) -> None:
    names = f"{SCRATCH}/drill-0123456789ab {SCRATCH}/precious"
    drill_host.host.run("sh", "-c", f"mkdir -p {names}; touch {SCRATCH}/precious/data; echo {{}} >{SCRATCH}/other.json")
    held = drill_host.drill()
    assert held.status == 0, held.said
    assert set(drill_host.left()) == {"drill-0123456789ab", "precious", "other.json"}
    drill_host.host.run("sh", "-c", f"rm -r {names} {SCRATCH}/other.json")


def test_a_recycled_process_number_is_not_killed(drill_host: DrillHost, shop: Database) -> None:
    assert "Killed" in drill_host.drill(kill="smoke queries").said
    # The server is gone, and its number is now that of the live one.
    script = (
        f"set -e; cd {SCRATCH}; name=$(ls | grep -x 'drill-[0-9a-f]*');"
        "kill -KILL $(head -1 $name/data/postmaster.pid);"
        f"head -1 /var/lib/postgresql/{drill_host.server.version}/main/postmaster.pid >$name/data/postmaster.pid"
    )
    drill_host.host.run("sh", "-c", script)
    before = psql(drill_host.host, "postgres", "SELECT pg_postmaster_start_time()")
    assert drill_host.drill().status == 0
    assert psql(drill_host.host, "postgres", "SELECT pg_postmaster_start_time()") == before
    assert drill_host.left() == []


@pytest.mark.parametrize(
    ("scratch", "before", "said"),
    [
        ("/var/lib/postgresql/{v}/main/scratch", "true", "lies in the data directory"),
        (f"{HOME}/link/x", f"ln -sfn /srv {HOME}/link", "is behind a link"),
        (f"{HOME}/open", f"mkdir -p {HOME}/open; chmod 0777 {HOME}/open", "can be written by others"),
    ],
)
def test_a_scratch_directory_that_is_not_for_drills(
    drill_host: DrillHost, shop: Database, scratch: str, before: str, said: str
) -> None:
    drill_host.host.run("sh", "-c", before)
    held = drill_host.drill(scratch=scratch.format(v=drill_host.server.version))
    assert held.receipt["verdict"] == "error"
    assert said in held.problems[0]


def test_a_version_that_is_not_here(drill_host: DrillHost, shop: Database, copy: str) -> None:
    drill_host.edit(copy, "m['major'] = 12")
    held = drill_host.drill(set=copy)
    assert held.receipt["verdict"] == "error"
    assert "The set is of PostgreSQL 12" in held.problems[0]
    assert "postgresql-12" in held.step("objects")["remedy"]
