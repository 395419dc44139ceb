# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a folder of migrations; what the files mean is in :mod:`.source`."""

from __future__ import annotations

import os

from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import AUTO, COMMAND, Source, arrange
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_SUFFIXES = (".sql", ".sql.conf")
# A file of data that somebody left here must not fill the memory.
_MOST_BYTES = 64 * 1024 * 1024


def read_source(path: str, layout: str = AUTO) -> Source:
    """The migrations of the folder ``path``.

    :raises DbopsError: it cannot be read, or :func:`.source.arrange` refuses it.
    """
    if layout == COMMAND:
        return arrange({}, COMMAND)
    if not os.path.isdir(path):
        raise DbopsError(f"{path} is not a folder", "Point path to the folder that the migration tool reads.")
    try:
        return arrange(_files(path), layout)
    except DbopsError as error:
        raise DbopsError(f"{path}: {error.problem}", error.remedy, error.untouched) from None


def _files(path: str) -> dict[str, bytes]:
    files = {}
    for directory, folders, names in os.walk(path, onerror=_refuse):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        relative = os.path.relpath(directory, path).replace(os.sep, "/")
        # Prisma refuses a folder without its file, and so do we: an empty folder must be seen.
        if relative != "." and not folders and "migration.sql" not in names:
            files[f"{relative}/"] = b""
        for name in names:
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                files[name if relative == "." else f"{relative}/{name}"] = _content(os.path.join(directory, name))
    return files


def _content(path: str) -> bytes:
    try:
        if os.path.getsize(path) > _MOST_BYTES:
            raise DbopsError(f"{path} is larger than {_MOST_BYTES // (1 << 20)} MiB", "Load data outside migrations.")
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        _refuse(error)
        raise


def _refuse(error: OSError) -> None:
    raise DbopsError(f"Cannot read {error.filename}: {error.strerror}", "Give this user the right to read it.")
