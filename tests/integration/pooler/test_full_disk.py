# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that is full while the configuration is written: all old files stay whole, and nothing else is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler import apply as module
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.plan import (
    File,
    Observed,
    PoolerPlan,
    Turn,
    Write,
)
from tests.integration.volume.disks import MIB, blank, command, loop
from tests.unit._pooler.helpers import make

OLD = {"pgbouncer.ini": "the old one\n", "userlist.txt": "the old users\n"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A small file system with the old files."""
    disk = blank(tmp_path / "disk", 8 * MIB)
    command("mkfs.ext4", "-q", "-m", "0", str(disk))
    place = tmp_path / "etc"
    place.mkdir()
    with loop(disk) as device:
        command("mount", device, str(place))
        try:
            for name, text in OLD.items():
                (place / name).write_text(text)
            yield place
        finally:
            command("umount", str(place))


def write(place: Path, name: str, after: str) -> Write:
    path = str(place / name)
    before = File(OLD[name], 0o640, "root") if name in OLD else None
    return Write(path, before, after)


def texts(place: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in place.iterdir() if path.name != "lost+found"}


@pytest.fixture(autouse=True)
def _modes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Write, "mode", property(lambda _self: 0o640))
    monkeypatch.setattr(Write, "owner", property(lambda _self: "root"))


def nothing_runs(_arguments: Sequence[str]) -> tuple[int, str, str]:
    raise AssertionError("nothing is to be reloaded")


def test_a_disk_that_is_full_at_the_second_file_leaves_the_first_as_it_was(place: Path) -> None:
    writes = (
        write(place, "pgbouncer.ini", "new\n"),
        write(place, "dbops_hba.conf", "new\n"),
        write(place, "userlist.txt", "x" * 16 * MIB),
    )
    with pytest.raises(
        DbopsError, match=r"userlist.txt cannot be written: No space left on device. Nothing was changed"
    ):
        module.apply(make(), Observed((1, 24), {}), PoolerPlan(writes, (Turn(1, "reload"),)), nothing_runs)
    assert texts(place) == OLD


def test_a_disk_that_is_full_meanwhile_does_not_hinder_putting_back(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        with pytest.raises(OSError, match="No space"):
            (place / "filler").write_bytes(b"x" * 16 * MIB)
        raise DbopsError("it does not take it")

    monkeypatch.setattr(module, "_activate", refuse)
    writes = (write(place, "pgbouncer.ini", "new\n" * 3000), write(place, "dbops_hba.conf", "new\n"))
    with pytest.raises(DbopsError, match=r"it does not take it\. The previous configuration was put back"):
        module.apply(make(), Observed((1, 24), {}), PoolerPlan(writes, (Turn(1, "reload"),)), lambda _: (0, "", ""))
    (place / "filler").unlink()
    assert texts(place) == OLD


def test_without_a_fault_all_are_new_and_nothing_is_left_beside_them(place: Path) -> None:
    writes = (write(place, "pgbouncer.ini", "new\n"), write(place, "dbops_hba.conf", "rules\n"))
    module.apply(make(), Observed((1, 24), {}), PoolerPlan(writes), nothing_runs)
    assert texts(place) == {**OLD, "pgbouncer.ini": "new\n", "dbops_hba.conf": "rules\n"}
