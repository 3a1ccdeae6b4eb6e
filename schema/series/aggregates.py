"""Aggregates of rows, declared once. A field that is not selected is not computed."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

import strawberry
from strawberry.utils.str_converters import to_camel_case

from schema.errors import bad_input
from schema.filters import PropertyCast
from schema.scalars import DurationMs

DEFAULT_PER: Final = DurationMs(1000)


@strawberry.enum(description="Name of an aggregate, to order or to compare by.")
class AggregateKind(Enum):
    COUNT = strawberry.enum_value("count", description="Number of points or events.")
    SUM = strawberry.enum_value("sum", description="Sum, exact.")
    AVG = strawberry.enum_value("avg", description="Mean.")
    MIN = strawberry.enum_value("min", description="Smallest value.")
    MAX = strawberry.enum_value("max", description="Largest value.")
    FIRST = strawberry.enum_value("first", description="Earliest value; metrics only.")
    LAST = strawberry.enum_value("last", description="Latest value; metrics only.")
    STDDEV = strawberry.enum_value(
        "stddev", description="Population standard deviation; metrics only."
    )
    QUANTILE = strawberry.enum_value("quantile", description="Value at the share `q`.")
    INCREASE = strawberry.enum_value("increase", description="Growth of a counter; metrics only.")
    RATE = strawberry.enum_value(
        "rate", description="Growth of a counter per second; metrics only."
    )
    UNIQUE_USERS = strawberry.enum_value(
        "unique_users", description="Number of users; events only."
    )
    UNIQUE_SESSIONS = strawberry.enum_value(
        "unique_sessions", description="Number of sessions; events only."
    )
    UNIQUE = strawberry.enum_value(
        "unique", description="Number of distinct values of `property`; events only."
    )


class AggregateField(NamedTuple):
    """An aggregate as a field of one table's rows: its description and its arguments, in order."""

    description: str
    arguments: tuple[str, ...] = ()


class AggregateSpec(NamedTuple):
    """Everything that is declared of an aggregate; a table without it has None.

    An aggregate that `counts` is an integer. With `zero` its total over no rows is 0, not null.
    With `adds_up` the totals of groups add up to the total of all rows.
    """

    metrics: AggregateField | None = None
    events: AggregateField | None = None
    counts: bool = False
    zero: bool = False
    adds_up: bool = False

    def field(self, table: str) -> AggregateField | None:
        """Return the field of a table's rows, if they have this aggregate."""
        return self.metrics if table == "metrics" else self.events


_SKETCH: Final = (
    " Within 1 % of one of the two values around that place (1e95 if it is larger, 0 if it is"
    " smaller than 1e-75), between `min` and `max`; interpolated between them, as PERCENTILE_CONT"
    " in SQL, with `exact`."
)
_DISTINCT: Final = "; from about 1,000 on within 1 %, unless `exact`."

AGGREGATES: Final[Mapping[AggregateKind, AggregateSpec]] = {
    AggregateKind.COUNT: AggregateSpec(
        metrics=AggregateField("Number of points."),
        events=AggregateField("Number of events."),
        counts=True,
        zero=True,
        adds_up=True,
    ),
    AggregateKind.SUM: AggregateSpec(
        metrics=AggregateField(
            "Exact sum of the values; 0 without points, null when it is beyond a double."
        ),
        events=AggregateField(
            "Sum of the numbers among a property's values, exact and rounded once; 0 without"
            " numbers, null when it is beyond a double.",
            ("property", "cast"),
        ),
        zero=True,
        adds_up=True,
    ),
    AggregateKind.AVG: AggregateSpec(
        metrics=AggregateField("Mean of the values, between `min` and `max`; null without points."),
        events=AggregateField(
            "Mean of the numbers among a property's values, between `min` and `max`; null without"
            " numbers.",
            ("property", "cast"),
        ),
    ),
    AggregateKind.MIN: AggregateSpec(
        metrics=AggregateField("Smallest value; null without points."),
        events=AggregateField(
            "Smallest number among a property's values; null without numbers.",
            ("property", "cast"),
        ),
    ),
    AggregateKind.MAX: AggregateSpec(
        metrics=AggregateField("Largest value; null without points."),
        events=AggregateField(
            "Largest number among a property's values; null without numbers.",
            ("property", "cast"),
        ),
    ),
    AggregateKind.FIRST: AggregateSpec(
        metrics=AggregateField("Earliest value; null without points.")
    ),
    AggregateKind.LAST: AggregateSpec(metrics=AggregateField("Latest value; null without points.")),
    AggregateKind.STDDEV: AggregateSpec(
        metrics=AggregateField("Population standard deviation of the values; null without points.")
    ),
    AggregateKind.QUANTILE: AggregateSpec(
        metrics=AggregateField(
            "The value that a share `q` of the values lies below." + _SKETCH, ("q", "exact")
        ),
        events=AggregateField(
            "The number that a share `q` of a property's numbers lies below." + _SKETCH,
            ("q", "property", "exact", "cast"),
        ),
    ),
    AggregateKind.INCREASE: AggregateSpec(
        metrics=AggregateField(
            "Growth of a counter from point to point in the range, series by series; after a reset"
            " it grew from 0. A step counts where it ends."
        ),
        adds_up=True,
    ),
    AggregateKind.RATE: AggregateSpec(
        metrics=AggregateField("The increase in relation to a time, by default 1 s.", ("per",))
    ),
    AggregateKind.UNIQUE_USERS: AggregateSpec(
        events=AggregateField("Number of users" + _DISTINCT, ("exact",)), counts=True, zero=True
    ),
    AggregateKind.UNIQUE_SESSIONS: AggregateSpec(
        events=AggregateField("Number of sessions" + _DISTINCT, ("exact",)), counts=True, zero=True
    ),
    AggregateKind.UNIQUE: AggregateSpec(
        events=AggregateField(
            "Number of distinct values of a property" + _DISTINCT, ("property", "exact")
        ),
        counts=True,
        zero=True,
    ),
}
"""The aggregates: the API's types, their checks and the sets below are made from this table."""

