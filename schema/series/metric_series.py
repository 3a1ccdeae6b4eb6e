"""GraphQL types of a metric series: totals, columns, points."""

from collections.abc import Mapping
from typing import Annotated, Any

import strawberry
from strawberry import argument
from strawberry.types import Info

from schema.scalars import Instant
from schema.selection import selected_fields
from schema.series.aggregate_fields import with_aggregates
from schema.series.aggregates import Aggregate, AggregateKind
from schema.series.results import Change, GroupKey, ResultMeta
from schema.series.series import PREVIOUS_COLUMNS, PREVIOUS_TIMES, Series, SeriesResult


@strawberry.type(description="Aggregates of points.")
@with_aggregates("metrics")
class MetricAggregates:
    values: strawberry.Private[Mapping[Aggregate, Any]]


@strawberry.type(
    description="Aggregates bucket by bucket, as arrays aligned with `times` of the result."
)
@with_aggregates("metrics", columns=True)
class MetricColumns:
    values: strawberry.Private[Mapping[Aggregate, Any]]


@strawberry.type(description="One bucket of a series.")
class MetricPoint:
    time: Instant = strawberry.field(description="Start of the bucket.")
    values: MetricAggregates = strawberry.field(
        description="Aggregates of the points in the bucket."
    )
    previous: MetricAggregates | None = strawberry.field(
        description="Aggregates of the bucket with this index in the comparison range, if any."
    )
    is_partial: bool = strawberry.field(
        description="Whether the bucket has not ended yet, or lies only partly in the range."
    )


@strawberry.type(description="One series of a result.")
class MetricSeries:
    series: strawberry.Private[Series]
    key: list[GroupKey] = strawberry.field(
        description="The values that its rows share, one for each key of `groupBy`."
    )
    label: str = strawberry.field(description="The values of its key, or the name of the metric.")
    is_other: bool = strawberry.field(
        description="Whether it holds all groups that have no series of their own."
    )

    @classmethod
    def from_series(cls, series: Series) -> "MetricSeries":
        """Present a series."""
        return cls(series=series, key=series.keys, label=series.label, is_other=series.is_other)

    @strawberry.field(description="Aggregates over the whole range.")
    def total(self) -> MetricAggregates:
        return MetricAggregates(values=self.series.totals)

    @strawberry.field(description="Aggregates over the comparison range; null without `compare`.")
    def previous_total(self) -> MetricAggregates | None:
        if self.series.previous_totals is None:
            return None
        return MetricAggregates(values=self.series.previous_totals)

    @strawberry.field(
        description="Change of an aggregate from the comparison range; null without `compare`."
    )
    def change(
        self,
        aggregate: Annotated[
            AggregateKind, argument(description="The aggregate.")
        ] = AggregateKind.AVG,
        q: Annotated[float | None, argument(description="For QUANTILE: from 0 to 1.")] = None,
    ) -> Change | None:
        return self.series.change(aggregate, q=q)

    @strawberry.field(
        description="Its total divided by the total of all points: 0.25 for a quarter; null if that"
        " total is 0 or missing."
    )
    def share(
        self,
        aggregate: Annotated[
            AggregateKind,
            argument(description="COUNT, SUM or INCREASE: totals that add up over groups."),
        ] = AggregateKind.COUNT,
    ) -> float | None:
        return self.series.share(aggregate)

    @strawberry.field(description="Buckets as objects; `columns` cost far less.")
    def points(self, info: Info) -> list[MetricPoint]:
        return self.series.points(selected_fields(info._raw_info))  # noqa: SLF001

    @strawberry.field(description="Buckets as arrays, as chart libraries take them.")
    def columns(self) -> MetricColumns:
        return MetricColumns(values=self.series.columns)

    @strawberry.field(description=PREVIOUS_COLUMNS)
    def previous_columns(self) -> MetricColumns | None:
        if self.series.previous_columns is None:
            return None
        return MetricColumns(values=self.series.previous_columns)


@strawberry.type(description="Series of one metric.")
class MetricResult:
    result: strawberry.Private[SeriesResult]
    meta: ResultMeta = strawberry.field(description="Range, warnings and cost of the result.")

    @strawberry.field(description="Start of each bucket.")
    def times(self) -> list[Instant]:
        return self.result.shown_times()

    @strawberry.field(description=PREVIOUS_TIMES)
    def previous_times(self) -> list[Instant] | None:
        return self.result.shown_previous_times()

    @strawberry.field(description="One series for each group, or one for all points.")
    def series(self) -> list[MetricSeries]:
        return [MetricSeries.from_series(series) for series in self.result.series]

    @strawberry.field(
        description="One series for all points that pass the filter, whatever their groups."
    )
    def overall(self) -> MetricSeries:
        return MetricSeries.from_series(self.result.whole)
