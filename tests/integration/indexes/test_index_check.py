# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes of real databases: every planted fault is found, and nothing is found in the good schema."""

from __future__ import annotations

import datetime
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
from ansible_collections.dbops.postgres.plugins.modules import pg_index_check
from tests.integration.access.running import query
from tests.integration.conftest import made
from tests.integration.indexes.defects import DEFECTS, SPEC, Defect
from tests.integration.indexes.running import run_module
from tests.integration.servers import Database, Server, create_database, drop_database, given

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


def looked(cursor: extensions.cursor, section: Mapping[str, Any] | None = None) -> list[Finding]:
    """The findings as they are within the transaction."""
    spec = parse(SPEC if section is None else section)
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


SEARCHED = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE notes (id bigint PRIMARY KEY, body jsonb, extra jsonb);
INSERT INTO notes SELECT n, jsonb_build_object('n', n), '{}' FROM generate_series(1, 5000) n;
CREATE INDEX notes_n_idx ON notes ((body ->> 'n'), id);
CREATE TABLE swollen (id bigint, payload text);
CREATE INDEX swollen_idx ON swollen (id, payload);
INSERT INTO swollen SELECT n, md5(n::text) FROM generate_series(1, 5000) n;
DELETE FROM swollen WHERE id % 20 > 0
"""
LIMITS = {"table_rows": 1000, "seq_scans": 20, "bloat_bytes": 65536}


def test_what_the_statistics_tell(pg_database: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute(SEARCHED)
        cursor.execute("VACUUM ANALYZE")
        for _time in range(25):
            cursor.execute("""SELECT count(*) FROM notes WHERE body @> '{"n": 7}'""")
        cursor.execute("SELECT count(*) FROM notes WHERE extra ->> 'n' = '7'")
        cursor.execute("SELECT pg_stat_force_next_flush()")
    connection.close()
    junit = tmp_path / "junit.xml"
    spec = {"indexes": {"limits": LIMITS}}
    result = run_module(capsys, pg_index_check, pg_database, spec=spec, fail_on="medium", junit=str(junit))
    found = {(item["title"], item["subject"]): item for item in result["findings"] if item["status"] == "fail"}
    assert set(found) == {
        ("sequential scans", "public.notes"),
        ("bloat", "public.swollen_idx"),
        ("JSONB without GIN", "public.notes.body"),
    }
    assert "scans (100 %) read the table" in found["sequential scans", "public.notes"]["evidence"]
    assert "it has about 5,000" in found["sequential scans", "public.notes"]["evidence"]
    gin = found["JSONB without GIN", "public.notes.body"]
    assert "body @>" in gin["evidence"]
    assert gin["remedy"] == 'CREATE INDEX CONCURRENTLY "notes_body_idx" ON "public"."notes" USING gin ("body");'
    assert result["failed"]
    assert "3 medium or worse finding(s) failed" in result["msg"]
    assert '<failure type="medium"' in junit.read_text()
    # The remedies are statements that can be run as they are.
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute(gin["remedy"])
        cursor.execute(found["bloat", "public.swollen_idx"]["remedy"])
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT pg_stat_reset()")
    connection.close()
    result = run_module(capsys, pg_index_check, pg_database, spec=spec, fail_on="medium")
    assert "failed" not in result
    assert not result["passed"]  # whether an index is unused is not known the day after a reset
    assert [item["title"] for item in result["findings"] if item["status"] == "not_tested"] == ["unused index"]


def test_statements_that_are_hidden_are_not_read_as_none(
    pg_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    role = f"{pg_database.prefix}auditor"
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute(SEARCHED)
        cursor.execute("SELECT count(*) FROM notes WHERE body @> '{}'")
        cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'auditor-7f'")
    connection.close()
    answer = run_module(
        capsys, pg_index_check, pg_database, fail_on="never", login_user=role, login_password="auditor-7f"
    )
    (jsonb,) = [item for item in answer["findings"] if item["control"] == "P-2"]
    assert jsonb["status"] == "not_tested"


def test_statistics_are_not_older_than_the_database(good: Database, cursor: extensions.cursor) -> None:
    seen = catalog(cursor, [], usage=True)
    assert seen.now - seen.nodes[0].since < datetime.timedelta(minutes=30)


def test_what_a_foreign_key_refers_to_is_kept(cursor: extensions.cursor) -> None:
    cursor.execute("CREATE TABLE app.a (x int); CREATE UNIQUE INDEX z_first ON app.a (x)")
    cursor.execute(
        "CREATE TABLE app.b (x int PRIMARY KEY REFERENCES app.a (x)); CREATE UNIQUE INDEX later ON app.a (x)"
    )
    doubles = [item.subject for item in broken(looked(cursor)) if item.title == "duplicate index"]
    assert doubles == ["app.later"]


def test_every_remedy_of_a_missing_index_runs_and_mends(cursor: extensions.cursor) -> None:
    cursor.execute("DROP INDEX app.orders_referrer_idx, app.customers_active_idx, app.orders_details_idx")
    cursor.execute("ALTER TABLE app.events DROP CONSTRAINT events_pkey")
    for finding in broken(looked(cursor)):
        cursor.execute(finding.remedy.replace(" CONCURRENTLY", ""))  # the test is in a transaction
    assert [finding for finding in broken(looked(cursor)) if finding.title != "unused index"] == []


def test_scans_on_a_replica_count(pg_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that stands for its own replica: each scan counts twice."""
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a int, b int); CREATE INDEX t_a ON t (a); CREATE INDEX t_b ON t (b)")
        cursor.execute("SET enable_seqscan = off; SELECT FROM t WHERE a = 1")
        cursor.execute("SELECT pg_stat_force_next_flush()")
    connection.close()
    server = pg_database.server
    result = run_module(
        capsys,
        pg_index_check,
        pg_database,
        spec={"indexes": {"limits": {"unused_days": 0, "unused_bytes": 0}}},
        replicas=[{"login_host": server.host, "login_port": server.port}],
    )
    unused = [item for item in result["findings"] if item["title"] == "unused index"]
    assert [item["subject"] for item in unused] == ["public.t_b"]
    assert "on 2 server(s)" in unused[0]["evidence"]
    assert unused[0]["remedy"] == 'DROP INDEX CONCURRENTLY "public"."t_b";'


