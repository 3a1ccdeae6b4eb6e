"""Aggregates: what can be asked of some rows. A field that is not selected is not computed."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

import strawberry

from schema.errors import bad_input
from schema.filters import PropertyCast
from schema.scalars import DurationMs

DEFAULT_PER: Final = DurationMs(1000)


@strawberry.enum(description="An aggregate, where one is to be named: to order by, to compare.")
class AggregateKind(Enum):
    COUNT = strawberry.enum_value("count", description="Number of points or events.")
    SUM = strawberry.enum_value("sum", description="Sum, exact.")
    AVG = strawberry.enum_value("avg", description="Mean.")
    MIN = strawberry.enum_value("min", description="Smallest.")
    MAX = strawberry.enum_value("max", description="Largest.")
    FIRST = strawberry.enum_value("first", description="Earliest value; of metrics only.")
    LAST = strawberry.enum_value("last", description="Latest value; of metrics only.")
    STDDEV = strawberry.enum_value(
        "stddev", description="Standard deviation (population); of metrics only."
    )
    QUANTILE = strawberry.enum_value("quantile", description="The value at `q`.")
    INCREASE = strawberry.enum_value("increase", description="Growth; of metrics only.")
    RATE = strawberry.enum_value("rate", description="Growth per second; of metrics only.")
    UNIQUE_USERS = strawberry.enum_value("unique_users", description="Users; of events only.")
    UNIQUE_SESSIONS = strawberry.enum_value(
        "unique_sessions", description="Sessions; of events only."
    )
    UNIQUE = strawberry.enum_value(
        "unique", description="Distinct values of `property`; of events only."
    )


_OF_METRICS_ONLY: Final = frozenset(
    {
        AggregateKind.FIRST,
        AggregateKind.LAST,
        AggregateKind.STDDEV,
        AggregateKind.INCREASE,
        AggregateKind.RATE,
    }
)
_OF_EVENTS_ONLY: Final = frozenset(
    {AggregateKind.UNIQUE_USERS, AggregateKind.UNIQUE_SESSIONS, AggregateKind.UNIQUE}
)
_OF_A_PROPERTY: Final = frozenset(
    {
        AggregateKind.SUM,
        AggregateKind.AVG,
        AggregateKind.MIN,
        AggregateKind.MAX,
        AggregateKind.QUANTILE,
        AggregateKind.UNIQUE,
    }
)
COUNTS: Final = frozenset({AggregateKind.COUNT}) | _OF_EVENTS_ONLY
"""The aggregates that count, which are 0 where there is nothing."""

ZERO_OF_NOTHING: Final = COUNTS | {AggregateKind.SUM}
"""The aggregates whose total is 0 where there are no rows; all others are null."""

ADDITIVE: Final = frozenset({AggregateKind.COUNT, AggregateKind.SUM, AggregateKind.INCREASE})
"""The aggregates of groups that add up to that of all rows."""


class Aggregate(NamedTuple):
    """One aggregate with its arguments: two fields that mean the same are equal."""

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
    at: str = "",
) -> Aggregate:
    """Return an aggregate of a table's rows; arguments that mean nothing to it are dropped.

    Raises `AnalyticsError` for one that these rows don't have, or whose arguments are no good;
    `at` is where they stand in the request.
    """
    of_metrics = table == "metrics"
    if kind in (_OF_EVENTS_ONLY if of_metrics else _OF_METRICS_ONLY):
        raise bad_input(f"{at}aggregate", f"{kind.name} is not an aggregate of {table}")
    if of_metrics or kind not in _OF_A_PROPERTY:
        property = None  # noqa: A001
    elif property is None:
        raise bad_input(f"{at}property", f"is needed for {kind.name} of events")
    if kind is not AggregateKind.QUANTILE:
        q = None
    elif q is None or not 0 <= q <= 1:
        raise bad_input(f"{at}q", "must be from 0 to 1", limit=1)
    if kind is not AggregateKind.RATE:
        per = DEFAULT_PER
    elif per.months:
        raise bad_input(f"{at}per", "must have a fixed length; months and years have none")
    elif per <= 0:
        raise bad_input(f"{at}per", "must be longer than nothing")
    exact = exact and (kind is AggregateKind.QUANTILE or kind in _OF_EVENTS_ONLY)
    is_cast = cast is not None and property is not None and kind is not AggregateKind.UNIQUE
    return Aggregate(kind, property, q, exact, per, is_cast)


def additive(
    table: str,
    kind: AggregateKind,
    property: str | None = None,  # noqa: A002 - its name in the API
    cast: PropertyCast | None = None,
) -> Aggregate:
    """Return an aggregate of which a group can have a share.

    Raises `AnalyticsError` for one that does not add up over groups.
    """
    if kind not in ADDITIVE:
        names = ", ".join(sorted(each.name for each in ADDITIVE))
        raise bad_input("aggregate", f"{kind.name} does not add up over groups; {names} do")
    return aggregate(table, kind, property, cast=cast)


def field_aggregate(table: str, name: str, arguments: Mapping[str, Any]) -> Aggregate:
    """Return what a field of that name means (its GraphQL name, in its GraphQL arguments)."""
    return aggregate(table, _KINDS[name], **arguments)


_KINDS: Final = {
    "count": AggregateKind.COUNT,
    "sum": AggregateKind.SUM,
    "avg": AggregateKind.AVG,
    "min": AggregateKind.MIN,
    "max": AggregateKind.MAX,
    "first": AggregateKind.FIRST,
    "last": AggregateKind.LAST,
    "stddev": AggregateKind.STDDEV,
    "quantile": AggregateKind.QUANTILE,
    "increase": AggregateKind.INCREASE,
    "rate": AggregateKind.RATE,
    "uniqueUsers": AggregateKind.UNIQUE_USERS,
    "uniqueSessions": AggregateKind.UNIQUE_SESSIONS,
    "unique": AggregateKind.UNIQUE,
}


@strawberry.enum(description="Smallest or largest first.")
class OrderDirection(Enum):
    ASC = strawberry.enum_value("asc", description="Smallest first.")
    DESC = strawberry.enum_value("desc", description="Largest first.")


@strawberry.input(description="By which aggregate series are ordered; those without it come last.")
class OrderByInput:
    aggregate: AggregateKind = strawberry.field(
        default=AggregateKind.COUNT, description="The aggregate."
    )
    property: str | None = strawberry.field(
        default=None, description="Of the aggregates of events that need one."
    )
    q: float | None = strawberry.field(default=None, description="Of QUANTILE, from 0 to 1.")
    cast: PropertyCast | None = strawberry.field(
        default=None, description="What texts are taken for; null for texts."
    )
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="Which end comes first."
    )


class SeriesOrder(NamedTuple):
    """Which series come first."""

    aggregate: Aggregate = COUNT
    descending: bool = True


LARGEST_FIRST: Final = SeriesOrder()


def series_order(table: str, asked: OrderByInput | None) -> SeriesOrder:
    """Return an order of series; the largest count first unless another is asked for."""
    if asked is None:
        return LARGEST_FIRST
    by = aggregate(table, asked.aggregate, asked.property, asked.q, cast=asked.cast, at="orderBy.")
    return SeriesOrder(by, asked.direction is OrderDirection.DESC)
