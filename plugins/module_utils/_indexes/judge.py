# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the indexes of a database, from what its catalog says. Pure.

What the use of them says is judged in :mod:`.usage`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._indexes import match, statements, usage
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.report import (
    BLOAT,
    CARDINALITY,
    DUPLICATE,
    FOREIGN_KEY,
    INVALID,
    JSONB,
    REDUNDANT,
    REQUIRED,
    SEQUENTIAL,
    UNUSED,
    Total,
    described,
    found,
    keeping,
    leftover,
)
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.report import totals as totals_of
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import Normal, Spec, Wanted
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import (
    Definition,
    Index,
    Key,
    Observed,
    Table,
)


def judge(seen: Observed, spec: Spec, normal: Normal) -> list[Finding]:
    """All findings. A rule that nothing breaks is one finding that it holds."""
    totals = totals_of(seen)
    declared = _declared(seen, normal.wanted)
    droppable = [
        index
        for index in seen.indexes
        if not index.parent and not any(fnmatchcase(index.full_name, pattern) for pattern in spec.ignore)
    ]
    doubles, dropped = _doubles(seen, droppable, declared.exact, totals)
    findings = [
        *_required(seen, normal),
        *_invalid(seen, totals),
        *doubles,
        *_foreign_keys(seen, spec),
        *usage.judge(seen, spec, [i for i in droppable if i.oid not in dropped], declared.serving, totals),
    ]
    return findings + _held(findings, seen)


def _held(findings: Iterable[Finding], seen: Observed) -> list[Finding]:
    """A pass for every rule about which nothing else was said."""
    said = {(finding.control, finding.title) for finding in findings}
    count = f"{len(seen.indexes)} indexes on {len(seen.tables)} tables looked at"
    rules = {
        **dict.fromkeys((INVALID, DUPLICATE, REDUNDANT, UNUSED, CARDINALITY, BLOAT), seen.indexes),
        FOREIGN_KEY: seen.foreign_keys,
        SEQUENTIAL: seen.tables,
    }
    held = [
        found(rule, "database", Status.PASS if there else Status.NOT_APPLICABLE, f"None: {count}.")
        for rule, there in rules.items()
        if (rule.control, rule.title) not in said
    ]
    if (REQUIRED.control, REQUIRED.title) not in said:
        held.append(found(REQUIRED, "database", Status.NOT_APPLICABLE, "The spec file requires no index."))
    return held


class _Declared:
    """Indexes that a required one is, and those that do the work of one."""

    def __init__(self) -> None:
        self.exact: set[int] = set()
        self.serving: set[int] = set()


def _declared(seen: Observed, wanted: Iterable[Wanted]) -> _Declared:
    declared = _Declared()
    for item in wanted:
        table = seen.named.get((item.schema, item.table))
        for index in seen.on(table.oid) if table else []:
            if match.satisfies(index, item.definition):
                declared.serving.add(index.oid)
                if match.same(index.definition, item.definition):
                    declared.exact.add(index.oid)
    return declared


def _required(seen: Observed, normal: Normal) -> list[Finding]:
    findings = [
        found(
            REQUIRED if wanted.control == "P-4" else JSONB,
            _subject(wanted),
            Status.ERROR,
            f"The server does not understand the definition, or may not build it on an empty copy: {message}.",
            "Write types, functions and operator classes that are not PostgreSQL's own with their schema; "
            "connect to the primary as a role that may make temporary tables.",
        )
        for wanted, message in normal.problems
    ]
    taken = frozenset(index.name for index in seen.indexes)
    for wanted in normal.wanted:
        rule = REQUIRED if wanted.control == "P-4" else JSONB
        table = seen.named.get((wanted.schema, wanted.table))
        if table is None:
            text = f"There is no table {wanted.schema}.{wanted.table} that could have it."
            findings.append(found(rule, _subject(wanted), Status.FAIL, text, "Run the migrations, or mend the spec."))
            continue
        missing = [key.column for key in wanted.definition.keys if key.column and key.column not in table.columns]
        missing += [name for name in wanted.definition.include if name not in table.columns]
        if missing:
            text = f"The table has no column {', '.join(missing)}."
            findings.append(found(rule, _subject(wanted), Status.FAIL, text, "Mend the spec, or run the migrations."))
            continue
        served = [index for index in seen.on(table.oid) if match.satisfies(index, wanted.definition)]
        if served:
            names = ", ".join(index.name for index in served)
            findings.append(found(rule, _subject(wanted), Status.PASS, f"It is there: {names}."))
            continue
        broken = [index for index in seen.on(table.oid) if match.covers(index.definition, wanted.definition)]
        text = f"No index of {table.full_name} does its work (about {max(table.rows, 0):,} rows)."
        if broken:
            text = f"{broken[0].full_name} would be it, but is invalid: PostgreSQL does not use it."
        name = wanted.name or statements.default_name(table.name, wanted.definition, taken)
        remedy = build(table, wanted.definition, name, seen)
        if broken:
            remedy = mend(broken[0], seen)
        findings.append(found(rule, _subject(wanted), Status.FAIL, text, remedy))
    return findings


