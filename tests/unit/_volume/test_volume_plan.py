# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of volumes: what is done in which state, and what is refused."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._volume.formats import Header, Keyslot, Token
from ansible_collections.dbops.postgres.plugins.module_utils._volume.plan import NEW, Verb, VolumePlan, plan
from ansible_collections.dbops.postgres.plugins.module_utils._volume.probe import (
    Backup,
    Device,
    Mapping,
    Observed,
    Signature,
)
from ansible_collections.dbops.postgres.plugins.module_utils._volume.report import report
from ansible_collections.dbops.postgres.plugins.module_utils._volume.spec import MIB, Key, Pbkdf, VolumeSpec

UUID = "1b4fcc7a-0a0f-4c3a-9d8a-3b6f6a4de0b4"
OTHER = "00000000-0a0f-4c3a-9d8a-3b6f6a4de0b4"
KEY, OLD, RECOVERY = Key(b"the-key-of-this-year"), Key(b"the-key-of-last-year"), Key(b"the-key-in-the-safe")
SIZE = 1040 * MIB
FULL = SIZE - 16 * MIB

SPEC = VolumeSpec(device="/dev/disk/by-id/x", name="pg", key=KEY)
SLOT = Keyslot(0, "argon2id", 4, 1048576, 4)
HEADER = Header(UUID, "pg", "dbops-postgres", 7, 16 * MIB, "aes-xts-plain64", 4096, (SLOT,))
LUKS = (Signature("crypto_LUKS", 0, UUID), Signature("crypto_LUKS", 16384, UUID))
BLANK = Device(path=SPEC.device, node="/dev/nvme1n1", size=SIZE, serials=("S123456",))
DEVICE = replace(BLANK, signatures=LUKS, luks_version=2, header=HEADER, holders=("mapping pg",), busy="busy")
MAPPING = Mapping("/dev/mapper/pg", True, FULL, "ext4", FULL, (Signature("ext4", 1080),))
DONE = Observed(
    device=DEVICE,
    mapping=MAPPING,
    key_slot=0,
    boot_key=KEY,
    backup=Backup(UUID, 7, "0" * 64),
    crypttab=SPEC.crypttab(UUID),
    drop_ins=SPEC.drop_ins,
)


def verbs(made: VolumePlan) -> list[Verb]:
    """What a plan does."""
    return [action.verb for action in made.actions]


def header(**changes: object) -> Observed:
    """The finished volume with another header."""
    return replace(DONE, device=replace(DEVICE, header=replace(HEADER, **changes)))  # type: ignore[arg-type]


def test_nothing_to_do() -> None:
    assert plan(SPEC, DONE) == VolumePlan()


def test_a_fresh_disk() -> None:
    made = plan(SPEC, Observed(device=BLANK))
    assert verbs(made) == [
        *(Verb.FORMAT, Verb.SEAL, Verb.UNITS, Verb.CRYPTTAB, Verb.OPEN, Verb.MAKE_FILESYSTEM, Verb.FINISH, Verb.BACK_UP)
    ]
    shown = "".join(f"{change.subject}{change.before}{change.after}" for change in made.changes)
    assert KEY.value.decode() not in shown + "".join(action.text for action in made.actions)


