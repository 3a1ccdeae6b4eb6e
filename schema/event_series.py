"""Answers about events in numbers: series of aggregates."""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any

import strawberry
from strawberry import argument
from strawberry.types import Info

from schema.aggregates import Aggregate, AggregateKind, field_aggregate
from schema.filters import PropertyCast
from schema.results import Change, GroupKey, ResultMeta
from schema.scalars import Instant, Long
from schema.selection import selected_fields
from schema.series import PREVIOUS_COLUMNS, PREVIOUS_TIMES, Series, SeriesResult


@strawberry.enum(description="A field of every event, to group by.")
class EventField(Enum):
    NAME = strawberry.enum_value("name", description="What happened.")
    USER_ID = strawberry.enum_value("user_id", description="Who did it.")
    SESSION_ID = strawberry.enum_value("session_id", description="In which session.")


@strawberry.input(
    description="Bands of a number: below the first bound, between two, from the last."
)
class NumberBucketInput:
    property: str = strawberry.field(description="A property; `cart.total` is `total` in `cart`.")
    bounds: list[float] = strawberry.field(
        description="1 to 100 ascending bounds. `[10, 100)` has 10 in it, but not 100."
    )
    cast: PropertyCast | None = strawberry.field(
        default=None, description="What texts are taken for; null for texts."
    )


@strawberry.input(one_of=True, description="What to group by. Exactly one field.")
class GroupByInput:
    property: str | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            "A property, at any depth by its path; with `[]` behind an array (`tags[]`,"
            " `items[].sku`) an event counts in the group of each item, once."
        ),
    )
    field: EventField | None = strawberry.field(
        default=strawberry.UNSET, description="A field of every event."
    )
    bucket_number: NumberBucketInput | None = strawberry.field(
        default=strawberry.UNSET, description="Bands of a property that is a number."
    )


Path = Annotated[str, argument(description="A property; `cart.total` is `total` in `cart`.")]
Level = Annotated[float, argument(description="From 0 to 1: 0.95 for the 95th percentile.")]
Cast = Annotated[
    PropertyCast | None, argument(description="What texts are taken for; null for texts.")
]
Exact = Annotated[bool, argument(description="Exact, at the cost of all values in memory.")]

_COUNT = "Number of events."
_SUM = (
    "Sum of a property where it is a number, exact and rounded once; 0 where it never is, null if"
    " no double is as large."
)
_AVG = "Mean of a property where it is a number, between `min` and `max`; null where it never is."
_MIN = "Smallest number that a property is; null where it never is one."
_MAX = "Largest number that a property is; null where it never is one."
_QUANTILE = (
    "The number below which the share `q` of a property's numbers is. Within 1 % of one of the"
    " two around that place (1e95 if it is larger, 0 if it is smaller than 1e-75), between `min`"
    " and `max`; interpolated between them, as PERCENTILE_CONT in SQL, if `exact`."
)
_USERS = "Users who did it; from 1,000 or so within 1 %, unless `exact`."
_SESSIONS = "Sessions in which it happened; from 1,000 or so within 1 %, unless `exact`."
_UNIQUE = "Distinct values of a property; from 1,000 or so within 1 %, unless `exact`."


class _Values:
    """Something that has a value for each aggregate."""

    values: Mapping[Aggregate, Any]

    def _value(self, name: str, **arguments: Any) -> Any:  # noqa: ANN401 - a value or a column
        return self.values[field_aggregate("events", name, arguments)]


@strawberry.type(description="Aggregates of some events.")
class EventAggregates(_Values):
    values: strawberry.Private[Mapping[Aggregate, Any]]

    @strawberry.field(description=_COUNT)
    def count(self) -> Long:
        return self._value("count")

    @strawberry.field(description=_SUM)
    def sum(self, property: Path, cast: Cast = None) -> float | None:  # noqa: A002
        return self._value("sum", property=property, cast=cast)

    @strawberry.field(description=_AVG)
    def avg(self, property: Path, cast: Cast = None) -> float | None:  # noqa: A002
        return self._value("avg", property=property, cast=cast)

    @strawberry.field(description=_MIN)
    def min(self, property: Path, cast: Cast = None) -> float | None:  # noqa: A002
        return self._value("min", property=property, cast=cast)

    @strawberry.field(description=_MAX)
    def max(self, property: Path, cast: Cast = None) -> float | None:  # noqa: A002
        return self._value("max", property=property, cast=cast)

    @strawberry.field(description=_QUANTILE)
    def quantile(
        self,
        q: Level,
        property: Path,  # noqa: A002
        exact: Exact = False,
        cast: Cast = None,
    ) -> float | None:
        return self._value("quantile", q=q, property=property, exact=exact, cast=cast)

    @strawberry.field(description=_USERS)
    def unique_users(self, exact: Exact = False) -> Long:
        return self._value("uniqueUsers", exact=exact)

    @strawberry.field(description=_SESSIONS)
    def unique_sessions(self, exact: Exact = False) -> Long:
        return self._value("uniqueSessions", exact=exact)

    @strawberry.field(description=_UNIQUE)
    def unique(self, property: Path, exact: Exact = False) -> Long:  # noqa: A002
        return self._value("unique", property=property, exact=exact)


