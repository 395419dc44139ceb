# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the move and a boot: every row is there, on the encrypted volume, and the old directory is gone."""

from __future__ import annotations

from collections.abc import Callable

from testinfra.host import Host

MOUNTPOINT = "/var/lib/postgresql"


def test_every_row_is_there(psql: Callable[..., str]) -> None:
    wanted = "SELECT bool_and(text = md5(i::text)) AND count(*) = 20000 AND sum(i) = 200010000 FROM kept"
    assert psql(wanted) == "t"


def test_it_lies_on_the_encrypted_volume(host: Host) -> None:
    mount = host.mount_point(MOUNTPOINT)
    assert (mount.device, mount.filesystem) == ("/dev/mapper/pgdata_crypt", "xfs")
    assert host.file(MOUNTPOINT).user == "postgres"


def test_nothing_is_left_beside_it(host: Host) -> None:
    assert not host.file(f"{MOUNTPOINT}.unencrypted").exists
    assert not host.file(f"{MOUNTPOINT}.encrypted").exists
    assert host.check_output("grep --count postgresql /etc/fstab") == "1"
