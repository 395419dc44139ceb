# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lint found, and its forms: as a finding of every check, as data, for an editor or a pull request. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import Gone


@dataclass(frozen=True)
class LintFinding:
    """One rule that one statement breaks.

    :param file: relative to the source.
    :param line: from 1, of the statement.
    :param note: what an approval, the gate of contract steps, or squawk adds.
    :param seen_by: ``dbops``, ``squawk`` or both.
    """

    rule: str
    klass: str
    severity: Severity
    control: str
    file: str
    line: int
    end_line: int
    statement: str
    object: str
    why: str
    safe: str
    status: Status = Status.FAIL
    note: str = ""
    waiver: str = ""
    expires: str = ""
    seen_by: tuple[str, ...] = ("dbops",)
    gone: Gone | None = None

    def as_finding(self, root: str = "") -> Finding:
        """In the form that every check has."""
        said = " ".join(part for part in (self.why, self.note) if part)
        return Finding(
            control=self.control,
            subject=f"{self.path(root)}:{self.line}",
            severity=self.severity,
            status=self.status,
            evidence=f"{said} Statement: {short(self.statement)}" if self.statement else said,
            remedy=self.safe if self.status in (Status.FAIL, Status.ERROR) else "",
            title=f"{self.rule}: {self.object}" if self.object else self.rule,
            waiver=self.waiver,
            expires=self.expires,
        )

    def as_dict(self, root: str = "") -> dict[str, Any]:
        """As the module returns it: the finding of every check, and what only the lint knows."""
        return {
            **self.as_finding(root).as_dict(),
            "rule": self.rule,
            "class": self.klass,
            "file": self.path(root),
            "line": self.line,
            "end_line": self.end_line,
            "statement": self.statement,
            "object": self.object,
            "gone": [self.gone.table, self.gone.column] if self.gone else [],
            "why": self.why,
            "note": self.note,
            "safe_way": self.safe,
            "seen_by": list(self.seen_by),
        }

    def path(self, root: str = "") -> str:
        """The file as one opens it from where the lint was run."""
        return f"{root.rstrip('/')}/{self.file}" if root and root != "." else self.file


def short(statement: str, most: int = 160) -> str:
    """A statement on one line."""
    words = " ".join(statement.split())
    return words if len(words) <= most else words[: most - 1] + "…"
