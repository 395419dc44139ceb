# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups to a real S3 server and a directory: what a set is, and every fault: nothing is lost, nothing looks whole."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator

import pytest
from psycopg2 import errors

from tests.integration.backup.conftest import CODE, CREDENTIALS, GO, LOCAL, SCRATCH, Saver, psql
from tests.integration.backup.s3 import BUCKET, HOME, KEYS
from tests.integration.servers import Database, create_database, drop_database

BAD = 9444
DUMPS = "/var/lib/postgresql/dumps"


@pytest.fixture(scope="module")
def data(saver: Saver) -> Iterator[Database]:
    """A database of some megabytes that do not compress."""
    database = create_database(saver.server)
    psql(
        saver.host,
        database.name,
        "CREATE EXTENSION hstore; CREATE TABLE payments (id int PRIMARY KEY, card text);"
        "INSERT INTO payments SELECT i, md5(i::text) || md5((i * 7)::text) FROM generate_series(1, 100000) i;"
        "CREATE TABLE busy (id int PRIMARY KEY, n int); INSERT INTO busy SELECT i, 0 FROM generate_series(1, 1000) i;",
    )
    yield database
    drop_database(database)


@pytest.fixture(autouse=True)
def both(saver: Saver, data: Database) -> None:
    """Two empty targets."""
    saver.clear()
    saver.configure([saver.s3.target(), {"directory": LOCAL}], [data.name])


def test_a_set_is_complete_at_both_targets_and_a_drill_proves_it_from_each(saver: Saver, data: Database) -> None:
    status, said = saver.run("backup", "--label", "nightly")
    assert status == 0, said
    [offsite, local] = saver.status()
    assert (offsite["problem"], local["problem"]) == ("", "")
    assert (offsite["off_host"], local["off_host"]) == (True, False)
    for place in (offsite, local):
        [found] = place["sets"]
        assert found["id"].endswith("-nightly")
        assert (place["newest"]["encrypted"], place["newest"]["level"]) == (True, "hashes")
        assert place["newest"]["databases"] == [data.name]
    assert saver.evidence()["verdict"] == "passed"
    for target in (saver.s3.target(), {"directory": LOCAL}):
        config = json.dumps({"target": target, "drill": {"scratch": SCRATCH}})
        saver.host.run("sh", "-c", "cat >/etc/dbops-postgres/drill.json", text=config)
        status, said = saver.run("drill")
        assert status == 0, said
        assert "restored and proven" in said
    assert [place["sets"][0]["verified"] for place in saver.status()] == [True, True]


def test_several_jobs_by_way_of_a_scratch_directory(saver: Saver, data: Database) -> None:
    saver.host.run("install", "-d", "-o", "postgres", "-m", "0700", DUMPS, f"{DUMPS}/dump")
    saver.configure([saver.s3.target()], [data.name], jobs=2, scratch=DUMPS)
    status, said = saver.run("backup", "--label", "killed", DBOPS_KILL_AT=9)
    assert status in (-9, 137, 255), said
    assert saver.host.run("ls", DUMPS) == "dbops-postgres-dump\ndump\n"
    status, said = saver.run("backup")
    assert status == 0, said
    assert saver.host.run("ls", DUMPS) == "dump\n", "what is somebody else's stays"
    [set_id] = saver.complete()[0]
    assert f"{data.name}.dump.tar" in saver.host.run("ls", f"{HOME}/{BUCKET}/db1/{set_id}")
    config = json.dumps({"target": saver.s3.target(), "drill": {"scratch": SCRATCH}})
    saver.host.run("sh", "-c", "cat >/etc/dbops-postgres/drill.json", text=config)
    status, said = saver.run("drill")
    assert status == 0, said
    saver.host.run("mount", "-t", "tmpfs", "-o", "size=2m,mode=0700,uid=postgres", "tmpfs", DUMPS)
    try:
        status, said = saver.run("backup")
    finally:
        saver.host.run("umount", DUMPS)
    assert status == 1
    assert "free, the database is" in said
    assert saver.complete() == [[set_id]]


def test_nothing_lies_in_clear(saver: Saver, data: Database) -> None:
    psql(saver.host, data.name, "UPDATE payments SET card = 'canary-row-77' WHERE id = 1")
    assert saver.run("backup")[0] == 0
    found = saver.host.run("sh", "-c", f"grep -rlE 'canary-row|PGDMP|CREATE ROLE' {LOCAL} {HOME}/{BUCKET} /tmp || true")
    assert found == ""
    secret = KEYS["secret_access_key"]
    places = "/var/lib/dbops-postgres /etc/dbops-postgres"
    assert saver.host.run("sh", "-c", f"grep -rlF {secret} {places} {LOCAL} {HOME} || true") == ""


