# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is: the truth table, and rotations that are killed anywhere as a model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dbops.postgres.plugins.module_utils._credentials.rotation import (
    DAY,
    Login,
    Move,
    Policy,
    Record,
    Seen,
    closable,
    next_move,
)

NOW = 1_800_000_000
OLD = NOW - 40 * DAY
DUE = Policy(due_seconds=30 * DAY)
FORCE = Policy(force=True)
ON_REQUEST = Policy()


def seen(published: str = "", works: bool = True, record: Record | None = None, **given: tuple[bool, int]) -> Seen:
    a, b = given.get("a", (True, 3)), given.get("b", (False, 0))
    return Seen((Login("a", *a), Login("b", *b)), published, works, record, NOW)


@pytest.mark.parametrize(
    ("what", "policy", "move"),
    [
        # Nothing is published: begin with a login that nobody uses.
        (seen("", a=(False, 0)), ON_REQUEST, ("prepare", "a")),
        (seen("", a=(True, 2)), ON_REQUEST, ("prepare", "b")),
        (seen("", a=(True, 0)), ON_REQUEST, ("prepare", "b")),
        (seen("", record=Record("a", OLD)), ON_REQUEST, ("prepare", "b")),
        # Published, not recorded: a run was killed.
        (seen("a"), FORCE, ("deliver", "a")),
        (seen("a", works=False), FORCE, ("prepare", "a")),
        (seen("b", record=Record("a", OLD), b=(True, 0)), FORCE, ("deliver", "b")),
        (seen("b", record=Record("a", OLD), b=(True, 4)), DUE, ("deliver", "b")),
        (seen("b", works=False, record=Record("a", OLD)), DUE, ("prepare", "b")),
        # In use.
        (seen("a", record=Record("a", OLD)), ON_REQUEST, ("none", "a")),
        (seen("a", record=Record("a", OLD)), DUE, ("prepare", "b")),
        (seen("a", record=Record("a", OLD)), FORCE, ("prepare", "b")),
        (seen("a", record=Record("a", NOW - 30 * DAY)), DUE, ("prepare", "b")),
        (seen("a", record=Record("a", NOW - 30 * DAY + 1)), DUE, ("none", "a")),
        (seen("a", record=Record("a", NOW - 5)), FORCE, ("prepare", "b")),
        # The other login is still needed.
        (seen("a", record=Record("a", OLD), b=(True, 1)), FORCE, ("none", "a")),
        (seen("a", record=Record("a", NOW - 5), b=(True, 0)), FORCE, ("none", "a")),
        (seen("a", record=Record("a", OLD), b=(True, 0)), FORCE, ("prepare", "b")),
        # Somebody changed the password: the other login heals it.
        (seen("a", works=False, record=Record("a", OLD)), ON_REQUEST, ("prepare", "b")),
    ],
)
def test_next_move(what: Seen, policy: Policy, move: tuple[str, str]) -> None:
    assert next_move(what, policy) == Move(*move, why="")
    assert next_move(what, policy).why


@pytest.mark.parametrize(
    ("what", "kind", "why"),
    [
        (seen("a", record=Record("a", OLD), b=(True, 0)), "close", "not used any more"),
        (seen("a", record=Record("a", OLD), b=(False, 0)), "none", "b is closed"),
        (seen("a", record=Record("a", OLD), b=(True, 1)), "none", "still has 1 connections"),
        (seen("a", record=Record("a", NOW - 3599), b=(True, 0)), "none", "1 s left"),
        (seen("a", record=Record("a", NOW - 3600), b=(True, 0)), "close", ""),
        (seen("a", works=False, record=Record("a", OLD), b=(True, 0)), "none", "both are left open"),
        (seen("b", record=Record("a", OLD), b=(True, 0)), "none", "both are left open"),
        (seen("a", record=None, b=(True, 0)), "none", "both are left open"),
        (seen("", record=Record("a", OLD), b=(True, 0)), "none", "both are left open"),
    ],
)
def test_closable(what: Seen, kind: str, why: str) -> None:
    move = closable(what, ON_REQUEST)
    assert move.kind == kind
    assert why in move.why
    if kind == "close":
        assert what.record is not None
        assert move.login == what.other(what.record.active).name


@dataclass
class World:
    """A server, a source and consumers, as far as a rotation changes them. Passwords are numbers."""

    passwords: dict[str, int | None]
    source: tuple[str, int] | None = None
    consumers: tuple[tuple[str, int] | None, ...] = (None, None)
    record: Record | None = None
    now: int = NOW
    last: int = 0

    def accepts(self, url: tuple[str, int] | None) -> bool:
        return url is not None and self.passwords[url[0]] == url[1]

    def look(self) -> Seen:
        sessions = {name: sum(1 for url in self.consumers if url and url[0] == name) for name in "ab"}
        a, b = (Login(name, self.passwords[name] is not None, sessions[name]) for name in "ab")
        return Seen((a, b), self.source[0] if self.source else "", self.accepts(self.source), self.record, self.now)

    def rotate(self, policy: Policy, steps: int) -> None:
        """One run that is killed after so many steps."""
        move = next_move(self.look(), policy)
        todo: list[tuple[str, tuple[str, int] | None]] = []
        if move.kind == "prepare":
            self.last += 1
            new = (move.login, self.last)
            todo += [("password", new), ("source", new)]
        target = new if move.kind == "prepare" else self.source
        todo += [(f"consumer {number}", target) for number in range(len(self.consumers))]
        for what, value in todo[:steps]:
            assert value is not None
            if what == "password":
                self.passwords[value[0]] = value[1]
            elif what == "source":
                self.source = value
            else:
                consumers = list(self.consumers)
                consumers[int(what.split()[1])] = value
                self.consumers = tuple(consumers)
            self.check()
        if steps > len(todo):
            assert self.source is not None
            if self.record is None or self.record.active != self.source[0]:
                self.record = Record(self.source[0], self.now)
            closing = closable(self.look(), policy)
            if closing.kind == "close":
                self.passwords[closing.login] = None
            self.check()

    def check(self) -> None:
        assert all(self.accepts(url) for url in self.consumers if url is not None), "a consumer is locked out"


runs = st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.sampled_from([1, 600, 3600, 40 * DAY])), max_size=12)


@given(runs)
def test_no_consumer_is_ever_locked_out_however_often_runs_are_killed(history: list[tuple[int, bool, int]]) -> None:
    world = World({"a": None, "b": None})
    for steps, force, pause in history:
        world.rotate(replace(DUE, force=force), steps)
        world.now += pause
    for _settling in range(2):
        world.rotate(DUE, 99)
        world.now += 3600
    world.rotate(ON_REQUEST, 99)
    assert set(world.consumers) == {world.source}
    assert sum(password is not None for password in world.passwords.values()) == 1
