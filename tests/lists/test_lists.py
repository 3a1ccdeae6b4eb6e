"""Lists in both directions: any page is a slice of the whole list, whatever arrives meanwhile."""

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
GIVEN = "first: $first, after: $after, last: $last, before: $before"
SPAN = '{between: {from: "1970-01-01T00:00:00Z", to: "1975-01-01T00:00:00Z"}}'
LISTS = {
    "events": (f"events({GIVEN})", "properties"),
    "samples": (f'metric(name: "m") {{samples(range: {SPAN}, {GIVEN})', "value"),
    "metrics": (f'metrics(search: "", {GIVEN})', "name"),
}


def identity(of: str, node: Any) -> Any:
    """Return what an entry is known by: a number that it was given, or its name."""
    shown = node[LISTS[of][1]]
    return shown["n"] if of == "events" else shown


async def page(service: Service, of: str, **given: object) -> tuple[list[Any], Any]:
    """Ask for a page; return what identifies its entries, and the connection."""
    field, shown = LISTS[of]
    query = f"query({ARGUMENTS}) {{{field} {{{FIELDS % (shown, shown)}}}}}"
    data = await ask(service, query + "}" * (of == "samples"), **given)
    found = data["metric"]["samples"] if of == "samples" else data[of]
    assert [edge["node"] for edge in found["edges"]] == found["nodes"]
    cursors = [edge["cursor"] for edge in found["edges"]]
    assert found["pageInfo"]["startCursor"] == (cursors[0] if cursors else None)
    assert found["pageInfo"]["endCursor"] == (cursors[-1] if cursors else None)
    return [identity(of, node) for node in found["nodes"]], found


def event(number: int) -> dict[str, object]:
    """Return an event of a user of its own, with a number that is also its time."""
    return {
        "event_name": "e",
        "user_id": f"u{number}",
        "timestamp": number,
        "properties": {"n": number},
    }


class Model:
    """What is stored of one list, in plain Python: (sort key, identity) of each entry."""

    def __init__(self, service: Service, of: str) -> None:
        self.service = service
        self.of = of
        self.entries: list[tuple[Any, Any]] = []

    async def add(self, times: list[int]) -> None:
        """Record one batch; its rows have these times, or names made of them."""
        at = len(self.entries)
        numbered = list(enumerate(times, at))
        if self.of == "events":
            rows = [
                {"event_name": f"e{n % 3}", "timestamp": t, "properties": {"n": n}}
                for n, t in numbered
            ]
            await record(self.service, "/events", *rows)
        elif self.of == "samples":
            rows = [{"metric_name": "m", "timestamp": t, "value": n} for n, t in numbered]
            await record(self.service, "/metrics", *rows)
        else:
            rows = [{"metric_name": f"n{t}", "value": n} for n, t in numbered]
            await record(self.service, "/metrics", *rows)
            named = {(row["metric_name"], row["metric_name"]) for row in rows}
            self.entries = sorted({*self.entries, *named})
            return
        self.entries += [((t, n), n) for n, t in numbered]
        self.entries.sort(reverse=True)

    def place(self, identity: object) -> int:
        """Return where an entry stands now."""
        return [entry for _, entry in self.entries].index(identity)


BATCH = st.lists(st.integers(1000, 1004), min_size=1, max_size=4)


@pytest.mark.parametrize("of", ["events", "samples", "metrics"])
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
    of: str,
    batches: list[list[int]],
    arriving: list[list[int]],
    size: int,
    backward: bool,
) -> None:
    """A walk sees what was there when it began once and in order, and never an entry twice.

    Each page is what stands beside the last cursor at that moment: ties, old times, new times.
    """
    await delete_all(service)
    model = Model(service, of)
    for batch in batches:
        await model.add(batch)
    began = [entry for _, entry in model.entries]
    seen: list[Any] = []
    given: dict[str, object] = {}
    number, bound = ("last", "before") if backward else ("first", "after")
    for turn in range(100):
        everything = [entry for _, entry in model.entries]
        if turn == 0:
            rest = everything
        elif backward:
            rest = everything[: model.place(seen[0])]
        else:
            rest = everything[model.place(seen[-1]) + 1 :]
        got, found = await page(service, of, **{number: size}, **given)
        assert got == (rest[-size:] if backward else rest[:size])
        info = found["pageInfo"]
        assert info["hasNextPage"] is (turn > 0 if backward else len(rest) > size)
        assert info["hasPreviousPage"] is (len(rest) > size if backward else turn > 0)
        assert found["totalCount"] == len(everything)
        seen = got + seen if backward else seen + got
        if len(rest) <= size:
            break
        given = {bound: info["startCursor" if backward else "endCursor"]}
        if turn < len(arriving):
            await model.add(arriving[turn])
    assert len(seen) == len(set(seen))
    assert [entry for entry in seen if entry in set(began)] == began


@pytest.mark.parametrize("of", ["events", "samples", "metrics"])
async def test_between_two_cursors(service: Service, of: str) -> None:
    """Both cursors bound a list, and a page of either end is cut out of what is between."""
    await delete_all(service)
    model = Model(service, of)
    await model.add(short_or_long([5, 3, 9, 3, 1, 3], [5, 3, 9, 3, 7, 1, 3, 8]))
    everything = [entry for _, entry in model.entries]
    _, found = await page(service, of)
    cursors = [edge["cursor"] for edge in found["edges"]]
    for low in range(len(cursors)):
        for high in range(len(cursors)):
            inside = everything[low + 1 : high]
            bounds = {"after": cursors[low], "before": cursors[high]}
            got, found = await page(service, of, first=2, **bounds)
            assert got == inside[:2]
            info = found["pageInfo"]
            assert (info["hasPreviousPage"], info["hasNextPage"]) == (True, True)
            got, _ = await page(service, of, last=2, **bounds)
            assert got == inside[-2:]


