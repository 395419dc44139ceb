# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Execute the plan of a volume. Each action leaves the volume openable at boot, whenever it is cut off."""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._volume.formats import (
    HEADER_BYTES,
    TOKEN_TYPE,
    Header,
    luks2_header,
    with_crypttab_line,
)
from ansible_collections.dbops.postgres.plugins.module_utils._volume.observe import (
    CRYPTTAB,
    backup_at,
    boot_key,
    observe,
    observe_mapping,
    run,
    slot_of,
)
from ansible_collections.dbops.postgres.plugins.module_utils._volume.plan import (
    KDF,
    NEW,
    Action,
    Verb,
    VolumePlan,
    plan,
)
from ansible_collections.dbops.postgres.plugins.module_utils._volume.spec import (
    Key,
    VolumeSpec,
)

LOCK_DIRECTORY = "/run/lock"
KEYSLOT_SECONDS = 600
FILESYSTEM_SECONDS = 3600
COMPLETE = "dbops-postgres"
# Each pass may reveal what was hidden inside a closed volume; more than this does not happen.
PASSES = 3

# Without characters that look alike. 32 of them to the power of 48: 240 bits.
RECOVERY_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


@contextmanager
def exclusive(spec: VolumeSpec) -> Generator[None, None, None]:
    """Hold the volume's lock, so that two runs do not plan on the same state.

    :raises DbopsError: another run holds it.
    """
    with open(f"{LOCK_DIRECTORY}/dbops-postgres-luks-{spec.name}", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DbopsError(f"Volume {spec.name}: another run is at work on it", "Wait for it to end.") from None
        yield


def converge(spec: VolumeSpec, first: VolumePlan) -> None:
    """Execute a plan, and whatever it brings to light, until nothing is left to do.

    :raises DbopsError: an action failed; the next run continues from there.
    """
    wanted = first
    for _number in range(PASSES):
        for action in wanted.actions:
            _execute(spec, action)
        wanted = plan(spec, observe(spec))
        if not wanted.actions:
            return
    left = "; ".join(action.text for action in wanted.actions)
    raise DbopsError(f"Volume {spec.name}: this is still to be done after {PASSES} passes: {left}", untouched="")


def _execute(spec: VolumeSpec, action: Action) -> None:
    try:
        ACTIONS[action.verb](spec, action)
    except DbopsError as error:
        raise DbopsError(
            f"Volume {spec.name}: cannot {action.text}: {error.problem}",
            error.remedy or "The next run continues from there.",
            "What was done before stays, and the volume opens with the keys that opened it before.",
        ) from None


def _wipe(spec: VolumeSpec, _action: Action) -> None:
    run(["wipefs", "--all", "--force", _node(spec)])
    run(["blockdev", "--rereadpt", _node(spec)], ok=(0, 1))  # what has no partitions need not have a table


def _format(spec: VolumeSpec, _action: Action) -> None:
    run(
        [
            *("cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2"),
            *("--cipher", "aes-xts-plain64", "--key-size", "512", *_costs(spec)),
            *("--label", spec.name, "--subsystem", NEW, "--key-file", spec.key, _node(spec)),
        ],
        timeout=KEYSLOT_SECONDS,
    )


def _add_key(spec: VolumeSpec, _action: Action) -> None:
    if spec.previous_key is None:
        raise DbopsError("there is no previous key to add it with")
    _add(spec, spec.previous_key, spec.key)


def _seal(spec: VolumeSpec, _action: Action) -> None:
    if spec.boot == "credential":
        command: list[str | Key] = [
            "systemd-creds",
            "encrypt",
            f"--with-key={spec.boot_seal}",
            f"--name={spec.credential}",
        ]
        _write(spec.boot_path, run([*command, spec.key, "-"]).stdout)
    else:
        _write(spec.boot_path, spec.key.value)
    stored = boot_key(spec)
    if stored != spec.key or slot_of(_node(spec), spec.key) is None:
        raise DbopsError(
            f"what was stored in {spec.boot_path} does not open the volume",
            "The old keyslot was kept. Look at: systemd-creds decrypt",
        )


def _units(spec: VolumeSpec, _action: Action) -> None:
    for path, text in spec.drop_ins.items():
        _write(path, text.encode(), mode=0o644)
    _reload()


def _crypttab(spec: VolumeSpec, _action: Action) -> None:
    path, text = CRYPTTAB, ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    line = spec.crypttab(_header(spec).uuid)
    _write(path, with_crypttab_line(text, spec.name, line).encode(), mode=0o644)
    _reload()


def _reload() -> None:
    if os.path.isdir("/run/systemd/system"):  # not in a container without it, nor in an image that is being built
        run(["systemctl", "daemon-reload"])


def _open(spec: VolumeSpec, _action: Action) -> None:
    discard = ["--allow-discards"] if spec.discard else []
    command = ["cryptsetup", "open", "--type", "luks2", *discard]
    run([*command, "--key-file", spec.key, _node(spec), spec.name], timeout=KEYSLOT_SECONDS)


def _make_filesystem(spec: VolumeSpec, _action: Action) -> None:
    mapping = observe_mapping(spec.name, [f"mapping {spec.name}"])
    if mapping is None:
        raise DbopsError(f"/dev/mapper/{spec.name} is not open")
    if not mapping.signatures:  # an earlier run may have been cut off just after it
        run([f"mkfs.{spec.filesystem}", "-q", "-L", spec.name[:12], mapping.path], timeout=FILESYSTEM_SECONDS)


def _finish(spec: VolumeSpec, _action: Action) -> None:
    run(["cryptsetup", "config", "--batch-mode", "--label", spec.name, "--subsystem", COMPLETE, _node(spec)])


def _add_recovery(spec: VolumeSpec, action: Action) -> None:
    if spec.recovery_key is not None:
        slot = _add(spec, spec.key, spec.recovery_key)
    else:
        # Handed over before it opens anything: a passphrase that nobody received would be a door for nobody.
        key = recovery_passphrase()
        recipients = [word for recipient in spec.recovery_recipients for word in ("--recipient", recipient)]
        _write(spec.recovery_path, run(["age", "--encrypt", "--armor", *recipients, key]).stdout)
        slot = _add(spec, spec.key, key)
    _mark_recovery(spec, Action(action.verb, action.text, slot))


def _mark_recovery(spec: VolumeSpec, action: Action) -> None:
    token = f'{{"type": "{TOKEN_TYPE}", "keyslots": ["{action.slot}"], "role": "recovery"}}'
    # The token is no secret; a pipe is merely the way cryptsetup takes it.
    run(["cryptsetup", "token", "import", "--json-file", Key(token.encode()), _node(spec)])


def _remove_slot(spec: VolumeSpec, action: Action) -> None:
    header = _header(spec)
    if action.slot not in [slot.number for slot in header.keyslots]:
        return
    # cryptsetup removes even the last keyslot when it is not asked at a terminal: the proof is ours.
    opened = slot_of(_node(spec), spec.key)
    if opened is None or opened == action.slot:
        raise DbopsError(f"the key does not open another keyslot than {action.slot}", "The keyslot was kept.")
    if spec.boot != "none" and boot_key(spec) != spec.key:
        raise DbopsError(f"{spec.boot_path} does not hold the key", "The keyslot was kept.")
    command = ["cryptsetup", "luksKillSlot", "--batch-mode"]
    run([*command, "--key-file", spec.key, _node(spec), str(action.slot)], timeout=KEYSLOT_SECONDS)
    for token in _header(spec).tokens:
        if not token.keyslots:
            run(["cryptsetup", "token", "remove", "--token-id", str(token.number), _node(spec)])


def _convert_key(spec: VolumeSpec, action: Action) -> None:
    command = ["cryptsetup", "luksConvertKey", "--batch-mode", "--key-slot", str(action.slot), *_costs(spec)]
    run([*command, "--key-file", spec.key, _node(spec)], timeout=KEYSLOT_SECONDS)


def _resize(spec: VolumeSpec, _action: Action) -> None:
    run(["cryptsetup", "resize", "--key-file", spec.key, spec.name], timeout=KEYSLOT_SECONDS)


def _grow(spec: VolumeSpec, _action: Action) -> None:
    mapping = observe_mapping(spec.name, [f"mapping {spec.name}"])
    if mapping is None:
        raise DbopsError(f"/dev/mapper/{spec.name} is not open")
    if spec.filesystem == "ext4":
        if not mapping.mounts:
            run(["e2fsck", "-f", "-p", mapping.path], ok=(0, 1), timeout=FILESYSTEM_SECONDS)
        run(["resize2fs", mapping.path], timeout=FILESYSTEM_SECONDS)
    elif mapping.mounts:
        run(["xfs_growfs", "-d", mapping.mounts[0]], timeout=FILESYSTEM_SECONDS)
    else:
        raise DbopsError("XFS grows only while it is mounted", "Mount it, then run this again.")


def _back_up(spec: VolumeSpec, _action: Action) -> None:
    state = os.path.dirname(spec.backup_path)
    os.makedirs(state, mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state) as directory:  # 0700
        copy = f"{directory}/header"
        run(["cryptsetup", "luksHeaderBackup", "--header-backup-file", copy, _node(spec)])
        os.chmod(copy, 0o600)
        backup, header = backup_at(copy), _header(spec)
        if backup is None or (backup.uuid, backup.sequence) != (header.uuid, header.sequence):
            raise DbopsError("the header backup does not read back as the header")
        _replace(copy, spec.backup_path)


def _close(spec: VolumeSpec, _action: Action) -> None:
    run(["cryptsetup", "close", spec.name])


ACTIONS: dict[Verb, Callable[[VolumeSpec, Action], None]] = {
    Verb.WIPE: _wipe,
    Verb.FORMAT: _format,
    Verb.ADD_KEY: _add_key,
    Verb.SEAL: _seal,
    Verb.UNITS: _units,
    Verb.CRYPTTAB: _crypttab,
    Verb.OPEN: _open,
    Verb.MAKE_FILESYSTEM: _make_filesystem,
    Verb.FINISH: _finish,
    Verb.ADD_RECOVERY: _add_recovery,
    Verb.MARK_RECOVERY: _mark_recovery,
    Verb.REMOVE_SLOT: _remove_slot,
    Verb.CONVERT_KEY: _convert_key,
    Verb.RESIZE: _resize,
    Verb.GROW: _grow,
    Verb.BACK_UP: _back_up,
    Verb.CLOSE: _close,
}


def recovery_passphrase() -> Key:
    """A new passphrase that a person can type: 8 groups of 6 letters and digits, 240 bits."""
    groups = ("".join(secrets.choice(RECOVERY_ALPHABET) for _character in range(6)) for _group in range(8))
    return Key("-".join(groups).encode())


def _add(spec: VolumeSpec, opens: Key, new: Key) -> int:
    command = ["cryptsetup", "luksAddKey", "--batch-mode", *_costs(spec)]
    run([*command, "--key-file", opens, _node(spec), new], timeout=KEYSLOT_SECONDS)
    slot = slot_of(_node(spec), new)
    if slot is None:
        raise DbopsError("the keyslot was written and does not open", "No other keyslot was touched.")
    return slot


def _costs(spec: VolumeSpec) -> list[str]:
    cost = spec.pbkdf
    options = ["--pbkdf", KDF]
    if cost.memory_kib is not None:
        options += ["--pbkdf-memory", str(cost.memory_kib)]
    if cost.parallel is not None:
        options += ["--pbkdf-parallel", str(cost.parallel)]
    if cost.iterations is not None:
        options += ["--pbkdf-force-iterations", str(cost.iterations)]
    return options


def _node(spec: VolumeSpec) -> str:
    return os.path.realpath(spec.device)


def _header(spec: VolumeSpec) -> Header:
    with open(_node(spec), "rb") as stream:
        header = luks2_header(stream.read(HEADER_BYTES))
    if header is None:
        raise DbopsError(f"{spec.device} has no LUKS2 header any more")
    return header


def _write(path: str, content: bytes, mode: int = 0o600) -> None:
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        os.makedirs(directory, mode=mode | (mode & 0o444) >> 2)
    handle, temporary = tempfile.mkstemp(dir=directory)  # 0600 from the start
    with open(handle, "wb") as stream:
        stream.write(content)
        os.fchmod(stream.fileno(), mode)
    _replace(temporary, path)


def _replace(temporary: str, path: str) -> None:
    # On the disk before the name points to it, and the name on the disk before the next action.
    _sync(temporary)
    os.replace(temporary, path)
    _sync(os.path.dirname(path))


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
