# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was seen to findings: run the probes, answer the benchmark, apply the waivers. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Control, Finding, Status, verdict
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import benchmark, judge
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.catalogue import BY_ID, CONTROLS
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import PROBES, Probe
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import NotSeenError, Observed, Thresholds
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.waivers import Waiver, apply

BENCHMARK = "S-9"
PREFIX = "CIS "

# Importing the modules of judge registers their probes.
PROBED: tuple[str, ...] = tuple(
    control.id for control in CONTROLS if judge.MODULES and any(probe.control == control.id for probe in PROBES)
)


def select(controls: Collection[str], skip: Collection[str]) -> list[Control]:
    """The controls to look at, in catalogue order: the named ones, or all, less the skipped ones.

    :raises DbopsError: an unknown control, or one that has no probe and was asked for by name.
    """
    for name in (*controls, *skip):
        if name not in BY_ID:
            raise DbopsError(f"Unknown control {name!r}", f"Known controls: {', '.join(BY_ID)}.")
    blind = [name for name in controls if name not in PROBED]
    if blind:
        raise DbopsError(f"No probe exists yet for {', '.join(blind)}", f"There are probes for {', '.join(PROBED)}.")
    wanted = set(controls) or set(PROBED)
    return [BY_ID[name] for name in PROBED if name in wanted and name not in skip]


def judged(
    seen: Observed,
    want: Thresholds,
    chosen: Sequence[Control],
    waivers: Sequence[Waiver] = (),
    today: datetime.date | None = None,
) -> list[Finding]:
    """Every finding of the chosen controls, in catalogue order."""
    names = {control.id for control in chosen}
    benchmarked = BENCHMARK in names
    # Probes of other controls answer recommendations too, so the benchmark needs them all, whatever was asked for.
    ran = [f for probe in PROBES if benchmarked or probe.control in names for f in _run(probe, seen, want)]
    when = today or datetime.datetime.now(datetime.timezone.utc).date()
    ran = apply(ran, waivers, when)
    found = [finding for finding in ran if finding.control in names]
    if benchmarked:
        found += apply(benchmark_findings(ran), waivers, when)
    found += [_unproven(control) for control in chosen if control.unproven]
    order = [control.id for control in chosen]
    return sorted(found, key=lambda finding: order.index(finding.control))


def _run(probe: Probe, seen: Observed, want: Thresholds) -> Iterable[Finding]:
    control = BY_ID[probe.control]
    numbers = tuple(PREFIX + number for number in probe.benchmarks)
    try:
        outcomes = list(probe.judge(seen, want))
    except NotSeenError as error:
        yield Finding(
            control.id,
            probe.subject,
            control.severity,
            error.why.status,
            error.why.reason,
            benchmarks=numbers,
            title=_title(probe.subject),
        )
        return
    except ValueError as error:
        # A setting in a form that no supported version has.
        yield Finding(
            control.id,
            probe.subject,
            control.severity,
            Status.ERROR,
            f"The probe cannot read this server: {error!r}",
            benchmarks=numbers,
            title=_title(probe.subject),
        )
        return
    for outcome in outcomes:
        yield Finding(
            control=control.id,
            subject=outcome.subject,
            severity=outcome.severity or control.severity,
            status=outcome.status,
            evidence=outcome.evidence,
            remedy=outcome.remedy,
            benchmarks=numbers,
            title=_title(outcome.subject),
        )


def _title(subject: str) -> str:
    return benchmark.BY_NUMBER[subject].title if subject in benchmark.BY_NUMBER else ""


def benchmark_findings(findings: Sequence[Finding]) -> list[Finding]:
    """A finding of S-9 for each recommendation that another control answers, and one for all manual ones."""
    severity = BY_ID[BENCHMARK].severity
    own = {finding.subject for finding in findings if finding.control == BENCHMARK}
    found = []
    manual = []
    for item in benchmark.RECOMMENDATIONS:
        numbers = (PREFIX + item.number,)
        if item.manual:
            manual.append(item)
        elif item.number not in own:
            answers = [finding for finding in findings if PREFIX + item.number in finding.benchmarks]
            worst = verdict(answers)
            of_worst = [finding for finding in answers if finding.status is worst]
            found.append(
                Finding(
                    control=BENCHMARK,
                    subject=item.number,
                    severity=severity,
                    status=worst,
                    # The evidence and the remedy stand there; twice in one report they would be read twice.
                    evidence=of_worst[0].evidence
                    if worst in (Status.ERROR, Status.NOT_TESTED)
                    else "answered by " + ", ".join(f"{f.control} {f.subject}" for f in of_worst),
                    remedy="See there." if worst is Status.FAIL else "",
                    benchmarks=numbers,
                    title=item.title,
                    waiver="; ".join(dict.fromkeys(f.waiver for f in of_worst if f.waiver)),
                    expires=min((f.expires for f in of_worst if f.expires), default=""),
                )
            )
    if manual:
        reasons = "; ".join(f"{item.number} {item.title} ({item.manual})" for item in manual)
        found.append(
            Finding(
                BENCHMARK,
                "manual recommendations",
                severity,
                Status.NOT_APPLICABLE,
                f"{len(manual)} recommendations cannot be automated, a person judges them: {reasons}",
                benchmarks=tuple(PREFIX + item.number for item in manual),
            )
        )
    return found


def _unproven(control: Control) -> Finding:
    return Finding(
        control.id, "not looked at yet", control.severity, Status.NOT_TESTED, f"no probe yet: {control.unproven}"
    )
