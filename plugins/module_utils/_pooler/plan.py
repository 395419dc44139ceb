# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Desired x observed -> what will be done. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.dbops.postgres.plugins.module_utils._plan import MASK, DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler import ini
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.auth import LOOKUP
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.settings import Version, refuse_unknown
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.spec import Pool, PoolerSpec, local

INI = "/etc/pgbouncer/pgbouncer.ini"
USERLIST = "/etc/pgbouncer/userlist.txt"
HBA = "/etc/pgbouncer/dbops_hba.conf"
DROP_IN = "/etc/systemd/system/pgbouncer.service.d/10-dbops.conf"
UNIT = "pgbouncer.service"
SOCKET_DIRECTORY = "/var/run/postgresql"
# The unit of each further process on the same port; Debian's own one is the first.
FURTHER_UNIT = "/etc/systemd/system/dbops-pgbouncer@.service"
# Debian's package runs it as this user.
OWNER = "postgres"
MODES = {INI: (0o640, OWNER), USERLIST: (0o600, OWNER), HBA: (0o640, OWNER), DROP_IN: (0o644, "root")}
FURTHER_MODES = {"/etc/pgbouncer": (0o640, OWNER), "/etc/systemd/system": (0o644, "root")}
MANAGED = "# Managed by dbops.postgres, role pgbouncer: changes made here are overwritten."


def unit(number: int) -> str:
    """The unit of a process; the first one is Debian's."""
    return UNIT if number == 1 else f"dbops-pgbouncer@{number}.service"


def ini_of(number: int) -> str:
    """The file that a process reads."""
    return INI if number == 1 else f"/etc/pgbouncer/process-{number}.ini"


def socket_directory(number: int) -> str:
    """Where a further process has its socket: two cannot share one, as they share the port."""
    return f"/run/pgbouncer-{number}"


# What the collection wants where nothing else is declared, each for the reason beside it.
DEFAULTS: dict[str, str] = {
    "query_wait_timeout": "30",  # a client that gets no connection hears so, as after statement_timeout
    "server_idle_timeout": "240",  # before the server's own idle_session_timeout of 300 s ends it in use
    "server_lifetime": "3600",
    "server_login_retry": "1",  # after a restart of PostgreSQL clients wait one second, not fifteen
    "server_check_delay": "10",
    "client_login_timeout": "15",
    "ignore_startup_parameters": "extra_float_digits",  # what JDBC sends
    "client_tls_protocols": "secure",  # TLS 1.2 and later
    "server_tls_protocols": "secure",
    "tcp_keepalive": "1",
    "tcp_keepidle": "60",
    "tcp_keepintvl": "10",
    "tcp_keepcnt": "6",
}
# Processes that pass the cancelling of a query on to the one that it is meant for; a shutdown that waits for clients.
PEERS: Version = (1, 19)
DRAINS: Version = (1, 23)
DEFAULTS_SINCE: dict[Version, dict[str, str]] = {(1, 21): {"max_prepared_statements": "200"}}


@dataclass(frozen=True)
class File:
    """A file as it is."""

    text: str
    mode: int
    owner: str


@dataclass(frozen=True)
class Live:
    """What the running process says.

    :param settings: SHOW CONFIG: name -> value.
    :param fixed: names that only a restart changes.
    :param databases: SHOW DATABASES: name -> column -> value.
    :param clients: connections of clients other than the console's.
    :param files: how many files the process may open.
    """

    settings: Mapping[str, str]
    fixed: frozenset[str]
    databases: Mapping[str, Mapping[str, str]]
    clients: int
    files: int


@dataclass(frozen=True)
class Observed:
    """A host's pooler.

    :param version: None: not installed yet (a dry run).
    :param files: path -> file, of those that are there.
    :param processes: number -> what it says, of those that run.
    """

    version: Version | None
    files: Mapping[str, File]
    processes: Mapping[int, Live] = field(default_factory=dict)

    @property
    def clients(self) -> int:
        """Connected to any of them."""
        return sum(live.clients for live in self.processes.values())


@dataclass(frozen=True)
class Write:
    """A file that will be replaced; ``before`` None: it does not exist; ``after`` None: it will not."""

    path: str
    before: File | None
    after: str | None

    @property
    def mode(self) -> int:
        """Its permission bits."""
        return modes(self.path)[0]

    @property
    def owner(self) -> str:
        """Who owns it."""
        return modes(self.path)[1]


@dataclass(frozen=True)
class Turn:
    """What happens to one process.

    :param verb: ``start``, ``reload``, ``restart``, ``stop``; ``replace`` and ``retire``, in which its clients may
        leave before it is restarted or stopped.
    """

    number: int
    verb: str


