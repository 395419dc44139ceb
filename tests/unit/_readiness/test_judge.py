# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every probe passes on a good server and notices each way in which it can be bad."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import check, state
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.benchmark import BY_NUMBER, RECOMMENDATIONS
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import PROBES
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Certificate,
    Connection,
    DefaultGrant,
    DefinerFunction,
    Grant,
    Luks,
    Membership,
    ObjectGrants,
    Observed,
    Owned,
    Place,
    Role,
    RoleSetting,
    Schema,
    Server,
    Setting,
    Settings,
    Storage,
    Thresholds,
    Unit,
    Unseen,
)
from tests.unit._readiness.good import (
    APP,
    DRILL,
    GB,
    MIGRATOR,
    OWNER,
    READER,
    VOLUME,
    WRITERS,
    drilled,
    good,
    in_database,
    leaking,
    on_file,
    on_host,
    on_server,
    rule,
    set_to,
    storing,
    with_connection,
    with_role,
    with_rule,
    without,
)


def judge(seen: Observed, want: Thresholds | None = None) -> list[Finding]:
    return check.judged(seen, want or Thresholds(), check.select([], []))


def of(findings: list[Finding], control: str, subject: str) -> Finding:
    found = [finding for finding in findings if (finding.control, finding.subject) == (control, subject)]
    assert len(found) == 1, f"{control} {subject}: {len(found)} findings"
    return found[0]


def test_a_good_server_has_no_failure_and_no_error() -> None:
    bad = [f for f in judge(good()) if f.status not in (Status.PASS, Status.NOT_APPLICABLE, Status.NOT_TESTED)]
    assert bad == []


def test_only_what_has_no_probe_yet_is_untested_on_a_good_server() -> None:
    # P-1: this server has no pooler; test_pooling.py gives it one.
    untested = {(f.control, f.subject) for f in judge(good()) if f.status is Status.NOT_TESTED and f.control != "P-1"}
    assert untested == {(control, "not looked at yet") for control in ("S-2", "S-3")}


def _grants(*grants: ObjectGrants) -> Observed:
    return in_database(grants=grants)


_PUBLIC_SCHEMA = Schema("public", OWNER, (Grant("", "USAGE"),))

ONE_KEYSLOT = Luks("pgdata_crypt", "LUKS2", 1, "none", key_in_clear=False, header_backup=True)

