-- What the service's own migrations would create. Run as admin_prod_migrator.
CREATE TABLE roles (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);
CREATE TABLE permissions (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    role_id bigint NOT NULL REFERENCES roles (id),
    action  text NOT NULL,
    UNIQUE (role_id, action)
);
CREATE TABLE admin_users (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email   text NOT NULL UNIQUE,
    role_id bigint NOT NULL REFERENCES roles (id)
);
CREATE INDEX admin_users_role_id_idx ON admin_users (role_id);
CREATE TABLE audit_logs (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    admin_user_id bigint NOT NULL REFERENCES admin_users (id),
    action        text NOT NULL,
    at            timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_logs_admin_user_id_idx ON audit_logs (admin_user_id);
CREATE INDEX audit_logs_at_idx ON audit_logs (at);

INSERT INTO roles (name) SELECT 'role ' || n FROM generate_series(1, 12) AS n;
INSERT INTO permissions (role_id, action) SELECT 1 + n % 12, 'action ' || n FROM generate_series(1, 2400) AS n;
INSERT INTO admin_users (email, role_id) SELECT 'admin' || n || '@example.test', 1 + n % 12 FROM generate_series(1, 2000) AS n;
INSERT INTO audit_logs (admin_user_id, action, at)
SELECT 1 + n % 2000, 'login', timestamptz '2026-01-01' + n * interval '11 minutes' FROM generate_series(1, 8000) AS n;
