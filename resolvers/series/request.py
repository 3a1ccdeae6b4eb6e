"""Values of a series query: the source of its rows, its arguments, and the selected aggregates."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from schema.buckets import Fill, Granularity, WeekStart
from schema.ranges import CompareInput, TimeRange, TimeRangeInput
from schema.scalars import UTC_ZONE, Zone
from schema.selection import TYPENAME, SelectedField
from schema.series.aggregates import Aggregate, AggregateKind, additive, aggregate, field_aggregate
from schema.series.order import LARGEST_FIRST, SeriesOrder
from store.query.series.types import GroupColumn

MAX_SERIES: Final = 1000
MAX_GROUP_KEYS: Final = 5
MAX_CELLS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class SeriesSource:
    """The rows of a series query: rows of one metric, or events (with the metric '').

    `condition` returns the SQL condition of the rows in a time range; None means any time. `label`
    is the label of the series without groups. `event_names` are the names of the events that can
    decide about the condition; None means all.
    """

    table: str
    condition: Callable[[TimeRange | None], str]
    metric: str
    label: str
    event_names: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class SeriesArguments:
    """Parsed arguments of a series query."""

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
    """Aggregates selected as totals over the range, and as columns with a cell per bucket.

    `times` and `partial`: the times of buckets, and the flags of partial buckets, are selected.
    `overall`: the selection of the series of all rows; None if that series is not selected.
    `warnings`: warnings are selected, and must be looked for.
    """

    totals: frozenset[Aggregate] = frozenset()
    columns: frozenset[Aggregate] = frozenset()
    times: bool = False
    partial: bool = False
    overall: "SeriesSelection | None" = None
    warnings: bool = False

    @classmethod
    def from_fields(cls, table: str, fields: Iterable[SelectedField]) -> "SeriesSelection":
        """Return the selection of the fields that are selected below a result."""
        by_name: dict[str, list[SelectedField]] = defaultdict(list)
        for field in fields:
            by_name[field.name].append(field)
        series_fields = _subfields(by_name["series"])
        overall_fields = _subfields(by_name["overall"])
        series = cls._from_series_fields(table, series_fields)
        shares = {
            _share_aggregate(table, field.arguments)
            for field in (*series_fields, *overall_fields)
            if field.name == "share"
        }
        overall = None
        if by_name["overall"] or shares:
            overall = cls._from_series_fields(table, overall_fields)
            overall = replace(overall, totals=overall.totals | shares)
            series = replace(series, totals=series.totals | shares)
        has_times = bool(by_name["times"] or by_name["previousTimes"])
        return replace(
            series,
            times=has_times or series.times or bool(overall and overall.times),
            partial=series.partial or bool(overall and overall.partial),
            overall=overall,
            warnings=any(field.name == "warnings" for field in _subfields(by_name["meta"])),
        )

    @classmethod
    def _from_series_fields(cls, table: str, fields: Iterable[SelectedField]) -> "SeriesSelection":
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
        """The selection of a query without groups: its one series is also the overall series."""
        overall = self.overall or SeriesSelection()
        return replace(
            self, totals=self.totals | overall.totals, columns=self.columns | overall.columns
        )

    @property
    def overall_needs_own_query(self) -> bool:
        """Whether the overall series has aggregates that the series of groups do not have.

        A query of its own computes them once, instead of once for each group.
        """
        overall = self.overall
        return overall is not None and not (
            overall.totals <= self.totals and overall.columns <= self.columns
        )


def _subfields(fields: Iterable[SelectedField]) -> list[SelectedField]:
    return [subfield for field in fields for subfield in field.fields]


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
