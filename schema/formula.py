"""Answers to formulas: arithmetic over metrics, series by series."""

from typing import Annotated, Any

import strawberry
from strawberry import argument

from schema.aggregates import AggregateKind, OrderDirection
from schema.filters import MetricFilter
from schema.ready import EncodedValue
from schema.results import Change, GroupKey, ResultMeta
from schema.scalars import Instant
from schema.series import PREVIOUS_TIMES


@strawberry.input(description="A metric's aggregate, under the name that a formula knows it by.")
class NamedMetricInput:
    as_: str = strawberry.field(
        name="as", description="Its name in the formula: letters, digits and underscores."
    )
    metric: str = strawberry.field(description="The metric's whole name.")
    aggregate: AggregateKind = strawberry.field(
        default=AggregateKind.AVG, description="Which aggregate of it."
    )
    q: float | None = strawberry.field(default=None, description="Of QUANTILE, from 0 to 1.")
    where: MetricFilter | None = strawberry.field(
        default=None, description="Which of its points; all if null."
    )
    group_by: list[str] | None = strawberry.field(
        default=None,
        description="Tags to group by: the same for all inputs that have any. An input without"
        " stands beside each group of the others. An input that has no points of a group in the"
        " range is null there; with `fill: ZERO` 0.",
    )


@strawberry.type(description="One line of a formula's answer.")
class FormulaSeries:
    key: list[GroupKey] = strawberry.field(description="Its values of what inputs are grouped by.")
    label: str = strawberry.field(description="The values of its key, or the formula.")
    total: float | None = strawberry.field(
        description="The formula of the aggregates over the whole range; null when one is missing,"
        " or a divisor is 0."
    )
    change: Change | None = strawberry.field(
        description="How the total changed; null without `compare`."
    )
    column: strawberry.Private[EncodedValue]
    previous_column: strawberry.Private[EncodedValue | None]

    @strawberry.field(description="The formula bucket by bucket, aligned with `times`.")
    def values(self) -> list[float | None]:
        return self.column  # type: ignore[return-value]  # it is ready

    @strawberry.field(
        description="The formula bucket by bucket over the other range, aligned with"
        " `previousTimes`; null without `compare`."
    )
    def previous_values(self) -> list[float | None] | None:
        return self.previous_column  # type: ignore[return-value]  # it is ready


@strawberry.type(description="The answer to a formula.")
class FormulaResult:
    begins: strawberry.Private[Any]
    previous_begins: strawberry.Private[Any]
    series: list[FormulaSeries] = strawberry.field(
        description="One line for each group that any input has, by `total`, those without one"
        " last; or one line without groups."
    )
    meta: ResultMeta = strawberry.field(description="How the answer was made.")

    @strawberry.field(
        description="When each bucket begins. With `fill: NONE` only those in which an input has"
        " points and the formula a value, in any series."
    )
    def times(self) -> list[Instant]:
        return self.begins

    @strawberry.field(description=PREVIOUS_TIMES)
    def previous_times(self) -> list[Instant] | None:
        return self.previous_begins


Text = Annotated[
    str,
    argument(
        description="Arithmetic over the inputs' names: `+ - * /`, parentheses, numbers;"
        " `errors / requests * 100`."
    ),
]
Direction = Annotated[
    OrderDirection,
    argument(description="Which groups come first: those of the largest or the smallest `total`."),
]
FormulaSearch = Annotated[
    str | None, argument(description="Only groups whose label has this text in it, in any case.")
]
Inputs = Annotated[
    list[NamedMetricInput], argument(description="The metrics of the formula, 1 to 20.")
]
