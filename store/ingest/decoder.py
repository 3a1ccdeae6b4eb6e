"""Decoder of request bodies: JSON from either API to validated rows and journal lines."""

import contextlib
import json
import operator
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic

import msgspec

from schema.access import PROJECT
from schema.errors import AnalyticsError, bad_input
from schema.recording import RowError
from schema.scalars import Instant
from store.ingest.body_lines import chunks_of
from store.ingest.id_hashes import IdHashes, hash_ids
from store.ingest.json_structure import count_items
from store.ingest.row_errors import REST_NAMES, explain, rename_field, row_error
from store.ingest.row_times import complete_times, form_of_times, lacks_times
from store.ingest.rows import MAX_POINTS, MAX_ROWS, Row, RowType
from store.journal.conversions import STORED, Conversions
from store.timestamps import MILLISECONDS, Unit

LARGE_BODY_BYTES: Final = 256 * 1024
"""Bodies from this size on are read in a thread, and decoded in parts.

Smaller ones lose more by the change of the thread: 10 % of the rows a second.
"""

_id_of: Final = operator.attrgetter("id")
_ENCODER: Final = msgspec.json.Encoder()


class _Object(msgspec.Struct, gc=False):
    """An object, whatever it has."""


_OBJECTS_DECODER: Final = msgspec.json.Decoder(list[_Object])
_RAW_ROWS_DECODER: Final = msgspec.json.Decoder(list[msgspec.Raw])
_CHUNK_ROWS: Final = 50
"""Rows that are encoded at once: 0.03 ms, or 20 ms with integers of 4,000 digits."""

MAX_ROW_BYTES: Final = 2**20
"""Bytes of a row in a batch, as of a single row; a series may have more."""

_DECODE_ERRORS: Final = (msgspec.MsgspecError, ValueError, RecursionError)


@dataclass(slots=True)  # not frozen: that takes a microsecond more
class Batch(Generic[Row]):
    """The accepted rows of a request, their journal lines, and the errors of rejected rows.

    `points` counts the rows of the table: one for each row, more for a series. `id_hashes` are the
    hashes of the client ids, in the order of the rows with an id; None without ids. `names` are
    the names of the metrics or events, None if unknown. If `has_arrival_times` is true, a row came
    without a time, and has the time of its arrival. The lines need `conversions` as they are
    loaded.
    """

    row_type: RowType[Row]
    _rows: Sequence[Row] | None
    lines: bytes
    points: int
    errors: Sequence[RowError] = ()
    id_hashes: IdHashes | None = None
    names: frozenset[str] | None = None
    has_arrival_times: bool = False
    conversions: Conversions = STORED
    project: str = PROJECT

    @property
    def rows(self) -> Sequence[Row]:
        """The rows with their times as instants, decoded from the lines at the first access."""
        if self._rows is None:
            self._rows = self.row_type.decoders.row.decode_lines(self.lines)
            for row in self._rows:
                self.row_type.stamp(row, Instant(0), MILLISECONDS)  # each line has its time
        return self._rows

    @property
    def ids(self) -> Sequence[str]:
        """The client ids, in the order of the rows with an id."""
        return list(filter(None, map(_id_of, self.rows)))

    def without_rows(self, duplicates: Container[int]) -> "Batch[Row]":
        """Return the batch without the rows at these indexes."""
        rows = [row for index, row in enumerate(self.rows) if index not in duplicates]
        batch = batch_of(self.row_type, rows, self.errors)
        batch.project = self.project
        return batch


