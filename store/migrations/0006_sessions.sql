-- As for users, the index finds the few events of a session without reading the column. Stored
-- events have no session, so the column and the index need no fill.
ALTER TABLE events ADD COLUMN IF NOT EXISTS session_id String CODEC(ZSTD(1)) AFTER user_id;

ALTER TABLE events ADD INDEX IF NOT EXISTS sessions session_id TYPE bloom_filter GRANULARITY 1;
