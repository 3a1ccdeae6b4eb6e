"""Forms of lines: bodies whose rows are known to be good without being read one by one.

To read a point (decode, check, encode, free) takes a microsecond of the one thread that has the
GIL. But the lines of a sender look alike: the same fields in the same order, the same tags, other
values. So a form is learned from a line that was read and accepted: its text, with a pattern in the
place of each value. A body in which every line has a known form is valid JSON of valid rows, with
no key twice, and goes into the journal as it came: RE2 tells by one pass at 0.6 GB/s, whatever the
body. All else is read as ever, so a pattern may be too narrow, and must never be too wide.
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
"""Below it there is nothing to gain."""

_MAX_SAMPLE_LINES: Final = 64
_LEARN_EVERY_MS: Final = 1_000

# Texts without escapes and DEL; numbers of at most 15 digits before the point, which no float and
# no integer of ours lacks; -0 is 0 only once it is read; a time from 10^11 milliseconds to 2099.
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
"""A tag of that name would be taken for the field."""

_NAME: Final = re.compile('"metric_name":"([^"]*)"')
_TAGS_START: Final = b'"tags":{'
_TAGS_END: Final = b'"}'
_TAGS_DECODER: Final = msgspec.json.Decoder(dict[str, str])
_LINE_DECODER: Final = msgspec.json.Decoder(dict[str, Any])


class LineTemplate(NamedTuple):
    """A pattern of lines; `fixed` bytes of a line are no part of any value.

    `marks`: whether it has a time, and an id. `sorted_tags`: whether its tags are in the order in
    which they are stored.
    """

    pattern: bytes
    literal_bytes: int
    marks: tuple[bool, bool]
    sorted_tags: bool


def template_of(line: bytes) -> LineTemplate | None:
    """Return the form that a line which was accepted as a row may have; None if it has none.

    Written in another way (spaces, an escape, a key twice, a time as a text) it has not that form.
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
    marks = "timestamp" in fields, "id" in fields
    pattern = rb"\{" + b",".join(field_patterns) + rb"\}"
    keys = list(fields.get("tags", ()))
    template = LineTemplate(pattern, literal_bytes, marks, sorted_tags=keys == sorted(keys))
    return template if len(pattern) <= MAX_TEMPLATE_BYTES else None


def _tags_pattern(tags: object) -> bytes | None:
    if not isinstance(tags, dict) or not tags or _RESERVED_TAGS & tags.keys():
        return None
    keys = [msgspec.json.encode(key) for key in tags]
    if any(b"\\" in key for key in keys):  # with a quote it could end like a marked one
        return None
    return rb"\{" + b",".join(b"%b:%b" % (re2.escape(key), _TAG_VALUE) for key in keys) + rb"\}"


def _compile(patterns: list[bytes]) -> Any:  # noqa: ANN401 - re2 has no types
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # byte by byte; UTF-8 is checked elsewhere
    options.never_capture = True
    options.max_mem = 2**26  # with less it could fall back to a way that is not linear in practice
    return re2.compile(b"(?:(?:" + b"|".join(patterns) + b")\n)+", options=options)


@dataclass(slots=True)
class _TemplateGroup:
    """Forms that may be mixed in one body."""

    templates: dict[bytes, LineTemplate] = field(default_factory=dict)
    pattern: Any = None
    max_line_bytes: int = 0

    def add(self, template: LineTemplate) -> None:
        if len(self.templates) == MAX_TEMPLATES:
            self.templates.clear()
        self.templates[template.pattern] = template
        self.pattern = _compile(list(self.templates))
        # In a line of this length no text can be longer than a name may be.
        self.max_line_bytes = MAX_NAME + min(each.literal_bytes for each in self.templates.values())

    def matches(self, body: bytes, longest: int) -> bool:
        """Say whether each line has one of the forms; `longest` counts a line with its end."""
        return longest <= self.max_line_bytes + 1 and bool(self.pattern.fullmatch(body))