@dataclass(frozen=True)
class PoolerPlan:
    """What will be done.

    :param turns: in this order.
    :param why: settings for which a reload is not enough.
    :param waits: they wait, because clients are connected or because a restart was not allowed.
    """

    writes: tuple[Write, ...] = ()
    turns: tuple[Turn, ...] = ()
    why: tuple[str, ...] = ()
    waits: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def changed(self) -> bool:
        """True when there is anything to do."""
        return bool(self.writes or self.turns)

    def actions(self) -> list[str]:
        """The plan, a line each."""
        return [
            *(f"{'remove' if write.after is None else 'write'} {write.path}" for write in self.writes),
            *(f"{turn.verb} {unit(turn.number)}" for turn in self.turns),
        ]

    def diff(self) -> list[dict[str, str]]:
        """Per file, in the form that Ansible prints; passwords are masked."""
        return [
            {
                "before_header": write.path,
                "after_header": write.path,
                "before": self._shown(write, write.before.text if write.before else ""),
                "after": self._shown(write, write.after or ""),
            }
            for write in self.writes
        ]

    def _shown(self, write: Write, text: str) -> str:
        if write.path == USERLIST:  # whatever was in it before may be a password as well
            return "".join(f"{line.rpartition(' ')[0]} {MASK}\n" for line in text.splitlines() if line.strip())
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return text


def modes(path: str) -> tuple[int, str]:
    """Permission bits and owner of a file of ours."""
    return MODES.get(path) or FURTHER_MODES[path.rpartition("/")[0]]


def wanted_settings(spec: PoolerSpec, version: Version | None, number: int = 1) -> dict[str, str]:
    """The section ``[pgbouncer]``: the collection's defaults, what is declared, and what has a variable of its own.

    :param number: of the process.
    :raises DbopsError: for a declared setting that this version has not.
    """
    if version:
        _refuse_processes(spec, version)
        for name, _value in spec.settings:
            refuse_unknown(name, version, "pgbouncer_settings")
    since = [value for first, value in DEFAULTS_SINCE.items() if version and version >= first]
    tls = {"client_tls_sslmode": "disable"}
    if spec.tls_certificate:
        tls = {
            "client_tls_sslmode": "prefer",  # which addresses need it is said in the HBA file
            "client_tls_cert_file": spec.tls_certificate,
            "client_tls_key_file": spec.tls_key,
        }
    if spec.server_tls_ca:
        tls["server_tls_ca_file"] = spec.server_tls_ca
    return {
        **DEFAULTS,
        **{name: value for values in since for name, value in values.items()},
        **dict(spec.settings),
        **tls,
        "listen_addr": ",".join(spec.listen_addresses),
        "listen_port": str(spec.port),
        "auth_type": "hba",
        "auth_hba_file": HBA,
        "auth_file": USERLIST,
        "auth_user": spec.auth_user,
        "auth_query": LOOKUP,
        "pool_mode": "transaction",
        "max_client_conn": str(spec.max_client_conn),
        "default_pool_size": str(spec.pool_size),
        "min_pool_size": "0",
        "reserve_pool_size": str(spec.reserve_pool_size),
        "server_tls_sslmode": spec.server_tls_mode,
        **_of_process(spec, version, number),
    }


def _refuse_processes(spec: PoolerSpec, version: Version) -> None:
    said = ".".join(str(part) for part in version)
    if spec.processes > 1 and version < PEERS:
        raise DbopsError(
            f"pgbouncer_processes is {spec.processes}, and this host's PgBouncer {said} has no peers",
            "Leave it at 1, or install 1.19: without peers the cancelling of a query gets lost between processes.",
        )
    if spec.restart == "rolling" and version < DRAINS:
        raise DbopsError(
            f"pgbouncer_restart is rolling, and this host's PgBouncer {said} cannot wait for its clients",
            "Choose another one, or install 1.23.",
        )


def _of_process(spec: PoolerSpec, version: Version | None, number: int) -> dict[str, str]:
    """What processes on one port need, and where they differ (pgbouncer(5): so_reuseport, peer_id)."""
    if spec.processes == 1:
        return {"so_reuseport": "0", **({"peer_id": "0"} if version and version >= PEERS else {})}
    own = {"so_reuseport": "1", "peer_id": str(number)}
    if number > 1:
        own["unix_socket_dir"] = socket_directory(number)
        own["pidfile"] = f"{socket_directory(number)}/pid"
        own["logfile"] = f"/var/log/postgresql/pgbouncer-{number}.log"
    return own


