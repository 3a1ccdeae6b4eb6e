"""GraphQL types of an event series: totals, columns, points."""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any

import strawberry
from strawberry import argument
from strawberry.types import Info

from schema.filters import PropertyCast
from schema.scalars import Instant
from schema.selection import selected_fields
from schema.series.aggregate_fields import Cast, with_aggregates
from schema.series.aggregates import Aggregate, AggregateKind
from schema.series.results import Change, GroupKey, ResultMeta
from schema.series.series import PREVIOUS_COLUMNS, PREVIOUS_TIMES, Series, SeriesResult


@strawberry.enum(description="A field of every event, to group by.")
class EventField(Enum):
    NAME = strawberry.enum_value("name", description="Name of the event.")
    USER_ID = strawberry.enum_value("user_id", description="User of the event.")
    SESSION_ID = strawberry.enum_value("session_id", description="Session of the event.")


@strawberry.input(
    description="Bands of a number: below the first bound, between bounds, from the last bound on."
)
class NumberBucketInput:
    property: str = strawberry.field(
        description="Path of a property; `cart.total` is `total` in `cart`."
    )
    bounds: list[float] = strawberry.field(
        description="1 to 100 ascending bounds. `[10, 100)` has 10 in it, but not 100."
    )
    cast: PropertyCast | None = strawberry.field(
        default=None, description="What texts are read as; null: they stay texts."
    )


@strawberry.input(one_of=True, description="A key to group by. Exactly one field.")
class GroupByInput:
    property: str | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            "A property, at any depth by its path; with `[]` after an array (`tags[]`,"
            " `items[].sku`) an event counts in the group of each item, once."
        ),
    )
    field: EventField | None = strawberry.field(
        default=strawberry.UNSET, description="A field of every event."
    )
    bucket_number: NumberBucketInput | None = strawberry.field(
        default=strawberry.UNSET, description="Bands of a numeric property."
    )


@strawberry.type(description="Aggregates of events.")
@with_aggregates("events")
class EventAggregates:
    values: strawberry.Private[Mapping[Aggregate, Any]]


@strawberry.type(
    description="Aggregates bucket by bucket, as arrays aligned with `times` of the result."
)
@with_aggregates("events", columns=True)
class EventColumns:
    values: strawberry.Private[Mapping[Aggregate, Any]]


@strawberry.type(description="One bucket of a series.")
class EventPoint:
    time: Instant = strawberry.field(description="Start of the bucket.")
    values: EventAggregates = strawberry.field(
        description="Aggregates of the events in the bucket."
    )
    previous: EventAggregates | None = strawberry.field(
        description="Aggregates of the bucket with this index in the comparison range, if any."
    )
    is_partial: bool = strawberry.field(
        description="Whether the bucket has not ended yet, or lies only partly in the range."
    )


@strawberry.type(description="One series of a result.")
class EventSeries:
    series: strawberry.Private[Series]
    key: list[GroupKey] = strawberry.field(
        description="The values that its rows share, one for each key of `groupBy`."
    )
    label: str = strawberry.field(description="The values of its key; `Events` without keys.")
    is_other: bool = strawberry.field(
        description="Whether it holds all groups that have no series of their own."
    )

    @classmethod
    def from_series(cls, series: Series) -> "EventSeries":
        """Present a series."""
        return cls(series=series, key=series.keys, label=series.label, is_other=series.is_other)

    @strawberry.field(description="Aggregates over the whole range.")
    def total(self) -> EventAggregates:
        return EventAggregates(values=self.series.totals)

    @strawberry.field(description="Aggregates over the comparison range; null without `compare`.")
    def previous_total(self) -> EventAggregates | None:
        if self.series.previous_totals is None:
            return None
        return EventAggregates(values=self.series.previous_totals)

    @strawberry.field(
        description="Change of an aggregate from the comparison range; null without `compare`."
    )
    def change(
        self,
        aggregate: Annotated[
            AggregateKind, argument(description="The aggregate.")
        ] = AggregateKind.COUNT,
        property: Annotated[  # noqa: A002
            str | None, argument(description="For aggregates of a property: its path.")
        ] = None,
        q: Annotated[float | None, argument(description="For QUANTILE: from 0 to 1.")] = None,
        cast: Cast = None,
    ) -> Change | None:
        return self.series.change(aggregate, property, q, cast)

    @strawberry.field(
        description="Its total divided by the total of all events: 0.25 for a quarter; null if that"
        " total is 0 or missing."
    )
    def share(
        self,
        aggregate: Annotated[
            AggregateKind,
            argument(description="COUNT, SUM or INCREASE: totals that add up over groups."),
        ] = AggregateKind.COUNT,
        property: Annotated[  # noqa: A002
            str | None, argument(description="For SUM: path of the property.")
        ] = None,
        cast: Cast = None,
    ) -> float | None:
        return self.series.share(aggregate, property, cast)

    @strawberry.field(description="Buckets as objects; `columns` cost far less.")
    def points(self, info: Info) -> list[EventPoint]:
        return self.series.points(selected_fields(info._raw_info))  # noqa: SLF001

    @strawberry.field(description="Buckets as arrays, as chart libraries take them.")
    def columns(self) -> EventColumns:
        return EventColumns(values=self.series.columns)

    @strawberry.field(description=PREVIOUS_COLUMNS)
    def previous_columns(self) -> EventColumns | None:
        if self.series.previous_columns is None:
            return None
        return EventColumns(values=self.series.previous_columns)


@strawberry.type(description="Series of events.")
class EventResult:
    result: strawberry.Private[SeriesResult]
    meta: ResultMeta = strawberry.field(description="Range, warnings and cost of the result.")

    @strawberry.field(description="Start of each bucket.")
    def times(self) -> list[Instant]:
        return self.result.shown_times()

    @strawberry.field(description=PREVIOUS_TIMES)
    def previous_times(self) -> list[Instant] | None:
        return self.result.shown_previous_times()

    @strawberry.field(description="One series for each group, or one for all events.")
    def series(self) -> list[EventSeries]:
        return [EventSeries.from_series(series) for series in self.result.series]

    @strawberry.field(
        description="One series for all events that pass the filter, whatever their groups."
    )
    def overall(self) -> EventSeries:
        return EventSeries.from_series(self.result.whole)
