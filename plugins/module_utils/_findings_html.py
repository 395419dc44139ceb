# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings as one HTML page: no script, no external asset, readable on a phone, in print, light and dark. Pure.

Every text goes through :func:`_e`; nothing else of the data reaches the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from ansible_collections.dbops.postgres.plugins.module_utils._findings import (
    Annex,
    Control,
    Finding,
    Report,
    Status,
    by_reason,
    label,
    offending,
    ordered,
    severities,
    summary,
    verdict,
)
from ansible_collections.dbops.postgres.plugins.module_utils._findings_style import CSS
from ansible_collections.dbops.postgres.plugins.module_utils._findings_text import name_of, subjects
from ansible_collections.dbops.postgres.plugins.module_utils._findings_trend import picture

# A status is told apart by its sign and its words, the colour comes third.
_SIGNS = {
    Status.FAIL: "✕",
    Status.ERROR: "!",
    Status.NOT_TESTED: "?",
    Status.WAIVED: "~",
    Status.PASS: "✓",
    Status.NOT_APPLICABLE: "·",
}
_ROW, _HEAD, _LABEL, _PAGE = 30, 44, 214, 1000
_NARROWEST, _WIDEST, _CHARACTER = 130, 190, 7.6


def to_html(report: Report) -> str:
    """The report as a page that needs nothing else."""
    body = "\n".join(
        part
        for part in (
            _header(report),
            _picture(report),
            _section("To mend", "bad", _failures(report)),
            _section("Could not be looked at", "bad", _errors(report)),
            _section("Over the weeks", "", "".join(picture(trend) for trend in report.trends)),
            _section("Waived", "", _waived(report)),
            _section("Not tested", "", _untested(report)),
            _section("Everything that was looked at", "", "".join(_control(report, c) for c in report.controls)),
            _section("Registers", "", "".join(_annex(annex) for annex in report.annexes)),
        )
        if part
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_e(report.title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        f"<footer>{_e(report.title)} · {_e(report.generated)} · dbops.postgres</footer>\n</body>\n</html>\n"
    )


def _e(text: object) -> str:
    return escape(str(text), quote=True)


def _header(report: Report) -> str:
    bad = offending(report.findings, report.fail_on)
    open_ones = [f for f in report.findings if f.status in (Status.FAIL, Status.ERROR)]
    words = severities(report.fail_on)
    if report.fail_on == "never":
        said, tone = ("judged, not enforced", "not_tested") if open_ones else ("nothing failed", "pass")
    elif bad:
        said, tone = f"{len(bad)} {words} finding(s) must be mended", "fail"
    elif open_ones:
        said, tone = f"no {words} finding failed, {len(open_ones)} milder did", "waived"
    else:
        blind = summary(report.findings)[Status.NOT_TESTED.value]
        said, tone = f"nothing failed{f', {blind} subjects were not tested' if blind else ''}", "pass"
    hosts = f"{len(report.hosts)} host{'' if len(report.hosts) == 1 else 's'}"
    return (
        f'<header>\n<p class="when">{_e(report.generated)} · {hosts} · {len(report.controls)} controls looked at</p>\n'
        f'<h1>{_e(report.title)}</h1>\n<p class="verdict {tone}">{_sign(Status(tone))} {_e(said)}</p>\n'
        f"{_bar(report)}\n</header>"
    )


def _sign(status: Status) -> str:
    return f'<span class="sign" aria-hidden="true">{_SIGNS[status]}</span>'


def _bar(report: Report) -> str:
    """How many findings there are of each status, as a bar and in words."""
    counts = summary(report.findings)
    words = "".join(
        f'<li class="{status.value}"><b>{counts[status.value]}</b> {_sign(status)} {_e(status.words)}</li>'
        for status in Status
        if counts[status.value]
    )
    return (
        '<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label="findings by status">'
        f'{_blocks(report.findings)}</svg>\n<ul class="counts">{words}</ul>'
    )


def _blocks(findings: Sequence[Finding]) -> str:
    """The rectangles of a bar of 100 x 4, the width of each the share of a status."""
    counts = summary(findings)
    left = 0.0
    blocks = []
    for status in Status:
        width = 100.0 * counts[status.value] / (len(findings) or 1)
        if width:
            blocks.append(f'<rect class="{status.value}" x="{left:.2f}" y="0" width="{width:.2f}" height="4"/>')
        left += width
    return "".join(blocks)


def _picture(report: Report) -> str:
    """The estate at a glance: a row for each control, a column for each host, a word in each cell."""
    if not report.controls or not report.hosts:
        return ""
    sizes = [int(min(max(len(host) * _CHARACTER + 20, _NARROWEST), _WIDEST)) for host in report.hosts]
    # The bars take the room that few hosts leave.
    share = min(max(_PAGE - _LABEL - sum(sizes), 190), 420)
    width = _LABEL + sum(sizes) + share
    height = _HEAD + _ROW * len(report.controls) + 4
    parts = []
    left = _LABEL
    for host, size in zip(report.hosts, sizes):
        parts.append(_column_head(host, _held(report.of(host=host)), left + size / 2, size))
        left += size
    parts.append(_column_head("all hosts", _held(report.findings), left + share / 2, share))
    for row, control in enumerate(report.controls):
        top = _HEAD + row * _ROW
        parts.append(
            f'<a href="#{_anchor(control)}"><text class="id" x="0" y="{top + 19}">{_e(control.id)}</text>'
            f'<text class="name" x="38" y="{top + 19}"><title>{_e(control.title)} ({control.severity.value})</title>'
            f"{_e(_short(control.title, 24))}</text>"
        )
        left = _LABEL
        for host, size in zip(report.hosts, sizes):
            found = report.of(control.id, host)
            parts.append(
                f'<g class="{verdict(found).value}"><title>{_e(control.id)} on {_e(host)}: {_e(label(found))}, '
                f'{_e(_held(found))}</title><rect x="{left + 2}" y="{top + 2}" width="{size - 4}" height="{_ROW - 4}" '
                f'rx="4"/><text x="{left + size / 2:.0f}" y="{top + 19}" text-anchor="middle">{_e(_cell(found))}'
                "</text></g>"
            )
            left += size
        parts.append(
            f'<svg class="bar" x="{left + 14}" y="{top + 10}" width="{share - 14}" height="10" viewBox="0 0 100 4" '
            f'preserveAspectRatio="none"><title>{_e(_held(report.of(control.id)))}</title>'
            f"{_blocks(report.of(control.id))}</svg></a>"
        )
    blind = ""
    if report.not_probed:
        names = ", ".join(f"{_e(c.id)} {_e(c.title)}" for c in report.not_probed)
        blind = (
            f'<details class="blind"><summary>No probe yet: {len(report.not_probed)} further controls, '
            f"counted neither as passed nor as failed</summary><p>{names}</p></details>"
        )
    return (
        f'<section><h2>Controls by host</h2>\n<div class="scroll"><svg class="map" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="verdict of each control on each host">'
        f"{''.join(parts)}</svg></div>\n{blind}</section>"
    )


def _column_head(name: str, score: str, middle: float, size: int) -> str:
    shown = _short(name, int((size - 12) / _CHARACTER))
    return (
        f'<text class="host" x="{middle:.0f}" y="16" text-anchor="middle"><title>{_e(name)}</title>{_e(shown)}</text>'
        f'<text class="score" x="{middle:.0f}" y="32" text-anchor="middle">{_e(score)}</text>'
    )


def _held(findings: Sequence[Finding]) -> str:
    """The score: how many subjects hold, of those to which the question applies."""
    asked = [f for f in findings if f.status is not Status.NOT_APPLICABLE]
    return f"{sum(f.status in (Status.PASS, Status.WAIVED) for f in asked)} of {len(asked)} hold"


def _cell(findings: Sequence[Finding]) -> str:
    status = verdict(findings)
    count = sum(finding.status is status for finding in findings)
    words = f"{label(findings)} {count}" if status in (Status.FAIL, Status.ERROR) else label(findings)
    return f"{_SIGNS[status]} {words}"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(most - 1, 1)] + "…"


