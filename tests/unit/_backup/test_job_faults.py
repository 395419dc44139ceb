# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job says and leaves when this host, and not the backup, is at fault: words and evidence, no traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import psycopg2
import pytest

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._backup import (
    backup,
    backup_stream,
    drill,
    drill_cluster,
    drill_load,
    drill_prove,
    faults,
    keep,
)
from ansible_collections.dbops.postgres.plugins.module_utils._backup.backup import Backup, Done
from ansible_collections.dbops.postgres.plugins.module_utils._backup.backup_spec import BackupSpec, Keep
from ansible_collections.dbops.postgres.plugins.module_utils._backup.backup_stream import Fan, send
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_cluster import Cluster
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_set import BackupError
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_spec import DrillSpec
from ansible_collections.dbops.postgres.plugins.module_utils._backup.manifest import Manifest, StoredObject
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import Directory
from ansible_collections.dbops.postgres.plugins.module_utils._host_program import backup as backup_job
from ansible_collections.dbops.postgres.plugins.module_utils._host_program import drill as drill_job
from ansible_collections.dbops.postgres.plugins.module_utils._host_program import evidence, lock, program, prune
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.config import BackupConfig, Config
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

MADE = Manifest("20261124T010000Z-a", 1.0, "main", "17.2", 17, "postgres", "counts", StoredObject("g", 1, "x"))
MADE_BY = Cluster("drill-0123456789ab", "/nowhere", "/nowhere/bin", "postgres", 17)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Locks, evidence and receipts below a directory of the test."""
    monkeypatch.setattr(lock, "STATE", str(tmp_path))
    alone = lock.alone
    monkeypatch.setattr(lock, "alone", lambda job, wait=0: alone(job, wait, str(tmp_path / "state")))
    for name in ("record", "previous", "leave", "not_begun", "last_success"):
        function: Any = getattr(evidence, name)
        defaults = (*(function.__defaults__ or ())[:-1], str(tmp_path / "evidence"))
        monkeypatch.setattr(function, "__defaults__", defaults)
    monkeypatch.setattr(prune, "RECEIPTS", str(tmp_path / "drills"))
    (tmp_path / "sets").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The program sets its own."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def left(tmp_path: Path, job: str = "backup") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "evidence" / f"{job}.json").read_text())
    return found


def config(tmp_path: Path, textfile: str = "") -> BackupConfig:
    return BackupConfig([Directory(str(tmp_path / "sets"))], BackupSpec(), textfile)


def refuse(error: BaseException) -> Any:
    def refused(*_given: object, **_more: object) -> NoReturn:
        raise error

    return refused


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(28, "No space left on device", "/var/x"),
            "No backup was made. /var/x: No space left on device",
        ),
        (psycopg2.InterfaceError("connection already closed"), "InterfaceError: connection already closed"),
        (ValueError(), "ValueError. Nobody has foreseen that"),
        (DbopsError("It is so", "Do that."), "No backup was made. It is so. Nothing was changed. Do that."),
    ],
)
def test_whatever_ends_a_backup_is_told_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    monkeypatch.setattr(backup.Backup, "run", refuse(error))
    done, problem = backup_job.hold(config(tmp_path), "nightly")
    assert done is None
    assert said in problem
    assert (left(tmp_path)["verdict"], left(tmp_path)["message"]) == ("failed", problem)


@pytest.mark.parametrize("error", [OSError(5, "Input/output error", "/sets"), ValueError("strange"), SystemExit(2)])
def test_a_set_that_is_complete_stays_so_when_the_pruning_ends_badly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(backup.Backup, "run", lambda _self: Done(MADE, 1.0, ("directory /sets",), {}))
    monkeypatch.setattr(prune, "pruned", refuse(error))
    if isinstance(error, SystemExit):
        with pytest.raises(SystemExit):
            backup_job.hold(config(tmp_path), "nightly")
    else:
        done, problem = backup_job.hold(config(tmp_path), "nightly")
        assert done is not None
        assert problem.startswith("Not pruned. ")
    found = left(tmp_path)
    assert (found["set"], found["verdict"]) == (MADE.id, "failed")
    assert found["last_success"] == found["started"] > 0
    assert "No backup was made" not in found["message"]


def test_an_interruption_is_left_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup.Backup, "run", refuse(SystemExit(2)))
    with pytest.raises(SystemExit):
        backup_job.hold(config(tmp_path), "nightly")
    assert left(tmp_path)["message"] == "It was interrupted: no backup was made."


def test_evidence_and_metrics_that_cannot_be_written_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup.Backup, "run", lambda _self: Done(MADE, 1.0, ("directory /sets",), {}))
    (tmp_path / "evidence").write_text("a file in its place")
    done, problem = backup_job.hold(config(tmp_path, str(tmp_path / "nowhere")), "nightly")
    assert done is not None
    assert "evidence/backup.json cannot be written: " in problem
    assert "nowhere/dbops_backup.prom cannot be written: No such file or directory" in problem
    assert "of an earlier run" in problem


def test_the_lock_of_another_user(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in its place")
    with pytest.raises(DbopsError, match=r"state/backup.lock: .*[Ee]xists.* Run it as root"):
        backup_job.hold(config(tmp_path), "nightly")


@pytest.mark.parametrize(("job", "word"), [("backup", "No backup was made"), ("drill", "No drill was held")])
def test_a_configuration_that_cannot_be_read_is_in_the_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], job: str, word: str
) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / f"{job}.json").write_text(json.dumps({"last_success": 7.0}))
    (tmp_path / "config").write_text("[]")
    option = "--backup-config" if job == "backup" else "--config"
    assert program.main([option, str(tmp_path / "config"), job]) == 2
    assert "is no JSON: it holds a list" in capsys.readouterr().err
    found = left(tmp_path, job)
    assert (found["verdict"], found["last_success"]) == ("error", 7.0)
    assert found["message"].startswith(word)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_a_signal_ends_a_job_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    signal.signal(number, signal.SIG_DFL)  # a shell that starts the tests in its background has SIGINT ignored
    monkeypatch.setattr(program, "_run", lambda _given: os.kill(os.getpid(), number))
    with pytest.raises(SystemExit) as caught:
        program.main(["status"])
    assert caught.value.code == 2
    assert f"Interrupted by {number.name}" in capsys.readouterr().err


def test_a_signal_that_nohup_ignores_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def hang_up(_given: object) -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        return 0

    monkeypatch.setattr(program, "_run", hang_up)
    assert program.main(["status"]) == 0


def test_what_nobody_has_foreseen_has_words_and_a_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "_run", refuse(KeyError("x")))
    assert program.main(["status"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("dbops-postgres status: KeyError: 'x'. Nobody has foreseen that")
    assert any("test_job_faults" in line for line in lines)


class _Stopped(Directory):
    def complete_sets(self) -> NoReturn:
        raise SystemExit(2)


def test_a_drill_that_is_interrupted_leaves_its_receipt(tmp_path: Path) -> None:
    given = Config(_Stopped(str(tmp_path / "sets")), DrillSpec(receipts=str(tmp_path / "drills")))
    with pytest.raises(SystemExit):
        drill_job.hold(given, given_identity="/nowhere")
    [receipt] = (tmp_path / "drills").glob("*.json")
    assert json.loads(receipt.read_text())["steps"][0]["problems"] == ["interrupted"]
    assert (left(tmp_path, "drill")["verdict"], left(tmp_path, "drill")["receipt"]) == ("error", str(receipt))


def test_a_drill_whose_receipt_cannot_be_written_leaves_its_evidence(tmp_path: Path) -> None:
    (tmp_path / "drills").write_text("a file in its place")
    given = Config(Directory(str(tmp_path / "sets")), DrillSpec(receipts=str(tmp_path / "drills")))
    with pytest.raises(DbopsError, match=r"there is no complete set .* But The receipt .* cannot be written"):
        drill_job.hold(given, given_identity="/nowhere")
    assert left(tmp_path, "drill")["verdict"] == "failed"


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error", "/sets/x"), DbopsError("s3://x: cannot read", "Look.")]
)
def test_a_target_that_does_not_answer_is_no_broken_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    (tmp_path / "sets" / MADE.id).mkdir()
    (tmp_path / "sets" / MADE.id / "complete.json").write_text("{}")
    monkeypatch.setattr(Directory, "read", refuse(error))
    receipt = drill.Drill(DrillSpec(), Directory(str(tmp_path / "sets"))).hold()
    assert receipt.verdict == "error"
    assert "Error:" not in receipt.problems[0]
    assert receipt.steps[1].remedy


def test_a_directory_that_is_not_there_is_not_one_without_sets(tmp_path: Path) -> None:
    receipt = drill.Drill(DrillSpec(), Directory(str(tmp_path / "unmounted"))).hold()
    assert (receipt.verdict, receipt.problems) == ("error", [f"{tmp_path}/unmounted: No such file or directory"])
    given = BackupConfig([Directory(str(tmp_path / "unmounted"))], BackupSpec())
    with pytest.raises(DbopsError, match="No such file or directory") as caught:
        prune.pruned(given, dry=False)
    assert "What went before it is gone, nothing else." in str(caught.value)
    assert "Nothing was changed" not in str(caught.value)


def test_what_only_looks_like_a_set(tmp_path: Path) -> None:
    for name in ("99999999T999999Z-a", "20261301T000000Z-a", "20261124T010000Z-a", "20261124T010000Z-A"):
        (tmp_path / "sets" / name).mkdir()
    found = Directory(str(tmp_path / "sets")).sets()
    assert [item.id for item in found] == ["20261124T010000Z-a"]
    assert len(keep.decide(found, Keep(), 0, ())) == 1


def test_a_set_that_is_being_written_is_listed_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "sets" / MADE.id
    directory.mkdir()
    (directory / "a.dump.new").write_text("x")
    names = os.listdir

    def moved(path: str) -> list[str]:
        found = names(path)
        if path == str(directory):
            (directory / "a.dump.new").rename(directory / "a.dump")
        return found

    monkeypatch.setattr(os, "listdir", moved)
    assert [item.id for item in Directory(str(tmp_path / "sets")).sets()] == [MADE.id]


@pytest.mark.parametrize(
    ("problem", "failures", "made"),
    [
        ("pg_dump: error: query failed: ERROR: relation public.stage_3 does not exist", 4, True),
        ("cache lookup failed for function 16400", 4, True),
        ("relation public.stage_3 does not exist", 5, False),
        ("No space left on device", 1, False),
    ],
)
def test_a_schema_that_changes_is_dumped_in_another_snapshot(
    monkeypatch: pytest.MonkeyPatch, problem: str, failures: int, made: bool
) -> None:
    told: list[str] = []
    attempts = 0

    def dump(_self: Backup, *_given: object) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts <= failures:
            raise DbopsError(problem)
        return None

    monkeypatch.setattr(Backup, "_database", dump)
    job = Backup(BackupSpec(), [], "", tell=told.append)
    if made:
        job._reported("a", "shop", 17, [])
        assert told == [f"shop: its schema changes ({problem}); again, in a new snapshot"] * failures
    else:
        with pytest.raises(DbopsError, match=problem):
            job._reported("a", "shop", 17, [])
        assert attempts == failures


def test_a_program_that_does_not_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_stream, "_END_SECONDS", 0.2)
    fan = Fan([Directory(str(tmp_path / "sets"))])
    with pytest.raises(DbopsError, match=r"sh: has not ended 0\.2 s after its last byte, and was killed"):
        send(fan, MADE.id, "x", [["sh", "-c", "exec >&-; exec sleep 60"]])


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    (tmp_path / "dump").write_text("")
    with pytest.raises(DbopsError, match="dump cannot be started: Permission denied"):
        send(Fan([Directory(str(tmp_path / "sets"))]), MADE.id, "x", [[str(tmp_path / "dump")]])


def test_counting_ends_with_the_dump_also_between_two_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Task:
        left = 3

        def done(self) -> bool:
            self.left -= 1
            return self.left < 0

    monkeypatch.setattr(_postgres, "cancel", told.append)
    monkeypatch.setattr(backup, "wait", lambda _tasks, timeout: None)
    backup._end(Task(), "session")  # type: ignore[arg-type]
    assert told == ["session"] * 3


def ended(status: int, said: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.CompletedProcess(["x"], status, b"", said.encode())


@pytest.mark.parametrize(
    ("done", "kind", "words"),
    [
        (ended(1, "could not execute query: ERROR: relation x"), BackupError, "relation x"),
        (ended(-9, ""), DbopsError, "status -9"),
        (ended(1, "error: server closed the connection unexpectedly"), DbopsError, "memory of this host"),
        (ended(1, "could not write: No space left on device"), DbopsError, "more room"),
    ],
)
def test_a_restore_that_was_killed_is_no_broken_backup(
    done: subprocess.CompletedProcess[bytes], kind: type[Exception], words: str
) -> None:
    error = drill_load._failed(MADE_BY, "pg_restore", done)
    assert error.__class__ is kind
    assert words in str(error)


def test_the_first_error_of_a_tool_is_told_whole_not_its_consequences() -> None:
    said = b"""pg_restore: creating TABLE x
