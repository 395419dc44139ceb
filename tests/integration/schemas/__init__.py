# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemas in the style of well-known applications, written for these tests, and how they get into a database."""

from __future__ import annotations

import re
from pathlib import Path

from tests.integration.servers import Database

NAMES = ("pagila_like", "chinook_like", "supabase_like", "prisma_shop", "prisma_social")


def text(name: str, prefix: str) -> str:
    """The statements of a schema; its roles are named with a test's own prefix, because all databases share them."""
    source = (Path(__file__).parent / f"{name}.sql").read_text(encoding="utf-8")
    return re.sub(r"\brole_(?=anon\b|authenticated\b|service\b)", prefix, source)


def load(database: Database, name: str) -> None:
    """Make the schema in a test's database, as its superuser."""
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(text(name, database.prefix))
    finally:
        connection.close()
