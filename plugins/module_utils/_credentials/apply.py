# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out a plan: everything is sealed and proven to open before the first file is replaced."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd

from ansible_collections.dbops.postgres.plugins.module_utils._credentials import spec
from ansible_collections.dbops.postgres.plugins.module_utils._credentials.observe import run, unseal
from ansible_collections.dbops.postgres.plugins.module_utils._credentials.plan import (
    Attributes,
    CredentialPlan,
    DropIn,
    Write,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._secrets import new_password

# Directories that this collection makes, the outermost first. Owners of files have to get through the last one.
_DIRECTORIES = {spec.SEALED_DIRECTORY: 0o700, os.path.dirname(spec.PLAIN_DIRECTORY): 0o755, spec.PLAIN_DIRECTORY: 0o711}


def apply(todo: CredentialPlan, with_key: str) -> None:
    """Do what the plan says.

    :param with_key: with which key systemd-creds seals (systemd-creds(1), ``--with-key=``).
    :raises DbopsError: what could not be done, and what had been done before.
    """
    contents = [(write, _content(write, with_key)) for write in todo.writes]
    done: list[str] = []
    try:
        for write, content in contents:
            _write(write.how.path, content, write.how.mode, write.owner, write.group)
            done.append(str(write))
        for item in todo.others:
            if isinstance(item, Attributes):
                _attributes(item.path, item.mode, item.owner, item.group)
            elif isinstance(item, DropIn):
                _write(item.path, item.text.encode("utf-8"), 0o644, "root", "root")
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(item.path)
            done.append(str(item))
        if todo.reloads:
            reload = run(["systemctl", "daemon-reload"])
            if reload.returncode != 0:
                raise DbopsError(f"systemctl daemon-reload: {reload.stderr.decode('utf-8', 'replace').strip()}")
    except (OSError, KeyError, DbopsError) as error:
        problem = error.problem if isinstance(error, DbopsError) else str(error)
        raise DbopsError(
            problem, "Mend this and run again.", f"Done before: {', '.join(done) or 'nothing'}; the rest was left."
        ) from None


def _content(write: Write, with_key: str) -> bytes:
    value = write.value.value if write.value is not None else new_password(write.generate)
    data = value.encode("utf-8", "surrogateescape")
    if not write.how.sealed:
        return data
    done = run(["systemd-creds", "encrypt", f"--name={write.name}", f"--with-key={with_key}", "-", "-"], data)
    blob = done.stdout
    problem = done.stderr.decode("utf-8", "replace").strip() if done.returncode != 0 else unseal(write.name, blob)[1]
    if problem or unseal(write.name, blob)[0] != value:
        raise DbopsError(
            f"Credential {write.name!r} cannot be sealed with the key {with_key!r}: {problem or 'it opens as another'}",
            "Look at 'systemd-creds setup' and at the TPM, or choose another key.",
        )
    return blob


def _write(path: str, content: bytes, mode: int, owner: str, group: str) -> None:
    directory = os.path.dirname(path)
    for made, made_mode in _DIRECTORIES.items():
        if directory == made or directory.startswith(made + "/"):
            os.makedirs(made, made_mode, exist_ok=True)
            os.chmod(made, made_mode)
    if directory.startswith(spec.UNIT_DIRECTORY):
        os.makedirs(directory, 0o755, exist_ok=True)
    new = os.path.join(directory, f".{os.path.basename(path)}.new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)  # of a run that was killed
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _attributes(new, mode, owner, group)
        # Not AnsibleModule.atomic_move: that gives a new file the mode of the umask, so everybody could read it.
        os.replace(new, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)


def _attributes(path: str, mode: int, owner: str, group: str) -> None:
    # Never wider than before for a moment: the mode goes first when it takes away, and the owner has it last.
    os.chmod(path, mode & 0o600)
    os.chown(path, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
    os.chmod(path, mode)
