# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway cluster: a generated name, a directory and a socket of its own, no TCP, gone whatever happens.

What says that a cluster is ours is a marker beside its directory: it is written before the directory is made and
removed after the directory is gone, so that a run that was killed at any moment is cleaned up by the next. Whatever
lies in the scratch directory without a marker is somebody else's and stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._backup import faults
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

BINARIES = "/usr/lib/postgresql/{major}/bin"
ACCOUNT = "postgres"
PORT = 5432  # names the socket only: nothing listens on TCP
START_SECONDS = 120
STOP_SECONDS = 60
_REMOVALS = 20

_PROGRAMS = ("initdb", "pg_amcheck", "pg_ctl", "pg_restore", "postgres", "psql")
_NAME = re.compile(r"drill-[0-9a-f]{12}")

# Nobody needs this cluster after a power failure; nothing of it leaves it: no archive, no replication, no jobs.
SETTINGS = {
    "archive_mode": "off",
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "fsync": "off",
    "full_page_writes": "off",
    "hot_standby": "off",
    "jit": "off",
    "listen_addresses": "",
    "logging_collector": "off",
    "log_destination": "stderr",
    "maintenance_work_mem": "256MB",
    "max_connections": "40",
    "max_logical_replication_workers": "0",
    "max_wal_senders": "0",
    "max_wal_size": "16GB",
    "shared_buffers": "256MB",
    "ssl": "off",
    "synchronous_commit": "off",
    "unix_socket_permissions": "0700",
    "wal_level": "minimal",
}


@dataclass(frozen=True)
class Cluster:
    """A throwaway cluster of ours."""

    name: str
    directory: str
    binaries: str
    superuser: str
    major: int

    @property
    def data(self) -> str:
        """Its data directory."""
        return os.path.join(self.directory, "data")

    @property
    def socket(self) -> str:
        """The directory of its socket."""
        return os.path.join(self.directory, "s")

    @property
    def files(self) -> str:
        """Where fetched dumps lie until they are restored."""
        return os.path.join(self.directory, "files")

    @property
    def log(self) -> str:
        """The server's log."""
        return os.path.join(self.directory, "log")

    @property
    def login(self) -> Login:
        """How to reach it."""
        return Login(unix_socket=self.socket, port=PORT, user=self.superuser, database="template1", ssl_mode="disable")

    def tool(self, name: str, *arguments: str, database: str = "") -> list[str]:
        """The command line of a client tool that speaks to this cluster and to no other."""
        target = [f"--dbname={database}"] if database else []
        where = [f"--host={self.socket}", f"--port={PORT}", f"--username={self.superuser}", "--no-password"]
        return [os.path.join(self.binaries, name), *where, *target, *arguments]


def binaries_of(major: int, tools: Sequence[str] = _PROGRAMS, whose: str = "The set") -> str:
    """Where PostgreSQL of this major version lies.

    :raises DbopsError: it is not installed, with the package's name.
    """
    directory = BINARIES.format(major=major)
    for tool in tools:
        if not os.access(os.path.join(directory, tool), os.X_OK):
            raise DbopsError(
                f"{whose} is of PostgreSQL {major}, and {directory}/{tool} is not on this host",
                f"Install postgresql-{major}.",
            )
    return directory


def account() -> str | None:
    """As which user servers and tools run: PostgreSQL refuses to run as root. None: as we are."""
    return ACCOUNT if os.geteuid() == 0 else None


def environment() -> dict[str, str]:
    """The environment of tools: none of libpq's variables, which could lead to another server."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return {**kept, "LC_ALL": "C", "PATH": kept.get("PATH", "/usr/bin:/bin")}


def run(
    command: Sequence[str], *, timeout: float | None = None, text: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a tool as the right user with the right environment.

    :raises DbopsError: it cannot be started, or does not end in time.
    """
    tool = os.path.basename(command[0])
    try:
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            timeout=timeout,
            check=False,
            env=environment(),
            cwd="/",
            **identity(),
        )
    except subprocess.TimeoutExpired:
        raise DbopsError(
            f"{tool} has not ended after {timeout:g} s, and was killed", "Look at the load and the disks of this host."
        ) from None
    except OSError as error:
        raise DbopsError(
            f"{command[0]} cannot be started: {error.strerror}", "Look at its permissions, and at the memory."
        ) from None


