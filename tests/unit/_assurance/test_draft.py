# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The draft of a spec file: what the catalog shows, what only a person knows as a comment, valid as it is."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace

import pytest
import yaml

from ansible_collections.dbops.postgres.plugins.module_utils._assurance.catalog import Catalog, Role, Statement
from ansible_collections.dbops.postgres.plugins.module_utils._assurance.draft import (
    draft,
    logical_references,
    settings,
    tenant_column,
)
from ansible_collections.dbops.postgres.plugins.module_utils._assurance.whole import validate
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import (
    Definition,
    ForeignKey,
    Index,
    Key,
    Observed,
    Table,
)
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import load

NOW = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
ID = Key(column="id", default_opclass=True)
PRIMARY = Definition("btree", (ID,), unique=True)


def table(oid: int, name: str, **columns: str) -> Table:
    return Table(oid, "public", name, columns={"id": "int8", **columns})


def index(oid: int, on: int, definition: Definition, **given: bool) -> Index:
    return Index(oid, "public", f"i{oid}", on, definition, **given)  # type: ignore[arg-type]


def key(column: str) -> Key:
    return Key(column=column, default_opclass=True)


SEEN = Observed(
    NOW,
    tables={
        1: table(1, "patients", practice_id="uuid", email="text", details="jsonb"),
        2: table(2, "calls", practice_id="uuid", patient_id="int8", agent_id="uuid", at="timestamptz"),
        3: table(3, "Notes", practice_id="uuid", call_id="int8"),
        4: table(4, "plans", account_id="int8"),
        5: Table(5, "app", "Accounts", columns={"id": "int8"}),
    },
    indexes=(
        index(11, 1, PRIMARY, primary=True),
        index(
            12,
            1,
            Definition(
                "btree", (Key(expression="lower(email)", default_opclass=True),), True, predicate="(email <> '')"
            ),
        ),
        index(13, 1, Definition("gin", (Key(column="details", opclass="jsonb_ops", default_opclass=True),))),
        index(21, 2, PRIMARY, primary=True),
        index(22, 2, Definition("btree", (key("patient_id"), replace(key("at"), descending=True, nulls_first=True)))),
        index(51, 5, PRIMARY, primary=True),
        index(31, 3, PRIMARY, primary=True),
        index(32, 3, Definition("btree", (key("call_id"),), predicate="(call_id > 5)")),
        index(33, 3, Definition("btree", (key("practice_id"),), unique=True), valid=False),
    ),
    foreign_keys=(
        ForeignKey(2, "calls_patient", ("patient_id",), "patients"),
        ForeignKey(3, "notes_call", ("call_id",), "calls"),
    ),
)
CATALOG = Catalog(
    "aria_db",
    SEEN,
    policies={
        1: ("(practice_id = (current_setting('app.practice_id'::text))::uuid)",),
        2: ("SELECT (CURRENT_SETTING( 'request.jwt.claims', true)::json ->> 'sub')::uuid",),
        3: (),
    },
    roles=(Role("aria_app", 4), Role("worker", 1)),
    statements=(Statement("SELECT *\n  FROM calls\r\nWHERE id = $1 -- # x", "aria_app", 120, 3.14159),),
)


def test_the_draft_is_valid_as_it_is() -> None:
    spec = load(draft(CATALOG), "aria.yml")
    validate(spec)
    assert spec.database == "aria_db"
    assert spec.section("rls") == {"tenant_column": "practice_id", "application_roles": ["aria_app", "worker"]}
    assert spec.section("indexes") == {
        "required": [
            {"table": "public.patients", "columns": ["id"], "unique": True},
            {
                "table": "public.patients",
                "columns": [{"expression": "lower(email)"}],
                "unique": True,
                "where": "(email <> '')",
            },
            {"table": "public.calls", "columns": ["id"], "unique": True},
            {"table": "app.Accounts", "columns": ["id"], "unique": True},
            {"table": "public.Notes", "columns": ["id"], "unique": True},
            {"table": "public.calls", "columns": ["patient_id", {"column": "at", "order": "desc"}]},
        ],
        "jsonb": [{"table": "public.patients", "column": "details"}],
    }


