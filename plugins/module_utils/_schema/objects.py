# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S608 - the parts of these queries are constants of this package
"""The queries of everything that is no table and belongs to none. Each row: kind, name, fields as JSON."""

from __future__ import annotations

from ansible_collections.dbops.postgres.plugins.module_utils._schema.relations import (
    USERS,
    grants,
    listed,
    no_member,
)

_ENABLED = "CASE {} WHEN 'O' THEN 'origin' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' ELSE 'always' END"

SCHEMAS = f"""
    SELECT 'schema', quote_ident(n.nspname), json_build_object(
           'owner', pg_get_userbyid(n.nspowner),
           'acl', {grants("coalesce(n.nspacl, acldefault('n', n.nspowner))")},
           'comment', obj_description(n.oid, 'pg_namespace'))
      FROM pg_namespace n WHERE {USERS} AND {no_member("pg_namespace", "n.oid")}"""

# PostgreSQL prints no CREATE AGGREGATE; its parts stand for it.
_AGGREGATE = """(SELECT json_strip_nulls(json_build_object(
    'sfunc', a.aggtransfn::text, 'stype', format_type(a.aggtranstype, NULL), 'sspace', nullif(a.aggtransspace, 0),
    'finalfunc', nullif(a.aggfinalfn::text, '-'), 'finalfunc_extra', nullif(a.aggfinalextra, false),
    'finalfunc_modify', a.aggfinalmodify, 'combinefunc', nullif(a.aggcombinefn::text, '-'),
    'serialfunc', nullif(a.aggserialfn::text, '-'), 'deserialfunc', nullif(a.aggdeserialfn::text, '-'),
    'initcond', a.agginitval, 'kind', a.aggkind, 'direct_args', a.aggnumdirectargs,
    'sortop', nullif(a.aggsortop::regoperator::text, '0'), 'parallel', p.proparallel,
    'msfunc', nullif(a.aggmtransfn::text, '-'), 'minvfunc', nullif(a.aggminvtransfn::text, '-'),
    'mstype', CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END,
    'mfinalfunc', nullif(a.aggmfinalfn::text, '-'), 'minitcond', a.aggminitval))::text
  FROM pg_aggregate a WHERE a.aggfnoid = p.oid)"""

FUNCTIONS = f"""
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
           format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), json_build_object(
           'owner', pg_get_userbyid(p.proowner),
           'acl', {grants("coalesce(p.proacl, acldefault('f', p.proowner))")},
           'returns', pg_get_function_result(p.oid),
           'language', (SELECT lanname FROM pg_language WHERE oid = p.prolang),
           'security_definer', p.prosecdef,
           'settings', {listed("p.proconfig")},
           'definition', CASE p.prokind WHEN 'a' THEN {_AGGREGATE} ELSE pg_get_functiondef(p.oid) END,
           'comment', obj_description(p.oid, 'pg_proc'))
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE {USERS} AND {no_member("pg_proc", "p.oid")}
       -- The constructors of a range follow its type.
       AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid
                          AND i.deptype = 'i' AND i.refclassid = 'pg_type'::regclass)"""

