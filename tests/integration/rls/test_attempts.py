# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attempts on tables that make it hard: empty, oddly named, in parts, locked, with columns not to be written."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg2 import extensions

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._rls import check
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import parse
from tests.integration.rls import schemas
from tests.integration.servers import Database

A, B = schemas.HARBOUR, schemas.HILL
FOUR = ("SELECT", "INSERT", "UPDATE", "DELETE")


def sql(database: Database, text: str) -> None:
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(text.replace("{prefix}", database.prefix))
    finally:
        connection.close()


def protected(table: str, using: str = "tenant = (SELECT nullif(current_setting('app.t', true), '')::uuid)") -> str:
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY;"
        f" CREATE POLICY p ON {table} USING ({using});"
        f" GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {{prefix}}app;"
    )


def spec(prefix: str, **more: Any) -> dict[str, Any]:
    return {
        "tenant_column": "tenant",
        "identities": [
            {"name": name, "role": f"{prefix}app", "settings": {"app.t": tenant}, "sees": {"*": f"tenant = '{tenant}'"}}
            for name, tenant in (("a", A), ("b", B))
        ],
        **more,
    }


def checked(database: Database, section: dict[str, Any], by: extensions.connection | None = None) -> check.Outcome:
    connection = by or database.connect(autocommit=False)
    try:
        return check.check(connection, parse(section))
    finally:
        connection.close()


def said(outcome: check.Outcome, table: str, identity: str = "a") -> list[str]:
    """What is not good about the attempts of an identity on a table."""
    return [
        f"{f.subject.split()[1]} {f.status.value}: {f.evidence}"
        for f in outcome.findings
        if f.status is not Status.PASS and f.subject.startswith(f"{identity}: ") and f.subject.endswith(f" {table}")
    ]


def test_empty_tables_get_rows(pg_database: Database) -> None:
    """Rows are made from the types alone, and a policy that is too wide is noticed on them."""
    sql(
        pg_database,
        """CREATE ROLE {prefix}app;
        CREATE TYPE mood AS ENUM ('fine', 'bad');
        CREATE DOMAIN short AS varchar(3) CHECK (VALUE IN ('abc', 'def'));
        CREATE TABLE t (
            tenant uuid NOT NULL, id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a short NOT NULL, m mood NOT NULL,
            n numeric(6,2) NOT NULL CHECK (n > 0), j jsonb NOT NULL, d date NOT NULL, ts timestamptz NOT NULL,
            arr int[] NOT NULL, r int4range NOT NULL, c char(2) NOT NULL, code varchar(8) UNIQUE NOT NULL,
            by bytea NOT NULL, ip inet NOT NULL, b bit(3) NOT NULL, state text NOT NULL CHECK (state IN ('x', 'y')),
            twice numeric GENERATED ALWAYS AS (n * 2) STORED, nothing text,
            who uuid NOT NULL REFERENCES t2, i interval NOT NULL, UNIQUE (tenant, state, code)
        );
        """.replace("CREATE TABLE t (", "CREATE TABLE t2 (id uuid PRIMARY KEY); CREATE TABLE t (")
        + protected("t")
        + "CREATE TABLE wide (tenant uuid NOT NULL, id int PRIMARY KEY);"
        + protected("wide", "true"),
    )
    outcome = checked(pg_database, spec(pg_database.prefix))
    assert said(outcome, "public.t") == []
    assert outcome.matrix["a"]["public.t"] == dict.fromkeys(FOUR, "own")
    assert outcome.matrix["a"]["public.wide"] == dict.fromkeys(FOUR, "foreign")
    assert outcome.matrix[f"nobody ({pg_database.prefix}app)"]["public.wide"] == dict.fromkeys(FOUR, "foreign")


def test_what_cannot_be_tried_is_an_error(pg_database: Database) -> None:
    sql(
        pg_database,
        """CREATE ROLE {prefix}app;
        CREATE TABLE t (tenant uuid NOT NULL, a int CHECK (a > 17) NOT NULL);"""
        + protected("t")
        + "CREATE TABLE odd (id int, owner name);"
        + protected("odd", "owner = current_user"),
    )
    outcome = checked(pg_database, spec(pg_database.prefix))
    assert outcome.matrix["a"]["public.t"] == dict.fromkeys(FOUR, "unknown")
    for text in said(outcome, "public.t"):
        assert "error: not proven: there is no row of others, and none could be made" in text
        assert "violates check constraint" in text
    assert [f.evidence for f in outcome.findings if f.subject == "a: public.odd"] == [
        "it is not declared which of these rows it sees. Declare it in sees."
    ]


