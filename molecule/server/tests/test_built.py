# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that were bare."""

from __future__ import annotations

from collections.abc import Callable

from testinfra.host import Host

testinfra_hosts = ["ansible://debian*"]


def test_data_checksums_are_on(psql: Callable[..., str]) -> None:
    assert psql("SHOW data_checksums") == "on"


def test_the_first_run_started_the_server_once_and_never_restarted_it(host: Host, version: int) -> None:
    journal = host.check_output(f"journalctl --no-pager -o cat -u postgresql@{version}-main")
    assert journal.count("Started postgresql@") + journal.count("Started PostgreSQL") == 1


def test_databases_are_utf8(psql: Callable[..., str]) -> None:
    assert psql("SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = 'template1'") == (
        "UTF8|C.UTF-8"
    )
