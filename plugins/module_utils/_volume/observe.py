# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a device is, holds and is used for. Reads only."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Iterable, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._volume.formats import (
    HEADER_BYTES,
    crypttab_line,
    ext4_size,
    luks2_header,
    luks_version,
    xfs_size,
)
from ansible_collections.dbops.postgres.plugins.module_utils._volume.probe import (
    Backup,
    Device,
    Mapping,
    Observed,
    Signature,
    regions,
)
from ansible_collections.dbops.postgres.plugins.module_utils._volume.spec import MIB, Key, VolumeSpec

CRYPTTAB = "/etc/crypttab"
TIMEOUT_SECONDS = 120
ENVIRONMENT = {"LC_ALL": "C", "PATH": os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"}


def run(
    command: Sequence[str | Key], *, ok: Sequence[int] = (0,), timeout: float = TIMEOUT_SECONDS
) -> subprocess.CompletedProcess[bytes]:
    """Run a command.

    :param command: a :class:`Key` in it becomes the path of a pipe that holds it: a key is never an argument and
        never a file.
    :param ok: exit statuses that are no failure.
    :raises DbopsError: it is missing, failed, or took longer than ``timeout`` seconds.
    """
    pipes: list[int] = []
    words: list[str] = []
    try:
        for word in command:
            if isinstance(word, Key):
                reader, writer = os.pipe()
                pipes.append(reader)
                os.write(writer, word.value)  # at most KEY_BYTES_MAX: fits into the pipe
                os.close(writer)
                words.append(f"/dev/fd/{reader}")
            else:
                words.append(word)
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            pass_fds=pipes,
            env=ENVIRONMENT,
        )
    except FileNotFoundError:
        raise DbopsError(f"{words[0]} is missing on this host", "Install its package.", untouched="") from None
    except subprocess.TimeoutExpired:
        raise DbopsError(
            f"{' '.join(words[:2])} took longer than {timeout:.0f} s and was stopped",
            "Look at the disk (journalctl -k), then run this again: it continues where it stopped.",
            untouched="",
        ) from None
    finally:
        for pipe in pipes:
            os.close(pipe)
    if done.returncode not in ok:
        text = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise DbopsError(f"{' '.join(words[:2])} failed (status {done.returncode}): {text}", untouched="")
    return done


