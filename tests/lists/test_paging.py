"""Lists: pages that stay stable while rows come and go; search, filters, counts."""

from typing import Any

import pytest

from resolvers import pages
from schema.scalars import Instant, rfc3339
from tests.harness.apis import ask, delete_all, error_summary, get, record
from tests.harness.service import Service

PAGE = """
query($where: EventFilter, $range: TimeRangeInput, $first: Int! = 4, $after: String) {
  events(where: $where, range: $range, first: $first, after: $after) {
    nodes {id properties}
    edges {cursor node {id}}
    pageInfo {hasNextPage hasPreviousPage startCursor endCursor}
    totalCount
  }
}"""
METRICS_PAGE = """
query($search: String, $first: Int, $after: String) {
  metrics(search: $search, first: $first, after: $after) {
    nodes {name}
    edges {cursor node {name}}
    pageInfo {hasNextPage hasPreviousPage startCursor endCursor}
    totalCount
  }
}"""
COUNT = """
query($where: EventFilter, $range: TimeRangeInput) {
  events(where: $where, range: $range) {totalCount nodes {properties}}
}"""


async def page(service: Service, **variables: object) -> Any:
    """Return a page of events, after a check that nodes, edges and flags agree."""
    connection = (await ask(service, PAGE, **variables))["events"]
    info, edges = connection["pageInfo"], connection["edges"]
    assert [edge["node"]["id"] for edge in edges] == [node["id"] for node in connection["nodes"]]
    assert info["hasPreviousPage"] is ("after" in variables)
    assert info["startCursor"] == (edges[0]["cursor"] if edges else None)
    assert info["endCursor"] == (edges[-1]["cursor"] if edges else None)
    return connection


def numbers(connection: Any) -> list[int]:
    """Return the property `n` of each event on a page."""
    return [node["properties"]["n"] for node in connection["nodes"]]


def event(number: int, time: int, **fields: object) -> dict[str, object]:
    """Return an event with a number, at an instant."""
    return {"event_name": "e", "properties": {"n": number}, "timestamp": time, **fields}


