# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""L-1 object expiry: what the named buckets delete by themselves, and who cannot read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Outcome,
    fails,
    holds,
    irrelevant,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Bucket,
    Observed,
    Thresholds,
    look,
)


def _said(rule: Mapping[str, Any]) -> str:
    chosen = rule.get("Filter") or {}
    prefix = (chosen.get("And") or chosen).get("Prefix") or rule.get("Prefix") or "all"
    expiry = rule["Expiration"]
    return (
        f"{prefix} after {expiry['Days']} days" if "Days" in expiry else f"{prefix} at {str(expiry.get('Date'))[:10]}"
    )


@probe("L-1", "expiry")
def objects_expire(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    for bucket in look(seen.buckets):
        rules = [rule for rule in look(bucket.rules) if rule.get("Status") == "Enabled"]
        expiring = [_said(rule) for rule in rules if {"Days", "Date"} & set(rule.get("Expiration", {}))]
        yield holds(
            bool(expiring),
            f"expiry, {bucket.name}",
            "; ".join(expiring) if expiring else f"{len(rules)} enabled rule(s), none of which deletes objects",
            "Role object_expiry: rules by prefix.",
        )


@probe("L-1", "uploads that were cut off")
def cut_uploads_are_removed(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    for bucket in look(seen.buckets):
        enabled = [rule for rule in look(bucket.rules) if rule.get("Status") == "Enabled"]
        days = [
            rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
            for rule in enabled
            if rule.get("AbortIncompleteMultipartUpload")
        ]
        yield holds(
            bool(days),
            f"uploads that were cut off, {bucket.name}",
            f"removed after {min(days)} days" if days else "their parts stay for ever, and are paid for",
            "A rule with abort_days: 1.",
            Severity.MEDIUM,
        )


@probe("L-1", "public access")
def nobody_else_can_read(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    for bucket in look(seen.buckets):
        yield from _guard(
            bucket, "public access", bucket.public_blocked, "blocked in all four ways", "not blocked", Severity.HIGH
        )


@probe("L-1", "encryption of objects")
def objects_are_encrypted(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    for bucket in look(seen.buckets):
        kind = bucket.encryption
        good = None if kind is None else bool(kind)
        yield from _guard(bucket, "encryption of objects", good, f"by default {kind}", "none by default", Severity.HIGH)


@probe("L-1", "versioning")
def versions_are_told(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    for bucket in look(seen.buckets):
        look(bucket.rules)
        rules = look(bucket.rules)
        old = [rule for rule in rules if rule.get("Status") == "Enabled" and rule.get("NoncurrentVersionExpiration")]
        subject = f"versioning, {bucket.name}"
        if not bucket.versioned:
            yield irrelevant(subject, "off: what is deleted or overwritten is gone")
            continue
        yield holds(
            bool(old),
            subject,
            "on, and old versions expire" if old else "on, and old versions stay for ever",
            "A rule with noncurrent_days.",
            Severity.MEDIUM,
        )


def _guard(
    bucket: Bucket, subject: str, good: bool | None, well: str, badly: str, severity: Severity
) -> Iterator[Outcome]:
    look(bucket.rules)
    if good is None:
        yield irrelevant(f"{subject}, {bucket.name}", "its server does not know such a thing")
    elif good:
        yield holds(True, f"{subject}, {bucket.name}", well, "", severity)
    else:
        yield fails(f"{subject}, {bucket.name}", badly, "Set it on the bucket (amazon.aws.s3_bucket does).", severity)
