# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters of ``luks_volume`` as dataclasses, and every message about them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import MASK, DbopsError

MIB = 1024 * 1024
KEY_BYTES_MIN = 16
KEY_BYTES_MAX = 4096

# A LUKS2 header takes 16 MiB; mkfs.xfs makes nothing smaller than 300 MiB.
SMALLEST_DEVICE = {"ext4": 64 * MIB, "xfs": 320 * MIB}

CREDENTIAL_DIRECTORY = "/etc/credstore.encrypted"
STATE_DIRECTORY = "/var/lib/dbops-postgres/luks"
UNIT_DIRECTORY = "/etc/systemd/system"


@dataclass(frozen=True)
class Key:
    """A passphrase or the content of a key file: bytes, used exactly as they are."""

    value: bytes

    def __repr__(self) -> str:
        return f"Key({MASK})"


@dataclass(frozen=True)
class Pbkdf:
    """Cost of argon2id for the slots this module writes; None leaves it to cryptsetup's benchmark (about 2 s).

    :param memory_kib: memory in KiB.
    :param iterations: passes over it.
    :param parallel: threads.
    """

    memory_kib: int | None = None
    iterations: int | None = None
    parallel: int | None = None


@dataclass(frozen=True)
class VolumeSpec:
    """One declared volume. Names as in the module's options."""

    device: str
    name: str
    key: Key
    filesystem: str = "ext4"
    state: str = "opened"
    mountpoint: str = ""
    previous_key: Key | None = None
    recovery_key: Key | None = None
    recovery_recipients: tuple[str, ...] = ()
    boot: str = "credential"
    boot_seal: str = "auto"
    boot_key_file: str = ""
    header_backup: bool = True
    wipe_confirm: str = ""
    discard: bool = False
    nofail: bool = False
    required_by: tuple[str, ...] = ()
    pbkdf: Pbkdf = field(default_factory=Pbkdf)

    @property
    def credential(self) -> str:
        """Name of the systemd credential that holds the boot key."""
        return f"luks-{self.name}"

    @property
    def boot_path(self) -> str:
        """Where the boot key lies: a sealed credential or a key file on another encrypted volume."""
        return self.boot_key_file if self.boot == "key_file" else f"{CREDENTIAL_DIRECTORY}/{self.credential}"

    @property
    def backup_path(self) -> str:
        """The header backup on the host."""
        return f"{STATE_DIRECTORY}/{self.name}.header"

    @property
    def recovery_path(self) -> str:
        """The recovery passphrase, encrypted to the operators' age recipients."""
        return f"{STATE_DIRECTORY}/{self.name}.recovery.age"

    @property
    def unit(self) -> str:
        """The unit that opens the volume at boot (systemd.unit(5), string escaping)."""
        return "systemd-cryptsetup@{}.service".format(self.name.replace("-", r"\x2d"))

    @property
    def drop_ins(self) -> dict[str, str]:
        """Path and text of each drop-in: the sealed key for the unit that opens the volume, and the mount for the units
        that live on it.
        """
        files = {}
        name = f"10-dbops-{self.name}.conf"
        if self.boot == "credential":
            files[f"{UNIT_DIRECTORY}/{self.unit}.d/{name}"] = (
                "# The key, sealed for this host, and what has to be mounted to unseal it.\n"
                f"[Unit]\nRequiresMountsFor={CREDENTIAL_DIRECTORY} /var/lib/systemd\n"
                f"[Service]\nLoadCredentialEncrypted={self.credential}:{self.boot_path}\n"
            )
        for unit in self.required_by if self.mountpoint else ():
            files[f"{UNIT_DIRECTORY}/{unit}.d/{name}"] = (
                f"# Never on the empty directory below the mount.\n[Unit]\nRequiresMountsFor={self.mountpoint}\n"
            )
        return files

    def crypttab(self, uuid: str) -> str:
        """The volume's line in crypttab(5): the disk by its UUID, so never another one."""
        passwords = {
            "credential": f"/run/credentials/{self.unit}/{self.credential}",
            "key_file": self.boot_path,
            "none": "none",
        }
        options = ["luks", *(["discard"] if self.discard else []), *(["nofail"] if self.nofail else [])]
        return f"{self.name} UUID={uuid} {passwords[self.boot]} {','.join(options)}"


