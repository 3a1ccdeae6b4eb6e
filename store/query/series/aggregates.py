"""Aggregates in the engine: which function computes each, and how its states are read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from schema.aggregates import COUNTS, Aggregate, AggregateKind
from store.query.series import exact_sums
from store.query.tables import METRICS

_INTEGERS: Final = msgspec.json.Decoder(list[int])
_JSON: Final = msgspec.json.Encoder()

SKETCH_ERROR: Final = 0.003
"""The DDSketch's parameter: the engine's sketch errs by 3 times as much, so by 1 %."""

# The sketch refuses a double near the largest, and numbers more than 170 decades apart.
_SKETCH_NUMBER: Final = (
    "if(abs({number}) BETWEEN 1e-75 AND 1e95, {number},"
    " if(abs({number}) < 1, 0, sign({number}) * 1e95))"
)

# Squares overflow at 1e154 and vanish at 1e-162. So numbers above 2^400 and below 2^-400 have a
# scaled state each, which costs next to nothing while there are none. Beside the large ones all
# others are 0; the small ones are asked only when all numbers are small or equal.
_LARGE: Final = "abs({number}) > 2.582249878086909e120"
_SMALL: Final = "abs({number}) < 3.872591914849318e-121"
_SCALE_UP: Final = "4.149515568880993e180"  # 2^600
_SCALE_DOWN: Final = "2.409919865102884e-181"  # 2^-600
_STDDEV: Final = f"""multiIf(
    NOT isFinite({{0}}), sqrt(
        pow({{1}}, 2) * {{3}} / {{4}} + pow({{2}}, 2) * {{3}} / {{4}} * (1 - {{3}} / {{4}})
    ) * {_SCALE_UP},
    {{0}} < 1e-130 AND isFinite({{5}}), {{5}} * {_SCALE_DOWN},
    {{0}})"""


class Function(NamedTuple):
    """A function of the engine and its argument.

    In the argument `number` and `group` are expressions of the property, and `nullable` is the
    number if it can be null; for `never_null`, `again` and `window` see `store.exact_sums`.
    """

    name: str
    argument: str


class Recipe(NamedTuple):
    """The functions that an aggregate needs, and its value, an expression of their results.

    What is shown is computed here by `compute` of the first results, if there is one. The engine
    takes 0.15 ms to plan a function, however few rows there are.
    """

    functions: tuple[Function, ...]
    value: str = "{0}"
    compute: Callable[..., float | None] | None = None
    computed_from: int = 0


_ROW_ORDER: Final = f"({', '.join(METRICS.row_order)})"
_COUNT: Final = Function("count", "{nullable}")
_MIN: Final = Function("min", "{number}")
_MAX: Final = Function("max", "{number}")
_WINDOW: Final = (Function(*exact_sums.WHOLE_PART), Function(*exact_sums.FRACTION_PART))
_NARROW_SUM: Final = Recipe(
    (*_WINDOW, Function(*exact_sums.OUTSIDE)), exact_sums.SUM, exact_sums.rounded_sum, 3
)
_WIDE_SUM: Final = Recipe((*_WINDOW, Function(*exact_sums.OUTSIDE_WINDOW)), exact_sums.WIDE_SUM)


def _single_function(name: str, argument: str) -> Recipe:
    return Recipe((Function(name, argument),))


RECIPES: Final = {
    AggregateKind.COUNT: _single_function("count", ""),
    AggregateKind.SUM: _NARROW_SUM,
    AggregateKind.AVG: Recipe(
        (*_NARROW_SUM.functions, _COUNT, _MIN, _MAX), exact_sums.AVG, exact_sums.rounded_mean, 4
    ),
    AggregateKind.MIN: Recipe((_MIN,)),
    AggregateKind.MAX: Recipe((_MAX,)),
    AggregateKind.FIRST: _single_function("argMin", f"value, {_ROW_ORDER}"),
    AggregateKind.LAST: _single_function("argMax", f"value, {_ROW_ORDER}"),
    AggregateKind.STDDEV: Recipe(
        (
            Function("stddevPopStable", "{number}"),
            Function("stddevPopStableIf", f"{{number}} * {_SCALE_DOWN}, {_LARGE}"),
            Function("avgIf", f"{{number}} * {_SCALE_DOWN}, {_LARGE}"),
            Function("countIf", _LARGE),
            _COUNT,
            Function("stddevPopStableIf", f"{{number}} * {_SCALE_UP}, {_SMALL}"),
        ),
        _STDDEV,
    ),
    AggregateKind.QUANTILE: Recipe(
        (Function("quantilesDD", _SKETCH_NUMBER), _MIN, _MAX),
        "greatest({1}, least({2}, {0}[{level}]))",
    ),
    AggregateKind.INCREASE: _NARROW_SUM,
    AggregateKind.UNIQUE_USERS: _single_function("uniqCombined64If", "user_id, user_id != ''"),
    AggregateKind.UNIQUE_SESSIONS: _single_function(
        "uniqCombined64If", "session_id, session_id != ''"
    ),
    AggregateKind.UNIQUE: _single_function("uniqCombined64If", "{group}, {group} != ''"),
}
"""How the engine computes each aggregate."""

WIDE: Final = {
    AggregateKind.SUM: _WIDE_SUM,
    AggregateKind.AVG: Recipe((*_WIDE_SUM.functions, _COUNT, _MIN, _MAX), exact_sums.WIDE_AVG),
    AggregateKind.INCREASE: _WIDE_SUM,
}
"""Recipes of sums that hold any numbers; those in `RECIPES` throw if they can't: see `THROWN`."""

