# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job ``status``: what is at each target, looked at there. The readiness report reads it as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._backup import drill_set, faults
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_set import BackupError
from ansible_collections.dbops.postgres.plugins.module_utils._backup.receipt import duration, size_of
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import Target, time_of
from ansible_collections.dbops.postgres.plugins.module_utils._host_program import prune
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.config import (
    BackupConfig,
    read_backup_config,
    tell,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


def run(given: Any) -> int:
    """Show it; the exit status."""
    found = status(read_backup_config(given.backup_config), time.time())
    if given.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    for item in found["targets"]:
        tell(f"{item['name']}{'' if item['off_host'] else ' (on this host)'}: {item['problem'] or _sets(item)}")
        for held in item["sets"]:
            proven = ", proven by a drill" if held["verified"] else ""
            state = "complete" if held["complete"] else "incomplete"
            tell(f"  {held['id']}  {state}, {duration(held['age_seconds'])} old{proven}")
    return 1 if any(item["problem"] for item in found["targets"]) else 0


def _sets(item: dict[str, Any]) -> str:
    newest = item["newest"]
    if not newest:
        return "no complete set"
    kind = "encrypted" if newest["encrypted"] else "not encrypted"
    return f"newest {newest['id']}, {size_of(newest['bytes'])}, {kind}, {len(newest['databases'])} database(s)"


def status(config: BackupConfig, now: float) -> dict[str, Any]:
    """What is at each target, as data for JSON: the sets, and the newest complete one with its objects checked."""
    verified = prune.verified()
    return {
        "max_age_hours": config.backup.max_age_hours,
        "keep_days": config.backup.keep.days,
        "keep_minimum": config.backup.keep.minimum,
        "targets": [_target(target, now, verified) for target in config.targets],
    }


def _target(target: Target, now: float, verified: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": target.name,
        "off_host": target.off_host,
        "problem": "",
        "sets": [],
        "newest": None,
    }
    try:
        sets = sorted(target.sets(), key=lambda item: item.id, reverse=True)
        found["sets"] = [
            {
                "id": item.id,
                "complete": item.complete,
                "age_seconds": now - time_of(item.id).timestamp(),
                "verified": item.id in verified,
            }
            for item in sets
        ]
        complete = [item.id for item in sets if item.complete]
        if complete:
            found["newest"] = _newest(target, complete[0], now)
            found["problem"] = "; ".join(found["newest"].pop("problems"))
    except DbopsError as error:
        found["problem"] = f"{error.problem} {error.remedy}".strip()
    except (BackupError, OSError) as error:
        found["problem"] = faults.said(error) if isinstance(error, OSError) else str(error)
    return found


def _newest(target: Target, set_id: str, now: float) -> dict[str, Any]:
    made = drill_set.opened(target, set_id)
    stored = [made.globals, *(database.dump for database in made.databases)]
    return {
        "id": set_id,
        "age_seconds": now - made.time,
        "bytes": made.stored_bytes,
        "level": made.level,
        "encrypted": all(item.encrypted for item in stored),
        "databases": [database.name for database in made.databases],
        "problems": _wrong(target, set_id, [(item.name, item.size) for item in stored]),
    }


def _wrong(target: Target, set_id: str, stored: Sequence[tuple[str, int]]) -> list[str]:
    found = []
    for name, size in stored:
        there = target.size(set_id, name)
        if there != size:
            found.append(
                f"object {name} of {set_id} " + ("is missing" if there < 0 else f"has {there} bytes of {size}")
            )
    return found