def volume_from(params: Mapping[str, Any], *, key_file: bytes | None = None) -> VolumeSpec:
    """The module's parameters, validated.

    :param params: as in the module's options.
    :param key_file: the content of O(key_file), if that was given.
    :raises DbopsError: with the name of the volume; nothing has been looked at yet.
    """
    name = params["name"]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,46}", name):
        raise DbopsError(
            f"{name!r} is no name for a volume",
            "Use up to 47 letters, digits and _ . - and begin with a letter or a digit.",
        )
    if "-" in name and params["boot"] == "credential":
        raise DbopsError(
            f"Volume {name}: a name with - cannot be opened by a credential",
            "systemd loses such a name on the way from crypttab to the unit. Use _ instead, or boot: key_file.",
        )
    device = params["device"]
    if not device.startswith("/dev/"):
        raise DbopsError(f"Volume {name}: device {device!r} is not below /dev", "Give its path in /dev/disk/by-id.")
    if params["mountpoint"] and not params["mountpoint"].strip("/"):
        raise DbopsError(f"Volume {name}: mountpoint {params['mountpoint']!r} is the root", "Name a directory.")
    if params["boot"] == "key_file" and not (params["boot_key_file"] or "").startswith("/"):
        raise DbopsError(
            f"Volume {name}: boot is key_file, and there is no boot_key_file",
            "Give an absolute path on another encrypted volume.",
        )
    if params["recovery_key"] and params["recovery_recipients"]:
        raise DbopsError(
            f"Volume {name}: recovery_key and recovery_recipients were both given",
            "Give the passphrase (from a vault), or the age recipients that a generated one is encrypted to.",
        )
    recipients = tuple(params["recovery_recipients"] or ())
    for recipient in recipients:
        if not re.fullmatch(r"age1[0-9a-z]+|ssh-(ed25519|rsa) \S+( .*)?", recipient):
            raise DbopsError(
                f"Volume {name}: {recipient!r} is no age recipient", "It begins with age1, ssh-ed25519 or ssh-rsa."
            )
    key = _key(name, "key", params["key"], key_file)
    if key is None:
        raise DbopsError(f"Volume {name}: there is no key", "Give key or key_file.")
    previous = _key(name, "previous_key", params["previous_key"])
    recovery = _key(name, "recovery_key", params["recovery_key"])
    if recovery is not None and recovery in (key, previous):
        raise DbopsError(
            f"Volume {name}: recovery_key is the same as another key of the volume",
            "A recovery key that leaks with the key recovers nothing: generate another.",
        )
    return VolumeSpec(
        device=device,
        name=name,
        key=key,
        filesystem=params["filesystem"],
        state=params["state"],
        mountpoint=(params["mountpoint"] or "").rstrip("/"),
        previous_key=None if previous == key else previous,
        recovery_key=recovery,
        recovery_recipients=recipients,
        boot=params["boot"],
        boot_seal=params["boot_seal"],
        boot_key_file=params["boot_key_file"] or "",
        header_backup=params["header_backup"],
        wipe_confirm=(params["wipe_confirm"] or "").strip(),
        discard=params["discard"],
        nofail=params["nofail"],
        required_by=tuple(params["required_by"]),
        pbkdf=_pbkdf(name, params),
    )


def _key(name: str, option: str, text: str | None, content: bytes | None = None) -> Key | None:
    value = content if content is not None else (text or "").encode()
    if text == "" or content == b"":
        raise DbopsError(f"Volume {name}: {option} is empty", "Is the vault variable defined?")
    if not value:
        return None
    if not KEY_BYTES_MIN <= len(value) <= KEY_BYTES_MAX:
        raise DbopsError(
            f"Volume {name}: {option} has {len(value)} bytes, not {KEY_BYTES_MIN} to {KEY_BYTES_MAX}",
            "Generate one: openssl rand -base64 32",
        )
    return Key(value)


def _pbkdf(name: str, params: Mapping[str, Any]) -> Pbkdf:
    # Limits of cryptsetup (cryptsetup(8), --pbkdf-*).
    limits = {"pbkdf_memory": (32, 4194304), "pbkdf_iterations": (4, 4294967295), "pbkdf_parallel": (1, 4)}
    for option, (low, high) in limits.items():
        value = params[option]
        if value is not None and not low <= value <= high:
            raise DbopsError(f"Volume {name}: {option} {value} is not between {low} and {high}", "See cryptsetup(8).")
    return Pbkdf(params["pbkdf_memory"], params["pbkdf_iterations"], params["pbkdf_parallel"])
