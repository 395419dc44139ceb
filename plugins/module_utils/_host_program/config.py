# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the jobs on a host share: the configuration, the target, the identity, words on the terminal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._backup import faults
from ansible_collections.dbops.postgres.plugins.module_utils._backup.backup_spec import BackupSpec, backup_from
from ansible_collections.dbops.postgres.plugins.module_utils._backup.drill_spec import DrillSpec, drill_from
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import Directory, Target
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target_s3 import S3, Bucket
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._s3 import keys_from

BACKUP_CONFIG = "/etc/dbops-postgres/backup.json"
CONFIG = "/etc/dbops-postgres/drill.json"
DRIFT_CONFIG = "/etc/dbops-postgres/drift.json"
IDENTITY = "backup_identity"
_SEALED = "/etc/credstore.encrypted/"
_SECONDS = 30
_TARGET_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,30}")


@dataclass(frozen=True)
class Config:
    """The configuration of drills and restores. It holds no secret.

    :param textfile: directory of node_exporter's textfile collector; empty: none.
    """

    target: Target
    drill: DrillSpec
    textfile: str = ""


@dataclass(frozen=True)
class BackupConfig:
    """The configuration of backups. It holds no secret."""

    targets: list[Target]
    backup: BackupSpec
    textfile: str = ""


def read_config(path: str) -> Config:
    """Read the configuration of drills and restores.

    :raises DbopsError: it is not there, or says what cannot be meant.
    """
    return config_from(read(path, "restore_drill"))


def read_backup_config(path: str) -> BackupConfig:
    """Read the configuration of backups.

    :raises DbopsError: it is not there, or says what cannot be meant.
    """
    return backup_config_from(read(path, "backup"))


def read(path: str, role: str) -> Mapping[str, Any]:
    """A configuration as data.

    :param role: the one that writes it.
    :raises DbopsError: it is not there, or no JSON object.
    """
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        if not isinstance(found, dict):
            raise ValueError(f"it holds a {type(found).__name__}, not an object")
        return found
    except OSError as error:
        raise DbopsError(f"Cannot read {path}: {error.strerror}", f"Run the role {role}.") from None
    except ValueError as error:
        raise DbopsError(f"{path} is no JSON: {error}", f"Run the role {role}.") from None


def config_from(data: Mapping[str, Any]) -> Config:
    """The configuration of drills as data.

    :raises DbopsError: it says what cannot be meant.
    """
    known(data, {"target", "drill", "textfile"})
    return Config(target_from(data.get("target")), drill_from(data.get("drill") or {}), str(data.get("textfile") or ""))


def backup_config_from(data: Mapping[str, Any]) -> BackupConfig:
    """The configuration of backups as data.

    :raises DbopsError: it says what cannot be meant.
    """
    known(data, {"targets", "backup", "textfile"})
    given = data.get("targets")
    if not isinstance(given, list) or not given:
        raise DbopsError("The configuration has no targets", 'Give one: {"targets": [{"directory": "/srv/backup"}]}.')
    targets = [target_from(item) for item in given]
    names = [target.name for target in targets]
    for name in names:
        if names.count(name) > 1:
            raise DbopsError(f"The target {name} is there twice", "Leave one out.")
    return BackupConfig(targets, backup_from(data.get("backup") or {}), str(data.get("textfile") or ""))


