# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault table: whatever goes wrong, the database ends migrated and verified or as before, and it is said."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.integration.migration.conftest import CODE, FILES, ON_COPY, SETS, MigrateHost
from tests.throwaway import CHECKOUT

GOOD = {
    "001_phone.sql": "ALTER TABLE customers ADD COLUMN phone text;",
    "001_phone.down.sql": "ALTER TABLE customers DROP COLUMN phone;",
    "002_index.sql": "CREATE INDEX CONCURRENTLY orders_note ON orders (note);",
    "002_index.down.sql": "DROP INDEX CONCURRENTLY orders_note;",
    "003_fill.sql": "UPDATE customers SET phone = '0' WHERE id <= 10;\n"
    "CREATE TABLE phones (id int PRIMARY KEY, customer int REFERENCES customers);",
    "003_fill.down.sql": "DROP TABLE phones; UPDATE customers SET phone = NULL;",
}
NASTY = (CHECKOUT / "tests" / "integration" / "backup" / "nasty.sql").read_text()
ONLY_UP = {name: text for name, text in GOOD.items() if ".down." not in name}
# Goes well on the copy, and not on the live server.
ONLY_LIVE = f"SELECT 1 / (CASE WHEN {ON_COPY} THEN 1 ELSE 0 END);"
FAILING_SMOKE = [{"name": "alive", "query": f"SELECT {ON_COPY}", "expect": True}]
# The faults of the table are tried on each version, their relatives on one.
on_one_version = pytest.mark.parametrize("pg_server", [17], indirect=True, ids=["pg17"])
KILLED = 255  # as ssh says it
ALL_THERE = [{"name": "ten", "query": "SELECT count(phone) FROM customers", "expect": 10}]


def as_before(made: MigrateHost, shop: str, before: dict[str, Any]) -> None:
    """The database is exactly what it was."""
    assert made.look(shop) == before
    assert made.left() == []


def test_all_goes_well(migrate_host: MigrateHost, shop: str) -> None:
    done = migrate_host.migrate(shop, GOOD, smoke=ALL_THERE)
    assert done.status == 0, done.said
    assert done.record["verdict"] == "migrated"
    assert [stage["status"] for stage in done.record["stages"]] == ["passed"] * 8
    assert [item["down"] for item in done.record["migrations"]] == ["proven"] * 3
    locks = {(item["mode"], item["object"]) for item in done.record["locks"] if item["file"] == "001_phone.sql"}
    assert locks == {("AccessExclusiveLock", "public.customers")}
    assert next(item["rows"] for item in done.record["statements"] if item["statement"].startswith("UPDATE")) == 10
    assert migrate_host.psql(shop, "SELECT tableowner FROM pg_tables WHERE tablename = 'phones'") == "migrate_owner"
    assert migrate_host.left() == []
    again = migrate_host.migrate(shop, GOOD)
    assert (again.status, again.record["verdict"]) == (0, "nothing to do")


def test_a_copy_of_a_difficult_database_is_not_taken_for_drift(migrate_host: MigrateHost, shop: str) -> None:
    text = NASTY.replace("{p}", f"{shop}_").replace("{d}", shop)
    migrate_host.psql(shop, f"CREATE ROLE {shop}_owner; CREATE ROLE {shop}_app;\nDROP OWNED BY migrate_owner;\n{text}")
    try:
        files = {"001_a.sql": "ALTER TABLE t ADD COLUMN more int;", "001_a.down.sql": "ALTER TABLE t DROP COLUMN more;"}
        done = migrate_host.migrate(shop, files, role="postgres")
        assert done.status == 0, done.said
        assert [item["down"] for item in done.record["migrations"]] == ["proven"], done.said
    finally:
        migrate_host.psql("postgres", f"DROP DATABASE {shop} WITH (FORCE);")
        migrate_host.psql("postgres", f"DROP ROLE {shop}_owner; DROP ROLE {shop}_app")


