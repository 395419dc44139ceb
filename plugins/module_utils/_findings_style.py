# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The style sheet of the HTML report. Data only; every colour pair has a contrast of at least 4.5:1 (WCAG 2.1 AA)."""

from __future__ import annotations

CSS = """
:root {
  --page: #f6f7f9; --paper: #ffffff; --ink: #1c2128; --quiet: #57606a; --line: #d8dee4;
  --pass: #14532d; --pass-bg: #d1f5db; --fail: #8c1019; --fail-bg: #ffdad6; --error: #7a2e00; --error-bg: #ffe2c7;
  --waived: #5c4400; --waived-bg: #fdf0b8; --not_tested: #3d4a57; --not_tested-bg: #e2e7ec;
  --not_applicable: #57606a; --not_applicable-bg: #f0f2f4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1318; --paper: #181d24; --ink: #e6e9ed; --quiet: #9aa5b1; --line: #2f3742;
    --pass: #a7f0bd; --pass-bg: #143d25; --fail: #ffc9c4; --fail-bg: #6b151c; --error: #ffd3ac; --error-bg: #5e2c07;
    --waived: #f7e28b; --waived-bg: #4a3a06; --not_tested: #c5ced8; --not_tested-bg: #2c343e;
    --not_applicable: #9aa5b1; --not_applicable-bg: #212830;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 8px; }
header, section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin: 0 0 16px; }
h1 { font-size: 24px; line-height: 1.25; margin: 2px 0 10px; }
h2 { font-size: 17px; margin: 0 0 12px; }
h3 { font-size: 15px; margin: 0 0 2px; overflow-wrap: anywhere; }
p { margin: 0 0 8px; }
.when, .meta, .must, .small, footer { color: var(--quiet); font-size: .87em; }
.small { font-weight: normal; }
.verdict { display: inline-block; padding: 6px 12px; border-radius: 8px; font-weight: 600; margin-bottom: 14px; }
header .bar { display: block; width: 100%; height: 12px; border-radius: 6px; overflow: hidden; }
.counts { display: flex; flex-wrap: wrap; gap: 6px 8px; list-style: none; margin: 10px 0 0; padding: 0; }
.counts li { padding: 2px 10px; border-radius: 999px; font-size: 13px; }
.badge { display: inline-block; padding: 1px 8px; border-radius: 6px; font-size: .8em; font-weight: 600;
  white-space: nowrap; }
.pass { color: var(--pass); background: var(--pass-bg); fill: var(--pass-bg); }
.fail { color: var(--fail); background: var(--fail-bg); fill: var(--fail-bg); }
.error { color: var(--error); background: var(--error-bg); fill: var(--error-bg); }
.waived { color: var(--waived); background: var(--waived-bg); fill: var(--waived-bg); }
.not_tested { color: var(--not_tested); background: var(--not_tested-bg); fill: var(--not_tested-bg); }
.not_applicable { color: var(--not_applicable); background: var(--not_applicable-bg); fill: var(--not_applicable-bg); }
.bar .pass { fill: #2da44e; } .bar .fail { fill: #cf222e; } .bar .error { fill: #e0740f; }
.bar .waived { fill: #d4a72c; } .bar .not_tested { fill: #8c959f; } .bar .not_applicable { fill: var(--line); }
.scroll { overflow-x: auto; }
.map { display: block; font-size: 13px; }
.map text { fill: var(--ink); }
.map .host { font-weight: 600; }
.map .id { font-weight: 600; }
.map .name, .map .score { fill: var(--quiet); }
.map .score { font-size: 11px; }
.map g text { fill: currentColor; font-weight: 600; font-size: 12px; }
.map a:hover .name { text-decoration: underline; }
.trend { margin: 0 0 10px; }
.series { display: block; font-size: 11px; max-width: 100%; height: auto; min-width: 640px; }
.series .pass { fill: #2da44e; } .series .fail { fill: #cf222e; }
.series .sign { fill: var(--fail); font-weight: 600; font-size: 12px; }
.series .grid { stroke: var(--line); } .series .scale { fill: var(--quiet); }
.series line.limit { stroke: var(--ink); stroke-dasharray: 5 4; } .series text.limit { fill: var(--ink); }
.card { background: none; color: inherit; border: 1px solid var(--line); border-left: 5px solid #cf222e;
  border-radius: 8px; padding: 10px 14px; margin: 0 0 10px; break-inside: avoid; }
.card.error { border-left-color: #e0740f; }
.card ul { margin: 0 0 6px; padding-left: 18px; overflow-wrap: anywhere; }
.card p { margin-bottom: 4px; overflow-wrap: anywhere; }
.at { font-weight: 600; }
.remedy b { color: var(--quiet); font-weight: 600; margin-right: 4px; }
details { border-top: 1px solid var(--line); padding: 8px 0; }
details.blind { border: 0; padding: 10px 0 0; color: var(--quiet); font-size: 13px; }
summary { cursor: pointer; }
table { border-collapse: collapse; width: 100%; font-size: .87em; margin: 6px 0; }
th, td { text-align: left; vertical-align: top; padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 600; }
td { overflow-wrap: anywhere; min-width: 70px; }
td:first-child { white-space: nowrap; }
.subject { width: 30%; min-width: 170px; }
footer { max-width: 1080px; margin: 0 auto; padding: 0 18px 24px; }
@media (max-width: 600px) {
  main { padding: 10px 8px; }
  header, section { padding: 14px 12px; border-radius: 8px; }
  h1 { font-size: 20px; }
}
@media print {
  :root { --page: #ffffff; --paper: #ffffff; --ink: #000000; --quiet: #444444; --line: #bbbbbb; }
  body { font-size: 10.5px; line-height: 1.35; }
  h1 { font-size: 20px; } h2 { font-size: 14px; } h3 { font-size: 11px; }
  th, td { padding: 2px 8px 2px 0; }
  .card { padding: 6px 10px; margin-bottom: 6px; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  header, section { border: 0; padding: 0; }
  .scroll { overflow: visible; }
  .map { max-width: 100%; height: auto; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
