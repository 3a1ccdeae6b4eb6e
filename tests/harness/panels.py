"""Series queries as a dashboard sends them, one per panel."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schema.buckets import Granularity
from tests.oracle.aggregates import MISSING, Aggregate, Row, at_path, identity, number_at

Group = tuple[Any, ...]
TIME_LISTS: Final = frozenset({"times", "previousTimes"})
"""Lists of times in a result, next to its series."""

_IDENTITY: Final = "key {name value type} label isOther"
"""Fields that identify a series."""


@dataclass(frozen=True, slots=True)
class Band:
    """Bands of a number as a group key."""

    property: str
    bounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """A series query: its arguments, and the fields to select of `series` and of `overall`.

    A group key is a tag's name for metrics; for events `=FIELD`, a property's path, or a `Band`.
    """

    table: str
    source: Any
    range: str
    aggregates: tuple[Aggregate, ...]
    zone: str = "UTC"
    granularity: Granularity = Granularity.AUTO
    max_points: int = 300
    group_keys: tuple[Any, ...] = ()
    order: tuple[Aggregate, str] | None = None
    limit: int = 10
    other_group: bool = True
    offset: int = 0
    search: str = ""
    fill: str | None = None
    compare: str | None = None
    series_fields: frozenset[str] = field(default_factory=frozenset)
    overall_fields: frozenset[str] | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    sunday_weeks: bool = False

    @property
    def fill_mode(self) -> str:
        """The fill of gaps; its default for events differs."""
        return self.fill or ("ZERO" if self.table == "events" else "NULL")

    def text(self, name: str, alias: str) -> str:
        """Return the query as GraphQL text: the field of this name, under an alias."""
        order = f"orderBy: {_order(*self.order)}" if self.order else ""
        fill = f"fill: {self.fill}" if self.fill else ""
        compare = f"compare: {self.compare}" if self.compare else ""
        where = f"where: {literal(self.where)}" if self.where else ""
        week = "weekStart: SUNDAY" if self.sunday_weeks else ""
        keys = ", ".join(map(_key_text, self.group_keys))
        if self.table == "metrics":
            keys = ", ".join(map(json.dumps, self.group_keys))
        return (
            f"{alias}: {name}(range: {self.range}, timezone: {json.dumps(self.zone)},"
            f" granularity: {self.granularity.name}, maxPoints: {self.max_points},"
            f" groupBy: [{keys}],"
            f" limit: {self.limit}, otherGroup: {str(self.other_group).lower()},"
            f" offset: {self.offset}, groupSearch: {json.dumps(self.search)}"
            f" {order} {fill} {compare} {where} {week}) {{"
            "meta {range {from to granularity timezone} comparisonRange {from to} totalGroups"
            f" truncated warnings {{code}}}} {self._selection()}}}"
        )

    def _selection(self) -> str:
        times = " ".join(sorted(self.series_fields & TIME_LISTS))
        series = f"series {{{_IDENTITY} {self._series_selection(self.series_fields)}}}"
        if self.overall_fields is None:
            return f"{times} {series}"
        overall = f"overall {{{_IDENTITY} {self._series_selection(self.overall_fields)}}}"
        return f"{times} {series} {overall}"

    def _series_selection(self, fields: frozenset[str]) -> str:
        values = " ".join(aggregate.text for aggregate in self.aggregates)
        changes = (f"change_{a.key}: {_change(a)}" for a in self.change_aggregates)
        shares = (f"share_{a.key}: {_share(a)}" for a in self.share_aggregates)
        selections = {
            "points": f"points {{time isPartial values {{{values}}} previous {{{values}}}}}",
            "change": " ".join(changes),
            "share": " ".join(shares),
        }
        return " ".join(
            selections.get(field, f"{field} {{{values}}}") for field in sorted(fields - TIME_LISTS)
        )

    @property
    def share_aggregates(self) -> list[Aggregate]:
        """The aggregates that allow a group's share."""
        return [a for a in self.aggregates if a.field in ("count", "sum", "increase")]

    @property
    def change_aggregates(self) -> list[Aggregate]:
        """The aggregates that allow a change: aggregates without other arguments."""
        free = {"property", "q"}
        return [a for a in self.aggregates if a.arguments.keys() <= free]

    @property
    def has_buckets(self) -> bool:
        """Whether a selected field has a value per bucket."""
        cut_up = TIME_LISTS | {"points", "columns", "previousColumns"}
        return bool((self.series_fields | (self.overall_fields or frozenset())) & cut_up)

    def group_of(self, row: Row) -> Group:
        """Return a row's values of the group keys, equal for rows of one group."""
        return tuple(identity(self._value(row, key)) for key in self.group_keys)

    def _value(self, row: Row, key: Any) -> Any:
        if self.table == "metrics":
            return row.tags.get(key, MISSING)
        if isinstance(key, Band):
            number = number_at(row, key.property)
            return None if number is None else sum(number >= edge for edge in key.bounds)
        fields = {"=NAME": row.name, "=USER_ID": row.user, "=SESSION_ID": row.session}
        return fields[key] if key in fields else at_path(row.properties, key)


def literal(value: Any) -> str:
    """Return an input as a GraphQL literal."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {literal(part)}' for name, part in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(value)


def _order(aggregate: Aggregate, direction: str) -> str:
    return f"{{aggregate: {aggregate.kind}, direction: {direction}{_argument_literals(aggregate)}}}"


def _change(aggregate: Aggregate) -> str:
    arguments = _argument_literals(aggregate)
    return f"change(aggregate: {aggregate.kind}{arguments}) {{previous absolute ratio}}"


def _share(aggregate: Aggregate) -> str:
    return f"share(aggregate: {aggregate.kind}{_argument_literals(aggregate)})"


def _argument_literals(aggregate: Aggregate) -> str:
    return "".join(f", {name}: {json.dumps(value)}" for name, value in aggregate.arguments.items())


def _key_text(key: Any) -> str:
    if isinstance(key, Band):
        return (
            f"{{bucketNumber: {{property: {json.dumps(key.property)},"
            f" bounds: {json.dumps(key.bounds)}}}}}"
        )
    if key.startswith("="):
        return f"{{field: {key[1:]}}}"
    return f"{{property: {json.dumps(key)}}}"


ALL_FIELDS: Final = TIME_LISTS | {
    *("total", "previousTotal", "change", "points", "columns", "previousColumns", "share")
}
COMPARE_MODES: Final = (
    "PREVIOUS_PERIOD",
    "PREVIOUS_PERIOD_MATCH_WEEKDAY",
    "PREVIOUS_WEEK",
    "PREVIOUS_MONTH",
    "YEAR_OVER_YEAR",
)
