"""Ingest streams: row type, target table and load statement of each."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias

import msgspec
import re2

from schema.access import PROJECT
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
from store.journal.conversions import NUMBERS, UNKNOWN, Conversions, TagOrder, Times
from store.query.sql import Statement
from store.query.tables import EVENTS, METRICS

# An insert writes one part, whatever its size: one part is atomic, several are not. One thread
# reads the file in order, so that a row's number is its line.
_ONE_PART: Final = """
SETTINGS max_threads = 1, max_insert_threads = 1, input_format_parallel_parsing = 0,
    date_time_input_format = 'best_effort',
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

This expression takes as long as reading a row. Only leftover segments, and those with many orders
of tags, need it.
"""

_MAX_GROUPS: Final = 9
"""Maximum number of groups that a replacement can name."""

_SORTED_TAGS: Final = "if(tags = '{}', '', tags)"
_TAGS: Final = "{{tags}}"

_PROJECT: Final = "{{project}}"
_PROJECT_TYPE: Final = "{{project type}}"
_PROJECT_READERS: Final = {
    False: ("{project:String}", ""),
    True: ("if(project = '', {project:String}, project)", ", project String"),
}
"""Expression and column of the project, by whether lines name one; '' is the default project."""

_TIME: Final = "{{time}}"
_TIME_TYPE: Final = "{{time type}}"


@dataclass(frozen=True, slots=True)
class _TimeReader:
    """Type of the column of times in a segment, and the expression of the instant.

    The engine reads RFC 3339 and drops decimals after the third. It takes numbers as seconds when
    the type is DateTime64, so that milliseconds from 10^11 on are beyond 10^14.
    """

    type: str
    expression: str


_NUMBERS_READER: Final = _TimeReader("Int64", "fromUnixTimestamp64Milli(timestamp, 'UTC')")
_TEXTS_READER: Final = _TimeReader(
    r"DateTime64(3, \'UTC\')",
    """fromUnixTimestamp64Milli(if(toUnixTimestamp64Milli(timestamp) < 100000000000000,
        toUnixTimestamp64Milli(timestamp), intDiv(toUnixTimestamp64Milli(timestamp), 1000)),
        'UTC')""",
)
_ANY_READER: Final = _TimeReader(
    "String",
    """if(length(timestamp) < 14, fromUnixTimestamp64Milli(toInt64(timestamp), 'UTC'),
        parseDateTime64BestEffort(timestamp, 3, 'UTC'))""",
)
_TIME_READERS: Final = {
    NUMBERS: _NUMBERS_READER,
    Times.SMALL_NUMBERS: _NUMBERS_READER,
    Times.TEXTS: _TEXTS_READER,
    Times.TEXTS | Times.SMALL_NUMBERS: _ANY_READER,
}

_METRICS: Final = f"""
SELECT {_PROJECT} AS project, metric_name AS name,
    {_TIME} AS time, value, {_TAGS} AS tags, id AS client_id,
    {{batch:UInt64}} AS batch, line AS row
