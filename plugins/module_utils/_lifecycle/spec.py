# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifecycle rules of a bucket: parameters into frozen rules, and every error about them. Pure.

What S3 accepts: Amazon S3 User Guide, "Lifecycle configuration elements"; API reference, LifecycleRule.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

MOST_RULES = 1000
# From the storage class that is nearest to the farthest; a transition goes forward only.
CLASSES = ("STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")


@dataclass(frozen=True)
class Transition:
    """Objects go to this storage class so many days after they were made."""

    days: int
    storage_class: str


@dataclass(frozen=True)
class Rule:
    """One rule; 0, empty and False mean that it has no such part.

    :param expire_date: ``2027-01-01``, at midnight UTC.
    :param size_over: objects of more than so many bytes; ``size_under``: of less.
    :param noncurrent_keep: so many of the newest noncurrent versions stay.
    """

    id: str
    enabled: bool = True
    prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    size_over: int = 0
    size_under: int = 0
    expire_days: int = 0
    expire_date: str = ""
    expire_delete_markers: bool = False
    noncurrent_days: int = 0
    noncurrent_keep: int = 0
    abort_days: int = 0
    transitions: tuple[Transition, ...] = ()
    noncurrent_transitions: tuple[Transition, ...] = ()

    @property
    def expires(self) -> bool:
        """Whether it deletes current objects."""
        return bool(self.expire_days or self.expire_date)


@dataclass(frozen=True)
class Retention:
    """Nothing below the prefix may be deleted before it is so many days old."""

    prefix: str
    days: int


@dataclass(frozen=True)
class LifecycleSpec:
    """The rules of one bucket.

    :param exact: rules that are not declared are removed; else they stay, but for those in ``absent``.
    """

    bucket: str
    rules: tuple[Rule, ...]
    exact: bool
    absent: tuple[str, ...]


def parse(params: Mapping[str, Any], today: datetime.date) -> LifecycleSpec:
    """The specification that these parameters of the module describe.

    :raises DbopsError: with the rule that is wrong.
    """
    rules = tuple(_rule(raw) for raw in params["rules"])
    ids = [rule.id for rule in rules]
    for rule_id in ids:
        if ids.count(rule_id) > 1:
            raise DbopsError(f"Two rules have the ID {rule_id!r}", "Give each its own.")
    if len(rules) > MOST_RULES:
        raise DbopsError(f"There are {len(rules)} rules", f"S3 takes {MOST_RULES} at most.")
    both = sorted(set(ids) & set(params["absent"]))
    if both:
        raise DbopsError(f"Rule {both[0]!r} is declared and in absent", "Decide.")
    retentions = [Retention(item["prefix"] or "", item["days"]) for item in params["retention"]]
    for rule in rules:
        _check(rule)
        for retention in retentions:
            _respects(rule, retention, today)
    return LifecycleSpec(params["bucket"], rules, params["exact"], tuple(params["absent"]))


def _rule(raw: Mapping[str, Any]) -> Rule:
    return Rule(
        id=raw["id"],
        enabled=raw["enabled"],
        prefix=raw["prefix"] or "",
        tags=tuple(sorted((str(key), str(value)) for key, value in (raw["tags"] or {}).items())),
        size_over=raw["size_over"] or 0,
        size_under=raw["size_under"] or 0,
        expire_days=_days(raw, "expire_days"),
        expire_date=raw["expire_date"] or "",
        expire_delete_markers=bool(raw["expire_delete_markers"]),
        noncurrent_days=_days(raw, "noncurrent_days"),
        noncurrent_keep=raw["noncurrent_keep"] or 0,
        abort_days=_days(raw, "abort_days"),
        transitions=_transitions(raw, "transitions"),
        noncurrent_transitions=_transitions(raw, "noncurrent_transitions"),
    )


def _days(raw: Mapping[str, Any], name: str) -> int:
    value = raw[name]
    if value is not None and value < 1:
        raise DbopsError(f"Rule {raw['id']!r}: {name} is {value}", "One day is the least; leave it out for none.")
    return value or 0