def batch_of(
    row_type: RowType[Row], rows: Sequence[Row], errors: Sequence[RowError] = ()
) -> Batch[Row]:
    """Return validated rows as a batch."""
    ids = list(filter(None, map(_id_of, rows)))
    names = frozenset(map(row_type.name_of, rows))
    lines = b"".join(
        row_type.encoder.encode_lines(rows[start : start + _CHUNK_ROWS])
        for start in range(0, len(rows), _CHUNK_ROWS)
    )
    hashes = hash_ids(ids) if ids else None
    conversions = Conversions(form_of_times(row_type, rows))
    return Batch(
        row_type.rest_type,
        None,
        lines,
        row_type.points(rows),
        errors,
        hashes,
        names,
        conversions=conversions,
    )


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
        row = row_type.decoders.row.decode(body)
        time = row_type.stamp(row, now, unit)
        if _may_have_control_characters(body):
            row_type.check_texts(row)
        line = row_type.encoder.encode(row) + b"\n"
        if row_type.may_break_limits(line):
            row_type.check_limits(row)
        return row, time, line
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
    if body.count(b",") >= MAX_ROWS and _is_array(body) and not _has_few_objects(body):
        _check_count("rows", count_items(body), MAX_ROWS)
    batch = _read_valid(row_type, body, now, unit)
    if batch is None:
        texts = _row_texts(body)
        _check_count("rows", len(texts), MAX_ROWS)
        batch = _read_row_by_row(row_type, enumerate(texts), now, field_names, unit)
    _check_count("points", batch.points, MAX_POINTS)
    return batch


def read_lines(
    row_type: RowType[Row],
    lines: Mapping[int, bytes],
    now: Instant,
    field_names: Mapping[str, str],
    unit: Unit | None,
) -> Batch[Row]:
    """Parse some lines of NDJSON, by their indexes in the request, as `read_batch` does."""
    batch = _read_valid(row_type, b"\n".join(lines.values()), now, unit)
    return batch or _read_row_by_row(row_type, lines.items(), now, field_names, unit)


def _check_count(noun: str, count: int, limit: int) -> None:
    if count > limit:
        message = f"A batch can have at most {limit} {noun}, this one has {count}."
        raise AnalyticsError("PAYLOAD_TOO_LARGE", message, limit=limit)
    if count == 0 and noun == "rows":
        raise bad_input(None, "The batch has no rows.")


def _read_valid(
    row_type: RowType[Row], body: bytes, now: Instant, unit: Unit | None
) -> Batch[Row] | None:
    """Return a batch if all rows are valid, else None."""
    try:
        rows = _decode_rows(row_type, body)
        has_arrival_times = complete_times(row_type, rows, now, unit)
        batch = batch_of(row_type, rows)
        if _may_have_control_characters(batch.lines):
            for row in rows:
                row_type.check_texts(row)
        if row_type.may_break_limits(batch.lines):
            for row in rows:
                row_type.check_limits(row)
    except (*_DECODE_ERRORS, AnalyticsError):
        return None
    batch.has_arrival_times = has_arrival_times
    return batch


def _decode_rows(row_type: RowType[Row], body: bytes) -> list[Row]:
    """Decode a batch at once; raise when a row is invalid, or when there are none or too many."""
    rows = _decode_array(row_type, body) if _is_array(body) else _decode_lines(row_type, body)
    _check_count("rows", len(rows), MAX_ROWS)
    return rows


def _check_length(row_type: RowType[Any], text: bytes | msgspec.Raw) -> None:
    """Raise BAD_USER_INPUT for a row that is too long: to decode one holds the GIL for 0.6 s."""
    if len(text) <= MAX_ROW_BYTES or not row_type.has_timestamp:
        return
    if len(bytes(text).strip()) > MAX_ROW_BYTES:
        raise bad_input(None, f"takes at most {MAX_ROW_BYTES} bytes", limit=MAX_ROW_BYTES)


