# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lint: rules, squawk's notes, approvals and the gate of contract steps over the migrations of a source. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint import (
    rules_access,
    rules_data,
    rules_locks,
    rules_names,
    rules_run,
    rules_table,
    rules_values,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.approvals import Approval, in_file
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.catalog import Catalog
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.contract import DUE, UNKNOWN, Live, gate
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.found import LintFinding
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import Name, enum, name_of
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import (
    CONTRACT,
    FORBIDDEN,
    REGISTRY,
    Context,
    Hit,
    Rule,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rules_run import never_in_transaction
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.squawk import (
    DECIDED,
    OFF,
    Note,
    rule_names,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.statement import (
    Script,
    SqlSyntaxError,
    Statement,
    read,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import (
    FLYWAY,
    GOLANG_MIGRATE,
    PRISMA,
    Migration,
    Source,
    same_id,
    unchanged,
)

# Importing them registers their rules.
RULES = (rules_access, rules_data, rules_locks, rules_names, rules_run, rules_table, rules_values)

_ALTERED = ("OBJECT_TABLE", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE")


@dataclass(frozen=True)
class Options:
    """What the lint is told.

    :param only: the files to judge, relative to the source; None: those that are not applied yet.
    :param checksums: what the tool has recorded of each applied migration, by id; an empty one is not compared.
    """

    live: Live
    version: int = 15
    enum_allowed: frozenset[str] = frozenset()
    reference_tables: frozenset[Name] = frozenset()
    only: frozenset[str] | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    approvals: tuple[Approval, ...] = ()


@dataclass(frozen=True)
class Reading:
    """A migration as text that was read: its statements, or why it could not be."""

    migration: Migration
    script: Script | None
    problem: SqlSyntaxError | None
    layout: str

    @property
    def in_transaction(self) -> bool:
        """Whether its statements run in one transaction."""
        return self.script is not None and _in_transaction(self.migration, self.script, self.layout)


def read_all(source: Source) -> list[Reading]:
    """Every migration of the source, read."""
    readings = []
    for migration in source.migrations:
        try:
            script = read(migration.sql, placeholders=source.layout == FLYWAY)
            readings.append(Reading(migration, script, None, source.layout))
        except SqlSyntaxError as problem:
            readings.append(Reading(migration, None, problem, source.layout))
    return readings


def chosen(source: Source, options: Options) -> set[str]:
    """The ids of the migrations that are judged."""
    if options.only is not None:
        return {migration.id for migration in source.migrations if migration.path in options.only}
    applied = {same_id(source.layout, key) for key in options.live.applied or ()}
    return {m.id for m in source.migrations if same_id(source.layout, m.id) not in applied or m.repeatable}


def _in_transaction(migration: Migration, script: Script, layout: str) -> bool:
    own = script.own()
    if layout in (PRISMA, GOLANG_MIGRATE):
        # Sent as one query; several statements in one query are one transaction.
        return len(own) > 1
    if layout == FLYWAY and own and all(never_in_transaction(statement.node) for statement in own):
        return False  # Flyway sees that itself
    return migration.in_transaction


def lint(source: Source, readings: Sequence[Reading], notes: Iterable[Note], options: Options) -> list[LintFinding]:
    """Everything that is wrong with the chosen migrations, in the order of files and lines."""
    judged = chosen(source, options)
    applied = {same_id(source.layout, key) for key in options.live.applied or ()}
    by_file: dict[str, list[Note]] = {}
    for note in notes:
        by_file.setdefault(note.file, []).append(note)
    catalog = Catalog()
    findings = list(_applied(source, options))
    approvals = list(options.approvals)
    for reading in readings:
        migration = reading.migration
        # Files that go live together: what the first has made is still empty for the second.
        together = options.only is not None or options.live.applied is not None
        pending = migration.id in judged and same_id(source.layout, migration.id) not in applied
        catalog.begin(migration.id, "pending" if together and pending else migration.id)
        if reading.script is None:
            if migration.id in judged and reading.problem:
                findings.append(_unread(migration, reading.problem))
            continue
        found = list(_file(source, reading, catalog, by_file.get(migration.path, []), options))
        if migration.id in judged:
            given, bad = in_file(migration.path, reading.script, rule_names())
            approvals += given
            findings += found
            findings += [_bad(migration.path, item.line, item.problem, item.remedy) for item in bad]
    return _approved(findings, approvals, {m.path for m in source.migrations if m.id in judged}, options)


def _file(
    source: Source, reading: Reading, catalog: Catalog, notes: Sequence[Note], options: Options
) -> Iterator[LintFinding]:
    script, migration = reading.script, reading.migration
    if script is None:
        return
    contracts = next((c.text.split()[1] for c in script.comments if c.text.startswith("contracts ")), "")
    made = frozenset(_made(script))
    inside, opened = reading.in_transaction, False
    for number, statement in enumerate(script.statements):
        if statement.kind == "TransactionStmt":
            opened = enum(statement.node.kind) in ("TRANS_STMT_BEGIN", "TRANS_STMT_START")
        ctx = Context(
            *(catalog, script, statement, source.layout, migration.id, inside or opened, options.version),
            *(options.enum_allowed, options.reference_tables, made),
        )
        hits = list(judge(ctx))
        new = _all_new(catalog, statement)
        catalog.learn(statement)
        own = [_finding(hit, REGISTRY.rules[hit.rule], ctx, migration.path) for hit in hits]
        if not statement.inside:
            last = next((s.line for s in script.statements[number + 1 :] if not s.inside), 1 << 31)
            here = [n for n in notes if statement.line <= n.line <= statement.end_line and n.line <= last]
            own = _joined(own, here, statement, migration.path, new)
        for finding in own:
            yield _gated(finding, source, migration, contracts, options) if finding.klass == CONTRACT else finding


def judge(ctx: Context) -> Iterator[Hit]:
    """What our rules say of one statement."""
    node, statement = ctx.statement.node, ctx.statement
    for check in REGISTRY.checks.get(statement.kind, ()):
        yield from check(ctx, node)
    if statement.kind == "AlterTableStmt" and enum(node.objtype) in _ALTERED:
        table = name_of(node.relation)
        new = ctx.catalog.is_new(table)
        for command in node.cmds:
            for alter_check in REGISTRY.alter_checks.get(enum(command.subtype), ()):
                for hit in alter_check(ctx, table, command):
                    if not (new and REGISTRY.rules[hit.rule].needs_rows):
                        yield hit


def _made(script: Script) -> Iterator[Name]:
    """What the file creates: dropped and made again, it is not gone."""
    for statement in script.statements:
        node, kind = statement.node, statement.kind
        if kind == "ViewStmt":
            yield name_of(node.view)
        elif kind == "CreateTableAsStmt":
            yield name_of(node.into.rel)
        elif kind == "CreateFunctionStmt":
            yield name_of(node.funcname)
        elif kind == "RenameStmt" and enum(node.renameType) == "OBJECT_TABLE" and node.relation:
            yield Name(name_of(node.relation).schema, node.newname)


def _all_new(catalog: Catalog, statement: Statement) -> bool:
    """Whether every table that the statement names as its target was made in this run."""
    relation = getattr(statement.node, "relation", None)
    if statement.kind == "CreateStmt" or relation is None or not hasattr(relation, "relname"):
        return statement.kind == "CreateStmt"
    return catalog.is_new(name_of(relation))


def _finding(hit: Hit, rule: Rule, ctx: Context, file: str) -> LintFinding:
    statement = ctx.statement
    return LintFinding(
        *(rule.id, rule.klass, rule.severity, rule.control, file, statement.line, statement.end_line),
        *(statement.text, hit.object, hit.why or rule.why, hit.safe),
        gone=hit.gone,
    )


def _joined(
    own: list[LintFinding], notes: Sequence[Note], statement: Statement, file: str, new: bool
) -> list[LintFinding]:
    """Ours and squawk's about one statement, each topic once."""
    topics = {finding.rule for finding in own}
    agreed = {topic for note in notes for topic in note.topics}
    result = [replace(f, seen_by=("dbops", "squawk")) if f.rule in agreed else f for f in own]
    for note in notes:
        silent = note.rule in OFF or note.rule in DECIDED or (note.topics and (new or topics & set(note.topics)))
        if silent:
            continue
        rule = note.as_rule()
        result.append(
            LintFinding(
                *(rule.id, rule.klass, rule.severity, rule.control, file, note.line, statement.end_line),
                *(statement.text, "", rule.why, note.safe),
                seen_by=("squawk",),
            )
        )
    return result


def _gated(finding: LintFinding, source: Source, migration: Migration, contracts: str, options: Options) -> LintFinding:
    answer = gate(source, migration.id, contracts, finding.gone, options.live)
    status = {DUE: Status.PASS, UNKNOWN: Status.NOT_TESTED}.get(answer.state, Status.FAIL)
    return replace(finding, status=status, note=answer.reason)


def _unread(migration: Migration, problem: SqlSyntaxError) -> LintFinding:
    return LintFinding(
        *("unreadable", FORBIDDEN, Severity.HIGH, "E-4", migration.path, problem.line, problem.line, "", ""),
        f"PostgreSQL's grammar does not accept the file ({problem.message}), so nothing in it was looked at.",
        "-- Write plain SQL: commands of psql and data of COPY are for files that psql runs.",
        status=Status.ERROR,
    )


def _bad(file: str, line: int, problem: str, remedy: str) -> LintFinding:
    return LintFinding(
        *("approval", FORBIDDEN, Severity.HIGH, "E-4", file, line, line, "", "", f"{problem.rstrip('.')}."),
        f"-- {remedy}",
        status=Status.ERROR,
    )


def _applied(source: Source, options: Options) -> Iterator[LintFinding]:
    """Migrations whose text is not the one that was applied."""
    for migration_id, recorded in options.checksums.items():
        migration = source.by_id(migration_id)
        if migration is None or not recorded or not migration.checksum or migration.repeatable:
            continue
        if not unchanged(source.layout, migration, recorded):
            rule = REGISTRY.rules["changed-after-applied"]
            yield LintFinding(
                *(rule.id, rule.klass, rule.severity, rule.control, migration.path, 1, 1, "", migration.id),
                *(rule.why, "-- Put the applied text back, and make the change in a new migration."),
            )


def _approved(
    findings: list[LintFinding], approvals: Sequence[Approval], files: set[str], options: Options
) -> list[LintFinding]:
    """The findings with what is on record about them; approvals of nothing are findings themselves."""
    today = options.live.now.date()
    used: set[Approval] = set()
    result = []
    for finding in findings:
        on_record = [
            approval
            for approval in approvals
            if approval.covers(finding.rule, finding.file, finding.line, finding.statement, finding.object)
        ]
        used.update(on_record)
        result.append(_waived(finding, on_record, today) if on_record else finding)
    for approval in approvals:
        if approval not in used and approval.file in files:
            line = int(approval.place.rpartition(":")[2]) if approval.place.startswith(f"{approval.file}:") else 1
            result.append(
                LintFinding(
                    *("approval-unused", FORBIDDEN, Severity.MEDIUM, "E-4", approval.file, line, line, ""),
                    *(approval.rule, f"The approval at {approval.place} matches no finding.", "-- Remove it."),
                )
            )
    order = {file: number for number, file in enumerate(dict.fromkeys(f.file for f in findings))}
    return sorted(result, key=lambda f: (order.get(f.file, len(order)), f.line, f.severity.rank, f.rule, f.object))


def _waived(finding: LintFinding, approvals: Sequence[Approval], today: datetime.date) -> LintFinding:
    if finding.status is not Status.FAIL:
        return finding
    best = max(approvals, key=lambda approval: approval.until)
    if best.until < today:
        return replace(finding, note=f"The approval by {best.by} expired on {best.until}. {finding.note}".rstrip())
    return replace(
        finding,
        status=Status.WAIVED,
        waiver=f"approved by {best.by}: {best.because}",
        expires=best.until.isoformat(),
    )


def unknown_files(source: Source, only: Iterable[str]) -> list[Any]:
    """Of the files that were asked for, those that are no migration of the source."""
    known = {m.path for m in source.migrations} | {m.down_path for m in source.migrations}
    return sorted(set(only) - known)
