"""Decoder of request bodies: JSON from either API to validated rows and journal lines."""

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
from store.ingest.id_hashes import IdHashes, hash_ids
from store.ingest.row_errors import REST_NAMES, explain, rename_field, row_error
from store.ingest.rows import MAX_POINTS, MAX_ROWS, Decoders, Row, RowType
from store.timestamps import Unit

_id_of: Final = operator.attrgetter("id")
_ENCODER: Final = msgspec.json.Encoder()
_RAW_ROWS_DECODER: Final = msgspec.json.Decoder(list[msgspec.Raw])
_DECODE_ERRORS: Final = (msgspec.MsgspecError, ValueError, RecursionError)


@dataclass(slots=True)  # not frozen: that takes a microsecond more
class Batch(Generic[Row]):
    """The accepted rows of a request, their journal lines, and the errors of rejected rows.

    `points` counts the rows of the table: one for each row, more for a series. `id_hashes` are the
    hashes of the client ids, in the order of the rows with an id; None without ids. `names` are
    the names of the metrics or events, None if unknown.
    """

    row_type: RowType[Row]
    _rows: Sequence[Row] | None
    lines: bytes
    points: int
    errors: Sequence[RowError] = ()
    id_hashes: IdHashes | None = None
    names: frozenset[str] | None = None

    @property
    def rows(self) -> Sequence[Row]:
        """The rows, decoded from the lines at the first access."""
        if self._rows is None:
            self._rows = self.row_type.plain.row.decode_lines(self.lines)
        return self._rows

    @property
    def ids(self) -> Sequence[str]:
        """The client ids, in the order of the rows with an id."""
        return list(filter(None, map(_id_of, self.rows)))

    def without_rows(self, duplicates: Container[int]) -> "Batch[Row]":
        """Return the batch without the rows at these indexes."""
        rows = [row for index, row in enumerate(self.rows) if index not in duplicates]
        return batch_of(self.row_type, rows, self.errors)


def batch_of(
    row_type: RowType[Row], rows: Sequence[Row], errors: Sequence[RowError] = ()
) -> Batch[Row]:
    """Return validated rows as a batch."""
    ids = list(filter(None, map(_id_of, rows)))
    names = frozenset(map(row_type.name_of, rows))
    lines = row_type.encoder.encode_lines(rows)
    hashes = hash_ids(ids) if ids else None
    return Batch(row_type, rows, lines, row_type.points(rows), errors, hashes, names)


class _RowId(msgspec.Struct):
    id: str | None = None


_ID_DECODER: Final = msgspec.json.Decoder(_RowId)


@dataclass(frozen=True, slots=True)
class _UndecodableRow:
    """A row that can't be decoded, with its client id if that can be decoded."""

    error: AnalyticsError
    id: str | None


def read_one(
    row_type: RowType[Row], body: bytes, now: Instant, unit: Unit | None = None
) -> tuple[Row, Instant, bytes]:
    """Parse the single row in `body`; return it, its time (`now` if it has none) and its line.

    Raises `AnalyticsError` with the field and the limit.
    """
    try:
        row = row_type.any_time.row.decode(body)
        time = row_type.stamp(row, now, unit)
        may_have_controls = _may_have_control_characters(body)
        if may_have_controls or row_type.always_check:
            row_type.check(row, may_have_controls=may_have_controls)
        return row, time, row_type.encoder.encode(row) + b"\n"
    except _DECODE_ERRORS as error:
        raise explain(error, REST_NAMES, body) from None


