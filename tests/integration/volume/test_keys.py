# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keyslots, the boot's key and the header backup of real LUKS2 volumes; killed at every step."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._volume import observe
from ansible_collections.dbops.postgres.plugins.module_utils._volume.apply import exclusive
from ansible_collections.dbops.postgres.plugins.module_utils._volume.formats import HEADER_BYTES, Header, luks2_header
from ansible_collections.dbops.postgres.plugins.module_utils._volume.observe import backup_at, boot_key, slot_of
from ansible_collections.dbops.postgres.plugins.module_utils._volume.plan import Verb, plan
from ansible_collections.dbops.postgres.plugins.module_utils._volume.report import report
from ansible_collections.dbops.postgres.plugins.module_utils._volume.spec import Key
from tests.integration.volume.conftest import declared, run
from tests.integration.volume.disks import MIB, blank, command, loop, put

pytestmark = pytest.mark.usefixtures("no_device_mapper")

OLD, NEW = "the-key-of-last-year", "the-key-of-this-year"
RECOVERY = "the-key-in-the-safe-of-the-house"
EVERYTHING = 1000
READERS = {"wipefs", "blkid", "--test-passphrase", "decrypt"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """A blank disk."""
    with loop(blank(tmp_path / "disk", 96 * MIB)) as device:
        yield device


def header(device: str) -> Header:
    """The header as it is on the disk now."""
    found = luks2_header(Path(device).open("rb").read(HEADER_BYTES))  # noqa: SIM115
    assert found is not None
    return found


def opens(device: str, text: str) -> bool:
    """Whether a key opens the volume."""
    return slot_of(device, Key(text.encode())) is not None


def test_a_fresh_disk_then_nothing_to_do(disk: str) -> None:
    volume = declared(disk, recovery_key=RECOVERY)
    assert run(volume) == [
        Verb.FORMAT,
        Verb.SEAL,
        Verb.UNITS,
        Verb.CRYPTTAB,
        Verb.OPEN,
        Verb.MAKE_FILESYSTEM,
        Verb.FINISH,
        Verb.ADD_RECOVERY,
        Verb.BACK_UP,
    ]
    assert run(volume) == []
    found = header(disk)
    assert (found.cipher, found.label, found.subsystem) == ("aes-xts-plain64", "pgdata_crypt", "dbops-postgres")
    assert [slot.kdf for slot in found.keyslots] == ["argon2id", "argon2id"]
    assert "512 bits" in command("cryptsetup", "luksDump", disk)
    assert boot_key(volume) == Key(NEW.encode())
    roles = {slot["number"]: slot["role"] for slot in report(volume, observe.observe(volume))["keyslots"]}
    assert roles == {0: "key", 1: "recovery"}


def test_check_mode_says_what_the_real_run_does(disk: str) -> None:
    volume = declared(disk, recovery_key=RECOVERY)
    before = [action.text for action in plan(volume, observe.observe(volume)).actions]
    assert not header_exists(disk)
    run(volume)
    assert len(before) == 9


def header_exists(device: str) -> bool:
    """Whether the disk was touched."""
    return any(Path(device).open("rb").read(16 * MIB))


def test_rotation_and_the_old_key_opens_no_more(disk: str) -> None:
    run(declared(disk, key=OLD))
    rotated = declared(disk, key=NEW, previous_key=OLD)
    assert run(rotated) == [Verb.ADD_KEY, Verb.SEAL, Verb.REMOVE_SLOT, Verb.BACK_UP]
    assert not opens(disk, OLD)
    assert opens(disk, NEW)
    assert boot_key(rotated) == Key(NEW.encode())
    assert run(rotated) == []
    assert run(declared(disk, key=NEW)) == []


def test_a_key_that_does_not_open_changes_nothing(disk: str) -> None:
    run(declared(disk, key=OLD))
    sequence = header(disk).sequence
    with pytest.raises(DbopsError, match="the key does not open it and neither does previous_key"):
        run(declared(disk, key="a-key-from-elsewhere", previous_key="another-key-from-elsewhere"))
    assert header(disk).sequence == sequence


def test_the_recovery_key_replaces_a_lost_key_and_stays(disk: str) -> None:
    run(declared(disk, key=OLD, recovery_key=RECOVERY))
    run(declared(disk, key=NEW, previous_key=RECOVERY))
    assert opens(disk, RECOVERY)
    assert opens(disk, NEW)
    assert opens(disk, OLD)  # nobody named it: it is reported as unknown
    # ... until it is named
    run(declared(disk, key=NEW, previous_key=OLD))
    assert not opens(disk, OLD)


def test_another_recovery_key_replaces_the_first(disk: str) -> None:
    run(declared(disk, recovery_key=RECOVERY))
    run(declared(disk, recovery_key="another-key-in-the-safe"))
    assert not opens(disk, RECOVERY)
    assert opens(disk, "another-key-in-the-safe")
    assert len(header(disk).keyslots) == 2
    assert len(header(disk).tokens) == 1


def test_a_generated_recovery_key_is_readable_by_its_recipient_only(disk: str, tmp_path: Path) -> None:
    identity = tmp_path / "identity"
    done = subprocess.run(["age-keygen", "-o", str(identity)], capture_output=True, text=True, check=True)
    recipient = done.stderr.split()[-1]
    volume = declared(disk, recovery_recipients=[recipient])
    run(volume)
    assert run(volume) == []
    passphrase = command("age", "--decrypt", "--identity", str(identity), volume.recovery_path)
    assert opens(disk, passphrase)
    assert header(disk).slots_of("recovery") == (slot_of(disk, Key(passphrase.encode())),)
    assert oct(Path(volume.recovery_path).stat().st_mode)[-3:] == "600"


def test_the_cost_of_a_keyslot(disk: str) -> None:
    run(declared(disk))
    dearer = declared(disk, pbkdf_memory=128, pbkdf_iterations=5)
    assert run(dearer) == [Verb.CONVERT_KEY, Verb.BACK_UP]
    assert (header(disk).keyslots[0].memory_kib, header(disk).keyslots[0].iterations) == (128, 5)
    assert run(dearer) == []


def test_adoption_of_a_volume_that_was_made_by_hand(disk: str) -> None:
    words = ("cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--pbkdf", "argon2id", "--pbkdf-memory")
    command(*words, "64", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "1", "--key-file", "-", disk, text=NEW)
    before = Path(disk).open("rb").read(16 * MIB)  # noqa: SIM115
    volume = declared(disk)
    assert run(volume) == [Verb.SEAL, Verb.UNITS, Verb.CRYPTTAB, Verb.BACK_UP]
    assert Path(disk).open("rb").read(16 * MIB) == before  # noqa: SIM115
    assert run(volume) == []


def test_the_header_backup_restores_a_destroyed_header(disk: str, tmp_path: Path) -> None:
    volume = declared(disk)
    run(volume)
    backup = backup_at(volume.backup_path)
    assert backup is not None
    assert backup.uuid == header(disk).uuid
    assert oct(Path(volume.backup_path).stat().st_mode)[-3:] == "600"
    put(tmp_path / "disk", 0, os.urandom(16 * MIB))
    command("blockdev", "--flushbufs", disk)
    with pytest.raises(DbopsError, match="has no readable LUKS2 header"):
        run(volume)
    words = ("cryptsetup", "luksHeaderRestore", "--batch-mode", "--header-backup-file", volume.backup_path)
    command(*words, disk)
    assert opens(disk, NEW)
    assert run(volume) == []


def test_two_runs_at_once(disk: str) -> None:
    volume = declared(disk)
    with exclusive(volume), pytest.raises(DbopsError, match="another run is at work"):
        run(volume)


def killed_after(moments: int, work: Callable[[], object]) -> bool:
    """Do the work in a process that is killed at the given moment.

    Moments lie before the first and after each command or rename that changes something; what only reads in between
    leaves the same disk behind.

    :returns: whether it was killed; False if it ended before.
    """
    child = os.fork()
    if child == 0:
        left = [moments]

        def moment() -> None:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def around(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **options: Any) -> Any:
                result = function(*args, **options)
                if isinstance(args[0], str) or not READERS.intersection(args[0]):
                    moment()
                return result

            return call

        moment()

        subprocess.run = around(subprocess.run)
        os.replace = around(os.replace)
        try:
            work()
        except BaseException:
            os._exit(3)
        os._exit(0)
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return os.waitstatus_to_exitcode(status) != 0


def test_a_rotation_killed_at_every_moment_opens_at_boot(tmp_path: Path) -> None:
    kills = 0
    for moment in range(EVERYTHING):
        path = blank(tmp_path / "disk", 96 * MIB)
        for leftover in ("credstore/luks-pgdata_crypt", "state/pgdata_crypt.header", "crypttab"):
            (tmp_path / leftover).unlink(missing_ok=True)
        with loop(path) as disk:
            run(declared(disk, key=OLD, recovery_key=RECOVERY))
            rotated = declared(disk, key=NEW, previous_key=OLD, recovery_key=RECOVERY + "-new")
            killed = killed_after(moment, partial(run, rotated))
            at_boot = boot_key(rotated)
            assert at_boot is not None, f"no boot key when killed at moment {moment}"
            assert slot_of(disk, at_boot) is not None, f"does not open when killed at moment {moment}"
            run(rotated)
            assert boot_key(rotated) == Key(NEW.encode())
            assert not opens(disk, OLD)
            assert not opens(disk, RECOVERY)
            assert len(header(disk).keyslots) == 2
            assert run(rotated) == []
        if not killed:
            break
        kills += 1
    print(f"killed at {kills} moments: opened at boot {kills} of {kills}")
    assert kills >= 10


def test_a_first_run_killed_at_every_moment_is_continued_or_refused(tmp_path: Path) -> None:
    kills = 0
    for moment in range(EVERYTHING):
        path = blank(tmp_path / "disk", 96 * MIB)
        for leftover in ("credstore/luks-pgdata_crypt", "state/pgdata_crypt.header", "crypttab"):
            (tmp_path / leftover).unlink(missing_ok=True)
        with loop(path) as disk:
            volume = declared(disk, recovery_key=RECOVERY)
            killed = killed_after(moment, partial(run, volume))
            run(volume)
            assert len(header(disk).keyslots) == 2
            assert run(volume) == []
        if not killed:
            break
        kills += 1
    assert kills >= 8
