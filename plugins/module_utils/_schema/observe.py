# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the whole catalog of one database: a constant number of queries, whatever it holds."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.dbops.postgres.plugins.module_utils._plan import MASK, DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._schema import ignore as ignoring
from ansible_collections.dbops.postgres.plugins.module_utils._schema.objects import OBJECTS
from ansible_collections.dbops.postgres.plugins.module_utils._schema.relations import RELATIONS
from ansible_collections.dbops.postgres.plugins.module_utils._schema.snapshot import OWNER, Snapshot, named

if TYPE_CHECKING:
    from psycopg2 import extensions

OLDEST = 150000
# What decides how PostgreSQL prints a definition. An empty search_path makes every name in it a qualified one.
_PRINTED_WITH = {
    "search_path": "",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "quote_all_identifiers": "off",
    "bytea_output": "hex",
}
_SECRET_OPTION = re.compile("pass|secret|token|credential|key", re.IGNORECASE)
_LOGIN_IN_URL = re.compile(r"(://[^/@\s:]*:)[^@\s]*(@)")


def snapshot(cursor: extensions.cursor, ignore: ignoring.Ignore = ignoring.ALWAYS) -> Snapshot:
    """The schema of the database that the cursor is connected to. Reads only, and leaves the session as it was.

    :param ignore: what is left out; by default what belongs to extensions and tools.
    :raises DbopsError: the server is older than PostgreSQL 15.
    """
    with _printed(cursor):
        cursor.execute("SELECT current_setting('server_version_num')::int")
        row = cursor.fetchone()
        version = row[0] if row else 0
        if version < OLDEST:
            raise DbopsError(f"The server is PostgreSQL {version // 10000}", "Schemas are compared from version 15 on.")
        objects: dict[str, dict[str, dict[str, Any]]] = {}
        for query in (*OBJECTS, *RELATIONS):
            cursor.execute(query)
            for kind, name, fields in cursor.fetchall():
                kept = _fields(fields)
                objects.setdefault(kind, {})[name or named(kind, kept)] = kept
    return ignore.apply(Snapshot(version // 10000, objects)).snapshot


@contextlib.contextmanager
def _printed(cursor: extensions.cursor) -> Iterator[None]:
    names = list(_PRINTED_WITH)
    cursor.execute("SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", (names,))
    before = dict(cursor.fetchall())
    _set(cursor, _PRINTED_WITH)
    try:
        yield
    finally:
        # In a transaction that failed they go back by themselves.
        with contextlib.suppress(Exception):
            _set(cursor, before)


def _set(cursor: extensions.cursor, settings: Mapping[str, str]) -> None:
    cursor.execute(
        "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS given (name, value)",
        (list(settings), list(settings.values())),
    )


def _fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not set, and with the access list by grantee."""
    kept = {key: value for key, value in fields.items() if value not in (None, False, "", [], {})}
    owner = kept.pop("acl_owner", kept.get("owner"))
    if "acl" in kept:
        kept["grants"] = _grants(kept.pop("acl"), owner)
    for key in ("options", "toast_options", "server_options", "settings"):
        if key in kept:
            pairs = (str(item).partition("=") for item in kept[key])
            kept[key] = {name: _masked(name, value) for name, _equals, value in pairs}
    if "roles" in kept:
        kept["roles"] = sorted(kept["roles"])
    return kept


def _grants(acl: Sequence[Sequence[Any]], owner: str | None) -> dict[str, list[str]]:
    """Privileges by grantee; the owner's own under one name, so that only its owner tells two objects apart."""
    found: dict[str, dict[str, bool]] = {}
    for grantee, privilege, grantable in acl:
        mine = found.setdefault(OWNER if grantee == owner else grantee, {})
        mine[privilege] = mine.get(privilege, False) or grantable
    return {
        grantee: sorted(f"{name} WITH GRANT OPTION" if grantable else name for name, grantable in mine.items())
        for grantee, mine in found.items()
    }


def _masked(name: str, value: str) -> str:
    return MASK if _SECRET_OPTION.search(name) else _LOGIN_IN_URL.sub(rf"\g<1>{MASK}\g<2>", value)
