"""Groups of line templates: matching, and the batch of matching lines."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import re2

from schema.scalars import Instant
from store.ingest.body_lines import chunks_of, compact
from store.ingest.decoder import Batch
from store.ingest.id_hashes import (
    Factors,
    Offsets,
    hash_ids_in_lines,
    hash_texts,
    line_ends,
    secret_factors,
    starts_after,
    words_at_each_byte,
)
from store.ingest.line_patterns import ONE_SPACE, LineTemplate, Spelling, compile_lines
from store.ingest.row_times import RFC_3339, form_of_instant
from store.ingest.rows import MAX_NAME, MAX_PROPERTIES_BYTES, MAX_TAG_VALUE, METRIC, RowType
from store.journal.conversions import NUMBERS, STORED, Conversions, Times

_ODD_LINE_COST: Final = 8
"""Time to find a line that does not match, in matching lines."""

_MIN_ODD_LINES: Final = 8

_SPARE_CLASSES: Final = (0, 2, 5, 9, 20)
_MAX_TRIAL_SECONDS: Final = 0.002
_TRIAL_BYTES: Final = 65_536

_NAME: Final = re.compile(rb'"(?:metric|event)_name":"([^"]*)"')
_NAME_KEYS: Final = tuple(
    b'"%b":"' % key for key in (b"metric_name", b"event_name", b"user_id", b"session_id", b"id")
)
_LONGEST_KEY: Final = max(map(len, _NAME_KEYS))
_MAX_FEW_NAMES: Final = 16
_BLOCK_BYTES: Final = 32  # four words of eight bytes
_QUOTE: Final = ord('"')
_KEY_MARKS: Final = b'\n{":'


@dataclass(slots=True)
class TemplateGroup:
    """Templates of one spelling that are matched together.

    A line of at most `max_plain_bytes` bytes has no name that is too long. Each line has `spaces`
    spaces outside of texts, None if that varies. `renames` are those of keys that lines may have.
    `used_at` is a time of the steady clock. `factors` are of the hashes of names.
    """

    spelling: Spelling
    templates: frozenset[LineTemplate]
    pattern: Any
    max_plain_bytes: int
    spaces: int | None
    renames: list[tuple[bytes, bytes]]
    conversions: Conversions
    used_at: float
    factors: Factors

    @classmethod
    def compile(cls, templates: Iterable[LineTemplate], sample: bytes) -> "TemplateGroup":
        """Compile templates of one spelling; `sample` has matching lines."""
        templates = frozenset(templates)
        spelling = next(iter(templates)).spelling
        space_counts = {template.spaces for template in templates}
        return cls(
            spelling=spelling,
            templates=templates,
            pattern=_compile_fastest([template.pattern for template in templates], sample),
            max_plain_bytes=MAX_NAME + min(template.min_bytes for template in templates),
            spaces=space_counts.pop() if len(space_counts) == 1 else None,
            renames=[
                (key, rest_key)
                for key, rest_key in spelling.renames
                if any(key.strip(_KEY_MARKS) in template.pattern for template in templates)
            ],
            conversions=_conversions_of(templates),
            used_at=time.monotonic(),
            factors=secret_factors(),
        )

    def odd_lines(self, lines: bytes, rows: int) -> dict[int, int] | None:
        """Return the start and end of each line that does not match; None if there are many."""
        odd: dict[int, int] = {}
        position = 0
        while True:
            match = self.pattern.match(lines, position)
            if match:
                position = match.end()
            if position == len(lines):
                return odd
            end = lines.index(b"\n", position) + 1
            odd[position] = end
            lines_so_far = rows * end // len(lines)
            if len(odd) > _MIN_ODD_LINES + lines_so_far // _ODD_LINE_COST:
                return None
            position = end

    def batch_of(
        self, lines: bytes, now: Instant, ends: Offsets | None = None
    ) -> Batch[Any] | None:
        """Return matching lines as a batch; None if a text is not UTF-8 or may be too long.

        `ends` are the offsets of the line feeds, if they are known.
        """
        row_type = self.spelling.row_type.rest_type
        if not lines.isascii():
            try:
                lines.decode()
            except UnicodeDecodeError:
                return None
        if self.spelling.spacing is ONE_SPACE:
            spaces = None if self.spaces is None else self.spaces * lines.count(b"\n")
            lines, ends = compact(lines, spaces), None
        if self.renames:
            ends = None
            lines = b"".join(_rename_keys(chunk, self.renames) for chunk in chunks_of(lines))
        ends = line_ends(lines) if ends is None else ends
        longest = int(max(ends[0] + 1, (ends[1:] - ends[:-1]).max(initial=0))) if len(ends) else 0
        if longest > MAX_PROPERTIES_BYTES or (
            longest > self.max_plain_bytes and _has_long_texts(row_type, lines)
        ):
            return None
        self.used_at = time.monotonic()
        ids = hash_ids_in_lines(lines, ends) if self.spelling.has_id else None
        names = _names(lines, ends, self.factors)
        has_timestamp = self.spelling.has_timestamp
        conversions = self.conversions
        if not has_timestamp:  # "}\n" ends a line: strings have no line feed
            lines = (b',"timestamp":%d}\n' % now).join(lines.split(b"}\n"))
            conversions = conversions.join(Conversions(form_of_instant(now)))
        return Batch(
            row_type,
            None,
            lines,
            len(ends),
            id_hashes=ids,
            names=names,
            has_arrival_times=not has_timestamp,
            conversions=conversions,
        )


def _rename_keys(lines: bytes, renames: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a chunk of lines with other keys.

    A key in all lines at once would hold the GIL for 12 ms. Four keys take 1 us a line; with
    `replace`, which first counts, 1.5 us.
    """
    lines = b"\n" + lines
    for key, rest_key in renames:
        lines = rest_key.join(lines.split(key))
    return lines[1:]


