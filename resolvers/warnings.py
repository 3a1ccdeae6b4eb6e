"""Warnings about answers that can mislead: by a key or a name that never occurs, by an aggregate.

They are looked for when they are selected, after the answer is there. No warning is given about
what would take too long to find out.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from strawberry.utils.str_converters import to_camel_case

from resolvers.context import Context
from resolvers.series.request import SeriesArguments, SeriesSelection
from resolvers.suggestions import near_names
from schema.aggregates import Aggregate, AggregateKind
from schema.catalogue import MetricKind
from schema.errors import AnalyticsError
from schema.filters import (
    EventFilter,
    MetricFilter,
    PerformedFilter,
    PropertyFilter,
    StringFilter,
    TagFilter,
)
from schema.ranges import TimeRange
from schema.results import Caveat
from store.query import catalogue, evidence, queries
from store.query.catalogue import DescriptionRow
from store.query.evidence import CountRow, NameRow, PlaceRow
from store.query.facets import KeyRow
from store.query.fields.json_fields import items_of, keys_of
from store.query.queries import RowSet
from store.query.series.types import EVENT_FIELDS, GroupColumn

MAX_KEYS: Final = 20
"""The keys of one question that are looked for."""

_Names: TypeAlias = frozenset[str]

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
"""The aggregates that say little of a counter, and take only the numbers of a property."""
_GROWTH_KINDS: Final = frozenset({AggregateKind.INCREASE, AggregateKind.RATE})

_EXPENSIVE_CODES: Final = frozenset({"QUERY_TOO_EXPENSIVE", "UNAVAILABLE"})
_MAX_QUOTED: Final = 100

_Cast: TypeAlias = tuple[str, bool]
"""A property's path, and whether texts are taken for numbers."""


@dataclass(frozen=True, slots=True)
class _KeyUse:
    """A tag or a property in a question, and the names of the events that are meant, if given."""

    key: str
    field: str
    events: _Names = _ANY_NAME


@dataclass(frozen=True, slots=True)
class _EventUse:
    """The name of an event in a question."""

    name: str
    field: str


async def metric_warnings(
    ctx: Context,
    name: str,
    where: MetricFilter | None,
    group_columns: Sequence[GroupColumn],
    kinds: Collection[AggregateKind],
) -> list[Caveat]:
    """Return the warnings about a question to one metric, for some kinds of aggregates."""
    uses = [*_key_uses(where, "where", _ANY_NAME), *_group_uses(group_columns, _ANY_NAME)]
    rows = queries.metric_rows(ctx.project, name)
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
    """Return the warnings about a question to events in a range."""
    events = _event_names(where)
    aggregate_fields = _aggregate_fields(arguments, selection)
    uses = [*_key_uses(where, "where", events), *_group_uses(arguments.group_columns, events)]
    uses += [
        _KeyUse(path, field, events)
        for path, field in dict.fromkeys(
            (aggregate.property, field) for aggregate, field in aggregate_fields
        )
        if path is not None
    ]
    numeric_fields = {
        (aggregate.property or "", aggregate.cast): field
        for aggregate, field in aggregate_fields[::-1]
        if aggregate.kind in _LEVEL_KINDS
    }
    try:
        caveats = await _unknown_events(ctx, list(_event_uses(where, "where")))
        for names in dict.fromkeys(use.events for use in uses):
            rows = RowSet("events", ctx.project)
            if names:
                catalogue.in_names(rows, sorted(names))
            sentence = f"No event{_name_clause(names)} ever had the property"
            name_uses = [use for use in uses if use.events == names]
            caveats += await _unknown_keys(ctx, rows, name_uses, sentence)
        return caveats + await _not_numeric(
            ctx, queries.event_rows(ctx.project, where, time_range), numeric_fields
        )
    except AnalyticsError as error:
        return _no_warnings_if_expensive(error)


def aggregate_kinds(arguments: SeriesArguments, selection: SeriesSelection) -> set[AggregateKind]:
    """Return the kinds of aggregates that a question selects or orders by."""
    return {aggregate.kind for aggregate, _ in _aggregate_fields(arguments, selection)}


def _aggregate_fields(
    arguments: SeriesArguments, selection: SeriesSelection
) -> list[tuple[Aggregate, str]]:
    """List the aggregates that are selected, then that of the order, with their argument."""
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


async def _unknown_keys(
    ctx: Context, rows: RowSet, uses: Sequence[_KeyUse], sentence: str
) -> list[Caveat]:
    """Warn of each key that none of some rows has, if there are rows at all."""
    keys = list(dict.fromkeys(use.key for use in uses))[:MAX_KEYS]
    if not keys:
        return []
    statement = evidence.present(rows, [_path(rows, key) for key in keys])
    key_rows = await ctx.batch.select(statement, PlaceRow)
    missing_keys = set(keys) - {keys[row.place] for row in key_rows}
    recent = await ctx.batch.select(evidence.recent_keys(rows), KeyRow) if missing_keys else []
    known_keys = list(dict.fromkeys(row.key for row in recent if row.key is not None))
    return [
        _unknown_name("UNKNOWN_KEY", f"{sentence} {_quote(use.key)}", use.field, suggestions)
        for use in uses
        if use.key in missing_keys and recent
        for suggestions in [near_names(use.key, known_keys)]
    ]


