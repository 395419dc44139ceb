# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of types: nothing is rewritten, the table is written anew, values may be lost."""

from __future__ import annotations

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import Type, again, type_of
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.type_change import change
from tests.unit._migration_lint.type_pairs import PAIRS


def parsed(text: str) -> Type:
    return type_of(again(f"SELECT NULL::{text}").targetList[0].val.typeName)


@pytest.mark.parametrize(("old", "new", "expected"), PAIRS)
def test_pair(old: str, new: str, expected: str) -> None:
    assert change(parsed(old), parsed(new)) == expected
