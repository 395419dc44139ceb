# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Constraints of real databases are proven; every planted fault is found; nothing is left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from psycopg2 import extensions

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import observe as observing
from ansible_collections.dbops.postgres.plugins.module_utils._constraints import run as running
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.build import Builder
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.insert import Writer
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.observe import observe
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.rows import order
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.run import Outcome, examine
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.solve import Solver, typed
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.spec import Spec, parse
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import Database as Seen
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.values import plenty, value
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status, passed
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Sql
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import compose
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import from_data
from ansible_collections.dbops.postgres.plugins.modules import pg_constraint_check
from tests.integration import schemas
from tests.integration.assurance.footprint import footprint, settle
from tests.integration.constraints.defects import DEFECTS, SPEC, Defect
from tests.integration.servers import Database, Server, create_database, drop_database

HARD = Path(__file__).with_name("hard.sql").read_text()
GOOD = parse(from_data({"constraints": SPEC}))


def opened(database: Database, user: str | None = None, password: str | None = None) -> extensions.connection:
    """A connection as the module has it."""
    connection = database.connect(user, password, autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute("SET search_path = ''; SET statement_timeout = '20s'")
    connection.commit()
    return connection


def sql(database: Database, *statements: str) -> None:
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def looked(database: Database, spec: Spec = GOOD) -> Outcome:
    connection = opened(database)
    try:
        return examine(connection, spec)
    finally:
        connection.rollback()
        connection.close()


def bad(outcome: Outcome) -> list[Finding]:
    return [finding for finding in outcome.findings if finding.status in (Status.FAIL, Status.ERROR)]


def unproven(outcome: Outcome) -> list[dict[str, Any]]:
    return [item for item in outcome.listed() if item["result"] != "proven"]


@pytest.fixture(scope="module")
def hard(pg_server: Server) -> Iterator[Database]:
    """The schema of hard.sql. The tests that change it do so in a transaction that is rolled back."""
    database = create_database(pg_server)
    sql(database, HARD)
    yield database
    drop_database(database)


@pytest.mark.parametrize("name", schemas.NAMES)
def test_the_constraints_of_known_schemas_are_proven(pg_database: Database, name: str) -> None:
    schemas.load(pg_database, name)
    outcome = looked(pg_database, Spec())
    assert not unproven(outcome)
    assert not bad(outcome)
    assert len(outcome.proofs) > 60
    assert outcome.coverage == 100
    assert outcome.sequences == ()


def test_a_hard_schema_is_proven(hard: Database) -> None:
    outcome = looked(hard)
    assert not bad(outcome)
    (exempt,) = unproven(outcome)
    assert exempt["name"] == "vehicles_wheels_check"
    assert "violates another check first" in exempt["reason"]
    by_name = {f"{item['table']}.{item['name']}": item for item in outcome.listed()}
    assert by_name["hard.accounts.accounts_id_name_key"]["reason"].startswith("by ON CONFLICT")
    assert "fill" in by_name["hard.filled.slug"]["reason"]
    kinds = {item["kind"] for item in outcome.listed()}
    assert len(kinds) == 7


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_every_planted_fault_is_found(hard: Database, defect: Defect) -> None:
    connection = opened(hard)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = hard, public")
        cursor.execute(defect.sql)
        cursor.execute("SET LOCAL search_path = ''")
    outcome = examine(connection, GOOD)
    connection.rollback()
    connection.close()
    assert [f for f in bad(outcome) if f.title == defect.rule and defect.subject in f.subject], bad(outcome)


def fill(database: Database, rows: int) -> None:
    """Commit the first rows that the check would make itself: the likeliest to be in its way."""
    connection = opened(database)
    seen = observe(connection)
    with connection.cursor() as cursor:
        writer = Writer(cursor, True)
        writer.defer(seen)
        builder = Builder(seen, writer, Solver(cursor), {})
        for table in order(seen):
            for number in range(rows):
                try:
                    builder.anchor(table, number)
                except Exception as error:  # one row only
                    assert "singleton" in str(error)  # noqa: PT017
    connection.commit()
    connection.close()


@pytest.mark.parametrize("name", ["pagila_like", "supabase_like", "hard"])
def test_rows_of_others_are_no_obstacle_and_nothing_is_left(pg_database: Database, name: str) -> None:
    if name == "hard":
        sql(pg_database, HARD)
    else:
        schemas.load(pg_database, name)
    fill(pg_database, 2)
    connection = pg_database.connect()
    settle(connection)
    connection.autocommit = False
    before = footprint(connection, pg_database.prefix)
    connection.rollback()
    outcome = looked(pg_database, GOOD if name == "hard" else Spec())
    assert not bad(outcome)
    assert outcome.coverage == 100
    assert outcome.sequences == ()
    assert footprint(connection, pg_database.prefix) == before
    connection.close()


def test_a_role_without_rights_and_one_under_policies_prove_nothing(pg_database: Database) -> None:
    role = f"{pg_database.prefix}app"
    sql(
        pg_database,
        f"CREATE ROLE {role} LOGIN PASSWORD 'app-password'",
        "CREATE TABLE public.seen (id int PRIMARY KEY)",
        "CREATE TABLE public.closed (id int PRIMARY KEY)",
        "CREATE TABLE public.mine (id int PRIMARY KEY)",
        "ALTER TABLE public.mine ENABLE ROW LEVEL SECURITY",
        f"GRANT SELECT, INSERT ON public.seen, public.mine TO {role}",
    )
    connection = opened(pg_database, role, "app-password")
    outcome = examine(connection, Spec())
    connection.close()
    results = {item["table"]: (item["result"], item["reason"]) for item in outcome.listed()}
    assert results["public.seen"] == ("proven", "")
    assert results["public.closed"][0] == results["public.mine"][0] == "could not be tried"
    assert "may not read and insert" in results["public.closed"][1]
    assert "row-level security" in results["public.mine"][1]
    assert {f.title for f in bad(outcome)} == {"constraint not tried", "coverage"}


def test_on_production_nothing_is_tried_without_the_words(hard: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def production(connection: extensions.connection) -> Seen:
        return replace(observe(connection), environment="prod")

    monkeypatch.setattr(running, "observe", production)
    outcome = looked(hard)
    assert {item["result"] for item in outcome.listed()} == {"could not be tried", "exempt"}
    assert not bad(outcome)
    (untried,) = [f for f in outcome.findings if f.status is Status.NOT_TESTED]
    assert running.PRODUCTION_WORDS in untried.evidence
    assert not passed(outcome.findings)
    connection = opened(hard)
    allowed = examine(connection, GOOD, said=running.PRODUCTION_WORDS)
    connection.rollback()
    connection.close()
    (behind_trigger,) = [item for item in allowed.listed() if item["result"] == "could not be tried"]
    assert behind_trigger["name"] == "owned_owner_fkey"
    assert "not switched off on production" in behind_trigger["reason"]


def module(capsys: pytest.CaptureFixture[str], database: Database, **options: Any) -> dict[str, Any]:
    with patch_module_args({**database.login(), **options}), pytest.raises(SystemExit):
        pg_constraint_check.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_the_module(pg_database: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    schemas.load(pg_database, "prisma_shop")
    junit = tmp_path / "junit.xml"
    good = module(capsys, pg_database, junit=str(junit), schemas=["public"])
    assert good["passed"]
    assert good["coverage"] == 100
    assert len(good["constraints"]) == 83
    assert "T-2" in junit.read_text()

    sql(pg_database, 'ALTER TABLE "Refund" DISABLE TRIGGER ALL')
    broken = module(capsys, pg_database)
    assert broken["failed"]
    assert 'triggers are disabled on public."Refund"' in broken["msg"]
    excused = {"table": "public.Refund", "constraint": "*_fkey", "reason": "loads at night"}
    assert module(capsys, pg_database, spec={"constraints": {"exempt": [excused]}})["passed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schemas": ["nowhere"]}, "no schema 'nowhere'"),
        ({"spec": {"constraints": {"values": {"public.t.nothing": 1}}}}, "there is no such column"),
        ({"i_know_this_is_production": "yes"}, "not the words"),
    ],
)
def test_what_is_refused(
    pg_database: Database, capsys: pytest.CaptureFixture[str], options: dict[str, Any], message: str
) -> None:
    sql(pg_database, "CREATE TABLE t (id int)")
    assert message in module(capsys, pg_database, **options)["msg"]


