# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: the host of each server, and plays on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.servers import GROUP, Server
from tests.throwaway import CHECKOUT, Host, hosts, inventory_path

Plays = list[dict[str, Any]]
Playing = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def host(pg_server: Server) -> Host:
    """The throwaway host on which the server runs."""
    return next(host for host in hosts(GROUP) if host.address == pg_server.host)


def play(plays: Plays, host: Host, directory: Path, *arguments: str, kill_at: str = "") -> tuple[int, str]:
    """Run plays on one host; the exit status and all output.

    :param kill_at: kill everything as soon as a task of this name has begun.
    """
    playbook = directory / "playbook.yml"
    playbook.write_text(json.dumps(plays))
    process = subprocess.Popen(
        ["ansible-playbook", "-i", str(inventory_path(GROUP)), "--limit", host.name, *arguments, str(playbook)],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if kill_at and line.startswith("TASK [") and kill_at in line:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait(timeout=60), "".join(lines)
