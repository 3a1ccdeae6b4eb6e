"""Reads the rows of a request: JSON, from whichever door, to checked rows and journal lines."""

import contextlib
import json
import operator
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic

import msgspec
import re2

from schema.errors import AnalyticsError, bad_input
from schema.recording import RowError
from schema.scalars import Instant
from store.ingest.id_hashes import IdHashes, of_ids
from store.ingest.row_errors import REST_NAMES, explain, rename_field, row_error
from store.ingest.rows import MAX_POINTS, MAX_ROWS, Decoders, Row, RowType
from store.timestamps import Unit

_OWN_ID: Final = operator.attrgetter("id")
_ENCODER: Final = msgspec.json.Encoder()
_RAW_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)


@dataclass(slots=True)  # not frozen: that takes a microsecond more
class Batch(Generic[Row]):
    """The accepted rows of a request, their journal lines, and the refused rows.

    `points` is the number of rows that the table gets: one for each row, more for a series.
    `fingerprints` are of the ids that clients gave, in the order of the rows that have one, None if
    none has; `names` are those of the metrics or events, None if they are not known.
    """

    kind: RowType[Row]
    _rows: Sequence[Row] | None
    lines: bytes
    points: int
    errors: Sequence[RowError] = ()
    id_hashes: IdHashes | None = None
    names: frozenset[str] | None = None

    @property
    def rows(self) -> Sequence[Row]:
        """The rows, read from the lines if nobody did it before."""
        if self._rows is None:
            self._rows = self.kind.plain.row.decode_lines(self.lines)
        return self._rows

    @property
    def ids(self) -> Sequence[str]:
        """The ids that clients gave."""
        return list(filter(None, map(_OWN_ID, self.rows)))

    def without_rows(self, duplicates: Container[int]) -> "Batch[Row]":
        """Return the batch without the rows at these places."""
        rows = [row for place, row in enumerate(self.rows) if place not in duplicates]
        return batch_of(self.kind, rows, self.errors)


def batch_of(
    kind: RowType[Row], rows: Sequence[Row], refused_rows: Sequence[RowError] = ()
) -> Batch[Row]:
    """Return rows that were checked as a batch."""
    ids = list(filter(None, map(_OWN_ID, rows)))
    names = frozenset(map(kind.name_of, rows))
    lines = kind.encoder.encode_lines(rows)
    hashes = of_ids(ids) if ids else None
    return Batch(kind, rows, lines, kind.points(rows), refused_rows, hashes, names)


class _OwnId(msgspec.Struct):
    id: str | None = None


_ID: Final = msgspec.json.Decoder(_OwnId)


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """A row that can't be decoded, and its own id if that can."""

    error: AnalyticsError
    id: str | None


def read_one(
    kind: RowType[Row], body: bytes, now: Instant, unit: Unit | None = None
) -> tuple[Batch[Row], Instant]:
    """Return the single row in `body`, and its time (`now` if it has none).

    Raises `AnalyticsError` that names the field and the limit.
    """
    try:
        row = kind.any_time.row.decode(body)
        time = kind.stamp(row, now, unit)
        kind.check(row, doubtful=_may_have_control_characters(body))
        hashes = of_ids((row.id,)) if row.id else None
        names = frozenset((kind.name_of(row),))
        return Batch(kind, [row], kind.encoder.encode(row) + b"\n", 1, (), hashes, names), time
    except _UNREADABLE as error:
        raise explain(error, REST_NAMES, body) from None


