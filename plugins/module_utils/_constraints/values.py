# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Valid values of a type, as many different ones as it has, in the text form that PostgreSQL reads. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Callable

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import Type

# Far from what applications store, so that a row of ours rarely meets one of theirs.
_INT2 = 31000
_INT4 = 1_900_000_000
_INT8 = 4_000_000_000_000_000
_DEPTH = 8


def value(types: Mapping[int, Type], oid: int, typmod: int = -1, number: int = 0) -> str | None:
    """The ``number``-th value of a type; different numbers give different values as far as the type has them.

    None: nothing is known about the type, or it nests too deep.
    """
    return _value(types, oid, typmod, number, _DEPTH)


def modest(types: Mapping[int, Type], oid: int, typmod: int, number: int) -> str | None:
    """A small number, for columns that need not be unique: what is computed of large ones may not fit.

    None: it is not a number, or too narrow a one.
    """
    kind = types.get(oid)
    if kind is None or kind.kind != "b" or kind.name not in _MODEST:
        return None
    text = str(number % 9 + 1)
    return text if fits(kind, typmod, text) else None


def plenty(types: Mapping[int, Type], oid: int, typmod: int = -1) -> list[str]:
    """Some values of a type that differ in what a check may ask about: signs, sizes, order, emptiness."""
    kind = types.get(oid)
    if kind is None:
        return []
    if kind.kind == "d":
        return plenty(types, kind.part, kind.part_typmod if typmod < 0 else typmod)
    if kind.kind == "e":
        return list(kind.labels[:40])
    found = [_value(types, oid, typmod, number, _DEPTH) for number in range(3)]
    extra: tuple[str, ...] = _EXTRA.get(kind.name, ())
    if kind.kind == "a":
        extra = ("{}",)
        part = types.get(kind.part)
        if part is not None and part.kind != "a":
            extra += tuple(array([text]) for text in plenty(types, kind.part)[:6])
    elif kind.kind == "r":
        extra = ("empty", "(,)")
    elif kind.kind == "m":
        extra = ("{}",)
    texts = [text for text in (*found, *extra) if text is not None and fits(kind, typmod, text)]
    return list(dict.fromkeys(texts))


def fits(kind: Type, typmod: int, text: str) -> bool:
    """Whether a number or text keeps the limits of its type; True for types that this does not know."""
    if kind.name in _BOUNDS:
        low, high = _BOUNDS[kind.name]
        return text.lstrip("+-").isdigit() and low <= int(text) <= high
    if kind.name in ("varchar", "bpchar") and typmod >= 4:
        return len(text) <= typmod - 4
    if kind.name == "numeric" and typmod >= 4:
        precision, scale = numeric(typmod)
        whole = text.lstrip("+-").split(".")[0].lstrip("0")
        return len(whole) <= precision - scale
    return True


def numeric(typmod: int) -> tuple[int, int]:
    """Precision and scale of a ``numeric``; the scale may be negative since version 15."""
    scale = (typmod - 4) & 0x7FF
    return ((typmod - 4) >> 16) & 0xFFFF, scale - 2048 if scale >= 1024 else scale


def array(texts: Sequence[str | None]) -> str:
    """An array of one dimension."""
    return "{" + ",".join("NULL" if text is None else _quoted(text) for text in texts) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _value(types: Mapping[int, Type], oid: int, typmod: int, number: int, depth: int) -> str | None:
    kind = types.get(oid)
    if kind is None or depth == 0:
        return None
    if kind.kind == "d":
        return _value(types, kind.part, kind.part_typmod, number, depth - 1)
    if kind.kind == "e":
        return kind.labels[number % len(kind.labels)] if kind.labels else None
    if kind.kind == "a":
        part = _value(types, kind.part, typmod, number, depth - 1)
        return None if part is None else array([part])
    if kind.kind == "c":
        parts = [_value(types, field, modifier, number, depth - 1) for field, modifier in kind.fields]
        return "(" + ",".join("" if part is None else _quoted(part) for part in parts) + ")"
    if kind.kind == "r":
        # Ranges of different numbers do not touch each other, those of the same number overlap.
        low = _value(types, kind.part, typmod, 3 * number, depth - 1)
        high = _value(types, kind.part, typmod, 3 * number + 1, depth - 1)
        return None if low is None or high is None else f"[{_quoted(low)},{_quoted(high)})"
    if kind.kind == "m":
        inner = _value(types, kind.part, typmod, number, depth - 1)
        return None if inner is None else "{" + inner + "}"
    return _scalar(kind, typmod, number)


