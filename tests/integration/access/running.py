# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the access packages against a server, as the module does, without a process each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg2 import extensions

from ansible_collections.dbops.postgres.plugins.module_utils._access.apply import Outcome, converge
from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import parse
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from tests.integration.servers import Database


def login(database: Database, user: str | None = None, password: str | None = None) -> Login:
    """The server's superuser, or another role, connecting to the test's database."""
    server = database.server
    return Login(
        host=server.host,
        port=server.port,
        user=user or server.user,
        password=server.password if password is None else password,
        database=database.name,
    )


def run(database: Database, params: Mapping[str, Any], *, check: bool = False, by: Login | None = None) -> Outcome:
    """One run of the module."""
    return converge(by or login(database), parse(params), check_mode=check)


def made_true(database: Database, params: Mapping[str, Any], by: Login | None = None) -> Outcome:
    """Check, run, run again: check mode foretold the run exactly, and the second run changed nothing."""
    before = run(database, params, check=True, by=by)
    outcome = run(database, params, by=by)
    assert before.statements == outcome.statements
    assert before.planned.plan.diff() == outcome.planned.plan.diff()
    again = run(database, params, by=by)
    assert again.statements == ()
    assert again.planned.plan.diff() == {"before": "", "after": ""}
    return outcome


def sql(connection: extensions.connection, *statements: str) -> None:
    """Execute statements."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def query(connection: extensions.connection, statement: str, params: Any = None) -> list[Any]:
    """The rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall()
