"""Patterns of lines: the text of a valid row, with a pattern in place of each value.

A pattern may be too narrow, and must never be too wide: each line that matches is a valid row, and
has no repeated key.
"""

from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, Final, NamedTuple

import msgspec
import re2

from schema.errors import AnalyticsError
from schema.scalars import Instant
from store.ingest.row_times import MILLISECONDS_PATTERN, RFC_3339
from store.ingest.rows import METRIC_SERIES, RowType
from store.journal.conversions import TagOrder
from store.timestamps import MILLISECONDS

MAX_TEMPLATE_BYTES: Final = 8_000

# Strings have no control characters or DEL. Only texts of properties have escapes, in the form in
# which the encoder writes them. Numbers have at most 15 digits before the point: both integers and
# doubles hold them. -0 as an integer becomes 0 only when it is decoded, so it does not match.
_CHARACTER: Final = rb'[^"\\\x00-\x1f\x7f]'
_TEXT: Final = b'"' + _CHARACTER + b'*"'
_ESCAPED_TEXT: Final = b'"(?:' + _CHARACTER + rb'|\\["\\bfnrt])*"'
_FRACTION: Final = rb"(?:\.[0-9]{1,17}(?:[eE][-+]?[0-9]{1,2})?|[eE][-+]?[0-9]{1,2})"
_INTEGER: Final = rb"(?:-?[1-9][0-9]{0,14}|0)"
_NUMBER: Final = b"(?:" + _INTEGER + _FRACTION + b"?|-0" + _FRACTION + b")"

_SCALAR: Final = b"(?:" + _ESCAPED_TEXT + b"|" + _NUMBER + b"|true|false|null)"

_ANY_ROW_DECODER: Final = msgspec.json.Decoder(dict[str, Any])


class Spacing(NamedTuple):
    """The text of commas and colons, with the white space after them."""

    comma: bytes
    colon: bytes


COMPACT: Final = Spacing(b",", b":")
ONE_SPACE: Final = Spacing(b", ", b": ")
"""The spacing of Python's `json.dumps`."""


class Spelling(NamedTuple):
    """The features of a line that decide its further processing.

    `renames` replaces its keys by those of the REST API, in compact lines after a line feed.
    """

    row_type: RowType[Any]
    spacing: Spacing
    has_timestamp: bool
    has_id: bool
    renames: tuple[tuple[bytes, bytes], ...] = ()


class LineTemplate(NamedTuple):
    """A pattern of lines. Each line has at least `min_bytes` bytes, without white space.

    `spaces` is the number of spaces outside of texts, None if it varies. `tag_order` are the keys
    of its tags.
    """

    pattern: bytes
    spelling: Spelling
    min_bytes: int
    spaces: int | None
    tag_order: TagOrder


class _Part(NamedTuple):
    """A pattern of a part of a line, and the bytes of its shortest match, without spaces."""

    pattern: bytes
    min_bytes: int


_NAME_PART: Final = _Part(b'"' + _CHARACTER + b'+"', 3)
_OPTIONAL_NAME_PART: Final = _Part(b"(?:" + _NAME_PART.pattern + b"|null)", 3)
_NUMBER_PART: Final = _Part(_NUMBER, 1)
_NULL_PART: Final = _Part(b"null", 4)
_FIELD_PARTS: Final = {
    ("metric_name", str): _NAME_PART,
    ("event_name", str): _NAME_PART,
    ("value", int): _NUMBER_PART,
    ("value", float): _NUMBER_PART,
    ("timestamp", int): _Part(MILLISECONDS_PATTERN, 12),
    ("timestamp", str): _Part(b'"' + RFC_3339 + b'"', 22),
    ("id", str): _NAME_PART,
    ("id", NoneType): _NULL_PART,
    ("user_id", str): _OPTIONAL_NAME_PART,
    ("user_id", NoneType): _OPTIONAL_NAME_PART,
    ("session_id", str): _OPTIONAL_NAME_PART,
    ("session_id", NoneType): _OPTIONAL_NAME_PART,
    ("tags", NoneType): _NULL_PART,
    ("properties", NoneType): _NULL_PART,
}
"""Pattern of a field, by the type of its value. Without a time of its own, a row has no time."""


class _NoTemplateError(Exception):
    """The line has a part that no pattern can represent."""


def template_of(row_type: RowType[Any], line: bytes) -> LineTemplate | None:
    """Return a template of a line with a line feed; None if the line is no valid row, or unusual.

    The line itself may not match: it may have an escape, a repeated key, or other white space.
    """
    try:
        _check_row(row_type, line)
        fields = _ANY_ROW_DECODER.decode(line)
        first_key = next(iter(fields))
        has_spaces = line.startswith(b"{%b: " % msgspec.json.encode(first_key))
        spacing = ONE_SPACE if has_spaces else COMPACT
        keys = row_type.dialect.keys if row_type.dialect else {}
        part = _row_part(fields, keys, spacing)
    except (msgspec.MsgspecError, ValueError, RecursionError, AnalyticsError, _NoTemplateError):
        return None
    if len(part.pattern) > MAX_TEMPLATE_BYTES:
        return None
    compact_line = msgspec.json.format(line, indent=-1)
    spaces = None if rb"\[" in part.pattern else len(line) - len(compact_line) - len(b"\n")
    names = [keys.get(key, key) for key in fields]
    has_id = fields.get("id") is not None
    return LineTemplate(
        part.pattern,
        Spelling(row_type, spacing, "timestamp" in names, has_id, _renames(keys, first_key)),
        part.min_bytes,
        spaces,
        tag_order=tuple(fields.get("tags") or ()),
    )


