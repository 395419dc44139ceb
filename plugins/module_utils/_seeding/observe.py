# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard that is there: a constant number of queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.dbops.postgres.plugins.module_utils._seeding.statements import (
    EVENT_TRIGGERS,
    SCHEMA,
    SEED_TRIGGER,
    SETTINGS,
    TRUNCATE_TRIGGER,
)

if TYPE_CHECKING:
    from psycopg2 import extensions

_FUNCTIONS = """
    SELECT p.proname, p.prosrc, p.prosecdef, coalesce(p.proconfig, '{}'),
           ARRAY(SELECT DISTINCT coalesce(r.rolname::text, 'PUBLIC')
                   FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
                   LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
                  WHERE a.grantee <> p.proowner)
      FROM pg_catalog.pg_proc p
     WHERE p.pronamespace = pg_catalog.to_regnamespace(%s)
"""
_SCHEMA = """
    SELECT ARRAY(SELECT DISTINCT coalesce(r.rolname::text, 'PUBLIC')
                   FROM pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
                   LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
                  WHERE a.grantee <> n.nspowner),
           EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid)
             OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typnamespace = n.oid)
      FROM pg_catalog.pg_namespace n
     WHERE n.nspname = %s
"""
_EVENT_TRIGGERS = "SELECT evtname, evtenabled FROM pg_catalog.pg_event_trigger WHERE evtname = ANY (%s)"
_TABLES = """
    SELECT n.nspname, c.relname, t.tgname, t.tgenabled, t.tgargs
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid AND t.tgname = ANY (%(triggers)s)
     WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
       AND (n.nspname = ANY (%(schemas)s) OR t.oid IS NOT NULL)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
     ORDER BY n.nspname, c.relname
"""


@dataclass(frozen=True)
class Held:
    """A function: its body, whether it runs as its owner, its settings, and who else may call it."""

    body: str
    definer: bool
    settings: tuple[str, ...]
    grantees: frozenset[str]


@dataclass(frozen=True)
class Guard:
    """What is there.

    :param schema_grantees: who besides its owner holds a privilege on the schema; None: there is none.
    :param others: whether the schema holds what is not of the guard.
    :param settings: the text of the settings; None: there are none.
    :param event_triggers: name -> whether it always fires.
    :param tables: (schema, table) -> trigger -> (always fires, its arguments).
    :param missing_schemas: declared, and not there.
    :param missing_roles: the same.
    """

    cluster_name: str
    schema_grantees: frozenset[str] | None
    others: bool
    functions: dict[str, Held]
    settings: str | None
    event_triggers: dict[str, bool]
    tables: dict[tuple[str, str], dict[str, tuple[bool, tuple[str, ...]]]]
    missing_schemas: tuple[str, ...] = ()
    missing_roles: tuple[str, ...] = ()


def observe(cursor: extensions.cursor, schemas: tuple[str, ...], roles: tuple[str, ...]) -> Guard:
    """The guard of the connected database."""
    cursor.execute("SELECT pg_catalog.current_setting('cluster_name')")
    (cluster_name,) = cursor.fetchone() or ("",)
    cursor.execute(_SCHEMA, (SCHEMA,))
    found = cursor.fetchone()
    cursor.execute(_FUNCTIONS, (SCHEMA,))
    functions = {
        name: Held(body or "", definer, tuple(made_with), frozenset(who))
        for name, body, definer, made_with, who in cursor.fetchall()
    }
    settings = None
    if SETTINGS in functions:
        cursor.execute("SELECT dbops.seed_guard()::text")
        (settings,) = cursor.fetchone() or (None,)
    cursor.execute(_EVENT_TRIGGERS, (list(EVENT_TRIGGERS),))
    event_triggers = {name: enabled == "A" for name, enabled in cursor.fetchall()}
    cursor.execute(_TABLES, {"triggers": [TRUNCATE_TRIGGER, SEED_TRIGGER], "schemas": list(schemas)})
    tables: dict[tuple[str, str], dict[str, tuple[bool, tuple[str, ...]]]] = {}
    for schema, table, trigger, enabled, arguments in cursor.fetchall():
        triggers = tables.setdefault((schema, table), {})
        if trigger:
            given = tuple(bytes(arguments).decode().split("\0")[:-1])
            triggers[trigger] = (enabled == "A", given)
    cursor.execute(
        """
        SELECT ARRAY(SELECT w FROM unnest(%s::text[]) w WHERE pg_catalog.to_regnamespace(quote_ident(w)) IS NULL),
               ARRAY(SELECT w FROM unnest(%s::text[]) w
                      WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = w))
        """,
        (list(schemas), list(roles)),
    )
    missing_schemas, missing_roles = cursor.fetchone() or ([], [])
    known = found is not None
    return Guard(
        cluster_name,
        frozenset(found[0]) if found else None,
        bool(found and found[1]) if known else False,
        functions,
        settings,
        event_triggers,
        tables,
        tuple(missing_schemas),
        tuple(missing_roles),
    )
