# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules as S3 writes them, both ways. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._lifecycle.spec import Rule, Transition

Document = Mapping[str, Any]
_KNOWN = {
    "ID",
    "Status",
    "Prefix",
    "Filter",
    "Expiration",
    "NoncurrentVersionExpiration",
    "AbortIncompleteMultipartUpload",
    "Transitions",
    "NoncurrentVersionTransitions",
}


def written(rule: Rule) -> dict[str, Any]:
    """A rule as a PUT takes it."""
    found: dict[str, Any] = {
        "ID": rule.id,
        "Status": "Enabled" if rule.enabled else "Disabled",
        "Filter": _filter(rule),
    }
    if rule.expire_days:
        found["Expiration"] = {"Days": rule.expire_days}
    elif rule.expire_date:
        day = datetime.date.fromisoformat(rule.expire_date)
        found["Expiration"] = {"Date": datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.timezone.utc)}
    elif rule.expire_delete_markers:
        found["Expiration"] = {"ExpiredObjectDeleteMarker": True}
    keep = {"NewerNoncurrentVersions": rule.noncurrent_keep} if rule.noncurrent_keep else {}
    if rule.noncurrent_days:
        found["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule.noncurrent_days, **keep}
    if rule.abort_days:
        found["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": rule.abort_days}
    if rule.transitions:
        found["Transitions"] = [{"Days": item.days, "StorageClass": item.storage_class} for item in rule.transitions]
    if rule.noncurrent_transitions:
        found["NoncurrentVersionTransitions"] = [
            {"NoncurrentDays": item.days, "StorageClass": item.storage_class, **keep}
            for item in rule.noncurrent_transitions
        ]
    return found


def _filter(rule: Rule) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if rule.prefix:
        parts.append({"Prefix": rule.prefix})
    parts += [{"Tag": {"Key": key, "Value": value}} for key, value in rule.tags]
    if rule.size_over:
        parts.append({"ObjectSizeGreaterThan": rule.size_over})
    if rule.size_under:
        parts.append({"ObjectSizeLessThan": rule.size_under})
    if not parts:
        return {"Prefix": ""}
    if len(parts) == 1:
        return parts[0]
    joined: dict[str, Any] = {}
    for part in parts:
        if "Tag" in part:
            joined.setdefault("Tags", []).append(part["Tag"])
        else:
            joined.update(part)
    return {"And": joined}


def read(document: Document) -> Rule | None:
    """A rule as a GET gives it; None: it has something that a declared rule cannot have, so it is another one."""
    if set(document) - _KNOWN or not document.get("ID"):
        return None
    chosen = document.get("Filter") or {}
    parts: Document = chosen.get("And") or chosen
    tags = [parts["Tag"]] if "Tag" in parts else parts.get("Tags", [])
    expiration = document.get("Expiration", {})
    noncurrent = document.get("NoncurrentVersionExpiration", {})
    later = document.get("NoncurrentVersionTransitions", [])
    return Rule(
        id=str(document["ID"]),
        enabled=document["Status"] == "Enabled",
        prefix=str(parts.get("Prefix") or document.get("Prefix") or ""),
        tags=tuple(sorted((str(tag["Key"]), str(tag["Value"])) for tag in tags)),
        size_over=int(parts.get("ObjectSizeGreaterThan") or 0),
        size_under=int(parts.get("ObjectSizeLessThan") or 0),
        expire_days=int(expiration.get("Days") or 0),
        expire_date=_day(expiration.get("Date")),
        expire_delete_markers=expiration.get("ExpiredObjectDeleteMarker") is True,
        noncurrent_days=int(noncurrent.get("NoncurrentDays") or 0),
        noncurrent_keep=int(
            noncurrent.get("NewerNoncurrentVersions") or (later[0].get("NewerNoncurrentVersions", 0) if later else 0)
        ),
        abort_days=int(document.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation") or 0),
        transitions=_sorted(document.get("Transitions", []), "Days"),
        noncurrent_transitions=_sorted(later, "NoncurrentDays"),
    )


def _day(moment: Any) -> str:
    """A date as it is declared, in UTC, whatever the time zone in which boto3 gives it."""
    if isinstance(moment, datetime.datetime):
        return moment.astimezone(datetime.timezone.utc).date().isoformat()
    return str(moment or "")[:10]


def _sorted(items: list[Document], days: str) -> tuple[Transition, ...]:
    found = [Transition(int(item.get(days) or 0), str(item["StorageClass"])) for item in items]
    return tuple(sorted(found, key=lambda item: item.days))