def _conversions_of(templates: Iterable[LineTemplate]) -> Conversions:
    """Return the conversions that lines of these templates need."""
    conversions = STORED
    for template in templates:
        order = template.tag_order
        is_sorted = list(order) == sorted(order)
        times = Times.TEXTS if RFC_3339 in template.pattern else NUMBERS
        own_conversions = Conversions(times, frozenset() if is_sorted else frozenset((order,)))
        conversions = conversions.join(own_conversions)
    return conversions


def _compile_fastest(patterns: list[bytes], sample: bytes) -> Any:  # noqa: ANN401 - re2 has no types
    """Compile patterns with the number of spare classes that is fastest for a sample.

    RE2's automaton is up to twice as slow if its states fall into few sets of the processor's
    cache. Their size, which depends on the number of classes of bytes, decides that. Many patterns
    take long to compile, and are compiled once.
    """
    sample = sample[: sample.rfind(b"\n", 0, _TRIAL_BYTES) + 1]
    trials = []
    for spare_classes in _SPARE_CLASSES:
        start = time.perf_counter()
        pattern = compile_lines(patterns, spare_classes)
        compile_seconds = time.perf_counter() - start
        pattern.match(sample)  # builds the automaton
        start = time.perf_counter()
        pattern.match(sample)
        trials.append((time.perf_counter() - start, spare_classes, pattern))
        if compile_seconds > _MAX_TRIAL_SECONDS:
            break
    re2.purge()  # re2 keeps the last 128 patterns
    return min(trials)[2]


def _has_long_texts(row_type: RowType[Any], lines: bytes) -> bool:
    """Return whether a name or the value of a tag may be too long in matching lines."""
    is_quote = np.frombuffer(lines, np.uint8) == _QUOTE
    if not _has_gap(is_quote):
        return False
    quotes = np.flatnonzero(is_quote)
    lengths = np.diff(quotes) - 1
    if row_type is METRIC and int(lengths.max()) > MAX_TAG_VALUE:
        return True
    starts = quotes[:-1][lengths > MAX_NAME].tolist()
    return any(
        lines.endswith(_NAME_KEYS, max(start - _LONGEST_KEY, 0), start + 1) for start in starts
    )


def _has_gap(is_quote: npt.NDArray[np.bool_]) -> bool:
    """Return whether more than `MAX_NAME` bytes in a row may be without a quote.

    So many bytes have a number of whole blocks. To look for these takes a tenth of the time of
    finding the quotes.
    """
    words = is_quote[: len(is_quote) // _BLOCK_BYTES * _BLOCK_BYTES].view(np.uint64)
    pairs = words[0::2] | words[1::2]
    is_empty = (pairs[0::2] | pairs[1::2]) == 0
    blocks = (MAX_NAME + 1 - 2 * (_BLOCK_BYTES - 1)) // _BLOCK_BYTES + 1
    gap = is_empty
    for shift in range(1, blocks):
        gap = gap[:-1] & is_empty[shift:]
    return bool(gap.any())


def _names(lines: bytes, ends: Offsets, factors: Factors) -> frozenset[str]:
    """Return the names in matching lines.

    Names with equal hashes count as one, and a name that is left out passes the limit of names. So
    the factors are secret.
    """
    name = _NAME.search(lines)
    if name is None:
        return frozenset()
    rows = min(_MAX_FEW_NAMES, len(ends))
    have_one_name = lines.count(name[0], 0, ends[rows - 1]) == rows
    if have_one_name and lines.count(name[0]) == len(ends):
        return frozenset((name[1].decode(),))
    words = words_at_each_byte(lines)
    starts = starts_after(words, ends, b"{" + name[0][: name.start(1) - name.start()])
    if starts is None:
        return frozenset(text.decode() for text in set(_NAME.findall(lines)))
    hashes = hash_texts(words, starts, factors)
    names: list[bytes] = []
    while len(hashes) and len(names) < _MAX_FEW_NAMES:
        start = starts[0]
        names.append(lines[start : lines.index(b'"', start)])
        is_other = hashes != hashes[0]
        hashes, starts = hashes[is_other], starts[is_other]
    _, indexes = np.unique(hashes, return_index=True)  # sorting takes longer
    names += [lines[start : lines.index(b'"', start)] for start in starts[indexes].tolist()]
    return frozenset(name.decode() for name in names)