def _anchor(control: Control) -> str:
    return _e("control-" + control.id)


def _section(heading: str, tone: str, content: str) -> str:
    return f'<section class="{tone}"><h2>{_e(heading)}</h2>\n{content}</section>' if content else ""


def _failures(report: Report) -> str:
    """A card for each control and subject: the evidence of every host, the remedy once."""
    cards: dict[tuple[str, str], list[Finding]] = {}
    for finding in ordered(report.findings):
        if finding.status is Status.FAIL:
            cards.setdefault((finding.control, finding.subject), []).append(finding)
    titles = {control.id: control.title for control in report.controls}
    return "".join(_failure(found, titles.get(control, "")) for (control, _subject), found in cards.items())


def _failure(found: Sequence[Finding], control: str) -> str:
    first = found[0]
    hosts: dict[str, list[str]] = {}
    for finding in found:
        hosts.setdefault(finding.evidence, []).append(finding.host)
    seen = "".join(
        f'<li><span class="at">{_e(", ".join(where))}</span> {_e(evidence)}</li>' for evidence, where in hosts.items()
    )
    remedies = dict.fromkeys(f.remedy for f in found if f.remedy)
    remedy = "".join(f'<p class="remedy"><b>Remedy</b> {_e(text)}</p>' for text in remedies)
    return (
        f'<article class="card {first.status.value}"><h3>{_badge(first.status)} {_e(name_of(first))}</h3>'
        f'<p class="meta">{_e(first.control)} {_e(control)} · {_e(first.severity.value)}{_numbers(first)}</p>'
        f"<ul>{seen}</ul>{remedy}</article>\n"
    )


