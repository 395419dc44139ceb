# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run needs of the backups, of the schema's snapshot and of the operating system; wired by the host program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login


class Ports(Protocol):
    """What a run needs of the backups, of the schema's snapshot and of the operating system.

    :param set_id: the set from which copies are made and to which a way back leads.
    """

    set_id: str

    def room(self, size: int) -> str:
        """Whether there is room for a copy and for a way back; in words."""

    def url(self, environment: str) -> None:
        """Refuse a connection URL that must not be used."""

    def backup(self, label: str) -> str:
        """Make a set at the targets of the host's backups; its name."""

    def aside(self, label: str) -> str:
        """Make a set of this database alone that is only kept for this run; its name."""

    def use(self, set_id: str) -> None:
        """Take a set that another run has made."""

    def copy(self) -> AbstractContextManager[Login]:
        """The database of the set in a cluster of its own, proven against its manifest; gone afterwards."""

    def restore(self) -> str:
        """Put the database of the set in the live one's place; what the one that was there is called now."""

    def clear(self) -> None:
        """Remove what :meth:`aside` made."""

    def schema(self, login: Login) -> Mapping[str, str]:
        """A fingerprint of each object of the database."""

    def drift(self, path: str) -> str:
        """What of the live schema is not as the snapshot in a file says; empty: nothing."""

    def queries(self) -> Sequence[str] | None:
        """What applications ask, by pg_stat_statements; None: nobody knows."""

    def rows(self, login: Login) -> Mapping[str, str]:
        """A fingerprint of each table's rows."""

    def command(self, login: Login) -> str:
        """Run the command of the layout ``command`` against that server; empty, or what it said when it failed."""
