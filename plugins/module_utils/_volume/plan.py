# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done to a volume: desired against observed. Pure.

The order of a rotation is its safety: the new key is added and proven, the boot key is switched and proven, and only
then the old keyslot is removed. A run that was killed anywhere is continued by the next one, because every action
follows from what is observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ansible_collections.dbops.postgres.plugins.module_utils._plan import Change, DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._volume.formats import Header, Keyslot, crypttab_uuid
from ansible_collections.dbops.postgres.plugins.module_utils._volume.probe import (
    Mapping,
    Observed,
    confirmed,
    contents,
    obstacles,
)
from ansible_collections.dbops.postgres.plugins.module_utils._volume.spec import MIB, Pbkdf, VolumeSpec

# The subsystem field of the header, from the format until the file system is made: such a volume has never held data.
NEW = "dbops-postgres:new"
KDF = "argon2id"


class Verb(Enum):
    """What an action does."""

    WIPE = "wipe"
    FORMAT = "format"
    ADD_KEY = "add the key"
    SEAL = "seal"
    UNITS = "tell units"
    CRYPTTAB = "write crypttab"
    OPEN = "open"
    MAKE_FILESYSTEM = "make the file system"
    FINISH = "finish"
    ADD_RECOVERY = "add the recovery key"
    MARK_RECOVERY = "mark the recovery key"
    REMOVE_SLOT = "remove a keyslot"
    CONVERT_KEY = "convert a keyslot"
    RESIZE = "resize"
    GROW = "grow"
    BACK_UP = "back up the header"
    CLOSE = "close"


HEADER_VERBS = (
    Verb.ADD_KEY,
    Verb.FINISH,
    Verb.ADD_RECOVERY,
    Verb.MARK_RECOVERY,
    Verb.REMOVE_SLOT,
    Verb.CONVERT_KEY,
)


@dataclass(frozen=True)
class Action:
    """One thing to be done.

    :param text: as it is shown.
    :param slot: the keyslot concerned, if there is one.
    """

    verb: Verb
    text: str
    slot: int | None = None


@dataclass(frozen=True)
class VolumePlan:
    """An ordered list of actions, and the same as differences."""

    actions: tuple[Action, ...] = ()
    changes: tuple[Change, ...] = ()


def plan(spec: VolumeSpec, seen: Observed) -> VolumePlan:
    """What makes the observed volume the declared one.

    :raises DbopsError: it cannot be done without a danger to data; with what was found.
    """
    _refuse_other_devices(spec, seen)
    if spec.boot == "key_file" and not seen.boot_place_encrypted:
        raise DbopsError(
            f"Volume {spec.name}: {spec.boot_path} does not lie on an encrypted volume",
            "A key file in clear protects nothing. Put it on another encrypted volume, or use boot: credential.",
        )
    if seen.hidden and spec.state == "opened":
        raise DbopsError(
            f"Volume {spec.name}: {spec.mountpoint} cannot be its mountpoint: {seen.hidden}",
            "A mount would hide that. An existing data directory is moved by the playbook encrypt_existing.",
        )
    header = seen.device.header
    if header is None:
        if spec.state == "closed":
            raise DbopsError(f"Volume {spec.name}: {spec.device} holds no LUKS2 volume to close", "Check device.")
        return _fresh(spec, seen)
    return _existing(spec, seen, header)


def _refuse_other_devices(spec: VolumeSpec, seen: Observed) -> None:
    header = seen.device.header
    known = crypttab_uuid(seen.crypttab) or (seen.backup.uuid if seen.backup else None)
    if known and (header is None or header.uuid != known):
        here = f"holds the volume {header.uuid}" if header else "has no readable LUKS2 header"
        raise DbopsError(
            f"Volume {spec.name}: it is known on this host as {known}, and {spec.device} ({seen.device.node}) {here}",
            "Name the right disk by a path in /dev/disk/by-id. If its header is lost, restore it from the backup "
            f"(docs/encryption.md). If this is to be a new volume, remove the old one's line from crypttab and "
            f"{spec.backup_path} first.",
        )
    if seen.mapping and not seen.mapping.ours:
        raise DbopsError(
            f"Volume {spec.name}: {seen.mapping.path} is open on another device than {spec.device}",
            "Choose another name, or close it: cryptsetup close " + spec.name,
        )