COUNTS: Final = frozenset(kind for kind, spec in AGGREGATES.items() if spec.counts)
"""The aggregates that count, which are 0 in a bucket without rows."""

ZERO_OF_NOTHING: Final = frozenset(kind for kind, spec in AGGREGATES.items() if spec.zero)
"""The aggregates whose total over no rows is 0; the total of the others is null."""

ADDITIVE: Final = frozenset(kind for kind, spec in AGGREGATES.items() if spec.adds_up)
"""The aggregates whose totals over groups add up to the total of all rows."""

_KINDS: Final = {to_camel_case(kind.name.lower()): kind for kind in AGGREGATES}
"""The aggregates by the names of their fields in GraphQL."""


class Aggregate(NamedTuple):
    """An aggregate with its arguments; fields with one meaning give equal values."""

    kind: AggregateKind
    property: str | None = None
    q: float | None = None
    exact: bool = False
    per: DurationMs = DEFAULT_PER
    cast: bool = False


COUNT: Final = Aggregate(AggregateKind.COUNT)


def aggregate(
    table: str,
    kind: AggregateKind,
    property: str | None = None,  # noqa: A002 - its name in the API
    q: float | None = None,
    *,
    exact: bool = False,
    per: DurationMs = DEFAULT_PER,
    cast: PropertyCast | None = None,
    path: str = "",
) -> Aggregate:
    """Return an aggregate of a table's rows; arguments that it does not take are dropped.

    Raises `AnalyticsError` if the table lacks the aggregate, or for a bad argument, whose path in
    the request begins with `path`.
    """
    field = AGGREGATES[kind].field(table)
    if field is None:
        raise bad_input(f"{path}aggregate", f"{kind.name} is not an aggregate of {table}")
    if "property" not in field.arguments:
        property = None  # noqa: A001
    elif property is None:
        raise bad_input(f"{path}property", f"is needed for {kind.name} of events")
    if "q" not in field.arguments:
        q = None
    elif q is None or not 0 <= q <= 1:
        raise bad_input(f"{path}q", "must be from 0 to 1", limit=1)
    if "per" not in field.arguments:
        per = DEFAULT_PER
    elif per.months:
        raise bad_input(f"{path}per", "must have a fixed length; months and years have none")
    elif per <= 0:
        raise bad_input(f"{path}per", "must be longer than nothing")
    exact = exact and "exact" in field.arguments
    is_cast = cast is not None and "cast" in field.arguments
    return Aggregate(kind, property, q, exact, per, is_cast)


def additive(
    table: str,
    kind: AggregateKind,
    property: str | None = None,  # noqa: A002 - its name in the API
    cast: PropertyCast | None = None,
) -> Aggregate:
    """Return an aggregate whose total can be shared out among groups.

    Raises `AnalyticsError` for one that does not add up over groups.
    """
    if kind not in ADDITIVE:
        names = ", ".join(sorted(additive_kind.name for additive_kind in ADDITIVE))
        raise bad_input("aggregate", f"{kind.name} does not add up over groups; {names} do")
    return aggregate(table, kind, property, cast=cast)


def field_aggregate(table: str, name: str, arguments: Mapping[str, Any]) -> Aggregate:
    """Return the aggregate of a field, from its GraphQL name and its GraphQL arguments."""
    return aggregate(table, _KINDS[name], **arguments)
