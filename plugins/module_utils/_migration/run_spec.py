# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one run of :mod:`.run` is asked for: its limits, and every error about them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

# The words that a person has to write to migrate without a backup.
OTHER_WAY_BACK = "I have another way back"
CONTINUE, BACK = "continue", "back"

# Modes that keep others from reading or writing, and how long one may be held, in seconds.
LOCK_LIMITS: dict[str, float] = {
    "AccessExclusiveLock": 10,
    "ExclusiveLock": 30,
    "ShareRowExclusiveLock": 30,
    "ShareLock": 30,
}


@dataclass(frozen=True)
class Query:
    """A declared query. ``expect``: the one value that it answers, as text; as in the restore drill."""

    name: str
    query: str
    expect: str = ""


@dataclass(frozen=True)
class MigrateSpec:
    """How a database is migrated.

    :param role: under which the migrations run, and which owns what they create; empty: the database's owner.
    :param command: of the layout ``command``; it gets the connection URL as ``DATABASE_URL`` in its environment.
    :param history_table: the tool's own table; empty: where the tool puts it.
    :param environment: that the server must say it is; empty: any.
    :param lint: what ``migration_lint_check`` returned; None: it was not asked.
    :param expected_schema: file with a snapshot that the live schema must equal before; empty: none was given.
    :param without_backup: :data:`OTHER_WAY_BACK`, or empty.
    :param lock_timeout: seconds to wait for a lock in one attempt: others queue behind us meanwhile.
    :param statement_timeout: seconds for one statement; ``concurrently_timeout``: for one outside a transaction block.
    :param drain_after: seconds of an exclusive lock from which on the drain file is set.
    :param lock_limits: seconds by mode; a longer one is refused.
    :param plan_factor: how much more a declared query may cost afterwards.
    :param way_back: what may be tried after a failure besides the rollback, in order.
    :param interrupted: what is done about a run that was interrupted after it had begun to change the database.
    :param contract_after_days: how long an expand must have been live before the step that ends it.
    """

    database: str
    layout: str = "auto"
    role: str = ""
    command: tuple[str, ...] = ()
    history_table: str = ""
    environment: str = ""
    lint: Mapping[str, Any] | None = None
    expected_schema: str = ""
    label: str = ""
    without_backup: str = ""
    long_transaction_seconds: float = 60
    lock_timeout: float = 0.5
    statement_timeout: float = 600
    concurrently_timeout: float = 14400
    attempts: int = 20
    backoff: float = 1
    drain_after: float = 1
    lock_limits: Mapping[str, float] = field(default_factory=lambda: LOCK_LIMITS)
    smoke: tuple[Query, ...] = ()
    plans: tuple[Query, ...] = ()
    plan_factor: float = 1.5
    query_timeout: float = 30
    way_back: tuple[str, ...] = ("down", "restore")
    interrupted: str = CONTINUE
    contract_after_days: int = 7


def spec_from(params: Mapping[str, Any]) -> MigrateSpec:
    """A spec from a module's parameters, whose names are the spec's.

    :raises DbopsError: for the first value that cannot be meant.
    """
    given = {key: params[key] for key in MigrateSpec.__dataclass_fields__ if params.get(key) is not None}
    given["command"] = tuple(given.get("command") or ())
    given["way_back"] = tuple(given.get("way_back", ("down", "restore")))
    given["smoke"] = _queries("smoke", given.get("smoke") or (), expects=True)
    given["plans"] = _queries("plans", given.get("plans") or (), expects=False)
    given["lock_limits"] = _lock_limits(given.get("lock_limits") or {})
    spec = MigrateSpec(**given)
    _check(spec)
    return spec


def _queries(where: str, items: Sequence[Mapping[str, Any]], *, expects: bool) -> tuple[Query, ...]:
    found = []
    for item in items:
        expect = item.get("expect")
        if not item.get("name") or not item.get("query") or (expects and expect is None):
            raise DbopsError(
                f"{where}: {dict(item)!r} is incomplete", f"Give name, query{' and expect' if expects else ''}."
            )
        text = str(expect if expect is not None else "")
        # A bare true of YAML comes as Python writes it.
        text = text.lower() if text in ("True", "False") else text
        found.append(Query(str(item["name"]), str(item["query"]), text))
    return tuple(found)


def _lock_limits(given: Mapping[str, Any]) -> dict[str, float]:
    found = dict(LOCK_LIMITS)
    for mode, seconds in given.items():
        if mode not in LOCK_LIMITS:
            raise DbopsError(f"lock_limits: {mode!r} is no mode that blocks", f"Modes: {', '.join(LOCK_LIMITS)}.")
        try:
            found[mode] = float(seconds)
        except (TypeError, ValueError):
            raise DbopsError(f"lock_limits: {mode} is {seconds!r}", "Give seconds.") from None
    return found


def _check(spec: MigrateSpec) -> None:
    if not spec.database:
        raise DbopsError("No database is named", "Give its name.")
    if spec.without_backup not in ("", OTHER_WAY_BACK):
        raise DbopsError(
            f"without_backup is {spec.without_backup!r}", f"Write {OTHER_WAY_BACK!r}, if that is true; else nothing."
        )
    if (spec.layout == "command") != bool(spec.command):
        raise DbopsError("The layout command needs a command, and only it", "Give both or neither.")
    unknown = sorted(set(spec.way_back) - {"down", "restore"})
    if unknown:
        raise DbopsError(f"way_back: {unknown[0]!r} is unknown", "Known: down, restore.")
    if spec.interrupted not in (CONTINUE, BACK):
        raise DbopsError(f"interrupted is {spec.interrupted!r}", f"Give {CONTINUE} or {BACK}.")
    for name, value, least in (
        ("long_transaction_seconds", spec.long_transaction_seconds, 0),
        ("lock_timeout", spec.lock_timeout, 0.01),
        ("statement_timeout", spec.statement_timeout, 1),
        ("concurrently_timeout", spec.concurrently_timeout, 1),
        ("attempts", spec.attempts, 1),
        ("backoff", spec.backoff, 0),
        ("drain_after", spec.drain_after, 0),
        ("plan_factor", spec.plan_factor, 1),
        ("query_timeout", spec.query_timeout, 1),
    ):
        if value < least:
            raise DbopsError(f"{name} is {value:g}", f"Give {least:g} or more.")
