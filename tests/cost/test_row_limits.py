"""Limits of recorded rows over both APIs: who is refused, and that nothing of it is recorded."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from schema.access import KeyKind
from settings import Settings, from_environment
from store.access.registry import KeyRequest
from store.limits import Limits
from tests.harness.access import as_caller, bearer
from tests.harness.apis import METRICS, error_summary, first_error, stored_totals
from tests.harness.process import Process
from tests.harness.service import Service, run_service

KEY_ROWS: Final = 40
ADDRESS_ROWS: Final = 20
SECONDS: Final = 4_000
LIMITS: Final = {
    "keyRowsPerSecond": KEY_ROWS / SECONDS,
    "addressRowsPerSecond": ADDRESS_ROWS / SECONDS,
    "budgetSeconds": SECONDS,
}
"""Limits of some rows at once; a row comes back in 100 seconds at the earliest."""

METRIC: Final = {"metric_name": "m", "value": 1}
EVENT: Final = {"event_name": "e"}
SERIES: Final = {"metric_name": "m", "timestamps": [1_760_000_000_000], "values": [1]}
EVENTS: Final = "mutation($rows: [EventInput!]!) {recordEvents(input: {events: $rows}) {accepted}}"
LITERAL: Final = 'mutation {recordEvents(input: {events: [{name: "e"}]}) {accepted}}'
GRAPHQL_METRIC: Final = {"name": "m", "value": 1}
PROXY: Final = "127.0.0.1"
STRANGER: Final = "203.0.113.9"


def graphql(query: str, *rows: object) -> Any:
    """Return a GraphQL request; many rows are taken out of it before its execution."""
    return {"query": query, "variables": {"rows": rows} if rows else {}}


REQUESTS: Final[Mapping[str, tuple[str, Any]]] = {
    "metric": ("/metrics", METRIC),
    "event": ("/events", EVENT),
    "metrics": ("/metrics/batch", [METRIC]),
    "events": ("/events/batch", [EVENT]),
    "series": ("/metrics/series", [SERIES]),
    "broken body": ("/metrics", b"["),
    "broken batch": ("/events/batch", b"["),
    "recordMetrics": ("/graphql", graphql(METRICS, GRAPHQL_METRIC)),
    "recordEvents": ("/graphql", graphql(EVENTS, {"name": "e"})),
    "literal rows": ("/graphql", graphql(LITERAL)),
    "many metrics": ("/graphql", graphql(METRICS, *[GRAPHQL_METRIC] * 100)),
    "many events": ("/graphql", graphql(EVENTS, *[{"name": "e"}] * 200)),
}
"""Every way to record, by a path and a body."""


@pytest_asyncio.fixture(scope="module")
async def small(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Run a service with small limits behind a proxy on this machine."""
    data = tmp_path_factory.mktemp("rows")
    environment = {"ANALYTICS_DATA": str(data), "ANALYTICS_PROXIES": f"{PROXY},10.0.0.0/8"}
    limits = ",".join(f"{name}={value:f}" for name, value in LIMITS.items())
    settings = from_environment(environment | {"ANALYTICS_LIMITS": limits})
    async with run_service(settings) as service:
        yield service


async def new_key(service: Service, kind: KeyKind = KeyKind.SECRET) -> str:
    """Return the secret of a new key."""
    _, secret = await service.context.store.keys.create(KeyRequest("new", kind))
    return secret


def from_address(service: Service, secret: str, peer: str, *lines: str) -> Service:
    """Return a service whose requests come from a peer, with lines of `X-Forwarded-For`."""
    app = service.http._transport.app  # type: ignore[attr-defined]  # an ASGITransport
    transport = httpx.ASGITransport(app, client=(peer, 1))
    headers = [*bearer(secret).items(), *(("x-forwarded-for", line) for line in lines)]
    http = httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers)
    return Service(http, service.context)


async def record(caller: Service, rows: int) -> int:
    """Record rows as one batch; return the status."""
    return (await caller.post("/metrics/batch", [METRIC] * rows)).status_code