def _subject(wanted: Wanted) -> str:
    return f"{wanted.schema}.{wanted.table}: {described(wanted.definition)}"


def build(table: Table, definition: Definition, name: str, seen: Observed) -> str:
    """The statements that build an index without locking out writers."""
    if table.kind != "p":
        return statements.render(statements.create(table.schema, table.name, definition, name)) + ";"
    parts = [part for part in seen.tables.values() if part.parent == table.oid]
    if any(part.kind == "p" for part in parts):
        return "dbops.postgres.pg_index builds it on every partition and attaches them."
    texts = [statements.create(table.schema, table.name, definition, name, only=True)]
    for part in parts:
        own = statements.default_name(part.name, definition)
        texts.append(statements.create(part.schema, part.name, definition, own))
        texts.append(statements.attach(table.schema, name, part.schema, own))
    return " ".join(statements.render(text) + ";" for text in texts)


def mend(index: Index, seen: Observed) -> str:
    """The statement that makes an invalid index valid, or removes a leftover."""
    if index.partitioned:
        attached = {item.table for item in seen.indexes if item.parent == index.oid}
        left = [t.full_name for t in seen.tables.values() if t.parent == index.table and t.oid not in attached]
        return (
            f"Partitions without it: {', '.join(left) or 'none, but one of theirs is invalid'}. "
            "Build it there CONCURRENTLY, then ALTER INDEX ... ATTACH PARTITION; dbops.postgres.pg_index does both."
        )
    if leftover(index):
        return statements.render(statements.drop(index)) + ";"
    return statements.render(statements.reindex(index)) + ";"


def _invalid(seen: Observed, totals: Mapping[int, Total]) -> list[Finding]:
    findings = []
    for index in seen.indexes:
        if index.valid:
            continue
        table = seen.tables[index.table]
        if index.oid in seen.building or index.table in seen.building or seen.building_unseen:
            text = "It is being built now, or somebody builds one whose name the connected role may not see."
            findings.append(found(INVALID, index.full_name, Status.NOT_TESTED, text))
            continue
        text = "PostgreSQL does not use it" + (", but every write keeps it up to date" if not index.partitioned else "")
        text += f": {keeping(totals[index.oid], table, seen)}"
        findings.append(found(INVALID, index.full_name, Status.FAIL, text, mend(index, seen)))
    return findings


def _doubles(
    seen: Observed, droppable: Sequence[Index], exact: set[int], totals: Mapping[int, Total]
) -> tuple[list[Finding], set[int]]:
    """Indexes that another one makes superfluous, with the statement that drops them; and which they are."""
    findings, dropped = [], set()
    by_table: dict[int, list[Index]] = {}
    for index in droppable:
        by_table.setdefault(index.table, []).append(index)
    for table, candidates in by_table.items():
        # The one that is least worth keeping goes first, so that of two that are alike one stays.
        for index in sorted(candidates, key=lambda i: (bool(i.constraint), totals[i.oid].scans, -len(i.name), i.name)):
            if not index.valid or index.primary or index.kept:
                continue
            others = [i for i in seen.on(table) if i.valid and i.oid != index.oid and i.oid not in dropped]
            double = [i for i in others if match.same(i.definition, index.definition)]
            better = [i for i in others if match.redundant(index.definition, i.definition)]
            if index.definition.unique or index.constraint:
                better = []
            if not (double or better) or (index.oid in exact and not double):
                continue
            rule, other = (DUPLICATE, double[0]) if double else (REDUNDANT, better[0])
            drop = statements.drop(index)
            if index.constraint:
                owner = seen.tables[table]
                drop = statements.drop_constraint(owner.schema, owner.name, index.constraint)
            text = f"{other.name} does all of its work: {keeping(totals[index.oid], seen.tables[table], seen)}"
            findings.append(
                found(rule, index.full_name, Status.FAIL, text, statements.render(drop) + ";", Severity.MEDIUM)
            )
            dropped.add(index.oid)
    return findings, dropped


def _foreign_keys(seen: Observed, spec: Spec) -> list[Finding]:
    findings = []
    for key in seen.foreign_keys:
        if any(match.serves(index, key) for index in seen.on(key.table)):
            continue
        table = seen.tables[key.table]
        definition = Definition("btree", tuple(Key(column=column) for column in key.columns))
        name = statements.default_name(table.name, definition, frozenset(index.name for index in seen.indexes))
        large = table.rows >= spec.limits.table_rows
        text = (
            f"No index begins with {', '.join(key.columns)}: each DELETE in {key.target}, and each UPDATE of the key "
            f"there, reads all of {table.full_name} (about {max(table.rows, 0):,} rows)."
        )
        findings.append(
            found(
                FOREIGN_KEY,
                f"{table.full_name}: {key.name}",
                Status.FAIL,
                text,
                build(table, definition, name, seen),
                Severity.HIGH if large else Severity.MEDIUM,
            )
        )
    return findings
