# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The receipts on a host: each drill leaves a JSON and a Markdown file, and the oldest go."""

from __future__ import annotations

import contextlib
import datetime
import glob
import json
import os

from ansible_collections.dbops.postgres.plugins.module_utils._backup import faults
from ansible_collections.dbops.postgres.plugins.module_utils._backup.receipt import (
    Receipt,
    expired,
    from_dict,
    to_json,
    to_markdown,
)


def save(receipt: Receipt, directory: str, keep: int) -> str:
    """Write both files, each at once and whole, and remove the oldest; the path of the JSON file.

    They name databases and tables, no rows: readable for the group, so that a monitoring agent can be let in.

    :raises DbopsError: they cannot be written.
    """
    started = datetime.datetime.fromtimestamp(receipt.started, datetime.timezone.utc)
    path = os.path.join(directory, receipt.id)
    with faults.named(f"The receipt {path}.json cannot be written", untouched=""):
        os.makedirs(directory, mode=0o750, exist_ok=True)
        _write(f"{path}.md", to_markdown(receipt, started.strftime("%Y-%m-%d %H:%M:%S UTC")))
        _write(f"{path}.json", to_json(receipt))
    names = [os.path.basename(name)[: -len(".json")] for name in glob.glob(os.path.join(directory, "*.json"))]
    for name in expired(names, keep):
        for suffix in (".json", ".md"):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(directory, name + suffix))
    return f"{path}.json"


_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


def read(directory: str) -> list[Receipt]:
    """All receipts that can be read, the oldest first."""
    found = []
    for path in sorted(glob.glob(os.path.join(directory, "*.json"))):
        with contextlib.suppress(*_UNREADABLE), open(path, encoding="utf-8") as file:
            found.append(from_dict(json.load(file)))
    return found


def _write(path: str, text: str) -> None:
    new = f"{path}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o640)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
