"""Order of the series of a result."""

from enum import Enum
from typing import Final, NamedTuple

import strawberry

from schema.filters import PropertyCast
from schema.series.aggregates import COUNT, Aggregate, AggregateKind, aggregate


@strawberry.enum(description="Direction of an order.")
class OrderDirection(Enum):
    ASC = strawberry.enum_value("asc", description="Smallest first.")
    DESC = strawberry.enum_value("desc", description="Largest first.")


@strawberry.input(
    description="Order of the series by an aggregate; series without a value come last."
)
class OrderByInput:
    aggregate: AggregateKind = strawberry.field(
        default=AggregateKind.COUNT, description="The aggregate."
    )
    property: str | None = strawberry.field(
        default=None, description="For aggregates of a property of events: its path."
    )
    q: float | None = strawberry.field(default=None, description="For QUANTILE: from 0 to 1.")
    cast: PropertyCast | None = strawberry.field(
        default=None, description="What texts are read as; null: they stay texts."
    )
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="Largest or smallest first."
    )


class SeriesOrder(NamedTuple):
    """Order of the series by an aggregate."""

    aggregate: Aggregate = COUNT
    descending: bool = True


LARGEST_FIRST: Final = SeriesOrder()


def series_order(table: str, order_by: OrderByInput | None) -> SeriesOrder:
    """Return the order of the series; by default the largest count comes first."""
    if order_by is None:
        return LARGEST_FIRST
    order_aggregate = aggregate(
        table,
        order_by.aggregate,
        order_by.property,
        order_by.q,
        cast=order_by.cast,
        path="orderBy.",
    )
    return SeriesOrder(order_aggregate, order_by.direction is OrderDirection.DESC)
