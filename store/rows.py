"""Rows on their way in: what is accepted, and the journal lines that accepted rows become.

A row is decoded and checked once, from JSON, whichever door it came through. Everything that the
engine could refuse is refused here: one bad row would make it refuse a whole batch.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from schema.errors import AnalyticsError, bad_input
from schema.recording import RowError
from schema.scalars import Instant, instant

MAX_NAME: Final = 200
MAX_TAGS: Final = 64
MAX_TAG_VALUE: Final = 1000
MAX_PROPERTIES: Final = 255
MAX_PROPERTIES_BYTES: Final = 32_768
MAX_DEPTH: Final = 64
MAX_ROWS: Final = 50_000
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


class EventRow(
    msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, gc=False
):
    """One event, in the words of the REST API; also its journal line."""

    event_name: Name
    user_id: Name | None = None
    properties: Properties | None = None
    timestamp: Time = None
    id: Name | None = None


Row = TypeVar("Row", MetricRow, EventRow)


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


def _refuse_control_characters(field: str, text: str) -> None:
    if _CONTROL.search(text):
        raise bad_input(field, "must have no control characters")


def _may_have_control_characters(body: bytes) -> bool:
    """Say whether the texts in a JSON body can have any: all but DEL must be escaped there."""
    return b"\\" in body or b"\x7f" in body


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


@dataclass(frozen=True, slots=True)
class Kind(Generic[Row]):
    """One kind of row: its type, its decoders, and the check of what the type can't say.

    `check` is told whether the JSON's texts can have control characters at all.
    """

    row: type[Row]
    check: Callable[..., None]
    always_check: bool
    one: msgspec.json.Decoder[Row]
    many: msgspec.json.Decoder[list[Row]]


METRIC: Final = Kind(
    MetricRow,
    _check_metric,
    always_check=False,
    one=msgspec.json.Decoder(MetricRow),
    many=msgspec.json.Decoder(list[MetricRow]),
)
EVENT: Final = Kind(
    EventRow,
    _check_event,
    always_check=True,
    one=msgspec.json.Decoder(EventRow),
    many=msgspec.json.Decoder(list[EventRow]),
)

GRAPHQL_NAMES: Final[Mapping[str, str]] = {
    "metric_name": "name",
    "event_name": "name",
    "user_id": "userId",
    "timestamp": "time",
}
"""What the GraphQL inputs call a field whose REST name is another."""

REST_NAMES: Final[Mapping[str, str]] = {}


class _OwnId(msgspec.Struct):
    id: str | None = None


_ID: Final = msgspec.json.Decoder(_OwnId)
_RAW_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class Batch:
    """The accepted rows of a request as journal lines, and the refused ones."""

    lines: bytes
    rows: int
    refused: list[RowError]


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """A row that can't be decoded, and its own id if that can."""

    error: AnalyticsError
    id: str | None


def read_one(kind: Kind[Row], body: bytes, now: Instant) -> tuple[Row, Instant, bytes]:
    """Return the single row in `body`, its time (`now` if it has none), and its line.

    Raises `AnalyticsError` that names the field and the limit.
    """
    try:
        row = kind.one.decode(body)
        time = _stamp(row, now)
        kind.check(row, doubtful=_may_have_control_characters(body))
        return row, time, _ENCODER.encode(row) + b"\n"
    except _UNREADABLE as error:
        raise _explained(error, REST_NAMES) from None


