# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the credentials of a host: their files, what these hold, and the units that load them.

A sealed credential is opened in memory; what it holds stays in this process.
"""

from __future__ import annotations

import glob
import grp
import os
import pwd
import re
import stat
import subprocess
from collections.abc import Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._credentials import spec
from ansible_collections.dbops.postgres.plugins.module_utils._credentials.spec import Credential
from ansible_collections.dbops.postgres.plugins.module_utils._credentials.state import Host, Stored
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

TIMEOUT_SECONDS = 60  # a TPM takes its time


def observe(items: Sequence[Credential]) -> Host:
    """What this host has of the declared credentials.

    :raises DbopsError: something that is no plain file lies where a credential belongs.
    """
    systemd = systemd_version()
    stored: dict[str, Stored] = {}
    drop_ins: dict[str, str] = {}
    for item in items:
        for path, sealed in places(item, systemd):
            found = _stored(item.name, path, sealed)
            if found is not None:
                stored[path] = found
        for path in glob.glob(f"{spec.UNIT_DIRECTORY}/*.d/{os.path.basename(spec.drop_in(item.name, 'x'))}"):
            with open(path, encoding="utf-8") as file:
                drop_ins[path] = file.read()
    units = sorted({unit for item in items for unit in item.units if "@." not in unit})
    return Host(systemd, stored, drop_ins, _active(units) if systemd else ())


def places(item: Credential, systemd: int | None) -> list[tuple[str, bool]]:
    """Where the credential can lie, and whether it is sealed there: an update of systemd moves it."""
    how, plain = spec.delivery(item, systemd), spec.delivery(item, None)
    return [(how.path, how.sealed)] if how.path == plain.path else [(how.path, True), (plain.path, False)]


def systemd_version() -> int | None:
    """The major version of the systemd that runs this host; None: another init does (sd_booted(3))."""
    if not os.path.isdir("/run/systemd/system"):
        return None
    done = run(["systemctl", "--version"])
    match = re.match(rb"systemd ([0-9]+)", done.stdout)
    if match is None:
        raise DbopsError("'systemctl --version' does not say a version", "Check the installation of systemd.")
    return int(match[1])


def run(command: Sequence[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command with ``data`` as its standard input: the only way in which a secret goes into one."""
    try:
        return subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else f"no end after {TIMEOUT_SECONDS} s"
        raise DbopsError(f"Cannot run {command[0]}: {reason}", "Check that systemd is whole on this host.") from None


def unseal(name: str, blob: bytes) -> tuple[str | None, str]:
    """What a sealed credential holds, or None and why it cannot be opened."""
    done = run(["systemd-creds", "decrypt", f"--name={name}", "--newline=no", "-", "-"], blob)
    if done.returncode != 0:
        return None, done.stderr.decode("utf-8", "replace").strip() or f"status {done.returncode}"
    return done.stdout.decode("utf-8", "surrogateescape"), ""


def _stored(name: str, path: str, sealed: bool) -> Stored | None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise DbopsError(f"Credential {name!r}: {path} is no plain file", "Look at what it is, and move it away.")
    with open(path, "rb") as file:
        content = file.read()
    value, problem = unseal(name, content) if sealed else (content.decode("utf-8", "surrogateescape"), "")
    return Stored(value, stat.S_IMODE(found.st_mode), _user(found.st_uid), _group(found.st_gid), problem)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _active(units: Sequence[str]) -> tuple[str, ...]:
    if not units:
        return ()
    states = run(["systemctl", "is-active", *units]).stdout.decode("utf-8", "replace").splitlines()
    return tuple(unit for unit, state in zip(units, states) if state in ("active", "reloading", "activating"))
