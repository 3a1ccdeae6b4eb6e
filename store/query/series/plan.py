"""The plan of some aggregates: the states that they share, and the value of each over them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from schema.aggregates import COUNTS, Aggregate, AggregateKind
from store.query.series.aggregates import FIRST_PARAMETERS, Recipe, in_engine, recipe_of

_INTEGERS: Final = msgspec.json.Decoder(list[int])
_JSON: Final = msgspec.json.Encoder()


class Property(NamedTuple):
    """The expressions of one property: as a number or null, and as a text by which to group."""

    number: str
    group: str


class PropertyOf(Protocol):
    """Gives the expressions of a property by its path; with `cast`, texts can be numbers."""

    def __call__(self, path: str, *, cast: bool) -> Property: ...


class State(NamedTuple):
    """One aggregation that the engine makes; quantiles of the same values share theirs."""

    function: str
    parameters: str
    argument: str

    @property
    def over_rows_sql(self) -> str:
        """The aggregate's value over rows."""
        return f"{self.function}{self.parameters}({self.argument})"

    @property
    def state_sql(self) -> str:
        """The state over rows, to be merged or finished later."""
        return f"{self.function}State{self.parameters}({self.argument})"

    def regrouped_state_sql(self, column: str) -> str:
        """The state over the states in a column."""
        return f"{self.function}MergeState{self.parameters}({column})"

    def merged_value_sql(self, column: str) -> str:
        """The value over the states in a column."""
        return f"{self.function}Merge{self.parameters}({column})"


class Value(NamedTuple):
    """The value of an aggregate: an expression with a place for each of some states."""

    recipe: Recipe
    expression: str
    state_indexes: tuple[int, ...]

    def sql(self, result_sql: Callable[[int], str]) -> str:
        """Return the expression over the results that `read` gives of states by their number."""
        return self.expression.format(*map(result_sql, self.state_indexes))


class Result(NamedTuple):
    """An aggregate: an expression that is answered, or what `compute` makes of some of them."""

    aggregate: Aggregate
    expression_indexes: tuple[int, ...]
    compute: Callable[..., float | None] | None

    def total(self, row: Sequence[Any]) -> int | float | None:
        """Return a total; a count as an integer, as the engine writes 1e19 as 10…0.

        Raises `OutsideWindowError` if the numbers must be summed by the `WIDE` recipe.
        """
        values = [row[index] for index in self.expression_indexes]
        if self.compute:
            return self.compute(*values)
        value: int | float | None = values[0]
        return value if value is None or self.aggregate.kind in COUNTS else float(value)

    def column(self, arrays: Sequence[bytes]) -> bytes:
        """Return a column as a JSON array; raises as `total` does."""
        inputs = [arrays[index] for index in self.expression_indexes]
        if not self.compute:
            return inputs[0]
        return _JSON.encode(list(map(self.compute, *map(_INTEGERS.decode, inputs))))


class Results(NamedTuple):
    """The expressions that are answered for some aggregates, each once, and the aggregates."""

    expressions: tuple[str, ...]
    results: tuple[Result, ...]


NO_RESULTS: Final = Results((), ())


class Plan(NamedTuple):
    """The states that some aggregates need, and the value of each aggregate over them."""

    states: tuple[State, ...]
    values: dict[Aggregate, Value]
    in_sql: frozenset[Aggregate]

    def states_sql(self, prefix: str = "s") -> str:
        """Select all states over rows, as `s0`, `s1`, and so on."""
        return ", ".join(f"{state.state_sql} AS {prefix}{n}" for n, state in enumerate(self.states))

    def over_rows_sql(self, aggregate: Aggregate) -> str:
        """Return an aggregate over rows."""
        return self.values[aggregate].sql(self._over_rows_sql)

    def results_over_rows(self, aggregates: Iterable[Aggregate]) -> Results:
        """Return aggregates over rows."""
        return self._results(aggregates, self._over_rows_sql)

    def results_over_merged_states(self, aggregates: Iterable[Aggregate]) -> Results:
        """Return aggregates over the states in the columns `s0`, `s1`, and so on."""
        return self._results(aggregates, lambda n: self.states[n].merged_value_sql(f"s{n}"))

    def results_over_finished_states(self, aggregates: Iterable[Aggregate]) -> Results:
        """Return aggregates over one row's states in these columns."""
        return self._results(aggregates, _finished_state_sql, self.in_sql)

    def finished_sql(self, aggregate: Aggregate) -> str:
        """Return an aggregate over one row's states in these columns."""
        return self.values[aggregate].sql(_finished_state_sql)

    def _over_rows_sql(self, index: int) -> str:
        return self.states[index].over_rows_sql

    def _results(
        self,
        aggregates: Iterable[Aggregate],
        result_sql: Callable[[int], str],
        in_sql: frozenset[Aggregate] = frozenset(),
    ) -> Results:
        indexes: dict[str, int] = {}
        results = []
        for aggregate in aggregates:
            value = self.values[aggregate]
            compute = None if aggregate in in_sql else value.recipe.compute
            if compute:
                expressions = [
                    result_sql(n) for n in value.state_indexes[: value.recipe.computed_from]
                ]
            else:
                expressions = [value.sql(result_sql)]
            expression_indexes = tuple(
                indexes.setdefault(text, len(indexes)) for text in expressions
            )
            results.append(Result(aggregate, expression_indexes, compute))
        return Results(tuple(indexes), tuple(results))


