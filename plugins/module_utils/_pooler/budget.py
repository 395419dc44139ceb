# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many connections the pools and everybody else may open, against what the server has. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError


@dataclass(frozen=True)
class Share:
    """Connections that somebody may hold at once.

    :param who: as the table names it: ``pool payments_db / payments_prod_app``.
    :param how: how the number comes about: ``10 + 2 in reserve``.
    """

    who: str
    connections: int
    how: str = ""


@dataclass(frozen=True)
class Budget:
    """Everybody's share of a server's connections (PostgreSQL manual 19.3, max_connections)."""

    shares: tuple[Share, ...]
    max_connections: int

    @property
    def taken(self) -> int:
        """The sum of the shares."""
        return sum(share.connections for share in self.shares)

    @property
    def spare(self) -> int:
        """What nobody has; negative: too much was promised."""
        return self.max_connections - self.taken

    def table(self) -> str:
        """One line a share, the sum, and what is left, aligned."""
        rows = [
            *((share.who, share.connections, share.how) for share in self.shares),
            ("sum", self.taken, ""),
            ("max_connections", self.max_connections, ""),
            ("spare" if self.spare >= 0 else "missing", abs(self.spare), ""),
        ]
        width = max(len(who) for who, _number, _how in rows)
        return "\n".join(f"{who:<{width}}  {number:>5}  {how}".rstrip() for who, number, how in rows)

    def check(self) -> None:
        """Refuse a budget that does not hold.

        :raises DbopsError: with the table.
        """
        if self.spare < 0:
            raise DbopsError(
                f"Pools and direct users may open {self.taken} connections, PostgreSQL has {self.max_connections}",
                f"Make pools smaller, or max_connections larger:\n{self.table()}",
            )


def budget_of(shares: Sequence[Share], max_connections: int) -> Budget:
    """The budget with its largest shares first; shares of nothing are left out."""
    wanted = (share for share in shares if share.connections > 0)
    return Budget(tuple(sorted(wanted, key=lambda share: (-share.connections, share.who))), max_connections)
