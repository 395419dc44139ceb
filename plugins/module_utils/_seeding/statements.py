# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions of the guard and its statements. Pure.

The functions are the same in every database; what differs is in ``dbops.seed_guard()``. They run as their owner, since
nobody else holds a privilege on them; ``session_user`` is still who logged in, and the setting ``role`` who it became.
``refuse_seed_role()`` is the exception: every writing statement calls it, so it is as cheap as can be, and it has to
work for who may call nothing else, as the owner of a table while a foreign key cascades.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._environment import PRODUCTION
from ansible_collections.dbops.postgres.plugins.module_utils._plan import Ident, Joined, Literal, Sql

SCHEMA = "dbops"
TRUNCATE_TRIGGER = "dbops_refuse_truncate"
SEED_TRIGGER = "dbops_refuse_seed_role"
SETTINGS = "seed_guard"  # the function that holds them


@dataclass(frozen=True)
class Function:
    """One function: its signature and body, and whether the callers may call it.

    :param definer: whether it runs as its owner, with a search_path of its own.
    """

    signature: str
    returns: str
    body: str
    language: str = "plpgsql"
    open: bool = False
    definer: bool = True

    @property
    def name(self) -> str:
        """Without its types."""
        return self.signature.partition("(")[0]


_PRODUCTION = ", ".join(f"'{word}'" for word in ("", *PRODUCTION))
_RAISE = """RAISE EXCEPTION USING
        ERRCODE = 'insufficient_privilege',
        MESSAGE = format('%s is refused: database %s %s', what, current_database(),
                         CASE here WHEN '' THEN 'does not say which environment it is' ELSE 'is ' || here END),
        HINT = CASE here WHEN ''
            THEN 'Set cluster_name to <version>/<cluster>@<environment> and restart the server, or declare the '
                 'environment with dbops.postgres.pg_seed_guard.'
            ELSE 'Seed and reset scripts run against development only: look at which server this is. What has to be '
                 'done in production is a migration.' END;"""
_SAID = "nullif(substring(current_setting('cluster_name') FROM '@([^@]*)$'), '')"
ENVIRONMENT = Function(
    "environment()",
    "text",
    f"""
    SELECT coalesce({_SAID},
                    dbops.seed_guard() ->> 'environment', '')
""",
    "sql",
    open=True,
)
REFUSE = Function(
    "refuse(text)",
    "void",
    f"""
DECLARE
    what text := $1;
    here text := dbops.environment();
BEGIN
    IF lower(here) NOT IN ({_PRODUCTION}) THEN
        RETURN;
    END IF;
    {_RAISE}
END
""",
)
ASSERT = Function(
    "assert_not_production()",
    "void",
    """
BEGIN
    PERFORM dbops.refuse('This script');
END
""",
    open=True,
)
REFUSE_UNLESS_ALLOWED = Function(
    "refuse_unless_allowed(text)",
    "void",
    """
BEGIN
    IF dbops.seed_guard() -> 'allowed_roles' ? session_user::text
       AND current_setting('dbops.allow_reset', true) = 'reset the production database ' || current_database() THEN
        RETURN;
    END IF;
    PERFORM dbops.refuse($1);
END
""",
)
REFUSE_TRUNCATE = Function(
    "refuse_truncate()",
    "trigger",
    """
BEGIN
    PERFORM dbops.refuse_unless_allowed(format('TRUNCATE of %I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME));
    RETURN NULL;
END
""",
)
# It asks for the setting and not for current_user, which is the owner of the table while a foreign key cascades. As a
# condition of the trigger the same costs more. The first argument is the declared environment; roles follow.
REFUSE_SEED_ROLE = Function(
    "refuse_seed_role()",
    "trigger",
    f"""
DECLARE
    what text;
    here text;
BEGIN
    IF session_user = ANY (TG_ARGV[1:]) OR current_setting('role') = ANY (TG_ARGV[1:]) THEN
        here := coalesce({_SAID}, TG_ARGV[0]);
        IF lower(here) IN ({_PRODUCTION}) THEN
            what := format('%s of %I.%I by the seed role %s', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME,
                           coalesce(nullif(current_setting('role'), 'none'), session_user));
            {_RAISE}
        END IF;
    END IF;
    RETURN NULL;
END
""",
    definer=False,
)
GUARD_NEW = Function(
    "guard_new_table()",
    "event_trigger",
    """
DECLARE
    guard jsonb := dbops.seed_guard();
    seeds text := (SELECT string_agg(quote_literal(r), ', ' ORDER BY r)
                     FROM jsonb_array_elements_text(guard -> 'seed_roles') r);
    made record;
BEGIN
    FOR made IN
        SELECT DISTINCT d.object_identity
          FROM pg_event_trigger_ddl_commands() d
          JOIN pg_class c ON c.oid = d.objid
         WHERE d.classid = 'pg_class'::regclass AND NOT d.in_extension
           AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
           AND guard -> 'schemas' ? d.schema_name
           AND NOT guard -> 'exempt' ? (d.schema_name || '.' || c.relname)
           AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'dbops_refuse_truncate')
    LOOP
        EXECUTE format('CREATE TRIGGER dbops_refuse_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT '
                       'EXECUTE FUNCTION dbops.refuse_truncate()', made.object_identity);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER dbops_refuse_truncate', made.object_identity);
        CONTINUE WHEN seeds IS NULL;
        EXECUTE format('CREATE TRIGGER dbops_refuse_seed_role BEFORE INSERT OR UPDATE OR DELETE ON %s '
                       'FOR EACH STATEMENT EXECUTE FUNCTION dbops.refuse_seed_role(%L, %s)',
                       made.object_identity, guard ->> 'environment', seeds);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER dbops_refuse_seed_role', made.object_identity);
    END LOOP;
END
""",
)
GUARD_DROPS = Function(
    "refuse_drop()",
    "event_trigger",
    """
DECLARE
    guard jsonb := dbops.seed_guard();
    seeding boolean := guard -> 'seed_roles' ?| ARRAY[session_user::text, current_setting('role')];
    gone record;
BEGIN
    FOR gone IN
        SELECT d.object_type, d.object_identity, d.object_name, d.schema_name, d.is_temporary
          FROM pg_event_trigger_dropped_objects() d
    LOOP
        IF gone.object_type = 'schema' AND guard -> 'schemas' ? gone.object_name THEN
            PERFORM dbops.refuse_unless_allowed(format('DROP of schema %I', gone.object_name));
        ELSIF seeding AND NOT gone.is_temporary AND guard -> 'schemas' ? gone.schema_name THEN
            PERFORM dbops.refuse(format('DROP of %s %s by the seed role %s', gone.object_type, gone.object_identity,
                                        coalesce(nullif(current_setting('role'), 'none'), session_user)));
        END IF;
    END LOOP;
END
""",
)
FUNCTIONS = (
    ENVIRONMENT,
    REFUSE,
    ASSERT,
    REFUSE_UNLESS_ALLOWED,
    REFUSE_TRUNCATE,
    REFUSE_SEED_ROLE,
    GUARD_NEW,
    GUARD_DROPS,
)
# Name -> the event, which commands, the function.
EVENT_TRIGGERS: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "dbops_guard_new_tables": ("ddl_command_end", ("CREATE TABLE", "CREATE TABLE AS", "SELECT INTO"), GUARD_NEW.name),
    "dbops_refuse_drops": ("sql_drop", (), GUARD_DROPS.name),
}
_ARGUMENTS = {"refuse(text)": "(text)", "refuse_unless_allowed(text)": "(text)"}


