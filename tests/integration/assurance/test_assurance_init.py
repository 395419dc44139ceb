# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The draft of a spec file from a live catalog: valid for every schema, with what is there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.dbops.postgres.plugins.module_utils._assurance.whole import validate
from ansible_collections.dbops.postgres.plugins.module_utils._specfile import SpecFile, load
from ansible_collections.dbops.postgres.plugins.modules import assurance_spec_info
from tests.integration import schemas
from tests.integration.servers import Database


def run(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any]) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        assurance_spec_info.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def drafted(capsys: pytest.CaptureFixture[str], database: Database, **options: Any) -> tuple[str, SpecFile]:
    result = run(capsys, {**database.login(), **options})
    assert not result["changed"]
    spec = load(result["text"], "draft.yml")
    validate(spec)
    assert spec.database == database.name
    return result["text"], spec


@pytest.mark.parametrize("name", schemas.NAMES)
def test_every_schema_has_a_valid_draft(capsys: pytest.CaptureFixture[str], pg_database: Database, name: str) -> None:
    schemas.load(pg_database, name)
    _text, spec = drafted(capsys, pg_database)
    assert len(spec.section("indexes")["required"]) > 10


def test_row_level_security_is_drafted(capsys: pytest.CaptureFixture[str], pg_database: Database) -> None:
    schemas.load(pg_database, "supabase_like")
    text, spec = drafted(capsys, pg_database, schemas=["api"])
    assert spec.section("rls") == {
        "tenant_column": "organisation_id",
        "application_roles": [f"{pg_database.prefix}authenticated"],  # the service passes by
    }
    assert "The policies read: request.jwt.claims." in text  # in a function that they call
    assert "auth.users" not in text


def test_statements_are_candidates(capsys: pytest.CaptureFixture[str], pg_database: Database) -> None:
    app = f"{pg_database.prefix}app"
    connection = pg_database.connect()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE EXTENSION pg_stat_statements; CREATE ROLE {app} LOGIN PASSWORD 'Secret-of-a-test-1'")
    with pg_database.connect(app, "Secret-of-a-test-1").cursor() as cursor:
        for _time in range(50):  # what is rare is evicted first
            cursor.execute("SELECT 'canary' AS tried_by_the_application")
    text, _spec = drafted(capsys, pg_database)
    connection.close()
    assert "AS tried_by_the_application" in text
    assert "canary" not in text


def test_an_error_is_told(capsys: pytest.CaptureFixture[str], pg_database: Database) -> None:
    result = run(capsys, {**pg_database.login(), "login_db": f"{pg_database.prefix}gone"})
    assert result["failed"]
    assert "does not exist" in result["msg"]