def _database(pool: Pool) -> str:
    parts: dict[str, str | int] = {"host": pool.host, "port": pool.port, "dbname": pool.dbname, "pool_size": pool.size}
    parts["reserve_pool"] = pool.reserve
    if pool.minimum:
        parts["min_pool_size"] = pool.minimum
    parts["pool_mode"] = pool.mode
    return ini.connection_string(parts)


def sections(spec: PoolerSpec, version: Version | None, first_socket: str) -> dict[str, dict[str, str]]:
    """What the file of the first process has to say.

    :param first_socket: the directory of its socket, where the others reach it.
    """
    wanted = {
        "databases": {pool.name: _database(pool) for pool in spec.pools},
        "users": {spec.auth_user: f"max_user_connections={spec.auth_connections}"},
        "pgbouncer": wanted_settings(spec, version),
    }
    if spec.processes > 1:
        sockets = {1: first_socket, **{number: socket_directory(number) for number in range(2, spec.processes + 1)}}
        wanted["peers"] = {
            str(number): ini.connection_string({"host": directory, "port": spec.port})
            for number, directory in sockets.items()
        }
    return wanted


def host_based_authentication(spec: PoolerSpec) -> str:
    """Who may come: the declared users to their database from the declared networks, with SCRAM. Nobody else."""
    lines = [MANAGED, "# TYPE DATABASE USER ADDRESS METHOD"]
    for pool in spec.pools:
        for user in pool.users:
            for address in pool.addresses:
                kind = "host" if local(address) else "hostssl"
                lines.append(f"{kind} {_hba(pool.name)} {_hba(user)} {address} scram-sha-256")
    return "\n".join([*lines, "# Whoever is not named above is refused."]) + "\n"


def _hba(name: str) -> str:
    return f'"{name}"'


def userlist(spec: PoolerSpec) -> str:
    """The pooler's own login, which looks passwords up; no service has its password here."""

    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    return f"{quoted(spec.auth_user)} {quoted(spec.auth_password)}\n"


_NEVER_GIVE_UP = (
    "# Whatever it lacks, an address for example, may come later; systemd would give up after five tries.",
    "StartLimitIntervalSec=0",
)
_HARDENING = (
    "UMask=0077",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ReadWritePaths=-/run/postgresql -/var/log/postgresql",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
)


def drop_in(spec: PoolerSpec) -> str:
    """The unit's drop-in (systemd.exec(5)): it may open its sockets, write its log, and nothing more."""
    return "\n".join(
        [
            MANAGED,
            "[Unit]",
            "# It waits for a server that is not there yet, and outlives one that restarts.",
            "After=network-online.target postgresql.service",
            "Wants=network-online.target",
            *_NEVER_GIVE_UP,
            "",
            "[Service]",
            "Restart=on-failure",
            "RestartSec=1",
            "# Clients and servers, a descriptor each, and a margin.",
            f"LimitNOFILE={max(1024, spec.files)}",
            *_HARDENING,
            "",
        ]
    )


def further_unit(spec: PoolerSpec) -> str:
    """The unit of each further process. It is started and stopped with the first."""
    return "\n".join(
        [
            MANAGED,
            "[Unit]",
            "Description=connection pooler for PostgreSQL, process %i on the same port",
            "Documentation=man:pgbouncer(1)",
            f"PartOf={UNIT}",
            "After=network-online.target postgresql.service",
            "Wants=network-online.target",
            *_NEVER_GIVE_UP,
            "",
            "[Service]",
            "Type=notify",
            f"User={OWNER}",
            "ExecStart=/usr/sbin/pgbouncer /etc/pgbouncer/process-%i.ini",
            "ExecReload=/bin/kill -HUP $MAINPID",
            "KillSignal=SIGINT",
            "RuntimeDirectory=pgbouncer-%i",
            "RuntimeDirectoryMode=0700",
            "Restart=on-failure",
            "RestartSec=1",
            f"LimitNOFILE={max(1024, spec.files)}",
            *_HARDENING,
            "",
            "[Install]",
            f"WantedBy={UNIT}",
            "",
        ]
    )


def texts(spec: PoolerSpec, observed: Observed) -> dict[str, str]:
    """Path -> text of every file.

    :raises DbopsError: for a setting, declared or found in the file, that this version has not.
    """
    found = observed.files.get(INI)
    before = found.text if found else ""
    said = ini.read(before, INI).get("pgbouncer", {})
    if observed.version:
        for name in said:
            refuse_unknown(name, observed.version, INI)
    wanted = sections(spec, observed.version, said.get("unix_socket_dir") or SOCKET_DIRECTORY)
    first = ini.edit(before, wanted, exact=("databases", "users", "peers"), path=INI)
    files = {INI: first, USERLIST: userlist(spec), HBA: host_based_authentication(spec), DROP_IN: drop_in(spec)}
    for number in range(2, spec.processes + 1):
        own = {"pgbouncer": wanted_settings(spec, observed.version, number)}
        files[ini_of(number)] = f"{MANAGED}\n{ini.edit(first, own, path=INI)}"
    if spec.processes > 1:
        files[FURTHER_UNIT] = further_unit(spec)
    return files