def _scalar(kind: Type, typmod: int, number: int) -> str | None:
    name = kind.name
    text = None
    if name in _FORMS:
        text = _FORMS[name](number)
    elif name in ("text", "varchar", "bpchar", "citext", "name"):
        text = _text(number, typmod - 4 if name in ("varchar", "bpchar") and typmod >= 4 else 63)
    elif name == "numeric":
        text = _numeric(number, typmod)
    elif name in ("bit", "varbit"):
        width = typmod if typmod > 0 else (1 if name == "bit" else 16)
        text = format(number % (1 << min(width, 60)), "b").zfill(width)
    elif name == "vector":
        width = typmod if typmod > 0 else 3
        text = "[" + ",".join([str(number + 1), *["0"] * (width - 1)]) + "]"
    elif kind.category == "S":
        text = _text(number, 20)
    elif kind.category == "N":
        text = str(number + 1)
    return text


def _text(number: int, width: int) -> str:
    """``dbops0001``; in little room only what tells numbers apart."""
    if width >= 9:
        return f"dbops{number:04d}"
    digits = "abcdefghijklmnopqrstuvwxyz0123456789"
    rest, found = number, ""
    for _position in range(min(width, 4)):
        rest, digit = divmod(rest, 36)
        found = digits[digit] + found
    return found


def _numeric(number: int, typmod: int) -> str:
    if typmod < 4:
        return f"{1_000_000 + number}"
    precision, scale = numeric(typmod)
    if scale < 0:
        return str((number % 9 + 1) * 10**-scale)
    unscaled = (number + 1) * 10**scale if precision > scale + 1 else number + 1
    unscaled %= 10**precision
    whole, part = divmod(unscaled, 10**scale)
    return f"{whole}.{part:0{scale}d}" if scale else str(whole)


def _day(number: int) -> str:
    return f"2026-{1 + number // 28 % 12:02d}-{1 + number % 28:02d}"


def _hex(number: int, width: int) -> str:
    return format(number, f"0{width}x")


