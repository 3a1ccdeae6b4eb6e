"""Reads the rows of a request: JSON, from whichever door, to checked rows and journal lines."""

import contextlib
import json
import operator
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic

import msgspec

from schema.errors import AnalyticsError, bad_input
from schema.recording import RowError
from schema.scalars import Instant
from store.fingerprints import Fingerprints, of_ids
from store.refusals import REST_NAMES, explained, refused, renamed
from store.rows import MAX_POINTS, MAX_ROWS, Kind, Row

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

    kind: Kind[Row]
    _rows: Sequence[Row] | None
    lines: bytes
    points: int
    refused: Sequence[RowError] = ()
    fingerprints: Fingerprints | None = None
    names: frozenset[str] | None = None

    @property
    def rows(self) -> Sequence[Row]:
        """The rows, read from the lines if nobody did it before."""
        if self._rows is None:
            self._rows = self.kind.one.decode_lines(self.lines)
        return self._rows

    @property
    def ids(self) -> Sequence[str]:
        """The ids that clients gave."""
        return list(filter(None, map(_OWN_ID, self.rows)))

    def without(self, duplicates: Container[int]) -> "Batch[Row]":
        """Return the batch without the rows at these places."""
        rows = [row for place, row in enumerate(self.rows) if place not in duplicates]
        return batch_of(self.kind, rows, self.refused)


def batch_of(
    kind: Kind[Row], rows: Sequence[Row], refused_rows: Sequence[RowError] = ()
) -> Batch[Row]:
    """Return rows that were checked as a batch."""
    ids = list(filter(None, map(_OWN_ID, rows)))
    names = frozenset(map(kind.name_of, rows))
    lines = _ENCODER.encode_lines(rows)
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


def read_one(kind: Kind[Row], body: bytes, now: Instant) -> tuple[Batch[Row], Instant]:
    """Return the single row in `body`, and its time (`now` if it has none).

    Raises `AnalyticsError` that names the field and the limit.
    """
    try:
        row = kind.one.decode(body)
        time = kind.stamp(row, now)
        kind.check(row, doubtful=_may_have_control_characters(body))
        hashes = of_ids((row.id,)) if row.id else None
        names = frozenset((kind.name_of(row),))
        return Batch(kind, [row], _ENCODER.encode(row) + b"\n", 1, (), hashes, names), time
    except _UNREADABLE as error:
        raise explained(error, REST_NAMES) from None


def as_json(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Return rows that are already objects as the JSON that `read_batch` reads."""
    try:
        return _ENCODER.encode(rows)
    except _UNREADABLE as error:  # a lone surrogate has no UTF-8 form
        raise bad_input(None, f"The rows are not valid JSON: {error}") from None


def read_batch(
    kind: Kind[Row], body: bytes, now: Instant, names: Mapping[str, str] = REST_NAMES
) -> Batch[Row]:
    """Read a JSON array or NDJSON of rows; keep the good, report the bad by index.

    Raises `AnalyticsError` when the body is no list of rows, or has too many.
    """
    as_array = body.lstrip()[:1] == b"["
    doubtful = _may_have_control_characters(body)
    try:
        rows = kind.many.decode(body) if as_array else _lines(kind, body)
        _check_number("rows", len(rows), MAX_ROWS)
        batch = _accepted(kind, rows, now, doubtful=doubtful)
    except _UNREADABLE:
        texts = _row_texts(body, as_array=as_array)
        _check_number("rows", len(texts), MAX_ROWS)
        candidates = (_decode(kind, text, names) for text in texts)
        batch = _sifted(kind, candidates, now, names, doubtful=doubtful)
    _check_number("points", batch.points, MAX_POINTS)
    return batch


def _check_number(of: str, number: int, limit: int) -> None:
    if number > limit:
        message = f"A batch can have at most {limit} {of}, this one has {number}."
        raise AnalyticsError("PAYLOAD_TOO_LARGE", message, limit=limit)
    if number == 0 and of == "rows":
        raise bad_input(None, "The batch has no rows.")


class _BadRowError(ValueError):
    """Some row is refused, so that each must be looked at."""


def _accepted(kind: Kind[Row], rows: list[Row], now: Instant, *, doubtful: bool) -> Batch[Row]:
    """Return a batch of which no row is refused; `_BadRowError` when one is."""
    try:
        if kind.timed:
            for row in rows:
                if row.timestamp.__class__ is not int:  # type: ignore[attr-defined]  # it is timed
                    kind.stamp(row, now)
        if doubtful or kind.always_check:
            for row in rows:
                kind.check(row, doubtful=doubtful)
    except AnalyticsError:
        raise _BadRowError from None
    return batch_of(kind, rows)


def _sifted(
    kind: Kind[Row],
    candidates: Iterable[Row | _Unreadable],
    now: Instant,
    names: Mapping[str, str],
    *,
    doubtful: bool,
) -> Batch[Row]:
    good: list[Row] = []
    bad: list[RowError] = []
    for index, row in enumerate(candidates):
        try:
            if isinstance(row, _Unreadable):
                raise row.error
            kind.stamp(row, now)
            kind.check(row, doubtful=doubtful)
            good.append(row)
        except _UNREADABLE as error:
            bad.append(refused(index, row, explained(error, names)))
        except AnalyticsError as error:
            bad.append(refused(index, row, renamed(error, names)))
    return batch_of(kind, good, bad)


def _may_have_control_characters(body: bytes) -> bool:
    """Say whether the texts in a JSON body can have any: all but DEL must be escaped there."""
    return b"\\" in body or b"\x7f" in body


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
            raise explained(error, REST_NAMES) from None
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
        return _Unreadable(explained(error, names), own_id)
