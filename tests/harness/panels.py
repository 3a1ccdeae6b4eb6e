"""Questions about series as a screen asks them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schema.buckets import Granularity
from tests.oracle.aggregates import MISSING, Asked, Row, at_path, identity, number_at

Key = tuple[Any, ...]
LISTS: Final = frozenset({"times", "previousTimes"})
"""What stands beside the series of an answer, as lists."""


@dataclass(frozen=True, slots=True)
class Band:
    """Bands of a number as a group key."""

    property: str
    bounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """A question: its arguments, and what is selected: of series `parts`, of `overall` the `whole`.

    A key is a tag's name for metrics; for events `=FIELD`, a property's path, or a `Band`.
    """

    table: str
    source: Any
    range: str
    aggregates: tuple[Asked, ...]
    zone: str = "UTC"
    granularity: Granularity = Granularity.AUTO
    points: int = 300
    keys: tuple[Any, ...] = ()
    order: tuple[Asked, str] | None = None
    limit: int = 10
    others: bool = True
    offset: int = 0
    search: str = ""
    fill: str | None = None
    compare: str | None = None
    parts: frozenset[str] = field(default_factory=frozenset)
    whole: frozenset[str] | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    sunday: bool = False

    @property
    def filled(self) -> str:
        """How gaps are filled, which has another default for events."""
        return self.fill or ("ZERO" if self.table == "events" else "NULL")

    def text(self, name: str, alias: str) -> str:
        """Return the question in GraphQL, under an alias of the field of this name."""
        order = f"orderBy: {_order(*self.order)}" if self.order else ""
        fill = f"fill: {self.fill}" if self.fill else ""
        compare = f"compare: {self.compare}" if self.compare else ""
        where = f"where: {literal(self.where)}" if self.where else ""
        week = "weekStart: SUNDAY" if self.sunday else ""
        keys = ", ".join(map(_key_text, self.keys))
        if self.table == "metrics":
            keys = ", ".join(map(json.dumps, self.keys))
        return (
            f"{alias}: {name}(range: {self.range}, timezone: {json.dumps(self.zone)},"
            f" granularity: {self.granularity.name}, maxPoints: {self.points}, groupBy: [{keys}],"
            f" limit: {self.limit}, otherGroup: {str(self.others).lower()},"
            f" offset: {self.offset}, groupSearch: {json.dumps(self.search)}"
            f" {order} {fill} {compare} {where} {week}) {{"
            "meta {range {from to granularity timezone} comparisonRange {from to} totalGroups"
            f" truncated warnings {{code}}}} {self._selected()}}}"
        )

    def _selected(self) -> str:
        times = " ".join(sorted(self.parts & LISTS))
        shown = f"series {{key {{name value}} label isOther {self._of_series(self.parts)}}}"
        if self.whole is not None:
            shown += f" overall {{key {{name value}} label isOther {self._of_series(self.whole)}}}"
        return f"{times} {shown}"

    def _of_series(self, selected: frozenset[str]) -> str:
        wanted = " ".join(asked.text for asked in self.aggregates)
        changes = " ".join(f"change_{one.key}: {_change(one)}" for one in self.changed)
        parts = {
            "points": f"points {{time isPartial values {{{wanted}}} previous {{{wanted}}}}}",
            "change": changes,
            "share": " ".join(f"share_{one.key}: {_share(one)}" for one in self.shared),
        }
        return " ".join(
            parts.get(part, f"{part} {{{wanted}}}") for part in sorted(selected - LISTS)
        )

    @property
    def shared(self) -> list[Asked]:
        """The aggregates of which a group can have a share."""
        return [one for one in self.aggregates if one.field in ("count", "sum", "increase")]

    @property
    def changed(self) -> list[Asked]:
        """The aggregates whose change can be asked for: those without other arguments."""
        free = {"property", "q"}
        return [one for one in self.aggregates if one.arguments.keys() <= free]

    @property
    def cut_up(self) -> bool:
        """Whether anything is asked for bucket by bucket."""
        cut_up = LISTS | {"points", "columns", "previousColumns"}
        return bool((self.parts | (self.whole or frozenset())) & cut_up)

    def key_of(self, row: Row) -> Key:
        """Return a row's values of the group keys, equal for rows of one group."""
        return tuple(identity(self._value(row, key)) for key in self.keys)

    def _value(self, row: Row, key: Any) -> Any:
        if self.table == "metrics":
            return row.tags.get(key, MISSING)
        if isinstance(key, Band):
            number = number_at(row, key.property)
            return None if number is None else sum(number >= bound for bound in key.bounds)
        fields = {"=NAME": row.name, "=USER_ID": row.user, "=SESSION_ID": row.session}
        return fields[key] if key in fields else at_path(row.properties, key)


def literal(value: Any) -> str:
    """Write an input in GraphQL."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {literal(part)}' for name, part in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(value)


def _order(by: Asked, direction: str) -> str:
    given = "".join(f", {name}: {json.dumps(value)}" for name, value in by.arguments.items())
    return f"{{aggregate: {by.kind}, direction: {direction}{given}}}"


def _change(of: Asked) -> str:
    given = "".join(f", {name}: {json.dumps(value)}" for name, value in of.arguments.items())
    return f"change(aggregate: {of.kind}{given}) {{previous absolute ratio}}"


def _share(of: Asked) -> str:
    given = "".join(f", {name}: {json.dumps(value)}" for name, value in of.arguments.items())
    return f"share(aggregate: {of.kind}{given})"


def _key_text(key: Any) -> str:
    if isinstance(key, Band):
        return (
            f"{{bucketNumber: {{property: {json.dumps(key.property)},"
            f" bounds: {json.dumps(key.bounds)}}}}}"
        )
    if key.startswith("="):
        return f"{{field: {key[1:]}}}"
    return f"{{property: {json.dumps(key)}}}"


ALL_PARTS: Final = LISTS | {
    *("total", "previousTotal", "change", "points", "columns", "previousColumns", "share")
}
MODES: Final = (
    "PREVIOUS_PERIOD",
    "PREVIOUS_PERIOD_MATCH_WEEKDAY",
    "PREVIOUS_WEEK",
    "PREVIOUS_MONTH",
    "YEAR_OVER_YEAR",
)
