# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Required indexes are built, leftovers mended, and a failure leaves nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._indexes import apply
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.apply import LOCK_KEY, Outcome, Patience, converge
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import parse
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.modules import pg_index
from tests.integration.access.running import login, query, sql
from tests.integration.indexes.running import run_module
from tests.integration.servers import Database

QUICK = Patience(lock_timeout="300ms", statement_timeout="30s", retries=0, delay=0.2)


def run(
    database: Database,
    section: Mapping[str, Any],
    drop: Sequence[str] = (),
    *,
    check: bool = False,
    patience: Patience = QUICK,
) -> Outcome:
    names = [("public", name) for name in drop]
    wanted = parse(section).required
    return converge(login(database), database.name, wanted, names, patience=patience, check_mode=check)


def made_true(database: Database, section: Mapping[str, Any], drop: Sequence[str] = ()) -> tuple[str, ...]:
    """Check, run, run again: foretold exactly, and the second run changed nothing."""
    before = run(database, section, drop, check=True)
    outcome = run(database, section, drop)
    assert before.statements == outcome.statements
    assert before.planned.plan.diff() == outcome.planned.plan.diff()
    again = run(database, section, drop)
    assert again.statements == ()
    assert again.planned.plan.diff() == {"before": "", "after": ""}
    return outcome.statements


def indexes(database: Database) -> dict[str, bool]:
    """The indexes of the schema public and whether each is valid."""
    connection = database.connect()
    rows = query(
        connection,
        "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1",
    )
    connection.close()
    return dict(rows)


def prepare(database: Database, *statements: str) -> None:
    connection = database.connect()
    sql(connection, *statements)
    connection.close()


NOTES: dict[str, Any] = {
    "required": [
        {"table": "Users", "columns": ["Email"], "unique": True},
        {"table": "Users", "columns": [{"expression": 'lower("Email")'}], "where": '"Deleted" is null'},
        {"table": "Notes", "columns": ["UserId"], "name": "notes_of_user"},
        {"table": "Notes", "columns": ["UserId", {"column": "CreatedAt", "order": "desc"}]},
        {"table": "Notes", "columns": ["UpdatedAt"], "include": ["UserId"]},
    ],
    "jsonb": [{"table": "Notes", "column": "Body"}],
}
TABLES = """
CREATE TABLE "Users" ("Id" int PRIMARY KEY, "Email" varchar(100), "Deleted" date);
CREATE TABLE "Notes" ("Id" int, "UserId" int, "CreatedAt" date, "UpdatedAt" date, "Body" jsonb);
"""


def test_what_is_required_is_built_once(pg_database: Database) -> None:
    prepare(pg_database, TABLES)
    statements = made_true(pg_database, NOTES)
    assert statements[0] == (
        'CREATE UNIQUE INDEX CONCURRENTLY "Users_Email_key" ON "public"."Users" USING btree ("Email")'
    )
    assert len(statements) == 5  # (UserId) is served by (UserId, CreatedAt)
    found = indexes(pg_database)
    assert "notes_of_user" not in found
    assert len(found) == 6
    assert all(found.values())


def test_a_failed_build_leaves_nothing_and_says_why(pg_database: Database) -> None:
    prepare(pg_database, TABLES, """INSERT INTO "Users" VALUES (1, 'a'), (2, 'a')""")
    before = indexes(pg_database)
    with pytest.raises(DbopsError) as raised:
        run(pg_database, NOTES)
    assert "index public.Users_Email_key: could not create unique index" in str(raised.value)
    assert 'Key ("Email")=(a) is duplicated' in str(raised.value)
    assert "What the statement had begun was removed" in str(raised.value)
    assert indexes(pg_database) == before


def test_a_failed_rebuild_leaves_the_old_one_alone(pg_database: Database) -> None:
    prepare(
        pg_database,
        TABLES,
        """INSERT INTO "Users" VALUES (1, 'a'), (2, 'b')""",
        'CREATE UNIQUE INDEX u ON "Users" ("Email")',
        "UPDATE pg_index SET indisvalid = false, indisready = false WHERE indexrelid = 'u'::regclass",
        """INSERT INTO "Users" VALUES (3, 'a')""",
    )
    with pytest.raises(DbopsError, match="could not create unique index"):
        run(pg_database, {})
    assert indexes(pg_database) == {"Users_pkey": True, "u": False}


