-- What the service's own migrations would create. Run as payments_prod_migrator.
CREATE TABLE payment_methods (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL,
    brand   text NOT NULL,
    last4   text NOT NULL CHECK (last4 ~ '^[0-9]{4}$')
);
CREATE INDEX payment_methods_user_id_idx ON payment_methods (user_id);
CREATE TABLE payments (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id           bigint NOT NULL,
    payment_method_id bigint NOT NULL REFERENCES payment_methods (id),
    amount            numeric(12, 2) NOT NULL CHECK (amount > 0),
    status            text NOT NULL CHECK (status IN ('pending', 'paid', 'failed', 'refunded')),
    created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX payments_user_id_idx ON payments (user_id);
CREATE INDEX payments_status_idx ON payments (status);
CREATE INDEX payments_created_at_idx ON payments (created_at);
CREATE INDEX payments_user_id_status_created_at_idx ON payments (user_id, status, created_at);
CREATE INDEX payments_payment_method_id_idx ON payments (payment_method_id);
CREATE TABLE transactions (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id bigint NOT NULL REFERENCES payments (id),
    kind       text NOT NULL CHECK (kind IN ('authorise', 'capture', 'refund')),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX transactions_payment_id_idx ON transactions (payment_id);
CREATE TABLE refunds (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id bigint NOT NULL REFERENCES payments (id),
    amount     numeric(12, 2) NOT NULL CHECK (amount > 0),
    status     text NOT NULL CHECK (status IN ('requested', 'done', 'refused')),
    reason     text
);
CREATE INDEX refunds_payment_id_idx ON refunds (payment_id);

INSERT INTO payment_methods (user_id, brand, last4)
SELECT 1 + n % 5000, (ARRAY ['visa', 'mastercard', 'sepa'])[1 + n % 3], lpad((n % 10000)::text, 4, '0')
  FROM generate_series(1, 5000) AS n;
INSERT INTO payments (user_id, payment_method_id, amount, status, created_at)
SELECT 1 + n % 5000, 1 + n % 5000, 1 + (n % 9000) / 100.0,
       (ARRAY ['pending', 'paid', 'paid', 'paid', 'failed', 'refunded'])[1 + n % 6],
       timestamptz '2026-01-01' + n * interval '25 minutes'
  FROM generate_series(1, 9000) AS n;
INSERT INTO transactions (payment_id, kind, created_at)
SELECT n, 'capture', timestamptz '2026-01-01' + n * interval '25 minutes' FROM generate_series(1, 9000) AS n;
INSERT INTO refunds (payment_id, amount, status)
SELECT n, 1, 'done' FROM generate_series(5, 9000, 6) AS n;