# One session, which leaves the processors to the others; as many rows come as go.
CHURN = """
CREATE OR REPLACE PROCEDURE churn() LANGUAGE plpgsql AS $$ BEGIN
  FOR i IN 1 .. 60000 LOOP
    UPDATE busy SET n = n + 1 WHERE id % 7 = 0;
    DELETE FROM payments WHERE id = 2 * i;
    INSERT INTO payments VALUES (2000000 + i, md5(i::text));
    COMMIT;
    PERFORM pg_sleep(0.005);
  END LOOP;
END $$
"""


@contextlib.contextmanager
def busy(saver: Saver, data: Database, procedure: str, call: str) -> Iterator[None]:
    """A session that works in the database all the time."""
    psql(saver.host, data.name, procedure)
    command = ("psql", "-Xq", "-d", data.name, "-c", call)
    saver.host.run("systemd-run", "--unit=busy", "--collect", "--uid=postgres", *command)
    try:
        yield
    finally:
        # Its client may go: a procedure under way does not notice.
        end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = '{call}'"
        ended = psql(saver.host, "postgres", end)
    assert ended == "t", "it worked all the time"


def test_rows_that_change_meanwhile_are_no_false_alarm(saver: Saver, data: Database) -> None:
    saver.configure([{"directory": LOCAL}], [data.name])
    with busy(saver, data, CHURN, "CALL churn()"):
        for _run in range(3):
            status, said = saver.run("backup")
            assert status == 0, said
    config = {"target": {"directory": LOCAL}, "drill": {"scratch": SCRATCH}}
    saver.host.run("sh", "-c", "cat >/etc/dbops-postgres/drill.json", text=json.dumps(config))
    hashes = set()
    for set_id in saver.complete()[0]:
        found = json.loads(saver.host.run("cat", f"{LOCAL}/{set_id}/manifest.json"))
        hashes.add(found["databases"][0]["contents"]["tables"]["public.payments"]["hash"])
        status, said = saver.run("drill", "--set", set_id)
        assert status == 0, said
    assert len(hashes) == 3, "rows did change"


def test_killed_at_every_moment_no_set_looks_complete_and_the_next_run_cleans_up(saver: Saver) -> None:
    assert saver.run("backup", "--label", "good")[0] == 0
    good = saver.complete()
    *killed, (status, last) = saver.killed()
    assert status == 0
    assert len(killed) > 12
    for ended, now in killed:
        assert ended == -signal.SIGKILL
        # The last moment is between the two targets' markers: one of them has the whole set, rightly.
        assert all(set(was) <= set(held) for was, held in zip(good, now, strict=True))
    assert [len(held) for held in last] == [2, 2]
    files = saver.host.run("find", LOCAL, f"{HOME}/{BUCKET}", "-type", "f").splitlines()
    assert [path for path in files if path.split("/")[-2] not in last[0]] == []
    assert saver.host.run("sh", "-c", "ls /var/lib/dbops-postgres/backup-running.json 2>&1 || true").endswith(
        "No such file or directory\n"
    )


def test_a_target_that_refuses_does_not_keep_the_other_from_having_its_set(saver: Saver) -> None:
    saver.s3.stop()
    try:
        status, said = saver.run("backup", DBOPS_ATTEMPTS=2)
    finally:
        saver.s3.start()
    assert status == 1
    assert "is not at every target" in said
    assert "s3://backups/db1" in said
    assert [len(held) for held in saver.complete()] == [0, 1]
    assert saver.evidence()["verdict"] == "failed"
    assert saver.evidence()["last_success"] == 0
    assert saver.run("backup")[0] == 0
    assert [len(held) for held in saver.complete()] == [1, 2]


@pytest.mark.parametrize("rule", ["cut=150000", "slow=4000000"])
def test_a_bad_network_is_outlived(saver: Saver, data: Database, rule: str) -> None:
    saver.s3.proxy(BAD, rule)
    try:
        saver.configure([saver.s3.target(BAD)], [data.name])
        status, said = saver.run("backup")
        assert status == 0, said
        assert saver.status()[0]["problem"] == ""
    finally:
        saver.s3.unproxy(BAD)


