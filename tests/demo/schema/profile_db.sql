-- What the service's own migrations would create. Run as profile_prod_migrator.
CREATE TABLE profiles (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id      bigint NOT NULL UNIQUE,
    display_name text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX profiles_created_at_idx ON profiles (created_at);
CREATE TABLE preferences (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile_id bigint NOT NULL REFERENCES profiles (id),
    data       jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX preferences_profile_id_idx ON preferences (profile_id);
CREATE TABLE addresses (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile_id bigint NOT NULL REFERENCES profiles (id),
    city       text NOT NULL
);
CREATE INDEX addresses_profile_id_idx ON addresses (profile_id);

INSERT INTO profiles (user_id, display_name, created_at)
SELECT n, 'User ' || n, timestamptz '2026-01-01' + n * interval '7 minutes' FROM generate_series(1, 5000) AS n;
INSERT INTO preferences (profile_id, data)
SELECT n, jsonb_build_object('theme', (ARRAY ['light', 'dark'])[1 + n % 2]) FROM generate_series(1, 5000) AS n;
INSERT INTO addresses (profile_id, city)
SELECT 1 + n % 5000, (ARRAY ['Berlin', 'Porto', 'Oslo', 'Graz'])[1 + n % 4] FROM generate_series(1, 6000) AS n;
