# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a device may be formatted: what was observed of it, and the reasons against. Pure.

A format is refused unless the device is whole, unused, without any signature, and reads as zeros wherever it is
looked at. Formatting what was in use or does not suit is refused always; destroying what was found on an unused
device takes the very device's own serial or UUID.
"""

from __future__ import annotations

from collections.abc import Mapping as Texts
from dataclasses import dataclass, field

from ansible_collections.dbops.postgres.plugins.module_utils._volume.formats import Header
from ansible_collections.dbops.postgres.plugins.module_utils._volume.spec import MIB, SMALLEST_DEVICE, Key

START_BYTES = 16 * MIB
SAMPLES = 64
# A confirmation that an empty or a made-up serial could match by chance confirms nothing.
CONFIRMATION_LENGTH_MIN = 4


@dataclass(frozen=True)
class Signature:
    """A file system, partition table, array member or the like that libblkid recognised.

    :param offset: where its magic string lies, in bytes.
    """

    kind: str
    offset: int
    uuid: str = ""


@dataclass(frozen=True)
class Device:
    """A block device and every trace of content or use.

    :param path: as it was declared; ``node`` is what it resolves to.
    :param size: in bytes.
    :param partition_of: the disk, if this is a partition.
    :param serials: serial numbers and world wide names, as the kernel and udev tell them.
    :param holders: device-mapper names (``mapping pgdata_crypt``) and arrays on top of it.
    :param busy: why the kernel refuses an exclusive open; empty if it does not.
    :param nonzero_at: offset of the first byte that is not zero; None if it is blank or has a LUKS2 header.
    :param unreadable: offset of a region that cannot be read.
    :param luks_version: if it begins with a LUKS header.
    :param header: the LUKS2 header, if a copy of it is whole.
    """

    path: str
    node: str
    size: int
    partition_of: str | None = None
    partitions: tuple[str, ...] = ()
    read_only: bool = False
    serials: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    swap: bool = False
    busy: str = ""
    signatures: tuple[Signature, ...] = ()
    nonzero_at: int | None = None
    unreadable: int | None = None
    luks_version: int | None = None
    header: Header | None = None

    @property
    def is_luks(self) -> bool:
        """Whether there is any trace of a LUKS header, be it damaged."""
        return (
            self.header is not None
            or self.luks_version is not None
            or any(signature.kind == "crypto_LUKS" for signature in self.signatures)
        )


@dataclass(frozen=True)
class Mapping:
    """What is open under the volume's name.

    :param ours: it lies on the volume's device.
    :param filesystem: what libblkid sees in it, if that is one thing.
    :param filesystem_size: in bytes, for file systems that can be grown here.
    """

    path: str
    ours: bool
    size: int
    filesystem: str | None = None
    filesystem_size: int | None = None
    signatures: tuple[Signature, ...] = ()
    mounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Backup:
    """A header backup on the host: of which volume, in which state."""

    uuid: str
    sequence: int
    sha256: str


@dataclass(frozen=True)
class Observed:
    """The live state of a declared volume.

    :param key_slot: the keyslot that the declared key opens; likewise for the previous and the recovery key.
    :param boot_key: what will open it at boot.
    :param boot_place_encrypted: whether the boot key file lies on an encrypted volume.
    :param recovery_handed_over: whether there is an encrypted recovery passphrase on the host.
    :param crypttab: the volume's line.
    :param drop_ins: path and text of those that exist of the declared ones.
    :param hidden: what a mount on the mountpoint would hide; empty if nothing.
    """

    device: Device
    mapping: Mapping | None = None
    key_slot: int | None = None
    previous_slot: int | None = None
    recovery_slot: int | None = None
    boot_key: Key | None = None
    boot_place_encrypted: bool = True
    recovery_handed_over: bool = False
    backup: Backup | None = None
    crypttab: str | None = None
    drop_ins: Texts[str, str] = field(default_factory=dict)
    hidden: str = ""


def regions(size: int) -> list[tuple[int, int]]:
    """What is read to see that a device of this size is blank: (offset, length) in bytes, in order, not overlapping.

    The first 16 MiB, the last MiB, and 64 MiBs evenly spaced between; all of a device too small for that.
    """
    if size <= START_BYTES + (SAMPLES + 1) * MIB:
        return [(0, size)] if size else []
    last = size - MIB
    gap = (last - START_BYTES - SAMPLES * MIB) / (SAMPLES + 1)
    samples = [(START_BYTES + int((number + 1) * gap + number * MIB), MIB) for number in range(SAMPLES)]
    return [(0, START_BYTES), *samples, (last, MIB)]


def obstacles(device: Device, filesystem: str) -> list[str]:
    """Reasons against a format that no confirmation removes: it is in use, or it does not suit."""
    found = [f"it is mounted on {', '.join(device.mounts)}"] if device.mounts else []
    if device.swap:
        found.append("it is used as swap")
    if device.holders:
        found.append(f"it is used by {', '.join(device.holders)}")
    if device.busy and not found:
        found.append(f"the kernel says that it is in use ({device.busy})")
    if device.read_only:
        found.append("it is read-only")
    if device.unreadable is not None:
        found.append(f"it cannot be read at byte {device.unreadable}")
    smallest = SMALLEST_DEVICE[filesystem]
    if device.size < smallest:
        found.append(f"it has {device.size // MIB} MiB, and {filesystem} in LUKS2 needs {smallest // MIB} MiB")
    return found


def contents(device: Device) -> list[str]:
    """What a format would destroy, or may destroy."""
    found = []
    if device.partition_of:
        found.append(f"it is a partition of {device.partition_of}, not a whole device")
    if device.partitions:
        found.append(f"it has the partitions {', '.join(device.partitions)}")
    for signature in device.signatures:
        uuid = f", UUID {signature.uuid}" if signature.uuid else ""
        found.append(f"a signature of {signature.kind} at byte {signature.offset}{uuid}")
    if device.nonzero_at is not None:
        found.append(f"it is not blank: the first byte that is not zero is byte {device.nonzero_at}")
    return found


def confirmed(device: Device, wipe_confirm: str) -> bool:
    """Whether ``wipe_confirm`` names this very device: one of its serials or of the UUIDs on it."""
    names = {*device.serials, *(signature.uuid for signature in device.signatures)}
    return len(wipe_confirm) >= CONFIRMATION_LENGTH_MIN and wipe_confirm in names
