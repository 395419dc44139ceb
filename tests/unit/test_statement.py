# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One statement, or more: compared with PostgreSQL's own scanner."""

from __future__ import annotations

import pglast
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._statement import bare, single, words


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "SELECT ';'",
        "SELECT 'it''s;'",
        'SELECT 1 AS ";"',
        "SELECT $$;$$",
        "SELECT $a$ ; $$ ; $a$",
        "SELECT 1 -- ; and more",
        "SELECT 1 /* ; /* ; */ ; */",
        "SELECT E'\\';'",
        "SELECT e'\\\\'",
        "SELECT $1 + $2",
        "SELECT a$b$c FROM t",
        "SELECT 1 - 2 / 3",
    ],
)
def test_one_statement(text: str) -> None:
    assert single(text) == text
    assert single(f" {text}\n ; -- done" if "--" not in text else f"{text}\n;") == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ; ",
        "-- nothing",
        "SELECT 1; COMMIT",
        "SELECT 1;; SELECT 2",
        "SELECT '",
        'SELECT "a',
        "SELECT $$ ; COMMIT",
        "SELECT /* ; COMMIT",
        "SELECT E'\\''; COMMIT; --'",
        "SELECT '\\'; COMMIT; --'",
        "SELECT type'a'; COMMIT",
        "SELECT $a$ $b$; COMMIT",
        "SELECT 1 /* */ ; COMMIT",
    ],
)
def test_not_one_statement(text: str) -> None:
    assert single(text) is None


def test_words_and_what_is_outside_of_quotes() -> None:
    assert words("""SELECT nextval('a b') -- no\n FROM "T" WHERE $$x$$ = E'y' """) == [
        "select",
        "nextval",
        "from",
        "where",
    ]
    assert bare("a 'b' c").split() == ["a", "c"]


@settings(max_examples=400)
@given(st.lists(st.sampled_from([";", "'", '"', "$", "$$", "$a$", "--", "/*", "*/", "\n", "E'", "\\", "1", " ", "a"])))
def test_what_is_taken_for_one_is_no_more_for_postgresql(parts: list[str]) -> None:
    statement = single("SELECT " + "".join(parts))
    if statement is None:
        return
    try:
        tokens = pglast.parser.scan(statement)
    except pglast.parser.ParseError:
        return
    assert not any(token.name == "ASCII_59" for token in tokens)
