# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that is full while the configuration is written: the old file stays whole, and nothing else is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.apply import _replace
from tests.integration.volume.disks import MIB, blank, command, loop


def test_the_old_file_stays_whole(tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk", 8 * MIB)
    command("mkfs.ext4", "-q", "-m", "0", str(disk))
    place = tmp_path / "etc"
    place.mkdir()
    with loop(disk) as device:
        command("mount", device, str(place))
        try:
            old = place / "pgbouncer.ini"
            _replace(str(old), "the old one\n", 0o640, "root")
            with pytest.raises(DbopsError, match="cannot be written: No space left on device"):
                _replace(str(old), "x" * 16 * MIB, 0o640, "root")
            assert old.read_text() == "the old one\n"
            assert sorted(path.name for path in place.iterdir()) == ["lost+found", "pgbouncer.ini"]
        finally:
            command("umount", str(place))
