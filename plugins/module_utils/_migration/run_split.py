# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of SQL as its statements, and the lanes in which they run. Pure.

The host has no parser of PostgreSQL's grammar. To find where a statement ends it is enough to know what may hold a
semicolon: strings, quoted names, dollar quotes, comments, parentheses, and the body of a function in standard SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._plan import MASK, DbopsError

_DOLLAR = re.compile(r"\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$")
_WORD = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*")
_PASSWORD = re.compile(r"(\bPASSWORD\s+)E?'(?:[^']|'')*'", re.IGNORECASE)
_SHOWN = 100

# What PostgreSQL refuses inside a transaction block. On the text without comments, upper case.
_ALONE = re.compile(
    r"(CREATE (UNIQUE )?INDEX CONCURRENTLY|DROP INDEX CONCURRENTLY|VACUUM|ALTER SYSTEM"
    r"|(CREATE|DROP) (DATABASE|TABLESPACE)|ALTER DATABASE \S+ SET TABLESPACE|(CREATE|DROP|ALTER) SUBSCRIPTION"
    r"|REINDEX ([^;]*\bCONCURRENTLY\b|(\([^)]*\) ?)?(DATABASE|SYSTEM|SCHEMA))|CLUSTER( VERBOSE)?$"
    r"|ALTER TABLE [^;]* DETACH PARTITION [^;]* (CONCURRENTLY|FINALIZE)$)"
)
_ONCE = re.compile(r"(CALL|DO|ALTER TABLE [^;]* DETACH PARTITION)\b")
_BEGIN = re.compile(r"(BEGIN|START TRANSACTION)\b")
_COMMIT = re.compile(r"(COMMIT|END)( WORK| TRANSACTION)?( AND NO CHAIN)?$")
_REFUSED = re.compile(r"(ROLLBACK(?! TO\b| WORK TO\b| TRANSACTION TO\b)|ABORT|PREPARE TRANSACTION|COMMIT\b)")
_CONCURRENT_INDEX = re.compile(
    r'CREATE (?:UNIQUE )?INDEX CONCURRENTLY (?:IF NOT EXISTS )?("(?:[^"]|"")+"|(?!ON\b)[^\s"]+) ON\b', re.IGNORECASE
)


@dataclass(frozen=True)
class Statement:
    """One statement of a file.

    :param line: on which it begins.
    :param plain: without comments, each run of white space one space.
    """

    line: int
    text: str
    plain: str

    @property
    def shown(self) -> str:
        """Its beginning, on one line, without a password."""
        text = _PASSWORD.sub(f"\\1'{MASK}'", self.plain)
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."

    @property
    def alone(self) -> bool:
        """Whether PostgreSQL refuses it inside a transaction block."""
        return bool(_ALONE.match(self.plain.upper()))

    @property
    def repeatable(self) -> bool:
        """Whether it has done nothing, or what can be mended, when it fails outside a transaction block."""
        return not _ONCE.match(self.plain.upper())

    @property
    def concurrent_index(self) -> str:
        """The name of the index that it builds concurrently; empty: none, or PostgreSQL chooses the name."""
        found = _CONCURRENT_INDEX.match(self.plain)
        if not found:
            return ""
        name = found[1]
        return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


@dataclass(frozen=True)
class Segment:
    """Statements that are committed together; ``alone``: one, outside a transaction block."""

    statements: tuple[Statement, ...]
    alone: bool = False


def segments(path: str, sql: str, *, one_by_one: bool = False) -> tuple[Segment, ...]:
    """The segments of a file, in order.

    BEGIN and COMMIT of the file itself are taken as the bounds of a segment. A file without them is one segment, but
    for the statements that cannot be in a transaction block.

    :param one_by_one: each statement in a transaction of its own.
    :raises DbopsError: with file and line, for what cannot be run as a whole or not at all.
    """
    found: list[Segment] = []
    group: list[Statement] = []
    explicit = False

    def close() -> None:
        if group:
            found.append(Segment(tuple(group)))
            group.clear()

    for statement in split(path, sql):
        words = statement.plain.upper()
        if _BEGIN.match(words):
            if explicit:
                raise _refused(path, statement, "begins a transaction inside a transaction")
            close()
            explicit = True
        elif _COMMIT.match(words):
            close()
            explicit = False
        elif _REFUSED.match(words):
            raise _refused(path, statement, "ends a transaction in another way than COMMIT")
        elif statement.alone and explicit:
            raise _refused(path, statement, "cannot be inside a transaction block")
        elif statement.alone or (one_by_one and not explicit):
            close()
            # What can be in a transaction is in one of its own: then it is known whether it was committed.
            found.append(Segment((statement,), alone=statement.alone or not statement.repeatable))
        else:
            group.append(statement)
    if explicit:
        raise DbopsError(f"{path}: its transaction is never committed", "End it with COMMIT, or leave BEGIN out.")
    close()
    return tuple(found)