@on_one_version
def test_a_check_leaves_no_trace(migrate_host: MigrateHost, shop: str) -> None:
    before, trace = migrate_host.look(shop), migrate_host.trace(shop)
    done = migrate_host.migrate(shop, GOOD, check=True, smoke=ALL_THERE, drain_after=0)
    assert (done.status, done.record["verdict"], done.record["path"]) == (0, "rehearsed", ""), done.said
    failed = migrate_host.migrate(shop, GOOD, check=True, smoke=[{**ALL_THERE[0], "expect": 11}])
    assert (failed.status, failed.record["failed_stage"]) == (15, "rehearsal"), failed.said
    as_before(migrate_host, shop, before)
    assert migrate_host.trace(shop) == trace


def test_syntax_error_in_the_third_of_five(migrate_host: MigrateHost, shop: str) -> None:
    before = migrate_host.look(shop)
    statements = [f"ALTER TABLE orders ADD COLUMN c{number} int;" for number in range(5)]
    statements[2] = "ALTER TABLE orders ADD COLUMN c2 int,;"
    done = migrate_host.migrate(shop, {"001_first.sql": GOOD["001_phone.sql"], "002_five.sql": "\n".join(statements)})
    assert (done.status, done.record["failed_stage"]) == (15, "rehearsal")
    assert "002_five.sql:3: syntax error" in done.record["words"]
    assert done.record["words"].endswith("Nothing was changed.")
    as_before(migrate_host, shop, before)


@on_one_version
def test_error_in_the_third_of_five_that_only_the_live_database_has(migrate_host: MigrateHost, shop: str) -> None:
    before = migrate_host.look(shop)
    statements = [f"ALTER TABLE orders ADD COLUMN c{number} int;" for number in range(5)]
    statements[2] = ONLY_LIVE
    done = migrate_host.migrate(shop, {"001_five.sql": "\n".join(statements)})
    assert (done.status, done.record["failed_stage"], done.record["way_back"]) == (17, "apply", "rollback"), done.said
    assert "001_five.sql:3: division by zero" in done.record["words"]
    assert "exactly as before" in done.record["words"]
    as_before(migrate_host, shop, before)


@on_one_version
def test_it_fails_after_two_good_ones_that_can_be_taken_back(migrate_host: MigrateHost, shop: str) -> None:
    before = migrate_host.look(shop)
    files = {**GOOD, "004_bad.sql": ONLY_LIVE, "004_bad.down.sql": "SELECT 1;"}
    done = migrate_host.migrate(shop, files)
    assert (done.status, done.record["verdict"], done.record["way_back"]) == (17, "as before", "down"), done.said
    assert "took back 3 migration(s)" in done.record["words"]
    as_before(migrate_host, shop, before)


def test_lock_timeout(migrate_host: MigrateHost, shop: str) -> None:
    before = migrate_host.look(shop)
    blocker = migrate_host.server.connect(shop, autocommit=False)
    try:
        with blocker.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM public.customers")
        done = migrate_host.migrate(shop, ONLY_UP, lock_timeout=0.1, attempts=3)
        assert (done.status, done.record["way_back"]) == (17, "rollback"), done.said
        assert (
            "001_phone.sql:1: canceling statement due to lock timeout (SQLSTATE 55P03) after 3" in done.record["words"]
        )
        as_before(migrate_host, shop, before)
        process = migrate_host.start(shop, ONLY_UP, lock_timeout=0.1, attempts=20)
        assert process.stderr is not None
        assert any("attempt 2 in" in line for line in process.stderr)
        blocker.rollback()
        done = migrate_host.ended(process)
    finally:
        blocker.close()
    assert (done.status, done.record["verdict"]) == (0, "migrated"), done.said
    assert "had to wait" in done.stage("apply")["detail"]


