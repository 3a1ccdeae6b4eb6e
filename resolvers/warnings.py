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

_ANY: Final[_Names] = frozenset()
_LEVELS: Final = frozenset(
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
_GROWTH: Final = frozenset({AggregateKind.INCREASE, AggregateKind.RATE})

_TOO_MUCH: Final = frozenset({"QUERY_TOO_EXPENSIVE", "UNAVAILABLE"})
_LONGEST_SHOWN: Final = 100

_Cast: TypeAlias = tuple[str, bool]
"""A property's path, and whether texts are taken for numbers."""


@dataclass(frozen=True, slots=True)
class _KeyUse:
    """A tag or a property in a question, and the names of the events that are meant, if given."""

    key: str
    field: str
    events: _Names = _ANY


@dataclass(frozen=True, slots=True)
class _EventUse:
    """The name of an event in a question."""

    name: str
    field: str


async def of_metric(
    ctx: Context,
    name: str,
    tests: MetricFilter | None,
    keys: Sequence[GroupColumn],
    kinds: Collection[AggregateKind],
) -> list[Caveat]:
    """Return the warnings about a question to one metric, for some kinds of aggregates."""
    uses = [*_key_uses(tests, "where", _ANY), *_group_uses(keys, _ANY)]
    rows = queries.metric_rows(ctx.project, name)
    sentence = f"No point of {_shown(name)} ever had the tag"
    try:
        found = await _unknown_keys(ctx, rows, uses, sentence)
        return found + await _of_kind(ctx, name, kinds)
    except AnalyticsError as error:
        return _nothing_if_dear(error)


async def of_events(
    ctx: Context,
    tests: EventFilter,
    asked: SeriesArguments,
    wanted: SeriesSelection,
    span: TimeRange,
) -> list[Caveat]:
    """Return the warnings about a question to events in a range."""
    events = _event_names(tests)
    aggregates = _with_fields(asked, wanted)
    uses = [*_key_uses(tests, "where", events), *_group_uses(asked.group_columns, events)]
    uses += [
        _KeyUse(path, field, events)
        for path, field in dict.fromkeys((each.property, field) for each, field in aggregates)
        if path is not None
    ]
    numbers = {
        (each.property or "", each.cast): field
        for each, field in aggregates[::-1]
        if each.kind in _LEVELS
    }
    try:
        found = await _unknown_events(ctx, list(_event_uses(tests, "where")))
        for names in dict.fromkeys(use.events for use in uses):
            rows = RowSet("events", ctx.project)
            if names:
                catalogue.in_names(rows, sorted(names))
            sentence = f"No event{_named(names)} ever had the property"
            of_these = [use for use in uses if use.events == names]
            found += await _unknown_keys(ctx, rows, of_these, sentence)
        return found + await _not_numeric(
            ctx, queries.event_rows(ctx.project, tests, span), numbers
        )
    except AnalyticsError as error:
        return _nothing_if_dear(error)


def kinds_of(asked: SeriesArguments, wanted: SeriesSelection) -> set[AggregateKind]:
    """Return the kinds of aggregates that a question selects or orders by."""
    return {each.kind for each, _ in _with_fields(asked, wanted)}


def _with_fields(asked: SeriesArguments, wanted: SeriesSelection) -> list[tuple[Aggregate, str]]:
    """List the aggregates that are selected, then that of the order, with their argument."""
    whole = wanted.single_series
    selected = sorted(whole.totals | whole.columns, key=repr)
    found = [(each, "property") for each in selected]
    if asked.group_columns and asked.order.aggregate not in selected:
        found.append((asked.order.aggregate, "orderBy.property"))
    return found


def _nothing_if_dear(error: AnalyticsError) -> list[Caveat]:
    if error.code in _TOO_MUCH:
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
    present = await ctx.batch.select(statement, PlaceRow)
    gone = set(keys) - {keys[row.place] for row in present}
    recent = await ctx.batch.select(evidence.recent_keys(rows), KeyRow) if gone else []
    known = list(dict.fromkeys(row.key for row in recent if row.key is not None))
    return [
        _unknown("UNKNOWN_KEY", f"{sentence} {_shown(use.key)}", use.field, near)
        for use in uses
        if use.key in gone and recent
        for near in [near_names(use.key, known)]
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
    present = await ctx.batch.select(evidence.present_names(rows, names), NameRow)
    gone = names - {row.name for row in present}
    frequent = await ctx.batch.select(evidence.frequent_names(rows), NameRow) if gone else []
    known = [row.name for row in frequent]
    return [
        _unknown("UNKNOWN_EVENT", f"There was never an event{_named([use.name])}", use.field, near)
        for use in uses
        if use.name in gone
        for near in [near_names(use.name, known)]
    ][:MAX_KEYS]


def _unknown(code: str, sentence: str, field: str, near: list[str]) -> Caveat:
    meant = f"; did you mean {' or '.join(map(_shown, near))}?" if near else "."
    return Caveat(code=code, message=sentence + meant, field=field, suggestions=near)


async def _of_kind(ctx: Context, name: str, kinds: Collection[AggregateKind]) -> list[Caveat]:
    """Warn of aggregates that don't suit what a metric was described as."""
    levels, growth = _sorted(_LEVELS.intersection(kinds)), _sorted(_GROWTH.intersection(kinds))
    if not (levels or growth):
        return []
    statement = catalogue.description(ctx.project, name)
    described = await ctx.batch.select(statement, DescriptionRow)
    kind = described[0].kind if described else ""
    if kind == MetricKind.COUNTER.name and levels:
        message = f"{_shown(name)} is a counter, of which {levels} says little;"
        message += " ask for increase or rate."
        return [Caveat(code="COUNTER_LEVEL", message=message, suggestions=["increase", "rate"])]
    if kind == MetricKind.GAUGE.name and growth:
        message = f"{_shown(name)} is a gauge: {growth} takes each fall for a restart from 0."
        return [Caveat(code="GAUGE_GROWTH", message=message)]
    return []


def _sorted(kinds: Collection[AggregateKind]) -> str:
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
                f"{_shown(path)} is no number in {count} of {counts[0]} events; aggregates of"
                " numbers leave them out."
            ),
            field=fields[path, cast],
        )
        for place, (path, cast) in enumerate(properties, 1)
        if (count := counts[place])
    ]


