# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queries of :mod:`.contents`, over everything that is neither PostgreSQL's own nor an extension's. Data only."""

# ruff: noqa: S608 - only constants of this file are put together
from __future__ import annotations

_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


def _no_member(kind: str, oid: str) -> str:
    return (
        f"NOT EXISTS (SELECT FROM pg_depend own WHERE own.classid = '{kind}'::regclass AND own.objid = {oid}"
        " AND own.deptype = 'e')"
    )


TABLES = f"""
SELECT n.nspname, c.relname, pg_table_size(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND {_OURS} AND {_no_member("pg_class", "c.oid")}
 ORDER BY 3 DESC, 1, 2
"""

LOCKED = f"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND {_OURS} AND {_no_member("pg_class", "c.oid")} ORDER BY 1, 2
"""

SEQUENCES = f"""
SELECT n.nspname, c.relname, s.seqincrement, s.seqcycle
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {_OURS} AND {_no_member("pg_class", "c.oid")} ORDER BY 1, 2
"""

EXTENSIONS = "SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"

# Whatever of this database refers to a role, and the database itself.
ROLES = """
SELECT DISTINCT r.rolname FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
 WHERE d.refclassid = 'pg_authid'::regclass AND r.rolname !~ '^pg_'
   AND (SELECT oid FROM pg_database WHERE datname = current_database())
       IN (d.dbid, CASE WHEN d.classid = 'pg_database'::regclass THEN d.objid END)
 ORDER BY 1
"""


def _acl(column: str, kind: str, owner: str) -> str:
    # Without grantors, and with what is in force when nothing was ever granted: both are written anew by a restore.
    return (
        f"(SELECT string_agg(format('%s:%s:%s', coalesce(r.rolname, 'PUBLIC'), a.privilege_type, a.is_grantable), ','"
        f" ORDER BY coalesce(r.rolname, 'PUBLIC'), a.privilege_type, a.is_grantable) FROM (SELECT DISTINCT grantee,"
        f" privilege_type, is_grantable FROM aclexplode(coalesce({column}, acldefault('{kind}', {owner})))) a"
        f" LEFT JOIN pg_roles r ON r.oid = a.grantee)"
    )


# Each gives rows of: kind and name of an object, a part of its definition.
SCHEMA = (
    f"""
SELECT 'schema ' || n.nspname, concat_ws('|', pg_get_userbyid(n.nspowner), {_acl("n.nspacl", "n", "n.nspowner")})
  FROM pg_namespace n WHERE {_OURS} AND {_no_member("pg_namespace", "n.oid")}
""",
    f"""
SELECT 'table ' || n.nspname || '.' || c.relname,
       concat_ws('|', c.relkind, pg_get_userbyid(c.relowner), c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
                 c.relreplident, pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
                 (SELECT array_agg(o ORDER BY o) FROM unnest(c.reloptions) o)::text,
                 (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno) FROM pg_inherits i
                   WHERE i.inhrelid = c.oid),
                 {_acl("c.relacl", "r", "c.relowner")})
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND {_OURS} AND {_no_member("pg_class", "c.oid")}
""",
    f"""
SELECT 'table ' || n.nspname || '.' || c.relname,
       concat_ws('|', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
                 pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation::text,
                 (SELECT string_agg(x, ',' ORDER BY x) FROM (SELECT format('%s:%s', coalesce(r.rolname, 'PUBLIC'),
                   g.privilege_type) x FROM aclexplode(a.attacl) g LEFT JOIN pg_roles r ON r.oid = g.grantee) y))
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND {_OURS}
   AND {_no_member("pg_class", "c.oid")}
""",
    f"""
SELECT 'view ' || n.nspname || '.' || c.relname, pg_get_viewdef(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'm') AND {_OURS} AND {_no_member("pg_class", "c.oid")}
""",
    f"""
SELECT 'constraint ' || k.conname || ' of ' || n.nspname || '.' || coalesce(c.relname, t.typname),
       concat_ws('|', pg_get_constraintdef(k.oid), k.convalidated, k.condeferrable, k.condeferred)
  FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
  LEFT JOIN pg_class c ON c.oid = k.conrelid LEFT JOIN pg_type t ON t.oid = k.contypid
 WHERE {_OURS} AND {_no_member("pg_class", "k.conrelid")} AND {_no_member("pg_type", "k.contypid")}
   AND {_no_member("pg_constraint", "k.oid")}
