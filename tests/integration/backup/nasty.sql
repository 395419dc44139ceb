-- A database with whatever has made a restore differ from its dump somewhere, without being damaged.
CREATE SCHEMA app AUTHORIZATION {p}owner;
CREATE SCHEMA "odd ""schema";
GRANT USAGE ON SCHEMA app TO {p}app WITH GRANT OPTION;
CREATE EXTENSION hstore SCHEMA app;
CREATE EXTENSION pg_trgm;
CREATE TYPE app.mood AS ENUM ('sad', 'it''s ok');
ALTER TYPE app.mood ADD VALUE 'happy' BEFORE 'it''s ok';
CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE TYPE app.pair AS (a int, b text);
CREATE COLLATION app.de (provider = icu, locale = 'de-DE', deterministic = false);
CREATE SEQUENCE app.free START 100 INCREMENT -5 MINVALUE -1000000 MAXVALUE 100;
SELECT nextval('app.free'), nextval('app.free');
CREATE SEQUENCE app.untouched;
CREATE TABLE app.customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state varchar(10) CHECK (state IN ('new', 'old')),
    email text COLLATE app.de NOT NULL,
    feeling app.mood DEFAULT 'happy',
    amount app.positive,
    both_of_them app.pair,
    doubled numeric GENERATED ALWAYS AS ((id * 2)::numeric) STORED,
    at timestamptz DEFAULT now(),
    ratio float8, small float4, price money, raw bytea, span interval, period tstzrange, tags text[], doc jsonb, kv app.hstore,
    gone int
);
ALTER TABLE app.customers DROP COLUMN gone;
ALTER TABLE app.customers OWNER TO {p}owner;
INSERT INTO app.customers (state, email, amount, both_of_them, ratio, small, price, raw, span, period, tags, doc, kv)
SELECT CASE WHEN i % 2 = 0 THEN 'new' END, 'Ü' || i || E'\n\t\\', i, (i, 'x,"(y)')::app.pair, i / 7.0, i / 3.0, i, decode(md5(i::text), 'hex'),
       make_interval(months => i, secs => i / 9.0), tstzrange(now(), NULL), ARRAY['a', NULL, '{}'], jsonb_build_object('k', i), 'a=>1'
  FROM generate_series(1, 500) i;
INSERT INTO app.customers (email) SELECT 'same' FROM generate_series(1, 20);
CREATE TABLE app."t""x; --" ("select" int, t text, "t.*" text);
INSERT INTO app."t""x; --" VALUES (1, NULL, 'a'), (1, NULL, 'a'), (NULL, '', '');
CREATE TABLE app.t (t int);
INSERT INTO app.t VALUES (1), (1), (2);
CREATE TABLE app.empty ();
CREATE TABLE app.no_columns ();
INSERT INTO app.no_columns DEFAULT VALUES;
CREATE UNLOGGED TABLE app.fleeting AS SELECT 1 AS a;
CREATE TABLE app.events (id int, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE app.events_2025 PARTITION OF app.events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE app.events_rest PARTITION OF app.events DEFAULT;
INSERT INTO app.events SELECT i, '2025-06-01'::date + i * 3 FROM generate_series(1, 200) i;
CREATE TABLE app.parent (a int, b text);
CREATE TABLE app.child (c int) INHERITS (app.parent);
INSERT INTO app.parent VALUES (1, 'p');
INSERT INTO app.child VALUES (2, 'c', 3);
ALTER TABLE app.events ADD CONSTRAINT young CHECK (at > '2000-01-01') NOT VALID;
CREATE TABLE app.tree (id int PRIMARY KEY, up int REFERENCES app.tree DEFERRABLE INITIALLY DEFERRED);
INSERT INTO app.tree VALUES (1, NULL), (2, 1);
CREATE INDEX ON app.customers (lower(email)) WHERE state IN ('new', 'old');
CREATE INDEX ON app.customers USING gin (doc jsonb_path_ops);
CREATE VIEW app.young AS SELECT *, state::text IN ('new', 'x') AS fresh FROM app.customers c WHERE at > now() - interval '1 day';
GRANT SELECT (id, state) ON app.young TO {p}app;
CREATE MATERIALIZED VIEW app.moment AS SELECT clock_timestamp() AS at, count(*) FROM app.customers;
INSERT INTO app.customers (email) VALUES ('after the materialized view');
CREATE MATERIALIZED VIEW app.never AS SELECT 1 WITH NO DATA;
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at := now(); RETURN NEW; END $$;
ALTER FUNCTION app.touch() SET search_path = app, pg_temp;
REVOKE EXECUTE ON FUNCTION app.touch() FROM PUBLIC;
CREATE FUNCTION app.twice(int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT $1 * 2; END;
CREATE AGGREGATE app.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE TRIGGER touch BEFORE UPDATE ON app.customers FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION app.touch();
ALTER TABLE app.customers DISABLE TRIGGER touch;
CREATE RULE nothing AS ON DELETE TO app.t DO INSTEAD NOTHING;
ALTER TABLE app.customers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON app.customers FOR SELECT TO {p}app USING (email = current_user) ;
CREATE STATISTICS app.together ON state, feeling FROM app.customers;
CREATE PUBLICATION {p}pub FOR TABLE app.tree;
CREATE FUNCTION app.ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER {p}watch ON sql_drop EXECUTE FUNCTION app.ddl();
ALTER DEFAULT PRIVILEGES FOR ROLE {p}owner IN SCHEMA app GRANT SELECT ON TABLES TO {p}app;
ALTER DEFAULT PRIVILEGES FOR ROLE {p}owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT ALL ON app.t TO PUBLIC;
REVOKE ALL ON app.tree FROM {p}owner;
SELECT lo_from_bytea(0, 'large');
COMMENT ON TABLE app.t IS 'it''s';
ALTER DATABASE {d} SET search_path = app, public;
ALTER DATABASE {d} SET default_transaction_read_only = off;
DROP SCHEMA public CASCADE;
CREATE TABLE "odd ""schema".wide (x text);
INSERT INTO "odd ""schema".wide SELECT repeat(md5(i::text), 1000) FROM generate_series(1, 20) i;
