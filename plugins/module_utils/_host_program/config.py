# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What drills and restores on a host share: the configuration, the target, the identity, words on the terminal."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_set import Directory, Target
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_spec import DrillSpec, drill_from
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

CONFIG = "/etc/dbops-postgres/drill.json"
CREDENTIAL = "backup_identity"
SEALED = f"/etc/credstore.encrypted/{CREDENTIAL}"
_SECONDS = 30


@dataclass(frozen=True)
class Config:
    """The configuration of drills and restores. It holds no secret.

    :param textfile: directory of node_exporter's textfile collector; empty: none.
    """

    target: Target
    drill: DrillSpec
    textfile: str = ""


def read_config(path: str) -> Config:
    """Read the configuration.

    :raises DbopsError: it is not there, or says what cannot be meant.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        raise DbopsError(f"Cannot read {path}: {error.strerror}", "Run the role restore_drill.") from None
    except ValueError as error:
        raise DbopsError(f"{path} is no JSON: {error}", "Run the role restore_drill.") from None
    return config_from(data)


def config_from(data: Mapping[str, Any]) -> Config:
    """The configuration as data.

    :raises DbopsError: it says what cannot be meant.
    """
    unknown = sorted(set(data) - {"target", "drill", "textfile"})
    if unknown:
        raise DbopsError(f"The configuration has an unknown key {unknown[0]!r}", "Known keys: target, drill, textfile.")
    target = data.get("target")
    if not isinstance(target, dict) or set(target) != {"directory"} or not str(target["directory"]).startswith("/"):
        raise DbopsError("The configuration has no target", 'Give one: {"target": {"directory": "/srv/backup"}}.')
    return Config(Directory(target["directory"]), drill_from(data.get("drill") or {}), str(data.get("textfile") or ""))


@contextlib.contextmanager
def identity(given: str) -> Generator[str, None, None]:
    """Path of the age identity: as given, else the unit's credential, else, for root, this host's sealed one.

    The sealed one is opened into memory (a file in /run for the time of the job), never onto a disk.
    """
    if given:
        yield given
        return
    of_unit = os.path.join(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), CREDENTIAL)
    if os.path.exists(of_unit):
        yield of_unit
        return
    if os.geteuid() != 0 or not os.path.exists(SEALED):
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="dbops-postgres-", dir="/run") as directory:
        path = os.path.join(directory, CREDENTIAL)
        command = ["systemd-creds", "decrypt", f"--name={CREDENTIAL}", SEALED, path]
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
        if done.returncode != 0:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())
            raise DbopsError(f"The sealed identity {SEALED} cannot be opened: {said}", "Deliver it again.")
        yield path


def tell(line: str) -> None:
    """To the terminal, or the journal."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
