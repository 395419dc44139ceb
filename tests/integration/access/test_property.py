# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random declared access over random existing grants: after one run the access lists are exactly the declared ones.

What is expected is computed here from the declaration alone, and read by queries of its own, so that neither the
planner nor the reader vouches for itself.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.integration.access.running import made_true, query, sql
from tests.integration.servers import Database, Server, create_database, drop_database

# Few of each, so that random statements meet on the same object.
ROLES = ("a", "b", "c")
OWNER = "own"
CREATORS = ("mig", "mig2")
TABLES = ("t1", "v1", "p1")
COLUMNS = ("x", "y")
SEQUENCES = ("s1",)
ROUTINES = ("f1", "f2(integer)", "f2(text, integer[])", "pr(integer)", "agg(integer)", "osa(integer)")
TYPES = ("dom", "enu", "rng")
TABLE_WORDS = ("SELECT", "UPDATE", "TRUNCATE")
COLUMN_WORDS = ("SELECT", "UPDATE")
WORDS: dict[str, tuple[str, ...]] = {
    "table": TABLE_WORDS,
    "sequence": ("USAGE", "SELECT", "UPDATE"),
    "function": ("EXECUTE",),
    "type": ("USAGE",),
}
OBJECTS: dict[str, tuple[str, ...]] = {
    "table": TABLES,
    "sequence": SEQUENCES,
    "function": ("f1()", *ROUTINES[1:]),
    "type": TYPES,
}

MAKE = (
    "CREATE TABLE app.t1 (x int, y int)",
    "CREATE VIEW app.v1 AS SELECT x, y FROM app.t1",
    "CREATE TABLE app.p1 (x int, y int) PARTITION BY LIST (x)",
    "CREATE SEQUENCE app.s1",
    "CREATE FUNCTION app.f1() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION app.f2(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION app.f2(text, VARIADIC int[]) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE PROCEDURE app.pr(IN a int, OUT b int) LANGUAGE sql AS 'SELECT 1'",
    "CREATE AGGREGATE app.agg(int) (SFUNC = int4pl, STYPE = int4)",
    "CREATE AGGREGATE app.osa(ORDER BY int4) (SFUNC = int4pl, STYPE = int4, FINALFUNC = int4abs)",
    "CREATE DOMAIN app.dom AS int",
    "CREATE TYPE app.enu AS ENUM ('a')",
    "CREATE TYPE app.rng AS RANGE (SUBTYPE = float8)",
)
SQL_OBJECTS: dict[str, tuple[str, ...]] = {
    "TABLE": tuple(f"app.{name}" for name in TABLES),
    "SEQUENCE": ("app.s1",),
    "ROUTINE": ("app.f1()", "app.f2(int)", "app.f2(text, int[])", "app.pr(IN int)", "app.agg(int)"),
    "TYPE": tuple(f"app.{name}" for name in TYPES),
    "SCHEMA": ("app",),
}
SQL_WORDS: dict[str, tuple[str, ...]] = {
    "TABLE": TABLE_WORDS,
    "SEQUENCE": ("USAGE", "SELECT", "UPDATE"),
    "ROUTINE": ("EXECUTE",),
    "TYPE": ("USAGE",),
    "SCHEMA": ("USAGE", "CREATE"),
}


@dataclass(frozen=True)
class Existing:
    """One statement of the world before: who grants, what, to whom."""

    grantor: str
    kind: str
    target: str
    words: tuple[str, ...]
    column: str
    grantee: str
    option: bool
    revoke: bool


@st.composite
def existing(draw: st.DrawFn) -> Existing:
    kind = draw(st.sampled_from((*sorted(SQL_OBJECTS), "TABLE", "TABLE", "TABLE")))
    column = draw(st.sampled_from(("", "", *COLUMNS))) if kind == "TABLE" else ""
    words = draw(
        st.lists(st.sampled_from(COLUMN_WORDS if column else SQL_WORDS[kind]), min_size=1, max_size=3, unique=True)
    )
    # Revoking from the owner and from PUBLIC is what makes a list that is not NULL and lacks the defaults.
    revoke = draw(st.integers(0, 5)) == 0
    return Existing(
        grantor=draw(st.sampled_from((OWNER, OWNER, *ROLES))),
        kind=kind,
        target=draw(st.sampled_from(SQL_OBJECTS[kind])),
        words=tuple(words),
        column=column,
        grantee=draw(st.sampled_from((*ROLES, "PUBLIC", OWNER) if revoke else (*ROLES, *ROLES, "PUBLIC"))),
        option=draw(st.booleans()),
        revoke=revoke,
    )


