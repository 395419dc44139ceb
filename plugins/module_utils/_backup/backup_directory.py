# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps in directory format, which alone several jobs of pg_dump can write: they lie in clear in a scratch directory
until they have been sent as one tar. Only where that was asked for; what a killed run leaves, the next one removes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._backup import drill_cluster, faults
from ansible_collections.dbops.postgres.plugins.module_utils._backup.receipt import size_of
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

# What has this name is removed, so it is one that nobody else gives to a directory of his own.
_DIRECTORY = "dbops-postgres-dump"


@contextlib.contextmanager
def dumped(scratch: str, command: Sequence[str], size: int) -> Generator[list[str], None, None]:
    """Dump, and give the command that writes the dump as a tar; afterwards the directory is gone.

    :param command: of pg_dump, without its target.
    :param size: of the database. A compressed dump is smaller; whoever has that much room never runs out of it.
    :raises DbopsError: there is no room, or pg_dump failed, in its own words.
    """
    path = os.path.join(drill_cluster.area(scratch), _DIRECTORY)
    remove(scratch)
    free = drill_cluster.free_bytes(scratch)
    if free < size:
        raise DbopsError(
            f"{scratch} has {size_of(free)} free, the database is {size_of(size)}",
            "Give the scratch directory that much room, or dump with one job, which needs none.",
        )
    with faults.named(path):
        os.mkdir(path, 0o700)
        drill_cluster.give(path)
    try:
        done = drill_cluster.run([*command, f"--file={path}"])
        if done.returncode != 0:
            raise DbopsError(f"pg_dump: {faults.first_error(done.stderr)}", "Mend that; the next run begins anew.")
        yield ["tar", "--create", "--file=-", f"--directory={path}", "."]
    finally:
        remove(scratch)


def remove(scratch: str) -> None:
    """Remove what is there of a dump."""
    path = os.path.join(scratch, _DIRECTORY)
    if os.path.isdir(path) and not os.path.islink(path):
        with faults.named(path, "Remove it by hand: it holds a dump in clear.", "It is still there."):
            shutil.rmtree(path)
