"""Fast path for batches: lines that match learned templates are not decoded.

To decode, check, encode and free a row takes a microsecond or two of the thread that holds the GIL.
But the rows of a sender differ only in their values: fields, their order, keys and white space are
the same. So a template is learned from a valid line. RE2 matches all lines of a body in one pass at
0.5 GB/s. Matching lines are valid rows, and go into the journal nearly as they came. The few other
lines of a body are decoded.
"""

import operator
import random
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import numpy as np

from schema.scalars import Instant
from store.ingest.body_lines import Lines, is_json, lines_of, remove_spans
from store.ingest.decoder import MAX_ROW_BYTES, Batch, read_batch, read_lines
from store.ingest.id_hashes import IdHashes, line_ends
from store.ingest.line_patterns import (
    LineTemplate,
    compile_lines,
    has_templates,
    template_of,
)
from store.ingest.row_errors import REST_NAMES
from store.ingest.rows import MAX_ROWS, Row, RowType
from store.ingest.template_groups import TemplateGroup
from store.timestamps import MILLISECONDS, Unit

MAX_TEMPLATES: Final = 64
"""Maximum number of templates that are matched together: those of one sender."""

MAX_GROUPS: Final = 32
_MAX_GROUP_BYTES: Final = 64_000

_MIN_BODY_BYTES: Final = 4_096
"""The fast path gains nothing for smaller bodies."""

_MAX_SAMPLE_LINES: Final = 256
_MAX_SPLIT_BYTES: Final = 1_000_000
"""More bytes are not split to choose some lines: that takes 10 ms of 15 MB."""

_MAX_PROBE_LINES: Final = 16
_MAX_LEARNING_SHARE: Final = 0.05
"""Maximum share of the time that learning takes, however often the senders change their lines."""

_FIRST_LINES: Final = 3
"""Number of lines, one of which must match a group of templates."""

_used_at: Final = operator.attrgetter("used_at")


class TemplateCache:
    """Parses batches, and learns templates from their lines. Several threads may use it."""

    def __init__(self) -> None:
        """Create an empty cache."""
        self._groups: tuple[TemplateGroup, ...] = ()  # the latest learned first
        self._learning = threading.Lock()
        self._learn_from = 0.0

    def read_batch(
        self,
        row_type: RowType[Row],
        body: bytes,
        now: Instant,
        field_names: Mapping[str, str] = REST_NAMES,
        unit: Unit | None = None,
    ) -> Batch[Row]:
        """Parse a batch as `decoder.read_batch` does, but decode only lines without a template."""
        in_milliseconds = unit is None or unit is MILLISECONDS
        is_large = len(body) >= _MIN_BODY_BYTES
        lines = None
        if is_large and in_milliseconds and has_templates(row_type):
            lines = lines_of(body)
        if lines is None or len(lines.ends) > MAX_ROWS:  # nor is there anything to learn
            return read_batch(row_type, body, now, field_names, unit)
        batch = self.match(row_type, lines, now, field_names, unit)
        if batch is None and self._learn_at_times(row_type, lines.text):
            batch = self.match(row_type, lines, now, field_names, unit)
        return batch or read_batch(row_type, body, now, field_names, unit)

    def match(
        self,
        row_type: RowType[Row],
        lines: Lines,
        now: Instant,
        field_names: Mapping[str, str] = REST_NAMES,
        unit: Unit | None = None,
    ) -> Batch[Row] | None:
        """Return lines as a batch if nearly all match one group of templates, else None."""
        ends = lines.ends
        if len(ends) > MAX_ROWS:
            return None
        for group in self._matching_groups(row_type, lines.text):
            spans = group.odd_lines(lines.text, len(ends))
            if spans is not None:
                break
        else:
            return None
        if not spans:
            return group.batch_of(lines.text, now, ends)
        indexes = np.searchsorted(ends, list(spans)).tolist()
        odd_lines: dict[int, bytes] = {
            index: lines.text[start : end - 1]
            for index, (start, end) in zip(indexes, spans.items(), strict=True)
        }
        if not all(map(is_json if lines.is_array else bytes.strip, odd_lines.values())):
            return None  # a cut in a value of the array, or a blank line, which has no index
        batch = group.batch_of(remove_spans(lines.text, spans), now)
        if batch:
            odd_batch = read_lines(row_type, odd_lines, now, field_names, unit)
            batch = _insert(batch, odd_batch, list(odd_lines))
            self._learn_at_times(row_type, b"\n".join([*odd_lines.values(), b""]), group)
        return batch

    def _matching_groups(self, row_type: RowType[Any], lines: bytes) -> Iterator[TemplateGroup]:
        """Iterate over the groups with a template that one of the first lines matches."""
        start = 0
        for _ in range(_FIRST_LINES):
            end = lines.find(b"\n", start) + 1
            if not end:
                return
            first_line = lines[start:end]
            groups = [
                group
                for group in self._groups
                if group.spelling.row_type is row_type and group.pattern.match(first_line)
            ]
            if groups:
                yield from groups
                return
            start = end

    def _learn_at_times(
        self, row_type: RowType[Any], lines: bytes, group: TemplateGroup | None = None
    ) -> bool:
        """Learn from lines, unless learning took its share of the time already.

        Return whether it has learned: to decode 50,000 rows takes longer than to learn from them.
        """
        if time.monotonic() < self._learn_from or not self._learning.acquire(blocking=False):
            return False
        groups = self._groups
        try:
            start = time.monotonic()
            self.learn(row_type, lines, group)
            end = time.monotonic()
            self._learn_from = end + (end - start) / _MAX_LEARNING_SHARE
        finally:
            self._learning.release()
        return self._groups is not groups

    def learn(
        self, row_type: RowType[Any], lines: bytes, group: TemplateGroup | None = None
    ) -> None:
        """Learn templates from a sample of lines, and add them to the sender's group.

        `group` is the group that most lines of the body match, if there is one.
        """
        sample = [line for line in _sample(lines) if len(line) <= MAX_ROW_BYTES]
        group = group or self._nearest_group(row_type, sample[:_MAX_PROBE_LINES])
        templates = _templates_of(
            row_type, [line for line in sample if not (group and group.pattern.match(line))]
        )
        if not templates:
            return
        spellings = Counter(template.spelling for template in templates)
        if group and group.spelling in spellings:
            spelling = group.spelling
        else:
            spelling = spellings.most_common(1)[0][0]
            group = None
        templates = [template for template in templates if template.spelling == spelling]
        if group and _fit_together([*group.templates, *templates]):
            templates += group.templates
        elif group:  # it has the forms of several senders
            templates = [t for t in _templates_of(row_type, sample) if t.spelling == spelling]
            group = None
        while not _fit_together(templates):
            templates.pop()
        new_group = TemplateGroup.compile(templates, b"".join(sample))
        other_groups = [old_group for old_group in self._groups if old_group is not group]
        other_groups.sort(key=_used_at, reverse=True)
        self._groups = (new_group, *other_groups[: MAX_GROUPS - 1])

    def _nearest_group(self, row_type: RowType[Any], lines: list[bytes]) -> TemplateGroup | None:
        """Return the group that most of some lines match, if any does."""
        groups = [group for group in self._groups if group.spelling.row_type is row_type]
        counts = [sum(bool(group.pattern.match(line)) for line in lines) for group in groups]
        highest_count = max(counts, default=0)
        return groups[counts.index(highest_count)] if highest_count else None


