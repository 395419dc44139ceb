# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take one migration back by its ``down`` file, and its row out of the history, in one transaction if that can be."""

from __future__ import annotations

import contextlib
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._migration import history
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_session import migrating, timeouts
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_spec import MigrateSpec
from ansible_collections.dbops.postgres.plugins.module_utils._migration.run_split import Segment, segments
from ansible_collections.dbops.postgres.plugins.module_utils._migration.source import PLAIN, PRISMA, Migration, Source
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import Login

with contextlib.suppress(ImportError):  # _postgres.connect says that it is missing
    from psycopg2 import sql

LOCK_SECONDS = 30


def segments_of(layout: str, migration: Migration, *, down: bool = False) -> tuple[Segment, ...]:
    """The segments of a migration's file, or of the file that takes it back."""
    # Prisma sends a file as one query, which is a transaction; it is only that it adds none of its own.
    one_by_one = not migration.in_transaction and layout != PRISMA
    path = migration.down_path if down else migration.path
    text = (migration.down_sql or "") if down else migration.sql
    found = segments(path, text, one_by_one=one_by_one)
    # The last one has the history's row in its transaction, so it is a transaction.
    return found if found and not found[-1].alone else (*found, Segment(()))


def take_back(
    login: Login, spec: MigrateSpec, role: str, source: Source, migration: Migration, before: history.History
) -> None:
    """Run the file that takes a migration back.

    :param before: the history as it was before the run: a table that the run has made goes with its last row.
    :raises psycopg2.Error: a statement failed.
    """
    parts = segments_of(source.layout, migration, down=True)
    with migrating(login, spec.database, role) as connection:
        for number, segment in enumerate(parts):
            connection.autocommit = segment.alone
            with connection.cursor() as cursor:
                # As when they are applied: what is alone, such as DROP INDEX CONCURRENTLY, waits while others go on.
                concurrent = any("CONCURRENTLY" in statement.plain.upper() for statement in segment.statements)
                patience = spec.concurrently_timeout if segment.alone else spec.statement_timeout
                timeouts(cursor, 0 if segment.alone and concurrent else LOCK_SECONDS, patience)
                for statement in segment.statements:
                    cursor.execute(statement.text)
                if number == len(parts) - 1:
                    forget(cursor, spec, source, migration, before)
            if not segment.alone:
                connection.commit()


def forget(cursor: Any, spec: MigrateSpec, source: Source, migration: Migration, before: history.History) -> None:
    """Take a migration's row out of the history."""
    history.keep(cursor, source.layout)
    table = history.read(cursor, source.layout, spec.history_table).table
    if not table:
        return
    ids = [item.id for item in source.migrations]
    number = ids.index(migration.id)
    history.forget(cursor, source.layout, table, migration, ids[number - 1] if number else "")
    where = sql.Identifier(*table)
    cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(where))
    if before.table is None and cursor.fetchone()[0] == 0:
        cursor.execute(sql.SQL("DROP TABLE {}").format(where))
        if source.layout == PLAIN and not before.schema:
            cursor.execute(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(table[0])))
