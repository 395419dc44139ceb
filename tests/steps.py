# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Step lines: what is being done, and the time it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def step(text: str) -> Generator[None, None, None]:
    """Print the text at once and the time at the end: ``image debian13 ... 31.2 s``."""
    print(f"{text} ... ", end="", flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed")
        raise
    print(f"{time.monotonic() - start:.1f} s")
    sys.stdout.flush()
