# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a run stands, on this host's disk: so that a run that was killed can be continued, or taken back, by the next.

A transaction's number is written down before it is committed. PostgreSQL then knows whether it was, whatever happened
to us: there is no moment at which that cannot be found out.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

STATE = "/var/lib/dbops-postgres/migrate"
APPLY, WAY_BACK = "apply", "way back"


@dataclass(frozen=True)
class Flight:
    """The segment that is being run.

    :param xid: number of its transaction; empty: it has none, or is not that far yet.
    """

    migration: str = ""
    segment: int = 0
    xid: str = ""


@dataclass(frozen=True)
class State:
    """A run that has begun to change the database.

    :param phase: :data:`APPLY` (until it is verified) or :data:`WAY_BACK`.
    :param set: the set made before; ``target``: where it is read.
    :param texts: checksum of the file of each pending migration, by id.
    :param kept: what the database is called after a restore has taken its place.
    """

    id: str
    database: str
    phase: str = APPLY
    set: str = ""
    started: float = 0.0
    texts: Mapping[str, str] = field(default_factory=dict)
    applied: tuple[str, ...] = ()
    flight: Flight = Flight()
    reason: str = ""


@dataclass
class Store:
    """The file of one database."""

    database: str
    directory: str = STATE

    @property
    def path(self) -> str:
        """Where it is; a database's name may hold any character."""
        safe = "".join(c if c.isalnum() or c in "-_" else f"%{ord(c):02x}" for c in self.database)
        return os.path.join(self.directory, f"{safe}.json")

    def load(self) -> State | None:
        """The run that did not come to its end; None: there is none.

        :raises DbopsError: the file cannot be read as what we write.
        """
        try:
            with open(self.path, encoding="utf-8") as file:
                data: dict[str, Any] = json.load(file)
            flight = Flight(**data.pop("flight"))
            return State(**{**data, "applied": tuple(data["applied"]), "flight": flight})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DbopsError(
                f"{self.path} cannot be read: {error}", "It says where an interrupted run stands. Look at it."
            ) from None

    def save(self, state: State) -> State:
        """Write it down, so that it is there after a loss of power."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        new = f"{self.path}.new"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(state), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path)
        folder = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return state

    def clear(self) -> None:
        """The run came to its end."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def in_flight(state: State, migration: str, segment: int, xid: str = "") -> State:
    """The state with another segment."""
    return replace(state, flight=Flight(migration, segment, xid))
