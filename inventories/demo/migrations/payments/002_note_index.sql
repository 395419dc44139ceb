-- dbops: no-transaction
CREATE INDEX CONCURRENTLY payments_note_idx ON payments (note text_pattern_ops) WHERE note IS NOT NULL;
