# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one pooler is to be: parameters into a frozen specification. All validation of input. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.budget import Budget, Share, budget_of

# What has a parameter of its own, so that it is validated in one place and the budget can count it.
OWNED = {
    "admin_users": "nothing: the console is for root and the pooler's own user, over the socket",
    "auth_dbname": "nothing: the function is in each database",
    "auth_file": "pgbouncer_auth_password",
    "auth_hba_file": "pgbouncer_databases",
    "auth_query": "nothing: the function is the collection's own",
    "auth_type": "nothing: SCRAM only",
    "auth_user": "pgbouncer_auth_user",
    "client_tls_cert_file": "pgbouncer_tls_certificate",
    "client_tls_key_file": "pgbouncer_tls_key",
    "client_tls_sslmode": "nothing: connections from other hosts are TLS only",
    "default_pool_size": "pgbouncer_pool_size",
    "listen_addr": "pgbouncer_listen_addresses",
    "listen_port": "pgbouncer_port",
    "max_client_conn": "pgbouncer_max_client_conn",
    "min_pool_size": "pgbouncer_databases",
    "pool_mode": "pgbouncer_databases",
    "reserve_pool_size": "pgbouncer_reserve_pool_size",
    "server_tls_ca_file": "pgbouncer_server_tls_ca",
    "server_tls_sslmode": "pgbouncer_server_tls_mode",
    "peer_id": "pgbouncer_processes",
    "so_reuseport": "pgbouncer_processes",
}
_MODES = ("transaction", "session", "statement")
_NAME = re.compile(r"[^\x00-\x1f\x7f\"]{1,63}")
_SETTING = re.compile(r"[a-z_]+")
EVERYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True)
class Pool:
    """One pooled database and who may use it; each user has a pool of its own.

    :param size: server connections of each user's pool in each process; ``reserve`` more when clients have waited for
        too long.
    :param addresses: networks of the clients.
    """

    name: str
    users: tuple[str, ...]
    addresses: tuple[str, ...]
    host: str
    port: int
    dbname: str
    size: int
    minimum: int
    reserve: int
    mode: str
    processes: int = 1

    @property
    def shares(self) -> tuple[Share, ...]:
        """What it may take of the server's connections, all processes together."""
        how = f"{self.size} + {self.reserve} in reserve" if self.reserve else ""
        if self.processes > 1:
            how = f"{self.processes} processes of {how or self.size}"
        most = self.processes * (self.size + self.reserve)
        return tuple(Share(f"pool {self.name} / {user}", most, how) for user in self.users)


@dataclass(frozen=True)
class PoolerSpec:
    """Everything that is declared about one pooler.

    :param pool_size: of each process, as ``reserve_pool_size``.
    :param restart_wait: seconds that clients have to leave a process before it is replaced.
    """

    listen_addresses: tuple[str, ...]
    port: int
    pools: tuple[Pool, ...]
    auth_user: str
    auth_password: str
    max_client_conn: int
    pool_size: int
    reserve_pool_size: int
    tls_certificate: str
    tls_key: str
    server_tls_mode: str
    server_tls_ca: str
    settings: tuple[tuple[str, str], ...]
    budget: Budget
    restart: str
    processes: int = 1
    restart_wait: int = 60

    def __repr__(self) -> str:
        return f"PoolerSpec(port={self.port}, pools={len(self.pools)})"

    @property
    def auth_connections(self) -> int:
        """How many connections the look-up of passwords may hold: one for each database."""
        return len({pool.name for pool in self.pools})

    @property
    def files(self) -> int:
        """File descriptors at most: a client and a server connection each, what TLS and look-ups need, and a margin."""
        servers = sum(share.connections for pool in self.pools for share in pool.shares)
        return self.max_client_conn + servers + self.auth_connections + 100


