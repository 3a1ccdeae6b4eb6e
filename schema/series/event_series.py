"""GraphQL types of the series of events."""

from collections.abc import Mapping
from typing import Annotated, Any

import strawberry
from strawberry import argument

from schema.series.aggregate_fields import Cast, with_aggregates
from schema.series.aggregates import Aggregate, AggregateKind
from schema.series.results import Change
from schema.series.series_fields import (
    CHANGE,
    SHARE,
    AdditiveAggregate,
    PointFields,
    QuantileLevel,
    ResultFields,
    SeriesFields,
)


@strawberry.type(description="Aggregates of events.")
@with_aggregates("events")
class EventAggregates:
    values: strawberry.Private[Mapping[Aggregate, Any]]


@strawberry.type(
    description="Aggregates for each bucket, as arrays aligned with `times` of the result."
)
@with_aggregates("events", columns=True)
class EventColumns:
    values: strawberry.Private[Mapping[Aggregate, Any]]


@strawberry.type(description="One bucket of a series.")
class EventPoint(PointFields[EventAggregates]):
    pass


@strawberry.type(description="One series of a result.")
class EventSeries(SeriesFields[EventAggregates, EventColumns, EventPoint]):
    aggregates_type = EventAggregates
    columns_type = EventColumns

    @strawberry.field(description=CHANGE)
    def change(
        self,
        aggregate: Annotated[
            AggregateKind, argument(description="Aggregate to compare.")
        ] = AggregateKind.COUNT,
        property: Annotated[  # noqa: A002
            str | None, argument(description="Path of the property, for aggregates of a property.")
        ] = None,
        q: QuantileLevel = None,
        cast: Cast = None,
    ) -> Change | None:
        return self.series.change(aggregate, property, q, cast)

    @strawberry.field(description=SHARE)
    def share(
        self,
        aggregate: AdditiveAggregate = AggregateKind.COUNT,
        property: Annotated[  # noqa: A002
            str | None, argument(description="Path of the property, for SUM.")
        ] = None,
        cast: Cast = None,
    ) -> float | None:
        return self.series.share(aggregate, property, cast)


@strawberry.type(description="Series of events.")
class EventResult(ResultFields[EventSeries]):
    series_type = EventSeries
