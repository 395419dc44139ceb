# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job ``drift``: compare the schema of each configured database with its committed snapshot.

Exit status, as tools that compare schemas have it: 0 the same, 2 they differ, 1 it could not be looked at.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ansible_collections.dbops.postgres.plugins.module_utils._checked import record_unseen
from ansible_collections.dbops.postgres.plugins.module_utils._evidence import record_check
from ansible_collections.dbops.postgres.plugins.module_utils._findings import statuses
from ansible_collections.dbops.postgres.plugins.module_utils._host_program import evidence
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.config import known, read, tell
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.lock import alone
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._schema import judge, look
from ansible_collections.dbops.postgres.plugins.module_utils._schema.compare import Comparison, compare, readable
from ansible_collections.dbops.postgres.plugins.module_utils._schema.ignore import Ignore, ignore_from

SNAPSHOTS = "/etc/dbops-postgres/schema"
SAME, ERROR, DRIFT = 0, 1, 2
_HELP = {
    "last_run_timestamp_seconds": "When the schemas were last compared.",
    "last_success_timestamp_seconds": "When all schemas were last as expected; 0: they never were.",
    "passed": "Whether all schemas are as expected.",
    "databases": "How many databases were compared.",
    "databases_with_drift": "How many of them differ.",
    "databases_with_error": "How many of them could not be looked at.",
    "differences": "How many objects differ, in all databases.",
    "duration_seconds": "How long the comparison took.",
}


@dataclass(frozen=True)
class Watched:
    """A database and the file with the schema that it should have."""

    login: Login
    snapshot: str
    ignore: Ignore
    role_map: Mapping[str, str]


@dataclass(frozen=True)
class DriftConfig:
    """The configuration. It holds no secret: the job connects over the local socket."""

    databases: tuple[Watched, ...]
    statement_timeout: int = 60
    textfile: str = ""


def config_from(data: Mapping[str, Any]) -> DriftConfig:
    """The configuration as data.

    :raises DbopsError: it says what cannot be meant.
    """
    known(data, {"databases", "socket", "port", "user", "statement_timeout_seconds", "textfile"})
    given = data.get("databases")
    if not isinstance(given, list) or not given:
        raise DbopsError("The configuration has no databases", 'Give one: {"databases": [{"name": "app_db"}]}.')
    watched = []
    for item in given:
        if not isinstance(item, dict) or not item.get("name"):
            raise DbopsError(f"A database has no name: {item!r}", "Give it one.")
        known(item, {"name", "snapshot", "ignore", "ignore_fields", "ignore_partitions_of", "role_map"})
        login = Login(
            unix_socket=str(data.get("socket") or ""),
            port=int(data.get("port") or 5432),
            user=str(data.get("user") or "postgres"),
            database=str(item["name"]),
        )
        rules = [item.get(key) or [] for key in ("ignore", "ignore_fields", "ignore_partitions_of")]
        path = str(item.get("snapshot") or f"{SNAPSHOTS}/{quote(login.database, safe='')}.json")
        watched.append(Watched(login, path, ignore_from(*rules), dict(item.get("role_map") or {})))
    names = [item.login.database for item in watched]
    for name in names:
        if names.count(name) > 1:
            raise DbopsError(f"The database {name} is there twice", "Leave one out.")
    return DriftConfig(
        tuple(watched), int(data.get("statement_timeout_seconds") or 60), str(data.get("textfile") or "")
    )


def read_drift_config(path: str) -> DriftConfig:
    """Read the configuration.

    :raises DbopsError: it is not there, or says what cannot be meant.
    """
    return config_from(read(path, "schema_drift"))


def run(given: Any) -> int:
    """Compare; the exit status."""
    try:
        config = read_drift_config(given.drift_config)
        chosen = _chosen(config, given.database)
        with alone("drift", given.wait):
            return _run(config, chosen, given.sql)
    except DbopsError as error:
        tell(f"dbops-postgres drift: {error}")
        return ERROR
    except OSError as error:
        tell(f"dbops-postgres drift: The result cannot be written: {error}. No database was changed.")
        return ERROR
    except SystemExit:  # it was stopped, and has seen nothing
        return ERROR


def _chosen(config: DriftConfig, names: Sequence[str]) -> list[Watched]:
    there = {item.login.database: item for item in config.databases}
    unknown = [name for name in names if name not in there]
    if unknown:
        raise DbopsError(f"The database {unknown[0]} is not configured", f"Configured: {', '.join(there)}.")
    return [there[name] for name in names] if names else list(config.databases)


def _run(config: DriftConfig, chosen: Sequence[Watched], sql: bool) -> int:
    began, clock = time.time(), time.monotonic()
    compared: list[Comparison] = []
    errors = 0
    for item in chosen:
        name = item.login.database
        try:
            wanted = look.from_file(item.snapshot)
            live = look.observed(item.login, timeout=config.statement_timeout)
        except DbopsError as error:
            errors += 1
            record_unseen(judge.CHECK, name, [judge.CONTROL], error)
            tell(f"{name}: error: {error}")
            continue
        found = compare(wanted, live, item.ignore, item.role_map)
        compared.append(found)
        facts, seen = judge.facts(found, live.count()), statuses(judge.findings(found, live.count()))
        record_check(judge.CHECK, name, found.equal, judge.summary(found), facts, seen)
        tell(f"{name}: {judge.summary(found)} ({live.count()} objects)")
        for line in readable(found):
            tell(f"  {line}")
        if sql:
            sys.stdout.write("".join(f"{line}\n" for line in judge.script(found)))
    drifted = sum(not found.equal for found in compared)
    passed = not errors and not drifted
    last = evidence.previous("drift").get("last_success", 0.0)
    success = began if passed else float(last) if isinstance(last, (int, float)) else 0.0
    values = {
        "last_run_timestamp_seconds": began,
        "last_success_timestamp_seconds": success,
        "passed": float(passed),
        "databases": float(len(chosen)),
        "databases_with_drift": float(drifted),
        "databases_with_error": float(errors),
        "differences": float(sum(len(found.differences) for found in compared)),
        "duration_seconds": time.monotonic() - clock,
    }
    verdict = "passed" if passed else "error" if errors else "drift"
    facts = {"started": began, "verdict": verdict, "last_success": success}
    evidence.record("drift", {**facts, **{key: values[key] for key in _COUNTS}, "seconds": values["duration_seconds"]})
    evidence.metrics("drift", values, _HELP, config.textfile)
    return ERROR if errors else DRIFT if drifted else SAME


_COUNTS = ("databases", "databases_with_drift", "databases_with_error", "differences")
