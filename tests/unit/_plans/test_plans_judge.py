# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan says, and whether it keeps to its limits."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plans.explain import Explained, drawn, read
from ansible_collections.dbops.postgres.plugins.module_utils._plans.judge import judge, measured
from ansible_collections.dbops.postgres.plugins.module_utils._plans.report import markdown
from ansible_collections.dbops.postgres.plugins.module_utils._plans.spec import Limits, Query
from ansible_collections.dbops.postgres.plugins.module_utils._plans.state import Candidate, Observed, Tried


def node(kind: str, *plans: dict[str, Any], **more: Any) -> dict[str, Any]:
    names = {"estimated": "Plan Rows", "rows": "Actual Rows", "loops": "Actual Loops", "table": "Relation Name"}
    names |= {"index": "Index Name", "removed": "Rows Removed by Filter", "cost": "Total Cost"}
    data: dict[str, Any] = {"Node Type": kind, "Total Cost": 50.0, "Plan Rows": 1000, "Actual Rows": 1000}
    data |= {"Actual Loops": 1, "Plans": list(plans)} | {names[key]: value for key, value in more.items()}
    return data | ({"Schema": "public"} if "table" in more else {})


def plan(top: dict[str, Any], ms: float = 1.0) -> Explained:
    return read([{"Plan": {**top, "Shared Hit Blocks": 3, "Shared Read Blocks": 4}, "Execution Time": ms}])


def seen(top: dict[str, Any] | None, limits: Limits, **more: Any) -> Observed:
    explained = plan(top) if top else None
    tried = Tried(Query("q", "SELECT 1", limits=limits), explained, "" if top else "no such column (SQLSTATE 42703)")
    return Observed((tried,), **{"rows": {("public", "t"): 50_000}, "indexes": frozenset({"i", "above"}), **more})


def verdict(observed: Observed, **more: Any) -> Finding:
    (finding,) = judge(observed, **more)
    return finding


INDEX_SCAN = node("Index Scan", table="t", index="i")
SEQ_SCAN = node("Seq Scan", table="t")


@pytest.mark.parametrize(
    ("top", "limits", "status"),
    [
        (INDEX_SCAN, Limits(("i",)), Status.PASS),
        (INDEX_SCAN, Limits(("public.i",)), Status.PASS),
        (INDEX_SCAN, Limits(("j", "i")), Status.PASS),
        (INDEX_SCAN, Limits(("above",)), Status.FAIL),
        (node("Index Scan", table="u", index="i", rows=0), Limits(("i",)), Status.NOT_TESTED),
        (SEQ_SCAN, Limits(("i",)), Status.FAIL),
        (node("Index Scan", table="t", index="i", loops=0), Limits(("i",)), Status.FAIL),
        (SEQ_SCAN, Limits(no_seq_scan_over_rows=49_999), Status.FAIL),
        (SEQ_SCAN, Limits(no_seq_scan_over_rows=50_000), Status.PASS),
        (node("Seq Scan", table="t", loops=0), Limits(no_seq_scan_over_rows=1), Status.PASS),
        (INDEX_SCAN, Limits(no_seq_scan_over_rows=1), Status.PASS),
        (node("Append", SEQ_SCAN), Limits(no_seq_scan_over_rows=1), Status.FAIL),
        (node("Seq Scan", table="u", rows=7), Limits(no_seq_scan_over_rows=5), Status.FAIL),
        (node("Seq Scan", table="u", rows=7), Limits(no_seq_scan_over_rows=9), Status.NOT_TESTED),
        (
            node("Join", SEQ_SCAN, node("Seq Scan", table="u", rows=0)),
            Limits(no_seq_scan_over_rows=60_000),
            Status.NOT_TESTED,
        ),
        (node("Seq Scan", table="u", rows=0), Limits(max_rows_removed=9), Status.NOT_TESTED),
        (node("Seq Scan", table="u", rows=0), Limits(max_cost=9), Status.NOT_TESTED),
        (node("Seq Scan", table="u", rows=0), Limits(max_ms=9), Status.NOT_TESTED),
        (node("Seq Scan", table="u", rows=0), Limits(max_estimate_factor=9), Status.NOT_TESTED),
        (node("Seq Scan", removed=10, loops=3), Limits(max_rows_removed=29), Status.FAIL),
        (node("Seq Scan", removed=10, loops=3), Limits(max_rows_removed=30), Status.PASS),
        (node("Sort", cost=10.5), Limits(max_cost=10), Status.FAIL),
        (node("Sort", cost=10), Limits(max_cost=10), Status.PASS),
        (SEQ_SCAN, Limits(max_ms=0.5), Status.FAIL),
        (SEQ_SCAN, Limits(max_ms=1), Status.PASS),
        (node("Sort", estimated=100, rows=1100), Limits(max_estimate_factor=10), Status.FAIL),
        (node("Sort", estimated=1100, rows=100), Limits(max_estimate_factor=10), Status.FAIL),
        (node("Sort", estimated=100, rows=1000), Limits(max_estimate_factor=10), Status.PASS),
        (node("Sort", estimated=1, rows=99), Limits(max_estimate_factor=10), Status.PASS),
        (node("Sort", estimated=100, rows=0, loops=0), Limits(max_estimate_factor=10), Status.PASS),
        (
            node("Limit", node("Sort", estimated=10_000, rows=1), estimated=1, rows=1),
            Limits(max_estimate_factor=10),
            Status.PASS,
        ),
        (None, Limits(max_ms=1), Status.ERROR),
    ],
)
def test_limits(top: dict[str, Any] | None, limits: Limits, status: Status) -> None:
    finding = verdict(seen(top, limits))
    assert finding.status is status
    assert finding.evidence
    assert bool(finding.remedy) is (status is not Status.PASS)