def test_what_only_a_person_knows_is_a_comment() -> None:
    text = draft(CATALOG)
    assert "# missing: - {table: public.Notes, columns: [call_id]}  # notes_call" in text
    assert "The policies read: app.practice_id, request.jwt.claims." in text
    assert "#   - name: candidate 1  # 120 calls, 3.1 ms each\n" in text
    assert '#   - {table: public.calls, columns: [agent_id], target: {table: "FILL IN", columns: [id]}}  # of' in text
    assert "#   - {table: public.plans, columns: [account_id], target: {table: app.Accounts, columns: [id]}}\n" in text


def test_what_is_drafted_as_a_comment_is_valid_once_it_is_none() -> None:
    text = re.sub(r"^  # ((identities|queries|references):|  [- ] )", r"  \1", draft(CATALOG), flags=re.MULTILINE)
    data = yaml.safe_load(text)
    assert len(data["integrity"]["references"]) == 5
    assert data["plans"]["queries"][0]["sql"] == CATALOG.statements[0].text if CATALOG.statements else False
    assert data["plans"]["queries"][0]["parameters"] == ["FILL IN"]
    identities = data["rls"]["identities"]
    assert [item["role"] for item in identities] == ["aria_app", "aria_app"]
    assert set(identities[0]["settings"]) == {"app.practice_id", "request.jwt.claims"}
    validate(load(text, "aria.yml"))


@pytest.mark.parametrize(
    "catalog",
    [
        Catalog("a", Observed(NOW)),
        Catalog("yes", Observed(NOW), statements=()),
        Catalog("a: b\n# c", SEEN, roles=(Role('x"y', 1),)),
        replace(CATALOG, policies={}, roles=()),
        replace(CATALOG, seen=replace(SEEN, foreign_keys=(), indexes=())),
        replace(CATALOG, seen=replace(SEEN, indexes=())),
        replace(CATALOG, seen=replace(SEEN, tables={**SEEN.tables, 3: Table(3, "a.b", 'c"d', columns={"id": "int8"})})),
        replace(
            CATALOG, seen=replace(SEEN, tables={t: replace(table, columns={}) for t, table in SEEN.tables.items()})
        ),
        replace(
            CATALOG,
            seen=replace(SEEN, indexes=(index(9, 1, Definition("btree", (Key(expression="f(E'\\n')"),), True)),)),
        ),
    ],
)
def test_every_catalog_has_a_valid_draft(catalog: Catalog) -> None:
    text = draft(catalog)
    spec = load(text, "a.yml")
    validate(spec)
    assert spec.database == catalog.database
    assert draft(catalog) == text


def test_what_a_section_would_refuse_is_a_comment_that_says_why() -> None:
    refused = index(9, 1, Definition("btree", (Key(expression="f(E'\\n')", default_opclass=True),), True))
    text = draft(replace(CATALOG, seen=replace(SEEN, indexes=(refused,), foreign_keys=())))
    assert "# not to be said here: {table: public.patients, columns: [" in text


def test_the_tenant_column_is_the_commonest_under_row_level_security() -> None:
    assert tenant_column(CATALOG) == ("practice_id", 3)
    assert tenant_column(replace(CATALOG, policies={4: ()})) == ("account_id", 1)
    assert tenant_column(replace(CATALOG, policies={})) == ("practice_id", 3)
    named = {
        1: table(1, "a", ownerTenant="int8"),
        2: table(2, "b", organizationId="uuid"),
        3: table(3, "c", patient_id="uuid"),
    }
    assert tenant_column(Catalog("a", Observed(NOW, tables=named))) == ("organizationId", 1)


def test_settings_are_found_in_policies_and_functions() -> None:
    assert settings(CATALOG) == ["app.practice_id", "request.jwt.claims"]


def test_logical_references_are_columns_that_look_like_it_without_a_foreign_key() -> None:
    found = [(table.name, column) for table, column in logical_references(CATALOG)]
    assert found == [
        ("patients", "practice_id"),
        ("calls", "practice_id"),
        ("calls", "agent_id"),
        ("Notes", "practice_id"),
        ("plans", "account_id"),
    ]
