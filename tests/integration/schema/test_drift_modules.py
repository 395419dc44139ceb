# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules: each source of the expected schema, what they refuse, what they leave behind."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from psycopg2 import extensions

from ansible_collections.dbops.postgres.plugins.module_utils import _checked
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._schema import look
from ansible_collections.dbops.postgres.plugins.module_utils._schema.ignore import Ignore
from ansible_collections.dbops.postgres.plugins.module_utils._schema.look import PREFIX, SEARCH_PATH
from ansible_collections.dbops.postgres.plugins.module_utils._schema.observe import snapshot
from ansible_collections.dbops.postgres.plugins.module_utils._schema.snapshot import Snapshot
from ansible_collections.dbops.postgres.plugins.modules import pg_schema_drift_check, pg_schema_snapshot
from tests.integration.access.running import login
from tests.integration.servers import Database

MIGRATIONS = {
    "001_shop.sql": "CREATE SCHEMA shop; CREATE TABLE shop.orders (id int PRIMARY KEY, customer int, note text);",
    "002_index.sql": "-- beside writers\nCREATE INDEX CONCURRENTLY orders_customer ON shop.orders (customer);\n",
    "003_function.sql": "CREATE FUNCTION double(x int) RETURNS int LANGUAGE sql AS 'SELECT 2 * x';",
    "004_policy.sql": "ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;"
    "CREATE POLICY own ON shop.orders USING (customer = 1);",
}
# Run by a tool of the user's; it fails, and prints its URL, if the first argument says so.
TOOL = """
import os, sys, psycopg2
url = os.environ["DATABASE_URL"]
assert url not in sys.argv
if sys.argv[1] == "fail":
    sys.exit("cannot migrate " + url)
connection = psycopg2.connect(url)
connection.autocommit = True
for path in sys.argv[1:]:
    connection.cursor().execute(open(path).read())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "migrations"
    path.mkdir()
    for name, text in MIGRATIONS.items():
        (path / name).write_text(text)
    return path


def sql(database: Database, *statements: str) -> None:
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def migrate(database: Database) -> None:
    sql(database, f"SET search_path = {SEARCH_PATH}", *MIGRATIONS.values())


def leftovers(database: Database) -> list[str]:
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (f"{PREFIX}%",))
            return [row[0] for row in cursor.fetchall()]
    finally:
        connection.close()


def run(
    capsys: pytest.CaptureFixture[str], database: Database, module: ModuleType = pg_schema_drift_check, **options: Any
) -> dict[str, Any]:
    with patch_module_args({**database.login(), **options}), pytest.raises(SystemExit):
        module.main()
    text = capsys.readouterr().out
    assert database.server.password not in text
    result: dict[str, Any] = json.loads(text)
    return result


def test_live_against_its_migrations(pg_database: Database, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    migrate(pg_database)
    source: dict[str, Any] = {"migrations": {"path": str(folder)}}
    result = run(capsys, pg_database, **source)
    assert result["readable"] == []
    assert result["passed"]
    assert not result["changed"]

    sql(
        pg_database,
        "DROP INDEX shop.orders_customer",
        "CREATE OR REPLACE FUNCTION public.double(x int) RETURNS int LANGUAGE sql AS 'SELECT 3 * x'",
        "CREATE POLICY surprise ON shop.orders USING (true)",
        "GRANT SELECT ON shop.orders TO PUBLIC",
    )
    result = run(capsys, pg_database, **source)
    assert result["failed"]
    assert {(item["subject"], item["severity"]) for item in result["findings"]} == {
        ("table shop.orders", "critical"),
        ("policy shop.orders.surprise", "critical"),
        ("index shop.orders_customer", "high"),
        ("function public.double(x integer)", "high"),
    }
    assert "critical: table shop.orders: grants of PUBLIC: expected none, is SELECT" in result["msg"]
    assert "CREATE INDEX CONCURRENTLY orders_customer ON shop.orders USING btree (customer);" in result["statements"]
    assert not run(capsys, pg_database, fail_on="never", **source).get("failed")
    assert leftovers(pg_database) == []


def test_a_migration_that_fails(pg_database: Database, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "005_broken.sql").write_text("SELECT 1;\nCREATE TABEL x ();\n")
    result = run(capsys, pg_database, migrations={"path": str(folder)})
    assert "005_broken.sql:2 fails in an empty database" in result["msg"]
    (folder / "005_broken.sql").write_text("-- CREATE ROLE is fine here\nDO $$ BEGIN CREATE ROLE dbops_never; END $$;")
    result = run(capsys, pg_database, migrations={"path": str(folder)})
    assert "005_broken.sql says CREATE ROLE" in result["msg"]
    assert leftovers(pg_database) == []


def test_owners_are_compared_when_the_migrating_role_is_named(
    pg_database: Database, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    role = f"{pg_database.prefix}migrator"
    sql(pg_database, f"CREATE ROLE {role}", f"GRANT CREATE ON DATABASE {pg_database.name} TO {role}")
    sql(pg_database, f"GRANT CREATE ON SCHEMA public TO {role}")
    texts = [text.replace(" CONCURRENTLY", "") for text in MIGRATIONS.values()]
    sql(pg_database, f"SET ROLE {role}", f"SET search_path = {SEARCH_PATH}", *texts)
    source: dict[str, Any] = {"migrations": {"path": str(folder), "role": role}, "ignore": ["schema:public"]}
    assert run(capsys, pg_database, **source)["readable"] == []
    source["migrations"].pop("role")
    found = run(capsys, pg_database, **source)
    assert "owner: expected postgres" in found["msg"]
    assert run(capsys, pg_database, ignore_fields=["owner"], **source)["passed"]


def test_migrations_that_make_roles_run_on_a_server_given_for_them(
    pg_database: Database, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    migrate(pg_database)
    role = f"{pg_database.prefix}made"
    (folder / "000_role.sql").write_text(f"CREATE ROLE {role};")
    source: dict[str, Any] = {"migrations": {"path": str(folder)}}
    assert "000_role.sql says CREATE ROLE" in run(capsys, pg_database, **source)["msg"]
    assert run(capsys, pg_database, scratch=pg_database.server.login(), **source)["passed"]


def test_live_against_what_a_command_makes(
    pg_database: Database, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    migrate(pg_database)
    tool = tmp_path / "tool.py"
    tool.write_text(TOOL)
    command = [sys.executable, str(tool)]
    good = run(capsys, pg_database, command=[*command, *sorted(MIGRATIONS)], command_chdir=str(folder))
    assert good["passed"], good
    bad = run(capsys, pg_database, command=[*command, "fail"])
    assert "failed with status 1: cannot migrate ********" in bad["msg"]
    assert leftovers(pg_database) == []


@pytest.mark.parametrize("times", [1, 9])
def test_an_object_that_goes_while_it_is_read(
    pg_database: Database, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Tried again, and an error that says so when it goes on."""
    failures = iter([True] * times)

    def disturbed(cursor: extensions.cursor, ignore: Ignore) -> Snapshot:
        if next(failures, False):
            cursor.execute("SELECT 'no_such_table'::regclass")
        return snapshot(cursor, ignore)

    monkeypatch.setattr(look, "snapshot", disturbed)
    if times == 1:
        assert "public" in look.observed(login(pg_database)).objects["schema"]
    else:
        with pytest.raises(DbopsError, match="look again"):
            look.observed(login(pg_database))


