# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard in real databases: reset scripts fail in production and work elsewhere, and it can be taken out again.

The servers of the tests do not say which environment they are, so these databases are told. A server that says it is in
``test_seed_cluster``.
"""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest
from ansible.module_utils.testing import patch_module_args
from psycopg2 import errors

from ansible_collections.dbops.postgres.plugins.module_utils import _checked, _evidence
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.apply import Outcome, converge
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.seed import Seeded, seed, unsaid_words
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.spec import parse
from ansible_collections.dbops.postgres.plugins.modules import pg_seed_guard
from tests.integration.servers import Database

RESET = "TRUNCATE app.orders, app.lines CASCADE; INSERT INTO app.orders VALUES (1)"
CATALOG = """
    SELECT 'schema', nspname, coalesce(nspacl::text, '') FROM pg_namespace WHERE nspname !~ '^pg_'
    UNION ALL SELECT 'function', oid::regprocedure::text, prosrc FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT 'event trigger', evtname, evtenabled::text FROM pg_event_trigger
    UNION ALL SELECT 'trigger', tgrelid::regclass || ' ' || tgname, pg_get_triggerdef(oid)
      FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'table', oid::regclass::text, coalesce(relacl::text, '') FROM pg_class WHERE oid >= 16384
    ORDER BY 1, 2
