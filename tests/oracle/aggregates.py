"""What every aggregate is, in plain Python over the rows, as the API's descriptions have it."""

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
    """A point or an event; `order` is its place among all that were recorded."""

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
        given = ", ".join(f"{name}: {json.dumps(value)}" for name, value in self.arguments.items())
        return f"{self.key}: {self.field}{f'({given})' if given else ''}"

    @property
    def kind(self) -> str:
        """Its name in `AggregateKind`."""
        return re.sub("([A-Z])", r"_\1", self.field).upper()

    @property
    def is_count(self) -> bool:
        """Whether it is 0 where there is nothing, however gaps are filled."""
        return self.field == "count" or self.field.startswith("unique")


class Expected(NamedTuple):
    """What an answer may be: one of these, but for rounding and a share of the value."""

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
        """Between which values an answer can be; it is not null."""
        known = [value for value in self.values if value is not None]
        margins = [abs(value) * self.relative_error + self.absolute_error for value in known]
        return (
            min(value - margin for value, margin in zip(known, margins, strict=True)),
            max(value + margin for value, margin in zip(known, margins, strict=True)),
        )


NULL: Final = Expected((None,))
ZERO: Final = Expected((0,))


def at_path(properties: Mapping[str, Any], path: str) -> Any:
    """Return what is at a path, `MISSING` if nothing."""
    value: Any = properties
    for key in re.sub(r"\\(.)|\.", lambda found: found[1] or "\0\0", path).split("\0\0"):
        value = value.get(key, MISSING) if isinstance(value, dict) else MISSING
    return value


def number_at(row: Row, path: str, cast: str | None = None) -> float | None:
    """Return the number at a path, None if there is something else, nothing, or no double for it.

    With `cast` a text is a number that is written as JSON writes numbers.
    """
    value = at_path(row.properties, path)
    if isinstance(value, str) and cast:
        found = re.fullmatch(r" *(-?(0|[1-9]\d*)([.]\d+)?([eE][-+]?\d+)?) *", value, re.ASCII)
        number = float(found[1]) if found else None
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
    """Return what is equal for equal values of tags and properties; null is as good as none.

    Numbers are equal by their value, also inside of others; objects have an order.
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
    """Return by how much a counter grew with each row (by its order), since its series' last."""
    before: dict[Any, float] = {}
    grown = {}
    for row in sorted(rows, key=lambda row: (row.time, row.position)):
        series = row.name, frozenset(row.tags.items())
        last = before.get(series, row.value)
        grown[row.position] = row.value - last if row.value >= last else row.value
        before[series] = row.value
    return grown


def expected_value(
    asked: Aggregate, rows: Sequence[Row], grown: Mapping[int, float], ms: float
) -> Expected:
    """Return an aggregate of rows; `ms` is the time that they are from, for a rate."""
    if asked.field in _OF_ROWS:
        return _OF_ROWS[asked.field](rows, asked.arguments)
    if asked.field in ("increase", "rate"):
        return _growth(asked, rows, grown, ms)
    path = asked.arguments.get("property")
    cast = asked.arguments.get("cast")
    found = [row.value if path is None else number_at(row, path, cast) for row in rows]
    values = [value for value in found if value is not None]
    if not values:
        return ZERO if asked.field == "sum" else NULL
    return _OF_VALUES[asked.field](values, asked.arguments)


def _growth(
    asked: Aggregate, rows: Sequence[Row], grown: Mapping[int, float], ms: float
) -> Expected:
    if not rows:
        return NULL
    grew = [grown[row.position] for row in rows]
    whole = _sum(grew)
    if asked.field == "increase" or whole == NULL:
        return whole
    if ms <= 0:
        return NULL
    value = whole.values[0]
    assert value is not None
    return Expected((value * _MS[asked.arguments.get("per", "1s")] / ms,), relative_error=1e-15)


_MS: Final = {"1s": 1000, "1ms": 1, "7m": 420_000, "PT1H": 3_600_000, "P1D": 86_400_000}
RATE_UNITS: Final = sorted(_MS)


def _distinct(values: Sequence[Any]) -> Expected:
    return Expected((len({identity(value) for value in values} - {None}),))


def _ends(rows: Sequence[Row], pick: Callable[..., Row]) -> Expected:
    if not rows:
        return NULL
    return Expected((pick(rows, key=lambda row: (row.time, row.position)).value,), relative_error=0)


_OF_ROWS: Final[dict[str, Callable[[Sequence[Row], Mapping[str, Any]], Expected]]] = {
    "count": lambda rows, _: Expected((len(rows),), relative_error=0),
    "first": lambda rows, _: _ends(rows, min),
    "last": lambda rows, _: _ends(rows, max),
    "uniqueUsers": lambda rows, _: _distinct([row.user for row in rows]),
    "uniqueSessions": lambda rows, _: _distinct([row.session for row in rows]),
    "unique": lambda rows, given: _distinct(
        [at_path(row.properties, given["property"]) for row in rows]
    ),
}


def _sum(values: Sequence[float]) -> Expected:
    """Return the sum as `math.fsum` has it: exact, rounded once; null if no double holds it.

    Beyond 1 to 2^43 a neighbour of that double is right, too.
    """
    try:
        whole = float(sum(map(Fraction, values)))
    except OverflowError:
        return NULL
    if 1 <= abs(whole) < 2**43 or whole == 0:
        return Expected((whole,), relative_error=0)
    near = (whole, math.nextafter(whole, -math.inf), math.nextafter(whole, math.inf))
    return Expected(tuple(value for value in near if math.isfinite(value)), relative_error=0)


def _avg(values: Sequence[float]) -> Expected:
    """Return the mean, correct but for a unit in the last place, and within the values."""
    mean = float(sum(map(Fraction, values)) / len(values))
    near = {mean, math.nextafter(mean, math.inf), math.nextafter(mean, -math.inf)}
    allowed = sorted(value for value in near if min(values) <= value <= max(values))
    return Expected(tuple(allowed), relative_error=0)


def _stddev(values: Sequence[float]) -> Expected:
    return Expected((statistics.pstdev(values),), max(map(abs, values)) * 1e-9)


def _quantile(values: Sequence[float], given: Mapping[str, Any]) -> Expected:
    ordered = sorted(values)
    place = given["q"] * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    if not given.get("exact"):
        least, most = ordered[0], ordered[-1]
        near = (max(least, min(most, _clamp_to_sketch(value))) for value in (low, high))
        return Expected(tuple(near), relative_error=0.01)
    between = low + (high - low) * (place - math.floor(place))
    return Expected((between,), max(abs(low), abs(high)) * 1e-12)


def _clamp_to_sketch(value: float) -> float:
    return 0 if abs(value) < 1e-75 else max(-1e95, min(1e95, value))


_OF_VALUES: Final[dict[str, Callable[[Sequence[float], Mapping[str, Any]], Expected]]] = {
    "sum": lambda values, _: _sum(values),
    "avg": lambda values, _: _avg(values),
    "min": lambda values, _: Expected((min(values),), relative_error=0),
    "max": lambda values, _: Expected((max(values),), relative_error=0),
    "stddev": lambda values, _: _stddev(values),
    "quantile": _quantile,
}