def encode_rows(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Encode rows that are objects as JSON for `read_batch`."""
    try:
        return _ENCODER.encode(rows)
    except _DECODE_ERRORS as error:  # a lone surrogate has no UTF-8 form
        raise bad_input(None, f"The rows are not valid JSON: {error}") from None


def read_batch(
    row_type: RowType[Row],
    body: bytes,
    now: Instant,
    field_names: Mapping[str, str] = REST_NAMES,
    unit: Unit | None = None,
) -> Batch[Row]:
    """Parse a JSON array or NDJSON of rows; keep the valid rows, report the others by index.

    `field_names` maps REST names to names of the calling API. `unit` is the unit of numeric
    timestamps, None if the sender gave none. Raises `AnalyticsError` when the body is no list of
    rows, or has too many.
    """
    batch = None
    if unit is None and not _UNUSUAL_TIME.search(body[:_SAMPLE_BYTES]):
        batch = _read_plain(row_type, body, now)
    if batch is None:
        batch = _read_any_time(row_type, body, now, unit)
    if batch is None:
        batch = _read_row_by_row(row_type, body, now, field_names, unit)
    _check_count("points", batch.points, MAX_POINTS)
    return batch


def _check_count(noun: str, count: int, limit: int) -> None:
    if count > limit:
        message = f"A batch can have at most {limit} {noun}, this one has {count}."
        raise AnalyticsError("PAYLOAD_TOO_LARGE", message, limit=limit)
    if count == 0 and noun == "rows":
        raise bad_input(None, "The batch has no rows.")


def _read_plain(row_type: RowType[Row], body: bytes, now: Instant) -> Batch[Row] | None:
    """Return a batch if all rows are valid and their timestamps have a usual form, else None."""
    try:
        rows = _decode_rows(row_type.plain, body)
        if row_type.has_timestamp:
            _stamp_plain(row_type, rows, now, body)
        else:
            for row in rows:
                row_type.stamp(row, now, None)
        return _check_rows(row_type, rows, body)
    except (*_DECODE_ERRORS, AnalyticsError):
        return None


def _read_any_time(
    row_type: RowType[Row], body: bytes, now: Instant, unit: Unit | None
) -> Batch[Row] | None:
    """Return a batch if all rows are valid, else None."""
    try:
        rows = _decode_rows(row_type.any_time, body)
        for row in rows:
            row_type.stamp(row, now, unit)
        return _check_rows(row_type, rows, body)
    except (*_DECODE_ERRORS, AnalyticsError):
        return None


def _decode_rows(decoders: Decoders[Row], body: bytes) -> list[Row]:
    """Decode a batch at once; raise when a row is invalid, or when there are none or too many."""
    rows = decoders.rows.decode(body) if _is_array(body) else _decode_lines(decoders, body)
    _check_count("rows", len(rows), MAX_ROWS)
    return rows


def _latin1() -> Any:  # noqa: ANN401 - re2 has no types
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # byte by byte, whatever the bytes
    return options


# Timestamps that msgspec decodes otherwise than RFC 3339: it rounds at the seventh digit, and
# accepts an offset without a colon. Each character of them can be an escape.
_UNUSUAL_TIME: Final = re2.compile(
    rb':[0-9]{2}(?:\.[0-9]{7}|(?:\.[0-9]+)?[-+][0-9]{4}")|\\u00(?:3[0-9aA]|2[bdeBDE])',
    options=_latin1(),
)


_SAMPLE_BYTES: Final = 2_000
"""Bytes at the beginning of a body that are searched for unusual timestamps before decoding."""


def _stamp_plain(row_type: RowType[Row], rows: list[Row], now: Instant, body: bytes) -> None:
    is_searched = False
    for row in rows:
        time = row.timestamp  # type: ignore[attr-defined]  # the row type has one
        if time.__class__ is not int:
            if time.__class__ is datetime and not is_searched:
                if _UNUSUAL_TIME.search(body):
                    raise ValueError("a timestamp is for the exact parser")
                is_searched = True
            row_type.stamp(row, now, None)


def _check_rows(row_type: RowType[Row], rows: list[Row], body: bytes) -> Batch[Row]:
    may_have_controls = _may_have_control_characters(body)
    if may_have_controls or row_type.always_check:
        for row in rows:
            row_type.check(row, may_have_controls=may_have_controls)
    return batch_of(row_type, rows)


def _read_row_by_row(
    row_type: RowType[Row],
    body: bytes,
    now: Instant,
    field_names: Mapping[str, str],
    unit: Unit | None,
) -> Batch[Row]:
    """Decode each row alone; keep the valid rows, report the others."""
    texts = _row_texts(body)
    _check_count("rows", len(texts), MAX_ROWS)
    may_have_controls = _may_have_control_characters(body)
    good: list[Row] = []
    bad: list[RowError] = []
    for index, text in enumerate(texts):
        row: Row | _UndecodableRow = _decode_row(row_type, text, field_names)
        try:
            if isinstance(row, _UndecodableRow):
                raise row.error
            row_type.stamp(row, now, unit)
            row_type.check(row, may_have_controls=may_have_controls)
            good.append(row)
        except _DECODE_ERRORS as error:
            bad.append(row_error(index, row, explain(error, field_names, text)))
        except AnalyticsError as error:
            bad.append(row_error(index, row, rename_field(error, field_names)))
    return batch_of(row_type, good, bad)


def _is_array(body: bytes) -> bool:
    return body.lstrip()[:1] == b"["


def _may_have_control_characters(body: bytes) -> bool:
    """Return whether strings of a JSON body may contain any; JSON must escape all but DEL."""
    return b"\\" in body or b"\x7f" in body


def _decode_lines(decoders: Decoders[Row], body: bytes) -> list[Row]:
    """Decode NDJSON at once; raise when a row is invalid, or is not exactly one line."""
    rows = decoders.row.decode_lines(body)
    if len(rows) != body.count(b"\n") + (not body.endswith(b"\n")):
        raise ValueError("a blank line, two rows in a line, or a row over several")
    return rows


def _row_texts(body: bytes) -> Sequence[bytes | msgspec.Raw]:
    """Split a batch with an undecodable row into the texts of its rows."""
    if not _is_array(body):
        return [line for line in body.split(b"\n") if line.strip()]
    try:
        return _RAW_ROWS_DECODER.decode(body)
    except _DECODE_ERRORS as error:
        texts = _array_items(body)
        if texts is None:
            raise explain(error, REST_NAMES, body) from None
        return texts


def _array_items(body: bytes) -> list[bytes] | None:
    """Split a JSON array by the standard library; return None if that fails too.

    The standard library accepts half of a surrogate pair, which JavaScript clients send. Only the
    row with it is invalid then.
    """
    try:
        items = json.loads(body.decode(), parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        return None
    return [json.dumps(item).encode() for item in items]


def _reject_constant(name: str) -> None:
    raise ValueError(name)


def _decode_row(
    row_type: RowType[Row], text: bytes | msgspec.Raw, field_names: Mapping[str, str]
) -> Row | _UndecodableRow:
    try:
        return row_type.any_time.row.decode(text)
    except _DECODE_ERRORS as error:
        own_id = None
        with contextlib.suppress(*_DECODE_ERRORS):
            own_id = _ID_DECODER.decode(text).id
        return _UndecodableRow(explain(error, field_names, text), own_id)
