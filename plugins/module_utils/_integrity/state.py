# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of a database's integrity. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._integrity.spec import Assertion, Reference


@dataclass(frozen=True)
class Asserted:
    """What an assertion returned.

    :param rows: how many rows, counted up to ``MOST_ROWS``. :param shown: some of them, if that was asked for.
    """

    assertion: Assertion
    rows: int = 0
    shown: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Referred:
    """What became of a logical reference.

    :param keys: how many different values there are. :param orphans: how many of them the target does not have.
    """

    reference: Reference
    keys: int = 0
    orphans: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Sequence:
    """A sequence and how far it has come.

    :param last: None: it was never used; ``readable`` False: it cannot be read.
    :param first: where its range begins, in the direction in which it counts.
    :param end: its last value. :param column: that takes its values; ``column_end``: the last that the column can hold.
    """

    name: str
    last: int | None
    first: int
    end: int
    cycles: bool = False
    readable: bool = True
    column: str = ""
    column_end: int | None = None


@dataclass(frozen=True)
class Constraint:
    """A constraint that is not (wholly) enforced.

    :param validated: False: NOT VALID, rows from before may violate it.
    :param disabled: triggers that enforce it and are disabled.
    """

    table: str
    name: str
    validated: bool
    disabled: int
    sql_table: str = ""
    sql_name: str = ""


@dataclass(frozen=True)
class Amcheck:
    """What amcheck found.

    :param indexes: how many are sound. :param tables: likewise.
    :param blind: why it could not be asked; empty: it was. :param remedy: what to do about that.
    :param problems: by index or table, what is wrong with it.
    """

    indexes: int = 0
    tables: int = 0
    problems: tuple[tuple[str, str], ...] = ()
    blind: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Observed:
    """Everything that the judge looks at.

    :param checksum_failures: None: not counted, because checksums are off.
    :param invalid_indexes: names, each with its statement that mends it.
    """

    asserted: tuple[Asserted, ...] = ()
    referred: tuple[Referred, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    invalid_indexes: tuple[tuple[str, str], ...] = ()
    checksums: bool = True
    checksum_failures: int | None = 0
    last_failure: str = ""
    amcheck: Amcheck | None = None
    counted: tuple[int, int, int] = (0, 0, 0)
