# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the check notice? Each policy is dropped or loosened in turn, in a savepoint, and the check is made again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Ident, Sql
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import compose
from ansible_collections.dbops.postgres.plugins.module_utils._rls import matrix
from ansible_collections.dbops.postgres.plugins.module_utils._rls.cells import CONTROL, Cell
from ansible_collections.dbops.postgres.plugins.module_utils._rls.judge import judge
from ansible_collections.dbops.postgres.plugins.module_utils._rls.observe import observe
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import RlsSpec, everybody
from ansible_collections.dbops.postgres.plugins.module_utils._rls.state import RlsState, Table

if TYPE_CHECKING:
    from psycopg2 import extensions

LOCK_TIMEOUT = "2s"


@dataclass(frozen=True)
class Mutation:
    """One change for the worse.

    :param what: in words.
    """

    what: str
    table: int
    sql: Sql


@dataclass(frozen=True)
class Score:
    """How many mutations were noticed, and by what.

    :param survivors: those that nothing noticed.
    :param unseen: those that the rules noticed, but no attempt of an identity.
    """

    mutations: int
    by_rules: int
    by_matrix: int
    survivors: tuple[str, ...]
    unseen: tuple[str, ...]

    @property
    def noticed(self) -> int:
        """By the rules, the matrix or both."""
        return self.mutations - len(self.survivors)

    def as_dict(self) -> dict[str, Any]:
        """As the module returns it."""
        return {
            "mutations": self.mutations,
            "noticed": self.noticed,
            "percent": round(100 * self.noticed / self.mutations, 1) if self.mutations else 0.0,
            "by_rules": self.by_rules,
            "by_matrix": self.by_matrix,
            "survivors": list(self.survivors),
            "not_by_matrix": list(self.unseen),
        }


def mutations(state: RlsState, tables: Sequence[Table]) -> Iterator[Mutation]:
    """Every mutation of these tables and their policies. Pure."""
    for table in tables:
        name = Ident(table.schema, table.name)
        for policy in state.policies:
            if policy.table != table.oid:
                continue
            of = f"policy {policy.name} on {table.full}"
            args = (Ident(policy.name), name)
            yield Mutation(f"{of}: dropped", table.oid, Sql("DROP POLICY {} ON {}", args))
            if policy.using.text not in ("", "true"):
                yield Mutation(f"{of}: USING (true)", table.oid, Sql("ALTER POLICY {} ON {} USING (true)", args))
            if policy.command in ("ALL", "INSERT", "UPDATE") and policy.check.text != "true":
                yield Mutation(
                    f"{of}: WITH CHECK (true)", table.oid, Sql("ALTER POLICY {} ON {} WITH CHECK (true)", args)
                )
        if table.enabled:
            yield Mutation(
                f"{table.full}: row-level security disabled",
                table.oid,
                Sql("ALTER TABLE {} DISABLE ROW LEVEL SECURITY", (name,)),
            )
        if table.forced:
            yield Mutation(
                f"{table.full}: no longer forced", table.oid, Sql("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", (name,))
            )


def run(
    connection: extensions.connection,
    spec: RlsSpec,
    schemas: Sequence[str],
    state: RlsState,
    tables: Sequence[Table],
    cells: Sequence[Cell],
) -> Score:
    """Try each mutation, and look whether the rules or the attempts say something that they did not say before.

    :param cells: what the attempts said without a mutation.
    """
    known = _failed(judge(state, spec))
    by_rules = by_matrix = 0
    survivors, unseen = [], []
    every = list(mutations(state, [table for table in tables if table.kind in ("r", "p")]))
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = %s", (LOCK_TIMEOUT,))
            for mutation in every:
                cursor.execute("SAVEPOINT dbops_mutation")
                cursor.execute(compose(mutation.sql))
                mutant = observe(connection, spec, schemas)
                ruled = bool(_failed(judge(mutant, spec)) - known)
                table = mutant.tables.get(mutation.table)
                tried = (
                    matrix.run(connection, mutant, everybody(spec), [table], spec.tenant_column, within=True)
                    if table
                    else []
                )
                seen = _signs(tried) != _signs(cell for cell in cells if table and cell.table == table.full)
                cursor.execute("ROLLBACK TO SAVEPOINT dbops_mutation; RELEASE SAVEPOINT dbops_mutation")
                by_rules += ruled
                by_matrix += seen
                if not ruled and not seen:
                    survivors.append(mutation.what)
                elif not seen:
                    unseen.append(mutation.what)
    finally:
        connection.rollback()
    return Score(len(every), by_rules, by_matrix, tuple(survivors), tuple(unseen))


def findings(score: Score) -> list[Finding]:
    """A finding for each survivor, or one that says that there is none."""
    found = [
        Finding(
            CONTROL,
            what,
            Severity.HIGH,
            Status.FAIL,
            "this mutation is not noticed: no identity loses or gains anything by it",
            "Declare an identity that needs what it changes; or drop the policy, if nobody does.",
            title="mutation",
        )
        for what in score.survivors
    ]
    if not found:
        found.append(
            Finding(
                CONTROL,
                "mutations",
                Severity.HIGH,
                Status.PASS if score.mutations else Status.NOT_TESTED,
                f"{score.noticed} of {score.mutations} mutations are noticed, {score.by_matrix} of them by what"
                " identities can do",
                title="mutation",
            )
        )
    return found


def _failed(found: Sequence[Finding]) -> set[tuple[str, str, str]]:
    return {(f.subject, f.title, f.evidence) for f in found if f.status is Status.FAIL}


def _signs(cells: Any) -> set[tuple[Any, ...]]:
    return {(cell.identity, cell.command, cell.level, cell.missing, cell.sqlstate) for cell in cells}
