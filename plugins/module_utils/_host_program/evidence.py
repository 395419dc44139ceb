# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job leaves of its last run: a JSON record, and a textfile for node_exporter. Both are replaced at once."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping

from ansible_collections.dbops.postgres.plugins.module_utils._backup import faults
from ansible_collections.dbops.postgres.plugins.module_utils._evidence import EVIDENCE, replace
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


def record(job: str, facts: Mapping[str, object], directory: str = EVIDENCE) -> str:
    """Write the evidence of a job; its path.

    :raises DbopsError: it cannot be written.
    """
    path = os.path.join(directory, f"{job}.json")
    with faults.named(f"The evidence {path} cannot be written", untouched="It is that of an earlier run."):
        os.makedirs(directory, mode=0o755, exist_ok=True)
        replace(path, json.dumps({"job": job, **facts}, indent=2, sort_keys=True) + "\n")
    return path


def leave(
    job: str,
    facts: Mapping[str, object],
    values: Mapping[str, float],
    help_texts: Mapping[str, str],
    textfile: str,
    directory: str = EVIDENCE,
) -> str:
    """Evidence and metrics of a run, whichever of them can be written; what cannot, in words."""
    problems = []
    try:
        record(job, facts, directory)
    except DbopsError as error:
        problems.append(str(error))
    try:
        metrics(job, values, help_texts, textfile)
    except DbopsError as error:
        problems.append(str(error))
    return " ".join(problems)


def not_begun(job: str, message: str, directory: str = EVIDENCE) -> None:
    """Say in the evidence that a job could not even begin; if it can be written."""
    last = last_success(job, directory)
    facts = {"started": time.time(), "seconds": 0.0, "verdict": "error", "last_success": last, "message": message}
    with contextlib.suppress(DbopsError):
        record(job, facts, directory)


def last_success(job: str, directory: str = EVIDENCE) -> float:
    """When the last run that succeeded began; 0: none did."""
    found = previous(job, directory).get("last_success", 0.0)
    return float(found) if isinstance(found, (int, float)) else 0.0


def metrics(job: str, values: Mapping[str, float], help_texts: Mapping[str, str], directory: str) -> None:
    """Write ``dbops_<job>_<name>`` for each value into the directory that node_exporter reads; empty: nowhere.

    :raises DbopsError: they cannot be written.
    """
    if not directory:
        return
    lines = []
    for name, value in values.items():
        metric = f"dbops_{job}_{name}"
        lines += [f"# HELP {metric} {help_texts[name]}", f"# TYPE {metric} gauge", f"{metric} {value:g}"]
    path = os.path.join(directory, f"dbops_{job}.prom")
    with faults.named(f"The metrics {path} cannot be written", untouched="They are those of an earlier run."):
        replace(path, "\n".join(lines) + "\n")


def previous(job: str, directory: str = EVIDENCE) -> dict[str, object]:
    """The evidence of the last run; empty if there is none."""
    try:
        with open(os.path.join(directory, f"{job}.json"), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
