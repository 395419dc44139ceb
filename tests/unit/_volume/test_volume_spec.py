# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters of volumes: what is refused before anything is looked at."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._volume.spec import Key, volume_from

PARAMS: dict[str, Any] = {
    "device": "/dev/disk/by-id/x",
    "name": "pgdata_crypt",
    "state": "opened",
    "mountpoint": "/var/lib/postgresql",
    "filesystem": "ext4",
    "key": "the-key-of-this-year",
    "previous_key": None,
    "recovery_key": None,
    "recovery_recipients": [],
    "boot": "credential",
    "boot_seal": "auto",
    "boot_key_file": "",
    "header_backup": True,
    "wipe_confirm": "",
    "discard": False,
    "nofail": False,
    "required_by": ["postgresql@.service"],
    "pbkdf_memory": None,
    "pbkdf_iterations": None,
    "pbkdf_parallel": None,
}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"name": "../x"}, "is no name for a volume"),
        ({"name": ""}, "is no name for a volume"),
        ({"name": "x" * 48}, "is no name for a volume"),
        ({"name": "pg-data"}, "cannot be opened by a credential"),
        ({"device": "sdb"}, "is not below /dev"),
        ({"mountpoint": "/"}, "is the root"),
        ({"key": ""}, "key is empty"),
        ({"key": None}, "there is no key"),
        ({"key": "short"}, "key has 5 bytes, not 16 to 4096"),
        ({"key": "x" * 4097}, "key has 4097 bytes"),
        ({"previous_key": ""}, "previous_key is empty"),
        ({"recovery_key": "short"}, "recovery_key has 5 bytes"),
        ({"recovery_key": "the-key-of-this-year"}, "recovery_key is the same"),
        ({"recovery_key": "x" * 20, "recovery_recipients": ["age1x"]}, "both given"),
        ({"recovery_recipients": ["--output=/etc/passwd"]}, "is no age recipient"),
        ({"boot": "key_file"}, "there is no boot_key_file"),
        ({"boot": "key_file", "boot_key_file": "relative"}, "there is no boot_key_file"),
        ({"pbkdf_memory": 31}, "pbkdf_memory 31 is not between 32 and 4194304"),
        ({"pbkdf_iterations": 3}, "pbkdf_iterations 3"),
        ({"pbkdf_parallel": 5}, "pbkdf_parallel 5"),
    ],
)
def test_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(DbopsError) as error:
        volume_from({**PARAMS, **options})
    assert why in str(error.value)
    assert error.value.remedy
    assert "the-key-of-this-year" not in str(error.value)


def test_a_previous_key_that_is_the_key_is_none() -> None:
    assert volume_from({**PARAMS, "previous_key": PARAMS["key"]}).previous_key is None


def test_a_key_file_is_used_byte_by_byte() -> None:
    assert volume_from({**PARAMS, "key": None}, key_file=b"\x00" * 31 + b"\n").key == Key(b"\x00" * 31 + b"\n")


def test_a_key_does_not_show_itself() -> None:
    assert "the-key-of-this-year" not in repr(volume_from(PARAMS))


def test_the_line_of_crypttab() -> None:
    volume = volume_from({**PARAMS, "discard": True, "nofail": True})
    key = "/run/credentials/systemd-cryptsetup@pgdata_crypt.service/luks-pgdata_crypt"
    assert volume.crypttab("AB") == f"pgdata_crypt UUID=AB {key} luks,discard,nofail"
    assert volume_from({**PARAMS, "boot": "none"}).crypttab("AB") == "pgdata_crypt UUID=AB none luks"
    named = volume_from({**PARAMS, "name": "pg-data", "boot": "key_file", "boot_key_file": "/safe/pg-data"})
    assert named.unit == r"systemd-cryptsetup@pg\x2ddata.service"
    assert named.crypttab("AB") == "pg-data UUID=AB /safe/pg-data luks"


def test_the_drop_ins() -> None:
    drop_ins = volume_from(PARAMS).drop_ins
    texts = list(drop_ins.values())
    assert "LoadCredentialEncrypted=luks-pgdata_crypt:/etc/credstore.encrypted/luks-pgdata_crypt\n" in texts[0]
    assert "RequiresMountsFor=/var/lib/postgresql\n" in texts[1]
    assert not volume_from({**PARAMS, "boot": "none", "mountpoint": None}).drop_ins
