# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's setting lasts as long as a process closes its port, and is what it was afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._pooler.apply import taking_over


def fail(setting: Path) -> None:
    with taking_over(str(setting)):
        assert setting.read_text().startswith("1")
        raise KeyError


@pytest.mark.parametrize("before", ["0\n", "1\n"])
def test_it_is_put_back(tmp_path: Path, before: str) -> None:
    setting = tmp_path / "tcp_migrate_req"
    setting.write_text(before)
    with pytest.raises(KeyError):
        fail(setting)
    assert setting.read_text() == before


def test_a_kernel_without_it_is_left_alone(tmp_path: Path) -> None:
    with taking_over(str(tmp_path / "tcp_migrate_req")):
        pass
    assert list(tmp_path.iterdir()) == []
