# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``plans`` of a spec file: queries, and what their plans must keep to. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Union

from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError, Where, only
from ansible_collections.dbops.postgres.plugins.module_utils._statement import single

Value = Union[str, int, float, bool, None]

PRODUCTION_WORDS = "run the changing queries on the production server"

_SECTION = ("queries", "defaults", "generate")
_LIMITS = ("must_use_index", "no_seq_scan_over_rows", "max_rows_removed", "max_cost", "max_ms", "max_estimate_factor")
_QUERY = ("name", "sql", "file", "parameters", "generic", "role", "settings", *_LIMITS)
_GENERATE = ("rows", "distinct")


@dataclass(frozen=True)
class Limits:
    """What a plan must keep to; None: it may be anything.

    :param must_use_index: one of these is enough.
    :param no_seq_scan_over_rows: no table with more rows is read from its beginning.
    :param max_rows_removed: so many rows may be read in one place of the plan and then dropped by a filter.
    :param max_cost: the planner's estimate for the whole.
    :param max_estimate_factor: how far the planner may be wrong about a number of rows, up or down.
    """

    must_use_index: tuple[str, ...] = ()
    no_seq_scan_over_rows: int | None = None
    max_rows_removed: int | None = None
    max_cost: float | None = None
    max_ms: float | None = None
    max_estimate_factor: float | None = None


@dataclass(frozen=True)
class Query:
    """A declared query.

    :param sql: one statement; empty while it is only known which ``file`` holds it.
    :param parameters: for ``$1``, ``$2`` in it.
    :param generic: plan it without knowing the parameters, as a prepared statement is after some executions.
    :param role: run it as this role; empty: as the connected one.
    """

    name: str
    sql: str
    file: str = ""
    parameters: tuple[Value, ...] = ()
    generic: bool = False
    role: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    limits: Limits = Limits()
    where: Where = ()


@dataclass(frozen=True)
class Generate:
    """Rows to make in empty tables of a throwaway database, inside the transaction.

    :param rows: by (schema, table). :param distinct: how many different values, by (schema, table, column).
    """

    rows: Mapping[tuple[str, str], int]
    distinct: Mapping[tuple[str, str, str], int]


@dataclass(frozen=True)
class Spec:
    """The declared queries of a database."""

    queries: tuple[Query, ...] = ()
    generate: Generate | None = None


def parse(section: Mapping[str, Any]) -> Spec:
    """The section as data.

    :raises SpecError: where something is wrong.
    """
    at: Where = ("plans",)
    only(section, _SECTION, at)
    defaults = _mapping(section.get("defaults"), (*at, "defaults"))
    only(defaults, [name for name in _LIMITS if name != "must_use_index"], (*at, "defaults"))
    items = section.get("queries") if section.get("queries") is not None else []
    if not isinstance(items, list):
        raise SpecError((*at, "queries"), "must be a list.")
    queries = tuple(_query(item, defaults, (*at, "queries", number)) for number, item in enumerate(items))
    names: set[str] = set()
    for query in queries:
        if query.name in names:
            raise SpecError((*query.where, "name"), f"there are two queries of the name {query.name!r}.")
        names.add(query.name)
    return Spec(queries, _generate(section.get("generate"), (*at, "generate")))


def _query(item: Any, defaults: Mapping[str, Any], at: Where) -> Query:
    data = _mapping(item, at)
    only(data, _QUERY, at)
    if ("sql" in data) == ("file" in data):
        raise SpecError(at, "give either sql or file.")
    limits = {**defaults, **{key: data[key] for key in _LIMITS if key in data}}
    if not limits:
        limits = {"no_seq_scan_over_rows": 10_000}  # a query without any limit would be a check that cannot fail
    parameters = data.get("parameters", [])
    if not isinstance(parameters, list) or any(isinstance(value, (list, dict)) for value in parameters):
        raise SpecError((*at, "parameters"), "must be a list of single values.", "Write an array as text: '{1,2}'.")
    generic = data.get("generic", False)
    if not isinstance(generic, bool) or (generic and not parameters):
        raise SpecError((*at, "generic"), "must be true or false, and needs parameters.")
    settings = _mapping(data.get("settings"), (*at, "settings"))
    for name, value in settings.items():
        if not re.fullmatch(r"[A-Za-z_][\w.]*", name) or isinstance(value, (list, dict)) or value is None:
            raise SpecError((*at, "settings", name), "must be the name of a setting with a single value.")
    return Query(
        name=text(data.get("name"), (*at, "name")),
        sql=statement(data["sql"], (*at, "sql")) if "sql" in data else "",
        file=text(data["file"], (*at, "file")) if "file" in data else "",
        parameters=tuple(parameters),
        generic=generic,
        role=text(data["role"], (*at, "role")) if data.get("role") else "",
        settings=tuple((name, _setting(value)) for name, value in settings.items()),
        limits=_limits(limits, at),
        where=at,
    )


def statement(value: Any, at: Where) -> str:
    """One statement.

    :raises SpecError: it is none, or more than one.
    """
    found = single(text(value, at))
    if found is None:
        raise SpecError(at, "must be exactly one statement of SQL.", "Several would leave the transaction of the test.")
    return found


def _limits(data: Mapping[str, Any], at: Where) -> Limits:
    for name, value in data.items():
        if name == "must_use_index":
            continue
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
        whole = name in ("no_seq_scan_over_rows", "max_rows_removed")
        if not number or (whole and not isinstance(value, int)) or (name == "max_estimate_factor" and value < 1):
            raise SpecError((*at, name), f"{value!r} is no such limit.", "It must be a number.")
    names = data.get("must_use_index", ())
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or (not names and "must_use_index" in data):
        raise SpecError((*at, "must_use_index"), "must be the name of an index, or a list of names.")
    indexes = tuple(text(name, (*at, "must_use_index")) for name in names)
    known = {field.name for field in fields(Limits)} - {"must_use_index"}
    return Limits(indexes, **{name: data[name] for name in known if name in data})


def _generate(data: Any, at: Where) -> Generate | None:
    if data is None:
        return None
    data = _mapping(data, at)
    only(data, _GENERATE, at)
    rows, distinct = _mapping(data.get("rows"), (*at, "rows")), _mapping(data.get("distinct"), (*at, "distinct"))
    if not rows:
        raise SpecError((*at, "rows"), "says of no table how many rows it is to have.")
    tables = {}
    for name, count in rows.items():
        tables[_parts(name, 2, (*at, "rows", name))] = _count(count, (*at, "rows", name))
    columns = {}
    for name, count in distinct.items():
        parts = _parts(name, 3, (*at, "distinct", name))
        if parts[:2] not in tables:
            raise SpecError((*at, "distinct", name), "its table is not among those under rows.")
        columns[parts] = _count(count, (*at, "distinct", name))
    return Generate(tables, columns)  # type: ignore[arg-type]


def _parts(name: str, count: int, at: Where) -> tuple[str, ...]:
    parts = tuple(name.split("."))
    if len(parts) == count - 1:
        parts = ("public", *parts)
    if len(parts) != count or not all(parts):
        raise SpecError(at, f"{name!r} is no name.", "Write schema.table" + (".column." if count == 3 else "."))
    return parts


def _count(value: Any, at: Where) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 100_000_000:
        raise SpecError(at, f"{value!r} is no number of rows.")
    return value


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _mapping(value: Any, at: Where) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SpecError(at, "must be a mapping.")
    return value


def text(value: Any, at: Where) -> str:
    """A text that is not empty.

    :raises SpecError: it is not.
    """
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise SpecError(at, "must be text, and not empty.")
    return value.strip()
