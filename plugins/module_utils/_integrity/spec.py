# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``integrity`` of a spec file: assertions, and references without a foreign key. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError, Where, only
from ansible_collections.dbops.postgres.plugins.module_utils._statement import single

_SECTION = ("assertions", "references", "sequence_percent", "ignore")
_ASSERTION = ("name", "sql", "role", "severity", "show_rows")
_REFERENCE = ("name", "table", "columns", "target")
_TARGET = ("table", "columns", "database", "host", "port")


@dataclass(frozen=True)
class Assertion:
    """A query that must return no row.

    :param role: run it as this role; empty: as the connected one.
    :param show_rows: so many of the rows are shown in the finding. They may be somebody's data, so by default none.
    """

    name: str
    sql: str
    role: str = ""
    severity: Severity = Severity.HIGH
    show_rows: int = 0


@dataclass(frozen=True)
class Reference:
    """Columns whose values must be there in another table, perhaps of another database.

    :param database: of the target; empty: the same one. :param host: of the target; empty: the same server.
    """

    name: str
    table: tuple[str, str]
    columns: tuple[str, ...]
    target: tuple[str, str]
    target_columns: tuple[str, ...]
    database: str = ""
    host: str = ""
    port: int = 0


@dataclass(frozen=True)
class Spec:
    """What must be true of the data.

    :param sequence_percent: from so much of its range on a sequence is near its end.
    :param ignore: patterns of subjects about which nothing is said.
    """

    assertions: tuple[Assertion, ...] = ()
    references: tuple[Reference, ...] = ()
    sequence_percent: int = 80
    ignore: tuple[str, ...] = ()


def parse(section: Mapping[str, Any]) -> Spec:
    """The section as data.

    :raises SpecError: where something is wrong.
    """
    at: Where = ("integrity",)
    only(section, _SECTION, at)
    assertions = tuple(_assertion(item, (*at, "assertions", i)) for i, item in _items(section, "assertions", at))
    references = tuple(_reference(item, (*at, "references", i)) for i, item in _items(section, "references", at))
    _distinct([item.name for item in assertions], (*at, "assertions"))
    _distinct([item.name for item in references], (*at, "references"))
    percent = section.get("sequence_percent", 80)
    if not isinstance(percent, int) or isinstance(percent, bool) or not 0 < percent <= 100:
        raise SpecError((*at, "sequence_percent"), f"{percent!r} is no share in percent.")
    ignore = tuple(_text(item, (*at, "ignore", i)) for i, item in _items(section, "ignore", at))
    return Spec(assertions, references, percent, ignore)


def _distinct(names: Sequence[str], at: Where) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise SpecError((*at, number, "name"), f"there are two of the name {name!r}.")


def _assertion(item: Any, at: Where) -> Assertion:
    data = _mapping(item, at)
    only(data, _ASSERTION, at)
    sql = single(_text(data.get("sql"), (*at, "sql")))
    if sql is None or not re.match(
        r"(?is)[\s(]*(select|with|values|table)\b", re.sub(r"(?s)--[^\n]*|/\*.*?\*/", "", sql)
    ):
        raise SpecError((*at, "sql"), "must be exactly one SELECT.", "The rows that it returns are what is wrong.")
    severity = data.get("severity", "high")
    if severity not in [known.value for known in Severity]:
        raise SpecError((*at, "severity"), f"{severity!r} is neither critical, high nor medium.")
    rows = data.get("show_rows", 0)
    if not isinstance(rows, int) or isinstance(rows, bool) or not 0 <= rows <= 20:
        raise SpecError((*at, "show_rows"), f"{rows!r} is no number from 0 to 20.")
    role = _text(data["role"], (*at, "role")) if data.get("role") else ""
    return Assertion(_text(data.get("name"), (*at, "name")), sql, role, Severity(severity), rows)


def _reference(item: Any, at: Where) -> Reference:
    data = _mapping(item, at)
    only(data, _REFERENCE, at)
    table = _table(data.get("table"), (*at, "table"))
    columns = tuple(_text(name, (*at, "columns", i)) for i, name in _items(data, "columns", at))
    target = _mapping(data.get("target"), (*at, "target"))
    only(target, _TARGET, (*at, "target"))
    other = _table(target.get("table"), (*at, "target", "table"))
    others = tuple(_text(name, (*at, "target", "columns", i)) for i, name in _items(target, "columns", (*at, "target")))
    if not columns:
        raise SpecError((*at, "columns"), "names no column.")
    if len(columns) != len(others):
        raise SpecError((*at, "target", "columns"), f"must be as many as the {len(columns)} referring column(s).")
    port = target.get("port", 0)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port < 65536:
        raise SpecError((*at, "target", "port"), f"{port!r} is no port.")
    texts = {key: _text(target[key], (*at, "target", key)) if target.get(key) else "" for key in ("database", "host")}
    name = data.get("name") or f"{'.'.join(table)}({', '.join(columns)}) -> {'.'.join(other)}"
    return Reference(_text(name, (*at, "name")), table, columns, other, others, texts["database"], texts["host"], port)


def _table(value: Any, at: Where) -> tuple[str, str]:
    text = _text(value, at)
    part = r'"(?:[^"]|"")+"|[^".]+'
    found = re.fullmatch(rf"(?:({part})\.)?({part})", text)
    if not found:
        raise SpecError(at, f"{text!r} is no name of a table.", 'Write schema.table; quote a name with a dot: "a.b".')
    names = ["public" if name is None else name for name in found.groups()]
    schema, table = (name[1:-1].replace('""', '"') if name.startswith('"') else name for name in names)
    return schema, table


def _items(data: Mapping[str, Any], key: str, at: Where) -> list[tuple[int, Any]]:
    value = data.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise SpecError((*at, key), "must be a list.")
    return list(enumerate(value))


def _mapping(value: Any, at: Where) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SpecError(at, "must be a mapping.")
    return value


def _text(value: Any, at: Where) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise SpecError(at, "must be text, and not empty.")
    return value.strip()