def test_what_is_elsewhere_is_left_alone(pg_database: Database) -> None:
    sql(
        pg_database,
        "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw",
        "CREATE FOREIGN TABLE names (name text NOT NULL) SERVER files OPTIONS (filename '/etc/hostname')",
        "CREATE TABLE ruled (id int NOT NULL)",
        "INSERT INTO ruled VALUES (1)",
        "CREATE RULE away AS ON INSERT TO ruled DO INSTEAD NOTHING",
    )
    outcome = looked(pg_database, Spec())
    reasons = {item["table"]: item["reason"] for item in unproven(outcome)}
    assert reasons.keys() == {"public.names", "public.ruled"}
    assert "foreign table" in reasons["public.names"]
    assert "a rule" in reasons["public.ruled"]


def test_triggers_find_what_the_application_finds(pg_database: Database) -> None:
    sql(
        pg_database,
        "CREATE SCHEMA app; CREATE TABLE app.log (n int)",
        "CREATE TABLE app.t (id int PRIMARY KEY, log int NOT NULL)",
        "CREATE TABLE app.u (t int PRIMARY KEY REFERENCES app.t)",
        """CREATE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql AS
           $$BEGIN INSERT INTO log VALUES (1); RETURN NULL; END$$""",
        "CREATE TRIGGER note AFTER INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.note()",
        "CREATE TRIGGER note AFTER INSERT ON app.u FOR EACH ROW EXECUTE FUNCTION app.note()",
    )
    outcome = looked(pg_database, Spec())
    assert outcome.coverage == 100
    assert all("with triggers" in item["reason"] for item in outcome.listed())
    outcome = looked(pg_database, Spec(search_path=("app",)))
    assert {item["reason"] for item in outcome.listed()} == {""}


