"""Answers of formulas in plain Python, over points in hours."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

HOURS: Final = 5
"""The hours of the range, from hour 0; the range before it has as many."""

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
    """A formula, its inputs, and the other arguments of its query."""

    text: str
    inputs: Sequence[Input]
    fill: str = "NULL"
    has_comparison: bool = False
    limit: int = 1000
    offset: int = 0
    search: str = ""
    is_descending: bool = True


AGGREGATES: Final[dict[str, Callable[[Sequence[int]], float]]] = {
    "COUNT": len,
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
    "MIN": min,
    "MAX": max,
}
_EMPTY: Final = {"COUNT": 0, "SUM": 0}


class _PointGroups(dict[tuple[str, Group], list[Point]]):
    """Points by metric and group; all points of a metric have the group `""`, too."""

    def __init__(self, points: Sequence[Point]) -> None:
        super().__init__()
        for point in points:
            for group in (point.group, ""):
                self.setdefault((point.metric, group), []).append(point)


def expected_result(
    formula: Formula, points: Sequence[Point]
) -> tuple[list[int], list[ExpectedSeries], int]:
    """Return the visible hours, the series, and the number of groups."""
    point_groups = _PointGroups(points)
    groups = _groups(formula, point_groups)
    series_list = [_expected_series(formula, point_groups, group) for group in groups]
    if any(formula_input.is_grouped for formula_input in formula.inputs):
        sign = -1 if formula.is_descending else 1
        order = sorted(
            zip(groups, series_list, strict=True),
            key=lambda pair: (
                pair[1].total is None,
                sign * (pair[1].total or 0),
                pair[0] is not None,
                pair[0] or "",
            ),
        )
        series_list = [
            series for _, series in order if formula.search.casefold() in series.label.casefold()
        ]
    total = len(series_list)
    if any(formula_input.is_grouped for formula_input in formula.inputs):
        series_list = series_list[formula.offset : formula.offset + formula.limit]
    return _visible_hours(formula, point_groups, series_list), series_list, total


def _groups(formula: Formula, point_groups: _PointGroups) -> list[Group]:
    """Return the groups that any input with groups has in the range."""
    metrics = {formula_input.metric for formula_input in formula.inputs if formula_input.is_grouped}
    if not metrics:
        return [None]
    points = [point for metric in metrics for point in point_groups.get((metric, ""), [])]
    return list(dict.fromkeys(point.group for point in points if 0 <= point.hour < HOURS))


def _expected_series(formula: Formula, point_groups: _PointGroups, group: Group) -> ExpectedSeries:
    has_groups = any(formula_input.is_grouped for formula_input in formula.inputs)
    total, values = _range(formula, point_groups, group, 0)
    previous: tuple[Value, list[Value] | None] = (None, None)
    if formula.has_comparison:
        previous = _range(formula, point_groups, group, -HOURS)
    label = (group or "(none)") if has_groups else formula.text
    return ExpectedSeries(label, total, values, *previous)


def _range(
    formula: Formula, point_groups: _PointGroups, group: Group, first: int
) -> tuple[Value, list[Value]]:
    totals: dict[str, Value] = {}
    columns: dict[str, list[Value]] = {}
    for formula_input in formula.inputs:
        range_points = [
            p
            for p in _input_points(formula_input, point_groups, group)
            if first <= p.hour < first + HOURS
        ]
        is_present = range_points or any(
            0 <= point.hour < HOURS for point in _input_points(formula_input, point_groups, group)
        )
        if formula_input.is_grouped and not is_present:
            missing = 0.0 if formula.fill == "ZERO" else None
            totals[formula_input.name], columns[formula_input.name] = missing, [missing] * HOURS
            continue
        empty = _EMPTY.get(formula_input.aggregate)
        totals[formula_input.name] = _aggregate(
            [p.value for p in range_points], formula_input.aggregate, empty
        )
        cells = [
            _aggregate(
                [p.value for p in range_points if p.hour == first + n],
                formula_input.aggregate,
                None,
            )
            for n in range(HOURS)
        ]
        columns[formula_input.name] = fill_gaps(cells, formula_input.aggregate, formula.fill)
    values = [
        evaluate(formula.text, {name: column[n] for name, column in columns.items()})
        for n in range(HOURS)
    ]
    return evaluate(formula.text, totals), values


def _input_points(formula_input: Input, point_groups: _PointGroups, group: Group) -> list[Point]:
    return point_groups.get((formula_input.metric, group if formula_input.is_grouped else ""), [])


def _aggregate(values: Sequence[int], aggregate: str, empty: Value) -> Value:
    return float(AGGREGATES[aggregate](values)) if values else empty


def fill_gaps(cells: list[Value], aggregate: str, fill: str) -> list[Value]:
    """Fill the gaps of a column."""
    if aggregate == "COUNT" or fill == "ZERO":
        return [cell or 0.0 for cell in cells]
    if fill != "LINEAR":
        return cells
    indexes = [n for n, cell in enumerate(cells) if cell is not None]
    result = list(cells)
    for n in range(len(cells)):
        left = max((k for k in indexes if k <= n), default=None)
        right = min((k for k in indexes if k >= n), default=None)
        if left is not None and right is not None and left < right:
            start, end = cells[left] or 0.0, cells[right] or 0.0
            result[n] = start + (end - start) * (n - left) / (right - left)
    return result


def evaluate(text: str, values: Mapping[str, Value]) -> Value:
    """Compute a formula; null if a value is missing, or a divisor is 0."""
    try:
        value: Any = eval(text, {}, dict(values))  # noqa: S307 - the test wrote the formula
    except (ZeroDivisionError, TypeError):
        return None
    return float(value) if value is not None and math.isfinite(value) else None


def _visible_hours(
    formula: Formula, point_groups: _PointGroups, series_list: Sequence[ExpectedSeries]
) -> list[int]:
    """Return all hours; with NONE the hours with a value of the formula and a row of an input.

    An hour counts if either range has both: the two ranges share their points.
    """
    if formula.fill != "NONE":
        return list(range(HOURS))
    has_groups = any(formula_input.is_grouped for formula_input in formula.inputs)
    hours = set()
    for series in series_list:
        group = None if series.label == "(none)" else series.label
        points = [
            p
            for formula_input in formula.inputs
            for p in _input_points(formula_input, point_groups, group if has_groups else None)
        ]
        hours |= {
            p.hour for p in points if 0 <= p.hour < HOURS and series.values[p.hour] is not None
        }
        previous_values = series.previous_values or []
        previous_hours = [
            p.hour + HOURS for p in points if formula.has_comparison and -HOURS <= p.hour < 0
        ]
        hours |= {hour for hour in previous_hours if previous_values[hour] is not None}
    return sorted(hours)
