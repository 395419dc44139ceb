# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run as a picture: transactions a second, and latencies, over time. Pure; SVG without scripts or own fonts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, RIGHT, TOP = 860, 200, 64, 70, 34
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #334155 }
.title { font-size: 14px; font-weight: 600 }
.grid { stroke: #cbd5e1; stroke-width: 1 }
path { fill: none; stroke-width: 1.8 }
.tps { stroke: #2563eb } .p50 { stroke: #16a34a } .p95 { stroke: #d97706 } .p99 { stroke: #dc2626 }
.tps-t { fill: #2563eb } .p50-t { fill: #15803d } .p95-t { fill: #b45309 } .p99-t { fill: #dc2626 }
.limit { stroke: #64748b; stroke-dasharray: 5 4 }
.paper { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #cbd5e1 } .grid { stroke: #334155 } .paper { fill: #0f172a }
  .tps-t { fill: #60a5fa } .p50-t { fill: #4ade80 } .p95-t { fill: #fbbf24 } .p99-t { fill: #f87171 }
}
"""


def svg(record: dict[str, Any]) -> str:
    """The picture of a record that :meth:`.judge.Result.as_dict` made."""
    seconds = record["seconds"]
    verdict = "passed" if record["passed"] else "failed: " + "; ".join(record["problems"])
    title = (
        f"{record['clients']} clients, {record['duration_seconds']} s, {record['target']}: {record['transactions']} "
        f"transactions, {record['errors']} errors, {verdict}"
    )
    criteria = record["criteria"]
    rates = [("tps", "", [row["transactions"] for row in seconds])]
    times = [(name, name, [row[f"{name}_ms"] for row in seconds]) for name in ("p50", "p95", "p99")]
    total = 2 * (HEIGHT + TOP) + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" role="img"',
        f'  aria-label="{escape(title)}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{total}"/>',
        f'<text class="title" x="12" y="20">{escape(title)}</text>',
        _panel(30, "transactions a second", rates, float(criteria["requests_per_second"])),
        _panel(30 + HEIGHT + TOP, "latency, ms", times, float(criteria["p95_ms"])),
        f'<text x="{LEFT}" y="{total - 6}">{escape(record["time"])}; dashed: what the criteria ask for</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(top: int, title: str, lines: Sequence[tuple[str, str, Sequence[float]]], limit: float) -> str:
    base, high = top + TOP + HEIGHT - 30, top + TOP
    most = nice(max([limit, *(value for _kind, _name, values in lines for value in values), 1e-9]))
    count = max((len(values) for _kind, _name, values in lines), default=0)
    across = (WIDTH - LEFT - RIGHT) / max(1, count - 1)

    def y(value: float) -> float:
        return base - (base - high) * value / most

    parts = [f'<text x="12" y="{top + 18}">{title}</text>']
    for share in (0.0, 0.5, 1.0):
        at = y(most * share)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{most * share:g}</text>')
    if limit:
        parts.append(f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(limit):.1f}" y2="{y(limit):.1f}"/>')
    taken: list[float] = []
    for kind, name, values in lines:
        points = " L".join(f"{LEFT + number * across:.1f} {y(value):.1f}" for number, value in enumerate(values))
        if points:
            parts.append(f'<path class="{kind}" d="M{points}"/>')
        if name and values:
            at = y(values[-1]) + 4
            while any(abs(at - other) < 14 for other in taken):  # labels of lines that end close together
                at -= 14
            taken.append(at)
            parts.append(f'<text class="{kind}-t" x="{WIDTH - RIGHT + 6}" y="{at:.1f}">{name}</text>')
    last, width = max(0, count - 1), WIDTH - LEFT - RIGHT
    parts += [
        f'<text x="{LEFT + share * width:.1f}" y="{base + 18}" text-anchor="middle">{last * share:.0f} s</text>'
        for share in (0.0, 0.5, 1.0)
    ]
    return "\n".join(parts)


def nice(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten that is not smaller."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value * (1 - 1e-9))
