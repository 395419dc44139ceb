# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots as files, what is ignored, what is compared, how bad it is, what is said about it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._schema import judge
from ansible_collections.dbops.postgres.plugins.module_utils._schema.compare import Comparison, compare, readable
from ansible_collections.dbops.postgres.plugins.module_utils._schema.ignore import ALWAYS, Ignore, ignore_from
from ansible_collections.dbops.postgres.plugins.module_utils._schema.repair import remedy
from ansible_collections.dbops.postgres.plugins.module_utils._schema.snapshot import OWNER, Snapshot, with_roles

NAMES = st.text(max_size=8).map("x{}".format)  # of no known field: those have a shape
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(
    NAMES, st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), max_size=3), max_size=3
)


def snap(major: int = 17, **objects: Any) -> Snapshot:
    return Snapshot(major, objects)


def seen(found: Comparison) -> list[tuple[str, str, str]]:
    return [(item.kind, item.name, item.what) for item in found.differences]


@given(OBJECTS, st.integers(15, 30))
def test_a_file_reads_as_it_was_written(objects: dict[str, Any], major: int) -> None:
    written = Snapshot(major, objects)
    text = written.to_json()
    assert Snapshot.from_json(text) == written
    assert Snapshot.from_json(text).to_json() == text


@given(OBJECTS)
def test_everything_equals_itself_and_nothing_equals_an_empty_schema(objects: dict[str, Any]) -> None:
    whole = Snapshot(17, objects)
    assert compare(whole, whole).equal
    kept = ALWAYS.apply(whole).snapshot
    assert compare(Snapshot(17, {}), whole).equal is (kept.count() == 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no JSON"),
        ("[]", "is no snapshot"),
        ('{"format": 1, "objects": {}}', "is no snapshot"),
        ('{"format": 1, "server_major": 17, "objects": {"table": []}}', "is no snapshot"),
        ('{"format": 1, "server_major": 17, "objects": {"index": {"s.i": {"of": [1]}}}}', "is no snapshot"),
        ('{"format": 1, "server_major": 17, "objects": {"table": {"s.t": {"grants": {"a": 1}}}}}', "is no snapshot"),
        ('{"format": 2, "server_major": 17, "objects": {}}', "has format 2, and this version reads 1"),
    ],
)
def test_what_is_no_snapshot_is_refused(text: str, said: str) -> None:
    with pytest.raises(DbopsError, match=said):
        Snapshot.from_json(text, "schema.json")


def test_a_file_is_one_line_for_each_field() -> None:
    text = snap(table={"s.t": {"owner": "o", "row_security": True}}).to_json()
    assert [line.strip() for line in text.splitlines()][3:7] == [
        *('"table": {', '"s.t": {', '"owner": "o",', '"row_security": true'),
    ]


SCHEMA: dict[str, dict[str, dict[str, Any]]] = {
    "schema": {"s": {}, "audit": {}, "dbops_pooler": {}},
    "table": {
        "s.t": {},
        "s.p": {"partition_key": "RANGE (at)"},
        "s.p_1": {"partition_of": "s.p"},
        "s.p_1_a": {"partition_of": "s.p_1"},
        "audit.log": {},
        "public._prisma_migrations": {},
        'app."__EFMigrationsHistory"': {},
        "dbops_pooler.x": {},
    },
    "column": {
        "s.t.id": {"of": "s.t"},
        "s.p_1_a.id": {"of": "s.p_1_a"},
        "audit.log.id": {"of": "audit.log"},
        "public._prisma_migrations.id": {"of": "public._prisma_migrations"},
    },
    "function": {"audit.f(integer)": {}, "s.f(text[])": {}},
}


@pytest.mark.parametrize(
    ("ignore", "gone", "unused"),
    [
        (Ignore(), set(), []),
        (Ignore(("table:s.t",)), {"s.t", "s.t.id"}, []),
        (Ignore(("*:audit.*",)), {"audit.log", "audit.log.id", "audit.f(integer)"}, []),
        (Ignore(("schema:audit",)), {"audit"}, []),
        (Ignore(("function:s.f(*",)), {"s.f(text[])"}, []),
        (Ignore(("table:s.nothing", "view:s.t")), set(), ["table:s.nothing", "view:s.t"]),
        (Ignore(partitions_of=("s.p",)), {"s.p_1", "s.p_1_a", "s.p_1_a.id"}, []),
        (Ignore(partitions_of=("s.q",)), set(), ["s.q"]),
        (Ignore(("table:s.p",)), {"s.p", "s.p_1", "s.p_1_a", "s.p_1_a.id"}, []),
    ],
)
def test_what_is_ignored(ignore: Ignore, gone: set[str], unused: list[str]) -> None:
    always = {"public._prisma_migrations", "public._prisma_migrations.id", "dbops_pooler", "dbops_pooler.x"}
    always.add('app."__EFMigrationsHistory"')
    applied = ignore.apply(Snapshot(17, SCHEMA))
    left = {name for found in applied.snapshot.objects.values() for name in found}
    assert {name for found in SCHEMA.values() for name in found} - left == gone | always
    assert ignore.unused(applied) == unused