def _errors(report: Report) -> str:
    """A card for each reason on each host, with the subjects that it hides."""
    return "".join(
        f'<article class="card error"><h3>{_badge(Status.ERROR)} {_host(group[0])}</h3><p>{_e(group[0].evidence)}</p>'
        f'<p class="meta">{_e(subjects(group))}</p></article>\n'
        for group in by_reason(f for f in report.findings if f.status is Status.ERROR)
    )


def _badge(status: Status, words: str = "") -> str:
    return f'<span class="badge {status.value}">{_SIGNS[status]} {_e(words or status.words)}</span>'


def _numbers(finding: Finding) -> str:
    others = [number for number in finding.benchmarks if number.rpartition(" ")[2] != finding.subject]
    return f" · {_e(', '.join(others[:6]))}" if others else ""


def _host(finding: Finding) -> str:
    return f'<span class="at">{_e(finding.host)}</span> ' if finding.host else ""


def _waived(report: Report) -> str:
    rows = [
        (f.host, f.control, name_of(f), f.waiver, f.expires or "no end", f.evidence)
        for f in ordered(report.findings)
        if f.status is Status.WAIVED
    ]
    return _table(("host", "control", "subject", "reason", "until", "what was seen"), rows)


def _untested(report: Report) -> str:
    found = [f for f in report.findings if f.status is Status.NOT_TESTED]
    rows = [(group[0].host, subjects(group), group[0].evidence) for group in by_reason(found)]
    table = _table(("host", "subjects", "why"), rows)
    return (
        f"<details><summary>{len(found)} subjects, counted neither as passed nor as failed</summary>{table}</details>"
        if rows
        else ""
    )


def _control(report: Report, control: Control) -> str:
    found = report.of(control.id)
    rows = "".join(
        f'<tr><td>{_badge(f.status)}</td><td>{_e(f.host)}</td><td class="subject">{_e(name_of(f))}'
        f'<span class="small">{_numbers(f)}</span></td><td>{_e(f.evidence)}</td></tr>'
        for f in found
    )
    return (
        f'<details id="{_anchor(control)}"><summary>{_badge(verdict(found), label(found))} <b>{_e(control.id)}</b> '
        f'{_e(control.title)} <span class="small">{_e(control.severity.value)} · {len(found)} findings</span></summary>'
        f'<p class="must">{_e(control.must_hold)}</p><div class="scroll"><table><thead><tr><th>status</th><th>host</th>'
        f"<th>subject</th><th>evidence</th></tr></thead><tbody>{rows}</tbody></table></div></details>\n"
    )


def _annex(annex: Annex) -> str:
    return (
        f'<details><summary>{_e(annex.title)} <span class="small">{len(annex.rows)} lines</span></summary>'
        f"{_table(annex.columns, annex.rows)}</details>\n"
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{_e(cell)}</td>' for cell in row)}</tr>" for row in rows)
    if not lines:
        return ""
    head = "".join(f"<th>{_e(column)}</th>" for column in columns)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>\n'
