# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a draft of a spec file is made of, as the catalog shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.dbops.postgres.plugins.module_utils._indexes.state import Observed


@dataclass(frozen=True)
class Role:
    """A role that writes, owns nothing of it and does not bypass row-level security: an application's.

    :param tables: on how many tables it may write.
    """

    name: str
    tables: int


@dataclass(frozen=True)
class Statement:
    """A statement of pg_stat_statements."""

    text: str
    role: str
    calls: int
    mean_ms: float


@dataclass(frozen=True)
class Catalog:
    """One database.

    :param seen: its tables, indexes and foreign keys.
    :param policies: by the OID of a table with row-level security enabled, the expressions of its policies, with the
        source of the functions that they call.
    :param statements: the dearest first; None: pg_stat_statements cannot be read here.
    """

    database: str
    seen: Observed
    policies: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    roles: tuple[Role, ...] = ()
    statements: tuple[Statement, ...] | None = None