async def test_pages_of_events_are_stable(service: Service) -> None:
    """Rows that arrive between pages move nothing: each event comes once, and in order.

    Later pages have the arrivals that are older than the last page, and no newer ones.
    """
    await delete_all(service)
    await record(service, "/events", *(event(n, 5000 + n // 5) for n in range(25)))
    read_numbers: list[int] = []
    after: dict[str, object] = {}
    for turn in range(10):
        connection = await page(service, **after)
        read_numbers += numbers(connection)
        if not connection["pageInfo"]["hasNextPage"]:
            break
        last = connection["pageInfo"]["endCursor"]
        time = 5000 + read_numbers[-1] // 5
        newer = [event(100 + turn, time), event(200 + turn, time + 1), event(300 + turn, 9000)]
        await record(service, "/events", *newer)
        await record(service, "/events", event(-turn - 1, 1000 - turn))
        after = {"after": last}
    assert read_numbers == [*range(24, -1, -1), *range(-1, -8, -1)]


async def test_events_at_one_instant(service: Service) -> None:
    """Events of one millisecond have a fixed order, within a batch and between batches."""
    await delete_all(service)
    for batch in range(3):
        await record(service, "/events", *(event(10 * batch + n, 7000) for n in range(5)))
    assert (await get(service, "/events"))["total"] == 15
    read_numbers: list[int] = []
    after: dict[str, object] = {}
    while len(read_numbers) < 15:
        connection = await page(service, first=2, **after)
        read_numbers += numbers(connection)
        assert connection["pageInfo"]["hasNextPage"] is (len(read_numbers) < 15)
        after = {"after": connection["pageInfo"]["endCursor"]}
    assert read_numbers == [24, 23, 22, 21, 20, 14, 13, 12, 11, 10, 4, 3, 2, 1, 0]
    connection = await page(service, **after)
    assert (connection["nodes"], connection["totalCount"]) == ([], 15)


async def test_every_cursor_is_a_position(service: Service) -> None:
    """After the cursor of an event comes the next event, even if the first one is deleted."""
    await delete_all(service)
    await record(service, "/events", *(event(n, n, user_id=f"u{n}") for n in range(6)))
    cursors = [edge["cursor"] for edge in (await page(service, first=6))["edges"]]
    for index, cursor in enumerate(cursors):
        connection = await page(service, first=1, after=cursor)
        assert numbers(connection) == [4 - index][: 5 - index]
    deletion = 'mutation {deleteEvents(input: {where: {userId: {eq: "u3"}}}) {matchedRows}}'
    assert await ask(service, deletion) == {"deleteEvents": {"matchedRows": 1}}
    assert numbers(await page(service, after=cursors[2])) == [2, 1, 0]
    assert numbers(await page(service, after=cursors[1])) == [2, 1, 0]


async def test_page_and_count_have_the_filter(service: Service) -> None:
    """`totalCount` counts the events that pass filter and range, on every page."""
    await delete_all(service)
    rows = [event(n, n * 1000, user_id="a" if n % 2 else "b") for n in range(20)]
    await record(service, "/events", *rows)
    where = {"userId": {"eq": "a"}, "time": {"lt": rfc3339(Instant(16_000))}}
    connection = await page(service, where=where, first=3)
    assert (numbers(connection), connection["totalCount"]) == ([15, 13, 11], 8)
    connection = await page(
        service, where=where, first=3, after=connection["pageInfo"]["endCursor"]
    )
    assert (numbers(connection), connection["totalCount"]) == ([9, 7, 5], 8)
    time_range = {"between": {"from": rfc3339(Instant(3000)), "to": rfc3339(Instant(8000))}}
    connection = await page(service, where=where, range=time_range)
    assert (numbers(connection), connection["totalCount"]) == ([7, 5, 3], 3)


async def seed(service: Service) -> None:
    """Record the events of the filter tests, unless they are stored."""
    if (await ask(service, '{events(where: {name: {eq: "a b"}}) {totalCount}}'))["events"][
        "totalCount"
    ]:
        return
    await delete_all(service)
    names = ["a", "b", "A", "a b", "100%", "it's"]
    users = ["u1", "u2", None]
    rows = [
        event(n, n * 1000, event_name=names[n % 6], user_id=users[n // 6 % 3]) for n in range(18)
    ]
    await record(service, "/events", *rows)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, range(18)),
        ({"name": None, "userId": None, "time": None}, range(18)),
        ({"name": {}}, range(18)),
        ({"name": {"eq": None, "in": None}}, range(18)),
        ({"name": {"eq": "a"}}, (0, 6, 12)),
        ({"name": {"eq": "A"}}, (2, 8, 14)),
        ({"name": {"eq": "a%"}}, ()),
        ({"name": {"eq": "100%"}}, (4, 10, 16)),
        ({"name": {"eq": "it's"}}, (5, 11, 17)),
        ({"name": {"eq": "' OR 1 = 1 --"}}, ()),
        ({"name": {"in": ["b", "a b", "nobody", "b"]}}, (1, 3, 7, 9, 13, 15)),
        ({"name": {"in": ["x', 'a"]}}, ()),
        ({"name": {"in": []}}, ()),
        ({"name": {"in": ["a"] * 1000}}, (0, 6, 12)),
        ({"name": {"eq": "a", "in": ["a", "b"]}}, (0, 6, 12)),
        ({"name": {"eq": "a", "in": ["b"]}}, ()),
        ({"userId": {"eq": "u2"}}, range(6, 12)),
        ({"userId": {"in": ["u1", "u2"]}}, range(12)),
        ({"userId": {"eq": "nobody"}}, ()),
        ({"userId": {"eq": "u1"}, "name": {"eq": "b"}}, (1,)),
        ({"time": {"gt": 16_000}}, (17,)),
        ({"time": {"gte": 16_000}}, (16, 17)),
        ({"time": {"lt": 1000}}, (0,)),
        ({"time": {"lte": 1000}}, (0, 1)),
        ({"time": {"gt": 3000, "lt": 6000}}, (4, 5)),
        ({"time": {"gte": 3000, "lte": 6000}}, (3, 4, 5, 6)),
        ({"time": {"gte": 3000, "lte": 3000}}, (3,)),
        ({"time": {"gt": 3000, "lt": 3000}}, ()),
        ({"time": {"gt": 2999, "lt": 3001}, "name": {"eq": "a b"}}, (3,)),
        ({"time": {"gt": -62_135_596_800_000, "lt": 253_402_300_799_999}}, range(18)),
    ],
)
async def test_filters(service: Service, where: Any, expected: Any) -> None:
    """An event passes if every test holds for its exact text; null is no test."""
    await seed(service)
    if where.get("time"):
        where = where | {"time": {op: rfc3339(moment) for op, moment in where["time"].items()}}
    connection = (await ask(service, COUNT, where=where))["events"]
    assert sorted(numbers(connection)) == list(expected)
    assert connection["totalCount"] == len(expected)


async def test_ranges_of_events(service: Service) -> None:
    """A range of events is half-open, like a metric's."""
    await seed(service)
    time_range = {"from": rfc3339(Instant(3000)), "to": rfc3339(Instant(6000))}
    connection = (await ask(service, COUNT, range={"between": time_range}))["events"]
    assert (numbers(connection), connection["totalCount"]) == ([5, 4, 3], 3)
    connection = (await ask(service, COUNT, range={"last": "1h"}))["events"]
    assert (numbers(connection), connection["totalCount"]) == ([], 0)


async def test_pages_of_metrics(service: Service) -> None:
    """Metrics are sorted by name; a cursor is a position among names, so new ones move nothing."""
    await delete_all(service)
    names = ["a", "a/b", "b", "É", "é", "z", "日本", "💥"]
    await record(service, "/metrics", *({"metric_name": name, "value": 1} for name in names))
    read_names: list[str] = []
    after = None
    while True:
        connection = (await ask(service, METRICS_PAGE, first=3, after=after))["metrics"]
        assert connection["pageInfo"]["hasPreviousPage"] is (after is not None)
        assert [edge["node"] for edge in connection["edges"]] == connection["nodes"]
        read_names += [node["name"] for node in connection["nodes"]]
        after = connection["pageInfo"]["endCursor"]
        if not connection["pageInfo"]["hasNextPage"]:
            break
        if len(read_names) == 3:
            await record(service, "/metrics", *({"metric_name": n, "value": 1} for n in ("A", "c")))
    assert read_names == sorted([*names, "c"])
    assert connection["totalCount"] == 10
    after = pages.cursor("m", ("\U0010ffff",))
    connection = (await ask(service, METRICS_PAGE, after=after))["metrics"]
    assert (connection["nodes"], connection["pageInfo"]["endCursor"], connection["totalCount"]) == (
        [],
        None,
        10,
    )


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (None, ["100%", "API", "api/v1/users", "api_calls", "a.i"]),
        ("", ["100%", "API", "api/v1/users", "api_calls", "a.i"]),
        ("api", ["API", "api/v1/users", "api_calls"]),
        ("API", ["API", "api/v1/users", "api_calls"]),
        ("/", ["api/v1/users"]),
        ("_", ["api_calls"]),
        ("%", ["100%"]),
        ("a.i", ["a.i"]),
        ("users", ["api/v1/users"]),
        ("nobody", []),
    ],
)
async def test_search(service: Service, search: str | None, expected: list[str]) -> None:
    """`search` finds the names that contain a text in any case; it is no pattern."""
    if "a.i" not in (await get(service, "/metrics"))["metrics"]:
        await delete_all(service)
        names = ["100%", "API", "api/v1/users", "api_calls", "a.i"]
        await record(service, "/metrics", *({"metric_name": name, "value": 1} for name in names))
    connection = (await ask(service, METRICS_PAGE, search=search))["metrics"]
    assert [node["name"] for node in connection["nodes"]] == sorted(expected)
    assert connection["totalCount"] == len(expected)
    if expected:
        connection = (await ask(service, METRICS_PAGE, search=search, first=1))["metrics"]
        assert connection["pageInfo"]["hasNextPage"] is (len(expected) > 1)
        assert connection["totalCount"] == len(expected)


async def test_default_and_largest_page(service: Service) -> None:
    """Both lists have pages of 100 by default, and of at most 1000."""
    await delete_all(service)
    rows = [{"metric_name": f"m{n:04}", "value": 1} for n in range(1005)]
    await record(service, "/metrics", *rows)
    await record(service, "/events", *({"event_name": "e"} for _ in range(1005)))
    for query in ("events", "metrics"):
        for arguments, length in (("", 100), ("(first: 1)", 1), ("(first: 1000)", 1000)):
            data = await ask(service, f"{{{query}{arguments} {{nodes {{__typename}} totalCount}}}}")
            assert (len(data[query]["nodes"]), data[query]["totalCount"]) == (length, 1005)
        for first in (0, -1, 1001, 2**31 - 1):
            text = f"{{{query}(first: {first}) {{totalCount}}}}"
            answer = await service.post("/graphql", {"query": text})
            assert error_summary(answer) == (422, "BAD_USER_INPUT", "first", 1000)
