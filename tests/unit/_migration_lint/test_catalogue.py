# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue: every unsafe statement is found by the rule that it breaks, no safe one is."""

from __future__ import annotations

import pytest

from tests.unit._migration_lint.catalogue import CASES, SAFE, UNSAFE
from tests.unit._migration_lint.judged import found


def test_there_are_enough() -> None:
    assert len(CASES) >= 60
    assert len(SAFE) >= 30
    assert len({(case.sql, case.before) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.sql[:60].replace("\n", " ") for case in CASES])
def test_case(number: int) -> None:
    assert {finding.rule for finding in found(number)} == CASES[number].rules


@pytest.mark.parametrize("number", range(len(UNSAFE)))
def test_finding_says_where_and_what_to_do(number: int) -> None:
    for finding in found(number):
        assert finding.file == "3_case.sql"
        assert finding.line >= 1
        assert finding.statement
        assert finding.why
        assert finding.safe
