# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a draft is YAML that says what was meant, whatever the names in a catalog are."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._assurance.yaml_text import comment, flow

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(TEXT)
def test_any_text_comes_back(text: str) -> None:
    assert yaml.safe_load(f"{flow(text)}: [{flow(text)}, {{{flow(text)}: {flow(text)}}}]") == {
        text: [text, {text: text}]
    }


@pytest.mark.parametrize(
    "word", ["yes", "No", "ON", "off", "y", "null", "~", "1e3", "0x10", "2026-01-01", "a:", "<<", "="]
)
def test_text_that_looks_like_something_else_comes_back(word: str) -> None:
    assert yaml.safe_load(flow([word])) == [word]


@given(TEXT, TEXT)
def test_no_text_leaves_its_comment(before: str, after: str) -> None:
    assert yaml.safe_load(f"a: 1  # {comment(before)}\n# {comment(after)}\nb: 2\n") == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {"table": "public.users", "columns": ["email"], "unique": True},
            "{table: public.users, columns: [email], unique: true}",
        ),
        ({"where": "(a = 'b'::text)"}, "{where: \"(a = 'b'::text)\"}"),
        ([1, 2.5, None, False, []], "[1, 2.5, null, false, []]"),
    ],
)
def test_it_is_as_short_as_a_person_would_write_it(value: Any, text: str) -> None:
    assert flow(value) == text
