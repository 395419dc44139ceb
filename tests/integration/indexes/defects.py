# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of indexes, each planted by itself into the good schema of good.sql: data for the tests of the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# What is required of the good schema. Names of indexes are nobody's business.
SPEC: dict[str, Any] = {
    "required": [
        {"table": "app.customers", "columns": ["email"], "unique": True},
        {"table": "app.customers", "columns": [{"expression": "lower(email)"}]},
        {
            "table": "app.customers",
            "columns": [{"column": "Name", "opclass": "text_pattern_ops"}],
            "where": "deleted_at is null",
        },
        {"table": "app.orders", "columns": ["customer_id", {"column": "created_at", "order": "desc"}]},
        {"table": "app.orders", "columns": ["customer_id"], "include": ["status"]},
        {"table": "app.orders", "columns": [{"column": "created_at", "order": "desc"}]},
        {"table": "app.events", "columns": ["id", "at"], "unique": True},
    ],
    "jsonb": [{"table": "app.orders", "column": "details"}],
    "limits": {
        "unused_days": 0,
        "unused_bytes": 0,
        "table_rows": 1000,
        "seq_scans": 20,
        "bloat_bytes": 65536,
    },
}


@dataclass(frozen=True)
class Defect:
    """A fault.

    :param sql: statements that plant it, in one transaction.
    :param rule: the title of the finding, and ``subject`` a part of its subject.
    """

    name: str
    sql: str
    rule: str
    subject: str


_BREAK = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{}'::regclass"

