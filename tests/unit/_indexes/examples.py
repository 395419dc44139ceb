# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and indexes for the tests, in few words."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import (
    Definition,
    ForeignKey,
    Index,
    Key,
    Node,
    Observed,
    Table,
)

NOW = datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC)
LONG_AGO = NOW - datetime.timedelta(days=100)
COLUMNS = {"id": "int8", "a": "int4", "b": "text", "c": "text", "d": "jsonb"}


def key(text: str) -> Key:
    """``a``, ``a desc``, ``a text_pattern_ops``, ``lower(a)``."""
    name, *words = text.split(" ")
    descending = "desc" in words
    opclass = "".join(word for word in words if word.endswith("ops"))
    return Key(
        column="" if "(" in name else name,
        expression=name if "(" in name else "",
        opclass=opclass or "int4_ops",
        default_opclass=not opclass,
        descending=descending,
        nulls_first=descending,
    )


def definition(*keys: str, method: str = "btree", **more: Any) -> Definition:
    """A definition of an existing index."""
    return Definition(method, tuple(key(text) for text in keys), **more)


def wanted(*keys: str, method: str = "btree", **more: Any) -> Definition:
    """The same as a spec file says it: no operator class where it is the default one."""
    have = definition(*keys, method=method, **more)
    return replace(have, keys=tuple(replace(k, opclass="" if k.default_opclass else k.opclass) for k in have.keys))


def index(name: str, *keys: str, oid: int = 0, table: int = 1, method: str = "btree", **more: Any) -> Index:
    """An index on table 1 with 2 MB."""
    parts = {k: more.pop(k) for k in ("unique", "include", "predicate", "nulls_not_distinct") if k in more}
    return Index(
        oid or abs(hash(name)) % 10**9,
        "app",
        name,
        table,
        definition(*keys, method=method, **parts),
        **{"bytes": 2 * 1024 * 1024, "tuples": 50_000, "pages": 256, **more},
    )


def table(oid: int = 1, name: str = "t", **more: Any) -> Table:
    """A table with 50,000 rows that has been read."""
    return Table(oid, "app", name, **{"rows": 50_000, "columns": COLUMNS, "seq_scans": 3, **more})


def seen(*indexes: Index, **more: Any) -> Observed:
    """A database with one table, old statistics and one server on which each index was read, but those in unread."""
    unread = more.pop("unread", ())
    tables = more.pop("tables", (table(),))
    node = Node("db1", more.pop("since", LONG_AGO), {i.oid: 5 for i in indexes if i.name not in unread})
    return Observed(
        NOW,
        {item.oid: item for item in tables},
        indexes,
        **{"nodes": (node,), "statements": (), **more},
    )


def foreign_key(*columns: str, **more: Any) -> ForeignKey:
    """A foreign key of table 1."""
    return ForeignKey(**{"table": 1, "name": "t_fkey", "columns": columns, "target": "app.p", **more})
