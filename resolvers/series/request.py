"""A request for series: the rows, how series are made of them, and what of these is wanted."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from schema.aggregates import (
    LARGEST_FIRST,
    Aggregate,
    AggregateKind,
    SeriesOrder,
    additive,
    aggregate,
    field_aggregate,
)
from schema.buckets import Fill, Granularity, WeekStart
from schema.ranges import CompareInput, TimeRange, TimeRangeInput
from schema.scalars import UTC_ZONE, Zone
from schema.selection import TYPENAME, SelectedField
from store.query.series.types import GroupColumn

MAX_SERIES: Final = 1000
MAX_GROUP_KEYS: Final = 5
MAX_CELLS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class SeriesSource:
    """Rows to be asked about: a metric's (`part` is its name), or events (one part, '').

    `condition` is what they must pass, which may depend on the range that is asked about.
    """

    table: str
    condition: Callable[[TimeRange | None], str]
    metric: str
    label: str


@dataclass(frozen=True, slots=True)
class SeriesArguments:
    """How series are to be made: the arguments of the API."""

    range: TimeRangeInput
    zone: Zone = UTC_ZONE
    week_start: WeekStart = WeekStart.MONDAY
    granularity: Granularity = Granularity.AUTO
    max_points: int = 300
    group_columns: tuple[GroupColumn, ...] = ()
    order: SeriesOrder = LARGEST_FIRST
    limit: int = 10
    other_group: bool = True
    offset: int = 0
    search: str = ""
    fill: Fill = Fill.NULL
    compare: CompareInput | None = None


@dataclass(frozen=True, slots=True)
class SeriesSelection:
    """What of series is wanted: aggregates over the range, and bucket by bucket.

    `overall`: what is wanted of the series of all rows, if that is. `warnings`: whether the answer
    is to be searched for what misleads.
    """

    totals: frozenset[Aggregate] = frozenset()
    columns: frozenset[Aggregate] = frozenset()
    times: bool = False
    partial: bool = False
    overall: "SeriesSelection | None" = None
    warnings: bool = False

    @classmethod
    def from_fields(cls, table: str, fields: Iterable[SelectedField]) -> "SeriesSelection":
        """Read it from what is selected below a result."""
        by_name: dict[str, list[SelectedField]] = defaultdict(list)
        for field in fields:
            by_name[field.name].append(field)
        series = cls._of_series(
            table, [subfield for field in by_name["series"] for subfield in field.fields]
        )
        overall_fields = [subfield for field in by_name["overall"] for subfield in field.fields]
        shares = {
            _share_aggregate(table, subfield.arguments)
            for field in (*by_name["series"], *by_name["overall"])
            for subfield in field.fields
            if subfield.name == "share"
        }
        overall = None
        if by_name["overall"] or shares:
            overall = cls._of_series(table, overall_fields)
            overall = replace(overall, totals=overall.totals | shares)
            series = replace(series, totals=series.totals | shares)
        times = (
            bool(by_name["times"] or by_name["previousTimes"])
            or series.times
            or bool(overall and overall.times)
        )
        partial = series.partial or bool(overall and overall.partial)
        warnings = any(
            subfield.name == "warnings"
            for field in by_name.get("meta", ())
            for subfield in field.fields
        )
        return replace(series, times=times, partial=partial, overall=overall, warnings=warnings)

    @classmethod
    def _of_series(cls, table: str, fields: Iterable[SelectedField]) -> "SeriesSelection":
        totals: set[Aggregate] = set()
        columns: set[Aggregate] = set()
        times = partial = False
        for field in fields:
            match field.name:
                case "total" | "previousTotal":
                    totals |= _aggregates(table, field.fields)
                case "change":
                    totals.add(_change_aggregate(table, field.arguments))
                case "columns" | "previousColumns":
                    columns |= _aggregates(table, field.fields)
                case "points":
                    times = True
                    for subfield in field.fields:
                        partial |= subfield.name == "isPartial"
                        columns |= _aggregates(table, subfield.fields)
        return cls(frozenset(totals), frozenset(columns), times or bool(columns), partial)

    @property
    def single_series(self) -> "SeriesSelection":
        """What is wanted when all rows are the one series."""
        overall = self.overall or SeriesSelection()
        return replace(
            self, totals=self.totals | overall.totals, columns=self.columns | overall.columns
        )

    @property
    def overall_needs_own_query(self) -> bool:
        """Whether the series of all rows has to have more than the series of groups.

        Then it is asked for by itself: else each group would have to have that, too.
        """
        overall = self.overall
        return overall is not None and not (
            overall.totals <= self.totals and overall.columns <= self.columns
        )


def _aggregates(table: str, fields: Iterable[SelectedField]) -> set[Aggregate]:
    return {
        field_aggregate(table, field.name, field.arguments)
        for field in fields
        if field.name != TYPENAME
    }


def _change_aggregate(table: str, arguments: Mapping[str, Any]) -> Aggregate:
    kind = AggregateKind(arguments["aggregate"])
    path, q, cast = (arguments.get(name) for name in ("property", "q", "cast"))
    return aggregate(table, kind, path, q, cast=cast)


def _share_aggregate(table: str, arguments: Mapping[str, Any]) -> Aggregate:
    kind = AggregateKind(arguments["aggregate"])
    return additive(table, kind, arguments.get("property"), arguments.get("cast"))