def test_leftovers_are_mended(pg_database: Database) -> None:
    prepare(
        pg_database,
        TABLES,
        'CREATE INDEX a ON "Notes" ("UserId")',
        'CREATE INDEX "a_ccnew" ON "Notes" ("UserId")',
        'CREATE UNIQUE INDEX e ON "Users" ("Email")',
        'CREATE INDEX b ON "Notes" ("CreatedAt")',
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid IN ('a_ccnew'::regclass, 'b'::regclass, "
        "'e'::regclass, '\"Users_pkey\"'::regclass)",
    )
    statements = made_true(pg_database, {"required": [{"table": "Users", "columns": ["Email"], "unique": True}]})
    assert statements == (
        'DROP INDEX CONCURRENTLY "public"."e"',
        'CREATE UNIQUE INDEX CONCURRENTLY "e" ON "public"."Users" USING btree ("Email")',
        'REINDEX INDEX CONCURRENTLY "public"."Users_pkey"',
        'DROP INDEX CONCURRENTLY "public"."a_ccnew"',
        'REINDEX INDEX CONCURRENTLY "public"."b"',
    )
    assert indexes(pg_database) == {"Users_pkey": True, "a": True, "b": True, "e": True}


def test_a_real_leftover_is_taken_up(pg_database: Database) -> None:
    """Not one that a test has forged: the build fails on a duplicate, which is then removed."""
    prepare(pg_database, TABLES, """INSERT INTO "Users" VALUES (1, 'a'), (2, 'a')""")
    connection = pg_database.connect()
    with pytest.raises(Exception, match="could not create unique index"):
        sql(connection, 'CREATE UNIQUE INDEX CONCURRENTLY left_over ON "Users" ("Email")')
    sql(connection, 'DELETE FROM "Users" WHERE "Id" = 2')
    connection.close()
    assert indexes(pg_database)["left_over"] is False
    made_true(pg_database, {"required": NOTES["required"][:1]})
    assert indexes(pg_database) == {"Users_pkey": True, "left_over": True}


PARTITIONED = """
CREATE TABLE e (id int, at date, kind text) PARTITION BY RANGE (at);
CREATE TABLE e_1 PARTITION OF e FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE e_2 PARTITION OF e FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (kind);
CREATE TABLE e_2a PARTITION OF e_2 FOR VALUES IN ('a');
CREATE TABLE e_2b PARTITION OF e_2 DEFAULT;
"""


def test_partitions_are_indexed_one_by_one(pg_database: Database) -> None:
    prepare(pg_database, PARTITIONED, "CREATE INDEX own ON e_2a (id, at)")
    section = {"required": [{"table": "e", "columns": ["id", "at"], "name": "e_id_at"}]}
    statements = made_true(pg_database, section)
    assert statements == (
        'CREATE INDEX "e_id_at" ON ONLY "public"."e" USING btree ("id", "at")',
        'CREATE INDEX CONCURRENTLY "e_1_id_at_idx" ON "public"."e_1" USING btree ("id", "at")',
        'ALTER INDEX "public"."e_id_at" ATTACH PARTITION "public"."e_1_id_at_idx"',
        'CREATE INDEX "e_2_id_at_idx" ON ONLY "public"."e_2" USING btree ("id", "at")',
        'ALTER INDEX "public"."e_2_id_at_idx" ATTACH PARTITION "public"."own"',
        'CREATE INDEX CONCURRENTLY "e_2b_id_at_idx" ON "public"."e_2b" USING btree ("id", "at")',
        'ALTER INDEX "public"."e_2_id_at_idx" ATTACH PARTITION "public"."e_2b_id_at_idx"',
        'ALTER INDEX "public"."e_id_at" ATTACH PARTITION "public"."e_2_id_at_idx"',
    )
    assert all(indexes(pg_database).values())
    assert made_true(pg_database, {}, drop=["e_id_at"]) == ('DROP INDEX "public"."e_id_at"',)
    assert indexes(pg_database) == {}


def test_a_partitioned_build_that_stopped_anywhere_is_taken_up(pg_database: Database) -> None:
    section = {"required": [{"table": "e", "columns": ["id"]}]}
    for done in (1, 3, 4, 6):
        prepare(pg_database, "DROP TABLE IF EXISTS e", PARTITIONED)
        statements = run(pg_database, section, check=True).statements
        prepare(pg_database, *statements[:done])
        assert set(made_true(pg_database, section)) == set(statements[done:])
        assert all(indexes(pg_database).values())


def test_dropping_by_name(pg_database: Database) -> None:
    prepare(pg_database, TABLES, 'CREATE INDEX a ON "Notes" ("UserId")', 'CREATE INDEX b ON "Notes" ("UserId")')
    assert made_true(pg_database, {}, ["a", "no_such"]) == ('DROP INDEX CONCURRENTLY "public"."a"',)
    with pytest.raises(DbopsError, match="belongs to the constraint Users_pkey"):
        run(pg_database, {}, ["Users_pkey"])
    with pytest.raises(DbopsError, match="does the work of the required index"):
        run(pg_database, {"required": [{"table": "Notes", "columns": ["UserId"]}]}, ["b"])
    # What replaces it is there before it goes.
    section = {"required": [{"table": "Notes", "columns": ["UserId", "CreatedAt"]}]}
    assert made_true(pg_database, section, ["b"])[-1] == 'DROP INDEX CONCURRENTLY "public"."b"'


def test_what_is_refused(pg_database: Database) -> None:
    prepare(pg_database, TABLES, 'CREATE INDEX a ON "Notes" ("UserId")', 'CREATE UNIQUE INDEX w ON "Users" ("Email")')
    assert run(pg_database, {"required": NOTES["required"][:1]}).statements == ()  # it has another name
    with pytest.raises(DbopsError, match="the name belongs to an index on"):
        run(pg_database, {"required": [{"table": "Notes", "columns": ["CreatedAt"], "name": "a"}]})
    holder = pg_database.connect()
    sql(holder, f"SELECT pg_advisory_lock({LOCK_KEY})")
    with pytest.raises(DbopsError, match="Another run of pg_index"):
        run(pg_database, NOTES)
    holder.close()
    assert indexes(pg_database) == {"Users_pkey": True, "a": True, "w": True}


@pytest.mark.parametrize("pg_server", [17], indirect=True, ids=["pg17"])
def test_a_transaction_timeout_of_the_server_is_not_for_it(pg_database: Database) -> None:
    prepare(
        pg_database,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1);"
        "CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " $$ BEGIN PERFORM pg_sleep(0.3); RETURN $1; END $$;"
        f"ALTER DATABASE {pg_database.name} SET transaction_timeout = '200ms'",
    )
    run(pg_database, {"required": [{"table": "public.t", "columns": [{"expression": "public.slow(a)"}]}]})
    assert list(indexes(pg_database).values()) == [True]


