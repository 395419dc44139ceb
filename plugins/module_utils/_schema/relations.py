# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S608 - the parts of these queries are constants of this package
"""The queries of tables and of what belongs to them. Each row: kind, name as SQL writes it, fields as JSON."""

from __future__ import annotations

USERS = "left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'"


def no_member(catalog: str, oid: str) -> str:
    """Members of an extension follow its version; they are no objects of their own."""
    return f"""NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '{catalog}'::regclass AND e.objid = {oid}
                            AND e.deptype = 'e')"""


def grants(acl: str) -> str:
    """An access list as JSON: [[grantee, privilege, grantable], ...]."""
    return f"""(SELECT json_agg(json_build_array(
                           CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END,
                           x.privilege_type, x.is_grantable))
                  FROM aclexplode({acl}) x)"""


def listed(array: str) -> str:
    """An array without the order in which it came to be."""
    return f"(SELECT json_agg(item ORDER BY item) FROM unnest({array}) AS item)"


_NAME = "format('%I.%I', n.nspname, c.relname)"
_COLLATION = """(SELECT format('%I.%I', cn.nspname, co.collname)
                   FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = {})"""
_TABLESPACE = "(SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace)"
_PARENT = """(SELECT format('%I.%I', pn.nspname, p.relname)
                FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent
                JOIN pg_namespace pn ON pn.oid = p.relnamespace
               WHERE h.inhrelid = c.oid)"""
_ENABLED = "CASE {} WHEN 'O' THEN 'origin' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' ELSE 'always' END"
# Some builds of PostgreSQL note with each column where in the WAL it was made. Nobody declares it, SET does not change
# it, and no two databases agree on it.
_BOOKKEEPING = "pg_attver"
_OF_TABLE = f"c.relkind IN ('r', 'p', 'f', 'v', 'm') AND {USERS} AND {no_member('pg_class', 'c.oid')}"

TABLES = f"""
    SELECT CASE c.relkind WHEN 'f' THEN 'foreign_table' ELSE 'table' END, {_NAME}, json_build_object(
           'owner', pg_get_userbyid(c.relowner),
           'acl', {grants("coalesce(c.relacl, acldefault('r', c.relowner))")},
           'unlogged', c.relpersistence = 'u',
           'options', {listed("c.reloptions")},
           'toast_options', (SELECT {listed("t.reloptions")} FROM pg_class t WHERE t.oid = c.reltoastrelid),
           'tablespace', {_TABLESPACE},
           'access_method', (SELECT amname FROM pg_am WHERE oid = c.relam AND amname <> 'heap'),
           'row_security', c.relrowsecurity,
           'force_row_security', c.relforcerowsecurity,
           'replica_identity', CASE c.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full'
                                                   WHEN 'i' THEN 'index' END,
           'of_type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
           'partition_key', pg_get_partkeydef(c.oid),
           'partition_of', CASE WHEN c.relispartition THEN {_PARENT} END,
           'partition_bound', pg_get_expr(c.relpartbound, c.oid),
           'inherits', (SELECT json_agg(format('%I.%I', pn.nspname, p.relname) ORDER BY h.inhseqno)
                          FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent
                          JOIN pg_namespace pn ON pn.oid = p.relnamespace
                         WHERE h.inhrelid = c.oid AND NOT c.relispartition),
           'columns', (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
                        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
           'server', (SELECT s.srvname FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
                       WHERE f.ftrelid = c.oid),
           'server_options', (SELECT {listed("f.ftoptions")} FROM pg_foreign_table f WHERE f.ftrelid = c.oid),
           'comment', obj_description(c.oid, 'pg_class'))
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'f') AND {USERS} AND {no_member("pg_class", "c.oid")}"""

VIEWS = f"""
    SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized_view' END, {_NAME}, json_build_object(
           'owner', pg_get_userbyid(c.relowner),
           'acl', {grants("coalesce(c.relacl, acldefault('r', c.relowner))")},
           'definition', pg_get_viewdef(c.oid),
           'options', {listed("c.reloptions")},
           'tablespace', {_TABLESPACE},
           'access_method', (SELECT amname FROM pg_am WHERE oid = c.relam AND amname <> 'heap'),
           'comment', obj_description(c.oid, 'pg_class'))
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('v', 'm') AND {USERS} AND {no_member("pg_class", "c.oid")}"""

COLUMNS = f"""
    SELECT 'column', format('%I.%I.%I', n.nspname, c.relname, a.attname), json_build_object(
           'of', {_NAME},
           'acl_owner', pg_get_userbyid(c.relowner),
           'acl', {grants("a.attacl")},
           'type', format_type(a.atttypid, a.atttypmod),
           'collation', CASE WHEN a.attcollation <> t.typcollation THEN {_COLLATION.format("a.attcollation")} END,
           'not_null', a.attnotnull,
           'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
           'generated', CASE a.attgenerated WHEN 's' THEN pg_get_expr(d.adbin, d.adrelid) || ' STORED'
                                            WHEN 'v' THEN pg_get_expr(d.adbin, d.adrelid) || ' VIRTUAL' END,
           'identity', CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END,
           'statistics', nullif(a.attstattarget, -1),
           'storage', CASE WHEN a.attstorage <> t.typstorage
                           THEN CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
                                                  ELSE 'EXTENDED' END END,
           'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
           'options', (SELECT json_agg(item ORDER BY item) FROM unnest(a.attoptions) AS item
                        WHERE split_part(item, '=', 1) <> '{_BOOKKEEPING}'),
           'server_options', {listed("a.attfdwoptions")},
           'comment', col_description(c.oid, a.attnum))
      FROM pg_attribute a
      JOIN pg_class c ON c.oid = a.attrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attnum > 0 AND NOT a.attisdropped AND {_OF_TABLE}"""