def test_a_server_that_is_no_replica_is_refused(pg_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    version = 32 - pg_database.server.version
    other = given(version) or made()[version]
    replica = {"login_host": other.host, "login_user": other.user, "login_password": other.password}
    result = run_module(capsys, pg_index_check, Database(pg_database.server, "postgres"), replicas=[replica])
    assert f"{other.host}:{other.port} is no replica of" in result["msg"]


def test_a_definition_that_the_server_does_not_understand_is_an_error(cursor: extensions.cursor) -> None:
    section = {"required": [{"table": "app.orders", "columns": [{"expression": "no_such(status)"}]}]}
    found = broken(looked(cursor, section))
    assert (found[0].title, found[0].status) == ("required index", Status.ERROR)
    assert "no_such" in found[0].evidence


def test_a_wrong_spec_names_its_line(pg_database: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "shop.yml"
    path.write_text("database: shop\nindexes:\n  required:\n    - table: app.orders\n      colums: [id]\n")
    result = run_module(capsys, pg_index_check, pg_database, spec_file=str(path))
    assert f"{path}:5: indexes.required[0].colums" in result["msg"]
    assert "Did you mean 'columns'" in result["msg"]


def test_a_role_that_may_read_nothing_still_sees_the_catalog(
    pg_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{pg_database.prefix}auditor"
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'auditor-7f'; CREATE TABLE p (id int PRIMARY KEY)")
        cursor.execute("CREATE TABLE c (p int REFERENCES p); CREATE INDEX c_l ON c (abs(p))")
    connection.close()
    required = [{"table": "public.c", "columns": [{"expression": "abs ( p )"}]}]
    options: dict[str, Any] = {
        "login_user": name,
        "login_password": "auditor-7f",
        "spec": {"indexes": {"required": required}},
    }
    result = run_module(capsys, pg_index_check, pg_database, fail_on="never", **options)
    assert [(i["title"], i["status"]) for i in result["findings"]][:2] == [
        ("foreign key without index", "fail"),
        ("required index", "error"),  # it may not read the table, so not copy it
    ]


def test_nothing_is_left(good: Database, capsys: pytest.CaptureFixture[str]) -> None:
    state = """
        SELECT (SELECT array_agg((oid, relname, relfilenode) ORDER BY oid) FROM pg_class),
               (SELECT array_agg((relname, n_live_tup, n_dead_tup, n_tup_ins, seq_scan, idx_scan) ORDER BY relid)
                  FROM pg_stat_user_tables),
               (SELECT array_agg(nspname ORDER BY oid) FROM pg_namespace)
    """
    connection = good.connect()
    before = query(connection, state)
    required = [*SPEC["required"], {"table": "app.orders", "columns": [{"expression": "upper(status)"}]}]
    result = run_module(capsys, pg_index_check, good, spec={"indexes": {**SPEC, "required": required}})
    assert "upper(status)" in result["msg"]
    assert query(connection, state) == before
    connection.close()
