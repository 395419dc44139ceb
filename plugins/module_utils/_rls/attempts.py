# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attempts of the matrix as data: the statements, the rows that they are made on, how they end. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._plan import Argument, Ident, Joined, Literal, Sql
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import Identity, constant
from ansible_collections.dbops.postgres.plugins.module_utils._rls.state import Table

# Short, because rows of a live database are locked until an attempt is rolled back.
STATEMENT_TIMEOUT = "10s"
LOCK_TIMEOUT = "500ms"

# Where PostgreSQL raises what a policy refuses. The SQLSTATE alone is also that of a missing privilege, and the text
# of the message is translated.
REFUSES = "ExecWithCheckOptions"
NO_PARTITION = "ExecFindPartition"


@dataclass(frozen=True)
class Row:
    """A row as text, the cursor that stands on it, and where it lies: the OID of its table, and its ctid."""

    cursor: str
    text: str
    table: int
    place: str


@dataclass(frozen=True)
class Pair:
    """A row that satisfies a condition and one that does not. ``why`` one is missing, although it should be there."""

    predicate: str
    own: Row | None = None
    foreign: Row | None = None
    why_no_own: str = ""
    why_no_foreign: str = ""

    @property
    def nothing(self) -> bool:
        """No row is its own."""
        return constant(self.predicate) is False

    @property
    def everything(self) -> bool:
        """Every row is."""
        return constant(self.predicate) is True


