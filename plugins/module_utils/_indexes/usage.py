# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the statistics say about indexes: unused, not selective, bloated, missing. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status
from ansible_collections.dbops.postgres.plugins.module_utils._indexes import bloat, match, statements
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.report import (
    BLOAT,
    CARDINALITY,
    JSONB,
    SEQUENTIAL,
    UNUSED,
    Rule,
    Total,
    found,
    keeping,
    size,
)
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import Limits, Spec
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import (
    Definition,
    Index,
    Key,
    Observed,
    Table,
)


def judge(
    seen: Observed, spec: Spec, indexes: Sequence[Index], serving: set[int], totals: Mapping[int, Total]
) -> list[Finding]:
    """The findings that need statistics.

    :param indexes: those that may be talked about; ``serving``: those that a required index needs.
    """
    return [
        *_unused(seen, spec.limits, indexes, serving, totals),
        *_sequential(seen, spec.limits),
        *_cardinality(seen, spec.limits, indexes, serving, totals),
        *_bloat(seen, spec.limits),
        *_jsonb(seen, spec),
    ]


def _unused(
    seen: Observed, limits: Limits, indexes: Sequence[Index], serving: set[int], totals: Mapping[int, Total]
) -> list[Finding]:
    blind = _cannot_tell_unused(seen, limits)
    if blind:
        return [found(UNUSED, "database", Status.NOT_TESTED, blind)]
    since = max(node.since for node in seen.nodes)
    needed = serving | _for_foreign_keys(seen)
    findings = []
    for index in indexes:
        total, table = totals[index.oid], seen.tables[index.table]
        if total.scans or total.bytes < limits.unused_bytes or not index.valid or index.oid in needed:
            continue
        if not _read(seen, table):  # nobody has used the table yet: its indexes had no occasion
            continue
        # These work without ever being read: they refuse rows, or tell a subscriber which row is meant.
        if index.definition.unique or index.constraint or index.primary or index.kept:
            continue
        text = (
            f"Not read once since {since:%Y-%m-%d} on {len(seen.nodes)} server(s), whose statistics are "
            f"{(seen.now - since).days} days old or older: {keeping(total, table, seen)}"
        )
        findings.append(
            found(UNUSED, index.full_name, Status.FAIL, text, statements.render(statements.drop(index)) + ";")
        )
    return findings


def _read(seen: Observed, table: Table) -> bool:
    """Whether a table, or a partition of it, has been read at all, on any server."""
    if table.seq_scans or table.index_scans:
        return True
    if any(node.scans.get(index.oid) for node in seen.nodes for index in seen.on(table.oid)):
        return True
    return any(_read(seen, part) for part in seen.tables.values() if part.parent == table.oid)


def _cannot_tell_unused(seen: Observed, limits: Limits) -> str:
    if seen.in_recovery:
        return "This server is a replica: connect to the primary and give the replicas."
    if not seen.nodes:
        return "No statistics were read."
    given = len(seen.nodes) - 1
    if seen.standbys > given:
        return (
            f"{seen.standbys} standby server(s) stream from here and {given} were given as replicas: "
            "what they read is unknown."
        )
    youngest = max(seen.nodes, key=lambda node: node.since)
    age = (seen.now - youngest.since).days
    if age < limits.unused_days:
        where = f" of {youngest.place}" if len(seen.nodes) > 1 else ""
        return f"The statistics{where} are {age} days old; {limits.unused_days} are needed (limits.unused_days)."
    return ""


def _for_foreign_keys(seen: Observed) -> set[int]:
    """Indexes that alone find the rows of a foreign key: dropping one would be the next finding."""
    needed = set()
    for key in seen.foreign_keys:
        serving = [index for index in seen.on(key.table) if match.serves(index, key)]
        if len(serving) == 1:
            needed.add(serving[0].oid)
    return needed


def _sequential(seen: Observed, limits: Limits) -> list[Finding]:
    findings = []
    for table in seen.tables.values():
        scans = table.seq_scans + table.index_scans
        if table.kind == "p" or table.rows < limits.table_rows or table.seq_scans < limits.seq_scans:
            continue
        share = 100 * table.seq_scans / scans
        each = table.seq_rows / table.seq_scans
        # A LIMIT that is soon reached reads sequentially and cheaply.
        if share < limits.seq_share or each < limits.table_rows:
            continue
        text = (
            f"{table.seq_scans:,} of {scans:,} scans ({share:.0f} %) read the table from its beginning, "
            f"{each:,.0f} rows each; it has about {table.rows:,}."
        )
        remedy = (
            "Find the statements (pg_stat_statements; auto_explain), look at their WHERE and JOIN columns, declare "
            "them to pg_plan_check and build the index CONCURRENTLY."
        )
        findings.append(found(SEQUENTIAL, table.full_name, Status.FAIL, text, remedy))
    return findings


