# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ENUM column and what hangs on it, and the names of what replaces it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

LONGEST = 63  # bytes of a name


@dataclass(frozen=True)
class Index:
    """An index with the column in it.

    :param columns: key columns and then included ones; None where there is an expression.
    :param keys: how many of them are keys.
    :param options: of each key: bit 0 descending, bit 1 nulls first.
    :param definition: as PostgreSQL says it.
    :param special: what makes it one that cannot be rebuilt from these parts; empty: nothing.
    """

    name: str
    method: str
    unique: bool
    nulls_not_distinct: bool
    columns: tuple[str | None, ...]
    keys: int
    options: tuple[int, ...]
    predicate: str
    definition: str
    special: str = ""


@dataclass(frozen=True)
class Column:
    """A column of the live database.

    :param kind: of its table: ``r`` is an ordinary one.
    :param inherits: whether the table has parents or children.
    :param type_kind: ``e`` is an ENUM, ``array`` an array of one.
    :param default: the label of its default; None: none.
    :param default_expression: as PostgreSQL says it; None: none.
    :param dependents: other objects that mention the column.
    :param type_users: other objects that use the type.
    :param later_triggers: BEFORE row triggers that fire after the one that would keep the columns in step.
    :param taken: names of objects that would be made and are there already.
    """

    schema: str
    table: str
    name: str
    kind: str
    inherits: bool
    generated: bool
    own_privileges: bool
    type_schema: str
    type_name: str
    type_kind: str
    labels: tuple[str, ...]
    not_null: bool
    default: str | None
    default_expression: str | None
    indexes: tuple[Index, ...] = ()
    dependents: tuple[str, ...] = ()
    type_users: tuple[str, ...] = ()
    later_triggers: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """As an error names it."""
        return f"{self.schema}.{self.table}.{self.name}"


@dataclass(frozen=True)
class Names:
    """What replaces the column."""

    lookup: str
    key: str
    trigger: str
    function: str
    foreign_key: str
    check: str

    def index(self, index: Index, column: str) -> str:
        """The name of an index with the key in place of the column."""
        name = index.name.replace(column, self.key) if column in index.name else f"{index.name}_{self.key}"
        return fitted(name)


def names(table: str, column: str, type_name: str, lookup: str = "", key: str = "") -> Names:
    """The names, by default after the type and the column."""
    key = key or fitted(f"{column}_id")
    return Names(
        lookup=lookup or fitted(f"{type_name}_lookup"),
        key=key,
        # BEFORE triggers fire in the order of their names; this one must see what the others have made of the row.
        trigger=fitted(f"zz_{column}_in_step"),
        function=fitted(f"{table}_{column}_in_step"),
        foreign_key=fitted(f"{table}_{key}_fkey"),
        check=fitted(f"{table}_{key}_filled"),
    )


def fitted(name: str) -> str:
    """A name that PostgreSQL does not shorten; a long one ends in a hash of itself."""
    if len(name.encode()) <= LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name.encode()[: LONGEST - 9].decode(errors="ignore") + "_" + digest


def check_request(params: Mapping[str, Any]) -> None:
    """Refuse names that cannot be.

    :raises DbopsError: with the option.
    """
    for option in ("schema", "table", "column", "lookup_table", "key_column"):
        value = params[option] or ""
        if len(value.encode()) > LONGEST or "\0" in value or "$dbops$" in value:
            raise DbopsError(f"{option}: {value[:80]!r} is no name", f"Names have {LONGEST} bytes at most.")
    if params["key_column"] == params["column"]:
        raise DbopsError("key_column is the column itself", "Give the new column a name of its own.")
    if params["version"] < 1:
        raise DbopsError(f"version is {params['version']}", "Give the number of the first new migration.")
    if not 1 <= params["batch_pages"] <= 1_000_000:
        raise DbopsError(f"batch_pages is {params['batch_pages']}", "Give 1 to 1000000; 200 is 1.6 MB of the table.")


def refusals(column: Column) -> list[str]:
    """Why the column cannot be replaced by generated migrations, each with what stands in the way."""
    if column.kind != "r":
        what = {"p": "a partitioned table", "v": "a view", "m": "a materialised view", "f": "a foreign table"}
        return [f"{column.schema}.{column.table} is {what.get(column.kind, 'no ordinary table')}"]
    if column.type_kind == "array":
        return [
            f"it is an array of {column.type_name}: its replacement is a table of its own, with a row for each element"
        ]
    if column.type_kind != "e":
        return [f"its type {column.type_schema}.{column.type_name} is no ENUM"]
    found = []
    if column.inherits:
        found.append("its table has parents, children or partitions")
    if column.generated:
        found.append("it is a generated column")
    if column.own_privileges:
        found.append("there are privileges on the column itself: revoke them, and grant them on the table")
    if column.default_expression is not None and column.default is None:
        found.append(f"its default is an expression: {column.default_expression}")
    if any("$dbops$" in label for label in (*column.labels, column.type_name, column.type_schema)):
        found.append("a label holds $dbops$")
    found += [f"index {index.name}: {index.special}" for index in column.indexes if index.special]
    found += [f"{name} depends on it" for name in column.dependents]
    found += [
        f"trigger {name} fires later than the one that keeps the columns in step" for name in column.later_triggers
    ]
    found += [f"{name} is there already" for name in column.taken]
    return found


def refuse(column: Column, drop_type: bool) -> None:
    """Refuse before anything is written.

    :raises DbopsError: with all that stands in the way.
    """
    found = refusals(column)
    if drop_type:
        found += [f"the type is used by {name}, so it cannot be dropped" for name in column.type_users]
    if found:
        raise DbopsError(
            f"Column {column.label} cannot be replaced by generated migrations: {'; '.join(found)}",
            "Change or drop what is named, and run this again.",
            "No file was written.",
        )
