-- Partitions follow the month of arrival (a batch number begins with its milliseconds), not the
-- timestamps of rows. So an insert is always one part, and neither a backfill nor a hostile clock
-- spreads a batch over hundreds of partitions. The time index lets queries skip older rows.
-- Merging column by column takes a third of the time of merging row by row, because maps are slow
-- to copy one by one (measured at 40 inserts of 100,000 points).
CREATE TABLE IF NOT EXISTS metrics
(
    project LowCardinality(String),
    name LowCardinality(String),
    time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    value Float64 CODEC(ZSTD(1)),
    tags Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    client_id String CODEC(ZSTD(1)),
    batch UInt64 CODEC(Delta, ZSTD(1)),
    row UInt32 CODEC(Delta, ZSTD(1)),
    INDEX batches batch TYPE minmax GRANULARITY 1,
    INDEX times time TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(toInt64(bitShiftRight(batch, 12)), 'UTC'))
ORDER BY (project, name, time, batch, row)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    vertical_merge_algorithm_min_columns_to_activate = 1,
    vertical_merge_algorithm_min_rows_to_activate = 1;

CREATE TABLE IF NOT EXISTS events
(
    project LowCardinality(String),
    name LowCardinality(String),
    time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    user_id String CODEC(ZSTD(1)),
    properties String CODEC(ZSTD(1)),
    client_id String CODEC(ZSTD(1)),
    batch UInt64 CODEC(Delta, ZSTD(1)),
    row UInt32 CODEC(Delta, ZSTD(1)),
    INDEX batches batch TYPE minmax GRANULARITY 1,
    INDEX times time TYPE minmax GRANULARITY 1,
    INDEX users user_id TYPE bloom_filter GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(toInt64(bitShiftRight(batch, 12)), 'UTC'))
ORDER BY (project, name, time, batch, row)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    vertical_merge_algorithm_min_columns_to_activate = 1,
    vertical_merge_algorithm_min_rows_to_activate = 1;
