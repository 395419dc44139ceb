# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks are given back by who took them, not by a backend that lives on for a moment: the next run comes at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from psycopg2 import extensions

from ansible_collections.dbops.postgres.plugins.module_utils._access import apply as access
from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import parse as access_spec
from ansible_collections.dbops.postgres.plugins.module_utils._indexes import apply as indexes
from ansible_collections.dbops.postgres.plugins.module_utils._indexes.spec import parse_required
from ansible_collections.dbops.postgres.plugins.module_utils._migration import run_guard
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login
from ansible_collections.dbops.postgres.plugins.module_utils._seeding import apply as seeding
from ansible_collections.dbops.postgres.plugins.module_utils._seeding.spec import parse as guard_spec
from tests.integration.access.running import login, query
from tests.integration.servers import Database


class Kept(extensions.connection):
    """A session that outlives its client."""

    def close(self) -> None:
        """Not yet."""


def access_run(to: Login) -> None:
    access.converge(to, access_spec({"roles": []}), check_mode=False)


def guard_run(to: Login) -> None:
    given = ("schemas", "exempt", "seed_roles", "allowed_roles", "callers")
    spec = guard_spec({"state": "present", "environment": "dev", **{name: [] for name in given}, "schemas": ["public"]})
    seeding.converge(to, spec, check_mode=False)


def index_run(to: Login) -> None:
    indexes.converge(to, to.database, parse_required([{"table": "public.t", "columns": ["a"]}]))


def migrate_run(to: Login) -> None:
    with run_guard.alone(to, "shop"):
        pass


@pytest.mark.parametrize("run", [access_run, guard_run, index_run, migrate_run])
def test_a_lock_is_given_back_before_the_session_ends(
    pg_database: Database, monkeypatch: pytest.MonkeyPatch, run: Callable[[Login], None]
) -> None:
    looker = pg_database.connect()
    with looker.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a int)")
    opened: list[extensions.connection] = []
    connect = psycopg2.connect

    def kept(**given: Any) -> extensions.connection:
        opened.append(connect(connection_factory=Kept, **given))
        return opened[-1]

    monkeypatch.setattr(psycopg2, "connect", kept)
    run(login(pg_database))
    # The second run does not wait for the first one's sessions.
    run(login(pg_database))
    ours = "d.oid = database AND datname = current_database() AND locktype = 'advisory'"
    assert query(looker, f"SELECT count(*) FROM pg_locks JOIN pg_database d ON {ours}") == [(0,)]
    for connection in opened:
        extensions.connection.close(connection)
    looker.close()
