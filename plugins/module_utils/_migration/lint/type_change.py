# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which change of a type PostgreSQL makes at once, which by writing the table anew, which loses values. Pure.

Truths of PostgreSQL 12 to 18: a change is only of the catalog where the old values are valid as they lie on disk.
"""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import Type

CATALOG, REWRITE, LOSSY = "catalog", "rewrite", "lossy"

# Each type holds every value of those before it.
_WIDER = (
    ("int2", "int4", "int8", "numeric"),
    ("int2", "float4", "float8"),
    ("int4", "float8"),
    ("date", "timestamp"),
    ("json", "jsonb"),
    ("cidr", "inet"),
    ("macaddr", "macaddr8"),
)
_PRECISE = ("timestamp", "timestamptz", "time", "timetz", "varbit", "varchar", "interval")
_DIGITS = {"int2": 5, "int4": 10, "int8": 19}
_TEXTS = ("text", "varchar", "bpchar", "citext")


def change(old: Type, new: Type) -> str:
    """What a change from one type to the other does: ``catalog``, ``rewrite`` or ``lossy``."""
    if old == new:
        return CATALOG
    if old.array or new.array:
        if not (old.array and new.array):
            return LOSSY
        # Each element is converted, even where the types lie on disk alike.
        elements = change(replace(old, array=False), replace(new, array=False))
        return REWRITE if elements == CATALOG else elements
    if old.name == new.name:
        return _same(old, new)
    if old.name in ("varchar", "text") and new.name in ("varchar", "text"):
        return LOSSY if new.mods else CATALOG
    if old.name == "cidr" and new.name == "inet":
        return CATALOG
    if new.name in _TEXTS:
        return LOSSY if new.mods or new.name == "bpchar" else REWRITE
    if new.name == "numeric" and new.mods and old.name in _DIGITS:
        precision, scale = _pair(new)
        return REWRITE if precision - scale >= _DIGITS[old.name] else LOSSY
    if new.mods:
        return LOSSY
    wider = any(old.name in row and new.name in row and row.index(old.name) < row.index(new.name) for row in _WIDER)
    return REWRITE if wider else LOSSY


def _same(old: Type, new: Type) -> str:
    if old.name in _PRECISE:
        if not new.mods or (old.mods and new.mods[0] >= old.mods[0]):
            return CATALOG
        return LOSSY
    if old.name == "numeric":
        if not new.mods:
            return CATALOG
        if not old.mods:
            return LOSSY
        (precision, scale), (wanted, wanted_scale) = _pair(old), _pair(new)
        if wanted_scale == scale:
            return CATALOG if wanted >= precision else LOSSY
        return REWRITE if wanted_scale > scale and wanted - wanted_scale >= precision - scale else LOSSY
    if old.name == "bpchar":
        return REWRITE if old.mods and new.mods and new.mods[0] > old.mods[0] else LOSSY
    return LOSSY


def _pair(numeric: Type) -> tuple[int, int]:
    return numeric.mods[0], numeric.mods[1] if len(numeric.mods) > 1 else 0
