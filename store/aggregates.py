"""Aggregates in the engine: which function computes each, and how its states are read."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from schema.aggregates import Aggregate, AggregateKind

Kind = AggregateKind

SKETCH_ERROR: Final = 0.003
"""What is asked of the engine's DDSketch so that it errs by 1 %: it errs by 3 times as much."""

# It refuses a double that is nearly the largest, and numbers more than 170 decades apart.
_SKETCHED: Final = (
    "if(abs({number}) BETWEEN 1e-75 AND 1e95, {number},"
    " if(abs({number}) < 1, 0, sign({number}) * 1e95))"
)

FUNCTIONS: Final = {
    Kind.COUNT: ("count", ""),
    Kind.SUM: ("sum", "ifNull({number}, 0)"),
    Kind.AVG: ("avg", "{number}"),
    Kind.MIN: ("min", "{number}"),
    Kind.MAX: ("max", "{number}"),
    Kind.FIRST: ("argMin", "value, (time, batch, row)"),
    Kind.LAST: ("argMax", "value, (time, batch, row)"),
    Kind.STDDEV: ("stddevPopStable", "{number}"),
    Kind.QUANTILE: ("quantilesDD", _SKETCHED),
    Kind.INCREASE: ("sum", "step"),
    Kind.UNIQUE_USERS: ("uniqCombined64If", "user_id, user_id != ''"),
    Kind.UNIQUE_SESSIONS: ("uniqCombined64If", "session_id, session_id != ''"),
    Kind.UNIQUE: ("uniqCombined64If", "{group}, {group} != ''"),
}
"""The engine's function and its argument: `number` and `group` are expressions of the property."""

EXACT: Final = {
    Kind.QUANTILE: ("quantilesExactInclusive", "{number}"),
    **{
        kind: ("uniqExactIf", FUNCTIONS[kind][1])
        for kind in (Kind.UNIQUE_USERS, Kind.UNIQUE_SESSIONS, Kind.UNIQUE)
    },
}


class Property(NamedTuple):
    """The expressions of one property: as a number or null, and as a text by which to group."""

    number: str
    group: str


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


class Plan(NamedTuple):
    """The states that some aggregates need, and where each finds its value: (state, `[2]`)."""

    states: tuple[State, ...]
    places: dict[Aggregate, tuple[int, str]]


def plan(wanted: Iterable[Aggregate], property_of: Callable[[str], Property]) -> Plan:
    """Decide on the states; `property_of` gives the expressions of a property by its path.

    A rate is its increase, which the caller divides by the time.
    """
    engine_s = sorted({in_engine(each) for each in wanted}, key=repr)
    sketched: dict[tuple[str, bool], list[float]] = {}
    for each in engine_s:
        if each.q is not None:
            sketched.setdefault((each.property or "", each.exact), []).append(each.q)
    states: list[State] = []
    places: dict[Aggregate, tuple[int, str]] = {}
    for each in engine_s:
        number, group = property_of(each.property) if each.property is not None else ("value", "")
        function, argument = (EXACT if each.exact else FUNCTIONS)[each.kind]
        parameters, pick = "", ""
        if each.q is not None:
            shared = sorted(sketched[each.property or "", each.exact])
            error = [] if each.exact else [SKETCH_ERROR]
            parameters = f"({', '.join(map(repr, [*error, *shared]))})"
            pick = f"[{shared.index(each.q) + 1}]"
        state = State(function, parameters, argument.format(number=number, group=group))
        if state not in states:
            states.append(state)
        places[each] = (states.index(state), pick)
    return Plan(tuple(states), places)


def in_engine(wanted: Aggregate) -> Aggregate:
    """Return what the engine computes for an aggregate."""
    return Aggregate(Kind.INCREASE) if wanted.kind is Kind.RATE else wanted


def needs_steps(wanted: Iterable[Aggregate]) -> bool:
    """Say whether each row's growth since the one before it is needed."""
    return any(in_engine(each).kind is Kind.INCREASE for each in wanted)
