# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of a server, as data. Pure: :mod:`.observe` and :mod:`.host` fill it, :mod:`.judge` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status

T = TypeVar("T")


@dataclass(frozen=True)
class Unseen:
    """Why something could not be looked at: ERROR, or NOT_TESTED when it cannot be seen from here by its nature."""

    status: Status
    reason: str


Seen = Union[T, Unseen]


class NotSeenError(Exception):
    """Raised by :func:`look`, so that a probe that depends on something unseen says so instead of judging."""

    def __init__(self, why: Unseen) -> None:
        self.why = why
        super().__init__(why.reason)


def look(part: Seen[T]) -> T:
    """What was seen; raises :class:`NotSeenError` when it was not."""
    if isinstance(part, Unseen):
        raise NotSeenError(part)
    return part


def unseen(status: Status, reason: str) -> Unseen:
    """Shorthand."""
    return Unseen(status, reason)


@dataclass(frozen=True)
class Setting:
    """A row of pg_settings, ``value`` in the setting's own unit."""

    value: str
    unit: str = ""
    source: str = "default"
    pending_restart: bool = False


class Settings(dict[str, Setting]):
    """pg_settings by name. Asking for one that is not there is :class:`NotSeenError`: the role may not see it."""

    def __missing__(self, name: str) -> Setting:
        raise NotSeenError(
            Unseen(Status.NOT_TESTED, f"The setting {name} is hidden from the connected role, or does not exist.")
        )


@dataclass(frozen=True)
class Role:
    """A row of pg_roles. ``password``: none, scram, md5, or unknown where pg_authid cannot be read."""

    name: str
    superuser: bool = False
    login: bool = False
    createrole: bool = False
    createdb: bool = False
    replication: bool = False
    bypassrls: bool = False
    connection_limit: int = -1
    password: str = "unknown"
    bootstrap: bool = False


@dataclass(frozen=True)
class Membership:
    """``member`` is in ``role``."""

    role: str
    member: str


@dataclass(frozen=True)
class RoleSetting:
    """ALTER ROLE / ALTER DATABASE ... SET; empty role or database: all of them."""

    role: str
    database: str
    name: str
    value: str


@dataclass(frozen=True)
class HbaRule:
    """A row of pg_hba_file_rules, in file order."""

    line: int
    type: str
    databases: tuple[str, ...]
    users: tuple[str, ...]
    address: str
    netmask: str
    method: str
    options: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Connection:
    """A live connection from a client."""

    user: str
    database: str
    address: str
    tls: bool
    replication: bool = False


@dataclass(frozen=True)
class Archiver:
    """pg_stat_archiver: how many segments it has archived, and whether its last attempt failed."""

    archived: int = 0
    failing: bool = False


@dataclass(frozen=True)
class Grant:
    """A privilege on the database or on a schema. Grantee empty: PUBLIC."""

    grantee: str
    privilege: str


@dataclass(frozen=True)
class ObjectGrants:
    """How many objects of a kind in a schema a grantee holds a privilege on. Grantee empty: PUBLIC."""

    schema: str
    kind: str
    grantee: str
    privilege: str
    objects: int
    example: str = ""


@dataclass(frozen=True)
class Owned:
    """How many objects of a kind in a schema a role owns."""

    owner: str
    schema: str
    kind: str
    objects: int


@dataclass(frozen=True)
class Schema:
    """A schema that belongs neither to the system nor to an extension."""

    name: str
    owner: str
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True)
class DefaultGrant:
    """An entry of pg_default_acl; schema empty: all schemas; kind: table, sequence, function, type or schema."""

    creator: str
    schema: str
    kind: str
    grantee: str
    privilege: str


@dataclass(frozen=True)
class DefinerFunction:
    """A SECURITY DEFINER function outside extensions and system schemas."""

    name: str
    owner_is_superuser: bool
    search_path_pinned: bool
    public: bool
    heeds_expiry: bool = False
    executors: tuple[str, ...] = ()  # who may execute it, besides its owner and PUBLIC


@dataclass(frozen=True)
class Inside:
    """What was seen inside one database: a fixed number of queries, however many objects there are."""

    extensions: tuple[str, ...] = ()
    schemas: tuple[Schema, ...] = ()
    grants: tuple[ObjectGrants, ...] = ()
    owned: tuple[Owned, ...] = ()
    defaults: tuple[DefaultGrant, ...] = ()
    default_entries: tuple[tuple[str, str, str], ...] = ()
    definers: tuple[DefinerFunction, ...] = ()


