# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of one cluster and its host, as data. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._server.spec import ServerSpec


@dataclass(frozen=True)
class File:
    """A file as it is: its text, its permission bits, its owner."""

    text: str
    mode: int
    owner: str


@dataclass(frozen=True)
class LiveSetting:
    """A row of pg_settings. ``value`` is in the unit of the catalog; ``source`` is the file it came from, if any."""

    value: str
    context: str
    pending_restart: bool
    source: str


@dataclass(frozen=True)
class Live:
    """What only a running server knows.

    :param loaded: when it last read its configuration, seconds since the epoch.
    :param started: when it was started.
    :param superusers: names of superusers that may log in.
    :param extensions: pairs of database and extension, in the databases that were asked for.
    """

    port: int
    settings: Mapping[str, LiveSetting]
    loaded: float
    started: float
    superusers: tuple[str, ...]
    extensions: frozenset[tuple[str, str]]
    databases: frozenset[str]

    @property
    def pending(self) -> tuple[str, ...]:
        """Settings that wait for a restart."""
        return tuple(sorted(name for name, row in self.settings.items() if row.pending_restart))


@dataclass(frozen=True)
class Observed:
    """The state of one cluster and its host.

    :param exists: the cluster was created.
    :param running: its server runs. Without ``live`` then: a dry run on a host that has no psycopg2 yet.
    :param checksums: data checksums are on; None when that cannot be seen.
    :param changed_at: modification times of files that the server reads, by path.
    """

    exists: bool
    running: bool
    data_directory: str
    tablespaces: tuple[str, ...]
    memory_mb: int
    cores: int
    disk_mb: int
    files: Mapping[str, File]
    changed_at: Mapping[str, float]
    checksums: bool | None
    live: Live | None


def drop_in(spec: ServerSpec) -> str:
    """The path of the drop-in of the cluster's unit."""
    return f"/etc/systemd/system/{spec.unit}.d/10-dbops.conf"


def managed(spec: ServerSpec) -> tuple[str, str, str, str]:
    """The files that are written: configuration, host-based authentication, ident map, drop-in."""
    directory = spec.config_directory
    return (
        f"{directory}/conf.d/10-dbops.conf",
        f"{directory}/pg_hba.conf",
        f"{directory}/pg_ident.conf",
        drop_in(spec),
    )