async def limited_visitor(service: Service, kind: KeyKind, rows: int) -> Service:
    """Return a visitor with a new key who has recorded as many rows as he may."""
    visitor = from_address(service, await new_key(service, kind), PROXY, STRANGER)
    assert await record(visitor, rows) == 200
    return visitor


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("kind", [KeyKind.SECRET, KeyKind.PUBLIC])
async def test_both_apis_refuse(small: Service, name: str, kind: KeyKind) -> None:
    """Without rows left every way to record is a 429 of one shape, and nothing is recorded.

    The body is not looked at: it may be broken.
    """
    rows = ADDRESS_ROWS if kind is KeyKind.PUBLIC else KEY_ROWS
    caller = await limited_visitor(small, kind, rows)
    totals = await stored_totals(small)
    path, body = REQUESTS[name]
    answer = await caller.post(path, body)
    *summary, limit = error_summary(answer)
    assert summary == [429, "RATE_LIMITED", None]
    assert limit == pytest.approx(rows / SECONDS)
    extensions = first_error(answer)["extensions"]
    assert 0 < extensions["retryAfter"] <= SECONDS / rows
    assert answer.headers["retry-after"] == str(extensions["retryAfter"])
    assert await stored_totals(small) == totals


@pytest.mark.parametrize("name", REQUESTS)
async def test_every_way_to_record_counts(small: Service, name: str) -> None:
    """Each request takes from the rows of its key, whether its rows are stored or not."""
    secret = await new_key(small)
    caller = as_caller(small, secret)
    path, body = REQUESTS[name]
    await caller.post(path, body)
    rows = len(body["variables"].get("rows", [1])) if path == "/graphql" else 1
    state = small.context.store.row_limits._keys.state(
        small.context.store.keys.find(secret.encode()).id
    )
    assert state is not None
    assert state.available == pytest.approx(KEY_ROWS - rows, abs=0.5)


async def test_a_batch_above_the_limit_is_recorded_once(small: Service) -> None:
    """A full bucket takes a batch of any size, and its key is then in debt."""
    caller = as_caller(small, await new_key(small))
    assert await record(caller, 3 * KEY_ROWS) == 200
    answer = await caller.post("/metrics", METRIC)
    wait = (2 * KEY_ROWS + 1) * SECONDS / KEY_ROWS
    assert first_error(answer)["extensions"]["retryAfter"] == pytest.approx(wait, abs=10)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/metrics/batch", [{"metric_name": "m"}] * KEY_ROWS, 422),
        ("/metrics/batch", b"[" + b" " * 100 * KEY_ROWS, 400),
        ("/events/batch", [{"event_name": "e", "id": "same"}] * KEY_ROWS, 200),
        ("/graphql", graphql(EVENTS, *[{"name": "e", "id": "same"}] * KEY_ROWS), 200),
        ("/graphql", graphql(METRICS, *[{"name": "x" * 5000, "value": 1}] * KEY_ROWS), 200),
    ],
    ids=["rejected", "unreadable", "duplicates", "duplicates-graphql", "rejected-graphql"],
)
async def test_rows_that_are_not_stored_count(
    small: Service, path: str, body: Any, status: int
) -> None:
    """Rejected rows, duplicates and bodies that can't be read take the same work, so they count."""
    caller = as_caller(small, await new_key(small))
    answer = await caller.post(path, body)
    assert answer.status_code == status, answer.text
    assert (await caller.post("/metrics", METRIC)).status_code == 429


async def test_rows_that_are_read_twice_count_once(small: Service) -> None:
    """A request of two arrays is parsed again after the first attempt; its rows count once."""
    secret = await new_key(small)
    rows = [{"name": "e", "properties": {"text": "x" * 100}}] * 15
    query = (
        "mutation($a: [EventInput!]!, $b: [EventInput!]!) {"
        "a: recordEvents(input: {events: $a}) {accepted}"
        " b: recordEvents(input: {events: $b}) {accepted}}"
    )
    answer = await as_caller(small, secret).graphql(query, a=rows, b=rows)
    assert answer["data"] == {"a": {"accepted": 15}, "b": {"accepted": 15}}
    key = small.context.store.keys.find(secret.encode())
    state = small.context.store.row_limits._keys.state(key.id)
    assert state is not None
    assert state.available == pytest.approx(KEY_ROWS - 30, abs=0.5)


