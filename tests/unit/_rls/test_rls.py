# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts of the check of row-level security: spec, cells, snapshot, conditions, made rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._rls import attempts, cells, made_rows, snapshot
from ansible_collections.dbops.postgres.plugins.module_utils._rls.cells import Cell, Level
from ansible_collections.dbops.postgres.plugins.module_utils._rls.judge_policies import _TRUE, outside_selects
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import (
    PRODUCTION_WORDS,
    Identity,
    allow,
    everybody,
    parse,
)
from ansible_collections.dbops.postgres.plugins.module_utils._rls.state import Column, Table
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError

ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"


def identity(**more: Any) -> dict[str, Any]:
    return {"name": "x", "role": "app", "settings": {"app.t": ONE}, "sees": {"*": f"t = '{ONE}'"}, **more}


# The spec.


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"tenant": "x"}, "rls.tenant: unknown key"),
        ({"tables": "patients"}, "rls.tables: this must be a list"),
        ({"tables": [1]}, "rls.tables[0]: 1 is no text"),
        ({"identities": {"a": 1}}, "rls.identities: this must be a list"),
        ({"identities": ["a"]}, "rls.identities[0]: this must be a mapping"),
        ({"identities": [identity(name=None)]}, "rls.identities[0].name: it is missing"),
        ({"identities": [identity(role="")]}, "rls.identities[0].role: '' is no text"),
        ({"identities": [identity(), identity()]}, "rls.identities[1].name: there are two identities 'x'"),
        ({"identities": [identity(sees={})]}, "rls.identities[0].sees: it is not said which rows"),
        ({"identities": [identity(sees={"*": "true; DROP TABLE x"})]}, "rls.identities[0].sees.*: a condition is one"),
        ({"identities": [identity(sees={"*": "true) -- "})]}, "rls.identities[0].sees.*: a condition is one"),
        ({"identities": [identity(sees={"*": None})]}, "rls.identities[0].sees.*: it is missing"),
        ({"identities": [identity(settings={"work_mem; x": 1})]}, "rls.identities[0].settings.work_mem; x: "),
        ({"identities": [identity(settings={"role": "postgres"})]}, "rls.identities[0].settings.role: "),
        ({"identities": [identity(settings={"a.b": None})]}, "rls.identities[0].settings.a.b: None is no value"),
        ({"identities": [identity(writes={"t": {"select": "x"}})]}, "rls.identities[0].writes.t.select: unknown key"),
        ({"exempt": [{"table": "x"}]}, "rls.exempt[0].reason: it is missing"),
        ({"bypass": [{"role": "x", "reason": "y", "rules": []}]}, "rls.bypass[0].rules: unknown key"),
    ],
)
def test_spec_says_what_is_wrong(section: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as error:
        parse(section)
    assert str(error.value).startswith(message)


def test_spec_of_rows() -> None:
    (me,) = parse(
        {
            "identities": [
                identity(
                    settings={"request.jwt.claims": {"sub": ONE}, "app.flag": True, "app.n": 3},
                    sees={"*": "t = 1", "open": True, "s.hidden": False},
                    writes={"logs": {"update": False}, "*": "t = 1 AND mine"},
                )
            ]
        }
    ).identities
    assert dict(me.settings) == {"request.jwt.claims": json.dumps({"sub": ONE}), "app.flag": "true", "app.n": "3"}
    assert me.predicate("SELECT", ("s.any", "any"), True) == "t = 1"
    assert me.predicate("SELECT", ("s.any", "any"), False) is None
    assert me.predicate("SELECT", ("s.hidden", "hidden"), True) == "false"
    assert me.predicate("SELECT", ("s.open", "open"), False) == "true"
    assert me.predicate("UPDATE", ("s.logs", "logs"), True) == "false"
    assert me.predicate("DELETE", ("s.logs", "logs"), True) == "t = 1 AND mine"
    assert me.predicate("INSERT", ("s.open", "open"), False) == "true"


def test_nobody_is_tried_first_and_last() -> None:
    spec = parse(
        {
            "identities": [
                identity(sees={"*": "t = 1", "open": True}),
                identity(name="y", sees={"*": "t = 2", "open": True}),
                identity(name="anon", role="anon", settings={}, sees={"*": False}),
            ]
        }
    )
    first, *_declared, last = everybody(spec)
    assert (first.name, first.settings) == ("nobody (app)", ())
    assert (last.name, last.settings) == ("nobody (app, settings empty)", (("app.t", ""),))
    assert len(everybody(spec)) == 5  # who needs no settings is somebody without them
    for nobody in (first, last):
        assert nobody.predicate("SELECT", ("s.any", "any"), True) == "false"
        assert nobody.predicate("SELECT", ("s.open", "open"), False) == "true"
        assert nobody.predicate("DELETE", ("s.open", "open"), False) == "false"


@pytest.mark.parametrize(
    ("environment", "said", "mutate", "throwaway", "outcome"),
    [
        ("", "", False, "", None),
        ("stage", "", False, "", None),
        ("prod", "", False, "", "not tried here"),
        ("production", "", False, "", "not tried here"),
        ("prod", PRODUCTION_WORDS, False, "", None),
        ("prod", "yes", False, "", DbopsError),
        ("", "yes", False, "", DbopsError),
        ("", "", True, "", DbopsError),
        ("", "", True, "other", DbopsError),
        ("", "", True, "db", None),
        ("prod", "", True, "db", DbopsError),
        ("prod", PRODUCTION_WORDS, True, "db", DbopsError),
    ],
)
def test_where_it_may_run(environment: str, said: str, mutate: bool, throwaway: str, outcome: Any) -> None:
    def asked() -> str | None:
        return allow(environment, said, mutate=mutate, database="db", throwaway=throwaway)

    if outcome is DbopsError:
        with pytest.raises(DbopsError):
            asked()
    elif outcome is None:
        assert asked() is None
    else:
        assert outcome in (asked() or "")


# What follows from an attempt.


@pytest.mark.parametrize(
    ("cell", "status", "severity"),
    [
        (Cell("a", "t", "SELECT", Level.OWN), Status.PASS, Severity.CRITICAL),
        (Cell("a", "t", "SELECT", Level.NONE), Status.PASS, Severity.CRITICAL),
        (Cell("a", "t", "SELECT", Level.NO_PRIVILEGE), Status.PASS, Severity.CRITICAL),
        (Cell("a", "t", "SELECT", Level.FOREIGN), Status.FAIL, Severity.CRITICAL),
        (Cell("a", "t", "SELECT", Level.UNKNOWN), Status.ERROR, Severity.CRITICAL),
        (Cell("a", "t", "SELECT", Level.NONE, missing=True), Status.ERROR, Severity.CRITICAL),
        (Cell("a", "t", "SELECT", Level.UNKNOWN, sqlstate="22P02"), Status.ERROR, Severity.CRITICAL),
        (Cell("a", "t", "SELECT", Level.NONE, sqlstate="22P02", nobody=True), Status.FAIL, Severity.MEDIUM),
        (Cell("a", "t", "SELECT", Level.NONE, sqlstate="42704", nobody=True), Status.PASS, Severity.CRITICAL),
        (Cell("a", "t", "SELECT", Level.FOREIGN, sqlstate="22P02", nobody=True), Status.FAIL, Severity.CRITICAL),
    ],
)
def test_cell_becomes_finding(cell: Cell, status: Status, severity: Severity) -> None:
    (finding,) = cells.findings([cell])
    assert (finding.status, finding.severity) == (status, severity)


def test_one_finding_for_one_cast() -> None:
    mine = [
        Cell("nobody", table, command, Level.NONE, "no uuid: ''", "22P02", nobody=True)
        for table in ("t", "u")
        for command in ("SELECT", "DELETE")
    ]
    (finding,) = cells.findings([*mine, Cell("nobody", "v", "SELECT", Level.NONE, nobody=True)])
    assert "on t, u: no uuid: ''" in finding.evidence
    assert "nullif(" in finding.remedy


def test_nothing_passes_with_something_bad() -> None:
    found = cells.findings([Cell("a", "t", "SELECT", Level.OWN), Cell("a", "t", "DELETE", Level.UNKNOWN)])
    assert [f.status for f in found] == [Status.ERROR]
    assert cells.findings([]) == []


# The snapshot.

_levels = st.sampled_from([level.value for level in Level if level is not Level.UNKNOWN])
_matrices = st.dictionaries(
    st.sampled_from("ab"),
    st.dictionaries(
        st.sampled_from(["s.t", 'x"y', "ü"]), st.dictionaries(st.sampled_from(["SELECT", "DELETE"]), _levels)
    ),
)


@given(_matrices)
def test_snapshot_is_read_as_it_was_written(matrix: dict[str, Any]) -> None:
    text = snapshot.dump(matrix)
    assert snapshot.load(text, "f") == matrix
    assert snapshot.dump(snapshot.load(text, "f")) == text
    assert [f.status for f in snapshot.compare(matrix, matrix)] == [Status.PASS]
    assert snapshot.narrowed(matrix, matrix) == []


@given(_matrices, _matrices)
def test_what_is_wider_one_way_is_narrower_the_other(before: dict[str, Any], now: dict[str, Any]) -> None:
    wider = [f.subject for f in snapshot.compare(before, now) if f.status is Status.FAIL]
    assert wider == [text.rpartition(": ")[0] for text in snapshot.narrowed(before=now, now=before)]


@pytest.mark.parametrize(
    ("before", "now", "wider"),
    [
        ("none", "own", True),
        ("own", "foreign", True),
        ("no privilege", "foreign", True),
        (None, "own", True),
        (None, "none", False),
        ("no privilege", "none", False),
        ("own", "none", False),
        ("foreign", None, False),
        ("own", "unknown", False),  # a finding of its own
    ],
)
def test_widening(before: str | None, now: str | None, wider: bool) -> None:
    def one(level: str | None) -> dict[str, Any]:
        return {"a": {"t": {"SELECT": level}}} if level else {}

    assert any(f.status is Status.FAIL for f in snapshot.compare(one(before), one(now))) is wider


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema_version": 2}', '{"schema_version": 1, "identities": {"a": {"t": {"S": "x"}}}}']
)
def test_no_snapshot(text: str) -> None:
    with pytest.raises(DbopsError, match="no snapshot"):
        snapshot.load(text, "f")