DEFECTS = (
    Defect(
        "required one missing",
        "ALTER TABLE app.customers DROP CONSTRAINT customers_email_key",
        "required index",
        "unique (email)",
    ),
    Defect(
        "required one not unique",
        "ALTER TABLE app.customers DROP CONSTRAINT customers_email_key; CREATE INDEX e ON app.customers (email)",
        "required index",
        "unique (email)",
    ),
    Defect(
        "required one unique for a part of the rows only",
        "ALTER TABLE app.customers DROP CONSTRAINT customers_email_key; "
        "CREATE UNIQUE INDEX e ON app.customers (email) WHERE deleted_at IS NULL",
        "required index",
        "unique (email)",
    ),
    Defect(
        "required one of too many columns to be unique",
        "ALTER TABLE app.customers DROP CONSTRAINT customers_email_key; "
        "CREATE UNIQUE INDEX e ON app.customers (email, id)",
        "required index",
        "unique (email)",
    ),
    Defect(
        "required one with another expression",
        "DROP INDEX app.customers_email_lower_idx; CREATE INDEX e ON app.customers (upper(email))",
        "required index",
        "lower(",
    ),
    Defect(
        "required one with another operator class",
        'DROP INDEX app.customers_active_idx; CREATE INDEX e ON app.customers ("Name") WHERE deleted_at IS NULL',
        "required index",
        "(Name text_pattern_ops)",
    ),
    Defect(
        "required one with another predicate",
        'DROP INDEX app.customers_active_idx; CREATE INDEX e ON app.customers ("Name" text_pattern_ops) '
        "WHERE deleted_at IS NOT NULL",
        "required index",
        "(Name text_pattern_ops)",
    ),
    Defect(
        "required one with another collation",
        'DROP INDEX app.customers_active_idx; CREATE INDEX e ON app.customers ("Name" COLLATE "C" text_pattern_ops) '
        "WHERE deleted_at IS NULL",
        "required index",
        "(Name text_pattern_ops)",
    ),
    Defect(
        "required one with its columns the other way round",
        "DROP INDEX app.orders_customer_idx; CREATE INDEX e ON app.orders (created_at, customer_id)",
        "required index",
        "(customer_id, created_at desc)",
    ),
    Defect(
        "required one with one direction turned",
        "DROP INDEX app.orders_customer_idx; CREATE INDEX e ON app.orders (customer_id, created_at) INCLUDE (status)",
        "required index",
        "(customer_id, created_at desc)",
    ),
    Defect(
        "required one without the included column",
        "DROP INDEX app.orders_customer_idx; CREATE INDEX e ON app.orders (customer_id, created_at DESC)",
        "required index",
        "(customer_id) include (status)",
    ),
    Defect(
        "required one of another method",
        "DROP INDEX app.orders_created_idx; CREATE INDEX e ON app.orders USING brin (created_at)",
        "required index",
        "(created_at desc)",
    ),
    Defect("required one invalid", _BREAK.format("app.orders_created_idx"), "required index", "(created_at desc)"),
    Defect("table of a required one gone", "DROP TABLE app.events", "required index", "app.events"),
    Defect(
        "column of a required one gone",
        "ALTER TABLE app.orders DROP COLUMN created_at",
        "required index",
        "(created_at desc)",
    ),
    Defect("invalid", _BREAK.format("app.orders_created_idx"), "invalid index", "app.orders_created_idx"),
    Defect(
        "leftover of REINDEX CONCURRENTLY",
        "CREATE INDEX orders_created_idx_ccnew ON app.orders (created_at); "
        + _BREAK.format("app.orders_created_idx_ccnew"),
        "invalid index",
        "app.orders_created_idx_ccnew",
    ),
    Defect(
        "partitioned one that a partition lacks",
        "CREATE INDEX events_kind_idx ON ONLY app.events (kind)",
        "invalid index",
        "app.events_kind_idx",
    ),
    Defect("duplicate", "CREATE INDEX d ON app.orders (created_at)", "duplicate index", "app."),
    Defect(
        "duplicate of a constraint's",
        "CREATE UNIQUE INDEX d ON app.customers (email)",
        "duplicate index",
        "app.d",
    ),
    Defect(
        "unique constraint twice",
        "ALTER TABLE app.customers ADD CONSTRAINT d UNIQUE (email)",
        "duplicate index",
        "app.",
    ),
    Defect(
        "duplicate expression, written in another way",
        "CREATE INDEX d ON app.customers ((lower((email)::text)))",
        "duplicate index",
        "app.",
    ),
    Defect("duplicate on a partitioned table", "CREATE INDEX d ON app.events (at)", "duplicate index", "app."),
    Defect(
        "redundant to a longer one",
        "CREATE INDEX d ON app.customers (region)",
        "redundant index",
        "app.d",
    ),
    Defect("redundant to a unique one", "CREATE INDEX d ON app.customers (id)", "redundant index", "app.d"),
    Defect("redundant read backwards", "CREATE INDEX d ON app.customers (region DESC)", "redundant index", "app.d"),
    Defect(
        "foreign key without index",
        "DROP INDEX app.orders_referrer_idx",
        "foreign key without index",
        "orders_referrer_fkey",
    ),
    Defect(
        "foreign key with a column behind another",
        "DROP INDEX app.customers_region_idx; CREATE INDEX e ON app.customers (region, id, country)",
        "foreign key without index",
        "customers_region_fkey",
    ),
    Defect(
        "foreign key with an index of a part of the rows",
        "DROP INDEX app.orders_referrer_idx; CREATE INDEX e ON app.orders (referrer_id) WHERE status = 'open'",
        "foreign key without index",
        "orders_referrer_fkey",
    ),
    Defect(
        "foreign key with an invalid index",
        _BREAK.format("app.orders_referrer_idx"),
        "foreign key without index",
        "orders_referrer_fkey",
    ),
    Defect("unused", 'CREATE INDEX d ON app.customers ("Name", country)', "unused index", "app.d"),
    Defect("unused on a partitioned table", "CREATE INDEX d ON app.events (kind, id)", "unused index", "app.d"),
    Defect("low cardinality", "CREATE INDEX d ON app.orders (status)", "low cardinality", "app.d"),
    Defect(
        "declared JSONB column without GIN", "DROP INDEX app.orders_details_idx", "JSONB without GIN", "gin (details)"
    ),
    Defect(
        "JSONB column with an index on all of its value",
        "DROP INDEX app.orders_details_idx; CREATE INDEX e ON app.orders (details)",
        "JSONB without GIN",
        "gin (details)",
    ),
)
