# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of the columns of a row: by type, different from row to row where they must, and such as checks accept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import rows, values
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.checks import (
    Constants,
    candidates,
    constants,
)
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.insert import Writer
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.observe import named_in
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.solve import Solver
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    CHECK,
    EXCLUSION,
    FOREIGN_KEY,
    KEYS,
    Database,
    NoRowError,
    Row,
    Table,
)

FURTHER = 60  # how many values of a column are looked through for one that no other row has


class Columns:
    """Finds values.

    :param given: values that the spec file says, ``schema.table.column`` -> texts of the first rows.
    """

    def __init__(
        self, database: Database, writer: Writer, solver: Solver, given: Mapping[str, Sequence[str | None]]
    ) -> None:
        self.database, self.writer, self.solver, self.given = database, writer, solver, given
        self.used: dict[int, dict[int, Row]] = {}  # the rows of each table so far
        self.taken: dict[tuple[int, str], set[str | None]] = {}  # values that were duplicates of rows that are there
        self._plain: dict[tuple[int, int], Row] = {}
        self._domains: dict[tuple[int, str], list[str]] = {}
        self._keys: dict[int, frozenset[str]] = {}
        self._narrow = _narrow(database)

    def forget(self, oid: int, number: int) -> None:
        """Choose values anew for a row, because some of them are taken."""
        self._plain.pop((oid, number), None)

    def plain(self, oid: int, number: int) -> Row:
        """The values of a row by their types alone; columns for which nothing is known and nothing needed are left
        to their default."""
        key = (oid, number)
        if key not in self._plain:
            table = self.database.tables[oid]
            keyed = self._keyed(table)
            found: Row = {}
            for name in table.written:
                column = table.columns[name]
                text = self._own(table, name, number)
                if text is None and column.has_default:
                    continue
                if name in keyed:
                    text = self._free(table, name, number, text)
                else:
                    text = values.modest(self.database.types, column.type, column.typmod, number) or text
                found[name] = text
            self._plain[key] = found
        return self._plain[key]

    def _keyed(self, table: Table) -> frozenset[str]:
        """The columns whose values must differ from row to row."""
        if table.oid not in self._keys:
            columns = {name for item in self.database.of(table.oid, *KEYS, EXCLUSION) for name in item.columns}
            self._keys[table.oid] = self.sources(table, sorted(columns))
        return self._keys[table.oid]

    def _others(self, table: Table, name: str, number: int) -> set[str | None]:
        """The values of a column in our other rows, and those that were duplicates of rows that are there."""
        ours = {row.get(name) for other, row in self.used.get(table.oid, {}).items() if other != number}
        return ours | self.taken.get((table.oid, name), set())

    def _free(self, table: Table, name: str, number: int, text: str | None) -> str | None:
        """The next value that no other row has; the first one again where all have been used."""
        taken = self._others(table, name, number)
        for further in range(1, FURTHER):
            if text not in taken:
                return text
            text = self._own(table, name, number + further)
        return self._own(table, name, number)

    def _own(self, table: Table, name: str, number: int) -> str | None:
        """A value by type, that of the narrowest column which references this one."""
        column = table.columns[name]
        return self.value(*self._narrow.get((table.oid, name), (column.type, column.typmod)), number)

    def value(self, oid: int, typmod: int, number: int) -> str | None:
        """The ``number``-th value of a type, also of a domain with checks."""
        kind = self.database.types.get(oid)
        if kind is not None and kind.kind == "d" and self.domain_checks(oid):
            found = self.fitting(oid, typmod, Constants())
            return found[number % len(found)] if found else None
        if kind is not None and kind.kind == "a":
            part = self.value(kind.part, typmod, number)
            return None if part is None else values.array([part])
        return values.value(self.database.types, oid, typmod, number)

    def spoken(self, table: Table) -> dict[str, Sequence[str | None]]:
        return {
            name: self.given[f"{table.shown}.{name}"] for name in table.columns if f"{table.shown}.{name}" in self.given
        }

    def domain_checks(self, oid: int) -> list[str]:
        """Of a domain and of those that it is over."""
        found = []
        kind = self.database.types.get(oid)
        while kind is not None and kind.kind == "d":
            found += [item.expression for item in self.database.by_domain.get(kind.oid, ()) if item.expression]
            kind = self.database.types.get(kind.part)
        return found

    def fitting(self, oid: int, typmod: int, known: Constants) -> list[str]:
        """Values of a type to try; those of a domain only if it accepts them."""
        kind = self.database.types.get(oid)
        if kind is None or kind.kind != "d":
            return candidates(self.database.types, oid, typmod, known)
        key = (oid, repr(known))
        if key not in self._domains:
            checks = self.domain_checks(oid)
            for text in checks:
                known = known + constants(text)
            base = kind
            while base.kind == "d":
                typmod = base.part_typmod
                base = self.database.types[base.part]
            from_checks = candidates(self.database.types, oid, typmod, known)
            shown = base.shown
            self._domains[key] = self.solver.valid(shown, from_checks, checks) if from_checks else []
        return self._domains[key]

    # -- what checks say ------------------------------------------------------------------------------------------

    def conditions(self, table: Table) -> list[tuple[str, str, frozenset[str]]]:
        """Name, expression and columns of whatever a row must satisfy: its checks and the bound of its partition."""
        found = [
            (item.name, item.expression, self.sources(table, item.columns))
            for item in self.database.of(table.oid, CHECK)
        ]
        for column in table.columns.values():
            if column.generated:  # what is computed must be possible
                text = f"(({column.expression})::{column.shown} IS NULL) IN (true, false)"
                found.append(("", text, self.sources(table, (column.name,))))
        if table.bound:
            found.append(("", table.bound, self.sources(table, named_in(table.bound, tuple(table.columns)))))
        return found

    def sources(self, table: Table, columns: Sequence[str]) -> frozenset[str]:
        """The columns that a row gives, in place of those that are generated from them."""
        found: set[str] = set()
        for name in columns:
            column = table.columns[name]
            found |= set(named_in(column.expression, table.written)) if column.generated else {name}
        return frozenset(found)

    def checked(
        self, table: Table, row: Row, tied: frozenset[str], number: int, others: Callable[[str], list[str | None]]
    ) -> Row:
        """The row with values that its checks accept.

        :param tied: columns that foreign keys decide.
        :param others: further values that such a column may have.
        :raises NoRowError: nothing was found that they accept.
        """
        keyed = self._keyed(table)
        conditions = self.conditions(table)
        for expressions, columns in rows.components((text, columns) for _name, text, columns in conditions):
            choices = {}
            for name in sorted(columns & set(row)):
                texts = self.choices(table, name, row, expressions, tied, strict=True)
                if name in keyed and name not in tied and len(texts) > 1:
                    taken = self._others(table, name, number)
                    texts = [text for text in texts if text is None or text not in taken] or texts
                choices[name] = texts
            found = self.solver.find(table, row, choices, expressions)
            if found is None and set(choices) & tied:  # nobody follows himself
                for name in set(choices) & tied:
                    choices[name] = [*choices[name], *others(name)]
                found = self.solver.find(table, row, choices, expressions)
            if found is None:
                found = self.by_steps(table, row, choices, [c for c in conditions if c[1] in expressions])
            if found is None:
                found = self._as_existing(table, row, choices, expressions, tied)
            if found is None:
                names = sorted(
                    name or "its partition or generated columns" for name, text, _c in conditions if text in expressions
                )
                raise NoRowError(f"no values were found that satisfy {', '.join(names)} of {table.shown}")
            row = {**row, **found}
        return row

    def by_steps(
        self,
        table: Table,
        row: Row,
        choices: Mapping[str, Sequence[str | None]],
        conditions: Sequence[tuple[str, str, frozenset[str]]],
    ) -> Row | None:
        """Many checks over many columns are too much to look at together: one after the other, the widest first."""
        found: Row = {}
        done: list[str] = []
        for _name, text, columns in sorted(conditions, key=lambda item: -len(item[2])):
            vary = {name: choices[name] for name in columns if name in choices}
            more = self.solver.find(table, {**row, **found}, vary, [*done, text])
            if more is None:
                return None
            found.update(more)
            done.append(text)
        return found

    def _as_existing(
        self,
        table: Table,
        row: Row,
        choices: Mapping[str, Sequence[str | None]],
        holds: Sequence[str],
        tied: frozenset[str],
    ) -> Row | None:
        for there in self.writer.existing(table, 20):
            same = {name: [there[name]] if name not in tied else choices[name] for name in choices}
            found = self.solver.find(table, row, same, holds)
            if found is not None:
                return found
        return None

    def choices(
        self, table: Table, name: str, row: Row, expressions: Sequence[str], tied: frozenset[str], *, strict: bool
    ) -> list[str | None]:
        """Values of a column to try in checks.

        :param strict: a column that a foreign key decides keeps its value, or becomes NULL.
        """
        column = table.columns[name]
        found: list[str | None] = [row[name]]
        if f"{table.shown}.{name}" in self.given and strict:
            return found
        if name not in tied or not strict:
            known = Constants()
            for text in (*expressions, *(other.expression for other in table.columns.values() if other.generated)):
                known = known + constants(text)
            found += self.fitting(column.type, column.typmod, known)
            if not strict:
                found += [
                    row[other]
                    for other in table.written
                    if other != name and table.columns[other].type == column.type and other in row
                ]
        if not column.not_null:
            found.append(None)
        elif None in found:
            found.remove(None)
        return list(dict.fromkeys(found))


def _narrow(database: Database) -> dict[tuple[int, str], tuple[int, int]]:
    """Columns that are referenced by narrower ones (integer by smallint, text by varchar(5)): their type."""
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for key in database.constraints.values():
        for name, to in zip(key.columns, key.target_columns) if key.kind == FOREIGN_KEY else ():
            child = database.tables[key.table].columns[name]
            for oid in database.leaves(key.target):
                parent = database.tables[oid].columns[to]
                known = found.get((oid, to), (parent.type, parent.typmod))
                if _width(database, child.type, child.typmod) < _width(database, *known):
                    found[(oid, to)] = (child.type, child.typmod)
    return found


def _width(database: Database, oid: int, typmod: int) -> float:
    kind = database.types.get(oid)
    if kind is None or kind.kind != "b":
        return math.inf
    if kind.name in ("varchar", "bpchar") and typmod >= 4:
        return typmod - 4
    return {"int2": 2, "int4": 4, "int8": 8}.get(kind.name, math.inf)