# control, subject, a server that is bad in that one way
BAD: list[tuple[str, str, Observed]] = [
    ("S-1", "data directory", on_host(storage=Storage({"data directory": Place("/srv", "/dev/sdb", None)}))),
    ("S-1", "keyslots of pgdata_crypt", on_host(storage=Storage({"WAL": replace(VOLUME, luks=ONE_KEYSLOT)}))),
    ("S-1", "swap", on_host(storage=Storage({}, ("/swap.img",)))),
    ("S-2", "process arguments", on_host(processes_with_password_argument=("psql (pid 7)",))),
    ("S-2", "process arguments", on_host(processes_with_pgpassword=("app (pid 7)",))),
    ("S-2", "environments of units", leaking(units=("Environment= of app.service",))),
    ("S-2", "readable files", leaking(files=("/etc/app.env",))),
    ("S-2", ".pgpass", leaking(pgpass=("/home/a/.pgpass",))),
    ("S-2", "server log", leaking(logs=("/var/log/postgresql/x.log",))),
    ("S-2", "pg_stat_statements", storing(statements=2)),
    ("S-2", "well-known passwords", storing(guessed=("app",))),
    ("S-2", "md5 verifiers", storing(md5=("old",))),
    ("S-2", "age of secrets", leaking(ages=(state.Age("url", 91, 90), state.Age("b", 1, 90)))),
    ("S-2", "age of secrets", leaking(ages=(state.Age("/x.json", -1, 0),))),
    ("B-2", "last drill", drilled()),
    ("B-2", "last drill", drilled(unreadable=("/var/lib/dbops-postgres/drills/x.json",))),
    ("B-2", "last drill", drilled(replace(DRILL, age_days=8.1))),
    ("B-2", "last drill", drilled(replace(DRILL, age_days=-1.0))),  # of a clock that was wrong
    ("B-2", "last drill", drilled(DRILL, replace(DRILL, age_days=1.0, passed=False))),
    ("B-2", "recovery time", drilled()),
    ("B-2", "recovery time", drilled(replace(DRILL, passed=False))),
    ("B-2", "recovery time", drilled(replace(DRILL, rto_seconds=3601.0))),
    ("S-3", "pgaudit", set_to(shared_preload_libraries="pg_stat_statements")),
    ("S-3", "pgaudit", set_to(pgaudit__log="write")),
    ("S-3", "pgaudit", set_to(pgaudit__log="none")),
    ("S-3", "pgaudit in every database", in_database(extensions=())),
    (
        "S-3",
        "exceptions from the audit",
        on_server(good(), role_settings=(RoleSetting(APP, "", "pgaudit.log", "none"),)),
    ),
    ("S-4", "ssl", set_to(ssl="off")),
    ("S-4", "ssl", set_to(ssl_min_protocol_version="TLSv1.1")),
    ("S-4", "ssl", set_to(ssl_min_protocol_version="")),
    ("S-4", "ssl_ciphers", replace(good(), weak_ciphers=("AES128-SHA",))),
    ("S-4", "certificate", replace(good(), certificate=Certificate(False))),
    ("S-4", "certificate", replace(good(), certificate=Certificate(True, days_left=30))),
    ("S-4", "certificate", replace(good(), certificate=Certificate(True, days_left=-1))),
    ("S-4", "pg_hba.conf: TLS", with_rule(rule("host", "a", "b", "192.0.2.0", "scram-sha-256", "255.255.255.0"))),
    ("S-4", "pg_hba.conf: TLS", with_rule(rule("hostnossl", "a", "b", "samenet", "scram-sha-256"))),
    ("S-4", "pg_hba.conf: TLS", with_rule(rule("host", "a", "b", "app.example.com", "scram-sha-256"))),
    ("S-4", "pg_hba.conf: authentication", with_rule(rule("hostssl", "a", "b", "192.0.2.1", "md5"))),
    ("S-4", "pg_hba.conf: authentication", with_rule(rule("hostssl", "a", "b", "192.0.2.1", "password"))),
    ("S-4", "pg_hba.conf: authentication", with_rule(rule("host", "a", "b", "127.0.0.1", "trust"))),
    ("S-4", "stored passwords", set_to(password_encryption="md5")),
    ("S-4", "stored passwords", with_role(Role("old", login=True, password="md5", connection_limit=1))),
    ("S-4", "live connections", with_connection(Connection(APP, "payments_db", "192.0.2.9", tls=False))),
    ("S-5", "superusers", with_role(Role("root", superuser=True, login=True))),
    (
        "S-5",
        "superusers over the network",
        with_rule(rule("hostssl", "all", "all", "192.0.2.0", "scram-sha-256", "255.255.255.0")),
    ),
    ("S-5", "superusers over the network", with_rule(rule("hostssl", "db", "postgres", "192.0.2.1", "cert"))),
    ("S-5", "superusers over the network", with_rule(rule("hostssl", "db", "/^post", "192.0.2.1", "cert"))),
    ("S-5", "administrative attributes", with_role(Role("ops", login=True, createrole=True, connection_limit=1))),
    ("S-5", "administrative attributes", with_role(Role("ops", login=True, createdb=True, connection_limit=1))),
    ("S-5", "administrative attributes", with_role(Role("ops", login=True, bypassrls=True, connection_limit=1))),
    ("S-5", "predefined roles", with_role(memberships=(Membership("pg_write_server_files", APP),))),
    (
        "S-5",
        "predefined roles",  # through a group
        with_role(memberships=(Membership("pg_execute_server_program", WRITERS),)),
    ),
    ("S-5", "PUBLIC on database payments_db", in_database(grants_on_database=(Grant("", "CONNECT"),))),
    ("S-5", "PUBLIC on database payments_db", in_database(grants_on_database=(Grant("", "TEMPORARY"),))),
    ("S-5", "PUBLIC inside database payments_db", in_database(schemas=(_PUBLIC_SCHEMA,))),
    ("S-5", "PUBLIC inside database payments_db", in_database(schemas=(Schema("new", OWNER, (Grant("", "CREATE"),)),))),
    ("S-5", "PUBLIC inside database payments_db", _grants(ObjectGrants("public", "table", "", "SELECT", 1, "t"))),
    ("S-5", "PUBLIC inside database payments_db", _grants(ObjectGrants("public", "function", "", "EXECUTE", 1, "f"))),
    ("S-5", "PUBLIC inside database payments_db", _grants(ObjectGrants("public", "column", "", "UPDATE", 1, "t.c"))),
    (
        "S-5",
        "DML and DDL in database payments_db",  # the application owns what it uses
        in_database(owned=(Owned(APP, "public", "table", 4),), grants=()),
    ),
    (
        "S-5",
        "DML and DDL in database payments_db",  # the application may create
        in_database(schemas=(Schema("public", OWNER, (Grant(WRITERS, "CREATE"),)),)),
    ),
    ("S-5", "default privileges in database payments_db", in_database(default_entries=())),
    (
        "S-5",
        "default privileges in database payments_db",  # tables are covered, functions are not
        in_database(default_entries=((OWNER, "", "table"), (MIGRATOR, "", "table"))),
    ),
    (
        "S-5",
        "default privileges in database payments_db",
        in_database(defaults=(DefaultGrant(MIGRATOR, "", "table", "", "SELECT"),)),
    ),
    ("S-6", "listen_addresses", set_to(listen_addresses="*")),
    ("S-6", "listen_addresses", set_to(listen_addresses="localhost, 0.0.0.0")),
    ("S-6", "listen_addresses", set_to(listen_addresses="::")),
    ("S-6", "pg_hba.conf: addresses", with_rule(rule("hostssl", "a", "b", "0.0.0.0", "cert", "0.0.0.0"))),
    ("S-6", "pg_hba.conf: addresses", with_rule(rule("hostssl", "a", "b", "::", "cert", "::"))),
    ("S-6", "pg_hba.conf: addresses", with_rule(rule("hostssl", "a", "b", "all", "cert"))),
    ("S-6", "pg_hba.conf: addresses", with_rule(rule("hostssl", "a", "b", "10.0.0.0", "cert", "255.0.0.0"))),
    ("S-6", "pg_hba.conf: trust", with_rule(rule("local", "a", "b", "", "trust"))),
    ("S-6", "pg_hba.conf: trust", with_rule(rule("hostssl", "a", "b", "192.0.2.1", "trust"))),
    ("S-6", "pg_hba.conf: errors", with_rule(state.HbaRule(9, "", (), (), "", "", "", (), "invalid line"))),
    ("S-6", "pg_hba.conf: roles and databases", with_rule(rule("hostssl", "all", "all", "192.0.2.1", "cert"))),
    ("S-6", "packet filter", on_host(firewall=False)),
    ("S-8", "register", _grants(ObjectGrants("public", "table", "unknown (OID=99)", "SELECT", 1, "t"))),
    ("S-9", "1.1", on_host(packages="")),
    ("S-9", "1.3", on_host(unit=Unit("postgresql@17-main.service", "disabled", "auto"))),
    ("S-9", "1.3", on_host(unit=Unit("postgresql@17-main.service", "enabled", "manual"))),
    ("S-9", "1.3", on_host(unit=Unit("", ""))),
    ("S-9", "1.4", on_file("data_directory", mode=0o755)),
    ("S-9", "1.4", on_file("data_directory", owner="root")),
    ("S-9", "1.5", on_host(update=("17.1-1", "17.2-1"))),
    ("S-9", "1.6", on_host(profiles_with_password=("/root/.profile",))),
    ("S-9", "1.7", on_host(processes_with_pgpassword=("app (pid 7)",))),
    ("S-9", "2.1", on_host(umask=0o022)),
    ("S-9", "2.2", on_file("extension_directory", owner="postgres")),
    ("S-9", "2.2", on_file("extension_directory", mode=0o775)),
    ("S-9", "2.3", on_host(history=("/root/.psql_history",))),
    ("S-9", "2.3", on_host(history_disabled=False)),
    ("S-9", "2.4", on_host(service_files_with_password=("/etc/pg_service.conf",))),
    ("S-9", "3.1.2", set_to(log_destination="")),
    ("S-9", "3.1.3", set_to(logging_collector="off")),
    ("S-9", "3.1.4", set_to(log_directory="log")),
    ("S-9", "3.1.4", set_to(log_directory="/var/lib/postgresql/17/main/log")),
    ("S-9", "3.1.5", set_to(log_filename="postgresql.log")),
    ("S-9", "3.1.6", set_to(log_file_mode="0644")),
    ("S-9", "3.1.7", set_to(log_truncate_on_rotation="off")),
    ("S-9", "3.1.8", set_to(log_rotation_age="0")),
    ("S-9", "3.1.8", set_to(log_rotation_age="10080")),
    ("S-9", "3.1.9", set_to(log_rotation_size="0", log_rotation_age="0")),
    ("S-9", "3.1.9", set_to(log_rotation_size="2097152")),
    ("S-9", "3.1.10", set_to(log_destination="syslog", syslog_facility="mail")),
    ("S-9", "3.1.11", set_to(log_destination="syslog", syslog_sequence_numbers="off")),
    ("S-9", "3.1.12", set_to(log_destination="syslog", syslog_split_messages="off")),
    ("S-9", "3.1.13", set_to(log_destination="syslog", syslog_ident="")),
    ("S-9", "3.1.14", set_to(log_min_messages="fatal")),
    ("S-9", "3.1.15", set_to(log_min_error_statement="panic")),
    ("S-9", "3.1.16", set_to(debug_print_parse="on")),
    ("S-9", "3.1.17", set_to(debug_print_rewritten="on")),
    ("S-9", "3.1.18", set_to(debug_print_plan="on")),
    ("S-9", "3.1.19", set_to(debug_pretty_print="off")),
    ("S-9", "3.1.20", set_to(log_connections="off")),
    ("S-9", "3.1.21", set_to(log_disconnections="off")),
    ("S-9", "3.1.22", set_to(log_error_verbosity="default")),
    ("S-9", "3.1.23", set_to(log_hostname="on")),
    ("S-9", "3.1.24", set_to(log_line_prefix="%m ")),
    ("S-9", "3.1.25", set_to(log_statement="none")),
    ("S-9", "3.1.26", set_to(log_timezone="Europe/Berlin")),
    ("S-9", "3.2", set_to(shared_preload_libraries="")),
    ("S-9", "4.1", on_host(account_locked=False)),
    ("S-9", "4.3", with_role(Role("ops", login=True, createrole=True, connection_limit=1))),
    ("S-9", "4.5", in_database(definers=(DefinerFunction("public.f", False, False, False),))),
    ("S-9", "4.5", in_database(definers=(DefinerFunction("public.f", False, True, True),))),
    ("S-9", "4.5", in_database(definers=(DefinerFunction("public.f", True, False, False),))),
    ("S-9", "4.6", _grants(ObjectGrants("public", "table", "", "DELETE", 1, "t"))),
    ("S-9", "4.8", set_to(shared_preload_libraries="pgaudit, passwordcheck")),
    ("S-9", "4.9", with_role(memberships=(Membership("pg_write_all_data", APP),))),
    ("S-9", "4.10", in_database(schemas=(Schema("public", OWNER, (Grant("", "CREATE"),)),))),
    ("S-9", "5.1", on_host(processes_with_password_argument=("psql (pid 9)",))),
    ("S-9", "5.2", set_to(listen_addresses="*")),
    ("S-9", "5.3", with_rule(rule("local", "a", "b", "", "md5"))),
    ("S-9", "5.4", with_rule(rule("hostssl", "a", "b", "192.0.2.1", "password"))),
    ("S-9", "5.5", with_role(Role(APP, login=True, password="scram"), memberships=(Membership(WRITERS, APP),))),
    ("S-9", "5.6", set_to(shared_preload_libraries="pgaudit")),
    ("S-9", "authentication delay", set_to(auth_delay__milliseconds="0")),
    ("S-9", "authentication delay", without("auth_delay.milliseconds")),
    ("S-9", "authentication delay", set_to(authentication_timeout="300")),
    ("S-9", "6.2", set_to(ignore_system_indexes="on")),
    ("S-9", "6.2", set_to(post_auth_delay="5")),
    ("S-9", "6.2", set_to(log_connections="off")),
    ("S-9", "6.7", on_host(fips=False)),
    ("S-9", "6.8", set_to(ssl="off")),
    ("S-9", "6.10", replace(good(), weak_ciphers=("RC4-MD5",))),
    ("S-9", "7.1", with_connection(Connection("postgres", "", "192.0.2.9", tls=True, replication=True))),
    ("S-9", "7.2", set_to(log_replication_commands="off")),
    ("S-9", "7.4", set_to(archive_mode="off")),
    ("S-9", "7.4", set_to(archive_command="")),
    ("S-9", "7.4", set_to(archive_command="(disabled)")),
    ("S-9", "7.4", on_server(good(), archiver=(state.Archiver(1, True),))),
    ("S-9", "8.2", set_to(archive_command="cp %p /srv/wal/%f")),
    ("S-9", "8.2", on_file("pgbackrest", exists=False)),
    ("S-9", "7.5", with_connection(Connection("replicator", "", "192.0.2.9", tls=False, replication=True))),
    ("S-9", "7.5", with_rule(rule("host", "replication", "replicator", "192.0.2.9", "scram-sha-256"))),
    ("S-9", "8.1", on_server(good(), tablespaces=("/var/lib/postgresql/17/main/fast",))),
    ("S-9", "8.3", set_to(local_preload_libraries="spy")),
    ("S-9", "8.3", set_to(dynamic_library_path="/tmp/lib")),
    ("S-9", "8.3", set_to(unix_socket_directories="/var/run/postgresql, /tmp")),
    ("S-9", "file permissions", on_file("hba_file", mode=0o644)),
    ("S-9", "file permissions", on_file("ssl_key_file", mode=0o644)),
    ("S-9", "file permissions", on_file("log_directory", mode=0o755)),
    ("S-9", "socket permissions", on_file("socket /run/s", mode=0o777)),
    ("P-6", "pending restart", set_to()),
    ("P-6", "shared_buffers", on_host(memory=64 * GB)),
    ("P-6", "shared_buffers", on_host(memory=3 * GB)),
    ("P-6", "memory in the worst case", set_to(max_connections="1000")),
    ("P-6", "planner's view of the cache", on_host(memory=64 * GB)),
    ("P-6", "tuned values", set_to(random_page_cost="4")),
    ("P-6", "autovacuum and durability", set_to(autovacuum="off")),
    ("P-6", "autovacuum and durability", set_to(fsync="off")),
    ("E-1", "environment of the server", set_to(cluster_name="17/main")),
    ("E-1", "environment of the server", set_to(cluster_name="")),
    (
        "E-1",
        "roles of other environments",
        in_database(grants_on_database=(Grant("payments_dev_app", "CONNECT"),)),
    ),
    ("T-3", "data checksums", set_to(data_checksums="off")),
    ("O-3", "slow statements", set_to(log_min_duration_statement="-1")),
    ("O-3", "slow statements", set_to(log_min_duration_statement="501")),
    (
        "O-3",
        "exceptions by role or database",
        on_server(good(), role_settings=(RoleSetting("", "payments_db", "log_min_duration_statement", "-1"),)),
    ),
    ("O-3", "lock waits and checkpoints", set_to(log_lock_waits="off")),
    ("O-3", "lock waits and checkpoints", set_to(log_checkpoints="off")),
    ("O-3", "connections", set_to(log_connections="off")),
    ("O-3", "log_line_prefix", set_to(log_line_prefix="%t [%p] ")),
]


