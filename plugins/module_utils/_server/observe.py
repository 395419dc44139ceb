# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live state of one cluster: its files, its process, its settings, and the size of the host."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login, connect
from ansible_collections.dbops.postgres.plugins.module_utils._server.spec import ServerSpec
from ansible_collections.dbops.postgres.plugins.module_utils._server.state import (
    File,
    Live,
    LiveSetting,
    Observed,
    managed,
)
from ansible_collections.dbops.postgres.plugins.module_utils._server.tuning import MB

# Runs an argument list; gives its exit status, standard output and standard error.
Run = Callable[[Sequence[str]], tuple[int, str, str]]

PROBE_SECONDS = "30"


def observe(spec: ServerSpec, run: Run, *, blind: bool = False) -> Observed:
    """Look at the cluster and its host; connects once, and once more for each database with extensions.

    :param blind: do not connect.
    """
    exists = os.path.exists(f"{spec.config_directory}/postgresql.conf")
    data_directory = _data_directory(spec, run) if exists else f"/var/lib/postgresql/{spec.version}/{spec.cluster}"
    port = _running_port(data_directory)
    live = _live(spec, port) if port and not blind else None
    paths = managed(spec)
    return Observed(
        exists=exists,
        running=port is not None,
        data_directory=data_directory,
        tablespaces=_tablespaces(data_directory),
        memory_mb=memory_mb(),
        cores=len(os.sched_getaffinity(0)),
        disk_mb=_disk_mb(data_directory),
        files={path: found for path in paths if (found := _file(path))},
        changed_at={
            path: os.stat(path).st_mtime
            for path in (*paths, spec.tls.certificate, spec.tls.key, spec.tls.ca)
            if path and os.path.exists(path)
        },
        checksums=_checksums(spec, data_directory, live, run) if exists else None,
        live=live,
    )


def memory_mb(root: str = "/") -> int:
    """Memory in MiB: MemTotal, or the limit of the control group (version 2 or 1) when that is lower."""
    with open(os.path.join(root, "proc/meminfo"), encoding="ascii") as stream:
        total = int(next(line for line in stream if line.startswith("MemTotal:")).split()[1]) // 1024
    for name in ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(os.path.join(root, name), encoding="ascii") as stream:
                limit = stream.read().strip()
        except OSError:
            continue
        if limit.isdigit():
            total = min(total, int(limit) // MB)
    return total


def _data_directory(spec: ServerSpec, run: Run) -> str:
    status, out, err = run(["pg_conftool", "-s", str(spec.version), spec.cluster, "show", "data_directory"])
    if status != 0 or not out.strip():
        raise DbopsError(
            f"The configuration of cluster {spec.version}/{spec.cluster} names no data_directory: {err.strip()}",
            f"Mend {spec.config_directory}/postgresql.conf.",
        )
    return out.strip()


def _running_port(data_directory: str) -> int | None:
    # postmaster.pid: line 1 the process, line 4 the port. It tells the port of what runs, not of what is configured.
    try:
        with open(f"{data_directory}/postmaster.pid", encoding="ascii", errors="replace") as stream:
            lines = stream.read().splitlines()
        os.kill(int(lines[0]), 0)
        return int(lines[3])
    except (OSError, ValueError, IndexError):
        return None


def _tablespaces(data_directory: str) -> tuple[str, ...]:
    try:
        links = sorted(entry.path for entry in os.scandir(f"{data_directory}/pg_tblspc") if entry.is_symlink())
    except OSError:
        return ()
    wal = f"{data_directory}/pg_wal"
    return tuple(os.path.realpath(link) for link in (*links, *([wal] if os.path.islink(wal) else [])))


def _disk_mb(path: str) -> int:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).total // MB


def _file(path: str) -> File | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            status = os.fstat(stream.fileno())
            return File(stream.read(), stat.S_IMODE(status.st_mode), pwd.getpwuid(status.st_uid).pw_name)
    except FileNotFoundError:
        return None
    except KeyError:
        return File("", 0, "")


def _checksums(spec: ServerSpec, data_directory: str, live: Live | None, run: Run) -> bool | None:
    if live:
        return live.settings["data_checksums"].value == "on"
    program = f"/usr/lib/postgresql/{spec.version}/bin/pg_controldata"
    status, out, _err = run(["env", "LC_ALL=C", program, "-D", data_directory])
    line = next((line for line in out.splitlines() if line.startswith("Data page checksum version:")), "")
    return None if status != 0 or not line else line.split()[-1] != "0"


