"""Row types: fields, limits and checks of requests' rows, which are also the journal's lines.

The checks reject every row that the engine could not load: one such row would fail a whole segment.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, Protocol, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from schema.errors import AnalyticsError, bad_input
from schema.scalars import Instant
from store.ingest.id_hashes import line_ends
from store.timestamps import (
    MAX_TIME,
    MILLISECONDS,
    MIN_BARE_NUMBER,
    Unit,
    instant_of,
)

MAX_NAME: Final = 200
MAX_TAGS: Final = 64
MAX_TAG_VALUE: Final = 1000
MAX_PROPERTIES: Final = 255
MAX_PROPERTIES_BYTES: Final = 32_768
MAX_DEPTH: Final = 64
MAX_ROWS: Final = 50_000
MAX_POINTS: Final = 250_000
MAX_INTEGER: Final = 2**53 - 1

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Key = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
TagValue = Annotated[str, Meta(max_length=MAX_TAG_VALUE)]
Tags = Annotated[dict[Key, TagValue], Meta(max_length=MAX_TAGS)]
Properties = Annotated[dict[str, Any], Meta(max_length=MAX_PROPERTIES)]
Number = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)] | float
Time = str | int | float | None


TAGS_SORTED: Final = msgspec.json.Encoder(order="deterministic")
"""Encoder that sorts tag keys by their UTF-8 bytes, so that equal tags are equal strings."""

_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f]")


class MetricRow(
    msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, gc=False
):
    """One metric point, with the field names of the REST API; also its journal line."""

    metric_name: Name
    value: Number
    tags: Tags | None = None
    timestamp: Time = None
    id: Name | None = None


class SeriesRow(
    msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, gc=False
):
    """Points that share name and tags, as two arrays of equal length; also their journal line.

    The arrays stay undecoded JSON: they are decoded once, for the check.
    """

    metric_name: Name
    timestamps: msgspec.Raw
    values: msgspec.Raw
    tags: Tags | None = None
    id: Name | None = None


class EventRow(
    msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, gc=False
):
    """One event, with the field names of the REST API; also its journal line."""

    event_name: Name
    user_id: Name | None = None
    session_id: Name | None = None
    properties: Properties | None = None
    timestamp: Time = None
    id: Name | None = None


Row = TypeVar("Row", MetricRow, SeriesRow, EventRow)


def _check_metric_texts(row: MetricRow | SeriesRow) -> None:
    _reject_control_characters("metric_name", row.metric_name)
    for key in row.tags or ():
        _reject_control_characters("tags", key)


def _check_event_texts(row: EventRow) -> None:
    _reject_control_characters("event_name", row.event_name)


def _check_nothing(_: MetricRow) -> None:
    """Check nothing: a point has no limits beyond those of its struct."""


def _check_properties(row: EventRow) -> None:
    if not row.properties:
        return
    json_text = msgspec.json.encode(row.properties)
    if len(json_text) > MAX_PROPERTIES_BYTES:
        message = f"must be at most {MAX_PROPERTIES_BYTES} bytes as JSON"
        raise bad_input("properties", message, limit=MAX_PROPERTIES_BYTES)
    if _count_brackets(json_text) > MAX_DEPTH and depth(row.properties) > MAX_DEPTH:
        raise bad_input("properties", f"must be at most {MAX_DEPTH} deep", limit=MAX_DEPTH)


def _count_brackets(json_text: bytes) -> int:
    """Count opening brackets: at least the depth, and cheap."""
    return json_text.count(b"{") + json_text.count(b"[")


def _may_break_event_limits(lines: bytes) -> bool:
    """Return whether properties in journal lines may be too long or too deep.

    No line has more than `MAX_DEPTH` brackets if that many brackets are never as close to each
    other as the length of a line.
    """
    if len(lines) <= MAX_PROPERTIES_BYTES and _count_brackets(lines) <= MAX_DEPTH:
        return False
    longest = int(np.diff(line_ends(lines), prepend=-1).max())
    if longest > MAX_PROPERTIES_BYTES:
        return True
    characters = np.frombuffer(lines, np.uint8)
    brackets = np.flatnonzero((characters | 0x20) == ord("{"))  # "[" | 0x20 is "{"
    distances = brackets[MAX_DEPTH:] - brackets[:-MAX_DEPTH]
    return bool(len(distances)) and int(distances.min()) < longest


_PLAIN_TIMES_DECODER: Final = msgspec.json.Decoder(
    list[Annotated[int, Meta(ge=MIN_BARE_NUMBER, le=MAX_TIME)]]
)
_ANY_TIMES_DECODER: Final = msgspec.json.Decoder(list[str | int | float])
_VALUES_DECODER: Final = msgspec.json.Decoder(list[Number])


def _check_arrays(row: SeriesRow) -> None:
    try:
        values = len(_VALUES_DECODER.decode(row.values))
    except (msgspec.MsgspecError, ValueError) as error:
        raise _array_error("values", str(error)) from None
    times = _count_points([row])
    if times != values:
        message = f"must be as many as timestamps ({times}), not {values}"
        raise bad_input("values", message, limit=times)


def _array_error(field: str, reason: str) -> AnalyticsError:
    return bad_input(field, reason.replace("`", "").replace("$", "item ")[: 2 * MAX_NAME])


def _count_points(rows: Sequence[SeriesRow]) -> int:
    """Count points by commas: stamped timestamps are integers, separated by one comma each."""
    return sum(bytes(row.timestamps).count(b",") + 1 for row in rows)


def _reject_control_characters(field: str, text: str) -> None:
    if _CONTROL_CHARACTER.search(text):
        raise bad_input(field, "must have no control characters")


def depth(value: Any) -> int:  # noqa: ANN401 - any JSON value
    """Return the depth of a nested value, without recursion."""
    depth, level = 0, [value]
    while level:
        depth += 1
        containers = [item for item in level if isinstance(item, dict | list)]
        level = [
            child
            for item in containers
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


def _stamp(row: MetricRow | EventRow, now: Instant, unit: Unit | None) -> Instant:
    """Convert the row's timestamp to milliseconds, or set it to `now`; return it."""
    time = row.timestamp
    moment = now if time is None else instant_of("timestamp", time, unit)
    row.timestamp = moment
    return moment


