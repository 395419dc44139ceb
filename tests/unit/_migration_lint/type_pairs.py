# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of types and what changing a column from one to the other does; integration tests ask PostgreSQL the same."""

from __future__ import annotations

CATALOG, REWRITE, LOSSY = "catalog", "rewrite", "lossy"

PAIRS = (
    ("varchar(10)", "varchar(20)", CATALOG),
    ("varchar(10)", "varchar", CATALOG),
    ("varchar(10)", "text", CATALOG),
    ("text", "varchar", CATALOG),
    ("numeric(10, 2)", "numeric(12, 2)", CATALOG),
    ("numeric(10, 2)", "numeric", CATALOG),
    ("cidr", "inet", CATALOG),
    ("timestamp(3)", "timestamp(6)", CATALOG),
    ("timestamp(3)", "timestamp", CATALOG),
    ("timestamptz(0)", "timestamptz", CATALOG),
    ("time(3)", "time(6)", CATALOG),
    ("varbit(8)", "varbit(16)", CATALOG),
    ("varbit(8)", "varbit", CATALOG),
    ("smallint", "integer", REWRITE),
    ("integer", "bigint", REWRITE),
    ("bigint", "numeric", REWRITE),
    ("real", "double precision", REWRITE),
    ("integer", "text", REWRITE),
    ("uuid", "text", REWRITE),
    ("char(5)", "text", REWRITE),
    ("char(5)", "char(8)", REWRITE),
    ("date", "timestamp", REWRITE),
    ("json", "jsonb", REWRITE),
    ("varchar[]", "text[]", REWRITE),
    ("varchar(10)[]", "varchar(20)[]", REWRITE),
    ("integer[]", "bigint[]", REWRITE),
    ("numeric(10, 2)", "numeric(14, 4)", REWRITE),
    ("varchar(20)", "varchar(10)", LOSSY),
    ("text", "varchar(10)", LOSSY),
    ("numeric(10, 2)", "numeric(8, 2)", LOSSY),
    ("numeric(10, 2)", "numeric(10, 4)", LOSSY),
    ("numeric", "numeric(10, 2)", LOSSY),
    ("bigint", "integer", LOSSY),
    ("double precision", "real", LOSSY),
    ("numeric", "integer", LOSSY),
    ("timestamp(6)", "timestamp(3)", LOSSY),
    ("timestamp", "date", LOSSY),
    ("timestamp", "timestamptz", LOSSY),
    ("char(8)", "char(5)", LOSSY),
    ("text", "char(5)", LOSSY),
    ("jsonb", "json", LOSSY),
    ("text", "integer", LOSSY),
    ("text", "uuid", LOSSY),
    ("bigint[]", "integer[]", LOSSY),
    ("text[]", "text", LOSSY),
)