def _live(spec: ServerSpec, port: int) -> Live:
    connection = connect(Login(port=port), autocommit=True)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name, setting, context, pending_restart, coalesce(sourcefile, '') FROM pg_catalog.pg_settings"
            )
            settings = {row[0]: LiveSetting(row[1] or "", *row[2:]) for row in cursor.fetchall()}
            cursor.execute(
                """
                SELECT extract(epoch FROM pg_catalog.pg_conf_load_time())::float8,
                       extract(epoch FROM pg_catalog.pg_postmaster_start_time())::float8,
                       ARRAY(SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolsuper AND rolcanlogin ORDER BY 1),
                       ARRAY(SELECT datname::text FROM pg_catalog.pg_database WHERE datallowconn)
                """
            )
            loaded, started, superusers, databases = cursor.fetchone() or (0.0, 0.0, [], [])
    finally:
        connection.close()
    return Live(
        port=port,
        settings=settings,
        loaded=loaded,
        started=started,
        superusers=tuple(superusers),
        databases=frozenset(databases),
        extensions=_extensions(port, {database for database, _name in spec.extensions} & set(databases)),
    )


def _extensions(port: int, databases: set[str]) -> frozenset[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for database in sorted(databases):
        connection = connect(Login(port=port), database, autocommit=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT extname FROM pg_catalog.pg_extension")
                found.update((database, row[0]) for row in cursor.fetchall())
        finally:
            connection.close()
    return frozenset(found)


def propose(spec: ServerSpec, text: str, names: Sequence[str], run: Run) -> dict[str, str]:
    """Let PostgreSQL itself read a configuration that is not in place yet.

    A copy of the cluster's configuration directory gets the new file, and ``postgres -C`` (PostgreSQL manual,
    postgres(1)) reads it: a syntax error, an unknown name or a value out of range ends here, and the running server
    is not touched.

    :param text: the new ``10-dbops.conf``.
    :param names: settings to evaluate.
    :returns: their values in the unit of the catalog.
    :raises DbopsError: PostgreSQL refuses the configuration.
    """
    server = f"/usr/lib/postgresql/{spec.version}/bin/postgres"
    directory = tempfile.mkdtemp(prefix="dbops-postgres-")
    try:
        copy = f"{directory}/main"
        shutil.copytree(spec.config_directory, copy)
        os.makedirs(f"{copy}/conf.d", exist_ok=True)
        with open(f"{copy}/conf.d/10-dbops.conf", "w", encoding="utf-8") as stream:
            stream.write(text)
        account = pwd.getpwnam("postgres")
        for root, directories, files in os.walk(directory):
            for name in (root, *(os.path.join(root, entry) for entry in (*directories, *files))):
                os.chown(name, account.pw_uid, account.pw_gid)
        values = {}
        for name in names or ("port",):
            status, out, err = run(
                ["timeout", PROBE_SECONDS, "runuser", "-u", "postgres", "--", server, "-D", copy, "-C", name]
            )
            if status != 0:
                raise DbopsError(
                    "PostgreSQL refuses the configuration: " + _reason(err),
                    "Mend server_settings.",
                    "The running server and its files were not touched.",
                )
            values[name] = out.strip()
        return values
    finally:
        shutil.rmtree(directory)


def refuse_missing_libraries(spec: ServerSpec) -> None:
    """PostgreSQL looks for libraries only when it starts, and then does not start."""
    for name in spec.preload_libraries:
        path = name if "/" in name else f"/usr/lib/postgresql/{spec.version}/lib/{name}"
        if not os.path.exists(path if path.endswith(".so") else path + ".so"):
            raise DbopsError(
                f"server_preload_libraries names {name!r}, and there is no {path}.so",
                "Add its package to server_packages, or remove it.",
            )


def _reason(text: str) -> str:
    # Only what PostgreSQL says of the line, without its time, process and SQLSTATE.
    said = [
        re.sub(r"^[0-9A-Z]{5}:\s+", "", line.partition("LOG:")[2].strip())
        for line in text.splitlines()
        if "LOG:" in line
    ]
    return "; ".join(said) or text.strip()