def parse(params: Mapping[str, Any]) -> PoolerSpec:
    """The specification that these parameters of the module describe.

    :raises DbopsError: with the name of the variable of the role that is wrong; for a budget that does not hold.
    """
    processes = _between(params["processes"], 1, 64, "pgbouncer_processes")
    if params["restart"] == "rolling" and processes == 1:
        raise DbopsError(
            "pgbouncer_restart is rolling, and there is one process",
            "Set pgbouncer_processes to 2 or more: the others take the new clients meanwhile.",
        )
    pools = tuple(_pool(raw, params, number) for number, raw in enumerate(params["databases"], 1))
    names = [pool.name for pool in pools]
    for name in sorted({name for name in names if names.count(name) > 1}):
        raise DbopsError(f"pgbouncer_databases declares {name!r} twice", "Join the two.")
    if not pools:
        raise DbopsError("pgbouncer_databases is empty, and no service is declared", "Declare what is to be pooled.")
    auth_user = _name(params["auth_user"], "pgbouncer_auth_user")
    if bool(params["tls_certificate"]) != bool(params["tls_key"]):
        raise DbopsError("pgbouncer_tls_certificate and pgbouncer_tls_key belong together", "Give both, or neither.")
    far = sorted({address for pool in pools for address in pool.addresses if not local(address)})
    if far and not params["tls_certificate"]:
        raise DbopsError(
            f"pgbouncer_databases: clients of {', '.join(far)} need TLS, and pgbouncer_tls_certificate is empty",
            "Give certificate and key, or admit this host's own addresses only.",
        )
    for pool in pools:
        if auth_user in pool.users:
            raise DbopsError(f"pgbouncer_databases: {auth_user!r} looks passwords up and is no client", "Leave it out.")
    clients = _between(params["max_client_conn"], 1, 100_000, "pgbouncer_max_client_conn")
    return PoolerSpec(
        listen_addresses=tuple(_listen(address) for address in params["listen_addresses"]),
        port=_between(params["port"], 1, 65535, "pgbouncer_port"),
        pools=pools,
        auth_user=auth_user,
        auth_password=_password(params["auth_password"]),
        max_client_conn=clients,
        pool_size=part(params["pool_size"], processes),
        reserve_pool_size=part(params["reserve_pool_size"], processes),
        tls_certificate=params["tls_certificate"] or "",
        tls_key=params["tls_key"] or "",
        server_tls_mode=params["server_tls_mode"],
        server_tls_ca=_server_ca(params),
        settings=_settings(params["settings"]),
        budget=_budget(params, pools),
        restart=params["restart"],
        processes=processes,
        restart_wait=_between(params["restart_wait"], 0, 3600, "pgbouncer_restart_wait"),
    )


