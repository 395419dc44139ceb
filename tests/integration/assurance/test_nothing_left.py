# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks leave nothing behind: catalog, rows, sequences, roles and statistics are what they were."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.dbops.postgres.plugins.module_utils._specfile import load
from ansible_collections.dbops.postgres.plugins.modules import (
    assurance_spec_info,
    pg_constraint_check,
    pg_index_check,
    pg_integrity_check,
    pg_plan_check,
    pg_rls_check,
)
from tests.integration import schemas
from tests.integration.assurance.footprint import footprint, settle
from tests.integration.servers import Database

CHECKS = (pg_rls_check, pg_constraint_check, pg_index_check, pg_plan_check, pg_integrity_check)
ADA, BEN = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
NORTH, SOUTH = "00000000-0000-4000-8000-0000000000f1", "00000000-0000-4000-8000-0000000000f2"


def identity(prefix: str, name: str, user: str, organisation: str) -> dict[str, Any]:
    """A member of an organisation of supabase_like.sql."""
    return {
        "name": name,
        "role": f"{prefix}authenticated",
        "settings": {"request.jwt.claims": {"sub": user}},
        "sees": {
            "*": f"organisation_id = '{organisation}'",
            "api.organisations": f"id = '{organisation}'",
            "api.profiles": f"id = '{user}'",
        },
        "writes": {"api.organisations": {"insert": f"created_by = '{user}'"}},
    }


def run(capsys: pytest.CaptureFixture[str], module: ModuleType, arguments: dict[str, Any]) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


@pytest.mark.parametrize("name", schemas.NAMES)
def test_nothing_is_left_behind(capsys: pytest.CaptureFixture[str], pg_database: Database, name: str) -> None:
    schemas.load(pg_database, name)
    connection = pg_database.connect()
    settle(connection)
    connection.autocommit = False
    before = footprint(connection, pg_database.prefix)
    connection.rollback()
    assert len(before) > 60

    drafted = run(capsys, assurance_spec_info, pg_database.login())
    spec = load(drafted["text"], "draft.yml").data
    schema, table = spec["indexes"]["required"][0]["table"].split(".")
    statements = [f'SELECT * FROM "{schema}"."{table}"', f'DELETE FROM "{schema}"."{table}"']
    spec["plans"] = {"queries": [{"name": sql, "sql": sql, "max_ms": 1000} for sql in statements]}
    spec["integrity"] = {"assertions": [{"name": "none", "sql": f'SELECT FROM "{schema}"."{table}" WHERE false'}]}
    if name == "supabase_like":
        identities = (("ada", ADA, NORTH), ("ben", BEN, SOUTH))
        spec["rls"]["identities"] = [identity(pg_database.prefix, *given) for given in identities]
    for module in CHECKS:
        result = run(capsys, module, {**pg_database.login(), "spec": spec, "fail_on": "never"})
        assert result.get("findings"), f"{module.__name__}: {result}"
        assert not result["changed"]
    after = footprint(connection, pg_database.prefix)
    assert {key for key in before | after if before.get(key) != after.get(key)} == set()
    connection.close()


CHANGES = (
    "INSERT INTO public.t VALUES (2)",
    "UPDATE public.t SET a = a",
    "ALTER TABLE public.t ALTER b SET NOT NULL",
    "CREATE ROLE {p}b",
    "ALTER ROLE {p}a BYPASSRLS",
    "GRANT SELECT ON public.t TO {p}a",
    "CREATE POLICY x ON public.t USING (true)",
    "COMMENT ON TABLE public.t IS 'x'",
    "ALTER TABLE public.t SET (fillfactor = 50)",
    "REINDEX TABLE public.t",
    "INSERT INTO public.t SELECT generate_series(2, 100); ANALYZE public.t",
    "SELECT nextval('public.s')",  # the last one: no rollback undoes it
)


def test_the_footprint_sees_a_change(pg_database: Database) -> None:
    connection = pg_database.connect(autocommit=False)
    prefix = pg_database.prefix
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE t (a int PRIMARY KEY, b int); CREATE SEQUENCE s; CREATE ROLE {prefix}a")
        cursor.execute("INSERT INTO t VALUES (1, 1); ANALYZE")
        connection.commit()
        before = footprint(connection, prefix)
        assert footprint(connection, prefix) == before
        for change in CHANGES:
            cursor.execute(change.replace("{p}", prefix))
            assert footprint(connection, prefix) != before, change
            connection.rollback()
    connection.close()
