# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tuning: a truth table of known hosts, and what must hold for every host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._server.tuning import (
    STORAGES,
    WORK_MEM_PER_BACKEND,
    WORKLOADS,
    Host,
    stable_size,
    tune,
)

UNITS = {"kB": 1, "MB": 1024}


def values(host: Host, connections: int = 100, workload: str = "oltp", version: int = 17) -> dict[str, str]:
    return {setting.name: setting.value for setting in tune(host, connections, workload, version)}


def kilobytes(text: str) -> int:
    return int(text[:-2]) * UNITS[text[-2:]]


@pytest.mark.parametrize(
    ("host", "connections", "workload", "expected"),
    [
        (
            Host(1024, 1),
            100,
            "oltp",
            {
                "shared_buffers": "256MB",
                "work_mem": "1728kB",
                "maintenance_work_mem": "64MB",
                "effective_cache_size": "768MB",
                "max_parallel_workers_per_gather": "0",
                "max_parallel_maintenance_workers": "0",
                "jit": "off",
            },
        ),
        (
            Host(16384, 4, "ssd", 200_000),
            100,
            "oltp",
            {
                "shared_buffers": "4096MB",
                "work_mem": "26624kB",
                "maintenance_work_mem": "1024MB",
                "autovacuum_work_mem": "336MB",
                "effective_cache_size": "12288MB",
                "max_wal_size": "8192MB",
                "min_wal_size": "2048MB",
                "random_page_cost": "1.1",
                "effective_io_concurrency": "200",
                "max_parallel_workers": "4",
                "max_parallel_workers_per_gather": "2",
                "wal_compression": "lz4",
            },
        ),
        (
            Host(65536, 16, "nvme"),
            40,
            "analytics",
            {
                "shared_buffers": "16384MB",
                "maintenance_work_mem": "2048MB",
                "autovacuum_work_mem": "816MB",
                "autovacuum_max_workers": "5",
                "max_worker_processes": "16",
                "max_parallel_workers_per_gather": "8",
                "max_parallel_maintenance_workers": "4",
                "default_statistics_target": "500",
                "effective_io_concurrency": "300",
                "max_wal_size": "16384MB",
                "jit": "on",
            },
        ),
        (
            Host(4096, 2, "hdd", 20_000),
            50,
            "mixed",
            {
                "random_page_cost": "4",
                "effective_io_concurrency": "2",
                "autovacuum_vacuum_cost_limit": "200",
                "max_wal_size": "1024MB",  # a tenth of 20 GB, not 4 GB
            },
        ),
        (Host(2048, 2, "ssd", 900), 20, "oltp", {"max_wal_size": "128MB", "min_wal_size": "32MB"}),
    ],
)
def test_known_hosts(host: Host, connections: int, workload: str, expected: dict[str, str]) -> None:
    result = values(host, connections, workload)
    assert {name: result[name] for name in expected} == expected


def test_wal_compression_before_15() -> None:
    assert values(Host(4096, 2), version=14)["wal_compression"] == "on"


def test_too_many_connections_are_refused_with_a_way_out() -> None:
    with pytest.raises(DbopsError, match=r"max_connections 5000 is too much for 1024 MB.*pooler"):
        tune(Host(1024, 2), 5000, "oltp", 17)


HOSTS = st.builds(
    Host,
    memory_mb=st.integers(256, 4_000_000),
    cores=st.integers(1, 256),
    storage=st.sampled_from(STORAGES),
    disk_mb=st.integers(0, 100_000_000),
)


@given(HOSTS, st.integers(10, 2000), st.sampled_from(WORKLOADS), st.integers(14, 18))
def test_memory_is_never_exceeded(host: Host, connections: int, workload: str, version: int) -> None:
    try:
        result = values(host, connections, workload, version)
    except DbopsError:
        return  # refused rather than exceeded; the truth table shows that ordinary hosts are not refused
    busy = max(1, connections // {"oltp": 1, "mixed": 2, "analytics": 4}[workload])
    used = (
        kilobytes(result["shared_buffers"])
        + kilobytes(result["maintenance_work_mem"])
        + int(result["autovacuum_max_workers"]) * kilobytes(result["autovacuum_work_mem"])
        + (busy + int(result["max_parallel_workers"])) * WORK_MEM_PER_BACKEND * kilobytes(result["work_mem"])
    )
    assert used <= host.memory_mb * 1024 * 7 // 8


@given(HOSTS, st.sampled_from(WORKLOADS))
def test_values_are_in_the_ranges_that_postgresql_accepts(host: Host, workload: str) -> None:
    try:
        result = values(host, 20, workload)
    except DbopsError:
        return
    assert kilobytes(result["work_mem"]) >= 64
    assert kilobytes(result["shared_buffers"]) >= 128
    assert kilobytes(result["maintenance_work_mem"]) >= 1024
    assert kilobytes(result["autovacuum_work_mem"]) >= 1024
    assert kilobytes(result["min_wal_size"]) >= 2 * 16 * 1024
    assert 2 * kilobytes(result["min_wal_size"]) <= kilobytes(result["max_wal_size"])
    assert 0 <= int(result["effective_io_concurrency"]) <= 1000
    assert 1 <= int(result["autovacuum_vacuum_cost_limit"]) <= 10000
    assert int(result["max_parallel_workers_per_gather"]) <= int(result["max_parallel_workers"])
    assert int(result["max_parallel_workers"]) <= int(result["max_worker_processes"])
    if host.disk_mb >= 1280:
        assert kilobytes(result["max_wal_size"]) <= host.disk_mb * 1024 // 10


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("storage", STORAGES)
def test_every_value_has_a_reason_on_one_line(storage: str, workload: str) -> None:
    settings = tune(Host(8192, 4, storage, 50_000), 100, workload, 17)
    assert len({setting.name for setting in settings}) == len(settings)
    assert all(setting.reason and "\n" not in setting.reason for setting in settings)


@pytest.mark.parametrize(
    ("observed", "previous", "result"),
    [
        (16001, 0, 16000),  # first run: rounded
        (15990, 16000, 16000),  # a kernel update took 10 MB
        (16790, 16000, 16000),
        (32000, 16000, 32000),  # the host grew
        (8000, 16000, 8000),  # the host shrank
        (40, 0, 40),
    ],
)
def test_small_movements_are_no_new_size(observed: int, previous: int, result: int) -> None:
    assert stable_size(observed, previous) == result


@given(st.integers(64, 10_000_000), st.integers(-20, 20))
def test_the_size_never_flaps(memory: int, moved: int) -> None:
    first = stable_size(memory, 0)
    # Rounding takes at most 63 MB; on a host of 2 GB or more that and a small move are less than 5 %.
    if memory >= 2048:
        assert stable_size(memory + moved, first) == first
