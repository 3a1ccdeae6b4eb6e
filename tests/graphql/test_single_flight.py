"""Single flight: identical queries that arrive together are executed once, and see all rows."""

import asyncio
import contextlib
import secrets
from collections.abc import Iterator
from typing import Any, Final

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.single_flight import MAX_SHARED_BYTES, Flight, SingleFlight
from schema.access import ALL_RIGHTS, Grant, KeyKind, RowFilter, Scope
from schema.errors import AnalyticsError
from schema.filters import EventFilter, StringFilter
from store.access.registry import KeyRequest
from tests.harness.access import as_caller
from tests.harness.apis import ask
from tests.harness.flights import (
    PATHS,
    TREND,
    TWINS,
    Gate,
    engine_gate,
    record_rows,
    request,
    send_twins,
)
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Put a gate before the engine."""
    with engine_gate() as new_gate:
        yield new_gate


@pytest_asyncio.fixture(scope="module", autouse=True)
async def rows(service: Service) -> None:
    """Record the rows of the requests."""
    await record_rows(service)


@pytest.mark.parametrize("kind", PATHS)
async def test_twins_share_the_next_execution(service: Service, gate: Gate, kind: str) -> None:
    """The first request is executed alone; all that arrive meanwhile share one execution."""
    expected = await request(service, kind)
    gate.statement_count = 0
    tasks = await send_twins(service, gate, kind)
    gate.open()
    assert await asyncio.gather(*tasks) == [expected] * TWINS
    assert gate.statement_count == 2
    assert await request(service, kind) == expected
    assert gate.statement_count == 3


DIFFERENT_REQUESTS: Final[list[tuple[dict[str, Any], dict[str, Any]]]] = [
    ({"query": TREND}, {"query": TREND + " "}),
    ({"query": TREND}, {"query": TREND, "variables": {}}),
    ({"query": f"query A {TREND}"}, {"query": f"query A {TREND}", "operationName": "A"}),
]


@pytest.mark.parametrize(("first", "second"), DIFFERENT_REQUESTS)
async def test_other_requests_are_no_twins(
    service: Service, gate: Gate, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """Requests with any difference are executed apart."""
    gate.shut()
    tasks = [asyncio.create_task(service.post("/graphql", body)) for body in (first, second)]
    await gate.await_statements(2)
    gate.open()
    await asyncio.gather(*tasks)


async def test_formats_are_not_shared(service: Service, gate: Gate) -> None:
    """A request that accepts another media type has an execution of its own, and its type."""
    gate.shut()
    accepts = ["application/json", "application/graphql-response+json", "*/*"]
    tasks = [
        asyncio.create_task(service.post("/graphql", {"query": TREND}, accept=accept))
        for accept in accepts
    ]
    await gate.await_statements(3)
    gate.open()
    types = [(await task).headers["content-type"].partition(";")[0] for task in tasks]
    assert types == ["application/json", "application/graphql-response+json", "application/json"]


async def test_large_requests_are_not_shared(service: Service, gate: Gate) -> None:
    """A request that is costly to compare is executed alone."""
    gate.shut()
    body = {"query": TREND, "extensions": {"x": "a" * MAX_SHARED_BYTES}}
    tasks = [asyncio.create_task(service.post("/graphql", body)) for _ in range(3)]
    await gate.await_statements(3)
    gate.open()
    await asyncio.gather(*tasks)


async def test_each_has_a_response_of_its_own(service: Service, gate: Gate) -> None:
    """Headers for the origin of a page are in its own response only."""
    gate.shut()
    origins = ["https://a.example", "https://b.example", "https://c.example", ""]
    tasks = [
        asyncio.create_task(
            service.post("/graphql", {"query": TREND}, **({"origin": origin} if origin else {}))
        )
        for origin in origins
    ]
    await gate.await_statements(1)
    gate.open()
    answers = await asyncio.gather(*tasks)
    assert gate.statement_count == 2
    for answer, origin in zip(answers, origins, strict=True):
        assert ("access-control-allow-origin" in answer.headers) is bool(origin)
        assert answer.headers["vary"].count("Accept,") <= 1
        assert answer.json()["data"]


async def test_errors_are_shared(service: Service, gate: Gate) -> None:
    """An error of the execution is the answer of all who share it, and of no later request."""
    tasks = await send_twins(service, gate, "metric")
    gate.failure = AnalyticsError("UNAVAILABLE", "busy", retry_after=1)
    gate.open()
    async with asyncio.timeout(10):
        results = await asyncio.gather(*tasks)
    assert {status for status, _ in results} == {503}
    assert gate.statement_count == 2
    gate.failure = None
    assert (await request(service, "metric"))[0] == 200


@pytest.mark.parametrize("kind", ["GraphQL", "metric"])
async def test_unexpected_errors_are_shared(service: Service, gate: Gate, kind: str) -> None:
    """An exception leaves nobody waiting: each request has an answer with an id of the log."""
    tasks = await send_twins(service, gate, kind)
    gate.failure = ZeroDivisionError()
    gate.open()
    async with asyncio.timeout(10):
        results = await asyncio.gather(*tasks)
    assert all("INTERNAL_SERVER_ERROR" in str(content) for _, content in results)
    assert gate.statement_count == 2


async def test_mutations_are_never_shared(service: Service) -> None:
    """Identical mutations that arrive together are each executed."""
    mutation = 'mutation {recordMetrics(input: {metrics: [{name: "twins", value: 1}]}) {accepted}}'
    answers = await asyncio.gather(*(service.graphql(mutation) for _ in range(TWINS)))
    assert {answer["data"]["recordMetrics"]["accepted"] for answer in answers} == {1}
    assert (await service.http.get("/metrics/twins")).json()["count"] == TWINS


async def test_deletions_are_never_shared(service: Service) -> None:
    """Identical deletions that arrive together are each executed."""
    await service.post("/metrics", {"metric_name": "gone", "value": 1})
    deletions = [service.http.delete("/metrics/gone") for _ in range(5)]
    statuses = [answer.status_code for answer in await asyncio.gather(*deletions)]
    assert sorted(statuses)[:1] == [200]
    assert set(statuses) <= {200, 404}


async def caller_for(service: Service, user: str | None) -> Service:
    """Return a caller with a key that shows the events of a user, or all."""
    row_filter = None
    if user:
        row_filter = RowFilter(events=EventFilter(user_id=StringFilter(eq=user)))
    key_request = KeyRequest("k", KeyKind.SECRET, scopes=[Scope.QUERY], row_filter=row_filter)
    _, secret = await service.context.store.keys.create(key_request)
    return as_caller(service, secret)


async def test_row_filters_are_never_shared(service: Service, gate: Gate) -> None:
    """Keys with different filters, and keys with equal ones, have executions of their own."""
    for user in ("ours", "ours", "theirs"):
        await service.post("/events", {"event_name": "filtered", "user_id": user})
    await service.http.get("/events")
    callers = [await caller_for(service, user) for user in ("ours", "theirs", "ours", None)]
    await asyncio.gather(*(caller.graphql(TREND) for caller in callers))
    gate.statement_count = 0
    gate.shut()
    tasks = [asyncio.create_task(caller.graphql(TREND)) for _ in range(5) for caller in callers]
    await gate.await_statements(len(callers))
    gate.open()
    answers = await asyncio.gather(*tasks)
    totals = [answer["data"]["eventTrend"]["series"][0]["total"]["count"] for answer in answers]
    assert totals[:3] == [2, 1, 2]
    assert totals == totals[:4] * 5
    assert gate.statement_count == 2 * len(callers)


def test_identity_has_the_whole_grant() -> None:
    """Flights are equal only if all of the grant is, with the content of the row filter."""

    def flight(**parts: Any) -> Flight:
        return Flight("k", b"c", "q", Grant(frozenset({Scope.QUERY}), **parts))

    def events_of(user: str) -> RowFilter:
        return RowFilter(events=EventFilter(user_id=StringFilter(eq=user)))

    grants: list[dict[str, Any]] = [
        *({}, {"project": "p"}, {"key_id": "k"}, {"trusted_only": True}, {"row_filter": None}),
        *({"row_filter": RowFilter()}, {"row_filter": events_of("a")}),
        {"row_filter": events_of("b")},
    ]
    flights = [flight(**parts) for parts in grants]
    assert flights[0] == flights[4]
    del flights[4]
    assert len(set(flights)) == len(flights)
    assert flight(row_filter=events_of("a")) == flight(row_filter=events_of("a"))
    assert Flight("k", b"c", "q", ALL_RIGHTS) != flights[0]


async def test_nothing_is_left(service: Service) -> None:
    """After all answers, no query is remembered."""
    await asyncio.gather(*(request(service, kind) for kind in PATHS for _ in range(3)))
    transport: Any = service.http._transport
    flights: SingleFlight = transport.app.state.flights
    assert flights._next_executions == {}
    assert flights._tasks == set()


async def test_cancelled_requests_leave_nobody_waiting(service: Service, gate: Gate) -> None:
    """Tasks of the server that are cancelled free the others."""
    tasks = await send_twins(service, gate, "metric")
    for task in tasks[:5]:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    gate.open()
    async with asyncio.timeout(10):
        assert {status for status, _ in await asyncio.gather(*tasks[5:])} == {200}


COUNT: Final = """
query($name: String!) {metric(name: $name) {query(range: {last: "P1D"}) {series {total {count}}}}}
"""


@pytest.mark.parametrize("shared_count", [0, 1, 3])
async def test_no_request_joins_a_running_execution(
    service: Service, gate: Gate, shared_count: int
) -> None:
    """A row that was acknowledged while an execution has read its rows is in the next answer.

    The execution that runs is the one of the first request, or a shared one.
    """
    point = {"metric_name": secrets.token_hex(4), "value": 1}
    await service.post("/metrics", point)

    async def count_rows() -> int:
        data = await ask(service, COUNT, name=point["metric_name"])
        count: int = data["metric"]["query"]["series"][0]["total"]["count"]
        return count

    assert await count_rows() == 1
    gate.holds_answers, gate.statement_count = True, 0
    gate.shut()
    early_requests = [asyncio.create_task(count_rows()) for _ in range(1 + shared_count)]
    await gate.await_statements(1)
    if shared_count:
        gate.open()
        await early_requests[0]
        gate.shut()
        await gate.await_statements(2)
    assert (await service.post("/metrics", point)).status_code == 200
    late_requests = [asyncio.create_task(count_rows()) for _ in range(3)]
    for _ in range(100):
        await asyncio.sleep(0)
    gate.open()
    async with asyncio.timeout(10):
        assert set(await asyncio.gather(*early_requests)) == {1}
        assert set(await asyncio.gather(*late_requests)) == {2}


@settings(
    deadline=None,
    max_examples=short_or_long(20, 500),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(waits=st.lists(st.integers(0, 40), min_size=2, max_size=12))
async def test_writers_read_their_own_rows(service: Service, waits: list[int]) -> None:
    """A writer's query after its write has its row, while others run the identical query."""
    point = {"metric_name": secrets.token_hex(4), "value": 1}
    await service.post("/metrics", point)
    acknowledged_count = 1

    async def count_rows() -> int:
        data = await ask(service, COUNT, name=point["metric_name"])
        count: int = data["metric"]["query"]["series"][0]["total"]["count"]
        return count

    async def write_and_read(turns: int) -> None:
        nonlocal acknowledged_count
        for _ in range(turns):
            await asyncio.sleep(0)
        assert (await service.post("/metrics", point)).status_code == 200
        acknowledged_count += 1
        own_count = acknowledged_count
        assert await count_rows() >= own_count

    await asyncio.gather(*map(write_and_read, waits), *(count_rows() for _ in waits))
    assert await count_rows() == 1 + len(waits)
