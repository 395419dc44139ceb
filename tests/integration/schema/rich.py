# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A schema with one object of every kind, and for every kind a change that a comparison must see.

Roles begin with ``{p}``, the prefix of the test's database.
"""

from __future__ import annotations

ROLES = """
CREATE ROLE {p}owner; CREATE ROLE {p}app; CREATE ROLE {p}other;
"""

# In an order in which nothing is missing; what could come in any order is in PARTS.
BASE = """
CREATE SCHEMA shop;
CREATE SCHEMA "Odd name";
CREATE EXTENSION pg_stat_statements;
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'sent');
CREATE TYPE shop.pair AS (a int, b text);
CREATE DOMAIN shop.email AS text DEFAULT '' CONSTRAINT has_at CHECK (VALUE = '' OR VALUE LIKE '%@%');
CREATE TYPE shop.span AS RANGE (subtype = timestamptz);
CREATE COLLATION shop.plain (provider = libc, locale = 'C');
CREATE FUNCTION shop.total(price numeric, count int) RETURNS numeric LANGUAGE sql IMMUTABLE
    RETURN price * count;
CREATE FUNCTION shop.secret() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1';
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION shop.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE FUNCTION shop.add_state(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE PROCEDURE shop.tidy() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE shop.sum_up(int) (SFUNC = shop.add_state, STYPE = int, INITCOND = '0');
CREATE TABLE shop.customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name varchar(80) NOT NULL,
    email shop.email,
    twice text GENERATED ALWAYS AS (lower(name::text)) STORED);