def plan(spec: PoolerSpec, observed: Observed) -> PoolerPlan:
    """What has to be written, and whether a reload is enough."""
    wanted = texts(spec, observed)
    writes = [
        Write(path, observed.files.get(path), text) for path, text in wanted.items() if _differs(observed, path, text)
    ]
    reasons = {number: _needs_restart(spec, observed, number, writes) for number in observed.processes}
    surplus = sorted(number for number in observed.processes if number > spec.processes)
    why = tuple(dict.fromkeys(reason for found in reasons.values() for reason in found))
    gently = spec.restart == "rolling" and len(observed.processes) > 1
    may = spec.restart == "when_required" or gently or (spec.restart != "never" and observed.clients == 0)
    turns = []
    if may:
        turns = [Turn(number, "retire" if gently else "stop") for number in surplus]
        gone = [path for path in observed.files if path not in wanted]
        writes += [Write(path, observed.files[path], None) for path in gone]
    for number in range(1, spec.processes + 1):
        live = observed.processes.get(number)
        waits_for_port = number > 1 and "so_reuseport" in reasons.get(1, ()) and not may
        if live is None:
            turns += [] if waits_for_port else [Turn(number, "start")]
        elif reasons[number] and may:
            turns.append(Turn(number, "replace" if gently else "restart"))
        elif _needs_reload(spec, observed, number, writes):
            turns.append(Turn(number, "reload"))
    return PoolerPlan(tuple(writes), tuple(turns), why, bool(why) and not may, secrets=(spec.auth_password,))


def _needs_restart(spec: PoolerSpec, observed: Observed, number: int, writes: list[Write]) -> tuple[str, ...]:
    live = observed.processes[number]
    if number > spec.processes:
        return ("pgbouncer_processes",)
    fixed = tuple(sorted(name for name in differences(spec, live, observed.version, number) if name in live.fixed))
    new_unit = (DROP_IN if number == 1 else FURTHER_UNIT) in {write.path for write in writes}
    return (*fixed, *(["its unit"] if new_unit or live.files < spec.files else []))


def _needs_reload(spec: PoolerSpec, observed: Observed, number: int, writes: list[Write]) -> bool:
    live = observed.processes[number]
    if {ini_of(number), USERLIST, HBA} & {write.path for write in writes}:
        return True
    return any(name not in live.fixed for name in differences(spec, live, observed.version, number))


def _differs(observed: Observed, path: str, text: str) -> bool:
    found = observed.files.get(path)
    return found is None or (found.text, found.mode, found.owner) != (text, *modes(path))


def differences(spec: PoolerSpec, live: Live, version: Version | None, number: int = 1) -> dict[str, str]:
    """What a running process has otherwise than declared: name -> what it has. Databases as ``database <name>``."""
    found = {}
    for name, value in wanted_settings(spec, version, number).items():
        has = live.settings.get(name)
        if has is None or not _same(value, has):
            found[name] = "nothing" if has is None else has
    for pool in spec.pools:
        row = live.databases.get(pool.name)
        if row is None:
            found[f"database {pool.name}"] = "not there"
            continue
        declared = {
            "host": pool.host,
            "port": str(pool.port),
            "database": pool.dbname,
            "pool_size": str(pool.size),
            "pool_mode": pool.mode,
        }
        wrong = [f"{key}={row.get(key)}" for key, value in declared.items() if row.get(key) != value]
        if wrong:
            found[f"database {pool.name}"] = " ".join(wrong)
    for name in live.databases:
        if name != "pgbouncer" and name not in {pool.name for pool in spec.pools}:
            found[f"database {name}"] = "there"
    return found


def _same(declared: str, has: str) -> bool:
    if declared == has:
        return True
    try:
        return float(declared) == float(has)
    except ValueError:
        return False


def refuse_mismatch(
    spec: PoolerSpec, live: Live, version: Version | None, but: frozenset[str], number: int = 1
) -> None:
    """A process that was given the configuration must say what is declared.

    :param but: names that may differ.
    :raises DbopsError: naming each setting.
    """
    left = {name: value for name, value in differences(spec, live, version, number).items() if name not in but}
    if left:
        said = "; ".join(f"{name} is {value or 'empty'}" for name, value in sorted(left.items()))
        raise DbopsError(
            f"pgbouncer did not take the configuration: {said}", f"See journalctl -u {unit(number)} and its log."
        )
