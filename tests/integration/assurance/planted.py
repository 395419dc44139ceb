# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults planted one at a time into a good schema, each in a transaction that is rolled back: are they found?

The faults and the good schemas are those of the domains' own tests. Here they are one table, and another judge, a
file of SQL that returns a row for each finding, can be asked the same.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from psycopg2 import extensions

from ansible_collections.dbops.postgres.plugins.module_utils._constraints import run as run_constraints
from ansible_collections.dbops.postgres.plugins.module_utils._constraints import spec as spec_constraints
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status
from ansible_collections.dbops.postgres.plugins.module_utils._indexes import judge as judge_indexes
from ansible_collections.dbops.postgres.plugins.module_utils._indexes import normal as normal_indexes
from ansible_collections.dbops.postgres.plugins.module_utils._indexes import observe as observe_indexes
from ansible_collections.dbops.postgres.plugins.module_utils._indexes import spec as spec_indexes
from ansible_collections.dbops.postgres.plugins.module_utils._rls import check as check_policies
from ansible_collections.dbops.postgres.plugins.module_utils._rls import judge as judge_policies
from ansible_collections.dbops.postgres.plugins.module_utils._rls import observe as observe_policies
from ansible_collections.dbops.postgres.plugins.module_utils._rls import spec as spec_policies
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import from_data
from tests.integration.constraints import defects as constraints
from tests.integration.indexes import defects as indexes
from tests.integration.rls import defects as policies
from tests.integration.rls import schemas as policies_schemas
from tests.integration.servers import Database, Server, create_database, drop_database


class Defect(Protocol):
    """A fault, as each domain declares its own."""

    @property
    def name(self) -> str:
        """In words."""

    @property
    def sql(self) -> str:
        """The statements that plant it."""

    @property
    def rule(self) -> str:
        """What must find it."""


@dataclass(frozen=True)
class Domain:
    """A good schema, what can be wrong with it, and who judges.

    :param make: makes the good schema.
    :param search_path: in which the faults are written.
    :param look: all findings, within a transaction.
    :param hit: whether a finding is the one that a fault must have.
    """

    name: str
    make: Callable[[Database], None]
    defects: Sequence[Defect]
    look: Callable[[extensions.cursor, Database], list[Finding]]
    hit: Callable[[Defect, Finding], bool]
    search_path: str = "public"


@dataclass(frozen=True)
class Row:
    """One planted fault. ``other``: whether the other judge saw a difference; None: it was not asked."""

    domain: str
    name: str
    found: bool
    other: bool | None = None


def bad(findings: Sequence[Finding]) -> list[Finding]:
    """What is a fault, or could not be looked at."""
    return [finding for finding in findings if finding.status in (Status.FAIL, Status.ERROR)]


def rows(server: Server, domain: Domain, other: str = "") -> Iterator[Row]:
    """Plant every fault of a domain. The first row is the good schema, "found" if something is wrong with it.

    :param other: the SQL of the other judge.
    """
    database = create_database(server)
    try:
        domain.make(database)
        connection = database.connect(autocommit=False)
        with _transaction(connection) as cursor:
            clean = bad(domain.look(cursor, database))
        before = _asked(connection, other)
        yield Row(domain.name, GOOD, bool(clean), None if before is None else bool(before))
        for defect in domain.defects:
            plant = partial(_plant, domain=domain, database=database, defect=defect)
            with _transaction(connection) as cursor:
                plant(cursor)
                found = any(domain.hit(defect, finding) for finding in bad(domain.look(cursor, database)))
            after = _asked(connection, other, plant)
            seen = None if before is None or after is None else _differs(after - before, defect)
            yield Row(domain.name, defect.name, found, seen)
        connection.close()
    finally:
        drop_database(database)


GOOD = "(the good schema)"


def _differs(new: set[tuple[str, str]], defect: Defect) -> bool:
    """Every index without traffic is called unused; that says nothing of any other fault."""
    return any(name != "unused_index" or "unused" in defect.rule for name, _key in new)


def _plant(cursor: extensions.cursor, domain: Domain, database: Database, defect: Defect) -> None:
    cursor.execute(f"SET LOCAL search_path = {domain.search_path}")
    cursor.execute(defect.sql.replace("{prefix}", database.prefix))
    cursor.execute("SET LOCAL search_path = ''")


