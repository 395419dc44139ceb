# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/readiness.md lists every probe; the shipped waivers are valid, needed and documented."""

from __future__ import annotations

from pathlib import Path

import yaml

from ansible_collections.dbops.postgres.plugins.module_utils._readiness import check, waivers
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.benchmark import BY_NUMBER
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import PROBES
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Thresholds
from tests.unit._readiness.good import set_to

CHECKOUT = Path(__file__).resolve().parents[3]
GUIDE = (CHECKOUT / "docs" / "readiness.md").read_text()


def test_the_guide_lists_every_probe() -> None:
    rows = {line.split("|")[1].strip(): line for line in GUIDE.splitlines() if line.startswith("| ")}
    for probe in PROBES:
        if probe.subject in BY_NUMBER and probe.subject.split(".")[0] in ("3", "5", "8"):
            continue  # ranges
        assert probe.subject in rows[probe.control], f"docs/readiness.md: {probe.control} {probe.subject} is missing"


def test_the_shipped_waivers_cover_what_they_name() -> None:
    text = (CHECKOUT / "playbooks" / "vars" / "cis_waivers.yml").read_text()
    given = yaml.safe_load(text)["readiness_default_waivers"]
    accepted = waivers.parse(given)
    bare = set_to(log_statement="none", shared_preload_libraries="", archive_mode="off", archive_command="")
    findings = check.judged(bare, Thresholds(), check.select([], []), accepted)
    assert {waiver.subject for waiver in accepted} <= set(BY_NUMBER)
    # 6.7 alone holds on the good host of these tests.
    assert waivers.unused(findings, accepted) == ["S-9 6.7"]
