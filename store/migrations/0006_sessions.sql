-- Like users: the index finds a session, which is a few events, without reading the column. What
-- is stored already has no session, so for it there is nothing to fill.
ALTER TABLE events ADD COLUMN IF NOT EXISTS session_id String CODEC(ZSTD(1)) AFTER user_id;

ALTER TABLE events ADD INDEX IF NOT EXISTS sessions session_id TYPE bloom_filter GRANULARITY 1;
