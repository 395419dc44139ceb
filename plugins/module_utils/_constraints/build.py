# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Valid rows: made of values by type, of parents that are made first, and of what checks accept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import rows, values
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.checks import (
    Constants,
    candidates,
    constants,
)
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.insert import Answer, Writer, insert
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.observe import named_in
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.solve import Solver
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    CHECK,
    EXCLUSION,
    KEYS,
    Constraint,
    Database,
    Rejection,
    Row,
    Table,
)

REPAIRS = 6  # how often a duplicate of a row that is there is answered by other values
FURTHER = 60


class NoRowError(Exception):
    """A table has no valid row that could be made; the text says why."""


class CycleError(NoRowError):
    """Foreign keys lead back to a row that is not there yet."""


class Builder:
    """Makes rows and keeps the first ones of each table, for the tables that reference it.

    :param given: values that the spec file says, ``schema.table.column`` -> texts of the first rows.
    """

    def __init__(
        self, database: Database, writer: Writer, solver: Solver, given: Mapping[str, Sequence[str | None]]
    ) -> None:
        self.database, self.writer, self.solver, self.given = database, writer, solver, given
        self.kept: dict[tuple[int, int], Row] = {}
        self.without_triggers: set[int] = set()
        self._plain: dict[tuple[int, int], Row] = {}
        self._making: list[tuple[int, int]] = []
        self._failed: dict[tuple[int, int], str] = {}
        self._keys: dict[int, frozenset[str]] = {}
        self._used: dict[int, dict[int, Row]] = {}
        self._taken: dict[tuple[int, str], set[str | None]] = {}
        self._domains: dict[tuple[int, str], list[str]] = {}
        self._fresh: dict[int, frozenset[str]] = {}

    # -- rows that stay -------------------------------------------------------------------------------------------

    def anchor(self, table: int, number: int = 0) -> Row:
        """The ``number``-th row of a table, inserted when it is first asked for.

        :raises NoRowError: there is none.
        """
        table = self.leaf(table)
        key = (table, number)
        if key in self.kept:
            return self.kept[key]
        if key in self._failed:
            raise NoRowError(self._failed[key])
        if key in self._making:
            raise CycleError("its foreign keys form a circle that is neither nullable nor deferrable")
        self._making.append(key)
        before = set(self.kept)
        circle = any(item.deferrable for item in rows.foreign_keys(self.database, table))
        name = f"dbops_circle_{len(self._making)}" if circle else ""
        self.writer.mark(name)
        try:
            self.kept[key], owed = self._make(table, number)
            for other in owed:
                self.anchor(*other)
        except NoRowError as error:
            if circle:  # a row that waits for another one that will not come would stop every row after it
                self.writer.back(name)
                self.kept = {row: values for row, values in self.kept.items() if row in before}
            if isinstance(error, CycleError):
                raise
            self._failed[key] = str(error)
            raise
        finally:
            self._making.pop()
            self.writer.release(name)
        return self.kept[key]

    def leaf(self, table: int) -> int:
        """Where the rows of a table go: a partitioned one has them in a partition."""
        leaves = self.database.leaves(table)
        if not leaves:
            raise NoRowError(f"{self.database.tables[table].shown} has no partition, so no row fits")
        return leaves[0]

    def _make(self, oid: int, number: int) -> tuple[Row, list[tuple[int, int]]]:
        """A row that stays, and those that its deferred foreign keys still need."""
        table = self.database.tables[oid]
        owed: list[tuple[int, int]] = []
        try:
            row, answer, triggers = self.accepted(oid, number, owed)
        except CycleError:
            raise
        except NoRowError:
            there = self.writer.existing(table) if number == 0 else []
            if not there:
                raise
            return there[0], []
        if not triggers:
            self.without_triggers.add(oid)
        return answer.row or row, owed

    def accepted(self, oid: int, number: int, owed: list[tuple[int, int]] | None = None) -> tuple[Row, Answer, bool]:
        """A row that the table takes, what it answered, and whether that was with the user's triggers.

        :param owed: given, the row stays, and what its deferred foreign keys still need is put here.
        :raises NoRowError: the table takes none.
        """
        table = self.database.tables[oid]
        self._usable(table)
        triggers = oid not in self.without_triggers
        last: Rejection | None = None
        for _try in range(REPAIRS):
            row, needed = self.row(oid, number)
            if owed is not None:
                owed[:] = needed
            else:
                for other in needed:
                    self.anchor(*other)
            keep = owed is not None
            answer = self._write(table, row, triggers, keep)
            if answer.rejection is None and answer.written:
                return row, answer, triggers
            last = answer.rejection
            if last is None or (last.sqlstate not in ("23505", "23P01") and triggers and table.triggers):
                if not triggers:
                    break
                again = self._write(table, row, False, keep)
                if again.rejection is None and again.written:
                    return row, again, False
                last = last or Rejection("", f"a trigger ({_names(table)}) or rule left the row out")
                break
            if last.sqlstate not in ("23505", "23P01") or not self._move(oid, number, last):
                break
        raise NoRowError(f"no valid row of {table.shown} could be made: {said(last) if last else 'it was left out'}")

    def _write(self, table: Table, row: Row, triggers: bool, keep: bool) -> Answer:
        if keep:
            return self.writer.keep(table, row, triggers=triggers)
        return self.writer.attempt([insert(table, row)], triggers=triggers)

    def _usable(self, table: Table) -> None:
        if table.kind == "f":
            raise NoRowError(f"{table.shown} is a foreign table: its server decides, not PostgreSQL")
        if not table.may_write:
            raise NoRowError(f"role {self.database.user} may not read and insert into {table.shown}")
        if table.rules:
            raise NoRowError(f"a rule of {table.shown} rewrites INSERT")
        if table.row_security:
            raise NoRowError(
                f"row-level security of {table.shown} applies to role {self.database.user}: run as its owner without "
                "FORCE, or as a role with BYPASSRLS"
            )

    def _move(self, oid: int, number: int, rejection: Rejection) -> bool:
        """After a duplicate: its values are taken. False: there is nothing to vary."""
        tied = {column for item in rows.foreign_keys(self.database, oid) for column in item.columns}
        moved = False
        for item in self.database.of(oid, *KEYS, EXCLUSION):
            if item.name == rejection.constraint:
                for column in self.sources(self.database.tables[oid], item.columns) - tied:
                    self._taken.setdefault((oid, column), set()).add(self._used[oid][number].get(column))
                    moved = True
        self._plain.pop((oid, number), None)
        return moved

    # -- rows as values -------------------------------------------------------------------------------------------

    def row(self, oid: int, number: int) -> tuple[Row, list[tuple[int, int]]]:
        """The ``number``-th row as values, its parents inserted; and the rows that deferred foreign keys still need."""
        table = self.database.tables[oid]
        row = dict(self.plain(oid, number))
        decided: set[str] = set()
        owed: list[tuple[int, int]] = []
        loose: list[str] = []
        if oid not in self._fresh:
            self._fresh[oid] = rows.fresh(self.database, oid)
        for key in rows.foreign_keys(self.database, oid):
            wanted = number if key.id in self._fresh[oid] else 0
            source = self._parent(table, row, key, number, wanted, owed)
            for column, target in zip(key.columns, key.target_columns):
                if source is not None and column not in decided:
                    row[column] = source.get(target)
                elif source is None and column not in decided and not table.columns[column].not_null:
                    row[column] = None
                    loose.append(column)
            decided.update(key.columns if source is not None else loose)
        for name, texts in self._spoken(table).items():
            row[name] = texts[min(number, len(texts) - 1)]
        row = self.checked(table, row, frozenset(decided), number)
        self._used.setdefault(oid, {})[number] = row
        return row, owed

    def _parent(
        self, table: Table, row: Row, key: Constraint, number: int, wanted: int, owed: list[tuple[int, int]]
    ) -> Row | None:
        """The row that a foreign key points at; None: it shall be NULL."""
        nullable = any(not table.columns[column].not_null for column in key.columns)
        target = self.leaf(key.target)
        if target == table.oid and (target, wanted) not in self.kept:
            return None if nullable else row
        try:
            return self.anchor(key.target, wanted)
        except CycleError:
            if nullable:
                return None
            if not key.deferrable:
                raise
            if (target, wanted) not in self._making:
                owed.append((target, wanted))
            return self.plain(target, wanted)
        except NoRowError:
            if nullable:
                return None
            raise

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
                text = self.value(column.type, column.typmod, number)
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
        ours = {row.get(name) for other, row in self._used.get(table.oid, {}).items() if other != number}
        return ours | self._taken.get((table.oid, name), set())

    def _free(self, table: Table, name: str, number: int, text: str | None) -> str | None:
        """The next value that no other row has; the first one again where all have been used."""
        column = table.columns[name]
        taken = self._others(table, name, number)
        for further in range(1, FURTHER):
            if text not in taken:
                return text
            text = self.value(column.type, column.typmod, number + further)
        return self.value(column.type, column.typmod, number)

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

    def _spoken(self, table: Table) -> dict[str, Sequence[str | None]]:
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

    def checked(self, table: Table, row: Row, tied: frozenset[str], number: int) -> Row:
        """The row with values that its checks accept.

        :param tied: columns that foreign keys decide.
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
            if found is None:
                found = self._as_existing(table, row, choices, expressions, tied)
            if found is None:
                names = sorted(
                    name or "its partition or generated columns" for name, text, _c in conditions if text in expressions
                )
                raise NoRowError(f"no values were found that satisfy {', '.join(names)} of {table.shown}")
            row = {**row, **found}
        return row

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


def said(rejection: Rejection) -> str:
    """An error in one line."""
    state = f" (SQLSTATE {rejection.sqlstate})" if rejection.sqlstate else ""
    return " ".join(rejection.message.split()) + state


def _names(table: Table) -> str:
    return ", ".join(trigger.name for trigger in table.triggers) or "none of them before the row"
