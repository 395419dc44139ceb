# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""S-5 least privilege: what the catalog alone can prove of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge import hba
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Outcome,
    fails,
    irrelevant,
    names,
    none_of,
    passes,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Database,
    Inside,
    Membership,
    Observed,
    Role,
    Server,
    Thresholds,
    look,
)

WRITES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
# Roles that reach beyond the database (PostgreSQL manual, 21.5), or write to every table.
POWERFUL = (
    "pg_execute_server_program",
    "pg_write_server_files",
    "pg_read_server_files",
    "pg_write_all_data",
    "pg_create_subscription",
)


def reach(roles: Iterable[Role], memberships: Iterable[Membership]) -> dict[str, frozenset[str]]:
    """For each role, itself and every role whose privileges it can use, also by SET ROLE."""
    parents: dict[str, set[str]] = {}
    for item in memberships:
        parents.setdefault(item.member, set()).add(item.role)
    result = {}
    for role in roles:
        found = {role.name}
        waiting = [role.name]
        while waiting:
            for parent in parents.get(waiting.pop(), ()):
                if parent not in found:
                    found.add(parent)
                    waiting.append(parent)
        result[role.name] = frozenset(found)
    return result


def server_reach(server: Server) -> dict[str, frozenset[str]]:
    """:func:`reach` of a whole server."""
    return reach(look(server.roles), look(server.memberships))


def logins(server: Server) -> list[Role]:
    """Those that can connect and are not superusers."""
    return [role for role in look(server.roles) if role.login and not role.superuser]


def can_connect(database: Database, held: Iterable[str]) -> bool:
    """Whether a role that holds the privileges of ``held`` has CONNECT."""
    admitted = {grant.grantee for grant in database.grants if grant.privilege == "CONNECT"}
    return "" in admitted or bool(admitted & set(held))


def writes(inside: Inside, held: Iterable[str]) -> bool:
    """Whether a role can change rows of a table that it does not own."""
    holders = {*held, ""}
    return any(
        item.kind in ("table", "column") and item.privilege in WRITES and item.grantee in holders
        for item in inside.grants
    )


def defines(database: Database, inside: Inside, held: Iterable[str]) -> bool:
    """Whether a role can change the schema: it owns something here or may create."""
    holders = {*held, ""}
    return (
        database.owner in holders
        or any(item.owner in holders for item in inside.owned)
        or any(schema.owner in holders for schema in inside.schemas)
        or any(
            grant.privilege == "CREATE" and grant.grantee in holders
            for schema in inside.schemas
            for grant in schema.grants
        )
        or any(grant.privilege == "CREATE" and grant.grantee in holders for grant in database.grants)
    )


def has_tables(inside: Inside) -> bool:
    """Whether there is anything to protect."""
    return any(item.kind == "table" for item in inside.owned)


