# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that says that this host wants no clients now: a line for each migration that wants it.

A file that somebody else has put there, an empty one for example, is left as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Generator

DRAIN = "/run/dbops-postgres/drain"
_OURS = "migration "


def hold(path: str, run: str, database: str) -> bool:
    """Set it for a run; False: somebody else has set it, and it stays when this run has ended."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with _alone(path):
        lines = _lines(path)
        if lines is not None and not _ours(lines):
            return False
        _write(path, [*(lines or []), f"{_OURS}{run} of {database!r}"])
    return True


def release(path: str, database: str) -> None:
    """The migration of this database wants it no more; one of another database may."""
    if not os.path.isdir(os.path.dirname(path)):
        return
    with _alone(path):
        lines = _lines(path)
        if lines is None or not _ours(lines):
            return
        left = [line for line in lines if not line.endswith(f" of {database!r}")]
        if left:
            _write(path, left)
        else:
            os.unlink(path)


def _ours(lines: list[str]) -> bool:
    return bool(lines) and all(line.startswith(_OURS) for line in lines)


def _lines(path: str) -> list[str] | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return None


def _write(path: str, lines: list[str]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


@contextlib.contextmanager
def _alone(path: str) -> Generator[None, None, None]:
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