# Not-null constraints (from PostgreSQL 18) are the column's not_null. Foreign keys of a table to the partitions of
# another follow the one to its parent, and have made-up names.
CONSTRAINTS = f"""
    SELECT 'constraint', format('%I.%I.%I', n.nspname, c.relname, k.conname), json_build_object(
           'of', {_NAME},
           'type', CASE k.contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key' WHEN 'p' THEN 'primary key'
                                  WHEN 'u' THEN 'unique' ELSE 'exclusion' END,
           'definition', regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', ''),
           'validated', k.convalidated,
           'not_enforced_by_triggers', EXISTS (SELECT FROM pg_trigger g WHERE g.tgconstraint = k.oid AND g.tgisinternal
                                                  AND g.tgenabled = 'D'),
           'comment', obj_description(k.oid, 'pg_constraint'))
      FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND {_OF_TABLE}
       AND NOT EXISTS (SELECT FROM pg_constraint parent WHERE parent.oid = k.conparentid
                          AND parent.conrelid = k.conrelid)"""

INDEXES = f"""
    SELECT 'index', format('%I.%I', n.nspname, i.relname), json_build_object(
           'of', {_NAME},
           'definition', pg_get_indexdef(x.indexrelid),
           'valid', x.indisvalid AND x.indisready,
           'replica_identity', x.indisreplident,
           'clustered', x.indisclustered,
           'constraint', (SELECT format('%I.%I.%I', n.nspname, c.relname, k.conname) FROM pg_constraint k
                           WHERE k.conindid = x.indexrelid AND k.conrelid = x.indrelid
                             AND k.contype IN ('p', 'u', 'x')),
           'partition_of', {_PARENT.replace("c.oid", "i.oid")},
           'tablespace', {_TABLESPACE.replace("c.rel", "i.rel")},
           'statistics', (SELECT json_object_agg(a.attnum, a.attstattarget ORDER BY a.attnum) FROM pg_attribute a
                           WHERE a.attrelid = i.oid AND a.attstattarget >= 0),
           'comment', obj_description(i.oid, 'pg_class'))
      FROM pg_index x
      JOIN pg_class i ON i.oid = x.indexrelid
      JOIN pg_class c ON c.oid = x.indrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE {_OF_TABLE}"""

TRIGGERS = f"""
    SELECT 'trigger', format('%I.%I.%I', n.nspname, c.relname, g.tgname), json_build_object(
           'of', {_NAME},
           'definition', pg_get_triggerdef(g.oid),
           'enabled', {_ENABLED.format("g.tgenabled")},
           'comment', obj_description(g.oid, 'pg_trigger'))
      FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT g.tgisinternal AND {_OF_TABLE}"""

POLICIES = f"""
    SELECT 'policy', format('%I.%I.%I', n.nspname, c.relname, p.polname), json_build_object(
           'of', {_NAME},
           'permissive', p.polpermissive,
           'command', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                                    WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
           'roles', (SELECT json_agg(CASE u WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(u) END)
                       FROM unnest(p.polroles) u),
           'using', pg_get_expr(p.polqual, p.polrelid),
           'check', pg_get_expr(p.polwithcheck, p.polrelid),
           'comment', obj_description(p.oid, 'pg_policy'))
      FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE {_OF_TABLE}"""

RULES = f"""
    SELECT 'rule', format('%I.%I.%I', n.nspname, c.relname, w.rulename), json_build_object(
           'of', {_NAME},
           'definition', pg_get_ruledef(w.oid),
           'enabled', {_ENABLED.format("w.ev_enabled")},
           'comment', obj_description(w.oid, 'pg_rewrite'))
      FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE w.rulename <> '_RETURN' AND {_OF_TABLE}"""

SEQUENCES = f"""
    SELECT 'sequence', {_NAME}, json_build_object(
           'of', (SELECT format('%I.%I', tn.nspname, t.relname) FROM pg_class t
                    JOIN pg_namespace tn ON tn.oid = t.relnamespace WHERE t.oid = o.refobjid),
           'owned_by', (SELECT format('%I.%I.%I', tn.nspname, t.relname, a.attname) FROM pg_class t
                          JOIN pg_namespace tn ON tn.oid = t.relnamespace
                          JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = o.refobjsubid
                         WHERE t.oid = o.refobjid),
           'identity', coalesce(o.deptype = 'i', false),
           'owner', pg_get_userbyid(c.relowner),
           'acl', {grants("coalesce(c.relacl, acldefault('s', c.relowner))")},
           'unlogged', c.relpersistence = 'u',
           'type', format_type(s.seqtypid, NULL),
           'start', s.seqstart, 'minimum', s.seqmin, 'maximum', s.seqmax, 'increment', s.seqincrement,
           'cache', s.seqcache, 'cycle', s.seqcycle,
           'comment', obj_description(c.oid, 'pg_class'))
      FROM pg_sequence s
      JOIN pg_class c ON c.oid = s.seqrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_depend o ON o.classid = 'pg_class'::regclass AND o.objid = c.oid AND o.objsubid = 0
           AND o.refclassid = 'pg_class'::regclass AND o.refobjsubid > 0 AND o.deptype IN ('a', 'i')
     WHERE {USERS} AND {no_member("pg_class", "c.oid")}"""

RELATIONS = (TABLES, VIEWS, COLUMNS, CONSTRAINTS, INDEXES, TRIGGERS, POLICIES, RULES, SEQUENCES)
