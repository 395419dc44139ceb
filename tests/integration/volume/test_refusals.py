# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that are refused, and left as they were to the last byte."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from tests.integration.volume.conftest import declared, run
from tests.integration.volume.disks import CONTENTS, MIB, _luks, blank, command, fingerprint, loop, put


def refused(device: str, path: Path, why: str, **options: str) -> None:
    """A real run is refused for this reason, and the disk is what it was."""
    before = fingerprint(path)
    with pytest.raises(DbopsError) as error:
        run(declared(device, **options))
    assert re.search(why, error.value.problem.rstrip("."), re.MULTILINE), error.value.problem
    assert error.value.untouched == "Nothing was changed."
    assert error.value.remedy
    assert fingerprint(path) == before


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_disk_with_something_on_it(kind: str, tmp_path: Path) -> None:
    make, why = CONTENTS[kind]
    path = blank(tmp_path / "disk")
    make(path)
    with loop(path) as device:
        refused(device, path, why)
        refused(device, path, why, wipe_confirm="another-serial")


@pytest.mark.parametrize("kind", ["LUKS2 with another key", "LUKS1", "LUKS2, first header gone"])
def test_a_luks_volume_even_with_its_uuid(kind: str, tmp_path: Path) -> None:
    make, why = CONTENTS[kind]
    path = blank(tmp_path / "disk")
    make(path)
    with loop(path) as device:
        uuid = command("blkid", "--probe", "--match-tag", "UUID", "--output", "value", device).split()[0]
        refused(device, path, why, wipe_confirm=uuid)


def test_mounted(tmp_path: Path) -> None:
    path = blank(tmp_path / "disk")
    CONTENTS["ext4"][0](path)
    with loop(path) as device:
        uuid = command("blkid", "--probe", "--match-tag", "UUID", "--output", "value", device).strip()
        (tmp_path / "mnt").mkdir()
        command("mount", "-o", "ro", device, str(tmp_path / "mnt"))
        try:
            refused(device, path, "mounted on", wipe_confirm=uuid)
        finally:
            command("umount", str(tmp_path / "mnt"))


def test_claimed_by_another_program(tmp_path: Path) -> None:
    path = blank(tmp_path / "disk")
    with loop(path) as device:
        claim = os.open(device, os.O_RDONLY | os.O_EXCL)
        try:
            refused(device, path, "the kernel says that it is in use")
        finally:
            os.close(claim)


def test_read_only(tmp_path: Path) -> None:
    path = blank(tmp_path / "disk")
    with loop(path, "--read-only") as device:
        refused(device, path, "read-only")


@pytest.mark.parametrize(("filesystem", "size"), [("ext4", 63), ("xfs", 319), ("ext4", 0)])
def test_too_small(filesystem: str, size: int, tmp_path: Path) -> None:
    path = blank(tmp_path / "disk", size * MIB)
    with loop(path) as device:
        refused(device, path, f"it has {size} MiB", filesystem=filesystem)


@pytest.mark.parametrize(("device", "why"), [("/dev/null", "no block device"), ("/dev/nothing", "does not exist")])
def test_no_disk(device: str, why: str) -> None:
    with pytest.raises(DbopsError, match=why):
        run(declared(device))


def test_another_disk_than_the_one_in_crypttab(tmp_path: Path) -> None:
    (tmp_path / "crypttab").write_text("pgdata_crypt UUID=1b4fcc7a-0a0f-4c3a-9d8a-3b6f6a4de0b4 none luks\n")
    path = blank(tmp_path / "disk")
    with loop(path) as device:
        refused(device, path, "known on this host as 1b4fcc7a")


def test_another_luks_volume_than_the_one_in_crypttab(tmp_path: Path) -> None:
    (tmp_path / "crypttab").write_text("pgdata_crypt UUID=1b4fcc7a-0a0f-4c3a-9d8a-3b6f6a4de0b4 none luks\n")
    path = blank(tmp_path / "disk")
    _luks("luks2")(path)
    with loop(path) as device:
        refused(device, path, "known on this host as 1b4fcc7a", key="a key that is not ours")


def test_a_re_encryption_that_is_not_finished(tmp_path: Path) -> None:
    path = blank(tmp_path / "disk")
    _luks("luks2")(path)
    with loop(path) as device:
        words = ("cryptsetup", "reencrypt", "--init-only", "--batch-mode", "--force-offline-reencrypt")
        command(*words, "--resilience", "checksum", "--key-file", "-", device, text="a key that is not ours")
        refused(device, path, "re-encryption is not finished", key="a key that is not ours")


@pytest.mark.usefixtures("no_device_mapper")
def test_a_header_that_was_lost_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    path = blank(tmp_path / "disk")
    with loop(path) as device:
        run(declared(device))
        put(path, 0, bytes(16 * MIB))
        command("blockdev", "--flushbufs", device)
        refused(device, path, "known on this host as")


@pytest.mark.usefixtures("no_device_mapper")
def test_a_confirmed_disk_is_wiped(tmp_path: Path) -> None:
    path = blank(tmp_path / "disk")
    CONTENTS["ext4"][0](path)
    with loop(path) as device:
        uuid = command("blkid", "--probe", "--match-tag", "UUID", "--output", "value", device).strip()
        run(declared(device, wipe_confirm=uuid))
        assert "crypto_LUKS" in command("blkid", "--probe", device)


def test_a_mountpoint_that_holds_something(tmp_path: Path) -> None:
    data = tmp_path / "data" / "15" / "main"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("15")
    path = blank(tmp_path / "disk")
    with loop(path) as device:
        refused(device, path, "it holds .*/data/15/main/PG_VERSION", mountpoint=str(tmp_path / "data"))
        refused(device, path, "another file system is mounted there", mountpoint="/proc")
