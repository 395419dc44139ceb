# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals, the gate of contract steps, what is new in a run, text changed after it was applied, unreadable files."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.approvals import from_list
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.contract import Gate, Live, gate, uses
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.found import LintFinding
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.judge import Options, lint, read_all
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import REGISTRY, Gone
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.squawk import Note, parse, rule_names
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.statement import read
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import Source, arrange
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from tests.unit._migration_lint.catalogue import UNSAFE
from tests.unit._migration_lint.judged import found as found_in

NOW = datetime.datetime(2026, 11, 25, 12, 0, tzinfo=datetime.UTC)
APPROVE = "-- dbops: approve truncate by Ann Lee because it is a cache until"


def run(files: dict[str, str], layout: str = "auto", notes: tuple[Note, ...] = (), **more: object) -> list[LintFinding]:
    source = arrange({name: sql.encode() for name, sql in files.items()}, layout)
    given: dict[str, object] = {"live": Live(NOW), **more}
    return lint(source, read_all(source), notes, Options(**given))  # type: ignore[arg-type]


def short(findings: list[LintFinding]) -> list[tuple[str, int, str]]:
    return [(finding.rule, finding.line, finding.status.value) for finding in findings]


# Approvals


def test_approval_just_above_a_statement() -> None:
    sql = f"SELECT 1;\n{APPROVE} 2026-12-01\nTRUNCATE a;\nTRUNCATE b;"
    found = run({"1.sql": sql})
    assert short(found) == [("truncate", 3, "waived"), ("truncate", 4, "fail")]
    assert found[0].waiver == "approved by Ann Lee: it is a cache"
    assert found[0].expires == "2026-12-01"


def test_approval_of_a_whole_file() -> None:
    found = run({"1.sql": f"{APPROVE} 2026-12-01\n\nTRUNCATE a;\nTRUNCATE b;"})
    assert short(found) == [("truncate", 3, "waived"), ("truncate", 4, "waived")]


def test_approval_of_the_first_statement_only() -> None:
    found = run({"1.sql": f"{APPROVE} 2026-12-01\nTRUNCATE a;\nTRUNCATE b;"})
    assert short(found) == [("truncate", 2, "waived"), ("truncate", 3, "fail")]


@pytest.mark.parametrize(("until", "status"), [("2026-11-25", "waived"), ("2026-11-24", "fail")])
def test_approval_ends_with_its_day(until: str, status: str) -> None:
    found = run({"1.sql": f"{APPROVE} {until}\nTRUNCATE a;"})
    assert short(found) == [("truncate", 2, status)]
    assert ("expired on 2026-11-24" in found[0].note) == (status == "fail")


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("approve trunkate by A because b until 2027-01-01", "no rule 'trunkate'"),
        ("approve truncate by A until 2027-01-01", "not a complete approval"),
        ("approve truncate by A because b until 2027-02-31", "no day 2027-02-31"),
    ],
)
def test_approval_that_says_nothing_is_an_error(comment: str, said: str) -> None:
    found = run({"1.sql": f"-- dbops: {comment}\nTRUNCATE a;"})
    assert short(found) == [("approval", 1, "error"), ("truncate", 2, "fail")]
    assert said in found[0].why


def test_approval_of_nothing_is_told() -> None:
    assert short(run({"1.sql": f"{APPROVE} 2026-12-01\nSELECT 1;"})) == [("approval-unused", 1, "fail")]
    assert short(run({"1.sql": f"SELECT 1;\n{APPROVE} 2026-12-01\n"})) == [("approval-unused", 2, "fail")]


def test_approval_inside_a_text_is_no_approval() -> None:
    assert short(run({"1.sql": f"SELECT '\n{APPROVE} 2026-12-01';\nTRUNCATE a;"})) == [("truncate", 3, "fail")]


def test_approvals_of_a_file() -> None:
    entry = {"rule": "truncate", "file": "1.sql", "by": "Ann", "because": "cache", "until": datetime.date(2026, 12, 1)}
    files = {"1.sql": "TRUNCATE a;\nTRUNCATE b;"}
    for narrowed, statuses in (
        ({}, ["waived", "waived"]),
        ({"object": "b"}, ["fail", "waived"]),
        ({"statement": "truncate  A"}, ["waived", "fail"]),
        ({"file": "2.sql"}, ["fail", "fail"]),
    ):
        approvals = tuple(from_list([{**entry, **narrowed}], "approvals.yml", rule_names()))
        assert [f.status.value for f in run(files, approvals=approvals)] == statuses


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({}, "is not a list"),
        (["x"], "entry 1 is not a mapping"),
        ([{"rule": "truncate"}], "lacks file, by, because, until"),
        ([{"rule": "x", "file": "a", "by": "b", "because": "c", "until": "2027-01-01"}], "no rule 'x'"),
        ([{"rule": "truncate", "file": "a", "by": "b", "because": "c", "until": "soon"}], "until is not a day"),
        ([{"rule": "truncate", "file": "a", "by": "b", "because": "c", "until": "2027-01-01", "x": 1}], "keys: x"),
    ],
)
def test_approvals_of_a_file_are_refused(entries: object, said: str) -> None:
    with pytest.raises(DbopsError, match=said):
        from_list(entries, "approvals.yml", rule_names())


