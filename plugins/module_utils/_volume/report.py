# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``luks_volume`` returns of a volume. Pure, and without a key."""

from __future__ import annotations

from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._volume.probe import Observed
from ansible_collections.dbops.postgres.plugins.module_utils._volume.spec import VolumeSpec


def report(spec: VolumeSpec, seen: Observed) -> dict[str, Any]:
    """The module's return values, as its documentation lists them."""
    header = seen.device.header
    return {
        "uuid": header.uuid if header else "",
        "mapper": f"/dev/mapper/{spec.name}",
        "unit": spec.unit,
        "keyslots": _keyslots(seen),
        "header_backup": {
            "path": spec.backup_path if spec.header_backup else "",
            "sha256": seen.backup.sha256 if seen.backup else "",
            "uuid": seen.backup.uuid if seen.backup else "",
        },
        "recovery_file": spec.recovery_path if spec.recovery_recipients else "",
        "capabilities": {
            "device": seen.device.node,
            "size": seen.device.size,
            "serials": list(seen.device.serials),
        },
    }


def _keyslots(seen: Observed) -> list[dict[str, Any]]:
    header = seen.device.header
    if header is None:
        return []
    roles = dict.fromkeys(header.slots_of("recovery"), "recovery")
    if seen.previous_slot is not None:
        roles.setdefault(seen.previous_slot, "previous")
    if seen.key_slot is not None:
        roles[seen.key_slot] = "key"
    return [
        {
            "number": slot.number,
            "role": roles.get(slot.number, "unknown"),
            "kdf": slot.kdf,
            "memory_kib": slot.memory_kib,
            "iterations": slot.iterations,
            "parallel": slot.parallel,
        }
        for slot in header.keyslots
    ]
