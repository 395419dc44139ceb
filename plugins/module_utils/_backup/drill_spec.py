# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How drills are held: the section ``drill`` of the configuration into frozen dataclasses, and every error about it.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

SCRATCH = "/var/lib/dbops-postgres/scratch"
RECEIPTS = "/var/lib/dbops-postgres/drills"

# sun_path holds 108 bytes with its end (unix(7)); the cluster's socket is <scratch>/drill-<12 digits>/s/.s.PGSQL.5432.
_LONGEST_SCRATCH = 107 - len("/drill-0123456789ab/s/.s.PGSQL.5432")
# What a drill decides itself, so that its cluster is nobody else's and reaches nobody.
_FIXED_SETTINGS = (
    "archive_command",
    "archive_library",
    "archive_mode",
    "cluster_name",
    "config_file",
    "data_directory",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "port",
    "primary_conninfo",
    "restore_command",
    "shared_preload_libraries",
    "unix_socket_directories",
    "unix_socket_permissions",
)


@dataclass(frozen=True)
class Smoke:
    """A query that a restored database must answer with ``expect``, as text; by default with true."""

    name: str
    database: str
    query: str
    expect: str = "true"


@dataclass(frozen=True)
class Newest:
    """The newest value of a column must be younger than this, seen from the moment of the snapshot."""

    database: str
    table: str
    column: str
    max_age_hours: float


@dataclass(frozen=True)
class DrillSpec:
    """How drills are held.

    :param scratch: directory of the throwaway clusters; nothing else may live there.
    :param receipts: directory of the receipts.
    :param jobs: parallel jobs of pg_restore, of the comparison and of pg_amcheck.
    :param max_age_hours: of the newest set, by its snapshot.
    :param rto_target_minutes: 0: none.
    :param every_days: how old the last drill may become; the readiness report looks at it.
    :param settings: further settings of the throwaway cluster.
    :param query_timeout_seconds: of each smoke query.
    :param keep_receipts: how many.
    """

    scratch: str = SCRATCH
    receipts: str = RECEIPTS
    jobs: int = 2
    max_age_hours: float = 26
    rto_target_minutes: float = 0
    every_days: float = 8
    smoke: tuple[Smoke, ...] = ()
    newest: tuple[Newest, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    query_timeout_seconds: int = 60
    keep_receipts: int = 100


def drill_from(data: Mapping[str, Any]) -> DrillSpec:
    """The section ``drill``; what it leaves out has its default.

    :raises DbopsError: for the first value that cannot be meant, with its name.
    """
    known = set(DrillSpec.__dataclass_fields__)
    unknown = sorted(set(data) - known)
    if unknown:
        raise DbopsError(f"drill: unknown key {unknown[0]!r}", f"Known keys: {', '.join(sorted(known))}.")
    given = {key: value for key, value in data.items() if key not in ("smoke", "newest", "settings")}
    default = DrillSpec()
    for key, value in given.items():
        wanted = getattr(default, key)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(wanted, str) != isinstance(value, str) or (not isinstance(wanted, str) and not number):
            raise DbopsError(f"drill: {key} is {value!r}", f"Give it like {wanted!r}.")
    found = DrillSpec(
        **given,
        smoke=tuple(_smoke(item, number) for number, item in enumerate(data.get("smoke") or (), 1)),
        newest=tuple(_newest(item) for item in data.get("newest") or ()),
        settings=_settings(data.get("settings") or {}),
    )
    _check(found)
    return found


def _smoke(item: Mapping[str, Any], number: int) -> Smoke:
    where = f"drill: smoke query {item.get('name') or number}"
    _keys(where, item, ("database", "query"), ("name", "expect"))
    expect = item.get("expect", "true")
    text = str(expect).lower() if isinstance(expect, bool) else str(expect)
    return Smoke(str(item.get("name") or number), str(item["database"]), str(item["query"]), text)


def _newest(item: Mapping[str, Any]) -> Newest:
    where = f"drill: newest row of {item.get('table')}"
    _keys(where, item, ("database", "table", "column", "max_age_hours"), ())
    try:
        hours = float(item["max_age_hours"])
    except (TypeError, ValueError):
        raise DbopsError(f"{where}: max_age_hours is {item['max_age_hours']!r}", "Give a number of hours.") from None
    if hours <= 0:
        raise DbopsError(f"{where}: max_age_hours is {hours:g}", "Give a positive number of hours.")
    table = str(item["table"])
    if len(table.split(".")) != 2 or not all(table.split(".")):
        raise DbopsError(f"{where}: {table!r} has no schema", "Name it schema.table, without quotes.")
    return Newest(str(item["database"]), table, str(item["column"]), hours)


def _keys(where: str, item: Mapping[str, Any], needed: Sequence[str], optional: Sequence[str]) -> None:
    for key in needed:
        if item.get(key) in (None, ""):
            raise DbopsError(f"{where} has no {key}", f"It needs {', '.join(needed)}.")
    unknown = sorted(set(item) - {*needed, *optional})
    if unknown:
        raise DbopsError(f"{where}: unknown key {unknown[0]!r}", f"Known keys: {', '.join([*needed, *optional])}.")


def _settings(data: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    for name, value in data.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) or "\n" in str(value):
            raise DbopsError(f"drill: {name!r} is no setting of PostgreSQL", "Give name and value.")
        if name.lower() in _FIXED_SETTINGS:
            raise DbopsError(
                f"drill: settings has {name}",
                "The drill decides it, so that its cluster reaches nobody and nobody reaches it. Leave it out.",
            )
    return tuple(sorted((name, _value(value)) for name, value in data.items()))


def _value(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _check(spec: DrillSpec) -> None:
    for name in ("scratch", "receipts"):
        path = getattr(spec, name)
        if not re.fullmatch(r"(/[^/\s\x00-\x1f'\\]+)+", path) or "/.." in path:
            raise DbopsError(f"drill: {name} is {path!r}", "Give an absolute path without blanks and quotes.")
    if len(spec.scratch.encode()) > _LONGEST_SCRATCH:
        raise DbopsError(
            f"drill: scratch is {len(spec.scratch.encode())} bytes long",
            f"Give a path of at most {_LONGEST_SCRATCH} bytes: the socket in it must not exceed 107.",
        )
    if spec.scratch == spec.receipts or f"{spec.receipts}/".startswith(f"{spec.scratch}/"):
        raise DbopsError("drill: receipts lies in scratch", "Give it a directory of its own.")
    limits = {"jobs": (1, 64), "keep_receipts": (1, 100000), "query_timeout_seconds": (1, 86400)}
    for name, (least, most) in limits.items():
        value = getattr(spec, name)
        if not isinstance(value, int) or not least <= value <= most:
            raise DbopsError(f"drill: {name} is {value!r}", f"Give a whole number from {least} to {most}.")
    for name in ("max_age_hours", "every_days"):
        if getattr(spec, name) <= 0:
            raise DbopsError(f"drill: {name} is {getattr(spec, name)!r}", "Give a positive number.")
    if spec.rto_target_minutes < 0:
        raise DbopsError("drill: rto_target_minutes is negative", "Give 0 for none.")