def _finished(control: str, subject: str, seen: Observed) -> Observed:
    # Two that need more than one change.
    if (control, subject) == ("P-6", "pending restart"):
        server = seen.server
        assert isinstance(server, Server)
        return on_server(seen, settings=Settings({**server.settings, "port": Setting("5432", pending_restart=True)}))
    if (control, subject) == ("E-1", "roles of other environments"):
        server = seen.server
        assert isinstance(server, Server)
        assert isinstance(server.roles, tuple)
        stranger = Role("payments_dev_app", login=True, connection_limit=1, password="scram")
        return on_server(seen, roles=(*server.roles, stranger))
    return seen


@pytest.mark.parametrize(("control", "subject", "seen"), BAD, ids=[f"{c} {s} {n}" for n, (c, s, _o) in enumerate(BAD)])
def test_a_bad_server_fails_and_says_what_to_do(control: str, subject: str, seen: Observed) -> None:
    finding = of(judge(_finished(control, subject, seen)), control, subject)
    assert finding.status is Status.FAIL, finding.evidence
    assert finding.remedy
    assert finding.evidence


def test_every_probe_has_a_server_on_which_it_fails() -> None:
    # A probe that cannot fail is a defect. Subjects per database are named by their common part.
    never = {"passwords of logins", "logins shared between databases"}  # the first informs, the second: see below
    broken = {(control, subject) for control, subject, _seen in BAD}
    for probe in PROBES:
        if probe.subject in never or probe.control in ("B-1", "L-1", "P-1", "P-7"):  # these have tests of their own
            continue
        if probe.subject.startswith("pg_"):  # test_records.py
            continue
        subject = {
            "encryption at rest": "data directory",
            "keys of the volume": "keyslots of pgdata_crypt",
            "PUBLIC on databases": "PUBLIC on database payments_db",
            "PUBLIC inside databases": "PUBLIC inside database payments_db",
            "logins that both use and define": "DML and DDL in database payments_db",
            "default privileges": "default privileges in database payments_db",
        }.get(probe.subject, probe.subject)
        assert (probe.control, subject) in broken, f"no test breaks {probe.control} {probe.subject}"


