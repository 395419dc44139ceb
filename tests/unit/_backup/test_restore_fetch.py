# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching an object: every byte is hashed, whatever becomes of the filters."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._backup.restore_fetch import fetch, filters
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

DATA = bytes(range(256)) * 40_000  # 10 MB: more than any pipe holds
GUNZIP = ["gzip", "--decompress", "--stdout"]


def chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 1 << 16):
        yield data[start : start + (1 << 16)]


@pytest.mark.parametrize("commands", [[], [["cat"]], [GUNZIP], [["cat"], GUNZIP, ["cat"]]])
def test_it_comes_through_its_filters(commands: list[list[str]], tmp_path: Path) -> None:
    stored = gzip.compress(DATA, 1) if GUNZIP in commands else DATA
    path = tmp_path / "dump"
    found = fetch(chunks(stored), commands, str(path))
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o600
    assert (found.size, found.sha256, found.problem) == (len(stored), hashlib.sha256(stored).hexdigest(), "")


def test_a_filter_that_fails_early_hides_no_byte_from_the_hash(tmp_path: Path) -> None:
    found = fetch(chunks(DATA), [["cat"], ["sh", "-c", "echo wrong key >&2; exit 3"]], str(tmp_path / "dump"))
    assert found.sha256 == hashlib.sha256(DATA).hexdigest()
    assert "sh: wrong key" in found.problem


def test_a_truncated_object_is_a_problem_of_its_filter(tmp_path: Path) -> None:
    found = fetch(chunks(gzip.compress(DATA)[:-100]), [GUNZIP], str(tmp_path / "dump"))
    assert "unexpected end of file" in found.problem


def test_a_connection_that_breaks_leaves_no_filter_behind(tmp_path: Path) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"x"
        raise ConnectionResetError("cut")

    with pytest.raises(ConnectionResetError):
        fetch(breaking(), [["cat"], ["cat"]], str(tmp_path / "dump"))


def test_a_missing_filter_is_named(tmp_path: Path) -> None:
    with pytest.raises(DbopsError, match="no-such-filter is not on this host"):
        fetch(chunks(DATA), [["cat"], ["no-such-filter"]], str(tmp_path / "dump"))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "dump").write_text("mine")
    with pytest.raises(DbopsError, match="dump: File exists"):
        fetch(chunks(DATA), [], str(tmp_path / "dump"))


def test_an_encrypted_set_needs_an_identity(tmp_path: Path) -> None:
    with pytest.raises(DbopsError, match="no identity on this host"):
        filters(True, False, "")
    with pytest.raises(DbopsError, match="no identity on this host"):
        filters(True, False, str(tmp_path / "none"))
    (tmp_path / "identity").write_text("AGE-SECRET-KEY-1")
    assert filters(True, True, str(tmp_path / "identity")) == [
        ["age", "--decrypt", "--identity", str(tmp_path / "identity")],
        ["zstd", "--decompress", "--stdout", "--quiet"],
    ]
    assert filters(False, False, "") == []
