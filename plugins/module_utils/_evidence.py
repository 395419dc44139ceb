# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job or a check leaves of its last run on the host. Files are replaced at once and hold no secret."""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Mapping, Sequence

EVIDENCE = "/var/lib/dbops-postgres/evidence"
CHECKS = "checks"


def record_check(
    check: str,
    database: str,
    passed: bool,
    summary: str,
    facts: Mapping[str, object] | None = None,
    statuses: Mapping[str, Sequence[str]] | None = None,
    directory: str = EVIDENCE,
) -> str:
    """Leave the record of a check; its path.

    :param check: name of the module.
    :param summary: one line for the person who reads the readiness report.
    :param statuses: of each control, every status that a finding of it has (``_findings.Status``), so that what was not
        tested does not read as failed. Without it ``passed`` counts.
    :raises OSError: it cannot be written.
    """
    where = os.path.join(directory, CHECKS)
    os.makedirs(where, mode=0o755, exist_ok=True)
    data = {
        "check": check,
        "database": database,
        "passed": passed,
        "summary": summary,
        "finished": datetime.datetime.now(datetime.timezone.utc).timestamp(),
        "statuses": {control: list(found) for control, found in (statuses or {}).items()},
        "facts": dict(facts or {}),
    }
    path = os.path.join(where, f"{check}--{_file_name(database)}.json")
    replace(path, json.dumps(data, indent=2, sort_keys=True, default=str) + "\n")
    return path


def _file_name(database: str) -> str:
    """A database may be called ``../x``; different names stay different."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: f"%{ord(found[0]):02x}", database)


def replace(path: str, text: str) -> None:
    """Replace a file that everybody may read."""
    new = f"{path}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(new, 0o644)
    os.replace(new, path)