def test_a_sequence_that_a_trigger_moves_is_named(pg_database: Database) -> None:
    sql(
        pg_database,
        "CREATE SEQUENCE quiet; CREATE SEQUENCE loud; SELECT nextval('quiet'), nextval('loud')",
        "CREATE TABLE t (id int PRIMARY KEY DEFAULT nextval('quiet'), no int)",
        """CREATE FUNCTION number() RETURNS trigger LANGUAGE plpgsql AS
           $$BEGIN NEW.no := nextval('loud'); RETURN NEW; END$$""",
        "CREATE TRIGGER number BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION number()",
    )
    outcome = looked(pg_database, Spec())
    assert outcome.coverage == 100
    assert outcome.sequences == ("public.loud",)


def test_values_of_the_spec_file_help(pg_database: Database) -> None:
    sql(
        pg_database,
        "CREATE FUNCTION good(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$SELECT md5($1) LIKE '00ff%'$$",
        "CREATE TABLE t (code text PRIMARY KEY CHECK (public.good(code)), n int NOT NULL)",
    )
    assert looked(pg_database, Spec()).coverage < 50
    values = {"values": {"public.t.code": ["code-14421"]}}
    assert looked(pg_database, parse(from_data({"constraints": values}))).coverage == 100


# Types of PostgreSQL that tables of applications do not have.
_STRANGE = {
    "aclitem", "cid", "cstring", "gtsvector", "int2vector", "oidvector", "refcursor", "regcollation", "regconfig",
    "regdictionary", "regnamespace", "regoper", "regoperator", "regproc", "regprocedure", "regrole", "tid",
    "txid_snapshot", "xid8",
}  # fmt: skip


