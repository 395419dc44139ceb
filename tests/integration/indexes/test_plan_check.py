# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of real queries: limits that hold and limits that break, rows made for them, nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._plans import observe
from ansible_collections.dbops.postgres.plugins.modules import pg_plan_check
from tests.integration.access.running import query, sql
from tests.integration.indexes.running import run_module
from tests.integration.servers import Database

SCHEMA = """
CREATE TYPE status AS ENUM ('open', 'paid', 'refunded');
CREATE DOMAIN email AS varchar(80) CHECK (VALUE <> '');
CREATE TABLE users (id uuid PRIMARY KEY, email email NOT NULL UNIQUE, born date, tags text[] NOT NULL DEFAULT '{}');
CREATE TABLE payments (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users,
  refund_of bigint REFERENCES payments,
  amount numeric(10, 2) NOT NULL,
  doubled numeric GENERATED ALWAYS AS (amount * 2) STORED,
  status status NOT NULL,
  note text,
  created_at timestamptz NOT NULL DEFAULT now(),
  details jsonb
);
CREATE INDEX payments_user_idx ON payments (user_id, created_at);
CREATE TABLE lines (payment_id bigint REFERENCES payments, n int, PRIMARY KEY (payment_id, n));
CREATE TABLE events (id bigint, kind int) PARTITION BY HASH (id);
CREATE TABLE events_0 PARTITION OF events FOR VALUES WITH (modulus 2, remainder 0);
CREATE TABLE events_1 PARTITION OF events FOR VALUES WITH (modulus 2, remainder 1);
CREATE INDEX events_id_idx ON events (id);
CREATE FUNCTION noisy() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
"""
GENERATE = {
    "rows": {"public.payments": 8000, "lines": 3000, "events": 2000},
    "distinct": {"public.payments.note": 4, "events.kind": 3},
}
OF_A_USER = "SELECT * FROM payments WHERE user_id = md5('7')::uuid ORDER BY created_at"


def plans(capsys: pytest.CaptureFixture[str], database: Database, *queries: dict[str, Any], **options: Any) -> Any:
    spec = {"plans": {"generate": GENERATE, "queries": list(queries)}}
    return run_module(capsys, pg_plan_check, database, spec=spec, **{"generate": True, "fail_on": "never", **options})


def said(result: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(item["subject"], item["title"]): item["status"] for item in result["findings"]}


@pytest.fixture
def shop(pg_database: Database) -> Database:
    connection = pg_database.connect()
    sql(connection, SCHEMA)
    connection.close()
    return pg_database