""",
    # pg_dump leaves out what is not valid.
    f"""
SELECT 'index ' || n.nspname || '.' || c.relname, pg_get_indexdef(i.indexrelid)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class t ON t.oid = i.indrelid
 WHERE i.indisvalid AND {_OURS} AND t.relkind IN ('r', 'p', 'm') AND {_no_member("pg_class", "i.indrelid")}
""",
    f"""
SELECT format('function %s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
       concat_ws('|', pg_get_userbyid(p.proowner), {_acl("p.proacl", "f", "p.proowner")},
                 CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE {_OURS} AND {_no_member("pg_proc", "p.oid")}
   AND NOT EXISTS (SELECT FROM pg_depend i
                    WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')
""",
    f"""
SELECT 'type ' || n.nspname || '.' || t.typname,
       concat_ws('|', t.typtype, pg_get_userbyid(t.typowner), format_type(nullif(t.typbasetype, 0), t.typtypmod),
                 t.typnotnull, t.typdefault, (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e
                 WHERE e.enumtypid = t.oid)::text)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE t.typtype IN ('e', 'd', 'r', 'b') AND t.typelem = 0 AND {_OURS} AND {_no_member("pg_type", "t.oid")}
""",
    f"""
SELECT 'trigger ' || g.tgname || ' of ' || n.nspname || '.' || c.relname,
       concat_ws('|', pg_get_triggerdef(g.oid), g.tgenabled)
  FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT g.tgisinternal AND {_OURS} AND {_no_member("pg_class", "c.oid")}
""",
    f"""
SELECT 'rule ' || r.rulename || ' of ' || n.nspname || '.' || c.relname,
       concat_ws('|', pg_get_ruledef(r.oid), r.ev_enabled)
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE r.rulename <> '_RETURN' AND {_OURS} AND {_no_member("pg_class", "c.oid")}
""",
    f"""
SELECT 'policy ' || p.polname || ' of ' || n.nspname || '.' || c.relname,
       concat_ws('|', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid),
                 pg_get_expr(p.polwithcheck, p.polrelid),
                 (SELECT string_agg(coalesce(r.rolname, 'PUBLIC'), ',' ORDER BY 1) FROM unnest(p.polroles) o
                   LEFT JOIN pg_roles r ON r.oid = o))
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {_OURS} AND {_no_member("pg_class", "c.oid")}
""",
    f"""
SELECT 'sequence ' || n.nspname || '.' || c.relname,
       concat_ws('|', pg_get_userbyid(c.relowner), format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmax,
                 s.seqmin, s.seqcycle, {_acl("c.relacl", "s", "c.relowner")})
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {_OURS} AND {_no_member("pg_class", "c.oid")}
""",
    f"""
SELECT 'default privileges of ' || pg_get_userbyid(d.defaclrole),
       concat_ws('|', d.defaclobjtype, coalesce(n.nspname, '*'), {_acl("d.defaclacl", "r", "d.defaclrole")})
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
""",
    "SELECT 'extension ' || extname, '' FROM pg_extension",
    """
SELECT 'publication ' || pubname, concat_ws('|', puballtables, pubinsert, pubupdate, pubdelete, pubtruncate)
  FROM pg_publication
""",
    f"""
SELECT 'event trigger ' || e.evtname, concat_ws('|', e.evtevent, e.evtenabled, e.evttags::text)
  FROM pg_event_trigger e WHERE {_no_member("pg_event_trigger", "e.oid")}
""",
    f"""
SELECT 'statistics ' || n.nspname || '.' || s.stxname, pg_get_statisticsobjdef(s.oid)
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
 WHERE {_OURS} AND {_no_member("pg_statistic_ext", "s.oid")}
""",
    f"""
SELECT 'foreign server ' || s.srvname, concat_ws('|', pg_get_userbyid(s.srvowner), s.srvoptions::text)
  FROM pg_foreign_server s WHERE {_no_member("pg_foreign_server", "s.oid")}
""",
)
