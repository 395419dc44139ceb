# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Valid rows: values for their columns, and parents that are inserted first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import rows
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.columns import Columns
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.insert import Answer, Writer, insert
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.solve import Solver
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    EXCLUSION,
    FOREIGN_KEY,
    KEYS,
    Constraint,
    Database,
    NoRowError,
    Rejection,
    Row,
    Table,
)

STRANGER = 9  # number of a parent row that no row of ours points at, unless it must
QUIET = 40  # rows from this number on are made without triggers
REPAIRS = 6  # how often a duplicate of a row that is there is answered by other values


class CycleError(NoRowError):
    """Foreign keys lead back to a row that is not there yet."""


class Builder:
    """Makes rows and keeps the first ones of each table, for the tables that reference it.

    :param given: values that the spec file says, ``schema.table.column`` -> texts of the first rows.
    """

    def __init__(
        self, database: Database, writer: Writer, solver: Solver, given: Mapping[str, Sequence[str | None]]
    ) -> None:
        self.database, self.writer = database, writer
        self.columns = Columns(database, writer, solver, given)
        self.kept: dict[tuple[int, int], Row] = {}
        self.without_triggers: set[int] = set()
        self._making: list[tuple[int, int]] = []
        self._failed: dict[tuple[int, int], str] = {}
        self._fresh: dict[int, frozenset[str]] = {}
        self._quiet: set[int] = set()

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
        if not triggers and number < QUIET:
            self.without_triggers.add(oid)
        return answer.row or row, owed

    def accepted(self, oid: int, number: int, owed: list[tuple[int, int]] | None = None) -> tuple[Row, Answer, bool]:
        """A row that the table takes, what it answered, and whether that was with the user's triggers.

        :param owed: given, the row stays, and what its deferred foreign keys still need is put here.
        :raises NoRowError: the table takes none.
        """
        table = self.database.tables[oid]
        self.usable(table)
        triggers = oid not in self.without_triggers and number < QUIET
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

    def usable(self, table: Table) -> None:
        """Whether rows may be tried in a table at all.

        :raises NoRowError: no.
        """
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
                for column in self.columns.sources(self.database.tables[oid], item.columns) - tied:
                    self.columns.taken.setdefault((oid, column), set()).add(self.columns.used[oid][number].get(column))
                    moved = True
        self.columns.forget(oid, number)
        if not moved and self._fresh.get(oid) and oid not in self._quiet:
            # A trigger of the table that it points at has made the row already, as for a new user a profile.
            self._quiet.add(oid)
            return True
        return moved

    # -- rows as values -------------------------------------------------------------------------------------------

    def row(self, oid: int, number: int) -> tuple[Row, list[tuple[int, int]]]:
        """The ``number``-th row as values, its parents inserted; and the rows that deferred foreign keys still need."""
        table = self.database.tables[oid]
        row = dict(self.columns.plain(oid, number))
        decided: set[str] = set()
        owed: list[tuple[int, int]] = []
        loose: list[str] = []
        if oid not in self._fresh:
            self._fresh[oid] = rows.fresh(self.database, oid)
        for key in rows.foreign_keys(self.database, oid):
            wanted = number + QUIET * (oid in self._quiet) if key.id in self._fresh[oid] else 0
            source = self._parent(table, row, key, number, wanted, owed)
            for column, target in zip(key.columns, key.target_columns):
                if source is not None and column not in decided:
                    row[column] = source.get(target)
                elif source is None and column not in decided and not table.columns[column].not_null:
                    row[column] = None
                    loose.append(column)
            decided.update(key.columns if source is not None else loose)
        for name, texts in self.columns.spoken(table).items():
            row[name] = texts[min(number, len(texts) - 1)]
        row = self.columns.checked(table, row, frozenset(decided), number, lambda name: self._elsewhere(table, name))
        self.columns.used.setdefault(oid, {})[number] = row
        return row, owed

    def _elsewhere(self, table: Table, name: str) -> list[str | None]:
        """What else a column of a foreign key may point at."""
        for key in self.database.of(table.oid, FOREIGN_KEY):
            if key.columns == (name,):
                try:
                    return [self.anchor(key.target, STRANGER)[key.target_columns[0]]]
                except NoRowError:
                    return []
        return []

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
            return self.columns.plain(target, wanted)
        except NoRowError:
            if nullable:
                return None
            raise


def said(rejection: Rejection) -> str:
    """An error in one line."""
    state = f" (SQLSTATE {rejection.sqlstate})" if rejection.sqlstate else ""
    return " ".join(rejection.message.split()) + state


def _names(table: Table) -> str:
    return ", ".join(trigger.name for trigger in table.triggers) or "none of them before the row"
