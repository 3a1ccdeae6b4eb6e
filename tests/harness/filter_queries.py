"""Filters in the words of GraphQL, asked at the door and below it."""

import dataclasses
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from strawberry.utils.str_converters import to_camel_case

from schema import filters
from schema.filters import MetricFilter
from schema.scalars import Instant, parse_instant, rfc3339
from store.query.filters.conditions import metric_condition
from store.query.filters.row_set import RowSet
from tests.harness.service import Service

_QUERY = "query($where: EventFilter) {events(where: $where, first: 1000) {nodes {time}}}"


class _RowTime(msgspec.Struct):
    time_ms: int


def field_names(kind: type) -> set[str]:
    """Return the names that an input's fields have in GraphQL."""
    definition: Any = kind
    return {_graphql_name(field) for field in definition.__strawberry_definition__.fields}


def _graphql_name(field: Any) -> str:
    name: str = field.graphql_name or to_camel_case(field.python_name)
    return name


def make_input(kind: Any, given: Any) -> Any:
    """Make an input of what GraphQL would be given."""
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is list:
        return [make_input(get_args(kind)[0], item) for item in given]
    if not dataclasses.is_dataclass(kind):
        return given
    make: Any = kind
    hints = get_type_hints(make, vars(filters))
    names = {
        _graphql_name(field): field.python_name for field in make.__strawberry_definition__.fields
    }
    return make(
        **{names[name]: make_input(hints[names[name]], value) for name, value in given.items()}
    )


def _in_graphql(where: Any) -> Any:
    """Return a filter with its times as texts."""
    if isinstance(where, list):
        return [_in_graphql(item) for item in where]
    if not isinstance(where, dict):
        return where
    times = {name: rfc3339(Instant(at)) for name, at in where.get("time", {}).items()}
    parts = {name: _in_graphql(part) for name, part in where.items() if name != "time"}
    return parts | ({"time": times} if times else {})


async def passing_events(service: Service, where: dict[str, Any]) -> set[int]:
    """Return the times of the events that pass a filter, asked at the door."""
    answer = await service.graphql(_QUERY, where=_in_graphql(where))
    assert "errors" not in answer, (where, answer)
    return {parse_instant(node["time"]) for node in answer["data"]["events"]["nodes"]}


async def passing_metrics(service: Service, where: dict[str, Any]) -> set[int]:
    """Return the times of the points that pass a filter."""
    rows = RowSet("metrics", "default")
    rows.conditions.append(metric_condition(make_input(MetricFilter, where), rows))
    return await _times(service, rows)


async def _times(service: Service, rows: RowSet) -> set[int]:
    statement = rows.statement("SELECT toUnixTimestamp64Milli(time) AS time_ms")
    return {row.time_ms for row in await service.context.store.select(statement, _RowTime)}
