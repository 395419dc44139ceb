# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S608 - the parts of these queries are constants of this file
"""The catalog queries of :mod:`.observe`. The functions of an expression are read from its stored tree, because
pg_depend does not name those that belong to PostgreSQL itself."""

from __future__ import annotations

_SCHEMAS = """
    CASE WHEN %(schemas)s::text[] IS NULL
         THEN left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'
         ELSE n.nspname = ANY (%(schemas)s::text[]) END"""

SERVER = """
    SELECT current_database()::text, current_setting('cluster_name'), r.rolsuper OR r.rolbypassrls
      FROM pg_roles r WHERE r.rolname = current_user"""

TABLES = f"""
    SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, pg_get_userbyid(c.relowner)::text,
           c.relrowsecurity, c.relforcerowsecurity, i.inhparent::int8, c.relispartition,
           pg_get_expr(c.relpartbound, c.oid),
           (SELECT array_agg(a.attname::text ORDER BY k.place)
              FROM pg_partitioned_table p, unnest(p.partattrs::int2[]) WITH ORDINALITY AS k (number, place)
              JOIN pg_attribute a ON a.attrelid = i.inhparent AND a.attnum = k.number
             WHERE p.partrelid = i.inhparent AND c.relispartition),
           (SELECT json_agg(json_build_object(
                       'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
                       'base', coalesce(b.typname, t.typname), 'kind', coalesce(b.typtype, t.typtype),
                       'not_null', a.attnotnull OR t.typnotnull, 'generated', a.attgenerated <> '',
                       'always', a.attidentity = 'a',
                       'unique', EXISTS (SELECT FROM pg_index x
                                          WHERE x.indrelid = c.oid AND (x.indisunique OR x.indisexclusion)
                                            AND a.attnum = ANY (x.indkey::int2[])),
                       'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder)
                                    FROM pg_enum e WHERE e.enumtypid = coalesce(b.oid, t.oid)),
                       'checks', (SELECT json_agg(pg_get_constraintdef(k.oid) ORDER BY k.oid)
                                    FROM (SELECT oid FROM pg_constraint
                                           WHERE conrelid = c.oid AND contype = 'c' AND conkey = ARRAY[a.attnum]
                                           UNION ALL
                                          SELECT oid FROM pg_constraint
                                           WHERE contypid = a.atttypid AND contype = 'c' AND t.typtype = 'd') k))
                       ORDER BY a.attnum)
              FROM pg_attribute a
              JOIN pg_type t ON t.oid = a.atttypid
              LEFT JOIN pg_type b ON b.oid = t.typbasetype
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN LATERAL (SELECT h.inhparent FROM pg_inherits h WHERE h.inhrelid = c.oid ORDER BY h.inhseqno LIMIT 1) i
           ON true
     WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND {_SCHEMAS}
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
       AND (c.relrowsecurity
            OR EXISTS (SELECT FROM pg_policy y WHERE y.polrelid = c.oid)
            OR (%(listed)s::text[] = '{{}}' AND EXISTS (
                    SELECT FROM pg_attribute a
                     WHERE a.attrelid = c.oid AND a.attname = %(tenant)s AND a.attnum > 0 AND NOT a.attisdropped))
            OR c.relname::text = ANY (%(listed)s) OR n.nspname || '.' || c.relname = ANY (%(listed)s)
            OR c.relname::text = ANY (%(named)s) OR n.nspname || '.' || c.relname = ANY (%(named)s)
            OR c.relispartition AND EXISTS (
                    SELECT FROM pg_partition_ancestors(c.oid) AS up (oid)
                      JOIN pg_class pc ON pc.oid = up.oid
                      JOIN pg_namespace pn ON pn.oid = pc.relnamespace
                     WHERE pc.relrowsecurity OR pc.relname::text = ANY (%(listed)s)
                        OR pn.nspname || '.' || pc.relname = ANY (%(listed)s)))
     ORDER BY 2, 3"""

ROLES = "SELECT rolname::text, rolsuper, rolbypassrls, rolcanlogin FROM pg_roles ORDER BY 1"

_MEMBERS = """
    SELECT r.rolname::text, u.rolname::text
      FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles u ON u.oid = m.member"""
MEMBERS = _MEMBERS
# Whoever may grant a membership may grant it to himself with all options.
MEMBERS_16 = f"{_MEMBERS} WHERE m.inherit_option OR m.set_option OR m.admin_option"

POLICIES = r"""
    SELECT y.polrelid::int8, y.polname::text,
           CASE y.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                         ELSE 'ALL' END,
           y.polpermissive,
           ARRAY(SELECT r.rolname::text FROM unnest(y.polroles) AS k (oid) LEFT JOIN pg_roles r ON r.oid = k.oid),
           pg_get_expr(y.polqual, y.polrelid),
           ARRAY(SELECT DISTINCT m[1]::int8 FROM regexp_matches(y.polqual::text, ':(?:op)?funcid (\d+)', 'g') m),
           y.polqual::text LIKE '%%{SUBLINK %%',
           pg_get_expr(y.polwithcheck, y.polrelid),
           ARRAY(SELECT DISTINCT m[1]::int8 FROM regexp_matches(y.polwithcheck::text, ':(?:op)?funcid (\d+)', 'g') m),
           y.polwithcheck::text LIKE '%%{SUBLINK %%',
           ARRAY(SELECT DISTINCT a.attname::text
                   FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                  WHERE d.classid = 'pg_policy'::regclass AND d.objid = y.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = y.polrelid AND d.refobjsubid > 0),
           ARRAY(SELECT DISTINCT d.refobjid::int8
                   FROM pg_depend d
                  WHERE d.classid = 'pg_policy'::regclass AND d.objid = y.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> y.polrelid)
      FROM pg_policy y
     WHERE y.polrelid = ANY (%(tables)s::oid[])
     ORDER BY 1, 2"""