# Only types that stand for themselves: the row types of tables, arrays and multiranges follow theirs.
TYPES = f"""
    SELECT 'type', format('%I.%I', n.nspname, t.typname), json_build_object(
           'owner', pg_get_userbyid(t.typowner),
           'acl', {grants("coalesce(t.typacl, acldefault('T', t.typowner))")},
           'form', CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'c' THEN 'composite' WHEN 'd' THEN 'domain'
                                  WHEN 'r' THEN 'range' ELSE 'base' END,
           'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
           'attributes', (SELECT json_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
                                          || CASE WHEN a.attcollation <> at.typcollation
                                                  THEN ' COLLATE ' || a.attcollation::regcollation::text ELSE '' END
                                          ORDER BY a.attnum)
                            FROM pg_attribute a JOIN pg_type at ON at.oid = a.atttypid
                           WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
           'base', CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
           'not_null', t.typnotnull,
           'default', CASE t.typtype WHEN 'd' THEN pg_get_expr(t.typdefaultbin, 0) END,
           'collation', (SELECT t.typcollation::regcollation::text FROM pg_type b
                          WHERE t.typtype = 'd' AND b.oid = t.typbasetype AND b.typcollation <> t.typcollation),
           'constraints', (SELECT json_object_agg(k.conname, pg_get_constraintdef(k.oid)) FROM pg_constraint k
                            WHERE k.contypid = t.oid AND k.contype = 'c'),
           'range', (SELECT json_strip_nulls(json_build_object(
                                'subtype', format_type(r.rngsubtype, NULL),
                                'collation', CASE WHEN r.rngcollation <> 0 THEN r.rngcollation::regcollation::text END,
                                'operator_class', (SELECT opcname FROM pg_opclass WHERE oid = r.rngsubopc),
                                'canonical', nullif(r.rngcanonical::text, '-'),
                                'subtype_diff', nullif(r.rngsubdiff::text, '-'),
                                'multirange', format_type(r.rngmultitypid, NULL)))
                       FROM pg_range r WHERE r.rngtypid = t.oid),
           'input', CASE t.typtype WHEN 'b' THEN t.typinput::text END,
           'output', CASE t.typtype WHEN 'b' THEN t.typoutput::text END,
           'comment', obj_description(t.oid, 'pg_type'))
      FROM pg_type t
      JOIN pg_namespace n ON n.oid = t.typnamespace
      LEFT JOIN pg_class c ON c.oid = t.typrelid
     WHERE t.typisdefined AND t.typtype IN ('b', 'c', 'd', 'e', 'r') AND (t.typtype <> 'c' OR c.relkind = 'c')
       AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = t.oid)
       AND {USERS} AND {no_member("pg_type", "t.oid")}"""

EXTENSIONS = """
    SELECT 'extension', quote_ident(e.extname), json_build_object(
           'owner', pg_get_userbyid(e.extowner), 'version', e.extversion, 'schema', quote_ident(n.nspname))
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"""

EVENT_TRIGGERS = f"""
    SELECT 'event_trigger', quote_ident(t.evtname), json_build_object(
           'owner', pg_get_userbyid(t.evtowner), 'event', t.evtevent, 'tags', {listed("t.evttags")},
           'function', t.evtfoid::regproc::text, 'enabled', {_ENABLED.format("t.evtenabled")},
           'comment', obj_description(t.oid, 'pg_event_trigger'))
      FROM pg_event_trigger t WHERE {no_member("pg_event_trigger", "t.oid")}"""

# Its name is made of its creator, so that a role can be given another name.
DEFAULT_PRIVILEGES = f"""
    SELECT 'default_privileges', '', json_build_object(
           'creator', pg_get_userbyid(d.defaclrole),
           'schema', (SELECT quote_ident(nspname) FROM pg_namespace WHERE oid = d.defaclnamespace),
           'objects', CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                                           WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS'
                                           ELSE d.defaclobjtype::text END,
           'acl_owner', pg_get_userbyid(d.defaclrole),
           'acl', {grants("d.defaclacl")})
      FROM pg_default_acl d"""

PUBLICATIONS = f"""
    SELECT 'publication', quote_ident(p.pubname), json_build_object(
           'owner', pg_get_userbyid(p.pubowner),
           'all_tables', p.puballtables,
           'publish', concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                                CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
           'via_root', p.pubviaroot,
           'tables', (SELECT json_object_agg(format('%I.%I', n.nspname, c.relname), concat_ws(' ',
                                 '(' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname)
                                           FROM pg_attribute a
                                          WHERE a.attrelid = c.oid AND a.attnum = ANY (r.prattrs::int2[])) || ')',
                                 'WHERE ' || pg_get_expr(r.prqual, r.prrelid)))
                        FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid
                        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = p.oid),
           'schemas', (SELECT json_agg(quote_ident(n.nspname) ORDER BY n.nspname) FROM pg_publication_namespace s
                         JOIN pg_namespace n ON n.oid = s.pnnspid WHERE s.pnpubid = p.oid),
           'comment', obj_description(p.oid, 'pg_publication'))
      FROM pg_publication p WHERE {no_member("pg_publication", "p.oid")}"""

