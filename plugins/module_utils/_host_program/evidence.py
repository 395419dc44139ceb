# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job leaves of its last run: a JSON record, and a textfile for node_exporter. Both are replaced at once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from ansible_collections.dbops.postgres.plugins.module_utils._evidence import EVIDENCE, replace


def record(job: str, facts: Mapping[str, object], directory: str = EVIDENCE) -> str:
    """Write the evidence of a job; its path."""
    os.makedirs(directory, mode=0o755, exist_ok=True)
    path = os.path.join(directory, f"{job}.json")
    replace(path, json.dumps({"job": job, **facts}, indent=2, sort_keys=True) + "\n")
    return path


def metrics(job: str, values: Mapping[str, float], help_texts: Mapping[str, str], directory: str) -> None:
    """Write ``dbops_<job>_<name>`` for each value into the directory that node_exporter reads; empty: nowhere."""
    if not directory:
        return
    lines = []
    for name, value in values.items():
        metric = f"dbops_{job}_{name}"
        lines += [f"# HELP {metric} {help_texts[name]}", f"# TYPE {metric} gauge", f"{metric} {value:g}"]
    replace(os.path.join(directory, f"dbops_{job}.prom"), "\n".join(lines) + "\n")


def previous(job: str, directory: str = EVIDENCE) -> dict[str, object]:
    """The evidence of the last run; empty if there is none."""
    try:
        with open(os.path.join(directory, f"{job}.json"), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