def _fresh(spec: VolumeSpec, seen: Observed) -> VolumePlan:
    device = seen.device
    if device.is_luks:
        version = f"LUKS{device.luks_version}" if device.luks_version == 1 else "a damaged LUKS header"
        raise DbopsError(
            f"Volume {spec.name}: {spec.device} holds {version}, which is never formatted",
            "LUKS1: cryptsetup convert --type luks2. Damaged: cryptsetup repair, or restore the header backup. To "
            "give the disk up for good: cryptsetup erase, then wipefs --all.",
        )
    against = obstacles(device, spec.filesystem)
    if against:
        raise DbopsError(f"Volume {spec.name}: {spec.device} is not formatted: {'; '.join(against)}", "Check device.")
    found = contents(device)
    if found and not confirmed(device, spec.wipe_confirm):
        names = sorted({*device.serials, *(item.uuid for item in device.signatures if item.uuid)})
        remedy = f"set wipe_confirm to one of {', '.join(names)}" if names else "wipe it by hand: it has no serial"
        raise DbopsError(
            f"Volume {spec.name}: {spec.device} is not formatted: {'; '.join(found)}",
            f"Check device. If what is on it may be destroyed for good, {remedy}.",
        )
    actions = [Action(Verb.WIPE, f"wipe {spec.device}: {'; '.join(found)}")] if found else []
    actions.append(Action(Verb.FORMAT, f"format {spec.device} as LUKS2 (aes-xts-plain64, 512 bit, {KDF})"))
    actions += _seal(spec, seen, fresh=True) + _boot(spec, seen, None)
    actions.append(Action(Verb.OPEN, f"open it as /dev/mapper/{spec.name}"))
    actions.append(Action(Verb.MAKE_FILESYSTEM, f"make an {spec.filesystem} file system in it"))
    actions.append(Action(Verb.FINISH, "mark it as complete"))
    if spec.recovery_key or spec.recovery_recipients:
        actions.append(Action(Verb.ADD_RECOVERY, "add a keyslot for the recovery key"))
    if spec.header_backup:
        actions.append(Action(Verb.BACK_UP, f"back up the header to {spec.backup_path}"))
    changes = [
        Change(f"device {spec.device}", "; ".join(found) or "blank", f"LUKS2, label {spec.name}"),
        Change(f"mapping {spec.name}", None, f"open, {spec.filesystem}"),
        *_changes(spec, seen, actions),
    ]
    return VolumePlan(tuple(actions), tuple(changes))


def _existing(spec: VolumeSpec, seen: Observed, header: Header) -> VolumePlan:
    _refuse_foreign_state(spec, seen, header)
    if spec.state == "closed":
        return _close(spec, seen)
    actions = _keys(spec, seen, header)
    changes = []
    if seen.mapping is None:
        actions.append(Action(Verb.OPEN, f"open it as /dev/mapper/{spec.name}"))
        changes.append(Change(f"mapping {spec.name}", "closed", "open"))
    if seen.mapping is None and header.subsystem == NEW:
        actions.append(Action(Verb.MAKE_FILESYSTEM, f"make an {spec.filesystem} file system in it"))
        changes.append(Change(f"file system of {spec.name}", None, spec.filesystem))
    if seen.mapping is not None:
        found, differences = _contents(spec, seen, seen.mapping, header)
        actions += found
        changes += differences
    if header.subsystem == NEW:
        actions.append(Action(Verb.FINISH, "mark it as complete"))
    actions += _recovery(spec, seen, header)
    actions += _removals(spec, seen, header)
    header_changes = any(action.verb in HEADER_VERBS for action in actions)
    backup = seen.backup
    stale = backup is None or backup.uuid != header.uuid or backup.sequence != header.sequence
    if spec.header_backup and (header_changes or stale):
        actions.append(Action(Verb.BACK_UP, f"back up the header to {spec.backup_path}"))
    return VolumePlan(tuple(actions), (*changes, *_changes(spec, seen, actions)))


