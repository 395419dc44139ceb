# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words and pieces of PostgreSQL's syntax tree: names, types, SQL text of a changed node. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.grammar import (
    RESERVED,
    RawStream,
)

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_$]*\Z")
_LONGEST_NAME = 63


@dataclass(frozen=True, order=True)
class Name:
    """A relation, type or other object; schema ``public`` and none are the same, as no search_path is known here."""

    schema: str
    name: str

    @property
    def sql(self) -> str:
        """Quoted where PostgreSQL wants it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}" if self.schema else quoted(self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True)
class Type:
    """A type with its modifiers: ``numeric``, ``(10, 2)``."""

    name: str
    mods: tuple[int, ...] = ()
    array: bool = False

    @property
    def sql(self) -> str:
        """As one writes it."""
        words = f"({', '.join(map(str, self.mods))})" if self.mods else ""
        plain = _SPELLED.get(self.name, self.name)
        base, found, rest = plain.partition(" ")
        return f"{base}{words}{found}{rest}{'[]' if self.array else ''}"


_SPELLED = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "bpchar": "char",
}


def name_of(node: Any) -> Name:
    """Of a RangeVar, a String, a tuple of Strings or a TypeName; what has no name, such as a cast, is its text."""
    if hasattr(node, "relname"):
        return _name([node.schemaname or "", node.relname])
    if hasattr(node, "sval"):
        return Name("", node.sval)
    node = getattr(node, "objname", node)
    parts = getattr(node, "names", node)
    if isinstance(parts, tuple) and parts and all(hasattr(part, "sval") for part in parts):
        return _name([part.sval for part in parts])
    return Name("", ", ".join(map(sql_of, parts)) if isinstance(parts, tuple) else sql_of(parts))


def _name(parts: list[str]) -> Name:
    schema = parts[-2] if len(parts) > 1 else ""
    return Name("" if schema == "public" else schema, parts[-1])


def type_of(node: Any) -> Type:
    """Of a TypeName."""
    name = ".".join(part.sval for part in node.names if part.sval not in ("pg_catalog", "public"))
    mods = []
    for mod in node.typmods or ():
        value = getattr(getattr(mod, "val", None), "ival", None)
        # An interval's first modifier is a mask of its fields, not a length.
        if value is not None and name != "interval":
            mods.append(value)
    return Type(name, tuple(mods), bool(node.arrayBounds))


def quoted(name: str) -> str:
    """An identifier as SQL."""
    return name if _PLAIN_NAME.match(name) and name not in RESERVED else '"' + name.replace('"', '""') + '"'


def sql_of(node: Any) -> str:
    """The text of a node, as PostgreSQL would read it again."""
    return str(RawStream()(node))


def enum(value: Any) -> str:
    """The name of a member of one of PostgreSQL's C enums."""
    return str(getattr(value, "name", value))


def strings(nodes: Iterable[Any] | None) -> list[str]:
    """Of a list of String nodes."""
    return [node.sval for node in nodes or ()]


def object_name(*parts: str) -> str:
    """A name for a new object, as PostgreSQL makes them, cut to the longest that it takes."""
    joined = "_".join(re.sub(r"\W", "_", part) for part in parts if part)
    if len(joined) <= _LONGEST_NAME:
        return joined
    last = f"_{parts[-1]}"
    return joined[: _LONGEST_NAME - len(last)] + last
