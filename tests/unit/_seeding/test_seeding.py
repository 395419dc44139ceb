# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's specification, plan and files of seeds, without a server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._environment import is_production
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._seeding import statements as st
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.observe import Guard, Held
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.plan import plan
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.seed import check_text
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.spec import (
    GuardSpec,
    environment_of,
    parse,
)

GIVEN: dict[str, Any] = {
    "state": "present",
    "schemas": ["public"],
    "exempt": [],
    "seed_roles": ["seed"],
    "allowed_roles": [],
    "callers": [],
    "environment": "",
}
PINNED = ('search_path=""',)
SPEC = parse(GIVEN)
BARE = Guard("17/main@prod", None, False, {}, None, {}, {("public", "orders"): {}})
WHOLE = Guard(
    "17/main@prod",
    frozenset(["seed"]),
    False,
    {
        **{
            f.name: Held(f.body, f.definer, PINNED if f.definer else (), frozenset(["seed"] if f.open else []))
            for f in st.FUNCTIONS
        },
        st.SETTINGS: Held("", False, (), frozenset()),
    },
    SPEC.settings,
    dict.fromkeys(st.EVENT_TRIGGERS, True),
    {("public", "orders"): {st.TRUNCATE_TRIGGER: (True, ()), st.SEED_TRIGGER: (True, ("", "seed"))}},
)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"schemas": []}, "schemas is empty"),
        ({"schemas": ["pg_catalog"]}, "pg_catalog is not one of an application"),
        ({"schemas": ["dbops"]}, "dbops is not one of an application"),
        ({"exempt": ["orders"]}, "'orders' is in none of the schemas"),
        ({"exempt": ["other.orders"]}, "is in none of the schemas"),
        ({"allowed_roles": ["seed"]}, "seed is in seed_roles and in allowed_roles"),
        ({"environment": "pro d"}, "is not one word"),
    ],
)
def test_wrong_parameters(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DbopsError, match=said):
        parse({**GIVEN, **given})


@pytest.mark.parametrize(
    ("cluster_name", "declared", "environment", "production"),
    [
        ("17/main@prod", "", "prod", True),
        ("17/main@prod", "dev", "prod", True),
        ("17/main@Production", "", "Production", True),
        ("17/main@dev", "prod", "dev", False),
        ("17/main", "live", "live", True),
        ("17/main@", "stage", "stage", False),
        ("17/main", "", "", False),
        ("a@b@dev", "", "dev", False),
    ],
)
def test_what_a_server_is(cluster_name: str, declared: str, environment: str, production: bool) -> None:
    assert environment_of(cluster_name, declared) == environment
    assert is_production(environment) == production


def test_a_bare_database_and_a_whole_one() -> None:
    made = plan(SPEC, BARE)
    assert {step.subject for step in made.steps} == {"guard", "table public.orders"}
    assert made.steps[-1].subject == "table public.orders"  # after all that guards new tables
    assert plan(SPEC, WHOLE).steps == ()
    assert plan(SPEC, WHOLE).changes == ()
    removed = plan(replace(SPEC, present=False), WHOLE)
    assert removed.steps[0].subject == "table public.orders"
    assert removed.steps[-1].sql.template == "DROP SCHEMA {}"
    assert plan(replace(SPEC, present=False), BARE).steps == ()


@pytest.mark.parametrize(
    ("seen", "steps"),
    [
        (replace(WHOLE, event_triggers={"dbops_refuse_drops": True}), 2),
        (replace(WHOLE, event_triggers=dict.fromkeys(st.EVENT_TRIGGERS, False)), 2),
        (replace(WHOLE, settings="{}"), 1),
        (replace(WHOLE, schema_grantees=frozenset()), 1),
        (replace(WHOLE, functions={**WHOLE.functions, "refuse": Held("x", True, PINNED, frozenset())}), 1),
        (replace(WHOLE, functions={**WHOLE.functions, "refuse": Held(st.REFUSE.body, False, PINNED, frozenset())}), 1),
        (replace(WHOLE, functions={**WHOLE.functions, "refuse": Held(st.REFUSE.body, True, (), frozenset())}), 1),
        (
            replace(WHOLE, functions={**WHOLE.functions, "refuse": Held(st.REFUSE.body, True, PINNED, frozenset("x"))}),
            1,
        ),
        (replace(WHOLE, tables={("public", "orders"): {}}), 4),
        (replace(WHOLE, tables={("public", "orders"): {st.TRUNCATE_TRIGGER: (False, ())}}), 3),
        (replace(WHOLE, tables={("public", "orders"): {st.SEED_TRIGGER: (True, ("", "other"))}}), 5),
        (replace(WHOLE, tables={("moved", "orders"): {st.TRUNCATE_TRIGGER: (True, ())}}), 1),
    ],
)
def test_everything_that_differs_is_mended(seen: Guard, steps: int) -> None:
    made = plan(SPEC, seen)
    assert len(made.steps) == steps
    assert made.changes or "grantees" in str(seen)


def test_what_others_have_put_there_stays() -> None:
    spec = replace(SPEC, present=False)
    templates = {step.sql.template for step in plan(spec, replace(WHOLE, others=True)).steps}
    assert "DROP SCHEMA {}" not in templates
    assert "DROP FUNCTION {}" in templates


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (replace(BARE, cluster_name="17/main"), "does not say which environment it is"),
        (replace(BARE, missing_schemas=("x",)), "There is no schema x"),
        (replace(BARE, missing_roles=("y",)), "There is no role y"),
    ],
)
def test_refused_before_anything(seen: Guard, said: str) -> None:
    with pytest.raises(DbopsError, match=said):
        plan(SPEC, seen)
    assert plan(replace(SPEC, present=False), seen).steps == ()
    assert GuardSpec().schemas == ("public",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no statement"),
        ("-- nothing\n;;", "holds no statement"),
        ("SELECT 1;\n\\i other.sql", "command of psql"),
        ("BEGIN; DELETE FROM t; COMMIT;", "holds BEGIN"),
        ("SELECT 1; commit", "holds COMMIT"),
        ("SELECT 1;\nROLLBACK;", "holds ROLLBACK"),
        ("start transaction; SELECT 1", "holds START"),
        ("SELECT 1; END;", "holds END"),
        ("/* a */ COMMIT", "holds COMMIT"),
        ("COPY t FROM STDIN;\n1\n\\.", "command of psql|STDIN"),
        ("COPY t FROM stdin", "STDIN"),
    ],
)
def test_files_that_cannot_be_one_transaction(text: str, said: str) -> None:
    with pytest.raises(DbopsError, match=said):
        check_text("a.sql", text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ';COMMIT;'",
        "DO $$ BEGIN PERFORM 1; END; $$;",
        "DO $a$ BEGIN\nPERFORM '$$'; END; $a$;",
        "INSERT INTO t VALUES ('\\x'); -- COMMIT;",
        "SAVEPOINT a; ROLLBACK TO a; SELECT 1",
        'SELECT 1 AS "a; COMMIT;"',
        "SELECT CASE WHEN true THEN 1\nEND;",
    ],
)
def test_files_that_can(text: str) -> None:
    check_text("a.sql", text)