@pytest.mark.parametrize(
    ("spec", "seen", "wanted"),
    [
        # the boot's key
        (SPEC, replace(DONE, boot_key=None), [Verb.SEAL]),
        (SPEC, replace(DONE, boot_key=OLD), [Verb.SEAL]),
        (replace(SPEC, boot="none"), replace(DONE, boot_key=None), [Verb.CRYPTTAB]),
        (SPEC, replace(DONE, crypttab=None), [Verb.CRYPTTAB]),
        (SPEC, replace(DONE, drop_ins={}), [Verb.UNITS]),
        # the header backup
        (SPEC, replace(DONE, backup=None), [Verb.BACK_UP]),
        (SPEC, replace(DONE, backup=Backup(UUID, 6, "")), [Verb.BACK_UP]),
        (replace(SPEC, header_backup=False), replace(DONE, backup=None), []),
        # rotation, from each state in which it may have been cut off
        (
            replace(SPEC, previous_key=OLD),
            replace(DONE, key_slot=None, previous_slot=0, boot_key=OLD),
            [Verb.ADD_KEY, Verb.SEAL, Verb.REMOVE_SLOT, Verb.BACK_UP],
        ),
        (
            replace(SPEC, previous_key=OLD),
            replace(header(keyslots=(SLOT, replace(SLOT, number=1))), key_slot=1, previous_slot=0, boot_key=OLD),
            [Verb.SEAL, Verb.REMOVE_SLOT, Verb.BACK_UP],
        ),
        (
            replace(SPEC, previous_key=OLD),
            replace(header(keyslots=(SLOT, replace(SLOT, number=1))), key_slot=1, previous_slot=0),
            [Verb.REMOVE_SLOT, Verb.BACK_UP],
        ),
        (replace(SPEC, previous_key=OLD), DONE, []),
        # the recovery key
        (replace(SPEC, recovery_key=RECOVERY), DONE, [Verb.ADD_RECOVERY, Verb.BACK_UP]),
        (replace(SPEC, recovery_key=RECOVERY), replace(DONE, recovery_slot=1), [Verb.MARK_RECOVERY, Verb.BACK_UP]),
        (
            replace(SPEC, recovery_key=RECOVERY),
            replace(header(tokens=(Token(0, "recovery", (1,)),)), recovery_slot=1),
            [],
        ),
        (
            replace(SPEC, recovery_key=RECOVERY),
            header(tokens=(Token(0, "recovery", (1,)),)),
            [Verb.ADD_RECOVERY, Verb.REMOVE_SLOT, Verb.BACK_UP],
        ),
        (replace(SPEC, recovery_recipients=("age1x",)), DONE, [Verb.ADD_RECOVERY, Verb.BACK_UP]),
        (
            replace(SPEC, recovery_recipients=("age1x",)),
            replace(header(tokens=(Token(0, "recovery", (1,)),)), recovery_handed_over=True),
            [],
        ),
        # a lost key: the recovery key is given as the previous one, and stays
        (
            replace(SPEC, previous_key=RECOVERY),
            replace(header(tokens=(Token(0, "recovery", (1,)),)), key_slot=None, previous_slot=1),
            [Verb.ADD_KEY, Verb.BACK_UP],
        ),
        # the cost of a keyslot
        (replace(SPEC, pbkdf=Pbkdf(iterations=5)), DONE, [Verb.CONVERT_KEY, Verb.BACK_UP]),
        (SPEC, header(keyslots=(Keyslot(0, "pbkdf2", 1000),)), [Verb.CONVERT_KEY, Verb.BACK_UP]),
        # closed, and what an earlier run left half done
        (SPEC, replace(DONE, mapping=None), [Verb.OPEN]),
        (
            SPEC,
            replace(header(subsystem=NEW), mapping=None),
            [Verb.OPEN, Verb.MAKE_FILESYSTEM, Verb.FINISH, Verb.BACK_UP],
        ),
        (
            SPEC,
            replace(
                header(subsystem=NEW), mapping=replace(MAPPING, signatures=(), filesystem=None, filesystem_size=None)
            ),
            [Verb.MAKE_FILESYSTEM, Verb.FINISH, Verb.BACK_UP],
        ),
        (SPEC, header(subsystem=NEW), [Verb.FINISH, Verb.BACK_UP]),
        (replace(SPEC, state="closed"), DONE, [Verb.CLOSE]),
        (replace(SPEC, state="closed"), replace(DONE, mapping=None), []),
        # growth
        (SPEC, replace(DONE, device=replace(DEVICE, size=SIZE + 64 * MIB)), [Verb.RESIZE, Verb.GROW]),
        (SPEC, replace(DONE, mapping=replace(MAPPING, filesystem_size=FULL - MIB)), [Verb.GROW]),
        (SPEC, replace(DONE, mapping=replace(MAPPING, filesystem_size=FULL - MIB + 1)), []),
    ],
)
def test_what_is_done(spec: VolumeSpec, seen: Observed, wanted: list[Verb]) -> None:
    made = plan(spec, seen)
    assert verbs(made) == wanted
    assert bool(made.changes) == bool(
        [verb for verb in wanted if verb is not Verb.FINISH and verb is not Verb.BACK_UP]
    ) or (Verb.BACK_UP in wanted)


