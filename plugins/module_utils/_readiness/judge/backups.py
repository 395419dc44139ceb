# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""B-1 backups: a complete set at each target, young, off the host, encrypted, and as many as are to be kept."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Outcome,
    fails,
    holds,
    names,
    none_of,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Backups,
    BackupTarget,
    NotSeenError,
    Observed,
    Thresholds,
    Unseen,
    look,
)

_RUN_ONE = "systemctl status dbops-postgres-backup.service; dbops-postgres backup makes one now."


def _configured(seen: Observed) -> Backups:
    found = look(seen.backups)
    if not found.targets:
        raise NotSeenError(Unseen(Status.NOT_TESTED, "No backup of this collection is configured on this host."))
    return found


def _read(target: BackupTarget) -> str:
    """What is known of the checksums: to read them all is the drill's."""
    complete = sorted((item for item in target.sets if item.complete), key=lambda item: item.id)
    proven = [item.id for item in complete if item.verified]
    if proven and proven[-1] == complete[-1].id:
        since = "since then by a drill"
    else:
        since = f"by a drill those of {proven[-1]}" if proven else "by no drill since then"
    return f"its objects are as large as its manifest says; their checksums were read when they were written, {since}"


@probe("B-1", "complete set")
def each_target_has_a_young_complete_set(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    found = look(seen.backups)
    if not found.targets:
        yield fails(
            "complete set",
            "no backup of this collection is configured on this host",
            "Role backup. If another tool makes the backups, waive this subject and name the tool.",
        )
    for target in found.targets:
        subject = f"complete set, {target.name}"
        if target.newest_hours is None:
            yield fails(subject, target.problem or "there is no complete set", _RUN_ONE)
            continue
        said = f"newest {target.newest_hours:.1f} h old, at most {found.max_age_hours:g}"
        said += f"; {len(target.databases)} database(s): {names(target.databases)}"
        said += f"; {target.problem}" if target.problem else f"; {_read(target)}"
        # A set of tomorrow proves a wrong clock, and nothing else.
        young = -0.02 <= target.newest_hours <= found.max_age_hours
        yield holds(young and not target.problem, subject, said, _RUN_ONE)


@probe("B-1", "off the host")
def a_target_outlives_the_host(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    targets = _configured(seen).targets
    away = [target.name for target in targets if target.off_host and target.newest_hours is not None]
    yield holds(
        bool(away),
        "off the host",
        f"at {names(away)}" if away else f"only on this host: {names([target.name for target in targets])}",
        "Add a bucket, or a directory of another machine, to backup_targets.",
    )


@probe("B-1", "encryption of backups")
def sets_are_encrypted(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    targets = _configured(seen).targets
    clear = [target.name for target in targets if target.newest_hours is not None and not target.encrypted]
    yield from none_of(
        clear,
        "encryption of backups",
        "the newest set of each target is encrypted for keys that are not on this host",
        "in clear",
        "Give backup_recipients the public key of an age identity that is kept elsewhere.",
    )


@probe("B-1", "number and window")
def as_many_sets_as_are_to_be_kept(seen: Observed, _want: Thresholds) -> Iterator[Outcome]:
    found = _configured(seen)
    for target in found.targets:
        complete = [item for item in target.sets if item.complete]
        stuck = [item.id for item in target.sets if not item.complete and item.age_hours > 48]
        oldest = max((item.age_hours for item in complete), default=0.0) / 24
        said = f"{len(complete)} complete, the oldest {oldest:.0f} days old; kept are {found.keep_days:g} days and "
        said += f"at least {found.keep_minimum:g}"
        said += f"; incomplete for days: {names(stuck)}" if stuck else ""
        # A host that has been backed up for long enough has the minimum.
        enough = len(complete) >= min(found.keep_minimum, max(1, int(oldest)))
        yield holds(
            enough and not stuck,
            f"number and window, {target.name}",
            said,
            "dbops-postgres prune --dry-run says what stays and why; dbops-postgres status what there is.",
            Severity.MEDIUM,
        )
