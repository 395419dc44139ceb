# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``indexes`` of a spec file: which indexes must exist, by definition, and the limits. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import Definition, Key
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError, Where, only

METHODS = ("btree", "hash", "gin", "gist", "spgist", "brin")
LONGEST_NAME = 63  # NAMEDATALEN - 1 (PostgreSQL manual, 4.1.1)

_KEY = ("column", "expression", "order", "nulls", "opclass", "collation")
_REQUIRED = ("table", "columns", "unique", "nulls_not_distinct", "method", "where", "include", "name")
_JSONB = ("table", "column", "opclass", "name")
_SECTION = ("required", "jsonb", "ignore", "limits")
_QUOTED = re.compile(r"'(?:[^']|'')*'" + r'|"(?:[^"]|"")*"')


@dataclass(frozen=True)
class Wanted:
    """An index that must exist, or one that does the same work.

    :param where: where it stands in the spec file.
    :param name: what it is to be called when it is built; empty: a name as PostgreSQL makes it.
    :param control: P-4, or P-2 for the search in a JSONB column.
    """

    schema: str
    table: str
    definition: Definition
    name: str = ""
    where: Where = ()
    control: str = "P-4"


@dataclass(frozen=True)
class Normal:
    """Required indexes in the server's words, and those that it does not understand, each with its message."""

    wanted: tuple[Wanted, ...] = ()
    problems: tuple[tuple[Wanted, str], ...] = ()


@dataclass(frozen=True)
class Limits:
    """From where on something is worth a finding.

    :param unused_days: statistics must be this old before an index counts as unused.
    :param unused_bytes: smaller indexes are left alone.
    :param table_rows: from so many rows on a table is large.
    :param seq_scans: so many sequential scans are often.
    :param seq_share: the part of a table's scans, in percent, that may be sequential.
    :param distinct_values: an index on a column with no more values than this hardly selects.
    :param bloat_share: the part of an index, in percent, that may be empty.
    :param bloat_bytes: less empty space than this is left alone.
    """

    unused_days: int = 14
    unused_bytes: int = 1024 * 1024
    table_rows: int = 10_000
    seq_scans: int = 100
    seq_share: int = 20
    distinct_values: int = 5
    bloat_share: int = 50
    bloat_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True)
class Spec:
    """What is wanted of the indexes of a database.

    :param ignore: patterns of ``schema.index`` about whose use, size and doubles nothing is said.
    """

    required: tuple[Wanted, ...] = ()
    ignore: tuple[str, ...] = ()
    limits: Limits = Limits()


def parse(section: Mapping[str, Any]) -> Spec:
    """The section as data.

    :raises SpecError: where something is wrong.
    """
    at: Where = ("indexes",)
    only(section, _SECTION, at)
    required = [_required(item, (*at, "required", i)) for i, item in _items(section, "required", at)]
    required += [_jsonb(item, (*at, "jsonb", i)) for i, item in _items(section, "jsonb", at)]
    seen: dict[tuple[Any, ...], Wanted] = {}
    for wanted in required:
        key = (wanted.schema, wanted.table, wanted.definition)
        if key in seen:
            raise SpecError(wanted.where, "the same index is required twice.", "Leave one of them out.")
        seen[key] = wanted
    ignore = tuple(_text(item, (*at, "ignore", i)) for i, item in _items(section, "ignore", at))
    return Spec(tuple(required), ignore, _limits(section.get("limits"), (*at, "limits")))


def parse_required(items: Sequence[Mapping[str, Any]]) -> tuple[Wanted, ...]:
    """A list of required indexes as a module's option gives it.

    :raises SpecError: where something is wrong.
    """
    return parse({"required": list(items)}).required


def _items(data: Mapping[str, Any], key: str, at: Where) -> list[tuple[int, Any]]:
    value = data.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise SpecError((*at, key), "must be a list.")
    return list(enumerate(value))


def _required(item: Any, at: Where) -> Wanted:
    if not isinstance(item, dict):
        raise SpecError(at, "must be a mapping.", "For example {table: public.users, columns: [email], unique: true}.")
    item = {key: value for key, value in item.items() if value is not None}
    only(item, _REQUIRED, at)
    schema, table = qualified(item.get("table"), (*at, "table"))
    method = item.get("method", "btree")
    if method not in METHODS:
        raise SpecError((*at, "method"), f"{method!r} is no index method.", f"Known are: {', '.join(METHODS)}.")
    keys = tuple(_key(key, (*at, "columns", i)) for i, key in _items(item, "columns", at))
    if not keys:
        raise SpecError((*at, "columns"), "an index needs at least one column or expression.")
    if len({key.column or key.expression for key in keys}) < len(keys) and method == "btree":
        raise SpecError((*at, "columns"), "a column stands there twice.")
    for index, key in enumerate(keys):
        if method != "btree" and (key.descending or key.nulls_first):
            raise SpecError((*at, "columns", index), f"an index of the method {method} has no order.")
    unique = _flag(item, "unique", at)
    if unique and method != "btree":
        raise SpecError((*at, "unique"), f"an index of the method {method} cannot be unique.", "Use btree.")
    distinct = _flag(item, "nulls_not_distinct", at)
    if distinct and not unique:
        raise SpecError((*at, "nulls_not_distinct"), "has a meaning for a unique index only.")
    include = tuple(_text(name, (*at, "include", i)) for i, name in _items(item, "include", at))
    predicate = sql_text(item["where"], (*at, "where")) if "where" in item else ""
    definition = Definition(method, keys, unique, include, predicate, distinct)
    return Wanted(schema, table, definition, _name(item, at), at)