@pytest.mark.parametrize("pg_server", [17], indirect=True, ids=["pg17"])
def test_a_transaction_timeout_of_the_server_is_not_for_it(migrate_host: MigrateHost, shop: str) -> None:
    migrate_host.psql("postgres", f"ALTER DATABASE {shop} SET transaction_timeout = '300ms'")
    done = migrate_host.migrate(shop, {"001_slow.up.sql": "SELECT pg_sleep(0.2); SELECT pg_sleep(0.2);"})
    assert (done.status, done.record["verdict"]) == (0, "migrated"), done.said


# Between the first commit's being written down and its being made; before the last.
@pytest.mark.parametrize("moment", [3, 10])
def test_killed(migrate_host: MigrateHost, shop: str, moment: int) -> None:
    done = migrate_host.migrate(shop, ONLY_UP, {"DBOPS_KILL_AFTER": moment})
    assert done.status == KILLED, done.said
    again = migrate_host.migrate(shop, ONLY_UP, smoke=ALL_THERE)
    assert (again.status, again.record["verdict"]) == (0, "migrated"), again.said
    assert "interrupted" in again.record["resumed"]
    assert migrate_host.psql(shop, "SELECT count(*) FROM dbops.migration_history") == "3"
    assert migrate_host.left() == []


def test_killed_and_taken_back(migrate_host: MigrateHost, shop: str) -> None:
    before = migrate_host.look(shop)
    done = migrate_host.migrate(shop, ONLY_UP, {"DBOPS_KILL": 6})
    assert done.status == KILLED, done.said
    assert migrate_host.look(shop) != before
    other = migrate_host.migrate(shop, {**ONLY_UP, "001_phone.sql": "SELECT 1;"})
    assert (other.status, other.record["failed_stage"]) == (11, "guard")
    assert "001_phone.sql" in other.record["words"]
    again = migrate_host.migrate(shop, ONLY_UP, interrupted="back")
    assert (again.record["verdict"], again.record["way_back"]) == ("as before", "restore"), again.said
    assert "applied in part" in again.record["words"]
    as_before(migrate_host, shop, before)


