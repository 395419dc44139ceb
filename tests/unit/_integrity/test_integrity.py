# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section integrity of a spec file, and what is said about what was seen."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.judge import judge
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.spec import (
    Assertion,
    Reference,
    Spec,
    parse,
)
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.state import (
    Amcheck,
    Asserted,
    Constraint,
    Observed,
    Referred,
    Sequence,
)
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError

TARGET = {"table": "auth.Users", "columns": ["id"], "database": "auth_db", "host": "db2", "port": 6432}


def test_a_section_with_everything() -> None:
    spec = parse(
        {
            "assertions": [
                {"name": "a", "sql": "-- why\nSELECT 1;", "role": "r", "severity": "critical", "show_rows": 3}
            ],
            "references": [{"table": "Payments", "columns": ["userId"], "target": TARGET}],
            "sequence_percent": 70,
            "ignore": ["public.old_*"],
        }
    )
    assert spec.assertions == (Assertion("a", "-- why\nSELECT 1", "r", Severity.CRITICAL, 3),)
    name = "public.Payments(userId) -> auth.Users"
    target = (("auth", "Users"), ("id",), "auth_db", "db2", 6432)
    assert spec.references == (Reference(name, ("public", "Payments"), ("userId",), *target),)
    assert (spec.sequence_percent, spec.ignore) == (70, ("public.old_*",))


GOOD: dict[str, Any] = {"name": "a", "sql": "SELECT 1"}
REFERS: dict[str, Any] = {"table": "t", "columns": ["u"], "target": {"table": "u", "columns": ["id"]}}


