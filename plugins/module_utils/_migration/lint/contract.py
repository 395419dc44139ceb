# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a contract step may run: its expand has been live for long enough, and nothing uses the old object. Pure.

The lint knows the files, at most the history; the migration itself asks again with the live history and the
statements of pg_stat_statements.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import Gone
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import Source, same_id

DUE, REFUSED, UNKNOWN = "due", "refused", "unknown"


@dataclass(frozen=True)
class Live:
    """What is known of the live database.

    :param applied: when each migration was applied, by its id; None: no history was given.
    :param statements: the texts of pg_stat_statements; None: nobody has looked.
    """

    now: datetime.datetime
    after_days: int = 7
    applied: Mapping[str, datetime.datetime] | None = None
    statements: Sequence[str] | None = None


@dataclass(frozen=True)
class Gate:
    """The answer: ``due``, ``refused``, or ``unknown`` where the live side has yet to be asked."""

    state: str
    reason: str


def gate(source: Source, migration: str, contracts: str, gone: Gone | None, live: Live) -> Gate:
    """Whether a contract step of ``migration``, which ends what ``contracts`` has begun, may run.

    :param contracts: the id after ``-- dbops: contracts``; empty: the file does not say.
    """
    if not contracts:
        return Gate(REFUSED, "The file does not say which migration made it unneeded (-- dbops: contracts <id>).")
    order = [same_id(source.layout, m.id) for m in source.migrations]
    expand, own = same_id(source.layout, contracts), same_id(source.layout, migration)
    if expand not in order:
        return Gate(REFUSED, f"There is no migration {contracts}, which the file says it contracts.")
    if own in order and order.index(expand) >= order.index(own):
        return Gate(REFUSED, f"Migration {contracts}, which the file says it contracts, does not come before it.")
    if live.applied is None:
        return Gate(UNKNOWN, f"No history was given: how long {contracts} has been live is asked when it is applied.")
    applied = {same_id(source.layout, key): when for key, when in live.applied.items()}.get(expand)
    if applied is None:
        return Gate(REFUSED, f"Migration {contracts} is not live yet; code that needs the old form may still run.")
    days = (live.now - applied).days
    if days < live.after_days:
        return Gate(REFUSED, f"Migration {contracts} has been live for {days} of {live.after_days} days.")
    if live.statements is None:
        return Gate(UNKNOWN, f"{contracts} has been live for {days} days; if queries use it is asked when applied.")
    if gone is None:
        return Gate(
            UNKNOWN, f"{contracts} has been live for {days} days; what goes is not known, so neither is its use."
        )
    used = next((text for text in live.statements if uses(text, gone)), "")
    if used:
        short = " ".join(used.split())[:120]
        return Gate(
            REFUSED,
            f"pg_stat_statements still shows a query that uses it: {short}. If that is from before the code changed, "
            "reset the statistics of that query and wait.",
        )
    return Gate(DUE, f"{contracts} has been live for {days} days, and no query of pg_stat_statements uses it.")


def uses(query: str, gone: Gone) -> bool:
    """Whether a query may use what goes. In doubt it does: ``SELECT *`` of the table reads the column."""
    # What migrations do to it, a backfill in a DO block included. The comment above a statement is recorded with it.
    text = re.sub(r"^(\s|--[^\n]*\n|/\*.*?\*/)+", "", query, flags=re.DOTALL)
    text = re.sub(r"'(?:[^']|'')*'", "''", text)
    if re.match(r"(alter|create|drop|comment|do|grant|revoke|vacuum|analyze)\b", text, re.IGNORECASE):
        return False
    if not _word(gone.table, text):
        return False
    return (
        not gone.column or _word(gone.column, text) or bool(re.search(r"(select|,|\.)\s*\*|returning\s*\*", text, re.I))
    )


def _word(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", text, re.IGNORECASE) is not None
