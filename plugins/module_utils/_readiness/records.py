# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the records that checks and migrations have left on this host. Read-only."""

from __future__ import annotations

import glob
import json
import os

from ansible_collections.dbops.postgres.plugins.module_utils._evidence import CHECKS, EVIDENCE
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import CheckRecord, Records, Seen

_DAY = 86400


def observe(now: float, directory: str = EVIDENCE) -> Seen[Records]:
    """The last run of each check on each database.

    :param now: seconds since 1970.
    """
    held, unreadable = [], []
    for path in sorted(glob.glob(os.path.join(directory, CHECKS, "*.json"))):
        try:
            with open(path, encoding="utf-8") as file:
                data = json.load(file)
            held.append(
                CheckRecord(
                    check=str(data["check"]),
                    database=str(data["database"]),
                    passed=data["passed"] is True,
                    days=(now - float(data["finished"])) / _DAY,
                    summary=str(data["summary"]),
                    statuses={str(name): tuple(map(Status, held)) for name, held in data["statuses"].items()},
                )
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            unreadable.append(path)
    return Records(tuple(held), tuple(unreadable))