STATISTICS = f"""
    SELECT 'statistics', format('%I.%I', n.nspname, s.stxname), json_build_object(
           'of', s.stxrelid::regclass::text,
           'owner', pg_get_userbyid(s.stxowner),
           'definition', pg_get_statisticsobjdef(s.oid),
           'target', nullif(s.stxstattarget, -1),
           'comment', obj_description(s.oid, 'pg_statistic_ext'))
      FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
     WHERE {USERS} AND {no_member("pg_statistic_ext", "s.oid")}"""

FOREIGN_DATA_WRAPPERS = f"""
    SELECT 'foreign_data_wrapper', quote_ident(w.fdwname), json_build_object(
           'owner', pg_get_userbyid(w.fdwowner),
           'acl', {grants("coalesce(w.fdwacl, acldefault('F', w.fdwowner))")},
           'handler', nullif(w.fdwhandler::regproc::text, '-'), 'validator', nullif(w.fdwvalidator::regproc::text, '-'),
           'server_options', {listed("w.fdwoptions")},
           'comment', obj_description(w.oid, 'pg_foreign_data_wrapper'))
      FROM pg_foreign_data_wrapper w WHERE {no_member("pg_foreign_data_wrapper", "w.oid")}"""

FOREIGN_SERVERS = f"""
    SELECT 'foreign_server', quote_ident(s.srvname), json_build_object(
           'owner', pg_get_userbyid(s.srvowner),
           'acl', {grants("coalesce(s.srvacl, acldefault('S', s.srvowner))")},
           'wrapper', (SELECT fdwname FROM pg_foreign_data_wrapper WHERE oid = s.srvfdw),
           'type', s.srvtype, 'version', s.srvversion, 'server_options', {listed("s.srvoptions")},
           'comment', obj_description(s.oid, 'pg_foreign_server'))
      FROM pg_foreign_server s WHERE {no_member("pg_foreign_server", "s.oid")}"""

# The names of the options only: their values are a login elsewhere.
USER_MAPPINGS = """
    SELECT 'user_mapping', '', json_build_object(
           'server', quote_ident(m.srvname), 'user', CASE m.umuser WHEN 0 THEN 'PUBLIC' ELSE m.usename END,
           'option_names', (SELECT json_agg(split_part(item, '=', 1) ORDER BY item) FROM unnest(m.umoptions) AS item))
      FROM pg_user_mappings m"""

COLLATIONS = f"""
    SELECT 'collation', format('%I.%I', n.nspname, c.collname), json_build_object(
           'owner', pg_get_userbyid(c.collowner), 'provider', c.collprovider, 'deterministic', c.collisdeterministic,
           'locale', coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate),
           'comment', obj_description(c.oid, 'pg_collation'))
      FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
     WHERE {USERS} AND {no_member("pg_collation", "c.oid")}"""

# Of what is rare, that it is there, and of whom it is said so.
_RARE = (
    "pg_operator",
    "pg_opclass",
    "pg_opfamily",
    "pg_cast",
    "pg_conversion",
    "pg_language",
    "pg_am",
    "pg_transform",
    "pg_ts_config",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
)
RARE = " UNION ALL ".join(
    f"""
    SELECT replace(i.type, ' ', '_'), i.identity, json_build_object('comment', obj_description(o.oid, '{catalog}'))
      FROM {catalog} o, pg_identify_object('{catalog}'::regclass, o.oid, 0) i
     WHERE o.oid >= 16384 AND {no_member(catalog, "o.oid")}"""
    for catalog in _RARE
)

OBJECTS = (
    SCHEMAS,
    FUNCTIONS,
    TYPES,
    EXTENSIONS,
    EVENT_TRIGGERS,
    DEFAULT_PRIVILEGES,
    PUBLICATIONS,
    STATISTICS,
    FOREIGN_DATA_WRAPPERS,
    FOREIGN_SERVERS,
    USER_MAPPINGS,
    COLLATIONS,
    RARE,
)
