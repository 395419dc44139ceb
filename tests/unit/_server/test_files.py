# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from a host without PostgreSQL, and how a file is replaced."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._server import apply
from ansible_collections.dbops.postgres.plugins.module_utils._server.observe import memory_mb


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, 16000),
        ({"sys/fs/cgroup/memory.max": "max\n"}, 16000),
        ({"sys/fs/cgroup/memory.max": str(4 << 30)}, 4096),
        ({"sys/fs/cgroup/memory/memory.limit_in_bytes": str(2 << 30)}, 2048),
        ({"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, 16000),
    ],
)
def test_the_limit_of_the_control_group_counts(tmp_path: Path, limits: dict[str, str], expected: int) -> None:
    for name, text in {"proc/meminfo": "MemFree: 1 kB\nMemTotal:  16384000 kB\n", **limits}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert memory_mb(str(tmp_path)) == expected


def test_a_file_is_replaced_with_its_final_mode(tmp_path: Path) -> None:
    path = tmp_path / "new" / "pg_hba.conf"
    apply.replace_file(str(path), "one\n", 0o640, "root")
    apply.replace_file(str(path), "two\n", 0o600, "root")
    assert path.read_text() == "two\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_replaced_stays_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "conf"
    path.mkdir()  # os.replace refuses a directory
    with pytest.raises(OSError):  # noqa: PT011
        apply.replace_file(str(path), "text\n", 0o600, "root")
    assert list(tmp_path.iterdir()) == [path]
