# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that must not be formatted: loop devices with what real tools, or their format's description, put on them."""

from __future__ import annotations

import hashlib
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1024 * 1024
SIZE = 128 * MIB
FAST = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
FOREIGN_KEY = "a key that is not ours"

# What the disks here are made with, and what the module itself runs.
TOOLS = {
    "age": "age",
    "cryptsetup": "cryptsetup-bin",
    "genisoimage": "genisoimage",
    "make-bcache": "bcache-tools",
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.exfat": "exfatprogs",
    "mkfs.f2fs": "f2fs-tools",
    "mkfs.jfs": "jfsutils",
    "mkfs.nilfs2": "nilfs-tools",
    "mkfs.vfat": "dosfstools",
    "mkfs.xfs": "xfsprogs",
    "mkntfs": "ntfs-3g",
    "mkreiserfs": "reiserfsprogs",
    "mksquashfs": "squashfs-tools",
    "mkudffs": "udftools",
    "pvcreate": "lvm2",
    "sfdisk": "fdisk",
    "systemd-creds": "systemd",
}


def command(*words: str, text: str = "") -> str:
    """Run a command and return its output; it must succeed."""
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def loop(path: Path, *options: str) -> Iterator[str]:
    """A loop device on a file."""
    device = command("losetup", "--find", "--show", *options, str(path)).strip()
    try:
        yield device
    finally:
        command("losetup", "--detach", device)


def blank(path: Path, size: int = SIZE) -> Path:
    """A file of zeros."""
    with path.open("wb") as stream:
        stream.truncate(size)
    return path


