# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The volume opens at boot by the chip, and by no other one, though both disks are there."""

from __future__ import annotations

from testinfra.host import Host

UNSEAL = "systemd-creds decrypt --name=luks-pgdata_crypt /etc/credstore.encrypted/luks-pgdata_crypt - >/dev/null"


def test_it_was_opened_at_boot_without_a_person(host: Host) -> None:
    assert host.mount_point("/var/lib/postgresql").device == "/dev/mapper/pgdata_crypt"
    assert host.service("systemd-cryptsetup@pgdata_crypt.service").is_running


def test_another_chip_does_not_unseal_the_key(host: Host) -> None:
    host.check_output(UNSEAL)
    host.check_output("tpm2_clear")  # what it has sealed before it does not unseal any more: it is another chip now
    assert not host.run(UNSEAL).succeeded