"""


def execute(database: Database, text: str, user: str | None = None) -> None:
    """As ``psql -f`` does it: statement by statement."""
    connection = database.connect(user, "x" if user else None)
    try:
        with connection.cursor() as cursor:
            for statement in text.split(";"):
                cursor.execute(statement)
    finally:
        connection.close()


def rows(database: Database, text: str) -> list[Any]:
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchall()
    finally:
        connection.close()


@pytest.fixture
def app(pg_database: Database) -> Database:
    """Tables of a schema that the seed role owns."""
    prefix = pg_database.prefix
    execute(
        pg_database,
        f"""CREATE ROLE {prefix}seed LOGIN PASSWORD 'x'; CREATE ROLE {prefix}app LOGIN PASSWORD 'x';
        CREATE ROLE {prefix}boss LOGIN PASSWORD 'x'; GRANT {prefix}seed TO {prefix}app, {prefix}boss;
        GRANT CREATE ON DATABASE {pg_database.name} TO {prefix}seed; SET ROLE {prefix}seed; CREATE SCHEMA app;
        CREATE TABLE app.orders (id int PRIMARY KEY);
        CREATE TABLE app.lines (order_id int REFERENCES app.orders ON DELETE CASCADE);
        CREATE TABLE app.parts (id int) PARTITION BY RANGE (id);
        CREATE TABLE app.parts_1 PARTITION OF app.parts FOR VALUES FROM (0) TO (10);
        CREATE TABLE app.imports (id int);
        INSERT INTO app.orders VALUES (1), (2); INSERT INTO app.lines VALUES (1)""",
    )
    return pg_database


def login(database: Database, user: str = "") -> Login:
    server = database.server
    password = "x" if user else server.password
    return Login(server.host, "", server.port, user or server.user, password, database.name)


def guard(database: Database, environment: str, *, check: bool = False, **given: Any) -> Outcome:
    params = {
        "state": "present",
        "schemas": ["app"],
        "exempt": ["app.imports"],
        "seed_roles": [f"{database.prefix}seed"],
        "allowed_roles": [],
        "callers": [],
        "environment": environment,
        **given,
    }
    return converge(login(database), parse(params), check_mode=check)


def made_true(database: Database, environment: str, **given: Any) -> Outcome:
    """Check mode foretells the run, and the second run changes nothing."""
    before = guard(database, environment, check=True, **given)
    done = guard(database, environment, **given)
    assert before.statements == done.statements
    assert before.plan.diff() == done.plan.diff()
    again = guard(database, environment, **given)
    assert again.statements == ()
    assert again.plan.changes == ()
    return done


def refused(database: Database, text: str, user: str | None = None, match: str = "is refused: database") -> None:
    before = rows(database, "SELECT count(*) FROM app.orders")
    with pytest.raises(errors.InsufficientPrivilege, match=match) as raised:
        execute(database, text, user)
    assert raised.value.diag.message_hint
    assert rows(database, "SELECT count(*) FROM app.orders") == before


def test_production_refuses_and_development_does_not(app: Database) -> None:
    seeder, owner = f"{app.prefix}seed", f"{app.prefix}app"
    done = made_true(app, "prod")
    assert done.environment == "prod"
    assert done.tables == 4
    for user in (seeder, owner, None):  # the seed role, a member of the owner, a superuser
        refused(app, RESET, user, "TRUNCATE of app.(orders|lines) is refused: database .* is prod")
        refused(app, "TRUNCATE app.parts", user)
        refused(app, "DROP SCHEMA app CASCADE; CREATE SCHEMA app", user, "DROP of schema app is refused")
    refused(app, "SET session_replication_role = replica; TRUNCATE app.lines")
    refused(app, "TRUNCATE app.parts_1")
    execute(app, "TRUNCATE app.imports", owner)
    # The seed role, however it came to be it, changes nothing.
    for statement in (
        "DELETE FROM app.lines",
        "INSERT INTO app.orders VALUES (3)",
        "UPDATE app.orders SET id = id + 10",
        "DROP TABLE app.lines",
        "ALTER TABLE app.orders DROP COLUMN id CASCADE",
        "SELECT dbops.assert_not_production()",
    ):
        refused(app, statement, seeder)
        refused(app, f"SET ROLE {seeder}; {statement}", owner)
    # Others work as they did.
    execute(
        app, "INSERT INTO app.orders VALUES (3); DELETE FROM app.orders WHERE id = 3; DROP TABLE app.imports", owner
    )

    made_true(app, "dev")
    execute(app, RESET, seeder)
    execute(app, "SELECT dbops.assert_not_production(); DROP TABLE app.lines; DELETE FROM app.orders", seeder)
    execute(app, "DROP SCHEMA app CASCADE; CREATE SCHEMA app", seeder)


def test_new_tables_are_guarded(app: Database) -> None:
    seeder, owner = f"{app.prefix}seed", f"{app.prefix}app"
    made_true(app, "prod")
    execute(
        app,
        f"""SET ROLE {seeder}; CREATE TABLE app.one (id int); CREATE TABLE app.two AS SELECT 1;
        SELECT 1 AS x INTO app."Th ree"; CREATE TABLE app.parts_2 PARTITION OF app.parts FOR VALUES FROM (10) TO (20);
        CREATE TEMPORARY TABLE four (id int); TRUNCATE four; DROP TABLE four;
        CREATE TABLE public.five (id int)""".replace("public.five", "pg_temp.five"),
        owner,
    )
    assert guard(app, "prod").statements == ()
    for table in ("one", "two", '"Th ree"', "parts_2"):
        refused(app, f"TRUNCATE app.{table}", owner, f"TRUNCATE of app.{table} is refused")
    refused(app, "INSERT INTO app.one VALUES (1)", seeder)


def test_words_of_an_allowed_role(app: Database) -> None:
    boss, owner = f"{app.prefix}boss", f"{app.prefix}app"
    words = f"SET dbops.allow_reset = 'reset the production database {app.name}'"
    made_true(app, "prod", allowed_roles=[boss])
    refused(app, "TRUNCATE app.lines", boss)
    refused(app, f"{words[:-2]}'; TRUNCATE app.lines", boss)
    refused(app, f"{words}; TRUNCATE app.lines", owner)
    refused(app, f"{words}; TRUNCATE app.lines")
    execute(app, f"{words}; TRUNCATE app.lines", boss)


def test_drift_is_mended_and_the_guard_goes_exactly(app: Database) -> None:
    before = rows(app, CATALOG)
    made_true(app, "prod")
    execute(
        app,
        """ALTER TABLE app.orders DISABLE TRIGGER ALL; DROP TRIGGER dbops_refuse_truncate ON app.lines;
        ALTER EVENT TRIGGER dbops_refuse_drops DISABLE; GRANT EXECUTE ON FUNCTION dbops.environment() TO PUBLIC;
        CREATE OR REPLACE FUNCTION dbops.refuse(text) RETURNS void LANGUAGE sql AS 'SELECT'""",
    )
    execute(app, "TRUNCATE app.lines")
    made_true(app, "prod")
    refused(app, "TRUNCATE app.lines")
    made_true(app, "prod", seed_roles=[])
    refused(app, "TRUNCATE app.lines")
    execute(app, "INSERT INTO app.orders VALUES (7); DELETE FROM app.orders WHERE id = 7", f"{app.prefix}seed")
    made_true(app, "", state="absent")
    assert rows(app, CATALOG) == before


def test_what_nobody_says_is_refused(app: Database) -> None:
    with pytest.raises(DbopsError, match="does not say which environment it is"):
        guard(app, "")
    with pytest.raises(DbopsError, match=r"There is no schema nowhere"):
        guard(app, "prod", schemas=["app", "nowhere"])
    with pytest.raises(DbopsError, match="There is no role nobody_x"):
        guard(app, "prod", seed_roles=["nobody_x"])
    with pytest.raises(DbopsError, match="is no superuser"):
        converge(login(app, f"{app.prefix}app"), parse_present(), check_mode=True)
    assert rows(app, "SELECT count(*) FROM pg_event_trigger") == [(0,)]


def test_a_table_that_is_held_is_named(app: Database) -> None:
    holder = app.connect(autocommit=False)
    with holder.cursor() as cursor:
        cursor.execute("UPDATE app.orders SET id = id")
        with pytest.raises(DbopsError, match=r"table app.orders: .*lock timeout.*Committed before: guard, .*app.lines"):
            guard(app, "prod")
    holder.close()
    refused(app, "TRUNCATE app.lines")
    made_true(app, "prod")
    refused(app, "TRUNCATE app.orders CASCADE")


def test_a_session_that_is_ended_says_what_was_committed(app: Database) -> None:
    deadly = """CREATE FUNCTION public.no() RETURNS event_trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END';
        CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('CREATE TRIGGER') EXECUTE FUNCTION public.no()"""
    connection = app.connect()
    with connection.cursor() as cursor:
        cursor.execute(deadly)
    with pytest.raises(DbopsError, match="connection has been closed unexpectedly") as caught:
        guard(app, "dev")
    assert "Rolled back: " in str(caught.value)
    with connection.cursor() as cursor:
        cursor.execute("DROP EVENT TRIGGER no; DROP FUNCTION public.no()")
    connection.close()
    made_true(app, "dev")


def test_its_functions_are_safe_ones(app: Database) -> None:
    made_true(app, "prod")
    unsafe = """
        SELECT oid::regprocedure::text FROM pg_proc p
         WHERE pronamespace = 'dbops'::regnamespace
           AND (prosecdef AND proconfig IS NULL
                OR EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE a.grantee = 0))
    """
    assert rows(app, unsafe) == []
    # A foreign key cascades as the owner of the table, who may call nothing.
    seeder, owner = f"{app.prefix}seed", f"{app.prefix}app"
    execute(app, f"CREATE ROLE {app.prefix}other; GRANT USAGE ON SCHEMA app TO {app.prefix}other")
    execute(app, f"ALTER TABLE app.lines OWNER TO {app.prefix}other; GRANT SELECT ON app.lines TO {seeder}")
    execute(app, "DELETE FROM app.orders", owner)
    made_true(app, "dev")
    execute(app, "INSERT INTO app.orders VALUES (1); DELETE FROM app.orders", seeder)


def test_evidence_for_the_readiness_report(app: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[Any] = []
    monkeypatch.setattr(_evidence, "record_check", lambda *given: left.append(given))
    declared = {**app.login(), "schemas": ["app"], "environment": "prod", "evidence": True}
    for more, records in (
        ({"_ansible_check_mode": True}, []),
        ({}, [("pg_seed_guard", app.name, True, "5 tables guarded; this is prod")]),
        ({"state": "absent"}, [("pg_seed_guard", app.name, False, "the guard was removed")]),
    ):
        with patch_module_args({**declared, **more}), pytest.raises(SystemExit, match="0"):
            pg_seed_guard.main()
        assert [given[:4] for given in left] == records
        left.clear()
    monkeypatch.setattr(_checked, "record_check", lambda *given, statuses: left.append((*given, statuses)))
    with patch_module_args({**declared, "schemas": ["nowhere"]}), pytest.raises(SystemExit, match="1"):
        pg_seed_guard.main()
    assert [(given[0], given[2], given[4]) for given in left] == [("pg_seed_guard", False, {"E-5": ["error"]})]


def test_a_character_that_the_database_cannot_hold(app: Database) -> None:
    other = Database(app.server, f"{app.prefix}latin")
    execute(app, f"CREATE DATABASE {other.name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    words = unsaid_words(other.name)
    assert run(other, "CREATE TABLE t AS SELECT 'na\u00efve' AS word", words=words).changed
    with pytest.raises(DbopsError, match="has no equivalent in encoding"):
        run(other, "INSERT INTO t VALUES ('\u2603')", words=words)


def parse_present() -> Any:
    names = dict.fromkeys(("exempt", "seed_roles", "allowed_roles", "callers"), ())
    return parse({"state": "present", "schemas": ["app"], "environment": "prod", **names})


def run(database: Database, text: str, *, check: bool = False, words: str = "", role: str = "") -> Seeded:
    return seed(login(database, role), "seed.sql", text, "", words, 30, check_mode=check)


def test_seed_files(app: Database) -> None:
    seeder = f"{app.prefix}seed"
    with pytest.raises(DbopsError, match="does not say which environment"):
        run(app, RESET)
    words = unsaid_words(app.name)
    assert run(app, "INSERT INTO app.orders VALUES (5)", words=words, check=True) == Seeded("", True)
    assert run(app, "INSERT INTO app.orders VALUES (5)", words=words) == Seeded("", True)
    made_true(app, "dev")
    upsert = "INSERT INTO app.orders VALUES (5), (6) ON CONFLICT DO NOTHING; SELECT 'a;COMMIT;'"
    assert run(app, upsert, role=seeder) == Seeded("dev", True)
    assert run(app, upsert, role=seeder) == Seeded("dev", False)
    with pytest.raises(DbopsError, match=r"seed.sql at line 2: .*nonsense.*rolled back"):
        run(app, "INSERT INTO app.orders VALUES (9);\nSELECT nonsense")
    assert rows(app, "SELECT FROM app.orders WHERE id = 9") == []
    execute(app, f"ALTER ROLE {seeder} IN DATABASE {app.name} SET search_path = app")
    execute(app, f"ALTER ROLE {seeder} SET search_path = public")
    assert run(app, "INSERT INTO orders VALUES (11)", role=seeder).changed
    assert seed(login(app), "a.sql", "INSERT INTO orders VALUES (12)", seeder, "", 30, check_mode=False).changed
    made_true(app, "prod")
    with pytest.raises(DbopsError, match=r"is refused: database .* is prod"):
        run(app, RESET, words=words)
    with pytest.raises(DbopsError, match="is refused"):
        run(app, RESET, check=True)
    with pytest.raises(psycopg2.Error):
        execute(app, RESET, seeder)
