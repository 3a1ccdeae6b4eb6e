"""The table of aggregates: the engine's functions for each, and the expression of its value."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from schema.series.aggregates import Aggregate, AggregateKind
from store.query.series import exact_sums
from store.query.tables import METRICS

SKETCH_ERROR: Final = 0.003
"""The parameter of the DDSketch; the engine's sketch errs by three times as much: 1 %."""

# The sketch refuses doubles near the largest one, and numbers more than 170 decades apart.
_SKETCH_NUMBER: Final = (
    "if(abs({number}) BETWEEN 1e-75 AND 1e95, {number},"
    " if(abs({number}) < 1, 0, sign({number}) * 1e95))"
)

# Squares overflow at 1e154 and vanish at 1e-162. So numbers above 2^400 and below 2^-400 have a
# scaled state each, which costs almost nothing without such numbers. Next to large numbers all
# others count as 0. The state of small numbers is read only if all numbers are small or equal.
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
    """A function of the engine, and the template of its argument.

    In the template `number` and `group` are expressions of the property. `nullable` is the number
    if it can be null, else empty. `exact_sums` explains `never_null`, `alias` and `window`.
    `input_text` is the template by which an answer has the result as an input of `compute`.
    """

    name: str
    argument: str
    input_text: str = "{}"


class Recipe(NamedTuple):
    """The functions of an aggregate, and its value: an expression of their results.

    With `compute` the service computes the value from the first `computed_from` results, and the
    other functions are left out: the engine takes 0.15 ms to plan one, even for few rows.
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
_WIDE_SUM: Final = Recipe(
    (*_WINDOW, Function(*exact_sums.OUTSIDE_WINDOW, exact_sums.OUTSIDE_WINDOW_TEXT)),
    exact_sums.WIDE_SUM,
    exact_sums.long_sum,
    3,
)


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
"""The recipe of each aggregate; sums throw at numbers outside the window of `exact_sums`."""

LONG_NUMBER_RECIPES: Final = {
    AggregateKind.SUM: _WIDE_SUM,
    AggregateKind.AVG: Recipe(
        (*_WIDE_SUM.functions, _COUNT, _MIN, _MAX), exact_sums.WIDE_AVG, exact_sums.long_mean, 4
    ),
    AggregateKind.INCREASE: _WIDE_SUM,
}
"""Recipes of sums of any numbers, for a second attempt after `THROW_IF_CODE`."""

THROW_IF_CODE: Final = 395
"""The engine's error code of `throwIf`."""

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
"""Recipes for `exact` of the aggregates that are approximate by default."""


FIRST_PARAMETERS: Final[Mapping[str, tuple[float, ...]]] = {
    "quantilesDD": (SKETCH_ERROR,),
    "quantilesExactInclusive": (),
}
"""The functions that take the levels of quantiles, with the parameters before the levels."""


def recipe_of(aggregate: Aggregate, *, long_numbers: bool) -> Recipe:
    """Return the recipe of an aggregate; for `long_numbers` see `plan`."""
    if aggregate.exact:
        return EXACT[aggregate.kind]
    return (long_numbers and LONG_NUMBER_RECIPES.get(aggregate.kind)) or RECIPES[aggregate.kind]


def in_engine(aggregate: Aggregate) -> Aggregate:
    """Return the aggregate that the engine computes: an increase for a rate."""
    return Aggregate(AggregateKind.INCREASE) if aggregate.kind is AggregateKind.RATE else aggregate


def needs_steps(aggregates: Iterable[Aggregate]) -> bool:
    """Say whether any aggregate needs the step of each row since the previous row."""
    return any(in_engine(aggregate).kind is AggregateKind.INCREASE for aggregate in aggregates)
