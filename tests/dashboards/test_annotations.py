"""Annotations: events of one name, recorded in any way, read with types."""

from typing import Any

import pytest

from schema.access import KeyKind, RowFilter, Scope
from schema.dashboards.annotations import ANNOTATION
from schema.filters import EventFilter, StringFilter
from store.access.registry import KeyRequest
from tests.harness.access import as_caller
from tests.harness.apis import ask, record, stored_totals
from tests.harness.service import Service

LIST = (
    "query($range: TimeRangeInput!, $first: Int) {annotations(range: $range, first: $first)"
    " {id time endsAt title text kind url}}"
)
ANNOTATE = "mutation($input: AnnotateInput!) {annotate(input: $input) {accepted duplicates}}"
RANGE = {"between": {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}}


async def annotations(service: Service, **variables: object) -> list[dict[str, Any]]:
    """List annotations without their ids."""
    entries = (await ask(service, LIST, **{"range": RANGE, **variables}))["annotations"]
    return [{key: value for key, value in entry.items() if key != "id"} for entry in entries]


async def test_annotations_are_events(service: Service) -> None:
    """What `annotate` records is listed with types; it is an event, and counts as one."""
    before = await stored_totals(service)
    values = {
        "title": "v2",
        "text": "second",
        "kind": "DEPLOY",
        "time": "2026-01-05T00:00:00Z",
        "endsAt": "2026-01-05T01:00:00+00:00",
        "url": "https://ci.example/2",
        "id": "deploy-2",
    }
    payloads = [(await ask(service, ANNOTATE, input=values))["annotate"] for _ in range(2)]
    assert payloads == [{"accepted": 1, "duplicates": 0}, {"accepted": 0, "duplicates": 1}]
    await ask(service, ANNOTATE, input={"title": "now"})
    assert await annotations(service) == [
        {
            "title": "v2",
            "text": "second",
            "kind": "DEPLOY",
            "time": "2026-01-05T00:00:00.000Z",
            "endsAt": "2026-01-05T01:00:00.000Z",
            "url": "https://ci.example/2",
        }
    ]
    assert len(await annotations(service, range={"preset": "ALL_TIME"})) == 2
    assert len(await annotations(service, range={"preset": "ALL_TIME"}, first=1)) == 1
    totals = await stored_totals(service)
    assert totals["events"] == before["events"] + 2
    trend = "{eventTrend(range: {preset: ALL_TIME}) {series {total {count}}}}"
    count = (await ask(service, trend))["eventTrend"]["series"][0]["total"]["count"]
    assert count == totals["events"]


async def test_any_properties(service: Service) -> None:
    """Properties of other types are left out; an address that is code is no address."""
    time = "2026-01-10T00:00:00Z"
    properties: tuple[dict[str, Any], ...] = (
        {},
        {"title": 1, "text": ["x"], "kind": {"a": 1}, "endsAt": 5, "url": None},
        {"title": "t", "kind": "DEPLOY", "endsAt": "soon", "url": "javascript:alert(1)"},
    )
    for entry in properties:
        row = {"event_name": ANNOTATION, "timestamp": time, "properties": entry}
        await record(service, "/events", row)
    between = {"between": {"from": time, "to": "2026-01-10T00:00:01Z"}}
    entries = await annotations(service, range=between)
    parts = [
        tuple(entry[key] for key in ("title", "text", "kind", "endsAt", "url")) for entry in entries
    ]
    assert parts == [("t", None, "NOTE", None, None), *[("", None, "NOTE", None, None)] * 2]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a", "url": "javascript:alert(1)"}, "url"),
        ({"title": "a", "endsAt": "2000-01-01T00:00:00Z"}, "endsAt"),
        ({"title": "a", "time": "noon"}, "input.time"),
    ],
)
async def test_refused_annotations(service: Service, values: dict[str, Any], field: str) -> None:
    """A wrong annotation is refused with its field."""
    answer = await service.graphql(ANNOTATE, input=values)
    extensions = answer["errors"][0]["extensions"]
    assert (extensions["code"], extensions["field"]) == ("BAD_USER_INPUT", field)


async def test_a_row_filter_holds(service: Service) -> None:
    """A caller with a row filter sees the annotations that the filter shows only."""
    await ask(service, ANNOTATE, input={"title": "a"})
    for name, count in (("other", 0), (ANNOTATION, 1)):
        where = EventFilter(name=StringFilter(eq=name))
        request = KeyRequest(
            "k", KeyKind.SECRET, scopes=[Scope.QUERY], row_filter=RowFilter(events=where)
        )
        _, secret = await service.context.store.keys.create(request)
        customer = as_caller(service, secret)
        entries = await annotations(customer, range={"preset": "ALL_TIME"}, first=1)
        assert len(entries) == count