async def test_flags_after_deletion(service: Service) -> None:
    """Deleting what is under a cursor breaks nothing; the flags say what is there now."""
    await delete_all(service)
    await record(service, "/events", *(event(n) for n in range(5)))
    _, found = await page(service, "events")
    cursors = [edge["cursor"] for edge in found["edges"]]
    gone = '"u4", "u3", "u0"'
    where = f"{{userId: {{in: [{gone}]}}}}"
    await ask(service, f"mutation {{deleteEvents(input: {{where: {where}}}) {{matchedRows}}}}")
    got, found = await page(service, "events", first=5, after=cursors[1])
    assert (got, found["pageInfo"]["hasPreviousPage"]) == ([2, 1], False)
    got, found = await page(service, "events", last=1, before=cursors[4])
    assert (got, found["pageInfo"]["hasNextPage"]) == ([1], False)
    assert found["pageInfo"]["hasPreviousPage"] is True
    got, found = await page(service, "events", first=5, after=cursors[2])
    assert (got, found["pageInfo"]["hasPreviousPage"]) == ([1], True)


def encoded(text: str) -> str:
    """Return a forged cursor."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


FORGED = [
    *("", " ", "x", "=", "é", "\U0010ffff", "%", "A" * 10_000, "name"),
    *(
        encoded(text)
        for text in ('["e"]', '["e",1,2]', '["e",1,2,3,4]', '["e","1",2,3]', "{}", "[]")
    ),
    *(encoded(text) for text in ('["e", 1,2,3]', '["e",1,2,4294967296]', '["e",1,-1,0]', "null")),
    *(encoded(text) for text in (f'["e",{2**63},1,1]', f'["e",1,{2**63},1]', '["e",1.0,1,1]')),
    cursor("e", (1, 2, 3)) + "=",
    cursor("x", ("a",)),
]


@pytest.mark.parametrize("of", ["events", "samples", "metrics"])
@pytest.mark.parametrize("side", ["after", "before"])
async def test_cursors_of_another_list(service: Service, of: str, side: str) -> None:
    """Garbage, and a cursor of another list, are refused by the name of their argument."""
    await service.post("/metrics", {"metric_name": "m", "value": 1})
    own = {"events": "e", "samples": "s", "metrics": "m"}[of]
    keys = {"e": (1, 2, 3), "s": (1, 2, 3), "m": ("a",)}
    others = [cursor(letter, key) for letter, key in keys.items() if letter != own]
    field, shown = LISTS[of]
    query = f"query({ARGUMENTS}) {{{field} {{nodes {{{shown}}}}}}}" + "}" * (of == "samples")
    for text in [*FORGED, *others]:
        content = await service.graphql(query, **{side: text})
        assert content["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "field": side}, text
    content = await service.graphql(query, **{side: cursor(own, keys[own])})
    assert "errors" not in content


@pytest.mark.parametrize(
    ("asked", "field", "limit"),
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
async def test_numbers_that_make_no_page(
    service: Service, asked: str, field: str, limit: int | None
) -> None:
    """One number, from 1 to 1000; nothing else."""
    for of in ("metrics", "events"):
        answer = await service.post("/graphql", {"query": f"{{{of}({asked}) {{totalCount}}}}"})
        assert error_summary(answer) == (422, "BAD_USER_INPUT", field, limit)


async def test_default_page(service: Service) -> None:
    """100 from the beginning when neither number is given, or both are null."""
    await delete_all(service)
    await record(service, "/events", *({"event_name": "e", "timestamp": n} for n in range(120)))
    for asked in ("", "(first: null, last: null)", '(search: "")'):
        of = "metrics" if "search" in asked else "events"
        data = await ask(service, f"{{{of}{asked} {{nodes {{id}} pageInfo {{hasNextPage}}}}}}")
        assert len(data[of]["nodes"]) == (100 if of == "events" else 0)
        assert data[of]["pageInfo"]["hasNextPage"] is (of == "events")


async def test_what_is_not_selected_is_not_asked(service: Service) -> None:
    """A page is one statement; its flags and its total are asked for only when selected."""
    await delete_all(service)
    await record(service, "/events", *(event(n) for n in range(5)))
    _, found = await page(service, "events", first=2)
    after = found["pageInfo"]["endCursor"]
    for selected, count in (
        ("nodes {id}", 1),
        ("edges {cursor} pageInfo {startCursor endCursor hasNextPage}", 1),
        ("pageInfo {hasPreviousPage}", 2),
        ("totalCount", 2),
    ):
        with collect_statements() as asked:
            await ask(service, f'{{events(first: 2, after: "{after}") {{{selected}}}}}')
        assert len(asked) == count, selected


async def test_samples_of_nobody(service: Service) -> None:
    """Points of a metric that is not there are NOT_FOUND; a range without points is empty."""
    await delete_all(service)
    await record(service, "/metrics", {"metric_name": "m", "value": 1, "timestamp": 0})
    query = '{metric(name: "%s") {samples(range: {last: "1h"}) {nodes {value} totalCount}}}'
    assert error_summary(await service.post("/graphql", {"query": query % "x"}))[:2] == (
        404,
        "NOT_FOUND",
    )
    data = await ask(service, query % "m")
    assert data["metric"]["samples"] == {"nodes": [], "totalCount": 0}
