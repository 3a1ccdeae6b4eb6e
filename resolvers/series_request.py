"""A request for series: the rows, how series are made of them, and what of these is wanted."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from schema.aggregates import LARGEST_FIRST, Aggregate, AggregateKind, Order, aggregate, of_field
from schema.buckets import Fill, Granularity
from schema.ranges import CompareInput, TimeRange, TimeRangeInput
from schema.scalars import UTC_ZONE, Zone
from schema.selection import TYPENAME, Selected
from store.series_types import Key

MAX_SERIES: Final = 1000
MAX_KEYS: Final = 5
MAX_CELLS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to be asked about: a metric's (`part` is its name), or events (one part, '').

    `condition` is what they must pass, which may depend on the range that is asked about.
    """

    table: str
    condition: Callable[[TimeRange | None], str]
    part: str
    label: str


@dataclass(frozen=True, slots=True)
class Asked:
    """How series are to be made: the arguments of the API."""

    range: TimeRangeInput
    zone: Zone = UTC_ZONE
    granularity: Granularity = Granularity.AUTO
    max_points: int = 300
    keys: tuple[Key, ...] = ()
    order: Order = LARGEST_FIRST
    limit: int = 10
    others: bool = True
    fill: Fill = Fill.NULL
    compare: CompareInput | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of series is wanted: aggregates over the range, and bucket by bucket."""

    totals: frozenset[Aggregate] = frozenset()
    columns: frozenset[Aggregate] = frozenset()
    times: bool = False
    partial: bool = False

    @classmethod
    def of(cls, table: str, selected: Iterable[Selected]) -> "Wanted":
        """Read it from what is selected below a result."""
        totals: set[Aggregate] = set()
        columns: set[Aggregate] = set()
        times = partial = False
        for one in selected:
            times |= one.name == "times"
            for part in one.below if one.name == "series" else ():
                match part.name:
                    case "total" | "previousTotal":
                        totals |= _aggregates(table, part.below)
                    case "change":
                        totals.add(_changed(table, part.arguments))
                    case "columns" | "previousColumns":
                        columns |= _aggregates(table, part.below)
                    case "points":
                        times = True
                        for values in part.below:
                            partial |= values.name == "isPartial"
                            columns |= _aggregates(table, values.below)
        return cls(frozenset(totals), frozenset(columns), times or bool(columns), partial)


def _aggregates(table: str, fields: Iterable[Selected]) -> set[Aggregate]:
    return {of_field(table, one.name, one.arguments) for one in fields if one.name != TYPENAME}


def _changed(table: str, arguments: Mapping[str, Any]) -> Aggregate:
    kind = AggregateKind(arguments["aggregate"])
    return aggregate(table, kind, arguments.get("property"), arguments.get("q"))
