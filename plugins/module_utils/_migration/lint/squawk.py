# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What squawk says, in our words: its rules by our topics and severities. Pure; it is run in :mod:`.squawk_run`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import EXPAND, FORBIDDEN, Rule
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_M, _H = Severity.MEDIUM, Severity.HIGH

# Ours know more of these than a single statement tells (the old type, a check that is already valid, what is NULL in
# a new column, how the tool runs the file): where ours are silent, squawk's is a false alarm.
DECIDED: Mapping[str, tuple[str, ...]] = {
    "adding-field-with-default": ("add-column-rewrite",),
    "adding-foreign-key-constraint": ("foreign-key-not-valid",),
    "adding-not-nullable-field": ("set-not-null", "add-column-not-null"),
    "adding-required-field": ("add-column-not-null", "add-column-rewrite"),
    "changing-column-type": ("type-change-lossy", "type-change-rewrite", "type-change-unknown"),
    "constraint-missing-not-valid": ("check-not-valid", "foreign-key-not-valid", "validate-in-same-transaction"),
    "transaction-nesting": ("transaction-control",),
    "ban-concurrent-index-creation-in-transaction": ("not-in-transaction",),
    "ban-drop-constraint": ("drop-constraint", "loosen-constraint", "drop-cascade"),
    "ban-drop-table": ("drop-table", "drop-cascade"),
    "ban-drop-schema": ("drop-schema", "drop-cascade"),
    "ban-drop-extension": ("drop-extension", "drop-cascade"),
    "ban-drop-sequence": ("drop-sequence", "drop-cascade"),
    "ban-drop-type": ("drop-type", "drop-cascade"),
    "ban-drop-domain": ("drop-type", "drop-cascade"),
    "ban-alter-domain-with-add-constraint": ("domain-constraint-not-valid",),
    "require-concurrent-index-creation": ("index-concurrently",),
    "renaming-object": ("rename-other",),
    "ban-drop-view": ("drop-view",),
    "ban-drop-function": ("drop-function",),
    "ban-drop-policy": ("drop-policy",),
    "ban-alter-row-level-security": ("disable-row-security", "no-force-row-security"),
}
# The same topics as ours. Where ours are silent and the table is not new, squawk's stands: two see more than one.
COVERED: Mapping[str, tuple[str, ...]] = {
    "adding-serial-primary-key-field": ("add-column-unique", "add-column-rewrite", "unique-using-index"),
    "disallowed-unique-constraint": ("unique-using-index", "add-column-unique"),
    "require-concurrent-index-deletion": ("drop-index", "drop-cascade"),
    "require-concurrent-partition-detach": ("detach-concurrently",),
    "require-concurrent-reindex": ("reindex-concurrently",),
    "renaming-column": ("rename-column",),
    "renaming-table": ("rename-table",),
    "ban-drop-column": ("drop-column", "drop-cascade"),
    "ban-set-schema": ("set-schema",),
    "ban-drop-database": ("drop-database",),
    "ban-truncate-cascade": ("truncate",),
    "ban-add-enum-value": ("enum-outside-allow-list",),
    "ban-alter-system-options": ("alter-system",),
    "ban-disable-trigger": ("disable-trigger",),
    "prefer-repack": ("vacuum-full", "cluster"),
}
# Only squawk knows these.
OWN = {
    "ban-create-domain-with-constraint": Rule(
        *("squawk/ban-create-domain-with-constraint", EXPAND, _M),
        "A constraint of a domain cannot be changed later without reading every table that uses it.",
    ),
    "ban-char-field": Rule(
        *("squawk/ban-char-field", EXPAND, _M), "char(n) pads with spaces, which compare in surprising ways."
    ),
    "ban-uncommitted-transaction": Rule(
        *("squawk/ban-uncommitted-transaction", FORBIDDEN, _H), "What follows BEGIN is never committed."
    ),
    "identifier-too-long": Rule(
        *("squawk/identifier-too-long", EXPAND, _M), "PostgreSQL cuts the name, and two cut names may be one."
    ),
}
# Taste, or nothing that harms: the migration sets lock_timeout and statement_timeout itself, and a tool that records
# what it has applied needs no IF NOT EXISTS. Loosening a column is what an expand step does.
OFF = frozenset(
    [
        "prefer-bigint-over-int",
        "prefer-bigint-over-smallint",
        "prefer-big-int",
        "prefer-identity",
        "prefer-robust-stmts",
        "prefer-text-field",
        "prefer-timestamp-tz",
        "ban-drop-not-null",
        "require-timeout-settings",
        "require-lock-timeout",
        "require-statement-timeout",
        "require-table-schema",
        "require-enum-value-ordering",
        "unused-ignore",
    ]
)


# What else it may find, told as it says it, medium; an approval may name them.
_MORE = frozenset(
    (
        *("ban-drop-default", "ban-set-default", "ban-drop-index", "ban-drop-trigger", "ban-drop-generated-expression"),
        *("ban-alter-identity", "ban-alter-generated-expression", "ban-replica-identity", "ban-revoke"),
        *("ban-replace-view-function", "ban-alter-policy-condition", "ban-alter-policy-roles", "ban-create-policy"),
        *("ban-alter-function-options", "ban-alter-view-options", "ban-alter-role-options"),
        *("ban-alter-database-options", "ban-new-write-restriction", "ban-add-composite-attribute", "ban-add-column"),
        *("ban-detach-inheritance", "ban-alter-sequence-values", "ban-alter-extension"),
        "ban-duplicate-column-assignments",
    )
)


@dataclass(frozen=True)
class Note:
    """One thing that squawk found; ``line`` from 1."""

    file: str
    line: int
    rule: str
    message: str
    help: str = ""

    @property
    def topics(self) -> tuple[str, ...]:
        """Our rules about the same."""
        return DECIDED.get(self.rule) or COVERED.get(self.rule) or ()

    @property
    def safe(self) -> str:
        """Squawk's advice, as a comment."""
        return f"-- {' '.join(self.help.split()) or 'https://squawkhq.com/docs/' + self.rule}"

    def as_rule(self) -> Rule:
        """As a row of our table; one that we do not know yet is medium, in squawk's own words."""
        return OWN.get(self.rule) or Rule(f"squawk/{self.rule}", EXPAND, _H if self.topics else _M, self.message)


def rule_names() -> frozenset[str]:
    """What an approval may name besides our own rules."""
    return frozenset(f"squawk/{name}" for name in (*OWN, *COVERED, *_MORE))


def parse(output: str, files: Mapping[str, str]) -> list[Note]:
    """The notes of ``--reporter json``; ``files`` gives our name of each file that was asked for.

    :raises DbopsError: it is something else, for example because squawk has changed it.
    """
    try:
        return [_note(item, files) for item in json.loads(output or "[]")]
    except (ValueError, KeyError, TypeError) as error:
        raise DbopsError(
            f"squawk answered something that cannot be read ({type(error).__name__}): {output[:200]!r}",
            "Install the version of squawk-cli that requirements.txt names.",
        ) from None


def _note(item: Mapping[str, Any], files: Mapping[str, str]) -> Note:
    path = str(item["file"])
    # Its lines begin with 0.
    return Note(
        files.get(path, path), int(item["line"]) + 1, item["rule_name"], item["message"], item.get("help") or ""
    )
