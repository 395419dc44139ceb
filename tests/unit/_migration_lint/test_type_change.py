# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of types: nothing is rewritten, the table is written anew, values may be lost."""

from __future__ import annotations

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.catalog import Catalog
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import Name, Type, type_of
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.statement import read
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.type_change import change
from tests.unit._migration_lint.type_pairs import PAIRS


def parsed(text: str) -> Type:
    return type_of(read(f"SELECT NULL::{text}").statements[0].node.targetList[0].val.typeName)


def test_serial_is_an_integer() -> None:
    """It is no type: a column made with it has the one that it stands for."""
    catalog = Catalog()
    for statement in read("CREATE TABLE t (a serial, b bigserial)").statements:
        catalog.learn(statement)
    assert [catalog.column(Name("", "t"), column) for column in ("a", "b")] == [Type("int4"), Type("int8")]


@pytest.mark.parametrize(("old", "new", "expected"), PAIRS)
def test_pair(old: str, new: str, expected: str) -> None:
    assert change(parsed(old), parsed(new)) == expected