def key_file(path: str) -> bytes:
    """The content of a key file on this host.

    :raises DbopsError: it cannot be read, is no file, or others than its owner can read it.
    """
    try:
        with open(path, "rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if not stat.S_ISREG(mode) or mode & 0o077:
                raise DbopsError(f"Key file {path} is not a file that only its owner may read", "chmod 0400 it.")
            return stream.read(8192)
    except OSError as error:
        raise DbopsError(f"Key file {path} cannot be read: {error.strerror}") from None


def observe(spec: VolumeSpec) -> Observed:
    """Look at a declared volume: its device, its keyslots, its mapping and what belongs to it on this host.

    :raises DbopsError: the device does not exist or cannot be read.
    """
    device = observe_device(spec.device)
    mapping = observe_mapping(spec.name, device.holders)
    key_slot = previous_slot = recovery_slot = None
    if device.header is not None and not device.header.requirements:
        key_slot = slot_of(device.node, spec.key)
        if spec.previous_key is not None:
            previous_slot = slot_of(device.node, spec.previous_key)
        if spec.recovery_key is not None:
            recovery_slot = slot_of(device.node, spec.recovery_key)
    return Observed(
        device=device,
        mapping=mapping,
        key_slot=key_slot,
        previous_slot=previous_slot,
        recovery_slot=recovery_slot,
        boot_key=boot_key(spec),
        boot_place_encrypted=_on_encrypted(os.path.dirname(spec.boot_path)) if spec.boot == "key_file" else True,
        recovery_handed_over=os.path.exists(spec.recovery_path),
        backup=backup_at(spec.backup_path),
        crypttab=crypttab_line(_read_text(CRYPTTAB), spec.name),
        drop_ins={path: _read_text(path) for path in spec.drop_ins if os.path.exists(path)},
        hidden=_hidden(spec.mountpoint, mapping),
    )


def observe_device(path: str) -> Device:
    """Look at a block device: what it is, who uses it, and every trace of content that a format would destroy."""
    node = os.path.realpath(path)
    try:
        mode = os.stat(node).st_mode
    except OSError as error:
        raise DbopsError(
            f"Device {path} does not exist: {error.strerror}", f"Disks of this host: {', '.join(_disks())}."
        ) from None
    if not stat.S_ISBLK(mode):
        raise DbopsError(f"{path} is no block device", f"Disks of this host: {', '.join(_disks())}.")
    number = os.stat(node).st_rdev
    sys = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    size = int(_read_text(f"{sys}/size") or 0) * 512
    start = _read(node, 0, HEADER_BYTES)
    header = luks2_header(start)
    signatures = _signatures(node)
    unreadable, nonzero = (None, None) if header is not None else _first_nonzero(node, size)
    udev = dict(
        line[2:].split("=", 1)
        for line in _read_text(f"/run/udev/data/b{os.major(number)}:{os.minor(number)}").splitlines()
        if line.startswith("E:") and "=" in line
    )
    partition = os.path.exists(f"{sys}/partition")
    serials = {
        *(_read_text(f"{sys}/{name}").strip() for name in ("serial", "device/serial", "wwid", "device/wwid")),
        *(udev.get(name, "") for name in ("ID_SERIAL", "ID_SERIAL_SHORT", "ID_WWN")),
    }
    if partition:  # udev gives it the serial of its disk
        serials = {udev.get("ID_PART_ENTRY_UUID", "")}
    return Device(
        path=path,
        node=node,
        size=size,
        partition_of=f"/dev/{os.path.basename(os.path.dirname(sys))}" if partition else None,
        partitions=tuple(
            sorted(f"/dev/{os.path.basename(os.path.dirname(p))}" for p in glob.glob(f"{sys}/*/partition"))
        ),
        read_only=_read_text(f"{sys}/ro").strip() == "1",
        serials=tuple(sorted(filter(None, serials))),
        holders=tuple(sorted(_holder(name) for name in _names(f"{sys}/holders"))),
        mounts=_mounts(number),
        swap=any(os.path.realpath(line.split()[0]) == node for line in _read_text("/proc/swaps").splitlines()[1:]),
        busy=_busy(node),
        signatures=signatures,
        nonzero_at=nonzero,
        unreadable=unreadable,
        luks_version=luks_version(start),
        header=header,
    )


def observe_mapping(name: str, holders: Iterable[str]) -> Mapping | None:
    """Look at what is open under a name, and whether it lies on the device with these holders."""
    path = f"/dev/mapper/{name}"
    if not os.path.exists(path):
        return None
    node = os.path.realpath(path)
    number = os.stat(node).st_rdev
    sys = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"
    size = int(_read_text(f"{sys}/size") or 0) * 512
    mounts = _mounts(number)
    signatures = _signatures(node)
    kinds = {signature.kind for signature in signatures}
    filesystem = next(iter(kinds)) if len(kinds) == 1 else None
    return Mapping(
        path=path,
        ours=f"mapping {name}" in holders,
        size=size,
        filesystem=filesystem,
        filesystem_size=_filesystem_size(filesystem, node, mounts),
        signatures=signatures,
        mounts=mounts,
    )


def slot_of(node: str, key: Key, slot: int | None = None) -> int | None:
    """The keyslot that a key opens, by trying it; None if it opens none.

    :param slot: try this one only.
    """
    only = [] if slot is None else ["--key-slot", str(slot)]
    done = run(
        ["cryptsetup", "open", "--test-passphrase", "--verbose", "--type", "luks2", *only, "--key-file", key, node],
        ok=(0, 1, 2),
        timeout=600,
    )
    for line in done.stdout.decode(errors="replace").splitlines():
        words = line.split()
        if words[:2] == ["Key", "slot"] and words[3:] == ["unlocked."]:
            return int(words[2])
    if done.returncode == 2 or slot is not None:  # 2: no key available with this passphrase; 1: no such slot
        return None
    text = done.stderr.decode(errors="replace").strip()
    raise DbopsError(f"{node}: cryptsetup cannot try a key: {text}", untouched="")


def boot_key(spec: VolumeSpec) -> Key | None:
    """The key that will be used at boot; None if there is none or it cannot be unsealed on this host."""
    if spec.boot == "none" or not os.path.exists(spec.boot_path):
        return None
    if spec.boot == "key_file":
        with open(spec.boot_path, "rb") as stream:
            return Key(stream.read())
    done = run(["systemd-creds", "decrypt", f"--name={spec.credential}", spec.boot_path, "-"], ok=range(256))
    return Key(done.stdout) if done.returncode == 0 else None


def _signatures(node: str) -> tuple[Signature, ...]:
    # wipefs lists every signature that libblkid knows at every offset; blkid's own probe is asked as well, because
    # a few formats are recognised without a magic string.
    found = json.loads(run(["wipefs", "--no-act", "--json", "--output", "OFFSET,TYPE,UUID,LABEL", node]).stdout or "{}")
    signatures = [
        Signature(item["type"], int(item["offset"], 16), item["uuid"] or "")
        for item in (found or {}).get("signatures", ())
    ]
    probe = run(["blkid", "--probe", "--output", "export", node], ok=(0, 2, 8))
    if not signatures and probe.returncode != 2:
        fields = dict(line.split("=", 1) for line in probe.stdout.decode().splitlines() if "=" in line)
        kind = fields.get("TYPE") or fields.get("PTTYPE")
        if kind or probe.returncode == 8:
            signatures.append(Signature(kind or "more than one signature", 0, fields.get("UUID", "")))
    return tuple(signatures)


def _first_nonzero(node: str, size: int) -> tuple[int | None, int | None]:
    zeros = bytes(MIB)
    for offset, length in regions(size):
        try:
            data = _read(node, offset, length)
        except OSError:
            return offset, None
        if len(data) != length:
            return offset, None
        for begin in range(0, length, MIB):
            piece = data[begin : begin + MIB]
            if piece != zeros[: len(piece)]:
                return None, offset + begin + len(piece) - len(piece.lstrip(b"\0"))
    return None, None


def _read(node: str, offset: int, length: int) -> bytes:
    with open(node, "rb", buffering=0) as stream:
        stream.seek(offset)
        parts = []
        while length > 0:
            part = stream.read(length)
            if not part:
                break
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


def _busy(node: str) -> str:
    # An exclusive open is refused by the kernel for whatever is mounted, mapped, swapped on or part of an array.
    try:
        os.close(os.open(node, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        return os.strerror(error.errno or 0)
    return ""


def _holder(name: str) -> str:
    mapped = _read_text(f"/sys/class/block/{name}/dm/name").strip()
    return f"mapping {mapped}" if mapped else name


def _mounts(number: int) -> tuple[str, ...]:
    wanted = f"{os.major(number)}:{os.minor(number)}"
    rows = (line.split() for line in _read_text("/proc/self/mountinfo").splitlines())
    return tuple(sorted(row[4] for row in rows if row[2] == wanted))


def _filesystem_size(filesystem: str | None, node: str, mounts: Sequence[str]) -> int | None:
    if filesystem == "ext4":
        return ext4_size(_read(node, 0, 4096))
    if filesystem == "xfs":
        # A mounted XFS keeps its superblock in memory.
        return xfs_size(run(["xfs_info", mounts[0] if mounts else node]).stdout.decode())
    return None


def _on_encrypted(directory: str) -> bool:
    try:
        number = os.stat(directory).st_dev
    except OSError:
        return False
    pending = [f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"]
    while pending:
        sys = pending.pop()
        if _read_text(f"{sys}/dm/uuid").startswith("CRYPT-"):
            return True
        pending += [f"/sys/class/block/{name}" for name in _names(f"{sys}/slaves")]
    return False


def _hidden(mountpoint: str, mapping: Mapping | None) -> str:
    if not mountpoint or (mapping is not None and mountpoint in mapping.mounts):
        return ""
    if os.path.ismount(mountpoint):
        return "another file system is mounted there"
    for directory, _directories, files in os.walk(mountpoint):
        if files:
            return f"it holds {os.path.join(directory, files[0])}"
    return ""


def backup_at(path: str) -> Backup | None:
    """The header backup in a file; None if there is none or no copy of the header in it is whole."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(HEADER_BYTES)
            digest = hashlib.sha256(start)
            while part := stream.read(MIB):
                digest.update(part)
    except OSError:
        return None
    header = luks2_header(start)
    if header is None:
        return None
    return Backup(header.uuid, header.sequence, digest.hexdigest())


def _disks() -> list[str]:
    skipped = ("loop", "ram", "zram", "dm-", "sr")
    return [f"/dev/{name}" for name in _names("/sys/block") if not name.startswith(skipped)] or ["none"]


def _names(directory: str) -> list[str]:
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