@st.composite
def linked(draw: st.DrawFn) -> list[Existing]:
    """Two grants on one table that have to do with each other: one rests on the other, or reaches further."""
    word, table = draw(st.sampled_from(COLUMN_WORDS)), draw(st.sampled_from(SQL_OBJECTS["TABLE"]))
    first, second = draw(st.permutations(ROLES))[:2]
    column = draw(st.sampled_from(("", *COLUMNS)))
    if draw(st.booleans()):
        return [
            Existing(OWNER, "TABLE", table, (word,), "", first, True, False),
            Existing(first, "TABLE", table, (word,), column, second, draw(st.booleans()), False),
        ]
    return [
        Existing(OWNER, "TABLE", table, (word,), "", first, draw(st.booleans()), False),
        Existing(OWNER, "TABLE", table, (word,), column, first, draw(st.booleans()), False),
    ]


@st.composite
def defaults_before(draw: st.DrawFn) -> tuple[str, str, bool, str, bool]:
    kind = draw(st.sampled_from(("TABLES", "SEQUENCES", "FUNCTIONS", "TYPES")))
    creator = draw(st.sampled_from((*CREATORS, "stranger")))
    inside = draw(st.booleans())
    grantee = draw(st.sampled_from((*ROLES, "PUBLIC")))
    return (creator, kind, inside, grantee, draw(st.booleans()))


def grantees() -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from((*ROLES, "PUBLIC")), min_size=1, max_size=3, unique=True)


@st.composite
def entry(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "privileges": draw(st.lists(st.sampled_from(WORDS[kind]), min_size=1, max_size=3, unique=True)),
        "roles": draw(grantees()),
    }
    shape = draw(st.sampled_from(("all", "objects", "except", *(["columns"] * 3 if kind == "table" else []))))
    some = st.lists(st.sampled_from(OBJECTS[kind]), min_size=1, max_size=2, unique=True)
    if shape == "objects":
        made["objects"] = draw(some)
    elif shape == "except":
        made["except"] = draw(some)
    elif shape == "columns":
        made["objects"] = draw(some)
        made["columns"] = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True))
        made["privileges"] = draw(st.lists(st.sampled_from(COLUMN_WORDS), min_size=1, unique=True))
    return made


@st.composite
def declared(draw: st.DrawFn) -> dict[str, Any]:
    few = st.lists(st.sampled_from((*ROLES, "PUBLIC")), max_size=2, unique=True)
    return {
        "name": "app",
        "usage": draw(few),
        "create": draw(few),
        "creators": list(CREATORS[: draw(st.integers(0, 2))]),
        **{f"{kind}s": draw(st.lists(entry(kind), max_size=2)) for kind in WORDS},
    }


