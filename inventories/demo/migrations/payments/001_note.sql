-- What a customer writes on the payment form. The application fills it from its next release on.
ALTER TABLE payments ADD COLUMN note text;
