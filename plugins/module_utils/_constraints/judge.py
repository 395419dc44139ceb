# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the answers of PostgreSQL: proofs, coverage, findings. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._constraints.spec import Exemption, Expected, Spec
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    CHECK,
    EXCLUSION,
    EXEMPT,
    FOREIGN_KEY,
    KEYS,
    NOT_ENFORCED,
    NOT_NULL,
    NOT_TRIED,
    PROVEN,
    Constraint,
    Database,
    Proof,
    Rejection,
)
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Control, Finding, Severity, Status

CONTROL = "T-2"
CONTROLS = (Control(CONTROL, "Constraint proof", Severity.HIGH, "Every constraint rejects a violating row."),)
_STATES = {**dict.fromkeys(KEYS, "23505"), FOREIGN_KEY: "23503", CHECK: "23514", NOT_NULL: "23502", EXCLUSION: "23P01"}


def matches(rejection: Rejection | None, item: Constraint, places: Iterable[str]) -> bool:
    """Whether an error is that of this constraint.

    :param places: for NOT NULL and checks the tables (``schema.table``) whose error counts; otherwise the constraints
        (``schema.table.constraint``): it may be a partition that speaks for its parent.
    """
    if rejection is None or rejection.sqlstate != _STATES[item.kind]:
        return False
    where = f"{rejection.schema}.{rejection.table}"
    if item.kind == NOT_NULL:
        return rejection.column in item.columns and where in places
    if item.kind == CHECK:
        return rejection.constraint == item.name and where in places
    return f"{where}.{rejection.constraint}" in places


def expected(item: Constraint, rejection: Rejection | None, written: int, triggers: str, always: str = "") -> Proof:
    """The proof of a constraint whose violation did not end with its own error.

    :param always: triggers that cannot be switched off for one row; they may have changed it.
    """
    if rejection is None and written and always:
        return Proof(item.id, NOT_TRIED, f"a row was accepted that a trigger may have changed ({always})")
    if rejection is None and written:
        return Proof(item.id, NOT_ENFORCED, "a row that violates it was accepted")
    if rejection is None:
        return Proof(item.id, NOT_TRIED, f"a trigger or rule left the row out ({triggers})")
    name = f" of {rejection.constraint}" if rejection.constraint else ""
    message = " ".join(rejection.message.split())
    return Proof(item.id, NOT_TRIED, f"another error{name} came first: {message} (SQLSTATE {rejection.sqlstate})")


def settled(
    database: Database, chosen: Sequence[Constraint], proofs: Iterable[Proof], violated: Mapping[str, str], spec: Spec
) -> list[Proof]:
    """One proof for each chosen constraint, in their order: exemptions and what the catalog says come first.

    :param violated: what rows that are there already violate, ``id`` -> in words.
    """
    by_id = {proof.constraint: proof for proof in proofs}
    found = []
    for item in chosen:
        proof = by_id.get(item.id, Proof(item.id, NOT_TRIED, "it was not reached"))
        reasons = [text for text in (item.trouble, violated.get(item.id, "")) if text]
        if reasons:
            proof = Proof(item.id, NOT_ENFORCED, "; ".join(reasons))
        excuse = spec.excuse(place(database, item), item.name)
        if excuse and proof.result != PROVEN:
            proof = Proof(item.id, EXEMPT, f"{excuse} ({proof.result}: {proof.reason})")
        found.append(proof)
    return found


def place(database: Database, item: Constraint) -> str:
    """``schema.table``, or the domain."""
    return database.tables[item.table].shown if item.table else f"domain {database.types[item.domain].shown}"


def coverage(proofs: Sequence[Proof]) -> float:
    """Percent of the constraints that are not exempt that were proven; without any: 100."""
    counted = [proof for proof in proofs if proof.result != EXEMPT]
    return 100.0 * sum(proof.result == PROVEN for proof in counted) / len(counted) if counted else 100.0


def listed(database: Database, proofs: Iterable[Proof]) -> list[dict[str, Any]]:
    """The proofs as a module returns them."""
    found = []
    for proof in proofs:
        item = database.constraints[proof.constraint]
        found.append(
            {
                "table": place(database, item),
                "name": item.name,
                "kind": item.kind,
                "columns": list(item.columns),
                "result": proof.result,
                "reason": proof.reason,
            }
        )
    return found


