# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows that are there already and violate a constraint: orphans, and what NOT VALID left unlooked at."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.insert import Writer
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.solve import catalog
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    CHECK,
    FOREIGN_KEY,
    Constraint,
    Database,
    Table,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Argument, Ident, Sql

_TOGETHER = 40  # so that one large table does not keep many from being looked at
_SECONDS = 120  # for all; a check shall not read a large database for hours
_WORDS = "rows that are there already violate it"


def violated(database: Database, chosen: Sequence[Constraint], writer: Writer) -> tuple[dict[str, str], list[str]]:
    """Which constraints have rows that violate them; and the ids of those that could not be looked at in time."""
    asked = []
    for item in chosen:
        statement = _statement(database, item)
        if statement is not None:
            asked.append((item, statement))
    found: dict[str, str] = {}
    unseen: list[str] = []
    started = time.monotonic()
    for start in range(0, len(asked), _TOGETHER):
        part = asked[start : start + _TOGETHER]
        late = time.monotonic() > started + _SECONDS
        answers = [None] * len(part) if late else writer.booleans([statement for _item, statement in part])
        for (item, _asked), answer in zip(part, answers):
            if answer is None:
                unseen.append(item.id)
            elif answer:
                found[item.id] = _WORDS
    return found, unseen


def _statement(database: Database, item: Constraint) -> Sql | None:
    table = database.tables.get(item.table)
    if table is None or table.kind == "f" or not table.may_write or table.row_security:
        return None
    here = _alone(table)
    if item.kind == CHECK and not item.validated:
        return Sql("EXISTS (SELECT FROM {} WHERE ({}) IS FALSE)", (here, catalog(item.expression)))
    if item.kind != FOREIGN_KEY or item.parent:
        return None  # a partition's foreign key is looked at with that of its parent
    target = database.tables[item.target]
    pairs: list[Argument] = []
    given: list[Argument] = []
    for name, to in zip(item.columns, item.target_columns):
        pairs.append(Sql("{} = {}", (Ident("parent", to), Ident("child", name))))
        given.append(Sql("{} IS NOT NULL", (Ident("child", name),)))
    return Sql(
        "EXISTS (SELECT FROM {} AS child WHERE {} AND NOT EXISTS (SELECT FROM {} AS parent WHERE {}))",
        (here, _and(given), _alone(target), _and(pairs)),
    )


def _alone(table: Table) -> Sql:
    """A table without those that inherit from it, which have constraints of their own; a partitioned one is nothing
    but its partitions."""
    return Sql("{}" if table.kind == "p" else "ONLY {}", (Ident(table.schema, table.name),))


def _and(parts: Sequence[Argument]) -> Sql:
    return Sql(" AND ".join(["{}"] * len(parts)), tuple(parts))
