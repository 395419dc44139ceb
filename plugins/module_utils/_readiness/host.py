# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the operating system of the server: processes, files, the unit. As root, on the server itself, read-only.

Nothing that is read here is returned when it could hold a credential: of a profile, an environment or an argument
list only the fact that a password is in it leaves this module.
"""

from __future__ import annotations

import glob
import grp
import os
import pwd
import re
import stat
import subprocess
from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import storage
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.observe import value
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    File,
    Host,
    Seen,
    Setting,
    Unit,
    Unseen,
)

TIMEOUT_SECONDS = 10
_MOST_BYTES = 1024 * 1024  # of any one file that is searched

# A password as an argument: a connection URL, a libpq keyword, an assignment.
_PASSWORD_ARGUMENT = re.compile(
    rb"postgres(?:ql)?://[^\s:/@]*:[^\s@/]+@|(?:^|[\s\0])password=[^\s\0]|(?:^|[\s\0])PGPASSWORD=[^\s\0]"
)
_PGPASSWORD = re.compile(rb"^[^#\n]*\bPGPASSWORD=", re.MULTILINE)
_SERVICE_PASSWORD = re.compile(rb"^\s*password\s*=", re.MULTILINE)
_NO_HISTORY = re.compile(rb"^[^#\n]*(?:PSQL_HISTORY=|\\set\s+HISTFILE\s+)[\"']?/dev/null", re.MULTILINE)

_PGBACKREST = ("/etc/pgbackrest/pgbackrest.conf", "/etc/pgbackrest.conf")
_PROFILES = (".profile", ".bash_profile", ".bash_login", ".bashrc", ".zshrc", ".zprofile", ".pam_environment")
_SYSTEM_PROFILES = ("/etc/environment", "/etc/profile", "/etc/bash.bashrc", "/etc/profile.d/*")


def observe(settings: Mapping[str, Setting]) -> Seen[Host]:
    """Look at the host on which the server with these settings runs."""
    if os.geteuid() != 0:
        return Unseen(Status.NOT_TESTED, "Needs root on the server (become: true).")
    directory = value(settings, "data_directory")
    pid = _postmaster(directory)
    if pid is None:
        return Unseen(Status.NOT_TESTED, "The server's data directory is not on this host.")
    try:
        return _host(settings, directory, pid)
    except OSError as error:
        return Unseen(Status.ERROR, f"Cannot look at the host: {error}")


def _host(settings: Mapping[str, Setting], directory: str, pid: int) -> Host:
    account = pwd.getpwuid(os.stat(directory).st_uid)
    homes = _homes()
    processes = _processes()
    share = value(settings, "pg_config.SHAREDIR")
    system = value(settings, "pg_config.SYSCONFDIR")
    log = value(settings, "log_directory")
    key = value(settings, "ssl_key_file")
    port = value(settings, "port")
    paths = {
        "pgbackrest": next((path for path in _PGBACKREST if os.path.exists(path)), _PGBACKREST[0]),
        "data_directory": directory,
        "hba_file": value(settings, "hba_file"),
        "config_file": value(settings, "config_file"),
        "log_directory": os.path.join(directory, log) if log else "",
        "ssl_key_file": os.path.join(directory, key) if key else "",
        "extension_directory": os.path.join(share, "extension") if share else "",
    }
    for socket_directory in value(settings, "unix_socket_directories").split(","):
        if socket_directory.strip():
            path = os.path.join(socket_directory.strip(), f".s.PGSQL.{port}")
            paths[f"socket {path}"] = path
    superusers = sorted({account.pw_dir, "/root"})
    return Host(
        memory=_memory(),
        cpus=len(os.sched_getaffinity(0)),
        umask=_umask(pid),
        service_account=account.pw_name,
        account_locked=_locked(account.pw_name),
        unit=_unit(pid, value(settings, "config_file")),
        files={name: _file(path) for name, path in paths.items() if path},
        history=tuple(path for home in superusers for path in [os.path.join(home, ".psql_history")] if _holds(path)),
        history_disabled=_history_disabled(account.pw_dir, system),
        profiles_with_password=_matching(_profiles(homes), _PGPASSWORD),
        service_files_with_password=_matching(_service_files(homes, system), _SERVICE_PASSWORD),
        processes_with_pgpassword=tuple(
            _name(number) for number in processes if b"\0PGPASSWORD=" in b"\0" + _read(f"/proc/{number}/environ")
        ),
        processes_with_password_argument=tuple(
            _name(number) for number in processes if password_argument(_read(f"/proc/{number}/cmdline"))
        ),
        packages=_package(os.path.join(value(settings, "pg_config.BINDIR") or "/nonexistent", "postgres")),
        update=_update(value(settings, "pg_config.BINDIR")),
        fips=_read("/proc/sys/crypto/fips_enabled").strip() == b"1",
        firewall=_firewall(port),
        storage=storage.observe(directory),
    )


def password_argument(command_line: bytes) -> bool:
    """Whether a process's arguments, separated by NUL as in /proc/PID/cmdline, hold a database password."""
    return _PASSWORD_ARGUMENT.search(command_line) is not None


