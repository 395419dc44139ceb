# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole check on real servers: content with good schemas, awake for every planted defect, nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from psycopg2 import extensions

from ansible_collections.dbops.postgres.plugins.module_utils import _checked
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._rls import check, judge, observe, pooled
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import RlsSpec, parse
from ansible_collections.dbops.postgres.plugins.modules import pg_rls_check
from tests.integration.rls import schemas
from tests.integration.rls.defects import DEFECTS, MATRIX
from tests.integration.servers import Database

BAD = (Status.FAIL, Status.ERROR, Status.NOT_TESTED)


@contextmanager
def opened(database: Database) -> Generator[extensions.connection, None, None]:
    connection = database.connect(autocommit=False)
    try:
        yield connection
    finally:
        connection.close()


def checked(database: Database, spec: dict[str, Any], **options: Any) -> check.Outcome:
    with opened(database) as connection:
        return check.check(connection, parse(spec), check.Options(**options))


def bad(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.status in BAD]


def within(connection: extensions.connection, spec: RlsSpec) -> list[Finding]:
    """Rules and attempts, in the transaction of the connection."""
    state = observe.observe(connection, spec)
    _cells, found = check.attempts(connection, state, spec, check.tried(state, spec), within=True)
    return [*judge.judge(state, spec), *found]


def test_good_schema_without_a_finding(pg_database: Database) -> None:
    schemas.make(pg_database, "aria")
    outcome = checked(pg_database, schemas.aria(pg_database.prefix))
    assert bad(outcome.findings) == []
    assert outcome.matrix["harbour"]["aria.patients"] == dict.fromkeys(("SELECT", "INSERT", "UPDATE", "DELETE"), "own")
    assert outcome.matrix["harbour report"]["aria.recent"] == {"SELECT": "own"}
    assert outcome.matrix["hill"]["aria.audit_logs"]["UPDATE"] == "no privilege"
    with opened(pg_database) as connection:
        found = check.check(connection, parse({"tenant_column": "practice_id"})).findings
    assert [(f.subject, f.status) for f in bad(found)] == [("matrix", Status.NOT_TESTED)]
    assert "Declare identities" in bad(found)[0].evidence


def test_every_defect_is_found(pg_database: Database) -> None:
    schemas.make(pg_database, "aria")
    prefix = pg_database.prefix
    spec = parse(schemas.aria(prefix))
    missed = []
    with opened(pg_database) as connection, connection.cursor() as cursor:
        for defect in DEFECTS:
            cursor.execute(defect.sql.replace("{prefix}", prefix))
            rule = "" if defect.rule == MATRIX else defect.rule
            if not any(f.title == rule and defect.subject in f.subject for f in bad(within(connection, spec))):
                missed.append(defect.name)
            connection.rollback()
        assert bad(within(connection, spec)) == []
    assert missed == []


# What looks like a defect and is none.
FINE = {
    "open, and limited by a restrictive policy": "ALTER POLICY tenant ON aria.patients USING (true);"
    " CREATE POLICY fence ON aria.patients AS RESTRICTIVE USING (practice_id = (SELECT aria.tenant()))",
    "open for the owner": "CREATE POLICY migrations ON aria.patients TO {prefix}owner USING (true)",
    "BYPASSRLS that nobody can become": "CREATE ROLE {prefix}dump BYPASSRLS; GRANT {prefix}report TO {prefix}dump",
    "view that nobody may read": "CREATE VIEW aria.names AS SELECT practice_id, name FROM aria.patients",
    "function of the owner that is pinned and granted": "CREATE FUNCTION aria.n() RETURNS int SECURITY DEFINER"
    " SET search_path = '' LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION aria.n() FROM PUBLIC",
    "another tenant for each role": "CREATE POLICY harbour ON aria.patients FOR SELECT TO {prefix}owner"
    " USING (practice_id = '11111111-1111-4111-8111-111111111111')",
    "unique inside a tenant": "CREATE UNIQUE INDEX ON aria.patients (practice_id, lower(name))",
    "published with a condition": "CREATE PUBLICATION {prefix}p FOR TABLE aria.patients WHERE (id = 1)",
    "a setting that no policy asks": "ALTER ROLE {prefix}app SET app.colour = 'red'",
    "a policy that asks a table that nobody may write": "CREATE TABLE aria.members (login name, practice uuid);"
    " GRANT SELECT ON aria.members TO {prefix}app; CREATE POLICY members ON aria.patients FOR SELECT TO {prefix}app"
    " USING (practice_id = (SELECT aria.tenant()) AND practice_id IN (SELECT practice FROM aria.members))",
}


