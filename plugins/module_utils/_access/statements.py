# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements about access, and how their objects are named to people. Words come from constants only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import LIST_SETTINGS, PUBLIC, split_list
from ansible_collections.dbops.postgres.plugins.module_utils._access.state import Routine
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Argument, Ident, Joined, Literal, Sql

BATCH = 100  # objects in one statement: few statements, each still short enough to read
SHOWN_NAMES = 20

# kind -> (word after ON, word in ALTER DEFAULT PRIVILEGES). ROUTINE means functions, procedures and aggregates.
_WORDS = {
    "database": ("DATABASE", ""),
    "schema": ("SCHEMA", ""),
    "table": ("TABLE", "TABLES"),
    "sequence": ("SEQUENCE", "SEQUENCES"),
    "function": ("ROUTINE", "ROUTINES"),
    "type": ("TYPE", "TYPES"),
}
# mode -> (before the privileges, before the grantees, at the end)
_MODES = {
    "lend": ("GRANT", "TO", " WITH GRANT OPTION"),
    "cascade": ("REVOKE GRANT OPTION FOR", "FROM", " CASCADE"),
    "revoke": ("REVOKE", "FROM", ""),
    "grant": ("GRANT", "TO", ""),
    "restore": ("GRANT", "TO", " WITH GRANT OPTION"),
}
MODES = tuple(_MODES)


def grantees(roles: Iterable[str]) -> Joined:
    """Roles after TO or FROM."""
    return Joined(tuple(Sql("PUBLIC") if role == PUBLIC else Ident(role) for role in roles))


def routine(schema: str, described: Routine) -> Sql:
    """A routine by its input types. ``IN`` keeps an overload with OUT parameters from being meant as well."""
    arguments = Joined(tuple(Sql("IN {}", (Ident(*argument),)) for argument in described.arguments))
    return Sql("{}({})", (Ident(schema, described.name), arguments))


def privileges(mode: str, kind: str, words: Sequence[str], objects: Sequence[Argument], roles: Sequence[str]) -> Sql:
    """GRANT or REVOKE on objects of one kind. ``mode`` is one of :data:`MODES`."""
    verb, preposition, tail = _MODES[mode]
    return Sql(
        f"{verb} {', '.join(words)} ON {_WORDS[kind][0]} {{}} {preposition} {{}}{tail}",
        (Joined(tuple(objects)), grantees(roles)),
    )


def column_privileges(
    mode: str, words: Sequence[tuple[str, tuple[str, ...]]], tables: Sequence[Argument], roles: Sequence[str]
) -> Sql:
    """GRANT or REVOKE on columns; ``words`` are (privilege, columns)."""
    verb, preposition, tail = _MODES[mode]
    listed = ", ".join(f"{word} ({{}})" for word, _columns in words)
    columns = tuple(Joined(tuple(Ident(name) for name in names)) for _word, names in words)
    return Sql(
        f"{verb} {listed} ON TABLE {{}} {preposition} {{}}{tail}",
        (*columns, Joined(tuple(tables)), grantees(roles)),
    )


def default_privileges(
    mode: str, kind: str, words: Sequence[str], creators: Sequence[str], schemas: Sequence[str], roles: Sequence[str]
) -> Sql:
    """ALTER DEFAULT PRIVILEGES; no schemas means the list that holds in all schemas."""
    verb, preposition, tail = _MODES[mode]
    inside = " IN SCHEMA {}" if schemas else ""
    return Sql(
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {{}}{inside} "
        f"{verb} {', '.join(words)} ON {_WORDS[kind][1]} {preposition} {{}}{tail}",
        (
            Joined(tuple(Ident(name) for name in creators)),
            *([Joined(tuple(Ident(name) for name in schemas))] if schemas else []),
            grantees(roles),
        ),
    )


def role_setting(role: str, name: str, value: str | None) -> Sql:
    """ALTER ROLE ... SET or RESET. A list setting takes its names one by one, or they would become one name."""
    setting = Ident(*name.split("."))
    if value is None:
        return Sql("ALTER ROLE {} RESET {}", (Ident(role), setting))
    if name in LIST_SETTINGS:
        parts: Argument = Joined(tuple(Literal(part) for part in split_list(value) or [""]))
        return Sql("ALTER ROLE {} SET {} = {}", (Ident(role), setting, parts))
    return Sql("ALTER ROLE {} SET {} = {}", (Ident(role), setting, Literal(value)))


def subject(kind: str, place: str, names: Sequence[str]) -> str:
    """Objects of one kind in one place: ``table db.public.refunds``, ``tables db.public.{a, b, ... 7 more}``."""
    if len(names) == 1:
        return f"{kind} {place}.{names[0]}"
    listed = ", ".join(names[:SHOWN_NAMES])
    more = f", ... {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return f"{kind}s {place}.{{{listed}{more}}}"
