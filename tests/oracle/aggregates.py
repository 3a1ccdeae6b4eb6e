"""Aggregates of rows in plain Python, as the descriptions of the API define them."""

import json
import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, NamedTuple

MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Row:
    """A point or an event; `position` is its index among all recorded rows."""

    time: int
    position: int
    name: str = ""
    value: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    session: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


class Aggregate(NamedTuple):
    """An aggregate as it is selected: its key in the answer, its field, its arguments."""

    key: str
    field: str
    arguments: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The selection, in GraphQL."""
        arguments = ", ".join(
            f"{name}: {json.dumps(value)}" for name, value in self.arguments.items()
        )
        return f"{self.key}: {self.field}{f'({arguments})' if arguments else ''}"

    @property
    def kind(self) -> str:
        """The name in `AggregateKind`."""
        return re.sub("([A-Z])", r"_\1", self.field).upper()

    @property
    def is_count(self) -> bool:
        """Whether the aggregate of no rows is 0, with every mode of fill."""
        return self.field == "count" or self.field.startswith("unique")


class Expected(NamedTuple):
    """The values that an answer may have, within an absolute and a relative error."""

    values: tuple[float | None, ...]
    absolute_error: float = 0.0
    relative_error: float = 1e-9

    def allows(self, answer: float | None) -> bool:
        """Say whether an answer is right."""
        return any(
            answer is value
            if value is None or answer is None
            else math.isclose(
                answer, value, rel_tol=self.relative_error, abs_tol=self.absolute_error
            )
            for value in self.values
        )

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest allowed answer that is not null."""
        values = [value for value in self.values if value is not None]
        margins = [abs(value) * self.relative_error + self.absolute_error for value in values]
        return (
            min(value - margin for value, margin in zip(values, margins, strict=True)),
            max(value + margin for value, margin in zip(values, margins, strict=True)),
        )


NULL: Final = Expected((None,))
ZERO: Final = Expected((0,))