def test_no_false_alarm(pg_database: Database) -> None:
    schemas.make(pg_database, "aria")
    section = schemas.aria(pg_database.prefix)
    for identity in section["identities"]:
        identity["sees"]["icd_codes"] = True
    spec = parse(section)
    alarms = {}
    with opened(pg_database) as connection, connection.cursor() as cursor:
        for name, sql in FINE.items():
            cursor.execute(sql.replace("{prefix}", pg_database.prefix))
            found = bad(within(connection, spec))
            if found:
                alarms[name] = [f"{f.subject} {f.title}: {f.evidence}" for f in found]
            connection.rollback()
    assert alarms == {}
    section["exempt"] = [{"table": "patients", "rules": ["rls_forced"], "reason": "Owned by nobody who logs in"}]
    with opened(pg_database) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE aria.patients NO FORCE ROW LEVEL SECURITY")
        found = within(connection, parse(section))
    assert bad(found) == []
    assert [f.waiver for f in found if f.status is Status.WAIVED] == ["Owned by nobody who logs in"]


def test_by_the_catalog_alone(pg_database: Database) -> None:
    """Without a spec the roles are found by what they may do."""
    with opened(pg_database) as connection:
        found = check.check(connection, RlsSpec()).findings
    assert [f.status for f in found] == [Status.NOT_APPLICABLE, Status.NOT_TESTED]
    schemas.make(pg_database, "hosted")
    dump = f"{pg_database.prefix}dump"
    with opened(pg_database) as connection, connection.cursor() as cursor:

        def judged() -> set[tuple[str, str]]:
            return {(f.title, f.subject) for f in bad(judge.judge(observe.observe(connection, RlsSpec()), RlsSpec()))}

        cursor.execute(f"CREATE ROLE {dump} BYPASSRLS; GRANT SELECT ON app.teams TO {dump}")
        cursor.execute(f"GRANT USAGE ON SCHEMA app TO {dump}")
        open_to_all = ("policy_always_true", "app.profiles policy everybody")  # nobody has declared that it is meant
        assert judged() == {open_to_all}
        cursor.execute(f"ALTER ROLE {dump} LOGIN")
        assert judged() == {open_to_all, ("bypass_reachable", dump)}


def test_each_rule_has_a_defect() -> None:
    assert {rule.name for rule in judge.RULES} <= {defect.rule for defect in DEFECTS}


def test_claims_of_a_token(pg_database: Database) -> None:
    schemas.make(pg_database, "hosted")
    spec = schemas.hosted(pg_database.prefix)
    outcome = checked(pg_database, spec, mutate=True, throwaway=pg_database.name)
    assert bad(outcome.findings) == []
    assert outcome.matrix["ann"]["app.profiles"]["UPDATE"] == "own"
    assert outcome.matrix["ann"]["app.documents"]["INSERT"] == "own"
    assert outcome.matrix["visitor"]["app.profiles"]["SELECT"] == "own"
    assert outcome.score is not None
    assert outcome.score.survivors == ()


def fingerprint(database: Database) -> list[Any]:
    """Catalog rows as they lie on disk, every row, every sequence, what the statistics have counted."""
    found: list[Any] = []
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            for catalog in ("pg_policy", "pg_attribute", "pg_constraint", "pg_trigger", "pg_proc"):
                cursor.execute(
                    f"SELECT md5(string_agg(x.xmin::text || x.ctid::text, ',' ORDER BY x.ctid)) FROM {catalog} x"
                )
                found.append(cursor.fetchone())
            cursor.execute(
                "SELECT oid::regclass::text, relkind, xmin::text, relacl::text, relrowsecurity FROM pg_class"
                " WHERE relnamespace IN ('aria'::regnamespace, 'public'::regnamespace) ORDER BY 1"
            )
            relations = cursor.fetchall()
            found += relations
            for name, kind, *_rest in relations:
                if kind == "r":
                    cursor.execute(f"SELECT md5(string_agg(x::text || x.xmin, ',' ORDER BY x::text)) FROM {name} x")
                    found.append((name, cursor.fetchone()))
            cursor.execute("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")
            found += cursor.fetchall()
            cursor.execute(
                "SELECT md5(string_agg(s::text, ',' ORDER BY tablename, attname)) FROM pg_stats s"
                " WHERE schemaname = 'aria'"
            )
            found.append(cursor.fetchone())
            cursor.execute(
                "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del, n_dead_tup, n_live_tup FROM pg_stat_user_tables"
                " ORDER BY 1"
            )
            found += cursor.fetchall()
    finally:
        connection.close()
    return found


def test_nothing_is_left_behind(pg_database: Database) -> None:
    schemas.make(pg_database, "aria")
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE aria.transcripts")  # so that rows are made
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT pg_stat_force_next_flush()")
    connection.close()
    before = fingerprint(pg_database)
    checked(pg_database, schemas.aria(pg_database.prefix), mutate=True, throwaway=pg_database.name)
    assert fingerprint(pg_database) == before


