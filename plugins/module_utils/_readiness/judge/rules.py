# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every probe is made of: the registry, and the outcomes that a probe yields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Callable

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Observed, Thresholds

_MOST_NAMES = 8


@dataclass(frozen=True)
class Outcome:
    """What a probe says of one subject; severity None: that of its control."""

    subject: str
    status: Status
    evidence: str
    remedy: str = ""
    severity: Severity | None = None


Judge = Callable[[Observed, Thresholds], Iterable[Outcome]]


@dataclass(frozen=True)
class Probe:
    """One registered function: the control it proves a part of, its subject, the recommendations it answers."""

    control: str
    subject: str
    benchmarks: tuple[str, ...]
    judge: Judge


PROBES: list[Probe] = []


def probe(control: str, subject: str, *benchmarks: str) -> Callable[[Judge], Judge]:
    """Register a function as a probe.

    :param control: id of the catalogue.
    :param subject: what it looks at; stands in the report when it could not look.
    :param benchmarks: numbers of :mod:`..benchmark` that it answers.
    """

    def register(judge: Judge) -> Judge:
        PROBES.append(Probe(control, subject, benchmarks, judge))
        return judge

    return register


def passes(subject: str, evidence: str) -> Outcome:
    """It holds."""
    return Outcome(subject, Status.PASS, evidence)


def fails(subject: str, evidence: str, remedy: str, severity: Severity | None = None) -> Outcome:
    """It does not hold."""
    return Outcome(subject, Status.FAIL, evidence, remedy, severity)


def irrelevant(subject: str, evidence: str) -> Outcome:
    """The question does not arise here."""
    return Outcome(subject, Status.NOT_APPLICABLE, evidence)


def holds(condition: bool, subject: str, evidence: str, remedy: str, severity: Severity | None = None) -> Outcome:
    """It holds or it does not, by a condition; the evidence is the same for both."""
    return passes(subject, evidence) if condition else fails(subject, evidence, remedy, severity)


def none_of(bad: Sequence[str], subject: str, good: str, what: str, remedy: str) -> Iterator[Outcome]:
    """One outcome: it passes when ``bad`` is empty, else fails and names what is bad.

    :param good: the evidence of a pass.
    :param what: the words before the names, for example "PUBLIC may connect to".
    """
    if bad:
        yield fails(subject, f"{what}: {names(bad)}", remedy)
    else:
        yield passes(subject, good)


def names(items: Iterable[str]) -> str:
    """A list for a person: the first few, and how many more."""
    listed = list(items)
    shown = ", ".join(listed[:_MOST_NAMES])
    more = len(listed) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