@pytest.mark.parametrize(
    ("spec", "seen", "why"),
    [
        (SPEC, Observed(device=replace(BLANK, nonzero_at=5)), "set wipe_confirm to one of S123456"),
        (SPEC, Observed(device=replace(BLANK, nonzero_at=5, serials=())), "it has no serial"),
        (SPEC, Observed(device=replace(BLANK, mounts=("/srv",))), "mounted on /srv"),
        (SPEC, Observed(device=replace(BLANK, luks_version=1)), "holds LUKS1, which is never formatted"),
        (SPEC, Observed(device=replace(BLANK, luks_version=2)), "a damaged LUKS header, which is never formatted"),
        (SPEC, Observed(device=replace(BLANK, signatures=LUKS[1:])), "a damaged LUKS header"),
        (SPEC, replace(DONE, key_slot=None), "the key does not open it. A LUKS volume is never formatted"),
        (replace(SPEC, previous_key=OLD), replace(DONE, key_slot=None), "neither does previous_key"),
        (SPEC, replace(DONE, crypttab=f"pg UUID={OTHER} none luks"), f"known on this host as {OTHER}"),
        (SPEC, replace(DONE, crypttab=None, backup=Backup(OTHER, 1, "")), f"known on this host as {OTHER}"),
        (SPEC, Observed(device=BLANK, backup=Backup(UUID, 7, "")), "has no readable LUKS2 header"),
        (SPEC, replace(DONE, mapping=replace(MAPPING, ours=False)), "is open on another device"),
        (SPEC, replace(DONE, device=replace(DEVICE, holders=("mapping other",))), "in use by mapping other"),
        (SPEC, replace(DONE, device=replace(DEVICE, signatures=(*LUKS, Signature("ext4", 1080)))), "signature of ext4"),
        (SPEC, header(requirements=("online-reencrypt-v2",)), "re-encryption is not finished"),
        (SPEC, replace(DONE, mapping=replace(MAPPING, filesystem="xfs")), "not ext4"),
        (SPEC, replace(DONE, mapping=replace(MAPPING, signatures=(), filesystem=None)), "no file system in it"),
        (SPEC, replace(DONE, device=replace(DEVICE, size=SIZE - MIB)), "has become smaller"),
        (replace(SPEC, state="closed"), replace(DONE, mapping=replace(MAPPING, mounts=("/srv",))), "is not closed"),
        (replace(SPEC, state="closed"), Observed(device=BLANK), "holds no LUKS2 volume to close"),
        (replace(SPEC, boot="key_file"), replace(DONE, boot_place_encrypted=False), "not lie on an encrypted volume"),
        (replace(SPEC, mountpoint="/srv"), replace(DONE, hidden="it holds /srv/a"), "/srv cannot be its mountpoint"),
    ],
)
def test_what_is_refused(spec: VolumeSpec, seen: Observed, why: str) -> None:
    with pytest.raises(DbopsError) as error:
        plan(spec, seen)
    assert why in str(error.value)
    assert error.value.untouched == "Nothing was changed."
    assert error.value.remedy


@pytest.mark.parametrize("confirm", ["S123456", UUID])
@pytest.mark.parametrize("device", [replace(BLANK, luks_version=1), replace(BLANK, signatures=LUKS), DEVICE])
def test_no_confirmation_formats_a_luks_volume(device: Device, confirm: str) -> None:
    with pytest.raises(DbopsError, match="never formatted"):
        plan(replace(SPEC, wipe_confirm=confirm), Observed(device=device))


def test_a_confirmed_disk_is_wiped_first() -> None:
    made = plan(replace(SPEC, wipe_confirm="S123456"), Observed(device=replace(BLANK, nonzero_at=5)))
    assert verbs(made)[:2] == [Verb.WIPE, Verb.FORMAT]


def test_a_format_is_planned_only_for_a_device_without_anything_or_confirmed() -> None:
    """Every combination of traces: a format follows from none, or from a confirmation without obstacles and LUKS."""
    traces = {
        "mounts": ("/srv",),
        "holders": ("md0",),
        "busy": "busy",
        "read_only": True,
        "unreadable": 1,
        "signatures": (Signature("ext4", 1080),),
        "nonzero_at": 0,
        "partitions": ("/dev/nvme1n1p1",),
        "luks_version": 2,
    }
    removable = {"signatures", "nonzero_at", "partitions"}
    for size in range(len(traces) + 1):
        for chosen in itertools.combinations(traces, size):
            device = replace(BLANK, **{name: traces[name] for name in chosen})  # type: ignore[arg-type]
            for confirm in ("", "S123456"):
                try:
                    formats = Verb.FORMAT in verbs(plan(replace(SPEC, wipe_confirm=confirm), Observed(device=device)))
                except DbopsError:
                    formats = False
                allowed = set(chosen) <= removable if confirm else not chosen
                assert formats is allowed, (chosen, confirm)


def test_a_rotation_never_removes_before_it_has_added_and_switched() -> None:
    made = plan(replace(SPEC, previous_key=OLD), replace(DONE, key_slot=None, previous_slot=0, boot_key=OLD))
    order = verbs(made)
    assert order.index(Verb.ADD_KEY) < order.index(Verb.SEAL) < order.index(Verb.REMOVE_SLOT)


def test_the_report_names_roles_and_no_key() -> None:
    slots = tuple(replace(SLOT, number=number) for number in range(4))
    seen = header(keyslots=slots, tokens=(Token(0, "recovery", (1,)),))
    told = report(SPEC, replace(seen, previous_slot=2))
    assert [slot["role"] for slot in told["keyslots"]] == ["key", "recovery", "previous", "unknown"]
    assert KEY.value.decode() not in str(told)
    assert KEY.value.decode() not in repr(SPEC)
    assert KEY.value.decode() not in repr(DONE)
