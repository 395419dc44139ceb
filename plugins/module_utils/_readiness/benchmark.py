# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recommendations of the CIS PostgreSQL 17 Benchmark v1.0.0, titles in our own words. Data only.

``MANUAL``: a person has to judge it, so no probe does; the benchmark itself marks most of these as manual, and the
reason says what a machine would lack. Some that the benchmark marks as manual are judged here all the same.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recommendation:
    """One numbered recommendation.

    :param manual: why no probe can judge it; empty: a probe does.
    """

    number: str
    title: str
    manual: str = ""


RECOMMENDATIONS: tuple[Recommendation, ...] = (
    Recommendation("1.1", "packages from authorized repositories"),
    Recommendation("1.2", "only required packages", manual="what is required is a decision of the owner"),
    Recommendation("1.3", "service starts at boot"),
    Recommendation("1.4", "data directory initialised and private"),
    Recommendation("1.5", "latest security patches"),
    Recommendation("1.6", "PGPASSWORD not in a profile"),
    Recommendation("1.7", "PGPASSWORD not in a process environment"),
    Recommendation("2.1", "file creation mask"),
    Recommendation("2.2", "extension directory owned by root"),
    Recommendation("2.3", "no psql history of the superuser"),
    Recommendation("2.4", "no password in a service file"),
    Recommendation("3.1.2", "log_destination"),
    Recommendation("3.1.3", "logging_collector"),
    Recommendation("3.1.4", "log_directory"),
    Recommendation("3.1.5", "log_filename"),
    Recommendation("3.1.6", "log_file_mode"),
    Recommendation("3.1.7", "log_truncate_on_rotation"),
    Recommendation("3.1.8", "log_rotation_age"),
    Recommendation("3.1.9", "log_rotation_size"),
    Recommendation("3.1.10", "syslog_facility"),
    Recommendation("3.1.11", "syslog_sequence_numbers"),
    Recommendation("3.1.12", "syslog_split_messages"),
    Recommendation("3.1.13", "syslog_ident"),
    Recommendation("3.1.14", "log_min_messages"),
    Recommendation("3.1.15", "log_min_error_statement"),
    Recommendation("3.1.16", "debug_print_parse"),
    Recommendation("3.1.17", "debug_print_rewritten"),
    Recommendation("3.1.18", "debug_print_plan"),
    Recommendation("3.1.19", "debug_pretty_print"),
    Recommendation("3.1.20", "log_connections"),
    Recommendation("3.1.21", "log_disconnections"),
    Recommendation("3.1.22", "log_error_verbosity"),
    Recommendation("3.1.23", "log_hostname"),
    Recommendation("3.1.24", "log_line_prefix"),
    Recommendation("3.1.25", "log_statement"),
    Recommendation("3.1.26", "log_timezone"),
    Recommendation("3.2", "pgaudit loaded and set"),
    Recommendation("4.1", "no interactive login of the service account"),
    Recommendation("4.2", "sudo configured", manual="who may become the service account is a decision of the owner"),
    Recommendation("4.3", "administrative attributes"),
    Recommendation("4.4", "unused accounts locked", manual="the catalog does not record when a role last logged in"),
    Recommendation("4.5", "SECURITY DEFINER functions"),
    Recommendation("4.6", "excessive DML privileges"),
    Recommendation("4.7", "row-level security", manual="whose rows they are is known to the application: control T-1"),
    Recommendation("4.8", "set_user extension"),
    Recommendation("4.9", "predefined roles"),
    Recommendation("4.10", "public schema protected"),
    Recommendation("5.1", "no password on a command line"),
    Recommendation("5.2", "bound to an address"),
    Recommendation("5.3", "local socket authentication"),
    Recommendation("5.4", "TCP authentication"),
    Recommendation("5.5", "connection limit per account"),
    Recommendation("5.6", "password strength"),
    Recommendation("6.1", "attack vectors understood", manual="it asks for understanding"),
    Recommendation("6.2", "backend parameters"),
    Recommendation("6.3", "postmaster parameters", manual="the right values are the owner's; changes need a baseline"),
    Recommendation("6.4", "SIGHUP parameters", manual="the right values are the owner's; changes need a baseline"),
    Recommendation("6.5", "superuser parameters", manual="the right values are the owner's; changes need a baseline"),
    Recommendation("6.6", "user parameters", manual="the right values are the owner's; changes need a baseline"),
    Recommendation("6.7", "FIPS 140 cryptography"),
    Recommendation("6.8", "TLS on and configured"),
    Recommendation(
        "6.9", "pgcrypto where columns are encrypted", manual="which columns need it is the owner's decision"
    ),
    Recommendation("6.10", "strong TLS ciphers only"),
    Recommendation("7.1", "replication-only role"),
    Recommendation("7.2", "log_replication_commands"),
    Recommendation("7.3", "base backups", manual="a backup is proven by a restore: controls B-2 and B-3"),
    Recommendation("7.4", "WAL archiving"),
    Recommendation("7.5", "streaming replication over TLS"),
    Recommendation("8.1", "logs and tablespaces outside the data directory"),
    Recommendation("8.2", "pgBackRest"),
    Recommendation("8.3", "libraries and sockets"),
)

BY_NUMBER: dict[str, Recommendation] = {item.number: item for item in RECOMMENDATIONS}