pg_restore: error: could not execute query: ERROR:  deadlock detected
DETAIL:  Process 1 waits.
Command was: ALTER TABLE public.events
    ADD CONSTRAINT young CHECK (true) NOT VALID;


pg_restore: error: a worker process died unexpectedly
"""
    told = faults.first_error(said)
    assert told.startswith("pg_restore: error: could not execute query: ERROR: deadlock detected DETAIL: Process 1")
    assert "creating" not in told
    assert faults.first_error(b"a\nb") == "a b"
    assert faults.first_error(b"") == ""


def test_of_a_dump_that_failed_the_reason_is_told_not_the_end_of_its_query(tmp_path: Path) -> None:
    reason = "pg_dump: error: query failed: ERROR: canceling statement due to lock timeout"
    tables = ", ".join(f"public.table_{number}" for number in range(1000))  # pg_dump locks all by one statement
    script = f"echo '{reason}\npg_dump: detail: Query was: LOCK TABLE {tables}' >&2; exit 1"
    with pytest.raises(DbopsError, match=reason):
        send(Fan([Directory(str(tmp_path))]), "20261124T010000Z-a", "x", [["sh", "-c", script]])


@pytest.mark.parametrize(("status", "corrupt"), [(2, True), (1, False), (-9, False)])
def test_amcheck_that_could_not_look_is_an_error(monkeypatch: pytest.MonkeyPatch, status: int, corrupt: bool) -> None:
    monkeypatch.setattr(drill_cluster, "assert_own", lambda _made: None)
    monkeypatch.setattr(drill_cluster, "run", lambda _command: ended(status, "heap table x"))
    if corrupt:
        assert drill_prove.amcheck(MADE_BY, "shop", 1) == ["database shop: heap table x"]
    else:
        with pytest.raises(DbopsError, match="database shop: heap table x"):
            drill_prove.amcheck(MADE_BY, "shop", 1)


def test_a_disk_that_a_filter_finds_full_is_no_damaged_object() -> None:
    for text in ("age: write /x: no space left on device", "zstd: error 70 : Write error : No space left on device"):
        assert drill_load.full(text)
    assert not drill_load.full("age: error: no identity matched any of the recipients")


def test_a_comparison_that_nobody_has_foreseen_does_not_say_that_schemas_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(program, "_run", refuse(KeyError("x")))
    assert program.main(["drift"]) == 1