def _stamp_series(row: SeriesRow, now: Instant, unit: Unit | None) -> Instant:
    """Convert the timestamps of a series to milliseconds if they are not; return `now`."""
    try:
        in_milliseconds = unit is None or unit is MILLISECONDS
        times = _PLAIN_TIMES_DECODER.decode(row.timestamps) if in_milliseconds else None
    except (msgspec.MsgspecError, ValueError):
        times = None
    if times is None:
        times = _parse_instants(row.timestamps, unit)
        row.timestamps = msgspec.Raw(msgspec.json.encode(times))
    if not times:
        raise bad_input("timestamps", "must not be empty")
    return now


def _parse_instants(array: msgspec.Raw, unit: Unit | None) -> list[int]:
    try:
        values = _ANY_TIMES_DECODER.decode(array)
    except (msgspec.MsgspecError, ValueError) as error:
        raise _array_error("timestamps", str(error)) from None
    times: list[int] = []
    for index, value in enumerate(values):
        try:
            times.append(instant_of("timestamps", value, unit))
        except AnalyticsError as error:
            reason = error.message.removeprefix("timestamps: ")
            raise bad_input("timestamps", f"item [{index}] {reason}", limit=error.limit) from None
    return times


class RowDecoder(Protocol[Row]):
    """Decoder of one row, and of rows in lines."""

    def decode(self, text: bytes | msgspec.Raw, /) -> Row:
        """Decode a row."""

    def decode_lines(self, lines: bytes, /) -> list[Row]:
        """Decode NDJSON."""


class ArrayDecoder(Protocol[Row]):
    """Decoder of a JSON array of rows."""

    def decode(self, array: bytes, /) -> list[Row]:
        """Decode an array."""


@dataclass(frozen=True, slots=True)
class Decoders(Generic[Row]):
    """Decoders of one row and of a JSON array of rows."""

    row: RowDecoder[Row]
    rows: ArrayDecoder[Row]

    @classmethod
    def of_type(cls, row: type[Row]) -> "Decoders[Row]":
        """Create the decoders of a row struct."""
        return cls(msgspec.json.Decoder(row), msgspec.json.Decoder(list[row]))  # type: ignore[valid-type]  # mypy knows no types at run time


@dataclass(frozen=True, slots=True, eq=False)
class Dialect(Generic[Row]):
    """Form of rows of another API: their names, and their conversion to rows of the REST API.

    `keys` maps the names of fields to other names of the REST API. `translate` returns any row as
    a row of `rest_type`, and raises an error if the other API refuses a request with this row.
    """

    rest_type: "RowType[Row]"
    keys: Mapping[str, str]
    translate: Callable[[bytes | msgspec.Raw], bytes]


@dataclass(frozen=True, slots=True, eq=False)
class RowType(Generic[Row]):
    """A type of row: its struct, its decoders, and the checks beyond the struct's limits.

    `check_texts` raises for a control character in a name or a key, `check_limits` for all else.
    `may_break_limits` is false if no row of some journal lines can fail `check_limits`. `stamp`
    converts a row's timestamp to milliseconds, or sets it to now, and returns it. Rows have one
    timestamp only if `has_timestamp` is true. `points` counts the rows of the table for some rows.
    `encoder` writes journal lines. `name_of` returns the field `name_field` of a row. Only rows of
    another API have a `dialect`; their decoders return structs of the REST API.
    """

    row: type[Row]
    decoders: Decoders[Row]
    check_texts: Callable[[Any], None]
    check_limits: Callable[[Any], None]
    may_break_limits: Callable[[bytes], bool]
    stamp: Callable[[Any, Instant, Unit | None], Instant] = _stamp
    has_timestamp: bool = True
    points: Callable[[Sequence[Row]], int] = len
    encoder: msgspec.json.Encoder = TAGS_SORTED
    name_of: Callable[[Row], str] = operator.attrgetter("metric_name")
    name_field: str = "metric_name"
    dialect: Dialect[Row] | None = None

    @property
    def rest_type(self) -> "RowType[Row]":
        """The type of these rows in the REST API and in the journal."""
        return self.dialect.rest_type if self.dialect else self

    def check(self, row: Row) -> None:
        """Raise `AnalyticsError` for a row that breaks a limit beyond those of its struct."""
        self.check_texts(row)
        self.check_limits(row)


METRIC: Final = RowType(
    MetricRow,
    Decoders.of_type(MetricRow),
    check_texts=_check_metric_texts,
    check_limits=_check_nothing,
    may_break_limits=lambda _: False,
)
METRIC_SERIES: Final = RowType(
    SeriesRow,
    Decoders.of_type(SeriesRow),
    check_texts=_check_metric_texts,
    check_limits=_check_arrays,
    may_break_limits=lambda _: True,
    stamp=_stamp_series,
    has_timestamp=False,
    points=_count_points,
)
EVENT: Final = RowType(
    EventRow,
    Decoders.of_type(EventRow),
    check_texts=_check_event_texts,
    check_limits=_check_properties,
    may_break_limits=_may_break_event_limits,
    encoder=msgspec.json.Encoder(),  # properties keep their order
    name_of=operator.attrgetter("event_name"),
    name_field="event_name",
)
