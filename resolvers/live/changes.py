"""The change between two answers of a series question: the buckets whose cells differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from schema.encoding import items
from schema.series.series import Series, SeriesResult

_Texts = Mapping[Any, bytes]

_EMPTY: Final = b"[]"


def changed_buckets(before: SeriesResult, after: SeriesResult) -> SeriesResult | None:
    """Return a result with the buckets of `after` that `before` lacks, or has with other cells.

    Return None if a client can't get from one to the other by such buckets: the series differ, or
    a bucket within the range has gone.
    """
    pairs = list(zip(_all_series(before), _all_series(after), strict=False))
    if len(before.series) != len(after.series) or any(
        _identity(old) != _identity(new) for old, new in pairs
    ):
        return None
    old_index = _old_indexes(before.times, after.times)
    if old_index is None:
        return None
    differing = {index for index, old in enumerate(old_index) if old is None}
    for old, new in pairs:
        series_changes = _changed_cells(old, new, old_index)
        if series_changes is None:
            return None
        differing |= series_changes
    if after.previous_times is not None:
        old_times, new_times = items(before.previous_times or _EMPTY), items(after.previous_times)
        differing |= _differences(old_times, new_times, old_index)
    return _part(after, sorted(differing))


def has_same_totals(before: SeriesResult, after: SeriesResult) -> bool:
    """Say whether all totals are the same; the series are."""
    return all(
        (old.totals, old.previous_totals, old.overall_totals)
        == (new.totals, new.previous_totals, new.overall_totals)
        for old, new in zip(_all_series(before), _all_series(after), strict=True)
    )


def _all_series(result: SeriesResult) -> Iterator[Series]:
    yield from result.series
    if result.overall:
        yield result.overall


def _identity(series: Series) -> tuple[object, ...]:
    return series.label, series.is_other, series.keys


def _old_indexes(before: bytes, after: bytes) -> Sequence[int | None] | None:
    """Return for each bucket its index before; None if a bucket has gone from the middle."""
    if before == after:
        return range(len(items(after)))
    old_times, new_times = items(before), items(after)
    old_by_time = {time: index for index, time in enumerate(old_times)}
    indexes = [old_by_time.get(time) for time in new_times]
    old_indexes = [index for index in indexes if index is not None]
    if old_indexes != list(range(len(old_times) - len(old_indexes), len(old_times))):
        return None
    return indexes


def _changed_cells(old: Series, new: Series, old_index: Sequence[int | None]) -> set[int] | None:
    """Return the indexes of the cells that differ; None if cells without a bucket here do."""
    differing: set[int] = set()
    columns = [(old.partial, new.partial), *_pairs(old.texts, new.texts)]
    is_same_place = isinstance(old_index, range)
    for before, after in columns:
        if not (is_same_place and before == after):
            differing |= _differences(items(before), items(after), old_index)
    if new.previous_texts is None or old.previous_texts is None:
        return differing
    for before, after in _pairs(old.previous_texts, new.previous_texts):
        if is_same_place and before == after:
            continue
        old_cells, new_cells = items(before), items(after)
        count = len(old_index)
        if old_cells[count:] != new_cells[count:] or len(new_cells) > count:
            return None
        differing |= _differences(old_cells, new_cells, old_index)
    return differing


def _pairs(old: _Texts, new: _Texts) -> Iterator[tuple[bytes, bytes]]:
    for key, text in new.items():
        yield old[key], text


def _differences(
    old: Sequence[bytes], new: Sequence[bytes], old_index: Sequence[int | None]
) -> set[int]:
    return {
        index
        for index, (cell, before) in enumerate(zip(new, old_index, strict=False))
        if before is not None and (before >= len(old) or old[before] != cell)
    }


def _part(result: SeriesResult, indexes: Sequence[int]) -> SeriesResult:
    """Return a result with some of its buckets, and with all of its totals."""
    times = _pick(result.times, indexes)
    return replace(
        result,
        times=times,
        previous_times=result.previous_times and _pick(result.previous_times, indexes),
        series=[_part_of_series(series, indexes, times) for series in result.series],
        overall=result.overall and _part_of_series(result.overall, indexes, times),
    )


def _part_of_series(series: Series, indexes: Sequence[int], times: bytes) -> Series:
    previous = series.previous_texts
    return replace(
        series,
        texts=_pick_all(series.texts, indexes),
        previous_texts=None if previous is None else _pick_all(previous, indexes),
        compared_count=sum(index < series.compared_count for index in indexes),
        times=times,
        partial=_pick(series.partial, indexes),
    )


def _pick_all(texts: _Texts, indexes: Sequence[int]) -> dict[Any, bytes]:
    return {key: _pick(text, indexes) for key, text in texts.items()}


def _pick(text: bytes, indexes: Sequence[int]) -> bytes:
    """Return the cells at some indexes, as far as there are any; the indexes ascend."""
    if not indexes or text == _EMPTY:
        return _EMPTY
    cells = items(text)
    return b"[" + b",".join([cells[index] for index in indexes if index < len(cells)]) + b"]"
