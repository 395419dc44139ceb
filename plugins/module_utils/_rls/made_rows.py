# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for tables that have none of somebody: what to try, in which order. Pure but for random UUIDs.

Foreign keys need not hold while attempts are made, so only types, lengths, NOT NULL, uniqueness and simple check
constraints matter.
"""

from __future__ import annotations

import itertools
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import Identity
from ansible_collections.dbops.postgres.plugins.module_utils._rls.state import Column, Table

MOST_TRIES = 24

_serial = itertools.count(1)
_INTEGERS = {"int2": 32_000, "int4": 2_000_000_000, "int8": 9_000_000_000_000_000_000}
_TEXTS = ("text", "varchar", "bpchar", "name", "citext")
_FIXED = {
    "bool": "true",
    "numeric": "1",
    "float4": "1",
    "float8": "1",
    "money": "1",
    "date": "2026-01-15",
    "timestamp": "2026-01-15 12:00",
    "timestamptz": "2026-01-15 12:00+00",
    "time": "12:00",
    "timetz": "12:00+00",
    "interval": "1 day",
    "json": "{}",
    "jsonb": "{}",
    "bytea": "\\x00",
    "inet": "192.0.2.1",
    "cidr": "192.0.2.0/24",
    "macaddr": "02:00:00:00:00:01",
    "xml": "<x/>",
    "point": "(0,0)",
    "tsvector": "",
}

Values = dict[str, "str | None"]


def candidates(
    table: Table,
    basis: Mapping[str, str | None] | None,
    predicate: str,
    identities: Sequence[Identity],
    tenant_column: str,
    bounds: Mapping[str, str] | None = None,
    *,
    own: bool,
) -> Iterator[Values]:
    """Rows to try until one satisfies the condition (``own``), or one does not.

    :param basis: some row of the table; None: it is empty.
    :param bounds: of :func:`bounds`.
    :param identities: the one whose row it is first; the values of the others make foreign rows.
    """
    places = _places(table, predicate, tenant_column)
    named = _literals(predicate) + _said(identities[0]) if own else [v for i in identities[1:] for v in _said(i)]
    tries: list[Values] = []
    fixed = bounds or {}
    for free in (True, False):  # a value of a column with a check may be replaced by none that is known to fit
        start = {**_scratch(table), **fixed} if basis is None else dict(basis)
        for column in table.columns:
            if column.unique and column.name not in fixed and (not free or not (column.checks or column.labels)):
                start[column.name] = fresh(column)
        if not own:
            tries.append(dict(start))
            tries += [{**start, column.name: fresh(column)} for column in places]
        tries += [
            {**start, column.name: value} for column in places for value in dict.fromkeys(named) if _fits(column, value)
        ]
    yield from tries[:MOST_TRIES]


def bounds(line: Sequence[Table]) -> dict[str, str]:
    """Values of the partition keys with which a row finds its way.

    :param line: a partitioned table, or a part of one, with the tables above it and one below it on each level.
    """
    found: dict[str, str] = {}
    for table in line:
        for name, bound in zip(table.key[:1], re.findall(r"(?:FROM|IN) \('?([^',)]*)", table.bound)):
            if bound not in ("MINVALUE", "NULL"):
                found[name] = bound
    return found


def fresh(column: Column) -> str | None:
    """A value that no other row has."""
    number = next(_serial)
    if column.base == "uuid":
        return str(uuid.uuid4())
    if column.base in _INTEGERS:
        return str(_INTEGERS[column.base] + number + uuid.uuid4().int % 700)
    if column.base in _TEXTS and not column.labels:
        text = f"dbops-{uuid.uuid4().hex}"
        length = re.search(r"\((\d+)\)", column.type)
        return text[-int(length[1]) :] if length else text
    if column.base == "numeric":
        return str(number)
    if column.base in ("date", "timestamp", "timestamptz"):
        return f"{2100 + number % 800}-01-{1 + number % 28:02}"
    return _value(column)


def _scratch(table: Table) -> Values:
    return {column.name: _value(column) if column.not_null else None for column in table.columns}


def _value(column: Column) -> str | None:
    for check in column.checks:
        literal = re.search(r"'((?:[^']|'')*)'", check)
        if literal:
            return literal[1].replace("''", "'")
    if column.labels:
        return column.labels[0]
    if column.type.endswith("[]"):
        return "{}"
    if column.kind == "r":
        return "empty"
    if column.base in _INTEGERS:
        return "1"
    if column.base in _TEXTS:
        length = re.search(r"\((\d+)\)", column.type)
        return "dbops"[: int(length[1])] if length else "dbops"
    if column.base in ("bit", "varbit"):
        return "0" * int((re.search(r"\((\d+)\)", column.type) or ["", "1"])[1])
    if column.base == "uuid":
        return str(uuid.uuid4())
    return _FIXED.get(column.base)


def _places(table: Table, predicate: str, tenant_column: str) -> list[Column]:
    """The columns that may decide whose row it is: the tenant column, then those that the condition names."""
    found = [column for column in table.columns if column.name == tenant_column]
    return found + [
        column
        for column in table.columns
        if column.name != tenant_column and re.search(rf"\b{re.escape(column.name)}\b", predicate)
    ]


def _literals(predicate: str) -> list[str]:
    quoted = [text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'", predicate)]
    return quoted + re.findall(r"\b\d+\b", re.sub(r"'(?:[^']|'')*'", "", predicate))


def _said(identity: Identity) -> list[str]:
    """The values that the settings of an identity, and its conditions, hold; of JSON its leaves."""
    found: list[str] = []
    for _name, value in identity.settings:
        try:
            found += _leaves(json.loads(value))
        except ValueError:
            found.append(value)
    return [*(text for sees in identity.sees.values() for text in _literals(sees)), *found]


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [str(value)]


def _fits(column: Column, value: str) -> bool:
    if column.base == "uuid":
        return bool(re.fullmatch(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}", value))
    if column.base in (*_INTEGERS, "numeric"):
        return bool(re.fullmatch(r"-?\d{1,18}", value))
    return column.base in _TEXTS or value in column.labels
