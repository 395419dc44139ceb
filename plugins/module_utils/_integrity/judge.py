# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a database's integrity. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from fnmatch import fnmatchcase

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Control, Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.spec import Spec
from ansible_collections.dbops.postgres.plugins.module_utils._integrity.state import (
    Amcheck,
    Asserted,
    Constraint,
    Observed,
    Referred,
    Sequence,
)

CONTROLS = (
    Control(
        "T-3", "Integrity checks", Severity.HIGH, "Declared assertions hold, amcheck finds nothing, checksums are on."
    ),
)

ASSERTION, REFERENCE, SEQUENCE, CONSTRAINT, DISABLED, INDEX, CHECKSUMS, FAILURES, AMCHECK = (
    "assertion",
    "logical reference",
    "sequence near its end",
    "constraint not valid",
    "constraint disabled",
    "invalid index",
    "checksums",
    "checksum failures",
    "amcheck",
)

MOST_ROWS = 1000
_BESIDES = " besides what the spec file ignores"


def judge(seen: Observed, spec: Spec) -> list[Finding]:
    """All findings. A rule that nothing breaks is one finding that it holds."""
    findings = [
        *map(_assertion, seen.asserted),
        *map(_reference, seen.referred),
        *_sequences(seen.sequences, spec.sequence_percent),
        *_constraints(seen.constraints),
        *(_found(INDEX, name, Status.FAIL, "PostgreSQL does not use it.", mend) for name, mend in seen.invalid_indexes),
        *_checksums(seen),
        *_amcheck(seen.amcheck),
    ]
    ignored = {
        finding
        for finding in findings
        if finding.status is Status.FAIL and any(fnmatchcase(finding.subject, pattern) for pattern in spec.ignore)
    }
    findings = [finding for finding in findings if finding not in ignored]
    return findings + _held(findings, seen, {finding.title for finding in ignored})


def _held(findings: Iterable[Finding], seen: Observed, ignored: Set[str]) -> list[Finding]:
    said = {finding.title for finding in findings}
    constraints, indexes, sequences = seen.counted
    looked = {
        SEQUENCE: (sequences, "sequences"),
        CONSTRAINT: (constraints, "constraints"),
        DISABLED: (constraints, "constraints"),
        INDEX: (indexes, "indexes"),
        **({AMCHECK: (seen.amcheck.indexes, "other btree indexes")} if AMCHECK in ignored and seen.amcheck else {}),
    }
    return [
        _found(
            title,
            "database",
            Status.PASS if count else Status.NOT_APPLICABLE,
            f"None{_BESIDES * (title in ignored)}: {count:,} {what} looked at.",
        )
        for title, (count, what) in looked.items()
        if title not in said
    ]


def _assertion(asserted: Asserted) -> Finding:
    assertion = asserted.assertion
    if asserted.problem:
        return _found(ASSERTION, assertion.name, Status.ERROR, asserted.problem, "Mend it.", assertion.severity)
    if not asserted.rows:
        return _found(ASSERTION, assertion.name, Status.PASS, "It returns no row.", severity=assertion.severity)
    count = f"{asserted.rows} or more" if asserted.rows >= MOST_ROWS else str(asserted.rows)
    text = f"It returns {count} row(s)" + (f": {'; '.join(asserted.shown)}." if asserted.shown else ".")
    return _found(
        ASSERTION, assertion.name, Status.FAIL, text, "Mend these rows, and what lets them be.", assertion.severity
    )


def _reference(referred: Referred) -> Finding:
    reference = referred.reference
    target = ".".join(reference.target) + (f" in {reference.database}" if reference.database else "")
    if referred.problem:
        return _found(REFERENCE, reference.name, Status.ERROR, referred.problem, "Mend the spec, or the target.")
    if not referred.keys:
        return _found(REFERENCE, reference.name, Status.NOT_APPLICABLE, "No row refers to anything.")
    text = f"{referred.orphans:,} of {referred.keys:,} different values are not in {target}."
    if not referred.orphans:
        return _found(REFERENCE, reference.name, Status.PASS, text)
    remedy = "Delete or mend the orphans; in one database a foreign key keeps them out."
    return _found(REFERENCE, reference.name, Status.FAIL, text, remedy)