def test_what_proved_nothing_is_not_equal_to_the_snapshot() -> None:
    before = {"me": {"t": {"SELECT": "own", "DELETE": "none"}}}
    now = {"me": {"t": {"SELECT": "own", "DELETE": "unknown"}}}
    assert [f.status for f in snapshot.compare(before, now)] == [Status.NOT_TESTED]


def test_snapshot_of_nothing_is_not_written() -> None:
    with pytest.raises(DbopsError, match="nothing was tried"):
        cells.complete({})
    with pytest.raises(DbopsError, match="1 attempts proved nothing: a: SELECT t"):
        cells.complete({"a": {"t": {"SELECT": "unknown"}}})


# Conditions of policies.


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("(a = ( SELECT f() AS f))", "(a = )"),
        ("(a = f())", "(a = f())"),
        ("(a IN ( SELECT x.b FROM x WHERE (x.c = g('(')))) AND h()", "(a IN ) AND h()"),
        ("(SELECT 1)", ""),
        ("selected(1)", "selected(1)"),
        ("(a = ( SELECT f(')')", "(a = "),  # never ends: all of it is inside
    ],
)
def test_outside_of_selects(text: str, rest: str) -> None:
    assert outside_selects(text) == rest


@pytest.mark.parametrize(
    ("text", "always"),
    [
        ("((a = b) OR true)", True),
        ("(practice_id = practice_id)", True),
        ("(1 = 1)", True),
        ("(practice_id IS NOT NULL)", True),
        ("(practice_id = id)", False),
        ("(a.id = b.id)", False),
        ("(id = id2)", False),
        ("(col = col.x)", False),
        ("((a IS NOT NULL) AND (b = f()))", False),
        ("(x = 'OR truelove')", False),
    ],
)
def test_always_true(text: str, always: bool) -> None:
    assert bool(_TRUE.search(text)) is always