def _read_row_by_row(
    row_type: RowType[Row],
    texts: Iterable[tuple[int, bytes | msgspec.Raw]],
    now: Instant,
    field_names: Mapping[str, str],
    unit: Unit | None,
) -> Batch[Row]:
    """Decode each row alone, with its index; keep the valid rows, report the others."""
    good: list[Row] = []
    bad: list[RowError] = []
    has_arrival_times = False
    for index, text in texts:
        row: Row | _UndecodableRow = _decode_row(row_type, text, field_names)
        if isinstance(row, _UndecodableRow):
            # To raise it would tie this frame, with all rows, to itself until a collection.
            bad.append(row_error(index, row, rename_field(row.error, field_names)))
            continue
        try:
            has_own_time = not lacks_times(row_type, (row,))
            row_type.stamp(row, now, unit)
            row_type.check(row)
            good.append(row)
            has_arrival_times |= not has_own_time
        except _DECODE_ERRORS as error:
            bad.append(row_error(index, row, explain(error, field_names, text)))
        except AnalyticsError as error:
            bad.append(row_error(index, row, rename_field(error, field_names)))
    batch = batch_of(row_type, good, bad)
    batch.has_arrival_times = has_arrival_times
    return batch


def _has_few_objects(array: bytes) -> bool:
    """Return whether an array has nothing but objects, and not too many: five times as fast."""
    if array.count(b"{") > 4 * MAX_ROWS:  # with those in the rows
        return False
    try:
        return len(_OBJECTS_DECODER.decode(array)) <= MAX_ROWS
    except _DECODE_ERRORS:
        return False


def _is_array(body: bytes) -> bool:
    return body.lstrip()[:1] == b"["


def _may_have_control_characters(lines: bytes) -> bool:
    """Return whether strings of JSON may contain any; JSON must escape all but DEL."""
    return b"\\" in lines or b"\x7f" in lines


def _decode_array(row_type: RowType[Row], body: bytes) -> list[Row]:
    """Decode a JSON array; raise when a row is invalid.

    To decode 50,000 rows at once holds the GIL for 40 ms.
    """
    if len(body) < LARGE_BODY_BYTES:
        return row_type.decoders.rows.decode(body)
    texts = _RAW_ROWS_DECODER.decode(body)
    _check_length(row_type, max(texts, key=len, default=b""))
    return [row_type.decoders.row.decode(text) for text in texts]


def _decode_lines(row_type: RowType[Row], body: bytes) -> list[Row]:
    """Decode NDJSON; raise when a row is invalid, or is not exactly one line."""
    rows: list[Row] = []
    line_count = body.count(b"\n") + (not body.endswith(b"\n"))
    if line_count > MAX_ROWS:
        raise ValueError("too many rows, or blank lines")
    for chunk in chunks_of(body):
        _check_length(row_type, chunk)
        rows += row_type.decoders.row.decode_lines(chunk)
    if len(rows) != line_count:
        raise ValueError("a blank line, two rows in a line, or a row over several")
    return rows


def _row_texts(body: bytes) -> Sequence[bytes | msgspec.Raw]:
    """Split a batch with an undecodable row into the texts of its rows."""
    if not _is_array(body):
        return _line_texts(body)
    try:
        return _RAW_ROWS_DECODER.decode(body)
    except _DECODE_ERRORS as error:
        texts = _array_items(body)
        if texts is None:
            raise explain(error, REST_NAMES, body) from None
        return texts


def _line_texts(body: bytes) -> list[bytes]:
    """Split NDJSON into the lines that are not blank; other threads run between its parts.

    Raises PAYLOAD_TOO_LARGE when they are too many; then most of them are not kept.
    """
    texts: list[bytes] = []
    count = 0
    for chunk in chunks_of(body):
        if chunk.isspace():
            continue
        lines = [line for line in chunk.split(b"\n") if line.strip()]
        count += len(lines)
        if count <= MAX_ROWS:
            texts += lines
    if count > MAX_ROWS:
        _check_count("rows", count, MAX_ROWS)
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
        _check_length(row_type, text)
        return row_type.decoders.row.decode(text)
    except AnalyticsError as error:
        return _UndecodableRow(error, None)
    except _DECODE_ERRORS as error:
        if row_type.dialect:
            rest_text = row_type.dialect.translate(text)
            return _decode_row(row_type.rest_type, rest_text, field_names)
        own_id = None
        with contextlib.suppress(*_DECODE_ERRORS):
            own_id = _ID_DECODER.decode(text).id
        return _UndecodableRow(explain(error, field_names, text), own_id)
