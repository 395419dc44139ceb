# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A series of measured times as a picture: a bar for each, red where it failed, and the limit. Pure SVG, no script."""

from __future__ import annotations

from html import escape

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Trend, TrendPoint

_WIDTH, _HEIGHT = 1000, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 34, 24, 24
_MOST_BARS = 60
_WIDEST_BAR = 34


def picture(trend: Trend) -> str:
    """The picture with its title; empty when there is nothing to show."""
    points = trend.points[-_MOST_BARS:]
    if not points:
        return ""
    highest = max(point.seconds for point in points) or 1.0
    # A limit far above every bar would flatten them: then it is said in words only.
    drawn = 0 < trend.limit_seconds <= 3 * highest
    top = _nice(max(highest, trend.limit_seconds if drawn else 0.0) * 1.05)
    slot = (_WIDTH - _LEFT - _RIGHT) / len(points)
    parts = [_axis(top)]
    every = max(1, round(70 / slot))
    last = len(points) - 1
    for number, point in enumerate(points):
        middle = _LEFT + slot * (number + 0.5)
        named = number == last or (number % every == 0 and last - number >= every)
        parts.append(_bar(point, middle, min(slot * 0.7, _WIDEST_BAR), top, named))
    if drawn:
        y = _y(trend.limit_seconds, top)
        parts.append(
            f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="limit" x="{_WIDTH - _RIGHT}" y="{y - 4:.1f}" text-anchor="end">'
            f"{escape(trend.limit_label)}</text>"
        )
    failed = sum(not point.good for point in points)
    newest = points[-1]
    said = f"{len(points)} shown, {failed} failed, the last {'passed' if newest.good else 'failed'}: {newest.label}"
    if trend.limit_seconds and not drawn:
        said += f"; {trend.limit_label}, far above"
    return (
        f'<figure class="trend"><figcaption><b>{escape(trend.title)}</b> <span class="small">{escape(said)}</span>'
        f'</figcaption><div class="scroll"><svg class="series" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(trend.title, quote=True)}: '
        f'{escape(said, quote=True)}">{"".join(parts)}</svg></div></figure>\n'
    )


def _axis(top: float) -> str:
    lines = []
    for share in (0.0, 0.5, 1.0):
        y = _y(top * share, top)
        lines.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="scale" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_amount(top * share)}</text>'
        )
    return "".join(lines)


def _bar(point: TrendPoint, middle: float, width: float, top: float, named: bool) -> str:
    floor = _y(0, top)
    # One that never got as far as a time still shows: a failure must not look like an empty day.
    height = max(floor - _y(point.seconds, top), 3.0 if point.good else 10.0)
    status = "pass" if point.good else "fail"
    sign = (
        ""
        if point.good
        else (f'<text class="sign" x="{middle:.1f}" y="{floor - height - 5:.1f}" text-anchor="middle">✕</text>')
    )
    date = (
        f'<text class="scale" x="{middle:.1f}" y="{floor + 17:.1f}" text-anchor="middle">'
        f"{escape(point.when[:10])}</text>"
        if named
        else ""
    )
    return (
        f"<g><title>{escape(point.when)}: {escape(point.label)}</title>"
        f'<rect class="{status}" x="{middle - width / 2:.1f}" y="{floor - height:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="2"/>{sign}</g>{date}'
    )


def _y(value: float, top: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / top)


def _nice(value: float) -> float:
    """The next round time, whose half is round as well."""
    for unit, steps in ((1.0, (1, 2, 4, 6, 10, 20, 30)), (60.0, (1, 2, 4, 6, 10, 20, 30)), (3600.0, (1, 2, 4, 6, 12))):
        for step in steps:
            if value <= unit * step:
                return unit * step
    hours = 24.0
    while value > 3600 * hours:
        hours *= 2
    return 3600 * hours


def _amount(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"
