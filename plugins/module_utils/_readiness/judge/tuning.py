# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""P-6 server tuning and, of T-3, data checksums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Outcome,
    fails,
    holds,
    none_of,
    passes,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Observed,
    Setting,
    Thresholds,
    look,
)

_BYTES = {"B": 1, "kB": 1024, "8kB": 8192, "MB": 1024**2, "16MB": 16 * 1024**2, "GB": 1024**3}
# PostgreSQL manual, 19.4.1: a quarter of the memory is a reasonable start, more than 40 % seldom helps.
_LEAST_SHARE, _MOST_SHARE = 0.15, 0.40


def size(setting: Setting) -> int:
    """A memory setting in bytes."""
    return int(setting.value) * _BYTES.get(setting.unit, 1)


def shown(number: int) -> str:
    """Bytes for a person."""
    return f"{number / 1024**3:.1f} GB" if number >= 1024**3 else f"{number / 1024**2:.0f} MB"


@probe("P-6", "pending restart")
def nothing_is_pending(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    settings = look(seen.server).settings
    yield from none_of(
        sorted(name for name, setting in settings.items() if setting.pending_restart),
        "pending restart",
        "every configured value is in force",
        "configured, but in force only after a restart",
        "Restart the server in a maintenance window.",
    )


@probe("P-6", "shared_buffers")
def buffers_fit_the_memory(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    buffers, memory = size(look(seen.server).settings["shared_buffers"]), look(seen.host).memory
    yield holds(
        _LEAST_SHARE * memory <= buffers <= _MOST_SHARE * memory,
        "shared_buffers",
        f"{shown(buffers)} of {shown(memory)} memory ({buffers / memory:.0%})",
        f"Set it to about a quarter of the memory ({shown(memory // 4)}).",
    )


@probe("P-6", "memory in the worst case")
def sessions_fit_the_memory(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    settings, memory = look(seen.server).settings, look(seen.host).memory
    sessions = int(settings["max_connections"].value)
    need = size(settings["shared_buffers"]) + sessions * size(settings["work_mem"])
    yield holds(
        need <= memory,
        "memory in the worst case",
        f"shared_buffers + {sessions} sessions with one work_mem of {shown(size(settings['work_mem']))} each ="
        f" {shown(need)} of {shown(memory)}",
        "Lower max_connections or work_mem; pool connections.",
    )


@probe("P-6", "planner's view of the cache")
def cache_size_fits_the_memory(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    settings, memory = look(seen.server).settings, look(seen.host).memory
    cache = size(settings["effective_cache_size"])
    yield holds(
        0.4 * memory <= cache <= memory,
        "planner's view of the cache",
        f"effective_cache_size = {shown(cache)} of {shown(memory)} memory ({cache / memory:.0%})",
        "Set it to half to three quarters of the memory.",
    )


@probe("P-6", "tuned values")
def values_were_chosen(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    settings = look(seen.server).settings
    names = ("work_mem", "maintenance_work_mem", "max_wal_size", "effective_cache_size", "random_page_cost")
    untouched = [name for name in names if settings[name].source == "default"]
    yield from none_of(
        untouched,
        "tuned values",
        ", ".join(f"{name} = {_value(settings, name)}" for name in names),
        "left at PostgreSQL's defaults, which are meant for the smallest host",
        "Derive them from memory, cores and storage (role server does).",
    )


@probe("P-6", "autovacuum and durability")
def nothing_vital_is_off(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    settings = look(seen.server).settings
    vital = ("autovacuum", "track_counts", "fsync", "full_page_writes")
    yield from none_of(
        [name for name in vital if settings[name].value != "on"],
        "autovacuum and durability",
        f"{', '.join(vital)} are on",
        "switched off",
        "Switch them on.",
    )


def _value(settings: Mapping[str, Setting], name: str) -> str:
    setting = settings[name]
    return shown(size(setting)) if setting.unit in _BYTES else f"{setting.value}{setting.unit}"


@probe("T-3", "data checksums")
def checksums_are_on(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    if server.settings["data_checksums"].value != "on":
        yield fails(
            "data checksums",
            "data_checksums = off: damage on disk is returned as data",
            "Stop the cluster and run pg_checksums --enable.",
        )
        return
    failures = sum(database.checksum_failures for database in look(server.databases))
    if failures:
        yield fails(
            "data checksums",
            f"data_checksums = on; {failures} page(s) failed since the statistics were reset",
            "Find the pages in the log, replace the disk, restore.",
        )
        return
    yield passes("data checksums", "data_checksums = on, no page has failed")
