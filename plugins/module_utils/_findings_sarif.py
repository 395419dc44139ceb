# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings as SARIF 2.1.0, which a code host shows at the line of a pull request. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning"}
# GitHub orders by this number: over 9.0 critical, 7.0 high, 4.0 medium.
_NUMBERS = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.0"}


@dataclass(frozen=True)
class SarifRule:
    """A kind of finding."""

    id: str
    severity: Severity
    text: str


@dataclass(frozen=True)
class SarifResult:
    """A finding at its place; ``suppressed`` is the reason for which it does not count, empty: it counts."""

    rule: str
    severity: Severity
    message: str
    file: str
    line: int
    end_line: int
    snippet: str = ""
    suppressed: str = ""


def to_sarif(tool: str, rules: Sequence[SarifRule], results: Sequence[SarifResult]) -> str:
    """The document. Files are relative to the root of the repository."""
    index = {rule.id: number for number, rule in enumerate(rules)}
    document = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": tool, "rules": [_rule(rule) for rule in rules]}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(result, index) for result in results],
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: SarifRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.text},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"security-severity": _NUMBERS[rule.severity], "tags": ["postgresql", "migration"]},
    }


def _result(result: SarifResult, index: Mapping[str, int]) -> dict[str, Any]:
    region: dict[str, Any] = {"startLine": max(result.line, 1), "endLine": max(result.end_line, result.line, 1)}
    if result.snippet:
        region["snippet"] = {"text": result.snippet}
    data: dict[str, Any] = {
        "ruleId": result.rule,
        "level": _LEVELS[result.severity],
        "message": {"text": result.message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(result.file.removeprefix("./"))},
                    "region": region,
                }
            }
        ],
        # Lines move; the same statement in the same file stays the same finding.
        "partialFingerprints": {"dbops/v1": _fingerprint(result)},
    }
    if result.rule in index:
        data["ruleIndex"] = index[result.rule]
    if result.suppressed:
        data["suppressions"] = [{"kind": "external", "justification": result.suppressed}]
    return data


def _fingerprint(result: SarifResult) -> str:
    words = "\0".join((result.rule, result.file, " ".join(result.snippet.split()) or result.message))
    return hashlib.sha256(words.encode()).hexdigest()[:32]
