# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A first spec file for a database, from its catalog, for a person to read, correct and commit. Pure.

What the catalog shows is drafted as it stands there; what only a person can know is drafted as a comment.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._assurance.catalog import Catalog
from ansible_collections.dbops.postgres.plugins.module_utils._assurance.yaml_text import comment, flow
from ansible_collections.dbops.postgres.plugins.module_utils._indexes import spec as indexes
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import Definition, ForeignKey, Index, Table
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError

_TENANTS = frozenset(
    f"{word}id" for word in ("practice", "org", "organisation", "organization", "account", "workspace", "company")
)
_REFERENCE = re.compile(r"._id$|[a-z]Id$")
_SETTING = re.compile(r"current_setting\(\s*'([^']+)'", re.I)
_KINDS = ("r", "p")
_KEY_TYPES = ("int2", "int4", "int8", "uuid", "text", "varchar")
FILL_IN = "'FILL IN'"


def draft(catalog: Catalog) -> str:
    """The text of the file."""
    blocks = [
        [
            "# A first draft from the catalog. It says what is there, not what should be: read, correct and commit it.",
            "# Every key: docs/assurance.md of the collection dbops.postgres.",
            f"database: {flow(catalog.database)}",
        ],
        _rls(catalog),
        [
            "# Every constraint is tried; this many percent of them must be proven.",
            "constraints:",
            "  minimum_coverage: 95",
        ],
        _indexes(catalog),
        _plans(catalog),
        _integrity(catalog),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def tenant_column(catalog: Catalog) -> tuple[str, int]:
    """The commonest column that looks like a tenant's, and on how many tables; under row-level security, if any is."""
    tables = _tables(catalog)
    counts: Counter[str] = Counter()
    for table in [table for table in tables if table.oid in catalog.policies] or tables:
        counts.update(column for column in table.columns if _tenant(column))
    # Of equally common ones the first by name, so that a draft is the same each time.
    return min(counts.items(), key=lambda item: (-item[1], item[0]), default=("", 0))


def _tenant(column: str) -> bool:
    """practice_id, practiceId, current_tenant ..."""
    name = _bare(column)
    return "tenant" in name or name in _TENANTS


def settings(catalog: Catalog) -> list[str]:
    """The settings that policies, and the functions that they call, read."""
    return sorted({name for texts in catalog.policies.values() for text in texts for name in _SETTING.findall(text)})


def _tables(catalog: Catalog) -> list[Table]:
    return [table for table in catalog.seen.tables.values() if table.kind in _KINDS and not table.parent]


def _rls(catalog: Catalog) -> list[str]:
    column, count = tenant_column(catalog)
    secured = len([table for table in _tables(catalog) if table.oid in catalog.policies])
    if not column and not catalog.policies:
        return ["# rls: no table is under row-level security, and no column looks like that of a tenant."]
    lines = ["rls:"]
    if column:
        of = f"{secured} tables under row-level security" if secured else "the tables; none is under row-level security"
        lines += [
            f"  # Whose row it is: the commonest candidate, on {count} of {of}.",
            f"  tenant_column: {flow(column)}",
        ]
    roles = [role.name for role in catalog.roles]
    if roles:
        lines += [
            "  # They write, own none of the tables and do not pass by policies.",
            f"  application_roles: {flow(roles)}",
        ]
    elif not column:
        lines[0] = "rls: {}"
    said = settings(catalog)
    lines += [
        "  # Who asks, and which rows are theirs: two tenants at least, that exist where the check runs.",
        "  # As long as nobody is declared, no access is tried.",
        f"  # The policies read: {comment(', '.join(said)) or 'no setting'}.",
        "  # identities:",
    ]
    for name in ("first tenant", "second tenant"):
        lines += [
            f"  #   - name: {name}",
            f"  #     role: {flow(roles[0] if roles else 'FILL_IN')}",
            *([f"  #     settings: {flow(dict.fromkeys(said, 'FILL IN'))}"] if said else []),
            f"  #     sees: {flow({'*': f'{_identifier(column)} = {FILL_IN}' if column else FILL_IN})}",
        ]
    return lines


def _indexes(catalog: Catalog) -> list[str]:
    seen = catalog.seen
    live = [
        index for index in seen.indexes if index.valid and not index.parent and seen.tables[index.table].kind != "m"
    ]
    lines: list[str] = []
    unique = [index for index in live if index.definition.unique]
    if unique:
        lines += ["  required:", "    # What is unique now."]
        lines += _accepted("required", ((_wanted(seen.tables[i.table], i.definition), "") for i in unique))
    keys = sorted(seen.foreign_keys, key=lambda key: (seen.tables[key.table].full_name, key.name))
    helped = {key: _helping(key, seen.on(key.table)) for key in keys}
    found = {
        (key.table, index.definition): (_wanted(seen.tables[key.table], index.definition), "")
        for key, index in helped.items()
        if index is not None and not index.definition.unique
    }
    missing = [key for key, index in helped.items() if index is None]
    if found or missing:
        lines += [] if lines else ["  required:" if found else "  # required:"]
        lines.append("    # What foreign keys need.")
        lines += _accepted("required", found.values())
        lines += [
            f"    # missing: - {flow({'table': _name(seen.tables[key.table]), 'columns': list(key.columns)})}"
            f"  # {comment(key.name)}"
            for key in missing
        ]
    gin = [
        ({"table": _name(table), "column": index.definition.keys[0].column}, "")
        for index in live
        for table in [seen.tables[index.table]]
        if index.definition.method == "gin"
        and len(index.definition.keys) == 1
        and not index.definition.predicate
        and table.columns.get(index.definition.keys[0].column) == "jsonb"
    ]
    if gin:
        lines += ["  # The search in JSONB columns.", "  jsonb:", *_accepted("jsonb", gin)]
    if not lines:
        return []
    return [_head("indexes", lines), *lines]


def _head(name: str, lines: Iterable[str]) -> str:
    """A section of comments alone would be null, which is as good as empty; say so."""
    return f"{name}:" if any(not line.lstrip().startswith("#") for line in lines) else f"{name}: {{}}"


def _helping(key: ForeignKey, indexes_of_table: Iterable[Index]) -> Index | None:
    """A valid index over all rows that begins with the columns of a foreign key, in any order; the smallest."""
    width = len(key.columns)
    fitting = [
        index
        for index in indexes_of_table
        if index.valid
        and not index.definition.predicate
        and {part.column for part in index.definition.keys[:width]} == set(key.columns)
    ]
    return min(fitting, key=lambda index: (len(index.definition.keys), index.name), default=None)


def _wanted(table: Table, definition: Definition) -> dict[str, Any]:
    item: dict[str, Any] = {"table": _name(table)}
    item["columns"] = [
        key.column
        if key.column and key.default_opclass and not key.collation and not key.descending and not key.nulls_first
        else _key(key)
        for key in definition.keys
    ]
    if definition.unique:
        item["unique"] = True
    if definition.nulls_not_distinct:
        item["nulls_not_distinct"] = True
    if definition.method != "btree":
        item["method"] = definition.method
    if definition.include:
        item["include"] = list(definition.include)
    if definition.predicate:
        item["where"] = definition.predicate
    return item


def _key(key: Any) -> dict[str, Any]:
    item = {"column": key.column} if key.column else {"expression": key.expression}
    if key.opclass and not key.default_opclass:
        item["opclass"] = key.opclass
    if key.collation:
        item["collation"] = key.collation
    if key.descending:
        item["order"] = "desc"
    if key.nulls_first != key.descending:
        item["nulls"] = "first" if key.nulls_first else "last"
    return item


def _accepted(key: str, items: Iterable[tuple[Mapping[str, Any], str]]) -> Iterator[str]:
    return _lines(items, lambda item: indexes.parse({key: [item]}))


def _lines(items: Iterable[tuple[Mapping[str, Any], str]], parse: Callable[[Any], Any]) -> Iterator[str]:
    """An element of a list for each item; one that the section would refuse, as a comment that says why."""
    for item, said in items:
        try:
            parse(dict(item))
        except SpecError as error:
            yield f"    # not to be said here: {flow(item)}  # {comment(error.problem)}"
        else:
            yield f"    - {flow(item)}" + (f"  # {comment(said)}" if said else "")


def _plans(catalog: Catalog) -> list[str]:
    lines = ["plans:", "  defaults:", "    no_seq_scan_over_rows: 10000"]
    if not catalog.statements:
        why = "cannot be read" if catalog.statements is None else "has none of an application"
        return [*lines, f"  # No candidates: pg_stat_statements {why} in this database."]
    lines += [
        "  # Candidates, the statements that take most of the time; give them a name, parameters and a limit.",
        "  # queries:",
    ]
    for number, statement in enumerate(catalog.statements, 1):
        parameters = max((int(found) for found in re.findall(r"\$(\d+)", statement.text)), default=0)
        said = f"{statement.calls:,} calls, {statement.mean_ms:,.1f} ms each"
        lines += [
            f"  #   - name: candidate {number}  # {said}",
            f"  #     sql: {flow(statement.text)}",
            *([f"  #     parameters: {flow(['FILL IN'] * parameters)}"] if parameters else []),
            f"  #     role: {flow(statement.role)}",
        ]
    return lines


def _integrity(catalog: Catalog) -> list[str]:
    lines = ["integrity:", "  sequence_percent: 80"]
    found = list(logical_references(catalog))
    if not found:
        return lines
    lines += [
        "  # Columns that look like references and have no foreign key. The targets are guesses.",
        "  # references:",
    ]
    keyed = _keyed(catalog)
    for table, column in found:
        target = _target(keyed, table, column)
        item = {"table": _name(table), "columns": [column], "target": target or {"table": "FILL IN", "columns": ["id"]}}
        lines.append(
            f"  #   - {flow(item)}" + ("" if target else "  # of this database, or add database, host and port")
        )
    return lines


def _keyed(catalog: Catalog) -> dict[str, list[tuple[Table, str]]]:
    """Tables whose primary key is one column, with it, by their bare name."""
    found: dict[str, list[tuple[Table, str]]] = {}
    for table in sorted(_tables(catalog), key=lambda table: table.full_name):
        for index in catalog.seen.on(table.oid):
            if index.primary and len(index.definition.keys) == 1:
                found.setdefault(_bare(table.name), []).append((table, index.definition.keys[0].column))
    return found


def _target(keyed: Mapping[str, list[tuple[Table, str]]], table: Table, column: str) -> dict[str, Any] | None:
    """The table whose name, or its plural, the column has, with its key; one of the same schema if there is any."""
    stem = _bare(re.sub(r"_id$|Id$", "", column))
    names = (stem, f"{stem}s", f"{stem}es", f"{stem[:-1]}ies")
    others = [other for name in names for other in keyed.get(name, ()) if other[0].oid != table.oid]
    if not others:
        return None
    other, key = min(others, key=lambda other: other[0].schema != table.schema)
    return {"table": _name(other), "columns": [key]}


def _bare(name: str) -> str:
    return name.lower().replace("_", "")


def logical_references(catalog: Catalog) -> Iterator[tuple[Table, str]]:
    """Columns ``*_id`` of a type that keys have, in no foreign key and not the whole primary key."""
    referring = {(key.table, column) for key in catalog.seen.foreign_keys for column in key.columns}
    for table in _tables(catalog):
        whole = [i.definition.keys for i in catalog.seen.on(table.oid) if i.primary and len(i.definition.keys) == 1]
        for column, kind in table.columns.items():
            if not column.endswith("_id") or (table.oid, column) in referring:
                continue
            if kind in ("int2", "int4", "int8", "uuid", "text", "varchar") and column not in [
                k[0].column for k in whole
            ]:
                yield table, column


def _name(table: Table) -> str:
    """As a spec file names a table: a part with a dot or a quote is quoted."""
    return ".".join(_identifier(part) if re.search(r'[."]', part) else part for part in (table.schema, table.name))


def _identifier(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
