# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run pgbench, bounded, and bring back what it logged."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import tempfile

from ansible_collections.dbops.postgres.plugins.module_utils._load.judge import Result, judge, read_log, read_words
from ansible_collections.dbops.postgres.plugins.module_utils._load.spec import LoadSpec, arguments, refuse_production
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login, connect, mask, reported

# After the time that was asked for: for clients that wait for their last answer.
GRACE_SECONDS = 60


def program() -> str:
    """The newest pgbench of this host.

    :raises DbopsError: there is none.
    """
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/pgbench"), key=lambda path: int(path.split("/")[4]))
    if found:
        return found[-1]
    path = shutil.which("pgbench")
    if path:
        return path
    raise DbopsError("There is no pgbench on this host", "Debian has it in postgresql-<version>.")


def environment_of(spec: LoadSpec, password: str) -> str:
    """cluster_name of the server behind the pool."""
    login = Login(
        host=spec.host,
        port=spec.port,
        user=spec.user,
        password=password,
        database=spec.database,
        ssl_mode=spec.ssl_mode,
        ca_cert=spec.ca_cert or None,
    )
    connection = connect(login, pooled=True)
    try:
        what = f"{spec.host}:{spec.port} does not say which environment it is"
        with reported(what, "Nothing was loaded: look at pool_status.", ""), connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.current_setting('cluster_name')")
            row = cursor.fetchone()
        return str(row[0]) if row else ""
    finally:
        connection.close()


def run(spec: LoadSpec, password: str) -> Result:
    """The whole: refuse production, load, judge. Nothing is left on this host.

    :raises DbopsError: production; pgbench is not there, could not start, or did not end.
    """
    pgbench = program()
    refuse_production(spec, environment_of(spec, password))
    directory = tempfile.mkdtemp(prefix="dbops-load-")  # 0700
    try:
        files = tuple(
            _write(f"{directory}/script-{number}", text) for number, (text, _weight) in enumerate(spec.scripts)
        )
        secret = _write(f"{directory}/pgpass", f"*:*:*:*:{_escaped(password)}\n")
        status, said = _pgbench([pgbench, *arguments(spec, files, f"{directory}/log")], spec, directory, secret)
        moments = []
        for path in glob.glob(f"{directory}/log.*"):
            with open(path, encoding="ascii") as stream:
                moments += read_log(stream)
        if status and not moments:
            raise DbopsError(f"pgbench failed: {mask(said.strip()[-600:], [password])}", "Mend that, and run it again.")
        errors = max(read_words(said), int(status != 0))  # killed, it says nothing of an error
        return judge(moments, errors, spec.seconds, spec.criteria)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _pgbench(command: list[str], spec: LoadSpec, directory: str, secret: str) -> tuple[int, str]:
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": directory, "PGPASSFILE": secret, "LC_ALL": "C.UTF-8"}
    environment["PGSSLMODE"] = spec.ssl_mode
    if spec.ca_cert:
        environment["PGSSLROOTCERT"] = spec.ca_cert
    # A file descriptor for each client.
    limit = ["prlimit", f"--nofile={spec.clients + 256}:{spec.clients + 256}"] if spec.clients > 500 else []
    try:
        done = subprocess.run(
            [*limit, *command],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=spec.seconds + GRACE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DbopsError(
            f"pgbench did not end {GRACE_SECONDS} s after its time and was stopped",
            "Look at pool_status and pg_stat_activity.",
        ) from None
    return done.returncode, done.stdout


def _write(path: str, text: str) -> str:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    return path


def _escaped(password: str) -> str:
    return password.replace("\\", "\\\\").replace(":", "\\:")