def has_templates(row_type: RowType[Any]) -> bool:
    """Return whether lines of a row type can have templates."""
    return row_type.rest_type is not METRIC_SERIES


def compile_lines(patterns: Iterable[bytes], spare_classes: int = 0) -> Any:  # noqa: ANN401 - re2 has no types
    """Compile a pattern of one or more lines, each of which matches one of the patterns.

    Spare classes of bytes change the layout of RE2's automaton, not the matching lines: each is
    an alternative with the byte 1, which no line can have.
    """
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # byte by byte; the caller checks UTF-8
    options.never_capture = True
    options.max_mem = 2**26  # with less, RE2 falls back to a far slower search
    spare_patterns = [rb"\x01[\x%02x]\x01" % (0x80 + n) for n in range(spare_classes)]
    alternatives = b"|".join([*patterns, *spare_patterns])
    return re2.compile(b"(?:(?:" + alternatives + b")\n)+", options=options)


def _check_row(row_type: RowType[Any], line: bytes) -> None:
    """Raise an error if a line is no valid row."""
    row = row_type.decoders.row.decode(line)
    row_type.stamp(row, Instant(0), MILLISECONDS)
    row_type.check(row)


def _row_part(fields: dict[str, Any], keys: Mapping[str, str], spacing: Spacing) -> _Part:
    """Return the pattern of a row's line; its length is that of the line with REST names."""
    parts = {key: _field_part(keys.get(key, key), value, spacing) for key, value in fields.items()}
    # A nested key would be mistaken for the field of this name.
    field_keys = {"metric_name", "event_name"} | (keys.keys() - {next(iter(fields))})
    if fields.get("id") is not None:
        field_keys.add("id")
    objects = [fields.get("tags"), fields.get("properties")]
    if any(_has_key(objects, key) for key in field_keys):
        raise _NoTemplateError
    pattern, min_bytes = _object_part(parts, spacing)
    return _Part(pattern, min_bytes + sum(len(keys.get(key, key)) - len(key) for key in fields))


def _renames(keys: Mapping[str, str], first_key: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return the text of each key to replace, and its replacement.

    A quote in a text follows a backslash, so quotes and a colon are around keys only. The first key
    of a line follows a brace and a line feed, and may be the key of a nested object, too.
    """
    marks = {key: b'\n{"%b":' if key == first_key else b'"%b":' for key in keys}
    return tuple((mark % key.encode(), mark % keys[key].encode()) for key, mark in marks.items())


def _field_part(name: str, value: object, spacing: Spacing) -> _Part:
    """Return the pattern of a field's values, by the field and by one value."""
    if isinstance(value, dict):
        if name == "tags":
            return _object_part(dict.fromkeys(value, _Part(_TEXT, 2)), spacing)
        return _value_part(value, spacing)
    part = _FIELD_PARTS.get((name, type(value)))
    if part is None:
        raise _NoTemplateError
    return part


def _object_part(parts: dict[str, _Part], spacing: Spacing) -> _Part:
    """Return the pattern of an object with these keys, in this order."""
    pairs = []
    for key, part in parts.items():
        text = msgspec.json.encode(key)
        # An escaped quote could end like a field, a colon like a key of spaced JSON.
        if b"\\" in text or key.startswith(":"):
            raise _NoTemplateError
        pairs.append(
            _Part(re2.escape(text) + spacing.colon + part.pattern, part.min_bytes + len(text) + 1)
        )
    pattern = rb"\{" + spacing.comma.join(pair.pattern for pair in pairs) + rb"\}"
    return _Part(pattern, sum(pair.min_bytes + 1 for pair in pairs) + 1)


def _value_part(value: object, spacing: Spacing) -> _Part:
    """Return the pattern of a value of properties, by its type; every scalar may be null, too."""
    match value:
        case bool():
            return _Part(b"(?:true|false|null)", 4)
        case str():
            return _Part(b"(?:" + _ESCAPED_TEXT + b"|null)", 2)
        case int() | float():
            return _Part(b"(?:" + _NUMBER + b"|null)", 1)
        case None:
            return _Part(_SCALAR, 1)
        case dict():
            parts = {key: _value_part(item, spacing) for key, item in value.items()}
            return _object_part(parts, spacing)
        case list():
            items = _SCALAR + b"(?:" + spacing.comma + _SCALAR + b")*"
            return _Part(rb"\[(?:" + items + rb")?\]", 2)
    raise _NoTemplateError


def _has_key(value: object, key: str) -> bool:
    """Return whether an object has a key, at any depth."""
    if isinstance(value, dict):
        return key in value or any(_has_key(item, key) for item in value.values())
    return isinstance(value, list) and any(_has_key(item, key) for item in value)