@pytest.mark.parametrize("place", ["s3", "directory"])
def test_a_target_that_is_full(saver: Saver, data: Database, place: str) -> None:
    full = f"{HOME}/{BUCKET}" if place == "s3" else LOCAL
    saver.configure([saver.s3.target() if place == "s3" else {"directory": LOCAL}], [data.name])
    saver.host.run("mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", full)
    try:
        status, said = saver.run("backup", DBOPS_ATTEMPTS=2)
        assert status == 1
        assert "No backup was made" in said
        if place == "directory":
            assert "No space left on device" in said
        assert saver.host.run("sh", "-c", f"find {full} -name complete.json") == ""
    finally:
        saver.host.run("umount", full)
    assert saver.run("backup")[0] == 0


# An import that makes its tables anew.
COME_AND_GO = """
CREATE OR REPLACE PROCEDURE come_and_go() LANGUAGE plpgsql AS $$ BEGIN
  FOR i IN 1 .. 60000 LOOP
    EXECUTE format('CREATE TABLE stage_%s AS SELECT 1 AS a', i);
    COMMIT;
    PERFORM pg_sleep(0.3);
    EXECUTE format('DROP TABLE stage_%s', i);
    COMMIT;
    PERFORM pg_sleep(0.3);
  END LOOP;
END $$
"""


def test_tables_that_come_and_go_are_no_failure(saver: Saver, data: Database) -> None:
    saver.configure([{"directory": LOCAL}], [data.name])
    with busy(saver, data, COME_AND_GO, "CALL come_and_go()"):
        for _run in range(4):
            status, said = saver.run("backup")
            assert status == 0, said
    psql(
        saver.host,
        data.name,
        "SELECT format('DROP TABLE %s', tablename) FROM pg_tables WHERE tablename ~ 'stage' \\gexec",
    )


def test_a_table_that_is_locked_against_everybody_is_named(saver: Saver, data: Database) -> None:
    saver.configure([{"directory": LOCAL}], [data.name], lock_wait_seconds=1)
    blocker = saver.server.connect(data.name, autocommit=False)
    pid = blocker.info.backend_pid
    try:
        with blocker.cursor() as cursor:
            cursor.execute("LOCK TABLE busy")
        status, said = saver.run("backup")
    finally:
        blocker.close()
    assert status == 1
    assert f"Database {data.name}: canceling statement due to lock timeout" in said
    assert f"Locked against everybody: public.busy by process {pid}" in said


@pytest.mark.parametrize("key", ["access_key_id", "secret_access_key"])
def test_credentials_that_are_refused_are_not_told(saver: Saver, data: Database, key: str) -> None:
    saver.configure([saver.s3.target()], [data.name])
    wrong = json.dumps({**KEYS, key: "canary-wrong-0123456789"})
    saver.host.run("sh", "-c", f"cat >{CREDENTIALS}/backup_target_offsite", text=wrong)
    try:
        status, said = saver.run("backup")
    finally:
        saver.host.run("sh", "-c", f"cat >{CREDENTIALS}/backup_target_offsite", text=json.dumps(KEYS))
    assert status == 1
    assert "credential of this target" in said
    assert key == "access_key_id" or "canary-wrong" not in said


def wait_for_the_dump(saver: Saver, label: str = "cut") -> None:
    """Until that of the set with the label is being written."""
    saver.host.run(
        "timeout", "120", "sh", "-c", f"until ls {LOCAL}/*{label}/*.dump*.new >/dev/null 2>&1; do sleep 0.05; done"
    )


@pytest.fixture
def held_dump(saver: Saver) -> Iterator[str]:
    """A PATH on which age takes nothing of a dump until GO exists: pg_dump then waits in the midst of its rows."""
    place = f"{CODE}/held"
    script = f"""#!/bin/sh
# The globals come first.
mkdir {place}/globals 2>/dev/null || until [ -e {GO} ]; do sleep 0.05; done
exec /usr/bin/age "$@"
"""
    make = f"rm -rf {GO} {place}; mkdir {place}; cat >{place}/age; chmod 755 {place}/age; chown postgres {place}"
    saver.host.run("sh", "-c", make, text=script)
    yield f"{place}:/usr/sbin:/usr/bin:/sbin:/bin"
    saver.host.run("rm", "-rf", GO, place)