def _sample(lines: bytes) -> list[bytes]:
    """Return some of many lines, with their line feeds.

    They are chosen at random: forms may take turns, and equal steps would always find the same one.
    """
    source = random.Random(0)  # noqa: S311 - no secret
    if len(lines) <= _MAX_SPLIT_BYTES:
        all_lines = lines.splitlines(keepends=True)
        return source.sample(all_lines, min(len(all_lines), _MAX_SAMPLE_LINES))
    offsets = [source.randrange(len(lines)) for _ in range(_MAX_SAMPLE_LINES)]
    starts = dict.fromkeys(lines.rfind(b"\n", 0, offset) + 1 for offset in offsets)
    return [lines[start : lines.index(b"\n", start) + 1] for start in starts]


def _templates_of(row_type: RowType[Any], lines: list[bytes]) -> list[LineTemplate]:
    """Return the different templates of lines; each template matches one of the lines."""
    lines_by_template = {
        template: line for line in lines if (template := template_of(row_type, line))
    }
    if not lines_by_template:
        return []
    pattern = compile_lines([template.pattern for template in lines_by_template])
    return [template for template, line in lines_by_template.items() if pattern.match(line)]


def _fit_together(templates: Collection[LineTemplate]) -> bool:
    """Return whether templates are few and short enough for one group."""
    size = sum(len(template.pattern) for template in templates)
    return len(templates) <= MAX_TEMPLATES and size <= _MAX_GROUP_BYTES


def _insert(batch: Batch[Any], odd_batch: Batch[Any], odd_indexes: list[int]) -> Batch[Any]:
    """Insert the rows of odd lines, by their indexes in the request, into a batch."""
    rejected = {error.index for error in odd_batch.errors}
    accepted = [
        index - number for number, index in enumerate(odd_indexes) if index not in rejected
    ]  # the number of matching lines before each accepted odd line
    starts = np.append(0, line_ends(batch.lines) + 1)[accepted].tolist()
    pieces = [
        batch.lines[start:end]
        for start, end in zip([0, *starts], [*starts, len(batch.lines)], strict=True)
    ]
    lines = b"".join(
        piece + odd_line
        for piece, odd_line in zip(
            pieces, [*odd_batch.lines.splitlines(keepends=True), b""], strict=True
        )
    )
    return Batch(
        batch.row_type,
        None,
        lines,
        batch.points + odd_batch.points,
        odd_batch.errors,
        _merge_hashes(batch, odd_batch, accepted),
        (batch.names or frozenset()) | (odd_batch.names or frozenset()),
        has_arrival_times=batch.has_arrival_times or odd_batch.has_arrival_times,
        conversions=batch.conversions.join(odd_batch.conversions),
    )


def _merge_hashes(
    batch: Batch[Any], odd_batch: Batch[Any], positions: list[int]
) -> IdHashes | None:
    """Return the hashes of both batches' ids, in the order of the rows."""
    if batch.id_hashes is None or odd_batch.id_hashes is None:
        return odd_batch.id_hashes if batch.id_hashes is None else batch.id_hashes
    with_id = [position for position, row in zip(positions, odd_batch.rows, strict=True) if row.id]
    return np.insert(batch.id_hashes, with_id, odd_batch.id_hashes)