def test_names_and_values_that_need_quoting(pg_database: Database) -> None:
    tenant, other = "it's {a} 100%", 'b"\\'
    sql(
        pg_database,
        """CREATE ROLE "{prefix}App "; CREATE SCHEMA "S {}%"; GRANT USAGE ON SCHEMA "S {}%" TO "{prefix}App ";
        CREATE TABLE "S {}%"."T ""%s" ("the tenant" text, "T ""%s" int, "x%(y)s" json, gone int, "order" text);
        ALTER TABLE "S {}%"."T ""%s" DROP gone; ALTER TABLE "S {}%"."T ""%s" ADD late int[] DEFAULT '{1}';
        """
        + protected('"S {}%"."T ""%s"', "\"the tenant\" = (SELECT current_setting('app.t', true))").replace(
            "{prefix}app", '"{prefix}App "'
        )
        + """INSERT INTO "S {}%"."T ""%s" VALUES
            ('it''s {a} 100%', 1, '{"a": "(,)"}', 'a,"b\\'), ('b"\\', NULL, NULL, '');""",
    )
    identities = [
        {
            "name": name,
            "role": f"{pg_database.prefix}App ",
            "settings": {"app.t": value},
            "sees": {"*": "\"the tenant\" = '{}'".format(value.replace("'", "''"))},
        }
        for name, value in (("a", tenant), ("b", other))
    ]
    outcome = checked(pg_database, {"tenant_column": "the tenant", "identities": identities})
    table = 'S {}%.T "%s'
    assert said(outcome, table) == []
    assert outcome.matrix["a"][table] == outcome.matrix["b"][table] == dict.fromkeys(FOUR, "own")


def test_constraints_are_no_proof(pg_database: Database) -> None:
    """A policy that lets a foreign row pass is noticed although a constraint would stop this one."""
    sql(
        pg_database,
        """CREATE ROLE {prefix}app;
        CREATE TABLE t (tenant uuid NOT NULL, id int PRIMARY KEY, CHECK (id < 5 OR tenant <> '"""
        + B
        + f"""'));
        INSERT INTO t VALUES ('{A}', 9), ('{B}', 2);
        """
        + protected("t")
        + "ALTER POLICY p ON t WITH CHECK (id > 0);",
    )
    outcome = checked(pg_database, spec(pg_database.prefix))
    insert = next(text for text in said(outcome, "public.t") if text.startswith("INSERT"))
    assert "not a policy stopped it, but a constraint" in insert
    assert "violates check constraint" in insert


def test_parts_that_are_reached_directly(pg_database: Database) -> None:
    sql(
        pg_database,
        """CREATE ROLE {prefix}app;
        CREATE TABLE t (tenant uuid NOT NULL, day date NOT NULL, PRIMARY KEY (tenant, day)) PARTITION BY RANGE (day);
        CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        """
        + protected("t")
        + protected("t_1")
        + "GRANT SELECT, INSERT, DELETE ON t_2 TO {prefix}app;"
        + f"INSERT INTO t VALUES ('{A}', '2026-01-05'), ('{B}', '2026-01-05')",
    )
    matrix = checked(pg_database, spec(pg_database.prefix)).matrix["a"]
    assert matrix["public.t"] == matrix["public.t_1"] == dict.fromkeys(FOUR, "own")
    # It is empty, and has no policy.
    assert matrix["public.t_2"] == {**dict.fromkeys(FOUR, "foreign"), "UPDATE": "no privilege"}


def test_columns_that_may_not_be_written(pg_database: Database) -> None:
    sql(
        pg_database,
        """CREATE ROLE {prefix}app;
        CREATE TABLE t (tenant uuid NOT NULL, id bigserial PRIMARY KEY, note text);"""
        + protected("t")
        + f"""ALTER POLICY p ON t WITH CHECK (true); REVOKE ALL ON t FROM {{prefix}}app;
        GRANT SELECT (tenant, id), INSERT (note, tenant), UPDATE (note) ON t TO {{prefix}}app;
        INSERT INTO t (tenant) VALUES ('{A}'), ('{B}')""",
    )
    matrix = checked(pg_database, spec(pg_database.prefix)).matrix["a"]["public.t"]
    # The tenant cannot be updated, so nothing can be given away, although the policy would allow it.
    assert matrix == {"SELECT": "own", "INSERT": "foreign", "UPDATE": "own", "DELETE": "no privilege"}


def test_an_identity_without_privileges_proves_nothing(pg_database: Database) -> None:
    """A role that was never granted anything reaches no foreign row, and is no proof of that."""
    sql(
        pg_database,
        f"""CREATE ROLE {{prefix}}app; CREATE TABLE t (tenant uuid NOT NULL); CREATE TABLE u (tenant uuid NOT NULL);
        INSERT INTO t VALUES ('{A}'), ('{B}'); INSERT INTO u VALUES ('{A}'), ('{B}');"""
        + protected("t")
        + protected("u")
        + "REVOKE ALL ON t, u FROM {prefix}app",
    )
    section = spec(pg_database.prefix)
    found = checked(pg_database, section).findings
    assert {f.subject for f in found if f.status is Status.ERROR} == {i["name"] for i in section["identities"]}
    # One that may read something is not told about what only "*" is about, but about what is named.
    sql(pg_database, "GRANT SELECT ON t TO {prefix}app")
    found = checked(pg_database, section).findings
    assert [f for f in found if f.status is Status.ERROR] == []
    for identity in section["identities"]:
        identity["sees"]["public.u"] = identity["sees"]["*"]
    found = checked(pg_database, section).findings
    assert {f.subject for f in found if f.status is Status.ERROR} == {
        f"{identity['name']}: SELECT public.u" for identity in section["identities"]
    }


