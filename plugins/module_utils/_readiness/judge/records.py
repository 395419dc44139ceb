# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controls that a check of its own proves, in minutes and not in seconds: its last record must be good and young."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Judge,
    Outcome,
    fails,
    irrelevant,
    passes,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    CheckRecord,
    NotSeenError,
    Observed,
    Thresholds,
    Unseen,
    look,
)

# Control, module, what makes a new record. A migration is proven when it happens, and does not grow old.
_AGES = True
_CHECKS = (
    ("P-2", "pg_index_check", "Playbook assure.", _AGES),
    ("P-4", "pg_index_check", "Playbook assure.", _AGES),
    ("P-5", "pg_plan_check", "Playbook assure.", _AGES),
    ("E-2", "pg_schema_drift_check", "Role schema_drift, or playbook drift.", _AGES),
    ("E-3", "pg_migrate", "Playbook migrate.", not _AGES),
    ("E-4", "pg_migrate", "Playbook migrate.", not _AGES),
    ("E-5", "pg_seed_guard", "Playbook seed_guard.", _AGES),
    ("E-6", "pg_enum_check", "Playbook assure.", _AGES),
    ("T-1", "pg_rls_check", "Playbook assure.", _AGES),
    ("T-2", "pg_constraint_check", "Playbook assure.", _AGES),
    ("T-3", "pg_integrity_check", "Playbook assure.", _AGES),
)


def _judge(control: str, check: str, remedy: str, ages: bool) -> Judge:
    def judge(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
        records = look(seen.records)
        unreadable = [path for path in records.unreadable if f"/{check}--" in path]
        for path in unreadable:
            yield fails(f"{check}, {path}", "a record that cannot be read", remedy)
        held = [record for record in records.held if record.check == check]
        if not held and not unreadable:
            raise NotSeenError(Unseen(Status.NOT_TESTED, f"No run of {check} is on record here: {remedy}"))
        for record in held:
            yield from _outcomes(record, control, want.check_days if ages else 0, remedy)

    return judge


def _outcomes(record: CheckRecord, control: str, days: int, remedy: str) -> Iterator[Outcome]:
    subject = f"{record.check}, {record.database}"
    age = f"{record.days * 24:.0f} h ago" if record.days < 2 else f"{record.days:.0f} days ago"
    said = f"{age}{f', at most {days} days' if days else ''}: {record.summary}"
    # A record of tomorrow proves a wrong clock, and nothing else.
    if record.days < -0.01 or (days and record.days > days):
        yield fails(subject, said, remedy)
        return
    held = record.statuses.get(control) or (Status.PASS if record.passed else Status.FAIL,)
    bad = [status for status in (Status.FAIL, Status.ERROR) if status in held]
    if bad:
        yield Outcome(subject, bad[0], said, f"Mend what its report names, then: {remedy}")
    elif Status.PASS in held or Status.WAIVED in held:
        yield passes(subject, said)
        if Status.NOT_TESTED in held:
            yield Outcome(f"{subject}: the rest", Status.NOT_TESTED, said)
    elif Status.NOT_TESTED in held:
        yield Outcome(subject, Status.NOT_TESTED, said)
    else:
        yield irrelevant(subject, said)


for _control, _check, _remedy, _ages in _CHECKS:
    probe(_control, _check)(_judge(_control, _check, _remedy, _ages))
