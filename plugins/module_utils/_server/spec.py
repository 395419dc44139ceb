# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one server is to be: parameters into a frozen specification. All validation of input. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

# What has to be said, word for word, before the whole internet may knock.
ANY_ADDRESS_WORDS = "the whole internet may try to log in"

_SETTING_NAME = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_CLUSTER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}")
_EXTENSION = re.compile(r"[a-z][a-z0-9_-]*")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_KEYWORDS = ("sameuser", "samerole", "samegroup")

# Settings with a variable of their own, so that they are validated and explained in one place.
OWNED = {
    "cluster_name": "server_environment",
    "listen_addresses": "server_listen_addresses",
    "max_connections": "server_max_connections",
    "password_encryption": "nothing: passwords are SCRAM only",
    "port": "server_port",
    "shared_preload_libraries": "server_preload_libraries",
    "ssl": "nothing: connections are TLS only",
    "ssl_ca_file": "server_tls",
    "ssl_cert_file": "server_tls",
    "ssl_key_file": "server_tls",
    "ssl_min_protocol_version": "server_tls_min_version",
    "unix_socket_permissions": "server_socket_permissions",
    "config_file": "nothing: the files are where Debian keeps them",
    "data_directory": "nothing: it is chosen when the cluster is created",
    "hba_file": "nothing: the files are where Debian keeps them",
    "ident_file": "nothing: the files are where Debian keeps them",
}
# Each of these can lose committed data or hide that it is lost (PostgreSQL manual 19.5, 19.17).
DANGEROUS = ("fsync", "full_page_writes", "ignore_checksum_failure", "ignore_invalid_pages", "zero_damaged_pages")


@dataclass(frozen=True)
class AccessRule:
    """Who may connect over the network: each of ``users`` from each of ``addresses`` to each of ``databases``."""

    databases: tuple[str, ...]
    users: tuple[str, ...]
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Tls:
    """Paths on the host, readable by the server. ``ca`` empty: client certificates are not verified."""

    certificate: str
    key: str
    ca: str
    min_version: str


@dataclass(frozen=True)
class ServerSpec:
    """Everything that is declared about one cluster. Sizes are in MiB; 0 means: as observed on the host."""

    version: int
    cluster: str
    port: int
    environment: str
    listen_addresses: tuple[str, ...]
    max_connections: int
    workload: str
    storage: str
    memory_mb: int
    cores: int
    tls: Tls
    access_rules: tuple[AccessRule, ...]
    replication_rules: tuple[AccessRule, ...]
    local_method: str
    socket_permissions: str
    log_directory: str
    log_file_mode: str
    log_min_duration_ms: int
    log_statement: str
    pgaudit_log: str
    preload_libraries: tuple[str, ...]
    extensions: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]
    data_mount: str
    write_paths: tuple[str, ...]
    checksums: str
    restart: str
    start_timeout: int

    @property
    def config_directory(self) -> str:
        """Where Debian keeps this cluster's configuration."""
        return f"/etc/postgresql/{self.version}/{self.cluster}"

    @property
    def unit(self) -> str:
        """Its systemd unit."""
        return f"postgresql@{self.version}-{self.cluster}.service"


