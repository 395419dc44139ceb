# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The globals of a set (what ``pg_dumpall --globals-only`` writes), made fit for a cluster that is empty. Pure."""

from __future__ import annotations

import re

_ROLE = re.compile(r'^CREATE ROLE ("(?:[^"]|"")*"|[^\s;"]+);$', re.MULTILINE)
_TABLESPACE = re.compile(r"^(CREATE TABLESPACE .* LOCATION )E?'(?:[^']|'')*';$", re.MULTILINE)


def roles_of(text: str) -> tuple[str, ...]:
    """The roles that the globals create."""
    return tuple(_unquoted(name) for name in _ROLE.findall(text))


def for_scratch(text: str, superuser: str) -> str:
    """The globals for a throwaway cluster that initdb made with this superuser.

    The superuser is there already: its CREATE ROLE would fail, while its ALTER ROLE and its memberships are wanted.
    Tablespaces are made inside the data directory: at their own places the live server may have its files.
    """
    for found in _ROLE.finditer(text):
        if _unquoted(found.group(1)) == superuser:
            text = text[: found.start()] + text[found.end() + 1 :]
            break
    text = _TABLESPACE.sub(r"\1'';", text)
    return f"SET allow_in_place_tablespaces = on;\n{text}"


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