@contextmanager
def _transaction(connection: extensions.connection) -> Generator[extensions.cursor, None, None]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL search_path = ''; SET LOCAL statement_timeout = '20s'")
            yield cursor
    finally:
        connection.rollback()


# The other judge knows the roles of one vendor. Everybody who may do anything here becomes a member of them, and every
# schema is exposed, so that it sees as much as it can.
_CHANCE = """
DO $$
DECLARE known name;
BEGIN
    FOREACH known IN ARRAY ARRAY['anon', 'authenticated'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = known) THEN EXECUTE format('CREATE ROLE %I', known); END IF;
    END LOOP;
    FOR known IN SELECT DISTINCT r.rolname FROM pg_class c, aclexplode(c.relacl) x, pg_roles r
                  WHERE r.oid = x.grantee AND NOT r.rolsuper AND r.rolname !~ '^pg_' AND r.oid <> c.relowner LOOP
        EXECUTE format('GRANT %I TO authenticated', known);
    END LOOP;
    PERFORM set_config('pgrst.db_schemas', (SELECT string_agg(nspname, ',') FROM pg_namespace
                        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'), true);
END $$
"""


def _asked(
    connection: extensions.connection, other: str, plant: Callable[[extensions.cursor], None] | None = None
) -> set[tuple[str, str]] | None:
    """Name and key of what the other judge finds."""
    if not other:
        return None
    with _transaction(connection) as cursor:
        if plant:
            plant(cursor)
        cursor.execute("SET LOCAL search_path = pg_catalog")
        cursor.execute(_CHANCE)
        cursor.execute(other)
        columns = [column.name for column in cursor.description or ()]
        name, key = columns.index("name"), columns.index("cache_key")
        return {(row[name], row[key]) for row in cursor.fetchall()}


def _make_indexes(database: Database) -> None:
    connection = database.connect()
    with connection.cursor() as cursor:
        cursor.execute((Path(indexes.__file__).with_name("good.sql")).read_text(encoding="utf-8"))
        cursor.execute("SELECT pg_stat_force_next_flush()")
    connection.close()


def _look_at_indexes(cursor: extensions.cursor, _database: Database) -> list[Finding]:
    spec = spec_indexes.parse(indexes.SPEC)
    seen = replace(observe_indexes.catalog(cursor, [], usage=True), standbys=0)
    return judge_indexes.judge(seen, spec, normal_indexes.written(cursor, seen, spec.required))


def _hits(defect: Defect, finding: Finding) -> bool:
    return defect.rule == finding.title and getattr(defect, "subject", "") in finding.subject


def _make_policies(database: Database) -> None:
    policies_schemas.make(database, "aria")


def _look_at_policies(cursor: extensions.cursor, database: Database) -> list[Finding]:
    connection = cursor.connection
    spec = spec_policies.parse(policies_schemas.aria(database.prefix))
    state = observe_policies.observe(connection, spec)
    _cells, found = check_policies.attempts(connection, state, spec, check_policies.tried(state, spec), within=True)
    return [*judge_policies.judge(state, spec), *found]


def _hits_policy(defect: Defect, finding: Finding) -> bool:
    rule = "" if defect.rule == policies.MATRIX else defect.rule
    return rule == finding.title and getattr(defect, "subject", "") in finding.subject


def _make_constraints(database: Database) -> None:
    connection = database.connect()
    with connection.cursor() as cursor:
        cursor.execute((Path(constraints.__file__).with_name("hard.sql")).read_text(encoding="utf-8"))
    connection.close()


def _look_at_constraints(cursor: extensions.cursor, _database: Database) -> list[Finding]:
    spec = spec_constraints.parse(from_data({"constraints": constraints.SPEC}))
    return list(run_constraints.examine(cursor.connection, spec).findings)


DOMAINS = (
    Domain("rls", _make_policies, policies.DEFECTS, _look_at_policies, _hits_policy),
    Domain("constraints", _make_constraints, constraints.DEFECTS, _look_at_constraints, _hits, "hard, public"),
    Domain("indexes", _make_indexes, indexes.DEFECTS, _look_at_indexes, _hits, "app, public"),
)
