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
    USERLIST,
    File,
    Observed,
    plan,
)
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.spec import PoolerSpec
from ansible_collections.dbops.postgres.plugins.module_utils._pooler.status import PoolState, states, table, together
from tests.unit._pooler.helpers import database, live, make

VERSION = (1, 24)


def as_it_should_be(spec: PoolerSpec, clients: int = 0) -> Observed:
    """A host on which nothing is left to do."""
    files = {path: File(text, *_plan.modes(path)) for path, text in _plan.texts(spec, Observed(VERSION, {})).items()}
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
    numbers = range(1, spec.processes + 1)
    processes = {number: live(_plan.wanted_settings(spec, VERSION, number), rows, clients) for number in numbers}
    return Observed(VERSION, files, processes)


def test_nothing_is_left_to_do() -> None:
    spec = make()
    assert not plan(spec, as_it_should_be(spec)).changed


def test_a_fresh_host_is_written_and_started() -> None:
    made = plan(make(), Observed(VERSION, {}))
    assert made.actions() == [*(f"write {path}" for path in (INI, USERLIST, HBA, DROP_IN)), "start pgbouncer.service"]


@pytest.mark.parametrize(
    ("changes", "clients", "restart", "verb", "waits"),
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
    changes: dict[str, object], clients: int, restart: str, verb: str, waits: bool
) -> None:
    before = as_it_should_be(make(), clients)
    made = plan(make(**changes, restart=restart), before)
    assert ([turn.verb for turn in made.turns], made.waits) == ([verb], waits)


def test_a_process_that_runs_with_something_else_is_reloaded_though_the_files_are_right() -> None:
    spec = make()
    seen = as_it_should_be(spec)
    runs = seen.processes[1]
    other = replace(seen, processes={1: replace(runs, settings={**runs.settings, "query_wait_timeout": "120"})})
    assert plan(spec, other).actions() == ["reload pgbouncer.service"]
    more = replace(seen, processes={1: replace(runs, databases={**runs.databases, "stray": {}})})
    assert plan(spec, more).actions() == ["reload pgbouncer.service"]


def turns(spec: PoolerSpec, seen: Observed) -> list[str]:
    """What happens to the processes, and ``waits`` if something stays pending."""
    made = plan(spec, seen)
    return [f"{turn.verb} {turn.number}" for turn in made.turns] + (["waits"] if made.waits else [])


def test_several_processes_on_one_port() -> None:
    spec = make(processes=3, databases=[database(pool_size=10, reserve_pool_size=1)])
    seen = as_it_should_be(spec)
    assert turns(spec, seen) == []
    assert spec.budget.shares[0].connections == 3 * (4 + 1)  # rounded up, and counted as it can become
    assert [seen.processes[number].settings["peer_id"] for number in (1, 2, 3)] == ["1", "2", "3"]
    for number in (1, 2, 3):
        text = seen.files[_plan.ini_of(number)].text
        assert "2 = host=/run/pgbouncer-2 port=6432" in text
        assert "pool_size=4 reserve_pool=1" in text
    del seen.processes[2]  # type: ignore[attr-defined]
    assert turns(spec, seen) == ["start 2"]


@pytest.mark.parametrize(
    ("before", "after", "restart", "clients", "expected"),
    [
        # The first one does not share its port yet, so the others cannot begin before it has begun anew.
        (1, 3, "when_idle", 0, ["restart 1", "start 2", "start 3"]),
        (1, 3, "when_idle", 4, ["reload 1", "waits"]),
        (1, 3, "rolling", 4, ["reload 1", "waits"]),
        (1, 3, "when_required", 4, ["restart 1", "start 2", "start 3"]),
        (3, 2, "when_idle", 0, ["stop 3", "reload 1", "reload 2"]),
        (3, 2, "when_idle", 4, ["reload 1", "reload 2", "waits"]),
        (3, 2, "rolling", 4, ["retire 3", "reload 1", "reload 2"]),
        (2, 1, "when_idle", 0, ["stop 2", "restart 1"]),
    ],
)
def test_more_and_fewer_processes(before: int, after: int, restart: str, clients: int, expected: list[str]) -> None:
    seen = as_it_should_be(make(processes=before), clients)
    assert turns(make(processes=after, restart=restart), seen) == expected


def test_one_after_the_other_is_replaced() -> None:
    seen = as_it_should_be(make(processes=2), clients=9)
    assert turns(make(processes=2, restart="rolling", listen_addresses=["10.0.0.1"]), seen) == [
        "replace 1",
        "replace 2",
    ]
    assert turns(make(processes=2, listen_addresses=["10.0.0.1"]), seen) == ["reload 1", "reload 2", "waits"]


def test_the_files_of_a_process_that_goes_are_removed() -> None:
    seen = as_it_should_be(make(processes=2))
    removed = [action for action in plan(make(), seen).actions() if action.startswith("remove")]
    assert removed == [f"remove {path}" for path in ("/etc/pgbouncer/process-2.ini", _plan.FURTHER_UNIT)]


@pytest.mark.parametrize(
    ("changes", "version", "said"),
    [
        ({"processes": 2}, (1, 18), "has no peers"),
        ({"processes": 2, "restart": "rolling"}, (1, 22), "cannot wait for its clients"),
        ({"restart": "rolling"}, (1, 24), "there is one process"),
        ({"processes": 0}, (1, 24), "pgbouncer_processes is 0"),
    ],
)
def test_what_the_version_has_not(changes: dict[str, object], version: tuple[int, int], said: str) -> None:
    with pytest.raises(DbopsError, match=said):
        plan(make(**changes), Observed(version, {}))


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


def test_pools_of_several_processes_are_added_up() -> None:
    one = PoolState("shop", "app", 5, 1, 2, 3, 4, 0.5, paused=False)
    other = PoolState("shop", "app", 5, 2, 0, 1, 0, 1.5, paused=True)
    assert together([one, other]) == (PoolState("shop", "app", 10, 3, 2, 4, 4, 1.5, paused=True),)


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