class World:
    """A database with a schema of every kind of object, which is made anew for each example."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connection = database.connect()
        self.names = {name: database.prefix + name for name in (*ROLES, OWNER, *CREATORS, "stranger")}
        self.names["PUBLIC"] = "PUBLIC"
        sql(self.connection, *(f"CREATE ROLE {name}" for name in self.names.values() if name != "PUBLIC"))

    def quoted(self, role: str) -> str:
        return self.names[role]

    def reset(self, grants: list[Existing], defaults: list[tuple[str, str, bool, str, bool]]) -> None:
        own = self.names[OWNER]
        roles = ", ".join(name for name in self.names.values() if name != "PUBLIC")
        sql(
            self.connection,
            "RESET ROLE",
            f"DROP OWNED BY {roles} CASCADE",
            "DROP SCHEMA IF EXISTS app CASCADE",
            f"CREATE SCHEMA app AUTHORIZATION {own}",
            f"SET ROLE {own}",
            *MAKE,
            # Or they could not even name the objects that they may grant on.
            f"GRANT USAGE ON SCHEMA app TO {', '.join(self.names[role] for role in ROLES)}",
            "RESET ROLE",
        )
        for grant in grants:
            what = ", ".join(word + (f" ({grant.column})" if grant.column else "") for word in grant.words)
            grantee = self.names[grant.grantee]
            if grant.revoke:
                statement = f"REVOKE {what} ON {grant.kind} {grant.target} FROM {grantee} CASCADE"
            else:
                option = " WITH GRANT OPTION" if grant.option and grant.grantee != "PUBLIC" else ""
                statement = f"GRANT {what} ON {grant.kind} {grant.target} TO {grantee}{option}"
            # A role without the grant option may not grant, and no circle may be made: that one is not in the world.
            with suppress(psycopg2.Error):
                sql(self.connection, f"SET ROLE {self.names[grant.grantor]}", statement)
            sql(self.connection, "RESET ROLE")
        for creator, kind, inside, grantee, give in defaults:
            where = " IN SCHEMA app" if inside else ""
            verb, word = ("GRANT", "TO") if give else ("REVOKE", "FROM")
            sql(
                self.connection,
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {self.names[creator]}{where} "
                f"{verb} ALL ON {kind} {word} {self.names[grantee]}",
            )

    def spec(self, schema: dict[str, Any], connect: list[str]) -> dict[str, Any]:
        def named(value: Any) -> Any:
            return [self.names[item] for item in value]

        schema = {
            key: [{**item, "roles": named(item["roles"])} for item in value]
            if key in ("tables", "sequences", "functions", "types")
            else (named(value) if isinstance(value, list) else value)
            for key, value in schema.items()
        }
        return {
            "databases": [{"name": self.database.name, "connect": named(connect), "schemas": [schema]}],
            "purge": True,
        }

    def actual(self, creators: set[str]) -> set[tuple[str, ...]]:
        """(kind, object, grantee, privilege) of everything that is not the owner's; ``*`` marks a grant option.

        The default privileges for all schemas are those of ``creators``: nobody else's are declared by anything.
        """
        rows = query(
            self.connection,
            """
            WITH lists (kind, name, owner, acl) AS (
                SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, c.relname::text, c.relowner,
                       coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))
                  FROM pg_class c WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'v', 'p', 'S')
                UNION ALL
                SELECT 'column', c.relname || '.' || a.attname, c.relowner, a.attacl
                  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                 WHERE c.relnamespace = 'app'::regnamespace AND a.attacl IS NOT NULL
                UNION ALL
                SELECT 'function', p.proname || '(' || (
                           SELECT coalesce(string_agg(format_type(u.t, NULL), ', ' ORDER BY u.n), '')
                             FROM unnest(p.proargtypes) WITH ORDINALITY AS u (t, n)) || ')',
                       p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
                  FROM pg_proc p
                 WHERE p.pronamespace = 'app'::regnamespace AND p.proname IN ('f1', 'f2', 'pr', 'agg', 'osa')
                UNION ALL
                SELECT 'type', t.typname::text, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner))
                  FROM pg_type t WHERE t.typnamespace = 'app'::regnamespace AND t.typname IN ('dom', 'enu', 'rng')
                UNION ALL
                SELECT 'schema', n.nspname::text, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
                  FROM pg_namespace n WHERE n.nspname = 'app'
                UNION ALL
                SELECT 'database', '', d.datdba, coalesce(d.datacl, acldefault('d', d.datdba))
                  FROM pg_database d WHERE d.datname = current_database()
                UNION ALL
                SELECT 'future ' || d.defaclobjtype::text, d.defaclrole::regrole::text || ' app',
                       d.defaclrole, d.defaclacl
                  FROM pg_default_acl d WHERE d.defaclnamespace <> 0
                UNION ALL
                SELECT 'future ' || k.letter, r.rolname, r.oid,
                       coalesce(d.defaclacl, acldefault(translate(k.letter, 'S', 's')::"char", r.oid))
                  FROM pg_roles r
                 CROSS JOIN unnest(ARRAY['r', 'S', 'f', 'T']) AS k (letter)
                  LEFT JOIN pg_default_acl d
                    ON d.defaclrole = r.oid AND d.defaclnamespace = 0 AND d.defaclobjtype::text = k.letter
                 WHERE r.rolname = ANY (%(creators)s)
            )
            SELECT l.kind, l.name, coalesce(r.rolname::text, 'PUBLIC'),
                   x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END,
                   CASE WHEN x.grantor = l.owner THEN '' ELSE 'by another' END
              FROM lists l CROSS JOIN aclexplode(l.acl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
             WHERE x.grantee <> l.owner
            """,
            {"creators": sorted(creators)},
        )
        return {tuple(row) for row in rows}

    def expected(self, schema: dict[str, Any], connect: list[str]) -> set[tuple[str, ...]]:
        found: set[tuple[str, ...]] = {("database", "", self.names[role], "CONNECT", "") for role in connect}
        found |= {("schema", "app", self.names[role], "USAGE", "") for role in schema["usage"]}
        found |= {("schema", "app", self.names[role], "CREATE", "") for role in schema["create"]}
        letters = {"table": "r", "sequence": "S", "function": "f", "type": "T"}
        for kind, objects in OBJECTS.items():
            for item in schema[f"{kind}s"]:
                pairs = [(self.names[role], word, "") for role in item["roles"] for word in item["privileges"]]
                if "columns" in item:
                    found |= {
                        ("column", f"{t}.{c}", *p) for t in item["objects"] for c in item["columns"] for p in pairs
                    }
                    continue
                covered = item.get("objects") or [name for name in objects if name not in item.get("except", ())]
                found |= {(kind, name, *pair) for name in covered for pair in pairs}
                if "objects" not in item:
                    found |= {
                        (f"future {letters[kind]}", f"{self.names[creator]} app", *pair)
                        for creator in schema["creators"]
                        for pair in pairs
                    }
        return found


# Worlds that are rare among random ones: a REVOKE on a table reaches the column that is declared; a column grant
# rests on the grant option on the table, where CASCADE does not find it.
NOTHING: dict[str, Any] = {
    "name": "app",
    **{key: [] for key in ("usage", "create", "creators")},
    **{f"{kind}s": [] for kind in WORDS},
}
COLUMN_ONLY = {
    **NOTHING,
    "tables": [{"privileges": ["SELECT"], "roles": ["a"], "objects": ["t1"], "columns": ["x"]}],
}
ON_TABLE_AND_COLUMN = [
    Existing(OWNER, "TABLE", "app.t1", ("SELECT",), "", "a", option=False, revoke=False),
    Existing(OWNER, "TABLE", "app.t1", ("SELECT",), "x", "a", option=True, revoke=False),
]
COLUMN_BY_ANOTHER = [
    Existing(OWNER, "TABLE", "app.t1", ("SELECT",), "", "a", option=True, revoke=False),
    Existing("a", "TABLE", "app.t1", ("SELECT",), "x", "b", option=True, revoke=False),
]
OPTION_ON_TABLE = Existing(OWNER, "TABLE", "app.t1", ("SELECT",), "", "b", option=True, revoke=False)
PLAIN_COLUMN_BY_ANOTHER = Existing("b", "TABLE", "app.t1", ("SELECT",), "x", "a", option=False, revoke=False)


@pytest.fixture(scope="module")
def world(pg_server: Server) -> Generator[World, None, None]:
    """One database and its roles for all examples."""
    database = create_database(pg_server)
    try:
        made = World(database)
        yield made
        made.connection.close()
    finally:
        drop_database(database)


def test_one_run_makes_the_access_exactly_the_declared_one(world: World) -> None:
    @settings(
        # The same examples in every run; DBOPS_EXAMPLES=1000 looks further, with others.
        max_examples=int(os.environ.get("DBOPS_EXAMPLES", "40")),
        derandomize="DBOPS_EXAMPLES" not in os.environ,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(
        grants=st.lists(st.one_of(existing().map(lambda one: [one]), linked()), max_size=12),
        defaults=st.lists(defaults_before(), max_size=3),
        schema=declared(),
        connect=st.lists(st.sampled_from((*ROLES, "PUBLIC")), max_size=2, unique=True),
    )
    @example(grants=[ON_TABLE_AND_COLUMN], defaults=[], schema=COLUMN_ONLY, connect=[])
    @example(grants=[COLUMN_BY_ANOTHER], defaults=[], schema=NOTHING, connect=[])
    @example(grants=[[OPTION_ON_TABLE, PLAIN_COLUMN_BY_ANOTHER]], defaults=[], schema=COLUMN_ONLY, connect=[])
    def holds(
        grants: list[list[Existing]],
        defaults: list[tuple[str, str, bool, str, bool]],
        schema: dict[str, Any],
        connect: list[str],
    ) -> None:
        world.reset([grant for some in grants for grant in some], defaults)
        made_true(world.database, world.spec(schema, connect))
        creators = {world.names[name] for name in schema["creators"]}
        assert world.actual(creators) == world.expected(schema, connect)

    holds()