def _group_uses(keys: Sequence[GroupColumn], events: _Names) -> list[_KeyUse]:
    return [
        _KeyUse(key.name, f"groupBy[{place}]", events)
        for place, key in enumerate(keys)
        if key.sql not in EVENT_FIELDS.values()
    ]


def _key_uses(tests: Any, field: str, events: _Names) -> Iterator[_KeyUse]:  # noqa: ANN401
    """Go through the keys in a filter, of any type, and in those that are nested in it."""
    match tests:
        case TagFilter(key=key) | PropertyFilter(key=key):
            yield _KeyUse(key, f"{field}.key", events)
        case PerformedFilter(event=event, where=where):
            yield from _key_uses(where, f"{field}.where", frozenset({event}))
        case list():
            for place, part in enumerate(tests):
                yield from _key_uses(part, f"{field}[{place}]", events)
        case EventFilter() | MetricFilter():
            for name, part in _parts(tests):
                yield from _key_uses(part, f"{field}.{name}", _event_names(tests) or events)


def _event_uses(tests: Any, field: str) -> Iterator[_EventUse]:  # noqa: ANN401 - an input
    """Go through the names of events in a filter, and in those that are nested in it."""
    match tests:
        case PerformedFilter(event=event, where=where):
            yield _EventUse(event, f"{field}.event")
            yield from _event_uses(where, f"{field}.where")
        case list():
            for place, part in enumerate(tests):
                yield from _event_uses(part, f"{field}[{place}]")
        case EventFilter():
            if tests.name:
                yield from _texts(tests.name, f"{field}.name")
            for name, part in _parts(tests):
                yield from _event_uses(part, f"{field}.{name}")


def _texts(tests: StringFilter, field: str) -> Iterator[_EventUse]:
    """Go through the texts that a name is, or is not."""
    if tests.case_sensitive is False:
        return
    for operator in ("eq", "neq"):
        if (text := getattr(tests, operator)) is not None:
            yield _EventUse(text, f"{field}.{operator}")
    for shown, texts in (("in", tests.in_), ("notIn", tests.not_in)):
        yield from (_EventUse(text, f"{field}.{shown}") for text in texts or ())


def _event_names(tests: EventFilter | MetricFilter) -> _Names:
    """Return the names that all events have which pass a filter; none if it does not say."""
    if not isinstance(tests, EventFilter):
        return _ANY
    name = tests.name
    if name and name.case_sensitive is not False and (name.eq is not None or name.in_):
        return frozenset(name.in_ or ()) if name.eq is None else frozenset({name.eq})
    return next(filter(None, map(_event_names, tests.and_ or ())), _ANY)


def _parts(tests: EventFilter | MetricFilter) -> Iterator[tuple[str, Any]]:
    """Go through the parts of a filter that are given, with their names in GraphQL."""
    fields: Sequence[Any] = dataclasses.fields(tests)
    for part in fields:
        if (given := getattr(tests, part.name)) is not None:
            yield part.graphql_name or to_camel_case(part.python_name), given


def _named(names: Collection[str]) -> str:
    return f" named {' or '.join(map(_shown, sorted(names)))}" if names else ""


def _shown(text: str) -> str:
    return f"`{text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '…'}`"
