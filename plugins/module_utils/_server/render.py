# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of every file that the server needs. Pure: the same specification gives the same bytes."""

from __future__ import annotations

import re

from ansible_collections.dbops.postgres.plugins.module_utils._server.settings import Section
from ansible_collections.dbops.postgres.plugins.module_utils._server.spec import ServerSpec
from ansible_collections.dbops.postgres.plugins.module_utils._server.tuning import Host

MANAGED = "# Managed by dbops.postgres, role server: changes made here are overwritten."
_SIZED = re.compile(r"^# Sized for: memory (\d+) MB, disk (\d+) MB", re.MULTILINE)


def configuration(sections: tuple[Section, ...], host: Host) -> str:
    """``conf.d/10-dbops.conf``: every setting under the comment that says why."""
    lines = [
        MANAGED,
        f"# Sized for: memory {host.memory_mb} MB, disk {host.disk_mb} MB, {host.cores} cores, {host.storage}.",
    ]
    for title, settings in sections:
        lines += ["", f"# --- {title} ---"]
        for setting in settings:
            lines += [f"# {setting.reason}", f"{setting.name} = {quoted(setting.value)}"]
    return "\n".join(lines) + "\n"


def sized_for(text: str) -> tuple[int, int]:
    """Memory and disk in MiB that an earlier configuration was sized for; (0, 0) when it does not say."""
    found = _SIZED.search(text)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def values(text: str) -> dict[str, str]:
    """The settings of a file that :func:`configuration` wrote, unquoted."""
    result = {}
    for line in text.split("\n"):
        name, equals, value = line.partition(" = ")
        if equals and not line.startswith("#"):
            result[name] = value[1:-1].replace("''", "'").replace("\\\\", "\\")
    return result


def quoted(value: str) -> str:
    """A value in single quotes (PostgreSQL manual 19.1.2); a backslash is an escape there."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def host_based_authentication(spec: ServerSpec) -> str:
    """``pg_hba.conf``. The first matching line decides (PostgreSQL manual 20.1), so the refusals come first."""
    lines = [
        MANAGED,
        "# TYPE DATABASE USER ADDRESS METHOD",
        "",
        "# The superuser: from this host, as the operating system's user, and no other way.",
        "local all postgres peer",
        "local replication postgres peer",
        f"local all all {spec.local_method}",
        "",
        "# Nobody without TLS, the superuser never over the network.",
        "hostnossl all all all reject",
        "hostnossl replication all all reject",
        "host all postgres all reject",
        "host replication postgres all reject",
        "",
        "# Declared in server_access_rules.",
    ]
    for rule in (*spec.access_rules, *spec.replication_rules):
        if rule.databases == ("replication",):
            databases = "replication"
        else:
            databases = ",".join(hba_name(name) for name in rule.databases)
        users = ",".join(hba_name(name) for name in rule.users)
        lines += [f"hostssl {databases} {users} {address} scram-sha-256" for address in rule.addresses]
    lines += ["", "# Whoever is not named above.", "host all all all reject", "host replication all all reject"]
    return "\n".join(lines) + "\n"


def hba_name(name: str) -> str:
    """A name as pg_hba.conf needs it: quotes take the meaning from keywords and allow any character."""
    if name == "all":
        return name
    if name.startswith("+"):
        return "+" + _hba_quoted(name[1:])
    return _hba_quoted(name)


def _hba_quoted(name: str) -> str:
    plain = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_$.-]*", name) and name not in ("all", "replication", "sameuser")
    return name if plain else f'"{name}"'


def ident_map() -> str:
    """``pg_ident.conf``: no operating system user is anybody else in the database."""
    return MANAGED + "\n# MAPNAME SYSTEM-USERNAME PG-USERNAME\n"


def unit_drop_in(spec: ServerSpec, write_paths: tuple[str, ...]) -> str:
    """The drop-in of the cluster's unit (systemd.exec(5), systemd.unit(5)).

    :param write_paths: where the server must write: data directory, tablespaces, logs.
    """
    unit = []
    if spec.data_mount:
        unit = [
            "# Without its volume the server must not start: it would run on an empty directory of the root disk.",
            f"RequiresMountsFor={spec.data_mount}",
            f"AssertPathIsMountPoint={spec.data_mount}",
        ]
    if spec.listen_addresses != ("localhost",):
        unit += [
            "# It listens on addresses that must be up.",
            "Wants=network-online.target",
            "After=network-online.target",
        ]
    return "\n".join(
        [
            MANAGED,
            *(["[Unit]", *unit, ""] if unit else []),
            "[Service]",
            "# Files of the server are its own (CIS 2.1).",
            "UMask=0077",
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "# A path that is not there is no reason not to start.",
            *(f"ReadWritePaths=-{path}" for path in write_paths),
            "ProtectHome=yes",
            "PrivateTmp=yes",
            "ProtectClock=yes",
            "ProtectControlGroups=yes",
            "ProtectHostname=yes",
            "ProtectKernelLogs=yes",
            "ProtectKernelModules=yes",
            "ProtectKernelTunables=yes",
            "LockPersonality=yes",
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
            "RestrictNamespaces=yes",
            "RestrictRealtime=yes",
            "RestrictSUIDSGID=yes",
            "SystemCallArchitectures=native",
            "",
        ]
    )
