"""The limits of the documentation: a request at a limit is answered, one beyond is refused."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import pytest_asyncio

from schema.scalars import Instant, rfc3339
from tests.harness.apis import error_summary, record
from tests.harness.service import Service

SECTION: Final = Path("docs/graphql.md").read_text().split("\n## Limits\n")[1].split("\n## ")[0]
DOCUMENTED_LIMITS: Final = {
    text: int(re.sub(r"\D", "", number.split("(")[0]))
    for text, number in re.findall(r"^\| ([^|]+\S) \| ([^|]*\d[^|]*) \|$", SECTION, re.MULTILINE)
}
EQ: Final = {"name": {"eq": "e"}}
STATUS_OF_CODE: Final = {"GRAPHQL_PARSE_FAILED": 400}


class Request(NamedTuple):
    """A document and its variables."""

    query: str
    variables: dict[str, Any] | None = None


def trend(arguments: str, selection: str = "series {total {count}}") -> Request:
    """Query the trend of events."""
    return Request(f"{{eventTrend({arguments}) {{{selection}}}}}")


def metric_query(arguments: str, selection: str = "series {total {count}}") -> Request:
    """Query the series of a metric."""
    return Request(f'{{metric(name: "m") {{query({arguments}) {{{selection}}}}}}}')


def event_list(where: dict[str, Any]) -> Request:
    """List events that pass a filter."""
    query = "query($where: EventFilter) {events(where: $where) {totalCount nodes {name}}}"
    return Request(query, {"where": where})


def sample_list(where: dict[str, Any]) -> Request:
    """List points that pass a filter."""
    query = """query($where: MetricFilter) {metric(name: "m") {
      samples(range: {last: "1d"}, where: $where) {nodes {value}}}}"""
    return Request(query, {"where": where})


def seconds(length: int) -> str:
    """Return a range of a length in seconds."""
    return f'range: {{between: {{from: "2026-01-01T00:00:00Z", to: "{instant_text(length)}"}}}}'


def instant_text(second: int) -> str:
    """Return the instant at a second of the year 2026."""
    return rfc3339(Instant(1_767_225_600_000 + 1000 * second))


def has_text(text: str) -> dict[str, Any]:
    """Return a filter of a property."""
    return {"property": {"key": "p", "string": {"eq": text}}}


def nest(kind: str, levels: int) -> dict[str, Any]:
    """Return a filter with its only test inside levels of one kind."""
    wrappers: dict[str, Callable[[Any], Any]] = {
        "AND": lambda inner: {"AND": [inner]},
        "OR": lambda inner: {"OR": [inner, EQ]},
        "NOT": lambda inner: {"NOT": inner},
    }
    where: dict[str, Any] = EQ
    for _ in range(levels):
        where = wrappers[kind](where)
    return where


def nest_mixed(levels: int) -> dict[str, Any]:
    """Return a filter with levels of two kinds, every third of them `performed`."""
    where: dict[str, Any] = EQ
    for level in range(levels):
        kinds = ({"performed": {"event": "e", "where": where}}, {"AND": [EQ, where]})
        where = kinds[level % 3 != 0]
    return where


def formula(count: int, text: str | None = None) -> Request:
    """Calculate a formula of several inputs; without a text, their sum."""
    metric_inputs = [{"as": f"a{n}", "metric": "m", "aggregate": "SUM"} for n in range(count)]
    query = """query($formula: String!, $inputs: [NamedMetricInput!]!) {
      metricFormula(formula: $formula, inputs: $inputs, range: {last: "1d"}) {
        series {total values}}}"""
    sum_of_all = " + ".join(f"a{n}" for n in range(count))
    return Request(query, {"formula": text or sum_of_all, "inputs": metric_inputs})


def tokens(count: int) -> Request:
    """Return a query with an exact number of tokens."""
    aliases = " ".join(f"h{n}: status" for n in range(1_000))
    rest = "#\n" * (count - 3_005)  # { health { } }
    return Request(f"{{health {{{aliases}}}}} {rest}")


def page(field: str, argument: str) -> Callable[[int], Request]:
    """Return a function that makes the request for a page of a size."""
    return lambda n: Request(f"{{{field}({argument}: {n}) {{nodes {{__typename}}}}}}")


def metric_field(selection: str) -> Request:
    """Query another field of a metric."""
    return Request(f'{{metric(name: "m") {{{selection}}}}}')


LIMITS: Final[dict[str, list[Callable[[int], Request]]]] = {
    "hours in a range, except `ALL_TIME`": [
        lambda n: trend(f'range: {{last: "{n}h"}}'),
        lambda n: trend(f'range: {{last: "PT{n}H"}}'),
        lambda n: metric_query(f'range: {{last: "{n}h"}}'),
    ],
    "years in a range by the calendar (`dates`, months in `last`)": [
        lambda n: trend(f'range: {{last: "P{n}Y"}}'),
        lambda n: metric_query(f'range: {{last: "P{n}Y"}}'),
        lambda n: trend(f'range: {{dates: {{from: "{2026 - n}-07-01", to: "2026-06-30"}}}}'),
    ],
    "buckets in a range, and `maxPoints`": [
        lambda n: trend(f"{seconds(n)} granularity: SECOND", "times"),
        lambda n: metric_query(f"{seconds(n)} granularity: SECOND", "times"),
        lambda n: trend(f'range: {{last: "1d"}} maxPoints: {n}', "times"),
    ],
    "series in a response (`limit`)": [
        lambda n: trend(f'range: {{last: "1d"}} groupBy: [{{field: NAME}}] limit: {n}'),
        lambda n: metric_query(f'range: {{last: "1d"}} groupBy: ["t"] limit: {n}'),
    ],
    "series times buckets": [
        lambda n: trend(
            f"{seconds(n // 100)} granularity: SECOND groupBy: [{{field: NAME}}]"
            f" limit: {100 + n % 100}",
            "times",
        ),
    ],
    "keys in `groupBy`": [
        lambda n: trend(f'range: {{last: "1d"}} groupBy: [{"{field: NAME} " * n}]'),
        lambda n: metric_query(f'range: {{last: "1d"}} groupBy: {["t"] * n}'.replace("'", '"')),
    ],
    "`bounds` of `bucketNumber`": [
        lambda n: trend(
            f'range: {{last: "1d"}} groupBy: [{{bucketNumber: {{property: "p", bounds:'
            f" {list(range(n))}}}}}]"
        ),
    ],
    "entries on a page (`first`, `last`)": [
        page("events", "first"),
        page("events", "last"),
        page("metrics", "first"),
        page("metrics", "last"),
        lambda n: Request(f"{{eventTypes(first: {n}) {{name}}}}"),
        lambda n: metric_field(f'samples(range: {{last: "1d"}}, last: {n}) {{nodes {{value}}}}'),
        lambda n: metric_field(f"tags {{values(first: {n}) {{value}}}}"),
        lambda n: Request(f"{{eventTypes {{properties {{values(first: {n}) {{value}}}}}}}}"),
        lambda n: Request(f"{{setAside(first: {n}) {{id}}}}"),
    ],
    "tests in a filter": [
        lambda n: event_list({"AND": [EQ] * n}),
        lambda n: event_list({"AND": [{}] * n}),
        lambda n: sample_list({"OR": [{"value": {"gt": number}} for number in range(n)]}),
        lambda n: event_list({"OR": [has_text(str(number)) for number in range(n)]}),
    ],
    "levels of `AND`, `OR`, `NOT`, `performed`": [
        lambda n: event_list(nest("AND", n)),
        lambda n: event_list(nest("OR", n)),
        lambda n: event_list(nest("NOT", n)),
        lambda n: event_list(nest_mixed(n)),
        lambda n: sample_list(as_metric_filter(nest("NOT", n))),
    ],
    "entries of a list in a filter": [
        lambda n: event_list({"name": {"in": ["e"] * n}}),
        lambda n: event_list({"property": {"key": "p", "number": {"notIn": [1.5] * n}}}),
        lambda n: sample_list({"tag": {"key": "t", "string": {"in": ["e"] * n}}}),
        lambda n: sample_list({"value": {"in": [1.5] * n}}),
    ],
    "`performed` in a filter": [
        lambda n: event_list({"AND": [{"performed": {"event": "e"}}] * n}),
        lambda n: event_list(nest_performed(n)),
    ],
    "characters of a pattern": [
        lambda n: event_list({"name": {"matches": "a" * n}}),
        lambda n: event_list({"name": {"notMatches": "é" * n}}),
        lambda n: event_list({"name": {"like": "%" * n}}),
    ],
    "`inputs` of a formula": [formula],
    "characters of a formula": [
        lambda n: formula(1, "a0" + " " * (n - 2)),
        lambda n: formula(1, f"a0 + 1.{'0' * (n - 7)}"),
    ],
    "levels of a formula": [
        lambda n: formula(1, "-" * (n - 1) + "a0"),
        lambda n: formula(1, "a0" + " + a0" * (n - 1)),
    ],
    "tokens in a query": [tokens],
}
"""For each row of the table, functions that make a request of a given size."""


def as_metric_filter(where: Any) -> Any:
    """Turn a filter of events into a filter of points."""
    if isinstance(where, list):
        return [as_metric_filter(item) for item in where]
    if where == EQ:
        return {"value": {"gt": 0}}
    return {name: as_metric_filter(part) for name, part in where.items()}


def nest_performed(count: int) -> dict[str, Any]:
    """Return a filter with nested levels of `performed`."""
    where: dict[str, Any] = EQ
    for _ in range(count):
        where = {"performed": {"event": "e", "where": where}}
    return where


@pytest_asyncio.fixture(scope="module", autouse=True)
async def _record_rows(service: Service) -> AsyncIterator[None]:
    properties = {"p": 5}
    await record(service, "/events", {"event_name": "e", "user_id": "u", "properties": properties})
    await record(service, "/metrics", {"metric_name": "m", "value": 1, "tags": {"t": "e"}})
    yield


def test_every_row_is_tested() -> None:
    """The table and these tests have the same rows."""
    assert DOCUMENTED_LIMITS.keys() == LIMITS.keys()


@pytest.mark.parametrize(
    ("row", "index"),
    [(row, index) for row, builders in LIMITS.items() for index in range(len(builders))],
)
async def test_limits(service: Service, row: str, index: int) -> None:
    """A request at a limit is answered; one beyond is refused, and the error has the limit."""
    limit, build_request = DOCUMENTED_LIMITS[row], LIMITS[row][index]
    query, variables = build_request(limit)
    answer = await service.post("/graphql", {"query": query, "variables": variables})
    assert (answer.status_code, answer.json().get("errors")) == (200, None), row
    query, variables = build_request(limit + 1)
    answer = await service.post("/graphql", {"query": query, "variables": variables})
    status, code, _, error_limit = error_summary(answer)
    assert (status, error_limit) == (STATUS_OF_CODE.get(code, 422), limit)
