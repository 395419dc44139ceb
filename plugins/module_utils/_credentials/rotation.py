# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two logins take turns: which one is used, which one is next, and what may be done now. Pure.

The password in use never changes. The idle login gets a new one, that is published where consumers find it, they are
moved over, and after a grace period the other login is closed. What was done is read from the live system, so a run
that was killed at any point is carried on by the next:

===============================  =====================================================================================
killed after                     the next run sees
===============================  =====================================================================================
the new verifier                 the source names the old login: nobody knows the new password, it gets another one
publishing                       the source names a login that is not the recorded one, and it connects: deliver that
delivering, to some or all       the same; what is delivered already is unchanged
recording                        everything is done but closing the other login, which waits for its grace period
===============================  =====================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field

DAY = 86400


@dataclass(frozen=True)
class Record:
    """What the last rotation left behind on the server: no secret.

    :param active: the login that the consumers were proven to use.
    :param since: when, in seconds since 1970.
    """

    active: str
    since: int


@dataclass(frozen=True)
class Login:
    """One of the two logins.

    :param enabled: it may log in and has a password.
    :param sessions: connections that it has now.
    """

    name: str
    enabled: bool = False
    sessions: int = 0


@dataclass(frozen=True)
class Seen:
    """What was seen.

    :param published: the login of the URL that the source holds; empty: it holds none, or that of another role.
    :param works: whether the server accepts it.
    """

    logins: tuple[Login, Login]
    published: str = ""
    works: bool = False
    record: Record | None = None
    now: int = 0

    def login(self, name: str) -> Login:
        """One of the two by name."""
        return next(login for login in self.logins if login.name == name)

    def other(self, name: str) -> Login:
        """The one that is not ``name``."""
        return next(login for login in self.logins if login.name != name)


@dataclass(frozen=True)
class Policy:
    """When to rotate.

    :param due_seconds: age at which a password is replaced; 0: when asked to only.
    :param grace_seconds: how long the other login stays open after the consumers have moved.
    """

    due_seconds: int = 0
    grace_seconds: int = 3600
    force: bool = False


@dataclass(frozen=True)
class Move:
    """What is to be done.

    :param kind: ``prepare`` (a new password for ``login``, then publish and deliver it), ``deliver`` (what is
        published already), or ``none``.
    :param why: in words, for the reader of the run.
    """

    kind: str
    login: str
    why: str = field(compare=False)


def next_move(seen: Seen, policy: Policy) -> Move:
    """Which login the consumers should use, and what is missing for it."""
    if not seen.published:
        return Move("prepare", _first(seen), "the source holds no connection URL of either login")
    current = seen.published
    if seen.record is None or seen.record.active != current:
        if seen.works:
            return Move("deliver", current, f"{current} is published and connects; its consumers have not been proven")
        return Move("prepare", current, f"{current} is published but cannot connect, and no consumer was proven to")
    other = seen.other(current)
    if not seen.works:
        return Move("prepare", other.name, f"{current} is published but cannot connect")
    age = seen.now - seen.record.since
    due = policy.force or (policy.due_seconds > 0 and age >= policy.due_seconds)
    if not due:
        return Move("none", current, f"{current} is in use since {age // DAY} days")
    if other.enabled and other.sessions:
        return Move("none", current, f"{other.name} still has {other.sessions} connections: it cannot be replaced yet")
    left = seen.record.since + policy.grace_seconds - seen.now
    if other.enabled and left > 0:
        return Move("none", current, f"{other.name} has {left} s left of its grace period: it cannot be replaced yet")
    return Move("prepare", other.name, "asked for" if policy.force else f"{current} is in use since {age // DAY} days")


def closable(seen: Seen, policy: Policy) -> Move:
    """Whether the login that is not in use can be closed now: kind ``close`` or ``none``."""
    if seen.record is None or seen.record.active != seen.published or not seen.works:
        return Move("none", "", "the login in use is not recorded, published and connecting: both are left open")
    other = seen.other(seen.record.active)
    left = seen.record.since + policy.grace_seconds - seen.now
    if not other.enabled:
        return Move("none", other.name, f"{other.name} is closed")
    if left > 0:
        return Move("none", other.name, f"{other.name} has {left} s left of its grace period")
    if other.sessions:
        return Move("none", other.name, f"{other.name} still has {other.sessions} connections")
    return Move("close", other.name, f"{other.name} is not used any more")


def _first(seen: Seen) -> str:
    """The login to begin with: one that nobody uses, if there is one; when a record exists, not the recorded one."""
    if seen.record is not None:
        return seen.other(seen.record.active).name
    return min(seen.logins, key=lambda login: (login.sessions > 0, login.enabled, login.name)).name