def parse(params: Mapping[str, Any]) -> ServerSpec:
    """The specification that these parameters of the module describe.

    :raises DbopsError: with the name of the variable of the role that is wrong.
    """
    any_address = _words(params["allow_any_address"])
    return ServerSpec(
        version=_between(params["version"], 14, 18, "server_version"),
        cluster=_matching(params["cluster"], _CLUSTER, "server_cluster"),
        port=_between(params["port"], 1, 65535, "server_port"),
        environment=_matching(params["environment"], _ENVIRONMENT, "server_environment"),
        listen_addresses=_listen(params["listen_addresses"], any_address),
        max_connections=_between(params["max_connections"], 10, 10000, "server_max_connections"),
        workload=params["workload"],
        storage=params["storage"],
        memory_mb=params["memory_mb"] or 0,
        cores=params["cores"] or 0,
        tls=Tls(
            params["tls"]["certificate"],
            params["tls"]["key"],
            params["tls"]["ca"] or "",
            params["tls"]["min_version"],
        ),
        access_rules=_rules(params["access_rules"], "server_access_rules", any_address, params["allow_all_keyword"]),
        replication_rules=_rules(params["replication_rules"], "server_replication_rules", any_address, False),
        local_method=params["local_method"],
        socket_permissions=_mode(params["socket_permissions"], "server_socket_permissions"),
        log_directory=_path(params["log_directory"], "server_log_directory"),
        log_file_mode=_mode(params["log_file_mode"], "server_log_file_mode"),
        log_min_duration_ms=params["log_min_duration_ms"],
        log_statement=params["log_statement"],
        pgaudit_log=_scalar(params["pgaudit_log"], "server_pgaudit_log"),
        preload_libraries=tuple(
            _matching(name, re.compile(r"[A-Za-z0-9_$/.-]+"), "server_preload_libraries")
            for name in params["preload_libraries"]
        ),
        extensions=_extensions(params["extensions"]),
        settings=_settings(params["settings"]),
        data_mount=_path(params["data_mount"], "server_data_mount") if params["data_mount"] else "",
        write_paths=tuple(_path(path, "server_write_paths") for path in params["write_paths"]),
        checksums=params["checksums"],
        restart=params["restart"],
        start_timeout=params["start_timeout"],
    )


def _words(value: str) -> bool:
    if value not in ("", ANY_ADDRESS_WORDS):
        raise DbopsError(
            f"server_allow_any_address is {value!r}",
            f"Leave it out, or say it word for word: {ANY_ADDRESS_WORDS!r}.",
        )
    return bool(value)


def _rules(
    entries: Sequence[Mapping[str, Any]], variable: str, any_address: bool, allow_all: bool
) -> tuple[AccessRule, ...]:
    rules = []
    for number, entry in enumerate(entries, start=1):
        where = f"{variable}, rule {number}"
        replication = variable == "server_replication_rules"
        rule = AccessRule(
            databases=("replication",)
            if replication
            else tuple(_hba_name(name, "database", where, allow_all) for name in entry["databases"]),
            users=tuple(_hba_name(name, "user", where, allow_all) for name in entry["users"]),
            addresses=tuple(_network(text, where, any_address) for text in entry["addresses"]),
        )
        for what, values in (("databases", rule.databases), ("users", rule.users), ("addresses", rule.addresses)):
            if not values:
                raise DbopsError(f"{where} has no {what}", "Name at least one, or remove the rule.")
        if rule in rules:
            raise DbopsError(f"{where} is there twice", "Remove one of them.")
        rules.append(rule)
    return tuple(rules)


def _hba_name(name: str, kind: str, where: str, allow_all: bool) -> str:
    if not name or len(name) > 64 or _CONTROL.search(name) or '"' in name or "," in name:
        raise DbopsError(f"{where}: {name!r} is no name of a {kind}", "Write the name as it is in the catalog.")
    if name == "all" and allow_all:
        return name
    if name == "all":
        raise DbopsError(
            f"{where}: {kind} 'all' would let every {kind} in (CIS 5.10)",
            f"Name each {kind}; set server_allow_all_keyword to true if every one is really meant.",
        )
    if kind == "database" and name == "replication":
        raise DbopsError(f"{where}: 'replication' is a keyword here", "Use server_replication_rules.")
    if kind == "database" and name in _KEYWORDS:
        raise DbopsError(f"{where}: {name!r} is a keyword that hides which databases are meant", "Name each database.")
    if name[0] in "/@" or (kind == "database" and name[0] == "+"):
        raise DbopsError(
            f"{where}: {name!r} is a pattern or a file, not the name of a {kind}",
            "Name each one; a user may be a group: '+group'.",
        )
    if kind == "user" and name == "postgres":
        raise DbopsError(
            f"{where}: the superuser 'postgres' may not connect over the network (CIS 5.11)",
            "Use SSH and the local socket, or a role of its own.",
        )
    return name