def named(function: str) -> Sql:
    """A function of the guard, with the types of its arguments, by its signature or name."""
    signature = next((f.signature for f in FUNCTIONS if f.name == function), f"{function}()")
    return Sql("{}" + _ARGUMENTS.get(signature, "()"), (Ident(SCHEMA, function),))


def create_settings(settings: str) -> Sql:
    """The function that holds the settings; its body is parsed now, so nothing is quoted twice."""
    return Sql(
        "CREATE OR REPLACE FUNCTION {} RETURNS jsonb LANGUAGE sql IMMUTABLE RETURN {}::jsonb",
        (named(SETTINGS), Literal(settings)),
    )


def create_function(function: Function) -> Sql:
    """Create or replace it."""
    volatility = " STABLE" if function.language == "sql" else ""
    definer = " SECURITY DEFINER SET search_path = ''" if function.definer else ""
    return Sql(
        f"CREATE OR REPLACE FUNCTION {{}} RETURNS {function.returns} LANGUAGE {function.language}{volatility}"
        f"{definer} AS {{}}",
        (named(function.name), Literal(function.body)),
    )


def create_event_trigger(name: str) -> tuple[Sql, Sql]:
    """Create it, and let it fire in every session_replication_role."""
    event, tags, function = EVENT_TRIGGERS[name]
    when = Sql(" WHEN TAG IN ({})", (Joined(tuple(map(Literal, tags))),)) if tags else Sql("")
    create = Sql(
        f"CREATE EVENT TRIGGER {{}} ON {event}{{}} EXECUTE FUNCTION {{}}", (Ident(name), when, named(function))
    )
    return create, Sql("ALTER EVENT TRIGGER {} ENABLE ALWAYS", (Ident(name),))


def create_truncate_trigger(table: Ident) -> Sql:
    """Before a TRUNCATE."""
    return Sql(
        "CREATE TRIGGER {} BEFORE TRUNCATE ON {} FOR EACH STATEMENT EXECUTE FUNCTION {}",
        (Ident(TRUNCATE_TRIGGER), table, named(REFUSE_TRUNCATE.name)),
    )


def create_seed_trigger(table: Ident, arguments: tuple[str, ...]) -> Sql:
    """Before a change by a seed role."""
    return Sql(
        "CREATE TRIGGER {} BEFORE INSERT OR UPDATE OR DELETE ON {} FOR EACH STATEMENT EXECUTE FUNCTION {}({})",
        (Ident(SEED_TRIGGER), table, Ident(SCHEMA, REFUSE_SEED_ROLE.name), Joined(tuple(map(Literal, arguments)))),
    )