def test_a_login_that_writes_in_two_databases_is_shared() -> None:
    seen = good()
    server = seen.server
    assert isinstance(server, Server)
    assert isinstance(server.databases, tuple)
    both = (replace(server.databases[0], name="auth_db"), *server.databases)
    finding = of(judge(on_server(seen, databases=both)), "S-5", "logins shared between databases")
    assert finding.status is Status.FAIL
    assert APP in finding.evidence
    assert READER not in finding.evidence  # a reader of several databases is what analytics needs


@pytest.mark.parametrize(
    ("privilege", "owned", "status"),
    [
        ("CONNECT", (), Status.PASS),
        ("TEMPORARY", (), Status.FAIL),
        ("CONNECT", (Owned("postgres", "public", "table", 1),), Status.FAIL),
    ],
)
def test_public_may_connect_to_an_empty_template(privilege: str, owned: tuple[Owned, ...], status: Status) -> None:
    seen = good()
    server = seen.server
    assert isinstance(server, Server)
    assert isinstance(server.databases, tuple)
    template = state.Database("template1", "postgres", True, (Grant("", privilege),), state.Inside(owned=owned))
    findings = judge(on_server(seen, databases=(*server.databases, template)))
    assert of(findings, "S-5", "PUBLIC on database template1").status is status


