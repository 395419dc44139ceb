# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from PostgreSQL's answers, and what a spec file may say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.judge import (
    coverage,
    expected,
    findings,
    matches,
    settled,
    unseen,
)
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.spec import Exemption, Expected, Spec, parse
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    CHECK,
    EXCLUSION,
    EXEMPT,
    FOREIGN_KEY,
    NOT_ENFORCED,
    NOT_NULL,
    NOT_TRIED,
    PROVEN,
    UNIQUE,
    UNIQUE_INDEX,
    Constraint,
    Proof,
    Rejection,
)
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity, Status, passed
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError, from_data
from tests.unit._constraints.test_constraint_rows import database

KEY = Constraint("c1", "t_key", UNIQUE, 1, columns=("a",))
REFERENCE = Constraint("c2", "t_fk", FOREIGN_KEY, 1, columns=("b",), target=2)
FULL = Constraint("n1.a", "a", NOT_NULL, 1, columns=("a",))
RULE = Constraint("c3", "t_check", CHECK, 1, columns=("a",), expression="(a > 0)")
SEEN = database({1: ["a", "b"], 2: ["id"]}, [KEY, REFERENCE, FULL, RULE])


def error(state: str, **more: str) -> Rejection:
    return Rejection(state, "m", **{"schema": "s", "table": "t1", **more})


@pytest.mark.parametrize(
    ("rejection", "item", "good"),
    [
        (error("23505", constraint="t_key"), KEY, True),
        (error("23505", constraint="other"), KEY, False),
        (error("23505", constraint="t_key", table="t2"), KEY, False),
        (error("23503", constraint="t_key"), KEY, False),
        (error("23503", constraint="t_fk"), REFERENCE, True),
        (error("23514", constraint="t_check"), RULE, True),
        (error("23514", constraint="t_check", table="elsewhere"), RULE, False),
        (error("23514"), RULE, False),
        (error("23502", column="a"), FULL, True),
        (error("23502", column="b"), FULL, False),
        (error("23502", column="a", table="t2"), FULL, False),
        (error("23P01", constraint="t_key"), replace(KEY, kind=EXCLUSION), True),
        (error("23505", constraint="t_key"), replace(KEY, kind=UNIQUE_INDEX), True),
        (None, KEY, False),
    ],
)
def test_only_its_own_error_counts(rejection: Rejection | None, item: Constraint, good: bool) -> None:
    places = {"s.t1"} if item.kind in (NOT_NULL, CHECK) else {f"s.t1.{item.name}"}
    assert matches(rejection, item, places) is good


@pytest.mark.parametrize(
    ("rejection", "written", "always", "result", "words"),
    [
        (None, 1, "", NOT_ENFORCED, "was accepted"),
        (None, 1, "tidy", NOT_TRIED, "tidy"),
        (None, 0, "", NOT_TRIED, "left the row out"),
        (error("23505", constraint="other"), 0, "", NOT_TRIED, "another error of other came first"),
    ],
)
def test_another_answer(rejection: Rejection | None, written: int, always: str, result: str, words: str) -> None:
    proof = expected(KEY, rejection, written, "t", always)
    assert proof.result == result
    assert words in proof.reason


def test_the_catalog_and_the_rows_say_more_than_a_new_row() -> None:
    chosen = [replace(KEY, trouble="its index is invalid"), REFERENCE, FULL]
    tried = [Proof("c1", PROVEN), Proof("c2", PROVEN)]
    found = settled(SEEN, chosen, tried, {"c2": "rows violate it"}, Spec())
    assert [proof.result for proof in found] == [NOT_ENFORCED, NOT_ENFORCED, NOT_TRIED]
    excuse = Spec(exempt=(Exemption("s.*", "", "old"),))
    assert {proof.result for proof in settled(SEEN, chosen, tried, {}, excuse)} == {EXEMPT, PROVEN}


def test_coverage_counts_what_is_not_exempt() -> None:
    proofs = [Proof("a", PROVEN), Proof("b", NOT_TRIED), Proof("c", EXEMPT)]
    assert coverage(proofs) == 50
    assert coverage([]) == 100