def as_json(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Return rows that are already objects as the JSON that `read_batch` reads."""
    try:
        return _ENCODER.encode(rows)
    except _UNREADABLE as error:  # a lone surrogate has no UTF-8 form
        raise bad_input(None, f"The rows are not valid JSON: {error}") from None


def read_batch(
    kind: RowType[Row],
    body: bytes,
    now: Instant,
    names: Mapping[str, str] = REST_NAMES,
    unit: Unit | None = None,
) -> Batch[Row]:
    """Read a JSON array or NDJSON of rows; keep the good, report the bad by index.

    `unit` is that of numeric timestamps, None if the sender gave none. Raises `AnalyticsError` when
    the body is no list of rows, or has too many.
    """
    batch = None
    if unit is None and not _ODD_TIME.search(body[:_SAMPLE_BYTES]):
        batch = _read_plain(kind, body, now)
    if batch is None:
        batch = _read_any_time(kind, body, now, unit)
    if batch is None:
        batch = _read_row_by_row(kind, body, now, names, unit)
    _check_number("points", batch.points, MAX_POINTS)
    return batch


def _check_number(of: str, number: int, limit: int) -> None:
    if number > limit:
        message = f"A batch can have at most {limit} {of}, this one has {number}."
        raise AnalyticsError("PAYLOAD_TOO_LARGE", message, limit=limit)
    if number == 0 and of == "rows":
        raise bad_input(None, "The batch has no rows.")


def _read_plain(kind: RowType[Row], body: bytes, now: Instant) -> Batch[Row] | None:
    """Return a batch whose times are usual ones and whose rows are all good, else None."""
    try:
        rows = _decoded(kind.plain, body)
        if kind.has_timestamp:
            _stamp_plain(kind, rows, now, body)
        else:
            for row in rows:
                kind.stamp(row, now, None)
        return _checked(kind, rows, body)
    except (*_UNREADABLE, AnalyticsError):
        return None


def _read_any_time(
    kind: RowType[Row], body: bytes, now: Instant, unit: Unit | None
) -> Batch[Row] | None:
    """Return a batch whose rows are all good, else None."""
    try:
        rows = _decoded(kind.any_time, body)
        for row in rows:
            kind.stamp(row, now, unit)
        return _checked(kind, rows, body)
    except (*_UNREADABLE, AnalyticsError):
        return None


def _decoded(decoders: Decoders[Row], body: bytes) -> list[Row]:
    """Decode a batch in one go; raise when some row is bad, or when there are none or too many."""
    rows = decoders.rows.decode(body) if _is_array(body) else _lines(decoders, body)
    _check_number("rows", len(rows), MAX_ROWS)
    return rows


def _latin1() -> Any:  # noqa: ANN401 - re2 has no types
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # byte by byte, whatever the bytes
    return options


# Times that msgspec reads in another way than RFC 3339 says: it rounds at the seventh digit, and
# takes an offset without a colon. Each character can be written as an escape.
_ODD_TIME: Final = re2.compile(
    rb':[0-9]{2}(?:\.[0-9]{7}|(?:\.[0-9]+)?[-+][0-9]{4}")|\\u00(?:3[0-9aA]|2[bdeBDE])',
    options=_latin1(),
)


_SAMPLE_BYTES: Final = 2_000
"""Of the beginning of a body, to tell in time which times its sender writes."""


def _stamp_plain(kind: RowType[Row], rows: list[Row], now: Instant, body: bytes) -> None:
    searched = False
    for row in rows:
        time = row.timestamp  # type: ignore[attr-defined]  # the kind is timed
        if time.__class__ is not int:
            if time.__class__ is datetime and not searched:
                if _ODD_TIME.search(body):
                    raise ValueError("some time is for the parser")
                searched = True
            kind.stamp(row, now, None)


def _checked(kind: RowType[Row], rows: list[Row], body: bytes) -> Batch[Row]:
    doubtful = _may_have_control_characters(body)
    if doubtful or kind.always_check:
        for row in rows:
            kind.check(row, doubtful=doubtful)
    return batch_of(kind, rows)


def _read_row_by_row(
    kind: RowType[Row], body: bytes, now: Instant, names: Mapping[str, str], unit: Unit | None
) -> Batch[Row]:
    """Keep the rows of a batch that are good, report those that are bad."""
    texts = _row_texts(body)
    _check_number("rows", len(texts), MAX_ROWS)
    doubtful = _may_have_control_characters(body)
    good: list[Row] = []
    bad: list[RowError] = []
    for index, text in enumerate(texts):
        row: Row | _Unreadable = _decode(kind, text, names)
        try:
            if isinstance(row, _Unreadable):
                raise row.error
            kind.stamp(row, now, unit)
            kind.check(row, doubtful=doubtful)
            good.append(row)
        except _UNREADABLE as error:
            bad.append(row_error(index, row, explain(error, names, text)))
        except AnalyticsError as error:
            bad.append(row_error(index, row, rename_field(error, names)))
    return batch_of(kind, good, bad)


def _is_array(body: bytes) -> bool:
    return body.lstrip()[:1] == b"["


def _may_have_control_characters(body: bytes) -> bool:
    """Say whether the texts in a JSON body can have any: all but DEL must be escaped there."""
    return b"\\" in body or b"\x7f" in body


def _lines(decoders: Decoders[Row], body: bytes) -> list[Row]:
    """Decode NDJSON in one go; raise when a row is bad, or is not just one line."""
    rows = decoders.row.decode_lines(body)
    if len(rows) != body.count(b"\n") + (not body.endswith(b"\n")):
        raise ValueError("a blank line, two rows in a line, or a row over several")
    return rows


def _row_texts(body: bytes) -> Sequence[bytes | msgspec.Raw]:
    """Split a batch in which some row can't be read into the texts of its rows."""
    if not _is_array(body):
        return [line for line in body.split(b"\n") if line.strip()]
    try:
        return _RAW_ROWS.decode(body)
    except _UNREADABLE as error:
        texts = _array_items(body)
        if texts is None:
            raise explain(error, REST_NAMES, body) from None
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
    kind: RowType[Row], text: bytes | msgspec.Raw, names: Mapping[str, str]
) -> Row | _Unreadable:
    try:
        return kind.any_time.row.decode(text)
    except _UNREADABLE as error:
        own_id = None
        with contextlib.suppress(*_UNREADABLE):
            own_id = _ID.decode(text).id
        return _Unreadable(explain(error, names, text), own_id)