def test_the_triggers_of_the_guards_are_no_drift() -> None:
    run = "CREATE TRIGGER dbops_refuse_truncate BEFORE TRUNCATE ON s.t FOR EACH STATEMENT EXECUTE FUNCTION {}()"
    found = snap(
        trigger={
            "s.t.dbops_refuse_truncate": {"definition": run.format("dbops.refuse_truncate")},
            "s.t.dbops_other": {"definition": run.format("s.dbops")},
        },
        event_trigger={"dbops_refuse_drops": {"function": "dbops.guard_drops"}, "other": {"function": "s.f"}},
    )
    assert seen(compare(snap(), found)) == [
        ("event_trigger", "other", "unexpected"),
        ("trigger", "s.t.dbops_other", "unexpected"),
    ]


def test_a_rule_that_cannot_be_meant_is_refused() -> None:
    for pattern in ("shop", "table:", ":x"):
        with pytest.raises(DbopsError, match="is not kind:name"):
            ignore_from([pattern])


def test_fields_that_do_not_count() -> None:
    left, right = snap(table={"s.t": {"owner": "a", "comment": "x"}}), snap(table={"s.t": {"owner": "b"}})
    assert [c.field for c in compare(left, right, ignore_from([], ["owner"])).differences[0].changes] == ["comment"]


def test_roles_with_other_names() -> None:
    fields = {
        "owner": "aria_stage_owner",
        "grants": {OWNER: ["SELECT"], "aria_stage_rw": ["INSERT"], "PUBLIC": ["SELECT"]},
        "roles": ["aria_stage_rw", "other"],
    }
    default = {"creator": "aria_stage_owner", "objects": "TABLES", "grants": {"aria_stage_rw": ["SELECT"]}}
    before = snap(table={"s.t": fields}, default_privileges={"aria_stage_owner everywhere on TABLES": default})
    found = with_roles(before, {"aria_stage_*": "aria_prod_*", "other": "another"})
    assert found.objects["table"]["s.t"] == {
        "owner": "aria_prod_owner",
        "grants": {OWNER: ["SELECT"], "aria_prod_rw": ["INSERT"], "PUBLIC": ["SELECT"]},
        "roles": ["another", "aria_prod_rw"],
    }
    assert list(found.objects["default_privileges"]) == ["aria_prod_owner everywhere on TABLES"]
    assert with_roles(before, {}) is before


def test_a_missing_table_is_told_once() -> None:
    whole = snap(
        table={"s.t": {}},
        column={"s.t.id": {"of": "s.t"}},
        constraint={"s.t.t_pkey": {"of": "s.t"}},
        index={"s.t_pkey": {"of": "s.t", "constraint": "s.t.t_pkey"}},
        sequence={"s.t_id_seq": {"of": "s.t", "owned_by": "s.t.id"}},
    )
    assert seen(compare(whole, snap())) == [("table", "s.t", "missing")]
    assert seen(compare(snap(), whole)) == [("table", "s.t", "unexpected")]
    without = {kind: found for kind, found in whole.objects.items() if kind not in ("constraint", "index")}
    assert seen(compare(whole, Snapshot(17, without))) == [("constraint", "s.t.t_pkey", "missing")]


def test_the_order_of_columns_is_a_note() -> None:
    left = snap(table={"s.t": {"columns": ["a", "b", "c"]}})
    found = compare(left, snap(table={"s.t": {"columns": ["a", "c", "b"]}}))
    assert found.equal
    assert found.notes == ("table s.t: the same columns in another order: a, c, b",)
    assert compare(left, snap(table={"s.t": {"columns": ["a", "c"]}})).notes == ()


def test_another_major_version() -> None:
    left = snap(15, table={"s.t": {"grants": {OWNER: ["SELECT"]}}})
    found = compare(left, snap(17, table={"s.t": {"grants": {OWNER: ["MAINTAIN", "SELECT"]}}}))
    assert found.equal
    assert "can be printed differently" in found.notes[0]