def test_findings() -> None:
    proofs = [
        Proof("c1", PROVEN),
        Proof("c2", NOT_ENFORCED, "its triggers are disabled on s.t1"),
        Proof("n1.a", NOT_TRIED, "no row"),
        Proof("c3", EXEMPT, "old"),
    ]
    found = {f.title: f for f in findings(SEEN, proofs, Spec(expected=(Expected("s.t1", "gone"),)))}
    assert {title: (f.status, f.severity) for title, f in found.items()} == {
        "constraint not enforced": (Status.FAIL, Severity.HIGH),
        "constraint not tried": (Status.ERROR, Severity.MEDIUM),
        "exempt constraint": (Status.WAIVED, Severity.HIGH),
        "constraints": (Status.PASS, Severity.HIGH),
        "declared constraint": (Status.FAIL, Severity.HIGH),
        "coverage": (Status.FAIL, Severity.HIGH),
    }
    assert "ENABLE TRIGGER" in found["constraint not enforced"].remedy
    assert "33.3 %" in found["coverage"].evidence
    assert passed(findings(SEEN, [Proof("c1", PROVEN)], Spec()))
    assert not passed(unseen(SEEN, ["c2"]))


def test_an_exemption_that_names_nothing_is_told() -> None:
    spec = Spec(exempt=(Exemption("s.t1", "t_*", "used"), Exemption("s.t9", "", "typing error")))
    (told,) = [f for f in findings(SEEN, [Proof("c1", PROVEN)], spec) if f.title == "exemption"]
    assert (told.subject, told.status) == ("s.t9", Status.FAIL)


def test_what_fails_for_one_reason_is_one_finding() -> None:
    proofs = [Proof("c1", NOT_TRIED, "no row"), Proof("c2", NOT_TRIED, "no row")]
    (untried,) = [f for f in findings(SEEN, proofs, Spec()) if f.title == "constraint not tried"]
    assert untried.subject == "s.t1"
    assert "2 could not be tried" in untried.evidence


def test_no_constraint_is_no_proof() -> None:
    (only,) = findings(SEEN, [], Spec())
    assert only.status is Status.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("wanted", "item", "met"),
    [
        (Expected("s.t1", "t_key"), KEY, True),
        (Expected("s.t1", "x"), KEY, False),
        (Expected("s.t1", kind="unique", columns=("a",)), KEY, True),
        (Expected("s.t1", kind="unique", columns=("a",)), replace(KEY, kind=UNIQUE_INDEX), True),
        (Expected("s.t1", kind="unique", columns=("a",)), replace(KEY, predicate="(a > 1)"), False),
        (Expected("s.t1", kind="unique", columns=("a", "b")), KEY, False),
        (Expected("s.t1", kind="primary key", columns=("a",)), KEY, False),
    ],
)
def test_what_is_declared(wanted: Expected, item: Constraint, met: bool) -> None:
    assert wanted.met_by(item) is met


def test_a_spec_file() -> None:
    spec = parse(
        from_data(
            {
                "constraints": {
                    "schemas": ["public"],
                    "exempt": [{"table": "public.t", "reason": "why"}],
                    "values": {"public.t.a": 1, "public.t.b": [True, None]},
                    "expected": [{"table": "public.t", "kind": "unique", "columns": ["a"]}],
                    "minimum_coverage": 90,
                }
            }
        )
    )
    assert spec.excuse("public.t", "anything") == "why"
    assert spec.excuse("public.u", "anything") == ""
    assert spec.values == {"public.t.a": ("1",), "public.t.b": ("true", None)}
    assert spec.minimum_coverage == 90
    assert parse(from_data({})) == Spec()


@pytest.mark.parametrize(
    ("section", "where", "words"),
    [
        ({"exempts": []}, ("exempts",), "unknown key"),
        ({"minimum_coverage": 101}, ("minimum_coverage",), "percentage"),
        ({"minimum_coverage": True}, ("minimum_coverage",), "percentage"),
        ({"schemas": "public"}, ("schemas",), "list of names"),
        ({"exempt": {}, "expected": {"a": 1}}, ("expected",), "must be a list"),
        ({"exempt": [{"table": "public.t"}]}, ("exempt", 0), "no reason"),
        ({"exempt": [{"reason": "x"}]}, ("exempt", 0), "neither"),
        ({"exempt": [{"table": "t", "reason": "x"}]}, ("exempt", 0, "table"), "schema"),
        ({"expected": [{"table": "s.t"}]}, ("expected", 0), "name, or a kind"),
        ({"expected": [{"name": "x"}]}, ("expected", 0), "no table"),
        ({"expected": [{"table": "s.t", "kind": "unik", "columns": ["a"]}]}, ("expected", 0, "kind"), "no kind"),
        ({"values": {"t.a": 1}}, ("values", "t.a"), "schema, table and column"),
        ({"values": {"s.t.a": {}}}, ("values", "s.t.a"), "a value"),
        ({"values": []}, ("values",), "mapping"),
    ],
)
def test_what_a_spec_file_may_not_say(section: dict[str, Any], where: tuple[str | int, ...], words: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse(from_data({"constraints": section}))
    assert refused.value.where == ("constraints", *where)
    assert words in str(refused.value)
