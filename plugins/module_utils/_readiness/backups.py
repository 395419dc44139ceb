# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the backups of this host where they lie: the host program lists its targets. Read-only."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Backups,
    BackupTarget,
    HeldSet,
    Seen,
    Unseen,
)

PROGRAM = "/usr/local/sbin/dbops-postgres"
CONFIG = "/etc/dbops-postgres/backup.json"
_SECONDS = 180


def observe(program: str = PROGRAM, config: str = CONFIG) -> Seen[Backups]:
    """What is at each target; no targets where none is configured."""
    if not os.path.exists(config):
        return Backups(0, 0, 0, ())
    if os.geteuid() != 0:
        return Unseen(Status.NOT_TESTED, "Needs root on the server (become: true): the targets' keys are sealed.")
    command = [program, "--backup-config", config, "status", "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False, cwd="/")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Unseen(Status.ERROR, f"{program} status: {error}")
    try:
        return backups_from(json.loads(done.stdout))
    except (ValueError, KeyError, TypeError):
        return Unseen(Status.ERROR, f"{program} status: {' '.join(done.stderr.split())[-300:] or 'it says nothing'}")


def backups_from(data: dict[str, Any]) -> Backups:
    """From what the host program says.

    :raises KeyError, TypeError, ValueError: it says something else.
    """
    found: list[BackupTarget] = []
    for item in data["targets"]:
        newest = item["newest"] or {}
        found.append(
            BackupTarget(
                name=str(item["name"]),
                off_host=item["off_host"] is True,
                problem=str(item["problem"]),
                sets=tuple(
                    HeldSet(
                        str(held["id"]),
                        held["complete"] is True,
                        float(held["age_seconds"]) / 3600,
                        held.get("verified") is True,
                    )
                    for held in item["sets"]
                ),
                encrypted=newest.get("encrypted") is True,
                databases=tuple(newest.get("databases", ())),
                newest_hours=float(newest["age_seconds"]) / 3600 if newest else None,
            )
        )
    return Backups(float(data["max_age_hours"]), float(data["keep_days"]), float(data["keep_minimum"]), tuple(found))
