# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_access against real servers: what the random specs of test_property.py do not reach."""

from __future__ import annotations

import time
from typing import Any

import psycopg2
import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._access import observe as reader
from ansible_collections.dbops.postgres.plugins.module_utils._access.apply import LOCK_KEY
from ansible_collections.dbops.postgres.plugins.module_utils._access.effective import effective
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from tests.integration.access.running import login, made_true, query, run, sql
from tests.integration.servers import Database

CANARY = "canary-Zq7-never-to-be-seen"


def service(database: Database, **more: Any) -> dict[str, Any]:
    """A migrator, an application and a reader on the test's database, exact."""
    prefix = database.prefix
    app, migrator, reading, owner = (prefix + kind for kind in ("app", "migrator", "ro", "owner"))
    return {
        "roles": [
            {"name": owner, "login": False},
            {"name": migrator, "login": True, "password": "migrator-password"},
            {"name": app, "login": True, "password": "app-password", "settings": {"statement_timeout": "30s"}},
            {"name": reading, "login": True, "password": "ro-password"},
        ],
        "databases": [
            {
                "name": database.name,
                "owner": owner,
                "connect": [app, migrator, reading],
                "schemas": [
                    {
                        "name": "public",
                        "owner": owner,
                        "usage": [app, migrator, reading],
                        "create": [migrator],
                        "creators": [migrator],
                        "tables": [
                            {"privileges": ["SELECT", "INSERT", "UPDATE"], "roles": [app]},
                            {"privileges": ["SELECT"], "roles": [reading]},
                        ],
                        "sequences": [{"privileges": ["USAGE", "SELECT"], "roles": [app]}],
                        "functions": [{"privileges": ["EXECUTE"], "roles": [app]}],
                        "types": [{"privileges": ["USAGE"], "roles": [app]}],
                        **more,
                    }
                ],
            }
        ],
        "purge": True,
    }


def refused(database: Database, params: dict[str, Any], **options: Any) -> str:
    """The error of a run, which is also that of check mode and left nothing behind."""
    roles = "SELECT rolname FROM pg_roles ORDER BY 1"
    connection = database.connect()
    try:
        before = query(connection, roles)
        with pytest.raises(DbopsError) as foretold:
            run(database, params, check=True, **options)
        with pytest.raises(DbopsError) as error:
            run(database, params, **options)
        assert query(connection, roles) == before
    finally:
        connection.close()
    assert str(error.value) == str(foretold.value)
    assert "Nothing was changed." in str(error.value)
    return str(error.value)


