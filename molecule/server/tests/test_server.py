# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds on every host that the role built, or adopted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testinfra.host import Host

Psql = Callable[..., str]

ENVIRONMENT = "SELECT substring(current_setting('cluster_name') from '@(.+)$')"
CANARY = "Canary-4711-in-the-log"


@pytest.fixture
def address(host: Host) -> str:
    return str(host.check_output("hostname -I")).split()[0]


@pytest.fixture
def shop_app(host: Host, psql: Psql) -> str:
    """A login with a password, and the database that the rules let it into."""
    if psql("SELECT 1 FROM pg_roles WHERE rolname = 'shop_app'") != "1":
        psql("CREATE ROLE shop_app LOGIN PASSWORD 'not-a-secret-1'")
    if psql("SELECT 1 FROM pg_database WHERE datname = 'shop'") != "1":
        psql("CREATE DATABASE shop")
    return "not-a-secret-1"


def connect(host: Host, conninfo: str, password: str = "", query: str = "SELECT 1") -> tuple[int, str]:
    result = host.run("PGPASSWORD=%s psql -XAtc %s %s", password, query, conninfo)
    return result.rc, result.stdout.strip() + result.stderr.strip()


def test_the_server_runs_and_starts_at_boot(host: Host, version: int) -> None:
    assert host.service(f"postgresql@{version}-main").is_running
    assert host.service("postgresql").is_enabled
    assert host.check_output("systemctl is-system-running") == "running"


def test_nothing_waits_for_a_restart_and_every_file_was_read(psql: Psql) -> None:
    assert psql("SELECT name FROM pg_settings WHERE pending_restart") == ""
    assert psql("SELECT error FROM pg_file_settings WHERE error IS NOT NULL") == ""
    assert psql("SELECT error FROM pg_hba_file_rules WHERE error IS NOT NULL") == ""


def test_nothing_of_the_catalog_of_settings_was_misspelt(psql: Psql, version: int) -> None:
    """A library's setting with a wrong name would be taken for somebody else's and never be used."""
    unknown = psql(
        "SELECT f.name FROM pg_file_settings f LEFT JOIN pg_settings s ON lower(s.name) = lower(f.name)"
        f" WHERE f.sourcefile = '/etc/postgresql/{version}/main/conf.d/10-dbops.conf' AND s.name IS NULL"
    )
    assert unknown == ""


@pytest.mark.parametrize(
    ("path", "user", "group", "mode"),
    [
        ("/etc/postgresql/{version}/main/conf.d/10-dbops.conf", "postgres", "postgres", 0o640),
        ("/etc/postgresql/{version}/main/pg_hba.conf", "postgres", "postgres", 0o640),
        ("/etc/postgresql/{version}/main/pg_ident.conf", "postgres", "postgres", 0o640),
        ("/etc/dbops-postgres/tls/server.key", "postgres", "postgres", 0o600),
        ("/etc/dbops-postgres/tls/server.crt", "root", "root", 0o644),
        ("/etc/dbops-postgres/tls/ca.crt", "root", "root", 0o644),
        ("/var/lib/postgresql/{version}/main", "postgres", "postgres", 0o700),
        ("/var/log/postgresql", "postgres", "adm", 0o2750),
        ("/run/postgresql/.s.PGSQL.5432", "postgres", "postgres", 0o770),
    ],
)
def test_owners_and_permissions(host: Host, version: int, path: str, user: str, group: str, mode: int) -> None:
    file = host.file(path.format(version=version))
    assert (file.user, file.group, file.mode) == (user, group, mode)


def test_log_files_are_the_servers_alone(host: Host) -> None:
    assert host.check_output("find /var/log/postgresql -name '*-main-*.log' -perm 0600 | wc -l") != "0"
    assert host.check_output("find /var/log/postgresql -name '*-main-*.log' ! -perm 0600") == ""


def test_the_postgres_account_leaves_nothing_readable_and_no_history(host: Host) -> None:
    assert host.check_output("su - postgres -c umask") == "0077"
    assert host.check_output("su - postgres -c 'echo $PSQL_HISTORY'") == "/dev/null"
    assert host.file("/var/lib/postgresql/.psql_history").linked_to == "/dev/null"
    assert host.check_output("getent shadow postgres").split(":")[1] in ("!", "*", "!*")


def test_the_server_runs_in_its_sandbox(host: Host, version: int) -> None:
    pid = host.check_output(f"head -1 /var/lib/postgresql/{version}/main/postmaster.pid")
    status = host.check_output(f"cat /proc/{pid}/status")
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert "Umask:\t0077" in status
    mounts = dict(line.split()[4:6] for line in host.check_output(f"cat /proc/{pid}/mountinfo").splitlines())
    assert mounts["/"].startswith("ro,")
    assert mounts["/var/lib/postgresql"].startswith("rw,")


def test_the_environment_is_told_to_everybody_and_changed_by_nobody(host: Host, psql: Psql, shop_app: str) -> None:
    assert psql(ENVIRONMENT) == "stage"
    psql("ALTER DATABASE shop OWNER TO shop_app")
    for attempt in (
        "SET cluster_name = 'x@prod'",
        "SELECT set_config('cluster_name', 'x@prod', false)",
        "ALTER ROLE shop_app SET cluster_name = 'x@prod'",
        "ALTER DATABASE shop SET cluster_name = 'x@prod'",
        "ALTER SYSTEM SET cluster_name = 'x@prod'",
    ):
        result = host.run(
            "runuser -u postgres -- psql -XAtq -d shop -c 'SET SESSION AUTHORIZATION shop_app' -c %s -c %s",
            attempt,
            ENVIRONMENT,
        )
        assert "ERROR" in result.stderr, attempt
        assert result.stdout.strip() == "stage", attempt
    options = host.run(
        "PGOPTIONS='-c cluster_name=x@prod' runuser -u postgres --preserve-environment -- psql -XAtc 'SELECT 1'"
    )
    assert "cannot be changed" in options.stderr
    assert psql(ENVIRONMENT, "shop") == "stage"


