# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values worth trying in a check: what its expression mentions, the neighbours of that, and some of the type. Pure.

The expression is not understood, only searched for constants. PostgreSQL evaluates it over the values and says which
ones satisfy it; so a check may call any function.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.patterns import examples, like
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import Type
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.values import array, fits, plenty

_LONGEST = 20_000
_NUMBERS = ("int2", "int4", "int8", "numeric", "float4", "float8", "money", "oid")
_TEXTS = ("text", "varchar", "bpchar", "citext", "name")
_DATES = ("date", "timestamp", "timestamptz")


@dataclass(frozen=True)
class Constants:
    """What an expression mentions: texts, numbers, texts for its patterns, and the first of these for each pattern."""

    texts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    matching: tuple[str, ...] = ()
    first: tuple[str, ...] = ()

    def __add__(self, other: Constants) -> Constants:
        return Constants(
            *(
                tuple(dict.fromkeys(getattr(self, name) + getattr(other, name)))
                for name in ("texts", "numbers", "matching", "first")
            )
        )


_STRING = re.compile(r"(~~\*|!~~\*|~~|!~~|~\*|!~\*|~|!~)?\)?\s*(\(?ARRAY\[)?\(*(E?)'((?:[^']|'')*)'")


def constants(expression: str) -> Constants:
    """The constants of an expression as PostgreSQL writes it."""
    texts: list[str] = []
    matching: list[str] = []
    first: list[str] = []
    for found in _STRING.finditer(expression):
        operator, _array, escaped, body = found.groups()
        text = body.replace("''", "'")
        if escaped:
            text = text.replace("\\\\", "\\")
        texts.append(text)
        if re.fullmatch(r"\{[^{}]*\}", text):  # an array as one text
            texts += [part.strip('"') for part in text[1:-1].split(",") if part]
        written = like(text) if operator and "~~" in operator else []
        if not written and (operator or re.search(r"regexp_|similar", expression)):
            written = examples(text)
        matching += written
        first += written[:1]
    bare = re.sub(r"E?'(?:[^']|'')*'", lambda m: f" {m[0][1:-1]} " if _number(m[0].strip("'")) else " ", expression)
    bare = re.sub(r'"(?:[^"]|"")*"', " ", bare)
    numbers = re.findall(r"(?<![\w$.])\d+(?:\.\d+)?(?![\w$])", bare)
    return Constants(*(tuple(dict.fromkeys(part)) for part in (texts, numbers, matching, first)))


def candidates(types: Mapping[int, Type], oid: int, typmod: int, known: Constants, limit: int = 160) -> list[str]:
    """Values of a type to try, the likeliest first."""
    kind = types.get(oid)
    while kind is not None and kind.kind == "d":
        oid, typmod = kind.part, kind.part_typmod
        kind = types.get(oid)
    if kind is None:
        return []
    return list(dict.fromkeys(_some(types, kind, oid, typmod, known)))[:limit]


def _some(types: Mapping[int, Type], kind: Type, oid: int, typmod: int, known: Constants) -> list[str]:
    usual = plenty(types, oid, typmod)
    if kind.kind == "e" or kind.name == "bool":
        return [*(text for text in known.texts if text in kind.labels), *usual]
    found: Iterable[str]
    if kind.name in _NUMBERS:
        found = _numbers(known)
    elif kind.name in _DATES:
        found = _dates(known)
    elif kind.name in ("json", "jsonb"):
        found = _documents(known)
    elif kind.kind == "a":
        found = _arrays(types, kind, typmod, known)
    elif kind.name in _TEXTS or kind.category == "S":
        found = _texts(known, usual, typmod - 4 if kind.name in ("varchar", "bpchar") and typmod >= 4 else _LONGEST)
    elif kind.name == "interval":
        found = [*known.texts, *(f"{number} {unit}" for number in known.numbers for unit in ("days", "hours"))]
    elif kind.name == "bytea":
        found = ["\\x" + "00" * length for length in _lengths(known) if length <= 100_000]
    else:
        found = known.texts
    fitting = [text for text in found if fits(kind, typmod, text)]
    # The constants stand where a check has its edge; two usual values in front, so that plain checks end at once.
    return [*usual[:2], *fitting, *usual[2:]]


