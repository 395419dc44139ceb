# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes and files that are read here as they are: LUKS2 headers, superblocks, crypttab. Pure.

The LUKS2 header is described in "LUKS2 On-Disk Format Specification", version 1.1.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

MAGIC = b"LUKS\xba\xbe"
MAGIC_SECOND = b"SKUL\xba\xbe"
BINARY_HEADER = struct.Struct(">6sHQQ48s32s64s40s48sQ184x64s")
BINARY_SIZE = 4096
CHECKSUM_OFFSET = 448
CHECKSUM_SIZE = 64
SECOND_OFFSETS = tuple(0x4000 << power for power in range(9))  # 16 KiB to 4 MiB
HEADER_BYTES = 2 * SECOND_OFFSETS[-1]

TOKEN_TYPE = "dbops-postgres"


@dataclass(frozen=True)
class Keyslot:
    """One keyslot and what it costs to try a passphrase on it.

    :param memory_kib: of argon2, in KiB; 0 for pbkdf2.
    """

    number: int
    kdf: str
    iterations: int
    memory_kib: int = 0
    parallel: int = 0


@dataclass(frozen=True)
class Token:
    """A token of ours: it says which role a keyslot has."""

    number: int
    role: str
    keyslots: tuple[int, ...]


@dataclass(frozen=True)
class Header:
    """What a LUKS2 header says about its volume.

    :param sequence: grows with every change of the header.
    :param data_offset: where the encrypted data begins, in bytes.
    :param sector: the encryption's sector size in bytes.
    :param requirements: what a reader must know; ``online-reencrypt`` while a re-encryption is under way.
    """

    uuid: str
    label: str
    subsystem: str
    sequence: int
    data_offset: int
    cipher: str
    sector: int
    keyslots: tuple[Keyslot, ...] = ()
    tokens: tuple[Token, ...] = ()
    requirements: tuple[str, ...] = ()

    def slots_of(self, role: str) -> tuple[int, ...]:
        """Numbers of the keyslots that have a role by our tokens."""
        return tuple(slot for token in self.tokens if token.role == role for slot in token.keyslots)


def luks_version(start: bytes) -> int | None:
    """The version of the LUKS header that a device begins with; None if it begins with none."""
    if len(start) < 8 or start[:6] != MAGIC:
        return None
    return int.from_bytes(start[6:8], "big")


def luks2_header(start: bytes) -> Header | None:
    """The newest whole copy of a LUKS2 header.

    :param start: the first :data:`HEADER_BYTES` of a device or of a header backup.
    :returns: None if it does not begin with a LUKS2 header, or no copy has a right checksum. A second copy behind
        something else is no header: what was written over the first one may be somebody's data.
    """
    if luks_version(start) != 2:
        return None
    copies = [_copy(start, 0, MAGIC), *(_copy(start, offset, MAGIC_SECOND) for offset in SECOND_OFFSETS)]
    whole = [copy for copy in copies if copy is not None]
    return max(whole, key=lambda header: header.sequence) if whole else None


def _copy(data: bytes, offset: int, magic: bytes) -> Header | None:
    binary = data[offset : offset + BINARY_SIZE]
    if len(binary) < BINARY_SIZE or binary[:6] != magic:
        return None
    fields = BINARY_HEADER.unpack_from(binary)
    _magic, version, size, sequence, label, algorithm, _salt, uuid, subsystem, place, checksum = fields
    area = data[offset : offset + size]
    if version != 2 or place != offset or len(area) < size or size <= BINARY_SIZE:
        return None
    try:
        digest = hashlib.new(_text(algorithm))
    except ValueError:
        return None
    digest.update(area[:CHECKSUM_OFFSET] + bytes(CHECKSUM_SIZE) + area[CHECKSUM_OFFSET + CHECKSUM_SIZE :])
    if digest.digest() != checksum[: digest.digest_size]:
        return None
    meta = json.loads(area[BINARY_SIZE:].split(b"\0", 1)[0])
    [segment, *_others] = [meta["segments"][number] for number in sorted(meta["segments"], key=int)]
    return Header(
        uuid=_text(uuid),
        label=_text(label),
        subsystem=_text(subsystem),
        sequence=sequence,
        data_offset=int(segment["offset"]),
        cipher=segment.get("encryption", ""),
        sector=segment.get("sector_size", 512),
        keyslots=tuple(_keyslot(int(number), slot) for number, slot in sorted(meta["keyslots"].items())),
        tokens=tuple(
            Token(int(number), token.get("role", ""), tuple(int(slot) for slot in token["keyslots"]))
            for number, token in sorted(meta["tokens"].items())
            if token["type"] == TOKEN_TYPE
        ),
        requirements=tuple(meta["config"].get("requirements", {}).get("mandatory", ())),
    )


def _keyslot(number: int, slot: Mapping[str, Any]) -> Keyslot:
    kdf = slot.get("kdf", {})
    return Keyslot(
        number=number,
        kdf=kdf.get("type", slot["type"]),  # a re-encryption's keyslot has no kdf
        iterations=kdf.get("time", kdf.get("iterations", 0)),
        memory_kib=kdf.get("memory", 0),
        parallel=kdf.get("cpus", 0),
    )


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def crypttab_line(text: str, name: str) -> str | None:
    """A volume's line in the text of crypttab(5), its columns separated by one space; None if it has none."""
    for line in text.splitlines():
        columns = line.split()
        if len(columns) >= 2 and columns[0] == name:
            return " ".join(columns)
    return None


def with_crypttab_line(text: str, name: str, wanted: str) -> str:
    """The text of crypttab with the volume's line replaced, or added at the end."""
    lines = [wanted if line.split()[:1] == [name] else line for line in text.splitlines()]
    if wanted not in lines:
        lines.append(wanted)
    return "\n".join(lines) + "\n"


def crypttab_uuid(line: str | None) -> str | None:
    """The UUID that a line of crypttab names; None if it names its device otherwise."""
    source = line.split()[1] if line else ""
    for prefix in ("UUID=", "/dev/disk/by-uuid/"):
        if source.startswith(prefix):
            return source[len(prefix) :].strip('"').lower()
    return None


def ext4_size(start: bytes) -> int:
    """Size in bytes of the ext4 file system whose first 2 KiB these are (Linux, Documentation/filesystems/ext4)."""
    block = start[1024:]
    if block[0x38:0x3A] != b"\x53\xef":
        raise DbopsError("There is no ext4 superblock where blkid saw one", "Run e2fsck.")
    low, log_size = struct.unpack_from("<I", block, 0x4)[0], struct.unpack_from("<I", block, 0x18)[0]
    has_64bit = struct.unpack_from("<I", block, 0x60)[0] & 0x80
    high = struct.unpack_from("<I", block, 0x150)[0] if has_64bit else 0
    return int(((high << 32) | low) << (10 + log_size))


def xfs_size(report: str) -> int:
    """Size in bytes of the data section, from what ``xfs_info`` or ``xfs_growfs -n`` prints."""
    for line in report.splitlines():
        if line.startswith("data"):
            values = line.replace(",", " ").split()
            block = next(part for part in values if part.startswith("bsize="))
            blocks = next(part for part in values if part.startswith("blocks="))
            return int(block[6:]) * int(blocks[7:])
    raise DbopsError("xfs_info said nothing of a data section", "Run xfs_info by hand.")