def _network(text: str, where: str, any_address: bool) -> str:
    try:
        network = ipaddress.ip_network(text, strict=True)
    except ValueError as error:
        raise DbopsError(
            f"{where}: {text!r} is not a network in CIDR form ({error})",
            "Write 10.20.0.0/16, or 10.20.3.7/32 for one host.",
        ) from None
    # Two halves of the internet are the whole of it: what is wider than any private range is refused as well.
    if network.prefixlen < (8 if network.version == 4 else 16) and not any_address:
        raise DbopsError(
            f"{where}: {text} exposes the database to the internet",
            "Name the networks of the applications; if the whole internet is meant, set "
            f"server_allow_any_address: {ANY_ADDRESS_WORDS!r}.",
        )
    return str(network)


def _listen(addresses: Sequence[str], any_address: bool) -> tuple[str, ...]:
    result = ["localhost"]
    for text in addresses:
        if text in ("*", "0.0.0.0", "::"):
            if not any_address:
                raise DbopsError(
                    f"server_listen_addresses: {text!r} listens on every interface, also on ones added later",
                    "Name the addresses of this host; if every interface is meant, set "
                    f"server_allow_any_address: {ANY_ADDRESS_WORDS!r}.",
                )
        elif not _is_address(text) and not _HOST_NAME.fullmatch(text):
            raise DbopsError(f"server_listen_addresses: {text!r} is neither an address nor a host name")
        if text not in result:
            result.append(text)
    return ("*",) if "*" in result else tuple(result)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _settings(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    result = []
    for raw, value in sorted(values.items()):
        name = str(raw).lower()
        if not _SETTING_NAME.fullmatch(name):
            raise DbopsError(f"server_settings: {raw!r} is no name of a setting")
        if name in OWNED:
            raise DbopsError(f"server_settings: {name} is not set here", f"Use {OWNED[name]}.")
        if name in DANGEROUS:
            raise DbopsError(f"server_settings: {name} can lose committed data", "Leave it as PostgreSQL has it.")
        if name.startswith("include") or "conninfo" in name or "passphrase" in name:
            raise DbopsError(
                f"server_settings: {name} may carry a secret or further files", "Keep it in a file of its own."
            )
        result.append((name, _scalar(value, f"server_settings.{name}")))
    names = [name for name, _value in result]
    for name in names:
        if names.count(name) > 1:
            raise DbopsError(f"server_settings: {name} is there twice", "Remove one of them.")
    return tuple(result)


def _scalar(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, (str, int, float)):
        raise DbopsError(f"{where} must be a text, a number or a boolean, not {type(value).__name__}")
    text = str(value)
    if _CONTROL.search(text):
        raise DbopsError(f"{where} holds a line break or another control character")
    return text


def _extensions(values: Mapping[str, Sequence[str]]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for database, names in values.items():
        for name in names:
            pairs.append((database, _matching(name, _EXTENSION, "server_extensions")))
    return tuple(sorted(pairs))


def _matching(value: str, pattern: re.Pattern[str], variable: str) -> str:
    if not pattern.fullmatch(value):
        raise DbopsError(f"{variable} is {value!r}", f"It must match {pattern.pattern}.")
    return value


def _between(value: int, low: int, high: int, variable: str) -> int:
    if not low <= value <= high:
        raise DbopsError(f"{variable} is {value}", f"It must be from {low} to {high}.")
    return value


def _mode(value: str, variable: str) -> str:
    if not re.fullmatch(r"0[0-7]{3}", value):
        raise DbopsError(f"{variable} is {value!r}", "Write it as text of four octal digits: '0600'.")
    return value


def _path(value: str, variable: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9_./@+-]+", value) or "/../" in value + "/":
        raise DbopsError(f"{variable} is {value!r}", "It must be an absolute path without spaces.")
    return value.rstrip("/")
