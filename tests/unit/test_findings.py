# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings, what follows from them, and the reports of them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._findings import (
    Annex,
    Control,
    Finding,
    Report,
    Severity,
    Status,
    by_reason,
    failure_message,
    label,
    natural,
    offending,
    ordered,
    passed,
    summary,
    to_json,
    verdict,
)
from ansible_collections.dbops.postgres.plugins.module_utils._findings_html import to_html
from ansible_collections.dbops.postgres.plugins.module_utils._findings_text import (
    subjects,
    table,
    to_junit,
    to_markdown,
    totals,
)


def finding(
    status: Status = Status.PASS,
    severity: Severity = Severity.HIGH,
    control: str = "S-4",
    subject: str = "ssl",
    host: str = "db1",
    evidence: str = "ssl = on",
) -> Finding:
    return Finding(control, subject, severity, status, evidence, "Do this.", ("CIS 6.8",), host=host)


def report(*findings: Finding, fail_on: str = "critical") -> Report:
    controls = tuple(
        Control(name, f"Title of {name}", Severity.HIGH) for name in dict.fromkeys(f.control for f in findings)
    )
    hosts = tuple(dict.fromkeys(f.host for f in findings))
    blind = (Control("B-1", "Backup", Severity.CRITICAL),)
    return Report("Readiness", "2027-01-31 12:00 UTC", hosts, controls, findings, fail_on, blind)


@pytest.mark.parametrize(
    ("statuses", "worst", "words"),
    [
        ([], Status.NOT_TESTED, "not tested"),
        ([Status.PASS], Status.PASS, "pass"),
        ([Status.NOT_APPLICABLE], Status.NOT_APPLICABLE, "not applicable"),
        ([Status.PASS, Status.NOT_APPLICABLE], Status.PASS, "pass"),
        ([Status.WAIVED], Status.WAIVED, "waived"),
        ([Status.PASS, Status.WAIVED], Status.WAIVED, "pass, 1 waived"),
        ([Status.PASS, Status.NOT_TESTED], Status.NOT_TESTED, "in part"),
        ([Status.NOT_TESTED, Status.NOT_APPLICABLE], Status.NOT_TESTED, "not tested"),
        ([Status.NOT_TESTED, Status.ERROR], Status.ERROR, "error"),
        ([Status.ERROR, Status.FAIL, Status.PASS], Status.FAIL, "fail"),
    ],
)
def test_the_verdict_is_the_worst_status(statuses: list[Status], worst: Status, words: str) -> None:
    findings = [finding(status) for status in statuses]
    assert verdict(findings) is worst
    assert label(findings) == words


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("severity", list(Severity))
def test_what_fails_the_task(status: Status, severity: Severity) -> None:
    found = [finding(status, severity)]
    bad = status in (Status.FAIL, Status.ERROR)
    assert not offending(found, "never")
    assert bool(offending(found, "critical")) is (bad and severity is Severity.CRITICAL)
    assert bool(offending(found, "high")) is (bad and severity is not Severity.MEDIUM)
    assert bool(offending(found, "medium")) is bad
    assert bool(failure_message(found, "high")) is bool(offending(found, "high"))


@pytest.mark.parametrize(
    ("statuses", "all_passed"),
    [
        ([], False),
        ([Status.PASS, Status.WAIVED, Status.NOT_APPLICABLE], True),
        ([Status.PASS, Status.NOT_TESTED], False),
        ([Status.PASS, Status.ERROR], False),
        ([Status.FAIL], False),
    ],
)
def test_only_what_was_looked_at_passes(statuses: list[Status], all_passed: bool) -> None:
    assert passed([finding(status) for status in statuses]) is all_passed


def test_the_message_names_controls_and_hosts() -> None:
    bad = [
        finding(Status.FAIL, Severity.CRITICAL, host=host, control=c)
        for c, host in (("S-4", "a"), ("S-4", "b"), ("S-6", "a"))
    ]
    assert failure_message(bad, "critical") == (
        "3 critical finding(s) failed or could not be looked at: S-4 on a, b; S-6 on a. Nothing was changed."
    )


def test_a_person_counts_numbers() -> None:
    assert sorted(("3.1.10", "3.1.9", "10", "3.2", "a"), key=natural) == ["3.1.9", "3.1.10", "3.2", "10", "a"]


def test_what_says_the_same_about_a_host_is_one_group() -> None:
    down = [finding(Status.ERROR, subject=s, evidence="down") for s in ("a", "b")]
    other = finding(Status.ERROR, host="db2", evidence="down")
    assert [[f.subject for f in group] for group in by_reason([*down, other])] == [["a", "b"], ["ssl"]]


def test_a_group_of_many_subjects_is_counted_by_control() -> None:
    few = [finding(Status.ERROR, subject=str(number)) for number in range(2)]
    assert subjects(few) == "S-4 0, S-4 1"
    many = [finding(Status.ERROR, subject=str(number), control=f"S-{number % 2}") for number in range(9)]
    assert subjects(many) == "9 subjects of S-0 (5), S-1 (4)"


_TEXT = st.text(max_size=40)
_FINDINGS = st.builds(
    Finding,
    control=_TEXT,
    subject=_TEXT,
    severity=st.sampled_from(Severity),
    status=st.sampled_from(Status),
    evidence=_TEXT,
    remedy=_TEXT,
    benchmarks=st.tuples(_TEXT),
    title=_TEXT,
    host=_TEXT,
    waiver=_TEXT,
    expires=_TEXT,
)


@given(_FINDINGS)
def test_a_finding_survives_the_journey_through_a_module(one: Finding) -> None:
    assert Finding.from_dict(json.loads(json.dumps(one.as_dict()))) == one