def test_snapshot_and_where_it_is_run(pg_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    schemas.make(pg_database, "aria")
    section = schemas.aria(pg_database.prefix)
    before = checked(pg_database, section).matrix
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute(
            f"GRANT SELECT ON aria.audio_files TO {pg_database.prefix}report;"
            f" REVOKE DELETE ON aria.patients FROM {pg_database.prefix}app"
        )
    connection.close()
    outcome = checked(pg_database, section, before=before)
    assert [(f.subject, f.evidence) for f in bad(outcome.findings)] == [
        (
            "harbour report: SELECT aria.audio_files",
            "wider than the snapshot: no privilege -> own",
        ),
    ]
    assert "harbour: DELETE aria.patients: own -> no privilege" in outcome.narrowed

    monkeypatch.setattr(observe, "environment_of", lambda _name: "prod")
    refused = checked(pg_database, section)
    assert [f.status for f in bad(refused.findings)] == [Status.NOT_TESTED]
    assert "try the policies on the production server" in bad(refused.findings)[0].evidence
    assert refused.matrix == {}
    said = "try the policies on the production server"
    assert checked(pg_database, section, production=said).matrix == outcome.matrix
    with pytest.raises(DbopsError, match="not the words"):
        checked(pg_database, section, production="yes")
    with pytest.raises(DbopsError, match="mutate is never for production"):
        checked(pg_database, section, production=said, mutate=True, throwaway=pg_database.name)
    monkeypatch.undo()
    with pytest.raises(DbopsError, match="not declared to be a throwaway"):
        checked(pg_database, section, mutate=True)


def test_survivors_are_told(pg_database: Database) -> None:
    """A policy that no identity needs is dropped, and nobody notices."""
    schemas.make(pg_database, "aria")
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE POLICY twice ON aria.patients FOR SELECT USING (practice_id = (SELECT aria.tenant()))")
    connection.close()
    section = schemas.aria(pg_database.prefix)
    outcome = checked(pg_database, section, mutate=True, throwaway=pg_database.name)
    assert [(f.title, f.subject) for f in bad(outcome.findings)] == [
        ("mutation", "policy twice on aria.patients: dropped")
    ]


def test_module(
    pg_database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    schemas.make(pg_database, "aria")
    files = {name: str(tmp_path / name) for name in ("snapshot", "junit")}
    spec_file = tmp_path / "aria.yml"
    spec_file.write_text(json.dumps({"database": pg_database.name, "rls": schemas.aria(pg_database.prefix)}))

    def run(**more: Any) -> tuple[int, dict[str, Any]]:
        params = {**pg_database.login(), "login_db": "postgres", "spec_file": str(spec_file), **files, **more}
        with patch_module_args(params), pytest.raises(SystemExit) as ended:
            pg_rls_check.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return int(ended.value.code or 0), result

    status, result = run()
    assert status == 1
    assert "Write the first one with write_snapshot: true." in result["msg"]
    status, result = run(write_snapshot=True, _ansible_check_mode=True)
    assert (status, result["changed"], list(tmp_path.iterdir())) == (0, True, [spec_file])
    status, result = run(write_snapshot=True)
    assert (status, result["changed"], result["passed"]) == (0, True, True)
    assert result["database"] == pg_database.name
    assert 'failures="0" errors="0"' in Path(files["junit"]).read_text()
    assert json.loads(Path(files["snapshot"]).read_text())["identities"] == result["matrix"]
    records: list[Any] = []
    monkeypatch.setattr(_checked, "record_check", lambda *record: records.append(record))
    assert run(junit=None, evidence=True)[1]["changed"] is True
    ((name, recorded, good, said, _facts, statuses),) = records
    assert (name, recorded, good) == ("pg_rls_check", pg_database.name, True)
    assert said.endswith(" pass")
    assert statuses == {"T-1": ["pass"]}
    assert run(junit=None, evidence=True, _ansible_check_mode=True)[0] == 0
    assert len(records) == 1

    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute("ALTER POLICY tenant ON aria.patients USING (true)")
    connection.close()
    status, result = run()
    assert status == 1
    assert "T-1 on this host" in result["msg"]
    assert result["matrix"]["hill"]["aria.patients"]["SELECT"] == "foreign"
    spec_file.write_text(
        "rls:\n  tenant_column: practice_id\n  identities:\n    - name: x\n      role: nobody-at-all\n"
    )
    status, result = run(snapshot=None)
    assert "aria.yml:4: rls.identities[0].sees: it is not said which rows" in result["msg"]
    spec_file.write_text("rls:\n  identities:\n    - name: x\n      role: nobody-at-all\n      sees: {'*': false}\n")
    status, result = run(snapshot=None, login_db=pg_database.name)
    assert "aria.yml:4: rls.identities[0].role: there is no role 'nobody-at-all'" in result["msg"]


def test_without_a_role_of_an_application_rules_about_them_are_not_tested(pg_database: Database) -> None:
    """An application that connects as the owner is not told from whoever migrates the tables."""
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (tenant int NOT NULL); ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    connection.close()
    found = checked(pg_database, {"tenant_column": "tenant"}).findings
    untested = {f.subject for f in found if f.status is Status.NOT_TESTED}
    assert untested == {"policy_commands", "bypass_reachable", "owner_reachable", "beyond_policies", "matrix"}


def test_a_primary_key_that_can_be_guessed_tells_what_others_have(pg_database: Database) -> None:
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE coupons (code text PRIMARY KEY, tenant int); CREATE TABLE n (id int PRIMARY KEY, tenant int)"
        )
        cursor.execute("CREATE TABLE u (id uuid PRIMARY KEY, tenant int)")
    connection.close()
    found = checked(pg_database, {"tenant_column": "tenant"}).findings
    assert [f.subject for f in found if f.title == "unique_across"] == ["public.coupons"]


PARTS = """
CREATE ROLE {role};
CREATE FUNCTION tenant() RETURNS int STABLE LANGUAGE sql AS $$ SELECT nullif(current_setting('a.t', true), '')::int $$;
CREATE TABLE top (tenant int NOT NULL, at date NOT NULL, kind text NOT NULL, n int, PRIMARY KEY (tenant, at, kind))
    PARTITION BY RANGE (at);
CREATE TABLE year PARTITION OF top FOR VALUES FROM ('2031-01-01') TO ('2032-01-01') PARTITION BY LIST (kind);
CREATE TABLE leaf PARTITION OF year FOR VALUES IN ('a', 'b');
GRANT SELECT, INSERT, UPDATE, DELETE ON top, leaf TO {role};
DO $do$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY['top', 'year', 'leaf'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY; ALTER TABLE %I FORCE ROW LEVEL SECURITY;'
        ' CREATE POLICY p ON %I USING (tenant = (SELECT tenant()))', t, t, t);
END LOOP; END $do$
"""


def test_rows_find_their_way_into_parts_of_parts(pg_database: Database) -> None:
    role = f"{pg_database.prefix}app"
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute(PARTS.replace("{role}", role))
    connection.close()
    me = {"name": "me", "role": role, "settings": {"a.t": "1"}, "sees": {"*": "tenant = 1"}}
    outcome = checked(pg_database, {"tenant_column": "tenant", "identities": [me]})
    assert [f for f in outcome.findings if f.status is Status.ERROR] == []
    assert {level for table in ("top", "leaf") for level in outcome.matrix["me"][f"public.{table}"].values()} == {"own"}


def test_the_next_client_of_a_pool(pg_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clients on one connection to the server, as a pool in transaction mode serves them."""
    schemas.make(pg_database, "aria")
    section = schemas.aria(pg_database.prefix)
    login = Login(database=pg_database.name)

    def reuse(clients: list[extensions.connection]) -> list[tuple[Status, str]]:
        monkeypatch.setattr(pooled, "connect", lambda *_args, **_options: clients.pop())
        found = checked(pg_database, section, pool=login).findings
        return [(f.status, f.evidence) for f in found if f.title == "connection reuse" and f.subject.endswith("app")]

    def shared() -> list[extensions.connection]:
        return [one for _role in (1, 2) for one in [pg_database.connect(autocommit=False)] * 2]

    ((status, evidence),) = reuse(shared())
    assert status is Status.PASS
    assert "nobody sees a row of 6 tables of which harbour sees rows" in evidence
    ((status, evidence),) = reuse([pg_database.connect(autocommit=False) for _client in range(4)])
    assert status is Status.NOT_TESTED
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER POLICY tenant ON aria.patients"
            " USING (practice_id = (SELECT aria.tenant()) OR (SELECT aria.tenant()) IS NULL)"
        )
    connection.close()
    ((status, evidence),) = reuse(shared())
    assert (status, evidence.rpartition(" ")[2]) == (Status.FAIL, "aria.patients")
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg('aria.' || quote_ident(tablename), ',') FROM pg_tables WHERE schemaname = 'aria'"
        )
        cursor.execute(f"TRUNCATE {(cursor.fetchone() or [''])[0]}")
    connection.close()
    ((status, evidence),) = reuse(shared())  # nobody sees a row of empty tables, whatever was left over
    assert (status, "harbour itself sees no row" in evidence) == (Status.ERROR, True)
    monkeypatch.undo()
    nowhere = Login(host="127.0.0.1", port=1, database=pg_database.name)
    found = checked(pg_database, section, pool=nowhere).findings
    assert {f.status for f in found if f.title == "connection reuse"} == {Status.ERROR}