def identity() -> dict[str, Any]:
    """The arguments of subprocess that give the child its user."""
    name = account()
    if name is None:
        return {}
    entry = _entry(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _entry(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise DbopsError(
            f"There is no user {name} on this host, as whom PostgreSQL's tools have to run",
            "Install PostgreSQL's server from Debian's packages, which make it.",
        ) from None


def give(path: str) -> None:
    """Let the user of the tools have a file or directory that we made, with what is in it."""
    if name := account():
        entry = _entry(name)
        os.chown(path, entry.pw_uid, entry.pw_gid)
        for directory, _directories, names in os.walk(path):
            for inside in names:
                os.chown(os.path.join(directory, inside), entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def area(path: str) -> str:
    """The scratch directory, made if it is not there; nobody else may be able to write in it.

    :raises DbopsError: it is a live server's, or open to others.
    """
    real = os.path.realpath(path)
    if real != path.rstrip("/"):
        raise DbopsError(f"The scratch directory {path} is behind a link, at {real}", "Name the directory itself.")
    above = path
    while above != "/":
        if os.path.exists(os.path.join(above, "PG_VERSION")):
            raise DbopsError(
                f"The scratch directory {path} lies in the data directory {above}", "Give it a directory of its own."
            )
        above = os.path.dirname(above)
    owner = _entry(name).pw_uid if (name := account()) else os.geteuid()
    with faults.named(f"The scratch directory {path}"):
        os.makedirs(path, mode=0o700, exist_ok=True)
        if os.geteuid() == 0 and not os.listdir(path):
            os.chown(path, owner, -1)
        found = os.stat(path)
    if found.st_uid not in (0, owner) or stat.S_IMODE(found.st_mode) & 0o022:
        raise DbopsError(
            f"The scratch directory {path} can be written by others",
            f"chown {pwd.getpwuid(owner).pw_name} {path}; chmod 0700 {path}",
        )
    return path


@contextlib.contextmanager
def alone(path: str) -> Generator[None, None, None]:
    """Hold the scratch directory for one drill: another would take this one's cluster for a leftover.

    :raises DbopsError: another drill holds it.
    """
    lock = os.path.join(path, "lock")
    with faults.named(lock):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        give(lock)  # a drill by root must not keep the user of the tools out
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DbopsError(
                f"Another drill or restore is running in {path}", "Wait until it has ended: journalctl -f."
            ) from None
        yield
    finally:
        os.close(descriptor)


def free_bytes(path: str) -> int:
    """What is free there for an ordinary user."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def leftovers(path: str) -> list[str]:
    """Remove what runs that were killed have left in the scratch directory; only inside :func:`alone`.

    :returns: what was removed.
    """
    removed = []
    for entry in sorted(os.listdir(path)):
        name, suffix = os.path.splitext(entry)
        if suffix == ".json" and _NAME.fullmatch(name):
            remove(path, name)
            removed.append(name)
    return removed


def remove(path: str, name: str) -> None:
    """Stop the server of a throwaway cluster, if it runs, and remove all of it.

    :raises DbopsError: it has no marker of ours, or does not go away.
    """
    marker = os.path.join(path, f"{name}.json")
    directory = os.path.join(path, name)
    if not _NAME.fullmatch(name) or not os.path.isfile(marker):
        raise DbopsError(f"{directory} is no cluster of a drill", "Look at what it is; drills remove their own only.")
    _stop(directory)
    # What was just starting may still write a file: it has to be stopped and removed again.
    for left in reversed(range(_REMOVALS)):
        try:
            if os.path.isdir(directory):
                shutil.rmtree(directory)
            break
        except OSError as error:
            if not left:
                raise DbopsError(f"Cannot remove {directory}: {error}", "Remove it, and its marker after it.") from None
        time.sleep(0.1)
        _stop(directory)
    os.unlink(marker)


def _stop(directory: str) -> None:
    """End everything that works on a throwaway cluster at once: nobody needs what is in it."""
    end = time.monotonic() + STOP_SECONDS
    told: set[int] = set()
    while running := processes(directory):
        if time.monotonic() > end:
            raise DbopsError(
                f"The throwaway server of {directory} (pid {running[0]}) does not stop", "Stop it by hand."
            )
        late = time.monotonic() > end - STOP_SECONDS / 2
        for pid in running:
            if late or pid not in told:
                # SIGQUIT is PostgreSQL's immediate shutdown: its children end with it.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGQUIT)
                told.add(pid)
        time.sleep(0.02)


def processes(directory: str) -> list[int]:
    """PostgreSQL's programs that name a file of this directory in their arguments, in which its name is unique.

    Not by postmaster.pid, whose number may be another process's after a crash, even the live server's; and not by
    /proc/PID/cwd, which a root without CAP_SYS_PTRACE, as in a hardened unit, does not see.
    """
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline", "rb") as file:
                program, *arguments = os.fsdecode(file.read()).split("\0")
                if os.path.basename(program) in _PROGRAMS and any(f"{directory}/" in item for item in arguments):
                    found.append(int(entry))
    return found


@contextlib.contextmanager
def cluster(path: str, major: int, superuser: str, about: Mapping[str, str]) -> Generator[Cluster, None, None]:
    """Directories and marker of a new cluster; everything is removed at the end, whatever happens.

    :param about: what the marker says besides: the drill and its set.
    """
    binaries = binaries_of(major)
    name = f"drill-{secrets.token_hex(6)}"
    made = Cluster(name, os.path.join(path, name), binaries, superuser, major)
    marker = os.path.join(path, f"{name}.json")
    try:
        with faults.named(marker):
            descriptor = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump({"made_by": "dbops-postgres drill", "pid": os.getpid(), **about}, file)
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(marker)
        raise
    try:
        with faults.named(made.directory):
            for directory in (made.directory, made.socket, made.files):
                os.mkdir(directory, 0o700)
                give(directory)
        yield made
    finally:
        remove(path, name)


def start(made: Cluster, settings: Mapping[str, str]) -> None:
    """Initialise the cluster and start its server.

    :param settings: besides :data:`SETTINGS`, and stronger than they.
    :raises DbopsError: with the server's own words.
    """
    # Each database brings its own encoding and locale from the dump; what template0 has does not matter.
    command = [os.path.join(made.binaries, "initdb"), f"--pgdata={made.data}", f"--username={made.superuser}"]
    # Only who may enter the socket's directory (mode 0700) reaches the server, so a password would guard nothing.
    done = run([*command, "--encoding=UTF8", "--no-locale", "--auth=trust", "--no-sync"], timeout=START_SECONDS)
    if done.returncode != 0:
        raise DbopsError(f"initdb: {_tail(done.stderr)}", "Mend this on the drill host, and hold the drill again.")
    own = {"cluster_name": made.name, "unix_socket_directories": made.socket, "port": str(PORT)}
    lines = [f"{key} = {_quoted(value)}" for key, value in {**SETTINGS, **settings, **own}.items()]
    path = os.path.join(made.data, "postgresql.auto.conf")
    with faults.named(path), open(path, "a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    command = [os.path.join(made.binaries, "pg_ctl"), "start", f"--pgdata={made.data}", f"--log={made.log}"]
    done = run([*command, "--silent", "--wait", f"--timeout={START_SECONDS}"], timeout=START_SECONDS + 10)
    if done.returncode != 0:
        raise DbopsError(
            f"The throwaway server does not start: {log_tail(made) or _tail(done.stderr)}",
            "Mend this on the drill host, and hold the drill again.",
        )
    assert_own(made)


def assert_own(made: Cluster) -> None:
    """Make sure that who answers on the socket is this cluster, before anything is restored into it.

    :raises DbopsError: it is another.
    """
    connection = _postgres.connect(made.login, autocommit=True)
    try:
        lost = _postgres.reported(f"The throwaway server {made.name}", "Look at the memory and the disks of this host.")
        with lost, connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('data_directory'), current_setting('cluster_name')")
            found = cursor.fetchone()
    finally:
        connection.close()
    if found != (made.data, made.name):
        raise DbopsError(
            f"The server on {made.socket} is {found[1] if found else 'unknown'!r}, not the drill's own {made.name}",
            "A drill restores into its own cluster only. Look at who answers there.",
        )


def log_tail(made: Cluster) -> str:
    """The last lines of the server's log that matter."""
    try:
        with open(made.log, "rb") as file:
            file.seek(max(0, os.path.getsize(made.log) - 4096))
            text = file.read()
    except OSError:
        return ""
    lines = [line for line in text.decode("utf-8", "replace").splitlines() if re.search(r"FATAL|PANIC|ERROR", line)]
    return " ".join(lines[-3:])


def _tail(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    reasons = [line for line in lines if re.search(r"FATAL|PANIC|ERROR|error:|No space left", line)]
    return " ".join(" ".join((reasons or lines)[-3:]).split())


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