def _number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def _numbers(known: Constants) -> list[str]:
    found: list[str] = []
    for text in known.numbers:
        try:
            number = Decimal(text)
        except InvalidOperation:
            continue
        step = Decimal(1).scaleb(-max(0, -int(number.as_tuple().exponent)))
        for near in (number, number + step, number - step, number + 1, number - 1, -number, -number - step):
            found.append(format(near, "f"))
    return found


def _dates(known: Constants) -> list[str]:
    found: list[str] = []
    for text in known.texts:
        match = re.match(r"(\d{4}-\d\d-\d\d)([ T][\d:.]+)?", text)
        if match is None:
            continue
        try:
            moment = datetime.datetime.strptime(match[1], "%Y-%m-%d")
        except ValueError:
            continue
        rest = text[10:]
        found.append(text)
        found += [
            (moment + datetime.timedelta(days=days)).strftime("%Y-%m-%d") + rest
            for days in (1, -1, 2)
            if 2 <= moment.year <= 9998
        ]
    return found


def _lengths(known: Constants) -> list[int]:
    whole = {int(number) for number in known.numbers if number.isdigit() and len(number) <= 9}
    return sorted({length for number in whole for length in (number - 1, number, number + 1) if length >= 0})


def _texts(known: Constants, usual: Sequence[str], width: int) -> list[str]:
    lengths = [length for length in _lengths(known) if length <= _LONGEST]
    together = "".join(known.first)  # a password needs a digit, a capital and a length
    found = [*known.matching, *known.texts, *(text + "!" for text in known.texts)]
    if len(known.first) > 1:
        found.append(together)
    found += [start + "a" * (length - len(start)) for start in (*known.first, together, "") for length in lengths]
    found += [changed for text in (*known.texts, *usual[:1]) for changed in (text.upper(), text.lower(), f" {text} ")]
    found += [text for number in known.numbers for text in (number,)]
    return [text for text in found if len(text) <= width and "\0" not in text]


def _documents(known: Constants) -> list[str]:
    keys = [text for text in known.texts if len(text) < 100]
    found: list[object] = [dict.fromkeys(keys, "a"), dict.fromkeys(keys, 1), {key: [] for key in keys}]
    each: dict[str, object] = {key: f"dbops{number}" for number, key in enumerate(keys)}
    found += [each, *({key: text for key, text in each.items() if key != left_out} for left_out in keys)]
    for key in keys:
        items: tuple[object, ...] = ("a", 1, -1, True, None, {}, [], ["a"], *keys)
        found += [{key: item} for item in items]
        found += [{key: int(number)} for number in known.numbers if number.isdigit()]
    for path in keys:
        match = re.fullmatch(r"\{(.+)\}", path) or re.match(r"\$\.([\w.]+)", path)
        names = re.split(r"[,.]", match[1]) if match else []
        nested: object = "a"
        for name in reversed(names):
            nested = {name: nested}
        found += [nested] if names else []
    texts = [json.dumps(item) for item in found]
    return [*(text for text in known.texts if text[:1] in ("{", "[")), *texts]


def _arrays(types: Mapping[int, Type], kind: Type, typmod: int, known: Constants) -> list[str]:
    parts = candidates(types, kind.part, typmod, known, limit=20)
    if not parts:
        return []
    wanted = [text for text in known.texts if text in parts]
    found = [array([text]) for text in parts]
    found += [array(wanted), array([*wanted, parts[0]]), array([None])]
    found += [array([parts[index % len(parts)] for index in range(size)]) for size in _lengths(known) if size <= 1000]
    return found