@dataclass(frozen=True)
class Result:
    """How an attempt ended.

    :param count: rows that it touched.
    :param refused: by the check of a policy.
    :param sqlstate: of any other error, where PostgreSQL raised it, and its message.
    """

    count: int = 0
    refused: bool = False
    sqlstate: str = ""
    raised_in: str = ""
    message: str = ""
    row: tuple[bool, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the policies let it pass; constraints come after them."""
        return self.count > 0 or (self.sqlstate[:2] == "23" and self.raised_in != NO_PARTITION)

    @property
    def unclear(self) -> bool:
        """Whether it failed for another reason than the policy."""
        return bool(self.sqlstate) and not self.passed


TIMEOUTS = Sql(
    "SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}; SET LOCAL row_security = on; SET LOCAL jit = off",
    (Literal(STATEMENT_TIMEOUT), Literal(LOCK_TIMEOUT)),
)


def begin(*, superuser: bool) -> Sql:
    """Triggers and foreign keys do not fire; a superuser can also keep the attempts out of the statistics."""
    parts = [TIMEOUTS, Sql("SET LOCAL session_replication_role = replica")]
    return sequence([*parts, Sql("SET LOCAL track_counts = off")] if superuser else parts)


def relation(table: Table) -> Ident:
    """The table, qualified."""
    return Ident(table.schema, table.name)


def condition(predicate: str) -> Sql:
    """A declared condition. It comes from the spec file and was looked at there; braces mean nothing in it."""
    return Sql(predicate.replace("{", "{{").replace("}", "}}"))


def _holds(predicate: str, *, own: bool) -> Sql:
    # NULL is foreign: a row whose owner is not known is nobody's.
    return Sql("({}) IS TRUE" if own else "({}) IS NOT TRUE", (condition(predicate),))


def sequence(parts: Iterable[Sql]) -> Sql:
    """Several statements for one round trip."""
    found = list(parts)
    return Sql("; ".join(["{}"] * len(found)), tuple(found))


def become(identity: Identity) -> Sql:
    """From here on the statements of the transaction, or savepoint, are those of the identity."""
    settings = dict(identity.settings)
    settings.setdefault("search_path", '"$user", public')
    parts = [
        Sql("SELECT pg_catalog.set_config({}, {}, true)", (Literal(name), Literal(value)))
        for name, value in settings.items()
    ]
    return sequence([*parts, Sql("SET LOCAL ROLE {}", (Ident(identity.role),))])


def fetch(table: Table, predicate: str, cursor: str, *, own: bool) -> Sql:
    """Stand on one row that satisfies the condition, or on one that does not; the row as text, and where it lies.

    Rows that somebody else has locked are left alone.
    """
    return Sql(
        "DECLARE {} NO SCROLL CURSOR FOR SELECT ({}.*)::pg_catalog.text, {}::pg_catalog.int8, {}::pg_catalog.text"
        " FROM {} AS {} WHERE {} FOR UPDATE SKIP LOCKED; FETCH NEXT FROM {}",
        (
            Ident(cursor),
            Ident(table.name),
            Ident(table.name, "tableoid"),
            Ident(table.name, "ctid"),
            relation(table),
            Ident(table.name),
            _holds(predicate, own=own),
            Ident(cursor),
        ),
    )


def mixed(table: Table, own: str, foreign: str, taken: Sequence[str], predicate: str) -> Sql:
    """An own row with some columns of a foreign one: the row as text, and whether the condition holds for it."""
    names = [column.name for column in table.columns]
    fields = Joined(tuple(Sql("(s.{}).{}", (Ident("f" if name in taken else "o"), Ident(name))) for name in names))
    return Sql(
        "SELECT m.r::pg_catalog.text, (SELECT ({}) IS TRUE FROM (SELECT (m.r).*) AS {})"
        " FROM (SELECT ROW({})::{} AS r"
        " FROM (SELECT {}::{} AS o, {}::{} AS f OFFSET 0) s OFFSET 0) m",
        (
            condition(predicate),
            Ident(table.name),
            fields,
            relation(table),
            Literal(own),
            relation(table),
            Literal(foreign),
            relation(table),
        ),
    )


def look(table: Table, predicate: str, foreign: Row | None) -> Sql:
    """Whether rows are seen that do not satisfy the condition; whether some are that do; whether this foreign one is.

    The identity itself is asked for the condition, and sees less of the tables in its sub-selects than the login: hence
    the last question.
    """
    args: tuple[Argument, ...] = (relation(table), Ident(table.name))
    one = Sql("false")
    if foreign is not None:
        one = Sql(
            "EXISTS (SELECT FROM {} AS t WHERE t.tableoid = {} AND t.ctid = {})",
            (relation(table), Literal(foreign.table), Literal(foreign.place)),
        )
    return Sql(
        "SELECT EXISTS (SELECT FROM {} AS {} WHERE {}), EXISTS (SELECT FROM {} AS {} WHERE {}), {}",
        (*args, _holds(predicate, own=False), *args, _holds(predicate, own=True), one),
    )


def exists(table: Table, predicate: str, *, own: bool) -> Sql:
    """Whether there are such rows at all (of views, on which no cursor can stand)."""
    return Sql(
        "SELECT EXISTS (SELECT FROM {} AS {} WHERE {})",
        (relation(table), Ident(table.name), _holds(predicate, own=own)),
    )


def remove(table: Table, cursor: str) -> Sql:
    """The row that a cursor stands on goes."""
    return Sql("DELETE FROM {} WHERE CURRENT OF {}", (relation(table), Ident(cursor)))


def insert(table: Table, row: str) -> Sql:
    """A row, given as text, with all its columns."""
    names = [column.name for column in table.columns if not column.generated]
    return Sql(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM (SELECT {}::{} AS r OFFSET 0) x",
        (
            relation(table),
            Joined(tuple(Ident(name) for name in names)),
            Joined(tuple(Sql("(x.r).{}", (Ident(name),)) for name in names)),
            Literal(row),
            relation(table),
        ),
    )


def update(table: Table, cursor: str, row: str, columns: Sequence[str]) -> Sql:
    """The row that a cursor stands on gets the values of another one."""
    return Sql(
        "UPDATE {} SET ({}) = (SELECT {} FROM (SELECT {}::{} AS r OFFSET 0) x) WHERE CURRENT OF {}",
        (
            relation(table),
            Joined(tuple(Ident(name) for name in columns)),
            Joined(tuple(Sql("(x.r).{}", (Ident(name),)) for name in columns)),
            Literal(row),
            relation(table),
            Ident(cursor),
        ),
    )


def allow_all_columns(table: Table, command: str, role: str) -> Sql:
    """For an attempt where a role holds a privilege on some columns: the policy is what is tried, not the columns."""
    return Sql(f"GRANT {command} ON {{}} TO {{}}", (relation(table), Ident(role)))


def any_row(table: Table) -> Sql:
    """The columns of some row as text, to make another like it."""
    columns = Joined(tuple(Sql("{}::pg_catalog.text", (Ident(column.name),)) for column in table.columns))
    return Sql("SELECT {} FROM {} LIMIT 1", (columns, relation(table)))


def put(table: Table, values: Mapping[str, str | None], predicate: str) -> Sql:
    """A made row; whether the condition holds for it."""
    names = [column.name for column in table.columns if not column.generated]
    return Sql(
        "INSERT INTO {} AS {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) RETURNING ({}) IS TRUE",
        (
            relation(table),
            Ident(table.name),
            Joined(tuple(Ident(name) for name in names)),
            Joined(tuple(Literal(values.get(name)) for name in names)),
            condition(predicate),
        ),
    )
