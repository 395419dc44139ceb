# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each layout: what its tool has applied is believed, what is pending is applied and recorded as the tool does it."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import zlib
from pathlib import Path

import pytest

from tests.integration.conftest import RunPlaybook
from tests.integration.migration.conftest import CODE, FILES, MigrateHost
from tests.throwaway import CHECKOUT

ONE = "CREATE TABLE one (id int PRIMARY KEY);"
TWO = "ALTER TABLE one ADD COLUMN note text;\nCREATE TABLE two (id int);"
# What differs between the versions of PostgreSQL is in the fault table.
pytestmark = pytest.mark.parametrize("pg_server", [17], indirect=True, ids=["pg17"])
LAYOUTS = {
    "prisma": ("20260101_one/migration.sql", "20260102_two/migration.sql"),
    "flyway": ("V1__one.sql", "V2__two_more.sql"),
    "golang-migrate": ("000001_one.up.sql", "000002_two.up.sql"),
    "plain": ("01_one.sql", "02_two.sql"),
}
QUERIES = {
    "prisma": "SELECT migration_name, checksum, finished_at IS NOT NULL FROM _prisma_migrations ORDER BY started_at",
    "flyway": "SELECT version, description, checksum, success FROM flyway_schema_history ORDER BY installed_rank",
    "golang-migrate": "SELECT version, dirty FROM schema_migrations",
    "plain": "SELECT id, checksum FROM dbops.migration_history ORDER BY id",
}


def crc(text: str) -> int:
    """Flyway's: of the lines without their ends, signed."""
    value = zlib.crc32("".join(text.splitlines()).encode())
    return value - (1 << 32) if value >= 1 << 31 else value


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