def test_without_the_rights_nothing_is_claimed(pg_database: Database) -> None:
    schemas.make(pg_database, "aria")
    prefix = pg_database.prefix
    sql(
        pg_database,
        "ALTER ROLE {prefix}report PASSWORD 'Secret-of-a-test-1'; ALTER ROLE {prefix}app PASSWORD 'Secret-of-a-test-1';"
        " ALTER ROLE {prefix}app BYPASSRLS",
    )
    by = pg_database.connect(f"{prefix}report", "Secret-of-a-test-1", autocommit=False)
    outcome = checked(pg_database, schemas.aria(prefix), by)
    assert [f.evidence[:60] for f in outcome.findings if f.status is Status.NOT_TESTED] == [
        f"{prefix}report does not pass by policies itself, so it cannot know"[:60]
    ]
    by = pg_database.connect(f"{prefix}app", "Secret-of-a-test-1", autocommit=False)
    outcome = checked(pg_database, schemas.aria(prefix), by)
    errors = [f for f in outcome.findings if f.status is Status.ERROR]
    assert all("session_replication_role" in f.evidence for f in errors)
    assert len(errors) > 20


def test_a_role_with_just_the_rights(pg_database: Database) -> None:
    """What the documentation says that a login needs which is no superuser."""
    schemas.make(pg_database, "aria")
    sql(
        pg_database,
        """CREATE ROLE {prefix}checker LOGIN BYPASSRLS PASSWORD 'Secret-of-a-test-1';
        GRANT {prefix}app, {prefix}report TO {prefix}checker;
        GRANT SET ON PARAMETER session_replication_role TO {prefix}checker;
        GRANT USAGE ON SCHEMA aria TO {prefix}checker;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA aria TO {prefix}checker""",
    )
    section = schemas.aria(pg_database.prefix)
    by = pg_database.connect(f"{pg_database.prefix}checker", "Secret-of-a-test-1", autocommit=False)
    outcome = checked(pg_database, section, by)
    assert [f for f in outcome.findings if f.status is not Status.PASS] == []
    assert outcome.matrix == checked(pg_database, section).matrix


def test_a_condition_that_the_identity_answers_otherwise(pg_database: Database) -> None:
    """Whose row it is depends on rows that the identity does not see: to it, every row looks like its own."""
    sql(
        pg_database,
        f"""CREATE ROLE {{prefix}}app; CREATE TABLE t (tenant uuid NOT NULL, id int PRIMARY KEY);
        CREATE TABLE sold (tenant uuid NOT NULL, id int PRIMARY KEY);
        INSERT INTO t VALUES ('{A}', 1), ('{A}', 2), ('{B}', 3); INSERT INTO sold VALUES ('{A}', 1), ('{B}', 2);"""
        + protected("t", "true")
        + protected("sold"),
    )
    section = spec(pg_database.prefix)
    for identity in section["identities"]:
        identity["sees"]["t"] = "NOT EXISTS (SELECT FROM public.sold s WHERE s.id = t.id AND s.tenant = '" + B + "')"
    outcome = checked(pg_database, {**section, "identities": section["identities"][:1]})
    assert outcome.matrix["a"]["public.t"]["SELECT"] == "foreign"


def test_a_predicate_that_is_wrong(pg_database: Database) -> None:
    schemas.make(pg_database, "aria")
    section = schemas.aria(pg_database.prefix)
    section["identities"][0]["sees"]["patients"] = "practise_id IS NULL"
    outcome = checked(pg_database, section)
    errors = [f for f in outcome.findings if f.status is Status.ERROR]
    assert {f.subject for f in errors} == {f"harbour: {command} aria.patients" for command in FOUR}
    assert 'column "practise_id" does not exist' in errors[0].evidence


@pytest.mark.parametrize("lock", ["LOCK TABLE aria.patients", "SELECT FROM aria.patients FOR UPDATE"])
def test_a_live_database_is_not_waited_for(pg_database: Database, lock: str) -> None:
    """A locked table is an error soon; instead of rows that somebody else has locked, others are made."""
    schemas.make(pg_database, "aria")
    other = pg_database.connect(autocommit=False)
    try:
        with other.cursor() as cursor:
            cursor.execute(lock)
        section = schemas.aria(pg_database.prefix)
        section["identities"] = section["identities"][:1]
        if lock.startswith("LOCK"):
            with pytest.raises(DbopsError, match=r"did not come to its end: .*lock timeout"):
                checked(pg_database, section)
        else:
            found = checked(pg_database, section).findings
            assert [f for f in found if f.status in (Status.FAIL, Status.ERROR)] == []
    finally:
        other.close()