def test_a_throwaway_database_of_a_killed_run_goes_with_the_next(
    pg_database: Database, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    young = f"{PREFIX}{int(time.time())}_00000000"
    sql(pg_database, f"CREATE DATABASE {PREFIX}1700000000_00000000", f"CREATE DATABASE {young}")
    try:
        run(capsys, pg_database, migrations={"path": str(folder)}, fail_on="never")
        assert [name for name in leftovers(pg_database) if name.endswith("_00000000")] == [young]
    finally:
        sql(pg_database, f"DROP DATABASE {young}")


def test_live_against_a_snapshot(pg_database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    migrate(pg_database)
    path, junit = tmp_path / "schema.json", tmp_path / "junit.xml"
    written = run(capsys, pg_database, pg_schema_snapshot, path=str(path), _ansible_diff=True)
    assert written["changed"]
    assert written["objects"]["table"] == 1
    assert not run(capsys, pg_database, pg_schema_snapshot, path=str(path))["changed"]
    assert run(capsys, pg_database, snapshot=str(path))["passed"]

    sql(pg_database, "ALTER TABLE shop.orders DISABLE ROW LEVEL SECURITY", "CREATE TABLE shop.tmp_1 ()")
    result = run(
        capsys, pg_database, snapshot=str(path), ignore=["table:shop.tmp_*", "table:shop.tpm_*"], junit=str(junit)
    )
    assert [item["subject"] for item in result["findings"]] == ["table shop.orders"]
    assert result["unused_ignores"] == ["table:shop.tpm_*"]
    assert 'failures="1"' in junit.read_text()
    path.write_text("{}")
    assert "is no snapshot of a schema" in run(capsys, pg_database, snapshot=str(path))["msg"]


def test_stage_against_production(pg_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Other names of roles; the rest is equal, and then it is not."""
    p, copy = pg_database.prefix, Database(pg_database.server, f"{pg_database.prefix}copy")
    sql(pg_database, f"CREATE DATABASE {copy.name}", *(f"CREATE ROLE {p}{name}" for name in ("stage_rw", "prod_rw")))
    for database, role in ((pg_database, "stage_rw"), (copy, "prod_rw")):
        migrate(database)
        sql(
            database,
            f"GRANT SELECT ON shop.orders TO {p}{role}",
            f"CREATE POLICY of_role ON shop.orders TO {p}{role} USING (true)",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {p}{role} GRANT SELECT ON TABLES TO PUBLIC",
            f"ALTER FUNCTION double(int) OWNER TO {p}{role}".replace("double", "public.double"),
        )
    roles: dict[str, Any] = {"role_map": {f"{p}stage_*": f"{p}prod_*"}}
    assert run(capsys, pg_database, against=copy.login(), **roles)["readable"] == []
    assert len(run(capsys, pg_database, against=copy.login(), fail_on="never")["findings"]) == 5
    sql(copy, f"REVOKE SELECT ON shop.orders FROM {p}prod_rw")
    found = run(capsys, pg_database, against=copy.login(), **roles)
    assert [item["subject"] for item in found["findings"]] == ["table shop.orders"]


def test_a_record_is_left_and_no_pass_where_nothing_was_seen(
    pg_database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        _checked, "record_check", lambda *given, statuses=None: left.append((*given[:4], statuses or given[5]))
    )
    path = str(tmp_path / "schema.json")
    run(capsys, pg_database, pg_schema_snapshot, path=path)
    run(capsys, pg_database, snapshot=path, evidence=True)
    sql(pg_database, "CREATE TABLE public.surprise ()")
    run(capsys, pg_database, snapshot=path, evidence=True)
    run(capsys, pg_database, snapshot="/nonexistent", evidence=True)
    run(capsys, pg_database, snapshot=path, evidence=True, _ansible_check_mode=True)
    assert [record[:3] for record in left] == [
        ("pg_schema_drift_check", pg_database.name, True),
        ("pg_schema_drift_check", pg_database.name, False),
        ("pg_schema_drift_check", pg_database.name, False),
    ]
    assert "could not be looked at" in left[2][3]
    assert [record[4] for record in left] == [{"E-2": ["pass"]}, {"E-2": ["fail"]}, {"E-2": ["error"]}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "one of the following is required: migrations, command, snapshot, against"),
        ({"snapshot": "/x", "command": ["x"]}, "mutually exclusive"),
        ({"snapshot": "/nonexistent.json"}, "The snapshot /nonexistent.json cannot be read"),
        ({"snapshot": "/x", "ignore": ["shop"]}, "The ignore rule 'shop' is not kind:name"),
        ({"snapshot": "/x", "login_port": 1}, "cannot be read"),
        ({"command": ["/nonexistent"]}, "The command /nonexistent cannot be run"),
    ],
)
def test_refused(pg_database: Database, capsys: pytest.CaptureFixture[str], options: dict[str, Any], said: str) -> None:
    result = run(capsys, pg_database, **options)
    assert result["failed"]
    assert said in result["msg"]


def test_a_role_without_createdb_is_told_so(
    pg_database: Database, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sql(pg_database, f"CREATE ROLE {pg_database.prefix}reader LOGIN PASSWORD 'canary-reader'")
    login = pg_database.login(f"{pg_database.prefix}reader", "canary-reader")
    result = run(capsys, pg_database, migrations={"path": str(folder)}, **login)
    assert "permission denied to create database" in result["msg"]
    assert "needs CREATEDB" in result["msg"]
