# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that follow from the host: memory, cores, storage and the kind of work. Pure.

Sources, named again at each rule: PostgreSQL manual 19.4 (Resource Consumption), 19.5 (Write Ahead Log), 19.7 (Query
Planning), 19.10 (Automatic Vacuuming), 32 (JIT); the public rules of pgtune (github.com/le0pard/pgtune).
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

MB = 1024 * 1024
STORAGES = ("ssd", "nvme", "hdd")
WORKLOADS = ("oltp", "mixed", "analytics")

# One sort or bitmap (1 x work_mem) and one hash table (hash_mem_multiplier, 2 x by default) for each busy backend.
WORK_MEM_PER_BACKEND = 3
MINIMUM_WORK_MEM_KB = 256
# MemTotal moves a little with every kernel, a file system with every resize: less than this is not a new size.
SAME_SIZE = 0.05


@dataclass(frozen=True)
class Setting:
    """One line of a configuration file. ``value`` is text as PostgreSQL reads it, unquoted."""

    name: str
    value: str
    reason: str


@dataclass(frozen=True)
class Host:
    """What the host offers.

    :param memory_mb: memory that PostgreSQL may use, in MiB: the host's, or its control group's limit if lower.
    :param cores: processors that it may use.
    :param storage: ``ssd``, ``nvme`` or ``hdd``.
    :param disk_mb: size of the file system of the data directory in MiB; 0: unknown.
    """

    memory_mb: int
    cores: int
    storage: str = "ssd"
    disk_mb: int = 0


def stable_size(observed_mb: int, previous_mb: int) -> int:
    """The size to tune for: the previous one as long as the observed one is about the same.

    Without this a kernel update that takes 2 MB more would lead to a restart of a production database.
    """
    if previous_mb and abs(observed_mb - previous_mb) <= SAME_SIZE * previous_mb:
        return previous_mb
    return _down(observed_mb, 64) if observed_mb >= 64 else observed_mb