ROWS = {
    "prisma": f"20260101_one|{sha(ONE)}|t\n20260102_two|{sha(TWO)}|t",
    "flyway": f"1|one|{crc(ONE)}|t\n2|two more|{crc(TWO)}|t",
    "golang-migrate": "2|f",
    "plain": f"01_one|{sha(ONE)}\n02_two|{sha(TWO)}",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout(migrate_host: MigrateHost, shop: str, layout: str) -> None:
    first, second = LAYOUTS[layout]
    done = migrate_host.migrate(shop, {first: ONE})
    assert done.status == 0, done.said
    assert done.record["layout"] == layout
    done = migrate_host.migrate(shop, {first: ONE, second: TWO}, lock_timeout=5)
    assert done.status == 0, done.said
    assert [item["path"] for item in done.record["migrations"]] == [second]
    assert migrate_host.psql(shop, QUERIES[layout]) == ROWS[layout]
    changed = migrate_host.migrate(shop, {first: f"{ONE} ", second: TWO})
    assert changed.status == (0 if layout == "golang-migrate" else 11)
    if layout != "golang-migrate":
        assert f"{first} was changed after it had been applied" in changed.record["words"]


def test_dirty(migrate_host: MigrateHost, shop: str) -> None:
    migrate_host.psql(
        shop,
        "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);"
        "INSERT INTO schema_migrations VALUES (1, true)",
    )
    first, second = LAYOUTS["golang-migrate"]
    done = migrate_host.migrate(shop, {first: ONE, second: TWO})
    assert (done.status, done.record["failed_stage"]) == (11, "guard")
    assert "1 was begun by the tool and not ended (dirty)" in done.record["words"]


def test_command(migrate_host: MigrateHost, shop: str) -> None:
    script = (
        'psql "$DATABASE_URL" -XqAt -v ON_ERROR_STOP=1 -c "CREATE TABLE alembic_version (version_num text);'
        " INSERT INTO alembic_version VALUES ('b2'); CREATE TABLE made (id int);"
    )
    good = ["sh", "-c", f'{script}"']
    before = migrate_host.look(shop)
    # Half of it is committed before it fails, and only on the live server: nothing but the set leads back.
    bad = ["sh", "-c", f"""{script}" -c "SELECT 1 / (current_setting('cluster_name') LIKE 'drill-%')::int" """]
    done = migrate_host.migrate(shop, {}, layout="command", command=bad)
    assert (done.status, done.record["way_back"]) == (17, "restore"), done.said
    assert "division by zero" in done.record["words"]
    assert migrate_host.look(shop) == before
    # Rows only: they cannot be told from those that the applications write.
    rows = ["sh", "-c", """psql "$DATABASE_URL" -XqAt -v ON_ERROR_STOP=1 -c "UPDATE customers SET email = 'gone'" \\
        -c "SELECT 1 / (current_setting('cluster_name') LIKE 'drill-%')::int" """]  # fmt: skip
    done = migrate_host.migrate(shop, {}, layout="command", command=rows)
    assert (done.status, done.record["way_back"]) == (17, "rollback"), done.said
    assert "cannot be seen from here: look at what it says" in done.record["words"]
    assert "exactly as before: " not in done.record["words"]
    other = migrate_host.migrate(
        shop, {}, layout="command", command=good, database_url="postgresql://app:hunter2@db1/other?sslmode=verify-full"
    )
    assert (other.status, "names another database" in other.record["words"]) == (11, True), other.said
    assert "hunter2" not in other.said + str(other.record)
    done = migrate_host.migrate(shop, {}, layout="command", command=good)
    assert (done.status, done.record["verdict"]) == (0, "migrated"), done.said
    assert migrate_host.psql(shop, "SELECT version_num FROM alembic_version") == "b2"


def test_drift(migrate_host: MigrateHost, shop: str) -> None:
    path = f"{FILES}/snapshot.json"
    migrate_host.host.run("sh", "-c", f"python3 {CODE}/on_host.py snapshot {shop} >{path}")
    done = migrate_host.migrate(shop, {"01_one.sql": ONE}, expected_schema=path)
    assert (done.status, done.stage("drift")["detail"]) == (0, "as expected"), done.said
    migrate_host.psql(shop, "CREATE INDEX surprise ON orders (note)")
    surprised = migrate_host.migrate(shop, {"01_one.sql": ONE, "02_two.sql": TWO}, expected_schema=path)
    assert (surprised.status, surprised.record["failed_stage"]) == (13, "drift")
    assert "surprise" in surprised.record["words"]


def test_what_is_refused(migrate_host: MigrateHost, shop: str) -> None:
    before = migrate_host.look(shop)
    wanted = migrate_host.migrate(shop, {"01_one.sql": ONE}, environment="prod")
    assert wanted.status == 11
    assert "expected is 'prod'" in wanted.record["words"]
    without = migrate_host.migrate(shop, {"01_one.sql": ONE}, backup_config="/nonexistent.json")
    assert (without.status, without.record["failed_stage"]) == (14, "backup")
    assert "No backup is configured" in without.record["words"]
    slow = {"01_slow.sql": "LOCK TABLE customers IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.3);"}
    long = migrate_host.migrate(shop, slow, lock_limits={"AccessExclusiveLock": 0.2})
    assert (long.status, long.record["failed_stage"]) == (15, "rehearsal")
    assert re.search(r"AccessExclusiveLock on public.customers for [0-9.]+ s", long.record["words"])
    index = {"01_drop.sql": "ALTER TABLE orders DROP CONSTRAINT orders_pkey;"}
    plans = [{"name": "one order", "query": "SELECT * FROM orders WHERE id = 7"}]
    worse = migrate_host.migrate(shop, index, plans=plans)
    assert (worse.status, worse.record["failed_stage"]) == (15, "rehearsal")
    assert "plan of one order: its cost is" in worse.record["words"]
    assert migrate_host.look(shop) == before
    assert migrate_host.left() == []


def test_without_a_backup_but_with_the_words(migrate_host: MigrateHost, shop: str) -> None:
    done = migrate_host.migrate(
        shop, {"01_one.sql": ONE}, backup_config="/nonexistent.json", without_backup="I have another way back"
    )
    assert (done.status, done.record["verdict"]) == (0, "migrated"), done.said
    assert migrate_host.left() == []


def test_drain(migrate_host: MigrateHost, shop: str) -> None:
    slow = {"01_slow.sql": "LOCK TABLE customers IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.2);"}
    done = migrate_host.migrate(shop, slow, drain_after=0.1)
    assert done.status == 0, done.said
    assert "/run/dbops-postgres/drain is set" in done.stage("drain")["detail"]
    assert migrate_host.left() == []


def test_playbook(migrate_host: MigrateHost, shop: str, run_playbook: RunPlaybook, tmp_path: Path) -> None:
    """The whole way: bring the files, see what is applied, lint it, migrate, show it; a contract step has to wait."""
    source = tmp_path / "migrations"
    source.mkdir()
    (source / "001_phone.sql").write_text("ALTER TABLE customers ADD COLUMN phone text;\n")
    variables = {
        "migrate_hosts": "all",
        "migrate_database": shop,
        "migrate_path": str(source),
        "migrate_backup_config": f"{FILES}/backup.json",
        "migrate_drill_config": f"{FILES}/drill.json",
    }
    (tmp_path / "vars.json").write_text(json.dumps(variables))
    play = [{"import_playbook": str(CHECKOUT / "playbooks" / "migrate.yml")}]
    given = ("-e", f"@{tmp_path}/vars.json")
    before = migrate_host.look(shop)
    checked = run_playbook(play, "--check", *given)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "The rehearsal passed" in checked.stdout
    assert migrate_host.look(shop) == before
    done = run_playbook(play, *given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Migrated and verified: 1 migration(s)" in done.stdout
    (source / "002_drop.sql").write_text(
        "-- dbops: contracts 001_phone\nSET lock_timeout = '2s';\nALTER TABLE customers DROP COLUMN email;\n"
    )
    old = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=8)
    migrate_host.psql(shop, f"UPDATE dbops.migration_history SET applied_at = '{old.isoformat()}'")
    migrate_host.psql(
        shop,
        "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset();"
        "SELECT email FROM customers LIMIT 1",
    )
    used = run_playbook(play, *given)
    assert used.returncode != 0
    assert "pg_stat_statements still shows a query that uses it" in used.stdout
    migrate_host.psql(shop, "SELECT pg_stat_statements_reset()")
    due = run_playbook(play, *given)
    assert due.returncode == 0, due.stdout + due.stderr
    assert migrate_host.host.run("sh", "-c", "ls -d /tmp/dbops-migrate-* 2>/dev/null || true") == ""
    said = migrate_host.host.run("journalctl", "-t", "ansible-dbops.postgres.pg_migrate", "-n", "200", "-o", "cat")
    assert "verify: passed" in said
    left = migrate_host.host.run("cat", f"/var/lib/dbops-postgres/evidence/checks/pg_migrate--{shop}.json")
    assert json.loads(left)["statuses"] == {"E-3": ["pass"], "E-4": ["pass"]}
