# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of planted faults: every one is found, and nothing is found in the good schemas."""

from __future__ import annotations

import pytest

from tests.integration.assurance.planted import DOMAINS, GOOD, Domain, rows
from tests.integration.servers import Server


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_every_planted_fault_is_found(pg_server: Server, domain: Domain) -> None:
    good, *planted = rows(pg_server, domain)
    assert good.name == GOOD
    assert not good.found
    assert [row.name for row in planted if not row.found] == []
    assert len(planted) == len(domain.defects) > 10


def test_there_are_enough_of_them() -> None:
    assert sum(len(domain.defects) for domain in DOMAINS) >= 40
    assert all(len({defect.name for defect in domain.defects}) == len(domain.defects) for domain in DOMAINS)


def test_the_other_judge_is_asked_the_same(pg_server: Server) -> None:
    tables = """SELECT 'table' AS name, c.oid::regclass::text AS cache_key FROM pg_class c
                 WHERE c.relkind = 'r' AND c.relnamespace = 'app'::regnamespace"""
    domain = next(domain for domain in DOMAINS if domain.name == "indexes")
    dropped = [defect for defect in domain.defects if defect.sql.startswith("DROP TABLE")]
    good, *planted = rows(pg_server, Domain(domain.name, domain.make, dropped, domain.look, domain.hit), tables)
    assert good.other
    assert [row.other for row in planted] == [False] * len(dropped)  # one fewer is no finding