class TemplateCache:
    """Reads batches, and remembers the forms of their lines."""

    def __init__(self) -> None:
        """Know no form."""
        self._sorted_groups: dict[tuple[bool, bool], _TemplateGroup] = {}
        self._any_order_groups: dict[tuple[bool, bool], _TemplateGroup] = {}
        self._learned_at = -_LEARN_EVERY_MS

    def read_batch(
        self,
        row_type: RowType[Row],
        body: bytes,
        now: Instant,
        field_names: Mapping[str, str] = REST_NAMES,
        unit: Unit | None = None,
    ) -> Batch[Row]:
        """Do what `reading.read_batch` does, at once if every line has a form that is known."""
        in_milliseconds = unit is None or unit is MILLISECONDS
        is_large = len(body) >= _MIN_BODY_BYTES and body.startswith(b"{")
        if row_type is not METRIC or not is_large or not in_milliseconds:
            return read_batch(row_type, body, now, field_names, unit)
        if template_batch := self.match(body, now):
            return template_batch  # type: ignore[return-value]  # the kind is METRIC
        batch = read_batch(row_type, body, now, field_names, unit)
        steady = steady_ms()
        if not batch.errors and steady >= self._learned_at + _LEARN_EVERY_MS:
            self._learned_at = steady
            self.learn(body)
        return batch

    def match(self, body: bytes, now: Instant) -> Batch[MetricRow] | None:
        """Return NDJSON as a batch if each of its lines has a known form."""
        marks = _marks(body[: body.find(b"\n")])
        sorted_tags, any_order = self._sorted_groups.get(marks), self._any_order_groups.get(marks)
        if sorted_tags is None and any_order is None:
            return None
        if not body.endswith(b"\n"):
            body += b"\n"
        ends = line_ends(body)
        if len(ends) > MAX_ROWS:
            return None
        longest = int(np.diff(ends, prepend=-1).max())
        has_sorted_tags = sorted_tags is not None and sorted_tags.matches(body, longest)
        if not has_sorted_tags and (any_order is None or not any_order.matches(body, longest)):
            return None
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return None
        has_timestamp, has_id = marks
        ids = hash_ids_in_lines(body, ends) if has_id else None
        if not has_sorted_tags:
            body = _sort_tags_of_lines(body)
        if not has_timestamp:  # "}\n" ends a line: within a text there is no line break
            body = (b',"timestamp":%d}\n' % now).join(body.split(b"}\n"))
        return Batch(METRIC, None, body, len(ends), (), ids, _metric_names(text, len(ends)))

    def learn(self, body: bytes) -> None:
        """Learn the forms of some lines of NDJSON that was accepted."""
        lines = body.splitlines()
        candidates = set()
        for line in lines[:: len(lines) // _MAX_SAMPLE_LINES + 1]:
            marks = _marks(line)
            groups = (self._sorted_groups.get(marks), self._any_order_groups.get(marks))
            if not any(group and group.pattern.fullmatch(line + b"\n") for group in groups):
                template = template_of(line)
                if template is None or template in candidates:
                    continue
                candidates.add(template)
                if _compile([template.pattern]).fullmatch(line + b"\n"):
                    self._add(template)

    def _add(self, template: LineTemplate) -> None:
        """Keep a form. Bodies with sorted tags are the most, and must not pay for the others."""
        self._any_order_groups.setdefault(template.marks, _TemplateGroup()).add(template)
        if template.sorted_tags:
            self._sorted_groups.setdefault(template.marks, _TemplateGroup()).add(template)


def _sort_tags_of_lines(body: bytes) -> bytes:
    """Sort the tags of recognised lines."""
    head, *lines = body.split(_TAGS_START)
    ends = [_tags_end(line) for line in lines]
    pairs = zip(lines, ends, strict=True)
    return _TAGS_START.join([head, *[_sort_tags(line[:end]) + line[end:] for line, end in pairs]])


def _tags_end(line: bytes) -> int:
    """Return the end of the tags at the beginning of a line; no text in it has a quote."""
    end = line.index(_TAGS_END)
    while line.count(b'"', 0, end) % 2 == 0:  # that quote begins a text
        end = line.index(_TAGS_END, end + 1)
    return end + len(_TAGS_END)


@functools.lru_cache(maxsize=4_096)
def _sort_tags(tags: bytes) -> bytes:
    """Sort tags whose first brace is missing."""
    return TAGS_SORTED.encode(_TAGS_DECODER.decode(b"{" + tags))[1:]


def _metric_names(text: str, rows: int) -> frozenset[str]:
    """Return the names in so many recognised lines, of which most bodies have one."""
    match = _NAME.search(text)
    assert match  # noqa: S101 - each line has one
    if text.count(match[0]) == rows:
        return frozenset((match[1],))
    return frozenset(_NAME.findall(text))


def _marks(line: bytes) -> tuple[bool, bool]:
    """Say whether a line has a time of its own, and an id."""
    return b'"timestamp":' in line, b'"id":' in line