def target_from(data: Any) -> Target:
    """A target: ``directory``, or ``bucket`` with what :class:`Bucket` has, and a ``name`` if it has a credential.

    :raises DbopsError: it is none of these.
    """
    if not isinstance(data, Mapping) or not data:
        raise DbopsError("The configuration has no target", 'Give one: {"target": {"directory": "/srv/backup"}}.')
    rest = {key: value for key, value in data.items() if key != "name" and value not in (None, "")}
    name = str(data.get("name") or "")
    if name and not _TARGET_NAME.fullmatch(name):
        raise DbopsError(f"A target has the name {name!r}", "Lower-case letters, digits and _: it names a credential.")
    if set(rest) == {"directory"}:
        if not str(rest["directory"]).startswith("/"):
            raise DbopsError(f"The directory {rest['directory']!r} of a target is no absolute path", "Give one.")
        return Directory(str(rest["directory"]).rstrip("/"))
    unknown = sorted(set(rest) - set(Bucket.__dataclass_fields__))
    default = Bucket()
    for key, value in rest.items():
        if key not in unknown and type(value) is not type(getattr(default, key)):
            raise DbopsError(f"A target: {key} is {value!r}", f"Give it like {getattr(default, key)!r}.")
    if unknown or not rest.get("bucket"):
        wrong = f"has an unknown key {unknown[0]!r}" if unknown else "has neither directory nor bucket"
        raise DbopsError(f"A target {wrong}", f"Known keys: directory, or {', '.join(Bucket.__dataclass_fields__)}.")
    for key, choices in {"checksums": ("when_supported", "when_required"), "encryption": ("AES256", "aws:kms")}.items():
        if rest.get(key, choices[0]) not in choices:
            raise DbopsError(f"The target {rest['bucket']}: {key} is {rest[key]!r}", f"One of {', '.join(choices)}.")
    credential = f"backup_target_{name}"
    text = secret(credential) if name else ""
    return S3(Bucket(**rest), keys_from(text, credential) if text else None)


def known(data: Mapping[str, Any], keys: set[str]) -> None:
    """Refuse keys that nobody knows.

    :raises DbopsError: there is one.
    """
    unknown = sorted(set(data) - keys)
    if unknown:
        listed = ", ".join(sorted(keys))
        raise DbopsError(f"The configuration has an unknown key {unknown[0]!r}", f"Known keys: {listed}.")


def secret(name: str) -> str:
    """A credential as text: the unit's, else, for root, this host's sealed one; empty: there is none."""
    of_unit = os.path.join(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), name)
    try:
        if os.path.exists(of_unit):
            with faults.named(f"The credential {of_unit}"), open(of_unit, encoding="utf-8") as file:
                return file.read()
        if os.geteuid() != 0 or not os.path.exists(_SEALED + name):
            return ""
        return _opened(name, "-").decode()
    except UnicodeDecodeError:  # its text would show a piece of the secret
        raise DbopsError(f"The credential {name} is no text", "Deliver it again.") from None


def _opened(name: str, path: str) -> bytes:
    command = ["systemd-creds", "decrypt", f"--name={name}", _SEALED + name, path]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        late = (
            f"has not ended after {_SECONDS} s" if isinstance(error, subprocess.TimeoutExpired) else faults.said(error)
        )
        raise DbopsError(
            f"The sealed credential {_SEALED}{name} cannot be opened: systemd-creds: {late}",
            "Look at systemd (250 or later) and, where one seals the credential, the TPM.",
        ) from None
    if done.returncode != 0:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise DbopsError(f"The sealed credential {_SEALED}{name} cannot be opened: {said}", "Deliver it again.")
    return done.stdout


@contextlib.contextmanager
def identity(given: str) -> Generator[str, None, None]:
    """Path of the age identity: as given, else the unit's credential, else, for root, this host's sealed one.

    The sealed one is opened into memory (a file in /run for the time of the job), never onto a disk.
    """
    if given:
        yield given
        return
    of_unit = os.path.join(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), IDENTITY)
    if os.path.exists(of_unit):
        yield of_unit
        return
    if os.geteuid() != 0 or not os.path.exists(_SEALED + IDENTITY):
        yield ""
        return
    with contextlib.ExitStack() as stack:
        with faults.named("A directory in /run for the identity"):
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="dbops-postgres-", dir="/run"))
        path = os.path.join(directory, IDENTITY)
        _opened(IDENTITY, path)
        yield path


def tell(line: str) -> None:
    """To the terminal, or the journal. Nobody who listens is no reason to stop."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
