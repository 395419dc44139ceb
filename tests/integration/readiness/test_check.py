# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes on real servers: honest on a bare one, content with a good database, awake when it is broken live."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg2
import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login, login_from
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import check, look, observe
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Certificate,
    Server,
    Thresholds,
    Unseen,
)
from ansible_collections.dbops.postgres.plugins.modules import readiness_check
from tests.integration.servers import Database, create_database, drop_database
from tests.integration.servers import Server as PgServer

NOW = datetime.datetime.now(datetime.UTC)


def login(server: PgServer, user: str | None = None, password: str | None = None) -> Login:
    given = {"login_unix_socket": "", "ssl_mode": "prefer", "ca_cert": None}
    return login_from({**given, **server.login(user=user, password=password)})


def judged(database: Database, by: Login | None = None) -> list[Finding]:
    seen = look.observed(by or login(database.server), [database.name], NOW)
    server = seen.server
    if isinstance(server, Server) and isinstance(server.roles, tuple):
        # Other tests have roles on this server too.
        own = tuple(role for role in server.roles if role.bootstrap or role.name.startswith(database.prefix))
        seen = replace(seen, server=replace(server, roles=own))
    return check.judged(seen, Thresholds(), check.select([], []))


def of(findings: list[Finding], control: str, subject: str) -> Finding:
    (found,) = [finding for finding in findings if (finding.control, finding.subject) == (control, subject)]
    return found


def sql(database: Database, *statements: str, user: str | None = None) -> None:
    connection = database.connect(user, "Secret-of-a-test-1" if user else None)
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement.replace("{p}", database.prefix))
    finally:
        connection.close()


@pytest.fixture(scope="module")
def service(pg_server: PgServer) -> Iterator[Database]:
    """A database with one service as it should be: owner, migrator, application, reader. Tests leave it as it was."""
    pg_database = create_database(pg_server)
    sql(
        pg_database,
        "CREATE ROLE {p}owner",
        "CREATE ROLE {p}rw",
        "CREATE ROLE {p}app LOGIN CONNECTION LIMIT 5 PASSWORD 'Secret-of-a-test-1' IN ROLE {p}rw",
        "CREATE ROLE {p}migrator LOGIN CONNECTION LIMIT 2 PASSWORD 'Secret-of-a-test-1'",
        "CREATE ROLE {p}ro LOGIN CONNECTION LIMIT 2 PASSWORD 'Secret-of-a-test-1'",
        f"REVOKE ALL ON DATABASE {pg_database.name} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {pg_database.name} TO {{p}}app, {{p}}migrator, {{p}}ro",
        "ALTER SCHEMA public OWNER TO {p}owner",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA public TO {p}rw, {p}ro",
        "GRANT CREATE, USAGE ON SCHEMA public TO {p}migrator",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {p}migrator REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {p}migrator IN SCHEMA public"
        " GRANT SELECT, INSERT, UPDATE ON TABLES TO {p}rw",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {p}migrator IN SCHEMA public GRANT SELECT ON TABLES TO {p}ro",
    )
    sql(pg_database, "CREATE TABLE public.payments (id int, card text)", user=f"{pg_database.prefix}migrator")
    yield pg_database
    drop_database(pg_database)


def subjects(database: Database) -> dict[str, str]:
    """The subjects of S-5 that are about this database."""
    return {
        "public": f"PUBLIC inside database {database.name}",
        "connect": f"PUBLIC on database {database.name}",
        "apart": f"DML and DDL in database {database.name}",
        "defaults": f"default privileges in database {database.name}",
    }


def test_a_good_database_passes(service: Database) -> None:
    findings = judged(service)
    for subject in subjects(service).values():
        assert of(findings, "S-5", subject).status is Status.PASS, of(findings, "S-5", subject).evidence
    assert of(findings, "S-9", "4.5").status is Status.PASS