@on_one_version
@pytest.mark.parametrize("goes_on", [True, False])
def test_killed_while_an_index_is_built(migrate_host: MigrateHost, shop: str, goes_on: bool) -> None:
    """The server goes on building, without anybody who waits for it, or does not. Another of that name is not it."""
    migrate_host.psql(
        shop, "CREATE SCHEMA other; CREATE TABLE other.t (note int); CREATE INDEX orders_note ON other.t (note)"
    )
    files = {"001_a.up.sql": GOOD["001_phone.sql"], "002_b.up.sql": GOOD["002_index.sql"]}
    blocker = migrate_host.server.connect(shop, autocommit=False)
    try:
        with blocker.cursor() as cursor:
            cursor.execute("UPDATE public.orders SET note = 'x' WHERE id = 1")
        done = migrate_host.migrate(shop, files, {"DBOPS_KILL_BUILDING": 1})
        assert done.status == KILLED, done.said
        building = "SELECT count(*) FROM pg_stat_progress_create_index WHERE datname = current_database()"
        assert migrate_host.psql(shop, building) == "1"
        assert migrate_host.psql(shop, "SELECT version, dirty FROM schema_migrations") == "2|t"
        if not goes_on:
            end = "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_progress_create_index"
            assert migrate_host.psql(shop, f"{end} WHERE datname = current_database()") == "t"
    finally:
        blocker.rollback()
        blocker.close()
    again = migrate_host.migrate(shop, files)
    assert (again.status, again.record["verdict"]) == (0, "migrated"), again.said
    assert migrate_host.psql(shop, "SELECT version, dirty FROM schema_migrations") == "2|f"
    assert migrate_host.psql(shop, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == "0"
    assert migrate_host.psql(shop, "SELECT count(*) FROM pg_class WHERE relname = 'orders_note'") == "2"


@on_one_version
def test_killed_on_the_way_back(migrate_host: MigrateHost, shop: str) -> None:
    before = migrate_host.look(shop)
    done = migrate_host.migrate(shop, ONLY_UP, {"DBOPS_KILL_SWAP": 1}, smoke=FAILING_SMOKE)
    assert done.status == KILLED, done.said
    again = migrate_host.migrate(shop, ONLY_UP, smoke=FAILING_SMOKE)
    assert (again.record["verdict"], again.record["way_back"]) == ("as before", "restore"), again.said
    as_before(migrate_host, shop, before)


@on_one_version
def test_a_host_that_cannot_read_its_own_backups(migrate_host: MigrateHost, shop: str) -> None:
    host = migrate_host.host
    recipient = host.run("sh", "-c", "age-keygen 2>/dev/null | age-keygen -y").strip()
    backup = {"databases": [shop], "recipients": [recipient]}
    text = json.dumps({"targets": [{"directory": SETS}], "backup": backup})
    host.run("sh", "-c", f"cat >{FILES}/backup.json", text=text)
    before = migrate_host.look(shop)
    done = migrate_host.migrate(shop, ONLY_UP, smoke=FAILING_SMOKE)
    assert (done.record["verdict"], done.record["way_back"]) == ("as before", "restore"), done.said
    assert "cannot be read on this host" in done.stage("backup")["detail"]
    assert done.record["set"] in host.run("ls", SETS)
    as_before(migrate_host, shop, before)


@pytest.mark.parametrize("how", ["ended", "crash"])
def test_killed_backend(migrate_host: MigrateHost, shop: str, how: str) -> None:
    before = migrate_host.look(shop)
    done = migrate_host.migrate(shop, ONLY_UP, {"DBOPS_TERMINATE": how})
    assert (done.status, done.record["way_back"]) == (17, "rollback"), done.said
    assert "apply failed: 001_phone.sql:1: " in done.record["words"]
    as_before(migrate_host, shop, before)


def test_disk_full(migrate_host: MigrateHost, shop: str) -> None:
    place = f"/mnt/{shop}"
    migrate_host.host.run(
        "sh", "-ceu", f"mkdir -p {place}; mount -t tmpfs -o size=4m none {place}; chown postgres {place}"
    )
    try:
        migrate_host.psql("postgres", f"CREATE TABLESPACE {shop} LOCATION '{place}'")
        migrate_host.psql("postgres", f"GRANT CREATE ON TABLESPACE {shop} TO migrate_owner")
        before = migrate_host.look(shop)
        files = {
            "001_phone.sql": GOOD["001_phone.sql"],
            "001_phone.down.sql": GOOD["001_phone.down.sql"],
            "002_big.sql": f"CREATE TABLE big TABLESPACE {shop} AS SELECT i, repeat('x', 1000) FROM"
            " generate_series(1, 6000) i;",
        }
        done = migrate_host.migrate(shop, files)
        assert (done.status, done.record["way_back"]) == (17, "down"), done.said
        assert "No space left on device" in done.record["words"]
        as_before(migrate_host, shop, before)
        migrate_host.psql("postgres", f"DROP TABLESPACE {shop}")
    finally:
        migrate_host.host.run("umount", place)


def test_failing_smoke_query(migrate_host: MigrateHost, shop: str) -> None:
    before = migrate_host.look(shop)
    done = migrate_host.migrate(shop, GOOD, smoke=FAILING_SMOKE)
    assert (done.status, done.record["failed_stage"], done.record["way_back"]) == (18, "verify", "down"), done.said
    assert "smoke query alive: answered 'false', expected 'true'" in done.record["words"]
    as_before(migrate_host, shop, before)


@on_one_version
def test_failing_smoke_query_and_no_file_takes_back(migrate_host: MigrateHost, shop: str) -> None:
    before = migrate_host.look(shop)
    done = migrate_host.migrate(shop, ONLY_UP, smoke=FAILING_SMOKE)
    assert (done.record["verdict"], done.record["way_back"]) == ("as before", "restore"), done.said
    as_before(migrate_host, shop, before)
    kept = done.record["kept"]
    assert kept in done.record["words"]
    assert migrate_host.psql(kept, "SELECT count(phone) FROM customers") == "10"


@on_one_version
def test_somebody_changes_the_schema_meanwhile(migrate_host: MigrateHost, shop: str) -> None:
    before = migrate_host.look(shop)
    done = migrate_host.migrate(shop, GOOD, {"DBOPS_SQL": "CREATE INDEX surprise ON orders (total)"})
    assert (done.status, done.record["failed_stage"], done.record["way_back"]) == (18, "verify", "restore"), done.said
    assert "the schema is not that of the rehearsal: index public.surprise is too many" in done.record["words"]
    as_before(migrate_host, shop, before)


def test_failed_concurrent_build(migrate_host: MigrateHost, shop: str) -> None:
    before = migrate_host.look(shop)
    files = {
        "001_phone.sql": GOOD["001_phone.sql"],
        "001_phone.down.sql": GOOD["001_phone.down.sql"],
        "002_unique.sql": "CREATE UNIQUE INDEX CONCURRENTLY customers_email ON customers (email);",
    }
    twin = "INSERT INTO customers VALUES (999, 'customer1@example.com')"
    done = migrate_host.migrate(shop, files, {"DBOPS_SQL": twin})
    assert (done.status, done.record["way_back"]) == (17, "down"), done.said
    assert "could not create unique index" in done.record["words"]
    assert "dropped the invalid index public.customers_email" in done.said
    migrate_host.psql(shop, "DELETE FROM customers WHERE id = 999")
    as_before(migrate_host, shop, before)


@pytest.mark.parametrize(
    ("down", "why"),
    [
        ("DROP TABLE phones; DELETE FROM orders WHERE id = 1;", "the rows are not what they were before"),
        ("UPDATE customers SET phone = NULL;", "table public.phones is too many"),
    ],
)
def test_wrong_down(migrate_host: MigrateHost, shop: str, down: str, why: str) -> None:
    before = migrate_host.look(shop)
    files = {**GOOD, "003_fill.down.sql": down}
    done = migrate_host.migrate(shop, files, smoke=FAILING_SMOKE)
    assert (done.record["verdict"], done.record["way_back"]) == ("as before", "restore"), done.said
    assert f"003_fill.down.sql: {why}" in str(done.record["wrong_downs"])
    assert "has not proven the way back" in done.record["words"]
    as_before(migrate_host, shop, before)


@on_one_version
def test_nothing_leads_back(migrate_host: MigrateHost, shop: str) -> None:
    done = migrate_host.migrate(shop, ONLY_UP, smoke=FAILING_SMOKE, way_back=["down"])
    assert (done.status, done.record["verdict"]) == (18, "not as before"), done.said
    assert "NOT as before" in done.record["words"]
    mended = migrate_host.migrate(shop, ONLY_UP)
    assert (mended.record["verdict"], mended.record["way_back"]) == ("as before", "restore"), mended.said


@on_one_version
def test_a_procedure_that_commits_and_then_fails(migrate_host: MigrateHost, shop: str) -> None:
    """The schema is as before and so is the history, and yet rows are not."""
    migrate_host.psql(
        shop,
        "CREATE PROCEDURE half() LANGUAGE plpgsql AS $$ BEGIN UPDATE customers SET email = 'gone' WHERE id = 1; COMMIT;"
        f" PERFORM 1 / ({ON_COPY})::int; END $$",
    )
    before = migrate_host.look(shop)
    files = {"001_call.sql": "-- dbops: no-transaction\nCALL half();"}
    done = migrate_host.migrate(shop, files)
    assert (done.record["failed_stage"], done.record["way_back"]) == ("apply", "restore"), done.said
    assert "001_call.sql:2 has perhaps done a part of its work" in done.record["words"]
    as_before(migrate_host, shop, before)


@on_one_version
def test_told_to_stop(migrate_host: MigrateHost, shop: str) -> None:
    """It takes away what is only for its time, leaves its record, and the next one goes on."""
    stopped = migrate_host.migrate(shop, ONLY_UP, {"DBOPS_SIGNAL": int(signal.SIGTERM)}, drain_after=0)
    assert stopped.status == 128 + signal.SIGTERM, stopped.said
    assert "/run/dbops-postgres/drain is set" in stopped.said
    assert migrate_host.left() == [f"{shop}.json"]
    records = f"/var/lib/dbops-postgres/migrations/*{shop}.md"
    assert "interrupted: SystemExit" in migrate_host.host.run("sh", "-c", f"cat {records}")
    again = migrate_host.migrate(shop, ONLY_UP, smoke=ALL_THERE)
    assert (again.status, again.record["verdict"]) == (0, "migrated"), again.said


@on_one_version
def test_the_controller_is_gone(migrate_host: MigrateHost, shop: str) -> None:
    """The terminal hangs up; a drain file that a killed run has left goes."""
    migrate_host.host.run(
        "sh", "-c", f"mkdir -p /run/dbops-postgres; echo \"migration x of '{shop}'\" >/run/dbops-postgres/drain"
    )
    done = migrate_host.migrate(shop, ONLY_UP, {"DBOPS_SIGNAL": int(signal.SIGHUP)})
    assert (done.status, done.record["verdict"]) == (0, "migrated"), done.said
    assert migrate_host.left() == []


@on_one_version
def test_the_disk_of_the_state_and_of_the_records_is_full(migrate_host: MigrateHost, shop: str) -> None:
    before = migrate_host.look(shop)
    state = "/var/lib/dbops-postgres"
    full = f"mkdir -p {state}/$0; mount -t tmpfs -o nr_inodes=1 none {state}/$0"
    migrate_host.host.run("sh", "-ceu", full, "migrate")
    try:
        done = migrate_host.migrate(shop, ONLY_UP)
    finally:
        migrate_host.host.run("umount", f"{state}/migrate")
    assert (done.record["failed_stage"], done.record["way_back"]) == ("drain", "rollback"), done.said
    assert "No space left on device" in done.record["words"]
    as_before(migrate_host, shop, before)
    migrate_host.host.run("sh", "-ceu", full, "migrations")
    try:
        done = migrate_host.migrate(shop, ONLY_UP)
    finally:
        migrate_host.host.run("umount", f"{state}/migrations")
    assert (done.status, done.record["verdict"], done.record["path"]) == (0, "migrated", ""), done.said
    assert "The record could not be written" in done.record["words"]


@on_one_version
def test_a_character_that_the_database_cannot_hold(migrate_host: MigrateHost, shop: str) -> None:
    migrate_host.psql("postgres", f"DROP DATABASE {shop}")
    migrate_host.psql(
        "postgres", f"CREATE DATABASE {shop} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    migrate_host.psql(shop, "CREATE TABLE words (word text)")
    files = {"001_words.sql": "INSERT INTO words VALUES ('na\u00efve');"}
    done = migrate_host.migrate(shop, files)
    assert done.status == 0, done.said
    assert migrate_host.psql(shop, "SELECT octet_length(word) FROM words") == "5"
    done = migrate_host.migrate(shop, {**files, "002_snow.sql": "INSERT INTO words VALUES ('\u2603');"})
    assert (done.status, done.record["failed_stage"]) == (15, "rehearsal"), done.said
    assert "002_snow.sql:1: character with byte sequence" in done.record["words"]


@on_one_version
def test_threads_that_connect_at_once(migrate_host: MigrateHost, shop: str) -> None:
    """Root connects as postgres: the comparison of a restored database does it in several threads."""
    assert migrate_host.host.run("python3", f"{CODE}/on_host.py", "threads", shop).strip() == "0"
