"""The streams of rows, and the statements that load each into its table."""

from dataclasses import dataclass
from typing import Final, Generic, TypeAlias

from store.rows import EVENT, METRIC, METRIC_SERIES, EventRow, Kind, MetricRow, Row, SeriesRow
from store.sql import Statement

PROJECT: Final = "default"
"""The only project until keys say otherwise; every table has it first in its key."""

# One part for each insert, whatever its size: a part is atomic, several parts are not. One thread
# reads the file in order, so that a row's number is its line.
_ONE_PART: Final = """
SETTINGS max_threads = 1, max_insert_threads = 1, input_format_parallel_parsing = 0,
    min_insert_block_size_rows = 10000000, min_insert_block_size_bytes = 4000000000,
    input_format_skip_unknown_fields = 1, precise_float_parsing = 1
"""

_LOAD_METRICS: Final = (
    """
INSERT INTO metrics (project, name, time, value, tags, client_id, batch, row)
SELECT {project:String}, metric_name, fromUnixTimestamp64Milli(timestamp, 'UTC'), value, tags, id,
    {batch:UInt64}, line
FROM (
    SELECT *, rowNumberInAllBlocks() AS line
    FROM file({path:String}, 'JSONEachRow',
        'metric_name String, value Float64, tags String, timestamp Int64, id String')
)
WHERE metric_name != ''"""
    + _ONE_PART
)

_LOAD_SERIES: Final = (
    """
INSERT INTO metrics (project, name, time, value, tags, client_id, batch, row)
SELECT {project:String}, metric_name, fromUnixTimestamp64Milli(timestamp, 'UTC'), value, tags, id,
    {batch:UInt64}, rowNumberInAllBlocks()
FROM (
    SELECT metric_name, tags, id, timestamp, value
    FROM file({path:String}, 'JSONEachRow',
        'metric_name String, tags String, id String,
        timestamps Array(Int64), values Array(Float64)')
    ARRAY JOIN timestamps AS timestamp, values AS value
)"""
    + _ONE_PART
)

_LOAD_EVENTS: Final = (
    """
INSERT INTO events (project, name, time, user_id, properties, client_id, batch, row)
SELECT {project:String}, event_name, fromUnixTimestamp64Milli(timestamp, 'UTC'), user_id,
    properties, id, {batch:UInt64}, line
FROM (
    SELECT *, rowNumberInAllBlocks() AS line
    FROM file({path:String}, 'JSONEachRow',
        'event_name String, user_id String, properties String, timestamp Int64, id String')
)
WHERE event_name != ''"""
    + _ONE_PART
)


@dataclass(frozen=True, slots=True)
class Stream(Generic[Row]):
    """Rows of one kind, which have a journal of their own, on their way into a table."""

    name: str
    kind: Kind[Row]
    table: str
    load_text: str

    def load(self, path: str, batch: int) -> Statement:
        """Insert the rows of the segment at `path`; the groups' headers have no name."""
        return Statement(self.load_text, {"project": PROJECT, "path": path, "batch": batch})

    def count_batch(self, batch: int) -> Statement:
        """Count what is stored of a batch, as `rows`."""
        text = f"SELECT count() AS rows FROM {self.table} WHERE batch = {{batch:UInt64}}"
        return Statement(text, {"batch": batch})

    def delete_batch(self, batch: int) -> Statement:
        """Remove what is stored of a batch."""
        text = f"DELETE FROM {self.table} WHERE batch = {{batch:UInt64}}"
        return Statement(text, {"batch": batch})

    def newest_batch(self) -> Statement:
        """Return the highest batch number of the table, as `batch`; 0 when it is empty."""
        return Statement(f"SELECT max(batch) AS batch FROM {self.table}")


METRICS: Final[Stream[MetricRow]] = Stream("metrics", METRIC, "metrics", _LOAD_METRICS)
SERIES: Final[Stream[SeriesRow]] = Stream("series", METRIC_SERIES, "metrics", _LOAD_SERIES)
EVENTS: Final[Stream[EventRow]] = Stream("events", EVENT, "events", _LOAD_EVENTS)
AnyStream: TypeAlias = Stream[MetricRow] | Stream[SeriesRow] | Stream[EventRow]
STREAMS: Final[tuple[AnyStream, ...]] = (METRICS, SERIES, EVENTS)
TABLES: Final = tuple(dict.fromkeys(stream.table for stream in STREAMS))