def tune(host: Host, max_connections: int, workload: str, version: int) -> tuple[Setting, ...]:
    """Settings for this host.

    Memory never exceeds 7/8 of what there is: shared_buffers (1/4), maintenance (1/16), autovacuum (1/16), and 1/2 for
    the queries of all busy backends together. All connections count as busy with workload ``oltp``, half of them with
    ``mixed``, a quarter with ``analytics``.

    :raises DbopsError: so many connections that no useful work_mem remains.
    """
    memory = host.memory_mb
    workers = 3 if host.cores < 8 else 5
    parallel = max(1, host.cores)
    busy = max(1, max_connections // {"oltp": 1, "mixed": 2, "analytics": 4}[workload])
    work_mem_kb = memory * 1024 // 2 // ((busy + parallel) * WORK_MEM_PER_BACKEND)
    if work_mem_kb < MINIMUM_WORK_MEM_KB:
        raise DbopsError(
            f"max_connections {max_connections} is too much for {memory} MB of memory: "
            f"{work_mem_kb} kB would remain for each sort.",
            "Lower max_connections and put a connection pooler in front, or give the host more memory.",
        )
    work_mem_kb = min(_down(work_mem_kb, 64 if work_mem_kb < 4096 else 1024), 1024 * 1024)
    busy_text = {"oltp": "all", "mixed": "half of", "analytics": "a quarter of"}[workload]
    return (
        *_memory(memory, workers, work_mem_kb, f"{busy_text} {max_connections} connections"),
        *_write_ahead_log(host.disk_mb, workload, version),
        *_planner(host.storage, memory, workload),
        *_workers(host.cores, workload),
        *_autovacuum(host.storage, workers),
    )


def _memory(memory: int, workers: int, work_mem_kb: int, busy: str) -> tuple[Setting, ...]:
    maintenance = min(memory // 16, 2048)
    autovacuum = min(memory // 16 // workers, 1024)
    return (
        Setting(
            "shared_buffers",
            f"{_nice(memory // 4)}MB",
            f"a quarter of {memory} MB memory (manual 19.4.1)",
        ),
        Setting("huge_pages", "try", "used when the kernel offers them (vm.nr_hugepages); never a reason not to start"),
        Setting(
            "work_mem",
            f"{work_mem_kb}kB",
            f"half of the memory for {busy}, one sort and one hash table each (manual 19.4.1, hash_mem_multiplier 2)",
        ),
        Setting(
            "maintenance_work_mem",
            f"{_nice(maintenance)}MB",
            "1/16 of the memory, at most 2 GB: index builds and VACUUM by hand (pgtune)",
        ),
        Setting(
            "autovacuum_work_mem",
            f"{_nice(autovacuum)}MB",
            f"1/16 of the memory for {workers} workers together; before version 17 more than 1 GB is not used",
        ),
    )


def _write_ahead_log(disk_mb: int, workload: str, version: int) -> tuple[Setting, ...]:
    wanted = {"oltp": 8192, "mixed": 4096, "analytics": 16384}[workload]
    # A tenth of the disk: WAL must never be what fills it. Never below 128 MB (8 segments).
    largest = wanted if not disk_mb else max(128, min(wanted, _power_of_two(disk_mb // 10)))
    why = f"{workload} (pgtune)" if largest == wanted else f"a tenth of the {disk_mb} MB disk at most"
    return (
        Setting("max_wal_size", f"{largest}MB", f"checkpoints by time rather than by size; {why}"),
        Setting("min_wal_size", f"{largest // 4}MB", "a quarter of max_wal_size is kept for reuse"),
        Setting(
            "wal_compression",
            "lz4" if version >= 15 else "on",
            "full-page images cost disk and replication more than lz4 costs processor (manual 19.5.1)",
        ),
    )


def _planner(storage: str, memory: int, workload: str) -> tuple[Setting, ...]:
    page_cost, concurrency, why = {
        "hdd": ("4", 2, "a seek is slow on a rotating disk"),
        "ssd": ("1.1", 200, "a random read costs about as much as a sequential one"),
        "nvme": ("1.1", 300, "many parallel queues; a random read costs about as much as a sequential one"),
    }[storage]
    return (
        Setting(
            "effective_cache_size",
            f"{_nice(memory * 3 // 4)}MB",
            "three quarters of the memory: what the planner may expect to be cached; allocates nothing (manual 19.7.2)",
        ),
        Setting("random_page_cost", page_cost, f"{storage}: {why} (manual 19.7.2)"),
        Setting("effective_io_concurrency", str(concurrency), f"{storage}: {why} (manual 19.4.4, pgtune)"),
        Setting(
            "default_statistics_target",
            "500" if workload == "analytics" else "100",
            "larger samples pay for large scans" if workload == "analytics" else "the default; 500 for analytics",
        ),
        Setting(
            "jit",
            "on" if workload == "analytics" else "off",
            "compiling pays for long queries over many rows"
            if workload == "analytics"
            else f"compiling costs short queries more than it saves; {workload} (manual 32.2)",
        ),
    )


def _workers(cores: int, workload: str) -> tuple[Setting, ...]:
    half = cores // 2
    gather = {"oltp": min(2, half), "mixed": min(4, half), "analytics": half}[workload]
    return (
        Setting("max_worker_processes", str(max(8, cores)), f"the default 8, or one for each of {cores} cores"),
        Setting("max_parallel_workers", str(max(1, cores)), f"no more than {cores} cores can do"),
        Setting("max_parallel_workers_per_gather", str(gather), f"{workload}: at most half of the cores for one query"),
        Setting("max_parallel_maintenance_workers", str(min(4, half)), "index builds: half of the cores, at most 4"),
    )


def _autovacuum(storage: str, workers: int) -> tuple[Setting, ...]:
    limit = {"hdd": 200, "ssd": 1000, "nvme": 2000}[storage]
    return (
        Setting("autovacuum_max_workers", str(workers), "3, and 5 from 8 cores on (manual 19.10)"),
        Setting("autovacuum_vacuum_cost_limit", str(limit), f"{storage}: so that autovacuum keeps up (manual 19.4.5)"),
        Setting("autovacuum_vacuum_scale_factor", "0.1", "vacuum after 10 % dead rows, not 20 %: less bloat (19.10)"),
        Setting("autovacuum_analyze_scale_factor", "0.05", "statistics after 5 % changed rows, not 10 % (19.10)"),
    )


def _nice(megabytes: int) -> int:
    return _down(megabytes, 16) if megabytes >= 64 else max(megabytes, 1)


def _down(value: int, step: int) -> int:
    return value // step * step


def _power_of_two(value: int) -> int:
    return 1 << (value.bit_length() - 1) if value > 0 else 0
