# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tool that takes too long ends with all that it has started."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._command import run


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with pytest.raises(subprocess.TimeoutExpired):
        # A tool like npx waits for the one that does the work.
        run(["sh", "-c", f"sleep 600 & echo $! >{path}.new; mv {path}.new {path}; wait"], 3, stdout=subprocess.PIPE)
    pid = int(path.read_text())
    end = time.monotonic() + 30
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(pid)


def test_what_it_says() -> None:
    done = run(["sh", "-c", "echo $X; echo bad >&2; exit 3"], 60, stdout=-1, stderr=-1, env={**os.environ, "X": "x"})
    assert (done.returncode, done.stdout, done.stderr) == (3, b"x\n", b"bad\n")
