# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statements of real life, unsafe and safe, with the rules that must find them: the proof of the lint.

Each idea is from a public catalogue, named as its source; the SQL is our own. ``SCHEMA`` is live before each of them.
"""

from __future__ import annotations

from dataclasses import dataclass

SQUAWK = "squawk"
STRONG = "strong_migrations"
EUGENE = "eugene"
SAFE_PG = "safe-pg-migrations"
OURS = "dbops"

SCHEMA = """
CREATE TABLE customers (
  id bigint PRIMARY KEY, email varchar(100), name text, code char(5), amount numeric(10, 2), quantity integer,
  born date, seen timestamp(3), profile json, network cidr, active boolean NOT NULL DEFAULT true
);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, status text, total integer, number bigint);
CREATE INDEX orders_status_idx ON orders (status);
CREATE TABLE events (id bigint, at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE events_old (id bigint, at timestamptz);
CREATE VIEW open_orders AS SELECT id FROM orders WHERE status = 'open';
CREATE MATERIALIZED VIEW order_totals AS SELECT id AS customer_id, count(*) FROM events_old GROUP BY 1;
CREATE FUNCTION order_total(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 1';
CREATE POLICY orders_tenant ON orders USING (customer_id = 1);
CREATE TYPE weekday AS ENUM ('mon', 'tue');
CREATE TABLE order_status (name text PRIMARY KEY, is_active boolean);
ALTER TABLE orders ADD CONSTRAINT total_set CHECK (total IS NOT NULL) NOT VALID;
ALTER TABLE orders ADD CONSTRAINT customer_known FOREIGN KEY (customer_id) REFERENCES customers (id) NOT VALID;
"""
EVENTS_INDEX = "CREATE UNIQUE INDEX events_old_id ON events_old (id);"
PROVEN = "ALTER TABLE orders VALIDATE CONSTRAINT total_set;"
ALONE = "-- dbops: no-transaction\n"


@dataclass(frozen=True)
class Case:
    """One migration.

    :param rules: those that must find it; empty: it is safe, and nothing may be found.
    :param before: a migration that is live after ``SCHEMA``.
    """

    source: str
    sql: str
    rules: frozenset[str] = frozenset()
    before: str = ""


def bad(source: str, sql: str, *rules: str, before: str = "") -> Case:
    return Case(source, sql, frozenset(rules), before)


UNSAFE = (
    # Rows are lost
    bad(SQUAWK, "TRUNCATE orders CASCADE;", "truncate"),
    bad(OURS, "TRUNCATE orders, customers;", "truncate"),
    bad(OURS, "DELETE FROM orders;", "delete-without-where"),
    bad(OURS, "DELETE FROM orders WHERE 1 = 1;", "delete-without-where"),
    bad(STRONG, "UPDATE customers SET name = 'none';", "update-without-where"),
    bad(OURS, "UPDATE orders SET total = c.quantity FROM customers c;", "update-without-where"),
    bad(
        OURS,
        "WITH gone AS (DELETE FROM orders RETURNING id) INSERT INTO order_status (name) SELECT id::text FROM gone;",
        "delete-without-where",
    ),
    bad(SQUAWK, ALONE + "DROP DATABASE shop;", "drop-database"),
    bad(SQUAWK, "DROP TABLE orders;", "drop-table"),
    bad(EUGENE, "DROP TABLE IF EXISTS orders CASCADE;", "drop-cascade"),
    bad(SQUAWK, "ALTER TABLE orders DROP COLUMN status;", "drop-column"),
    bad(STRONG, "ALTER TABLE orders DROP COLUMN status, DROP COLUMN total;", "drop-column"),
    bad(OURS, "ALTER TABLE orders DROP COLUMN status CASCADE;", "drop-cascade"),
    bad(OURS, "DROP SCHEMA archive;", "drop-schema"),
    bad(OURS, "DROP SCHEMA archive CASCADE;", "drop-cascade"),
    bad(OURS, "DROP OWNED BY reporting;", "drop-owned"),
    bad(OURS, "DROP EXTENSION postgis;", "drop-extension"),
    bad(OURS, "DROP SEQUENCE invoice_number;", "drop-sequence"),
    bad(OURS, "DROP VIEW open_orders;", "drop-view"),
    bad(OURS, "DROP FUNCTION order_total(bigint);", "drop-function"),
    bad(OURS, "DROP TYPE weekday;", "drop-type"),
    bad(OURS, "ALTER TABLE orders DROP CONSTRAINT customer_known;", "loosen-constraint"),
    bad(OURS, "ALTER TABLE legacy DROP CONSTRAINT legacy_owner_fkey;", "loosen-constraint"),
    bad(OURS, "ALTER TABLE order_status DROP CONSTRAINT order_status_pkey;", "drop-constraint"),
    bad(OURS, "DO $$ BEGIN DELETE FROM orders; END $$;", "delete-without-where"),
    bad(OURS, "DO $$ BEGIN EXECUTE 'DROP TABLE orders'; END $$;", "drop-table"),
    bad(
        OURS,
        "DO $$ DECLARE t text; BEGIN FOR t IN SELECT 'orders' LOOP EXECUTE format('DROP TABLE %I', t); "
        "END LOOP; END $$;",
        "dynamic-ddl",
    ),
    # Types of columns, told apart by the pair
    bad(SQUAWK, "ALTER TABLE orders ALTER COLUMN total TYPE bigint;", "type-change-rewrite"),
    bad(STRONG, "ALTER TABLE customers ALTER COLUMN profile TYPE jsonb;", "type-change-rewrite"),
    bad(STRONG, "ALTER TABLE customers ALTER COLUMN email TYPE varchar(50);", "type-change-lossy"),
    bad(OURS, "ALTER TABLE orders ALTER COLUMN number TYPE integer;", "type-change-lossy"),
    bad(STRONG, "ALTER TABLE customers ALTER COLUMN amount TYPE numeric(8, 2);", "type-change-lossy"),
    bad(OURS, "ALTER TABLE customers ALTER COLUMN name TYPE integer USING name::integer;", "type-change-lossy"),
    bad(EUGENE, "ALTER TABLE customers ALTER COLUMN seen TYPE timestamptz;", "type-change-lossy"),
    bad(OURS, "ALTER TABLE customers ALTER COLUMN name TYPE text USING upper(name);", "type-change-rewrite"),
    bad(SQUAWK, "ALTER TABLE legacy ALTER COLUMN state TYPE text;", "type-change-unknown"),
    # Columns and constraints on rows that are there
    bad(SQUAWK, "ALTER TABLE orders ADD COLUMN region text NOT NULL;", "add-column-not-null"),
    bad(STRONG, "ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid();", "add-column-rewrite"),
    bad(SQUAWK, "ALTER TABLE orders ADD COLUMN made timestamptz DEFAULT clock_timestamp();", "add-column-rewrite"),
    bad(STRONG, "ALTER TABLE orders ADD COLUMN row_number bigserial;", "add-column-rewrite"),
    bad(
        STRONG,
        "ALTER TABLE orders ADD COLUMN twice integer GENERATED ALWAYS AS (total * 2) STORED;",
        "add-column-rewrite",
    ),
    bad(EUGENE, "ALTER TABLE orders ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY;", "add-column-rewrite"),
    bad(SQUAWK, "ALTER TABLE legacy ADD COLUMN pk bigint PRIMARY KEY;", "add-column-unique"),
    bad(EUGENE, "ALTER TABLE orders ADD COLUMN reference text UNIQUE;", "add-column-unique"),
    bad(OURS, "ALTER TABLE orders ADD COLUMN weight integer CHECK (weight > 0);", "check-not-valid"),
    bad(SQUAWK, "ALTER TABLE orders ALTER COLUMN status SET NOT NULL;", "set-not-null"),
    bad(OURS, "ALTER TABLE orders ALTER COLUMN total SET NOT NULL;", "set-not-null"),
    bad(
        *(SQUAWK, "ALTER TABLE orders ADD CONSTRAINT o_c FOREIGN KEY (customer_id) REFERENCES customers (id);"),
        "foreign-key-not-valid",
    ),
    bad(STRONG, "ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0);", "check-not-valid"),
    bad(
        SQUAWK,
        "ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0) NOT VALID;\n"
        "ALTER TABLE orders VALIDATE CONSTRAINT positive;",
        "validate-in-same-transaction",
    ),
    bad(SQUAWK, "ALTER TABLE orders ADD CONSTRAINT number_key UNIQUE (number);", "unique-using-index"),
    bad(EUGENE, "ALTER TABLE events_old ADD PRIMARY KEY (id);", "unique-using-index"),
    bad(
        *(EUGENE, "ALTER TABLE events_old ADD CONSTRAINT events_key PRIMARY KEY USING INDEX events_old_id;"),
        "set-not-null",
        before=EVENTS_INDEX,
    ),
    bad(
        STRONG,
        "ALTER TABLE orders ADD CONSTRAINT apart EXCLUDE USING gist (number WITH =);",
        "exclusion-constraint",
    ),
    # Locks
    bad(SQUAWK, "CREATE INDEX orders_total_idx ON orders (total);", "index-concurrently"),
    bad(SAFE_PG, "CREATE UNIQUE INDEX orders_number_idx ON orders (number) WHERE number > 0;", "index-concurrently"),
    bad(OURS, "CREATE INDEX events_at_idx ON events (at);", "index-concurrently"),
    bad(SQUAWK, "DROP INDEX orders_status_idx;", "drop-index"),
    bad(SQUAWK, "REINDEX INDEX orders_status_idx;", "reindex-concurrently"),
    bad(OURS, "REFRESH MATERIALIZED VIEW order_totals;", "refresh-concurrently"),
    bad(SQUAWK, "ALTER TABLE events DETACH PARTITION events_old;", "detach-concurrently"),
    bad(
        OURS,
        "ALTER TABLE events ATTACH PARTITION events_old FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');",
        "attach-partition",
    ),
    bad(OURS, "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE;", "lock-table"),
    bad(SQUAWK, ALONE + "VACUUM FULL orders;", "vacuum-full"),
    bad(SQUAWK, "CLUSTER orders USING orders_status_idx;", "cluster"),
    bad(OURS, "ALTER TABLE orders SET UNLOGGED;", "table-rewrite"),
    bad(OURS, "ALTER TABLE orders SET TABLESPACE fast;", "table-rewrite"),
    bad(
        STRONG,
        "ALTER TABLE orders ADD COLUMN region text;\nUPDATE orders SET region = 'eu' WHERE region IS NULL;",
        "backfill-with-ddl",
    ),
    # Running code breaks
    bad(SQUAWK, "ALTER TABLE orders RENAME COLUMN status TO state;", "rename-column"),
    bad(SQUAWK, "ALTER TABLE orders RENAME TO purchases;", "rename-table"),
    bad(STRONG, "ALTER SCHEMA public RENAME TO shop;", "rename-other"),
    bad(SQUAWK, "ALTER TYPE weekday RENAME VALUE 'mon' TO 'monday';", "rename-other"),
    bad(OURS, "ALTER TABLE orders SET SCHEMA archive;", "set-schema"),
    # Access
    bad(OURS, "ALTER TABLE orders DISABLE ROW LEVEL SECURITY;", "disable-row-security"),
    bad(OURS, "ALTER TABLE orders NO FORCE ROW LEVEL SECURITY;", "no-force-row-security"),
    bad(OURS, "DROP POLICY orders_tenant ON orders;", "drop-policy"),
    bad(OURS, "GRANT SELECT ON orders TO PUBLIC;", "grant-to-public"),
    bad(OURS, "GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;", "grant-to-public"),
    bad(OURS, "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;", "grant-to-public"),
    bad(OURS, "ALTER ROLE app BYPASSRLS;", "power-of-role"),
    bad(OURS, "CREATE ROLE app LOGIN PASSWORD 'changeme';", "password-in-migration"),
    bad(OURS, "ALTER TABLE orders DISABLE TRIGGER ALL;", "disable-trigger"),
    bad(OURS, "SET session_replication_role = replica;", "disable-trigger"),
    # Values
    bad(OURS, "CREATE TYPE mood AS ENUM ('happy', 'sad');", "enum-outside-allow-list"),
    bad(OURS, "ALTER TYPE mood ADD VALUE 'calm';", "enum-outside-allow-list"),
    bad(OURS, "INSERT INTO customers (id, email) VALUES (1, 'a@example.com'), (2, 'b@example.com');", "seed-data"),
    bad(OURS, "COPY customers FROM '/srv/demo.csv' CSV;", "seed-data"),
    # How it runs
    bad(SQUAWK, "CREATE INDEX CONCURRENTLY orders_total_idx ON orders (total);", "not-in-transaction"),
    bad(OURS, "VACUUM orders;", "not-in-transaction"),
    bad(OURS, "CREATE DATABASE shop2;", "not-in-transaction"),
    bad(
        OURS,
        "ALTER TYPE weekday ADD VALUE 'wed';\nINSERT INTO order_status (name) SELECT 'wed';",
        "enum-value-in-same-transaction",
    ),
    bad(SQUAWK, "BEGIN;\nALTER TABLE orders ADD COLUMN region text;\nCOMMIT;", "transaction-control"),
    bad(OURS, ALONE + "ALTER SYSTEM SET fsync = off;", "alter-system"),
    bad(
        *(SQUAWK, "ALTER DOMAIN positive ADD CONSTRAINT p CHECK (VALUE > 0);"),
        "domain-constraint-not-valid",
    ),
)

SAFE = (
    Case(SQUAWK, "CREATE TABLE invoices (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total bigint NOT NULL);"),
    Case(STRONG, "CREATE TABLE invoices (id bigint PRIMARY KEY);\nCREATE INDEX invoices_idx ON invoices (id);"),
    Case(
        OURS,
        "CREATE TABLE invoices (id bigint, order_id bigint);\n"
        "ALTER TABLE invoices ADD PRIMARY KEY (id);\n"
        "ALTER TABLE invoices ADD FOREIGN KEY (order_id) REFERENCES orders (id);\n"
        "ALTER TABLE invoices ALTER COLUMN order_id SET NOT NULL;",
    ),
    Case(SQUAWK, "ALTER TABLE orders ADD COLUMN region text;"),
    Case(STRONG, "ALTER TABLE orders ADD COLUMN region text NOT NULL DEFAULT 'eu';"),
    Case(EUGENE, "ALTER TABLE orders ADD COLUMN made timestamptz NOT NULL DEFAULT now();"),
    Case(OURS, "ALTER TABLE orders ADD COLUMN made timestamptz DEFAULT CURRENT_TIMESTAMP;"),
    Case(OURS, "ALTER TABLE orders ADD COLUMN tags text[] NOT NULL DEFAULT '{}'::text[];"),
    Case(OURS, "ALTER TABLE orders ADD COLUMN day date DEFAULT (now() AT TIME ZONE 'utc')::date;"),
    Case(OURS, "ALTER TABLE orders ADD COLUMN parent_id bigint REFERENCES orders (id);"),
    Case(STRONG, "ALTER TABLE orders ALTER COLUMN status SET DEFAULT 'new';"),
    Case(OURS, "ALTER TABLE orders ALTER COLUMN status DROP NOT NULL;"),
    Case(SQUAWK, ALONE + "CREATE INDEX CONCURRENTLY orders_total_idx ON orders (total);"),
    Case(STRONG, ALONE + "DROP INDEX CONCURRENTLY orders_status_idx;"),
    Case(OURS, ALONE + "REINDEX INDEX CONCURRENTLY orders_status_idx;"),
    Case(OURS, "CREATE INDEX events_at_idx ON ONLY events (at);"),
    Case(OURS, "REFRESH MATERIALIZED VIEW CONCURRENTLY order_totals;"),
    Case(
        SQUAWK,
        "ALTER TABLE orders ADD CONSTRAINT o_c FOREIGN KEY (customer_id) REFERENCES customers (id) NOT VALID;",
    ),
    Case(SQUAWK, "ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0) NOT VALID;"),
    Case(STRONG, "ALTER TABLE orders VALIDATE CONSTRAINT customer_known;"),
    Case(STRONG, "ALTER TABLE orders ALTER COLUMN total SET NOT NULL;", before=PROVEN),
    Case(
        EUGENE,
        "ALTER TABLE orders ALTER COLUMN total SET NOT NULL;\nALTER TABLE orders DROP CONSTRAINT total_set;",
        before=PROVEN,
    ),
    Case(SQUAWK, "ALTER TABLE orders ADD CONSTRAINT number_key UNIQUE USING INDEX orders_number_idx;"),
    Case(EUGENE, "ALTER TABLE events_old ADD CONSTRAINT events_old_pkey PRIMARY KEY USING INDEX events_old_idx;"),
    Case(
        EUGENE,
        "ALTER TABLE events_old ADD CONSTRAINT events_key PRIMARY KEY USING INDEX events_old_id;",
        before=EVENTS_INDEX + "ALTER TABLE events_old ALTER COLUMN id SET NOT NULL;",
    ),
    Case(STRONG, "ALTER TABLE customers ALTER COLUMN email TYPE varchar(200);"),
    Case(STRONG, "ALTER TABLE customers ALTER COLUMN email TYPE text;"),
    Case(STRONG, "ALTER TABLE customers ALTER COLUMN amount TYPE numeric(12, 2);"),
    Case(STRONG, "ALTER TABLE customers ALTER COLUMN network TYPE inet;"),
    Case(STRONG, "ALTER TABLE customers ALTER COLUMN seen TYPE timestamp(6);"),
    Case(OURS, "ALTER TABLE customers ALTER COLUMN name TYPE varchar;"),
    Case(EUGENE, ALONE + "ALTER TABLE events DETACH PARTITION events_old CONCURRENTLY;"),
    Case(OURS, "CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');"),
    Case(
        OURS,
        "CREATE TABLE events_new (id bigint, at timestamptz);\n"
        "ALTER TABLE events ATTACH PARTITION events_new FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');",
    ),
    Case(OURS, "DELETE FROM orders WHERE status = 'draft';"),
    Case(
        OURS,
        "WITH gone AS (DELETE FROM orders WHERE status = 'draft' RETURNING id) SELECT count(*) FROM gone;",
    ),
    Case(OURS, "UPDATE orders SET status = 'open' WHERE status = 'opened';"),
    Case(OURS, "INSERT INTO order_status (name) VALUES ('open') ON CONFLICT DO NOTHING;"),
    Case(OURS, "INSERT INTO order_status (name) SELECT DISTINCT status FROM orders;"),
    Case(
        OURS,
        "CREATE TABLE state (id bigint PRIMARY KEY, name text NOT NULL UNIQUE);\n"
        "INSERT INTO state (id, name) VALUES (1, 'open'), (2, 'closed');",
    ),
    Case(OURS, "ALTER TYPE weekday ADD VALUE 'wed';"),
    Case(OURS, "ALTER TABLE orders ENABLE ROW LEVEL SECURITY;\nALTER TABLE orders FORCE ROW LEVEL SECURITY;"),
    Case(OURS, "DROP POLICY orders_tenant ON orders;\nCREATE POLICY orders_tenant ON orders USING (customer_id = 2);"),
    Case(OURS, "GRANT SELECT ON orders TO reporting;"),
    Case(OURS, "REVOKE ALL ON orders FROM PUBLIC;"),
    Case(OURS, "CREATE ROLE reporting NOLOGIN;"),
    Case(OURS, "DROP VIEW open_orders;\nCREATE VIEW open_orders AS SELECT id, total FROM orders;"),
    Case(OURS, "CREATE OR REPLACE VIEW open_orders AS SELECT id FROM orders;"),
    Case(OURS, "CREATE OR REPLACE FUNCTION order_total(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 2';"),
    Case(OURS, "CREATE TABLE scratch (id int);\nTRUNCATE scratch;\nDROP TABLE scratch;"),
    Case(OURS, "ALTER INDEX orders_status_idx RENAME TO orders_state_idx;"),
    Case(OURS, "COMMENT ON TABLE orders IS 'What was ordered; DROP TABLE orders is only text here';"),
    Case(OURS, "SET lock_timeout = '2s';\nALTER TABLE orders ADD COLUMN region text;"),
    Case(OURS, "DO $$ BEGIN PERFORM set_config('app.step', 'DROP', true); END $$;"),
)

CASES = (*UNSAFE, *SAFE)
