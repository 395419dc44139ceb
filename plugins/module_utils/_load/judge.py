# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came out: pgbench's logs and words as figures, and whether they suffice. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._load.spec import Criteria, LoadSpec


@dataclass(frozen=True)
class Second:
    """One second of the run: transactions that ended in it, and their latencies in milliseconds."""

    second: int
    transactions: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Result:
    """The whole run.

    :param errors: transactions that failed, and clients that gave up.
    :param problems: what the criteria miss; empty: passed.
    """

    transactions: int
    errors: int
    requests_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    seconds: tuple[Second, ...]
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every criterion holds."""
        return not self.problems

    def as_dict(self, spec: LoadSpec, when: str) -> dict[str, Any]:
        """The record of the run, without secrets."""
        return {
            "job": "load_test",
            "time": when,
            "passed": self.passed,
            "problems": list(self.problems),
            "target": f"{spec.host}:{spec.port}/{spec.database}",
            "user": spec.user,
            "clients": spec.clients,
            "duration_seconds": spec.seconds,
            "rate": spec.rate,
            "criteria": {"errors": 0, **asdict(spec.criteria)},
            "transactions": self.transactions,
            "errors": self.errors,
            "requests_per_second": round(self.requests_per_second, 1),
            "p50_ms": round(self.p50_ms, 2),
            "p95_ms": round(self.p95_ms, 2),
            "p99_ms": round(self.p99_ms, 2),
            "seconds": [asdict(second) for second in self.seconds],
        }


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of sorted values; 0 of none."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


def read_log(lines: Iterable[str]) -> list[tuple[float, float]]:
    """Pairs of the moment a transaction ended, in seconds, and its latency in milliseconds.

    A line is ``client transaction latency_us script epoch epoch_us ...`` (PostgreSQL manual, pgbench, "Per-Transaction
    Logging"); one that says ``failed`` or ``skipped`` has no latency.
    """
    found = []
    for line in lines:
        words = line.split()
        if len(words) >= 6 and words[2].isdigit():
            found.append((int(words[4]) + int(words[5]) / 1e6, int(words[2]) / 1000))
    return found


def read_words(text: str) -> int:
    """How many transactions failed or clients gave up, as pgbench says at its end."""
    failed = re.search(r"number of failed transactions: (\d+)", text)
    aborted = len(re.findall(r"^pgbench: error: client \d+ aborted", text, re.MULTILINE))
    incomplete = "Run was aborted" in text
    return (int(failed[1]) if failed else 0) + max(aborted, int(incomplete))


def judge(transactions: Sequence[tuple[float, float]], errors: int, seconds: int, criteria: Criteria) -> Result:
    """The figures of a run, and what they miss.

    :param seconds: how long it was meant to run.
    """
    ordered = sorted(latency for _moment, latency in transactions)
    rate = len(transactions) / seconds
    p95 = percentile(ordered, 0.95)
    problems = []
    if errors:
        problems.append(f"{errors} error(s), 0 allowed")
    if not transactions:
        problems.append("no transaction was done")
    if criteria.p95_ms and p95 > criteria.p95_ms:
        problems.append(f"p95 is {p95:.1f} ms, {criteria.p95_ms:g} ms allowed")
    if criteria.requests_per_second and rate < criteria.requests_per_second:
        problems.append(f"{rate:.0f} transactions a second, {criteria.requests_per_second:g} wanted")
    return Result(
        transactions=len(transactions),
        errors=errors,
        requests_per_second=rate,
        p50_ms=percentile(ordered, 0.5),
        p95_ms=p95,
        p99_ms=percentile(ordered, 0.99),
        seconds=_by_second(transactions),
        problems=tuple(problems),
    )


def _by_second(transactions: Sequence[tuple[float, float]]) -> tuple[Second, ...]:
    if not transactions:
        return ()
    first = min(moment - latency / 1000 for moment, latency in transactions)
    groups: dict[int, list[float]] = {}
    for moment, latency in transactions:
        groups.setdefault(int(moment - first), []).append(latency)
    found = []
    for second in range(max(groups) + 1):  # a second without a transaction is one with 0
        ordered = sorted(groups.get(second, ()))
        figures = (round(percentile(ordered, share), 2) for share in (0.5, 0.95, 0.99))
        found.append(Second(second, len(ordered), *figures))
    return tuple(found)
