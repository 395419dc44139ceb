# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts on which somebody had set up PostgreSQL by hand (prepare.yml)."""

from __future__ import annotations

from collections.abc import Callable

from testinfra.host import Host

testinfra_hosts = ["ansible://adopted*"]


def test_the_data_is_still_there(psql: Callable[..., str]) -> None:
    assert psql("SELECT count(*), max(id) FROM orders", "shop") == "1000|1000"


def test_the_cluster_was_restarted_once(host: Host, version: int) -> None:
    journal = host.check_output(f"journalctl --no-pager -o cat -u postgresql@{version}-main")
    assert (
        journal.count("Started postgresql@") + journal.count("Started PostgreSQL") == 2
    )  # by its package, by the role


def test_checksums_are_not_forced_on_it(psql: Callable[..., str]) -> None:
    assert psql("SHOW data_checksums") == "off"


def test_an_earlier_file_is_overridden_and_a_later_one_wins(psql: Callable[..., str]) -> None:
    assert psql("SHOW log_min_duration_statement") == "500ms"
    assert psql("SHOW work_mem") == "5MB"


def test_the_previous_pg_hba_is_kept(host: Host, version: int) -> None:
    kept = host.check_output(f"ls /etc/postgresql/{version}/main").splitlines()
    assert len([name for name in kept if name.startswith("pg_hba.conf.")]) == 1