def _refuse_foreign_state(spec: VolumeSpec, seen: Observed, header: Header) -> None:
    device = seen.device
    foreign = sorted({item.kind for item in device.signatures} - {"crypto_LUKS"})
    if foreign:
        raise DbopsError(
            f"Volume {spec.name}: {spec.device} has a LUKS2 header and a signature of {', '.join(foreign)}",
            "Find out by hand which of them is true; wipefs shows where they lie.",
        )
    if header.requirements:
        raise DbopsError(
            f"Volume {spec.name}: a re-encryption is not finished ({', '.join(header.requirements)})",
            f"Finish it first: cryptsetup reencrypt --resume-only {spec.device}",
        )
    others = [holder for holder in device.holders if holder != f"mapping {spec.name}"]
    if others or device.mounts:
        raise DbopsError(
            f"Volume {spec.name}: {spec.device} is in use by {', '.join((*others, *device.mounts))}",
            "To take an open volume over, give its own name.",
        )
    if seen.key_slot is None and seen.previous_slot is None:
        also = " and neither does previous_key" if spec.previous_key else ""
        raise DbopsError(
            f"Volume {spec.name}: {spec.device} holds the LUKS2 volume {header.uuid}, and the key does not open "
            f"it{also}. A LUKS volume is never formatted",
            "To rotate the key, give the old one as previous_key. If the key is lost, the recovery key opens it.",
        )


def _close(spec: VolumeSpec, seen: Observed) -> VolumePlan:
    if seen.mapping is None:
        return VolumePlan()
    if seen.mapping.mounts:
        raise DbopsError(
            f"Volume {spec.name}: it is mounted on {', '.join(seen.mapping.mounts)} and is not closed", "Unmount it."
        )
    action = Action(Verb.CLOSE, f"close /dev/mapper/{spec.name}")
    return VolumePlan((action,), (Change(f"mapping {spec.name}", "open", "closed"),))


def _keys(spec: VolumeSpec, seen: Observed, header: Header) -> list[Action]:
    actions = []
    if seen.key_slot is None:
        actions.append(Action(Verb.ADD_KEY, "add a keyslot for the key, and prove that it opens", seen.previous_slot))
    else:
        slot = next(item for item in header.keyslots if item.number == seen.key_slot)
        if _costs_differ(slot, spec.pbkdf):
            actions.append(
                Action(Verb.CONVERT_KEY, f"write keyslot {slot.number} with {_cost(spec.pbkdf)}", slot.number)
            )
    return actions + _seal(spec, seen, fresh=False) + _boot(spec, seen, header.uuid)


def _seal(spec: VolumeSpec, seen: Observed, *, fresh: bool) -> list[Action]:
    if spec.boot == "none" or (seen.boot_key == spec.key and not fresh):
        return []
    how = f"sealed with systemd-creds ({spec.boot_seal})" if spec.boot == "credential" else "as a file"
    return [Action(Verb.SEAL, f"store the key for the boot in {spec.boot_path}, {how}, and prove that it opens")]


def _boot(spec: VolumeSpec, seen: Observed, uuid: str | None) -> list[Action]:
    actions = []
    stale = [path for path, text in spec.drop_ins.items() if seen.drop_ins.get(path) != text]
    if stale:
        actions.append(Action(Verb.UNITS, f"write {', '.join(stale)}"))
    if uuid is None or seen.crypttab != spec.crypttab(uuid):
        line = spec.crypttab(uuid or "(its own)")
        actions.append(Action(Verb.CRYPTTAB, f"write into crypttab: {line}"))
    return actions


def _contents(spec: VolumeSpec, seen: Observed, mapping: Mapping, header: Header) -> tuple[list[Action], list[Change]]:
    actions, changes = [], []
    if not mapping.signatures:
        if header.subsystem != NEW:
            raise DbopsError(
                f"Volume {spec.name}: it opens, and there is no file system in it that is known here",
                f"If it holds nothing that is needed: mkfs.{spec.filesystem} {mapping.path}",
            )
        actions.append(Action(Verb.MAKE_FILESYSTEM, f"make an {spec.filesystem} file system in it"))
        changes.append(Change(f"file system of {spec.name}", None, spec.filesystem))
    elif mapping.filesystem != spec.filesystem:
        kinds = ", ".join(sorted({item.kind for item in mapping.signatures}))
        raise DbopsError(
            f"Volume {spec.name}: it holds {kinds}, not {spec.filesystem}", "Declare the file system that it has."
        )
    sector = max(header.sector, 512)
    full = (seen.device.size - header.data_offset) // sector * sector
    if mapping.size > full:
        raise DbopsError(
            f"Volume {spec.name}: {spec.device} has become smaller than the volume in it",
            "Give the disk its size back before anything is written.",
        )
    if mapping.size < full:
        actions.append(Action(Verb.RESIZE, f"resize the mapping to {full // MIB} MiB"))
        changes.append(Change(f"size of mapping {spec.name}", f"{mapping.size // MIB} MiB", f"{full // MIB} MiB"))
    # File systems leave a few blocks at the end unused: less than a MiB is no growth.
    if mapping.filesystem_size is not None and full - mapping.filesystem_size >= MIB:
        actions.append(Action(Verb.GROW, f"grow the {spec.filesystem} file system to {full // MIB} MiB"))
        before = f"{mapping.filesystem_size // MIB} MiB"
        changes.append(Change(f"size of the file system of {spec.name}", before, f"{full // MIB} MiB"))
    return actions, changes


