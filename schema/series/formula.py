"""GraphQL types of formulas: arithmetic over metrics, one series for each group."""

from typing import Annotated, Any

import strawberry
from strawberry import argument

from schema.encoding import EncodedValue
from schema.filters import MetricFilter
from schema.scalars import Instant
from schema.series.aggregates import AggregateKind
from schema.series.order import OrderDirection
from schema.series.results import Change, GroupKey, ResultMeta
from schema.series.series_fields import PREVIOUS_TIMES


@strawberry.input(description="Aggregate of a metric, with its name in the formula.")
class NamedMetricInput:
    as_: str = strawberry.field(
        name="as", description="Name in the formula: letters, digits and underscores."
    )
    metric: str = strawberry.field(description="Name of the metric, in full.")
    aggregate: AggregateKind = strawberry.field(
        default=AggregateKind.AVG, description="Aggregate of the values."
    )
    q: float | None = strawberry.field(
        default=None, description="Quantile of QUANTILE, from 0 to 1."
    )
    where: MetricFilter | None = strawberry.field(
        default=None, description="Filter of the points; default: all points."
    )
    group_by: list[str] | None = strawberry.field(
        default=None,
        description="Tags to group by, the same for all grouped inputs. An input without groups is"
        " combined with each group of the others. An input without points of a group in the range"
        " is null there, or 0 with `fill: ZERO`.",
    )


@strawberry.type(description="Series of a formula: its total and its values for each bucket.")
class FormulaSeries:
    key: list[GroupKey] = strawberry.field(description="Group: the value of each tag.")
    label: str = strawberry.field(
        description="Values of the key, or the formula if nothing is grouped."
    )
    total: float | None = strawberry.field(
        description="Formula of the aggregates over the whole range; null if one is missing or a"
        " divisor is 0."
    )
    change: Change | None = strawberry.field(
        description="Change of the total from the other range; null without `compare`."
    )
    column: strawberry.Private[EncodedValue]
    previous_column: strawberry.Private[EncodedValue | None]

    @strawberry.field(description="Formula for each bucket, aligned with `times`.")
    def values(self) -> list[float | None]:
        return self.column  # type: ignore[return-value]  # it is encoded

    @strawberry.field(
        description="Formula for each bucket of the other range, aligned with `previousTimes`; null"
        " without `compare`."
    )
    def previous_values(self) -> list[float | None] | None:
        return self.previous_column  # type: ignore[return-value]  # it is encoded


@strawberry.type(description="Result of a formula.")
class FormulaResult:
    encoded_times: strawberry.Private[Any]
    encoded_previous_times: strawberry.Private[Any]
    series: list[FormulaSeries] = strawberry.field(
        description="One series for each group of any input, ordered by `total`, null last; one"
        " series if nothing is grouped."
    )
    meta: ResultMeta = strawberry.field(description="Range, cost and warnings of the result.")

    @strawberry.field(
        description="Start of each bucket. With `fill: NONE`, only buckets in which an input has"
        " points and the formula a value, in any series."
    )
    def times(self) -> list[Instant]:
        return self.encoded_times

    @strawberry.field(description=PREVIOUS_TIMES)
    def previous_times(self) -> list[Instant] | None:
        return self.encoded_previous_times


Text = Annotated[
    str,
    argument(
        description="Arithmetic over the names of the inputs: `+ - * /`, parentheses and numbers,"
        " like"
        " `errors / requests * 100`."
    ),
]
Direction = Annotated[
    OrderDirection,
    argument(description="Order of the groups by `total`: largest or smallest first."),
]
FormulaSearch = Annotated[
    str | None,
    argument(
        description="Return only groups whose label contains this text, in any case; default: all."
    ),
]
Inputs = Annotated[list[NamedMetricInput], argument(description="Metrics of the formula, 1 to 20.")]
