# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts on devices: a truth table."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._volume.probe import (
    Device,
    Signature,
    confirmed,
    contents,
    obstacles,
    regions,
)
from ansible_collections.dbops.postgres.plugins.module_utils._volume.spec import MIB

BLANK = Device(path="/dev/disk/by-id/x", node="/dev/nvme1n1", size=1024 * MIB, serials=("S123456",))
UUID = "1b4fcc7a-0a0f-4c3a-9d8a-3b6f6a4de0b4"


def test_a_blank_disk_has_nothing_against_it() -> None:
    assert obstacles(BLANK, "ext4") == []
    assert contents(BLANK) == []


@pytest.mark.parametrize(
    ("device", "says"),
    [
        (replace(BLANK, mounts=("/srv",), busy="Device or resource busy"), "it is mounted on /srv"),
        (replace(BLANK, swap=True, busy="Device or resource busy"), "it is used as swap"),
        (replace(BLANK, holders=("mapping vg-data",)), "it is used by mapping vg-data"),
        (replace(BLANK, holders=("md0",)), "it is used by md0"),
        (replace(BLANK, busy="Device or resource busy"), "the kernel says that it is in use (Device or resource busy)"),
        (replace(BLANK, read_only=True), "it is read-only"),
        (replace(BLANK, unreadable=4096), "it cannot be read at byte 4096"),
        (replace(BLANK, size=63 * MIB), "it has 63 MiB, and ext4 in LUKS2 needs 64 MiB"),
        (replace(BLANK, size=0), "it has 0 MiB, and ext4 in LUKS2 needs 64 MiB"),
    ],
)
def test_what_no_confirmation_removes(device: Device, says: str) -> None:
    assert obstacles(device, "ext4") == [says]
    assert contents(device) == []


@pytest.mark.parametrize(
    ("device", "says"),
    [
        (replace(BLANK, partition_of="/dev/nvme1n1"), "it is a partition of /dev/nvme1n1, not a whole device"),
        (replace(BLANK, partitions=("/dev/nvme1n1p1",)), "it has the partitions /dev/nvme1n1p1"),
        (replace(BLANK, signatures=(Signature("ext4", 1080, UUID),)), f"a signature of ext4 at byte 1080, UUID {UUID}"),
        (replace(BLANK, signatures=(Signature("gpt", 512),)), "a signature of gpt at byte 512"),
        (replace(BLANK, nonzero_at=0), "it is not blank: the first byte that is not zero is byte 0"),
        (replace(BLANK, nonzero_at=8400953), "it is not blank: the first byte that is not zero is byte 8400953"),
    ],
)
def test_what_a_format_would_destroy(device: Device, says: str) -> None:
    assert contents(device) == [says]
    assert obstacles(device, "ext4") == []


@pytest.mark.parametrize(
    ("words", "yes"),
    [("S123456", True), (UUID, True), ("", False), ("S12", False), ("s123456", False), ("/dev/nvme1n1", False)],
)
def test_a_confirmation_names_the_very_device(words: str, yes: bool) -> None:
    device = replace(BLANK, signatures=(Signature("ext4", 1080, UUID), Signature("gpt", 512)))
    assert confirmed(device, words) is yes
    assert not confirmed(replace(BLANK, serials=("", "ab")), "ab")


@pytest.mark.parametrize(
    ("device", "luks"),
    [
        (BLANK, False),
        (replace(BLANK, luks_version=1), True),
        (replace(BLANK, luks_version=2), True),
        (replace(BLANK, signatures=(Signature("crypto_LUKS", 16384),)), True),
        (replace(BLANK, signatures=(Signature("ext4", 1080),)), False),
    ],
)
def test_any_trace_of_luks_counts(device: Device, luks: bool) -> None:
    assert device.is_luks is luks


@given(st.integers(min_value=0, max_value=2**45))
def test_what_is_read_lies_on_the_device_in_order(size: int) -> None:
    found = regions(size)
    end = 0
    for offset, length in found:
        assert offset >= end
        assert length > 0
        end = offset + length
    assert end == size
    if size > 81 * MIB:
        assert found[0] == (0, 16 * MIB)
        assert found[-1] == (size - MIB, MIB)
        assert len(found) == 66
        gaps = [after - before - MIB for (before, _length), (after, _size) in itertools.pairwise(found[1:-1])]
        assert max(gaps) - min(gaps) <= 1
    else:
        assert sum(length for _offset, length in found) == size
