# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waivers: what they cover, when they end, which are refused."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import check
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Thresholds
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.waivers import apply, parse, unused
from tests.unit._readiness.good import set_to

TODAY = datetime.date(2027, 1, 31)


def finding(status: Status = Status.FAIL, control: str = "S-9", subject: str = "3.1.23") -> Finding:
    return Finding(control, subject, Severity.HIGH, status, "log_hostname = on")


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"id": "S-9", "reason": "why"}, Status.WAIVED),
        ({"id": "S-9", "subject": "3.1.23", "reason": "why"}, Status.WAIVED),
        ({"id": "S-9", "subject": "3.1.*", "reason": "why"}, Status.WAIVED),
        ({"id": "S-9", "subject": "3.1.2", "reason": "why"}, Status.FAIL),
        ({"id": "O-3", "reason": "why"}, Status.FAIL),
        ({"id": "S-9", "reason": "why", "expires": "2027-01-31"}, Status.WAIVED),  # the last day counts
        ({"id": "S-9", "reason": "why", "expires": "2027-01-30"}, Status.FAIL),
    ],
)
def test_what_a_waiver_covers(given: dict[str, Any], status: Status) -> None:
    (judged,) = apply([finding()], parse([given]), TODAY)
    assert judged.status is status


def test_an_expired_waiver_says_so() -> None:
    (judged,) = apply([finding()], parse([{"id": "S-9", "reason": "why", "expires": "2027-01-30"}]), TODAY)
    assert judged.evidence == "log_hostname = on (its waiver expired on 2027-01-30)"


def test_one_that_holds_counts_more_than_one_that_expired() -> None:
    given = [{"id": "S-9", "reason": "old", "expires": "2027-01-30"}, {"id": "S-9", "reason": "new"}]
    (judged,) = apply([finding()], parse(given), TODAY)
    assert (judged.status, judged.waiver) == (Status.WAIVED, "new")


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.FAIL])
def test_only_a_failure_can_be_waived(status: Status) -> None:
    (judged,) = apply([finding(status)], parse([{"id": "S-9", "reason": "why"}]), TODAY)
    assert judged.status is status
    assert judged.waiver == ""


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"id": "X-1", "reason": "why"}, "X-1"),
        ({"id": "S-9", "reason": "  "}, "without a reason"),
        ({"id": "S-9", "reason": "why", "expires": "31.01.2027"}, "31.01.2027"),
        ({"id": "S-4", "reason": "why"}, "critical control S-4"),
    ],
)
def test_a_bad_waiver_is_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(DbopsError, match=named):
        parse([given])


def test_waivers_that_nothing_needs_are_named() -> None:
    accepted = parse([{"id": "S-9", "reason": "why"}, {"id": "O-3", "subject": "connections", "reason": "why"}])
    assert unused([finding(Status.WAIVED)], accepted) == ["O-3 connections"]


def test_a_waived_answer_waives_the_recommendation_too() -> None:
    accepted = parse([{"id": "S-4", "subject": "ssl", "reason": "behind a tunnel", "expires": "2027-12-31"}])
    findings = check.judged(set_to(ssl="off"), Thresholds(), check.select(["S-9"], []), accepted, TODAY)
    (answer,) = [f for f in findings if f.subject == "6.8"]
    assert (answer.status, answer.waiver, answer.expires) == (Status.WAIVED, "behind a tunnel", "2027-12-31")


@pytest.mark.parametrize(
    ("controls", "skip", "named"), [(["X-1"], [], "X-1"), ([], ["X-2"], "X-2"), (["B-3"], [], "B-3")]
)
def test_an_unknown_control_is_refused(controls: list[str], skip: list[str], named: str) -> None:
    with pytest.raises(DbopsError, match=named):
        check.select(controls, skip)


def test_skipping_a_control_without_a_probe_is_harmless() -> None:
    assert [control.id for control in check.select(["S-4", "S-6"], ["S-6", "B-3"])] == ["S-4"]