@pytest.mark.parametrize(
    ("section", "where"),
    [
        ({"assertion": []}, ("assertion",)),
        ({"assertions": {}}, ("assertions",)),
        ({"assertions": ["SELECT 1"]}, ("assertions", 0)),
        ({"assertions": [{"sql": "SELECT 1"}]}, ("assertions", 0, "name")),
        ({"assertions": [{"name": "a"}]}, ("assertions", 0, "sql")),
        ({"assertions": [{**GOOD, "sql": "DELETE FROM t"}]}, ("assertions", 0, "sql")),
        ({"assertions": [{**GOOD, "sql": "SELECT 1; COMMIT"}]}, ("assertions", 0, "sql")),
        ({"assertions": [{**GOOD, "severity": "low"}]}, ("assertions", 0, "severity")),
        ({"assertions": [{**GOOD, "show_rows": 21}]}, ("assertions", 0, "show_rows")),
        ({"assertions": [GOOD, GOOD]}, ("assertions", 1, "name")),
        ({"references": [{**REFERS, "table": "a.b.c"}]}, ("references", 0, "table")),
        ({"references": [{**REFERS, "columns": []}]}, ("references", 0, "columns")),
        ({"references": [{**REFERS, "columns": ["u", "v"]}]}, ("references", 0, "target", "columns")),
        ({"references": [{**REFERS, "target": "u"}]}, ("references", 0, "target")),
        ({"references": [{**REFERS, "target": {**TARGET, "port": 99999}}]}, ("references", 0, "target", "port")),
        ({"references": [{**REFERS, "target": {**TARGET, "user": "x"}}]}, ("references", 0, "target", "user")),
        ({"references": [REFERS, REFERS]}, ("references", 1, "name")),
        ({"sequence_percent": 0}, ("sequence_percent",)),
        ({"ignore": [1]}, ("ignore", 0)),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(section: dict[str, Any], where: tuple[Any, ...]) -> None:
    with pytest.raises(SpecError) as raised:
        parse(section)
    assert raised.value.where == ("integrity", *where)


SOUND = Amcheck(indexes=3)
NOTHING = Spec()


def said(title: str, spec: Spec = NOTHING, **seen: Any) -> Finding:
    found = judge(Observed(**{"amcheck": SOUND, "counted": (4, 3, 2), **seen}), spec)
    (finding,) = [item for item in found if item.title == title]
    return finding


def test_a_good_database_passes_every_rule() -> None:
    found = judge(Observed(amcheck=SOUND, counted=(4, 3, 2)), Spec())
    assert {item.status for item in found} == {Status.PASS}
    assert len(found) == 7
    assert said("constraint not valid", counted=(4, 3, 2)).evidence == "None: 4 constraints looked at."


ASSERTION = Assertion("a", "SELECT 1", severity=Severity.MEDIUM)
REFERENCE = Reference("r", ("app", "t"), ("u",), ("app", "u"), ("id",), "auth_db")


@pytest.mark.parametrize(
    ("title", "seen", "status", "text"),
    [
        ("assertion", {"asserted": (Asserted(ASSERTION),)}, Status.PASS, "no row"),
        ("assertion", {"asserted": (Asserted(ASSERTION, 3),)}, Status.FAIL, "3 row(s)."),
        ("assertion", {"asserted": (Asserted(ASSERTION, 1000),)}, Status.FAIL, "1000 or more"),
        ("assertion", {"asserted": (Asserted(ASSERTION, problem="no such column"),)}, Status.ERROR, "no such column"),
        ("logical reference", {"referred": (Referred(REFERENCE, 5),)}, Status.PASS, "0 of 5"),
        ("logical reference", {"referred": (Referred(REFERENCE, 5, 2),)}, Status.FAIL, "not in app.u in auth_db"),
        ("logical reference", {"referred": (Referred(REFERENCE, problem="down"),)}, Status.ERROR, "down"),
        ("constraint not valid", {"constraints": (Constraint("t", "c", False, 0),)}, Status.FAIL, "NOT VALID"),
        ("constraint disabled", {"constraints": (Constraint("t", "c", True, 2),)}, Status.FAIL, "2 of the triggers"),
        ("invalid index", {"invalid_indexes": (("app.i", "REINDEX"),)}, Status.FAIL, "does not use it"),
        ("checksums", {"checksums": False, "checksum_failures": None}, Status.FAIL, "data_checksums = off"),
        ("checksum failures", {"checksums": False, "checksum_failures": None}, Status.NOT_TESTED, "not noticed"),
        ("checksum failures", {"checksum_failures": 2, "last_failure": "today"}, Status.FAIL, "2, the last at today"),
        ("amcheck", {"amcheck": None}, Status.NOT_TESTED, "not asked for"),
        ("amcheck", {"amcheck": Amcheck(blind="not installed", remedy="x")}, Status.NOT_TESTED, "not installed"),
        ("amcheck", {"amcheck": Amcheck(1, 0, (("i", "bad (SQLSTATE XX002)"),))}, Status.FAIL, "bad"),
        ("amcheck", {"amcheck": Amcheck(1, 0, (("i", "timeout (SQLSTATE 57014)"),))}, Status.ERROR, "timeout"),
    ],
)
def test_rules(title: str, seen: dict[str, Any], status: Status, text: str) -> None:
    finding = said(title, **seen)
    assert finding.status is status
    assert text in finding.evidence
    assert finding.remedy or status in (Status.PASS, Status.NOT_TESTED)


INT4 = 2**31 - 1
INT8 = 2**63 - 1


@pytest.mark.parametrize(
    ("sequence", "status"),
    [
        (Sequence("s", None, 1, INT4), Status.PASS),
        (Sequence("s", INT4 * 79 // 100, 1, INT4), Status.PASS),
        (Sequence("s", INT4 * 81 // 100, 1, INT4), Status.FAIL),
        (Sequence("s", INT4, 1, INT8, column="t.id", column_end=INT8), Status.PASS),
        (Sequence("s", INT4, 1, INT8, column="t.id", column_end=INT4), Status.FAIL),
        (Sequence("s", 90, 1, 100, cycles=True), Status.PASS),
        (Sequence("s", INT4, 1, INT8, cycles=True, column="t.id", column_end=INT4), Status.FAIL),
        (Sequence("s", -90, -1, -100), Status.FAIL),
        (Sequence("s", -50, -1, -100), Status.PASS),
        (Sequence("s", 1, 1, 1), Status.FAIL),
        (Sequence("s", None, 1, 100, readable=False), Status.ERROR),
    ],
)
def test_sequences(sequence: Sequence, status: Status) -> None:
    assert said("sequence near its end", sequences=(sequence,)).status is status


def test_what_is_ignored_is_not_said_but_errors_are() -> None:
    spec = Spec(ignore=("app.*",))
    ignored = said("invalid index", spec, invalid_indexes=(("app.i", "REINDEX"),))
    assert ignored.status is Status.PASS
    assert ignored.evidence == "None besides what the spec file ignores: 3 indexes looked at."
    damaged = said("amcheck", spec, amcheck=Amcheck(2, problems=(("app.i", "invariant violated (SQLSTATE XX002)"),)))
    assert damaged.evidence == "None besides what the spec file ignores: 2 other btree indexes looked at."
    unreadable = Sequence("app.s", None, 1, 100, readable=False)
    assert said("sequence near its end", spec, sequences=(unreadable,)).status is Status.ERROR
