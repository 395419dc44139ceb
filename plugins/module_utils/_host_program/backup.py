# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job ``backup``: make a set, prune, leave evidence and metrics."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._backup import faults
from ansible_collections.dbops.postgres.plugins.module_utils._backup.backup import Backup, Done
from ansible_collections.dbops.postgres.plugins.module_utils._backup.receipt import duration, size_of
from ansible_collections.dbops.postgres.plugins.module_utils._host_program import evidence, lock, prune
from ansible_collections.dbops.postgres.plugins.module_utils._host_program.config import (
    BackupConfig,
    read_backup_config,
    tell,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_HELP = {
    "last_run_timestamp_seconds": "When the last backup began.",
    "last_success_timestamp_seconds": "When the last backup that is complete at all targets began; 0: none is.",
    "passed": "Whether the last backup is complete at all targets.",
    "duration_seconds": "How long the last backup took.",
    "stored_bytes": "Size of the last set.",
    "failed_targets": "Targets that do not have the last set.",
}


def run(given: Any) -> int:
    """Make a set; the exit status."""
    try:
        config = read_backup_config(given.backup_config)
    except DbopsError as error:
        evidence.not_begun("backup", f"No backup was made. {error}")
        raise
    last = evidence.previous("backup").get("stored_bytes", 0)
    terminal = Terminal(int(last) if isinstance(last, (int, float)) else 0) if sys.stderr.isatty() else None
    _done, problem = hold(config, given.label, given.wait, terminal)
    if problem:
        tell(problem)
    return 1 if problem else 0


def hold(
    config: BackupConfig, label: str, wait: float = 0, progress: Callable[[str, int, str], None] | None = None
) -> tuple[Done | None, str]:
    """Make a set, prune, and leave what a backup leaves; what was made, and what went wrong in words.

    :raises DbopsError: another run is under way, or this host cannot hold its lock.
    """
    with lock.alone("backup", wait):
        started = time.time()
        done, problem = None, ""
        try:
            job = Backup(
                config.backup, config.targets, os.path.join(lock.STATE, "backup-running.json"), label, tell, progress
            )
            done = job.run()
            missing = " ".join(done.failed.values())
            made = done.manifest
            problem = f"Set {made.id} is not at every target. {missing}" if missing else ""
            where = ", ".join(done.targets)
            tell(f"Set {made.id} is complete at {where}: {size_of(made.stored_bytes)} in {duration(done.seconds)}")
            for line in prune.pruned(config, dry=False, leave_out=set(done.failed)):
                tell(line)
        except Exception as error:  # evidence is due whatever it was
            problem = _joined(problem, f"{'Not pruned' if done else 'No backup was made'}. {faults.told(error, tell)}")
        except BaseException:
            words = "It was interrupted" + (" while sets were pruned." if done else ": no backup was made.")
            _leave(config, started, done, _joined(problem, words))
            raise
        problem = _joined(problem, _leave(config, started, done, problem))
    return done, problem


def _joined(*words: str) -> str:
    return " ".join(filter(None, words))


def _leave(config: BackupConfig, started: float, done: Done | None, problem: str) -> str:
    whole = done is not None and not done.failed
    success = started if whole else evidence.last_success("backup")
    stored = done.manifest.stored_bytes if done else 0
    seconds = time.time() - started
    facts = {
        "started": started,
        "seconds": seconds,
        "verdict": "failed" if problem else "passed",
        "last_success": success,
        "set": done.manifest.id if done else "",
        "stored_bytes": stored,
        "targets": list(done.targets) if done else [],
        "message": problem or f"set {done.manifest.id if done else ''} is complete at {len(config.targets)} target(s)",
    }
    values = {
        "last_run_timestamp_seconds": started,
        "last_success_timestamp_seconds": success,
        "passed": float(not problem),
        "duration_seconds": seconds,
        "stored_bytes": float(stored),
        "failed_targets": float(len(done.failed) if done else len(config.targets)),
    }
    return evidence.leave("backup", facts, values, _HELP, config.textfile)


@dataclass
class Terminal:
    """A line that tells what is going on, for whoever watches.

    :param expected: bytes of the last set, by which the time that is left is guessed; 0: there was none.
    """

    expected: int = 0
    begun: float = field(default_factory=time.monotonic)
    sizes: dict[str, int] = field(default_factory=dict)

    def __call__(self, database: str, size: int, table: str) -> None:
        now = time.monotonic()
        self.sizes[database] = size
        stored = sum(self.sizes.values())
        rate = stored / max(now - self.begun, 0.001)
        left = (self.expected - stored) / rate if rate and self.expected > stored else 0.0
        words = f", about {duration(left)} left" if left else ""
        with contextlib.suppress(OSError):  # a terminal that is gone ends no backup
            sys.stderr.write(f"\r\033[K{database}: {size_of(stored)} stored, {size_of(int(rate))}/s{words}  {table}\r")
            sys.stderr.flush()