def at_path(properties: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path, `MISSING` if there is none."""
    value: Any = properties
    for key in re.sub(r"\\(.)|\.", lambda match: match[1] or "\0\0", path).split("\0\0"):
        value = value.get(key, MISSING) if isinstance(value, dict) else MISSING
    return value


def number_at(row: Row, path: str, cast: str | None = None) -> float | None:
    """Return the number at a path; None for other values, and for numbers beyond doubles.

    With `cast` a text is a number if JSON would write the number so.
    """
    value = at_path(row.properties, path)
    if isinstance(value, str) and cast:
        match = re.fullmatch(r" *(-?(0|[1-9]\d*)([.]\d+)?([eE][-+]?\d+)?) *", value, re.ASCII)
        number = float(match[1]) if match else None
        return number if number is not None and math.isfinite(number) else None
    return as_double(value)


def as_double(value: Any) -> float | None:
    """Return a JSON number as a double; None for other values and for numbers beyond doubles."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def identity(value: Any) -> Any:
    """Return a key that is equal for equal values of tags and properties; null equals no value.

    Numbers are equal by their value, also inside arrays and objects; objects have an order.
    """
    match value:
        case None | str() | bool():
            return value if value is None else (type(value).__name__, value)
        case int() | float():
            return "number", value
        case list():
            return "array", tuple(map(identity, value))
        case dict():
            return "object", tuple((key, identity(item)) for key, item in value.items())
    return None


def counter_increases(rows: Sequence[Row]) -> dict[int, float]:
    """Return the increase of a counter at each row, by position, since the series' last row."""
    latest_values: dict[Any, float] = {}
    increases = {}
    for row in sorted(rows, key=lambda row: (row.time, row.position)):
        series = row.name, frozenset(row.tags.items())
        last = latest_values.get(series, row.value)
        increases[row.position] = row.value - last if row.value >= last else row.value
        latest_values[series] = row.value
    return increases


def expected_value(
    aggregate: Aggregate, rows: Sequence[Row], increases: Mapping[int, float], ms: float
) -> Expected:
    """Return an aggregate of rows; `ms` is the length of their time range, for a rate."""
    if aggregate.field in _ROW_AGGREGATES:
        return _ROW_AGGREGATES[aggregate.field](rows, aggregate.arguments)
    if aggregate.field in ("increase", "rate"):
        return _growth(aggregate, rows, increases, ms)
    path = aggregate.arguments.get("property")
    cast = aggregate.arguments.get("cast")
    numbers = [row.value if path is None else number_at(row, path, cast) for row in rows]
    values = [value for value in numbers if value is not None]
    if not values:
        return ZERO if aggregate.field == "sum" else NULL
    return _VALUE_AGGREGATES[aggregate.field](values, aggregate.arguments)


def _growth(
    aggregate: Aggregate, rows: Sequence[Row], increases: Mapping[int, float], ms: float
) -> Expected:
    if not rows:
        return NULL
    row_increases = [increases[row.position] for row in rows]
    total = _sum(row_increases)
    if aggregate.field == "increase" or total == NULL:
        return total
    if ms <= 0:
        return NULL
    value = total.values[0]
    assert value is not None
    return Expected(
        (value * _UNIT_MS[aggregate.arguments.get("per", "1s")] / ms,), relative_error=1e-15
    )


_UNIT_MS: Final = {"1s": 1000, "1ms": 1, "7m": 420_000, "PT1H": 3_600_000, "P1D": 86_400_000}
RATE_UNITS: Final = sorted(_UNIT_MS)


def _distinct(values: Sequence[Any]) -> Expected:
    return Expected((len({identity(value) for value in values} - {None}),))


def _end_value(rows: Sequence[Row], pick: Callable[..., Row]) -> Expected:
    if not rows:
        return NULL
    return Expected((pick(rows, key=lambda row: (row.time, row.position)).value,), relative_error=0)


_ROW_AGGREGATES: Final[dict[str, Callable[[Sequence[Row], Mapping[str, Any]], Expected]]] = {
    "count": lambda rows, _: Expected((len(rows),), relative_error=0),
    "first": lambda rows, _: _end_value(rows, min),
    "last": lambda rows, _: _end_value(rows, max),
    "uniqueUsers": lambda rows, _: _distinct([row.user for row in rows]),
    "uniqueSessions": lambda rows, _: _distinct([row.session for row in rows]),
    "unique": lambda rows, arguments: _distinct(
        [at_path(row.properties, arguments["property"]) for row in rows]
    ),
}


def _sum(values: Sequence[float]) -> Expected:
    """Return the sum of `math.fsum`: exact, rounded once; null if no double holds it.

    Outside of 1 to 2^43 a neighbour of this double is right, too.
    """
    try:
        total = float(sum(map(Fraction, values)))
    except OverflowError:
        return NULL
    if 1 <= abs(total) < 2**43 or total == 0:
        return Expected((total,), relative_error=0)
    neighbours = (total, math.nextafter(total, -math.inf), math.nextafter(total, math.inf))
    return Expected(tuple(value for value in neighbours if math.isfinite(value)), relative_error=0)


def _avg(values: Sequence[float]) -> Expected:
    """Return the mean, within a unit in the last place, and within the values."""
    mean = float(sum(map(Fraction, values)) / len(values))
    candidates = {mean, math.nextafter(mean, math.inf), math.nextafter(mean, -math.inf)}
    means = sorted(value for value in candidates if min(values) <= value <= max(values))
    return Expected(tuple(means), relative_error=0)


def _stddev(values: Sequence[float]) -> Expected:
    return Expected((statistics.pstdev(values),), max(map(abs, values)) * 1e-9)


def _quantile(values: Sequence[float], arguments: Mapping[str, Any]) -> Expected:
    ascending = sorted(values)
    position = arguments["q"] * (len(ascending) - 1)
    low, high = ascending[math.floor(position)], ascending[math.ceil(position)]
    if not arguments.get("exact"):
        minimum, maximum = ascending[0], ascending[-1]
        estimates = (max(minimum, min(maximum, _clamp_to_sketch(value))) for value in (low, high))
        return Expected(tuple(estimates), relative_error=0.01)
    exact_value = low + (high - low) * (position - math.floor(position))
    return Expected((exact_value,), max(abs(low), abs(high)) * 1e-12)


def _clamp_to_sketch(value: float) -> float:
    return 0 if abs(value) < 1e-75 else max(-1e95, min(1e95, value))


_VALUE_AGGREGATES: Final[dict[str, Callable[[Sequence[float], Mapping[str, Any]], Expected]]] = {
    "sum": lambda values, _: _sum(values),
    "avg": lambda values, _: _avg(values),
    "min": lambda values, _: Expected((min(values),), relative_error=0),
    "max": lambda values, _: Expected((max(values),), relative_error=0),
    "stddev": lambda values, _: _stddev(values),
    "quantile": _quantile,
}
