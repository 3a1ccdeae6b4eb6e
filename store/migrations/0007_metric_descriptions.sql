-- Descriptions of metrics, written by users. The row with the highest version counts.
CREATE TABLE IF NOT EXISTS metric_descriptions
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
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
