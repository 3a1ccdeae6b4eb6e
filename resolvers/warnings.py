"""Warnings about misleading answers: unknown keys, unknown events, unsuitable aggregates.

The statements of warnings run only if warnings are selected, after the statements of the answer.
No warning is given if its statement is too expensive.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from strawberry.utils.str_converters import to_camel_case

from resolvers.context import Context
from resolvers.series.request import SeriesArguments, SeriesSelection
from resolvers.suggestions import near_names
from schema.catalogue import MetricKind
from schema.errors import AnalyticsError
from schema.filters import (
    EventFilter,
    MetricFilter,
    PerformedFilter,
    PropertyFilter,
    StringFilter,
    TagFilter,
    required_names,
)
from schema.ranges import TimeRange
from schema.series.aggregates import Aggregate, AggregateKind
from schema.series.results import Caveat
from store.query import catalogue, evidence, statements
from store.query.catalogue import DescriptionRow
from store.query.evidence import CountRow, IndexRow, NameRow
from store.query.facets import KeyRow
from store.query.fields.json_fields import keys_of, split_at_array
from store.query.filters.row_set import RowSet
from store.query.series.types import EVENT_FIELDS, GroupColumn
from store.query.tables import EVENTS, METRICS

MAX_KEYS: Final = 20
"""The first 20 keys of a query are looked up, and at most 20 unknown events are reported."""

_Names: TypeAlias = frozenset[str]
"""Names of events; the empty set stands for any name."""

_ANY_NAME: Final[_Names] = frozenset()
_LEVEL_KINDS: Final = frozenset(
    {
        AggregateKind.SUM,
        AggregateKind.AVG,
        AggregateKind.MIN,
        AggregateKind.MAX,
        AggregateKind.STDDEV,
        AggregateKind.QUANTILE,
    }
)
"""The aggregates of levels: they say little of a counter, and skip values that are not numbers."""
_GROWTH_KINDS: Final = frozenset({AggregateKind.INCREASE, AggregateKind.RATE})

_EXPENSIVE_CODES: Final = frozenset({"QUERY_TOO_EXPENSIVE", "UNAVAILABLE"})
_MAX_QUOTED: Final = 100

_CastPath: TypeAlias = tuple[str, bool]
"""The path of a property, and whether texts are cast to numbers."""


@dataclass(frozen=True, slots=True)
class _KeyUse:
    """A tag or a property in a query, and the names of the events that must have it."""

    key: str
    field: str
    events: _Names = _ANY_NAME


@dataclass(frozen=True, slots=True)
class _EventUse:
    """The name of an event in a query."""

    name: str
    field: str


async def metric_warnings(
    ctx: Context,
    name: str,
    where: MetricFilter | None,
    group_columns: Sequence[GroupColumn],
    kinds: Collection[AggregateKind],
) -> list[Caveat]:
    """Return the warnings about a query of one metric, for its kinds of aggregates."""
    uses = [*_key_uses(where, "where", _ANY_NAME), *_group_uses(group_columns, _ANY_NAME)]
    rows = statements.metric_rows(ctx.rows(METRICS.name), name)
    sentence = f"No point of {_quote(name)} ever had the tag"
    try:
        key_warnings = await _unknown_keys(ctx, rows, uses, sentence)
        return key_warnings + await _unsuitable_aggregates(ctx, name, kinds)
    except AnalyticsError as error:
        return _no_warnings_if_expensive(error)


async def event_warnings(
    ctx: Context,
    where: EventFilter,
    arguments: SeriesArguments,
    selection: SeriesSelection,
    time_range: TimeRange,
) -> list[Caveat]:
    """Return the warnings about a query of events in a time range."""
    aggregate_fields = _aggregate_fields(arguments, selection)
    uses = _event_key_uses(where, arguments, aggregate_fields)
    numeric_fields = {
        (aggregate.property or "", aggregate.cast): field
        for aggregate, field in aggregate_fields[::-1]  # of equal paths, the first field stays
        if aggregate.kind in _LEVEL_KINDS
    }
    rows = statements.event_rows(ctx.rows(EVENTS.name), where, time_range)
    try:
        return [
            *await _unknown_events(ctx, list(_event_uses(where, "where"))),
            *await _unknown_properties(ctx, uses),
            *await _not_numeric(ctx, rows, numeric_fields),
        ]
    except AnalyticsError as error:
        return _no_warnings_if_expensive(error)


def _event_key_uses(
    where: EventFilter,
    arguments: SeriesArguments,
    aggregate_fields: Sequence[tuple[Aggregate, str]],
) -> list[_KeyUse]:
    """Return the properties in the filter, in the groups, and in the aggregates of a query."""
    events = _event_names(where)
    properties = dict.fromkeys((aggregate.property, field) for aggregate, field in aggregate_fields)
    return [
        *_key_uses(where, "where", events),
        *_group_uses(arguments.group_columns, events),
        *(_KeyUse(path, field, events) for path, field in properties if path is not None),
    ]


def aggregate_kinds(arguments: SeriesArguments, selection: SeriesSelection) -> set[AggregateKind]:
    """Return the kinds of the aggregates that a query selects or orders by."""
    return {aggregate.kind for aggregate, _ in _aggregate_fields(arguments, selection)}


def _aggregate_fields(
    arguments: SeriesArguments, selection: SeriesSelection
) -> list[tuple[Aggregate, str]]:
    """List the selected aggregates, then the aggregate of the order, each with its argument."""
    single_series = selection.single_series
    aggregates = sorted(single_series.totals | single_series.columns, key=repr)
    aggregate_fields = [(aggregate, "property") for aggregate in aggregates]
    if arguments.group_columns and arguments.order.aggregate not in aggregates:
        aggregate_fields.append((arguments.order.aggregate, "orderBy.property"))
    return aggregate_fields


def _no_warnings_if_expensive(error: AnalyticsError) -> list[Caveat]:
    if error.code in _EXPENSIVE_CODES:
        return []
    raise error


async def _unknown_properties(ctx: Context, uses: Sequence[_KeyUse]) -> list[Caveat]:
    """Warn of each property that no event of its names has."""
    caveats = []
    for names in dict.fromkeys(use.events for use in uses):
        rows = ctx.rows(EVENTS.name)
        if names:
            rows.add_names(names)
        sentence = f"No event{_name_clause(names)} ever had the property"
        name_uses = [use for use in uses if use.events == names]
        caveats += await _unknown_keys(ctx, rows, name_uses, sentence)
    return caveats


async def _unknown_keys(
    ctx: Context, rows: RowSet, uses: Sequence[_KeyUse], sentence: str
) -> list[Caveat]:
    """Warn of each key that no row has; without rows there is no warning."""
    keys = list(dict.fromkeys(use.key for use in uses))[:MAX_KEYS]
    if not keys:
        return []
    statement = evidence.present_keys(rows, [_path(rows, key) for key in keys])
    key_rows = await ctx.batch.select(statement, IndexRow)
    missing_keys = set(keys) - {keys[row.index] for row in key_rows}
    if not missing_keys:
        return []
    recent_rows = await ctx.batch.select(evidence.recent_keys(rows), KeyRow)
    if not recent_rows:
        return []
    recent_keys = list(dict.fromkeys(row.key for row in recent_rows if row.key is not None))
    return [
        _unknown_name(
            code="UNKNOWN_KEY",
            sentence=f"{sentence} {_quote(use.key)}",
            field=use.field,
            suggestions=near_names(use.key, recent_keys),
        )
        for use in uses
        if use.key in missing_keys
    ]


def _path(rows: RowSet, key: str) -> tuple[str, ...]:
    """Return the path of a key in the JSON of rows; for an array, the path of the array."""
    if rows.table == METRICS.name:
        return (key,)
    array = split_at_array(key, "key")
    return array[0] if array else keys_of(key, "key")


async def _unknown_events(ctx: Context, uses: Sequence[_EventUse]) -> list[Caveat]:
    """Warn of each name that no event has."""
    if not uses:
        return []
    rows = ctx.rows(EVENTS.name)
    names = {use.name for use in uses}
    name_rows = await ctx.batch.select(evidence.present_names(rows, names), NameRow)
    missing_names = names - {row.name for row in name_rows}
    if not missing_names:
        return []
    frequent_rows = await ctx.batch.select(evidence.frequent_names(rows), NameRow)
    frequent_names = [row.name for row in frequent_rows]
    missing_uses = [use for use in uses if use.name in missing_names]
    return [
        _unknown_name(
            code="UNKNOWN_EVENT",
            sentence=f"There was never an event{_name_clause([use.name])}",
            field=use.field,
            suggestions=near_names(use.name, frequent_names),
        )
        for use in missing_uses[:MAX_KEYS]
    ]


def _unknown_name(*, code: str, sentence: str, field: str, suggestions: list[str]) -> Caveat:
    names = " or ".join(map(_quote, suggestions))
    ending = f"; did you mean {names}?" if suggestions else "."
    return Caveat(code=code, message=sentence + ending, field=field, suggestions=suggestions)


async def _unsuitable_aggregates(
    ctx: Context, name: str, kinds: Collection[AggregateKind]
) -> list[Caveat]:
    """Warn of aggregates that do not suit the described kind of a metric."""
    levels = _kind_list(_LEVEL_KINDS.intersection(kinds))
    growth = _kind_list(_GROWTH_KINDS.intersection(kinds))
    if not (levels or growth):
        return []
    statement = catalogue.description(ctx.grant.project, name)
    descriptions = await ctx.batch.select(statement, DescriptionRow)
    kind = descriptions[0].kind if descriptions else ""
    if kind == MetricKind.COUNTER.name and levels:
        message = f"{_quote(name)} is a counter, of which {levels} says little;"
        message += " ask for increase or rate."
        return [Caveat(code="COUNTER_LEVEL", message=message, suggestions=["increase", "rate"])]
    if kind == MetricKind.GAUGE.name and growth:
        message = f"{_quote(name)} is a gauge: {growth} takes each fall for a restart from 0."
        return [Caveat(code="GAUGE_GROWTH", message=message)]
    return []


def _kind_list(kinds: Collection[AggregateKind]) -> str:
    return ", ".join(sorted(kind.name.lower() for kind in kinds))


async def _not_numeric(ctx: Context, rows: RowSet, fields: Mapping[_CastPath, str]) -> list[Caveat]:
    """Warn of properties with values that aggregates skip, because they are not numbers.

    `fields` has the argument of each property.
    """
    if not fields:
        return []
    properties = sorted(fields)
    paths = [(keys_of(path, fields[path, cast]), cast) for path, cast in properties]
    statement = evidence.not_numbers(rows, paths)
    counts = {row.index: row.rows for row in await ctx.batch.select(statement, CountRow)}
    return [
        Caveat(
            code="NOT_NUMERIC",
            message=(
                f"{_quote(path)} is no number in {count} of {counts[0]} events; aggregates of"
                " numbers leave them out."
            ),
            field=fields[path, cast],
        )
        for index, (path, cast) in enumerate(properties, 1)
        if (count := counts[index])
    ]


def _group_uses(group_columns: Sequence[GroupColumn], events: _Names) -> list[_KeyUse]:
    return [
        _KeyUse(column.name, f"groupBy[{index}]", events)
        for index, column in enumerate(group_columns)
        if column.sql not in EVENT_FIELDS.values()
    ]


def _key_uses(where: Any, field: str, events: _Names) -> Iterator[_KeyUse]:  # noqa: ANN401 - any input
    """Go through the keys in a filter and in its nested filters."""
    match where:
        case TagFilter(key=key) | PropertyFilter(key=key):
            yield _KeyUse(key, f"{field}.key", events)
        case PerformedFilter(event=event, where=event_filter):
            yield from _key_uses(event_filter, f"{field}.where", frozenset({event}))
        case list():
            for index, member in enumerate(where):
                yield from _key_uses(member, f"{field}[{index}]", events)
        case EventFilter() | MetricFilter():
            for name, member in _filter_members(where):
                yield from _key_uses(member, f"{field}.{name}", _event_names(where) or events)


def _event_uses(where: Any, field: str) -> Iterator[_EventUse]:  # noqa: ANN401 - any input
    """Go through the event names in a filter and in its nested filters."""
    match where:
        case PerformedFilter(event=event, where=event_filter):
            yield _EventUse(event, f"{field}.event")
            yield from _event_uses(event_filter, f"{field}.where")
        case list():
            for index, member in enumerate(where):
                yield from _event_uses(member, f"{field}[{index}]")
        case EventFilter():
            if where.name:
                yield from _name_uses(where.name, f"{field}.name")
            for name, member in _filter_members(where):
                yield from _event_uses(member, f"{field}.{name}")


def _name_uses(string_filter: StringFilter, field: str) -> Iterator[_EventUse]:
    """Go through the whole names in a filter; a filter that ignores case has none."""
    if string_filter.case_sensitive is False:
        return
    for operator in ("eq", "neq"):
        if (text := getattr(string_filter, operator)) is not None:
            yield _EventUse(text, f"{field}.{operator}")
    for operator, texts in (("in", string_filter.in_), ("notIn", string_filter.not_in)):
        yield from (_EventUse(text, f"{field}.{operator}") for text in texts or ())


def _event_names(where: EventFilter | MetricFilter) -> _Names:
    """Return the names that events must have to pass a filter."""
    return required_names(where) if isinstance(where, EventFilter) else _ANY_NAME


def _filter_members(where: EventFilter | MetricFilter) -> Iterator[tuple[str, Any]]:
    """Go through the members of a filter that are set, with their GraphQL names."""
    fields: Sequence[Any] = dataclasses.fields(where)
    for member in fields:
        if (value := getattr(where, member.name)) is not None:
            yield member.graphql_name or to_camel_case(member.python_name), value


def _name_clause(names: Collection[str]) -> str:
    return f" named {' or '.join(map(_quote, sorted(names)))}" if names else ""


def _quote(text: str) -> str:
    return f"`{text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + '…'}`"