CREATE TABLE shop.orders (
    id serial PRIMARY KEY,
    customer bigint NOT NULL,
    state shop.state NOT NULL DEFAULT 'new',
    price numeric(12, 2) DEFAULT 0,
    note text COLLATE "C",
    CONSTRAINT price_positive CHECK (price >= 0),
    CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES shop.customers DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE shop.events (at timestamptz NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE shop.events_2026 PARTITION OF shop.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE shop.events_rest PARTITION OF shop.events DEFAULT;
CREATE TABLE "Odd name"."Table" ("Col umn" int);
CREATE SEQUENCE shop.numbers AS int START 10 INCREMENT 5 CACHE 3;
CREATE VIEW shop.open_orders WITH (security_invoker = true) AS SELECT id, price FROM shop.orders WHERE state = 'new';
CREATE MATERIALIZED VIEW shop.sums AS SELECT customer, sum(price) AS sum FROM shop.orders GROUP BY customer;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nowhere OPTIONS (host 'h1', password 'canary-server-1');
CREATE USER MAPPING FOR {p}app SERVER elsewhere OPTIONS (user 'u', password 'canary-mapping-1');
CREATE FOREIGN TABLE shop.remote (id int OPTIONS (column_name 'x')) SERVER elsewhere OPTIONS (schema_name 's');
"""

PARTS = (
    "CREATE INDEX orders_customer ON shop.orders (customer) INCLUDE (price) WHERE state <> 'sent'",
    "CREATE UNIQUE INDEX customers_email ON shop.customers (lower(email::text))",
    "CREATE INDEX events_at ON shop.events (at)",
    "CREATE UNIQUE INDEX sums_customer ON shop.sums (customer)",
    "CREATE TRIGGER touched BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch()",
    "CREATE EVENT TRIGGER {p}ddl ON ddl_command_start EXECUTE FUNCTION shop.on_ddl()",
    "CREATE RULE no_delete AS ON DELETE TO shop.customers DO INSTEAD NOTHING",
    "CREATE STATISTICS shop.together ON customer, state FROM shop.orders",
    "CREATE PUBLICATION {p}pub FOR TABLE shop.orders (id, price) WHERE (price > 0)",
    'CREATE PUBLICATION {p}odd FOR TABLES IN SCHEMA "Odd name"',
    "ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE shop.orders FORCE ROW LEVEL SECURITY",
    "CREATE POLICY own ON shop.orders FOR SELECT TO {p}app USING (customer = 1)",
    "CREATE POLICY write ON shop.orders AS RESTRICTIVE USING (true) WITH CHECK (price < 1000)",
    "GRANT USAGE ON SCHEMA shop TO {p}app",
    "GRANT SELECT, INSERT ON shop.orders TO {p}app",
    "GRANT UPDATE (note) ON shop.orders TO {p}app",
    "GRANT SELECT ON shop.open_orders TO {p}app WITH GRANT OPTION",
    "REVOKE ALL ON FUNCTION shop.secret() FROM PUBLIC",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {p}owner IN SCHEMA shop GRANT SELECT ON TABLES TO {p}app",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {p}owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    "ALTER TABLE shop.customers OWNER TO {p}owner",
    "COMMENT ON TABLE shop.orders IS 'What was ordered'",
    "COMMENT ON COLUMN shop.orders.note IS 'Of the customer'",
    "ALTER TABLE shop.orders ALTER COLUMN note SET STORAGE EXTERNAL",
    "ALTER TABLE shop.orders ALTER COLUMN customer SET STATISTICS 500",
    "ALTER TABLE shop.orders SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)",
)

# What is planted, and the object (kind, name) in which it must be seen.
PLANTED = (
    ("CREATE SCHEMA surprise", "schema", "surprise"),
    ("REVOKE USAGE ON SCHEMA shop FROM {p}app", "schema", "shop"),
    ("CREATE TABLE shop.surprise ()", "table", "shop.surprise"),
    ('DROP TABLE "Odd name"."Table"', "table", '"Odd name"."Table"'),
    ("DROP PUBLICATION {p}pub; ALTER TABLE shop.orders SET UNLOGGED", "table", "shop.orders"),
    ("ALTER TABLE shop.orders SET (fillfactor = 70)", "table", "shop.orders"),
    ("ALTER TABLE shop.orders REPLICA IDENTITY FULL", "table", "shop.orders"),
    ("ALTER TABLE shop.orders OWNER TO {p}other", "table", "shop.orders"),
    ("ALTER TABLE shop.orders DISABLE ROW LEVEL SECURITY", "table", "shop.orders"),
    ("ALTER TABLE shop.orders NO FORCE ROW LEVEL SECURITY", "table", "shop.orders"),
    ("GRANT SELECT ON shop.orders TO PUBLIC", "table", "shop.orders"),
    ("GRANT SELECT ON shop.orders TO {p}app WITH GRANT OPTION", "table", "shop.orders"),
    ("COMMENT ON TABLE shop.orders IS 'Something else'", "table", "shop.orders"),
    ("ALTER TABLE shop.events DETACH PARTITION shop.events_2026", "table", "shop.events_2026"),
    (
        (
            "ALTER TABLE shop.events DETACH PARTITION shop.events_2026;"
            "ALTER TABLE shop.events ATTACH PARTITION shop.events_2026 FOR VALUES FROM ('2026-01-01') TO ('2026-07-01')"
        ),
        *("table", "shop.events_2026"),
    ),
    (
        (
            "CREATE TABLE shop.e2 (LIKE shop.events) PARTITION BY LIST (what); DROP TABLE shop.events;"
            "ALTER TABLE shop.e2 RENAME TO events"
        ),
        *("table", "shop.events"),
    ),
    ("ALTER TABLE shop.orders ADD COLUMN surprise int", "column", "shop.orders.surprise"),
    ("ALTER TABLE shop.orders DROP COLUMN note", "column", "shop.orders.note"),
    ("ALTER TABLE shop.orders ALTER COLUMN note TYPE varchar(90)", "column", "shop.orders.note"),
    ("ALTER TABLE shop.customers ALTER COLUMN name DROP NOT NULL", "column", "shop.customers.name"),
    ("ALTER TABLE shop.orders ALTER COLUMN price SET DEFAULT 1", "column", "shop.orders.price"),
    ('ALTER TABLE shop.orders ALTER COLUMN note TYPE text COLLATE "POSIX"', "column", "shop.orders.note"),
    ("ALTER TABLE shop.customers ALTER COLUMN id SET GENERATED BY DEFAULT", "column", "shop.customers.id"),
    ("ALTER TABLE shop.customers ALTER COLUMN twice DROP EXPRESSION", "column", "shop.customers.twice"),
    ("ALTER TABLE shop.orders ALTER COLUMN customer SET STATISTICS -1", "column", "shop.orders.customer"),
    ("ALTER TABLE shop.orders ALTER COLUMN note SET (n_distinct = 5)", "column", "shop.orders.note"),
    ("ALTER TABLE shop.orders ALTER COLUMN note SET STORAGE MAIN", "column", "shop.orders.note"),
    ("ALTER TABLE shop.orders ALTER COLUMN note SET COMPRESSION pglz", "column", "shop.orders.note"),
    ("GRANT SELECT (note) ON shop.orders TO {p}other", "column", "shop.orders.note"),
    ("COMMENT ON COLUMN shop.orders.note IS NULL", "column", "shop.orders.note"),
    ("ALTER TABLE shop.orders DROP CONSTRAINT price_positive", "constraint", "shop.orders.price_positive"),
    (
        (
            "ALTER TABLE shop.orders DROP CONSTRAINT price_positive,"
            "ADD CONSTRAINT price_positive CHECK (price >= 0) NOT VALID"
        ),
        *("constraint", "shop.orders.price_positive"),
    ),
    ("ALTER TABLE shop.orders ALTER CONSTRAINT of_customer NOT DEFERRABLE", "constraint", "shop.orders.of_customer"),
    ("ALTER TABLE shop.orders DISABLE TRIGGER ALL", "constraint", "shop.orders.of_customer"),
    ("ALTER TABLE shop.customers ADD UNIQUE (name)", "constraint", "shop.customers.customers_name_key"),
    ("DROP INDEX shop.orders_customer", "index", "shop.orders_customer"),
    (
        "DROP INDEX shop.orders_customer; CREATE INDEX orders_customer ON shop.orders (customer)",
        *("index", "shop.orders_customer"),
    ),
    (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.orders_customer'::regclass",
        *("index", "shop.orders_customer"),
    ),
    ("ALTER TABLE shop.orders CLUSTER ON orders_pkey", "index", "shop.orders_pkey"),
    ("ALTER TABLE shop.orders REPLICA IDENTITY USING INDEX orders_pkey", "index", "shop.orders_pkey"),
    ("DROP VIEW shop.open_orders", "view", "shop.open_orders"),
    (
        "CREATE OR REPLACE VIEW shop.open_orders WITH (security_invoker = true) AS SELECT id, price FROM shop.orders",
        *("view", "shop.open_orders"),
    ),
    ("ALTER VIEW shop.open_orders RESET (security_invoker)", "view", "shop.open_orders"),
    ("REVOKE GRANT OPTION FOR SELECT ON shop.open_orders FROM {p}app", "view", "shop.open_orders"),
    ("DROP MATERIALIZED VIEW shop.sums", "materialized_view", "shop.sums"),
    ("DROP INDEX shop.sums_customer", "index", "shop.sums_customer"),
    ("DROP SEQUENCE shop.numbers", "sequence", "shop.numbers"),
    ("ALTER SEQUENCE shop.numbers INCREMENT 1", "sequence", "shop.numbers"),
    ("ALTER SEQUENCE shop.orders_id_seq OWNED BY NONE", "sequence", "shop.orders_id_seq"),
    ("GRANT USAGE ON SEQUENCE shop.numbers TO PUBLIC", "sequence", "shop.numbers"),
    (
        (
            "CREATE OR REPLACE FUNCTION shop.total(price numeric, count int) RETURNS numeric LANGUAGE sql IMMUTABLE"
            " RETURN price * count + 1"
        ),
        *("function", "shop.total(price numeric, count integer)"),
    ),
    (
        "ALTER FUNCTION shop.total(numeric, int) SECURITY DEFINER",
        "function",
        "shop.total(price numeric, count integer)",
    ),
    ("ALTER FUNCTION shop.secret() RESET search_path", "function", "shop.secret()"),
    ("ALTER FUNCTION shop.secret() OWNER TO {p}other", "function", "shop.secret()"),
    ("GRANT EXECUTE ON FUNCTION shop.secret() TO PUBLIC", "function", "shop.secret()"),
    ("DROP PROCEDURE shop.tidy()", "procedure", "shop.tidy()"),
    (
        (
            "DROP AGGREGATE shop.sum_up(int);"
            "CREATE AGGREGATE shop.sum_up(int) (SFUNC = shop.add_state, STYPE = int, INITCOND = '1')"
        ),
        *("aggregate", "shop.sum_up(integer)"),
    ),
    ("DROP TRIGGER touched ON shop.orders", "trigger", "shop.orders.touched"),
    ("ALTER TABLE shop.orders DISABLE TRIGGER touched", "trigger", "shop.orders.touched"),
    (
        "CREATE OR REPLACE TRIGGER touched AFTER UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch()",
        *("trigger", "shop.orders.touched"),
    ),
    ("ALTER EVENT TRIGGER {p}ddl DISABLE", "event_trigger", "{p}ddl"),
    ("DROP EVENT TRIGGER {p}ddl", "event_trigger", "{p}ddl"),
    ("ALTER TYPE shop.state ADD VALUE 'lost' BEFORE 'sent'", "type", "shop.state"),
    ("ALTER TYPE shop.state RENAME VALUE 'paid' TO 'settled'", "type", "shop.state"),
    ("ALTER TYPE shop.pair ADD ATTRIBUTE c int", "type", "shop.pair"),
    ("ALTER DOMAIN shop.email DROP CONSTRAINT has_at", "type", "shop.email"),
    ("ALTER DOMAIN shop.email DROP DEFAULT", "type", "shop.email"),
    ("DROP TYPE shop.span; CREATE TYPE shop.span AS RANGE (subtype = timestamp)", "type", "shop.span"),
    ("DROP EXTENSION pg_stat_statements", "extension", "pg_stat_statements"),
    (
        "DROP EXTENSION pg_stat_statements; CREATE EXTENSION pg_stat_statements SCHEMA shop",
        "extension",
        "pg_stat_statements",
    ),
    (
        "DROP EXTENSION pg_stat_statements; CREATE EXTENSION pg_stat_statements VERSION '1.8'",
        *("extension", "pg_stat_statements"),
    ),
    ("DROP POLICY own ON shop.orders", "policy", "shop.orders.own"),
    ("CREATE POLICY all_of_it ON shop.orders USING (true)", "policy", "shop.orders.all_of_it"),
    ("ALTER POLICY own ON shop.orders USING (true)", "policy", "shop.orders.own"),
    ("ALTER POLICY own ON shop.orders TO PUBLIC", "policy", "shop.orders.own"),
    ("ALTER POLICY write ON shop.orders WITH CHECK (true)", "policy", "shop.orders.write"),
    ("DROP RULE no_delete ON shop.customers", "rule", "shop.customers.no_delete"),
    (
        "ALTER DEFAULT PRIVILEGES FOR ROLE {p}owner IN SCHEMA shop GRANT SELECT ON TABLES TO PUBLIC",
        *("default_privileges", "{p}owner in shop on TABLES"),
    ),
    (
        "ALTER DEFAULT PRIVILEGES FOR ROLE {p}owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
        *("default_privileges", "{p}owner everywhere on FUNCTIONS"),
    ),
    ("ALTER PUBLICATION {p}pub SET (publish = 'insert')", "publication", "{p}pub"),
    ("ALTER PUBLICATION {p}pub SET TABLE shop.orders (id)", "publication", "{p}pub"),
    ("DROP STATISTICS shop.together", "statistics", "shop.together"),
    ("ALTER STATISTICS shop.together SET STATISTICS 100", "statistics", "shop.together"),
    ("ALTER SERVER elsewhere OPTIONS (SET host 'h2')", "foreign_server", "elsewhere"),
    ("DROP FOREIGN TABLE shop.remote", "foreign_table", "shop.remote"),
    ("ALTER FOREIGN TABLE shop.remote OPTIONS (SET schema_name 't')", "foreign_table", "shop.remote"),
    ("ALTER USER MAPPING FOR {p}app SERVER elsewhere OPTIONS (DROP user)", "user_mapping", "{p}app at elsewhere"),
    ("CREATE USER MAPPING FOR PUBLIC SERVER elsewhere", "user_mapping", "PUBLIC at elsewhere"),
    ("CREATE FOREIGN DATA WRAPPER more", "foreign_data_wrapper", "more"),
    ("DROP COLLATION shop.plain", "collation", "shop.plain"),
    ("CREATE CAST (shop.pair AS text) WITH INOUT", "cast", "(shop.pair AS pg_catalog.text)"),
    (
        "CREATE OPERATOR shop.<-> (FUNCTION = shop.add_state, LEFTARG = int, RIGHTARG = int)",
        "operator",
        "shop.<->(integer,integer)",
    ),
    (
        "CREATE TEXT SEARCH CONFIGURATION shop.words (COPY = pg_catalog.simple)",
        "text_search_configuration",
        "shop.words",
    ),
)