def _refused(path: str, statement: Statement, why: str) -> DbopsError:
    return DbopsError(f"{path}:{statement.line}: {statement.shown!r} {why}", "Leave it out: the runner commits.")


def split(path: str, sql: str) -> list[Statement]:
    """The statements of a file.

    :raises DbopsError: with file and line: something is not closed, or is a command of psql.
    """
    return [item for item in (_statement(sql, *bounds) for bounds in _bounds(path, sql)) if item.plain]


def _statement(sql: str, start: int, end: int, comments: Sequence[tuple[int, int]]) -> Statement:
    parts, position = [], start
    for first, last in comments:
        parts += [sql[position:first], " "]
        position = last
    parts.append(sql[position:end])
    code = "".join(parts)
    plain = " ".join(code.split())
    # The statement begins where its first word does, not at the comment before it.
    first = start
    bounds = list(comments)
    while first < end:
        if bounds and bounds[0][0] == first:
            first = bounds.pop(0)[1]
        elif sql[first].isspace():
            first += 1
        else:
            break
    return Statement(sql.count("\n", 0, first) + 1, sql[first:end].rstrip(), plain)


def _bounds(path: str, sql: str) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Start and end of each statement (its semicolon not included), and the comments inside."""
    start = position = depth = atomic = 0
    comments: list[tuple[int, int]] = []
    words: list[str] = []
    size = len(sql)

    def line() -> str:
        return f"{path}:{sql.count(chr(10), 0, position) + 1}"

    while position < size:
        char = sql[position]
        two = sql[position : position + 2]
        if two == "--":
            end = sql.find("\n", position)
            end = size if end < 0 else end
            comments.append((position, end))
            position = end
        elif two == "/*":
            end = _comment_end(sql, position)
            if end < 0:
                raise DbopsError(f"{line()}: the comment is never closed", "Close it with */.")
            comments.append((position, end))
            position = end
        elif char in "'\"":
            escapes = char == "'" and _escapes(sql, position)
            end = _quote_end(sql, position, char, escapes)
            if end < 0:
                raise DbopsError(f"{line()}: the {char} is never closed", "Close it.")
            position = end
        elif char == "$" and (found := _DOLLAR.match(sql, position)) and not _in_word(sql, position):
            end = sql.find(found[0], found.end())
            if end < 0:
                raise DbopsError(f"{line()}: {found[0]} is never closed", "Close it.")
            position = end + len(found[0])
        elif found := _WORD.match(sql, position):
            word = found[0].upper()
            if atomic:
                atomic += (word == "CASE") - (word == "END")
            elif word == "ATOMIC" and words[-1:] == ["BEGIN"]:
                atomic = 1
            words.append(word)
            position = found.end()
        elif char == "\\":
            raise DbopsError(
                f"{line()}: a command of psql ({sql[position : position + 20].split()[0]})",
                "Write it as SQL: the file is not run by psql.",
            )
        else:
            depth += (char == "(") - (char == ")")
            if char == ";" and depth <= 0 and not atomic:
                _refuse_stdin(line(), words)
                yield start, position, comments
                start, depth, comments, words = position + 1, 0, [], []
            position += 1
    _refuse_stdin(line(), words)
    yield start, size, comments


def _refuse_stdin(where: str, words: Sequence[str]) -> None:
    if words[:1] == ["COPY"] and any(pair == ("FROM", "STDIN") for pair in zip(words, words[1:])):
        raise DbopsError(f"{where}: COPY FROM stdin reads rows from a client", "Write the rows as INSERT.")


def _in_word(sql: str, position: int) -> bool:
    return position > 0 and bool(re.match(r"[A-Za-z0-9_$\x80-\U0010ffff]", sql[position - 1]))


def _escapes(sql: str, position: int) -> bool:
    """Whether the string that begins here is one of the kind E'...'."""
    return position > 0 and sql[position - 1] in "eE" and not _in_word(sql, position - 1)


def _quote_end(sql: str, position: int, quote: str, escapes: bool) -> int:
    position += 1
    while position < len(sql):
        if escapes and sql[position] == "\\":
            position += 2
        elif sql[position] == quote:
            if sql[position + 1 : position + 2] == quote:
                position += 2
            else:
                return position + 1
        else:
            position += 1
    return -1


def _comment_end(sql: str, position: int) -> int:
    """After the comment that begins here; comments nest."""
    depth = 0
    for found in re.compile(r"/\*|\*/").finditer(sql, position):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    return -1
