# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a spec file is drafted from: a fixed number of queries, however many tables there are."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ansible_collections.dbops.postgres.plugins.module_utils._assurance.catalog import Catalog, Role, Statement
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.observe import catalog, opened
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Ident, Literal, Sql
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login, compose

with contextlib.suppress(ImportError):  # connect() says that it is missing
    import psycopg2

if TYPE_CHECKING:
    from psycopg2 import extensions

STATEMENTS = 10  # as many candidates as a person reads

# A policy depends on the functions in its expressions (pg_depend): Supabase's auth.uid() is what reads the setting.
_POLICIES = """
    SELECT c.oid,
           array_remove(array_agg(DISTINCT pg_catalog.pg_get_expr(p.polqual, p.polrelid)), NULL)
        || array_remove(array_agg(DISTINCT pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)), NULL)
        || array_remove(array_agg(DISTINCT f.prosrc), NULL)
      FROM pg_catalog.pg_class c
      LEFT JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid
      LEFT JOIN pg_catalog.pg_depend d
             ON d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid
            AND d.refclassid = 'pg_catalog.pg_proc'::regclass
      LEFT JOIN pg_catalog.pg_proc f ON f.oid = d.refobjid
     WHERE c.oid = ANY (%(tables)s::oid[]) AND c.relrowsecurity
     GROUP BY 1
"""

# Grants to the role itself: what a member inherits is its group's, and is tried as that.
_ROLES = """
    SELECT r.rolname::text, count(DISTINCT c.oid)
      FROM pg_catalog.pg_class c
     CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) x
      JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
     WHERE c.oid = ANY (%(tables)s::oid[]) AND x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE')
       AND NOT r.rolsuper AND NOT r.rolbypassrls
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_class o
                        WHERE o.oid = ANY (%(tables)s::oid[]) AND pg_catalog.pg_has_role(r.oid, o.relowner, 'MEMBER'))
     GROUP BY 1
     ORDER BY 2 DESC, 1
"""

# The view is there without the library, and then fails.
_EXTENSION = """
    SELECT n.nspname::text
      FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'pg_stat_statements'
       AND pg_catalog.current_setting('pg_stat_statements.max', true) IS NOT NULL
"""

# What superusers do by hand is no query of an application.
_STATEMENTS = r"""
    SELECT s.query, r.rolname::text, s.calls, s.mean_exec_time
      FROM {} s
      JOIN pg_catalog.pg_roles r ON r.oid = s.userid
     WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
       AND NOT r.rolsuper AND s.query ~* '^\s*(select|with|update|delete)\s'
     ORDER BY s.total_exec_time DESC
     LIMIT {}
"""


def observe(login: Login, database: str, schemas: Sequence[str]) -> Catalog:
    """Read one database, in a transaction that cannot write.

    :param schemas: empty: all but those of the system.
    :raises DbopsError: the server refuses, or a statement takes too long.
    """
    with opened(login, database) as cursor:
        seen = catalog(cursor, schemas, usage=True)
        tables = {"tables": list(seen.tables)}
        cursor.execute(_POLICIES, tables)
        policies = {oid: tuple(texts) for oid, texts in cursor.fetchall()}
        cursor.execute(_ROLES, tables)
        roles = tuple(Role(*row) for row in cursor.fetchall())
        return Catalog(database, seen, policies, roles, _statements(cursor))


def _statements(cursor: extensions.cursor) -> tuple[Statement, ...] | None:
    cursor.execute(_EXTENSION)
    row = cursor.fetchone()
    if row is None:
        return None
    cursor.execute("SAVEPOINT statements")
    try:
        cursor.execute(compose(Sql(_STATEMENTS, (Ident(row[0], "pg_stat_statements"), Literal(STATEMENTS)))))
        return tuple(Statement(*found) for found in cursor.fetchall())
    except psycopg2.Error:  # a privilege, or statements of databases with another encoding
        cursor.execute("ROLLBACK TO SAVEPOINT statements")
        return None
