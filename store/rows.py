"""Rows on their way in: their fields and limits, which are also those of their journal lines.

Everything that the engine could refuse is refused here: one bad row would make it refuse a whole
segment.
"""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from schema.errors import AnalyticsError, bad_input
from schema.scalars import Instant, instant

MAX_NAME: Final = 200
MAX_TAGS: Final = 64
MAX_TAG_VALUE: Final = 1000
MAX_PROPERTIES: Final = 255
MAX_PROPERTIES_BYTES: Final = 32_768
MAX_DEPTH: Final = 64
MAX_ROWS: Final = 50_000
MAX_POINTS: Final = 250_000
MAX_INTEGER: Final = 2**53 - 1
MAX_TIME: Final = Instant(4_102_444_799_999)  # 2099 ends, well inside the engine's DateTime64

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Key = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
TagValue = Annotated[str, Meta(max_length=MAX_TAG_VALUE)]
Tags = Annotated[dict[Key, TagValue], Meta(max_length=MAX_TAGS)]
Properties = Annotated[dict[Key, Any], Meta(max_length=MAX_PROPERTIES)]
Number = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)] | float
Time = datetime | Annotated[int, Meta(ge=0, le=MAX_TIME)] | None


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class MetricRow(
    msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, gc=False
):
    """One metric point, in the words of the REST API; also its journal line."""

    metric_name: Name
    value: Number
    tags: Tags | None = None
    timestamp: Time = None
    id: Name | None = None


class SeriesRow(
    msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, gc=False
):
    """Points that share name and tags, as two arrays of one length; also their journal line.

    The arrays stay the text that they came as: they are read once, to be checked.
    """

    metric_name: Name
    timestamps: msgspec.Raw
    values: msgspec.Raw
    tags: Tags | None = None
    id: Name | None = None


class EventRow(
    msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, gc=False
):
    """One event, in the words of the REST API; also its journal line."""

    event_name: Name
    user_id: Name | None = None
    session_id: Name | None = None
    properties: Properties | None = None
    timestamp: Time = None
    id: Name | None = None


Row = TypeVar("Row", MetricRow, SeriesRow, EventRow)


def _check_metric(row: MetricRow, *, doubtful: bool) -> None:
    if doubtful:
        _refuse_control_characters("metric_name", row.metric_name)
        for key in row.tags or ():
            _refuse_control_characters("tags", key)


def _check_event(row: EventRow, *, doubtful: bool) -> None:
    if doubtful:
        _refuse_control_characters("event_name", row.event_name)
    if not row.properties:
        return
    encoded = msgspec.json.encode(row.properties)
    if len(encoded) > MAX_PROPERTIES_BYTES:
        message = f"must be at most {MAX_PROPERTIES_BYTES} bytes as JSON"
        raise bad_input("properties", message, limit=MAX_PROPERTIES_BYTES)
    opened = encoded.count(b"{") + encoded.count(b"[")  # at least the depth, and cheap
    if opened > MAX_DEPTH and _depth(row.properties) > MAX_DEPTH:
        raise bad_input("properties", f"must be at most {MAX_DEPTH} deep", limit=MAX_DEPTH)


_TIMES: Final = msgspec.json.Decoder(list[Annotated[int, Meta(ge=0, le=MAX_TIME)]])
_VALUES: Final = msgspec.json.Decoder(list[Number])


def _check_series(row: SeriesRow, *, doubtful: bool) -> None:
    if doubtful:
        _refuse_control_characters("metric_name", row.metric_name)
        for key in row.tags or ():
            _refuse_control_characters("tags", key)
    field = "timestamps"
    try:
        times = len(_TIMES.decode(row.timestamps))
        field = "values"
        values = len(_VALUES.decode(row.values))
    except (msgspec.MsgspecError, ValueError) as error:
        raise _bad_array(field, str(error)) from None
    if times == 0:
        raise bad_input("timestamps", "must not be empty")
    if times != values:
        message = f"must be as many as timestamps ({times}), not {values}"
        raise bad_input("values", message, limit=times)


def _bad_array(field: str, reason: str) -> AnalyticsError:
    if field == "timestamps" and "=" in reason:
        return bad_input(field, "must be from 1970 to 2099, in milliseconds", limit=MAX_TIME)
    return bad_input(field, reason.replace("`", "").replace("$", "item ")[: 2 * MAX_NAME])


def _points_of_series(rows: Sequence[SeriesRow]) -> int:
    """Count points: an array of numbers has a comma between two of them and nowhere else."""
    return sum(bytes(row.timestamps).count(b",") + 1 for row in rows)


def _refuse_control_characters(field: str, text: str) -> None:
    if _CONTROL.search(text):
        raise bad_input(field, "must have no control characters")


def _depth(value: Any) -> int:  # noqa: ANN401 - any JSON value
    """Return how deep a value is nested, without recursion."""
    depth, level = 0, [value]
    while level:
        depth += 1
        nested = [item for item in level if isinstance(item, dict | list)]
        level = [
            child
            for item in nested
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


def _stamp(row: MetricRow | EventRow, now: Instant) -> Instant:
    """Turn the row's time into milliseconds, or set it; return it."""
    time = row.timestamp
    if time is None:
        row.timestamp = now
        return now
    if isinstance(time, int):
        return Instant(time)
    if time.tzinfo is None:
        raise bad_input("timestamp", "must have an offset, like 2025-10-30T12:34:56.789Z")
    moment = instant(time)
    if not 0 <= moment <= MAX_TIME:
        raise untimely()
    row.timestamp = moment
    return moment


def untimely() -> AnalyticsError:
    """Return the refusal of a time that is too early or too late."""
    return bad_input("timestamp", "must be from 1970 to 2099", limit=MAX_TIME)


def _own_times(_: SeriesRow, now: Instant) -> Instant:
    return now


@dataclass(frozen=True, slots=True)
class Kind(Generic[Row]):
    """One kind of row: its type, its decoders, and the check of what the type can't say.

    `check` is told whether the JSON's texts can have control characters at all. `stamp` turns a
    row's time into milliseconds, or sets it to now, and returns it; only a `timed` row has one.
    `points` says how many rows of the table some rows stand for.
    """

    row: type[Row]
    check: Callable[..., None]
    always_check: bool
    one: msgspec.json.Decoder[Row]
    many: msgspec.json.Decoder[list[Row]]
    stamp: Callable[[Any, Instant], Instant] = _stamp
    timed: bool = True
    points: Callable[[Sequence[Row]], int] = len
    name_of: Callable[[Row], str] = operator.attrgetter("metric_name")


METRIC: Final = Kind(
    MetricRow,
    _check_metric,
    always_check=False,
    one=msgspec.json.Decoder(MetricRow),
    many=msgspec.json.Decoder(list[MetricRow]),
)
METRIC_SERIES: Final = Kind(
    SeriesRow,
    _check_series,
    always_check=True,
    one=msgspec.json.Decoder(SeriesRow),
    many=msgspec.json.Decoder(list[SeriesRow]),
    stamp=_own_times,
    timed=False,
    points=_points_of_series,
)
EVENT: Final = Kind(
    EventRow,
    _check_event,
    always_check=True,
    one=msgspec.json.Decoder(EventRow),
    many=msgspec.json.Decoder(list[EventRow]),
    name_of=operator.attrgetter("event_name"),
)