# Contract steps

STEPS = {
    "1_expand.sql": "ALTER TABLE t ADD COLUMN b text;",
    "2_contract.sql": "-- dbops: contracts 1_expand\nALTER TABLE t DROP COLUMN a;",
}


def days(number: int) -> dict[str, datetime.datetime]:
    return {"1_expand": NOW - datetime.timedelta(days=number)}


@pytest.mark.parametrize(
    ("live", "status", "said"),
    [
        (Live(NOW), "not_tested", "No history was given"),
        (Live(NOW, 7, {}), "fail", "is not live yet"),
        (Live(NOW, 7, days(6)), "fail", "live for 6 of 7 days"),
        (Live(NOW, 7, days(7)), "not_tested", "asked when applied"),
        (Live(NOW, 7, days(7), ["SELECT a FROM t"]), "fail", "SELECT a FROM t"),
        (Live(NOW, 7, days(7), ["SELECT b FROM t", "SELECT a FROM u"]), "pass", "no query"),
    ],
)
def test_contract_step(live: Live, status: str, said: str) -> None:
    found = [f for f in run(STEPS, live=live) if f.file.startswith("2")]
    assert short(found) == [("drop-column", 2, status)]
    assert said in found[0].note


def test_contract_step_without_its_expand() -> None:
    for comment, said in (
        ("", "does not say which migration"),
        ("-- dbops: contracts 0_gone\n", "no migration 0_gone"),
        ("-- dbops: contracts 2_contract\n", "does not come before"),
    ):
        found = run({**STEPS, "2_contract.sql": f"{comment}ALTER TABLE t DROP COLUMN a;"})
        assert [f.status for f in found] == [Status.FAIL]
        assert said in found[0].note


def test_contract_step_can_be_approved() -> None:
    approval = "-- dbops: approve drop-column by Ann because it was never used until 2027-01-01\n"
    found = run({"1.sql": approval + "ALTER TABLE t DROP COLUMN a;"})
    assert short(found) == [("drop-column", 2, "waived")]


def test_gate_that_does_not_know_the_object_is_not_due() -> None:
    source = arrange({name: sql.encode() for name, sql in STEPS.items()})
    assert gate(source, "2_contract", "1_expand", None, Live(NOW, 3, days(3), ())).state == "unknown"


def test_every_contract_finding_says_what_goes() -> None:
    """The migration asks pg_stat_statements for it, from the data of the finding."""
    for number in range(len(UNSAFE)):
        for finding in found_in(number):
            if finding.klass == "contract":
                table, _column = finding.as_dict()["gone"]
                assert table
    assert run(STEPS)[0].as_dict()["gone"] == ["t", "a"]
    assert run({"1.sql": "TRUNCATE t;"})[0].as_dict()["gone"] == []


def test_gate_is_called_with_live_data() -> None:
    source = arrange({name: sql.encode() for name, sql in STEPS.items()})
    answer = gate(source, "2_contract", "1_expand", Gone("t", "a"), Live(NOW, 3, days(3), ()))
    assert answer == Gate("due", "1_expand has been live for 3 days, and no query of pg_stat_statements uses it.")


@pytest.mark.parametrize(
    ("query", "used"),
    [
        ("SELECT a FROM t", True),
        ('SELECT "A" FROM T', True),
        ("SELECT * FROM t WHERE b = $1", True),
        ("SELECT x.* FROM t x", True),
        ("INSERT INTO t (b) VALUES ($1) RETURNING *", True),
        ("SELECT count(*) FROM t", False),
        ("SELECT b FROM t", False),
        ("SELECT a FROM tt", False),
        ("SELECT ab FROM t", False),
        ("SELECT 'a' FROM t", False),
        ("ALTER TABLE t ADD COLUMN a int", False),
    ],
)
def test_use_of_a_column(query: str, used: bool) -> None:
    assert uses(query, Gone("t", "a")) is used


# Runs