def test_a_read_only_database_needs_no_separation() -> None:
    nobody = in_database(grants_on_database=(Grant(READER, "CONNECT"),))
    assert of(judge(nobody), "S-5", "DML and DDL in database payments_db").status is Status.PASS


def test_checksum_failures_fail() -> None:
    seen = good()
    server = seen.server
    assert isinstance(server, Server)
    assert isinstance(server.databases, tuple)
    hurt = (replace(server.databases[0], checksum_failures=3), *server.databases[1:])
    finding = of(judge(on_server(seen, databases=hurt)), "T-3", "data checksums")
    assert finding.status is Status.FAIL
    assert "3 page(s)" in finding.evidence


def test_the_expected_environment_is_compared_by_meaning() -> None:
    for expected, status in (("prod", Status.PASS), ("production", Status.PASS), ("stage", Status.FAIL)):
        findings = judge(good(), Thresholds(environment=expected))
        assert of(findings, "E-1", "environment of the server").status is status


def test_several_environments_on_a_server_that_does_not_say_which_it_is_fail() -> None:
    stranger = Role("payments_dev_app", login=True, connection_limit=1, password="scram")
    server = with_role(stranger).server
    assert isinstance(server, Server)
    settings = Settings({**server.settings, "cluster_name": Setting("17/main")})
    seen = on_server(with_role(stranger), settings=settings)
    assert of(judge(seen), "E-1", "roles of other environments").status is Status.FAIL