@strawberry.type(
    description="Aggregates bucket by bucket, as arrays aligned with `times` of the result."
)
class EventColumns(_Values):
    values: strawberry.Private[Mapping[Aggregate, Any]]

    @strawberry.field(description=_COUNT)
    def count(self) -> list[Long]:
        return self._value("count")

    @strawberry.field(description=_SUM)
    def sum(self, property: Path, cast: Cast = None) -> list[float | None]:  # noqa: A002
        return self._value("sum", property=property, cast=cast)

    @strawberry.field(description=_AVG)
    def avg(self, property: Path, cast: Cast = None) -> list[float | None]:  # noqa: A002
        return self._value("avg", property=property, cast=cast)

    @strawberry.field(description=_MIN)
    def min(self, property: Path, cast: Cast = None) -> list[float | None]:  # noqa: A002
        return self._value("min", property=property, cast=cast)

    @strawberry.field(description=_MAX)
    def max(self, property: Path, cast: Cast = None) -> list[float | None]:  # noqa: A002
        return self._value("max", property=property, cast=cast)

    @strawberry.field(description=_QUANTILE)
    def quantile(
        self,
        q: Level,
        property: Path,  # noqa: A002
        exact: Exact = False,
        cast: Cast = None,
    ) -> list[float | None]:
        return self._value("quantile", q=q, property=property, exact=exact, cast=cast)

    @strawberry.field(description=_USERS)
    def unique_users(self, exact: Exact = False) -> list[Long]:
        return self._value("uniqueUsers", exact=exact)

    @strawberry.field(description=_SESSIONS)
    def unique_sessions(self, exact: Exact = False) -> list[Long]:
        return self._value("uniqueSessions", exact=exact)

    @strawberry.field(description=_UNIQUE)
    def unique(self, property: Path, exact: Exact = False) -> list[Long]:  # noqa: A002
        return self._value("unique", property=property, exact=exact)


@strawberry.type(description="One bucket of a series.")
class EventPoint:
    time: Instant = strawberry.field(description="When the bucket begins.")
    values: EventAggregates = strawberry.field(description="Aggregates of its events.")
    previous: EventAggregates | None = strawberry.field(
        description="The same of the bucket at its place in the other range; null without one."
    )
    is_partial: bool = strawberry.field(
        description="Whether the bucket is not over yet, or the range covers a part of it only."
    )


@strawberry.type(description="One line of an answer.")
class EventSeries:
    series: strawberry.Private[Series]
    key: list[GroupKey] = strawberry.field(description="Its values of what rows are grouped by.")
    label: str = strawberry.field(description="The values of its key, or what was asked for.")
    is_other: bool = strawberry.field(
        description="Whether it is all groups that have no line of their own."
    )

    @classmethod
    def from_series(cls, series: Series) -> "EventSeries":
        """Present a series."""
        return cls(series=series, key=series.keys, label=series.label, is_other=series.is_other)

    @strawberry.field(description="Over the whole range.")
    def total(self) -> EventAggregates:
        return EventAggregates(values=self.series.totals)

    @strawberry.field(description="Over the whole of the other range; null without `compare`.")
    def previous_total(self) -> EventAggregates | None:
        if self.series.previous_totals is None:
            return None
        return EventAggregates(values=self.series.previous_totals)

    @strawberry.field(description="How an aggregate changed; null without `compare`.")
    def change(
        self,
        aggregate: Annotated[
            AggregateKind, argument(description="Which one.")
        ] = AggregateKind.COUNT,
        property: Annotated[  # noqa: A002
            str | None, argument(description="Of the aggregates that need one.")
        ] = None,
        q: Annotated[float | None, argument(description="Of QUANTILE, from 0 to 1.")] = None,
        cast: Cast = None,
    ) -> Change | None:
        return self.series.change(aggregate, property, q, cast)

    @strawberry.field(
        description="Its total divided by that of all events: 0.25 for a quarter; null when that is"
        " 0 or missing."
    )
    def share(
        self,
        aggregate: Annotated[
            AggregateKind,
            argument(description="One that adds up over groups: COUNT, SUM or INCREASE."),
        ] = AggregateKind.COUNT,
        property: Annotated[  # noqa: A002
            str | None, argument(description="Of SUM, which needs one.")
        ] = None,
        cast: Cast = None,
    ) -> float | None:
        return self.series.share(aggregate, property, cast)

    @strawberry.field(description="Bucket by bucket, as objects. `columns` are far cheaper.")
    def points(self, info: Info) -> list[EventPoint]:
        return self.series.points(selected_fields(info._raw_info))  # noqa: SLF001

    @strawberry.field(description="Bucket by bucket, as arrays: what charts take.")
    def columns(self) -> EventColumns:
        return EventColumns(values=self.series.columns)

    @strawberry.field(description=PREVIOUS_COLUMNS)
    def previous_columns(self) -> EventColumns | None:
        if self.series.previous_columns is None:
            return None
        return EventColumns(values=self.series.previous_columns)


@strawberry.type(description="The answer to a question about events.")
class EventResult:
    result: strawberry.Private[SeriesResult]
    meta: ResultMeta = strawberry.field(description="How the answer was made.")

    @strawberry.field(description="When each bucket begins.")
    def times(self) -> list[Instant]:
        return self.result.shown_times()

    @strawberry.field(description=PREVIOUS_TIMES)
    def previous_times(self) -> list[Instant] | None:
        return self.result.shown_previous_times()

    @strawberry.field(description="One line for each group, or one for all events.")
    def series(self) -> list[EventSeries]:
        return [EventSeries.from_series(one) for one in self.result.series]

    @strawberry.field(
        description="One line for all events that pass the filter, whatever their groups."
    )
    def overall(self) -> EventSeries:
        return EventSeries.from_series(self.result.whole)