def test_without_history_each_file_is_a_run() -> None:
    files = {"1.sql": "CREATE TABLE t (id int);", "2.sql": "CREATE INDEX i ON t (id);"}
    assert short(run(files)) == [("index-concurrently", 1, "fail")]


def test_what_the_run_itself_makes_is_empty() -> None:
    files = {"1.sql": "CREATE TABLE t (id int);", "2.sql": "CREATE INDEX i ON t (id);"}
    assert run(files, only=frozenset(files)) == []
    assert run(files, live=Live(NOW, applied={})) == []
    assert short(run(files, live=Live(NOW, applied={"1": NOW}))) == [("index-concurrently", 1, "fail")]
    assert short(run(files, only=frozenset({"2.sql"}))) == [("index-concurrently", 1, "fail")]


def test_applied_files_are_not_judged() -> None:
    assert run({"1.sql": "TRUNCATE t;"}, live=Live(NOW, applied={"1": NOW})) == []


def test_text_changed_after_it_was_applied() -> None:
    live = Live(NOW, applied={"1": NOW})
    assert run({"1.sql": "SELECT 1;"}, live=live, checksums={"1": ""}) == []
    found = run({"1.sql": "SELECT 1;"}, live=live, checksums={"1": "0" * 64})
    assert [(f.rule, f.file) for f in found] == [("changed-after-applied", "1.sql")]


def test_unreadable_file_is_an_error_and_the_rest_is_judged() -> None:
    found = run({"1.sql": "SELECT 1;\n\\copy t from 'x'\n", "2.sql": "TRUNCATE t;"})
    assert short(found) == [("unreadable", 2, "error"), ("truncate", 1, "fail")]


def test_flyway_placeholders() -> None:
    found = run({"V1__a.sql": "SELECT '${a}';\nTRUNCATE ${flyway:defaultSchema}.t;"})
    assert short(found) == [("truncate", 2, "fail")]
    assert "${flyway:defaultSchema}" in found[0].statement


@pytest.mark.parametrize(
    ("name", "sql", "refused"),
    [
        ("a/migration.sql", "CREATE INDEX CONCURRENTLY i ON t (a);", False),
        ("a/migration.sql", "CREATE INDEX CONCURRENTLY i ON t (a);\nSELECT 1;", True),
        ("1_a.up.sql", "CREATE INDEX CONCURRENTLY i ON t (a);", False),
        ("1_a.up.sql", "SET lock_timeout = 0;\nCREATE INDEX CONCURRENTLY i ON t (a);", True),
        ("V1__a.sql", "CREATE INDEX CONCURRENTLY i ON t (a);\nVACUUM t;", False),
        ("V1__a.sql", "CREATE INDEX CONCURRENTLY i ON t (a);\nSELECT 1;", True),
        ("1.sql", "CREATE INDEX CONCURRENTLY i ON t (a);", True),
        ("1.sql", "-- dbops: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);\nSELECT 1;", False),
        ("1.sql", "-- dbops: no-transaction\nBEGIN;\nCREATE INDEX CONCURRENTLY i ON t (a);\nCOMMIT;", True),
    ],
)
def test_what_no_transaction_may_surround(name: str, sql: str, refused: bool) -> None:
    assert ("not-in-transaction" in {finding.rule for finding in run({name: sql})}) is refused


# Squawk


def test_same_topic_is_told_once() -> None:
    note = Note("1.sql", 1, "require-concurrent-index-creation", "m")
    found = run({"1.sql": "CREATE INDEX i ON t (a);"}, notes=(note,))
    assert [(f.rule, f.seen_by) for f in found] == [("index-concurrently", ("dbops", "squawk"))]


def test_what_only_squawk_sees_stays() -> None:
    note = Note("1.sql", 1, "ban-char-field", "m", "use text")
    unknown = Note("1.sql", 1, "something-new", "It hurts.")
    found = run({"1.sql": "ALTER TABLE t ADD COLUMN a char(3);"}, notes=(note, unknown))
    assert [(f.rule, f.severity, f.seen_by) for f in found] == [
        ("squawk/ban-char-field", Severity.MEDIUM, ("squawk",)),
        ("squawk/something-new", Severity.MEDIUM, ("squawk",)),
    ]
    assert found[0].safe == "-- use text"


def test_squawk_answer_is_read() -> None:
    answer = '[{"file": "0.sql", "line": 1, "rule_name": "r", "message": "m", "help": null, "level": "Warning"}]'
    assert parse(answer, {"0.sql": "a.sql"}) == [Note("a.sql", 2, "r", "m")]
    assert parse("", {}) == []
    with pytest.raises(DbopsError, match="cannot be read"):
        parse('[{"file": 1}]', {})
    with pytest.raises(DbopsError, match="cannot be read"):
        parse("oops", {})