def test_a_server_that_only_listens_locally_needs_no_packet_filter() -> None:
    finding = of(judge(set_to(listen_addresses="localhost")), "S-6", "packet filter")
    assert finding.status is Status.NOT_APPLICABLE


def test_a_rejecting_rule_before_a_wide_one_keeps_superusers_out() -> None:
    seen = good()
    server = seen.server
    assert isinstance(server, Server)
    assert isinstance(server.hba, tuple)
    reject = rule("host", "all", "postgres", "all", "reject")
    wide = rule("hostssl", "db", "all", "192.0.2.0", "scram-sha-256", "255.255.255.0")
    guarded = judge(on_server(seen, hba=(reject, *server.hba, wide)))
    assert of(guarded, "S-5", "superusers over the network").status is Status.PASS
    late = judge(on_server(seen, hba=(*server.hba, wide, reject)))
    assert of(late, "S-5", "superusers over the network").status is Status.FAIL


@pytest.mark.parametrize("status", [Status.ERROR, Status.NOT_TESTED])
def test_what_was_not_seen_is_never_a_pass(status: Status) -> None:
    unseen = Unseen(status, "out of sight")
    findings = judge(
        Observed(unseen, unseen, unseen, unseen, unseen, unseen, unseen, unseen, unseen, unseen, records=unseen)
    )
    assert {f.status for f in findings} <= {status, Status.NOT_TESTED, Status.NOT_APPLICABLE}
    said = {f.evidence for f in findings if f.subject != "manual recommendations"}
    assert {text for text in said if not text.startswith("no probe yet")} == {"out of sight"}


