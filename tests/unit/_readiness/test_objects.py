# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""L-1: a truth table of buckets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import check, objects
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import PROBES
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Bucket, Thresholds, Unseen
from tests.unit._readiness.good import good

RULES: tuple[dict[str, Any], ...] = (
    {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "exports/"}, "Expiration": {"Days": 30}},
    {"ID": "b", "Status": "Enabled", "Filter": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
    {"ID": "c", "Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 9}},
)
GOOD = Bucket("documents", RULES, public_blocked=True, encryption="AES256", versioned=True)


def findings(*buckets: Bucket) -> dict[str, Finding]:
    found = check.judged(replace(good(), buckets=buckets), Thresholds(), check.select(["L-1"], []))
    return {item.subject.partition(", ")[0]: item for item in found}


def test_a_good_bucket_passes() -> None:
    found = findings(GOOD)
    assert {item.status for item in found.values()} == {Status.PASS}
    assert found["expiry"].evidence == "exports/ after 30 days"


DEFECTS = [
    (replace(GOOD, rules=RULES[1:]), "expiry", "none of which deletes"),
    (replace(GOOD, rules=({**RULES[0], "Status": "Disabled"},)), "expiry", "0 enabled"),
    (replace(GOOD, rules=RULES[:1]), "uploads that were cut off", "for ever"),
    (replace(GOOD, public_blocked=False), "public access", "not blocked"),
    (replace(GOOD, encryption=""), "encryption of objects", "none by default"),
    (replace(GOOD, rules=RULES[:2]), "versioning", "stay for ever"),
]


@pytest.mark.parametrize(("bucket", "subject", "says"), DEFECTS)
def test_each_defect_is_found(bucket: Bucket, subject: str, says: str) -> None:
    found = findings(bucket)[subject]
    assert found.status is Status.FAIL
    assert says in found.evidence


def test_every_probe_can_fail() -> None:
    assert {item.subject for item in PROBES if item.control == "L-1"} == {subject for _b, subject, _s in DEFECTS}


def test_a_bucket_that_cannot_be_asked_is_an_error() -> None:
    unseen = Bucket("documents", Unseen(Status.ERROR, "AccessDenied"))
    assert {item.status for item in findings(unseen).values()} == {Status.ERROR}


def test_without_a_named_bucket_nothing_is_tested() -> None:
    seen = objects.observe([])
    assert isinstance(seen, Unseen)
    assert seen.status is Status.NOT_TESTED


def test_what_its_server_does_not_know_is_not_judged() -> None:
    found = findings(Bucket("documents", RULES))
    assert found["public access"].status is Status.NOT_APPLICABLE
    assert found["encryption of objects"].status is Status.NOT_APPLICABLE
