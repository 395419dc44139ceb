# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of one server: what is constant, what follows from the specification, what follows from the host. Pure.

A number after ``CIS`` names a recommendation of the CIS PostgreSQL 17 Benchmark; docs/cis.md has them all.
"""

from __future__ import annotations

from ansible_collections.dbops.postgres.plugins.module_utils._server.spec import ServerSpec
from ansible_collections.dbops.postgres.plugins.module_utils._server.tuning import Host, Setting, tune

# Forward secrecy and authenticated encryption only. They matter for TLS 1.2; TLS 1.3 has no others.
CIPHERS = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)

Section = tuple[str, tuple[Setting, ...]]


def sections(spec: ServerSpec, host: Host) -> tuple[Section, ...]:
    """All settings in the order of the file, each name once: what the user sets replaces what is derived."""
    derived = (
        ("Identity and connections", _connections(spec)),
        ("TLS", _tls(spec)),
        ("Logging", _logging(spec)),
        ("Auditing and statistics", _auditing(spec)),
        ("Tuning", tune(host, spec.max_connections, spec.workload, spec.version)),
    )
    own = {name for name, _value in spec.settings}
    kept = tuple((title, tuple(s for s in settings if s.name not in own)) for title, settings in derived)
    custom = tuple(Setting(name, value, "server_settings") for name, value in spec.settings)
    return (*kept, ("Declared in server_settings", custom)) if custom else kept


def _connections(spec: ServerSpec) -> tuple[Setting, ...]:
    return (
        Setting(
            "cluster_name",
            f"{spec.version}/{spec.cluster}@{spec.environment}",
            "the environment, after the @: readable by every session, changed by nobody but who owns this file",
        ),
        Setting("listen_addresses", ",".join(spec.listen_addresses), "the declared interfaces only (CIS 5.2)"),
        Setting("port", str(spec.port), "server_port"),
        Setting("max_connections", str(spec.max_connections), "server_max_connections; pool rather than raise it"),
        Setting(
            "unix_socket_permissions",
            spec.socket_permissions,
            "server_socket_permissions: members of the group postgres (CIS 2.6)",
        ),
        Setting("password_encryption", "scram-sha-256", "md5 verifiers can be replayed (CIS 5.12)"),
        Setting("authentication_timeout", "60s", "a client that does not log in gives its slot back (CIS 5.7)"),
        Setting("auth_delay.milliseconds", "500", "slows the guessing of passwords down (CIS 5.7)"),
        Setting(
            "shared_preload_libraries",
            ", ".join(("pg_stat_statements", "pgaudit", "auth_delay", "passwordcheck", *spec.preload_libraries)),
            "statistics (O-1), audit (CIS 3.2), delay after a wrong password (CIS 5.7), password strength (CIS 5.6)",
        ),
    )


def _tls(spec: ServerSpec) -> tuple[Setting, ...]:
    return (
        Setting("ssl", "on", "every connection over the network is TLS (CIS 6.8)"),
        Setting("ssl_cert_file", spec.tls.certificate, "server_tls"),
        Setting("ssl_key_file", spec.tls.key, "readable by the server alone"),
        Setting("ssl_ca_file", spec.tls.ca, "verifies client certificates"),
        Setting("ssl_min_protocol_version", spec.tls.min_version, "server_tls_min_version (CIS 6.8)"),
        Setting("ssl_ciphers", ":".join(CIPHERS), "for TLS 1.2: forward secrecy, authenticated (CIS 6.10)"),
        Setting("ssl_prefer_server_ciphers", "on", "the server chooses, not the weakest client"),
        Setting("ssl_ecdh_curve", "prime256v1", "at least 128 bits of security, known to every client"),
    )


def _logging(spec: ServerSpec) -> tuple[Setting, ...]:
    slow = spec.log_min_duration_ms
    return (
        Setting("log_destination", "stderr", "one file that pgbadger and log shippers read (CIS 3.1.2)"),
        Setting("logging_collector", "on", "no message is lost, also not one of a library (CIS 3.1.3)"),
        Setting("log_directory", spec.log_directory, "outside the data directory (CIS 3.1.4, 3.1.27)"),
        Setting(
            "log_filename",
            f"postgresql-{spec.version}-{spec.cluster}-%a.log",
            "one file a weekday: a week here, and ten more in logrotate's copies (CIS 3.1.5)",
        ),
        Setting("log_file_mode", spec.log_file_mode, "server_log_file_mode (CIS 3.1.6)"),
        Setting("log_truncate_on_rotation", "on", "the same weekday's file starts anew (CIS 3.1.7)"),
        Setting("log_rotation_age", "1d", "a file a day (CIS 3.1.8)"),
        Setting("log_rotation_size", "0", "by day only: by size, one weekday's file would be appended to (CIS 3.1.9)"),
        Setting("syslog_sequence_numbers", "on", "if syslog is used: nothing suppressed as repeated (CIS 3.1.11)"),
        Setting("syslog_split_messages", "on", "if syslog is used: nothing lost for its size (CIS 3.1.12)"),
        Setting("log_min_messages", "warning", "neither too little nor noise (CIS 3.1.14)"),
        Setting("log_min_error_statement", "error", "the statement with the error that it caused (CIS 3.1.15)"),
        Setting("debug_print_parse", "off", "would write data into the log (CIS 3.1.16)"),
        Setting("debug_print_rewritten", "off", "would write data into the log (CIS 3.1.17)"),
        Setting("debug_print_plan", "off", "would write data into the log (CIS 3.1.18)"),
        Setting("debug_pretty_print", "on", "readable when somebody does need it (CIS 3.1.19)"),
        Setting("log_connections", "on", "who came (CIS 3.1.20)"),
        Setting("log_disconnections", "on", "who left, and after how long (CIS 3.1.21)"),
        Setting("log_error_verbosity", "verbose", "with the SQLSTATE that alerts match on (CIS 3.1.22)"),
        Setting("log_hostname", "off", "a name look-up would delay every connection (CIS 3.1.23)"),
        Setting(
            "log_line_prefix",
            "%m [%p]: db=%d,user=%u,app=%a,client=%h ",
            "what pgbadger reads by itself and an audit asks for (CIS 3.1.24)",
        ),
        Setting(
            "log_statement",
            spec.log_statement,
            "pgaudit records DDL and roles with passwords redacted; this would write them in clear (CIS 3.1.25)"
            if spec.log_statement == "none"
            else "server_log_statement (CIS 3.1.25)",
        ),
        Setting("log_timezone", "UTC", "hosts can be compared, no hour is there twice (CIS 3.1.26)"),
        Setting("log_min_duration_statement", f"{slow}ms" if slow >= 0 else "-1", "slow queries (O-3)"),
        Setting("log_parameter_max_length", "0", "bound values of slow statements are people's data"),
        Setting("log_parameter_max_length_on_error", "0", "bound values of failed statements as well"),
        Setting("log_lock_waits", "on", "who waited for whom longer than deadlock_timeout (O-3)"),
        Setting("log_checkpoints", "on", "checkpoints by size mean max_wal_size is too small (O-3)"),
        Setting("log_temp_files", "10MB", "sorts that work_mem is too small for (O-3)"),
        Setting("log_autovacuum_min_duration", "1s", "tables that autovacuum works hard on (O-3)"),
        Setting("log_recovery_conflict_waits", "on", "on a replica: what replay waits for"),
        Setting("log_replication_commands", "on", "who copied the cluster (CIS 7.2)"),
    )


def _auditing(spec: ServerSpec) -> tuple[Setting, ...]:
    return (
        Setting("pgaudit.log", spec.pgaudit_log, "server_pgaudit_log (CIS 3.2)"),
        Setting("pgaudit.log_catalog", "off", "psql and drivers read the catalog all the time"),
        Setting("pgaudit.log_parameter", "off", "values are people's data"),
        Setting("pg_stat_statements.track", "all", "statements inside functions as well"),
        Setting(
            "pg_stat_statements.track_utility", "off", "would keep ALTER ROLE ... PASSWORD in clear, for every reader"
        ),
        Setting("pg_stat_statements.max", "10000", "the default 5000 is short for an ORM"),
        Setting("track_io_timing", "on", "time spent on reads and writes, in EXPLAIN and in the statistics"),
        Setting("track_activity_query_size", "4096", "whole statements in pg_stat_activity"),
    )
