# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operating system refuses, in words that name the file. Pure."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_SAID = 1000
_LOOK = "Look at its file system and its permissions: df, mount, ls -ld."


def said(error: BaseException) -> str:
    """An exception as one line for a person."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, DbopsError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def first_error(text: bytes) -> str:
    """What went wrong first, on one line: what follows is its consequence ("a worker process died unexpectedly")."""
    lines = text.decode("utf-8", "replace").strip().splitlines()
    first = next((number for number, line in enumerate(lines) if "error:" in line.lower()), max(0, len(lines) - 4))
    return " ".join(" ".join(lines[first:]).split())[:_SAID]


def told(error: Exception, tell: Callable[[str], None]) -> str:
    """The same at the end of a job. Of what nobody has foreseen the place is told too, for whoever mends it."""
    if not isinstance(error, (DbopsError, OSError)):
        for line in "".join(traceback.format_exception(type(error), error, error.__traceback__)).splitlines():
            tell(line)
        return f"{said(error)}. Nobody has foreseen that: report it, with the lines before this one."
    return said(error) if isinstance(error, DbopsError) else f"{said(error)}. {_LOOK}"


@contextmanager
def named(subject: str, remedy: str = _LOOK, untouched: str = "Nothing was changed.") -> Generator[None, None, None]:
    """What the operating system refuses becomes an error that names the subject.

    :raises DbopsError: in the place of OSError, which names no file when a write fails.
    """
    try:
        yield
    except OSError as error:
        raise DbopsError(f"{subject}: {error.strerror or said(error)}", remedy, untouched) from None