@pytest.mark.parametrize(
    ("kind", "expected", "actual", "severity"),
    [
        ("table", {"row_security": True}, {}, Severity.CRITICAL),
        ("table", {"force_row_security": True}, {}, Severity.CRITICAL),
        ("table", {}, {"row_security": True}, Severity.HIGH),
        ("table", {}, {"grants": {"PUBLIC": ["SELECT"]}}, Severity.CRITICAL),
        ("table", {"grants": {"PUBLIC": ["SELECT"]}}, {}, Severity.HIGH),
        ("table", {}, {"grants": {"app": ["SELECT"]}}, Severity.HIGH),
        ("table", {"comment": "x"}, {"comment": "y"}, Severity.MEDIUM),
        ("table", {"owner": "a"}, {"owner": "b"}, Severity.HIGH),
        ("table", None, {}, Severity.HIGH),
        ("table", None, {"grants": {"PUBLIC": ["SELECT"]}}, Severity.CRITICAL),
        ("policy", {"using": "a"}, {"using": "b"}, Severity.CRITICAL),
        ("policy", {}, None, Severity.CRITICAL),
        ("policy", {"comment": "a"}, {}, Severity.MEDIUM),
        ("view", {"options": {"security_invoker": "true"}}, {}, Severity.CRITICAL),
        ("function", {}, {"security_definer": True}, Severity.CRITICAL),
        ("function", {"definition": "a"}, {"definition": "b"}, Severity.HIGH),
        ("function", None, {"security_definer": True, "grants": {"PUBLIC": ["EXECUTE"]}}, Severity.CRITICAL),
        ("function", None, {"grants": {"PUBLIC": ["EXECUTE"]}}, Severity.HIGH),
        ("event_trigger", {}, None, Severity.CRITICAL),
        ("event_trigger", {"enabled": "origin"}, {"enabled": "disabled"}, Severity.CRITICAL),
        ("index", {}, None, Severity.HIGH),
        ("constraint", {}, None, Severity.HIGH),
        ("column", {"statistics": 5}, {}, Severity.MEDIUM),
        ("statistics", {}, None, Severity.MEDIUM),
        ("extension", {"version": "1"}, {"version": "2"}, Severity.MEDIUM),
    ],
)
def test_how_bad_it_is(
    kind: str, expected: dict[str, Any] | None, actual: dict[str, Any] | None, severity: Severity
) -> None:
    left, right = (Snapshot(17, {kind: {"s.x": fields}} if fields is not None else {}) for fields in (expected, actual))
    found = judge.findings(compare(left, right), 1)
    assert [(finding.status, finding.severity) for finding in found] == [(Status.FAIL, severity)]
    assert found[0].remedy


def test_nothing_to_find_is_a_pass_that_says_how_much_was_compared() -> None:
    [finding] = judge.findings(compare(snap(), snap()), 412)
    assert (finding.status, finding.evidence) == (Status.PASS, "412 objects are as expected")


def test_roles_and_texts_are_quoted() -> None:
    left = snap(table={"s.t": {"owner": 'o"x', "comment": "it's", "grants": {"user": ["SELECT"]}}})
    [item] = compare(left, snap(table={"s.t": {"grants": {"current_user": ["SELECT"]}}})).differences
    assert remedy(item).sql == (
        "COMMENT ON TABLE s.t IS 'it''s'",
        'REVOKE SELECT ON TABLE s.t FROM "current_user"',
        'GRANT SELECT ON TABLE s.t TO "user"',
        'ALTER TABLE s.t OWNER TO "o""x"',
    )


@pytest.mark.parametrize("kind", ["table", "column", "sequence", "materialized_view", "schema", "type", "extension"])
def test_what_may_hold_data_is_never_dropped(kind: str) -> None:
    [item] = compare(snap(), Snapshot(17, {kind: {"s.x": {"of": "s"}}})).differences
    assert remedy(item).sql == ()
    assert "DROP" not in remedy(item).text


def test_a_label_in_the_middle_and_one_too_many() -> None:
    def said(expected: list[str], actual: list[str]) -> str:
        left, right = (snap(type={"s.e": {"form": "enum", "labels": labels}}) for labels in (expected, actual))
        return remedy(compare(left, right).differences[0]).text

    assert said(["a", "b", "c"], ["a", "c"]) == "ALTER TYPE s.e ADD VALUE 'b' AFTER 'a';"
    assert said(["a", "b"], ["b"]) == "ALTER TYPE s.e ADD VALUE 'a' BEFORE 'b';"
    assert "cannot be removed" in said(["a"], ["a", "b"])


def test_a_person_reads_what_differs() -> None:
    left = snap(function={"s.f()": {"definition": "one\ntwo\nthree"}}, index={"s.i": {"valid": True}})
    found = compare(left, snap(function={"s.f()": {"definition": "one\nTWO\nthree"}}, index={"s.i": {}}))
    assert readable(found) == [
        *("index s.i", "    valid: expected yes, is no"),
        *("function s.f()", "    definition: -two", "    definition: +TWO"),
    ]
    assert judge.summary(found) == "The schema differs in 2 object(s): 2 changed"
    assert json.dumps([item.as_dict() for item in found.differences])
