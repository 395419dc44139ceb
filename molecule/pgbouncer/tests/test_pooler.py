# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who comes through the pool, who does not, and what the pooler itself can do."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from testinfra.host import Host

testinfra_hosts = ["ansible://debian*"]

PASSWORDS = {
    "shop_stage_app": "canary-app-4b1",
    "shop_stage_migrator": "canary-migrator-4b1",
    "shop_late": "canary-late-4b1",
    "dbops_pooler": "canary-pooler-4b1",
    "postgres": "canary-nobody-4b1",
}


def own_address(host: Host) -> str:
    """The host's address on the network."""
    return str(host.check_output("hostname -I").split()[0])


def connect(host: Host, user: str, where: str = "127.0.0.1", port: int = 6432, more: str = "") -> tuple[bool, str]:
    """Whether a query succeeds, and what psql says."""
    target = f"host={where} port={port} dbname=shop_db user={user} connect_timeout=10 {more}"
    run = host.run("PGPASSWORD=%s psql -XAtc %s %s", PASSWORDS[user], "SELECT current_user", target)
    return run.succeeded, str(run.stdout + run.stderr).strip()


def console(host: Host, command: str) -> list[dict[str, str]]:
    """A command of the console, as the pooler's own user over the socket."""
    psql = "runuser -u postgres -- psql -XA -P footer=off -h /run/postgresql -p 6432 -U pgbouncer pgbouncer -c %s"
    title, *rows = host.check_output(psql, command).splitlines()
    return [dict(zip(title.split("|"), row.split("|"), strict=True)) for row in rows]


def test_the_application_comes_through_the_pool(host: Host) -> None:
    assert connect(host, "shop_stage_app") == (True, "shop_stage_app")
    assert connect(host, "shop_stage_app", own_address(host), more="sslmode=require") == (True, "shop_stage_app")


def test_another_host_needs_tls(host: Host) -> None:
    worked, said = connect(host, "shop_stage_app", own_address(host), more="sslmode=disable")
    assert not worked, said


@pytest.mark.parametrize(
    "user",
    [
        "shop_stage_migrator",  # works without the pool only
        "shop_late",  # its password has expired
        "postgres",  # a superuser, though somebody has declared it
        "dbops_pooler",
    ],
)
def test_these_do_not_come_through_the_pool(host: Host, user: str) -> None:
    worked, said = connect(host, user)
    assert not worked, said


def test_the_migrator_comes_without_the_pool(host: Host) -> None:
    assert connect(host, "shop_stage_migrator", port=5432) == (True, "shop_stage_migrator")


def test_a_wrong_password_does_not_come_in(host: Host) -> None:
    run = host.run(
        "PGPASSWORD=wrong psql -XAtc 'SELECT 1' 'host=127.0.0.1 port=6432 dbname=shop_db user=shop_stage_app'"
    )
    assert not run.succeeded


def test_the_poolers_login_can_look_up_and_nothing_else(host: Host, psql: Callable[..., str]) -> None:
    def try_it(statement: str) -> tuple[bool, str]:
        target = "host=127.0.0.1 port=5432 dbname=shop_db user=dbops_pooler"
        run = host.run("PGPASSWORD=%s psql -XAtc %s %s", PASSWORDS["dbops_pooler"], statement, target)
        return run.succeeded, run.stdout + run.stderr

    worked, said = try_it("SELECT username FROM dbops_pooler.lookup('shop_stage_app')")
    assert (worked, said.strip()) == (True, "shop_stage_app")
    for nobody in ("postgres", "shop_late", "dbops_nobody"):
        assert try_it(f"SELECT count(*) FROM dbops_pooler.lookup('{nobody}')") == (True, "0\n")
    for forbidden in (
        "SELECT rolpassword FROM pg_authid",
        "CREATE TABLE dbops_pooler.t ()",
        "CREATE TABLE public.t ()",
        "CREATE TEMPORARY TABLE t ()",
        "SET ROLE postgres",
    ):
        assert not try_it(forbidden)[0], forbidden
    rights = psql("SELECT proacl::text FROM pg_proc WHERE proname = 'lookup'", "shop_db")
    assert set(re.findall(r"(\w*)=", rights)) == {"postgres", "dbops_pooler"}


def test_its_files_hold_no_password_but_its_own(host: Host) -> None:
    found = host.run("grep -rlE 'canary-(app|migrator|late)|SCRAM-SHA' /etc/pgbouncer /etc/systemd /var/log/postgresql")
    assert found.stdout == ""
    assert host.run("grep -rl canary-pooler /etc /var/log").stdout == "/etc/pgbouncer/userlist.txt\n"
    users = host.file("/etc/pgbouncer/userlist.txt")
    assert (users.user, users.mode) == ("postgres", 0o600)


def test_what_runs_is_what_is_declared(host: Host) -> None:
    config = {row["key"]: row["value"] for row in console(host, "SHOW CONFIG")}
    assert config["pool_mode"] == "transaction"
    assert config["max_client_conn"] == "100"
    assert config["auth_type"] == "hba"
    [shop] = [row for row in console(host, "SHOW DATABASES") if row["name"] == "shop_db"]
    assert shop["pool_size"] == "10"
    assert ("max_prepared_statements" in config) is (host.system_info.codename != "bookworm")


def test_the_settings_known_to_the_collection_are_this_versions(host: Host) -> None:
    from ansible_collections.dbops.postgres.plugins.module_utils._pooler.settings import SINCE, parse_version

    version = parse_version(host.check_output("pgbouncer --version"))
    says = {row["key"] for row in console(host, "SHOW CONFIG")}
    assert says - {name for name, since in SINCE.items() if since <= version} == set()
    assert {name for name, since in SINCE.items() if since <= version} - says <= {"service_name"}


def test_the_clients_comments_stay(host: Host) -> None:
    text = host.file("/etc/pgbouncer/pgbouncer.ini").content_string
    assert ";; Configuration" in text or text.count("\n;") > 20
    assert text.count("\nlisten_port = ") == 1


def test_the_101st_client_is_refused_and_the_others_are_not_disturbed(host: Host) -> None:
    script = (
        "import psycopg2, sys\n"
        "target = 'host=127.0.0.1 port=6432 dbname=shop_db user=shop_stage_app password=canary-app-4b1'\n"
        "clients = [psycopg2.connect(target) for _ in range(100)]\n"
        "try:\n"
        "    psycopg2.connect(target)\n"
        "    sys.exit('the 101st came in')\n"
        "except psycopg2.OperationalError as error:\n"
        "    print(error)\n"
        "for client in clients:\n"
        "    client.autocommit = True\n"
        "    client.cursor().execute('SELECT 1')\n"
        "print(len(clients), 'work')\n"
    )
    said = host.check_output("python3 -c %s", script)
    assert "no more connections allowed" in said
    assert "100 work" in said
