# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a text of SQL is one statement, so that it cannot end the transaction in which it is tried. Pure.

Lexical rules: PostgreSQL manual, 4.1, with standard_conforming_strings on. It errs on the safe side: what it does not
understand is not one statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_LETTER = r"[A-Za-z_\x80-\U0010ffff]"
_QUOTED = re.compile(
    r"--[^\n]*"
    r"|[eE]'(?:[^'\\]|\\.|'')*'"  # has escapes; in all others a doubled quote stands for itself
    r"|'(?:[^']|'')*'"
    r'|"(?:[^"]|"")*"'
    rf"|\$(?P<tag>(?:{_LETTER}[\w\x80-\U0010ffff]*)?)\$.*?\$(?P=tag)\$",
    re.DOTALL,
)
_WORD = re.compile(rf"{_LETTER}[\w$\x80-\U0010ffff]*|\d+|\$\d+|[^'\"$]")


def single(text: str) -> str | None:
    """The statement without a semicolon at its end; None: it is empty, unfinished, or more than one."""
    end = None
    for token, start, quoted in _tokens(text):
        if token is None:
            return None
        if token == ";":
            end = start if end is None else end
        elif end is not None and not token.isspace() and not (quoted and token[:2] in ("--", "/*")):
            return None
    statement = text[:end].strip()
    return statement if bare(statement).strip() else None


def words(text: str) -> list[str]:
    """The words outside of quotes and comments, lower case, in order."""
    return re.findall(r"[a-z_]\w*", bare(text).lower())


def bare(text: str) -> str:
    """The text with every literal, quoted name and comment replaced by a space."""
    return "".join(" " if quoted or token is None else token for token, start, quoted in _tokens(text))


def _tokens(text: str) -> Iterator[tuple[str | None, int, bool]]:
    """Each token, where it begins, and whether it is quoted or a comment; None: a quote or comment that never ends."""
    position = 0
    while position < len(text):
        end, quoted = _end(text, position)
        yield (text[position:end] if end else None), position, quoted
        if end is None:
            return
        position = end


def _end(text: str, position: int) -> tuple[int | None, bool]:
    if text.startswith("/*", position):
        return _comment(text, position), True
    for pattern in (_QUOTED, _WORD):
        found = pattern.match(text, position)
        if found:
            return found.end(), pattern is _QUOTED
    return None, True


def _comment(text: str, position: int) -> int | None:
    """Comments of C's kind nest."""
    depth = 0
    for found in re.finditer(r"/\*|\*/", text[position:]):
        depth += 1 if found[0] == "/*" else -1
        if not depth:
            return position + found.end()
    return None
