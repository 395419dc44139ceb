-- One customer's afternoon: look at the payments, pay, see it booked. For pgbench.
\set user random(1, 5000)
SELECT id, amount, status FROM payments WHERE user_id = :user ORDER BY created_at DESC LIMIT 20;
BEGIN;
INSERT INTO payments (user_id, payment_method_id, amount, status) VALUES (:user, :user, 9.90, 'pending') RETURNING id \gset
UPDATE payments SET status = 'paid' WHERE id = :id;
INSERT INTO transactions (payment_id, kind) VALUES (:id, 'capture');
END;
