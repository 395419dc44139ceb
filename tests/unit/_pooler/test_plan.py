# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a reload is enough, what is written, and what of it is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler import plan as _plan
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.pause import planned
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.plan import (
    DROP_IN,
    HBA,
    INI,
    MODES,
    USERLIST,
    File,
    Observed,
    plan,
)
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.spec import PoolerSpec
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.status import states, table
from tests.unit._pooler.helpers import database, live, make

VERSION = (1, 24)


def as_it_should_be(spec: PoolerSpec, clients: int = 0) -> Observed:
    """A host on which nothing is left to do."""
    files = {path: File(text, *MODES[path]) for path, text in _plan.texts(spec, Observed(VERSION, {})).items()}
    rows = {
        pool.name: {
            "host": pool.host,
            "port": str(pool.port),
            "database": pool.dbname,
            "pool_size": str(pool.size),
            "pool_mode": pool.mode,
        }
        for pool in spec.pools
    }
    return Observed(VERSION, files, True, live(_plan.wanted_settings(spec, VERSION), rows, clients))


def test_nothing_is_left_to_do() -> None:
    spec = make()
    assert not plan(spec, as_it_should_be(spec)).changed


def test_a_fresh_host_is_written_and_started() -> None:
    made = plan(make(), Observed(VERSION, {}))
    assert made.actions() == [*(f"write {path}" for path in (INI, USERLIST, HBA, DROP_IN)), "start pgbouncer.service"]


@pytest.mark.parametrize(
    ("changes", "clients", "restart", "activate", "waits"),
    [
        ({"settings": {"server_lifetime": 9}}, 5, "when_idle", "reload", False),
        ({"databases": [database(pool_size=9)]}, 5, "when_idle", "reload", False),
        ({"listen_addresses": ["10.0.0.1"]}, 0, "when_idle", "restart", False),
        ({"listen_addresses": ["10.0.0.1"]}, 5, "when_idle", "reload", True),
        ({"listen_addresses": ["10.0.0.1"]}, 5, "when_required", "restart", False),
        ({"listen_addresses": ["10.0.0.1"]}, 0, "never", "reload", True),
        ({"max_client_conn": 5000}, 5, "when_idle", "reload", True),  # more files than the process may open
    ],
)
def test_a_restart_only_for_what_needs_it(
    changes: dict[str, object], clients: int, restart: str, activate: str, waits: bool
) -> None:
    before = as_it_should_be(make(), clients)
    made = plan(make(**changes, restart=restart), before)
    assert (made.activate, made.waits) == (activate, waits)


def test_a_process_that_runs_with_something_else_is_reloaded_though_the_files_are_right() -> None:
    spec = make()
    seen = as_it_should_be(spec)
    assert seen.live
    other = replace(seen, live=replace(seen.live, settings={**seen.live.settings, "query_wait_timeout": "120"}))
    assert plan(spec, other).actions() == ["reload pgbouncer.service"]
    more = replace(seen, live=replace(seen.live, databases={**seen.live.databases, "stray": {}}))
    assert plan(spec, more).actions() == ["reload pgbouncer.service"]


def test_neither_plan_nor_diff_shows_a_password() -> None:
    files = {USERLIST: File('"dbops_pooler" "old-canary"\n"app" "app-canary"\n', 0o600, "postgres")}
    made = plan(make(), Observed(VERSION, files))
    assert "canary" not in repr(made.diff())
    assert "canary" not in repr(made.actions())
    assert "canary" not in repr(make())


def test_a_setting_that_the_file_has_and_the_version_has_not() -> None:
    files = {INI: File("[pgbouncer]\nmax_prepared_statements = 5\n", 0o640, "postgres")}
    with pytest.raises(DbopsError, match=r"1\.18 has no setting 'max_prepared_statements'; 1\.21 has"):
        plan(make(), Observed((1, 18), files))


def test_who_may_come() -> None:
    spec = make(
        databases=[database(users=["a", "b c"], addresses=["127.0.0.1/32", "10.0.1.0/24"])],
        tls_certificate="/c",
        tls_key="/k",
    )
    assert _plan.host_based_authentication(spec).splitlines()[2:-1] == [
        'host "payments_db" "a" 127.0.0.1/32 scram-sha-256',
        'hostssl "payments_db" "a" 10.0.1.0/24 scram-sha-256',
        'host "payments_db" "b c" 127.0.0.1/32 scram-sha-256',
        'hostssl "payments_db" "b c" 10.0.1.0/24 scram-sha-256',
    ]


def test_no_password_but_the_poolers() -> None:
    assert _plan.userlist(make(auth_password='a"b')) == '"dbops_pooler" "a""b"\n'


def test_pause_and_resume() -> None:
    rows: list[dict[str, object]] = [
        {"name": "a", "paused": 0},
        {"name": "b", "paused": 1},
        {"name": "pgbouncer", "paused": 0},
    ]
    assert planned(rows, "paused") == ["a"]
    assert planned(rows, "resumed") == ["b"]
    assert planned(rows, "resumed", ["a"]) == []
    with pytest.raises(DbopsError, match="'c' is not pooled here"):
        planned(rows, "paused", ["c"])


def test_the_table() -> None:
    counters = {"sv_used": 1, "sv_tested": 0, "sv_login": 0, "maxwait": 1, "maxwait_us": 500_000}
    pools = [
        {"database": "shop", "user": "app", "sv_active": 3, "sv_idle": 2, "cl_active": 9, "cl_waiting": 4, **counters},
        {"database": "shop", "user": "look", "sv_active": 0, "sv_idle": 1, "cl_active": 0, "cl_waiting": 0, **counters},
        {
            "database": "pgbouncer",
            "user": "x",
            "sv_active": 0,
            "sv_idle": 0,
            "cl_active": 1,
            "cl_waiting": 0,
            **counters,
        },
    ]
    rows = states(pools, [{"name": "shop", "pool_size": 5, "reserve_pool": 1, "paused": 1}], "look")
    assert table(rows).splitlines() == [
        "database       user  budget  in use  idle  clients  waiting  longest wait",
        "shop (paused)  app        6       3     3        9        4         1.5 s",
    ]
