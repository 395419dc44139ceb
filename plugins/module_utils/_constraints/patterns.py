# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that match a pattern of ``~`` or LIKE: a few for each, enough to find one that a check accepts. Pure.

Nothing here decides whether a text really matches: PostgreSQL is asked about each.
"""

from __future__ import annotations

_CLASSES = {"d": "0123456789", "w": "abcxyz019_", "s": " ", "D": "a", "W": "-", "S": "ax0"}
_NAMED = {
    "alpha": "abcxyz", "digit": "0123456789", "alnum": "abcxyz0189", "upper": "ABCXYZ", "lower": "abcxyz",
    "space": " ", "punct": "-.!", "xdigit": "0189abcdef", "blank": " \t", "cntrl": "\t",
    "print": "ax0-", "graph": "ax0-",
}  # fmt: skip
_PRINTED = "".join(map(chr, range(48, 58))) + "".join(map(chr, range(97, 123))) + "ABCXYZ-_. @!"
_MOST = 300


def examples(pattern: str) -> list[str]:
    """Texts for a regular expression that differ in length and in their characters."""
    found = []
    for style in range(12):
        text = _Reader(pattern, style).read()
        if text is not None:
            found.append(text)
    return list(dict.fromkeys(found))


def like(pattern: str) -> list[str]:
    """Texts for a pattern of LIKE."""
    found = []
    for filler in ("", "dbops", "x", "1", *(f"dbops{number}" for number in range(8))):
        text, position = "", 0
        while position < len(pattern):
            char = pattern[position]
            if char == "\\" and position + 1 < len(pattern):
                position += 1
                text += pattern[position]
            else:
                text += filler if char == "%" else "x" if char == "_" else char
            position += 1
        found.append(text)
    return list(dict.fromkeys(found))


class _Reader:
    """Reads a regular expression once and writes one text on the way.

    :param style: which character of a set, which branch and how many repetitions are taken.
    """

    def __init__(self, pattern: str, style: int) -> None:
        if pattern.startswith("***"):
            pattern = pattern[4:] if pattern.startswith("***:") else pattern
        self.pattern, self.style, self.at, self.taken = pattern, style, 0, 0

    def read(self) -> str | None:
        try:
            text = self._branches()
        except (IndexError, ValueError):
            return None
        return text if self.at == len(self.pattern) and len(text) <= _MOST else None

    def _branches(self) -> str:
        found = [self._sequence()]
        while self.at < len(self.pattern) and self.pattern[self.at] == "|":
            self.at += 1
            found.append(self._sequence())
        return found[self.style % len(found)]

    def _sequence(self) -> str:
        text = ""
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            start = self.at
            piece = self._atom()
            low, high = self._times()
            times = low if self.style % 2 == 0 else min(high, max(low, 1) + self.style // 2)
            text += piece if times == 1 else self._again(start, times)
        return text

    def _again(self, start: int, times: int) -> str:
        """The atom at ``start`` several times, each with characters of its own."""
        end, text = self.at, ""
        for _repetition in range(min(times, _MOST)):
            self.at = start
            text += self._atom()
        self.at = end
        return text

    def _atom(self) -> str:
        char = self.pattern[self.at]
        self.at += 1
        if char == "(":
            silent = False
            if self.pattern.startswith("?:", self.at):
                self.at += 2
            elif self.pattern.startswith(("?=", "?!", "?<=", "?<!"), self.at):
                silent = True
                self.at += 3 if self.pattern[self.at + 1] == "<" else 2
            text = self._branches()
            if self.pattern[self.at] != ")":
                raise ValueError
            self.at += 1
            return "" if silent else text
        if char == "[":
            return self._one_of(self._set())
        if char == ".":
            return self._one_of("ax1")
        if char in "^$":
            return ""
        if char == "\\":
            char = self.pattern[self.at]
            self.at += 1
            if char in "AZmMyYbB<>":
                return ""
            return self._one_of(_CLASSES[char]) if char in _CLASSES else {"n": "\n", "t": "\t"}.get(char, char)
        return char

    def _one_of(self, characters: str) -> str:
        if not characters:
            raise ValueError
        self.taken += 1
        position = 0 if self.style < 2 else self.style * 7 + self.taken
        return characters[position % len(characters)]

    def _set(self) -> str:
        negated = self.pattern[self.at] == "^"
        self.at += negated
        found, first = "", True
        while first or self.pattern[self.at] != "]":
            first = False
            if self.pattern.startswith("[:", self.at):
                end = self.pattern.index(":]", self.at)
                found += _NAMED.get(self.pattern[self.at + 2 : end], "")
                self.at = end + 2
                continue
            char = self._member()
            if isinstance(char, str) and len(char) == 1 and self._is_span():
                self.at += 1
                last = self._member()
                if len(last) != 1:
                    raise ValueError
                found += "".join(map(chr, range(ord(char), min(ord(last), ord(char) + 200) + 1)))
            else:
                found += char
        self.at += 1
        if negated:
            found = "".join(char for char in _PRINTED if char not in found)
        return found

    def _is_span(self) -> bool:
        return self.pattern[self.at] == "-" and self.pattern[self.at + 1] != "]"

    def _member(self) -> str:
        char = self.pattern[self.at]
        self.at += 1
        if char == "\\":
            char = self.pattern[self.at]
            self.at += 1
            return _CLASSES.get(char, char)
        return char

    def _times(self) -> tuple[int, int]:
        low, high = 1, 1
        if self.at < len(self.pattern):
            char = self.pattern[self.at]
            if char in "*+?":
                self.at += 1
                low, high = {"*": (0, _MOST), "+": (1, _MOST), "?": (0, 1)}[char]
            elif char == "{" and self.pattern[self.at + 1].isdigit():
                end = self.pattern.index("}", self.at)
                first, comma, last = self.pattern[self.at + 1 : end].partition(",")
                low = int(first)
                high = low if not comma else int(last) if last else _MOST
                self.at = end + 1
            if char in "*+?{" and self.at < len(self.pattern) and self.pattern[self.at] == "?":
                self.at += 1
        return low, high