def test_a_session_that_is_ended_says_what_may_be_left(pg_database: Database) -> None:
    prepare(
        pg_database,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1);"
        "CREATE FUNCTION public.deadly(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN $1; END $$",
    )
    section = {"required": [{"table": "public.t", "columns": [{"expression": "public.deadly(a)"}]}]}
    with pytest.raises(DbopsError, match="connection has been closed unexpectedly") as raised:
        run(pg_database, section)
    assert 'Statement: CREATE INDEX CONCURRENTLY "t_expr_idx" ON "public"."t"' in str(raised.value)
    assert "an index that it had begun is left, invalid, and the next run removes it" in str(raised.value)
    assert indexes(pg_database) == {"t_expr_idx": False}
    prepare(
        pg_database,
        "CREATE OR REPLACE FUNCTION public.deadly(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " $$ BEGIN RETURN $1; END $$",
    )
    made_true(pg_database, section)
    assert indexes(pg_database) == {"t_expr_idx": True}


def test_a_lock_is_waited_for_and_tried_again(pg_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(pg_database, TABLES)
    section = {"required": [{"table": "Notes", "columns": ["UserId"]}]}
    holder = pg_database.connect(autocommit=False)
    sql(holder, 'INSERT INTO "Notes" VALUES (1)')
    with pytest.raises(DbopsError, match="a transaction is open for long") as raised:
        run(pg_database, section)
    assert "public.Notes_UserId_idx, is left and invalid: the next run removes it" in str(raised.value)
    # PostgreSQL cannot drop it while the transaction is open: it is said, and the next run does.
    assert indexes(pg_database) == {"Notes_UserId_idx": False, "Users_pkey": True}

    pauses = []

    def pause(seconds: float) -> None:  # after the first try, which the open transaction has stopped
        pauses.append(seconds)
        holder.commit()

    monkeypatch.setattr(apply, "time", SimpleNamespace(sleep=pause))
    run(pg_database, section, patience=Patience("300ms", "30s", retries=10, delay=0.1))
    holder.close()
    assert pauses[0] == 0.1
    assert indexes(pg_database) == {"Users_pkey": True, "Notes_UserId_idx": True}


def test_the_module(pg_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(pg_database, TABLES)
    options: dict[str, Any] = {"required": NOTES["required"][:1], "spec": {"indexes": {"jsonb": NOTES["jsonb"]}}}
    foretold = run_module(capsys, pg_index, pg_database, check=True, **options)
    result = run_module(capsys, pg_index, pg_database, **options)
    assert foretold == result
    assert result["changed"]
    assert len(result["statements"]) == 2
    assert result["diff"]["after"] == (
        "index public.Notes_Body_idx: gin (Body)\nindex public.Users_Email_key: unique (Email)\n"
    )
    assert not run_module(capsys, pg_index, pg_database, **options)["changed"]
    wrong = run_module(capsys, pg_index, pg_database, lock_timeout="soon")
    assert "'soon' is no duration" in wrong["msg"]
    wrong = run_module(capsys, pg_index, pg_database, required=[{"table": "Users", "columns": ["Emial"]}])
    assert "Table public.Users has no column Emial" in wrong["msg"]
