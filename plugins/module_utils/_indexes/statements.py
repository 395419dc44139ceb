# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements that build, rebuild and drop indexes, as data, and as the text of a remedy. Pure."""

from __future__ import annotations

import hashlib

from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import Definition, Index, Key
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Argument, Ident, Joined, Sql

LONGEST_NAME = 63


def create(
    schema: str, table: str, definition: Definition, name: str, *, concurrently: bool = True, only: bool = False
) -> Sql:
    """Build an index. ``only``: of a partitioned table without its partitions, which are attached afterwards."""
    words = "CREATE UNIQUE INDEX" if definition.unique else "CREATE INDEX"
    words += " CONCURRENTLY" if concurrently and not only else ""
    template = words + " {} ON " + ("ONLY " if only else "") + "{} USING {} ({})"
    arguments: list[Argument] = [
        Ident(name),
        Ident(schema, table),
        Sql(definition.method),
        Joined(tuple(_key(key, definition.method) for key in definition.keys)),
    ]
    if definition.include:
        template += " INCLUDE ({})"
        arguments.append(Joined(tuple(Ident(column) for column in definition.include)))
    if definition.nulls_not_distinct:
        template += " NULLS NOT DISTINCT"
    if definition.predicate:
        template += " WHERE {}"
        arguments.append(_verbatim(definition.predicate))
    return Sql(template, tuple(arguments))


def drop(index: Index) -> Sql:
    """Drop an index. That of a partitioned table cannot be dropped concurrently (PostgreSQL manual, DROP INDEX)."""
    return Sql(
        "DROP INDEX {}" if index.partitioned else "DROP INDEX CONCURRENTLY {}", (Ident(index.schema, index.name),)
    )


def reindex(index: Index) -> Sql:
    """Rebuild an index beside the old one."""
    return Sql("REINDEX INDEX CONCURRENTLY {}", (Ident(index.schema, index.name),))


def attach(schema: str, parent: str, part_schema: str, part: str) -> Sql:
    """Make an index of a partition part of the index of its table."""
    return Sql("ALTER INDEX {} ATTACH PARTITION {}", (Ident(schema, parent), Ident(part_schema, part)))


def drop_constraint(schema: str, table: str, constraint: str) -> Sql:
    """Drop a constraint and with it its index."""
    return Sql("ALTER TABLE {} DROP CONSTRAINT {}", (Ident(schema, table), Ident(constraint)))


def _key(key: Key, method: str) -> Argument:
    template, arguments = "{}", [Ident(key.column) if key.column else _verbatim(key.expression)]
    if key.collation:
        template += " COLLATE {}"
        arguments.append(Ident(*key.collation.split(".", 1)))
    if key.opclass and not key.default_opclass:
        template += " {}"
        arguments.append(Ident(*key.opclass.split(".", 1)))
    if method == "btree":
        template += " DESC" if key.descending else ""
        if key.nulls_first != key.descending:
            template += " NULLS FIRST" if key.nulls_first else " NULLS LAST"
    return Sql(template, tuple(arguments))


def _verbatim(text: str) -> Sql:
    # An expression is the one thing that is SQL already: the spec file's own, checked by spec.sql_text, or the
    # server's. Braces would be placeholders.
    return Sql("(" + text.replace("{", "{{").replace("}", "}}") + ")")


def render(item: Argument) -> str:
    """A statement of this module as text, quoted as psycopg2.sql quotes it."""
    if isinstance(item, Ident):
        return ".".join('"' + part.replace('"', '""') + '"' for part in item.parts)
    if isinstance(item, Joined):
        return ", ".join(render(part) for part in item.items)
    if isinstance(item, Sql):
        return item.template.format(*(render(part) for part in item.args))
    raise TypeError(f"{type(item).__name__} does not occur in these statements")


def default_name(table: str, definition: Definition, taken: frozenset[str] = frozenset()) -> str:
    """A name as PostgreSQL makes it, ``table_column_idx``, that no other relation of the schema has."""
    parts = [key.column or "expr" for key in definition.keys]
    suffix = "key" if definition.unique else "idx"
    whole = "_".join([table, *parts, suffix])
    # Two long names that differ at their end only must stay different.
    short = hashlib.sha256(f"{whole}{definition}".encode()).hexdigest()[:8]
    name = whole if len(whole.encode()) <= LONGEST_NAME else _cut(whole, 53) + f"_{short}"
    if name in taken:
        name = f"{_cut(whole, 53)}_{short}"
    return name


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")


def leaves(statement: Sql) -> tuple[str, str] | None:
    """Schema and name of the invalid index that this statement may leave when it fails; None: it leaves nothing.

    A REINDEX leaves a copy whose name begins so (PostgreSQL manual, REINDEX, "Rebuilding Indexes Concurrently").
    """
    first = statement.args[0]
    if not isinstance(first, Ident) or "CONCURRENTLY" not in statement.template:
        return None
    if statement.template.startswith("REINDEX"):
        return first.parts[0], _cut(first.parts[1], LONGEST_NAME - len("_ccnew")) + "_ccnew"
    if statement.template.startswith("CREATE"):
        table = statement.args[1]
        return (table.parts[0], first.parts[0]) if isinstance(table, Ident) else None
    return None
