"""What a formula's answer is, in plain Python over points in hours."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

HOURS: Final = 5
"""How many hours the range has, from hour 0; the one before it has as many."""

Value = float | None
Group = str | None


class Point(NamedTuple):
    """A point of a metric in an hour; `group` is its tag."""

    metric: str
    hour: int
    value: int
    group: Group


class Input(NamedTuple):
    """An input of a formula."""

    name: str
    metric: str
    aggregate: str
    is_grouped: bool


@dataclass(frozen=True, slots=True)
class ExpectedSeries:
    """A series of an answer."""

    label: str
    total: Value
    values: list[Value]
    previous_total: Value = None
    previous_values: list[Value] | None = None


@dataclass(frozen=True, slots=True)
class Formula:
    """A question."""

    text: str
    inputs: Sequence[Input]
    fill: str = "NULL"
    has_comparison: bool = False
    limit: int = 1000
    offset: int = 0
    search: str = ""
    is_descending: bool = True
    lines: list[ExpectedSeries] = field(default_factory=list)


AGGREGATES: Final[dict[str, Callable[[Sequence[int]], float]]] = {
    "COUNT": len,
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
    "MIN": min,
    "MAX": max,
}
_EMPTY: Final = {"COUNT": 0, "SUM": 0}


class _Points(dict[tuple[str, Group], list[Point]]):
    """Points by metric and group; those of all groups of a metric under `""`."""

    def __init__(self, points: Sequence[Point]) -> None:
        super().__init__()
        for point in points:
            for group in (point.group, ""):
                self.setdefault((point.metric, group), []).append(point)


def expected_result(
    asked: Formula, given: Sequence[Point]
) -> tuple[list[int], list[ExpectedSeries], int]:
    """Return the hours that are shown, the series, and how many groups there are."""
    points = _Points(given)
    groups = _groups(asked, points)
    lines = [_expected_series(asked, points, group) for group in groups]
    if any(each.is_grouped for each in asked.inputs):
        sign = -1 if asked.is_descending else 1
        order = sorted(
            zip(groups, lines, strict=True),
            key=lambda pair: (
                pair[1].total is None,
                sign * (pair[1].total or 0),
                pair[0] is not None,
                pair[0] or "",
            ),
        )
        lines = [line for _, line in order if asked.search.casefold() in line.label.casefold()]
    total = len(lines)
    if any(each.is_grouped for each in asked.inputs):
        lines = lines[asked.offset : asked.offset + asked.limit]
    return _visible_hours(asked, points, lines), lines, total


def _groups(asked: Formula, points: _Points) -> list[Group]:
    """Return the groups that any input with groups has in the range."""
    metrics = {each.metric for each in asked.inputs if each.is_grouped}
    if not metrics:
        return [None]
    every = [point for metric in metrics for point in points.get((metric, ""), [])]
    return list(dict.fromkeys(point.group for point in every if 0 <= point.hour < HOURS))


def _expected_series(asked: Formula, points: _Points, group: Group) -> ExpectedSeries:
    grouped = any(each.is_grouped for each in asked.inputs)
    total, values = _range(asked, points, group, 0)
    before: tuple[Value, list[Value] | None] = (None, None)
    if asked.has_comparison:
        before = _range(asked, points, group, -HOURS)
    label = (group or "(none)") if grouped else asked.text
    return ExpectedSeries(label, total, values, *before)


def _range(asked: Formula, points: _Points, group: Group, first: int) -> tuple[Value, list[Value]]:
    totals: dict[str, Value] = {}
    columns: dict[str, list[Value]] = {}
    for each in asked.inputs:
        own = [p for p in _input_points(each, points, group) if first <= p.hour < first + HOURS]
        has = own or any(0 <= point.hour < HOURS for point in _input_points(each, points, group))
        if each.is_grouped and not has:
            missing = 0.0 if asked.fill == "ZERO" else None
            totals[each.name], columns[each.name] = missing, [missing] * HOURS
            continue
        empty = _EMPTY.get(each.aggregate)
        totals[each.name] = _aggregate([p.value for p in own], each.aggregate, empty)
        cells = [
            _aggregate([p.value for p in own if p.hour == first + n], each.aggregate, None)
            for n in range(HOURS)
        ]
        columns[each.name] = fill_gaps(cells, each.aggregate, asked.fill)
    values = [
        evaluate(asked.text, {name: column[n] for name, column in columns.items()})
        for n in range(HOURS)
    ]
    return evaluate(asked.text, totals), values


def _input_points(given: Input, points: _Points, group: Group) -> list[Point]:
    return points.get((given.metric, group if given.is_grouped else ""), [])


def _aggregate(values: Sequence[int], aggregate: str, empty: Value) -> Value:
    return float(AGGREGATES[aggregate](values)) if values else empty


def fill_gaps(cells: list[Value], aggregate: str, fill: str) -> list[Value]:
    """Return the cells of a column as they are shown."""
    if aggregate == "COUNT" or fill == "ZERO":
        return [cell or 0.0 for cell in cells]
    if fill != "LINEAR":
        return cells
    known = [n for n, cell in enumerate(cells) if cell is not None]
    result = list(cells)
    for n in range(len(cells)):
        left = max((k for k in known if k <= n), default=None)
        right = min((k for k in known if k >= n), default=None)
        if left is not None and right is not None and left < right:
            start, end = cells[left] or 0.0, cells[right] or 0.0
            result[n] = start + (end - start) * (n - left) / (right - left)
    return result


def evaluate(text: str, values: Mapping[str, Value]) -> Value:
    """Compute a formula; null if any value in it is missing, or a divisor is 0."""
    try:
        found: Any = eval(text, {}, dict(values))  # noqa: S307 - of our own making
    except (ZeroDivisionError, TypeError):
        return None
    return float(found) if found is not None and math.isfinite(found) else None


def _visible_hours(asked: Formula, points: _Points, lines: Sequence[ExpectedSeries]) -> list[int]:
    """Return all hours, or with NONE those with a value of the formula and a row of an input.

    In either range: their hours are shown beside one another.
    """
    if asked.fill != "NONE":
        return list(range(HOURS))
    grouped = any(each.is_grouped for each in asked.inputs)
    shown = set()
    for line in lines:
        group = None if line.label == "(none)" else line.label
        rows = [
            p
            for each in asked.inputs
            for p in _input_points(each, points, group if grouped else None)
        ]
        shown |= {p.hour for p in rows if 0 <= p.hour < HOURS and line.values[p.hour] is not None}
        before = line.previous_values or []
        hours = [p.hour + HOURS for p in rows if asked.has_comparison and -HOURS <= p.hour < 0]
        shown |= {hour for hour in hours if before[hour] is not None}
    return sorted(shown)
