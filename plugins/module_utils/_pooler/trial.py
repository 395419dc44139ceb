# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove a configuration before it is live: a second process reads it, with a socket of its own only, and is stopped.

A running pooler that reloads a file it cannot read goes on with built-in defaults, without TLS and with sessions (seen
with 1.24), so finding out afterwards is too late.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler import ini
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.observe import ask, live_of
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.plan import (
    HBA,
    INI,
    OWNER,
    USERLIST,
    Live,
)

SECONDS = 20.0


def try_out(texts: Mapping[str, str], port: int) -> Live:
    """What a process with these files says of itself; addresses and paths are the trial's own.

    :param texts: path -> text, as they are to be written.
    :raises DbopsError: it does not start; with what it logged.
    """
    account = pwd.getpwnam(OWNER)
    directory = tempfile.mkdtemp(prefix="dbops-pgbouncer-")
    try:
        os.chown(directory, account.pw_uid, account.pw_gid)
        own = {
            "listen_addr": "",
            "unix_socket_dir": directory,
            "pidfile": f"{directory}/pid",
            "logfile": f"{directory}/log",
            "syslog": "0",
            "auth_file": f"{directory}/users",
            "auth_hba_file": f"{directory}/hba",
        }
        _write(f"{directory}/users", texts[USERLIST], account)
        _write(f"{directory}/hba", texts[HBA], account)
        _write(f"{directory}/ini", ini.edit(texts[INI], {"pgbouncer": own}, path=INI), account)
        return _ask(directory, port)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _ask(directory: str, port: int) -> Live:
    command = ["runuser", "-u", OWNER, "--", "/usr/sbin/pgbouncer", "--quiet", f"{directory}/ini"]
    process = subprocess.Popen(
        command,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < end:
            if os.path.exists(f"{directory}/.s.PGSQL.{port}"):
                # It may be bound, and nobody listens yet.
                with suppress(DbopsError), ask((directory, port)) as questions:
                    return live_of(questions, files=0)
            time.sleep(0.02)
        raise DbopsError(
            f"pgbouncer does not start with this configuration: {_said(directory)}", "Mend the variable behind it."
        )
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _said(directory: str) -> str:
    try:
        with open(f"{directory}/log", encoding="utf-8", errors="replace") as stream:
            lines = [line.split("] ", 1)[-1].strip() for line in stream if "ERROR" in line or "FATAL" in line]
    except OSError:
        lines = []
    return "; ".join(lines[:3]) or "it says nothing"


def _write(path: str, text: str, account: pwd.struct_passwd) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        os.fchown(stream.fileno(), account.pw_uid, account.pw_gid)
        stream.write(text)