def test_an_application_gets_in_over_tls_that_it_can_verify(host: Host, address: str, shop_app: str) -> None:
    name = host.check_output("hostname")
    conninfo = f"host={name} hostaddr={address} dbname=shop user=shop_app sslmode=verify-full"
    query = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    code, output = connect(host, f"{conninfo} sslrootcert=/etc/dbops-postgres/tls/ca.crt", shop_app, query)
    assert (code, output) == (0, "t|TLSv1.3")


@pytest.mark.parametrize(
    ("conninfo", "said"),
    [
        ("dbname=shop user=shop_app sslmode=disable", "pg_hba.conf rejects connection"),
        ("dbname=postgres user=shop_app sslmode=require", "pg_hba.conf rejects connection"),
        ("dbname=shop user=nobody_declared sslmode=require", "pg_hba.conf rejects connection"),
        ("dbname=postgres user=postgres sslmode=require", "pg_hba.conf rejects connection"),
        ("dbname=postgres user=postgres sslmode=disable", "pg_hba.conf rejects connection"),
        ("dbname=shop user=shop_app sslmode=require ssl_max_protocol_version=TLSv1.2", "protocol version"),
    ],
)
def test_everybody_else_stays_out(host: Host, address: str, shop_app: str, conninfo: str, said: str) -> None:
    code, output = connect(host, f"host={address} {conninfo}", shop_app)
    assert code == 2
    assert said in output


def test_the_superuser_is_not_let_in_on_loopback_either(host: Host) -> None:
    code, output = connect(host, "host=127.0.0.1 dbname=postgres user=postgres sslmode=require")
    assert (code, "rejects connection" in output) == (2, True)


def test_the_certificate_is_signed_by_the_authority_and_valid_for_long(host: Host) -> None:
    directory = "/etc/dbops-postgres/tls"
    host.run_expect([0], f"openssl verify -CAfile {directory}/ca.crt {directory}/server.crt")
    host.run_expect([0], f"openssl x509 -in {directory}/server.crt -noout -checkend {300 * 86400}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password_encryption", "scram-sha-256"),
        ("logging_collector", "on"),
        ("log_statement", "none"),
        ("log_lock_waits", "on"),
        ("log_checkpoints", "on"),
        ("log_connections", "on"),
        ("log_error_verbosity", "verbose"),
        ("log_timezone", "UTC"),
        ("log_min_duration_statement", "500ms"),
        ("pgaudit.log", "ddl, role"),
        ("auth_delay.milliseconds", "500ms"),
        ("pg_stat_statements.track_utility", "off"),
        ("ssl_min_protocol_version", "TLSv1.3"),
        ("random_page_cost", "1.1"),
    ],
)
def test_settings_are_live(psql: Psql, name: str, value: str) -> None:
    assert psql(f"SHOW {name}") == value


def test_extensions_are_there_also_in_a_new_database(psql: Psql) -> None:
    assert psql("SELECT count(*) > 0 FROM pg_stat_statements") == "t"
    psql("DROP DATABASE IF EXISTS dbops_new")
    psql("CREATE DATABASE dbops_new")
    assert psql("SELECT 1 FROM pg_extension WHERE extname = 'pgaudit'", "dbops_new") == "1"
    psql("DROP DATABASE dbops_new")


def test_ddl_is_audited_with_its_object(host: Host, psql: Psql) -> None:
    psql("CREATE TABLE dbops_audited (id int)")
    psql("DROP TABLE dbops_audited")
    log = host.check_output("cat /var/log/postgresql/*-main-*.log")
    assert "DDL,CREATE TABLE,TABLE,public.dbops_audited" in log


def test_a_password_that_was_set_stands_nowhere(host: Host, psql: Psql) -> None:
    # By standard input: the journal keeps the arguments of commands.
    for statement in ("CREATE ROLE canary LOGIN PASSWORD", "ALTER ROLE canary PASSWORD"):
        host.check_output("printf '%%s' %s | runuser -u postgres -- psql -Xq", f"{statement} '{CANARY}'")
    psql("DROP ROLE canary")
    psql("CHECKPOINT")
    assert "password <REDACTED>" in host.check_output("cat /var/log/postgresql/*-main-*.log").replace(
        "PASSWORD", "password"
    )
    assert psql("SELECT count(*) FROM pg_stat_statements WHERE query ILIKE '%role canary%'") == "0"
    places = "/var/log /var/lib/postgresql /etc /run/postgresql /root/.ansible /tmp"
    assert host.run("grep -rslF %s " + places, CANARY).stdout == ""


def test_a_weak_password_is_refused(host: Host) -> None:
    result = host.run("runuser -u postgres -- psql -Xc \"CREATE ROLE weak LOGIN PASSWORD 'short'\"")
    assert "password is too short" in result.stderr


def test_the_firewall_admits_the_declared_network_only(host: Host) -> None:
    rules = host.check_output("nft list table inet dbops_postgres")
    network = host.check_output("ip -4 route show scope link").split()[0]
    assert f"ip saddr {network} accept" in rules
    assert "drop" in rules
    assert host.service("dbops-postgres-firewall").is_enabled
    assert host.check_output("nft list tables | wc -l") == "1"
