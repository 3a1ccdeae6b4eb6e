"""Lists in both directions: any page is a slice of the list, also while rows arrive."""

import base64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resolvers.pages import cursor
from tests.harness.apis import ask, delete_all, error_summary, record
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service
from tests.harness.statements import collect_statements

FIELDS = """
edges {cursor node {%s}} nodes {%s}
pageInfo {hasNextPage hasPreviousPage startCursor endCursor} totalCount"""
ARGUMENTS = "$first: Int, $after: String, $last: Int, $before: String"
ARGUMENT_VALUES = "first: $first, after: $after, last: $last, before: $before"
SPAN = '{between: {from: "1970-01-01T00:00:00Z", to: "1975-01-01T00:00:00Z"}}'
LISTS = {
    "events": (f"events({ARGUMENT_VALUES})", "properties"),
    "samples": (f'metric(name: "m") {{samples(range: {SPAN}, {ARGUMENT_VALUES})', "value"),
    "metrics": (f'metrics(search: "", {ARGUMENT_VALUES})', "name"),
}


def identity(list_name: str, node: Any) -> Any:
    """Return the identity of an entry: the number in its properties or value, or its name."""
    value = node[LISTS[list_name][1]]
    return value["n"] if list_name == "events" else value


async def page(service: Service, list_name: str, **arguments: object) -> tuple[list[Any], Any]:
    """Return the identities of the entries on a page, and its connection."""
    field, selection = LISTS[list_name]
    query = f"query({ARGUMENTS}) {{{field} {{{FIELDS % (selection, selection)}}}}}"
    data = await ask(service, query + "}" * (list_name == "samples"), **arguments)
    connection = data["metric"]["samples"] if list_name == "samples" else data[list_name]
    assert [edge["node"] for edge in connection["edges"]] == connection["nodes"]
    cursors = [edge["cursor"] for edge in connection["edges"]]
    assert connection["pageInfo"]["startCursor"] == (cursors[0] if cursors else None)
    assert connection["pageInfo"]["endCursor"] == (cursors[-1] if cursors else None)
    return [identity(list_name, node) for node in connection["nodes"]], connection


def event(number: int) -> dict[str, object]:
    """Return an event with a number, which is also its time and in its user's id."""
    return {
        "event_name": "e",
        "user_id": f"u{number}",
        "timestamp": number,
        "properties": {"n": number},
    }


class Model:
    """The stored entries of one list in plain Python, as (sort key, identity)."""

    def __init__(self, service: Service, list_name: str) -> None:
        self.service = service
        self.list_name = list_name
        self.entries: list[tuple[Any, Any]] = []

    async def add(self, times: list[int]) -> None:
        """Record a batch whose rows have these times, or names with them."""
        first_number = len(self.entries)
        numbered_times = list(enumerate(times, first_number))
        if self.list_name == "events":
            rows = [
                {"event_name": f"e{n % 3}", "timestamp": t, "properties": {"n": n}}
                for n, t in numbered_times
            ]
            await record(self.service, "/events", *rows)
        elif self.list_name == "samples":
            rows = [{"metric_name": "m", "timestamp": t, "value": n} for n, t in numbered_times]
            await record(self.service, "/metrics", *rows)
        else:
            rows = [{"metric_name": f"n{t}", "value": n} for n, t in numbered_times]
            await record(self.service, "/metrics", *rows)
            names = {(row["metric_name"], row["metric_name"]) for row in rows}
            self.entries = sorted({*self.entries, *names})
            return
        self.entries += [((t, n), n) for n, t in numbered_times]
        self.entries.sort(reverse=True)

    def index_of(self, identity: object) -> int:
        """Return the current index of an entry."""
        return [entry for _, entry in self.entries].index(identity)


BATCH = st.lists(st.integers(1000, 1004), min_size=1, max_size=4)