def _path(rows: RowSet, key: str) -> tuple[str, ...]:
    if rows.table == "metrics":
        return (key,)
    array = items_of(key, "key")
    return array[0] if array else keys_of(key, "key")


async def _unknown_events(ctx: Context, uses: Sequence[_EventUse]) -> list[Caveat]:
    """Warn of each name that no event has."""
    if not uses:
        return []
    rows = RowSet("events", ctx.project)
    names = {use.name for use in uses}
    name_rows = await ctx.batch.select(evidence.present_names(rows, names), NameRow)
    missing_names = names - {row.name for row in name_rows}
    frequent = (
        await ctx.batch.select(evidence.frequent_names(rows), NameRow) if missing_names else []
    )
    known_names = [row.name for row in frequent]
    return [
        _unknown_name(
            "UNKNOWN_EVENT",
            f"There was never an event{_name_clause([use.name])}",
            use.field,
            suggestions,
        )
        for use in uses
        if use.name in missing_names
        for suggestions in [near_names(use.name, known_names)]
    ][:MAX_KEYS]


def _unknown_name(code: str, sentence: str, field: str, suggestions: list[str]) -> Caveat:
    ending = f"; did you mean {' or '.join(map(_quote, suggestions))}?" if suggestions else "."
    return Caveat(code=code, message=sentence + ending, field=field, suggestions=suggestions)


async def _unsuitable_aggregates(
    ctx: Context, name: str, kinds: Collection[AggregateKind]
) -> list[Caveat]:
    """Warn of aggregates that don't suit what a metric was described as."""
    levels, growth = (
        _kind_list(_LEVEL_KINDS.intersection(kinds)),
        _kind_list(_GROWTH_KINDS.intersection(kinds)),
    )
    if not (levels or growth):
        return []
    statement = catalogue.description(ctx.project, name)
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


async def _not_numeric(ctx: Context, rows: RowSet, fields: Mapping[_Cast, str]) -> list[Caveat]:
    """Warn of values that are no numbers, and so left out; `fields` names properties' arguments."""
    if not fields:
        return []
    properties = sorted(fields)
    paths = [(keys_of(path, fields[path, cast]), cast) for path, cast in properties]
    statement = evidence.not_numbers(rows, paths)
    counts = {row.place: row.rows for row in await ctx.batch.select(statement, CountRow)}
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


def _key_uses(where: Any, field: str, events: _Names) -> Iterator[_KeyUse]:  # noqa: ANN401
    """Go through the keys in a filter, of any type, and in those that are nested in it."""
    match where:
        case TagFilter(key=key) | PropertyFilter(key=key):
            yield _KeyUse(key, f"{field}.key", events)
        case PerformedFilter(event=event, where=where):
            yield from _key_uses(where, f"{field}.where", frozenset({event}))
        case list():
            for index, member in enumerate(where):
                yield from _key_uses(member, f"{field}[{index}]", events)
        case EventFilter() | MetricFilter():
            for name, member in _filter_members(where):
                yield from _key_uses(member, f"{field}.{name}", _event_names(where) or events)


def _event_uses(where: Any, field: str) -> Iterator[_EventUse]:  # noqa: ANN401 - an input
    """Go through the names of events in a filter, and in those that are nested in it."""
    match where:
        case PerformedFilter(event=event, where=where):
            yield _EventUse(event, f"{field}.event")
            yield from _event_uses(where, f"{field}.where")
        case list():
            for index, member in enumerate(where):
                yield from _event_uses(member, f"{field}[{index}]")
        case EventFilter():
            if where.name:
                yield from _name_uses(where.name, f"{field}.name")
            for name, member in _filter_members(where):
                yield from _event_uses(member, f"{field}.{name}")


def _name_uses(string_filter: StringFilter, field: str) -> Iterator[_EventUse]:
    """Go through the texts that a name is, or is not."""
    if string_filter.case_sensitive is False:
        return
    for operator in ("eq", "neq"):
        if (text := getattr(string_filter, operator)) is not None:
            yield _EventUse(text, f"{field}.{operator}")
    for operator, texts in (("in", string_filter.in_), ("notIn", string_filter.not_in)):
        yield from (_EventUse(text, f"{field}.{operator}") for text in texts or ())


def _event_names(where: EventFilter | MetricFilter) -> _Names:
    """Return the names that all events have which pass a filter; none if it does not say."""
    if not isinstance(where, EventFilter):
        return _ANY_NAME
    name_filter = where.name
    if (
        name_filter
        and name_filter.case_sensitive is not False
        and (name_filter.eq is not None or name_filter.in_)
    ):
        return (
            frozenset(name_filter.in_ or ())
            if name_filter.eq is None
            else frozenset({name_filter.eq})
        )
    return next(filter(None, map(_event_names, where.and_ or ())), _ANY_NAME)


def _filter_members(where: EventFilter | MetricFilter) -> Iterator[tuple[str, Any]]:
    """Go through the parts of a filter that are given, with their names in GraphQL."""
    fields: Sequence[Any] = dataclasses.fields(where)
    for member in fields:
        if (value := getattr(where, member.name)) is not None:
            yield member.graphql_name or to_camel_case(member.python_name), value


def _name_clause(names: Collection[str]) -> str:
    return f" named {' or '.join(map(_quote, sorted(names)))}" if names else ""


def _quote(text: str) -> str:
    return f"`{text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + '…'}`"