def test_a_host_out_of_sight_leaves_the_rest_judged() -> None:
    seen = replace(good(), host=Unseen(Status.NOT_TESTED, "remote"))
    findings = judge(seen)
    assert of(findings, "S-9", "2.1").status is Status.NOT_TESTED
    assert of(findings, "P-6", "shared_buffers").status is Status.NOT_TESTED
    assert of(findings, "P-6", "pending restart").status is Status.PASS


def test_a_hidden_setting_is_not_tested() -> None:
    findings = judge(without("log_directory"))
    assert of(findings, "S-9", "3.1.4").status is Status.NOT_TESTED


def test_a_setting_that_is_no_number_is_an_error() -> None:
    finding = of(judge(set_to(log_min_duration_statement="soon")), "O-3", "slow statements")
    assert finding.status is Status.ERROR


def test_every_recommendation_is_answered_or_manual() -> None:
    answered = {number for probe in PROBES for number in probe.benchmarks}
    for item in RECOMMENDATIONS:
        assert (item.number in answered) != bool(item.manual), item
    assert answered <= set(BY_NUMBER)


def test_every_recommendation_appears_once_under_the_benchmark() -> None:
    subjects = [f.subject for f in judge(good()) if f.control == "S-9"]
    for item in RECOMMENDATIONS:
        if not item.manual:
            # 3.1.4 and 8.1 answer for a directory together; each number is a finding of its own.
            assert item.number in subjects, item
    assert len(subjects) == len(set(subjects))


def test_findings_name_the_recommendations_that_they_answer() -> None:
    assert of(judge(good()), "S-4", "ssl_ciphers").benchmarks == ("CIS 6.10",)
    assert of(judge(set_to(ssl="off")), "S-9", "6.8").evidence.startswith("answered by S-4")