@dataclass(frozen=True)
class Database:
    """A database that allows connections."""

    name: str
    owner: str
    template: bool
    grants: tuple[Grant, ...]
    inside: Seen[Inside]
    checksum_failures: int = 0


@dataclass(frozen=True)
class Certificate:
    """What the server presents on the wire."""

    tls: bool
    version: str = ""
    cipher: str = ""
    subject: str = ""
    not_after: str = ""
    days_left: int = 0


@dataclass(frozen=True)
class File:
    """Of a file or directory: mode as in 0o600, owner and group names."""

    path: str
    exists: bool
    mode: int = 0
    owner: str = ""
    group: str = ""
    kind: str = "file"
    size: int = 0


@dataclass(frozen=True)
class Unit:
    """A systemd unit as it was seen."""

    name: str
    enabled: str
    start_conf: str = ""


@dataclass(frozen=True)
class Luks:
    """An encrypted layer. ``kind``: LUKS2, LUKS1, PLAIN, ...; ``key_file``: the third column of crypttab."""

    mapping: str
    kind: str
    keyslots: int
    key_file: str
    key_in_clear: bool
    header_backup: bool


@dataclass(frozen=True)
class Place:
    """What a directory lies on. ``luks`` None: on no encrypted layer."""

    path: str
    device: str
    luks: Seen[Luks] | None


@dataclass(frozen=True)
class Storage:
    """What the data lies on, by a name for a person, and swap that is not encrypted."""

    places: Mapping[str, Seen[Place]]
    swap_in_clear: tuple[str, ...] = ()


@dataclass(frozen=True)
class Host:
    """What was seen of the operating system of the server."""

    memory: int
    cpus: int
    umask: Seen[int]
    service_account: str
    account_locked: Seen[bool]
    unit: Seen[Unit]
    files: Mapping[str, File]
    history: tuple[str, ...]
    history_disabled: bool
    profiles_with_password: tuple[str, ...]
    service_files_with_password: tuple[str, ...]
    processes_with_pgpassword: tuple[str, ...]
    processes_with_password_argument: tuple[str, ...]
    packages: Seen[str]
    update: Seen[tuple[str, str]]
    fips: bool
    firewall: Seen[bool]
    storage: Seen[Storage]


@dataclass(frozen=True)
class Age:
    """Since how many days a secret is the same; -1: its evidence cannot be read."""

    secret: str
    days: int
    max_age_days: int


@dataclass(frozen=True)
class Leaks:
    """Places on the host where a credential lies in clear. Only where, never what."""

    units: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    pgpass: tuple[str, ...] = ()
    logs: Seen[tuple[str, ...]] = ()
    ages: tuple[Age, ...] = ()


@dataclass(frozen=True)
class StoredLeaks:
    """Weak or visible credentials in the server: names of roles, and the number of statements with a password."""

    guessed: tuple[str, ...]
    md5: tuple[str, ...]
    statements: Seen[int]
    unchecked: int = 0


@dataclass(frozen=True)
class Drill:
    """The receipt of a restore drill.

    :param when: ``2026-11-24 03:15 UTC``.
    :param rto_seconds: 0: it did not come as far as a restored database.
    :param rto_target_seconds: 0: none was declared.
    :param every_days: how old the last drill may become.
    """

    when: str
    age_days: float
    passed: bool
    summary: str
    rto_seconds: float
    rto_target_seconds: float
    every_days: float