def test_what_the_migrator_creates_tomorrow_is_the_apps_and_nobody_elses(pg_database: Database) -> None:
    made_true(pg_database, service(pg_database))
    prefix = pg_database.prefix
    migrator = pg_database.connect(prefix + "migrator", "migrator-password")
    sql(
        migrator,
        "CREATE TYPE public.mood AS ENUM ('good')",
        "CREATE TABLE public.orders (id serial PRIMARY KEY, mood public.mood)",
        "CREATE FUNCTION public.one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE PROCEDURE public.two() LANGUAGE sql AS 'SELECT 1'",
    )
    app = pg_database.connect(prefix + "app", "app-password")
    sql(app, "INSERT INTO public.orders (mood) VALUES ('good')", "CALL public.two()")
    assert query(app, "SELECT public.one(), nextval('public.orders_id_seq'), (SELECT count(*) FROM public.orders)") == [
        (1, 2, 1)
    ]
    for statement in (
        "DELETE FROM public.orders",
        "TRUNCATE public.orders",
        "ALTER TABLE public.orders ADD x int",
        "CREATE TABLE public.mine ()",
        "CREATE TEMP TABLE mine ()",
        "CREATE SCHEMA mine",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            sql(app, statement)
    public = """
        SELECT has_table_privilege('public', 'public.orders', 'SELECT'),
               has_function_privilege('public', 'public.one()', 'EXECUTE'),
               has_function_privilege('public', 'public.two()', 'EXECUTE'),
               has_type_privilege('public', 'public.mood', 'USAGE'),
               has_schema_privilege('public', 'public', 'USAGE'),
               has_database_privilege('public', current_database(), 'CONNECT, TEMPORARY')
    """
    assert query(app, public) == [(False,) * 6]
    app.close()
    migrator.close()
    assert run(pg_database, service(pg_database)).statements == ()


def test_a_login_of_another_service_cannot_connect(pg_database: Database) -> None:
    made_true(pg_database, service(pg_database))
    other = {"roles": [{"name": pg_database.prefix + "other", "login": True, "password": "other-password"}]}
    made_true(pg_database, other)
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        pg_database.connect(pg_database.prefix + "other", "other-password")


def test_a_password_is_changed_once_and_the_login_works(pg_database: Database) -> None:
    name = pg_database.prefix + "u"
    made_true(pg_database, {"roles": [{"name": name, "login": True, "password": "first"}]})
    outcome = made_true(pg_database, {"roles": [{"name": name, "password": "second"}]})
    assert outcome.statements == ("-- cluster", f"ALTER ROLE \"{name}\" PASSWORD '********'")
    pg_database.connect(name, "second").close()
    made_true(pg_database, {"roles": [{"name": name, "login": True}]})
    assert (
        run(pg_database, {"roles": [{"name": name, "password": "third"}], "update_password": "on_create"}).statements
        == ()
    )


def test_a_list_setting_and_a_reset_are_settled_in_one_run(pg_database: Database) -> None:
    name = pg_database.prefix + "u"
    settings = {"search_path": ["app", "$user", 'odd"name'], "statement_timeout": 1000, "jit": False, "my.key": "a b"}
    made_true(pg_database, {"roles": [{"name": name, "settings": settings}]})
    connection = pg_database.connect()
    assert query(connection, "SELECT rolconfig FROM pg_roles WHERE rolname = %s", (name,)) == [
        (['search_path=app, "$user", "odd""name"', "statement_timeout=1000", "jit=off", "my.key=a b"],)
    ]
    made_true(pg_database, {"roles": [{"name": name, "settings": {"jit": None}}]})
    made_true(pg_database, {"roles": [{"name": name, "settings": {"jit": "on"}}], "purge": True})
    assert query(connection, "SELECT rolconfig FROM pg_roles WHERE rolname = %s", (name,)) == [(["jit=on"],)]
    connection.close()


def test_a_new_database_is_planned_in_check_mode_as_it_is_made(pg_database: Database) -> None:
    params = service(pg_database)
    params["databases"][0]["name"] = pg_database.prefix + "new"
    params["databases"][0]["connection_limit"] = 50
    outcome = made_true(pg_database, params)
    assert [text for text in outcome.statements if text.startswith("CREATE DATABASE")] == [
        f'CREATE DATABASE "{pg_database.prefix}new" OWNER "{pg_database.prefix}owner" CONNECTION LIMIT 50'
    ]


def test_extensions_are_left_alone(pg_database: Database) -> None:
    connection = pg_database.connect()
    sql(connection, "CREATE EXTENSION pgcrypto SCHEMA public")
    count = "SELECT count(*) FROM pg_proc WHERE proacl IS NOT NULL AND pronamespace = 'public'::regnamespace"
    before = query(connection, count)
    made_true(pg_database, service(pg_database))
    assert query(connection, count) == before
    connection.close()
    text = refused(
        pg_database,
        service(
            pg_database, functions=[{"privileges": ["ALL"], "roles": ["PUBLIC"], "objects": ["crypt(text, text)"]}]
        ),
    )
    assert "'crypt(text, text)' belongs to an extension" in text


def test_everything_unknown_is_named_in_one_error(pg_database: Database) -> None:
    connection = pg_database.connect()
    sql(
        connection,
        "CREATE TABLE public.payments (id int, amount int)",
        "CREATE FUNCTION public.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION public.f(text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    connection.close()
    app = pg_database.prefix + "app"
    text = refused(
        pg_database,
        service(
            pg_database,
            usage=[app + "x"],
            tables=[
                {"privileges": ["SELECT"], "roles": [app], "except": ["paymens"]},
                {"privileges": ["SELECT"], "roles": [app], "objects": ["payments"], "columns": ["amout"]},
            ],
            functions=[{"privileges": ["EXECUTE"], "roles": [app], "objects": ["f"]}],
        ),
    )
    for part in (
        f"there is no role '{app}x' and none is declared (did you mean '{app}'?)",
        "there is no table 'paymens' (did you mean 'payments'?)",
        "table 'payments' has no column 'amout' (did you mean 'amount'?)",
        "'f' is ambiguous; say which: f(integer), f(text)",
    ):
        assert part in text
    assert text.startswith("4 problems: ")


def test_unknown_objects_can_be_skipped_and_leave_no_hole(pg_database: Database) -> None:
    reading = pg_database.prefix + "ro"
    params = service(pg_database, tables=[{"privileges": ["SELECT"], "roles": [reading], "except": ["secrets"]}])
    params["unknown_objects"] = "skip"
    outcome = made_true(pg_database, params)
    assert any("there is no table secrets" in warning for warning in outcome.planned.warnings)
    migrator = pg_database.connect(pg_database.prefix + "migrator", "migrator-password")
    sql(migrator, "CREATE TABLE public.secrets (id int)", "CREATE TABLE public.open (id int)")
    may = "SELECT has_table_privilege(%s, 'public.' || t, 'SELECT') FROM unnest(ARRAY['secrets', 'open', 'later']) t"
    assert query(migrator, may.replace(", 'later'", ""), (reading,)) == [(False,), (False,)]
    made_true(pg_database, params)
    sql(migrator, "CREATE TABLE public.later (id int)")
    assert query(migrator, may, (reading,)) == [(False,), (True,), (True,)]
    migrator.close()


def test_guards(pg_database: Database) -> None:
    superuser = pg_database.server.user
    me = f"Role '{superuser}' is the one this task is connected as"
    assert me in refused(pg_database, {"roles": [{"name": superuser, "login": False}]})
    other = pg_database.prefix + "super"
    connection = pg_database.connect()
    sql(connection, f"CREATE ROLE {other} SUPERUSER")
    connection.close()
    assert "is a superuser" in refused(pg_database, {"roles": [{"name": other, "connection_limit": 1}]})
    member = {"roles": [{"name": pg_database.prefix + "u", "member_of": [other]}]}
    assert "is a superuser; unguarded_roles must name it" in refused(pg_database, member)
    made_true(pg_database, {**member, "unguarded_roles": [other]})


def test_a_role_that_owns_is_not_dropped(pg_database: Database) -> None:
    name, heir = pg_database.prefix + "old", pg_database.prefix + "heir"
    made_true(pg_database, {"roles": [{"name": name}, {"name": heir}]})
    connection = pg_database.connect()
    sql(
        connection,
        "CREATE TABLE public.legacy (id int)",
        f"ALTER TABLE public.legacy OWNER TO {name}",
        f"GRANT CREATE ON SCHEMA public TO {name}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {name} GRANT SELECT ON TABLES TO PUBLIC",
    )
    text = refused(pg_database, {"roles": [{"name": name, "state": "absent"}]})
    assert f"in database {pg_database.name}: " in text
    assert "table public.legacy" in text
    made_true(pg_database, {"roles": [{"name": name, "state": "absent", "reassign_to": heir}]})
    assert query(connection, "SELECT tableowner FROM pg_tables WHERE tablename = 'legacy'") == [(heir,)]
    connection.close()


def test_a_role_with_grants_elsewhere_is_not_dropped(pg_database: Database) -> None:
    name = pg_database.prefix + "old"
    made_true(pg_database, {"roles": [{"name": name}]})
    connection = pg_database.connect()
    sql(connection, f"GRANT CREATE ON SCHEMA public TO {name}")
    connection.close()
    absent = {"roles": [{"name": name, "state": "absent"}]}
    assert f"databases that are not declared ({pg_database.name})" in refused(pg_database, absent)
    made_true(pg_database, {**absent, "databases": [{"name": pg_database.name}]})


def test_memberships_become_exact(pg_database: Database) -> None:
    prefix = pg_database.prefix
    names = [prefix + name for name in ("g1", "g2", "u", "v")]
    group, other, user, victim = names
    made_true(pg_database, {"roles": [{"name": name} for name in names]})
    connection = pg_database.connect()
    sql(
        connection,
        f"GRANT {group}, {other} TO {user} WITH ADMIN OPTION",
        f"SET ROLE {user}",
        f"GRANT {group}, {other} TO {victim}",
        "RESET ROLE",
    )
    # u loses its admin option on g1 and g2 altogether; v was let in by u, is declared in g1 and not managed in g2.
    made_true(
        pg_database,
        {
            "roles": [{"name": user, "member_of": [group]}, {"name": victim, "member_of": [group, other]}],
            "purge": True,
        },
    )
    assert query(
        connection,
        """
        SELECT r.rolname::text, m.rolname::text, bool_or(a.admin_option) FROM pg_auth_members a
          JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
         WHERE r.rolname LIKE %s GROUP BY 1, 2 ORDER BY 1, 2
        """,
        (prefix.replace("_", r"\_") + "%",),
    ) == [(group, user, False), (group, victim, False), (other, victim, False)]
    text = refused(pg_database, {"roles": [{"name": group, "member_of": [victim]}]})
    assert "form a circle" in text
    connection.close()


def test_membership_options_of_postgresql_16(pg_database: Database) -> None:
    prefix = pg_database.prefix
    params = {
        "roles": [
            {"name": prefix + "g"},
            {"name": prefix + "u", "member_of": [{"role": prefix + "g", "inherit": False, "set": True}]},
        ]
    }
    if pg_database.server.version < 16:
        assert "inherit and set need PostgreSQL 16" in refused(pg_database, params)
        return
    outcome = made_true(pg_database, params)
    assert f'GRANT "{prefix}g" TO "{prefix}u" WITH INHERIT FALSE, SET TRUE' in outcome.statements
    params["roles"][1]["member_of"] = [{"role": prefix + "g", "inherit": True, "set": False}]  # type: ignore[index]
    made_true(pg_database, params)


def test_two_runs_exclude_each_other(pg_database: Database) -> None:
    holder = pg_database.connect()
    sql(holder, f"SELECT pg_advisory_lock({LOCK_KEY})")
    with pytest.raises(DbopsError, match=r"Another run of pg_access .* \(process \d+ of postgres from"):
        run(pg_database, {"roles": []})
    run(pg_database, {"roles": []}, check=True)
    holder.close()
    looker = pg_database.connect()
    held = "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = database AND datname = current_database()"
    while query(looker, f"{held} WHERE locktype = 'advisory'"):
        time.sleep(0.05)
    looker.close()
    for _attempt in range(20):
        run(pg_database, {"roles": []})


def test_a_failing_database_says_what_was_committed(pg_database: Database) -> None:
    connection = pg_database.connect()
    params = service(pg_database)
    params["databases"].append({"name": pg_database.prefix + "two", "schemas": [{"name": "app"}]})
    sql(
        connection,
        """CREATE FUNCTION public.no() RETURNS event_trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'not today'; END $$""",
        "CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('GRANT') EXECUTE FUNCTION public.no()",
    )
    with pytest.raises(DbopsError) as error:
        run(pg_database, params)
    text = str(error.value)
    assert "not today (SQLSTATE P0001)" in text
    assert f"Rolled back: database {pg_database.name}." in text
    assert f"Committed before: the cluster (roles and memberships), CREATE of database {pg_database.prefix}two." in text
    assert query(connection, "SELECT has_schema_privilege('public', 'public', 'USAGE')") == [(True,)]
    sql(connection, "DROP EVENT TRIGGER no", "DROP FUNCTION public.no()")
    connection.close()
    made_true(pg_database, params)


def test_a_session_that_is_ended_says_what_was_committed(pg_database: Database) -> None:
    connection = pg_database.connect()
    params = service(pg_database)
    sql(
        connection,
        """CREATE FUNCTION public.no() RETURNS event_trigger LANGUAGE plpgsql AS
               $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END $$""",
        "CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('GRANT') EXECUTE FUNCTION public.no()",
    )
    with pytest.raises(DbopsError) as error:
        run(pg_database, params)
    text = str(error.value)
    assert "connection has been closed unexpectedly" in text
    assert "Statement: GRANT" in text
    assert f"Rolled back: database {pg_database.name}. Committed before: the cluster" in text
    sql(connection, "DROP EVENT TRIGGER no", "DROP FUNCTION public.no()")
    connection.close()
    made_true(pg_database, params)


def test_an_administrator_without_superuser(pg_database: Database) -> None:
    """As on a managed provider: CREATEROLE, CREATEDB, no pg_authid."""
    admin = pg_database.prefix + "admin"
    connection = pg_database.connect()
    sql(
        connection,
        f"CREATE ROLE {admin} LOGIN CREATEROLE CREATEDB PASSWORD 'admin-password'",
        f"ALTER DATABASE {pg_database.name} OWNER TO {admin}",
    )
    by = login(pg_database, admin, "admin-password")
    params = service(pg_database)
    params["databases"].append({**params["databases"][0], "name": pg_database.prefix + "new"})
    outcome = made_true(pg_database, params, by)
    assert not outcome.capabilities.pg_authid
    again = run(pg_database, params, by=by)
    assert any("cannot be read by this login" in warning for warning in again.planned.warnings)
    changed = run(pg_database, {"roles": params["roles"], "update_password": "always"}, by=by)
    assert sum("PASSWORD" in text for text in changed.statements) == 3
    assert (
        query(
            connection,
            "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = %s",
            (admin,),
        )[0][0]
        > 0
    )
    sql(connection, "CREATE TABLE public.of_the_superuser (id int)")
    connection.close()
    assert "cannot act as 'postgres'" in refused(pg_database, params, by=by)


def test_the_own_login_is_not_locked_out(pg_database: Database) -> None:
    superuser = pg_database.server.user
    for change in ({"login": False}, {"state": "absent"}):
        params = {"roles": [{"name": superuser, **change}], "unguarded_roles": [superuser]}
        assert "would lock its own login 'postgres' out of the server" in refused(pg_database, params)


def test_a_password_is_nowhere_in_what_is_returned(pg_database: Database) -> None:
    name = pg_database.prefix + "u"
    outcome = run(pg_database, {"roles": [{"name": name, "login": True, "password": CANARY}]})
    connection = pg_database.connect()
    verifier = query(connection, "SELECT rolpassword FROM pg_authid WHERE rolname = %s", (name,))[0][0]
    seen = repr(outcome) + "".join(outcome.statements) + str(outcome.planned.plan.diff())
    assert CANARY not in seen
    assert verifier not in seen
    connection.close()


def test_the_number_of_queries_does_not_depend_on_the_number_of_tables(
    pg_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 0
    rows = reader._rows

    def counted(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        return rows(*arguments)

    monkeypatch.setattr(reader, "_rows", counted)
    connection = pg_database.connect()
    make = "DO $$ BEGIN FOR i IN {}..{} LOOP EXECUTE format('CREATE TABLE public.t%s (id int)', i); END LOOP; END $$"
    seen = []
    for first, last in ((1, 10), (11, 1000)):
        sql(connection, make.format(first, last))
        run(pg_database, service(pg_database))
        count = 0
        run(pg_database, service(pg_database))
        seen.append(count)
    connection.close()
    assert seen[0] == seen[1]
    assert seen[0] <= 14


def test_the_effective_matrix(pg_database: Database) -> None:
    prefix = pg_database.prefix
    made_true(pg_database, service(pg_database))
    connection = pg_database.connect()
    sql(
        connection,
        f"SET ROLE {prefix}migrator",
        "CREATE TABLE public.a (id int, secret text)",
        "CREATE TABLE public.b (id int)",
        "RESET ROLE",
        f"CREATE ROLE {prefix}person IN ROLE {prefix}ro",
        f"CREATE ROLE {prefix}boss NOINHERIT IN ROLE {prefix}app",
        f"CREATE ROLE {prefix}all IN ROLE pg_read_all_data",
        f"GRANT UPDATE (secret) ON public.a TO {prefix}ro",
    )
    connection.close()
    state = reader.observe(login(pg_database), reader.Scope(databases={pg_database.name: None}))
    tables = {
        (row.role.replace(prefix, ""), row.objects, row.privileges, row.via.replace(prefix, ""))
        for row in effective(state, [prefix + name for name in ("app", "migrator", "ro", "person", "boss", "all")])
        if row.kind in ("table", "column")
    }
    both = ("a", "b")
    everything: tuple[str, ...] = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
    if pg_database.server.version >= 17:
        everything = (*everything, "MAINTAIN")
    assert tables == {
        ("app", both, ("SELECT", "INSERT", "UPDATE"), "grant"),
        ("migrator", both, everything, "owner"),
        ("ro", both, ("SELECT",), "grant"),
        ("ro", ("a.secret",), ("UPDATE",), "grant"),
        ("person", both, ("SELECT",), "member of ro"),
        ("person", ("a.secret",), ("UPDATE",), "member of ro"),
        ("boss", both, ("SELECT", "INSERT", "UPDATE"), "SET ROLE app"),
        ("all", both, ("SELECT",), "member of pg_read_all_data"),
    }
