-- A shop without any fault in its indexes, and enough rows for the statistics to say something.
CREATE SCHEMA app;
CREATE TABLE app.customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email varchar(200) NOT NULL UNIQUE,
  "Name" text NOT NULL,
  country text NOT NULL,
  region text NOT NULL,
  deleted_at timestamptz
);
CREATE INDEX customers_email_lower_idx ON app.customers (lower(email));
CREATE INDEX customers_active_idx ON app.customers ("Name" text_pattern_ops) WHERE deleted_at IS NULL;
CREATE TABLE app.regions (country text, region text, PRIMARY KEY (country, region));
ALTER TABLE app.customers ADD CONSTRAINT customers_region_fkey FOREIGN KEY (country, region) REFERENCES app.regions;
CREATE INDEX customers_region_idx ON app.customers (region, country);
CREATE TABLE app.orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id bigint NOT NULL CONSTRAINT orders_customer_fkey REFERENCES app.customers,
  referrer_id bigint CONSTRAINT orders_referrer_fkey REFERENCES app.customers,
  status text NOT NULL,
  created_at timestamptz NOT NULL,
  details jsonb NOT NULL
);
CREATE INDEX orders_customer_idx ON app.orders (customer_id, created_at DESC) INCLUDE (status);
CREATE INDEX orders_referrer_idx ON app.orders (referrer_id) WHERE referrer_id IS NOT NULL;
CREATE INDEX orders_created_idx ON app.orders (created_at);
CREATE INDEX orders_details_idx ON app.orders USING gin (details jsonb_path_ops);
CREATE TABLE app.events (id bigint NOT NULL, at timestamptz NOT NULL, kind text, PRIMARY KEY (id, at))
  PARTITION BY RANGE (at);
CREATE TABLE app.events_1 PARTITION OF app.events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE app.events_2 PARTITION OF app.events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE INDEX events_at_idx ON app.events (at);

INSERT INTO app.regions SELECT 'country ' || n / 10, 'region ' || n FROM generate_series(1, 50) n;
INSERT INTO app.customers (email, "Name", country, region, deleted_at)
  SELECT 'c' || n || '@example.com', 'Name ' || n, 'country ' || (n % 50 + 1) / 10, 'region ' || n % 50 + 1,
         CASE WHEN n % 10 = 0 THEN now() END FROM generate_series(1, 2000) n;
INSERT INTO app.orders (customer_id, referrer_id, status, created_at, details)
  SELECT n % 2000 + 1, CASE WHEN n % 5 = 0 THEN n % 100 + 1 END, (ARRAY['open', 'paid', 'sent'])[n % 3 + 1],
         timestamptz '2026-01-01' + n * interval '1 minute', jsonb_build_object('n', n)
    FROM generate_series(1, 20000) n;
INSERT INTO app.events SELECT n, timestamptz '2026-01-01' + n * interval '10 minutes', 'k' FROM generate_series(1, 8000) n;
ANALYZE;

-- Every index is read once.
SET enable_seqscan = off;
SELECT FROM app.customers WHERE lower(email) = 'c1@example.com';
SELECT FROM app.customers WHERE "Name" LIKE 'Name 1%' AND deleted_at IS NULL;
SELECT FROM app.customers WHERE region = 'region 1' AND country = 'country 0';
SELECT FROM app.orders WHERE customer_id = 7 ORDER BY created_at DESC LIMIT 1;
SELECT FROM app.orders WHERE referrer_id = 7;
SELECT FROM app.orders WHERE created_at < '2026-01-01 00:05';
SELECT FROM app.orders WHERE details @> '{"n": 7}';
SELECT FROM app.events WHERE at < '2026-01-01 00:30';
