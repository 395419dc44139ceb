# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``constraints`` of a spec file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import KEYS, KINDS, Constraint
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError, SpecFile, Where, near, only

_SECTION = "constraints"
_KEYS = ("schemas", "search_path", "exempt", "values", "expected", "minimum_coverage")


@dataclass(frozen=True)
class Exemption:
    """A table or constraint that need not be proven. Names may be shell patterns."""

    table: str
    constraint: str
    reason: str

    def names(self, table: str, constraint: str) -> bool:
        """Whether it is about this constraint."""
        return fnmatchcase(table, self.table or "*") and fnmatchcase(constraint, self.constraint or "*")


@dataclass(frozen=True)
class Expected:
    """A constraint that must be there: by its name, or by kind and columns."""

    table: str
    name: str = ""
    kind: str = ""
    columns: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """As a finding names it."""
        return self.name or f"{self.kind} ({', '.join(self.columns)})"

    def met_by(self, item: Constraint) -> bool:
        """A primary key is unique too, and so is an index without a constraint."""
        if self.name and item.name != self.name:
            return False
        if self.kind and not (self.kind == item.kind or (self.kind == "unique" and item.kind in KEYS)):
            return False
        if self.columns and sorted(self.columns) != sorted(item.columns):
            return False
        return not (self.kind == "unique" and item.predicate)


@dataclass(frozen=True)
class Spec:
    """What the section says.

    :param values: ``schema.table.column`` -> texts for the first rows.
    """

    schemas: tuple[str, ...] = ()
    search_path: tuple[str, ...] = ()
    exempt: tuple[Exemption, ...] = ()
    values: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    expected: tuple[Expected, ...] = ()
    minimum_coverage: float = 95.0

    def excuse(self, table: str, constraint: str) -> str:
        """The reason why a constraint is exempt; empty: it is not."""
        return next((item.reason for item in self.exempt if item.names(table, constraint)), "")


def parse(file: SpecFile) -> Spec:
    """The section of a spec file; an empty one if the file has none.

    :raises SpecError: it is wrong.
    """
    data = file.section(_SECTION)
    only(data, _KEYS, (_SECTION,))
    percent = data.get("minimum_coverage", 95)
    if isinstance(percent, bool) or not isinstance(percent, (int, float)) or not 0 <= percent <= 100:
        raise SpecError((_SECTION, "minimum_coverage"), f"{percent!r} is no percentage between 0 and 100.")
    return Spec(
        schemas=_texts(data.get("schemas"), (_SECTION, "schemas")),
        search_path=_texts(data.get("search_path"), (_SECTION, "search_path")),
        exempt=tuple(_exemption(item, (_SECTION, "exempt", n)) for n, item in enumerate(_list(data, "exempt"))),
        values=_values(data.get("values"), (_SECTION, "values")),
        expected=tuple(_expected(item, (_SECTION, "expected", n)) for n, item in enumerate(_list(data, "expected"))),
        minimum_coverage=float(percent),
    )


def _list(data: Mapping[str, Any], name: str) -> list[Any]:
    found = data.get(name) or []
    if not isinstance(found, list):
        raise SpecError((_SECTION, name), "it must be a list.")
    return found


def _texts(found: Any, where: Where) -> tuple[str, ...]:
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(item, str) and item for item in found):
        raise SpecError(where, "it must be a list of names.")
    return tuple(found)


def _mapping(item: Any, known: tuple[str, ...], where: Where) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise SpecError(where, f"it must be a mapping with {', '.join(known)}.")
    only(item, known, where)
    for key, text in item.items():
        if key != "columns" and not isinstance(text, str):
            raise SpecError((*where, key), f"{text!r} is not text.")
    return item


def _table(text: str, where: Where) -> str:
    if text and "." not in text and not text.startswith("domain "):
        raise SpecError(where, f"{text!r} does not name its schema.", "Write schema.table.")
    return text


def _exemption(item: Any, where: Where) -> Exemption:
    found = _mapping(item, ("table", "constraint", "reason"), where)
    if not found.get("table") and not found.get("constraint"):
        raise SpecError(where, "it names neither a table nor a constraint.")
    if not found.get("reason", "").strip():
        raise SpecError(where, "it has no reason.", "Say why this need not be proven; the report shows it.")
    return Exemption(_table(found.get("table", ""), (*where, "table")), found.get("constraint", ""), found["reason"])


def _expected(item: Any, where: Where) -> Expected:
    found = _mapping(item, ("table", "name", "kind", "columns"), where)
    if not found.get("table"):
        raise SpecError(where, "it names no table.")
    kind = found.get("kind", "")
    if kind and kind not in KINDS:
        raise SpecError((*where, "kind"), f"there is no kind {kind!r}.", near(kind, KINDS))
    columns = _texts(found.get("columns"), (*where, "columns"))
    if not found.get("name") and not (kind and columns):
        raise SpecError(where, "it needs a name, or a kind and columns.")
    return Expected(_table(found["table"], (*where, "table")), found.get("name", ""), kind, columns)


def _values(found: Any, where: Where) -> dict[str, tuple[str | None, ...]]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise SpecError(where, "it must be a mapping of schema.table.column to a value, or to a list of values.")
    values = {}
    for name, given in found.items():
        if name.count(".") < 2:
            raise SpecError((*where, name), "this does not name schema, table and column.")
        texts = given if isinstance(given, list) else [given]
        if not texts or any(isinstance(text, (dict, list)) for text in texts):
            raise SpecError((*where, name), "it must be a value, or a list of values for the first rows.")
        values[name] = tuple(_text(text) for text in texts)
    return values


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
