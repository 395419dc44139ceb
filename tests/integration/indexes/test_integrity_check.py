# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Integrity of real databases: what is wrong is found, one fault at a time, and nothing is changed."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._integrity import observe
from ansible_collections.dbops.postgres.plugins.modules import pg_integrity_check
from tests.integration.access.running import query, sql
from tests.integration.indexes.running import run_module
from tests.integration.servers import Database, create_database, drop_database

SCHEMA = """
CREATE EXTENSION amcheck;
CREATE TABLE users (id serial PRIMARY KEY, email text UNIQUE);
CREATE TABLE payments (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                       user_id int CONSTRAINT known_user REFERENCES users, amount int CHECK (amount > 0));
INSERT INTO users (email) VALUES ('a'), ('b'), ('c');
INSERT INTO payments (user_id, amount) VALUES (1, 5), (2, 6), (NULL, 7);
"""


def check(capsys: pytest.CaptureFixture[str], database: Database, **options: Any) -> dict[str, Any]:
    section = {key: options.pop(key) for key in ("assertions", "references", "sequence_percent") if key in options}
    return run_module(
        capsys, pg_integrity_check, database, **{"fail_on": "never", "spec": {"integrity": section}, **options}
    )


def bad(result: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """What is wrong, but for what the server's own set-up is."""
    return {
        (item["title"], item["subject"]): item
        for item in result["findings"]
        if item["status"] != "pass" and not item["title"].startswith("checksum")
    }


@pytest.fixture
def shop(pg_database: Database) -> Database:
    connection = pg_database.connect()
    sql(connection, SCHEMA)
    connection.close()
    return pg_database


def test_a_good_database(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    for options in ({}, {"amcheck": "all"}, {"amcheck": "all", "rootdescend": True}):
        result = check(capsys, shop, **options)
        assert bad(result) == {}
    (said,) = [item for item in result["findings"] if item["title"] == "amcheck"]
    assert said["evidence"] == "3 btree indexes and 2 tables are sound."
    connection = shop.connect()
    (on,) = query(connection, "SELECT current_setting('data_checksums')")[0]
    connection.close()
    status = {item["title"]: item["status"] for item in result["findings"]}
    assert status["checksums"] == ("pass" if on == "on" else "fail")
    assert status["checksum failures"] == ("pass" if on == "on" else "not_tested")


FAULTS = [
    ("ALTER TABLE payments ADD CONSTRAINT big CHECK (amount > 5) NOT VALID", "constraint not valid", "payments: big"),
    ("ALTER TABLE payments DISABLE TRIGGER ALL", "constraint disabled", "public.payments: known_user"),
    ("ALTER TABLE users DISABLE TRIGGER ALL", "constraint disabled", "public.payments: known_user"),
    (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_email_key'::regclass",
        "invalid index",
        "public.users_email_key",
    ),
    ("SELECT setval('users_id_seq', 1900000000)", "sequence near its end", "public.users_id_seq"),
    # A sequence that goes on for long, and a column that does not.
    (
        "ALTER SEQUENCE users_id_seq AS bigint MAXVALUE 9000000000000; SELECT setval('users_id_seq', 1900000000)",
        "sequence near its end",
        "public.users_id_seq",
    ),
    (
        "CREATE SEQUENCE free; CREATE TABLE t (id int DEFAULT nextval('free')); SELECT setval('free', 1900000000)",
        "sequence near its end",
        "public.free",
    ),
    (
        "CREATE SEQUENCE down INCREMENT -1 MINVALUE -100 MAXVALUE -1 START -1; SELECT setval('down', -90)",
        "sequence near its end",
        "public.down",
    ),
]


def test_each_fault_is_found(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    for statements, title, subject in FAULTS:
        connection = shop.connect()
        sql(connection, "DROP TABLE IF EXISTS payments, users, t; DROP EXTENSION amcheck", SCHEMA, statements)
        connection.close()
        found = bad(check(capsys, shop))
        assert any(title == one and subject in other for one, other in found), (statements, found)
        assert all(item["status"] == "fail" and item["remedy"] for item in found.values())
        assert {one for one, _subject in found} == {title}


def test_remedies_run(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    connection = shop.connect()
    sql(
        connection,
        "ALTER TABLE payments ADD CONSTRAINT big CHECK (amount > 1) NOT VALID",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_email_key'::regclass",
    )
    found = bad(check(capsys, shop))
    assert len(found) == 2
    for item in found.values():
        sql(connection, item["remedy"])
    connection.close()
    assert bad(check(capsys, shop)) == {}


def test_assertions(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    role = f"{shop.prefix}reader"
    connection = shop.connect()
    sql(connection, f"CREATE ROLE {role}", "CREATE SEQUENCE s")
    result = check(
        capsys,
        shop,
        assertions=[
            {"name": "good", "sql": "SELECT * FROM users WHERE email IS NULL;"},
            {"name": "bad", "sql": "SELECT id FROM payments WHERE amount > 5 ORDER BY id"},
            {"name": "shown", "sql": "SELECT id, amount FROM payments ORDER BY id", "show_rows": 2},
            {"name": "many", "sql": "SELECT generate_series(1, 100000)", "severity": "critical"},
            {"name": "wrong", "sql": "SELECT no_such FROM payments"},
            {"name": "writes", "sql": "SELECT nextval('s')"},
            {"name": "not allowed", "sql": "SELECT * FROM users", "role": role},
            {"name": "slow", "sql": "SELECT pg_sleep(60)"},
            {"name": "last", "sql": "SELECT 1 WHERE false"},
        ],
        timeout="2s",
    )
    found = {item["subject"]: item for item in result["findings"] if item["title"] == "assertion"}
    assert {name for name, item in found.items() if item["status"] == "pass"} == {"good", "last"}
    assert {name for name, item in found.items() if item["status"] == "fail"} == {"bad", "shown", "many"}
    assert found["bad"]["evidence"] == "It returns 2 row(s)."
    assert found["shown"]["evidence"] == "It returns 3 row(s): id=1, amount=5; id=2, amount=6."
    assert found["many"]["evidence"] == "It returns 1000 or more row(s)."
    assert found["many"]["severity"] == "critical"
    assert "read-only transaction" in found["writes"]["evidence"]
    assert "permission denied" in found["not allowed"]["evidence"]
    assert "statement timeout" in found["slow"]["evidence"]
    assert query(connection, "SELECT is_called FROM s") == [(False,)]
    connection.close()
    refused = check(capsys, shop, assertions=[{"name": "x", "sql": "DELETE FROM users"}])
    assert "must be exactly one SELECT" in refused["msg"]
    hidden = {"name": "x", "sql": "WITH gone AS (DELETE FROM payments RETURNING 1) SELECT * FROM gone"}
    (said,) = [item for item in check(capsys, shop, assertions=[hidden])["findings"] if item["title"] == "assertion"]
    assert said["status"] == "error"


def test_rows_that_policies_hide_do_not_pass_for_none(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    role = f"{shop.prefix}reader"
    connection = shop.connect()
    sql(
        connection,
        f"CREATE ROLE {role} LOGIN PASSWORD 'reader-7f'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        "ALTER TABLE payments ENABLE ROW LEVEL SECURITY",
    )
    connection.close()
    result = check(
        capsys,
        shop,
        assertions=[
            {"name": "hidden", "sql": "SELECT * FROM payments"},
            {"name": "as a role", "sql": "SELECT * FROM payments", "role": role},
        ],
        references=[{"table": "payments", "columns": ["id"], "target": {"table": "users", "columns": ["id"]}}],
        login_user=role,
        login_password="reader-7f",
    )
    found = {
        item["subject"]: item for item in result["findings"] if item["title"] in ("assertion", "logical reference")
    }
    assert {name: item["status"] for name, item in found.items()} == {
        "hidden": "error",
        "as a role": "pass",
        "public.payments(id) -> public.users": "error",
    }
    assert "row-level security" in found["hidden"]["evidence"]


def test_references_across_databases(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    other = create_database(shop.server)
    try:
        connection = other.connect()
        sql(connection, 'CREATE TABLE "Profiles" ("userId" bigint, region text, PRIMARY KEY ("userId", region))')
        sql(connection, """INSERT INTO "Profiles" VALUES (1, 'eu'), (2, 'eu')""")
        connection.close()
        connection = shop.connect()
        sql(
            connection, "CREATE TABLE visits (u text, r varchar(9)); INSERT INTO visits VALUES ('1', 'eu'), ('1', 'us')"
        )
        sql(
            connection,
            "INSERT INTO visits SELECT '2', 'eu' FROM generate_series(1, 5); INSERT INTO visits VALUES ('9')",
        )
        connection.close()
        target = {"table": "Profiles", "columns": ["userId", "region"], "database": other.name}
        own = {"table": "users", "columns": ["id"]}
        result = check(
            capsys,
            shop,
            references=[
                {"table": "visits", "columns": ["u", "r"], "target": target},
                {"name": "good", "table": "payments", "columns": ["user_id"], "target": own},
                {"name": "cast", "table": "visits", "columns": ["r"], "target": own},
                {"name": "gone", "table": "payments", "columns": ["user_id"], "target": {**own, "columns": ["no"]}},
                {"name": "down", "table": "payments", "columns": ["id"], "target": {**own, "port": 1}},
            ],
        )
    finally:
        drop_database(other)
    found = {item["subject"]: item for item in result["findings"] if item["title"] == "logical reference"}
    assert {name: item["status"] for name, item in found.items()} == {
        "public.visits(u, r) -> public.Profiles": "fail",
        "good": "pass",
        "cast": "error",
        "gone": "error",
        "down": "error",
    }
    orphans = found["public.visits(u, r) -> public.Profiles"]["evidence"]
    assert orphans == f"1 of 3 different values are not in public.Profiles in {other.name}."
    assert found["good"]["evidence"] == "0 of 2 different values are not in public.users."
    assert "there is no column public.users.no" in found["gone"]["evidence"]


def test_without_amcheck_and_without_privileges(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    role = f"{shop.prefix}auditor"
    connection = shop.connect()
    sql(connection, f"CREATE ROLE {role} LOGIN PASSWORD 'auditor-7f'")
    found = bad(check(capsys, shop, login_user=role, login_password="auditor-7f"))
    assert found["amcheck", "database"]["status"] == "not_tested"
    assert "may not call bt_index_check()" in found["amcheck", "database"]["evidence"]
    assert found["sequence near its end", "public.users_id_seq"]["status"] == "error"
    sql(connection, "DROP EXTENSION amcheck")
    connection.close()
    found = bad(check(capsys, shop))
    assert found["amcheck", "database"]["remedy"] == "CREATE EXTENSION amcheck;"
    assert bad(check(capsys, shop, amcheck="none"))["amcheck", "database"]["status"] == "not_tested"


TURNED = (
    "CREATE FUNCTION turned(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.btint4cmp($1, $2)'",
    """CREATE OPERATOR CLASS turned_ops FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,
    OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 turned(int, int)""",
    "CREATE TABLE many AS SELECT generate_series(1, 500) n",
    "CREATE INDEX many_idx ON many (n turned_ops)",
)


def test_a_connection_that_is_lost_does_not_make_indexes_broken(
    shop: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = shop.connect()
    sql(
        connection,
        *TURNED,
        "CREATE OR REPLACE FUNCTION turned(int, int) RETURNS int LANGUAGE sql IMMUTABLE "
        "AS 'SELECT pg_terminate_backend(pg_backend_pid())::int'",
    )
    connection.close()
    answer = check(capsys, shop)
    assert answer["failed"]
    assert "terminating connection" in answer["msg"] or "closed unexpectedly" in answer["msg"]
    assert "findings" not in answer


def test_an_index_that_was_dropped_meanwhile_is_not_broken(shop: Database) -> None:
    connection = shop.connect(autocommit=False)
    with connection.cursor() as cursor:
        found = observe._each(cursor, "SELECT bt_index_check(%s::regclass)", [(4_000_000_000, "public.gone_idx")])
        assert found == ([], 0)
    connection.close()


def test_a_damaged_index_is_found(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """An index whose order is no longer that of its column: what a change of the collation library does to it."""
    connection = shop.connect()
    sql(
        connection,
        *TURNED,
        "CREATE OR REPLACE FUNCTION turned(int, int) RETURNS int LANGUAGE sql IMMUTABLE "
        "AS 'SELECT pg_catalog.btint4cmp($2, $1)'",
    )
    connection.close()
    found = bad(check(capsys, shop))
    assert set(found) == {("amcheck", "public.many_idx")}
    damaged = found["amcheck", "public.many_idx"]
    assert (damaged["status"], damaged["severity"]) == ("fail", "critical")
    assert "invariant violated for index" in damaged["evidence"]
