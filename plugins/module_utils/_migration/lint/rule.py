# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule is, what it says of a statement, and what it may know. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.catalog import Catalog
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import Name
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.statement import Script, Statement

# expand: right, in another form. contract: right, later. forbidden: only with an approval on record.
EXPAND, CONTRACT, FORBIDDEN = "expand", "contract", "forbidden"


@dataclass(frozen=True)
class Rule:
    """One row of the table of rules.

    :param why: what happens if the statement runs, in one sentence.
    :param needs_rows: it can only hurt where there are rows or users, so a table that this run has made is exempt.
    """

    id: str
    klass: str
    severity: Severity
    why: str
    control: str = "E-4"
    needs_rows: bool = True


@dataclass(frozen=True)
class Gone:
    """What a contract step takes away, for the gate: nothing may use it any more."""

    table: str
    column: str = ""


@dataclass(frozen=True)
class Hit:
    """A rule that a statement breaks.

    :param object: what it is about, for a person and for approvals.
    :param safe: the safe way, as SQL with the real names.
    :param why: instead of the rule's, where more is known.
    """

    rule: str
    object: str
    safe: str = ""
    why: str = ""
    gone: Gone | None = None


@dataclass(frozen=True)
class Context:
    """Everything that a rule may look at besides its statement."""

    catalog: Catalog
    script: Script
    statement: Statement
    layout: str
    migration: str
    in_transaction: bool
    version: int = 15
    enum_allowed: frozenset[str] = frozenset()
    reference_tables: frozenset[Name] = frozenset()
    made_here: frozenset[Name] = frozenset()


Check = Callable[[Context, Any], Iterator[Hit]]
AlterCheck = Callable[[Context, Name, Any], Iterator[Hit]]


@dataclass
class Registry:
    """The rules by id, and which function looks at which kind of node or ALTER TABLE command."""

    rules: dict[str, Rule] = field(default_factory=dict)
    checks: dict[str, list[Check]] = field(default_factory=dict)
    alter_checks: dict[str, list[AlterCheck]] = field(default_factory=dict)

    def add(self, *rules: Rule) -> None:
        """Rows of the table."""
        for rule in rules:
            if rule.id in self.rules:
                raise ValueError(f"rule {rule.id} is there twice")
            self.rules[rule.id] = rule

    def on(self, *kinds: str) -> Callable[[Check], Check]:
        """The function judges statements of these kinds."""

        def register(check: Check) -> Check:
            for kind in kinds:
                self.checks.setdefault(kind, []).append(check)
            return check

        return register

    def on_alter(self, *commands: str) -> Callable[[AlterCheck], AlterCheck]:
        """The function judges these commands of ALTER TABLE."""

        def register(check: AlterCheck) -> AlterCheck:
            for command in commands:
                self.alter_checks.setdefault(command, []).append(check)
            return check

        return register


REGISTRY = Registry()
