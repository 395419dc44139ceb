# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is backed up and how long it is kept: the section ``backup`` of the configuration, and every error about it.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

LEVELS = ("auto", "counts", "hashes")
# Public keys of age(1): X25519, and plugins' (a smart card, a post-quantum one).
_RECIPIENT = re.compile(r"age1[0-9a-z]{20,2000}")


@dataclass(frozen=True)
class Keep:
    """Which sets stay. A set stays if any of these wants it.

    :param days: sets that are younger.
    :param minimum: the newest ones, however old.
    :param weekly: the newest one of each of so many weeks; ``monthly``: of so many months.
    """

    days: float = 30
    minimum: int = 7
    weekly: int = 0
    monthly: int = 0


@dataclass(frozen=True)
class BackupSpec:
    """How one cluster is backed up.

    :param databases: these; none: all.
    :param exclude: but not these.
    :param level: how exactly each table is described: ``hashes``, ``counts``, or ``auto``: hashes up to a size.
    :param hash_limit_gib: of a database, for ``auto``.
    :param recipients: age public keys; none: not encrypted.
    :param compression: level of zstd.
    :param jobs: of pg_dump; more than one write into ``scratch``, in clear, before they are sent.
    :param max_age_hours: how old the newest set may become; the readiness report looks at it.
    """

    cluster: str = "main"
    socket: str = "/var/run/postgresql"
    port: int = 5432
    databases: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    level: str = "auto"
    hash_limit_gib: float = 100
    recipients: tuple[str, ...] = ()
    compression: int = 1
    jobs: int = 1
    scratch: str = ""
    lock_wait_seconds: int = 60
    max_age_hours: float = 26
    keep: Keep = Keep()


def backup_from(data: Mapping[str, Any]) -> BackupSpec:
    """The section ``backup``; what it leaves out has its default.

    :raises DbopsError: for the first value that cannot be meant, with its name.
    """
    _known("backup", data, set(BackupSpec.__dataclass_fields__))
    keep = data.get("keep") or {}
    _known("backup: keep", keep, set(Keep.__dataclass_fields__))
    given = {key: value for key, value in data.items() if key != "keep"}
    for key in ("databases", "exclude", "recipients"):
        items = given.get(key) or []
        if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) and item for item in items):
            raise DbopsError(f"backup: {key} is {items!r}", "Give a list of names.")
        given[key] = tuple(items)
    for key in ("cluster", "socket", "level"):
        if not isinstance(given.get(key, ""), str):
            raise DbopsError(f"backup: {key} is {given[key]!r}", "Give text.")
    found = BackupSpec(**given, keep=Keep(**keep))
    _check(found)
    return found


def _known(where: str, data: Mapping[str, Any], known: set[str]) -> None:
    if not isinstance(data, Mapping):
        raise DbopsError(f"{where} is {data!r}", "Give keys and values.")
    unknown = sorted(set(data) - known)
    if unknown:
        raise DbopsError(f"{where}: unknown key {unknown[0]!r}", f"Known keys: {', '.join(sorted(known))}.")


def _check(spec: BackupSpec) -> None:
    if spec.level not in LEVELS:
        raise DbopsError(f"backup: level is {spec.level!r}", f"One of {', '.join(LEVELS)}.")
    for recipient in spec.recipients:
        if not _RECIPIENT.fullmatch(recipient):
            shown = "a secret key!" if recipient.startswith("AGE-SECRET-KEY") else repr(recipient[:12])
            raise DbopsError(f"backup: a recipient is {shown}", "Give public keys, age1...: age-keygen -y shows them.")
    limits: dict[str, tuple[Any, float, float]] = {
        "port": (spec.port, 1, 65535),
        "compression": (spec.compression, 1, 19),
        "jobs": (spec.jobs, 1, 64),
        "lock_wait_seconds": (spec.lock_wait_seconds, 1, 86400),
        "hash_limit_gib": (spec.hash_limit_gib, 0, 1_000_000),
        "max_age_hours": (spec.max_age_hours, 0.1, 10_000),
        "keep: days": (spec.keep.days, 0, 100_000),
        "keep: minimum": (spec.keep.minimum, 1, 100_000),
        "keep: weekly": (spec.keep.weekly, 0, 1000),
        "keep: monthly": (spec.keep.monthly, 0, 1000),
    }
    for name, (value, least, most) in limits.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise DbopsError(f"backup: {name} is {value!r}", f"Give a number from {least:g} to {most:g}.")
    if not isinstance(spec.scratch, str) or (spec.scratch and not spec.scratch.startswith("/")):
        raise DbopsError(f"backup: scratch is {spec.scratch!r}", "Give the absolute path of a directory, or nothing.")
    if spec.jobs > 1 and not spec.scratch:
        raise DbopsError(
            f"backup: {spec.jobs} jobs without a scratch directory",
            "Several jobs of pg_dump write files, in clear, before they are sent: name a directory, or take one job.",
        )
    both = sorted(set(spec.databases) & set(spec.exclude))
    if both:
        raise DbopsError(f"backup: {both[0]!r} is in databases and in exclude", "Decide.")


def chosen(spec: BackupSpec, there: list[str]) -> list[str]:
    """The databases of a run, of those that are there.

    :raises DbopsError: a declared one is not there, or none is left.
    """
    missing = sorted(set(spec.databases) - set(there))
    if missing:
        raise DbopsError(f"There is no database {missing[0]!r}", f"There are: {', '.join(there)}.")
    found = [name for name in there if (not spec.databases or name in spec.databases) and name not in spec.exclude]
    if not found:
        raise DbopsError("No database is left to back up", "Look at backup_databases and backup_exclude.")
    return found
