# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules: what is refused, what is written, and that what was written is found again as it was declared."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._lifecycle.document import read, written
from ansible_collections.dbops.postgres.plugins.module_utils._lifecycle.plan import plan
from ansible_collections.dbops.postgres.plugins.module_utils._lifecycle.spec import (
    CLASSES,
    LifecycleSpec,
    Rule,
    Transition,
    parse,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

TODAY = datetime.date(2026, 11, 24)
EMPTY: dict[str, Any] = dict.fromkeys(
    [
        *("prefix", "tags", "size_over", "size_under", "expire_days", "expire_date", "expire_delete_markers"),
        *("noncurrent_days", "noncurrent_keep", "abort_days", "transitions", "noncurrent_transitions"),
    ]
)


def rule(**given: Any) -> dict[str, Any]:
    return {**EMPTY, "id": "a", "enabled": True, **given}


def spec(*rules: dict[str, Any], exact: bool = False, absent: tuple[str, ...] = (), **retention: int) -> LifecycleSpec:
    kept = [{"prefix": prefix.replace("_", "/"), "days": days} for prefix, days in retention.items()]
    params = {"bucket": "b", "rules": rules, "exact": exact, "absent": list(absent), "retention": kept}
    return parse(params, TODAY)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([rule(expire_days=1), rule(abort_days=1)], "Two rules have the ID 'a'"),
        ([rule(expire_days=0)], "expire_days is 0"),
        ([rule(abort_days=-1)], "abort_days is -1"),
        ([rule()], "does nothing"),
        ([rule(expire_days=1, expire_date="2027-01-01")], "expire_days and expire_date"),
        ([rule(expire_date="1.1.2027")], "expire_date is '1.1.2027'"),
        ([rule(expire_delete_markers=True, tags={"a": "b"})], "S3 refuses that"),
        ([rule(abort_days=1, tags={"a": "b"})], "S3 refuses that"),
        ([rule(expire_days=1, noncurrent_keep=3)], "noncurrent_keep without"),
        ([rule(expire_days=9, size_over=9, size_under=9)], "no object is of more than 9"),
        ([rule(expire_days=30, transitions=[{"days": 30, "storage_class": "GLACIER"}])], "deleted after 30"),
        ([rule(transitions=[{"days": 1, "storage_class": "CELLAR"}])], "unknown storage class 'CELLAR'"),
        (
            [rule(transitions=[{"days": 1, "storage_class": "GLACIER"}, {"days": 9, "storage_class": "STANDARD_IA"}])],
            "transitions go back",
        ),
        ([rule(id=f"r{number}", expire_days=1) for number in range(1001)], "There are 1001 rules"),
    ],
)
def test_what_is_refused(rules: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(DbopsError, match=said):
        spec(*rules)


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"prefix": "invoices/2026/", "expire_days": 30}, True),
        ({"prefix": "", "expire_days": 30}, True),
        ({"prefix": "", "expire_date": "2026-12-01"}, True),
        ({"prefix": "invoices/", "noncurrent_days": 30}, True),
        ({"prefix": "invoices/", "expire_days": 3650}, False),
        ({"prefix": "exports/", "expire_days": 30}, False),
        ({"prefix": "invoices/", "abort_days": 1}, False),
        ({"prefix": "invoices/", "expire_days": 30, "enabled": False}, False),
    ],
)
def test_what_the_law_wants_kept(given: dict[str, Any], refused: bool) -> None:
    if refused:
        with pytest.raises(DbopsError, match="the law wants 3650"):
            spec(rule(**given), invoices_=3650)
    else:
        spec(rule(**given), invoices_=3650)


def test_own_rules_or_all() -> None:
    foreign = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 9}}
    declared = rule(expire_days=30)
    made = plan(spec(declared), [foreign])
    assert made.actions == ("add rule a",)
    assert made.after[0] is foreign
    assert plan(spec(declared), made.after).actions == ()
    assert plan(spec(declared, exact=True), [foreign]).actions == ("remove rule theirs", "add rule a")
    assert plan(spec(absent=("theirs",)), [foreign]).after == ()
    assert plan(spec(rule(expire_days=31)), made.after).actions == ("change rule a",)


def test_a_rule_that_cannot_be_declared_is_another_one() -> None:
    strange = {"ID": "a", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 30}, "Novelty": 1}
    assert read(strange) is None
    assert plan(spec(rule(expire_days=30)), [strange]).actions == ("change rule a",)


TEXT = st.text("abcdefgh/", max_size=8)
TRANSITIONS = st.lists(st.sampled_from(CLASSES), unique=True, max_size=3).map(
    lambda names: tuple(
        Transition(30 * number, name) for number, name in enumerate(sorted(names, key=CLASSES.index), 1)
    )
)
RULES = st.builds(
    Rule,
    id=st.text("abc", min_size=1, max_size=5),
    enabled=st.booleans(),
    prefix=TEXT,
    tags=st.dictionaries(st.text("xyz", min_size=1), TEXT, max_size=3).map(lambda tags: tuple(sorted(tags.items()))),
    size_over=st.integers(0, 10**6),
    size_under=st.integers(0, 10**6),
    expire_days=st.integers(0, 400),
    noncurrent_days=st.integers(1, 400),
    noncurrent_keep=st.integers(0, 100),
    abort_days=st.integers(0, 30),
    transitions=TRANSITIONS,
    noncurrent_transitions=TRANSITIONS,
)


@given(RULES)
def test_what_was_written_is_found_again_as_it_was_declared(declared: Rule) -> None:
    assert read(written(declared)) == declared


def test_a_date_is_the_same_in_every_time_zone() -> None:
    declared = Rule("a", expire_date="2027-01-31")
    there = written(declared)
    there["Expiration"]["Date"] = there["Expiration"]["Date"].astimezone(
        datetime.timezone(datetime.timedelta(hours=-5))
    )
    assert read(there) == declared
