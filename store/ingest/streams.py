"""Ingest streams: row type, target table and load statement of each."""

from dataclasses import dataclass
from typing import Final, Generic, TypeAlias

from store.ingest.rows import (
    EVENT,
    METRIC,
    METRIC_SERIES,
    EventRow,
    MetricRow,
    Row,
    RowType,
    SeriesRow,
)
from store.query.sql import Statement
from store.query.tables import EVENTS, METRICS

PROJECT: Final = "default"
"""The only project as long as there are no API keys; the first column of every table's key."""

# An insert writes one part, whatever its size: one part is atomic, several are not. One thread
# reads the file in order, so that a row's number is its line.
_ONE_PART: Final = """
SETTINGS max_threads = 1, max_insert_threads = 1, input_format_parallel_parsing = 0,
    min_insert_block_size_rows = 10000000, min_insert_block_size_bytes = 4000000000,
    input_format_skip_unknown_fields = 1, precise_float_parsing = 1
"""

# A pattern of one tag of compact JSON, and an expression for its unescaped key. Keys have only the
# escapes `\"` and `\\`. JSONExtractKeysAndValuesRaw would escape some characters differently.
_TAG_TEXT: Final = r'''"(?:[^"\\\\]|\\\\.)*":"(?:[^"\\\\]|\\\\.)*"'''
_TAG_KEY: Final = (
    r"""replaceRegexpAll(extract(tag, '^"((?:[^"\\\\]|\\\\.)*)"'), '\\\\(.)', '\\1')"""
)
CANONICAL_TAGS: Final = f"""if(tags IN ('', '{{}}'), '', concat('{{', arrayStringConcat(
    arraySort(tag -> {_TAG_KEY}, extractAll(tags, '{_TAG_TEXT}')), ','), '}}'))"""
"""Tags in the form of storage: sorted by the UTF-8 bytes of their keys; '' for none.

Only segments with lines in their sender's spelling, and leftover segments, may have unsorted tags.
This expression takes a third of the time of reading a row; to sort in Python takes five times as
long.
"""

_SORTED_TAGS: Final = "if(tags = '{}', '', tags)"
_TAGS: Final = "{{tags}}"

# Milliseconds, at most 13 digits, or RFC 3339, at least 20 characters. The engine drops decimals
# after the third. A column of type DateTime64 would take numbers as seconds.
_TIME: Final = """if(length(timestamp) < 14,
        fromUnixTimestamp64Milli(toInt64(timestamp), 'UTC'),
        parseDateTime64BestEffort(timestamp, 3, 'UTC')) AS time"""

_METRICS: Final = f"""
SELECT {{project:String}} AS project, metric_name AS name,
    {_TIME}, value, {_TAGS} AS tags, id AS client_id,
    {{batch:UInt64}} AS batch, line AS row
FROM (
    SELECT *, rowNumberInAllBlocks() AS line
    FROM file({{path:String}}, 'JSONEachRow',
        'metric_name String, value Float64, tags String, timestamp String, id String')
)
WHERE metric_name != ''"""

_SERIES: Final = """
SELECT {project:String} AS project, metric_name AS name,
    fromUnixTimestamp64Milli(timestamp, 'UTC') AS time, value, {{tags}} AS tags, id AS client_id,
    {batch:UInt64} AS batch, rowNumberInAllBlocks() AS row
FROM (
    SELECT metric_name, tags, id, timestamp, value
    FROM file({path:String}, 'JSONEachRow',
        'metric_name String, tags String, id String,
        timestamps Array(Int64), values Array(Float64)')
    ARRAY JOIN timestamps AS timestamp, values AS value
)
WHERE metric_name != ''"""

_EVENTS: Final = f"""
SELECT {{project:String}} AS project, event_name AS name,
    {_TIME}, user_id, session_id, properties,
    id AS client_id, {{batch:UInt64}} AS batch, line AS row
FROM (
    SELECT *, rowNumberInAllBlocks() AS line
    FROM file({{path:String}}, 'JSONEachRow',
        'event_name String, user_id String, session_id String, properties String,
        timestamp String, id String')
)
WHERE event_name != ''"""

_METRIC_COLUMNS: Final = "project, name, time, value, tags, client_id, batch, row"
_EVENT_COLUMNS: Final = (
    "project, name, time, user_id, session_id, properties, client_id, batch, row"
)


@dataclass(frozen=True, slots=True)
class Stream(Generic[Row]):
    """Rows of one type, with a journal of their own and a target table.

    `rows_query` selects the rows of a segment; it skips the groups' headers, which have no name.
    `{{tags}}` in it stands for the expression of the tags.
    """

    name: str
    row_type: RowType[Row]
    table: str
    columns: str
    rows_query: str

    def load(self, path: str, batch: int, *, has_sorted_tags: bool = True) -> Statement:
        """Return the insert of a segment's rows."""
        rows = self.rows_query.replace(_TAGS, _SORTED_TAGS if has_sorted_tags else CANONICAL_TAGS)
        text = f"INSERT INTO {self.table} ({self.columns}){rows}{_ONE_PART}"
        return Statement(text, {"project": PROJECT, "path": path, "batch": batch})

    def count_readable(self, path: str) -> Statement:
        """Return a query that reads every row of a file and counts them, as `rows`."""
        rows = self.rows_query.replace(_TAGS, _SORTED_TAGS)
        text = f"SELECT count() AS rows, sum(ignore(*)) AS none FROM ({rows}){_ONE_PART}"
        return Statement(text, {"project": PROJECT, "path": path, "batch": 0})

    def count_batch(self, batch: int) -> Statement:
        """Return a query that counts the stored rows of a batch, as `rows`."""
        text = f"SELECT count() AS rows FROM {self.table} WHERE batch = {{batch:UInt64}}"
        return Statement(text, {"batch": batch})

    def delete_batch(self, batch: int) -> Statement:
        """Return a statement that deletes the stored rows of a batch."""
        text = f"DELETE FROM {self.table} WHERE batch = {{batch:UInt64}}"
        return Statement(text, {"batch": batch})


METRIC_STREAM: Final[Stream[MetricRow]] = Stream(
    "metrics", METRIC, METRICS.name, _METRIC_COLUMNS, _METRICS
)
SERIES_STREAM: Final[Stream[SeriesRow]] = Stream(
    "series", METRIC_SERIES, METRICS.name, _METRIC_COLUMNS, _SERIES
)
EVENT_STREAM: Final[Stream[EventRow]] = Stream(
    "events", EVENT, EVENTS.name, _EVENT_COLUMNS, _EVENTS
)
AnyStream: TypeAlias = Stream[MetricRow] | Stream[SeriesRow] | Stream[EventRow]
STREAMS: Final[tuple[AnyStream, ...]] = (METRIC_STREAM, SERIES_STREAM, EVENT_STREAM)
TABLES: Final = tuple(dict.fromkeys(stream.table for stream in STREAMS))