def _recovery(spec: VolumeSpec, seen: Observed, header: Header) -> list[Action]:
    marked = header.slots_of("recovery")
    if spec.recovery_key:
        if seen.recovery_slot is None:
            return [Action(Verb.ADD_RECOVERY, "add a keyslot for the recovery key")]
        if seen.recovery_slot not in marked:
            return [Action(Verb.MARK_RECOVERY, f"mark keyslot {seen.recovery_slot} as recovery", seen.recovery_slot)]
    if spec.recovery_recipients and not (marked and seen.recovery_handed_over):
        return [Action(Verb.ADD_RECOVERY, "add a keyslot for the recovery key")]
    return []


def _removals(spec: VolumeSpec, seen: Observed, header: Header) -> list[Action]:
    # What the declared keys replace, and nothing else: an unknown keyslot is somebody's.
    # A recovery key that was given as the previous one, because that was lost, stays.
    old = {seen.previous_slot} - set(header.slots_of("recovery"))
    if spec.recovery_key or (spec.recovery_recipients and not seen.recovery_handed_over):
        old |= set(header.slots_of("recovery")) - {seen.recovery_slot}
    old -= {seen.key_slot}
    return [
        Action(Verb.REMOVE_SLOT, f"remove keyslot {slot}, whose key was replaced", slot)
        for slot in sorted(slot for slot in old if slot is not None)
    ]


def _costs_differ(slot: Keyslot, wanted: Pbkdf) -> bool:
    pairs = (
        (wanted.memory_kib, slot.memory_kib),
        (wanted.iterations, slot.iterations),
        (wanted.parallel, slot.parallel),
    )
    return slot.kdf != KDF or any(want is not None and want != have for want, have in pairs)


def _cost(wanted: Pbkdf) -> str:
    named = (("memory", wanted.memory_kib), ("iterations", wanted.iterations), ("parallel", wanted.parallel))
    given = ", ".join(f"{name} {value}" for name, value in named if value is not None)
    return f"{KDF} ({given or 'cost by benchmark'})"


def _changes(spec: VolumeSpec, seen: Observed, actions: list[Action]) -> list[Change]:
    # What has no state of its own in the diff is shown as what is done.
    shown = {
        Verb.ADD_KEY: ("keyslot of the key", "the previous key", "the key"),
        Verb.SEAL: (f"boot key {spec.boot_path}", "not the key", "the key"),
        Verb.ADD_RECOVERY: ("keyslot of the recovery key", None, "the recovery key"),
        Verb.MARK_RECOVERY: ("keyslot of the recovery key", "unmarked", "marked"),
        Verb.BACK_UP: (f"header backup {spec.backup_path}", "not of this header", "of this header"),
    }
    changes = []
    for action in actions:
        if action.verb in shown:
            changes.append(Change(*shown[action.verb]))
        elif action.verb is Verb.REMOVE_SLOT:
            changes.append(Change(f"keyslot {action.slot}", "replaced key", None))
        elif action.verb is Verb.CONVERT_KEY:
            changes.append(Change(f"cost of keyslot {action.slot}", "other", _cost(spec.pbkdf)))
        elif action.verb is Verb.UNITS:
            for path, text in spec.drop_ins.items():
                before = seen.drop_ins.get(path)
                if before != text:
                    changes.append(Change(path, before.strip() if before else None, text.strip()))
        elif action.verb is Verb.CRYPTTAB:
            uuid = seen.device.header.uuid if seen.device.header else "(its own)"
            changes.append(Change("crypttab", seen.crypttab, spec.crypttab(uuid)))
    return changes
