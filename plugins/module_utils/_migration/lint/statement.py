# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a migration as statements with their places, and its comments. Pure; PostgreSQL's own grammar (pglast).

Statements inside ``DO`` blocks are found as well, also those of an ``EXECUTE`` of a constant text.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.grammar import (
    ParseError,
    parse_plpgsql,
    parse_sql,
    scan,
)

_PLACEHOLDER = re.compile(r"\$\{[^}\n]*\}")
_DDL = re.compile(r"\b(create|alter|drop|truncate|grant|revoke|delete|vacuum|cluster|reindex)\b", re.IGNORECASE)


class SqlSyntaxError(Exception):
    """The text is not SQL: where, and what PostgreSQL says."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        self.message = message
        super().__init__(f"line {line}: {message}")


@dataclass(frozen=True)
class Statement:
    """One statement.

    :param kind: the class of its node, for example ``IndexStmt``.
    :param line: of its first character, from 1.
    :param inside: the kind of block that it is in, for example ``DO``; empty: it stands by itself.
    """

    node: Any = field(compare=False, repr=False)
    kind: str
    text: str
    line: int
    column: int
    end_line: int
    inside: str = ""


@dataclass(frozen=True)
class Comment:
    """A comment of one line, without its dashes."""

    text: str
    line: int


@dataclass(frozen=True)
class Script:
    """A file: its statements and those comments that speak to us (``-- dbops: ...``)."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...]
    text: str = field(repr=False)

    @property
    def first_line(self) -> int:
        """Where the first statement begins; 0: there is none."""
        return self.statements[0].line if self.statements else 0

    def own(self) -> list[Statement]:
        """The statements that stand by themselves."""
        return [statement for statement in self.statements if not statement.inside]


def read(sql: str, placeholders: bool = False) -> Script:
    """Split a file into its statements.

    :param placeholders: the tool replaces ``${name}`` before it runs the text, as Flyway does.
    :raises SqlSyntaxError: it is not SQL.
    """
    text = _PLACEHOLDER.sub(_identifier, sql) if placeholders else sql
    starts = [0] + [match.end() for match in re.finditer("\n", text)]
    try:
        raws = parse_sql(text)
    except ParseError as error:
        place = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], int) else 0
        raise SqlSyntaxError(_line(starts, max(place, 0)), str(error.args[0])) from None
    statements: list[Statement] = []
    for raw in raws:
        start = raw.stmt_location
        end = start + raw.stmt_len if raw.stmt_len else len(text)
        body = text[start:end]
        start += len(body) - len(body.lstrip())
        body = body.strip()
        line = _line(starts, start)
        own = Statement(
            raw.stmt,
            type(raw.stmt).__name__,
            sql[start : start + len(body)],
            line,
            start - starts[line - 1] + 1,
            _line(starts, start + len(body)),
        )
        statements.append(own)
        statements += inner(own)
    return Script(tuple(statements), tuple(_comments(text, starts)), sql)


def inner(statement: Statement) -> Iterator[Statement]:
    """What a ``DO`` block runs, and what ``WITH`` writes.

    What cannot be told stands as kind ``DynamicSql``, ``Commit`` or ``UnreadBlock``.
    """
    for part in getattr(getattr(statement.node, "withClause", None), "ctes", None) or ():
        kind = type(part.ctequery).__name__
        if kind in ("DeleteStmt", "UpdateStmt", "InsertStmt"):
            yield replace(statement, node=part.ctequery, kind=kind, inside="WITH")
    if statement.kind != "DoStmt":
        return
    arguments = {item.defname: getattr(item.arg, "sval", "") for item in statement.node.args or ()}
    if arguments.get("language", "plpgsql").lower() != "plpgsql":
        yield _within(statement, None, "UnreadBlock", statement.text)
        return
    try:
        tree = parse_plpgsql(statement.text)
    except ParseError as error:
        raise SqlSyntaxError(statement.line, str(error.args[0])) from None
    for name, body in _plpgsql_nodes(tree):
        if name in ("PLpgSQL_stmt_commit", "PLpgSQL_stmt_rollback"):
            yield _within(statement, None, "Commit", "COMMIT")
        elif name == "PLpgSQL_stmt_execsql":
            yield from _parsed(statement, body["sqlstmt"]["PLpgSQL_expr"]["query"])
        elif name == "PLpgSQL_stmt_dynexecute":
            yield from _dynamic(statement, body["query"]["PLpgSQL_expr"]["query"])


def _plpgsql_nodes(tree: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, list):
        for item in tree:
            yield from _plpgsql_nodes(item)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key.startswith("PLpgSQL_stmt_"):
                yield key, value
            yield from _plpgsql_nodes(value)


def _parsed(block: Statement, query: str) -> Iterator[Statement]:
    try:
        for raw in parse_sql(query):
            yield _within(block, raw.stmt, type(raw.stmt).__name__, query.strip())
    except ParseError:
        yield _within(block, None, "DynamicSql", query)


def _dynamic(block: Statement, expression: str) -> Iterator[Statement]:
    """``EXECUTE 'a text'`` is that text; anything else can only be judged by its words."""
    try:
        target = parse_sql(f"SELECT {expression}")[0].stmt.targetList[0].val
        constant = getattr(getattr(target, "val", None), "sval", None)
    except ParseError:
        constant = None
    if constant is not None:
        yield from _parsed(block, constant)
    elif _DDL.search(expression):
        yield _within(block, None, "DynamicSql", f"EXECUTE {expression}")


def _within(block: Statement, node: Any, kind: str, text: str) -> Statement:
    """A place inside a block: the line where its words stand, if they do, else the block's."""
    offset = block.text.find(text[:60])
    line = block.line + (block.text.count("\n", 0, offset) if offset > 0 else 0)
    return Statement(node, kind, text, line, 1, line + text.count("\n"), "DO")


def _comments(text: str, starts: list[int]) -> Iterator[Comment]:
    if "dbops:" not in text:
        return
    for token in scan(text):
        if token.name == "SQL_COMMENT":
            comment = text[token.start : token.end + 1].lstrip("-").strip()
            if comment.startswith("dbops:"):
                yield Comment(comment[len("dbops:") :].strip(), _line(starts, token.start))


def _line(starts: list[int], place: int) -> int:
    return bisect.bisect_right(starts, place)


def _identifier(match: re.Match[str]) -> str:
    """As long as the placeholder, so that every place in the text stays where it is."""
    return "p" + re.sub(r"\W", "_", match.group()[1:])
