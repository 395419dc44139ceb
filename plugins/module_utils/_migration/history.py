# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The applied migrations, in the table of the tool that owns them: read, and written as that tool writes them.

A tool that migrates by a command of its own writes its table itself: it is only read. A plain folder has no tool; its
table is ``dbops.migration_history``.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import (
    COMMAND,
    FLYWAY,
    GOLANG_MIGRATE,
    PLAIN,
    PRISMA,
    Migration,
    Source,
    same_id,
    unchanged,
)
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    from psycopg2 import sql

TABLES = {
    PRISMA: "_prisma_migrations",
    FLYWAY: "flyway_schema_history",
    GOLANG_MIGRATE: "schema_migrations",
    PLAIN: "migration_history",
}
# Of a command; the first one that is there.
_OF_COMMANDS = ("alembic_version", "__EFMigrationsHistory", "_prisma_migrations", *TABLES.values())
_OUR_SCHEMA = "dbops"

_FIND = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relname = ANY (%s) AND (%s = '' OR n.nspname = %s)
   AND n.nspname !~ '^pg_' ORDER BY pg_catalog.array_position(%s::text[], c.relname::text), n.nspname
"""
_READ = {
    PRISMA: "SELECT migration_name, checksum, extract(epoch FROM finished_at)::float8, finished_at IS NOT NULL"
    " FROM {} WHERE rolled_back_at IS NULL ORDER BY started_at, migration_name",
    FLYWAY: "SELECT coalesce(version, 'R__' || replace(description, ' ', '_')), coalesce(checksum::text, ''),"
    " extract(epoch FROM installed_on)::float8, success, type FROM {} ORDER BY installed_rank",
    GOLANG_MIGRATE: "SELECT version::text, '', NULL::float8, NOT dirty FROM {}",
    PLAIN: "SELECT id, checksum, extract(epoch FROM applied_at)::float8, true FROM {} ORDER BY applied_at, id",
    "alembic_version": "SELECT version_num, '', NULL::float8, true FROM {} ORDER BY 1",
    "__EFMigrationsHistory": """SELECT "MigrationId", '', NULL::float8, true FROM {} ORDER BY 1""",
}
_CREATE = {
    PRISMA: "CREATE TABLE {} (id varchar(36) PRIMARY KEY NOT NULL, checksum varchar(64) NOT NULL,"
    " finished_at timestamptz, migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz,"
    " started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0)",
    FLYWAY: "CREATE TABLE {} (installed_rank int NOT NULL CONSTRAINT flyway_schema_history_pk PRIMARY KEY,"
    " version varchar(50), description varchar(200) NOT NULL, type varchar(20) NOT NULL, script varchar(1000) NOT NULL,"
    " checksum int, installed_by varchar(100) NOT NULL, installed_on timestamp NOT NULL DEFAULT now(),"
    " execution_time int NOT NULL, success boolean NOT NULL)",
    GOLANG_MIGRATE: "CREATE TABLE {} (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL)",
    PLAIN: "CREATE TABLE {} (id text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL"
    " DEFAULT clock_timestamp(), seconds float8 NOT NULL, applied_by text NOT NULL)",
}


@dataclass(frozen=True)
class Row:
    """One applied migration.

    :param when: seconds since 1970; None: the tool does not keep it.
    :param done: False: the tool began it and did not end it.
    :param below: it stands for all before it too.
    """

    id: str
    checksum: str = ""
    when: float | None = None
    done: bool = True
    below: bool = False


@dataclass(frozen=True)
class History:
    """What a database says was applied.

    :param table: where it says so: schema and name; None: there is no such table yet.
    :param schema: whether our own schema is there.
    """

    layout: str
    table: tuple[str, str] | None
    rows: tuple[Row, ...] = ()
    schema: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """What is applied, in order."""
        return tuple(same_id(self.layout, row.id) for row in self.rows if row.done)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """What was begun and not ended."""
        return tuple(row.id for row in self.rows if not row.done)

    @property
    def state(self) -> tuple[tuple[str, str, bool], ...]:
        """All of it but the times, to compare two databases."""
        return tuple((same_id(self.layout, row.id), row.checksum, row.done) for row in self.rows)


def read(cursor: Any, layout: str, table: str = "") -> History:
    """The history of a database.

    :param table: the tool's table where it is not in its usual place: ``schema.name``.
    :raises DbopsError: there are two of them.
    """
    schema, _dot, name = table.rpartition(".")
    schema = schema or (_OUR_SCHEMA if layout == PLAIN and not table else "")
    names = [name] if name else list(_OF_COMMANDS) if layout == COMMAND else [TABLES[layout]]
    cursor.execute(_FIND, (names, schema, schema, names))
    found = [tuple(row) for row in cursor.fetchall()]
    if layout == COMMAND and found:
        found = [item for item in found if item[1] == found[0][1]]
    if len(found) > 1:
        places = ", ".join(".".join(item) for item in found)
        raise DbopsError(f"There are several tables of applied migrations: {places}", "Name one: history_table.")
    cursor.execute("SELECT pg_catalog.to_regnamespace(%s) IS NOT NULL", (_OUR_SCHEMA,))
    there = bool(cursor.fetchone()[0])
    if not found:
        return History(layout, None, schema=there)
    where = found[0]
    query = _READ.get(where[1]) or _READ[_kind(layout, where[1])]
    cursor.execute(sql.SQL(query).format(sql.Identifier(*where)))
    rows = [
        Row(row[0], row[1], row[2], row[3], layout == GOLANG_MIGRATE or "BASELINE" in row[4:])
        for row in cursor.fetchall()
    ]
    return History(layout, (where[0], where[1]), tuple(_latest(rows) if layout == FLYWAY else rows), there)


def _kind(layout: str, table: str) -> str:
    if layout != COMMAND:
        return layout
    return next((kind for kind, name in TABLES.items() if name == table), GOLANG_MIGRATE)


def _latest(rows: Sequence[Row]) -> list[Row]:
    """Of what Flyway ran several times, the last."""
    return list({row.id: row for row in rows}.values())


def pending(source: Source, history: History) -> tuple[Migration, ...]:
    """What is not applied yet, in order.

    :raises DbopsError: the files are not those that were applied.
    """
    layout = source.layout
    if layout == COMMAND:
        return ()
    known = {same_id(layout, m.id): number for number, m in enumerate(source.migrations)}
    applied = {same_id(layout, row.id): row for row in history.rows if row.done}
    upto = -1
    for row in history.rows:
        key = same_id(layout, row.id)
        if row.below and key in known:
            upto = max(upto, known[key] if row.done else known[key] - 1)
    problems = []
    for key, row in applied.items():
        if key not in known:
            if not (row.below and layout == FLYWAY):
                problems.append(f"{row.id} is applied, and its file is not there")
        elif not source.migrations[known[key]].repeatable:
            migration = source.migrations[known[key]]
            if row.checksum and migration.checksum and not unchanged(layout, migration, row.checksum):
                problems.append(f"{migration.path} was changed after it had been applied")
    if problems:
        raise DbopsError(
            f"The files are not those that were applied: {'; '.join(problems)}",
            "Take the files as they were applied; what is to be changed is a new migration.",
        )
    found = []
    for number, migration in enumerate(source.migrations):
        row_of = applied.get(same_id(layout, migration.id))
        again = migration.repeatable and row_of is not None and row_of.checksum != migration.checksum
        if again or (row_of is None and (migration.repeatable or number > upto)):
            found.append(migration)
    return tuple(found)


def keep(cursor: Any, layout: str) -> None:
    """For the rest of the transaction be who may write the table.

    A tool writes its own table under the role of its migrations. Our table belongs to the superuser: the role of the
    migrations may neither make a schema nor change what is on record.
    """
    if layout == PLAIN:
        cursor.execute("SET LOCAL ROLE NONE")


def create(cursor: Any, layout: str, table: str = "") -> tuple[str, str]:
    """Make the tool's table, as the tool makes it; where it is."""
    schema, _dot, name = table.rpartition(".")
    name = name or TABLES[layout]
    if layout == PLAIN and not schema:
        schema = _OUR_SCHEMA
        cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    if not schema:
        cursor.execute("SELECT pg_catalog.current_schema()")
        schema = str(cursor.fetchone()[0] or "public")
    where = sql.Identifier(schema, name)
    cursor.execute(sql.SQL(_CREATE[layout]).format(where))
    if layout == FLYWAY:
        cursor.execute(sql.SQL("CREATE INDEX {} ON {} (success)").format(sql.Identifier(f"{name}_s_idx"), where))
    return schema, name


