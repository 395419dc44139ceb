# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database is, in hashes: its whole catalog, its rows, its sequences, its statistics."""

from __future__ import annotations

from psycopg2 import extensions, sql

# What VACUUM and ANALYZE write in passing. All else of the catalog counts, storage files included.
_PASSING = ("relpages", "reltuples", "relallvisible", "relallfrozen", "relfrozenxid", "relminmxid")

_RELATIONS = """
SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'S', 'm') AND NOT c.relisshared
   AND n.nspname !~ '^pg_(toast|temp)' AND n.nspname <> 'information_schema'
"""

_ROLES = """
SELECT r.rolname, md5(to_jsonb(r)::text || coalesce(
         (SELECT string_agg(to_jsonb(m)::text, ',' ORDER BY m.roleid) FROM pg_auth_members m WHERE m.member = r.oid),
         ''))
  FROM pg_roles r WHERE starts_with(r.rolname, %s)
"""


_SETTLE = """
DO $$ DECLARE t regclass; BEGIN
    FOR t IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', t);
    END LOOP;
END $$
"""


def settle(connection: extensions.connection) -> None:
    """Before the first footprint: the server must not analyse a table by itself, whose rows it counted late."""
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE)
        cursor.execute("ANALYZE")


def footprint(connection: extensions.connection, prefix: str) -> dict[str, str]:
    """A hash for each catalog and each table, and the state of each sequence; two are equal if nothing was left.

    Call it in a transaction of its own, or with the one that shall be looked at.

    :param prefix: of the roles that belong to this database; those of other tests come and go.
    """
    found = {}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = ''; SET LOCAL timezone = 'UTC'")
        cursor.execute(_RELATIONS)
        for schema, name, kind in cursor.fetchall():
            if kind == "S":
                state = "format('%s %s', t.last_value, t.is_called)"
            elif name == "pg_class" and schema == "pg_catalog":
                state = "(to_jsonb(t) - {passing}::text[])::text"
            elif schema == "pg_catalog":
                state = "t::text"
            else:  # a row that was updated, and updated back, is another one
                state = "format('%s %s %s', t.ctid, t.xmin, t)"
            rows = f"SELECT {state} FROM {{table}} t"
            if name == "pg_statistic":  # the server analyses its own catalogs when it likes
                rows += " WHERE t.starelid >= 16384"
            query = f"SELECT md5(string_agg(x.row, chr(10) ORDER BY x.row)) FROM ({rows}) x (row)"
            given = {"passing": sql.Literal(list(_PASSING)), "table": sql.Identifier(schema, name)}
            cursor.execute(sql.SQL(query).format(**given))
            found[f"{schema}.{name}"] = str((cursor.fetchone() or ("",))[0])
        cursor.execute(_ROLES, (prefix,))
        found.update({f"role {name}": text for name, text in cursor.fetchall()})
    return found