def test_the_server_restarts_during_the_dump(saver: Saver, data: Database, held_dump: str) -> None:
    assert saver.run("backup", "--label", "good")[0] == 0
    process = saver.start("backup", "--label", "cut", PATH=held_dump)
    wait_for_the_dump(saver)
    saver.host.run("systemctl", "restart", "postgresql")
    saver.host.run("touch", GO)
    _out, said = process.communicate(timeout=120)
    assert process.returncode == 1, said
    assert "No backup was made" in said
    assert "Traceback" not in said
    assert saver.evidence()["message"].startswith("No backup was made. ")
    assert [[set_id[-4:] for set_id in held] for held in saver.complete()] == [["good"], ["good"]]
    assert saver.run("backup")[0] == 0


def test_who_would_change_a_table_meanwhile_waits(saver: Saver, data: Database, held_dump: str) -> None:
    changer = saver.server.connect(data.name)
    saver.configure([{"directory": LOCAL}], [data.name])
    process = saver.start("backup", "--label", "cut", PATH=held_dump)
    wait_for_the_dump(saver)
    with changer.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1s'")
        for statement in ("TRUNCATE payments", "DROP TABLE busy"):
            with pytest.raises(errors.LockNotAvailable):
                cursor.execute(statement)
    changer.close()
    saver.host.run("touch", GO)
    _out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "2 tables, 101000 rows" in said


def test_timeouts_of_the_server_are_not_for_backups(saver: Saver, data: Database) -> None:
    names = ["statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"]
    for name in names[: 3 if saver.server.version >= 17 else 2]:
        psql(saver.host, "postgres", f"ALTER DATABASE {data.name} SET {name} = '20ms'")
    try:
        status, said = saver.run("backup")
    finally:
        psql(saver.host, "postgres", f"ALTER DATABASE {data.name} RESET ALL")
    assert status == 0, said


@pytest.mark.parametrize("name", ["aa_gone", "zz_gone"])
def test_a_database_that_is_dropped_meanwhile(saver: Saver, held_dump: str, name: str) -> None:
    """While it is dumped, or before its turn."""
    psql(saver.host, "postgres", f"CREATE DATABASE {name};")
    # More than pipes and sockets hold: pg_dump has to wait in it.
    psql(saver.host, name, "CREATE TABLE t AS SELECT md5(i::text) FROM generate_series(1, 300000) i")
    saver.configure([{"directory": LOCAL}], [])
    process = saver.start("backup", PATH=held_dump)
    wait_for_the_dump(saver, "")
    psql(saver.host, "postgres", f"DROP DATABASE {name} WITH (FORCE);")
    saver.host.run("touch", GO)
    _out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert f"{name}: it was dropped meanwhile, and is not in the set" in said
    held = saver.status()[0]["newest"]["databases"]
    assert "postgres" in held
    assert name not in held


def test_the_session_that_counts_ends_during_the_dump(saver: Saver, data: Database) -> None:
    status, said = saver.run("backup", DBOPS_CUT="public.payments")
    assert status == 1, said
    assert f"No backup was made. Database {data.name}: " in said
    assert "connection" in said
    assert "Traceback" not in said
    assert saver.complete() == [[], []]


@pytest.mark.parametrize("number", ["INT", "HUP", "TERM"])
def test_a_run_that_is_interrupted_takes_down_what_it_had_begun(saver: Saver, data: Database, number: str) -> None:
    saver.s3.proxy(BAD, "hold=100000")
    try:
        saver.configure([saver.s3.target(BAD), {"directory": LOCAL}], [data.name])
        process = saver.start("backup", "--label", "cut")
        wait_for_the_dump(saver)
        pid = json.loads(saver.host.run("cat", "/var/lib/dbops-postgres/backup-running.json"))["pid"]
        saver.host.run("kill", f"-{number}", str(pid))
        saver.s3.release()
        _out, said = process.communicate(timeout=120)
    finally:
        saver.s3.unproxy(BAD)
    assert process.returncode == 2, said
    assert f"Interrupted by SIG{number}" in said
    assert "Traceback" not in said
    assert saver.evidence()["message"] == "It was interrupted: no backup was made."
    assert saver.host.run("sh", "-c", f"ls -A {LOCAL} {HOME}/{BUCKET}/db1 2>/dev/null; ls /var/lib/dbops-postgres") == (
        f"{LOCAL}:\nbackup.lock\nevidence\n"
    )