_FORMS: dict[str, Callable[[int], str]] = {
    "int2": lambda number: str(_INT2 + number % 1700),
    "int4": lambda number: str(_INT4 + number),
    "int8": lambda number: str(_INT8 + number),
    "oid": lambda number: str(_INT4 + number),
    "xid": lambda number: str(1000 + number),
    "float4": lambda number: f"{1000 + number}.5",
    "float8": lambda number: f"{1000 + number}.5",
    "money": lambda number: f"{1000 + number}.00",
    "bool": lambda number: ("true", "false")[number % 2],
    "char": lambda number: chr(ord("a") + number % 26),
    "bytea": lambda number: "\\x" + _hex(number + 1, 8),
    "uuid": lambda number: f"db005000-0000-4000-8000-{_hex(number + 1, 12)}",
    "date": _day,
    "timestamp": lambda number: f"{_day(number)} 12:00:00",
    "timestamptz": lambda number: f"{_day(number)} 12:00:00+00",
    "time": lambda number: f"{8 + number // 60 % 12:02d}:{number % 60:02d}:00",
    "timetz": lambda number: f"{8 + number // 60 % 12:02d}:{number % 60:02d}:00+00",
    "interval": lambda number: f"{number + 1} hours",
    "json": lambda number: f'{{"dbops": {number}}}',
    "jsonb": lambda number: f'{{"dbops": {number}}}',
    "jsonpath": lambda number: f"$.dbops{number}",
    "xml": lambda number: f"<dbops>{number}</dbops>",
    "inet": lambda number: f"192.0.2.{1 + number % 250}",
    "cidr": lambda number: f"198.51.100.{number % 250}/32",
    "macaddr": lambda number: f"02:00:00:00:00:{_hex(number % 256, 2)}",
    "macaddr8": lambda number: f"02:00:00:00:00:00:00:{_hex(number % 256, 2)}",
    "point": lambda number: f"({number},{number})",
    "line": lambda number: f"{{1,-1,{number}}}",
    "lseg": lambda number: f"[({number},0),({number},1)]",
    "box": lambda number: f"({3 * number + 1},1),({3 * number},0)",
    "path": lambda number: f"(({number},0),({number},1))",
    "polygon": lambda number: f"(({3 * number},0),({3 * number + 1},0),({3 * number},1))",
    "circle": lambda number: f"<({3 * number},0),1>",
    "tsvector": lambda number: f"'dbops{number}'",
    "tsquery": lambda number: f"'dbops{number}'",
    "pg_lsn": lambda number: f"0/{number + 1:X}",
    "hstore": lambda number: f'"dbops"=>"{number}"',
    "ltree": lambda number: f"dbops.n{number}",
    "lquery": lambda number: f"dbops.n{number}",
    "cube": lambda number: f"({3 * number})",
    "seg": lambda number: f"{3 * number}",
    "geometry": lambda number: f"SRID=4326;POINT({number % 90} {number % 90})",
    "geography": lambda number: f"SRID=4326;POINT({number % 90} {number % 90})",
    "regclass": lambda number: ("pg_catalog.pg_class", "pg_catalog.pg_type", "pg_catalog.pg_proc")[number % 3],
    "regtype": lambda number: ("integer", "text", "boolean")[number % 3],
}

_BOUNDS = {
    "int2": (-(2**15), 2**15 - 1),
    "int4": (-(2**31), 2**31 - 1),
    "int8": (-(2**63), 2**63 - 1),
    "oid": (0, 2**32 - 1),
}

_MODEST = ("int2", "int4", "int8", "numeric", "float4", "float8")
_NUMBERS = ("1", "0", "-1", "2", "10", "50", "100", "1000")
_TEXTS = ("", "a", "A", " ", "abc", "ABC", "Abc def", "1", "x@example.com", "https://example.com/", "+491234567890")
_JSON = ("{}", "[]", "null", '"a"', "1", "true", "[1]", '["a"]', "[{}]")
_EXTRA: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), _NUMBERS),
    **dict.fromkeys(("numeric", "float4", "float8", "money"), (*_NUMBERS, "0.5", "-0.5", "0.01")),
    **dict.fromkeys(("text", "varchar", "bpchar", "citext", "name"), _TEXTS),
    "bool": ("true", "false"),
    "bytea": ("\\x", "\\x00"),
    **dict.fromkeys(("json", "jsonb"), _JSON),
    **dict.fromkeys(("date", "timestamp", "timestamptz"), ("2000-01-01", "1970-01-01", "2199-12-31", "infinity")),
    "interval": ("0", "-1 day", "1 day", "1 year"),
    "time": ("00:00", "23:59:59"),
    "inet": ("192.0.2.1", "192.0.2.0/24", "2001:db8::1", "2001:db8::/32", "2001:db8::/120", "10.0.0.1", "127.0.0.1"),
    "cidr": ("192.0.2.0/24", "2001:db8::/32", "10.0.0.0/8"),
    "uuid": ("00000000-0000-0000-0000-000000000000",),
    "hstore": ("",),
    "ltree": ("",),
    "tsvector": ("",),
    "point": ("(0,0)", "(200,200)", "(-200,-200)"),
}