def _sequences(sequences: Iterable[Sequence], percent: int) -> list[Finding]:
    findings = []
    for sequence in sequences:
        if not sequence.readable:
            remedy = "GRANT SELECT on it."
            findings.append(
                _found(SEQUENCE, sequence.name, Status.ERROR, "The connected role may not read it.", remedy)
            )
            continue
        end, whose = sequence.end, "its own"
        if sequence.column_end is not None and abs(sequence.column_end) < abs(end):
            end, whose = sequence.column_end, f"that of {sequence.column}"
        elif sequence.cycles:  # its own end is no end
            continue
        if sequence.last is None:
            continue
        used = 100 * (sequence.last - sequence.first) / (end - sequence.first) if end != sequence.first else 100.0
        if used < percent:
            continue
        text = f"It is at {sequence.last:,}, {used:.1f} % of the way to {end:,}, {whose} end: then every INSERT fails."
        remedy = "Make the column bigint, by a migration that does not lock the table for long."
        if sequence.column_end is None or abs(sequence.column_end) > abs(end):
            remedy = "ALTER SEQUENCE ... AS bigint MAXVALUE 9223372036854775807; the column must hold that as well."
        findings.append(_found(SEQUENCE, sequence.name, Status.FAIL, text, remedy))
    return findings


def _constraints(constraints: Iterable[Constraint]) -> list[Finding]:
    findings = []
    for item in constraints:
        subject = f"{item.table}: {item.name}"
        if not item.validated:
            text = "It is NOT VALID: rows that were there before it may violate it."
            remedy = f"ALTER TABLE {item.sql_table} VALIDATE CONSTRAINT {item.sql_name};"
            findings.append(_found(CONSTRAINT, subject, Status.FAIL, text, remedy))
        if item.disabled:
            text = f"{item.disabled} of the triggers that enforce it are disabled: nobody checks it."
            remedy = f"ALTER TABLE {item.sql_table} ENABLE TRIGGER ALL; on the table that it refers to as well."
            findings.append(_found(DISABLED, subject, Status.FAIL, text, remedy))
    return findings


def _checksums(seen: Observed) -> list[Finding]:
    if not seen.checksums:
        text = "data_checksums = off: a page that the disk has changed is not noticed."
        remedy = (
            "Stop the server and run pg_checksums --enable, or set up the next cluster with initdb --data-checksums."
        )
        off = _found(CHECKSUMS, "data_checksums", Status.FAIL, text, remedy, Severity.MEDIUM)
        text = "Checksums are off, so failures are not noticed."
        return [off, _found(FAILURES, "database", Status.NOT_TESTED, text)]
    on = _found(CHECKSUMS, "data_checksums", Status.PASS, "data_checksums = on")
    if not seen.checksum_failures:
        return [on, _found(FAILURES, "database", Status.PASS, "pg_stat_database counts none.")]
    text = f"pg_stat_database counts {seen.checksum_failures}, the last at {seen.last_failure or 'an unknown time'}."
    remedy = "Look for a failing disk; find the pages (server log, amcheck, pg_checksums --check); restore them."
    return [on, _found(FAILURES, "database", Status.FAIL, text, remedy, Severity.CRITICAL)]


def _amcheck(amcheck: Amcheck | None) -> list[Finding]:
    if amcheck is None:
        return [_found(AMCHECK, "database", Status.NOT_TESTED, "It was not asked for.", "Set the option amcheck.")]
    if amcheck.blind:
        return [_found(AMCHECK, "database", Status.NOT_TESTED, amcheck.blind, amcheck.remedy)]
    remedy = (
        "An index: REINDEX INDEX CONCURRENTLY, and find the cause. A table: restore; keep a copy of the files first."
    )
    if amcheck.problems:
        return [
            _found(AMCHECK, name, Status.ERROR if _not_asked(text) else Status.FAIL, text, remedy, Severity.CRITICAL)
            for name, text in amcheck.problems
        ]
    heaps = f" and {amcheck.tables} tables" if amcheck.tables else ""
    if not amcheck.indexes and not amcheck.tables:
        return [_found(AMCHECK, "database", Status.NOT_APPLICABLE, "There is no btree index.")]
    return [_found(AMCHECK, "database", Status.PASS, f"{amcheck.indexes} btree indexes{heaps} are sound.")]


def _not_asked(text: str) -> bool:
    """Whether amcheck did not come to an answer: a timeout, a lock that was not to be had, a permission. Corruption is
    of class XX, a disk that does not read of class 58 (PostgreSQL manual, appendix A)."""
    return bool(re.search(r"\(SQLSTATE (?!XX|58)\w+\)$", text))


def _found(
    title: str, subject: str, status: Status, evidence: str, remedy: str = "", severity: Severity = Severity.HIGH
) -> Finding:
    return Finding("T-3", subject, severity, status, evidence, remedy, title=title)
