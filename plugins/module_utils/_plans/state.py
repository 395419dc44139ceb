# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of the declared queries. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.dbops.postgres.plugins.module_utils._plans.explain import Explained
from ansible_collections.dbops.postgres.plugins.module_utils._plans.spec import Query


@dataclass(frozen=True)
class Tried:
    """A query that was run.

    :param explained: its plan; None: it could not be run, and ``problem`` says why.
    :param volatile: functions in it whose effects a rollback may not undo.
    :param kept_back: it changes something, and was not run on a production server.
    """

    query: Query
    explained: Explained | None
    problem: str = ""
    volatile: tuple[str, ...] = ()
    kept_back: bool = False


@dataclass(frozen=True)
class Candidate:
    """A statement of pg_stat_statements that takes much of the server's time."""

    query: str
    calls: int
    mean_ms: float
    total_ms: float
    rows: int


@dataclass(frozen=True)
class Observed:
    """The queries, and what is known of the tables and indexes in their plans.

    :param rows: of a table, as ANALYZE estimated.
    :param ancestors: indexes of partitioned tables by the name of an index that is part of them.
    :param generated: how many rows were made in each table.
    :param candidates: None: pg_stat_statements is not to be read.
    """

    tried: tuple[Tried, ...] = ()
    rows: Mapping[tuple[str, str], int] = field(default_factory=dict)
    ancestors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    indexes: frozenset[str] = frozenset()
    generated: Mapping[str, int] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] | None = None
