# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations, each cut off somewhere else, then a new volume key: always opened, and two keyslots are left."""

from __future__ import annotations

import json
from typing import Any

from testinfra.host import Host

DEVICE = "/dev/disk/by-id/virtio-DATA0001"


def resets(host: Host) -> list[list[str]]:
    """Moment, seconds since the boot, and how the rotation ended: for each reset after which the volume was open."""
    return [line.split()[1:] for line in host.file("/root/opened").content_string.splitlines()]


def test_it_opened_after_every_reset(host: Host) -> None:
    assert len(resets(host)) >= 3
    for moment, uptime, ended in resets(host):
        assert float(uptime) < 170  # it was reset
        assert ended == "killed" or int(moment) >= 8  # eight commands change something


def test_two_keyslots_are_left_and_no_old_key_opens(host: Host) -> None:
    assert host.check_output(f"cryptsetup luksDump {DEVICE}").count("argon2id") == 2
    last = len(resets(host))
    for number in range(last + 1):
        for kind in ("key", "recovery"):
            key = f"canary-{kind}-number-{number}-of-the-volume"
            opening = host.run(f"printf {key} | cryptsetup open --test-passphrase --key-file - {DEVICE}")
            assert opening.succeeded is (number == last), f"{kind} {number}"


def test_the_volume_key_was_replaced(host: Host) -> None:
    def digests(text: str) -> set[str]:
        metadata: dict[str, Any] = json.loads(text)
        return {digest["digest"] for digest in metadata["digests"].values()}

    before = digests(host.file("/root/header-before").content_string)
    now = digests(host.check_output(f"cryptsetup luksDump --dump-json-metadata {DEVICE}"))
    assert len(before) == len(now) == 1
    assert not before & now
