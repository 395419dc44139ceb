# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a row into a table, inside the one transaction that is rolled back in the end, and hear what PostgreSQL says."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.solve import catalog, typed
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    FOREIGN_KEY,
    UNIQUE_INDEX,
    Constraint,
    Database,
    Rejection,
    Row,
    Table,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Argument, Ident, Joined, Literal, Sql
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import compose

with suppress(ImportError):  # connect() says so
    import psycopg2

if TYPE_CHECKING:
    from psycopg2 import extensions

# What a session of the application has by default; a trigger function may rely on it.
_SEARCH_PATH = """
    SELECT coalesce(
        (SELECT substr(setting, 13) FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) AS setting
          WHERE s.setrole = 0 AND setting LIKE 'search\\_path=%'
            AND s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())),
        '"$user", public'), pg_catalog.current_setting('session_replication_role')"""


@dataclass(frozen=True)
class Answer:
    """What became of an attempt: an error, or how many rows were written and the last of them."""

    rejection: Rejection | None = None
    written: int = 0
    row: Row | None = None


class Writer:
    """Writes rows over one connection.

    :param search_path: of the sessions of the application; empty: the default of the database.
    """

    def __init__(self, cursor: extensions.cursor, deferrable: bool, search_path: Sequence[str] = ()) -> None:
        self.cursor = cursor
        self.deferrable = deferrable
        cursor.execute(_SEARCH_PATH)
        path, self.role = cursor.fetchone() or ("", "origin")
        names = list(search_path) or [name.strip() for name in path.split(",")]
        quoted = Joined(tuple(Ident(name[1:-1]) if name[:1] == '"' else Ident(name) for name in names if name))
        text = compose(Sql("SET LOCAL search_path = {};", (quoted,))).as_string(cursor)
        self._prefixes = {False: text, True: text + "SET LOCAL session_replication_role = replica;"}

    def mark(self, name: str) -> None:
        """A point to go back to; empty: none."""
        if name:
            self.cursor.execute(compose(Sql("SAVEPOINT {}", (Ident(name),))))

    def back(self, name: str) -> None:
        """Undo everything since a point."""
        self.cursor.execute(compose(Sql("ROLLBACK TO SAVEPOINT {}", (Ident(name),))))

    def release(self, name: str) -> None:
        """Forget a point."""
        if name:
            self.cursor.execute(compose(Sql("RELEASE SAVEPOINT {}", (Ident(name),))))

    def defer(self, database: Database) -> None:
        """Foreign keys that can wait do, so that rows of a circle can be made; keys do not, so that they are heard."""
        names = {
            (database.tables[item.table].schema, item.name)
            for item in database.constraints.values()
            if item.kind == FOREIGN_KEY and item.deferrable
        }
        if self.deferrable:
            self.cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for schema, name in sorted(names):  # one by one: another table may have one of that name that cannot wait
            self.attempt_kept(Sql("SET CONSTRAINTS {} DEFERRED", (Ident(schema, name),)))

    def attempt_kept(self, statement: Sql) -> bool:
        """Run a statement that stays, if it can."""
        self.cursor.execute("SAVEPOINT dbops_try")
        try:
            self.cursor.execute(compose(statement))
        except psycopg2.Error:
            self.cursor.execute("ROLLBACK TO SAVEPOINT dbops_try; RELEASE SAVEPOINT dbops_try")
            return False
        self.cursor.execute("RELEASE SAVEPOINT dbops_try")
        return True

    def attempt(self, statements: Sequence[Sql], *, triggers: bool = True) -> Answer:
        """Run statements and the deferred constraints, take everything back, say what the last one did.

        :param triggers: False: those of the user do not run, and those of foreign keys neither.
        """
        return self._run(statements, triggers=triggers, keep=False)

    def keep(self, table: Table, row: Row, *, triggers: bool = True) -> Answer:
        """Insert a row that stays until the end of the transaction; deferred constraints stay deferred."""
        return self._run([insert(table, row, returning=True)], triggers=triggers, keep=True)

    def _run(self, statements: Sequence[Sql], *, triggers: bool, keep: bool) -> Answer:
        text = "SAVEPOINT dbops_try;" + self._prefixes[not triggers]
        text += "; ".join(compose(statement).as_string(self.cursor) for statement in statements)
        try:
            self.cursor.execute(text)
            written = self.cursor.rowcount
            row = self._row() if keep and written else None
            if self.deferrable and not keep:
                self.cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg2.Error as error:
            self.cursor.execute("ROLLBACK TO SAVEPOINT dbops_try; RELEASE SAVEPOINT dbops_try")
            return Answer(_rejection(error))
        if keep:
            self.cursor.execute(
                "RELEASE SAVEPOINT dbops_try; SET LOCAL search_path = ''"
                + ("" if triggers else f"; SET LOCAL session_replication_role = {self.role}")
            )
        else:
            self.cursor.execute("ROLLBACK TO SAVEPOINT dbops_try; RELEASE SAVEPOINT dbops_try")
        return Answer(None, written, row)

    def _row(self) -> Row | None:
        found = self.cursor.fetchone()
        return dict(zip([column.name for column in self.cursor.description or ()], found)) if found else None

    def existing(self, table: Table, limit: int = 1) -> list[Row]:
        """Some rows that are there, as texts."""
        names = tuple(table.columns)
        statement = Sql(
            "SELECT {} FROM {} LIMIT {}",
            (Joined(tuple(_text(name) for name in names)), Ident(table.schema, table.name), Literal(limit)),
        )
        self.cursor.execute("SAVEPOINT dbops_try")
        try:
            self.cursor.execute(compose(statement))
            return [dict(zip(names, row)) for row in self.cursor.fetchall()]
        except psycopg2.Error:
            return []
        finally:
            self.cursor.execute("ROLLBACK TO SAVEPOINT dbops_try; RELEASE SAVEPOINT dbops_try")

    def true(self, statement: Sql) -> bool | None:
        """The answer of a SELECT of one boolean; None: it could not be answered (a timeout, a permission)."""
        self.cursor.execute("SAVEPOINT dbops_try")
        try:
            self.cursor.execute(compose(statement))
            found = self.cursor.fetchone()
            return bool(found and found[0])
        except psycopg2.Error:
            return None
        finally:
            self.cursor.execute("ROLLBACK TO SAVEPOINT dbops_try; RELEASE SAVEPOINT dbops_try")

    def booleans(self, statements: Sequence[Sql]) -> list[bool | None]:
        """The answers of many boolean expressions: together, and one by one where that fails."""
        if not statements:
            return []
        self.cursor.execute("SAVEPOINT dbops_try")
        try:
            self.cursor.execute(compose(Sql("SELECT {}", (Joined(tuple(statements)),))))
            found: list[bool | None] = list(self.cursor.fetchone() or ())
        except psycopg2.Error:
            found = []
        finally:
            self.cursor.execute("ROLLBACK TO SAVEPOINT dbops_try; RELEASE SAVEPOINT dbops_try")
        if found:
            return found
        return [self.true(Sql("SELECT {}", (statement,))) for statement in statements]


