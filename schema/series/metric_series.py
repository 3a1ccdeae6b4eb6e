"""GraphQL types of the series of a metric."""

from collections.abc import Mapping
from typing import Annotated, Any

import strawberry
from strawberry import argument

from schema.series.aggregate_fields import with_aggregates
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


@strawberry.type(description="Aggregates of points.")
@with_aggregates("metrics")
class MetricAggregates:
    values: strawberry.Private[Mapping[Aggregate, Any]]


@strawberry.type(
    description="Aggregates for each bucket, as arrays aligned with `times` of the result."
)
@with_aggregates("metrics", columns=True)
class MetricColumns:
    values: strawberry.Private[Mapping[Aggregate, Any]]


@strawberry.type(description="One bucket of a series.")
class MetricPoint(PointFields[MetricAggregates]):
    pass


@strawberry.type(description="One series of a result.")
class MetricSeries(SeriesFields[MetricAggregates, MetricColumns, MetricPoint]):
    aggregates_type = MetricAggregates
    columns_type = MetricColumns

    @strawberry.field(description=CHANGE)
    def change(
        self,
        aggregate: Annotated[
            AggregateKind, argument(description="Aggregate to compare.")
        ] = AggregateKind.AVG,
        q: QuantileLevel = None,
    ) -> Change | None:
        return self.series.change(aggregate, q=q)

    @strawberry.field(description=SHARE)
    def share(
        self,
        aggregate: AdditiveAggregate = AggregateKind.COUNT,
    ) -> float | None:
        return self.series.share(aggregate)


@strawberry.type(description="Series of one metric.")
class MetricResult(ResultFields[MetricSeries]):
    series_type = MetricSeries
