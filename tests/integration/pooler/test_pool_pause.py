# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook pool_pause with two poolers of one server: both are resumed, whatever becomes of the command.

The poolers are files that hold their state; everything else is the playbook as it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.throwaway import CHECKOUT

MODULE = "dbops.postgres.pgbouncer_pause"


@pytest.fixture
def playbook(tmp_path: Path) -> Path:
    [play] = yaml.safe_load((CHECKOUT / "playbooks" / "pool_pause.yml").read_text())
    [outer] = play["tasks"]
    asked = [task for task in (*outer["block"], *outer["always"]) if MODULE in task]
    assert [task[MODULE]["state"] for task in asked] == ["paused", "resumed"]
    for task in asked:
        state = task.pop(MODULE)["state"]
        task["ansible.builtin.copy"] = {
            "content": state,
            "dest": f"{tmp_path}/{{{{ inventory_hostname }}}}",
            "mode": "0600",
        }
    path = tmp_path / "pool_pause.yml"
    path.write_text(json.dumps([{**play, "become": False}]))
    return path


def run(playbook: Path, **variables: object) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "one,two,", "-c", "local", str(playbook)]
    given = {"ansible_python_interpreter": sys.executable, "pool_hosts": "all", **variables}
    return subprocess.run(
        [*command, "-e", json.dumps(given)],
        env={**os.environ, "PATH": f"{playbook.parent}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def states(playbook: Path) -> list[str]:
    return [(playbook.parent / name).read_text() for name in ("one", "two")]


@pytest.mark.parametrize("on", ["one", "two"])
def test_a_command_that_fails_on_the_servers_host_leaves_no_pooler_paused(playbook: Path, on: str) -> None:
    done = run(playbook, pool_pause_on=on, pool_pause_command=["false"])
    assert done.returncode != 0
    assert states(playbook) == ["resumed", "resumed"], done.stdout


def test_a_command_that_fails_on_one_of_two_hosts_leaves_no_pooler_paused(playbook: Path) -> None:
    script = ["sh", "-c", "test {{ inventory_hostname }} = one"]
    done = run(playbook, pool_pause_command=script)
    assert done.returncode != 0
    assert states(playbook) == ["resumed", "resumed"], done.stdout


def test_the_command_runs_once_on_the_servers_host(playbook: Path) -> None:
    ready = playbook.parent / "bin" / "pg_isready"
    ready.parent.mkdir()
    ready.write_text("#!/bin/sh\nexit 0\n")
    ready.chmod(0o755)
    log = playbook.parent / "log"
    done = run(playbook, pool_pause_on="two", pool_pause_command=["sh", "-c", f"echo done >>{log}"])
    assert done.returncode == 0, done.stdout
    assert log.read_text() == "done\n"
    assert states(playbook) == ["resumed", "resumed"]
