# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One whole check of a database: the rules, the matrix, the snapshot, the mutations."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Severity, Status
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import (
    Login,
    in_the_way,
    refuse_unknown_schemas,
    told,
)
from ansible_collections.dbops.postgres.plugins.module_utils._rls import cells, matrix, mutate, pooled, snapshot
from ansible_collections.dbops.postgres.plugins.module_utils._rls.judge import RULES, judge
from ansible_collections.dbops.postgres.plugins.module_utils._rls.observe import observe
from ansible_collections.dbops.postgres.plugins.module_utils._rls.spec import EVERY, RlsSpec, allow, everybody
from ansible_collections.dbops.postgres.plugins.module_utils._rls.state import RlsState, Table
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecError, near

with contextlib.suppress(ImportError):  # connect() says so before anything of this file runs
    import psycopg2

if TYPE_CHECKING:
    from psycopg2 import extensions

HOW = (
    "Declare identities in the spec file: name, role, settings (app.tenant_id, request.jwt.claims, ...) and, in sees,"
    " the condition that its rows satisfy"
)


@dataclass(frozen=True)
class Options:
    """What a run may do.

    :param production: the words of ``i_know_this_is_production``.
    :param throwaway: the database that is declared to be a throwaway one.
    :param before: the snapshot; None: there is none.
    :param pool: how to reach a pool in transaction mode before the same database; None: there is none.
    """

    schemas: tuple[str, ...] = ()
    production: str = ""
    mutate: bool = False
    throwaway: str = ""
    before: cells.Matrix | None = None
    pool: Login | None = None


@dataclass(frozen=True)
class Outcome:
    """What a run found."""

    database: str
    findings: list[Finding]
    matrix: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    narrowed: list[str] = field(default_factory=list)
    score: mutate.Score | None = None


def check(connection: extensions.connection, spec: RlsSpec, options: Options | None = None) -> Outcome:
    """Look at the database of this connection; everything that is tried is rolled back.

    :param connection: as a superuser, or a role that passes by policies, for the matrix. Not in autocommit.
    :raises DbopsError: the spec does not fit the database, or what was asked for must not be done here.
    """
    options = options or Options()
    try:
        return _checked(connection, spec, options)
    except psycopg2.Error as error:
        raise DbopsError(
            f"The check of {_place(connection)} did not come to its end: {told(error)}",
            in_the_way(connection, error),
            untouched="Whatever was tried is rolled back.",
        ) from None


def _checked(connection: extensions.connection, spec: RlsSpec, options: Options) -> Outcome:
    try:
        with connection.cursor() as cursor:
            refuse_unknown_schemas(cursor, _place(connection), options.schemas)
        state = observe(connection, spec, options.schemas)
    finally:
        connection.rollback()
    _fits(spec, state)
    why = allow(
        state.environment,
        options.production,
        mutate=options.mutate,
        database=state.database,
        throwaway=options.throwaway,
    )
    found = judge(state, spec)
    tables = tried(state, spec)
    reason = why or _not_here(state, spec, tables)
    if reason:
        found.append(_untested("matrix", reason))
        return Outcome(state.database, found)
    attempted, seen = attempts(connection, state, spec, tables)
    found += seen
    if options.pool is not None:
        found += pooled.proven(options.pool, state, spec.identities, tables, spec.tenant_column)
    now = cells.matrix(attempted)
    narrowed: list[str] = []
    if options.before is not None:
        found += snapshot.compare(options.before, now)
        narrowed = snapshot.narrowed(options.before, now)
    score = None
    if options.mutate:
        score = mutate.run(connection, spec, options.schemas, state, tables, attempted)
        found += mutate.findings(score)
    return Outcome(state.database, found, now, narrowed, score)


def _place(connection: extensions.connection) -> str:
    return str(connection.info.dbname)


def attempts(
    connection: extensions.connection,
    state: RlsState,
    spec: RlsSpec,
    tables: Sequence[Table],
    *,
    within: bool = False,
) -> tuple[list[cells.Cell], list[Finding]]:
    """Every attempt of every identity, and what follows from it.

    :param within: in the transaction that the caller has begun, which goes on as it was.
    """
    identities = everybody(spec)
    found = matrix.run(connection, state, identities, tables, spec.tenant_column, within=within)
    gaps = matrix.undeclared(state, identities, tables, spec.tenant_column)
    return found, [
        *cells.findings(found),
        *(_untested(gap, "it is not declared which of these rows it sees. Declare it in sees") for gap in gaps),
    ]


def tried(state: RlsState, spec: RlsSpec) -> list[Table]:
    """The tables of the matrix: those with policies or tenants, and the views that show tenants."""
    return [
        table
        for table in state.tables.values()
        if table.kind != "f" and not {table.full, table.name} & spec.whole_exempt
    ]


def _fits(spec: RlsSpec, state: RlsState) -> None:
    for index, identity in enumerate(spec.identities):
        if identity.role not in state.roles:
            raise SpecError(("rls", "identities", index, "role"), f"there is no role {identity.role!r} on this server.")
    for index, role in enumerate(spec.application_roles):
        if role not in state.roles:
            raise SpecError(("rls", "application_roles", index), f"there is no role {role!r} on this server.")
    rules = [rule.name for rule in RULES]
    for index, item in enumerate(spec.exempt):
        for number, rule in enumerate(item.rules):
            if rule not in rules:
                at = ("rls", "exempt", index, "rules", number)
                raise SpecError(at, f"there is no rule {rule!r}.", near(rule, rules))
    known = {name for table in state.tables.values() for name in (table.full, table.name)}
    for index, name in enumerate(spec.tables):
        if name not in known:
            raise SpecError(("rls", "tables", index), f"there is no table {name!r} in {state.database}.")
    for index, identity in enumerate(spec.identities):
        for key, places in (("sees", identity.sees), ("writes", identity.writes)):
            for place in places:
                if place != EVERY and place not in known:
                    where = ("rls", "identities", index, key, place)
                    raise SpecError(where, f"there is no table {place!r} in {state.database}.")
    if spec.tenant_column and not any(table.column(spec.tenant_column) for table in state.tables.values()):
        raise SpecError(("rls", "tenant_column"), f"no table in {state.database} has a column {spec.tenant_column!r}.")


def _not_here(state: RlsState, spec: RlsSpec, tables: Sequence[Table]) -> str:
    if not spec.identities:
        return f"nobody is declared whose access could be tried. {HOW}"
    if not tables:
        return "no table has a tenant column or policies"
    if state.capabilities.in_recovery:
        return "this is a replica, where nothing can be written, not even to be rolled back. Try it on the primary"
    if not state.bypasses:
        return (
            f"{state.capabilities.user} does not pass by policies itself, so it cannot know the rows of others. Connect"
            " as a superuser, or as a role with BYPASSRLS, the right to write the tables, to SET ROLE to the identities"
            " and to SET session_replication_role (GRANT SET ON PARAMETER, PostgreSQL 15 and later)"
        )
    return ""


def _untested(subject: str, why: str) -> Finding:
    return Finding(cells.CONTROL, subject, Severity.CRITICAL, Status.NOT_TESTED, f"{why}.", title="matrix")