def insert(table: Table, row: Row, *, returning: bool = False, arbiter: Constraint | None = None) -> Sql:
    """INSERT of a row; identity columns take what it says, so that no sequence moves.

    :param arbiter: a key; a row that it rejects is left out without an error, and no other key is asked first.
    """
    names = [name for name in table.written if name in row]
    args: list[Argument] = [
        Ident(table.schema, table.name),
        Joined(tuple(Ident(name) for name in names)),
        Joined(tuple(typed(row[name], table.columns[name].shown) for name in names)),
    ]
    text = "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})"
    if arbiter is not None:
        if arbiter.kind == UNIQUE_INDEX:
            text += " ON CONFLICT ({})" + (" WHERE {}" if arbiter.predicate else "") + " DO NOTHING"
            args.append(Joined(tuple(Sql("({})", (catalog(part),)) for part in arbiter.compared)))
            args += [catalog(arbiter.predicate)] if arbiter.predicate else []
        else:
            text += " ON CONFLICT ON CONSTRAINT {} DO NOTHING"
            args.append(Ident(arbiter.name))
    if returning:
        text += " RETURNING {}"
        args.append(Joined(tuple(_text(name) for name in table.columns)))
    return Sql(text, tuple(args))


def _text(name: str) -> Sql:
    return Sql("{}::text AS {}", (Ident(name), Ident(name)))


def exists(table: Table, row: Row) -> Sql:
    """Whether a table has a row with these values."""
    pairs: list[Argument] = [
        Sql("{} = {}", (Ident(name), typed(text, table.columns[name].shown))) for name, text in row.items()
    ]
    found = Sql(" AND ".join(["{}"] * len(pairs)), tuple(pairs))
    return Sql("SELECT EXISTS (SELECT FROM {} WHERE {})", (Ident(table.schema, table.name), found))


def _rejection(error: psycopg2.Error) -> Rejection:
    diag = error.diag
    return Rejection(
        error.pgcode or "",
        (diag.message_primary or str(error)).strip(),
        diag.schema_name or "",
        diag.table_name or "",
        diag.constraint_name or "",
        diag.column_name or "",
        diag.datatype_name or "",
    )
