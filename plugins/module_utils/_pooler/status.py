# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pools are doing: the answers of the console as one table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PoolState:
    """One user's pool of one database.

    :param budget: server connections that it may have.
    :param in_use: server connections that work for a client now; ``idle``: the others that are open.
    :param clients: clients that have been given a server connection; ``waiting``: those that have not.
    :param longest_wait: of the first in the queue, seconds.
    """

    database: str
    user: str
    budget: int
    in_use: int
    idle: int
    clients: int
    waiting: int
    longest_wait: float
    paused: bool


def states(
    pools: Sequence[Mapping[str, Any]], databases: Sequence[Mapping[str, Any]], auth_user: str = ""
) -> tuple[PoolState, ...]:
    """From the rows of SHOW POOLS and SHOW DATABASES. The console and the look-up of passwords are left out."""
    limits = {row["name"]: row for row in databases}
    found = []
    for row in pools:
        if row["database"] == "pgbouncer" or row["user"] == auth_user:
            continue
        limit = limits.get(row["database"], {})
        reserve = limit.get("reserve_pool_size", limit.get("reserve_pool", 0))
        found.append(
            PoolState(
                database=row["database"],
                user=row["user"],
                budget=int(limit.get("pool_size", 0)) + int(reserve or 0),
                in_use=int(row["sv_active"]),
                idle=int(row["sv_idle"]) + int(row["sv_used"]) + int(row["sv_tested"]) + int(row["sv_login"]),
                clients=int(row["cl_active"]),
                waiting=int(row["cl_waiting"]),
                longest_wait=int(row["maxwait"]) + int(row["maxwait_us"]) / 1e6,
                paused=bool(int(limit.get("paused", 0))),
            )
        )
    return tuple(sorted(found, key=lambda state: (state.database, state.user)))


def together(rows: Iterable[PoolState]) -> tuple[PoolState, ...]:
    """The same pool in several processes as one."""
    found: dict[tuple[str, str], PoolState] = {}
    for row in rows:
        key = (row.database, row.user)
        other = found.get(key)
        found[key] = (
            row
            if other is None
            else PoolState(
                database=row.database,
                user=row.user,
                budget=row.budget + other.budget,
                in_use=row.in_use + other.in_use,
                idle=row.idle + other.idle,
                clients=row.clients + other.clients,
                waiting=row.waiting + other.waiting,
                longest_wait=max(row.longest_wait, other.longest_wait),
                paused=row.paused or other.paused,
            )
        )
    return tuple(found[key] for key in sorted(found))


def table(rows: Sequence[PoolState]) -> str:
    """The states as aligned text, a line each."""
    title = ("database", "user", "budget", "in use", "idle", "clients", "waiting", "longest wait")
    lines = [title] + [
        (
            row.database + (" (paused)" if row.paused else ""),
            row.user,
            str(row.budget),
            str(row.in_use),
            str(row.idle),
            str(row.clients),
            str(row.waiting),
            f"{row.longest_wait:.1f} s",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(title))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    )
