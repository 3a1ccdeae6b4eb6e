"""Spellings of a batch: the same rows as senders in several languages write them."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec

from schema.errors import AnalyticsError
from schema.scalars import Instant
from store.ingest.body_lines import lines_of
from store.ingest.decoder import Batch, read_batch
from store.ingest.line_templates import TemplateCache
from store.ingest.rows import METRIC, RowType

NOW: Final = Instant(1_800_000_000_000)
_Rows: TypeAlias = Sequence[Mapping[str, Any]]


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_ENCODERS: Final[Mapping[str, Callable[[_Rows], str]]] = {
    "compact": lambda rows: "\n".join(map(_compact, rows)),
    "windows": lambda rows: "\r\n".join(map(_compact, rows)),
    "spaced": lambda rows: "\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
    "array": _compact,
    "spaced array": lambda rows: json.dumps(rows, ensure_ascii=False),
    "indented array": lambda rows: json.dumps(rows, ensure_ascii=False, indent=2),
    "escaped": lambda rows: "\n".join(map(json.dumps, rows)),  # Python's default
    "escaped array": json.dumps,
    "escaped slashes": lambda rows: json.dumps(rows, separators=(",", ":")).replace("/", "\\/"),
}
_TEXT_TIMES: Final = " text times"
SPELLINGS: Final = (*_ENCODERS, f"compact{_TEXT_TIMES}", f"spaced array{_TEXT_TIMES}")


TIMES: Final = [
    *("2023-11-14T22:13:20Z", "2023-11-14T22:13:20.1Z", "2023-11-14T22:13:20.123456+00:00"),
    *("2024-02-29T00:00:00-23:59", "2000-02-29T23:59:59.999999999+23:59", "1971-01-01T00:00:00Z"),
    *("2098-12-31T23:59:59.999-23:59", "2023-11-14T22:13:20.9999999Z"),
]
"""Unusual but valid times, which templates take."""


def learn_body(templates: TemplateCache, body: bytes, row_type: RowType[Any] = METRIC) -> None:
    """Learn templates from a body, however much time learning took before."""
    if lines := lines_of(body):
        templates.learn(row_type, lines.text)


def match_body(
    templates: TemplateCache, body: bytes, row_type: RowType[Any] = METRIC
) -> Batch[Any] | None:
    """Return a body as a batch if nearly all its lines match learned templates."""
    lines = lines_of(body)
    return templates.match(row_type, lines, NOW) if lines else None


def outcome(read: Callable[[], Batch[Any]]) -> object:
    """Return all of a batch that its sender or a query can see, or its error."""
    try:
        batch = read()
    except AnalyticsError as error:
        return error.code, error.message
    for row in batch.rows:
        tags = getattr(row, "tags", None) or ()
        tag_orders = batch.conversions.tag_orders
        assert tag_orders is None or list(tags) == sorted(tags) or tuple(tags) in tag_orders
    assert batch.lines.count(b"\n") == batch.points
    hashes = None if batch.id_hashes is None else batch.id_hashes.tolist()
    return (
        [msgspec.to_builtins(row) for row in batch.rows],
        list(batch.errors),
        batch.ids,
        hashes,
        batch.points,
        batch.names,
        batch.has_arrival_times,
    )


def assert_same(
    templates: TemplateCache, body: bytes, row_type: RowType[Any] = METRIC
) -> Batch[Any] | None:
    """Check that a body has the rows and errors of its decoding; return the batch if it matches."""
    assert outcome(lambda: templates.read_batch(row_type, body, NOW)) == outcome(
        lambda: read_batch(row_type, body, NOW)
    )
    return match_body(templates, body, row_type)


def repeat_lines(*lines: str, rows: int = 200) -> bytes:
    """Return NDJSON of `rows` rows that repeats the lines in turn."""
    return "".join(f"{lines[n % len(lines)]}\n" for n in range(rows)).encode()


def body_of(rows: _Rows, spelling: str) -> bytes:
    """Return a body of rows; times in milliseconds become texts if the spelling says so."""
    if spelling.endswith(_TEXT_TIMES):
        rows = [_with_text_time(row) for row in rows]
    return _ENCODERS[spelling.removesuffix(_TEXT_TIMES)](rows).encode()


def _with_text_time(row: Mapping[str, Any]) -> dict[str, Any]:
    time = row.get("timestamp")
    if not isinstance(time, int) or time > 4_102_444_799_999:
        return dict(row)
    return {**row, "timestamp": text_of_time(time)}


def text_of_time(time: int) -> str:
    """Write milliseconds as `datetime.isoformat` does."""
    return datetime.fromtimestamp(time / 1000, UTC).isoformat()