def as_json(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Return rows that are already objects as the JSON that `read_batch` reads."""
    try:
        return _ENCODER.encode(rows)
    except _UNREADABLE as error:  # a lone surrogate has no UTF-8 form
        raise bad_input(None, f"The rows are not valid JSON: {error}") from None


def read_batch(
    kind: Kind[Row], body: bytes, now: Instant, names: Mapping[str, str] = REST_NAMES
) -> Batch:
    """Read a JSON array or NDJSON of rows; keep the good, report the bad by index.

    Raises `AnalyticsError` when the body is no list of rows, has too many, or no good one.
    """
    as_array = body.lstrip()[:1] == b"["
    try:
        rows = kind.many.decode(body) if as_array else _lines(kind, body)
        candidates: Iterable[Row | _Unreadable] = rows
        count = len(rows)
    except _UNREADABLE:
        texts = _row_texts(body, as_array=as_array)
        candidates = (_decode(kind, text, names) for text in texts)
        count = len(texts)
    if count == 0:
        raise bad_input(None, "The batch has no rows.")
    if count > MAX_ROWS:
        message = f"A batch can have at most {MAX_ROWS} rows, this one has {count}."
        raise AnalyticsError("PAYLOAD_TOO_LARGE", message, limit=MAX_ROWS)
    return _sift(kind, candidates, now, names, doubtful=_may_have_control_characters(body))


def _sift(
    kind: Kind[Row],
    candidates: Iterable[Row | _Unreadable],
    now: Instant,
    names: Mapping[str, str],
    *,
    doubtful: bool,
) -> Batch:
    good: list[Row] = []
    refused: list[RowError] = []
    check = kind.check if doubtful or kind.always_check else None
    for index, row in enumerate(candidates):
        try:
            if isinstance(row, _Unreadable):
                raise row.error
            if row.timestamp.__class__ is not int:
                _stamp(row, now)
            if check:
                check(row, doubtful=doubtful)
            good.append(row)
        except _UNREADABLE as error:
            refused.append(_refused(index, row, _explained(error, names)))
        except AnalyticsError as error:
            refused.append(_refused(index, row, _renamed(error, names)))
    if not good:
        useless = bad_input(None, f"No row of the batch is valid; the first: {refused[0].message}")
        useless.rows = [msgspec.to_builtins(row) for row in refused[:100]]
        raise useless
    return Batch(_ENCODER.encode_lines(good), len(good), refused)


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
        raise _untimely()
    row.timestamp = moment
    return moment


def _untimely() -> AnalyticsError:
    return bad_input("timestamp", "must be from 1970 to 2099", limit=MAX_TIME)


def _lines(kind: Kind[Row], body: bytes) -> list[Row]:
    """Decode NDJSON in one go; raise when a row is bad, or is not just one line."""
    rows = kind.one.decode_lines(body)
    if len(rows) != body.count(b"\n") + (not body.endswith(b"\n")):
        raise ValueError("a blank line, two rows in a line, or a row over several")
    return rows


def _row_texts(body: bytes, *, as_array: bool) -> Sequence[bytes | msgspec.Raw]:
    """Split a batch in which some row can't be read into the texts of its rows."""
    if not as_array:
        return [line for line in body.split(b"\n") if line.strip()]
    try:
        return _RAW_ROWS.decode(body)
    except _UNREADABLE as error:
        texts = _array_items(body)
        if texts is None:
            raise _explained(error, REST_NAMES) from None
        return texts


def _array_items(body: bytes) -> list[bytes] | None:
    """Split a JSON array that the standard library can read, or return None.

    It admits half of a surrogate pair, which JavaScript's clients do send: that row alone is bad.
    """
    try:
        items = json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return [json.dumps(item).encode() for item in items]


def _no_number(name: str) -> None:
    raise ValueError(name)


def _decode(
    kind: Kind[Row], text: bytes | msgspec.Raw, names: Mapping[str, str]
) -> Row | _Unreadable:
    try:
        return kind.one.decode(text)
    except _UNREADABLE as error:
        own_id = None
        with contextlib.suppress(*_UNREADABLE):
            own_id = _ID.decode(text).id
        return _Unreadable(_explained(error, names), own_id)


def _refused(index: int, row: object, error: AnalyticsError) -> RowError:
    return RowError(
        index=index,
        id=getattr(row, "id", None),
        field=error.field,
        code=error.code,
        message=error.message,
    )


_AT: Final = re.compile(r" - at (?:`key` in )?`\$(?:\[\d+\])?\.?(\w+)?.*`$")
_NAMED: Final = re.compile(r"(?:required|unknown) field `(.*?)`")
_LIMIT: Final = re.compile(r"(?:<=|>=) (-?\d+)")


def _explained(error: Exception, names: Mapping[str, str]) -> AnalyticsError:
    """Turn a decoder's error into one that names the field and the limit."""
    if isinstance(error, AnalyticsError):
        return _renamed(error, names)
    if isinstance(error, RecursionError):
        return bad_input(None, f"nested too deeply (at most {MAX_DEPTH})", limit=MAX_DEPTH)
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return AnalyticsError("BAD_REQUEST", f"The row is not valid JSON: {text}")
    at, named, limit = _AT.search(text), _NAMED.search(text), _LIMIT.search(text)
    field = at[1] if at else None
    if named and not field:
        field = named[1][:MAX_NAME]
    bound = int(limit[1]) if limit else None
    if field == "timestamp" and limit:
        return _renamed(_untimely(), names)
    reason = (text[: at.start()] if at else text)[: 2 * MAX_NAME]
    return _renamed(bad_input(field, reason.replace("`", ""), limit=bound), names)


def _renamed(error: AnalyticsError, names: Mapping[str, str]) -> AnalyticsError:
    """Speak of the field in the words of the door."""
    if error.field is None or error.field not in names:
        return error
    ours, theirs = error.field, names[error.field]
    message = error.message.replace(ours, theirs, 1)
    return bad_input(theirs, message.removeprefix(f"{theirs}: "), limit=error.limit)