def test_a_user_who_is_not_root_is_told_so(saver: Saver) -> None:
    saver.host.run("sh", "-c", "chmod 0644 /etc/dbops-postgres/backup.json; chmod 0755 /etc/dbops-postgres")
    assert saver.run("backup")[0] == 0
    command = ("runuser", "-u", "nobody", "--", "env", f"DBOPS_CODE={CODE}", "python3", f"{CODE}/on_host.py", "program")
    done = saver.host.run("sh", "-c", f"{' '.join(command)} backup 2>&1 || echo status $?")
    assert "backup.lock: Permission denied. Nothing was changed. Run it as root" in done
    assert done.endswith("status 2\n")
    assert "Traceback" not in done


def test_two_runs_at_once(saver: Saver, data: Database) -> None:
    saver.s3.proxy(BAD, "hold=100000")
    try:
        saver.configure([saver.s3.target(BAD)], [data.name])
        first = saver.start("backup", "--label", "first")
        saver.host.run(
            "timeout", "120", "sh", "-c", "until ls /var/lib/dbops-postgres/backup-running.json; do sleep 0.05; done"
        )
        status, said = saver.run("backup", "--label", "second")
        assert status == 2
        assert "Another backup is running" in said
        third = saver.start("backup", "--label", "third", "--wait", "120")
        saver.s3.release()
        assert first.wait(120) == 0
        assert third.wait(120) == 0
    finally:
        saver.s3.unproxy(BAD)
    saver.configure([saver.s3.target()], [data.name])
    assert [set_id.rpartition("-")[2] for set_id in saver.complete()[0]] == ["third", "first"]


def test_a_clock_that_jumped_loses_nothing(saver: Saver) -> None:
    assert saver.run("backup", "--label", "before")[0] == 0
    assert saver.run("backup", "--label", "tomorrow", DBOPS_CLOCK=86400)[0] == 0
    assert saver.run("backup", "--label", "after")[0] == 0
    assert saver.run("backup", "--label", "last-year", DBOPS_CLOCK=-400 * 86400)[0] == 0
    labels = [[set_id.partition("-")[2] for set_id in held] for held in saver.complete()]
    assert labels == [["tomorrow", "after", "before"]] * 2  # of four the oldest by its name has gone


def test_pruning_keeps_what_is_declared_and_says_why(saver: Saver, data: Database) -> None:
    for day in (40, 35, 2, 1):
        assert saver.run("backup", "--label", f"d{day}", DBOPS_CLOCK=-day * 86400)[0] == 0
    saver.configure([{"directory": LOCAL}], [data.name], keep={"days": 30, "minimum": 1})
    before = saver.complete()
    status, said = saver.run("prune", "--dry-run")
    assert status == 0
    assert said.count("would go: older than 30 days") == 1  # one of the four had gone by the rule of the first runs
    assert said.count("stays:") == 2
    assert saver.complete() == before
    saver.host.run("mkdir", f"{LOCAL}/20250101T000000Z-old")
    saver.host.run("touch", "-d", "3 days ago", f"{LOCAL}/20250101T000000Z-old")
    saver.host.run("mkdir", f"{LOCAL}/somebody-elses")
    assert saver.run("prune")[0] == 0
    assert [set_id.rpartition("-")[2] for set_id in saver.complete()[0]] == ["d1", "d2"]
    assert sorted(saver.host.run("ls", LOCAL).split())[-1] == "somebody-elses"
    assert "20250101" not in saver.host.run("ls", LOCAL)


def test_damage_at_the_target_is_seen(saver: Saver, data: Database) -> None:
    assert saver.run("backup")[0] == 0
    [set_id] = saver.complete()[0]
    for damage, said in (
        (f"truncate -s -1 {data.name}.dump*", "bytes of"),
        (f"rm {data.name}.dump*", "is missing"),
        ("sed -i s/hashes/counts/ manifest.json", "changed or exchanged"),
    ):
        saver.host.run("sh", "-c", f"cd {HOME}/{BUCKET}/db1/{set_id}; {damage}")
        saver.s3.start()  # it remembers what it has seen
        assert said in saver.status()[0]["problem"]
    assert saver.status()[1]["problem"] == ""


def test_a_database_that_is_not_there(saver: Saver) -> None:
    saver.configure([{"directory": LOCAL}], ["nowhere"])
    status, said = saver.run("backup")
    assert status == 1
    assert "There is no database 'nowhere'" in said
    assert saver.host.run("ls", LOCAL) == ""
