# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of pgbouncer, and since which version each exists. Pure.

Source: ``SHOW CONFIG`` of 1.18.0 and 1.24.1, and the project's changelog for what lies between. A test compares this
with what the processes on Debian 12 and 13 say.
"""

from __future__ import annotations

import difflib
import re

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

Version = tuple[int, int]

# Debian 12 has this one; what is older is not supported.
OLDEST: Version = (1, 18)

_ALWAYS = """
    admin_users application_name_add_host auth_file auth_hba_file auth_query auth_type auth_user autodb_idle_timeout
    client_idle_timeout client_login_timeout client_tls_ca_file client_tls_cert_file client_tls_ciphers
    client_tls_dheparams client_tls_ecdhcurve client_tls_key_file client_tls_protocols client_tls_sslmode conffile
    default_pool_size disable_pqexec dns_max_ttl dns_nxdomain_ttl dns_zone_check_period idle_transaction_timeout
    ignore_startup_parameters job_name listen_addr listen_backlog listen_port log_connections log_disconnections
    log_pooler_errors log_stats logfile max_client_conn max_db_connections max_packet_size max_user_connections
    min_pool_size pidfile pkt_buf pool_mode query_timeout query_wait_timeout reserve_pool_size reserve_pool_timeout
    resolv_conf sbuf_loopcnt server_check_delay server_check_query server_connect_timeout server_fast_close
    server_idle_timeout server_lifetime server_login_retry server_reset_query server_reset_query_always
    server_round_robin server_tls_ca_file server_tls_cert_file server_tls_ciphers server_tls_key_file
    server_tls_protocols server_tls_sslmode service_name so_reuseport stats_period stats_users suspend_timeout syslog
    syslog_facility syslog_ident tcp_defer_accept tcp_keepalive tcp_keepcnt tcp_keepidle tcp_keepintvl
    tcp_socket_buffer tcp_user_timeout unix_socket_dir unix_socket_group unix_socket_mode user verbose
"""

SINCE: dict[str, Version] = {
    **dict.fromkeys(_ALWAYS.split(), OLDEST),
    "auth_dbname": (1, 19),
    "peer_id": (1, 19),
    "track_extra_parameters": (1, 20),
    "cancel_wait_timeout": (1, 21),
    "max_prepared_statements": (1, 21),
    "auth_ident_file": (1, 22),
    "max_db_client_connections": (1, 24),
    "max_user_client_connections": (1, 24),
}


def parse_version(output: str) -> Version:
    """The version in what ``pgbouncer --version`` prints.

    :raises DbopsError: it prints something else, or the version is too old.
    """
    found = re.search(r"PgBouncer (\d+)\.(\d+)", output, re.IGNORECASE)
    if not found:
        raise DbopsError(f"pgbouncer --version says {output.strip()[:80]!r}", "Is it PgBouncer?")
    version = (int(found[1]), int(found[2]))
    if version < OLDEST:
        raise DbopsError(f"PgBouncer {_text(version)} is too old", f"{_text(OLDEST)} or later is needed.")
    return version


def refuse_unknown(name: str, version: Version, place: str) -> None:
    """Refuse a setting that this version has not: it would start with a warning, or not at all.

    :param place: where the setting was found, for the message.
    :raises DbopsError: with the version that has it, or the nearest name.
    """
    since = SINCE.get(name)
    if since is None:
        near = difflib.get_close_matches(name, SINCE, 1)
        hint = f"Did you mean {near[0]!r}?" if near else "See pgbouncer(5)."
        raise DbopsError(f"{place}: PgBouncer has no setting {name!r}", hint)
    if since > version:
        raise DbopsError(
            f"{place}: this host's PgBouncer {_text(version)} has no setting {name!r}; {_text(since)} has",
            "Leave it out, or install that version.",
        )


def _text(version: Version) -> str:
    return ".".join(str(part) for part in version)
