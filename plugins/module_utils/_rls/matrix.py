# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries every identity with every table and every command, and rolls everything back.

Each identity has a transaction, each table a savepoint in it, each attempt one round trip. An attempt is made on one
row that is known: a cursor of the login, which passes by all policies, stands on it, and the identity says WHERE
CURRENT OF. So the statement reads no column, and nothing but the policies of its own command decides: a policy for
DELETE that is too wide is not hidden by a good one for SELECT. Whoever leaves the WHERE clause out does the same.

Triggers and foreign keys do not fire (session_replication_role), so that what refuses is the policy; the check of a
policy comes before those of constraints (PostgreSQL manual, CREATE POLICY), and a row that would collide with another
one takes its place. Every value of a new row is given, so no sequence is touched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ansible_collections.dbops.postgres.plugins.module_utils._plan import Sql
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import compose
from ansible_collections.dbops.postgres.plugins.module_utils._rls import attempts, made_rows
from ansible_collections.dbops.postgres.plugins.module_utils._rls.attempts import Pair, Result, Row
from ansible_collections.dbops.postgres.plugins.module_utils._rls.cells import Cell, Level
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import COMMANDS, Identity, constant
from ansible_collections.dbops.postgres.plugins.module_utils._rls.state import PUBLIC, Privileges, RlsState, Table

with contextlib.suppress(ImportError):  # connect() says so before anything of this file runs
    import psycopg2

if TYPE_CHECKING:
    from psycopg2 import extensions

_VIEWS = ("v", "m")
# Errors of the moment: they prove nothing about policies. Cancelled, no lock, serialisation, resources, connection.
_MOMENT = ("57", "55", "40", "53", "08", "54", "XX")


class _NotProvableError(Exception):
    """No attempt can be made on a table; the text says why."""


def run(
    connection: extensions.connection,
    state: RlsState,
    identities: Sequence[Identity],
    tables: Sequence[Table],
    tenant_column: str,
    *,
    within: bool = False,
) -> list[Cell]:
    """Every attempt, rolled back.

    :param within: in the transaction that the caller has begun (mutations), which is then as it was before.
    """
    cells: list[Cell] = []
    for identity in identities:
        others = [other for other in identities if other.name != identity.name and not other.nobody]
        with connection.cursor() as cursor:
            try:
                if within:
                    cursor.execute("SAVEPOINT dbops_identity")
                cells += _Attempts(cursor, state, (identity, *others), tenant_column).all(tables)
            finally:
                if within:
                    cursor.execute("ROLLBACK TO SAVEPOINT dbops_identity; RELEASE SAVEPOINT dbops_identity")
                else:
                    connection.rollback()
    return cells


def undeclared(state: RlsState, identities: Sequence[Identity], tables: Sequence[Table], tenant: str) -> list[str]:
    """Tables that an identity may use, and of which it is not said which rows are its own: ``identity: table``."""
    return [
        f"{identity.name}: {table.full}"
        for identity in identities
        if not identity.nobody
        for table in tables
        if any(state.may(identity.role, table.oid).may(command) for command in COMMANDS)
        and identity.predicate("SELECT", state.names(table), table.column(tenant) is not None) is None
    ]