def fingerprint(path: Path) -> str:
    """Hash of a whole file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def put(path: Path, offset: int, data: bytes) -> None:
    """Write bytes into a file; a negative offset counts from its end."""
    with path.open("r+b") as stream:
        stream.seek(offset, 2 if offset < 0 else 0)
        stream.write(data)


def tool(*words: str) -> Callable[[Path], None]:
    """What a tool makes of the file, whose path is put at the end."""
    return lambda path: void(command(*words, str(path)))


def void(_output: str) -> None:
    """Forget the output."""


def _larger(size: int, maker: Callable[[Path], None]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        blank(path, size)
        maker(path)

    return write


def _byte(offset: int) -> Callable[[Path], None]:
    return lambda path: put(path, offset, b"\x01")


def _partitioned(label: str) -> Callable[[Path], None]:
    return lambda path: void(command("sfdisk", "--quiet", str(path), text=f"label: {label}\n,32M\n,\n"))


def _second_gpt_only(path: Path) -> None:
    _partitioned("gpt")(path)
    put(path, 0, bytes(34 * 512))


def _swap(path: Path) -> None:
    path.chmod(0o600)
    command("mkswap", str(path))


def _lvm(path: Path) -> None:
    with loop(path) as device:
        command("pvcreate", "--devices", device, device)


def _bcache(path: Path) -> None:
    # The tool wants to register with the kernel, which has no bcache here, after it has written the superblock.
    with loop(path) as device:
        subprocess.run(["make-bcache", "-B", device], capture_output=True, timeout=60, check=False)


def _image(maker: tuple[str, ...]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        source = path.with_suffix(".d")
        source.mkdir()
        (source / "file").write_text("content")
        image = path.with_suffix(".image")
        command(*(word.format(source=source, image=image) for word in maker))
        put(path, 0, image.read_bytes())

    return write


def _md(version: str, offset: int) -> Callable[[Path], None]:
    # struct mdp_superblock_1 of the Linux kernel (include/uapi/linux/raid/md_p.h); arrays need a kernel of their own.
    def write(path: Path) -> None:
        place = offset if offset >= 0 else SIZE + offset
        block = bytearray(256)
        struct.pack_into("<III", block, 0, 0xA92B4EFC, 1, 0)
        block[16:32] = bytes(range(16))
        block[32 : 32 + len(version)] = version.encode()
        struct.pack_into("<IIQII", block, 72, 1, 0, 100000, 0, 2)
        struct.pack_into("<QQQ", block, 128, 2048, 100000, place // 512)
        words = struct.unpack("<64I", block)
        total = sum(words)
        struct.pack_into("<I", block, 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
        put(path, place, bytes(block))

    return write


def _md_09(path: Path) -> None:
    block = bytearray(4096)
    struct.pack_into("<IIII", block, 0, 0xA92B4EFC, 0, 90, 0)
    struct.pack_into("<I", block, 20, 0x12345678)
    put(path, (SIZE & ~0xFFFF) - 0x10000, bytes(block))


def _zfs(path: Path) -> None:
    # Uberblocks of a vdev label: 128 KiB into it, 1 KiB apart (ZFS On-Disk Specification, 1.3).
    for number in range(16):
        put(path, 128 * 1024 + number * 1024, struct.pack("<QQQ", 0x00BAB10C, 5000, number + 1))


def _bitlocker(path: Path) -> None:
    put(path, 0, b"\xeb\x58\x90-FVE-FS-" + bytes(3) + struct.pack("<H", 512))


def _ddf(path: Path) -> None:
    put(path, -512, b"\xde\x11\xde\x11" + bytes(508))


def _luks(version: str) -> Callable[[Path], None]:
    words = ("cryptsetup", "luksFormat", "--batch-mode", "--type", version, *FAST, "--key-file", "-")
    return lambda path: void(command(*words, str(path), text=FOREIGN_KEY))


def _luks_damaged(path: Path) -> None:
    _luks("luks2")(path)
    put(path, 0, bytes(16384))


def _ext4_over_luks(path: Path) -> None:
    _luks("luks2")(path)
    put(path, 0, bytes(4096))
    put(path, 0x438, b"\x53\xef")


# What is on the disk, and what the refusal must name.
CONTENTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "ext2": (tool("mkfs.ext2", "-q"), "signature of ext2"),
    "ext4": (tool("mkfs.ext4", "-q"), "signature of ext4"),
    "xfs": (_larger(512 * MIB, tool("mkfs.xfs", "-q")), "signature of xfs"),
    "btrfs": (tool("mkfs.btrfs", "-q"), "signature of btrfs"),
    "vfat": (tool("mkfs.vfat"), "signature of vfat"),
    "exfat": (tool("mkfs.exfat"), "signature of exfat"),
    "ntfs": (tool("mkntfs", "--quiet", "--force", "--fast"), "signature of ntfs"),
    "f2fs": (tool("mkfs.f2fs", "-q"), "signature of f2fs"),
    "nilfs2": (_larger(256 * MIB, tool("mkfs.nilfs2", "-q", "-f")), "signature of nilfs2"),
    "jfs": (tool("mkfs.jfs", "-q"), "signature of jfs"),
    "reiserfs": (tool("mkreiserfs", "-q", "-f", "-f"), "signature of reiserfs"),
    "udf": (tool("mkudffs", "--blocksize=512"), "signature of udf"),
    "iso9660": (_image(("genisoimage", "-quiet", "-o", "{image}", "{source}")), "signature of iso9660"),
    "squashfs": (_image(("mksquashfs", "{source}", "{image}", "-quiet")), "signature of squashfs"),
    "swap": (_swap, "signature of swap"),
    "MBR with partitions": (_partitioned("dos"), "signature of dos"),
    "GPT with partitions": (_partitioned("gpt"), "signature of gpt"),
    "GPT, only the copy at the end": (_second_gpt_only, "signature of gpt"),
    "LVM physical volume": (_lvm, "signature of LVM2_member"),
    "RAID member, superblock 1.2": (_md("array", 4096), "signature of linux_raid_member"),
    "RAID member, superblock 1.0 at the end": (_md("array", -8192), "signature of linux_raid_member"),
    "RAID member, superblock 0.90": (_md_09, "signature of linux_raid_member"),
    "hardware RAID member (DDF)": (_ddf, "ddf_raid_member|not blank"),
    "bcache": (_bcache, "signature of bcache"),
    "ZFS member": (_zfs, "signature of zfs_member"),
    "BitLocker": (_bitlocker, "BitLocker|not blank"),
    "LUKS2 with another key": (_luks("luks2"), "the key does not open it"),
    "LUKS1": (_luks("luks1"), "holds LUKS1"),
    "LUKS2, first header gone": (_luks_damaged, "damaged LUKS header"),
    "LUKS2, something written over its header": (_ext4_over_luks, "damaged LUKS header"),
    "first byte": (_byte(0), r"not zero is byte 0\.?$"),
    "a byte in the middle of the first 16 MiB": (_byte(8 * MIB + 12345), f"is byte {8 * MIB + 12345}"),
    "a byte in a sample between": (_byte(64 * MIB), f"is byte {64 * MIB}|not blank"),
    "the last byte": (_byte(-1), f"is byte {SIZE - 1}"),
    "a database's file of text": (lambda path: put(path, 3 * MIB, b"PGDMP" * 1000), "not blank"),
}