def test_the_index_of_a_partition_is_that_of_its_table() -> None:
    assert verdict(seen(INDEX_SCAN, Limits(("above",)), ancestors={"i": ("above",)})).status is Status.PASS


def test_an_index_that_is_not_there_is_said() -> None:
    assert "There is no index gone" in verdict(seen(INDEX_SCAN, Limits(("gone",)))).evidence


def test_no_query_is_no_pass() -> None:
    finding = verdict(Observed(candidates=(Candidate("SELECT 1", 5, 2.0, 10.0, 5),)))
    assert finding.status is Status.NOT_TESTED
    assert "1 that take most of the time" in finding.evidence


@pytest.mark.parametrize(
    ("before", "status"),
    [
        ({"cost": 500, "blocks": 700, "removed": 0}, Status.PASS),
        ({"cost": 1000, "blocks": 700, "removed": 0, "indexes": ["i"]}, Status.PASS),
        ({"cost": 400, "blocks": 7}, Status.FAIL),
        ({"cost": 700, "blocks": 7}, Status.PASS),
        (None, Status.NOT_TESTED),
    ],
)
def test_the_baseline(before: Any, status: Status) -> None:
    observed = seen(node("Seq Scan", table="t", cost=700), Limits())
    assert verdict(observed, baseline={"q": before} if before else {}).status is status


def test_cheap_plans_may_become_dearer() -> None:
    observed = seen(node("Seq Scan", cost=90), Limits())
    assert verdict(observed, baseline={"q": {"cost": 1}}).status is Status.PASS


def test_what_is_measured() -> None:
    assert measured(seen(INDEX_SCAN, Limits())) == {
        "q": {"cost": 50.0, "ms": 1.0, "blocks": 7, "removed": 0.0, "indexes": ["i"]}
    }
    assert measured(seen(None, Limits())) == {}


def test_the_report_cannot_be_broken_out_of() -> None:
    tried = Tried(Query("a|b <script>", "SELECT '```'", limits=Limits(max_ms=5)), plan(INDEX_SCAN), "", ("noisy",))
    observed = Observed((tried,), generated={"public.t": 5}, candidates=(Candidate("SELECT `x` | 1", 1, 1.0, 1.0, 1),))
    text = markdown("shop", observed, judge(observed), {"a|b <script>": {"cost": 10, "ms": 1.0}})
    assert "<script>" not in text
    assert "a\\|b" in text
    assert "| 10.00 → 50.00 |" in text
    assert "SELECT '''''" in text
    assert "calls noisy" in text
    assert "Rows made for this, and rolled back: public.t 5." in text


def test_a_plan_as_lines() -> None:
    top = node("Nested Loop", INDEX_SCAN, node("Seq Scan", table="u", loops=0), node("Sort", removed=2, loops=3))
    assert [line.split("  (")[0] for line in drawn(plan(top))] == [
        "Nested Loop",
        "  Index Scan using i on public.t",
        "  Seq Scan on public.u",
        "  Sort",
    ]
