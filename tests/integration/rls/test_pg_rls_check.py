# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole check on real servers: content with good schemas, awake for every planted defect, nothing left behind."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from psycopg2 import extensions

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status
from ansible_collections.dbops.postgres.plugins.module_utils._rls import check, judge, observe
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import RlsSpec, parse
from tests.integration.rls import schemas
from tests.integration.rls.defects import DEFECTS, MATRIX
from tests.integration.servers import Database

BAD = (Status.FAIL, Status.ERROR, Status.NOT_TESTED)


@contextmanager
def opened(database: Database) -> Generator[extensions.connection, None, None]:
    connection = database.connect(autocommit=False)
    try:
        yield connection
    finally:
        connection.close()


def checked(database: Database, spec: dict[str, Any], **options: Any) -> check.Outcome:
    with opened(database) as connection:
        return check.check(connection, parse(spec), check.Options(**options))


def bad(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.status in BAD]


def within(connection: extensions.connection, spec: RlsSpec) -> list[Finding]:
    """Rules and attempts, in the transaction of the connection."""
    state = observe.observe(connection, spec)
    _cells, found = check.attempts(connection, state, spec, check.tried(state, spec), within=True)
    return [*judge.judge(state, spec), *found]


def test_good_schema_without_a_finding(pg_database: Database) -> None:
    schemas.make(pg_database, "aria")
    outcome = checked(pg_database, schemas.aria(pg_database.prefix))
    assert bad(outcome.findings) == []
    assert outcome.matrix["harbour"]["aria.patients"] == dict.fromkeys(("SELECT", "INSERT", "UPDATE", "DELETE"), "own")
    assert outcome.matrix["harbour report"]["aria.recent"] == {"SELECT": "own"}
    assert outcome.matrix["hill"]["aria.audit_logs"]["UPDATE"] == "no privilege"
    with opened(pg_database) as connection:
        found = check.check(connection, parse({"tenant_column": "practice_id"})).findings
    assert [(f.subject, f.status) for f in bad(found)] == [("matrix", Status.NOT_TESTED)]
    assert "Declare identities" in bad(found)[0].evidence


def test_every_defect_is_found(pg_database: Database) -> None:
    schemas.make(pg_database, "aria")
    prefix = pg_database.prefix
    spec = parse(schemas.aria(prefix))
    missed = []
    with opened(pg_database) as connection, connection.cursor() as cursor:
        for defect in DEFECTS:
            cursor.execute(defect.sql.replace("{prefix}", prefix))
            rule = "" if defect.rule == MATRIX else defect.rule
            if not any(f.title == rule and defect.subject in f.subject for f in bad(within(connection, spec))):
                missed.append(defect.name)
            connection.rollback()
        assert bad(within(connection, spec)) == []
    assert missed == []


def test_each_rule_has_a_defect() -> None:
    assert {rule.name for rule in judge.RULES} <= {defect.rule for defect in DEFECTS}


def test_claims_of_a_token(pg_database: Database) -> None:
    schemas.make(pg_database, "hosted")
    spec = schemas.hosted(pg_database.prefix)
    outcome = checked(pg_database, spec, mutate=True, throwaway=pg_database.name)
    assert bad(outcome.findings) == []
    assert outcome.matrix["ann"]["app.profiles"]["UPDATE"] == "own"
    assert outcome.matrix["ann"]["app.documents"]["INSERT"] == "own"
    assert outcome.matrix["visitor"]["app.profiles"]["SELECT"] == "own"
    assert outcome.score is not None
    assert outcome.score.survivors == ()