def test_values_of_every_type_are_what_postgresql_reads(hard: Database) -> None:
    connection = opened(hard)
    seen = observe(connection)
    unknown = set()
    with connection.cursor() as cursor:
        for kind in seen.types.values():
            texts = [value(seen.types, kind.oid, -1, number) for number in range(3)]
            if None in texts:
                unknown.add(kind.name.lstrip("_"))
            elif kind.kind != "d" and not (kind.kind == "a" and seen.types[kind.part].kind == "d"):
                for text in {*texts, *plenty(seen.types, kind.oid)}:
                    cursor.execute(compose(Sql("SELECT {}", (typed(text, kind.shown),))))
                few = 2 if kind.name.lstrip("_") in ("bool", "bit") else 3
                assert len(set(texts)) == min(few, len(kind.labels) or 3), kind
    connection.close()
    assert {name for name in unknown if not name.startswith(("gbtreekey", "pg_"))} <= _STRANGE


def test_a_domain_that_must_not_be_null(pg_database: Database) -> None:
    sql(
        pg_database,
        'CREATE DOMAIN "a %s" AS text NOT NULL CHECK (length(VALUE) > 3)',
        'CREATE DOMAIN b AS "a %s" NOT NULL; CREATE DOMAIN c AS int[] NOT NULL; CREATE DOMAIN d AS b',
    )
    found = looked(pg_database, Spec()).listed()
    assert {(item["table"], item["kind"]): item["result"] for item in found} == {
        ('domain public."a %s"', "check"): "proven",
        ('domain public."a %s"', "not null"): "proven",
        ("domain public.c", "not null"): "proven",
        ("domain public.b", "not null"): "proven",
    }


INHERITED = """
CREATE TABLE people (id int PRIMARY KEY);
CREATE TABLE staff () INHERITS (people);
CREATE TABLE letters (person int REFERENCES people);
CREATE TABLE drafts () INHERITS (letters);
INSERT INTO people VALUES (1);
INSERT INTO staff VALUES (2);
INSERT INTO letters VALUES (1);
INSERT INTO drafts VALUES (7)
"""


def test_a_foreign_key_is_of_its_table_and_not_of_those_that_inherit(pg_database: Database) -> None:
    """PostgreSQL looks at neither side's children: an orphan of ``drafts`` violates nothing, a row of ``staff`` is
    nobody's target."""
    sql(pg_database, INHERITED)
    assert not bad(looked(pg_database, Spec()))
    sql(pg_database, "SET session_replication_role = replica; INSERT INTO letters VALUES (2)")
    assert bad(looked(pg_database, Spec()))[0].subject == "public.letters: letters_person_fkey"


def test_a_production_server_in_capitals_is_one(pg_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sql(pg_database, "CREATE TABLE t (id int PRIMARY KEY)")
    monkeypatch.setattr(observing, "_SERVER", "SELECT 'd', 'aria@PROD', current_user::text")
    assert {item["result"] for item in looked(pg_database, Spec()).listed()} == {"could not be tried"}


# It does what it likes with a table that is altered, as tools of audit and of migration do.
EVENT = """
CREATE TABLE seen (tag text);
CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.seen VALUES (tg_tag); {0} END $$;
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE children (id int PRIMARY KEY, parent int NOT NULL REFERENCES parents);
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER swallow BEFORE INSERT ON children FOR EACH ROW EXECUTE FUNCTION swallow();
CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION noted()
"""


@pytest.mark.parametrize(("deed", "result"), [("", "proven"), ("RAISE 'no DDL here';", "could not be tried")])
def test_an_event_trigger_is_no_obstacle_or_is_told(pg_database: Database, deed: str, result: str) -> None:
    sql(pg_database, EVENT.replace("{0}", deed))
    results = {item["name"]: item["result"] for item in looked(pg_database, Spec()).listed()}
    assert results["children_parent_fkey"] == result
    connection = opened(pg_database)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM public.seen")
        assert cursor.fetchone() == (0,)
    connection.close()
