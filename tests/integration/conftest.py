# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the integration tests: each test that asks for a server runs on PostgreSQL 15 and on 17."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.integration.servers import VERSIONS, Database, Server, create_database, drop_database, given


@pytest.fixture(scope="session", params=VERSIONS, ids=[f"pg{version}" for version in VERSIONS])
def pg_server(request: pytest.FixtureRequest) -> Server:
    """A server and its superuser. Its roles and settings are shared by all tests: leave them as they were."""
    server = given(request.param)
    if server is None:
        pytest.fail(f"DBOPS_DEV_PG{request.param} is not set")
    return server


@pytest.fixture
def pg_database(pg_server: Server) -> Generator[Database, None, None]:
    """A fresh database, dropped afterwards with all roles and databases that begin with its prefix."""
    database = create_database(pg_server)
    yield database
    drop_database(database)
