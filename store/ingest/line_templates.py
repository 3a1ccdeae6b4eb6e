"""Fast path for NDJSON: bodies whose lines all match learned templates are not decoded.

To decode, check, encode and free a point takes a microsecond of the thread that holds the GIL. But
the lines of a sender differ only in their values: fields, their order and tag keys are the same. So
a template is learned from an accepted line: its text, with a pattern in place of each value. If
every line of a body matches a template, the body is valid JSON of valid rows, without repeated
keys. It goes into the journal as it came. RE2 matches a body in one pass at 0.6 GB/s, whatever its
bytes. All other bodies are decoded as before. So a pattern may be too narrow, and must never be too
wide.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import re2

from schema.scalars import Instant
from store.clock import steady_ms
from store.ingest.decoder import Batch, read_batch
from store.ingest.id_hashes import hash_ids_in_lines, line_ends
from store.ingest.row_errors import REST_NAMES
from store.ingest.rows import MAX_NAME, MAX_ROWS, METRIC, TAGS_SORTED, MetricRow, Row, RowType
from store.timestamps import MILLISECONDS, Unit

MAX_TEMPLATES: Final = 64
MAX_TEMPLATE_BYTES: Final = 2_000

_MIN_BODY_BYTES: Final = 4_096
"""The fast path gains nothing for smaller bodies."""

_MAX_SAMPLE_LINES: Final = 64
_LEARN_EVERY_MS: Final = 1_000

# Strings have no escapes and no DEL. Numbers have at most 15 digits before the point: both integers
# and doubles hold them. -0 as an integer becomes 0 only when it is decoded, so it does not match.
# Timestamps are from 10^11 milliseconds to 2099.
_CHARACTER: Final = rb'[^"\\\x00-\x1f\x7f]'
_FRACTION: Final = rb"(?:\.[0-9]{1,17}(?:[eE][-+]?[0-9]{1,2})?|[eE][-+]?[0-9]{1,2})"
_INTEGER: Final = rb"(?:-?[1-9][0-9]{0,14}|0)"
_VALUE_PATTERNS: Final = {
    "metric_name": b'"' + _CHARACTER + b'+"',
    "id": b'"' + _CHARACTER + b'+"',
    "value": b"(?:" + _INTEGER + _FRACTION + b"?|-0" + _FRACTION + b")",
    "timestamp": rb"(?:[1-9][0-9]{11}|[1-3][0-9]{12}|40[0-9]{11})",
}
_TAG_VALUE: Final = b'"' + _CHARACTER + b'*"'
_RESERVED_TAGS: Final = frozenset({"id", "timestamp", "metric_name"})
"""Tag keys that would be mistaken for the field."""

_NAME: Final = re.compile('"metric_name":"([^"]*)"')
_TAGS_START: Final = b'"tags":{'
_TAGS_END: Final = b'"}'
_TAGS_DECODER: Final = msgspec.json.Decoder(dict[str, str])
_LINE_DECODER: Final = msgspec.json.Decoder(dict[str, Any])


class _OptionalFields(NamedTuple):
    """The optional fields of a line, which decide its further processing."""

    has_timestamp: bool
    has_id: bool


class LineTemplate(NamedTuple):
    """A pattern of lines, of which `literal_bytes` bytes belong to no value.

    `has_sorted_tags` is true if the tags are in the order of storage.
    """

    pattern: bytes
    literal_bytes: int
    optional_fields: _OptionalFields
    has_sorted_tags: bool


def template_of(line: bytes) -> LineTemplate | None:
    """Return a template of an accepted line, or None if none is possible.

    The line itself may not match it: it may have spaces, an escape, a repeated key, or a timestamp
    in quotes.
    """
    try:
        fields = _LINE_DECODER.decode(line)
    except (msgspec.MsgspecError, ValueError):  # a blank line, two rows in a line
        return None
    field_patterns = []
    literal_bytes = 1
    for name, value in fields.items():
        pattern = _tags_pattern(value) if name == "tags" else _VALUE_PATTERNS[name]
        if pattern is None:
            return None
        field_patterns.append(b'"%b":%b' % (name.encode(), pattern))
        literal_bytes += len(name) + 4  # two quotes, a colon, and a comma or the last brace
    optional_fields = _OptionalFields("timestamp" in fields, "id" in fields)
    pattern = rb"\{" + b",".join(field_patterns) + rb"\}"
    keys = list(fields.get("tags", ()))
    template = LineTemplate(
        pattern, literal_bytes, optional_fields, has_sorted_tags=keys == sorted(keys)
    )
    return template if len(pattern) <= MAX_TEMPLATE_BYTES else None


def _tags_pattern(tags: object) -> bytes | None:
    if not isinstance(tags, dict) or not tags or _RESERVED_TAGS & tags.keys():
        return None
    keys = [msgspec.json.encode(key) for key in tags]
    if any(b"\\" in key for key in keys):  # with an escaped quote it could end like a field
        return None
    return rb"\{" + b",".join(b"%b:%b" % (re2.escape(key), _TAG_VALUE) for key in keys) + rb"\}"


def _compile(patterns: list[bytes]) -> Any:  # noqa: ANN401 - re2 has no types
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # byte by byte; `match` checks UTF-8
    options.never_capture = True
    options.max_mem = 2**26  # with less, RE2 falls back to a far slower search
    return re2.compile(b"(?:(?:" + b"|".join(patterns) + b")\n)+", options=options)


@dataclass(slots=True)
class _TemplateGroup:
    """Templates that may be mixed in one body."""

    templates: dict[bytes, LineTemplate] = field(default_factory=dict)
    pattern: Any = None
    max_line_bytes: int = 0

    def add(self, template: LineTemplate) -> None:
        if len(self.templates) == MAX_TEMPLATES:
            self.templates.clear()
        self.templates[template.pattern] = template
        self.pattern = _compile(list(self.templates))
        # In a line of this length no string is longer than a name may be.
        literal_bytes = min(template.literal_bytes for template in self.templates.values())
        self.max_line_bytes = MAX_NAME + literal_bytes

    def matches(self, body: bytes, longest: int) -> bool:
        """Return whether every line matches; `longest` is the longest line with its line feed."""
        return longest <= self.max_line_bytes + 1 and bool(self.pattern.fullmatch(body))


class TemplateCache:
    """Parses batches, and learns templates from their lines."""

    def __init__(self) -> None:
        """Create an empty cache."""
        self._sorted_groups: dict[_OptionalFields, _TemplateGroup] = {}
        self._any_order_groups: dict[_OptionalFields, _TemplateGroup] = {}
        self._learned_at = -_LEARN_EVERY_MS

    def read_batch(
        self,
        row_type: RowType[Row],
        body: bytes,
        now: Instant,
        field_names: Mapping[str, str] = REST_NAMES,
        unit: Unit | None = None,
    ) -> Batch[Row]:
        """Parse a batch as `decoder.read_batch` does, without decoding if every line matches."""
        in_milliseconds = unit is None or unit is MILLISECONDS
        is_large = len(body) >= _MIN_BODY_BYTES and body.startswith(b"{")
        if row_type is not METRIC or not is_large or not in_milliseconds:
            return read_batch(row_type, body, now, field_names, unit)
        if template_batch := self.match(body, now):
            return template_batch  # type: ignore[return-value]  # the row type is METRIC
        batch = read_batch(row_type, body, now, field_names, unit)
        steady = steady_ms()
        if not batch.errors and steady >= self._learned_at + _LEARN_EVERY_MS:
            self._learned_at = steady
            self.learn(body)
        return batch

    def match(self, body: bytes, now: Instant) -> Batch[MetricRow] | None:
        """Return NDJSON as a batch if every line matches a template, else None."""
        fields = _optional_fields(body[: body.find(b"\n")])
        sorted_group, any_order_group = (
            self._sorted_groups.get(fields),
            self._any_order_groups.get(fields),
        )
        if sorted_group is None and any_order_group is None:
            return None
        if not body.endswith(b"\n"):
            body += b"\n"
        ends = line_ends(body)
        if len(ends) > MAX_ROWS:
            return None
        longest = int(np.diff(ends, prepend=-1).max())
        has_sorted_tags = sorted_group is not None and sorted_group.matches(body, longest)
        if not has_sorted_tags and (
            any_order_group is None or not any_order_group.matches(body, longest)
        ):
            return None
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return None
        ids = hash_ids_in_lines(body, ends) if fields.has_id else None
        if not has_sorted_tags:
            body = _sort_tags_of_lines(body)
        if not fields.has_timestamp:  # "}\n" ends a line: strings have no line feed
            body = (b',"timestamp":%d}\n' % now).join(body.split(b"}\n"))
        return Batch(METRIC, None, body, len(ends), (), ids, _metric_names(text, len(ends)))

    def learn(self, body: bytes) -> None:
        """Learn templates from a sample of the lines of accepted NDJSON."""
        lines = body.splitlines()
        candidates = set()
        for line in lines[:: len(lines) // _MAX_SAMPLE_LINES + 1]:
            fields = _optional_fields(line)
            groups = (self._sorted_groups.get(fields), self._any_order_groups.get(fields))
            if not any(group and group.pattern.fullmatch(line + b"\n") for group in groups):
                template = template_of(line)
                if template is None or template in candidates:
                    continue
                candidates.add(template)
                if _compile([template.pattern]).fullmatch(line + b"\n"):
                    self._add(template)

    def _add(self, template: LineTemplate) -> None:
        """Add a template. Most bodies have sorted tags, and do not pay for other orders."""
        self._any_order_groups.setdefault(template.optional_fields, _TemplateGroup()).add(template)
        if template.has_sorted_tags:
            self._sorted_groups.setdefault(template.optional_fields, _TemplateGroup()).add(template)


def _sort_tags_of_lines(body: bytes) -> bytes:
    """Sort the tags of lines that match templates."""
    head, *lines = body.split(_TAGS_START)
    ends = [_tags_end(line) for line in lines]
    pairs = zip(lines, ends, strict=True)
    return _TAGS_START.join([head, *[_sort_tags(line[:end]) + line[end:] for line, end in pairs]])


def _tags_end(line: bytes) -> int:
    """Return the end of the tags at the beginning of a line; no string in it has a quote."""
    end = line.index(_TAGS_END)
    while line.count(b'"', 0, end) % 2 == 0:  # the quote begins a string
        end = line.index(_TAGS_END, end + 1)
    return end + len(_TAGS_END)


@functools.lru_cache(maxsize=4_096)
def _sort_tags(tags: bytes) -> bytes:
    """Sort the tags of a JSON object without its opening brace."""
    return TAGS_SORTED.encode(_TAGS_DECODER.decode(b"{" + tags))[1:]


def _metric_names(text: str, rows: int) -> frozenset[str]:
    """Return the metric names in matching lines; most bodies have one."""
    match = _NAME.search(text)
    assert match  # noqa: S101 - each line has one
    if text.count(match[0]) == rows:
        return frozenset((match[1],))
    return frozenset(_NAME.findall(text))


def _optional_fields(line: bytes) -> _OptionalFields:
    """Return the optional fields of a line."""
    return _OptionalFields(b'"timestamp":' in line, b'"id":' in line)
