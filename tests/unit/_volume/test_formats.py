# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LUKS2 headers, superblocks and crypttab, as bytes and text."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._volume.formats import (
    BINARY_HEADER,
    crypttab_line,
    crypttab_uuid,
    ext4_size,
    luks2_header,
    luks_version,
    with_crypttab_line,
    xfs_size,
)

META: dict[str, Any] = {
    "keyslots": {
        "1": {"type": "luks2", "kdf": {"type": "argon2id", "time": 4, "memory": 1048576, "cpus": 4}},
        "0": {"type": "luks2", "kdf": {"type": "pbkdf2", "hash": "sha256", "iterations": 1000}},
    },
    "tokens": {
        "0": {"type": "dbops-postgres", "keyslots": ["1"], "role": "recovery"},
        "1": {"type": "clevis", "keyslots": ["0"]},
    },
    "segments": {"0": {"type": "crypt", "offset": "16777216", "encryption": "aes-xts-plain64", "sector_size": 4096}},
    "config": {},
}


def copy(offset: int, sequence: int, meta: dict[str, Any] | None = None, size: int = 16384) -> bytes:
    """One copy of a header."""
    magic = b"LUKS\xba\xbe" if offset == 0 else b"SKUL\xba\xbe"
    fields = (magic, 2, size, sequence, b"pg", b"sha256", b"s" * 64, b"the-uuid", b"dbops-postgres", offset)
    text = json.dumps(META if meta is None else meta).encode().ljust(size - 4096, b"\0")
    plain = BINARY_HEADER.pack(*fields, bytes(64)).ljust(4096, b"\0") + text
    return BINARY_HEADER.pack(*fields, hashlib.sha256(plain).digest()).ljust(4096, b"\0") + text


def test_a_whole_header() -> None:
    header = luks2_header(copy(0, 7) + copy(16384, 7))
    assert header is not None
    assert (header.uuid, header.label, header.subsystem, header.sequence) == ("the-uuid", "pg", "dbops-postgres", 7)
    assert (header.data_offset, header.cipher, header.sector) == (16777216, "aes-xts-plain64", 4096)
    assert [(slot.number, slot.kdf, slot.iterations, slot.memory_kib) for slot in header.keyslots] == [
        (0, "pbkdf2", 1000, 0),
        (1, "argon2id", 4, 1048576),
    ]
    assert header.slots_of("recovery") == (1,)
    assert [token.number for token in header.tokens] == [0]


def test_the_newer_copy_counts() -> None:
    newer = luks2_header(copy(0, 7) + copy(16384, 8))
    assert newer is not None
    assert newer.sequence == 8


def test_a_copy_with_a_wrong_checksum_does_not_count() -> None:
    broken = bytearray(copy(0, 9))
    broken[5000] ^= 1
    header = luks2_header(bytes(broken) + copy(16384, 8))
    assert header is not None
    assert header.sequence == 8
    assert luks2_header(bytes(broken)) is None


def test_a_second_copy_behind_something_else_is_no_header() -> None:
    assert luks2_header(bytes(16384) + copy(16384, 8)) is None
    assert luks2_header(b"LUKS\xba\xbe\x00\x01" + bytes(16376) + copy(16384, 8)) is None


@given(st.binary(max_size=8192))
def test_noise_is_no_header(data: bytes) -> None:
    assert luks2_header(data) is None


def test_requirements_are_told() -> None:
    meta = {**META, "config": {"requirements": {"mandatory": ["online-reencrypt-v2"]}}}
    header = luks2_header(copy(0, 1, meta))
    assert header is not None
    assert header.requirements == ("online-reencrypt-v2",)


@pytest.mark.parametrize(
    ("start", "version"),
    [(b"LUKS\xba\xbe\0\1", 1), (b"LUKS\xba\xbe\0\2", 2), (b"", None), (b"LUKS", None), (bytes(99), None)],
)
def test_the_version(start: bytes, version: int | None) -> None:
    assert luks_version(start) == version


CRYPTTAB = "# comment\npg  UUID=AB-1   none\tluks\n\nother /dev/sdb none luks\n"


@pytest.mark.parametrize(
    ("name", "line", "uuid"),
    [("pg", "pg UUID=AB-1 none luks", "ab-1"), ("other", "other /dev/sdb none luks", None), ("none", None, None)],
)
def test_a_line_of_crypttab(name: str, line: str | None, uuid: str | None) -> None:
    assert crypttab_line(CRYPTTAB, name) == line
    assert crypttab_uuid(line) == uuid


def test_a_line_is_replaced_or_added_and_others_stay() -> None:
    assert with_crypttab_line(CRYPTTAB, "pg", "pg UUID=2 - luks") == CRYPTTAB.replace(
        "pg  UUID=AB-1   none\tluks", "pg UUID=2 - luks"
    )
    assert with_crypttab_line(CRYPTTAB, "new", "new UUID=3 - luks") == CRYPTTAB + "new UUID=3 - luks\n"
    assert with_crypttab_line("", "new", "new UUID=3 - luks") == "new UUID=3 - luks\n"


@pytest.mark.parametrize(("low", "high", "flag", "size"), [(1000, 0, 0, 4096000), (5, 1, 0x80, ((1 << 32) + 5) * 4096)])
def test_the_size_of_ext4(low: int, high: int, flag: int, size: int) -> None:
    block = bytearray(4096)
    struct.pack_into("<I", block, 1024 + 0x4, low)
    struct.pack_into("<I", block, 1024 + 0x18, 2)
    struct.pack_into("<H", block, 1024 + 0x38, 0xEF53)
    struct.pack_into("<I", block, 1024 + 0x60, flag)
    struct.pack_into("<I", block, 1024 + 0x150, high)
    assert ext4_size(bytes(block)) == size
    with pytest.raises(DbopsError, match="no ext4 superblock"):
        ext4_size(bytes(4096))


def test_the_size_of_xfs() -> None:
    report = (
        "meta-data=/dev/mapper/x  isize=512    agcount=4, agsize=32768 blks\n"
        "data     =               bsize=4096   blocks=131072, imaxpct=25\n"
        "log      =internal log   bsize=4096   blocks=16384, version=2\n"
    )
    assert xfs_size(report) == 131072 * 4096
    with pytest.raises(DbopsError, match="nothing of a data section"):
        xfs_size("")
