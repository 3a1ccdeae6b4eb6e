-- The tables as all migrations leave them: a new store begins with this file and runs none of them.
-- Whoever adds a migration changes this file, too; a test compares the two ways.
--
-- Partitions follow the month of arrival (a batch number begins with its milliseconds), not the
-- timestamps of rows. So an insert is always one part, and neither a backfill nor a hostile clock
-- spreads a batch over hundreds of partitions. The time index lets queries skip older rows.
CREATE TABLE metrics
(
    project LowCardinality(String),
    name LowCardinality(String),
    time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    value Float64 CODEC(ZSTD(1)),
    client_id String CODEC(ZSTD(1)),
    batch UInt64 CODEC(Delta, ZSTD(1)),
    row UInt32 CODEC(Delta, ZSTD(1)),
    tags String DEFAULT '' CODEC(ZSTD(1)), -- JSON, sorted by key; '' for none
    INDEX batches batch TYPE minmax GRANULARITY 1,
    INDEX times time TYPE minmax GRANULARITY 1,
    INDEX ids client_id TYPE bloom_filter GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(toInt64(bitShiftRight(batch, 12)), 'UTC'))
ORDER BY (project, name, time, batch, row)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    vertical_merge_algorithm_min_columns_to_activate = 1,
    vertical_merge_algorithm_min_rows_to_activate = 1,
    index_granularity = 8192, old_parts_lifetime = 30, max_suspicious_broken_parts = 1000000,
    max_suspicious_broken_parts_bytes = 1000000000000000, merge_selector_base = 10;

CREATE TABLE events
(
    project LowCardinality(String),
    name LowCardinality(String),
    time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    user_id String CODEC(ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    properties String CODEC(ZSTD(1)), -- JSON; '' for none
    client_id String CODEC(ZSTD(1)),
    batch UInt64 CODEC(Delta, ZSTD(1)),
    row UInt32 CODEC(Delta, ZSTD(1)),
    INDEX batches batch TYPE minmax GRANULARITY 1,
    INDEX times time TYPE minmax GRANULARITY 1,
    INDEX users user_id TYPE bloom_filter GRANULARITY 1,
    INDEX ids client_id TYPE bloom_filter GRANULARITY 1,
    INDEX sessions session_id TYPE bloom_filter GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(toInt64(bitShiftRight(batch, 12)), 'UTC'))
ORDER BY (project, name, time, batch, row)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    vertical_merge_algorithm_min_columns_to_activate = 1,
    vertical_merge_algorithm_min_rows_to_activate = 1,
    index_granularity = 8192, old_parts_lifetime = 30, max_suspicious_broken_parts = 1000000,
    max_suspicious_broken_parts_bytes = 1000000000000000, merge_selector_base = 10;

-- Descriptions of metrics, written by users. The row with the highest version counts.
CREATE TABLE metric_descriptions
(
    project LowCardinality(String),
    name String,
    kind LowCardinality(String),
    unit String,
    description String,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (project, name)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    index_granularity = 8192, old_parts_lifetime = 30, max_suspicious_broken_parts = 1000000,
    max_suspicious_broken_parts_bytes = 1000000000000000;
