"""Aggregates in the engine: which function computes each, and how its states are read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from schema.aggregates import COUNTS, Aggregate, AggregateKind
from store.query.series import exact_sums

Kind = AggregateKind

_INTEGERS: Final = msgspec.json.Decoder(list[int])
_JSON: Final = msgspec.json.Encoder()

SKETCH_ERROR: Final = 0.003
"""The DDSketch's parameter: the engine's sketch errs by 3 times as much, so by 1 %."""

# The sketch refuses a double near the largest, and numbers more than 170 decades apart.
_SKETCHED: Final = (
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


_COUNT: Final = Function("count", "{nullable}")
_MIN: Final = Function("min", "{number}")
_MAX: Final = Function("max", "{number}")
_WINDOW: Final = (Function(*exact_sums.WHOLE_PART), Function(*exact_sums.FRACTION_PART))
_NARROW_SUM: Final = Recipe(
    (*_WINDOW, Function(*exact_sums.OUTSIDE)), exact_sums.SUM, exact_sums.rounded_sum, 3
)
_WIDE_SUM: Final = Recipe((*_WINDOW, Function(*exact_sums.OUTSIDE_WINDOW)), exact_sums.WIDE_SUM)


def _alone(name: str, argument: str) -> Recipe:
    return Recipe((Function(name, argument),))


RECIPES: Final = {
    Kind.COUNT: _alone("count", ""),
    Kind.SUM: _NARROW_SUM,
    Kind.AVG: Recipe(
        (*_NARROW_SUM.functions, _COUNT, _MIN, _MAX), exact_sums.AVG, exact_sums.rounded_mean, 4
    ),
    Kind.MIN: Recipe((_MIN,)),
    Kind.MAX: Recipe((_MAX,)),
    Kind.FIRST: _alone("argMin", "value, (time, batch, row)"),
    Kind.LAST: _alone("argMax", "value, (time, batch, row)"),
    Kind.STDDEV: Recipe(
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
    Kind.QUANTILE: Recipe(
        (Function("quantilesDD", _SKETCHED), _MIN, _MAX),
        "greatest({1}, least({2}, {0}[{place}]))",
    ),
    Kind.INCREASE: _NARROW_SUM,
    Kind.UNIQUE_USERS: _alone("uniqCombined64If", "user_id, user_id != ''"),
    Kind.UNIQUE_SESSIONS: _alone("uniqCombined64If", "session_id, session_id != ''"),
    Kind.UNIQUE: _alone("uniqCombined64If", "{group}, {group} != ''"),
}
"""How the engine computes each aggregate."""

WIDE: Final = {
    Kind.SUM: _WIDE_SUM,
    Kind.AVG: Recipe((*_WIDE_SUM.functions, _COUNT, _MIN, _MAX), exact_sums.WIDE_AVG),
    Kind.INCREASE: _WIDE_SUM,
}
"""Recipes of sums that hold any numbers; those in `RECIPES` throw if they can't: see `THROWN`."""

THROW_IF_CODE: Final = 395
"""The engine's code of an error that a statement throws by itself."""