HOLDERS = """
    SELECT DISTINCT r.rolname::text
      FROM pg_roles r, pg_class c
     WHERE c.oid = ANY (%(tables)s::oid[]) AND NOT r.rolsuper
       AND (has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
            OR has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE'))
     ORDER BY 1"""

FUNCTIONS = f"""
    SELECT p.oid::int8, n.nspname::text, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
           p.proname::text, p.provolatile::text, p.prosecdef, p.prorettype = 'trigger'::regtype,
           pg_get_userbyid(p.proowner)::text, p.proconfig, p.prosrc || coalesce({{body}}, ''),
           ARRAY(SELECT r FROM unnest(%(roles)s::text[]) AS r
                  WHERE has_function_privilege(r, p.oid, 'EXECUTE')
                    AND EXISTS (SELECT FROM unnest(%(roles)s::text[]) AS u
                                 WHERE has_schema_privilege(u, n.oid, 'USAGE')))
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE p.oid = ANY (%(functions)s::oid[])
        OR (p.prosecdef AND {_SCHEMAS}
            AND NOT EXISTS (SELECT FROM pg_depend d
                             WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'))
     ORDER BY 2, 3"""

# Everything below a view that is read with the rights of its owner, or, for a materialised one, is copied.
VIEWS = """
    WITH RECURSIVE uses AS (
        SELECT DISTINCT w.ev_class AS view, d.refobjid AS relation
          FROM pg_rewrite w
          JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                          AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
         WHERE w.rulename = '_RETURN'
    ), below AS (
        SELECT view, relation FROM uses
        UNION SELECT b.view, u.relation FROM below b JOIN uses u ON u.view = b.relation
    )
    SELECT n.nspname::text, c.relname::text, c.relkind = 'm',
           coalesce((SELECT option_value::bool FROM pg_options_to_table(c.reloptions)
                      WHERE option_name = 'security_invoker'), false),
           pg_get_userbyid(c.relowner)::text, array_agg(DISTINCT b.relation::int8),
           ARRAY(SELECT r FROM unnest(%(roles)s::text[]) AS r
                  WHERE has_table_privilege(r, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
                     OR has_any_column_privilege(r, c.oid, 'SELECT'))
      FROM below b
      JOIN pg_class c ON c.oid = b.view
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('v', 'm') AND b.relation = ANY (%(tables)s::oid[])
       AND (SELECT relkind FROM pg_class WHERE oid = b.relation) IN ('r', 'p')
     GROUP BY c.oid, n.nspname, c.relname, c.relkind, c.reloptions, c.relowner
     ORDER BY 1, 2"""

FOREIGN_KEYS = """
    SELECT k.conname::text, k.conrelid::int8,
           ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place)
                   JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place),
           k.confrelid::int8,
           ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (number, place)
                   JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place)
      FROM pg_constraint k
     WHERE k.contype = 'f' AND k.conparentid = 0
       AND k.conrelid = ANY (%(tables)s::oid[]) AND k.confrelid = ANY (%(tables)s::oid[])
     ORDER BY 1, 2"""

UNIQUES = """
    SELECT c.relname::text, x.indrelid::int8, x.indisprimary,
           ARRAY(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS u (number, place)
                   JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.number
                  WHERE u.place <= x.indnkeyatts ORDER BY u.place)
      FROM pg_index x
      JOIN pg_class c ON c.oid = x.indexrelid
     WHERE (x.indisunique OR x.indisexclusion) AND NOT c.relispartition
       AND x.indrelid = ANY (%(tables)s::oid[])
     ORDER BY 1, 2"""

PUBLICATIONS = """
    SELECT p.pubname::text, c.oid::int8, {filtered}
      FROM pg_publication_tables p
      JOIN pg_namespace n ON n.nspname = p.schemaname
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
     WHERE c.oid = ANY (%(tables)s::oid[])
     ORDER BY 1, 2"""

DEFAULTS = """
    SELECT r.rolname::text, s.setconfig
      FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
     WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
     ORDER BY 1"""

_SOME = """
    CASE WHEN NOT has_table_privilege(r, c.oid, '{0}') AND has_any_column_privilege(r, c.oid, '{0}')
         THEN ARRAY(SELECT a.attname::text FROM pg_attribute a
                     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                       AND has_column_privilege(r, c.oid, a.attnum, '{0}')
                     ORDER BY a.attnum) END"""

PRIVILEGES = f"""
    SELECT r, c.oid::int8,
           ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) p
                  WHERE has_table_privilege(r, c.oid, p)),
           {_SOME.format("SELECT")}, {_SOME.format("INSERT")}, {_SOME.format("UPDATE")}
      FROM unnest(%(everybody)s::text[]) AS r, pg_class c
     WHERE c.oid = ANY (%(tables)s::oid[]) AND has_schema_privilege(r, c.relnamespace, 'USAGE')"""

# Tables that policies ask, and that are not protected themselves.
OTHER_TABLES = """
    SELECT c.oid::int8, n.nspname || '.' || c.relname, c.relrowsecurity,
           ARRAY(SELECT r FROM unnest(%(roles)s::text[]) AS r
                  WHERE has_schema_privilege(r, n.oid, 'USAGE')
                    AND (has_table_privilege(r, c.oid, 'INSERT, UPDATE')
                         OR has_any_column_privilege(r, c.oid, 'INSERT, UPDATE')))
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = ANY (%(others)s::oid[]) AND c.relkind IN ('r', 'p')"""
