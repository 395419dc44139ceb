# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the receipts that restore drills have left on this host. Read-only."""

from __future__ import annotations

import datetime
import glob
import json
import os

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status, Trend, TrendPoint
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Drill, Drills, Seen, Unseen

RECEIPTS = "/var/lib/dbops-postgres/drills"
_MOST_RECEIPTS = 200


def observe(now: datetime.datetime, directory: str = RECEIPTS) -> Seen[Drills]:
    """The newest receipts, the oldest of them first."""
    if os.path.isdir(directory) and not os.access(directory, os.R_OK | os.X_OK):
        return Unseen(Status.NOT_TESTED, "Needs root on the server (become: true).")
    held, unreadable = [], []
    # Their names begin with their moment.
    for path in sorted(glob.glob(os.path.join(directory, "*.json")))[-_MOST_RECEIPTS:]:
        try:
            with open(path, encoding="utf-8") as file:
                data = json.load(file)
            started = datetime.datetime.fromtimestamp(data["started"], datetime.timezone.utc)
            held.append(
                Drill(
                    when=started.strftime("%Y-%m-%d %H:%M UTC"),
                    age_days=(now - started).total_seconds() / 86400,
                    passed=data["passed"] is True,
                    summary=str(data["summary"]),
                    rto_seconds=float(data["rto_seconds"]),
                    rto_target_seconds=float(data["rto_target_seconds"]),
                    every_days=float(data["every_days"]),
                )
            )
        except (OSError, ValueError, KeyError, TypeError):
            unreadable.append(path)
    return Drills(tuple(held), tuple(unreadable))


def trend(drills: Drills) -> Trend | None:
    """Every drill with its measured recovery time, for the picture of the report; None: there was none."""
    if not drills.held:
        return None
    target = drills.held[-1].rto_target_seconds
    return Trend(
        "Restore drills: time until restored",
        tuple(TrendPoint(d.when, d.rto_seconds, d.passed, d.summary) for d in drills.held),
        target,
        f"target {target / 60:g} min" if target else "",
    )
