"""Filters in GraphQL's form, run through the API and on the store."""

import dataclasses
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from strawberry.utils.str_converters import to_camel_case

from schema import filters
from schema.filters import EventFilter, MetricFilter
from schema.scalars import Instant, parse_instant, rfc3339
from store.query.filters.conditions import event_condition, metric_condition
from store.query.filters.row_set import RowSet
from tests.harness.service import Service

_QUERY = "query($where: EventFilter) {events(where: $where, first: 1000) {nodes {time}}}"


class _RowTime(msgspec.Struct):
    time_ms: int


def field_names(kind: type) -> set[str]:
    """Return the GraphQL names of an input's fields."""
    definition: Any = kind
    return {_graphql_name(field) for field in definition.__strawberry_definition__.fields}


def _graphql_name(field: Any) -> str:
    name: str = field.graphql_name or to_camel_case(field.python_name)
    return name


def make_input(kind: Any, value: Any) -> Any:
    """Make an input object from its JSON value in GraphQL."""
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is list:
        return [make_input(get_args(kind)[0], item) for item in value]
    if not dataclasses.is_dataclass(kind):
        return value
    make: Any = kind
    hints = get_type_hints(make, vars(filters))
    names = {
        _graphql_name(field): field.python_name for field in make.__strawberry_definition__.fields
    }
    return make(
        **{
            names[name]: make_input(hints[names[name]], field_value)
            for name, field_value in value.items()
        }
    )


def _with_time_texts(where: Any) -> Any:
    """Return a filter with each time in milliseconds as RFC 3339 text."""
    if isinstance(where, list):
        return [_with_time_texts(item) for item in where]
    if not isinstance(where, dict):
        return where
    times = {name: rfc3339(Instant(time)) for name, time in where.get("time", {}).items()}
    parts = {name: _with_time_texts(part) for name, part in where.items() if name != "time"}
    return parts | ({"time": times} if times else {})


async def listed_events(service: Service, where: dict[str, Any]) -> set[int]:
    """Return the times of the events that pass a filter, from the GraphQL API."""
    answer = await service.graphql(_QUERY, where=_with_time_texts(where))
    assert "errors" not in answer, (where, answer)
    return {parse_instant(node["time"]) for node in answer["data"]["events"]["nodes"]}


async def passing_events(service: Service, where: dict[str, Any]) -> set[int]:
    """Return the times of the events that pass a filter, from the store.

    It takes half of the time of `listed_events`. Instants in filters of properties are numbers.
    """
    rows = RowSet("events", "default")
    rows.conditions.append(event_condition(make_input(EventFilter, where), rows, None))
    return await _times(service, rows)


async def passing_metrics(service: Service, where: dict[str, Any]) -> set[int]:
    """Return the times of the points that pass a filter, from the store."""
    rows = RowSet("metrics", "default")
    rows.conditions.append(metric_condition(make_input(MetricFilter, where), rows))
    return await _times(service, rows)


async def _times(service: Service, rows: RowSet) -> set[int]:
    statement = rows.statement("SELECT toUnixTimestamp64Milli(time) AS time_ms")
    return {row.time_ms for row in await service.context.store.select(statement, _RowTime)}
