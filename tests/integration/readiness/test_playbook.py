# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook readiness over SSH: a bare host, a host that does not answer, one report, an honest exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.backup.conftest import forget, host_of
from tests.integration.conftest import RunPlaybook
from tests.integration.servers import Server

PLAYS = [{"import_playbook": "dbops.postgres.readiness"}]
# A documentation address (RFC 5737): nobody answers there.
GONE = {
    "all": {"hosts": {"gone": {"ansible_host": "192.0.2.1", "ansible_ssh_common_args": "-o ConnectTimeout=2"}}},
}


def arguments(server: Server, tmp_path: Path, **variables: str) -> list[str]:
    inventory = tmp_path / "gone.json"
    inventory.write_text(json.dumps(GONE))
    given = {"dbops_hosts": "all", "readiness_report_dir": str(tmp_path / "report"), **variables}
    return ["-i", str(inventory), "--limit", f"pg{server.version},gone", "-e", json.dumps(given)]


@pytest.fixture(autouse=True)
def bare(pg_server: Server) -> None:
    """What a run of the tests of backups that was killed has left on the host would be looked at."""
    forget(host_of(pg_server))


def test_an_estate_with_a_bare_host_and_one_that_is_gone(
    pg_server: Server, run_playbook: RunPlaybook, tmp_path: Path
) -> None:
    done = run_playbook(PLAYS, *arguments(pg_server, tmp_path))
    assert done.returncode != 0
    bare = f"pg{pg_server.version}"
    assert "critical finding(s) failed or could not be looked at" in done.stdout + done.stderr

    report = json.loads((tmp_path / "report" / "readiness.json").read_text())
    verdicts: dict[str, dict[str, str]] = {host["name"]: host["verdicts"] for host in report["hosts"]}
    assert set(verdicts) == {bare, "gone"}
    assert set(verdicts["gone"].values()) == {"error"}
    assert verdicts[bare]["E-1"] == "fail"
    assert "error" not in verdicts[bare].values()

    def status(subject: str) -> Any:
        return next(f["status"] for f in report["findings"] if (f["host"], f["subject"]) == (bare, subject))

    # What only root on the host can see.
    assert status("1.1") == "pass"
    assert status("1.4") == "pass"
    assert status("2.3") == "fail"
    assert status("shared_buffers") == "fail"
    for name in ("html", "md", "xml"):
        assert (tmp_path / "report" / f"readiness.{name}").stat().st_size > 0


def test_a_dry_run_looks_and_writes_nothing(pg_server: Server, run_playbook: RunPlaybook, tmp_path: Path) -> None:
    done = run_playbook(PLAYS, *arguments(pg_server, tmp_path, readiness_fail_on="never"), "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no report written" in done.stdout.replace("\u00a0", " ")
    assert not (tmp_path / "report").exists()