@given(st.lists(_FINDINGS, max_size=5))
def test_order_depends_on_the_findings_alone(findings: list[Finding]) -> None:
    assert [f.as_dict() for f in ordered(findings)] == [f.as_dict() for f in ordered(reversed(ordered(findings)))]


class _Page(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _value in attrs]
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.text += data


_EVIL = '<script src="//x">alert(1)</script>"\'&<!--'


def _evil() -> Report:
    one = Finding(
        _EVIL, _EVIL, Severity.CRITICAL, Status.FAIL, _EVIL, _EVIL, (_EVIL,), _EVIL, _EVIL, _EVIL, _EVIL,
    )  # fmt: skip
    others = [Finding(**{**one.__dict__, "status": status}) for status in Status]
    control = Control(_EVIL, _EVIL, Severity.CRITICAL, _EVIL, _EVIL, _EVIL)
    annex = Annex(_EVIL, (_EVIL,), ((_EVIL,),))
    return Report(_EVIL, _EVIL, (_EVIL,), (control,), tuple(others), "critical", (control,), (annex,))


def _page(text: str) -> _Page:
    page = _Page()
    page.feed(text)
    page.close()
    return page


_TAGS = (
    {"html", "head", "meta", "title", "style", "body", "main", "header", "section", "article", "footer", "details"}
    | {"h1", "h2", "h3", "p", "ul", "li", "b", "span", "a", "svg", "g", "rect", "text", "summary", "div"}
    | {"table", "thead", "tbody", "tr", "th", "td"}
)


def test_nothing_of_the_data_becomes_markup() -> None:
    page = _page(to_html(_evil()))
    assert set(page.tags) <= _TAGS
    assert not [name for name in page.attributes if name.startswith("on")]
    assert all(link.startswith("#") for link in page.links)
    assert "alert(1)" in page.text


@given(st.lists(_FINDINGS, min_size=1, max_size=4), _TEXT)
def test_any_text_is_escaped_in_html(findings: list[Finding], title: str) -> None:
    controls = tuple(Control(name, title, Severity.HIGH, title) for name in dict.fromkeys(f.control for f in findings))
    whole = Report(
        title, title, tuple(dict.fromkeys(f.host for f in findings)), controls, tuple(findings), "high", controls,
        (Annex(title, (title,), ((title,),)),),
    )  # fmt: skip
    text = to_html(whole)
    assert set(_page(text).tags) <= _TAGS
    for name in ("summary", "details", "table", "section", "svg", "article"):
        assert text.count(f"<{name}") == text.count(f"</{name}>")


def test_the_page_needs_nothing_else() -> None:
    text = to_html(report(finding(), finding(Status.FAIL)))
    for foreign in ("http:", "https:", "<script", "<link", "@import", "url("):
        assert foreign not in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert 'name="viewport"' in text


@given(st.lists(_FINDINGS, min_size=1, max_size=4))
def test_any_text_gives_well_formed_junit(findings: list[Finding]) -> None:
    root = ET.fromstring(to_junit(report(*findings)))  # noqa: S314 - our own output
    cases = root.findall(".//testcase")
    assert len(cases) == len(findings)
    assert len(root.findall(".//failure")) == summary(findings)["fail"]
    assert len(root.findall(".//error")) == summary(findings)["error"]


def test_junit_counts_what_was_not_tested_as_skipped() -> None:
    every = [finding(status, subject=status.value) for status in Status]
    suite = ET.fromstring(to_junit(report(*every))).find("testsuite")  # noqa: S314 - our own output
    assert suite is not None
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "1", "errors": "1", "skipped": "3"}


@given(st.lists(_FINDINGS, min_size=1, max_size=4))
def test_any_text_stays_inside_its_line_of_markdown(findings: list[Finding]) -> None:
    text = to_markdown(report(*findings))
    assert "<" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| control")]
    assert len(rows) == len({f.control for f in findings})


def test_markdown_says_what_failed_and_what_nobody_looked_at() -> None:
    text = to_markdown(report(finding(Status.FAIL, evidence="a | b"), finding(Status.NOT_TESTED, subject="x")))
    assert "## Failed" in text
    assert r"a \| b" in text
    assert "Remedy: Do this." in text
    assert "## Not tested" in text
    assert "1 controls, not counted as passed: B-1 Backup." in text


def test_json_has_a_version_and_every_verdict() -> None:
    data = json.loads(to_json(report(finding(Status.FAIL, Severity.CRITICAL))))
    assert data["schema_version"] == 1
    assert data["failed"] is True
    assert data["passed"] is False
    assert data["hosts"] == [{"name": "db1", "verdicts": {"S-4": "fail"}}]
    assert [(c["id"], c["probed"]) for c in data["controls"]] == [("S-4", True), ("B-1", False)]


def test_reports_are_a_function_of_their_data() -> None:
    one = report(finding(Status.FAIL), finding(control="S-6"))
    for writer in (to_html, to_json, to_junit, to_markdown):
        assert writer(one) == writer(report(finding(Status.FAIL), finding(control="S-6")))


def test_the_table_of_a_terminal() -> None:
    lines = table(report(finding(Status.FAIL), finding(subject="x"), finding(Status.PASS, host="db2", control="S-6")))
    assert [line.split() for line in lines[2:4]] == [
        ["S-4", "Title", "of", "S-4", "H", "FAIL", "1/2", "not", "tested"],
        ["S-6", "Title", "of", "S-6", "H", "not", "tested", "pass"],
    ]
    assert lines[0].index("db2") == lines[2].index("not tested") == lines[3].index("pass")
    assert lines[-1] == "no probe yet for 1 further controls, not counted as passed"


def test_totals_leave_zeroes_out() -> None:
    assert totals(report(finding(), finding(Status.FAIL), finding())) == "1 fail, 2 pass"