@probe("S-5", "superusers", "4.3")
def one_superuser(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    roles = look(look(seen.server).roles)
    extra = [role.name for role in roles if role.superuser and role.login and not role.bootstrap]
    yield from none_of(
        extra,
        "superusers",
        "the only superuser that can log in is the one that PostgreSQL was initialised with",
        "further superusers that can log in",
        "ALTER ROLE ... NOSUPERUSER, and grant what they need.",
    )


@probe("S-5", "superusers over the network", "4.3")
def superusers_are_local(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    rules, held = look(server.hba), server_reach(server)
    reached = [
        f"{role.name} by {hba.shown(rule)}"
        for role in look(server.roles)
        if role.superuser and role.login
        for rule in hba.admits_role(rules, role.name, held[role.name])
    ]
    yield from none_of(
        reached,
        "superusers over the network",
        "no rule of pg_hba.conf admits a superuser from another host",
        "superusers admitted from other hosts",
        "Name the application roles in the rules instead of all, or reject the superusers first.",
    )


@probe("S-5", "administrative attributes", "4.3")
def no_administrators(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    strong = []
    for role in logins(look(seen.server)):
        held = [
            word
            for word, has in (
                ("CREATEROLE", role.createrole),
                ("CREATEDB", role.createdb),
                ("BYPASSRLS", role.bypassrls),
            )
            if has
        ]
        if held:
            strong.append(f"{role.name} ({', '.join(held)})")
    yield from none_of(
        strong,
        "administrative attributes",
        "no login has CREATEROLE, CREATEDB or BYPASSRLS",
        "logins with administrative attributes",
        "ALTER ROLE ... NOCREATEROLE NOCREATEDB NOBYPASSRLS.",
    )


@probe("S-5", "predefined roles", "4.9")
def no_powerful_memberships(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    held = server_reach(server)
    strong = [
        f"{role.name} ({', '.join(sorted(held[role.name] & set(POWERFUL)))})"
        for role in logins(server)
        if held[role.name] & set(POWERFUL)
    ]
    yield from none_of(
        strong,
        "predefined roles",
        "no login can use a predefined role that reaches files, programs or every table",
        "logins with predefined roles that reach too far",
        "Revoke these memberships; grant what is needed on the objects.",
    )


@probe("S-5", "passwords of logins")
def every_login_has_a_password(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    shared = [item for item in hba.remote(look(server.hba)) if item.method == "scram-sha-256"]
    roles = logins(server)
    if not roles or not shared:
        yield irrelevant("passwords of logins", "Nobody logs in over the network with a password.")
    elif all(role.password == "unknown" for role in roles):
        yield passes("passwords of logins", f"{len(roles)} logins; PostgreSQL refuses a SCRAM login without a password")
    else:
        idle = [role.name for role in roles if role.password == "none"]
        said = f"; without a password, so unable to log in over the network: {names(idle)}" if idle else ""
        yield passes("passwords of logins", f"{len(roles) - len(idle)} of {len(roles)} logins have a password{said}")


@probe("S-5", "PUBLIC on databases")
def public_has_no_database(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    for database in look(look(seen.server).databases):
        held = [grant.privilege for grant in database.grants if grant.grantee == ""]
        if database.template and held == ["CONNECT"] and not look(database.inside).owned:
            yield passes(
                f"PUBLIC on database {database.name}",
                "a template as PostgreSQL ships it: PUBLIC may connect, and there is nothing in it",
            )
            continue
        yield from none_of(
            held,
            f"PUBLIC on database {database.name}",
            "PUBLIC has no privilege on the database",
            "every role that can log in has",
            f'REVOKE ALL ON DATABASE "{database.name}" FROM PUBLIC, then grant CONNECT to the roles that need it.',
        )


@probe("S-5", "PUBLIC inside databases", "4.6", "4.10")
def public_has_nothing_inside(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    for database in look(look(seen.server).databases):
        inside = look(database.inside)
        filled = {item.schema for item in inside.owned}
        held = [
            f"{grant.privilege} on schema {schema.name}"
            for schema in inside.schemas
            for grant in schema.grants
            # USAGE of an empty schema gives nothing.
            if grant.grantee == "" and (grant.privilege == "CREATE" or schema.name in filled)
        ]
        held += [
            f"{item.privilege} on {item.objects} {item.kind}(s) of schema {item.schema} (as {item.example})"
            for item in inside.grants
            if item.grantee == ""
        ]
        yield from none_of(
            held,
            f"PUBLIC inside database {database.name}",
            "PUBLIC has no privilege on a schema, table, sequence or function outside the system and extensions",
            "every role that can connect has",
            "Revoke it from PUBLIC and grant it to the roles that need it.",
        )


@probe("S-5", "logins that both use and define", "4.6")
def use_and_definition_are_apart(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    held = server_reach(server)
    for database in look(server.databases):
        inside = look(database.inside)
        subject = f"DML and DDL in database {database.name}"
        if not has_tables(inside):
            continue
        connecting = [role.name for role in logins(server) if can_connect(database, held[role.name])]
        using = [name for name in connecting if writes(inside, held[name])]
        defining = [name for name in connecting if defines(database, inside, held[name])]
        apart = [name for name in using if name not in defining]
        said = f"DDL: {names(defining) or 'nobody that logs in'}; DML without DDL: {names(apart) or 'nobody'}"
        if defining and not apart:
            yield fails(
                subject,
                said,
                "Let the application log in as a role that owns nothing and has SELECT, INSERT, UPDATE (DELETE) only;"
                " keep the owner for migrations.",
            )
        else:
            yield passes(subject, said)


@probe("S-5", "logins shared between databases")
def one_login_per_service(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    held = server_reach(server)
    shared = []
    for role in logins(server):
        places = [
            database.name
            for database in look(server.databases)
            if can_connect(database, held[role.name])
            and (writes(look(database.inside), held[role.name]) or _owns(database, held[role.name]))
        ]
        if len(places) > 1:
            shared.append(f"{role.name} ({', '.join(places)})")
    yield from none_of(
        shared,
        "logins shared between databases",
        "no login writes in more than one database",
        "logins that write in several databases",
        "Give each service a login of its own.",
    )


def _owns(database: Database, held: Iterable[str]) -> bool:
    return any(item.owner in set(held) for item in look(database.inside).owned)


@probe("S-5", "default privileges")
def tomorrow_is_covered(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    superusers = {role.name for role in look(server.roles) if role.superuser}
    for database in look(server.databases):
        inside = look(database.inside)
        subject = f"default privileges in database {database.name}"
        creators = creating_roles(inside) - superusers
        open_ones = [
            f"{item.creator} grants {item.privilege} on {item.kind}s to PUBLIC"
            for item in inside.defaults
            if item.grantee == "" and item.kind in ("table", "sequence", "function", "schema")
        ]
        # Without an entry of its own for functions, a creator's new functions are executable by PUBLIC (manual, 5.8).
        open_ones += [
            f"new functions of {creator} are executable by PUBLIC"
            for creator in sorted(creators)
            if (creator, "", "function") not in inside.default_entries
        ]
        uncovered = sorted(creators - {creator for creator, _schema, kind in inside.default_entries if kind == "table"})
        shared = any(item.kind == "table" and item.grantee not in ("", *creators) for item in inside.grants)
        if shared:
            open_ones += [f"new tables of {creator} are granted to nobody" for creator in uncovered]
        if not creators and not open_ones:
            if has_tables(inside):
                yield passes(subject, "only superusers create here")
            continue
        yield from none_of(
            open_ones,
            subject,
            f"what {names(sorted(creators))} will create is granted as today's objects are, and nothing to PUBLIC",
            "tomorrow's objects",
            "ALTER DEFAULT PRIVILEGES FOR ROLE ... for every role that creates.",
        )


def creating_roles(inside: Inside) -> set[str]:
    """The roles that may create objects in a schema by an explicit grant, and those that have created some."""
    granted = {
        grant.grantee
        for schema in inside.schemas
        for grant in schema.grants
        if grant.privilege == "CREATE" and grant.grantee not in ("", schema.owner)
    }
    return granted | {item.owner for item in inside.owned if item.kind == "table"}