# Rows that are made.

TABLE = Table(
    *(1, "s", "t", "r", "o", True, True, None, False, "", ()),
    columns=(
        Column("t", "uuid", "uuid", "b", not_null=True),
        Column("id", "bigint", "int8", "b", not_null=True, always=True, unique=True),
        Column("state", "text", "text", "b", not_null=True, checks=("CHECK ((state = ANY (ARRAY['new', 'old'])))",)),
        Column("note", "text", "text", "b"),
        Column("code", "character varying(4)", "varchar", "b", not_null=True, unique=True),
        Column("mood", "mood", "mood", "e", not_null=True, labels=("fine", "bad")),
    ),
)
ME = Identity("a", "app", (("app.t", ONE),), {"*": f"t = '{ONE}'"})
OTHER = Identity("b", "app", (("app.t", TWO),), {"*": f"t = '{TWO}'"})


def test_rows_of_an_empty_table() -> None:
    first = next(made_rows.candidates(TABLE, None, f"t = '{ONE}'", (ME, OTHER), "t", own=True))
    assert first["t"] == ONE
    assert (first["state"], first["note"], first["mood"]) == ("new", None, "fine")
    assert len(first["code"] or "") == 4
    foreign = list(made_rows.candidates(TABLE, None, f"t = '{ONE}'", (ME, OTHER), "t", own=False))
    assert all(row["t"] != ONE for row in foreign)
    assert TWO in {row["t"] for row in foreign}


def test_rows_like_another() -> None:
    basis = {"t": TWO, "id": "7", "state": "old", "note": "n", "code": "abcd", "mood": "bad"}
    first = next(made_rows.candidates(TABLE, basis, "t = (x)", (ME, OTHER), "t", own=True))
    assert {**first, "id": "7", "code": "abcd"} == {**basis, "t": ONE}
    assert first["id"] != "7"
    assert first["code"] != "abcd"


def test_values_of_claims() -> None:
    me = Identity("a", "app", (("request.jwt.claims", json.dumps({"sub": ONE, "app_metadata": {"x": [TWO]}})),), {})
    tried = list(made_rows.candidates(TABLE, None, "t = auth.uid()", (me,), "", own=True))
    assert {row["t"] for row in tried} >= {ONE, TWO}


@given(st.text(max_size=30))
def test_conditions_keep_their_braces(predicate: str) -> None:
    assert attempts.condition(predicate).template.format() == predicate