def _cardinality(
    seen: Observed, limits: Limits, indexes: Sequence[Index], serving: set[int], totals: Mapping[int, Total]
) -> list[Finding]:
    findings, unknown = [], []
    needed = serving | _for_foreign_keys(seen)
    for index in indexes:
        definition, table = index.definition, seen.tables[index.table]
        if definition.method not in ("btree", "hash") or definition.unique or definition.predicate or index.constraint:
            continue
        if len(definition.keys) != 1 or index.oid in needed or table.rows < limits.table_rows:
            continue
        known = seen.statistics.get((table.schema, table.name, definition.keys[0].column))
        if known is None and definition.keys[0].column and table.rows > 0 and not index.partitioned:
            unknown.append(index)
        if known is None or not 0 < known.distinct <= limits.distinct_values:
            continue
        # A value that few rows have is what such an index is for.
        if known.rarest < 0.02 or known.null_share > 0.98:
            continue
        column = definition.keys[0].column
        text = (
            f"{column} has {known.distinct:.0f} different values in about {table.rows:,} rows, the rarest in "
            f"{100 * known.rarest:.0f} % of them: {keeping(totals[index.oid], table, seen)}"
        )
        remedy = (
            f"{statements.render(statements.drop(index))}; or replace it by a partial index for the value that is "
            "looked for, or by one that begins with a more selective column."
        )
        findings.append(found(CARDINALITY, index.full_name, Status.FAIL, text, remedy))
    return findings + _without_statistics(CARDINALITY, unknown)


def _without_statistics(rule: Rule, indexes: Sequence[Index]) -> list[Finding]:
    """Large indexes about which pg_stats says nothing, so that nothing is known about them."""
    if not indexes:
        return []
    names = ", ".join(index.full_name for index in indexes[:5]) + (", ..." if len(indexes) > 5 else "")
    text = f"pg_stats says nothing of the columns of {len(indexes)} large indexes: {names}."
    remedy = "ANALYZE the tables; connect as a role that may read them, and to which no policy applies."
    return [found(rule, "database", Status.NOT_TESTED, text, remedy)]


def _bloat(seen: Observed, limits: Limits) -> list[Finding]:
    findings, unknown = [], []
    for index in seen.indexes:
        if index.bytes < limits.bloat_bytes or not index.valid:
            continue
        table = seen.tables[index.table]
        empty = bloat.estimate(index, table, seen.statistics, seen.block_size)
        plain = index.definition.method == "btree" and all(key.column for key in index.definition.keys)
        if empty is None and plain and table.rows > 0 and not index.partitioned:
            unknown.append(index)
        if empty is None or empty < limits.bloat_bytes or 100 * empty < limits.bloat_share * index.bytes:
            continue
        text = (
            f"About {size(empty)} of {size(index.bytes)} ({100 * empty / index.bytes:.0f} %) hold nothing "
            "(estimated from pg_stats; pgstatindex() of pgstattuple measures it)."
        )
        remedy = statements.render(statements.reindex(index)) + ";"
        findings.append(found(BLOAT, index.full_name, Status.FAIL, text, remedy))
    return findings + _without_statistics(BLOAT, unknown)


def _jsonb(seen: Observed, spec: Spec) -> list[Finding]:
    declared = {
        (wanted.schema, wanted.table, wanted.definition.keys[0].column)
        for wanted in spec.required
        if wanted.control == "P-2"
    }
    columns = [
        (table, column)
        for table in seen.tables.values()
        if not table.parent
        for column, kind in table.columns.items()
        if kind == "jsonb"
    ]
    if not columns:
        return [] if declared else [found(JSONB, "database", Status.NOT_APPLICABLE, "No table has a JSONB column.")]
    bare = [(table, column) for table, column in columns if not _has_gin(seen, table, column)]
    bare = [(table, column) for table, column in bare if (table.schema, table.name, column) not in declared]
    if not bare:
        return [] if declared else [found(JSONB, "database", Status.PASS, "Every JSONB column has a GIN index.")]
    if seen.statements is None:
        names = ", ".join(f"{table.full_name}.{column}" for table, column in bare)
        text = f"pg_stat_statements is not to be read, so nobody knows whether these are searched: {names}."
        return [found(JSONB, "database", Status.NOT_TESTED, text, "Declare the searched ones under indexes.jsonb.")]
    findings = []
    for table, column in bare:
        searched = [text for text in seen.statements if _searches(text, table, column)]
        if searched:
            findings.append(_without_gin(table, column, searched))
    if not findings:
        return [found(JSONB, "database", Status.PASS, f"{len(bare)} JSONB column(s) without GIN, none is searched.")]
    return findings


def _without_gin(table: Table, column: str, searched: Sequence[str]) -> Finding:
    definition = Definition("gin", (Key(column=column),))
    name = statements.default_name(table.name, definition)
    statement = " ".join(searched[0].split())[:200]
    text = f"{len(searched)} recorded statement(s) search it and every row is read, for example: {statement}"
    remedy = statements.render(statements.create(table.schema, table.name, definition, name)) + ";"
    if table.kind == "p":
        remedy = "dbops.postgres.pg_index builds it on every partition and attaches them."
    return found(JSONB, f"{table.full_name}.{column}", Status.FAIL, text, remedy)


def _has_gin(seen: Observed, table: Table, column: str) -> bool:
    return any(
        index.valid and index.definition.method == "gin" and any(key.column == column for key in index.definition.keys)
        for index in seen.on(table.oid)
    )


def _searches(text: str, table: Table, column: str) -> bool:
    """Whether a statement names the table and searches the column with an operator that GIN serves."""
    if not re.search(rf"(?<!\w){re.escape(table.name)}(?!\w)", text):
        return False
    operator = r"(@>|\?[|&]?|@\?|@@)"
    return bool(re.search(rf'(?<!\w)"?{re.escape(column)}"?\s*{operator}', text))
