# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What will be done, before it is done: statements as data, steps, plans, and the error that a user sees.

Everything here is pure. A statement is a template in the notation of ``psycopg2.sql.SQL.format`` plus typed
arguments; :mod:`._postgres` composes it with ``psycopg2.sql``, once to execute it and once, with secrets masked,
to show it. So what is shown is what runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Union

MASK = "********"


class DbopsError(Exception):
    """An error that tells its reader what was wrong, what was left untouched and what to do.

    :param problem: what is wrong, with the name of the object.
    :param remedy: what to do about it.
    :param untouched: what was left as it was; most errors are found before anything changes.
    """

    def __init__(self, problem: str, remedy: str = "", untouched: str = "Nothing was changed.") -> None:
        self.problem = problem.rstrip().rstrip(".") + "."
        self.remedy = remedy.rstrip()
        self.untouched = untouched.rstrip()
        super().__init__(" ".join(part for part in (self.problem, self.untouched, self.remedy) if part))


@dataclass(frozen=True)
class Ident:
    """A possibly qualified identifier, for example ``Ident("public", "payments")``."""

    parts: tuple[str, ...]

    def __init__(self, *parts: str) -> None:
        object.__setattr__(self, "parts", parts)


@dataclass(frozen=True)
class Literal:
    """A value, quoted as a literal."""

    value: str | int | float | bool | None


@dataclass(frozen=True)
class Secret:
    """A value, quoted as a literal when it is executed and masked wherever it is shown."""

    value: str

    def __repr__(self) -> str:
        return f"Secret({MASK})"


@dataclass(frozen=True)
class Joined:
    """Arguments joined by commas, for example the tables of one GRANT."""

    items: tuple[Argument, ...]


@dataclass(frozen=True)
class Sql:
    """One statement: constant text with ``{}`` placeholders, and an argument for each.

    The text comes from this collection only, never from input; input travels in the arguments. ``{}`` inside an
    argument of type :class:`Sql` nests (for example ``{} (a, b)``: a function with its argument types).
    """

    template: str
    args: tuple[Argument, ...] = ()


Argument = Union[Ident, Literal, Secret, Joined, Sql]


@dataclass(frozen=True)
class Step:
    """One statement of a plan.

    :param subject: the object that it changes, as a user would name it: ``role payments_prod_app``.
    :param sql: the statement.
    :param database: where it must run; None for the database of the login.
    :param transactional: False for what PostgreSQL refuses inside a transaction block (CREATE DATABASE).
    """

    subject: str
    sql: Sql
    database: str | None = None
    transactional: bool = True


@dataclass(frozen=True)
class Change:
    """What one object is and what it will be, as short text, for the diff. None: it does not exist."""

    subject: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Plan:
    """An ordered list of what will be done, and the same as differences per object."""

    steps: tuple[Step, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def changed(self) -> bool:
        """True when there is anything to do."""
        return bool(self.steps)

    def diff(self) -> dict[str, str]:
        """The plan in the form that Ansible prints: one line per object in ``before`` and in ``after``."""
        return {
            "before": _lines((change.subject, change.before) for change in self.changes),
            "after": _lines((change.subject, change.after) for change in self.changes),
        }


def _lines(rows: Iterable[tuple[str, str | None]]) -> str:
    return "".join(f"{subject}: {text}\n" for subject, text in rows if text is not None)
