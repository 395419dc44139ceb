# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the pooler learns whom to let in: a login that can do nothing but call one function. Pure.

The function answers with the verifier of an ordinary login that has not expired (CVE-2025-2291), and with nothing for
superusers, replication roles, roles without row-level security, and members of a superuser. It runs as its owner, so
its search_path is pinned and every name in it is qualified (PostgreSQL manual, CREATE FUNCTION, "Writing SECURITY
DEFINER Functions Safely").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._plan import (
    Change,
    DbopsError,
    Ident,
    Literal,
    Plan,
    Secret,
    Sql,
    Step,
)
from ansible_collections.dbops.postgres.plugins.module_utils._secrets import scram_verifier, verifies

SCHEMA = "dbops_pooler"
FUNCTION = "lookup"
LOOKUP = "SELECT username, password FROM dbops_pooler.lookup($1)"
CONFIG = ("search_path=pg_catalog, pg_temp",)

BODY = """
  SELECT a.rolname::pg_catalog.text, a.rolpassword
    FROM pg_catalog.pg_authid a
   WHERE a.rolname = $1
     AND a.rolcanlogin
     AND NOT a.rolsuper AND NOT a.rolreplication AND NOT a.rolbypassrls
     AND (a.rolvaliduntil IS NULL OR a.rolvaliduntil > pg_catalog.now())
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_authid s
                      WHERE s.rolsuper AND pg_catalog.pg_has_role(a.oid, s.oid, 'MEMBER'))
"""


@dataclass(frozen=True)
class Login:
    """The pooler's login as it is. ``verifier`` None: without a password; ``readable`` False: it cannot be seen."""

    attributes: frozenset[str]
    connection_limit: int
    verifier: str | None
    member_of: tuple[str, ...]
    readable: bool = True


@dataclass(frozen=True)
class Function:
    """The function as it is in one database, with who may execute it."""

    body: str
    owner_is_superuser: bool
    definer: bool
    config: tuple[str, ...]
    grantees: frozenset[str]

    @property
    def safe(self) -> bool:
        """Whether it is the one below, run as its owner with a pinned search_path."""
        return self.definer and self.owner_is_superuser and (self.body, self.config) == (BODY, CONFIG)


@dataclass(frozen=True)
class Database:
    """One database: whether the login may connect, use the schema, and what the function is (None: not there)."""

    connect: bool
    schema: bool
    usage: bool
    schema_grantees: frozenset[str]
    function: Function | None


NOTHING = Database(connect=False, schema=False, usage=False, schema_grantees=frozenset(), function=None)


def plan(
    user: str,
    password: str,
    limit: int,
    databases: Sequence[str],
    login: Login | None,
    seen: Mapping[str, Database],
) -> Plan:
    """The statements that make login, grants and function what they have to be.

    :param limit: connections of the login at once.
    :param seen: by database.
    :raises DbopsError: the login exists and is a superuser.
    """
    steps: list[Step] = []
    changes: list[Change] = []
    _login(user, password, limit, login, steps, changes)
    for name in databases:
        before = len(steps)
        _database(name, user, seen[name], steps)
        if len(steps) > before:
            old = "as it should not be" if seen[name].function else None
            changes.append(Change(f"look-up of passwords in {name}", old, f"{SCHEMA}.{FUNCTION}, for {user} only"))
    return Plan(tuple(steps), tuple(changes))


def _login(user: str, password: str, limit: int, login: Login | None, steps: list[Step], changes: list[Change]) -> None:
    role = Ident(user)
    subject = f"role {user}"
    if login is None:
        template = "CREATE ROLE {} LOGIN NOINHERIT CONNECTION LIMIT {} PASSWORD {}"
        steps.append(Step(subject, Sql(template, (role, Literal(limit), Secret(scram_verifier(password))))))
        changes.append(Change(subject, None, f"login, {limit} connections"))
        return
    if "superuser" in login.attributes:
        raise DbopsError(
            f"Role {user!r} is a superuser", "The pooler must not be one: name another pgbouncer_auth_user."
        )
    was, now = [], []
    if login.attributes != {"login"} or login.connection_limit != limit:
        template = "ALTER ROLE {} LOGIN NOINHERIT NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT {}"
        steps.append(Step(subject, Sql(template, (role, Literal(limit)))))
        was.append(f"{', '.join(sorted(login.attributes)) or 'no login'}, {login.connection_limit} connections")
        now.append(f"login, {limit} connections")
    if login.readable and not verifies(password, login.verifier):
        steps.append(Step(subject, Sql("ALTER ROLE {} PASSWORD {}", (role, Secret(scram_verifier(password))))))
        was.append("another password")
        now.append("the declared password")
    for group in login.member_of:
        steps.append(Step(subject, Sql("REVOKE {} FROM {}", (Ident(group), role))))
        was.append(f"member of {group}")
    if was:
        changes.append(Change(subject, "; ".join(was), "; ".join(now) or "member of nothing"))


def _database(name: str, user: str, seen: Database, steps: list[Step]) -> None:
    role, schema = Ident(user), Ident(SCHEMA)
    function = Sql("{}(text)", (Ident(SCHEMA, FUNCTION),))
    subject = f"{SCHEMA}.{FUNCTION} in {name}"

    def add(template: str, *arguments: Ident | Sql) -> None:
        steps.append(Step(subject, Sql(template, arguments), database=name))

    if not seen.connect:
        add("GRANT CONNECT ON DATABASE {} TO {}", Ident(name), role)
    if not seen.schema:
        add("CREATE SCHEMA {}", schema)
    for grantee in sorted(seen.schema_grantees - {user}):
        add("REVOKE ALL ON SCHEMA {} FROM " + _grantee(grantee), schema, *_grantee_arguments(grantee))
    if not seen.usage:
        add("GRANT USAGE ON SCHEMA {} TO {}", schema, role)
    found = seen.function
    if found is None or not found.safe:
        if found:
            add("DROP FUNCTION {}", function)
        add(
            "CREATE FUNCTION {}(text) RETURNS TABLE (username text, password text)"
            " LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp"
            f" AS $lookup${BODY}$lookup$",
            Ident(SCHEMA, FUNCTION),
        )
        add("REVOKE ALL ON FUNCTION {} FROM PUBLIC", function)
        add("GRANT EXECUTE ON FUNCTION {} TO {}", function, role)
        return
    for grantee in sorted(found.grantees - {user}):
        add("REVOKE ALL ON FUNCTION {} FROM " + _grantee(grantee), function, *_grantee_arguments(grantee))
    if user not in found.grantees:
        add("GRANT EXECUTE ON FUNCTION {} TO {}", function, role)


def _grantee(name: str) -> str:
    return "{}" if name else "PUBLIC"


def _grantee_arguments(name: str) -> tuple[Ident, ...]:
    return (Ident(name),) if name else ()
