# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes of real databases: every planted fault is found, and nothing is found in the good schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg2 import extensions

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.judge import judge
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.normal import written
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.observe import catalog
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import parse
from tests.integration.indexes.defects import DEFECTS, SPEC, Defect
from tests.integration.servers import Database, Server, create_database, drop_database

GOOD = Path(__file__).with_name("good.sql").read_text()


@pytest.fixture(scope="module")
def good(pg_server: Server) -> Iterator[Database]:
    """The good schema. The tests that change it do so in a transaction that is rolled back."""
    database = create_database(pg_server)
    connection = database.connect()
    with connection.cursor() as cursor:
        cursor.execute(GOOD)
        cursor.execute("SELECT pg_stat_force_next_flush()")
    connection.close()
    yield database
    drop_database(database)


@pytest.fixture
def cursor(good: Database) -> Iterator[extensions.cursor]:
    """A transaction that is rolled back."""
    connection = good.connect(autocommit=False)
    with connection.cursor() as opened:
        opened.execute("SET LOCAL search_path = ''; SET LOCAL statement_timeout = '20s'")
        yield opened
    connection.rollback()
    connection.close()


def looked(cursor: extensions.cursor, section: Mapping[str, Any] = SPEC) -> list[Finding]:
    """The findings as they are within the transaction."""
    spec = parse(section)
    seen = replace(catalog(cursor, [], usage=True), standbys=0)
    return judge(seen, spec, written(cursor, seen, spec.required))


def broken(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.status in (Status.FAIL, Status.ERROR)]


def test_the_good_schema_has_no_finding(cursor: extensions.cursor) -> None:
    findings = looked(cursor)
    assert broken(findings) == []
    assert {finding.status for finding in findings} == {Status.PASS}
    assert len({finding.title for finding in findings}) == 10


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_planted_fault_is_found(cursor: extensions.cursor, defect: Defect) -> None:
    cursor.execute("SET LOCAL search_path = 'app, public'")
    cursor.execute(defect.sql)
    cursor.execute("SET LOCAL search_path = ''")
    found = [(finding.title, finding.subject) for finding in broken(looked(cursor))]
    assert any(defect.rule == title and defect.subject in subject for title, subject in found), found
