# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated migrations pass the lint in every layout: expand without a finding, the rest as contract."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._enums import files
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint import check
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.contract import uses
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import Gone
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import arrange, same_id
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import compose
from tests.integration.enums.test_enum_to_lookup import generated, shop
from tests.integration.servers import Database

NOW = datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC)


@pytest.mark.parametrize("layout", files.LAYOUTS)
@pytest.mark.parametrize("column", ["status", "previous"])
def test_the_lint(pg_database: Database, layout: str, column: str) -> None:
    connection = pg_database.connect()
    shop(connection, 1)
    steps = generated(connection, column)
    written = files.files(steps, layout, 42, lambda sql: str(compose(sql).as_string(connection)))
    connection.close()
    source = arrange({name: text.encode() for _phase, name, text in written}, layout)
    assert [m.down_sql is not None for m in source.migrations] == [True] * len(steps)

    findings = linted(source, None, pg_database.server.version)
    assert {finding.klass for finding in findings} == {"contract"}
    assert {finding.file for finding in findings} == {source.migrations[-1].path}
    assert "drop-column" in {finding.rule for finding in findings}

    # Two weeks later, and one day later.
    for days, status in ((14, "not_tested"), (1, "fail")):
        live = (NOW - datetime.timedelta(days=days)).isoformat()
        history = [{"id": same_id(layout, m.id), "applied_at": live} for m in source.migrations[:-1]]
        found = {finding.status.value for finding in linted(source, history, pg_database.server.version)}
        assert found == {status}

    gone = Gone("Orders", column)
    assert not any(uses(text, gone) for phase, _name, text in written if phase == "expand" and "DO $dbops$" in text)
    assert uses(f'-- the application\'s, isn\'t it\'s\nSELECT "{column}" FROM "Orders"', gone)


def linted(source: Any, history: list[dict[str, str]] | None, version: int) -> Any:
    given: dict[str, Any] = {"history": history, "postgresql_version": version, "contract_after_days": 7}
    given |= {"enum_allowed": [], "reference_tables": [], "only": None, "path": "/nowhere"}
    return check.lint_source(source, check.options_from(given, source, NOW)).findings
