# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a database, as facts that a dump and its restore must share: rows, hashes, sequences, schema.

The same functions look at the live database in the snapshot of its dump, and at what was restored from it. What a
restore rightly makes anew is left out: rows of materialized views, of foreign tables and of extensions' own tables.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _postgres
from ansible_collections.dbops.postgres.plugins.module_utils._backup import contents_sql

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    from psycopg2 import sql

# The text of a value depends on these; both sides use the same.
SESSION = {
    "bytea_output": "hex",
    "datestyle": "ISO, YMD",
    "extra_float_digits": "1",
    "idle_in_transaction_session_timeout": "0",
    "intervalstyle": "postgres",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
    "row_security": "off",
    "search_path": "",
    "statement_timeout": "0",
    "timezone": "UTC",
}

# PostgreSQL writes an expression that it has read back with other casts and parentheses: x IN ('a', 'b') on a varchar
# column changes with each dump. Without them both sides agree.
_NAME = r'(?:"[^"]+"|[a-z_][a-z0-9_]*)'
_CAST = re.compile(
    rf"::{_NAME}(?:\.{_NAME})?(?: varying| precision| with(?:out)? time zone)?(?:\(\d+(?:,\d+)?\))?(?:\[\])*"
)
_NOISE = re.compile(r"[()\s]+")


@dataclass(frozen=True)
class TableContents:
    """Rows, and the sum of the rows' hashes, which does not depend on their order; None: only counted."""

    rows: int
    hash: str | None = None


@dataclass(frozen=True)
class SequenceState:
    """Where a sequence stands."""

    last_value: int
    is_called: bool
    increment: int = 1
    cycle: bool = False


@dataclass(frozen=True)
class Contents:
    """What is in a database. Tables and sequences by ``schema.name``; schema: a hash for each object."""

    tables: dict[str, TableContents] = field(default_factory=dict)
    sequences: dict[str, SequenceState] = field(default_factory=dict)
    schema: dict[str, str] = field(default_factory=dict)
    large_objects: int = 0

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(table.rows for table in self.tables.values())


def prepare(cursor: Any) -> None:
    """Make the session one in which the same value has the same text, and that may take as long as it takes."""
    for name, value in SESSION.items():
        cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
    _postgres.no_transaction_timeout(cursor)  # pg_dump turns it off as well


def tables(cursor: Any) -> list[tuple[str, str]]:
    """Schema and name of every table whose rows a dump holds, the largest first."""
    cursor.execute(contents_sql.TABLES)
    return [(row[0], row[1]) for row in cursor.fetchall()]


def lock(cursor: Any) -> None:
    """Let nobody drop or change a table from now to the end of the transaction: pg_dump locks them only later.

    :raises psycopg2.Error: one has gone since the snapshot, or is locked for longer.
    """
    cursor.execute(contents_sql.LOCKED)
    names = [sql.SQL("ONLY {}").format(sql.Identifier(*row)) for row in cursor.fetchall()]
    if names:
        cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.SQL(", ").join(names)))


def table(cursor: Any, schema: str, name: str, *, hashed: bool) -> TableContents:
    """Count a table's own rows, and hash them."""
    where = sql.Identifier(schema, name)
    if not hashed:
        cursor.execute(sql.SQL("SELECT count(*) FROM ONLY {}").format(where))
        return TableContents(int(cursor.fetchone()[0]))
    cursor.execute(
        sql.SQL(
            'SELECT count(*), coalesce(sum(hashtextextended((t.*)::text COLLATE "C", 0)), 0)::text FROM ONLY {} AS t'
        ).format(where)
    )
    rows, digest = cursor.fetchone()
    return TableContents(int(rows), digest)


def sequences(cursor: Any) -> dict[str, SequenceState]:
    """Where every sequence stands. They do not obey snapshots: look before the dump begins."""
    cursor.execute(contents_sql.SEQUENCES)
    found = {}
    for schema, name, increment, cycle in cursor.fetchall():
        cursor.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, name)))
        last, called = cursor.fetchone()
        found[f"{schema}.{name}"] = SequenceState(int(last), called, int(increment), cycle)
    return found


def schema(cursor: Any) -> dict[str, str]:
    """A hash of the definition of each object."""
    parts: dict[str, list[str]] = {}
    for query in contents_sql.SCHEMA:
        cursor.execute(query)
        for name, definition in cursor.fetchall():
            parts.setdefault(name, []).append(normalised(definition or ""))
    return {name: _digest(sorted(found)) for name, found in sorted(parts.items())}


def fingerprint(objects: dict[str, str]) -> str:
    """One hash for a whole schema."""
    return hashlib.sha256(
        "\n".join(f"{name} {digest}" for name, digest in sorted(objects.items())).encode()
    ).hexdigest()


def normalised(definition: str) -> str:
    """A definition without what a restore may write in another way."""
    return _NOISE.sub("", _CAST.sub("", definition))


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def large_objects(cursor: Any) -> int:
    """How many large objects there are."""
    cursor.execute("SELECT count(*) FROM pg_largeobject_metadata")
    return int(cursor.fetchone()[0])


def extensions(cursor: Any) -> dict[str, str]:
    """Versions by name; plpgsql is in every database."""
    cursor.execute(contents_sql.EXTENSIONS)
    return dict(cursor.fetchall())


def roles(cursor: Any) -> tuple[str, ...]:
    """Every role that something in the database, or the database itself, refers to."""
    cursor.execute(contents_sql.ROLES)
    return tuple(row[0] for row in cursor.fetchall())


def options(cursor: Any) -> dict[str, str]:
    """The options of CREATE DATABASE that make the same database again."""
    cursor.execute(
        "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datlocprovider, datcollate, datctype,"
        " coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')"
        " FROM pg_database d WHERE datname = current_database()"
    )
    owner, encoding, provider, collate, ctype, own = cursor.fetchone()
    found = {"OWNER": owner, "ENCODING": encoding, "LC_COLLATE": collate, "LC_CTYPE": ctype}
    if provider == "i":
        found.update({"LOCALE_PROVIDER": "icu", "ICU_LOCALE": own})
    if provider == "b":
        found.update({"LOCALE_PROVIDER": "builtin", "BUILTIN_LOCALE": own})
    return found
