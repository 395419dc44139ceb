# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When one index does the work of another. Pure.

Names are never compared. Two keys are the same when column or expression, operator class and collation are; a btree
can be read backwards, so all directions may be turned round together (PostgreSQL manual, 11.4).
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import Definition, ForeignKey, Index, Key


def satisfies(index: Index, wanted: Definition) -> bool:
    """Whether a valid index does everything that the wanted one would."""
    return index.valid and covers(index.definition, wanted)


def covers(have: Definition, wanted: Definition) -> bool:
    """Whether an index of the one definition does everything that one of the other would."""
    if have.method != wanted.method or have.predicate not in ("", wanted.predicate):
        return False
    if wanted.method == "gin":  # each of its columns can be searched by itself (PostgreSQL manual, 11.3)
        return all(any(_same(key, other) for other in have.keys) for key in wanted.keys)
    if wanted.unique and (
        not have.unique or len(have.keys) != len(wanted.keys) or have.nulls_not_distinct != wanted.nulls_not_distinct
    ):
        return False
    if wanted.method != "btree" and len(have.keys) != len(wanted.keys):
        return False
    stored = {key.column for key in have.keys} | set(have.include)
    return leads(have.keys, wanted.keys) and set(wanted.include) <= stored


def leads(have: Sequence[Key], wanted: Sequence[Key]) -> bool:
    """Whether the wanted keys are the first ones, in their order, all in the same or all in the opposite direction."""
    if len(wanted) > len(have) or not all(_same(one, other) for one, other in zip(wanted, have)):
        return False
    turned = {
        (one.descending != other.descending, one.nulls_first != other.nulls_first) for one, other in zip(wanted, have)
    }
    return turned in ({(False, False)}, {(True, True)})


def same(have: Definition, wanted: Definition) -> bool:
    """Whether they are the same index under two names."""
    return (
        have.method == wanted.method
        and have.unique == wanted.unique
        and have.nulls_not_distinct == wanted.nulls_not_distinct
        and have.immediate == wanted.immediate
        and have.predicate == wanted.predicate
        and set(have.include) == set(wanted.include)
        and len(have.keys) == len(wanted.keys)
        and all(
            _same(one, other) and (one.descending, one.nulls_first) == (other.descending, other.nulls_first)
            for one, other in zip(wanted.keys, have.keys)
        )
    )


def redundant(index: Definition, other: Definition) -> bool:
    """Whether everything that the first is for is done by the second, so that the first only costs.

    A unique index is never redundant to a longer one, a partial one only to one with the same predicate: it may be
    there because it is small.
    """
    if index.predicate != other.predicate or index.method != other.method or index.method != "btree":
        return False
    return covers(other, index)


def serves(index: Index, key: ForeignKey) -> bool:
    """Whether rows that refer to a deleted row are found by this index: its first columns are those of the key, in any
    order, and no predicate leaves rows out but those where a column is null, which refer to nothing."""
    names = [item.column for item in index.definition.keys]
    if not index.valid or index.definition.method not in ("btree", "hash"):
        return False
    if set(names[: len(key.columns)]) != set(key.columns):
        return False
    predicate = index.definition.predicate
    return not predicate or any(
        predicate in (f"({column} IS NOT NULL)", f'("{column}" IS NOT NULL)') for column in key.columns
    )


def _same(wanted: Key, have: Key) -> bool:
    if (wanted.column, wanted.expression) != (have.column, have.expression):
        return False
    if not _named(wanted.collation, have.collation):
        return False
    if _named(wanted.opclass, have.opclass):
        return True
    # Both operator classes of jsonb serve @>, which is what a search in JSONB is declared for.
    return not wanted.opclass and (have.default_opclass or have.opclass == "jsonb_path_ops")


def _named(wanted: str, have: str) -> bool:
    return wanted == have or (bool(wanted) and have.endswith(f".{wanted}"))