FROM (
    SELECT *, rowNumberInAllBlocks() AS line
    FROM file({{path:String}}, 'JSONEachRow',
        'metric_name String, value Float64, tags String, timestamp {_TIME_TYPE},
        id String{_PROJECT_TYPE}')
)
WHERE metric_name != ''"""

_SERIES: Final = f"""
SELECT {_PROJECT} AS project, metric_name AS name,
    fromUnixTimestamp64Milli(timestamp, 'UTC') AS time, value, {_TAGS} AS tags, id AS client_id,
    {{batch:UInt64}} AS batch, rowNumberInAllBlocks() AS row
FROM (
    SELECT * EXCEPT (timestamps, values), timestamp, value
    FROM file({{path:String}}, 'JSONEachRow',
        'metric_name String, tags String, id String,
        timestamps Array(Int64), values Array(Float64){_PROJECT_TYPE}')
    ARRAY JOIN timestamps AS timestamp, values AS value
)
WHERE metric_name != ''"""

_EVENTS: Final = f"""
SELECT {_PROJECT} AS project, event_name AS name,
    {_TIME} AS time, user_id, session_id, properties,
    id AS client_id, {{batch:UInt64}} AS batch, line AS row
FROM (
    SELECT *, rowNumberInAllBlocks() AS line
    FROM file({{path:String}}, 'JSONEachRow',
        'event_name String, user_id String, session_id String, properties String,
        timestamp {_TIME_TYPE}, id String{_PROJECT_TYPE}')
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
    In it `{{tags}}`, `{{time}}` and `{{project}}` stand for expressions, `{{time type}}` for the
    type of the column of times, `{{project type}}` for the column of projects.
    """

    name: str
    row_type: RowType[Row]
    table: str
    columns: str
    rows_query: str

    def load(self, path: str, batch: int, conversions: Conversions = UNKNOWN) -> Statement:
        """Return the insert of a segment's rows, whose lines need some conversions."""
        tags, parameters = _tags_expression(conversions.tag_orders)
        rows = self._rows(conversions, tags)
        text = f"INSERT INTO {self.table} ({self.columns}){rows}{_ONE_PART}"
        return Statement(text, {"project": PROJECT, "path": path, "batch": batch, **parameters})

    def count_readable(self, path: str) -> Statement:
        """Return a query that reads every row of a file and counts them, as `rows`."""
        rows = self._rows(UNKNOWN, _SORTED_TAGS)
        text = f"SELECT count() AS rows, sum(ignore(*)) AS none FROM ({rows}){_ONE_PART}"
        return Statement(text, {"project": PROJECT, "path": path, "batch": 0})

    def _rows(self, conversions: Conversions, tags: str) -> str:
        reader = _TIME_READERS[conversions.times]
        project, project_column = _PROJECT_READERS[conversions.has_projects]
        rows = self.rows_query.replace(_TIME_TYPE, reader.type).replace(_TIME, reader.expression)
        rows = rows.replace(_PROJECT_TYPE, project_column).replace(_PROJECT, project)
        return rows.replace(_TAGS, tags)

    def count_batch(self, batch: int) -> Statement:
        """Return a query that counts the stored rows of a batch, as `rows`."""
        text = f"SELECT count() AS rows FROM {self.table} WHERE batch = {{batch:UInt64}}"
        return Statement(text, {"batch": batch})

    def delete_batch(self, batch: int) -> Statement:
        """Return a statement that deletes the stored rows of a batch."""
        text = f"DELETE FROM {self.table} WHERE batch = {{batch:UInt64}}"
        return Statement(text, {"batch": batch})


def _tags_expression(
    tag_orders: frozenset[TagOrder] | None,
) -> tuple[str, dict[str, str]]:
    """Return the expression of sorted tags, and its parameters.

    A regular expression for each order takes the tags apart. It looks at each different text of a
    block once, because the column has a dictionary: to sort takes a tenth of reading a row.
    """
    if tag_orders is None or any(len(order) > _MAX_GROUPS for order in tag_orders):
        return CANONICAL_TAGS, {}
    if not tag_orders:
        return _SORTED_TAGS, {}
    expression = "toLowCardinality(if(tags = '{}', '', tags))"
    parameters = {}
    for number, order in enumerate(sorted(tag_orders)):
        keys = [re2.escape(msgspec.json.encode(key).decode()) for key in order]
        texts = ",".join(f'({key}:"[^"]*")' for key in keys)
        positions = sorted(range(len(order)), key=order.__getitem__)
        parameters[f"order{number}"] = rf"^\{{{texts}\}}$"
        parameters[f"sorted{number}"] = (
            "{" + ",".join(rf"\{position + 1}" for position in positions) + "}"
        )
        expression = (
            f"replaceRegexpOne({expression}, {{order{number}:String}}, {{sorted{number}:String}})"
        )
    return expression, parameters


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


def streams_of(tables: Collection[str]) -> list[AnyStream]:
    """Return the streams that fill some tables."""
    return [stream for stream in STREAMS if stream.table in tables]
