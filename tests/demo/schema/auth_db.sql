-- What the service's own migrations would create. Run as auth_prod_migrator.
CREATE TABLE users (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email      text NOT NULL UNIQUE,
    username   text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE refresh_tokens (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    bigint NOT NULL REFERENCES users (id),
    token_hash bytea NOT NULL UNIQUE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX refresh_tokens_user_id_idx ON refresh_tokens (user_id);
CREATE TABLE devices (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id),
    name    text NOT NULL
);
CREATE INDEX devices_user_id_idx ON devices (user_id);

INSERT INTO users (email, username, created_at)
SELECT 'user' || n || '@example.test', 'user' || n, timestamptz '2026-01-01' + n * interval '7 minutes'
  FROM generate_series(1, 5000) AS n;
INSERT INTO refresh_tokens (user_id, token_hash, expires_at)
SELECT 1 + n % 5000, sha256(n::text::bytea), timestamptz '2026-12-01' + n * interval '1 minute'
  FROM generate_series(1, 8000) AS n;
INSERT INTO devices (user_id, name)
SELECT 1 + n % 5000, 'device ' || n FROM generate_series(1, 6000) AS n;
