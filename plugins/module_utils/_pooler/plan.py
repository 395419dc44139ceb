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
# Debian's package runs it as this user.
OWNER = "postgres"
MODES = {INI: (0o640, OWNER), USERLIST: (0o600, OWNER), HBA: (0o640, OWNER), DROP_IN: (0o644, "root")}
MANAGED = "# Managed by dbops.postgres, role pgbouncer: changes made here are overwritten."

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
    """A host's pooler. ``version`` None: not installed yet (a dry run)."""

    version: Version | None
    files: Mapping[str, File]
    running: bool = False
    live: Live | None = None


@dataclass(frozen=True)
class Write:
    """A file that will be replaced; ``before`` None: it does not exist."""

    path: str
    before: File | None
    after: str

    @property
    def mode(self) -> int:
        """Its permission bits."""
        return MODES[self.path][0]

    @property
    def owner(self) -> str:
        """Who owns it."""
        return MODES[self.path][1]


@dataclass(frozen=True)
class PoolerPlan:
    """What will be done.

    :param activate: ``start``, ``restart``, ``reload`` or nothing.
    :param why: settings for which a reload is not enough.
    :param waits: they wait, because clients are connected or because a restart was not allowed.
    """

    writes: tuple[Write, ...] = ()
    activate: str = ""
    why: tuple[str, ...] = ()
    waits: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def changed(self) -> bool:
        """True when there is anything to do."""
        return bool(self.writes or self.activate)

    def actions(self) -> list[str]:
        """The plan, a line each."""
        lines = [f"write {write.path}" for write in self.writes]
        if self.activate:
            lines.append(f"{self.activate} {UNIT}")
        return lines

    def diff(self) -> list[dict[str, str]]:
        """Per file, in the form that Ansible prints; passwords are masked."""
        return [
            {
                "before_header": write.path,
                "after_header": write.path,
                "before": self._shown(write, write.before.text if write.before else ""),
                "after": self._shown(write, write.after),
            }
            for write in self.writes
        ]

    def _shown(self, write: Write, text: str) -> str:
        if write.path == USERLIST:  # whatever was in it before may be a password as well
            return "".join(f"{line.rpartition(' ')[0]} {MASK}\n" for line in text.splitlines() if line.strip())
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return text


def wanted_settings(spec: PoolerSpec, version: Version | None) -> dict[str, str]:
    """The section ``[pgbouncer]``: the collection's defaults, what is declared, and what has a variable of its own.

    :raises DbopsError: for a declared setting that this version has not.
    """
    if version:
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
    }


def _database(pool: Pool) -> str:
    parts: dict[str, str | int] = {"host": pool.host, "port": pool.port, "dbname": pool.dbname, "pool_size": pool.size}
    parts["reserve_pool"] = pool.reserve
    if pool.minimum:
        parts["min_pool_size"] = pool.minimum
    parts["pool_mode"] = pool.mode
    return ini.connection_string(parts)


def sections(spec: PoolerSpec, version: Version | None) -> dict[str, dict[str, str]]:
    """What the file has to say."""
    return {
        "databases": {pool.name: _database(pool) for pool in spec.pools},
        "users": {spec.auth_user: f"max_user_connections={spec.auth_connections}"},
        "pgbouncer": wanted_settings(spec, version),
    }


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


def drop_in(spec: PoolerSpec) -> str:
    """The unit's drop-in (systemd.exec(5)): it may open its sockets, write its log, and nothing more."""
    return "\n".join(
        [
            MANAGED,
            "[Unit]",
            "# It waits for a server that is not there yet, and outlives one that restarts.",
            "After=network-online.target postgresql.service",
            "Wants=network-online.target",
            "",
            "[Service]",
            "Restart=on-failure",
            "RestartSec=1",
            "# Clients and servers, a descriptor each, and a margin.",
            f"LimitNOFILE={max(1024, spec.files)}",
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
            "",
        ]
    )


def texts(spec: PoolerSpec, observed: Observed) -> dict[str, str]:
    """Path -> text of every file.

    :raises DbopsError: for a setting, declared or found in the file, that this version has not.
    """
    found = observed.files.get(INI)
    before = found.text if found else ""
    if observed.version:
        for name in ini.read(before, INI).get("pgbouncer", {}):
            refuse_unknown(name, observed.version, INI)
    return {
        INI: ini.edit(before, sections(spec, observed.version), exact=("databases", "users"), path=INI),
        USERLIST: userlist(spec),
        HBA: host_based_authentication(spec),
        DROP_IN: drop_in(spec),
    }


def plan(spec: PoolerSpec, observed: Observed) -> PoolerPlan:
    """What has to be written, and whether a reload is enough."""
    wanted = texts(spec, observed)
    writes = tuple(
        Write(path, observed.files.get(path), text) for path, text in wanted.items() if _differs(observed, path, text)
    )
    secrets = (spec.auth_password,)
    if not observed.running or observed.live is None:
        return PoolerPlan(writes, "start", secrets=secrets)
    mismatched = differences(spec, observed.live, observed.version)
    fixed = tuple(sorted(name for name in mismatched if name in observed.live.fixed))
    paths = {write.path for write in writes}
    why = (*fixed, *(["its unit"] if DROP_IN in paths or observed.live.files < spec.files else []))
    if why:
        if spec.restart == "when_required" or (spec.restart == "when_idle" and observed.live.clients == 0):
            return PoolerPlan(writes, "restart", why, secrets=secrets)
        reload_too = bool(paths - {DROP_IN}) or bool(set(mismatched) - set(fixed))
        return PoolerPlan(writes, "reload" if reload_too else "", why, waits=True, secrets=secrets)
    return PoolerPlan(writes, "reload" if writes or mismatched else "", secrets=secrets)


def _differs(observed: Observed, path: str, text: str) -> bool:
    found = observed.files.get(path)
    return found is None or (found.text, found.mode, found.owner) != (text, *MODES[path])


def differences(spec: PoolerSpec, live: Live, version: Version | None) -> dict[str, str]:
    """What the running process has otherwise than declared: name -> what it has. Databases as ``database <name>``."""
    found = {}
    for name, value in wanted_settings(spec, version).items():
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


def refuse_mismatch(spec: PoolerSpec, live: Live, version: Version | None, but: frozenset[str]) -> None:
    """A process that was given the configuration must say what is declared.

    :param but: names that may differ.
    :raises DbopsError: naming each setting.
    """
    left = {name: value for name, value in differences(spec, live, version).items() if name not in but}
    if left:
        said = "; ".join(f"{name} is {value or 'empty'}" for name, value in sorted(left.items()))
        raise DbopsError(f"pgbouncer did not take the configuration: {said}", f"See journalctl -u {UNIT} and its log.")
