# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a statement ends, and in which lane it runs: against PostgreSQL's own grammar, and as truth tables."""

from __future__ import annotations

import pglast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_split import segments, split
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

STATEMENTS = [
    "SELECT 1",
    "SELECT ';', E'\\';', 'it''s;', U&'\\0041;', $$;$$, $a_1$ $$;$a$ $a_1$, \"odd;\"\"name\"",
    "/* ; /* nested; */ ; */ SELECT 2 -- ; end\n",
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN; RETURN 1; END; $f$",
    "CREATE FUNCTION g(a int) RETURNS int BEGIN ATOMIC SELECT CASE WHEN a = 1 THEN 2 END; SELECT 3; END",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM t; SELECT 1)",
    "DO $do$ BEGIN EXECUTE 'SELECT 1;'; END $do$",
    "INSERT INTO t VALUES ('$$;', $1$;$1$)".replace("$1$;$1$", "$x$;$x$"),
    "SELECT a$b$c, 1 FROM t".replace("a$b$c", "1 AS a$b"),
]


@given(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=6))
def test_as_postgresql_splits(chosen: list[str]) -> None:
    text = ";\n".join(chosen) + ";"
    ours = [item.text for item in split("f.sql", text)]
    theirs = [text.encode()[s.start : s.stop].decode() for s in pglast.split(text, only_slices=True)]
    assert [_bare(item) for item in ours] == [_bare(item) for item in theirs]


def _bare(text: str) -> str:
    return " ".join(text.split()).removesuffix(";").strip().removeprefix("/* ; /* nested; */ ; */").strip()


def test_lines() -> None:
    found = split("f.sql", "-- first;\n\nSELECT 1; SELECT 2;\n/* long\ncomment */ SELECT 3\n;;\n-- nothing\n")
    assert [(item.line, item.plain) for item in found] == [(3, "SELECT 1"), (3, "SELECT 2"), (5, "SELECT 3")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT 1;\n\\connect other", r"f.sql:2: a command of psql (\connect)"),
        ("SELECT 'a", "f.sql:1: the ' is never closed"),
        ('SELECT "a', 'f.sql:1: the " is never closed'),
        ("\nSELECT $a$ $$", "f.sql:2: $a$ is never closed"),
        ("/* /* */", "f.sql:1: the comment is never closed"),
        ("COPY t FROM stdin;\n1\n\\.", "COPY FROM stdin"),
    ],
)
def test_what_cannot_be_split(text: str, said: str) -> None:
    with pytest.raises(DbopsError) as caught:
        split("f.sql", text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("statement", "alone"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (a)", True),
        ("create unique index\n  concurrently if not exists i on t (a)", True),
        ("CREATE INDEX i ON t (a) -- CONCURRENTLY", False),
        ("DROP INDEX CONCURRENTLY i", True),
        ("REINDEX TABLE CONCURRENTLY t", True),
        ("REINDEX (VERBOSE) DATABASE d", True),
        ("REINDEX TABLE t", False),
        ("VACUUM t", True),
        ("ALTER SYSTEM SET work_mem = '1MB'", True),
        ("ALTER TABLE t DETACH PARTITION p CONCURRENTLY", True),
        ("ALTER TABLE t DETACH PARTITION p", False),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY m", False),
        ("ALTER TYPE e ADD VALUE 'x'", False),
        ("CLUSTER", True),
        ("CLUSTER t USING i", False),
    ],
)
def test_what_cannot_be_in_a_transaction(statement: str, alone: bool) -> None:
    assert split("f.sql", statement)[0].alone is alone


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CREATE INDEX CONCURRENTLY Some_Index ON t (a)", "some_index"),
        ('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "Odd ""one" ON t (a)', 'Odd "one'),
        ("CREATE INDEX CONCURRENTLY ON t (a)", ""),
        ("CREATE INDEX i ON t (a)", ""),
    ],
)
def test_the_name_of_an_index(text: str, name: str) -> None:
    assert split("f.sql", text)[0].concurrent_index == name


def shape(text: str, *, one_by_one: bool = False) -> list[tuple[bool, int]]:
    return [(item.alone, len(item.statements)) for item in segments("f.sql", text, one_by_one=one_by_one)]


def test_segments() -> None:
    assert shape("SELECT 1; SELECT 2;") == [(False, 2)]
    assert shape("SELECT 1; VACUUM t; SELECT 2; SELECT 3") == [(False, 1), (True, 1), (False, 2)]
    assert shape("BEGIN; SELECT 1; COMMIT; SELECT 2; START TRANSACTION; SELECT 3; END;") == [(False, 1)] * 3
    assert shape("SELECT 1; SELECT 2; CALL p();", one_by_one=True) == [(False, 1), (False, 1), (True, 1)]
    assert shape("SAVEPOINT s; ROLLBACK TO s; ROLLBACK WORK TO SAVEPOINT s") == [(False, 3)]
    assert shape("-- nothing\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN; BEGIN; COMMIT",
        "BEGIN; SELECT 1",
        "ROLLBACK",
        "ABORT",
        "PREPARE TRANSACTION 'x'",
        "COMMIT PREPARED 'x'",
        "BEGIN; VACUUM; COMMIT",
    ],
)
def test_transactions_that_are_refused(text: str) -> None:
    with pytest.raises(DbopsError):
        segments("f.sql", text)


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in split("f.sql", "ALTER ROLE app PASSWORD 'hunter2'")[0].shown
