# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole run of ``pg_constraint_check``: look, try, judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import judge
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.observe import observe, sequences
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.prove import prove
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.spec import Spec
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import Constraint, Database, Proof
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login, capabilities, connect
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError

PRODUCTION = ("prod", "production", "live")


@dataclass(frozen=True)
class Outcome:
    """What a run found."""

    database: Database
    proofs: tuple[Proof, ...]
    findings: tuple[Finding, ...]
    sequences: tuple[str, ...]

    @property
    def coverage(self) -> float:
        """Percent."""
        return round(judge.coverage(self.proofs), 1)

    def listed(self) -> list[dict[str, Any]]:
        """The constraints as the module returns them."""
        return judge.listed(self.database, self.proofs)


def run(login: Login, name: str, spec: Spec, schemas: Sequence[str], *, production: bool) -> Outcome:
    """Prove the constraints of a database in one transaction, which is rolled back.

    :param schemas: only those of these schemas; empty: all. Parents of other schemas get rows all the same.
    :raises DbopsError: it is production and nobody said so, a replica, or a schema that does not exist.
    """
    connection = connect(login, name)
    try:
        if capabilities(connection).in_recovery:
            raise DbopsError(f"The server at {login.place} is a replica", "Run this against the primary.")
        database = observe(connection)
        if database.environment in PRODUCTION and not production:
            raise DbopsError(
                f"The server of {name} says that it is {database.environment} (cluster_name); rows are tried in its "
                "tables, in a transaction that is rolled back",
                "Set i_know_this_is_production to true if that is meant.",
            )
        _known(database, schemas, spec)
        chosen = choose(database, schemas)
        before = sequences(connection)
        connection.rollback()
        tried, there, unseen = prove(connection, database, chosen, spec.values)
        after = sequences(connection)
        connection.rollback()
    finally:
        connection.close()
    proofs = tuple(judge.settled(database, chosen, tried, there, spec))
    moved = tuple(sorted(key for key, value in after.items() if before.get(key, value) != value))
    found = [*judge.findings(database, proofs, spec), *judge.unseen(database, unseen)]
    return Outcome(database, proofs, tuple(found), moved)


def choose(database: Database, schemas: Sequence[str]) -> list[Constraint]:
    """The constraints to prove: those of the schemas, without those of extensions."""
    found = []
    for item in database.constraints.values():
        if item.domain:
            kind = database.types.get(item.domain)
            schema = database.domain_schemas.get(item.domain, "")
            if kind is not None and schema and item.expression and (not schemas or schema in schemas):
                found.append(item)
            continue
        table = database.tables[item.table]
        if not table.extension and (not schemas or table.schema in schemas):
            found.append(item)
    return found


def _known(database: Database, schemas: Sequence[str], spec: Spec) -> None:
    there = {table.schema for table in database.tables.values()} | set(database.domain_schemas.values())
    for schema in schemas:
        if schema not in there:
            raise DbopsError(f"Database {database.name} has no schema {schema!r} with tables")
    for name in spec.values:
        known = {f"{table.shown}.{column}" for table in database.tables.values() for column in table.columns}
        if name not in known:
            raise SpecError(("constraints", "values", name), "there is no such column.")
