# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs squawk over files: one process, two where some files run in a transaction and others do not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping

from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.squawk import Note, parse
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_SECONDS = 300


def find_squawk() -> str:
    """The program: on the PATH, or beside the Python that runs this; empty: it is not installed."""
    beside = os.path.join(os.path.dirname(sys.executable), "squawk")
    return shutil.which("squawk") or (beside if os.access(beside, os.X_OK) else "")


def run_squawk(program: str, texts: Mapping[str, tuple[str, bool]], version: int) -> list[Note]:
    """What squawk finds in texts (our name -> SQL, whether the file runs in a transaction).

    The texts are written to a directory of their own: a configuration of squawk in the project must not switch rules
    off behind our back.

    :raises DbopsError: it failed.
    """
    notes: list[Note] = []
    for in_transaction in (True, False):
        chosen = {name: sql for name, (sql, inside) in texts.items() if inside is in_transaction}
        if chosen:
            notes += _run(program, chosen, in_transaction, version)
    return notes


def _run(program: str, texts: Mapping[str, str], in_transaction: bool, version: int) -> list[Note]:
    with tempfile.TemporaryDirectory(prefix="dbops-squawk-") as directory:
        names = {}
        for number, (name, sql) in enumerate(texts.items()):
            file = f"{number}.sql"
            with open(os.path.join(directory, file), "w", encoding="utf-8", newline="") as stream:
                stream.write(sql)
            names[file] = name
        config = os.path.join(directory, "empty.toml")
        with open(config, "w", encoding="utf-8"):
            pass
        mode = "--assume-in-transaction" if in_transaction else "--no-assume-in-transaction"
        command = [program, "--reporter", "json", "--config", config, "--pg-version", f"{version}.0", mode, *names]
        try:
            done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DbopsError(f"squawk could not be run: {error}", "Install squawk-cli.") from None
    # 1 says that it found something.
    if done.returncode not in (0, 1) or (done.returncode and not done.stdout.strip()):
        raise DbopsError(f"squawk failed: {done.stderr.strip()[:500]}", "Run it by hand to see why.")
    return parse(done.stdout, names)