def firewall_limits(ruleset: str, port: str) -> bool:
    """Whether an nftables rule set (as ``nft list ruleset`` prints it) keeps somebody away from a TCP port.

    True for an input chain that drops by default, and for one that names the port and drops or rejects it.
    """
    names_port = re.compile(rf"tcp dport (?:!= )?(?:{port}\b|\{{[^}}]*\b{port}\b)")
    refuses = re.compile(r"\b(?:drop|reject)\b")
    for chain in re.split(r"^\s*chain ", ruleset, flags=re.MULTILINE)[1:]:
        if "hook input" not in chain:
            continue
        if re.search(r"hook input [^\n]*policy drop", chain) or (names_port.search(chain) and refuses.search(chain)):
            return True
    return False


def _postmaster(directory: str) -> int | None:
    lines = _read(os.path.join(directory, "postmaster.pid")).split(b"\n") if directory else [b""]
    pid = int(lines[0]) if lines[0].strip().isdigit() else 0
    return pid if pid and os.path.isdir(f"/proc/{pid}") else None


def _memory() -> int:
    match = re.search(rb"^MemTotal:\s+(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    total = int(match.group(1)) * 1024 if match else 0
    limit = _read("/sys/fs/cgroup/memory.max").strip()
    return min(total, int(limit)) if limit.isdigit() else total


def _umask(pid: int) -> Seen[int]:
    match = re.search(rb"^Umask:\s+([0-7]+)", _read(f"/proc/{pid}/status"), re.MULTILINE)
    return int(match.group(1), 8) if match else Unseen(Status.ERROR, "The kernel does not tell the umask.")


def _locked(account: str) -> Seen[bool]:
    for line in _read("/etc/shadow").decode("utf-8", "replace").splitlines():
        name, _separator, rest = line.partition(":")
        if name == account:
            return rest.split(":")[0].startswith(("!", "*"))
    return Unseen(Status.ERROR, f"/etc/shadow has no entry for {account}.")


def _unit(pid: int, config_file: str) -> Seen[Unit]:
    match = re.search(rb"/([^/\n]+\.service)(?:/|$)", _read(f"/proc/{pid}/cgroup"), re.MULTILINE)
    if not match:
        return Unit(name="", enabled="")
    name = match.group(1).decode("utf-8", "replace")
    start_conf = _read(os.path.join(os.path.dirname(config_file), "start.conf")) if config_file else b""
    words = [line.strip() for line in start_conf.decode("utf-8", "replace").splitlines()]
    starts = [line for line in words if line and not line.startswith("#")]
    # Debian's generator enables the instance of every cluster whose start.conf says auto, if this unit is enabled.
    asked = "postgresql.service" if name.startswith("postgresql@") else name
    enabled = _run(["systemctl", "is-enabled", asked])
    if isinstance(enabled, Unseen):
        return enabled
    return Unit(name=name, enabled=enabled.strip(), start_conf=starts[0] if starts else "")


def _package(binary: str) -> Seen[str]:
    answer = _run(["dpkg-query", "--search", os.path.realpath(binary)])
    if isinstance(answer, Unseen):
        return answer
    name = answer.split(":")[0].strip()
    if not name:
        return ""
    version = _run(["dpkg-query", "--show", "--showformat", "${Version}", name])
    return f"{name} {version}" if isinstance(version, str) else name


def _update(directory: str) -> Seen[tuple[str, str]]:
    """Installed and candidate version of the server's package, from the index that apt has cached."""
    owner = _run(["dpkg-query", "--search", os.path.realpath(os.path.join(directory, "postgres"))])
    if isinstance(owner, Unseen):
        return owner
    answer = _run(["apt-cache", "policy", owner.split(":")[0].strip() or "postgresql"])
    if isinstance(answer, Unseen):
        return answer
    return versions(answer)


def versions(policy: str) -> Seen[tuple[str, str]]:
    """Installed and candidate version in the output of ``apt-cache policy``."""
    found = dict(re.findall(r"^  (Installed|Candidate): (\S+)$", policy, re.MULTILINE))
    if not re.search(r"^ +-?\d+ (?!/var/lib/dpkg/status)\S+", policy, re.MULTILINE):
        return Unseen(Status.NOT_TESTED, "apt has no package index on this host (apt-get update).")
    if len(found) != 2:
        return Unseen(Status.ERROR, "apt-cache policy does not name the versions.")
    return found["Installed"], found["Candidate"]


def _firewall(port: str) -> Seen[bool]:
    if not os.path.exists("/usr/sbin/nft"):
        return False
    ruleset = _run(["/usr/sbin/nft", "--numeric", "list", "ruleset"])
    return ruleset if isinstance(ruleset, Unseen) else firewall_limits(ruleset, port)


def _run(command: Sequence[str]) -> Seen[str]:
    """Standard output of a command that only reads; a status other than 0 is an answer too."""
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Unseen(Status.ERROR, f"{command[0]}: {error}")
    return done.stdout.decode("utf-8", "replace")


def _file(path: str) -> File:
    try:
        seen = os.lstat(path)
    except OSError:
        return File(path=path, exists=False)
    kind = "socket" if stat.S_ISSOCK(seen.st_mode) else "link" if stat.S_ISLNK(seen.st_mode) else "file"
    if kind == "link":
        try:
            seen = os.stat(path)
        except OSError:
            return File(path=path, exists=False)
    return File(
        path=path,
        exists=True,
        mode=stat.S_IMODE(seen.st_mode),
        owner=_user_name(seen.st_uid),
        group=_group_name(seen.st_gid),
        kind=kind,
        size=seen.st_size,
    )


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _homes() -> list[str]:
    return sorted({entry.pw_dir for entry in pwd.getpwall() if entry.pw_dir not in ("", "/", "/nonexistent")})


def _profiles(homes: Iterable[str]) -> list[str]:
    system = [path for pattern in _SYSTEM_PROFILES for path in sorted(glob.glob(pattern))]
    return system + [os.path.join(home, name) for home in homes for name in _PROFILES]


def _service_files(homes: Iterable[str], system: str) -> list[str]:
    paths = [os.path.join(home, ".pg_service.conf") for home in homes]
    return [*paths, os.path.join(system, "pg_service.conf")] if system else paths


def _matching(paths: Iterable[str], pattern: re.Pattern[bytes]) -> tuple[str, ...]:
    return tuple(path for path in paths if pattern.search(_read(path)))


def _history_disabled(home: str, system: str) -> bool:
    path = os.path.join(home, ".psql_history")
    if os.path.islink(path) and os.path.realpath(path) == "/dev/null":
        return True
    settings = [*_profiles([home]), os.path.join(home, ".psqlrc")]
    return bool(_matching([*settings, os.path.join(system, "psqlrc")] if system else settings, _NO_HISTORY))


def _holds(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) > 0


def _processes() -> list[int]:
    return sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid())


def _name(pid: int) -> str:
    return f"{_read(f'/proc/{pid}/comm').decode('utf-8', 'replace').strip()} (pid {pid})"


def _read(path: str) -> bytes:
    try:
        if not os.path.isfile(path):
            return b""
        with open(path, "rb") as handle:
            return handle.read(_MOST_BYTES)
    except OSError:
        return b""
