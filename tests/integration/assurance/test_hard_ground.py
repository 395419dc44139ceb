# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks where the ground is hard: a connection that is lost, a table that is locked, a login that may do nothing,
a database that is read-only or empty, names that are odd. None of them may end in a traceback, hang, or say pass."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

from ansible_collections.dbops.postgres.plugins.modules import (
    assurance_spec_info,
    pg_constraint_check,
    pg_index,
    pg_index_check,
    pg_integrity_check,
    pg_plan_check,
    pg_rls_check,
)
from tests.integration.indexes.running import run_module
from tests.integration.servers import Database

CHECKS = (pg_rls_check, pg_constraint_check, pg_index_check, pg_plan_check, pg_integrity_check)


def name_of(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def made(database: Database, text: str) -> None:
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(text)
    finally:
        connection.close()


def statuses(answer: dict[str, Any], status: str) -> list[tuple[str, str]]:
    return [(item["title"], item["subject"]) for item in answer["findings"] if item["status"] == status]


# Everything has a name that needs its quotes, and that is no good in a format string, a report or a path.
LONG = "ü" * 31 + "x"
ODD = f"""
CREATE SCHEMA "Select 1;";
CREATE SCHEMA "user";
SET search_path = "Select 1;";
CREATE TYPE "50% {{0}}" AS ENUM ('a''b', '%s', '<b>');
CREATE DOMAIN "d""q" AS text[] CHECK (array_length(VALUE, 1) < 4);
CREATE TABLE "order" ("Id %s" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Tenant Id" int NOT NULL,
    "{LONG}" "50% {{0}}" NOT NULL DEFAULT '%s', "d" "d""q", "a|b`<i>" int4multirange,
    twice bigint GENERATED ALWAYS AS ("Tenant Id" * 2) STORED,
    CONSTRAINT "un""ique %s" UNIQUE NULLS NOT DISTINCT ("Tenant Id", "a|b`<i>"),
    CONSTRAINT "check {{}} %" CHECK ("Tenant Id" > 0));
CREATE TABLE "user"."a.b" (LIKE "order" INCLUDING ALL);
ALTER TABLE "user"."a.b" ADD CONSTRAINT "f k" FOREIGN KEY ("Id %s") REFERENCES "order";
INSERT INTO "order" ("Tenant Id") VALUES (1), (2);
ALTER TABLE "order" ADD doc jsonb;
CREATE INDEX "low %" ON "order" ("{LONG}");
CREATE TABLE "no columns" ();
CREATE TABLE "room ?" ("Tenant Id" int NOT NULL, during tsrange NOT NULL, gone boolean NOT NULL DEFAULT false,
    CONSTRAINT "over lap" EXCLUDE USING gist (during WITH &&) WHERE (NOT gone));
CREATE TABLE "p 0" ("Tenant Id" int NOT NULL, at date NOT NULL, n int NOT NULL,
    PRIMARY KEY ("Tenant Id", at, n)) PARTITION BY RANGE (at);
CREATE TABLE "p 1" PARTITION OF "p 0" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (n);
CREATE TABLE "p 1%" PARTITION OF "p 1" FOR VALUES IN (1, 2);
CREATE UNLOGGED TABLE "mother" (id int NOT NULL CHECK (id > 0), "Tenant Id" int NOT NULL);
CREATE TABLE "child" (extra text NOT NULL) INHERITS ("mother");
DO $$ DECLARE t regclass; BEGIN
    FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'user'::regnamespace AND relkind = 'r'
              OR relname IN ('order', 'p 0', 'p 1', 'p 1%', 'room ?', 'mother', 'child') AND relkind IN ('r', 'p') LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY "ten ant %%" ON %s'
            ' USING ("Tenant Id" = (SELECT current_setting(''a.t'')::int))', t);
    END LOOP; END $$;
ANALYZE
"""


def odd_options(database: Database) -> dict[str, Any]:
    """A role with an odd name, and a spec that names odd things."""
    role = f"{database.prefix}R {{0}} %s"
    made(
        database,
        f"""
        DO $$ BEGIN CREATE ROLE "{role}"; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        GRANT USAGE ON SCHEMA "Select 1;", "user" TO "{role}";
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "Select 1;", "user" TO "{role}"
    """,
    )
    one = {"name": "one | <b>", "role": role, "settings": {"a.t": "1"}, "sees": {"*": '"Tenant Id" = 1'}}
    two = {**one, "name": "two %s", "settings": {"a.t": "2"}, "sees": {"*": '"Tenant Id" = 2'}}
    query = 'SELECT * FROM "Select 1;"."order" WHERE "Tenant Id" = 1'
    return {
        "fail_on": "never",
        "spec": {
            "rls": {"tenant_column": "Tenant Id", "identities": [one, two]},
            "indexes": {
                "limits": {"table_rows": 0, "bloat_bytes": 0},
                "required": [{"table": "Select 1;.order", "columns": ["Tenant Id", "a|b`<i>"]}],
            },
            "plans": {"queries": [{"name": "q | <b>", "sql": query, "max_cost": 1000}]},
            "integrity": {"assertions": [{"name": "a | <b>", "sql": query + " AND false"}]},
        },
    }


RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
Odd = tuple[Database, dict[str, Any]]


@pytest.fixture
def odd(pg_database: Database) -> Odd:
    """The odd database, and the options for it."""
    made(pg_database, ODD)
    return pg_database, odd_options(pg_database)


# A statement of the test's own ends the connection: as a failover does, and at a known place.
GONE = "pg_terminate_backend(pg_backend_pid())"
LOST = """
CREATE TABLE notes (id bigint PRIMARY KEY, tenant int NOT NULL, body text);
INSERT INTO notes VALUES (1, 1, 'x'), (2, 2, 'y');
CREATE FUNCTION gone(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT pg_terminate_backend(pg_backend_pid())';
ALTER TABLE notes ADD CHECK (body IS NULL OR gone(body)) NOT VALID;
"""
ENDS: dict[ModuleType, dict[str, Any]] = {
    pg_rls_check: {
        "rls": {"tenant_column": "tenant", "identities": [{"name": "me", "role": "postgres", "sees": {"*": GONE}}]}
    },
    pg_constraint_check: {},
    pg_index_check: {
        "indexes": {
            "limits": {"table_rows": 0, "bloat_bytes": 0},
            "required": [{"table": "public.notes", "columns": ["tenant"], "where": GONE}],
        }
    },
    pg_index: {
        "indexes": {
            "limits": {"table_rows": 0, "bloat_bytes": 0},
            "required": [{"table": "public.notes", "columns": [{"expression": "public.gone('x')"}]}],
        }
    },
    pg_plan_check: {"plans": {"queries": [{"name": "q", "sql": f"SELECT {GONE}"}]}},
    pg_integrity_check: {"integrity": {"assertions": [{"name": "a", "sql": f"SELECT {GONE}"}]}},
}


def test_a_connection_that_is_lost_is_an_error_in_words(
    pg_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    made(pg_database, LOST)
    for module, spec in ENDS.items():
        answer = run_module(capsys, module, pg_database, spec=spec)
        assert answer["failed"], (module, answer)
        assert "terminat" in answer["msg"] or "closed" in answer["msg"], (module, answer["msg"])


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_of_another_encoding(
    pg_database: Database, capsys: pytest.CaptureFixture[str], encoding: str
) -> None:
    name = pg_database.prefix + encoding.lower()
    made(pg_database, f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    other = Database(pg_database.server, name)
    connection = other.connect()
    connection.set_client_encoding("UTF8")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE prüfung (id int PRIMARY KEY, tenant int NOT NULL, t text CHECK (t <> 'ü'))")
    connection.close()
    spec = {
        "rls": {"tables": ["prüfung"]},
        "plans": {"queries": [{"name": "q", "sql": 'SELECT t AS "€" FROM prüfung'}]},
        "integrity": {"assertions": [{"name": "a", "sql": "SELECT 'ü' FROM prüfung"}]},
    }
    for module in CHECKS:
        answer = run_module(capsys, module, other, spec=spec, fail_on="never")
        assert answer["findings"], module
        if encoding == "LATIN1" and module is pg_plan_check:
            assert "no equivalent in encoding" in answer["findings"][0]["evidence"]
        else:
            assert statuses(answer, "error") == [], module


def test_a_schema_that_is_not_there_is_refused(pg_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    made(pg_database, "CREATE TABLE notes (id bigint PRIMARY KEY)")
    for module in CHECKS:
        answer = run_module(capsys, module, pg_database, schemas=["public", "pubic"], fail_on="never")
        assert answer.get("failed"), (module, answer)
        assert "'pubic'" in answer["msg"]


def test_of_an_empty_database_nothing_is_said_to_hold(
    pg_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in CHECKS:
        answer = run_module(capsys, module, pg_database, fail_on="never")
        held = {title for title, _subject in statuses(answer, "pass")}
        assert held <= {"checksums", "checksum failures"}, (module, held)


def test_a_file_that_cannot_be_written_is_an_error_in_words(
    pg_database: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made(pg_database, "CREATE TABLE notes (id bigint PRIMARY KEY)")
    (tmp_path / "file").write_text("")
    under = str(tmp_path / "file" / "x")
    for module in CHECKS:
        options: list[dict[str, Any]] = [{"junit": under}]
        if module is pg_plan_check:
            options += [{"report": under}, {"baseline": str(tmp_path / "file" / "y")}]
        for option in options:
            answer = run_module(capsys, module, pg_database, fail_on="never", **option)
            assert answer.get("failed"), (module, option, answer)
            assert str(tmp_path) in answer["msg"], answer["msg"]


def test_a_table_that_is_locked_is_not_waited_for_long(odd: Odd, capsys: pytest.CaptureFixture[str]) -> None:
    """A migration holds a table: it is said which one, and nothing of it is called good."""
    database, options = odd
    holder = database.connect(autocommit=False)
    with holder.cursor() as cursor:
        cursor.execute('LOCK TABLE "Select 1;"."order" IN ACCESS EXCLUSIVE MODE')
        for module in (*CHECKS, assurance_spec_info):
            answer = run_module(capsys, module, database, **({} if module is assurance_spec_info else options))
            if answer.get("failed"):
                assert "lock timeout" in answer["msg"]
                assert 'Locked against everybody: "Select 1;"."order" by process' in answer["msg"]
            elif module is pg_index_check:  # has read the catalog, which needs no lock on this table
                assert statuses(answer, "error") == []
            else:
                assert [title for title, _subject in statuses(answer, "error")] in (["runs"], ["assertion"])
                assert not {"runs", "assertion"} & {title for title, _subject in statuses(answer, "pass")}
    holder.close()


def test_a_database_that_takes_no_write(odd: Odd, capsys: pytest.CaptureFixture[str]) -> None:
    database, options = odd
    made(database, f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    for module in CHECKS:
        answer = run_module(capsys, module, database, **options)
        if module in (pg_rls_check, pg_constraint_check):
            errors = [item["evidence"] for item in answer["findings"] if item["status"] == "error"]
            assert errors, module
            assert all("read-only transaction" in evidence for evidence in errors), errors
            held = [subject for title, subject in statuses(answer, "pass") if title != "constraints"]
            assert not [subject for subject in held if subject.startswith("identity")]
            # A domain is tried by a cast, which writes nothing.
            proven = [subject for title, subject in statuses(answer, "pass") if title == "constraints"]
            assert proven in ([], ['domain "Select 1;"."d""q"'])
        else:
            assert statuses(answer, "error") == []


BLIND = {
    pg_rls_check: {"matrix"},
    pg_constraint_check: {"constraint not tried"},
    pg_index_check: {"JSONB without GIN", "low cardinality", "bloat"},
    pg_plan_check: {"runs"},
    pg_integrity_check: {"assertion", "sequence near its end", "amcheck"},
}


def test_a_login_that_may_do_nothing(odd: Odd, capsys: pytest.CaptureFixture[str]) -> None:
    database, options = odd
    role = f"{database.prefix}nothing"
    made(database, f"CREATE ROLE {role} LOGIN PASSWORD 'only-here'")
    for module in CHECKS:
        answer = run_module(capsys, module, database, **{**options, **database.login(role, "only-here")})
        unproven = {title for status in ("error", "not_tested") for title, _subject in statuses(answer, status)}
        assert unproven >= BLIND[module], answer["findings"]
        assert not BLIND[module] & {title for title, _subject in statuses(answer, "pass")}


def test_odd_names(odd: Odd, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    database, options = odd
    answers = {}
    for module in CHECKS:
        junit = tmp_path / name_of(module)
        answers[module] = answer = run_module(capsys, module, database, junit=str(junit), **options)
        assert statuses(answer, "error") == [], answer["findings"]
        cases = list(ElementTree.parse(junit).iter("testcase"))  # noqa: S314 - our own
        assert len(cases) == len(answer["findings"])
    assert answers[pg_rls_check]["matrix"]["one | <b>"]["Select 1;.p 1%"] == dict.fromkeys(RIGHTS, "own")
    across = [item for item in answers[pg_rls_check]["findings"] if item["title"] == "foreign_key_across"]
    assert [item["remedy"] for item in across] == [
        'FOREIGN KEY ("Tenant Id", "Id %s") REFERENCES "Select 1;"."order" ("Tenant Id", "Id %s").'
    ]
    assert {item["result"] for item in answers[pg_constraint_check]["constraints"]} == {"proven"}
    assert "| q \\| &lt;b&gt; | ok |" in answers[pg_plan_check]["report"]
