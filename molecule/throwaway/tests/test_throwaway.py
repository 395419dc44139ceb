# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throwaway hosts are what roles and tests take them for."""

from __future__ import annotations

import pytest
from testinfra.host import Host

RELEASES = {"debian12": ("bookworm", 15), "debian13": ("trixie", 17)}


@pytest.fixture
def name(host: Host) -> str:
    return str(host.check_output("hostname"))


def test_systemd_has_booted_without_failures(host: Host) -> None:
    assert host.check_output("systemctl is-system-running") == "running"


def test_the_release_is_that_of_the_image(host: Host, name: str) -> None:
    assert host.file("/etc/throwaway").content_string == f"{RELEASES[name][0]}\n"


@pytest.mark.parametrize("other", RELEASES)
def test_hosts_find_each_other_by_name(host: Host, other: str) -> None:
    host.run_expect([0], f"timeout 5 bash -c 'echo >/dev/tcp/{other}/22'")


def test_nothing_of_postgresql_is_there_but_its_archives(host: Host, name: str) -> None:
    assert host.run("dpkg --list | grep -E 'ii +(postgresql|python3-psycopg2)'").stdout == ""
    version = RELEASES[name][1]
    host.run_expect([0], f"apt-get install --simulate --no-download postgresql-{version}")
    archives = host.check_output("ls /var/cache/apt/archives")
    assert f"postgresql-{version}_{version}." in archives
    assert "python3-psycopg2_" in archives


def test_an_installation_keeps_the_archives_and_the_lists(host: Host) -> None:
    assert host.package("nftables").is_installed
    assert "nftables_" in host.check_output("ls /var/cache/apt/archives")
    assert host.check_output("ls /var/lib/apt/lists | grep -c _Packages") >= "1"


def test_services_get_their_sandbox_and_their_credentials(host: Host) -> None:
    command = "systemd-run --quiet --pipe --wait -p ProtectSystem=strict -p LoadCredential=name:/etc/hostname "
    script = "'cat $CREDENTIALS_DIRECTORY/name; touch /etc/new 2>&1'"
    output = host.run(f"{command} sh -c {script}")
    assert output.stdout.startswith("debian")
    assert "Read-only file system" in output.stdout


def test_a_firewall_can_be_set(host: Host) -> None:
    host.run_expect(
        [0], "nft add table inet throwaway && nft list table inet throwaway && nft delete table inet throwaway"
    )


def test_shared_memory_is_enough_for_postgresql(host: Host) -> None:
    assert int(host.check_output("df --output=size --block-size=1M /dev/shm | tail -1")) >= 1024
