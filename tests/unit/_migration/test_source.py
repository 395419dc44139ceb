# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layouts of migrations: order, ids, checksums, the way back, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import arrange, same_id, unchanged
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source_read import read_source
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

SQL = b"SELECT 1;\n"


def test_prisma() -> None:
    source = arrange({"2_b/migration.sql": SQL, "1_a/migration.sql": b"\xef\xbb\xbfSELECT 2;", "1_a/down.sql": SQL})
    first, second = source.migrations
    assert (source.layout, first.id, second.id) == ("prisma", "1_a", "2_b")
    assert (first.sql, first.down_path, first.down_sql) == ("SELECT 2;", "1_a/down.sql", "SELECT 1;\n")
    assert second.down_sql is None
    assert second.checksum == hashlib.sha256(SQL).hexdigest()
    assert not second.in_transaction


def test_flyway() -> None:
    names = ["V10__z.sql", "V1_2__add_it.sql", "sub/V2__b.sql", "R__views.sql", "U2__b.sql", "V3__c.sql"]
    source = arrange({**dict.fromkeys(names, SQL), "V3__c.sql.conf": b"executeInTransaction=false\n"})
    assert source.layout == "flyway"
    assert [m.id for m in source.migrations] == ["1.2", "2", "3", "10", "R__views"]
    assert source.migrations[0].name == "add it"
    assert source.migrations[1].down_path == "U2__b.sql"
    assert [m.in_transaction for m in source.migrations] == [True, True, False, True, True]
    assert [m.repeatable for m in source.migrations] == [False] * 4 + [True]


@pytest.mark.parametrize("content", [b"SELECT 1;\n\nSELECT 2;", b"SELECT 1;\r\n\r\nSELECT 2;\r\n"])
def test_flyway_checksum_ignores_the_ends_of_lines(content: bytes) -> None:
    # zlib.crc32(b"SELECT 1;SELECT 2;"), as a signed number
    assert arrange({"V1__a.sql": content}).migrations[0].checksum == "-1665099012"


def test_golang_migrate() -> None:
    source = arrange({"000010_b.up.sql": SQL, "000002_a.up.sql": SQL, "000002_a.down.sql": b"SELECT 3;"})
    assert source.layout == "golang-migrate"
    assert [(m.id, m.name, m.down_sql) for m in source.migrations] == [("2", "a", "SELECT 3;"), ("10", "b", None)]
    assert [m.in_transaction for m in source.migrations] == [True, True]


def test_plain() -> None:
    names = ["10_c.sql", "9_b.sql", "9_b.down.sql", "notes/x.sql"]
    source = arrange({**dict.fromkeys(names, SQL), "1_a.sql": b"-- dbops: no-transaction\nVACUUM;"})
    assert source.layout == "plain"
    assert [m.id for m in source.migrations] == ["1_a", "9_b", "10_c"]
    assert [m.in_transaction for m in source.migrations] == [False, True, True]
    assert source.migrations[1].down_path == "9_b.down.sql"


def test_plain_dates_are_not_versions() -> None:
    names = ["2026-01-05-a.sql", "2026-01-06-b.sql", "2026_01_06_c.sql", "20260107_d.sql", "20260107_e.sql"]
    assert len(arrange(dict.fromkeys(names, SQL)).migrations) == len(names)


def test_command_has_no_files() -> None:
    assert arrange({}, "command").migrations == ()
    assert read_source("/nonexistent", "command").migrations == ()


@pytest.mark.parametrize(
    ("files", "layout", "said"),
    [
        ({}, "auto", "There are no migrations"),
        ({"a.txt": SQL}, "auto", "There are no migrations"),
        ({"a/migration.sql": SQL, "V1__a.sql": SQL}, "auto", "several layouts: prisma, flyway"),
        ({"a.sql": SQL}, "rails", "no layout 'rails'"),
        ({"a.sql": SQL}, "flyway", "no migrations of layout flyway"),
        ({"V1__a.sql": SQL, "V1.0__b.sql": SQL}, "auto", "Version 1 is there twice: V1.0__b.sql and V1__a.sql"),
        ({"V1__a.sql": SQL, "V2_b__.sql": SQL}, "auto", "V2_b__.sql has no version"),
        ({"V1__a.sql": SQL, "U2__b.sql": SQL}, "auto", "U2__b.sql takes back a migration that is not there"),
        ({"1_a.up.sql": SQL, "01_b.up.sql": SQL}, "auto", "Version 1 is there twice: 01_b.up.sql and 1_a.up.sql"),
        ({"1_a.up.sql": SQL, "2_b.down.sql": SQL}, "auto", "2_b.down.sql takes back"),
        ({"1_a.sql": SQL, "001_b.sql": SQL}, "auto", "Version 1 is there twice"),
        ({"a.sql": SQL, "b.down.sql": SQL}, "auto", "b.down.sql takes back"),
        ({"a/migration.sql": SQL, "b/": b""}, "auto", "b has no migration.sql"),
        ({"a.sql": b"SELECT 1;\nSELECT '\xe9';"}, "auto", "a.sql:2 is not UTF-8"),
        ({"a.sql": b"\xff\xfeS\x00"}, "auto", "a.sql is UTF-16"),
        ({"a.sql": b"SELECT 1\x00"}, "auto", "a.sql holds a NUL byte"),
    ],
)
def test_refused(files: dict[str, bytes], layout: str, said: str) -> None:
    with pytest.raises(DbopsError) as error:
        arrange(files, layout)
    assert said in str(error.value)


@given(st.text(alphabet="a\r\n;é", max_size=12))
def test_prisma_checksum_matches_whatever_git_did_to_the_ends_of_lines(text: str) -> None:
    unix = text.replace("\r\n", "\n")
    for applied in (text, unix, unix.replace("\n", "\r\n")):
        recorded = hashlib.sha256(applied.encode()).hexdigest()
        migration = arrange({"a/migration.sql": text.encode()}).migrations[0]
        assert unchanged("prisma", migration, recorded)
        assert not unchanged("prisma", migration, recorded[1:] + "0")


@pytest.mark.parametrize(
    ("layout", "left", "right"),
    [("flyway", "1.0", "001"), ("golang-migrate", "000001", "1"), ("flyway", "R__a", "R__a")],
)
def test_same_id(layout: str, left: str, right: str) -> None:
    assert same_id(layout, left) == same_id(layout, right)


def test_read(tmp_path: Path) -> None:
    (tmp_path / "1_a").mkdir()
    (tmp_path / "1_a" / "migration.sql").write_bytes(SQL)
    (tmp_path / "migration_lock.toml").write_text("provider")
    (tmp_path / ".git").mkdir()
    found = read_source(str(tmp_path)).by_id("1_a")
    assert found is not None
    assert found.sql == "SELECT 1;\n"
    (tmp_path / "2_b").mkdir()
    with pytest.raises(DbopsError, match=r"2_b has no migration\.sql"):
        read_source(str(tmp_path))
    with pytest.raises(DbopsError, match="is not a folder"):
        read_source(str(tmp_path / "x"))