@pytest.mark.parametrize("list_name", ["events", "samples", "metrics"])
@settings(
    max_examples=short_or_long(4, 12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    batches=st.lists(BATCH, min_size=1, max_size=4),
    arriving=st.lists(BATCH, min_size=6, max_size=6),
    size=st.integers(1, 4),
    backward=st.booleans(),
)
async def test_walking(
    service: Service,
    *,
    list_name: str,
    batches: list[list[int]],
    arriving: list[list[int]],
    size: int,
    backward: bool,
) -> None:
    """A walk has every entry of its beginning in order, and no entry twice.

    Each page is the slice next to the last cursor at this moment: ties, old times, new times.
    """
    await delete_all(service)
    model = Model(service, list_name)
    for batch in batches:
        await model.add(batch)
    initial_entries = [entry for _, entry in model.entries]
    walk: list[Any] = []
    cursor_argument: dict[str, object] = {}
    size_name, cursor_name = ("last", "before") if backward else ("first", "after")
    for turn in range(100):
        entries = [entry for _, entry in model.entries]
        if turn == 0:
            rest = entries
        elif backward:
            rest = entries[: model.index_of(walk[0])]
        else:
            rest = entries[model.index_of(walk[-1]) + 1 :]
        page_entries, connection = await page(
            service, list_name, **{size_name: size}, **cursor_argument
        )
        assert page_entries == (rest[-size:] if backward else rest[:size])
        info = connection["pageInfo"]
        assert info["hasNextPage"] is (turn > 0 if backward else len(rest) > size)
        assert info["hasPreviousPage"] is (len(rest) > size if backward else turn > 0)
        assert connection["totalCount"] == len(entries)
        walk = page_entries + walk if backward else walk + page_entries
        if len(rest) <= size:
            break
        cursor_argument = {cursor_name: info["startCursor" if backward else "endCursor"]}
        if turn < len(arriving):
            await model.add(arriving[turn])
    assert len(walk) == len(set(walk))
    assert [entry for entry in walk if entry in set(initial_entries)] == initial_entries


@pytest.mark.parametrize("list_name", ["events", "samples", "metrics"])
async def test_between_two_cursors(service: Service, list_name: str) -> None:
    """Two cursors bound a list; a page is the first or last part between them."""
    await delete_all(service)
    model = Model(service, list_name)
    await model.add(short_or_long([5, 3, 9, 3, 1, 3], [5, 3, 9, 3, 7, 1, 3, 8]))
    entries = [entry for _, entry in model.entries]
    _, connection = await page(service, list_name)
    cursors = [edge["cursor"] for edge in connection["edges"]]
    for low in range(len(cursors)):
        for high in range(len(cursors)):
            inside = entries[low + 1 : high]
            bounds = {"after": cursors[low], "before": cursors[high]}
            page_entries, connection = await page(service, list_name, first=2, **bounds)
            assert page_entries == inside[:2]
            info = connection["pageInfo"]
            assert (info["hasPreviousPage"], info["hasNextPage"]) == (True, True)
            page_entries, _ = await page(service, list_name, last=2, **bounds)
            assert page_entries == inside[-2:]


async def test_flags_after_deletion(service: Service) -> None:
    """A cursor of a deleted event works; the flags follow the remaining events."""
    await delete_all(service)
    await record(service, "/events", *(event(n) for n in range(5)))
    _, connection = await page(service, "events")
    cursors = [edge["cursor"] for edge in connection["edges"]]
    deleted_users = '"u4", "u3", "u0"'
    where = f"{{userId: {{in: [{deleted_users}]}}}}"
    await ask(service, f"mutation {{deleteEvents(input: {{where: {where}}}) {{matchedRows}}}}")
    numbers, connection = await page(service, "events", first=5, after=cursors[1])
    assert (numbers, connection["pageInfo"]["hasPreviousPage"]) == ([2, 1], False)
    numbers, connection = await page(service, "events", last=1, before=cursors[4])
    assert (numbers, connection["pageInfo"]["hasNextPage"]) == ([1], False)
    assert connection["pageInfo"]["hasPreviousPage"] is True
    numbers, connection = await page(service, "events", first=5, after=cursors[2])
    assert (numbers, connection["pageInfo"]["hasPreviousPage"]) == ([1], True)


def forge_cursor(text: str) -> str:
    """Return a forged cursor."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


FORGED_CURSORS = [
    *("", " ", "x", "=", "é", "\U0010ffff", "%", "A" * 10_000, "name"),
    *(
        forge_cursor(text)
        for text in ('["e"]', '["e",1,2]', '["e",1,2,3,4]', '["e","1",2,3]', "{}", "[]")
    ),
    *(
        forge_cursor(text)
        for text in ('["e", 1,2,3]', '["e",1,2,4294967296]', '["e",1,-1,0]', "null")
    ),
    *(forge_cursor(text) for text in (f'["e",{2**63},1,1]', f'["e",1,{2**63},1]', '["e",1.0,1,1]')),
    cursor("e", (1, 2, 3)) + "=",
    cursor("x", ("a",)),
]


@pytest.mark.parametrize("list_name", ["events", "samples", "metrics"])
@pytest.mark.parametrize("side", ["after", "before"])
async def test_cursors_of_another_list(service: Service, list_name: str, side: str) -> None:
    """Garbage and a cursor of another list are refused with the name of the argument."""
    await service.post("/metrics", {"metric_name": "m", "value": 1})
    own_letter = {"events": "e", "samples": "s", "metrics": "m"}[list_name]
    keys = {"e": (1, 2, 3), "s": (1, 2, 3), "m": ("a",)}
    foreign_cursors = [cursor(letter, key) for letter, key in keys.items() if letter != own_letter]
    field, selection = LISTS[list_name]
    query = f"query({ARGUMENTS}) {{{field} {{nodes {{{selection}}}}}}}" + "}" * (
        list_name == "samples"
    )
    for text in [*FORGED_CURSORS, *foreign_cursors]:
        content = await service.graphql(query, **{side: text})
        assert content["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "field": side}, text
    content = await service.graphql(query, **{side: cursor(own_letter, keys[own_letter])})
    assert "errors" not in content


@pytest.mark.parametrize(
    ("arguments", "field", "limit"),
    [
        ("first: 1, last: 1", "last", None),
        ("first: 0, last: 0", "last", None),
        ("last: 0", "last", 1000),
        ("last: -1", "last", 1000),
        ("last: 1001", "last", 1000),
        ("first: 1001", "first", 1000),
        ("first: null, last: 0", "last", 1000),
    ],
)
async def test_invalid_page_sizes(
    service: Service, arguments: str, field: str, limit: int | None
) -> None:
    """A page has one size, from 1 to 1000; all others are refused."""
    for list_name in ("metrics", "events"):
        answer = await service.post(
            "/graphql", {"query": f"{{{list_name}({arguments}) {{totalCount}}}}"}
        )
        assert error_summary(answer) == (422, "BAD_USER_INPUT", field, limit)


async def test_default_page(service: Service) -> None:
    """Without a size, or with null sizes, a page has the first 100 entries."""
    await delete_all(service)
    await record(service, "/events", *({"event_name": "e", "timestamp": n} for n in range(120)))
    for arguments in ("", "(first: null, last: null)", '(search: "")'):
        list_name = "metrics" if "search" in arguments else "events"
        data = await ask(
            service, f"{{{list_name}{arguments} {{nodes {{id}} pageInfo {{hasNextPage}}}}}}"
        )
        assert len(data[list_name]["nodes"]) == (100 if list_name == "events" else 0)
        assert data[list_name]["pageInfo"]["hasNextPage"] is (list_name == "events")


async def test_statements_of_a_page(service: Service) -> None:
    """A page is one statement; the flag of its beginning and the total cost one more each."""
    await delete_all(service)
    await record(service, "/events", *(event(n) for n in range(5)))
    _, connection = await page(service, "events", first=2)
    after = connection["pageInfo"]["endCursor"]
    for selection, count in (
        ("nodes {id}", 1),
        ("edges {cursor} pageInfo {startCursor endCursor hasNextPage}", 1),
        ("pageInfo {hasPreviousPage}", 2),
        ("totalCount", 2),
    ):
        with collect_statements() as statements:
            await ask(service, f'{{events(first: 2, after: "{after}") {{{selection}}}}}')
        assert len(statements) == count, selection


async def test_samples_of_an_unknown_metric(service: Service) -> None:
    """Samples of an unknown metric are NOT_FOUND; a range without points is empty."""
    await delete_all(service)
    await record(service, "/metrics", {"metric_name": "m", "value": 1, "timestamp": 0})
    query = '{metric(name: "%s") {samples(range: {last: "1h"}) {nodes {value} totalCount}}}'
    assert error_summary(await service.post("/graphql", {"query": query % "x"}))[:2] == (
        404,
        "NOT_FOUND",
    )
    data = await ask(service, query % "m")
    assert data["metric"]["samples"] == {"nodes": [], "totalCount": 0}
