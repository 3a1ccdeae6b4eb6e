"""GraphQL fields that series of metrics and of events share: buckets, series, results.

The type arguments are the types of aggregates, of columns, of points and of series.
"""

from functools import partial
from typing import Annotated, Any, ClassVar, Final, Generic, Self, TypeVar

import strawberry
from strawberry import argument
from strawberry.types import Info

from schema.encoding import encode_beside
from schema.scalars import Instant
from schema.selection import selected_fields
from schema.series.aggregates import AggregateKind
from schema.series.results import GroupKey, ResultMeta
from schema.series.series import Series, SeriesResult

PREVIOUS_TIMES: Final = (
    "Start of each bucket of the other range; null without `compare`. Entry n belongs to entry n of"
    " `times`, though the ranges may differ in their number of buckets."
)
CHANGE: Final = "Change of an aggregate from the other range; null without `compare`."
SHARE: Final = (
    "Total of the series divided by the total of all rows: 0.25 for a quarter. Null if the total of"
    " all rows is 0 or missing."
)

QuantileLevel = Annotated[
    float | None, argument(description="Level of QUANTILE, from 0 to 1; null for others.")
]
AdditiveAggregate = Annotated[
    AggregateKind,
    argument(description="COUNT, SUM or INCREASE: aggregates that add up over groups."),
]

AggregatesT = TypeVar("AggregatesT")
ColumnsT = TypeVar("ColumnsT")
PointT = TypeVar("PointT")
SeriesT = TypeVar("SeriesT")


@strawberry.type
class PointFields(Generic[AggregatesT]):
    time: Instant = strawberry.field(description="Start of the bucket.")
    values: AggregatesT = strawberry.field(description="Aggregates of the rows in the bucket.")
    previous: AggregatesT | None = strawberry.field(
        description="Aggregates of the bucket with this index in the other range; null if there is"
        " none."
    )
    is_partial: bool = strawberry.field(
        description="Whether the bucket has not ended yet, or lies only partly in the range."
    )


@strawberry.type
class SeriesFields(Generic[AggregatesT, ColumnsT, PointT]):
    aggregates_type: ClassVar[type[Any]]
    columns_type: ClassVar[type[Any]]

    series: strawberry.Private[Series]
    key: list[GroupKey] = strawberry.field(
        description="Group of the series: a value for each key of `groupBy`."
    )
    label: str = strawberry.field(
        description="Values of the key; without keys the name of the metric, or `Events`."
    )
    is_other: bool = strawberry.field(
        description="Whether the series is of all groups that have no series of their own."
    )

    @classmethod
    def from_series(cls, series: Series) -> Self:
        """Present a series."""
        return cls(series=series, key=series.keys, label=series.label, is_other=series.is_other)

    @strawberry.field(description="Aggregates over the whole range.")
    def total(self) -> AggregatesT:
        return self.aggregates_type(values=self.series.totals)

    @strawberry.field(description="Aggregates over the whole other range; null without `compare`.")
    def previous_total(self) -> AggregatesT | None:
        totals = self.series.previous_totals
        return None if totals is None else self.aggregates_type(values=totals)

    @strawberry.field(description="Buckets as objects; `columns` cost far less.")
    def points(self, info: Info) -> list[PointT]:
        fields = selected_fields(info._raw_info)  # noqa: SLF001
        encode = partial(self.series.points, fields, info.context.answer)
        return encode_beside(encode, fields, self.series.point_count, info.context.answer)

    @strawberry.field(description="Buckets as arrays, one for each aggregate.")
    def columns(self) -> ColumnsT:
        return self.columns_type(values=self.series.columns)

    @strawberry.field(
        description="Aggregates for each bucket of the other range, aligned with `previousTimes`;"
        " null without `compare`. Their length differs from `columns` if the other range has more"
        " or fewer buckets."
    )
    def previous_columns(self) -> ColumnsT | None:
        columns = self.series.previous_columns
        return None if columns is None else self.columns_type(values=columns)


@strawberry.type
class ResultFields(Generic[SeriesT]):
    series_type: ClassVar[type[Any]]

    result: strawberry.Private[SeriesResult]
    meta: ResultMeta = strawberry.field(description="Range, cost and warnings of the result.")

    @strawberry.field(description="Start of each bucket.")
    def times(self) -> list[Instant]:
        return self.result.encoded_times

    @strawberry.field(description=PREVIOUS_TIMES)
    def previous_times(self) -> list[Instant] | None:
        return self.result.encoded_previous_times

    @strawberry.field(description="One series for each group, or one for all rows.")
    def series(self) -> list[SeriesT]:
        return [self.series_type.from_series(series) for series in self.result.series]

    @strawberry.field(
        description="One series for all rows that pass the filter, whatever their groups."
    )
    def overall(self) -> SeriesT:
        return self.series_type.from_series(self.result.overall_series)