def part(connections: int, processes: int) -> int:
    """What each process has of so many connections; rounded up, so that a pool is never without one."""
    return -(-connections // processes)


def _pool(raw: Mapping[str, Any], params: Mapping[str, Any], number: int) -> Pool:
    place = f"pgbouncer_databases, entry {number}"
    name = _name(raw["name"], place)
    if name == "pgbouncer":
        raise DbopsError(f"{place}: 'pgbouncer' is the name of the console", "Choose another alias.")
    users = tuple(_name(user, place) for user in raw["users"])
    if not users:
        raise DbopsError(f"{place}: {name!r} has no users", "Name the logins that may come through the pool.")
    mode = raw["pool_mode"] or "transaction"
    if mode not in _MODES:
        raise DbopsError(f"{place}: pool_mode {mode!r} of {name!r}", f"One of {', '.join(_MODES)}.")
    size = _between(_default(raw["pool_size"], params["pool_size"]), 1, 10_000, f"{place}: pool_size")
    minimum = _between(_default(raw["min_pool_size"], 0), 0, size, f"{place}: min_pool_size")
    reserve = _default(raw["reserve_pool_size"], params["reserve_pool_size"])
    reserve = _between(reserve, 0, 10_000, f"{place}: reserve_pool_size")
    processes = params["processes"]
    return Pool(
        name=name,
        users=tuple(dict.fromkeys(users)),
        addresses=tuple(_network(address, place) for address in _default(raw["addresses"], params["addresses"])),
        host=raw["host"] or params["server_host"],
        port=_between(_default(raw["port"], params["server_port"]), 1, 65535, f"{place}: port"),
        dbname=_name(raw["dbname"] or name, place),
        size=part(size, processes),
        minimum=part(minimum, processes),
        reserve=part(reserve, processes),
        mode=mode,
        processes=processes,
    )


def _budget(params: Mapping[str, Any], pools: Sequence[Pool]) -> Budget:
    direct = []
    for who, connections in params["direct"].items():
        if not isinstance(connections, int) or isinstance(connections, bool) or connections < 0:
            raise DbopsError(f"pgbouncer_direct: {who!r} has {connections!r} connections", "A number, 0 or more.")
        direct.append(Share(who, connections, "direct"))
    shares = [
        *(share for pool in pools for share in pool.shares),
        *direct,
        Share(params["auth_user"], params["processes"] * len({pool.name for pool in pools}), "looks passwords up"),
        Share("superuser", params["superuser_reserved"], "superuser_reserved_connections"),
    ]
    budget = budget_of(shares, _between(params["max_connections"], 1, 100_000, "pgbouncer_max_connections"))
    budget.check()
    return budget


def _settings(raw: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    found = []
    for name, value in raw.items():
        if not _SETTING.fullmatch(name):
            raise DbopsError(f"pgbouncer_settings: {name!r} is no name of a setting", "See pgbouncer(5).")
        if name in OWNED:
            raise DbopsError(f"pgbouncer_settings: {name!r} is not set there", f"Use {OWNED[name]}.")
        text = str(int(value) if isinstance(value, bool) else value)
        if re.search(r"[\x00-\x1f\x7f]", text):
            raise DbopsError(f"pgbouncer_settings: {name} has a control character in its value", "Remove it.")
        found.append((name, text))
    return tuple(found)


def _server_ca(params: Mapping[str, Any]) -> str:
    mode, ca = params["server_tls_mode"], params["server_tls_ca"] or ""
    if mode in ("verify-ca", "verify-full") and not ca:
        raise DbopsError(
            f"pgbouncer_server_tls_mode {mode} needs pgbouncer_server_tls_ca", "Give the authority's file."
        )
    return str(ca)


def _password(value: str) -> str:
    if not value:
        raise DbopsError("pgbouncer_auth_password is empty", "Take it from a vault; 24 random characters or more.")
    if "\n" in value or "\r" in value or "\0" in value:
        raise DbopsError("pgbouncer_auth_password has a line break or a null character", "Choose another one.")
    return value


def local(network: str) -> bool:
    """Whether its clients are on this host, so that nobody else hears them."""
    return ipaddress.ip_network(network).is_loopback


def _listen(address: str) -> str:
    if address in ("*", "0.0.0.0", "::"):
        raise DbopsError(f"pgbouncer_listen_addresses: {address!r} is every network", "Name this host's addresses.")
    if re.search(r"[\s,]", address) or not address:
        raise DbopsError(f"pgbouncer_listen_addresses: {address!r} is no address", "One address an item.")
    return address


def _network(address: str, place: str) -> str:
    try:
        network = str(ipaddress.ip_network(address))
    except ValueError as error:
        raise DbopsError(f"{place}: {address!r} is no network: {error}", "For example 10.0.1.0/24.") from None
    if network in EVERYWHERE:
        raise DbopsError(f"{place}: {address!r} lets the whole internet try", "Name the applications' networks.")
    return network


def _name(value: str, place: str) -> str:
    if not _NAME.fullmatch(value or "") or value != value.strip():
        raise DbopsError(f"{place}: {value!r} cannot be a name here", "1 to 63 characters, no quotes.")
    return value


def _default(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _between(value: int, low: int, high: int, place: str) -> int:
    if not low <= value <= high:
        raise DbopsError(f"{place} is {value}", f"It must lie between {low} and {high}.")
    return value
