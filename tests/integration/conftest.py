# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the integration tests: each test that asks for a server runs on PostgreSQL 15 and on 17."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.integration.servers import (
    GROUP,
    VERSIONS,
    Database,
    Server,
    create_database,
    drop_database,
    given,
    throwaway,
)
from tests.throwaway import CHECKOUT, inventory_path

RunPlaybook = Callable[..., "subprocess.CompletedProcess[str]"]

made = cache(throwaway)  # both at once, at the first test that needs one


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """By these names tests.run gives each server's tests to one process, since they share it."""
    for item in items:
        version = item.callspec.params.get("pg_server") if hasattr(item, "callspec") else None
        if version and f"pg{version}" not in item.name:
            raise pytest.UsageError(f"{item.nodeid}: pg{version} must be in its id")


@pytest.fixture(scope="session", params=VERSIONS, ids=[f"pg{version}" for version in VERSIONS])
def pg_server(request: pytest.FixtureRequest) -> Server:
    """A server and its superuser. Its roles and settings are shared by all tests: leave them as they were."""
    version: int = request.param
    return given(version) or made()[version]


@pytest.fixture
def pg_database(pg_server: Server) -> Generator[Database, None, None]:
    """A fresh database, dropped afterwards with all roles and databases that begin with its prefix."""
    database = create_database(pg_server)
    yield database
    drop_database(database)


@pytest.fixture
def run_playbook(pg_server: Server, tmp_path: Path) -> RunPlaybook:
    """Run plays on the server's host, over SSH as root: ``run_playbook([{...}], "--check", "--diff")``.

    Returns the completed process; a play's ``hosts`` is ``all``.
    """
    if given(pg_server.version):
        pytest.fail(f"This test needs the throwaway host: unset DBOPS_DEV_PG{pg_server.version}.")

    def run(plays: list[dict[str, Any]], *arguments: str) -> subprocess.CompletedProcess[str]:
        playbook = tmp_path / "playbook.yml"
        playbook.write_text(json.dumps(plays))
        command = ["ansible-playbook", "-i", str(inventory_path(GROUP)), "--limit", f"pg{pg_server.version}"]
        return subprocess.run(
            [*command, *arguments, str(playbook)],
            cwd=CHECKOUT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run
