# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations as files of a layout, and writing them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from ansible_collections.dbops.postgres.plugins.module_utils import _evidence
from ansible_collections.dbops.postgres.plugins.module_utils._enums.generate import Script
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Sql

LAYOUTS = ("plain", "golang-migrate", "flyway", "prisma")
_MARK = "-- dbops: no-transaction\n"


def files(
    scripts: Sequence[Script], layout: str, version: int, render: Callable[[Sql], str]
) -> list[tuple[str, str, str]]:
    """(phase, name, text) of each file."""
    found = []
    before = ""
    for number, script in enumerate(scripts, start=version):
        up = _text(script.what, script.phase, script.up, script.in_transaction, layout, render)
        if script.phase == "contract":
            up = f"-- dbops: contracts {before}\n{up}"
        before = _id(layout, number, script)
        down = _text(
            (f"Takes back {script.name}.",), script.phase, script.down, script.down_in_transaction, layout, render
        )
        found += [(script.phase, name, text) for name, text in _named(layout, number, script, up, down)]
    return found


def _named(layout: str, number: int, script: Script, up: str, down: str) -> list[tuple[str, str]]:
    if layout == "golang-migrate":
        return [(f"{number:06}_{script.name}.up.sql", up), (f"{number:06}_{script.name}.down.sql", down)]
    if layout == "prisma":
        return [(f"{number}_{script.name}/migration.sql", up), (f"{number}_{script.name}/down.sql", down)]
    if layout == "plain":
        return [(f"{number:04}_{script.name}.sql", up), (f"{number:04}_{script.name}.down.sql", down)]
    # Flyway reads from a file beside it whether a migration has a transaction.
    found = [(f"V{number}__{script.name}.sql", up), (f"U{number}__{script.name}.sql", down)]
    if not script.in_transaction:
        found.append((f"V{number}__{script.name}.sql.conf", "executeInTransaction=false\n"))
    if not script.down_in_transaction:
        found.append((f"U{number}__{script.name}.sql.conf", "executeInTransaction=false\n"))
    return found


def _id(layout: str, number: int, script: Script) -> str:
    """What the tool's own table calls it."""
    if layout in ("golang-migrate", "flyway"):
        return str(number)
    return f"{number}_{script.name}" if layout == "prisma" else f"{number:04}_{script.name}"


def _text(
    what: Sequence[str],
    phase: str,
    statements: Sequence[Sql],
    in_transaction: bool,
    layout: str,
    render: Callable[[Sql], str],
) -> str:
    head = "" if in_transaction or layout != "plain" else _MARK
    head += "".join(f"-- {line}\n" for line in _lines((*what, f"Phase: {phase}. Written by pg_enum_to_lookup.")))
    return head + "".join(f"\n{_ended(render(statement))}\n" for statement in statements)


def _lines(texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in text.splitlines()]


def _ended(statement: str) -> str:
    body, comment, rest = statement.partition(" -- ") if "\n" not in statement else (statement, "", "")
    return f"{body};{comment}{rest}"


def existing(paths: Sequence[str]) -> dict[str, str | None]:
    """The text of each file; None: it is not there."""
    found: dict[str, str | None] = {}
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                found[path] = file.read()
        except FileNotFoundError:
            found[path] = None
        except (OSError, UnicodeDecodeError) as error:
            raise DbopsError(f"Cannot read {path}: {error}", "Choose another dest.", "No file was written.") from None
    return found


def refuse_others(there: Mapping[str, str | None], wanted: Mapping[str, str], force: bool) -> None:
    """Refuse to replace a file that says something else.

    :raises DbopsError: with the file.
    """
    for path, text in there.items():
        if text is not None and text != wanted[path] and not force:
            raise DbopsError(
                f"{path} is there and says something else",
                "If it has been applied nowhere, run this with force; otherwise give another version.",
                "No file was written.",
            )


def write(wanted: Mapping[str, str]) -> None:
    """Write them, each at once.

    :raises DbopsError: with the file.
    """
    for path, text in wanted.items():
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _evidence.replace(path, text)
        except OSError as error:
            raise DbopsError(
                f"Cannot write {path}: {error.strerror}", "Run this again.", "Others may be there."
            ) from None