def test_every_limit_holds_and_breaks(shop: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = tmp_path / "plans.md"
    by_note = "SELECT count(*) FROM payments WHERE note = 'v1' AND amount > 3"
    result = plans(
        capsys,
        shop,
        {
            "name": "good",
            "sql": OF_A_USER + ";",
            "must_use_index": ["no_such", "public.payments_user_idx"],
            "no_seq_scan_over_rows": 1000,
            "max_rows_removed": 0,
            "max_cost": 100000,
            "max_ms": 30000,
            "max_estimate_factor": 10,
        },
        {
            "name": "bad",
            "sql": by_note,
            "must_use_index": "payments_user_idx",
            "no_seq_scan_over_rows": 1000,
            "max_rows_removed": 100,
            "max_cost": 1,
            "max_ms": 0.001,
        },
        {"name": "no such index", "sql": OF_A_USER, "must_use_index": "gone"},
        {
            "name": "estimates",
            "sql": "SELECT * FROM payments a WHERE (amount % 7)::text || note = '1v1' OR abs(amount) > -1",
            "max_estimate_factor": 2,
        },
        {"name": "partition", "sql": "SELECT * FROM events WHERE id = 7", "must_use_index": "events_id_idx"},
        {"name": "small", "sql": "SELECT * FROM users", "no_seq_scan_over_rows": 1000},
        {"name": "wrong", "sql": "SELECT no_such FROM payments"},
        report=str(report),
    )
    assert result["generated"] == {
        "public.events": 2000,
        "public.users": 1000,
        "public.payments": 8000,
        "public.lines": 3000,
    }
    good = ("index used", "sequential scan", "rows removed", "cost", "time", "estimates")
    bad = good[:5]
    expected = {("good", title): "pass" for title in good} | {("bad", title): "fail" for title in bad}
    expected |= {("no such index", "index used"): "fail", ("estimates", "estimates"): "fail"}
    expected |= {("partition", "index used"): "pass", ("small", "sequential scan"): "pass"}
    expected |= {("wrong", "runs"): "error"}
    assert said(result) == expected
    told = {(item["subject"], item["title"]): item["evidence"] for item in result["findings"]}
    assert "public.payments (about 8,000 rows)" in told["bad", "sequential scan"]
    assert "payments_user_idx is not used. It reads no index." in told["bad", "index used"]
    assert "There is no index gone" in told["no such index", "index used"]
    text = report.read_text()
    assert text == result["report"]
    assert "| good | ok |" in text
    assert "| bad | **FAIL** |" in text
    assert "using payments_user_idx" in text


def test_a_query_that_takes_too_long_is_an_error(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    slow = {"name": "slow", "sql": "SELECT pg_sleep(60)"}
    (finding,) = plans(capsys, shop, slow, generate=False, timeout="300ms")["findings"]
    assert finding["status"] == "error"
    assert "canceling statement due to statement timeout" in finding["evidence"]


def test_nothing_is_left(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    change = {"name": "change", "sql": "UPDATE payments SET note = 'x' WHERE id = $1", "parameters": [3]}
    gone = {"name": "gone", "sql": "DELETE FROM lines WHERE payment_id = 3", "no_seq_scan_over_rows": 100}
    connection = shop.connect()
    names = ("users", "payments", "lines", "events")
    before = {name: query(connection, f"SELECT pg_total_relation_size('{name}')") for name in names}
    result = plans(capsys, shop, change, gone)
    assert set(said(result).values()) == {"pass"}
    for table in names:
        assert query(connection, f"SELECT count(*) FROM {table}") == [(0,)]
        assert query(connection, f"SELECT pg_total_relation_size('{table}')") == before[table]
    assert query(connection, "SELECT is_called FROM payments_id_seq") == [(False,)]
    assert query(connection, "SELECT count(*) FROM pg_stats WHERE schemaname = 'public'") == [(0,)]
    # Where there are rows, none are made; nor where rows refer to such a table, for they would be truncated with it.
    sql(connection, "CREATE TABLE notes (user_id uuid REFERENCES users); INSERT INTO notes VALUES (NULL)")
    result = plans(capsys, shop, change)
    assert "plans.generate: public.notes has rows" in result["msg"]
    sql(connection, "INSERT INTO users VALUES (md5('1')::uuid, 'a@example.com')")
    connection.close()
    result = plans(capsys, shop, change)
    assert "plans.generate: public.users has rows" in result["msg"]


def test_role_settings_and_parameters(
    shop: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A warning is part of the result only where nothing of the controller was imported before.
    warnings: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warnings.append(text))
    role = f"{shop.prefix}app"
    connection = shop.connect()
    sql(
        connection,
        f"CREATE ROLE {role}; GRANT SELECT ON payments TO {role}; ALTER TABLE payments ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY own ON payments USING (user_id = current_setting('app.user')::uuid)",
    )
    connection.close()
    one = {"name": "one", "sql": "SELECT * FROM payments WHERE user_id = $1", "parameters": ["{}".format("0" * 32)]}
    result = plans(
        capsys,
        shop,
        {
            "name": "own",
            "sql": "SELECT * FROM payments",
            "role": role,
            "settings": {"app.user": "0" * 32},
            "must_use_index": "payments_user_idx",
        },
        {"name": "foreign", "sql": "SELECT * FROM users", "role": role},
        {**one, "name": "custom", "settings": {"enable_seqscan": False}, "max_cost": 1000},
        {**one, "name": "generic", "generic": True, "max_cost": 1000},
        {"name": "noisy", "sql": "SELECT noisy(), nextval('payments_id_seq'), random()"},
    )
    assert said(result)["own", "index used"] == "pass"
    assert said(result)["foreign", "runs"] == "error"
    assert "$1" in result["report"].partition("<summary>generic")[2]
    custom = result["report"].partition("<summary>custom")[2].partition("<summary>generic")[0]
    assert "Settings: enable_seqscan = off" in custom
    assert "nextval, noisy" in str(warnings)


def test_before_and_after(shop: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    baseline = tmp_path / "plans.json"
    declared = {"name": "of a user", "sql": OF_A_USER, "no_seq_scan_over_rows": 10**6}
    assert ("of a user", "baseline") not in said(plans(capsys, shop, declared, baseline=str(baseline)))
    assert json.loads(baseline.read_text())["queries"]["of a user"]["indexes"] == ["payments_user_idx"]
    assert said(plans(capsys, shop, declared, baseline=str(baseline)))["of a user", "baseline"] == "pass"
    connection = shop.connect()
    sql(connection, "DROP INDEX payments_user_idx")
    connection.close()
    result = plans(capsys, shop, declared, baseline=str(baseline), fail_on="high")
    assert said(result)["of a user", "baseline"] == "fail"
    assert result["failed"]
    told = {item["title"]: item["evidence"] for item in result["findings"]}["baseline"]
    assert "Worse by more than 1.5: cost" in told
    assert "no longer used: payments_user_idx" in told
    assert " → " in result["report"]
    plans(capsys, shop, declared, baseline=str(baseline), update_baseline=True)
    assert said(plans(capsys, shop, declared, baseline=str(baseline)))["of a user", "baseline"] == "pass"


def test_candidates_and_files(shop: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    connection = shop.connect()
    sql(connection, "CREATE EXTENSION pg_stat_statements")
    for _time in range(20):  # a server forgets what is used the least
        sql(connection, "SELECT count(*) FROM payments WHERE note = 'x'")
    result = plans(capsys, shop)
    connection.close()
    assert said(result) == {("database", "runs"): "not_tested"}
    assert [item["query"] for item in result["candidates"]] == ["SELECT count(*) FROM payments WHERE note = $1"]
    (tmp_path / "q.sql").write_text("-- as the application has it\nSELECT 1;\n")
    path = tmp_path / "shop.yml"
    path.write_text("plans:\n  queries:\n    - {name: one, file: q.sql}\n    - {name: none, file: n.sql}\n")
    result = run_module(capsys, pg_plan_check, shop, spec_file=str(path))
    assert f"{path}:4: plans.queries[1].file: the file {tmp_path}/n.sql cannot be read" in result["msg"]
    (tmp_path / "n.sql").write_text("SELECT 1; COMMIT; DROP TABLE payments")
    result = run_module(capsys, pg_plan_check, shop, spec_file=str(path))
    assert "must be exactly one statement" in result["msg"]


def test_a_production_server_is_not_changed_without_the_words(
    shop: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "environment_of", lambda _name: "prod")
    queries = [
        {"name": "reads", "sql": OF_A_USER, "max_ms": 30000},
        {"name": "changes", "sql": "UPDATE users SET born = NULL WHERE id = md5('7')::uuid", "max_ms": 30000},
        {"name": "takes a number", "sql": "SELECT nextval('payments_id_seq')", "max_ms": 30000},
        {"name": "is wrong", "sql": "SELECT 1 / 0", "max_ms": 30000},
    ]
    result = plans(capsys, shop, *queries, generate=False)
    found = said(result)
    assert found["changes", "runs"] == found["takes a number", "runs"] == "not_tested"
    assert found["is wrong", "runs"] == "error"
    assert ("reads", "runs") not in found
    assert not result["passed"]
    remedies = {item["subject"]: item["remedy"] for item in result["findings"]}
    words = "run the changing queries on the production server"
    assert words in remedies["changes"]
    connection = shop.connect()
    try:
        assert query(connection, "SELECT is_called FROM payments_id_seq") == [(False,)]
    finally:
        connection.close()
    found = said(plans(capsys, shop, *queries, generate=False, i_know_this_is_production=words))
    assert ("changes", "runs") not in found
    assert found["is wrong", "runs"] == "error"
    assert "not the words" in plans(capsys, shop, *queries, i_know_this_is_production="yes")["msg"]
    assert "says that it is production" in plans(capsys, shop, *queries, generate=True)["msg"]
