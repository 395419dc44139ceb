# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server as it should be, and helpers that break one thing of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import state
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Certificate,
    Database,
    DefaultGrant,
    DefinerFunction,
    File,
    Grant,
    HbaRule,
    Host,
    Inside,
    Luks,
    Membership,
    ObjectGrants,
    Observed,
    Owned,
    Place,
    Role,
    Schema,
    Server,
    Setting,
    Settings,
    Storage,
    Unit,
)

GB = 1024**3
APP, MIGRATOR, READER = "payments_prod_app", "payments_prod_migrator", "analytics_prod_ro"
OWNER, WRITERS = "payments_prod_owner", "payments_prod_rw"
VOLUME = Place(
    "/var/lib/postgresql/17/main",
    "/dev/dm-0",
    Luks("pgdata_crypt", "LUKS2", 2, "/run/credentials/x/luks-pgdata_crypt", key_in_clear=False, header_backup=True),
)

DRILL = state.Drill("2026-11-24 03:15 UTC", 2.0, True, "set x: restored and proven", 120.0, 3600.0, 8.0)

_SETTINGS = {
    "archive_command": "pgbackrest --stanza=main archive-push %p",
    "archive_mode": "on",
    "authentication_timeout": "60",
    "auth_delay.milliseconds": "500",
    "autovacuum": "on",
    "cluster_name": "17/main@prod",
    "data_checksums": "on",
    "data_directory": "/var/lib/postgresql/17/main",
    "debug_pretty_print": "on",
    "debug_print_parse": "off",
    "debug_print_plan": "off",
    "debug_print_rewritten": "off",
    "dynamic_library_path": "$libdir",
    "fsync": "on",
    "full_page_writes": "on",
    "ignore_system_indexes": "off",
    "jit_debugging_support": "off",
    "jit_profiling_support": "off",
    "listen_addresses": "localhost,192.0.2.10",
    "local_preload_libraries": "",
    "log_checkpoints": "on",
    "log_connections": "on",
    "log_destination": "stderr",
    "log_directory": "/var/log/postgresql",
    "log_disconnections": "on",
    "log_error_verbosity": "verbose",
    "log_file_mode": "0600",
    "log_filename": "postgresql-%a.log",
    "log_hostname": "off",
    "log_line_prefix": "%m [%p]: db=%d,user=%u,app=%a,client=%h ",
    "log_lock_waits": "on",
    "log_min_duration_statement": "500",
    "log_min_error_statement": "error",
    "log_min_messages": "warning",
    "log_replication_commands": "on",
    "log_rotation_age": "1440",
    "log_rotation_size": "0",
    "log_statement": "ddl",
    "log_timezone": "UTC",
    "log_truncate_on_rotation": "on",
    "logging_collector": "on",
    "max_connections": "100",
    "password_encryption": "scram-sha-256",
    "pgaudit.log": "ddl, role",
    "port": "5432",
    "post_auth_delay": "0",
    "shared_preload_libraries": "pg_stat_statements, pgaudit, auth_delay, passwordcheck, set_user",
    "ssl": "on",
    "ssl_ciphers": "ECDHE-RSA-AES256-GCM-SHA384",
    "ssl_min_protocol_version": "TLSv1.3",
    "syslog_facility": "local0",
    "syslog_ident": "postgres",
    "syslog_sequence_numbers": "on",
    "syslog_split_messages": "on",
    "track_counts": "on",
    "unix_socket_directories": "/var/run/postgresql",
}
_TUNED = {
    "effective_cache_size": Setting(str(6 * GB // 8192), "8kB", "configuration file"),
    "maintenance_work_mem": Setting("524288", "kB", "configuration file"),
    "max_wal_size": Setting("8192", "MB", "configuration file"),
    "random_page_cost": Setting("1.1", "", "configuration file"),
    "shared_buffers": Setting(str(2 * GB // 8192), "8kB", "configuration file"),
    "work_mem": Setting("16384", "kB", "configuration file"),
}


def rule(kind: str, databases: str, users: str, address: str, method: str, netmask: str = "", line: int = 1) -> HbaRule:
    """A line of pg_hba.conf."""
    return HbaRule(line, kind, tuple(databases.split(",")), tuple(users.split(",")), address, netmask, method)


SAVED = state.Backups(
    26,
    30,
    7,
    (
        state.BackupTarget(
            "s3://backups/db1",
            off_host=True,
            problem="",
            sets=tuple(state.HeldSet(f"2026112{day}T010000Z-nightly", True, 24 * (9 - day) + 3.0) for day in range(10)),
            encrypted=True,
            databases=("payments_db",),
            newest_hours=3.0,
        ),
    ),
)


CHECKS = (
    "pg_constraint_check",
    "pg_enum_check",
    "pg_index_check",
    "pg_integrity_check",
    "pg_migrate",
    "pg_plan_check",
    "pg_rls_check",
    "pg_schema_drift_check",
    "pg_seed_guard",
)


def good() -> Observed:
    """A hardened server with one service: an owner that cannot log in, a migrator, an application, a reader."""
    inside = Inside(
        extensions=("pgaudit",),
        schemas=(Schema("public", OWNER, (Grant(WRITERS, "USAGE"), Grant(MIGRATOR, "CREATE"))),),
        grants=(
            ObjectGrants("public", "table", WRITERS, "SELECT", 4, "payments"),
            ObjectGrants("public", "table", WRITERS, "INSERT", 4, "payments"),
            ObjectGrants("public", "table", READER, "SELECT", 3, "payments"),
        ),
        owned=(Owned(OWNER, "public", "table", 4), Owned(MIGRATOR, "public", "table", 1)),
        defaults=(DefaultGrant(MIGRATOR, "public", "table", WRITERS, "SELECT"),),
        default_entries=tuple(
            (role, schema, kind)
            for role in (OWNER, MIGRATOR)
            for schema, kind in (("public", "table"), ("", "function"))
        ),
        definers=(DefinerFunction("pooler.lookup", True, True, False),),
    )
    admin = Inside(extensions=("pgaudit",), schemas=(Schema("public", "pg_database_owner", (Grant("", "USAGE"),)),))
    server = Server(
        version=170000,
        user="postgres",
        in_recovery=False,
        settings=Settings({**{name: Setting(value) for name, value in _SETTINGS.items()}, **_TUNED}),
        roles=(
            Role(
                "postgres", superuser=True, login=True, createrole=True, createdb=True, bootstrap=True, password="none"
            ),
            Role(OWNER),
            Role(WRITERS),
            Role(APP, login=True, connection_limit=20, password="scram"),
            Role(MIGRATOR, login=True, connection_limit=2, password="scram"),
            Role(READER, login=True, connection_limit=5, password="scram"),
            Role("replicator", login=True, replication=True, connection_limit=3, password="scram"),
        ),
        memberships=(Membership(WRITERS, APP), Membership(OWNER, MIGRATOR)),
        role_settings=(state.RoleSetting(APP, "", "statement_timeout", "30s"),),
        hba=(
            rule("local", "all", "postgres", "", "peer"),
            rule("local", "all", "all", "", "peer"),
            rule("host", "all", "all", "127.0.0.1", "scram-sha-256", "255.255.255.255"),
            rule("hostssl", "payments_db", f"{APP},{MIGRATOR}", "192.0.2.0", "scram-sha-256", "255.255.255.0"),
            rule("hostssl", "replication", "replicator", "192.0.2.11", "scram-sha-256", "255.255.255.255"),
        ),
        connections=(
            state.Connection(APP, "payments_db", "192.0.2.20", tls=True),
            state.Connection("replicator", "", "192.0.2.11", tls=True, replication=True),
        ),
        archiver=(state.Archiver(100),),
        tablespaces=("/srv/fast",),
        databases=(
            Database("payments_db", OWNER, False, tuple(Grant(r, "CONNECT") for r in (APP, MIGRATOR, READER)), inside),
            Database("postgres", "postgres", False, (Grant("postgres", "CONNECT"),), admin),
        ),
    )
    host = Host(
        memory=8 * GB,
        cpus=2,
        umask=0o077,
        service_account="postgres",
        account_locked=True,
        unit=Unit("postgresql@17-main.service", "enabled", "auto"),
        files={
            "data_directory": File("/var/lib/postgresql/17/main", True, 0o700, "postgres", "postgres"),
            "extension_directory": File("/usr/share/postgresql/17/extension", True, 0o755, "root", "root"),
            "hba_file": File("/etc/postgresql/17/main/pg_hba.conf", True, 0o640, "postgres", "postgres"),
            "ssl_key_file": File("/etc/dbops-postgres/tls/server.key", True, 0o600, "postgres", "postgres"),
            "pgbackrest": File("/etc/pgbackrest/pgbackrest.conf", True, 0o640, "root", "postgres"),
            "log_directory": File("/var/log/postgresql", True, 0o2750, "postgres", "adm"),
            "socket /run/s": File("/run/s", True, 0o770, "postgres", "postgres", "socket"),
        },
        history=(),
        history_disabled=True,
        profiles_with_password=(),
        service_files_with_password=(),
        processes_with_pgpassword=(),
        processes_with_password_argument=(),
        packages="postgresql-17 17.1-1",
        update=("17.1-1", "17.1-1"),
        fips=True,
        firewall=True,
        storage=Storage({"data directory": VOLUME, "WAL": VOLUME}),
    )
    leaks = state.Leaks(ages=(state.Age("payments_url", 12, 90),))
    tested = state.LoadTest(True, 3, "1000 clients")
    elsewhere = state.unseen(Status.NOT_TESTED, "the pooler has a host of its own")
    certificate = Certificate(True, "TLSv1.3", "TLS_AES_256_GCM_SHA384", "", "2027-01-01", 200)
    drills = state.Drills((DRILL,))
    return Observed(
        server,
        host,
        certificate,
        (),
        leaks,
        state.StoredLeaks((), (), 0),
        elsewhere,
        tested,
        drills,
        SAVED,
        records=state.Records(tuple(state.CheckRecord(check, "payments_db", True, 2.5, "good") for check in CHECKS)),
    )


def set_to(**settings: str) -> Observed:
    """With other settings; ``__`` in a name stands for a dot."""
    seen = good()
    changed = {name.replace("__", "."): Setting(value) for name, value in settings.items()}
    return on_server(seen, settings=Settings({**_server(seen).settings, **changed}))


def without(*names: str) -> Observed:
    """Without these settings, as a role sees them that may not."""
    seen = good()
    kept = {name: setting for name, setting in _server(seen).settings.items() if name not in names}
    return on_server(seen, settings=Settings(kept))


def on_server(seen: Observed, **changes: Any) -> Observed:
    """With other facts about the server."""
    return replace(seen, server=replace(_server(seen), **changes))


def on_host(**changes: Any) -> Observed:
    """With other facts about the host."""
    seen = good()
    assert isinstance(seen.host, Host)
    return replace(seen, host=replace(seen.host, **changes))


def leaking(**changes: Any) -> Observed:
    """With credentials in clear on the host."""
    return replace(good(), leaks=state.Leaks(**changes))


def recorded(*held: state.CheckRecord, unreadable: tuple[str, ...] = ()) -> Observed:
    """With these records of checks."""
    return replace(good(), records=state.Records(held, unreadable))


def drilled(*held: state.Drill, unreadable: tuple[str, ...] = ()) -> Observed:
    """With these receipts of restore drills."""
    return replace(good(), drills=state.Drills(held, unreadable))


def storing(**changes: Any) -> Observed:
    """With weak or visible credentials in the server."""
    return replace(good(), stored_leaks=state.StoredLeaks(**{"guessed": (), "md5": (), "statements": 0, **changes}))


def on_file(name: str, **changes: Any) -> Observed:
    """With other facts about one file."""
    host = good().host
    assert isinstance(host, Host)
    return on_host(files={**host.files, name: replace(host.files[name], **changes)})


def with_rule(*rules: HbaRule) -> Observed:
    """With further lines at the end of pg_hba.conf."""
    seen = good()
    known = _server(seen).hba
    assert isinstance(known, tuple)
    return on_server(seen, hba=(*known, *rules))


def with_role(*roles: Role, memberships: tuple[Membership, ...] = ()) -> Observed:
    """With further roles and memberships, or with known roles changed."""
    seen = good()
    known, members = _server(seen).roles, _server(seen).memberships
    assert isinstance(known, tuple)
    assert isinstance(members, tuple)
    new = {role.name for role in roles}
    kept = tuple(role for role in known if role.name not in new)
    return on_server(seen, roles=(*kept, *roles), memberships=(*members, *memberships))


def with_connection(connection: state.Connection) -> Observed:
    """With one more connection right now."""
    seen = good()
    known = _server(seen).connections
    assert isinstance(known, tuple)
    return on_server(seen, connections=(*known, connection))


def in_database(**changes: Any) -> Observed:
    """With other facts inside payments_db; ``grants_on_database`` are those on the database itself."""
    seen = good()
    databases = _server(seen).databases
    assert isinstance(databases, tuple)
    first = databases[0]
    on_it = changes.pop("grants_on_database", first.grants)
    assert isinstance(first.inside, Inside)
    changed = replace(first, grants=on_it, inside=replace(first.inside, **changes))
    return on_server(seen, databases=(changed, *databases[1:]))


def _server(seen: Observed) -> Server:
    assert isinstance(seen.server, Server)
    return seen.server