# control, subject or a key of subjects(), what somebody does, how it is undone
_DEFAULTS = "ALTER DEFAULT PRIVILEGES FOR ROLE {p}migrator"
BROKEN = [
    ("S-5", "public", "GRANT SELECT ON public.payments TO PUBLIC", "REVOKE SELECT ON public.payments FROM PUBLIC"),
    (
        "S-5",
        "public",
        "GRANT SELECT (card) ON public.payments TO PUBLIC",
        "REVOKE SELECT (card) ON public.payments FROM PUBLIC",
    ),
    ("S-5", "public", "GRANT USAGE ON SCHEMA public TO PUBLIC", "REVOKE USAGE ON SCHEMA public FROM PUBLIC"),
    (  # a NULL access list
        "S-5",
        "public",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION public.f()",
    ),
    (
        "S-5",
        "public",
        "CREATE SEQUENCE public.s; GRANT USAGE ON SEQUENCE public.s TO PUBLIC",
        "DROP SEQUENCE public.s",
    ),
    ("S-5", "connect", "GRANT TEMPORARY ON DATABASE {d} TO PUBLIC", "REVOKE TEMPORARY ON DATABASE {d} FROM PUBLIC"),
    ("S-5", "connect", "GRANT CONNECT ON DATABASE {d} TO PUBLIC", "REVOKE CONNECT ON DATABASE {d} FROM PUBLIC"),
    ("S-5", "apart", "GRANT CREATE ON SCHEMA public TO {p}rw", "REVOKE CREATE ON SCHEMA public FROM {p}rw"),
    (
        "S-5",
        "apart",
        "ALTER TABLE public.payments OWNER TO {p}app; REVOKE {p}rw FROM {p}app",
        "ALTER TABLE public.payments OWNER TO {p}migrator; GRANT {p}rw TO {p}app",
    ),
    ("S-5", "apart", "GRANT {p}owner TO {p}app", "REVOKE {p}owner FROM {p}app"),
    (
        "S-5",
        "defaults",
        _DEFAULTS + " GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
        _DEFAULTS + " REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ),
    (
        "S-5",
        "defaults",
        _DEFAULTS + " IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC",
        _DEFAULTS + " IN SCHEMA public REVOKE SELECT ON TABLES FROM PUBLIC",
    ),
    (
        "S-5",
        "defaults",
        "CREATE ROLE {p}second; GRANT CREATE ON SCHEMA public TO {p}second",
        "REVOKE CREATE ON SCHEMA public FROM {p}second; DROP ROLE {p}second",
    ),
    ("S-9", "5.5", "ALTER ROLE {p}app CONNECTION LIMIT -1", "ALTER ROLE {p}app CONNECTION LIMIT 5"),
    ("S-5", "administrative attributes", "ALTER ROLE {p}app CREATEDB", "ALTER ROLE {p}app NOCREATEDB"),
    ("S-5", "predefined roles", "GRANT pg_read_server_files TO {p}rw", "REVOKE pg_read_server_files FROM {p}rw"),
    ("S-5", "superusers", "ALTER ROLE {p}app SUPERUSER", "ALTER ROLE {p}app NOSUPERUSER"),
    (
        "S-9",
        "4.5",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "DROP FUNCTION public.f()",
    ),
    (
        "O-3",
        "exceptions by role or database",
        "ALTER ROLE {p}app SET log_min_duration_statement = -1",
        "ALTER ROLE {p}app RESET ALL",
    ),
    (
        "S-4",
        "stored passwords",
        "SET password_encryption = 'md5'; ALTER ROLE {p}app PASSWORD 'Secret-of-a-test-1'",
        "ALTER ROLE {p}app PASSWORD 'Secret-of-a-test-1'",
    ),
]


@pytest.mark.parametrize(
    ("control", "what", "do", "undo"), BROKEN, ids=[f"{row[0]}-{row[1]}-{n}" for n, row in enumerate(BROKEN)]
)
def test_what_somebody_breaks_is_noticed(service: Database, control: str, what: str, do: str, undo: str) -> None:
    subject = subjects(service).get(what, what)
    assert of(judged(service), control, subject).status is Status.PASS
    try:
        sql(service, *do.replace("{d}", service.name).split("; "))
        finding = of(judged(service), control, subject)
    finally:
        sql(service, *undo.replace("{d}", service.name).split("; "))
    assert finding.status is Status.FAIL, finding.evidence
    assert "SCRAM-SHA-256$" not in finding.evidence


def test_a_live_connection_without_tls_is_noticed(service: Database) -> None:
    server = service.server
    plain = psycopg2.connect(
        host=server.host, port=server.port, user=f"{service.prefix}app", password="Secret-of-a-test-1",
        dbname=service.name, sslmode="disable",
    )  # fmt: skip
    try:
        finding = of(judged(service), "S-4", "live connections")
    finally:
        plain.close()
    assert finding.status is Status.FAIL
    assert f"{service.prefix}app@" in finding.evidence


def test_the_register_names_what_each_login_may_do(service: Database, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(capsys, service, controls=["S-8"], fail_on="never")
    lines = {tuple(row[2:]) for row in result["register"] if row[0] == f"{service.prefix}app"}
    rw = f"{service.prefix}rw"
    assert (rw, "public", "INSERT on 1 table(s), SELECT on 1 table(s), UPDATE on 1 table(s)") in lines


def run_module(capsys: pytest.CaptureFixture[str], database: Database, **options: Any) -> dict[str, Any]:
    arguments = {**database.server.login(), "databases": [database.name], **options}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        readiness_check.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_a_bare_server_fails_with_evidence_and_without_errors(
    pg_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_module(capsys, pg_database, fail_on="critical")
    assert result["failed"]
    assert "E-1 on this host" in result["msg"]
    assert result["summary"]["error"] == 0
    failed = {(item["control"], item["subject"]) for item in result["findings"] if item["status"] == "fail"}
    assert {("S-4", "ssl_ciphers"), ("S-3", "pgaudit"), ("S-9", "5.6"), ("O-3", "slow statements")} <= failed
    for item in result["findings"]:
        assert item["evidence"]
        assert item["remedy"] or item["status"] != "fail"
    assert not result["passed"]
    assert "H-1" in result["not_probed"]


def test_a_module_that_may_not_fail_does_not(pg_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(capsys, pg_database, fail_on="never")
    assert not result.get("failed")
    assert result["changed"] is False
    assert not result["passed"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"controls": ["X-1"]}, "X-1"),
        ({"controls": ["H-1"]}, "No probe exists yet for H-1"),
        ({"waivers": [{"id": "S-9", "reason": ""}]}, "without a reason"),
        ({"waivers": [{"id": "S-4", "reason": "why"}]}, "without an end"),
        ({"waivers": [{"id": "S-9", "reason": "why", "expires": "soon"}]}, "not a date"),
    ],
)
def test_bad_input_is_refused(
    pg_database: Database, capsys: pytest.CaptureFixture[str], options: dict[str, Any], said: str
) -> None:
    result = run_module(capsys, pg_database, **options)
    assert result["failed"]
    assert said in result["msg"]
    assert "findings" not in result


def test_a_refused_password_is_an_error_and_stays_secret(pg_database: Database) -> None:
    findings = judged(pg_database, login(pg_database.server, password="Not-the-password-1"))
    assert of(findings, "S-4", "ssl").status is Status.ERROR
    assert "Not-the-password-1" not in json.dumps([finding.as_dict() for finding in findings])


def test_a_server_that_is_not_there_is_an_error(pg_database: Database) -> None:
    nowhere = Login(host=pg_database.server.host, port=1, user="postgres", password="x")
    findings = judged(pg_database, nowhere)
    assert {f.status for f in findings if f.subject not in ("manual recommendations", "not looked at yet")} <= {
        Status.ERROR,
        Status.NOT_TESTED,
    }
    assert of(findings, "S-5", "superusers").status is Status.ERROR


def test_an_ordinary_role_sees_what_it_may_and_says_the_rest(service: Database) -> None:
    by = login(service.server, f"{service.prefix}app", "Secret-of-a-test-1")
    by = Login(by.host, by.unix_socket, by.port, by.user, by.password, service.name)
    findings = judged(service, by)
    assert of(findings, "S-5", subjects(service)["public"]).status is Status.PASS
    assert of(findings, "S-6", "pg_hba.conf: trust").status is Status.NOT_TESTED
    assert of(findings, "S-9", "3.1.4").status is Status.NOT_TESTED
    assert of(findings, "S-4", "certificate").status in (Status.PASS, Status.FAIL)
    assert not [finding for finding in findings if finding.status is Status.ERROR]


def test_a_probing_session_cannot_write(pg_database: Database) -> None:
    connection = observe._open(login(pg_database.server), pg_database.name)
    try:
        with connection.cursor() as cursor, pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            cursor.execute("CREATE TABLE public.t (a int)")
    finally:
        connection.close()


def test_the_certificate_is_what_the_server_presents(pg_database: Database) -> None:
    seen = look.observed(login(pg_database.server), [pg_database.name], NOW)
    assert isinstance(seen.certificate, Certificate)
    assert seen.certificate.tls
    assert seen.certificate.version in ("TLSv1.2", "TLSv1.3")
    assert seen.certificate.days_left > 0


def test_a_thousand_tables_cost_no_more_queries_and_little_time(
    service: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = observe._rows

    def counting(connection: Any, query: str) -> Any:
        asked.append(query)
        return original(connection, query)

    monkeypatch.setattr(observe, "_rows", counting)
    judged(service)
    few = len(asked)
    loop = "FOR i IN 1..1000 LOOP EXECUTE format(''CREATE TABLE public.t%s (id int primary key)'', i); END LOOP"
    make = f"DO 'BEGIN {loop}; END'"
    sql(service, make, user=f"{service.prefix}migrator")
    asked.clear()
    start = time.monotonic()
    findings = judged(service)
    taken = time.monotonic() - start
    sql(service, *(f"DROP TABLE public.t{number}" for number in range(1, 1001)))
    assert taken < 5
    assert len(asked) == few
    assert of(findings, "S-5", subjects(service)["public"]).status is Status.PASS


def test_a_database_that_refuses_the_probe_is_an_error_of_its_own(service: Database) -> None:
    by = login(service.server, f"{service.prefix}app", "Secret-of-a-test-1")
    by = Login(by.host, by.unix_socket, by.port, by.user, by.password, service.name)
    other = f"{service.prefix}closed"
    sql(service, f"CREATE DATABASE {other}", f"REVOKE ALL ON DATABASE {other} FROM PUBLIC")
    seen = look.observed(by, [other], NOW)
    sql(service, f"DROP DATABASE {other}")
    assert isinstance(seen.server, Server)
    assert isinstance(seen.server.databases, tuple)
    assert isinstance(seen.server.databases[0].inside, Unseen)
    assert seen.server.databases[0].inside.status is Status.ERROR
