"""Answers about metrics: series of aggregates."""

from collections.abc import Mapping
from typing import Annotated, Any

import strawberry
from strawberry import argument
from strawberry.types import Info

from schema.aggregates import DEFAULT_PER, Aggregate, AggregateKind, field_aggregate
from schema.results import Change, GroupKey, ResultMeta
from schema.scalars import DurationMs, Instant, Long
from schema.selection import selected_fields
from schema.series import PREVIOUS_COLUMNS, PREVIOUS_TIMES, Series, SeriesResult

Level = Annotated[float, argument(description="From 0 to 1: 0.95 for the 95th percentile.")]
Exact = Annotated[bool, argument(description="Exact, at the cost of all values in memory.")]
Per = Annotated[
    DurationMs,
    argument(description="The time to which growth is related: a fixed length, no months."),
]

_COUNT = "Number of points."
_SUM = "Exact sum of the values; 0 without points, null when it is beyond a double."
_AVG = "Mean of the values, between `min` and `max`; null without points."
_MIN = "Smallest value; null without points."
_MAX = "Largest value; null without points."
_FIRST = "Earliest value; null without points."
_LAST = "Latest value; null without points."
_STDDEV = "Standard deviation of the values, as of a whole population; null without points."
_QUANTILE = (
    "The value below which the share `q` of the values is. Within 1 % of one of the two values"
    " around that place (1e95 if it is larger, 0 if it is smaller than 1e-75), between `min`"
    " and `max`; interpolated between them, as PERCENTILE_CONT in SQL, if `exact`."
)
_INCREASE = (
    "How much a counter grew from point to point within the range, series by series; after a"
    " reset it grew from 0. A step counts where it ends."
)
_RATE = "The increase, related to a time: `per` second unless given."


class _Values:
    """Something that has a value for each aggregate."""

    values: Mapping[Aggregate, Any]

    def _value(self, name: str, **arguments: Any) -> Any:  # noqa: ANN401 - a value or a column
        return self.values[field_aggregate("metrics", name, arguments)]


@strawberry.type(description="Aggregates of the values of some points.")
class MetricAggregates(_Values):
    values: strawberry.Private[Mapping[Aggregate, Any]]

    @strawberry.field(description=_COUNT)
    def count(self) -> Long:
        return self._value("count")

    @strawberry.field(description=_SUM)
    def sum(self) -> float | None:
        return self._value("sum")

    @strawberry.field(description=_AVG)
    def avg(self) -> float | None:
        return self._value("avg")

    @strawberry.field(description=_MIN)
    def min(self) -> float | None:
        return self._value("min")

    @strawberry.field(description=_MAX)
    def max(self) -> float | None:
        return self._value("max")

    @strawberry.field(description=_FIRST)
    def first(self) -> float | None:
        return self._value("first")

    @strawberry.field(description=_LAST)
    def last(self) -> float | None:
        return self._value("last")

    @strawberry.field(description=_STDDEV)
    def stddev(self) -> float | None:
        return self._value("stddev")

    @strawberry.field(description=_QUANTILE)
    def quantile(self, q: Level, exact: Exact = False) -> float | None:
        return self._value("quantile", q=q, exact=exact)

    @strawberry.field(description=_INCREASE)
    def increase(self) -> float | None:
        return self._value("increase")

    @strawberry.field(description=_RATE)
    def rate(self, per: Per = DEFAULT_PER) -> float | None:
        return self._value("rate", per=per)


@strawberry.type(
    description="Aggregates bucket by bucket, as arrays aligned with `times` of the result."
)
class MetricColumns(_Values):
    values: strawberry.Private[Mapping[Aggregate, Any]]

    @strawberry.field(description=_COUNT)
    def count(self) -> list[Long]:
        return self._value("count")

    @strawberry.field(description=_SUM)
    def sum(self) -> list[float | None]:
        return self._value("sum")

    @strawberry.field(description=_AVG)
    def avg(self) -> list[float | None]:
        return self._value("avg")

    @strawberry.field(description=_MIN)
    def min(self) -> list[float | None]:
        return self._value("min")

    @strawberry.field(description=_MAX)
    def max(self) -> list[float | None]:
        return self._value("max")

    @strawberry.field(description=_FIRST)
    def first(self) -> list[float | None]:
        return self._value("first")

    @strawberry.field(description=_LAST)
    def last(self) -> list[float | None]:
        return self._value("last")

    @strawberry.field(description=_STDDEV)
    def stddev(self) -> list[float | None]:
        return self._value("stddev")

    @strawberry.field(description=_QUANTILE)
    def quantile(self, q: Level, exact: Exact = False) -> list[float | None]:
        return self._value("quantile", q=q, exact=exact)

    @strawberry.field(description=_INCREASE)
    def increase(self) -> list[float | None]:
        return self._value("increase")

    @strawberry.field(description=_RATE)
    def rate(self, per: Per = DEFAULT_PER) -> list[float | None]:
        return self._value("rate", per=per)


