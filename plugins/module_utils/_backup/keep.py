# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sets of a target go. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._backup.backup_spec import Keep
from ansible_collections.dbops.postgres.plugins.module_utils._backup.target import Found, time_of

INCOMPLETE_SECONDS = 86400.0


@dataclass(frozen=True)
class Decision:
    """What becomes of a set, and why."""

    id: str
    stays: bool
    reason: str


def decide(sets: Sequence[Found], keep: Keep, now: float, verified: Iterable[str]) -> list[Decision]:
    """What becomes of each set of a target, the newest first.

    :param now: seconds since 1970.
    :param verified: sets that a drill has proven; the newest of them at this target always stays.
    """
    complete = sorted((item.id for item in sets if item.complete), reverse=True)
    reasons: dict[str, str] = {}
    proven = sorted(set(verified) & set(complete))
    if proven:
        reasons[proven[-1]] = "the last that a drill has proven"
    for set_id in complete[: keep.minimum]:
        reasons.setdefault(set_id, f"one of the newest {keep.minimum}")
    moment = datetime.datetime.fromtimestamp(now, datetime.timezone.utc)
    for set_id in complete:
        if moment - time_of(set_id) < datetime.timedelta(days=keep.days):
            reasons.setdefault(set_id, f"younger than {keep.days:g} days")
    _newest_of_each(complete, keep.weekly, "week", lambda when: tuple(when.isocalendar())[:2], reasons)
    _newest_of_each(complete, keep.monthly, "month", lambda when: (when.year, when.month), reasons)
    found = [
        Decision(set_id, set_id in reasons, reasons.get(set_id, f"older than {keep.days:g} days"))
        for set_id in complete
    ]
    for item in sets:
        if not item.complete:
            old = now - item.changed > INCOMPLETE_SECONDS
            found.append(
                Decision(item.id, not old, "incomplete for a day" if old else "incomplete, may be being written")
            )
    return sorted(found, key=lambda decision: decision.id, reverse=True)


def _newest_of_each(
    complete: Sequence[str],
    count: int,
    word: str,
    period: Callable[[datetime.datetime], tuple[int, ...]],
    reasons: dict[str, str],
) -> None:
    newest: dict[tuple[int, ...], str] = {}
    for set_id in complete:  # the newest first
        newest.setdefault(period(time_of(set_id)), set_id)
    for set_id in list(newest.values())[:count]:
        reasons.setdefault(set_id, f"the newest of its {word}")