THROW_IF_CODE: Final = 395
"""The engine's code of an error that a statement throws by itself."""

EXACT: Final = {
    AggregateKind.QUANTILE: Recipe(
        (Function("quantilesExactInclusive", "{number}"),), "{0}[{level}]"
    ),
    **{
        kind: _single_function("uniqExactIf", RECIPES[kind].functions[0].argument)
        for kind in (
            AggregateKind.UNIQUE_USERS,
            AggregateKind.UNIQUE_SESSIONS,
            AggregateKind.UNIQUE,
        )
    },
}
"""Recipes of the aggregates that are approximate unless `exact` is asked for."""


_FIRST_PARAMETERS: Final[Mapping[str, tuple[float, ...]]] = {
    "quantilesDD": (SKETCH_ERROR,),
    "quantilesExactInclusive": (),
}
"""Parameters before the levels, of the functions of quantiles."""


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
        recipe = _recipe(aggregate, wide=wide)
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


def _recipe(aggregate: Aggregate, *, wide: bool) -> Recipe:
    if aggregate.exact:
        return EXACT[aggregate.kind]
    return (wide and WIDE.get(aggregate.kind)) or RECIPES[aggregate.kind]


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
    if function not in _FIRST_PARAMETERS:
        return ""
    return f"({', '.join(map(repr, [*_FIRST_PARAMETERS[function], *levels]))})"


def _quantile_input(aggregate: Aggregate) -> tuple[str, bool, bool]:
    return aggregate.property or "", aggregate.cast, aggregate.exact


def _expressions(aggregate: Aggregate, property_of: PropertyOf) -> Property:
    if aggregate.property is None:
        return Property("value", "")
    return property_of(aggregate.property, cast=aggregate.cast)


def in_engine(aggregate: Aggregate) -> Aggregate:
    """Return what the engine computes for an aggregate."""
    return Aggregate(AggregateKind.INCREASE) if aggregate.kind is AggregateKind.RATE else aggregate


def needs_steps(aggregates: Iterable[Aggregate]) -> bool:
    """Say whether each row's growth since the one before it is needed."""
    return any(in_engine(aggregate).kind is AggregateKind.INCREASE for aggregate in aggregates)
