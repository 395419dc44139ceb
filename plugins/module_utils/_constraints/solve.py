# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask PostgreSQL which of many values satisfy or violate conditions: one SELECT over the values, nothing is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import combinations, islice, product
from typing import TYPE_CHECKING, Any

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import Row, Table
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Argument, Ident, Joined, Literal, Sql
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import compose

with suppress(ImportError):  # connect() says so
    import psycopg2

if TYPE_CHECKING:
    from psycopg2 import extensions

MOST = 6000  # combinations that one query looks at
SINGLY = 250  # and how many are tried one by one when an expression cannot be evaluated for some value

Choices = Mapping[str, Sequence["str | None"]]


def catalog(text: str) -> Sql:
    """An expression or type as the catalog writes it, qualified, as a part of a statement."""
    return Sql(text.replace("{", "{{").replace("}", "}}"))


def typed(text: str | None, shown: str) -> Sql:
    """A value with its type."""
    return Sql("{}::{}", (Literal(text), catalog(shown)))


class Solver:
    """Finds values for columns of one database."""

    def __init__(self, cursor: extensions.cursor) -> None:
        self.cursor = cursor

    def find(
        self,
        table: Table,
        row: Row,
        choices: Choices,
        holds: Sequence[str] = (),
        fails: Sequence[str] = (),
    ) -> Row | None:
        """The first combination of choices with which the row has each of ``holds`` not false and ``fails`` false.

        :param row: the values of the other columns.
        """
        found = self.several(table, row, choices, holds, fails, 1)
        return found[0] if found else None

    def several(
        self, table: Table, row: Row, choices: Choices, holds: Sequence[str], fails: Sequence[str], limit: int
    ) -> list[Row]:
        """The first combinations of that kind."""
        if len(choices) > 2 and _size(choices) > MOST:
            # Too many to look at together. Most conditions are decided by two columns while the others stay.
            for pair in combinations(choices, 2):
                near = self.several(table, row, {name: choices[name] for name in pair}, holds, fails, limit)
                if near:
                    return near
        limited = _limited(choices)
        conditions = [*(_condition(text, "IS NOT FALSE") for text in holds)]
        conditions += [_condition(text, "IS FALSE") for text in fails]
        used = " ".join([*holds, *fails])
        try:
            found = self._query(_over(table, row, limited, conditions, used, limit))
        except psycopg2.errors.QueryCanceled:
            return []  # one by one it would take longer still
        except psycopg2.Error:
            alone = self._singly(table, row, limited, conditions, used)
            return [] if alone is None else [alone]
        return [dict(zip(limited, values)) for values in found]

    def valid(self, shown: str, texts: Sequence[str | None], checks: Sequence[str]) -> list[str]:
        """Which texts are values of a domain, and of the type that it is over."""
        statement = Sql(
            "SELECT v.text FROM (VALUES {}) AS v (number, text), LATERAL (SELECT v.text::{} AS value) AS s WHERE {}"
            " ORDER BY v.number",
            (
                Joined(tuple(Sql("({}, {}::text)", (Literal(n), Literal(t))) for n, t in enumerate(texts))),
                catalog(shown),
                _all([_condition(text, "IS NOT FALSE") for text in checks]),
            ),
        )
        try:
            return [row[0] for row in self._query(statement)]
        except psycopg2.errors.QueryCanceled:
            return []
        except psycopg2.Error:
            if len(texts) == 1:
                return []
        return [text for one in texts for text in self.valid(shown, [one], checks)]

    def _query(self, statement: Sql) -> list[tuple[Any, ...]]:
        """Run a SELECT; a failing one leaves the transaction as it was."""
        try:
            self.cursor.execute(compose(Sql("SAVEPOINT dbops_ask; {}", (statement,))))
            found = self.cursor.fetchall()
        except psycopg2.Error:
            self.cursor.execute("ROLLBACK TO SAVEPOINT dbops_ask; RELEASE SAVEPOINT dbops_ask")
            raise
        self.cursor.execute("RELEASE SAVEPOINT dbops_ask")
        return found

    def _singly(
        self, table: Table, row: Row, choices: dict[str, list[str | None]], conditions: list[Sql], used: str
    ) -> Row | None:
        for texts in islice(product(*choices.values()), SINGLY):
            one = {name: [text] for name, text in zip(choices, texts)}
            with suppress(psycopg2.Error):
                if self._query(_over(table, row, one, conditions, used, 1)):
                    return dict(zip(choices, texts))
        return None


def _size(choices: Choices) -> int:
    return math.prod(max(len(texts), 1) for texts in choices.values())


def _limited(choices: Choices) -> dict[str, list[str | None]]:
    """As many choices of each column as one query can look at together."""
    found = {name: list(dict.fromkeys(texts)) for name, texts in choices.items()}
    while found:
        if _size(found) <= MOST:
            break
        longest = max(found, key=lambda name: len(found[name]))
        # NULL stands last and says more than any other value.
        kept = found[longest][: max(len(found[longest]) * 2 // 3, 1)]
        found[longest] = [*kept[:-1], None] if None in found[longest] and len(kept) > 1 else kept
    return found


def _named(name: str, used: str) -> bool:
    """Whether an expression may name a column: rather one too many."""
    return name.replace('"', '""') in used


def _condition(text: str, test: str) -> Sql:
    return Sql("({}) " + test, (catalog(text),))


def _all(conditions: Sequence[Sql]) -> Sql:
    return Sql(" AND ".join(["true", *["{}"] * len(conditions)]), tuple(conditions))


def _over(
    table: Table, row: Row, choices: Mapping[str, Sequence[str | None]], conditions: list[Sql], used: str, limit: int
) -> Sql:
    sources: list[Argument] = []
    names: list[Argument] = []
    columns: list[Argument] = []
    for number, (name, texts) in enumerate(choices.items()):
        alias = f"dbops {number}"
        rows = Joined(tuple(Sql("({}::text)", (Literal(text),)) for text in texts))
        sources.append(Sql("(VALUES {}) AS {} ({})", (rows, Ident(alias), Ident(f"dbops v{number}"))))
        names.append(Ident(f"dbops v{number}"))
        cast = Sql("{}::{}", (Ident(f"dbops v{number}"), catalog(table.columns[name].shown)))
        columns.append(Sql("{} AS {}", (cast, Ident(name))))
    computed: list[Argument] = []
    for name, column in table.columns.items():
        if column.generated and _named(name, used):
            computed.append(Sql("({})::{} AS {}", (catalog(column.expression), catalog(column.shown), Ident(name))))
            used += column.expression
    for name, column in table.columns.items():
        if not column.generated and name not in choices and _named(name, used):
            columns.append(Sql("{} AS {}", (typed(row.get(name), column.shown), Ident(name))))
    sources.append(Sql("LATERAL (SELECT {}) AS {}", (Joined(tuple(columns)), Ident(table.name))))
    if computed:
        sources.append(Sql("LATERAL (SELECT {}) AS {}", (Joined(tuple(computed)), Ident("dbops computed"))))
    return Sql(
        "SELECT {} FROM {} WHERE {} LIMIT {}",
        (Joined((*names, Literal(1))), Joined(tuple(sources)), _all(conditions), Literal(limit)),
    )
