"""The plan of a statement's aggregates: shared states, and the value of each aggregate."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from schema.series.aggregates import COUNTS, Aggregate, AggregateKind
from store.query.series.aggregates import FIRST_PARAMETERS, Recipe, in_engine, recipe_of

_INPUTS: Final = msgspec.json.Decoder(list[int | str])
_JSON: Final = msgspec.json.Encoder()


class Property(NamedTuple):
    """The expressions of one property: a number or null, and a canonical text."""

    number: str
    group: str


class PropertyOf(Protocol):
    """Builds the expressions of a property from its path; with `cast` numeric texts are numbers."""

    def __call__(self, path: str, *, cast: bool) -> Property: ...


class State(NamedTuple):
    """One aggregate function in the engine; quantiles of the same values share a state."""

    function: str
    parameters: str
    argument: str

    @property
    def over_rows_sql(self) -> str:
        """The value over rows."""
        return f"{self.function}{self.parameters}({self.argument})"

    @property
    def state_sql(self) -> str:
        """The state over rows, to be merged or finalized."""
        return f"{self.function}State{self.parameters}({self.argument})"

    def regrouped_state_sql(self, column: str) -> str:
        """Return the merged state over the states in a column."""
        return f"{self.function}MergeState{self.parameters}({column})"

    def merged_value_sql(self, column: str) -> str:
        """Return the value over the states in a column."""
        return f"{self.function}Merge{self.parameters}({column})"


class Value(NamedTuple):
    """The value of an aggregate: an expression with a placeholder for each of its states."""

    recipe: Recipe
    expression: str
    state_indexes: tuple[int, ...]

    def sql(self, result_sql: Callable[[int], str]) -> str:
        """Return the expression; `result_sql` gives the result of a state by its index."""
        return self.expression.format(*map(result_sql, self.state_indexes))


class Result(NamedTuple):
    """An aggregate in an answer: one expression, or the inputs of `compute`."""

    aggregate: Aggregate
    expression_indexes: tuple[int, ...]
    compute: Callable[..., float | None] | None

    def total(self, row: Sequence[Any]) -> int | float | None:
        """Return the total from a row of the answer; a count as an integer.

        Other totals become doubles, because the engine writes 1e19 as the integer 10…0.

        Raises `OutsideWindowError` if the numbers need the `LONG_NUMBER_RECIPES` recipe.
        """
        values = [row[index] for index in self.expression_indexes]
        if self.compute:
            return self.compute(*values)
        value: int | float | None = values[0]
        return value if value is None or self.aggregate.kind in COUNTS else float(value)

    def column(self, arrays: Sequence[bytes]) -> bytes:
        """Return the column as a JSON array. Raises `OutsideWindowError` as `total` does."""
        inputs = [arrays[index] for index in self.expression_indexes]
        if not self.compute:
            return inputs[0]
        return _JSON.encode(list(map(self.compute, *map(_INPUTS.decode, inputs))))


class Results(NamedTuple):
    """The distinct expressions of an answer, and the aggregates that are read from them."""

    expressions: tuple[str, ...]
    results: tuple[Result, ...]


NO_RESULTS: Final = Results((), ())


class Plan(NamedTuple):
    """The states of all aggregates, and the value of each aggregate over the states.

    States are selected as the columns `s0`, `s1`, and so on.
    """

    states: tuple[State, ...]
    values: dict[Aggregate, Value]
    in_sql: frozenset[Aggregate]

    def states_sql(self, prefix: str = "s") -> str:
        """Select all states over rows, as `s0`, `s1` and so on, or with another prefix."""
        return ", ".join(f"{state.state_sql} AS {prefix}{n}" for n, state in enumerate(self.states))

    def over_rows_sql(self, aggregate: Aggregate) -> str:
        """Return the value of an aggregate over rows."""
        return self.values[aggregate].sql(self._over_rows_sql)

    def results_over_rows(self, aggregates: Iterable[Aggregate]) -> Results:
        """Return the results of aggregates over rows."""
        return self._results(aggregates, self._over_rows_sql)

    def results_over_merged_states(self, aggregates: Iterable[Aggregate]) -> Results:
        """Return the results of aggregates over the merged states of several rows."""
        return self._results(aggregates, lambda n: self.states[n].merged_value_sql(f"s{n}"))

    def results_over_finished_states(self, aggregates: Iterable[Aggregate]) -> Results:
        """Return the results of aggregates over the states of one row."""
        return self._results(aggregates, _finished_state_sql, self.in_sql)

    def finished_sql(self, aggregate: Aggregate) -> str:
        """Return the value of an aggregate over the states of one row."""
        return self.values[aggregate].sql(_finished_state_sql)

    def _over_rows_sql(self, index: int) -> str:
        return self.states[index].over_rows_sql

    def _results(
        self,
        aggregates: Iterable[Aggregate],
        result_sql: Callable[[int], str],
        in_sql: frozenset[Aggregate] = frozenset(),
    ) -> Results:
        index_by_text: dict[str, int] = {}
        results = []
        for aggregate in aggregates:
            value = self.values[aggregate]
            compute = None if aggregate in in_sql else value.recipe.compute
            if compute:
                inputs = slice(value.recipe.computed_from)
                functions, indexes = value.recipe.functions[inputs], value.state_indexes[inputs]
                expressions = [
                    function.input_text.format(result_sql(n))
                    for function, n in zip(functions, indexes, strict=True)
                ]
            else:
                expressions = [value.sql(result_sql)]
            expression_indexes = tuple(
                index_by_text.setdefault(text, len(index_by_text)) for text in expressions
            )
            results.append(Result(aggregate, expression_indexes, compute))
        return Results(tuple(index_by_text), tuple(results))


def _finished_state_sql(index: int) -> str:
    return f"finalizeAggregation(s{index})"


def plan(
    aggregates: Iterable[Aggregate],
    property_of: PropertyOf,
    *,
    in_sql: Iterable[Aggregate],
    long_numbers: bool = False,
) -> Plan:
    """Plan the states and values of aggregates.

    The aggregates in `in_sql` get their values in SQL, for example to rank groups. With
    `long_numbers` sums hold numbers of any size; without it a sum throws at a very large or very
    small number. A rate is planned as its increase, which the caller divides by the time.
    """
    engine_aggregates = sorted({in_engine(aggregate) for aggregate in aggregates}, key=repr)
    sql_aggregates = frozenset(map(in_engine, in_sql))
    levels = _quantile_levels(engine_aggregates)
    index_by_state: dict[State, int] = {}
    number_ordinals: dict[str, int] = {}
    values: dict[Aggregate, Value] = {}
    for aggregate in engine_aggregates:
        number, group = _expressions(aggregate, property_of)
        if aggregate.kind is AggregateKind.INCREASE:
            number = "step"
        ordinal = number_ordinals.setdefault(number, len(number_ordinals))
        names = _placeholders(number, group, ordinal)
        recipe_levels = levels.get(_quantile_input(aggregate), [])
        recipe = recipe_of(aggregate, long_numbers=long_numbers)
        functions = recipe.functions
        if recipe.compute and aggregate not in sql_aggregates:
            functions = functions[: recipe.computed_from]
        recipe_states = [
            State(
                function.name,
                _parameters(function.name, recipe_levels),
                function.argument.format_map(names),
            )
            for function in functions
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
    """Return the placeholders of an argument; a plain column needs no alias."""
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


def _quantile_levels(aggregates: Iterable[Aggregate]) -> dict[tuple[str, bool, bool], list[float]]:
    """Return the sorted levels of the quantiles that share a state, by their input."""
    levels: dict[tuple[str, bool, bool], list[float]] = {}
    for aggregate in aggregates:
        if aggregate.q is not None:
            levels.setdefault(_quantile_input(aggregate), []).append(aggregate.q)
    return {quantile_input: sorted(qs) for quantile_input, qs in levels.items()}


def _quantile_input(aggregate: Aggregate) -> tuple[str, bool, bool]:
    return aggregate.property or "", aggregate.cast, aggregate.exact


def _expressions(aggregate: Aggregate, property_of: PropertyOf) -> Property:
    if aggregate.property is None:
        return Property("value", "")
    return property_of(aggregate.property, cast=aggregate.cast)
