# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job ``drill``: hold one, leave its receipt, evidence and metrics."""

from __future__ import annotations

import contextlib
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._backup import drill_receipts
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill import Drill
from ansible_collections.dbops.postgres.plugins.module_utils._backup.receipt import ERROR, Receipt
from ansible_collections.dbops.postgres.plugins.module_utils._host_program import evidence
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.config import (
    Config,
    identity,
    read_config,
    tell,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_HELP = {
    "last_run_timestamp_seconds": "When the last drill began.",
    "last_success_timestamp_seconds": "When the last drill that passed began; 0: none did.",
    "passed": "Whether the last drill passed.",
    "duration_seconds": "How long the last drill took, its proof included.",
    "rto_seconds": "How long it took until the last database was restored; 0: it never was.",
    "rpo_seconds": "Age of the restored snapshot when the drill began.",
}


def run(given: Any) -> int:
    """Hold a drill; the exit status."""
    try:
        config = read_config(given.config)
    except DbopsError as error:
        evidence.not_begun("drill", f"No drill was held. {error}")
        raise
    receipt, path = hold(config, given.set, given.identity)
    tell(f"{receipt.summary}. Receipt: {path}")
    return 0 if receipt.passed else 2 if receipt.verdict == ERROR else 1


def hold(config: Config, set_id: str = "", given_identity: str = "") -> tuple[Receipt, str]:
    """Hold a drill and leave everything that a drill leaves; the receipt and its path.

    :raises DbopsError: it cannot be held, or what it leaves not be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            key = stack.enter_context(identity(given_identity))
        except DbopsError as error:
            evidence.not_begun("drill", f"No drill was held. {error}")
            raise
        drill = Drill(config.drill, config.target, identity=key, set_id=set_id, tell=tell)
        try:
            receipt = drill.hold()
        except BaseException:  # it was interrupted: its receipt is due all the same
            _leave(config, drill.receipt())
            raise
    path, problem = _leave(config, receipt)
    if problem:
        raise DbopsError(f"{receipt.summary}. But {problem}", untouched="")
    return receipt, path


def _leave(config: Config, receipt: Receipt) -> tuple[str, str]:
    path, problem = "", ""
    try:
        path = drill_receipts.save(receipt, config.drill.receipts, config.drill.keep_receipts)
    except DbopsError as error:
        problem = str(error)
    success = receipt.started if receipt.passed else evidence.last_success("drill")
    facts = {
        "started": receipt.started,
        "seconds": receipt.seconds,
        "verdict": receipt.verdict,
        "last_success": success,
        "set": receipt.set,
        "message": receipt.summary,
        "receipt": path,
    }
    values = {
        "last_run_timestamp_seconds": receipt.started,
        "last_success_timestamp_seconds": success,
        "passed": float(receipt.passed),
        "duration_seconds": receipt.seconds,
        "rto_seconds": receipt.rto_seconds,
        "rpo_seconds": receipt.rpo_seconds,
    }
    return path, f"{problem} {evidence.leave('drill', facts, values, _HELP, config.textfile)}".strip()