def findings(database: Database, proofs: Sequence[Proof], spec: Spec, forbidden: str = "") -> list[Finding]:
    """Each constraint that is not proven; for each table how many are; the coverage; what is declared and not there.

    :param forbidden: why no row was tried; then there is nothing to say about coverage.
    """
    found: list[Finding] = []
    proven: dict[str, list[Constraint]] = {}
    untried: dict[str, list[Constraint]] = {}
    for proof in proofs:
        item = database.constraints[proof.constraint]
        if proof.result == PROVEN:
            proven.setdefault(place(database, item), []).append(item)
        elif proof.result == NOT_TRIED:
            untried.setdefault(proof.reason, []).append(item)
        else:
            found.append(_finding(database, proof, item))
    if forbidden:
        found.append(
            Finding(CONTROL, database.name, Severity.HIGH, Status.NOT_TESTED, forbidden, title="constraint not tried")
        )
    else:
        found += [_untried(database, reason, items) for reason, items in untried.items()]
    for where, items in proven.items():
        counts: dict[str, int] = {}
        for item in items:
            counts[item.kind] = counts.get(item.kind, 0) + 1
        kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        found.append(
            Finding(CONTROL, where, Severity.HIGH, Status.PASS, f"proven to reject: {kinds}", title="constraints")
        )
    for wanted in missing(database, spec.expected):
        found.append(
            Finding(
                CONTROL,
                f"{wanted.table}: {wanted.shown}",
                Severity.HIGH,
                Status.FAIL,
                f"declared in the spec file, and not in the database: {wanted.shown} of {wanted.table}",
                "Create it again, or take it out of constraints.expected.",
                title="declared constraint",
            )
        )
    for excuse in idle(database, proofs, spec):
        found.append(
            Finding(
                CONTROL,
                " ".join(part for part in (excuse.table, excuse.constraint) if part),
                Severity.MEDIUM,
                Status.FAIL,
                f"exempt in the spec file, and no such constraint is there: {excuse.reason}",
                "Take it out of constraints.exempt, or correct its names.",
                title="exemption",
            )
        )
    return found if forbidden else [*found, _coverage(database, proofs, spec)]


def _coverage(database: Database, proofs: Sequence[Proof], spec: Spec) -> Finding:
    percent, least = coverage(proofs), spec.minimum_coverage
    counted = [proof for proof in proofs if proof.result != EXEMPT]
    good = percent >= least
    many = sum(proof.result == PROVEN for proof in counted)
    return Finding(
        CONTROL,
        database.name,
        Severity.HIGH,
        (Status.PASS if counted else Status.NOT_APPLICABLE) if good else Status.FAIL,
        f"{many} of {len(counted)} constraints are proven, {percent:.1f} %; at least {least:g} % must be"
        if counted
        else "there is no constraint",
        "" if good else "See the constraints that are not proven; give values or exemptions in the spec file.",
        title="coverage",
    )


def _finding(database: Database, proof: Proof, item: Constraint) -> Finding:
    subject = f"{place(database, item)}: {item.name}"
    evidence = f"{item.kind} {item.name}: {proof.result}: {proof.reason}"
    if proof.result == EXEMPT:
        return Finding(
            CONTROL, subject, Severity.HIGH, Status.WAIVED, evidence, title="exempt constraint", waiver=proof.reason
        )
    return Finding(
        CONTROL, subject, Severity.HIGH, Status.FAIL, evidence, _remedy(proof, item), title="constraint not enforced"
    )


def _untried(database: Database, reason: str, items: Sequence[Constraint]) -> Finding:
    """Constraints that could not be tried for one reason, as one thing to read."""
    places = list(dict.fromkeys(place(database, item) for item in items))
    names = ", ".join(f"{item.kind} {item.name}" for item in items[:5]) + (", ..." if len(items) > 5 else "")
    subject = places[0] if len(places) == 1 else database.name
    return Finding(
        CONTROL,
        f"{subject}: {items[0].name}" if len(items) == 1 else subject,
        Severity.MEDIUM,
        Status.ERROR,
        f"{len(items)} could not be tried ({names}): {reason}",
        "Give values for its columns in constraints.values of the spec file, or exempt it with a reason.",
        title="constraint not tried",
    )


def _remedy(proof: Proof, item: Constraint) -> str:
    if "disabled" in proof.reason:
        return "ALTER TABLE ... ENABLE TRIGGER ALL, then look for rows that got in meanwhile."
    if "NOT VALID" in proof.reason or "violate it" in proof.reason:
        return f"Mend the rows, then ALTER TABLE ... VALIDATE CONSTRAINT {item.name}."
    if "index is invalid" in proof.reason:
        return "REINDEX INDEX CONCURRENTLY, after mending rows that are there twice."
    return "Find out why PostgreSQL takes the row: session_replication_role, a trigger, a changed function."


def idle(database: Database, proofs: Iterable[Proof], spec: Spec) -> list[Exemption]:
    """Exemptions that name nothing that is there: a typing error, or what is left of a dropped constraint."""
    items = [database.constraints[proof.constraint] for proof in proofs]
    named = [(place(database, item), item.name) for item in items]
    return [excuse for excuse in spec.exempt if not any(excuse.names(*name) for name in named)]


def missing(database: Database, wanted: Iterable[Expected]) -> list[Expected]:
    """What is declared and not there."""
    there: dict[str, list[Constraint]] = {}
    for item in database.constraints.values():
        there.setdefault(place(database, item), []).append(item)
    return [entry for entry in wanted if not any(entry.met_by(item) for item in there.get(entry.table, ()))]


def unseen(database: Database, ids: Iterable[str]) -> list[Finding]:
    """Constraints whose rows could not be looked at in time: whether some violate them is not known."""
    found = []
    for identifier in ids:
        item = database.constraints[identifier]
        found.append(
            Finding(
                CONTROL,
                f"{place(database, item)}: {item.name}",
                Severity.MEDIUM,
                Status.ERROR,
                f"whether rows violate {item.kind} {item.name} could not be found out in time",
                "Index its columns, or look for such rows on a copy.",
                title="rows not looked at",
            )
        )
    return found
