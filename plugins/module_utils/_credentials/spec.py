# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declared credentials: parameters into frozen dataclasses, and every error about input. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

SEALED_DIRECTORY = "/etc/credstore.encrypted"
PLAIN_DIRECTORY = "/etc/dbops-postgres/secrets"
UNIT_DIRECTORY = "/etc/systemd/system"

SEALED_SINCE = 250  # systemd: LoadCredentialEncrypted= and systemd-creds
LOADED_SINCE = 247  # systemd: LoadCredential=
MOST_BYTES = 1024 * 1024  # of one credential (systemd.exec(5), "Credentials")
LEAST_GENERATED = 20

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
# The kinds of unit that can be given credentials (systemd.exec(5)).
_UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]+\.(?:service|socket|mount|swap)")


@dataclass(frozen=True)
class Credential:
    """One declared credential.

    :param value: what it is; None: keep what is there, or generate ``generate`` characters when nothing is.
    :param units: systemd units that load it.
    :param file: whether it is delivered as a file of mode 0400 instead of a sealed credential.
    :param path: where it lies; empty: the directory of its kind.
    """

    name: str
    present: bool = True
    value: str | None = field(default=None, repr=False)
    generate: int = 0
    units: tuple[str, ...] = ()
    file: bool = False
    path: str = ""
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class Delivery:
    """How a credential reaches its units on this host.

    :param directive: the directive of the unit, ``LoadCredentialEncrypted`` or ``LoadCredential``; empty: the unit
        reads the file itself.
    :param reason: why it is not sealed; empty when it is.
    """

    sealed: bool
    path: str
    mode: int
    directive: str
    reason: str = ""


def credentials_from(items: Sequence[Mapping[str, Any]]) -> tuple[Credential, ...]:
    """The option ``credentials`` of the module.

    :raises DbopsError: for the first one that cannot be meant, with its name and never with its value.
    """
    found = tuple(_credential(item) for item in items)
    for what, keys in (("name", [c.name for c in found]), ("path", [c.path for c in found if c.path])):
        for key in sorted(set(keys)):
            if keys.count(key) > 1:
                raise DbopsError(f"The {what} {key!r} is declared {keys.count(key)} times", "Declare it once.")
    return found


def _credential(item: Mapping[str, Any]) -> Credential:
    name = item["name"]
    if not _NAME.fullmatch(name):
        raise DbopsError(
            f"{name!r} cannot be the name of a credential",
            "Use at most 128 letters, digits, '_', '-' and '.', the first of them a letter, a digit or '_'.",
        )
    found = Credential(
        name=name,
        present=item["state"] == "present",
        value=item.get("value"),
        generate=item.get("generate") or 0,
        units=tuple(item.get("units") or ()),
        file=item["delivery"] == "file",
        path=item.get("path") or "",
        owner=item.get("owner") or "root",
        group=item.get("group") or "root",
    )
    _check(found)
    return found


def _check(item: Credential) -> None:
    name = f"Credential {item.name!r}"
    for unit in item.units:
        if not _UNIT.fullmatch(unit):
            raise DbopsError(f"{name}: {unit!r} is no unit that can load a credential", "Name it with its suffix.")
    if len(set(item.units)) < len(item.units):
        raise DbopsError(f"{name}: a unit is named twice", "Name it once.")
    if item.path and (not item.path.startswith("/") or re.search(r"[\s\x00-\x1f]|/\.\.?(/|$)|/$", item.path)):
        raise DbopsError(f"{name}: {item.path!r} is no absolute path of a file", "Give one without blanks and dots.")
    if (item.owner, item.group) != ("root", "root") and not item.file:
        raise DbopsError(
            f"{name}: an owner is for delivery as a file; a sealed credential belongs to root",
            "Leave the owner out: systemd gives the unit's own user a copy that it can read.",
        )
    if not item.present:
        return
    if item.value is None and not item.generate:
        raise DbopsError(f"{name} has no value", "Give value, or generate.")
    if item.value is not None and item.generate:
        raise DbopsError(f"{name} has a value and is to be generated", "Give one of the two.")
    if item.value == "":
        raise DbopsError(f"{name} is empty", "Check its source: an empty secret is never meant.")
    if item.value is not None and len(item.value.encode("utf-8", "surrogateescape")) > MOST_BYTES:
        raise DbopsError(f"{name} is larger than {MOST_BYTES} bytes", "systemd refuses it.")
    if item.generate and item.generate < LEAST_GENERATED:
        raise DbopsError(f"{name}: {item.generate} characters are too few", f"Generate {LEAST_GENERATED} or more.")


def delivery(item: Credential, systemd: int | None) -> Delivery:
    """How ``item`` is delivered where systemd has this version; None: there is no systemd."""
    plain = item.path or f"{PLAIN_DIRECTORY}/{item.name}"
    if item.file:
        return Delivery(False, plain, 0o400, "", "it is declared as a file")
    if systemd is not None and systemd >= SEALED_SINCE:
        path = item.path or f"{SEALED_DIRECTORY}/{item.name}"
        return Delivery(True, path, 0o600, "LoadCredentialEncrypted")
    if systemd is None:
        return Delivery(False, plain, 0o400, "", "there is no systemd on this host")
    reason = f"systemd {systemd} is older than {SEALED_SINCE}, the first with sealed credentials"
    return Delivery(False, plain, 0o400, "LoadCredential" if systemd >= LOADED_SINCE else "", reason)


def drop_in(name: str, unit: str) -> str:
    """The path of the file that gives ``unit`` the credential."""
    return f"{UNIT_DIRECTORY}/{unit}.d/50-credential-{name}.conf"


def drop_in_text(name: str, unit: str, how: Delivery) -> str:
    """What that file says; empty where the unit reads the file itself. It holds no secret."""
    if not how.directive:
        return ""
    section = unit.rsplit(".", 1)[1].capitalize()
    return f"# Managed by dbops.postgres.\n[{section}]\n{how.directive}={name}:{how.path}\n"