@strawberry.type(description="One bucket of a series.")
class MetricPoint:
    time: Instant = strawberry.field(description="When the bucket begins.")
    values: MetricAggregates = strawberry.field(description="Aggregates of its points.")
    previous: MetricAggregates | None = strawberry.field(
        description="The same of the bucket at its place in the other range; null without one."
    )
    is_partial: bool = strawberry.field(
        description="Whether the bucket is not over yet, or the range covers a part of it only."
    )


@strawberry.type(description="One line of an answer.")
class MetricSeries:
    series: strawberry.Private[Series]
    key: list[GroupKey] = strawberry.field(description="Its values of what rows are grouped by.")
    label: str = strawberry.field(description="The values of its key, or the metric's name.")
    is_other: bool = strawberry.field(
        description="Whether it is all groups that have no line of their own."
    )

    @classmethod
    def from_series(cls, series: Series) -> "MetricSeries":
        """Present a series."""
        return cls(series=series, key=series.keys, label=series.label, is_other=series.is_other)

    @strawberry.field(description="Over the whole range.")
    def total(self) -> MetricAggregates:
        return MetricAggregates(values=self.series.totals)

    @strawberry.field(description="Over the whole of the other range; null without `compare`.")
    def previous_total(self) -> MetricAggregates | None:
        if self.series.previous_totals is None:
            return None
        return MetricAggregates(values=self.series.previous_totals)

    @strawberry.field(description="How an aggregate changed; null without `compare`.")
    def change(
        self,
        aggregate: Annotated[AggregateKind, argument(description="Which one.")] = AggregateKind.AVG,
        q: Annotated[float | None, argument(description="Of QUANTILE, from 0 to 1.")] = None,
    ) -> Change | None:
        return self.series.change(aggregate, q=q)

    @strawberry.field(
        description="Its total divided by that of all points: 0.25 for a quarter; null when that is"
        " 0 or missing."
    )
    def share(
        self,
        aggregate: Annotated[
            AggregateKind,
            argument(description="One that adds up over groups: COUNT, SUM or INCREASE."),
        ] = AggregateKind.COUNT,
    ) -> float | None:
        return self.series.share(aggregate)

    @strawberry.field(description="Bucket by bucket, as objects. `columns` are far cheaper.")
    def points(self, info: Info) -> list[MetricPoint]:
        return self.series.points(selected_fields(info._raw_info))  # noqa: SLF001

    @strawberry.field(description="Bucket by bucket, as arrays: what charts take.")
    def columns(self) -> MetricColumns:
        return MetricColumns(values=self.series.columns)

    @strawberry.field(description=PREVIOUS_COLUMNS)
    def previous_columns(self) -> MetricColumns | None:
        if self.series.previous_columns is None:
            return None
        return MetricColumns(values=self.series.previous_columns)


@strawberry.type(description="The answer to a question about one metric.")
class MetricResult:
    result: strawberry.Private[SeriesResult]
    meta: ResultMeta = strawberry.field(description="How the answer was made.")

    @strawberry.field(description="When each bucket begins.")
    def times(self) -> list[Instant]:
        return self.result.shown_times()

    @strawberry.field(description=PREVIOUS_TIMES)
    def previous_times(self) -> list[Instant] | None:
        return self.result.shown_previous_times()

    @strawberry.field(description="One line for each group, or one for all points.")
    def series(self) -> list[MetricSeries]:
        return [MetricSeries.from_series(one) for one in self.result.series]

    @strawberry.field(
        description="One line for all points that pass the filter, whatever their groups."
    )
    def overall(self) -> MetricSeries:
        return MetricSeries.from_series(self.result.whole)


@strawberry.type(description="Everything that is stored, in numbers.")
class Overview:
    metric_count: Long = strawberry.field(description="Metric points stored.")
    metric_names: list[str] = strawberry.field(description="Names of all metrics, sorted.")
    event_count: Long = strawberry.field(description="Events stored.")
    event_names: list[str] = strawberry.field(description="Names of all events, sorted.")
    time: Instant = strawberry.field(description="When this was counted.")