@dataclass(frozen=True)
class Drills:
    """The receipts on this host, the oldest first, and the files among them that cannot be read."""

    held: tuple[Drill, ...] = ()
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckRecord:
    """The last run of a check on a database. ``days``: since then; ``statuses``: of each control, by its findings."""

    check: str
    database: str
    passed: bool
    days: float
    summary: str
    statuses: Mapping[str, tuple[Status, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Records:
    """The records on this host, and the files among them that cannot be read."""

    held: tuple[CheckRecord, ...] = ()
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Server:
    """What was seen through SQL, of the whole cluster."""

    version: int
    user: str
    in_recovery: bool
    settings: Settings
    roles: Seen[tuple[Role, ...]]
    memberships: Seen[tuple[Membership, ...]]
    role_settings: Seen[tuple[RoleSetting, ...]]
    hba: Seen[tuple[HbaRule, ...]]
    connections: Seen[tuple[Connection, ...]]
    archiver: Seen[tuple[Archiver, ...]]
    tablespaces: Seen[tuple[str, ...]]
    databases: Seen[tuple[Database, ...]]


@dataclass(frozen=True)
class LoadTest:
    """The last load test on record, by the playbook load_test. ``days``: since then."""

    passed: bool
    days: int
    said: str


@dataclass(frozen=True)
class PooledDatabase:
    """A row of pgbouncer's SHOW DATABASES, with the users that have a pool of it; ``reserve`` is on top of ``size``.

    :param most: server connections of all users together, 0: no limit.
    :param anybody: users come that nobody has named.
    :param waits: it is paused or disabled, so that its clients wait or are refused.
    """

    name: str
    host: str
    port: int
    dbname: str
    size: int
    reserve: int
    mode: str
    users: tuple[str, ...] = ()
    most: int = 0
    anybody: bool = False
    waits: bool = False


@dataclass(frozen=True)
class Pooler:
    """A running pgbouncer.

    :param settings: SHOW CONFIG.
    :param clear: whose password stands in clear in its files; not that of the login that looks passwords up.
    :param files: its configuration, password and HBA files.
    :param plain_rules: lines of its HBA file that let another host in without TLS.
    :param weak_rules: those that ask for no password, or for one that can be read along.
    """

    port: int
    settings: Mapping[str, str]
    databases: tuple[PooledDatabase, ...]
    clear: Seen[tuple[str, ...]] = ()
    files: tuple[File, ...] = ()
    plain_rules: Seen[tuple[str, ...]] = ()
    weak_rules: Seen[tuple[str, ...]] = ()

    @property
    def where(self) -> str:
        """Its port, and its number where several processes share that."""
        number = self.settings.get("peer_id") or "0"
        return f"port {self.port}" + (f", process {number}" if number != "0" else "")

    @property
    def users(self) -> frozenset[str]:
        """Who comes through it, the look-up of passwords left out."""
        return frozenset(user for database in self.databases for user in database.users)


@dataclass(frozen=True)
class Bucket:
    """A bucket as its server describes it; None: the server does not know such a thing.

    :param rules: of its lifecycle, as the API writes them.
    :param encryption: by default; empty: none.
    """

    name: str
    rules: Seen[tuple[Mapping[str, Any], ...]]
    public_blocked: bool | None = None
    encryption: str | None = None
    versioned: bool | None = None


@dataclass(frozen=True)
class HeldSet:
    """A set of backups at a target.

    :param verified: a drill has read all of it, and restored it.
    """

    id: str
    complete: bool
    age_hours: float
    verified: bool = False


@dataclass(frozen=True)
class BackupTarget:
    """What is at one target of the backups.

    :param problem: of the target or of its newest set; empty: none.
    :param encrypted: the newest complete set is, as ``databases`` and ``newest_hours`` are its.
    """

    name: str
    off_host: bool
    problem: str
    sets: tuple[HeldSet, ...]
    encrypted: bool = False
    databases: tuple[str, ...] = ()
    newest_hours: float | None = None


@dataclass(frozen=True)
class Backups:
    """The backups of this host as they lie at their targets; no targets: none is configured."""

    max_age_hours: float
    keep_days: float
    keep_minimum: float
    targets: tuple[BackupTarget, ...]


@dataclass(frozen=True)
class Observed:
    """Everything that the probes judge."""

    server: Seen[Server]
    host: Seen[Host]
    certificate: Seen[Certificate]
    weak_ciphers: Seen[tuple[str, ...]]
    leaks: Seen[Leaks]
    stored_leaks: Seen[StoredLeaks]
    poolers: Seen[tuple[Pooler, ...]]
    load_test: Seen[LoadTest]
    drills: Seen[Drills]
    backups: Seen[Backups]
    buckets: Seen[tuple[Bucket, ...]] = ()
    records: Seen[Records] = Records()


@dataclass(frozen=True)
class Thresholds:
    """Limits that an estate may set for itself."""

    certificate_days: int = 30
    slow_query_ms: int = 500
    load_test_days: int = 180
    check_days: int = 35
    network_prefix_v4: int = 16
    network_prefix_v6: int = 48
    environment: str = ""
    environments: tuple[str, ...] = field(
        default=("dev", "development", "test", "stage", "staging", "prod", "production")
    )