async def test_visitors_do_not_take_each_others_rows(small: Service) -> None:
    """Two addresses with one public key have rows of their own, but share those of the key.

    An IPv6 network is one address.
    """
    secret = await new_key(small, KeyKind.PUBLIC)
    visitors = [
        from_address(small, secret, PROXY, address) for address in (STRANGER, "2001:db8::1")
    ]
    assert await record(visitors[0], ADDRESS_ROWS) == 200
    assert await record(visitors[0], 1) == 429
    assert await record(visitors[1], ADDRESS_ROWS - 1) == 200
    assert await record(from_address(small, secret, PROXY, "2001:db8::ffff"), 1) == 200
    third_answer = await from_address(small, secret, PROXY, "192.0.2.1").post("/metrics", METRIC)
    assert first_error(third_answer)["message"].startswith("The key has"), "the key's own limit"


async def test_an_address_has_rows_with_each_key(small: Service) -> None:
    """A visitor of two projects can't be refused in one because of the other."""
    caller = await limited_visitor(small, KeyKind.PUBLIC, ADDRESS_ROWS)
    assert await record(caller, 1) == 429
    await limited_visitor(small, KeyKind.PUBLIC, ADDRESS_ROWS)


async def test_only_public_keys_have_limits_by_address(small: Service) -> None:
    """A back end records from one address all that its key may; without a key nothing counts."""
    back_end = from_address(small, await new_key(small), PROXY, STRANGER)
    assert await record(back_end, ADDRESS_ROWS + 1) == 200
    assert await record(back_end, 1) == 200
    for _ in range(3):
        assert await record(small, KEY_ROWS) == 200


@pytest.mark.parametrize(
    ("peer", "header"),
    [(STRANGER, "{}"), ("172.16.0.1", "{}"), (PROXY, f"{{}}, {STRANGER}")],
    ids=["stranger", "foreign-proxy", "before-the-address-of-the-proxy"],
)
async def test_a_client_can_not_invent_its_address(small: Service, peer: str, header: str) -> None:
    """A new `X-Forwarded-For` with each request gives no new rows to a client."""
    secret = await new_key(small, KeyKind.PUBLIC)
    statuses = [
        await record(from_address(small, secret, peer, header.format(f"192.0.2.{n}")), 10)
        for n in range(4)
    ]
    assert statuses == [200, 200, 429, 429]


async def test_this_machine_has_no_limit_by_address(small: Service) -> None:
    """A proxy that is not trusted speaks for all clients if it is on this machine."""
    secret = await new_key(small, KeyKind.PUBLIC)
    caller = from_address(small, secret, "127.0.0.2", STRANGER)
    assert await record(caller, KEY_ROWS - 1) == 200
    assert await record(caller, 1) == 200


def test_the_limits_of_production() -> None:
    """Production has these limits; another one is a decision."""
    limits = Limits.of_this_machine()
    assert (limits.key_rows_per_second, limits.address_rows_per_second) == (0, 1_000)
    assert limits.budget_seconds == 60
    assert Settings().proxies == ()


def test_the_server_has_the_addresses(tmp_path: Path) -> None:
    """A service that is started by its command refuses the one address and not the other."""
    settings = {
        "ANALYTICS_PROXIES": PROXY,
        "ANALYTICS_LIMITS": "addressRowsPerSecond=0.01,budgetSeconds=1000",
    }
    with Process(tmp_path / "data", settings=settings) as process, contextlib.ExitStack() as stack:
        process.await_ready()
        mutation = 'mutation {createApiKey(input: {name: "web", kind: PUBLIC}) {secret}}'
        secret = process.graphql(mutation)["createApiKey"]["secret"]

        def record_from(address: str, rows: int) -> int:
            headers = {"x-forwarded-for": address, "content-type": "application/json"}
            http = stack.enter_context(httpx.Client(trust_env=False))
            body = json.dumps([METRIC] * rows)
            address = f"http://127.0.0.1:{process.port}/metrics/batch?key={secret}"
            return http.post(address, content=body, headers=headers).status_code

        assert [record_from(STRANGER, 10) for _ in range(2)] == [200, 429]
        assert [record_from("2001:db8::1", 10) for _ in range(2)] == [200, 429]
