# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a btree index is empty, estimated from what ANALYZE knows, without reading it. Pure.

The widths are those of pg_stats, the layout that of the PostgreSQL manual, 73.6 (page header 24 bytes, line pointer 4)
and of ``nbtree.h`` (special space 16 bytes). It is the approach of ioguix's pgsql-bloat-estimation. Equal keys are
stored once since PostgreSQL 13, so an index with many of them is smaller than estimated here: then nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import ColumnStatistics, Index, Table

_PAGE_HEADER, _PAGE_SPECIAL, _LINE_POINTER, _TUPLE_HEADER = 24, 16, 4, 8
_ALIGN = 8


def estimate(
    index: Index,
    table: Table,
    statistics: Mapping[tuple[str, str, str], ColumnStatistics],
    block_size: int = 8192,
) -> int | None:
    """Bytes of the index that hold nothing; None: it cannot be told (no btree, or no statistics)."""
    definition = index.definition
    if definition.method != "btree" or index.tuples < 0 or index.partitioned:
        return None
    width, nulls = 0, False
    for name in (*(key.column for key in definition.keys), *definition.include):
        known = statistics.get((table.schema, table.name, name)) if name else None
        if known is None:  # an expression: its values are in the table, its statistics are those of the index
            return None
        width += math.ceil(known.width * (1 - known.null_share))
        nulls = nulls or known.null_share > 0
    header = _aligned(_TUPLE_HEADER + (4 if nulls else 0))
    one = _LINE_POINTER + header + _aligned(width)
    room = (block_size - _PAGE_HEADER - _PAGE_SPECIAL) * index.fillfactor / 100
    leaves = math.ceil(index.tuples / max(math.floor(room / one), 1))
    needed = 1 + leaves + math.ceil(leaves / 200)  # the meta page, and a level above that is small beside it
    return max(index.bytes - needed * block_size, 0)


def _aligned(size: int) -> int:
    return math.ceil(size / _ALIGN) * _ALIGN
