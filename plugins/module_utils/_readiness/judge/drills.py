# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""B-2 restore drill: the newest backup was restored and proven, lately, and fast enough."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Outcome,
    fails,
    holds,
    irrelevant,
    names,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Observed, Thresholds, look

_HOLD_ONE = "Run dbops-postgres drill on this host (role restore_drill)."


@probe("B-2", "last drill")
def the_last_drill_passed(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    drills = look(seen.drills)
    if drills.unreadable:
        yield fails("last drill", f"receipts that cannot be read: {names(drills.unreadable)}", _HOLD_ONE)
        return
    if not drills.held:
        yield fails("last drill", "no restore drill has left a receipt on this host", _HOLD_ONE)
        return
    last = drills.held[-1]
    said = f"{last.when} ({_days(last.age_days)}, at most {last.every_days:g} days): {last.summary}"
    if not last.passed:
        good = [drill for drill in drills.held if drill.passed]
        before = f"; the last that passed was {_days(good[-1].age_days)}" if good else "; none ever passed"
        yield fails("last drill", f"{said}{before}", "Read its receipt in /var/lib/dbops-postgres/drills.")
        return
    # A receipt of tomorrow proves a wrong clock, and nothing else.
    yield holds(-0.01 <= last.age_days <= last.every_days, "last drill", said, _HOLD_ONE)


@probe("B-2", "recovery time")
def the_recovery_time_is_within_its_target(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    restored = [drill for drill in look(seen.drills).held if drill.passed]
    if not restored:
        yield fails("recovery time", "no drill that passed has measured it", _HOLD_ONE)
        return
    last = restored[-1]
    measured = f"measured {last.rto_seconds / 60:.1f} min"
    if not last.rto_target_seconds:
        yield irrelevant("recovery time", f"{measured}; no target is declared (restore_drill_rto_target_minutes)")
        return
    yield holds(
        last.rto_seconds <= last.rto_target_seconds,
        "recovery time",
        f"{measured}, target {last.rto_target_seconds / 60:g} min",
        "Give pg_restore more jobs or faster storage, archive old data, or agree on another target.",
    )


def _days(age: float) -> str:
    return f"{age * 24:.0f} h ago" if age < 2 else f"{age:.0f} days ago"
