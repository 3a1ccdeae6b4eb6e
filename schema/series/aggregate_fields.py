"""Fields of the aggregate types, made from the table `AGGREGATES`."""

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Annotated, Any, Final, TypeVar

import strawberry
from strawberry import argument
from strawberry.types.field import StrawberryField

from schema.filters import PropertyCast
from schema.scalars import DurationMs, Long
from schema.series.aggregates import AGGREGATES, DEFAULT_PER, Aggregate, AggregateKind, aggregate

T = TypeVar("T")

Cast = Annotated[
    PropertyCast | None,
    argument(description="Type to read texts as; null: they stay texts."),
]
PropertyPath = Annotated[
    str, argument(description="Path of a property; `cart.total` is `total` in `cart`.")
]

_PARAMETERS: Final = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            "q",
            Parameter.POSITIONAL_OR_KEYWORD,
            annotation=Annotated[
                float, argument(description="Level, from 0 to 1; 0.95 for the 95th percentile.")
            ],
        ),
        Parameter("property", Parameter.POSITIONAL_OR_KEYWORD, annotation=PropertyPath),
        Parameter(
            "exact",
            Parameter.POSITIONAL_OR_KEYWORD,
            default=False,
            annotation=Annotated[
                bool, argument(description="Exact value, at the cost of all values in memory.")
            ],
        ),
        Parameter("cast", Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Cast),
        Parameter(
            "per",
            Parameter.POSITIONAL_OR_KEYWORD,
            default=DEFAULT_PER,
            annotation=Annotated[
                DurationMs,
                argument(description="Unit of time of the rate; months and years are refused."),
            ],
        ),
    )
}
"""Arguments that aggregates take, by their names."""


def with_aggregates(table: str, *, columns: bool = False) -> Callable[[type[T]], type[T]]:
    """Add a field for each aggregate of a table's rows to a class with `values`.

    A field is one value, or with `columns` an array with a value for each bucket.
    """

    def add_fields(cls: type[T]) -> type[T]:
        for kind, spec in AGGREGATES.items():
            if field := spec.field(table):
                value: Any = Long if spec.counts else float | None
                returns = list[value] if columns else value
                resolver = _resolver(table, kind, field.arguments, returns)
                setattr(cls, kind.name.lower(), _aggregate_field(resolver, field.description))
        return cls

    return add_fields


def _aggregate_field(resolver: Callable[..., Any], description: str) -> StrawberryField:
    field: StrawberryField = strawberry.field(resolver=resolver, description=description)
    return field


def _resolver(
    table: str, kind: AggregateKind, names: tuple[str, ...], returns: object
) -> Callable[..., Any]:
    """Return a method with these arguments; Strawberry reads them from its signature."""

    def resolve(self: Any, **arguments: Any) -> Any:  # noqa: ANN401 - a value or a column
        values: Mapping[Aggregate, Any] = self.values
        return values[aggregate(table, kind, **arguments)]

    parameters = [_PARAMETERS[name] for name in names]
    self_parameter = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    resolve.__name__ = kind.name.lower()
    resolve.__signature__ = Signature([self_parameter, *parameters], return_annotation=returns)  # type: ignore[attr-defined] # functions have it at run time
    annotations = {parameter.name: parameter.annotation for parameter in parameters}
    resolve.__annotations__ = annotations | {"return": returns}
    return resolve
