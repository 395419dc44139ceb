# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pgbouncer.ini`` as data (pgbouncer.ini(5)): read, and edited so that what is not ours stays. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

_SECTION = re.compile(r"^\s*\[\s*([^\]]*?)\s*\]\s*$")
_ENTRY = re.compile(r"^\s*(?P<name>\"(?:[^\"]|\"\")+\"|[^=\s;#]+)\s*=\s*(?P<value>.*?)\s*$")
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")

Sections = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class _Line:
    text: str
    section: str
    name: str | None = None
    value: str = ""


def _lines(text: str, path: str) -> list[_Line]:
    lines = []
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = _SECTION.match(line)
        entry = _ENTRY.match(line)
        if header:
            section = header[1]
            lines.append(_Line(line, section))
        elif not line.strip() or line.lstrip()[0] in ";#" or line.lstrip().startswith("%include"):
            lines.append(_Line(line, section))
        elif entry:
            lines.append(_Line(line, section, _unquoted(entry["name"]), entry["value"]))
        else:
            raise DbopsError(f"{path} line {number} cannot be read: {line.strip()[:60]!r}", "Mend or remove it.")
    return lines


def read(text: str, path: str = "pgbouncer.ini") -> dict[str, dict[str, str]]:
    """What a file says: section -> name -> value; of two lines with one name the last one counts.

    :raises DbopsError: for a line that is neither section, comment nor entry.
    """
    found: dict[str, dict[str, str]] = {}
    for line in _lines(text, path):
        if line.section:
            found.setdefault(line.section, {})
        if line.name is not None:
            found.setdefault(line.section, {})[line.name] = line.value
    return found


def edit(text: str, wanted: Sections, exact: tuple[str, ...] = (), path: str = "pgbouncer.ini") -> str:
    """The text in which each wanted entry stands once with its value, in its old place if it had one.

    :param exact: sections in which entries that are not wanted are removed.
    """
    left = {section: dict(entries) for section, entries in wanted.items()}
    kept: list[_Line] = []
    for line in _lines(text, path):
        if line.name is None or line.section not in wanted:
            kept.append(line)
        elif line.name in left[line.section]:
            value = left[line.section].pop(line.name)
            same = line.value == value
            kept.append(line if same else _Line(_entry(line.name, value), line.section, line.name, value))
        elif line.name not in wanted[line.section] and line.section not in exact:
            kept.append(line)
    for section, entries in left.items():
        made = [_Line(_entry(name, value), section, name, value) for name, value in entries.items()]
        if not any(line.section == section for line in kept):
            blank = [_Line("", "")] if kept else []
            kept += [*blank, _Line(f"[{section}]", section), *made]
        elif made:
            at = _end(kept, section)
            kept[at:at] = made
    return "".join(line.text + "\n" for line in kept)


def _end(lines: list[_Line], section: str) -> int:
    """Behind the section's last entry, or behind its header where it has none: before the comments of the next."""
    own = [number for number, line in enumerate(lines) if line.section == section]
    entries = [number for number in own if lines[number].name is not None]
    return (entries[-1] if entries else own[0]) + 1


def _entry(name: str, value: str) -> str:
    return f"{quoted_name(name)} = {value}".rstrip()


def quoted_name(name: str) -> str:
    """A name of a database or user as the file needs it."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def connection_string(parts: Mapping[str, str | int]) -> str:
    """The value of a database's entry: ``host=… port=…``; a value that is not plain stands in single quotes."""

    def quoted(value: str) -> str:
        return value if re.fullmatch(r"[A-Za-z0-9_./:@-]+", value) else "'" + value.replace("'", "''") + "'"

    return " ".join(f"{name}={quoted(str(value))}" for name, value in parts.items())
