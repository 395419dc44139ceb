# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a job at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Generator

from ansible_collections.dbops.postgres.plugins.module_utils._backup import faults
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

STATE = "/var/lib/dbops-postgres"


@contextlib.contextmanager
def alone(job: str, wait: float = 0, directory: str = STATE) -> Generator[None, None, None]:
    """Hold a job's lock.

    :param wait: seconds to wait for a run that is under way.
    :raises DbopsError: it is still under way then.
    """
    path = os.path.join(directory, f"{job}.lock")
    with faults.named(path, "Run it as root; else look at the file system: df, mount."):
        os.makedirs(directory, mode=0o755, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    end = time.monotonic() + wait
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise DbopsError(
                        f"Another {job} is running on this host",
                        "Wait until it has ended (--wait), or look at it: journalctl -f.",
                    ) from None
            time.sleep(0.2)
        yield
    finally:
        os.close(descriptor)
