# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order tables get their rows, and what makes a second row differ from the first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    EXCLUSION,
    FOREIGN_KEY,
    KEYS,
    Constraint,
    Database,
)


def order(database: Database) -> list[int]:
    """All tables, those that are referenced before those that reference them, as far as there is no cycle."""
    references = {
        table: [item.target for item in database.of(table, FOREIGN_KEY) if item.target != table]
        for table in database.tables
    }
    return [table for group in groups(references) for table in group]


def groups(edges: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """The strongly connected components of a graph, targets first (Tarjan's algorithm without recursion)."""
    found: list[list[int]] = []
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    open_nodes: list[int] = []
    for root in edges:
        if root in index:
            continue
        work = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        open_nodes.append(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in edges:
                    continue
                if target not in index:
                    index[target] = low[target] = len(index)
                    open_nodes.append(target)
                    work.append((target, iter(edges[target])))
                    break
                if target in open_nodes:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    cut = open_nodes.index(node)
                    found.append(open_nodes[cut:])
                    del open_nodes[cut:]
    return found


def foreign_keys(database: Database, table: int) -> list[Constraint]:
    """The foreign keys of a table, those with most columns first: they decide about columns that others share."""
    return sorted(database.of(table, FOREIGN_KEY), key=lambda item: (-len(item.columns), item.name))


def fresh(database: Database, table: int) -> frozenset[str]:
    """Foreign keys that must point at another row for a second row to differ: a key may consist of nothing else."""
    keys = foreign_keys(database, table)
    tied = {column for item in keys for column in item.columns}
    found: set[str] = set()
    for unique in database.of(table, *KEYS, EXCLUSION):
        if not unique.columns or set(unique.columns) - tied:
            continue
        covering = [item for item in keys if set(item.columns) & set(unique.columns)]
        if not any(item.id in found for item in covering):
            # A small one: the columns of a large one are shared, and decide more.
            found.add(min(covering, key=lambda item: (item.target == table, len(item.columns), item.name)).id)
    return frozenset(found)


def components(sets: Iterable[tuple[str, frozenset[str]]]) -> list[tuple[list[str], frozenset[str]]]:
    """Conditions that share columns, together: the conditions and all their columns."""
    found: list[tuple[list[str], frozenset[str]]] = []
    for condition, columns in sets:
        members, together = [condition], columns
        rest = []
        for others, theirs in found:
            if theirs & together:
                members, together = others + members, together | theirs
            else:
                rest.append((others, theirs))
        found = [*rest, (members, together)]
    return found
