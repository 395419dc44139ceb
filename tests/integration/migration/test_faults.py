# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault table: whatever goes wrong, the database ends migrated and verified, or exactly as before, and it is said."""

from __future__ import annotations

from typing import Any

from tests.integration.migration.conftest import ON_COPY, MigrateHost

GOOD = {
    "001_phone.sql": "ALTER TABLE customers ADD COLUMN phone text;",
    "001_phone.down.sql": "ALTER TABLE customers DROP COLUMN phone;",
    "002_index.sql": "CREATE INDEX CONCURRENTLY orders_note ON orders (note);",
    "002_index.down.sql": "DROP INDEX CONCURRENTLY orders_note;",
    "003_fill.sql": "UPDATE customers SET phone = '0' WHERE id <= 10;\n"
    "CREATE TABLE phones (id int PRIMARY KEY, customer int REFERENCES customers);",
    "003_fill.down.sql": "DROP TABLE phones; UPDATE customers SET phone = NULL;",
}


def as_before(made: MigrateHost, shop: str, before: dict[str, Any]) -> None:
    """The database is exactly what it was."""
    assert made.look(shop) == before
    assert made.left() == []


def test_all_goes_well(migrate_host: MigrateHost, shop: str) -> None:
    done = migrate_host.migrate(shop, GOOD, smoke=[{"name": "ten", "query": "SELECT count(phone) FROM customers", "expect": "10"}])
    assert done.status == 0, done.said
    assert done.record["verdict"] == "migrated"
    print(done.said)
    print(done.record)
