# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole run of ``pg_constraint_check``: look, try, judge."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import judge
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.observe import observe, sequences
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.prove import LOCK_TIMEOUT, prove
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.spec import Spec, parse
from ansible_collections.dbops.postgres.plugins.module_utils._constraints.state import (
    NOT_NULL,
    NOT_TRIED,
    Constraint,
    Database,
    Proof,
)
from ansible_collections.dbops.postgres.plugins.module_utils._environment import is_production
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import (
    Login,
    capabilities,
    connect,
    in_the_way,
    told,
)
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError, SpecFile

with suppress(ImportError):  # connect() says so
    import psycopg2

if TYPE_CHECKING:
    from psycopg2 import extensions

PRODUCTION_WORDS = "try the constraints on the production server"


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


def run(login: Login, name: str, file: SpecFile, schemas: Sequence[str], said: str) -> Outcome:
    """Prove the constraints of a database in one transaction, which is rolled back.

    :param schemas: only those of these schemas; empty: those of the spec file, or all. Tables of other schemas that
        are referenced get parent rows all the same.
    :param said: the words of ``i_know_this_is_production``.
    :raises DbopsError: the spec file is wrong, the server is a replica, or there is no such schema.
    """
    try:
        spec = parse(file)
        said_right(said)
        connection = connect(login, name)
        try:
            return _run(connection, login.place, spec, schemas or spec.schemas, said)
        except psycopg2.Error as error:
            raise DbopsError(
                f"The constraints of {name} could not be tried: {told(error)}", in_the_way(connection, error)
            ) from None
        finally:
            connection.close()  # which rolls back
    except SpecError as error:
        raise file.located(error) from None


def _run(connection: extensions.connection, place: str, spec: Spec, schemas: Sequence[str], said: str) -> Outcome:
    if capabilities(connection).in_recovery:
        raise DbopsError(f"The server at {place} is a replica", "Run this against the primary.")
    with connection.cursor() as cursor:
        # PostgreSQL shows no expression of a table that somebody holds locked.
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; SET LOCAL statement_timeout = '60s'")
    return examine(connection, spec, schemas, said)


def said_right(said: str) -> None:
    """Other words than those that are asked for are a mistake, not a no."""
    if said and said != PRODUCTION_WORDS:
        raise DbopsError(
            f"i_know_this_is_production is {said!r}, which are not the words that are asked for",
            f"Say i_know_this_is_production: {PRODUCTION_WORDS!r}, or leave it out.",
        )


def examine(connection: extensions.connection, spec: Spec, schemas: Sequence[str] = (), said: str = "") -> Outcome:
    """The same over an open connection, whose transaction is then as it was before."""
    database = observe(connection)
    _known(database, schemas, spec)
    chosen = choose(database, schemas)
    production = is_production(database.environment)
    allowed = not production or said == PRODUCTION_WORDS
    before = sequences(connection)
    with connection.cursor() as cursor:
        tried, there, unseen = prove(cursor, database, chosen, spec, write=allowed, alter=not production)
    after = sequences(connection)
    forbidden = "" if allowed else _forbidden(database)
    if forbidden:
        tried = [Proof(item.id, NOT_TRIED, forbidden) for item in chosen]
    proofs = tuple(judge.settled(database, chosen, tried, there, spec))
    moved = tuple(sorted(key for key, value in after.items() if before.get(key, value) != value))
    found = [*judge.findings(database, proofs, spec, forbidden), *judge.unseen(database, unseen)]
    return Outcome(database, proofs, tuple(found), moved)


def _forbidden(database: Database) -> str:
    return (
        f"the server says that it is {database.environment} (cluster_name): rows are not tried in its tables, although "
        f"they are rolled back; say i_know_this_is_production: {PRODUCTION_WORDS!r}, or try a copy"
    )


def choose(database: Database, schemas: Sequence[str]) -> list[Constraint]:
    """The constraints to prove: those of the schemas, without those of extensions."""
    found = []
    for item in database.constraints.values():
        if item.domain:
            kind = database.types.get(item.domain)
            schema = database.domain_schemas.get(item.domain, "")
            if (
                kind is not None
                and schema
                and (item.expression or item.kind == NOT_NULL)
                and (not schemas or schema in schemas)
            ):
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