EXACT: Final = {
    Kind.QUANTILE: Recipe((Function("quantilesExactInclusive", "{number}"),), "{0}[{place}]"),
    **{
        kind: _alone("uniqExactIf", RECIPES[kind].functions[0].argument)
        for kind in (Kind.UNIQUE_USERS, Kind.UNIQUE_SESSIONS, Kind.UNIQUE)
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
    def whole(self) -> str:
        """The aggregate's value over rows."""
        return f"{self.function}{self.parameters}({self.argument})"

    @property
    def kept(self) -> str:
        """The state over rows, to be merged or finished later."""
        return f"{self.function}State{self.parameters}({self.argument})"

    def regrouped(self, column: str) -> str:
        """The state over the states in a column."""
        return f"{self.function}MergeState{self.parameters}({column})"

    def merged(self, column: str) -> str:
        """The value over the states in a column."""
        return f"{self.function}Merge{self.parameters}({column})"


class Value(NamedTuple):
    """The value of an aggregate: an expression with a place for each of some states."""

    recipe: Recipe
    expression: str
    states: tuple[int, ...]

    def of(self, read: Callable[[int], str]) -> str:
        """Return the expression over the results that `read` gives of states by their number."""
        return self.expression.format(*map(read, self.states))


class Result(NamedTuple):
    """An aggregate: an expression that is answered, or what `compute` makes of some of them."""

    aggregate: Aggregate
    places: tuple[int, ...]
    compute: Callable[..., float | None] | None

    def total(self, answered: Sequence[Any]) -> int | float | None:
        """Return a total; a count as an integer, as the engine writes 1e19 as 10…0.

        Raises `OutsideWindowError` if the numbers must be summed by the `WIDE` recipe.
        """
        values = [answered[place] for place in self.places]
        if self.compute:
            return self.compute(*values)
        value: int | float | None = values[0]
        return value if value is None or self.aggregate.kind in COUNTS else float(value)

    def column(self, answered: Sequence[bytes]) -> bytes:
        """Return a column as a JSON array; raises as `total` does."""
        texts = [answered[place] for place in self.places]
        if not self.compute:
            return texts[0]
        return _JSON.encode(list(map(self.compute, *map(_INTEGERS.decode, texts))))


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

    def kept(self, prefix: str = "s") -> str:
        """Select all states over rows, as `s0`, `s1`, and so on."""
        return ", ".join(f"{state.kept} AS {prefix}{n}" for n, state in enumerate(self.states))

    def whole(self, aggregate: Aggregate) -> str:
        """Return an aggregate over rows."""
        return self.values[aggregate].of(self._whole)

    def whole_results(self, shown: Iterable[Aggregate]) -> Results:
        """Return aggregates over rows."""
        return self._results(shown, self._whole)

    def merged_results(self, shown: Iterable[Aggregate]) -> Results:
        """Return aggregates over the states in the columns `s0`, `s1`, and so on."""
        return self._results(shown, lambda n: self.states[n].merged(f"s{n}"))

    def finished_results(self, shown: Iterable[Aggregate]) -> Results:
        """Return aggregates over one row's states in these columns."""
        return self._results(shown, _finished, self.in_sql)

    def finished(self, aggregate: Aggregate) -> str:
        """Return an aggregate over one row's states in these columns."""
        return self.values[aggregate].of(_finished)

    def _whole(self, state: int) -> str:
        return self.states[state].whole

    def _results(
        self,
        shown: Iterable[Aggregate],
        read: Callable[[int], str],
        in_sql: frozenset[Aggregate] = frozenset(),
    ) -> Results:
        places: dict[str, int] = {}
        results = []
        for aggregate in shown:
            value = self.values[aggregate]
            compute = None if aggregate in in_sql else value.recipe.compute
            if compute:
                texts = [read(n) for n in value.states[: value.recipe.computed_from]]
            else:
                texts = [value.of(read)]
            own = tuple(places.setdefault(text, len(places)) for text in texts)
            results.append(Result(aggregate, own, compute))
        return Results(tuple(places), tuple(results))


def _finished(state: int) -> str:
    return f"finalizeAggregation(s{state})"


def plan(
    wanted: Iterable[Aggregate],
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
    aggregates = sorted({in_engine(aggregate) for aggregate in wanted}, key=repr)
    finished = frozenset(map(in_engine, in_sql))
    levels: dict[tuple[str, bool, bool], list[float]] = {}
    for aggregate in aggregates:
        if aggregate.q is not None:
            levels.setdefault(_values_of(aggregate), []).append(aggregate.q)
    states: dict[State, int] = {}
    numbers: dict[str, int] = {}
    values: dict[Aggregate, Value] = {}
    for aggregate in aggregates:
        number, group = _expressions(aggregate, property_of)
        if aggregate.kind is Kind.INCREASE:
            number = "step"
        names = _names(number, group, numbers.setdefault(number, len(numbers)))
        asked_levels = sorted(levels.get(_values_of(aggregate), ()))
        recipe = _recipe(aggregate, wide=wide)
        functions = recipe.functions
        if recipe.compute and aggregate not in finished:
            functions = functions[: recipe.computed_from]
        needed = [
            State(name, _parameters(name, asked_levels), argument.format_map(names))
            for name, argument in functions
        ]
        expression = recipe.value
        if aggregate.q is not None:
            place = str(asked_levels.index(aggregate.q) + 1)
            expression = expression.replace("{place}", place)
        places = tuple(states.setdefault(state, len(states)) for state in needed)
        values[aggregate] = Value(recipe, expression, places)
    return Plan(tuple(states), values, finished)


def _recipe(aggregate: Aggregate, *, wide: bool) -> Recipe:
    if aggregate.exact:
        return EXACT[aggregate.kind]
    return (wide and WIDE.get(aggregate.kind)) or RECIPES[aggregate.kind]


def _names(number: str, group: str, ordinal: int) -> dict[str, str]:
    """Return the names in a recipe; the number of a column needs no alias."""
    if number.isidentifier():
        never_null = again = number
    else:
        again = f"number{ordinal}"
        never_null = f"(ifNull({number}, 0) AS {again})"
    return {
        "number": number,
        "nullable": "" if number.isidentifier() else number,
        "group": group,
        "never_null": never_null,
        "again": again,
        "window": f"window{ordinal}",
    }


def _parameters(function: str, levels: Sequence[float]) -> str:
    if function not in _FIRST_PARAMETERS:
        return ""
    return f"({', '.join(map(repr, [*_FIRST_PARAMETERS[function], *levels]))})"


def _values_of(wanted: Aggregate) -> tuple[str, bool, bool]:
    return wanted.property or "", wanted.cast, wanted.exact


def _expressions(wanted: Aggregate, property_of: PropertyOf) -> Property:
    if wanted.property is None:
        return Property("value", "")
    return property_of(wanted.property, cast=wanted.cast)


def in_engine(wanted: Aggregate) -> Aggregate:
    """Return what the engine computes for an aggregate."""
    return Aggregate(Kind.INCREASE) if wanted.kind is Kind.RATE else wanted


def needs_steps(wanted: Iterable[Aggregate]) -> bool:
    """Say whether each row's growth since the one before it is needed."""
    return any(in_engine(each).kind is Kind.INCREASE for each in wanted)
