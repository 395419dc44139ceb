# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spec files of the documentation: pg_index makes them true, the checks agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.dbops.postgres.plugins.modules import (
    pg_index,
    pg_index_check,
    pg_integrity_check,
    pg_plan_check,
)
from tests.integration.access.running import sql
from tests.integration.indexes.running import run_module
from tests.integration.servers import Database
from tests.throwaway import CHECKOUT

EXAMPLES = sorted((CHECKOUT / "docs" / "examples").glob("*.yml"))
TYPES = {"userId": "int", "Timestamp": "timestamptz", "CreatedAt": "timestamptz", "UpdatedAt": "timestamptz"}
TYPES |= {"createdAt": "timestamptz"}


def prepare(database: Database, spec: dict[str, Any]) -> None:
    """Tables with the columns that the file names."""
    tables: dict[str, set[str]] = {}
    for item in spec["indexes"]["required"]:
        tables.setdefault(item["table"], set()).update(item["columns"])
    connection = database.connect()
    for name, columns in tables.items():
        listed = "".join(f', "{column}" {TYPES.get(column, "text")}' for column in sorted(columns))
        sql(connection, f'CREATE TABLE "{name}" (id bigint PRIMARY KEY, amount numeric{listed})')
    if "Payments" in tables:
        sql(connection, 'CREATE TABLE "Refunds" (id bigint, "paymentId" bigint, amount numeric)')
        sql(connection, 'CREATE TABLE "Users" (id int PRIMARY KEY)')
    connection.close()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_made_true(pg_database: Database, capsys: pytest.CaptureFixture[str], path: Path) -> None:
    spec = yaml.safe_load(path.read_text())
    prepare(pg_database, spec)
    for reference in spec.get("integrity", {}).get("references", []):
        reference["target"]["database"] = pg_database.name
    missing = run_module(capsys, pg_index_check, pg_database, spec=spec)
    required = len(spec["indexes"]["required"])
    failed = [item for item in missing["findings"] if item["status"] == "fail"]
    assert [item["title"] for item in failed] == ["required index"] * required
    assert run_module(capsys, pg_index, pg_database, spec=spec)["changed"]
    assert not run_module(capsys, pg_index, pg_database, spec_file=str(path))["changed"]
    result = run_module(capsys, pg_index_check, pg_database, spec=spec, fail_on="medium")
    assert "failed" not in result, result
    assert sum(item["title"] == "required index" for item in result["findings"]) == required
    if "plans" in spec:
        plans = run_module(capsys, pg_plan_check, pg_database, spec=spec, generate=True)
        assert plans["passed"], plans["findings"]
    if "integrity" in spec:
        integrity = run_module(capsys, pg_integrity_check, pg_database, spec=spec)
        assert "failed" not in integrity, integrity
