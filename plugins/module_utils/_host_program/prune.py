# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job ``prune``: remove the sets that nobody wants to keep."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._backup import drill_receipts, faults, keep
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_spec import RECEIPTS
from ansible_collections.dbops.postgres.plugins.module_utils._host_program import lock
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.config import (
    BackupConfig,
    read_backup_config,
    tell,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


def run(given: Any) -> int:
    """Prune; the exit status."""
    config = read_backup_config(given.backup_config)
    with lock.alone("backup", given.wait):
        for line in pruned(config, dry=given.dry_run):
            tell(line)
    return 0


def pruned(config: BackupConfig, *, dry: bool, leave_out: Collection[str] = ()) -> list[str]:
    """Remove what is to go at each target; a line for each set. Only inside the lock of the backup.

    :param leave_out: names of targets.
    :raises DbopsError: a target cannot be asked; the others were pruned.
    """
    lines, problems = [], []
    for target in config.targets:
        if target.name in leave_out:
            continue
        try:
            for decision in keep.decide(target.sets(), config.backup.keep, time.time(), verified()):
                if decision.stays and not dry:
                    continue
                word = "stays" if decision.stays else "would go" if dry else "is gone"
                if not decision.stays and not dry:
                    target.remove(decision.id)
                lines.append(f"{target.name}: {decision.id} {word}: {decision.reason}")
        except DbopsError as error:
            problems.append(f"{error.problem} {error.remedy}".strip())
        except OSError as error:
            problems.append(f"{target.name}: {faults.said(error)}. Look at what this target lies on.")
    if problems:
        raise DbopsError(" ".join(problems), untouched="What went before it is gone, nothing else.")
    return lines


def verified() -> set[str]:
    """The sets that a drill on this host has proven."""
    return {receipt.set for receipt in drill_receipts.read(RECEIPTS) if receipt.passed}