def record(cursor: Any, layout: str, table: tuple[str, str], migration: Migration, seconds: float) -> None:
    """Say that a migration is applied, in the transaction of the cursor."""
    where = sql.Identifier(*table)
    if layout == PRISMA:
        cursor.execute(
            sql.SQL(
                "INSERT INTO {} (id, checksum, migration_name, started_at, finished_at, applied_steps_count)"
                " VALUES (%s, %s, %s, clock_timestamp() - make_interval(secs => %s), clock_timestamp(), 1)"
            ).format(where),
            (str(uuid.uuid4()), migration.checksum, migration.id, seconds),
        )
    elif layout == FLYWAY:
        cursor.execute(
            sql.SQL(
                "INSERT INTO {} (installed_rank, version, description, type, script, checksum, installed_by,"
                " execution_time, success) SELECT coalesce(max(installed_rank), 0) + 1, %s, %s, 'SQL', %s, %s,"
                " current_user, %s, true FROM {}"
            ).format(where, where),
            (
                None if migration.repeatable else migration.id,
                migration.name,
                migration.path,
                int(migration.checksum),
                int(seconds * 1000),
            ),
        )
    elif layout == GOLANG_MIGRATE:
        _put_version(cursor, where, migration.id, dirty=False)
    else:
        cursor.execute(
            sql.SQL("INSERT INTO {} (id, checksum, seconds, applied_by) VALUES (%s, %s, %s, session_user)").format(
                where
            ),
            (migration.id, migration.checksum, seconds),
        )


def begin(cursor: Any, table: tuple[str, str], migration: Migration) -> None:
    """golang-migrate's mark of a migration that is begun, and not in one transaction."""
    _put_version(cursor, sql.Identifier(*table), migration.id, dirty=True)


def forget(cursor: Any, layout: str, table: tuple[str, str], migration: Migration, before: str) -> None:
    """Say that a migration was taken back.

    :param before: the id of the one before it; empty: it was the first.
    """
    where = sql.Identifier(*table)
    if layout == GOLANG_MIGRATE:
        _put_version(cursor, where, before, dirty=False)
        return
    column = {PRISMA: "migration_name", FLYWAY: "version", PLAIN: "id"}[layout]
    cursor.execute(sql.SQL("DELETE FROM {} WHERE {} = %s").format(where, sql.Identifier(column)), (migration.id,))


def _put_version(cursor: Any, where: Any, version: str, *, dirty: bool) -> None:
    cursor.execute(sql.SQL("DELETE FROM {}").format(where))
    if version:
        cursor.execute(sql.SQL("INSERT INTO {} (version, dirty) VALUES (%s, %s)").format(where), (int(version), dirty))


def digest(text: str) -> str:
    """A checksum of our own, where the tool keeps none."""
    return hashlib.sha256(text.encode()).hexdigest()
