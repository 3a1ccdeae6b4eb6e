"""Rows of a body as lines: arrays become NDJSON, and white space is removed."""

import re
from typing import Final, NamedTuple

import msgspec

_HEAD_BYTES: Final = 4_096
_WHITE_SPACE: Final = re.compile(rb'[\n\r\t]|": |, [{"]')
_SEPARATOR: Final = b"},{"
_LINE_BREAK: Final = b"}\n{"
_LIKE_KEYS: Final = (b' ": ', b'[": ')
"""Beginnings of texts that look like the end of a key."""

_ERRORS: Final = (msgspec.MsgspecError, ValueError, RecursionError)


class Lines(NamedTuple):
    """The rows of a body, one in each line.

    The rows of an array are compact JSON. They are cut between braces, which may be within a value.
    """

    text: bytes
    is_array: bool


def lines_of(body: bytes) -> Lines | None:
    """Return the rows of a batch as lines; None if it is no array and does not begin with a row."""
    if body.startswith(b"["):
        array = body.rstrip()
        try:
            if _WHITE_SPACE.search(array, 0, _HEAD_BYTES):
                array = msgspec.json.format(array, indent=-1)
        except _ERRORS:
            return None
        if not array.endswith(b"}]"):
            return None
        return Lines(array[1:-1].replace(_SEPARATOR, _LINE_BREAK) + b"\n", is_array=True)
    if not body.startswith(b"{"):
        return None
    if b"}\r\n" in body[:_HEAD_BYTES]:
        body = body.replace(b"}\r\n", b"}\n")
    return Lines(body if body.endswith(b"\n") else body + b"\n", is_array=False)


def compact(lines: bytes, spaces: int | None) -> bytes | None:
    """Return lines of valid JSON without white space; None if a text looks like a line break.

    They are spaced as by `json.dumps`, and have no escapes. `spaces` is the number of their spaces
    outside of texts, None if unknown. To remove all spaces takes 0.06 us for a line of 130 bytes,
    and is right if no text has a space. To count the spaces takes 0.15 us, to read JSON 0.3 us.
    """
    if spaces is None and not any(mark in lines for mark in _LIKE_KEYS):
        keys = lines.count(b'": ')
        objects = lines.count(b'": {') + lines.count(b"\n")
        spaces = 2 * keys - objects  # one for each key, and one for each comma between keys
    compact_lines = lines.translate(None, b" ")
    if len(lines) - len(compact_lines) == spaces:
        return compact_lines
    array = b"[" + lines[:-1].replace(_LINE_BREAK, _SEPARATOR) + b"]"
    compact_array = msgspec.json.format(array, indent=-1)
    compact_lines = compact_array[1:-1].replace(_SEPARATOR, _LINE_BREAK) + b"\n"
    return compact_lines if compact_lines.count(b"\n") == lines.count(b"\n") else None


def is_json(text: bytes) -> bool:
    """Return whether a text is one JSON value."""
    try:
        msgspec.json.decode(text)
    except _ERRORS:
        return False
    return True


def remove_spans(lines: bytes, spans: dict[int, int]) -> bytes:
    """Return lines without those with these starts and ends."""
    starts = [0, *spans.values()]
    ends = [*spans, len(lines)]
    return b"".join(lines[start:end] for start, end in zip(starts, ends, strict=True))
