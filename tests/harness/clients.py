"""Rows with client ids, their requests in each wire format, and their stored values."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from store.query.sql import Scan, Statement
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
    """Return a new name, and rows with new ids."""
    name = f"n{next(name_numbers)}"
    return name, [Point(f"{name}/{value}", value) for value in values]


def rest_row(table: str, name: str, row: Point) -> dict[str, object]:
    """Return a row as JSON for the REST API."""
    if table == "metrics":
        return {"metric_name": name, "value": row.value, **row.id_field()}
    return {"event_name": name, "properties": {"v": row.value}, **row.id_field()}


def graphql_row(table: str, name: str, row: Point) -> dict[str, object]:
    """Return a row as an input of the GraphQL API."""
    content = {"value": row.value} if table == "metrics" else {"properties": {"v": row.value}}
    return {"name": name, **content, **row.id_field()}


async def send(
    service: Service, table: str, wire_format: str, name: str, rows: Sequence[Point]
) -> tuple[int, int, int]:
    """Record valid rows; return the numbers of accepted, duplicate and rejected rows."""
    bodies = [rest_row(table, name, row) for row in rows]
    if wire_format == "single":
        answers = [await service.post(f"/{table}", body) for body in bodies]
        assert [answer.status_code for answer in answers] == [200] * len(rows)
        are_duplicates = [answer.json().get("duplicate", False) for answer in answers]
        return len(rows) - sum(are_duplicates), sum(are_duplicates), 0
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
    """Return the stored values of a name, sorted."""
    text = {
        "metrics": "SELECT toInt64(value) AS value FROM metrics WHERE name = {n:String}",
        "events": (
            "SELECT simpleJSONExtractInt(properties, 'v') AS value FROM events"
            " WHERE name = {n:String}"
        ),
    }[table]
    statement = Statement(f"{text} ORDER BY value", {"n": name}, scans=(Scan(table),))
    return [row.value for row in await service.context.store.select(statement, _Value)]


async def values_in_answers(service: Service, table: str, name: str) -> list[int]:
    """Return the stored values of a name, sorted; fail if a query of an API disagrees."""
    values = await stored_values(service, table, name)
    if table == "metrics" and values:
        answer = await get(service, metric_path(name), hours=87_600)
        assert (answer["count"], answer["sum"]) == (len(values), sum(values))
        query = """query($name: String!) {metric(name: $name) {
            query(range: {last: "PT87600H"}) {series {total {count sum}}}}}"""
        (series,) = (await ask(service, query, name=name))["metric"]["query"]["series"]
        assert series["total"] == {"count": len(values), "sum": sum(values)}
    if table == "events":
        answer = await get(service, "/events", event_name=name, limit=1000)
        assert (answer["total"], answer["count"]) == (len(values), len(values))
        assert sorted(event["properties"]["v"] for event in answer["events"]) == values
        query = """query($name: String!) {events(where: {name: {eq: $name}}, first: 1000) {
            totalCount nodes {properties}}}"""
        page = (await ask(service, query, name=name))["events"]
        assert page["totalCount"] == len(values)
        assert sorted(node["properties"]["v"] for node in page["nodes"]) == values
    return values
