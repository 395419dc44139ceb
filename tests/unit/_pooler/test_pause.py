# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens to one process, the clients of the others do not wait for ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._pooler import pause


class Poolers:
    """Processes 1, 2, 3, each with the databases a and b; the dead ones do not answer."""

    def __init__(self, *dead: int) -> None:
        self.dead = set(dead)
        self.paused: set[tuple[int, str]] = set()

    def place(self, _run: Any, number: int = 1) -> tuple[str, int]:
        if number in self.dead:
            raise DbopsError("it does not answer")
        return "", number

    def ask(self, place: tuple[str, int]) -> Any:
        poolers, number = self, place[1]

        class Console:
            def __enter__(self) -> Any:
                return lambda command: poolers.answer(number, command)

            def __exit__(self, *_error: object) -> None:
                pass

        return Console()

    def answer(self, number: int, command: str) -> list[dict[str, object]]:
        if command == "SHOW DATABASES":
            return [{"name": name, "paused": int((number, name) in self.paused)} for name in "ab"]
        verb, name = command.split()
        (self.paused.add if verb == "PAUSE" else self.paused.discard)((number, name))
        return []

    def finished(self, run: Any, number: int, command: str, _end: float) -> bool:
        self.answer(self.place(run, number)[1], command)
        return True


def poolers(monkeypatch: pytest.MonkeyPatch, *dead: int) -> Poolers:
    made = Poolers(*dead)
    monkeypatch.setattr(pause, "running", lambda _run: [1, 2, 3])
    monkeypatch.setattr(pause, "place", made.place)
    monkeypatch.setattr(pause, "ask", made.ask)
    monkeypatch.setattr(pause, "_finished", made.finished)
    return made


def run(_arguments: Sequence[str]) -> tuple[int, str, str]:
    raise AssertionError


def test_one_that_dies_while_the_others_are_paused_leaves_nobody_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_them = poolers(monkeypatch)
    databases = pause.look(run, "paused")
    all_of_them.dead = {2}
    with pytest.raises(DbopsError, match=r"Clients may still wait: dbops-pgbouncer@2.service: it does not answer"):
        pause.pause(run, databases, 1)
    assert not all_of_them.paused


def test_transactions_that_do_not_end_leave_nobody_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_them = poolers(monkeypatch)

    def finished(caller: Any, number: int, command: str, end: float) -> bool:
        return all_of_them.finished(caller, number, command, end) and command != "PAUSE b"

    monkeypatch.setattr(pause, "_finished", finished)
    with pytest.raises(DbopsError, match=r"'b' still had running transactions after 1 s.*All clients go on"):
        pause.pause(run, pause.look(run, "paused"), 1)
    assert not all_of_them.paused


def test_one_that_does_not_answer_keeps_nobody_else_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_them = poolers(monkeypatch)
    pause.pause(run, pause.look(run, "paused"), 1)
    assert len(all_of_them.paused) == 6
    all_of_them.dead = {1}
    silent: list[str] = []
    databases = pause.look(run, "resumed", silent=silent)
    with pytest.raises(DbopsError, match=r"pgbouncer.service: it does not answer"):
        pause.resume(run, databases, silent)
    assert {number for number, _name in all_of_them.paused} == {1}