def _finished_state_sql(index: int) -> str:
    return f"finalizeAggregation(s{index})"


def plan(
    aggregates: Iterable[Aggregate],
    property_of: PropertyOf,
    *,
    in_sql: Iterable[Aggregate],
    wide: bool = False,
) -> Plan:
    """Decide on the states; `property_of` gives the expressions of a property by its path.

    `in_sql` are those of whose values there must be an expression. `wide`: sums hold numbers of any
    size, or else throw when one is very large or very small.

    A rate is its increase, which the caller divides by the time.
    """
    engine_aggregates = sorted({in_engine(aggregate) for aggregate in aggregates}, key=repr)
    sql_aggregates = frozenset(map(in_engine, in_sql))
    levels: dict[tuple[str, bool, bool], list[float]] = {}
    for aggregate in engine_aggregates:
        if aggregate.q is not None:
            levels.setdefault(_quantile_input(aggregate), []).append(aggregate.q)
    index_by_state: dict[State, int] = {}
    number_ordinals: dict[str, int] = {}
    values: dict[Aggregate, Value] = {}
    for aggregate in engine_aggregates:
        number, group = _expressions(aggregate, property_of)
        if aggregate.kind is AggregateKind.INCREASE:
            number = "step"
        ordinal = number_ordinals.setdefault(number, len(number_ordinals))
        names = _placeholders(number, group, ordinal)
        recipe_levels = sorted(levels.get(_quantile_input(aggregate), ()))
        recipe = recipe_of(aggregate, wide=wide)
        functions = recipe.functions
        if recipe.compute and aggregate not in sql_aggregates:
            functions = functions[: recipe.computed_from]
        recipe_states = [
            State(name, _parameters(name, recipe_levels), argument.format_map(names))
            for name, argument in functions
        ]
        expression = recipe.value
        if aggregate.q is not None:
            level_index = str(recipe_levels.index(aggregate.q) + 1)
            expression = expression.replace("{level}", level_index)
        state_indexes = tuple(
            index_by_state.setdefault(state, len(index_by_state)) for state in recipe_states
        )
        values[aggregate] = Value(recipe, expression, state_indexes)
    return Plan(tuple(index_by_state), values, sql_aggregates)


def _placeholders(number: str, group: str, ordinal: int) -> dict[str, str]:
    """Return the names in a recipe; the number of a column needs no alias."""
    if number.isidentifier():
        never_null = alias = number
    else:
        alias = f"number{ordinal}"
        never_null = f"(ifNull({number}, 0) AS {alias})"
    return {
        "number": number,
        "nullable": "" if number.isidentifier() else number,
        "group": group,
        "never_null": never_null,
        "alias": alias,
        "window": f"window{ordinal}",
    }


def _parameters(function: str, levels: Sequence[float]) -> str:
    if function not in FIRST_PARAMETERS:
        return ""
    return f"({', '.join(map(repr, [*FIRST_PARAMETERS[function], *levels]))})"


def _quantile_input(aggregate: Aggregate) -> tuple[str, bool, bool]:
    return aggregate.property or "", aggregate.cast, aggregate.exact


def _expressions(aggregate: Aggregate, property_of: PropertyOf) -> Property:
    if aggregate.property is None:
        return Property("value", "")
    return property_of(aggregate.property, cast=aggregate.cast)