class _Attempts:
    """All attempts of one identity."""

    def __init__(
        self, cursor: extensions.cursor, state: RlsState, identities: Sequence[Identity], tenant_column: str
    ) -> None:
        self.cursor = cursor
        self.state = state
        self.identity = identities[0]
        self.identities = identities
        self.tenant = tenant_column
        self.cursors = 0
        self.become = compose(attempts.become(self.identity)).as_string(cursor)

    def all(self, tables: Sequence[Table]) -> Iterator[Cell]:
        """The cells of each table."""
        try:
            self._execute(attempts.begin(superuser=self.state.capabilities.superuser))
            self.cursor.execute(f"SAVEPOINT dbops_cell; {self.become}; ROLLBACK TO SAVEPOINT dbops_cell")
        except psycopg2.Error as error:
            why = f"the attempts as {self.identity.role!r} cannot begin: {_message(error)}"
            for table in tables:
                yield from self._unproven(table, why)
            return
        self.cursor.execute("SAVEPOINT dbops_table")
        for table in tables:
            if not any(self._privileges(table).may(command) for command in COMMANDS):
                yield from (self._forbidden(table, command) for command in _commands(table))
                continue
            try:
                cells = list(self._table(table))
            except _NotProvableError as error:
                cells = list(self._unproven(table, str(error)))
            except psycopg2.Error as error:
                cells = list(self._unproven(table, _message(error)))
            yield from cells
            self.cursor.execute("ROLLBACK TO SAVEPOINT dbops_table")

    def _table(self, table: Table) -> Iterator[Cell]:
        names = self.state.names(table)
        everywhere = table.column(self.tenant) is not None
        predicates = {command: self.identity.predicate(command, names, everywhere) for command in _commands(table)}
        if predicates["SELECT"] is None:
            return  # undeclared() says so
        pairs: dict[str, Pair] = {}
        for command, predicate in predicates.items():
            if predicate is not None and predicate not in pairs and self._privileges(table).may(command):
                pairs[predicate] = self._pair(table, predicate)
        self.cursor.execute("SAVEPOINT dbops_cell")
        for command, predicate in predicates.items():
            if not self._privileges(table).may(command) or predicate is None:
                yield self._forbidden(table, command)
            elif command == "SELECT":
                yield self._select(table, pairs[predicate])
            else:
                yield self._write(table, command, pairs[predicate])

    # Rows to try with.

    def _pair(self, table: Table, predicate: str) -> Pair:
        pair = Pair(predicate)
        if table.kind in _VIEWS:
            own = self._shows(table, predicate, own=True)
            foreign = self._shows(table, predicate, own=False)
            return replace(
                pair,
                why_no_own="" if own or pair.nothing else "the view shows no row of its own, not even to the login",
                why_no_foreign="" if foreign or pair.everything else "the view shows no row of others to the login",
            )
        if not pair.nothing:
            row, why = self._row(table, predicate, own=True)
            pair = replace(pair, own=row, why_no_own=why)
        if not pair.everything:
            row, why = self._row(table, predicate, own=False)
            pair = replace(pair, foreign=row, why_no_foreign=why)
        return pair

    def _shows(self, view: Table, predicate: str, *, own: bool) -> bool:
        self._execute(attempts.exists(view, predicate, own=own))
        row = self.cursor.fetchone()
        return bool(row and row[0])

    def _row(self, table: Table, predicate: str, *, own: bool) -> tuple[Row | None, str]:
        found = self._fetched(table, predicate, own=own)
        why = ""
        if found is None:
            why = self._made(table, predicate, own=own)
            found = None if why else self._fetched(table, predicate, own=own)
        return found, why

    def _fetched(self, table: Table, predicate: str, *, own: bool) -> Row | None:
        self.cursors += 1
        name = f"dbops_row_{self.cursors}"
        try:
            self._execute(attempts.fetch(table, predicate, name, own=own))
        except psycopg2.Error as error:
            raise _NotProvableError(f"the condition {predicate!r}, asked as the login: {_message(error)}") from None
        row = self.cursor.fetchone()
        return Row(name, *row) if row else None

    def _made(self, table: Table, predicate: str, *, own: bool) -> str:
        """Put a row in; why that was not possible."""
        whose = "of its own" if own else "of others"
        self._execute(attempts.any_row(table))
        row = self.cursor.fetchone()
        basis = dict(zip((column.name for column in table.columns), row)) if row else None
        why = f"no values were found for which {predicate} is {'true' if own else 'not true'}"
        self.cursor.execute("SAVEPOINT dbops_made")
        bounds = made_rows.bounds(self.state.line(table))
        tries = made_rows.candidates(table, basis, predicate, self.identities, self.tenant, bounds, own=own)
        for values in tries:
            try:
                self._execute(attempts.put(table, values, predicate))
                holds = self.cursor.fetchone()
                if holds and holds[0] is own:
                    return ""
            except psycopg2.Error as error:
                why = _message(error)
            self.cursor.execute("ROLLBACK TO SAVEPOINT dbops_made")
        return f"there is no row {whose}, and none could be made: {why}. Put one in"

    def _gift(self, table: Table, pair: Pair, columns: Sequence[str]) -> str | None:
        """An own row as a row of others, with as few columns changed as possible; None: these do not make it one."""
        if pair.own is None or pair.foreign is None:
            return None
        for taken in ([self.tenant], list(columns)):
            if not set(taken) <= set(columns):
                continue
            back = Sql("ROLLBACK TO SAVEPOINT dbops_cell")  # the attempt before may have ended with an error
            mixed = attempts.mixed(table, pair.own.text, pair.foreign.text, taken, pair.predicate)
            self._execute(attempts.sequence([back, mixed]))
            row = self.cursor.fetchone()
            if row and not row[1]:
                text: str = row[0]
                return text
        return None

    # Attempts.

    def _select(self, table: Table, pair: Pair) -> Cell:
        cell = self._cell(table, "SELECT", Level.NONE)
        why = pair.why_no_foreign or pair.why_no_own
        if why:
            return replace(cell, level=Level.UNKNOWN, said=why)
        result = self._attempt(table, "SELECT", [], attempts.look(table, pair.predicate, pair.foreign))
        if result.sqlstate:
            return self._failed(cell, result)
        foreign, own, that_one = result.row
        if foreign or that_one:
            return replace(cell, level=Level.FOREIGN, said=f"rows for which {pair.predicate} is not true")
        if own:
            return replace(cell, level=Level.OWN)
        return replace(cell, missing=not pair.nothing, said="it sees none of its own rows")

    def _write(self, table: Table, command: str, pair: Pair) -> Cell:
        cell = self._cell(table, command, Level.NONE)
        if pair.why_no_foreign or pair.why_no_own:
            return replace(cell, level=Level.UNKNOWN, said=pair.why_no_foreign or pair.why_no_own)
        held = self._privileges(table).columns.get("UPDATE", ())
        columns = [c.name for c in table.columns if not c.generated and not c.always and (not held or c.name in held)]
        for result, said in self._foreign(table, command, pair, columns):
            if result.passed:
                if result.sqlstate:
                    said += f"; not a policy stopped it, but a constraint ({result.message})"
                return replace(cell, level=Level.FOREIGN, said=said)
            if result.unclear:
                return self._failed(cell, result)
        if pair.own is None:
            return cell
        result = self._own(table, command, pair.own, columns)
        if result.passed:
            return replace(cell, level=Level.OWN)
        if result.unclear:
            return self._failed(cell, result)
        needed = self._granted(table, command) or self.identity.declares(
            command, self.state.names(table), table.column(self.tenant) is not None
        )
        what = "refused by the policy" if result.refused else "no row was touched"
        return replace(cell, missing=needed, said=f"{command} of its own row: {what}")

    def _foreign(self, table: Table, command: str, pair: Pair, columns: Sequence[str]) -> Iterator[tuple[Result, str]]:
        """Each attempt that must fail, and what it means if it does not."""
        foreign, own = pair.foreign, pair.own
        if foreign is None:
            return
        away = [attempts.remove(table, foreign.cursor)]
        own_away = [attempts.remove(table, own.cursor)] if own else []
        if command == "INSERT":
            every = [column.name for column in table.columns if not column.generated]
            for row in (self._gift(table, pair, every), foreign.text):
                if row is None:
                    continue
                result = self._attempt(table, command, own_away + away, attempts.insert(table, row))
                if result.raised_in != attempts.NO_PARTITION:
                    yield result, "a new row of others was accepted"
                    return
            yield result, ""
        elif command == "UPDATE":
            taken = attempts.update(table, foreign.cursor, (own or foreign).text, columns)
            yield self._attempt(table, command, own_away, taken), "a row of others was changed"
            gift = self._gift(table, pair, columns)
            if own and gift is not None:
                given = attempts.update(table, own.cursor, gift, columns)
                yield self._attempt(table, command, away, given), "a row of its own was given away"
        else:
            yield self._attempt(table, command, [], away[0]), "a row of others was deleted"

    def _own(self, table: Table, command: str, own: Row, columns: Sequence[str]) -> Result:
        if command == "INSERT":
            return self._attempt(table, command, [attempts.remove(table, own.cursor)], attempts.insert(table, own.text))
        if command == "UPDATE":
            return self._attempt(table, command, [], attempts.update(table, own.cursor, own.text, columns))
        return self._attempt(table, command, [], attempts.remove(table, own.cursor))

    def _attempt(self, table: Table, command: str, before: list[Sql], statement: Sql) -> Result:
        privileges = self._privileges(table)
        if command != "UPDATE" and command not in privileges.table:
            before = [attempts.allow_all_columns(table, command, self.identity.role), *before]
        parts = [compose(part).as_string(self.cursor) for part in before]
        text = "; ".join(
            ["ROLLBACK TO SAVEPOINT dbops_cell", *parts, self.become, compose(statement).as_string(self.cursor)]
        )
        try:
            self.cursor.execute(text)
        except psycopg2.Error as error:
            if error.pgcode == "42501" and error.diag.source_function == attempts.REFUSES:
                return Result(refused=True)
            return Result(
                sqlstate=error.pgcode or "XX000",
                raised_in=error.diag.source_function or "",
                message=_message(error),
            )
        row = self.cursor.fetchone() if command == "SELECT" else None
        return Result(count=max(self.cursor.rowcount, 0), row=tuple(row or ()))

    def _execute(self, statement: Sql) -> None:
        self.cursor.execute(compose(statement))

    # Cells.

    def _failed(self, cell: Cell, result: Result) -> Cell:
        """Who has no tenant and gets an error sees nothing either; of everybody else it proves nothing."""
        nothing = cell.nobody and result.sqlstate[:2] not in _MOMENT
        return replace(
            cell,
            level=Level.NONE if nothing else Level.UNKNOWN,
            said=result.message,
            sqlstate=result.sqlstate,
        )

    def _granted(self, table: Table, command: str) -> bool:
        """Whether a policy gives the role anything of this command."""
        role = self.state.roles.get(self.identity.role)
        mine = {PUBLIC, self.identity.role, *(role.reach if role else ())}
        return not table.enabled or any(
            policy.table == table.oid
            and policy.permissive
            and policy.command in ("ALL", command)
            and mine & set(policy.roles)
            for policy in self.state.policies
        )

    def _privileges(self, table: Table) -> Privileges:
        return self.state.may(self.identity.role, table.oid)

    def _cell(self, table: Table, command: str, level: Level) -> Cell:
        return Cell(self.identity.name, table.full, command, level, nobody=self.identity.nobody)

    def _forbidden(self, table: Table, command: str) -> Cell:
        """No privilege. That is as declared for a table that only ``*`` is about, and not for one that is named."""
        cell = self._cell(table, command, Level.NO_PRIVILEGE)
        if command != "SELECT" or self.identity.nobody:
            return cell
        names = self.state.names(table)
        predicate = self.identity.predicate(command, names, table.column(self.tenant) is not None)
        sees = predicate is not None and constant(predicate) is not False
        named = bool({table.full, table.name} & set(self.identity.sees))
        return replace(cell, sees=sees, missing=sees and named, said="its role may not SELECT")

    def _unproven(self, table: Table, why: str) -> Iterator[Cell]:
        for command in _commands(table):
            yield replace(self._cell(table, command, Level.UNKNOWN), said=why)


def _commands(table: Table) -> tuple[str, ...]:
    return ("SELECT",) if table.kind in _VIEWS else COMMANDS


def _message(error: psycopg2.Error) -> str:
    text = (error.diag.message_primary or str(error)).strip()
    return f"{text} (SQLSTATE {error.pgcode})" if error.pgcode else text