# Text


def test_places_with_letters_beyond_ascii() -> None:
    script = read("-- é\nSELECT 'é';\n\n  TRUNCATE é;")
    assert [(s.text, s.line, s.column) for s in script.statements] == [
        ("SELECT 'é'", 2, 1),
        ("TRUNCATE é", 4, 3),
    ]


@given(st.lists(st.sampled_from(["SELECT 'é;'", "/* ; */ TRUNCATE t", "-- x\nSELECT 1", "DO $$ BEGIN NULL; END $$"])))
def test_statements_are_the_text(parts: list[str]) -> None:
    text = ";\n".join(parts)
    script = read(text)
    assert len(script.own()) == len(parts)
    for statement in script.own():
        assert statement.text in text
        assert text.splitlines()[statement.line - 1][statement.column - 1 :].startswith(statement.text.splitlines()[0])


def test_statements_of_a_block_have_their_lines() -> None:
    block = "SELECT 1;\nDO $$\nBEGIN\n  IF true THEN\n    TRUNCATE t;\n  END IF;\nEND $$;"
    assert short(run({"1.sql": block})) == [("truncate", 5, "fail")]


def test_every_rule_has_a_case_where_it_fails() -> None:
    tested = set().union(*(case.rules for case in UNSAFE)) | {"changed-after-applied"}
    assert set(REGISTRY.rules) - tested == set()


def test_waived_findings_do_not_change_with_the_order_of_approvals() -> None:
    entry = {"rule": "truncate", "file": "1.sql", "by": "A", "because": "b", "until": "2026-01-01"}
    later = {**entry, "until": "2027-01-01"}
    for entries in ([entry, later], [later, entry]):
        approvals = tuple(from_list(entries, "a.yml", rule_names()))
        assert [f.status for f in run({"1.sql": "TRUNCATE a;"}, approvals=approvals)] == [Status.WAIVED]


def test_source_of_a_command_has_nothing_to_judge() -> None:
    assert lint(Source("command", ()), [], [], Options(replace(Live(NOW), after_days=1))) == []


def test_guide_has_the_table_of_rules() -> None:
    guide = Path(__file__).parents[3].joinpath("docs", "migrations-lint.md").read_text(encoding="utf-8")
    for rule in REGISTRY.rules.values():
        assert f"| `{rule.id}` | {rule.klass} | {rule.severity.value} | {rule.why} |" in guide


@pytest.mark.parametrize(
    ("sql", "safe"),
    [
        ("create index on t (a, lower(b));", "create index CONCURRENTLY t_a_expr_idx on t (a, lower(b));"),
        (
            'CREATE UNIQUE INDEX IF NOT EXISTS "I" ON t (a) NULLS NOT DISTINCT WHERE a > 0;',
            'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "I" ON t (a) NULLS NOT DISTINCT WHERE a > 0;',
        ),
        ("grant usage on schema public to public;", "grant usage on schema public to <the role that needs it>;"),
    ],
)
def test_safe_way_keeps_the_words(sql: str, safe: str) -> None:
    assert run({"1.sql": sql})[0].safe.splitlines()[-1] == safe


@pytest.mark.parametrize(
    ("sql", "rules"),
    [
        ("CREATE TABLE t OF a.b (c, d NOT NULL);", []),
        ("DROP CAST (text AS int);", []),
        ("DROP OPERATOR + (int, int);", []),
        ("DROP TRANSFORM FOR int LANGUAGE sql;", []),
        ("DROP CAST (text AS int) CASCADE;", ["drop-cascade"]),
        ("GRANT SELECT ON LARGE OBJECT 42 TO PUBLIC;", ["grant-to-public"]),
        ("ALTER TABLE t ADD COLUMN a int[] DEFAULT ARRAY[]::int[];", []),
        ("ALTER TABLE t ADD COLUMN a int DEFAULT coalesce(NULL, 1);", []),
        ("UPDATE t SET (a, b) = (1, 2);", ["update-without-where"]),
        ("ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b;", ["table-rewrite"]),
        ("ALTER SYSTEM RESET ALL;", ["not-in-transaction", "alter-system"]),
        ("DO LANGUAGE plperl 'x';", ["dynamic-ddl"]),
    ],
)
def test_odd_statements(sql: str, rules: list[str]) -> None:
    assert sorted(finding.rule for finding in run({"1.sql": sql})) == sorted(rules)
