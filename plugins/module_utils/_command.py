# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a tool of the user's, such as one that migrates: nothing of it goes on when we do not wait for it any more."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Any


def run(command: Sequence[str], timeout: float, **given: Any) -> subprocess.CompletedProcess[bytes]:
    """Run it with the processes that it starts, which end with it when it takes too long or we are stopped.

    :param given: of :class:`subprocess.Popen`.
    :raises OSError: it cannot be started.
    :raises subprocess.TimeoutExpired: it took too long, and was killed.
    """
    with subprocess.Popen(list(command), stdin=subprocess.DEVNULL, start_new_session=True, **given) as process:
        try:
            out, said = process.communicate(timeout=timeout)
        except BaseException:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(list(command), process.returncode, out, said)