def _jsonb(item: Any, at: Where) -> Wanted:
    if not isinstance(item, dict):
        raise SpecError(at, "must be a mapping.", "For example {table: public.transcripts, column: transcript_json}.")
    only(item, _JSONB, at)
    schema, table = qualified(item.get("table"), (*at, "table"))
    column = _text(item.get("column"), (*at, "column"))
    opclass = item.get("opclass", "")
    if opclass not in ("", "jsonb_ops", "jsonb_path_ops"):
        raise SpecError((*at, "opclass"), f"{opclass!r} is no operator class of GIN for jsonb.")
    definition = Definition("gin", (Key(column=column, opclass=opclass),))
    return Wanted(schema, table, definition, _name(item, at), at, "P-2")


def _key(item: Any, at: Where) -> Key:
    if isinstance(item, str):
        return Key(column=_text(item, at))
    if not isinstance(item, dict):
        raise SpecError(at, "must be the name of a column, or a mapping with column or expression.")
    only(item, _KEY, at)
    if ("column" in item) == ("expression" in item):
        raise SpecError(at, "give either column or expression.")
    order, nulls = item.get("order", "asc"), item.get("nulls")
    if order not in ("asc", "desc"):
        raise SpecError((*at, "order"), f"{order!r} is neither asc nor desc.")
    if nulls not in (None, "first", "last"):
        raise SpecError((*at, "nulls"), f"{nulls!r} is neither first nor last.")
    descending = order == "desc"
    return Key(
        column=_text(item["column"], (*at, "column")) if "column" in item else "",
        expression=sql_text(item["expression"], (*at, "expression")) if "expression" in item else "",
        opclass=_text(item["opclass"], (*at, "opclass")) if item.get("opclass") else "",
        collation=_text(item["collation"], (*at, "collation")) if item.get("collation") else "",
        descending=descending,
        nulls_first=descending if nulls is None else nulls == "first",
    )


def _name(item: Mapping[str, Any], at: Where) -> str:
    if not item.get("name"):
        return ""
    name = _text(item["name"], (*at, "name"))
    if len(name.encode()) > LONGEST_NAME:
        raise SpecError((*at, "name"), f"the name is longer than {LONGEST_NAME} bytes.")
    return name


def _limits(data: Any, at: Where) -> Limits:
    if data is None:
        return Limits()
    if not isinstance(data, dict):
        raise SpecError(at, "must be a mapping.")
    only(data, [field.name for field in fields(Limits)], at)
    for name, value in data.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise SpecError((*at, name), f"{value!r} is no whole number.")
    return Limits(**data)


def qualified(value: Any, at: Where) -> tuple[str, str]:
    """``schema.table``, or ``table`` in the schema public, spelled as in the catalog; quote a name with a dot.

    :raises SpecError: it is neither.
    """
    text = _text(value, at)
    part = r'"(?:[^"]|"")+"|[^".]+'
    found = re.fullmatch(rf"(?:({part})\.)?({part})", text)
    if not found:
        raise SpecError(at, f"{text!r} is no name of a table.", 'Write schema.table; quote a name with a dot: "a.b".')
    schema, table = (_unquoted(name) if name else "public" for name in found.groups())
    return schema, table


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def sql_text(value: Any, at: Where) -> str:
    """An expression of SQL that cannot end its statement, nor the parentheses around it.

    :raises SpecError: it could.
    """
    text = _text(value, at)
    bare = _QUOTED.sub("", text)
    depth = 0
    for char in bare:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth < 0:
            break
    # In E'\\'' a quote means something else than the pattern thinks.
    if depth or re.search(r"[;'\"$\\]|--|/\*", bare) or re.search(r"\b[eE]'|&['\"]", text):
        raise SpecError(at, f"{text!r} is not one expression of SQL.", "Write it without ;, comments and $-quotes.")
    return text


def _text(value: Any, at: Where) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise SpecError(at, "must be text, and not empty." if value != "" else "is empty.")
    return value.strip()


def _flag(item: Mapping[str, Any], key: str, at: Where) -> bool:
    value = item.get(key, False)
    if not isinstance(value, bool):
        raise SpecError((*at, key), f"{value!r} is neither true nor false.")
    return value