def _transitions(raw: Mapping[str, Any], name: str) -> tuple[Transition, ...]:
    found = tuple(Transition(item["days"], item["storage_class"]) for item in raw[name] or ())
    for item in found:
        if item.days < 0:
            raise DbopsError(f"Rule {raw['id']!r}: a transition after {item.days} days", "Give 0 or more.")
    return tuple(sorted(found, key=lambda item: item.days))


def _check(rule: Rule) -> None:
    where = f"Rule {rule.id!r}"
    if not re.fullmatch(r"[^\x00-\x1f]{1,255}", rule.id):
        raise DbopsError(f"{where} has no usable ID", "1 to 255 characters.")
    acts = (rule.expires, rule.expire_delete_markers, rule.noncurrent_days, rule.abort_days, rule.transitions)
    if not any(acts) and not rule.noncurrent_transitions:
        raise DbopsError(f"{where} does nothing", "Give it an expiry, a transition, or abort_days.")
    if rule.expire_days and rule.expire_date:
        raise DbopsError(f"{where} has expire_days and expire_date", "Give one of them.")
    if rule.expire_delete_markers and (rule.expires or rule.tags or rule.size_over or rule.size_under):
        raise DbopsError(
            f"{where}: expire_delete_markers with an expiry, tags or sizes", "S3 refuses that: make two rules of it."
        )
    if rule.abort_days and (rule.tags or rule.size_over or rule.size_under):
        raise DbopsError(f"{where}: abort_days with tags or sizes", "S3 refuses that: make two rules of it.")
    if rule.noncurrent_keep and not (rule.noncurrent_days or rule.noncurrent_transitions):
        raise DbopsError(f"{where} has noncurrent_keep without noncurrent_days", "Give both.")
    if rule.size_under and rule.size_over >= rule.size_under:
        raise DbopsError(
            f"{where}: no object is of more than {rule.size_over} and less than {rule.size_under} bytes", ""
        )
    if rule.expire_date:
        try:
            datetime.date.fromisoformat(rule.expire_date)
        except ValueError:
            raise DbopsError(f"{where}: expire_date is {rule.expire_date!r}", "Give it as 2027-01-31.") from None
    _check_order(where, rule.transitions, rule.expire_days)
    _check_order(where, rule.noncurrent_transitions, rule.noncurrent_days)


def _check_order(where: str, transitions: Sequence[Transition], expiry: int) -> None:
    for item in transitions:
        if item.storage_class not in CLASSES:
            raise DbopsError(f"{where}: unknown storage class {item.storage_class!r}", f"One of {', '.join(CLASSES)}.")
        if expiry and item.days >= expiry:
            raise DbopsError(
                f"{where}: objects go to {item.storage_class} after {item.days} days, and are deleted after {expiry}",
                "A transition comes before the expiry.",
            )
    order = [CLASSES.index(item.storage_class) for item in transitions]
    if order != sorted(set(order)):
        raise DbopsError(f"{where}: transitions go back, or twice to one class", f"In the order {', '.join(CLASSES)}.")


def _respects(rule: Rule, retention: Retention, today: datetime.date) -> None:
    """A rule whose prefix overlaps that of a retention must not delete earlier than it says."""
    overlaps = rule.prefix.startswith(retention.prefix) or retention.prefix.startswith(rule.prefix)
    if not rule.enabled or not overlaps:
        return
    days = rule.expire_days
    if rule.expire_date:
        days = max((datetime.date.fromisoformat(rule.expire_date) - today).days, 1)
    if (rule.expires and days < retention.days) or 0 < rule.noncurrent_days < retention.days:
        below, kept = rule.prefix or "(everything)", retention.prefix or "(everything)"
        raise DbopsError(
            f"Rule {rule.id!r} deletes objects below {below!r} after "
            f"{days or rule.noncurrent_days} days; below {kept!r} the law wants {retention.days}",
            "Make the rule longer, or its prefix narrower.",
        )
