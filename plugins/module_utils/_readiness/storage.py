# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at what directories lie on, down to the disk: file system, device-mapper, LUKS. As root, read-only."""

from __future__ import annotations

import glob
import json
import os
import subprocess
from collections.abc import Iterable

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Luks,
    Place,
    Seen,
    Storage,
    Unseen,
)

TIMEOUT_SECONDS = 10
HEADER_BACKUPS = "/var/lib/dbops-postgres/luks/*.header"


def observe(data_directory: str) -> Storage:
    """Look at the data directory, its WAL, its tablespaces and swap."""
    directories = {"data directory": data_directory, "WAL": os.path.join(data_directory, "pg_wal")}
    for link in sorted(glob.glob(os.path.join(data_directory, "pg_tblspc", "*"))):
        directories[f"tablespace {os.path.realpath(link)}"] = link
    mounts = [line.split() for line in _text("/proc/self/mountinfo").splitlines()]
    crypttab = [line.split() for line in _text("/etc/crypttab").splitlines()]
    return Storage(
        places={name: _place(os.path.realpath(path), mounts, crypttab) for name, path in directories.items()},
        swap_in_clear=tuple(
            line.split()[0]
            for line in _text("/proc/swaps").splitlines()[1:]
            if not line.startswith("/dev/zram") and not _swap_encrypted(line.split()[0])
        ),
    )


def _place(path: str, mounts: list[list[str]], crypttab: list[list[str]]) -> Seen[Place]:
    number = os.stat(path).st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    if os.major(number) == 0:  # no disk of its own: a container's overlay, ZFS, btrfs, NFS
        kinds = {row[row.index("-") + 1] for row in mounts if row[2] == device}
        kind = ", ".join(sorted(kinds)) or "a file system without a device"
        return Unseen(Status.NOT_TESTED, f"{path} lies on {kind}; what is below it cannot be seen from here.")
    layers = _layers(f"/sys/dev/block/{device}")
    name = f"/dev/{os.path.basename(os.path.realpath(f'/sys/dev/block/{device}'))}"
    encrypted = [layer for layer in layers if _text(f"{layer}/dm/uuid").startswith("CRYPT-")]
    if not encrypted:
        return Place(path, name, None)
    return Place(path, name, _luks(encrypted[0], crypttab))


def _luks(layer: str, crypttab: list[list[str]]) -> Seen[Luks]:
    mapping = _text(f"{layer}/dm/name").strip()
    kind = _text(f"{layer}/dm/uuid").split("-")[1]
    if kind != "LUKS2":
        return Luks(mapping, kind, 0, "", False, False)
    disk = f"/dev/{os.listdir(f'{layer}/slaves')[0]}"
    dump = _run(["cryptsetup", "luksDump", "--dump-json-metadata", disk])
    uuid = _run(["cryptsetup", "luksUUID", disk])
    if not dump or not uuid:
        return Unseen(Status.ERROR, f"cryptsetup cannot read the header of {disk}.")
    key = next((row[2] for row in crypttab if len(row) > 2 and row[0] == mapping), "none")
    backups = glob.glob(HEADER_BACKUPS)
    return Luks(
        mapping=mapping,
        kind=kind,
        keyslots=len(json.loads(dump)["keyslots"]),
        key_file=key,
        key_in_clear=key.startswith("/") and not key.startswith(("/run/", "/dev/")) and not _encrypted(key),
        header_backup=any(_run(["cryptsetup", "luksUUID", backup]) == uuid for backup in backups),
    )


def _swap_encrypted(path: str) -> bool:
    if path.startswith("/dev/"):
        number = os.stat(path).st_rdev
        sys = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"
        return any(_text(f"{layer}/dm/uuid").startswith("CRYPT-") for layer in _layers(sys))
    return _encrypted(path)


def _encrypted(path: str) -> bool:
    try:
        number = os.stat(path).st_dev
    except OSError:
        return False
    layers = _layers(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    return any(_text(f"{layer}/dm/uuid").startswith("CRYPT-") for layer in layers)


def _layers(sys: str) -> Iterable[str]:
    pending, found = [os.path.realpath(sys)], []
    while pending:
        layer = pending.pop()
        found.append(layer)
        if os.path.isdir(f"{layer}/slaves"):
            pending += [os.path.realpath(f"/sys/class/block/{name}") for name in os.listdir(f"{layer}/slaves")]
    return found


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
