-- Deduplication looks up client ids. The index finds a few ids without reading the column.
ALTER TABLE metrics ADD INDEX IF NOT EXISTS ids client_id TYPE bloom_filter GRANULARITY 1;

ALTER TABLE metrics MATERIALIZE INDEX ids SETTINGS mutations_sync = 2;

ALTER TABLE events ADD INDEX IF NOT EXISTS ids client_id TYPE bloom_filter GRANULARITY 1;

ALTER TABLE events MATERIALIZE INDEX ids SETTINGS mutations_sync = 2;
