"""Rows with ids of their own, through whatever door, and what is stored of them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from store.query.sql import Statement
from tests.harness.apis import ask, get, metric_path
from tests.harness.service import NOON, Service

WIRE_FORMATS: Final = {
    "metrics": ("single", "array", "lines", "series", "graphql"),
    "events": ("single", "array", "lines", "graphql"),
}
MUTATIONS: Final = {
    "metrics": "mutation($rows: [MetricInput!]!) {done: recordMetrics(input: {metrics: $rows})",
    "events": "mutation($rows: [EventInput!]!) {done: recordEvents(input: {events: $rows})",
}
name_numbers = itertools.count()


class _Value(msgspec.Struct):
    value: int


@dataclass(frozen=True, slots=True)
class Point:
    """A row of either table; `id` may be missing."""

    id: str | None
    value: int

    def id_field(self) -> dict[str, str]:
        return {} if self.id is None else {"id": self.id}


def new_rows(*values: int) -> tuple[str, list[Point]]:
    """Return a name and rows that were never there before."""
    name = f"n{next(name_numbers)}"
    return name, [Point(f"{name}/{value}", value) for value in values]


def rest_row(table: str, name: str, row: Point) -> dict[str, object]:
    """Return a row as the REST door takes it."""
    if table == "metrics":
        return {"metric_name": name, "value": row.value, **row.id_field()}
    return {"event_name": name, "properties": {"v": row.value}, **row.id_field()}


def graphql_row(table: str, name: str, row: Point) -> dict[str, object]:
    """Return a row as the GraphQL door takes it."""
    content = {"value": row.value} if table == "metrics" else {"properties": {"v": row.value}}
    return {"name": name, **content, **row.id_field()}


async def send(
    service: Service, table: str, wire_format: str, name: str, rows: Sequence[Point]
) -> tuple[int, int, int]:
    """Record good rows through a door; return how many it accepted, knew, and rejected."""
    bodies = [rest_row(table, name, row) for row in rows]
    if wire_format == "single":
        answers = [await service.post(f"/{table}", body) for body in bodies]
        assert [answer.status_code for answer in answers] == [200] * len(rows)
        known = [answer.json().get("duplicate", False) for answer in answers]
        return len(rows) - sum(known), sum(known), 0
    if wire_format == "graphql":
        inputs = [graphql_row(table, name, row) for row in rows]
        query = MUTATIONS[table] + " {accepted duplicates rejected errors {index}}}"
        content = (await ask(service, query, rows=inputs))["done"]
    else:
        if wire_format == "series":
            points = [{"timestamps": [NOON], "values": [row.value]} for row in rows]
            bodies = [
                {"metric_name": name, **point, **row.id_field()}
                for point, row in zip(points, rows, strict=True)
            ]
        lines = b"\n".join(map(msgspec.json.encode, bodies))
        path = f"/{table}/series" if wire_format == "series" else f"/{table}/batch"
        answer = await service.post(path, lines if wire_format == "lines" else bodies)
        assert answer.status_code == 200, answer.text
        content = answer.json()
        assert content["success"] is True
    assert len(content["errors"]) == content["rejected"]
    return content["accepted"], content["duplicates"], content["rejected"]


async def stored_values(service: Service, table: str, name: str) -> list[int]:
    """Return the values that are stored under a name, sorted."""
    text = {
        "metrics": "SELECT toInt64(value) AS value FROM metrics WHERE name = {n:String}",
        "events": (
            "SELECT simpleJSONExtractInt(properties, 'v') AS value FROM events"
            " WHERE name = {n:String}"
        ),
    }[table]
    statement = Statement(f"{text} ORDER BY value", {"n": name}, reads=(table,))
    return [row.value for row in await service.context.store.select(statement, _Value)]


async def values_in_answers(service: Service, table: str, name: str) -> list[int]:
    """Return the values under a name, sorted; every query must say the same of them."""
    found = await stored_values(service, table, name)
    if table == "metrics" and found:
        told = await get(service, metric_path(name), hours=87_600)
        assert (told["count"], told["sum"]) == (len(found), sum(found))
        query = """query($name: String!) {metric(name: $name) {
            query(range: {last: "PT87600H"}) {series {total {count sum}}}}}"""
        (series,) = (await ask(service, query, name=name))["metric"]["query"]["series"]
        assert series["total"] == {"count": len(found), "sum": sum(found)}
    if table == "events":
        told = await get(service, "/events", event_name=name, limit=1000)
        assert (told["total"], told["count"]) == (len(found), len(found))
        assert sorted(event["properties"]["v"] for event in told["events"]) == found
        query = """query($name: String!) {events(where: {name: {eq: $name}}, first: 1000) {
            totalCount nodes {properties}}}"""
        page = (await ask(service, query, name=name))["events"]
        assert page["totalCount"] == len(found)
        assert sorted(node["properties"]["v"] for node in page["nodes"]) == found
    return found
