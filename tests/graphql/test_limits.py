"""The limits of the documentation: what is at each is answered, what is one beyond is refused."""

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
DOCUMENTED: Final = {
    text: int(re.sub(r"\D", "", number.split("(")[0]))
    for text, number in re.findall(r"^\| ([^|]+\S) \| ([^|]*\d[^|]*) \|$", SECTION, re.MULTILINE)
}
EQ: Final = {"name": {"eq": "e"}}
SPEAKS_OF_NO_LIMIT: Final = {"GRAPHQL_PARSE_FAILED": 400}


class Question(NamedTuple):
    """A request body's query and variables."""

    query: str
    variables: dict[str, Any] | None = None


def trend(arguments: str, selected: str = "series {total {count}}") -> Question:
    """Ask for a series of events."""
    return Question(f"{{eventTrend({arguments}) {{{selected}}}}}")


def of_metric(arguments: str, selected: str = "series {total {count}}") -> Question:
    """Ask for a series of a metric."""
    return Question(f'{{metric(name: "m") {{query({arguments}) {{{selected}}}}}}}')


def listed(where: dict[str, Any]) -> Question:
    """List events that pass a filter."""
    query = "query($where: EventFilter) {events(where: $where) {totalCount nodes {name}}}"
    return Question(query, {"where": where})


def sampled(where: dict[str, Any]) -> Question:
    """List points that pass a filter."""
    query = """query($where: MetricFilter) {metric(name: "m") {
      samples(range: {last: "1d"}, where: $where) {nodes {value}}}}"""
    return Question(query, {"where": where})


def seconds(length: int) -> str:
    """Return a range of so many seconds."""
    return f'range: {{between: {{from: "2026-01-01T00:00:00Z", to: "{at(length)}"}}}}'


def at(second: int) -> str:
    """Return the instant so many seconds after 2026 began."""
    return rfc3339(Instant(1_767_225_600_000 + 1000 * second))


def has_text(text: str) -> dict[str, Any]:
    """Return a filter of a property."""
    return {"property": {"key": "p", "string": {"eq": text}}}


def nested(kind: str, levels: int) -> dict[str, Any]:
    """Return a filter with so many levels of one kind around its only test."""
    around: dict[str, Callable[[Any], Any]] = {
        "AND": lambda inner: {"AND": [inner]},
        "OR": lambda inner: {"OR": [inner, EQ]},
        "NOT": lambda inner: {"NOT": inner},
    }
    where: dict[str, Any] = EQ
    for _ in range(levels):
        where = around[kind](where)
    return where


def mixed(levels: int) -> dict[str, Any]:
    """Return a filter with so many levels of two kinds, seven of them `performed`."""
    where: dict[str, Any] = EQ
    for level in range(levels):
        kinds = ({"performed": {"event": "e", "where": where}}, {"AND": [EQ, where]})
        where = kinds[level % 3 != 0]
    return where


def formula(inputs: int, text: str | None = None) -> Question:
    """Calculate with so many inputs; without a text, with their sum."""
    named = [{"as": f"a{n}", "metric": "m", "aggregate": "SUM"} for n in range(inputs)]
    query = """query($formula: String!, $inputs: [NamedMetricInput!]!) {
      metricFormula(formula: $formula, inputs: $inputs, range: {last: "1d"}) {
        series {total values}}}"""
    sum_of_all = " + ".join(f"a{n}" for n in range(inputs))
    return Question(query, {"formula": text or sum_of_all, "inputs": named})


def words(many: int) -> Question:
    """Return a query of so many words and signs."""
    fields, rest = divmod(many - 6, 3)  # { health { status } }
    named = " ".join(f"h{n}: __typename" for n in range(fields))
    return Question(f"{{health {{status}} {named} {'__typename ' * rest}}}")


def page(field: str, argument: str) -> Callable[[int], Question]:
    """Return what makes questions for a page of a list."""
    return lambda n: Question(f"{{{field}({argument}: {n}) {{nodes {{__typename}}}}}}")


def metric_m(selected: str) -> Question:
    """Ask something else of a metric."""
    return Question(f'{{metric(name: "m") {{{selected}}}}}')


LIMITS: Final[dict[str, list[Callable[[int], Question]]]] = {
    "hours in a range, except `ALL_TIME`": [
        lambda n: trend(f'range: {{last: "{n}h"}}'),
        lambda n: trend(f'range: {{last: "PT{n}H"}}'),
        lambda n: of_metric(f'range: {{last: "{n}h"}}'),
    ],
    "years in a range by the calendar (`dates`, months in `last`)": [
        lambda n: trend(f'range: {{last: "P{n}Y"}}'),
        lambda n: of_metric(f'range: {{last: "P{n}Y"}}'),
        lambda n: trend(f'range: {{dates: {{from: "{2026 - n}-07-01", to: "2026-06-30"}}}}'),
    ],
    "buckets in a range, and `maxPoints`": [
        lambda n: trend(f"{seconds(n)} granularity: SECOND", "times"),
        lambda n: of_metric(f"{seconds(n)} granularity: SECOND", "times"),
        lambda n: trend(f'range: {{last: "1d"}} maxPoints: {n}', "times"),
    ],
    "series in a response (`limit`)": [
        lambda n: trend(f'range: {{last: "1d"}} groupBy: [{{field: NAME}}] limit: {n}'),
        lambda n: of_metric(f'range: {{last: "1d"}} groupBy: ["t"] limit: {n}'),
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
        lambda n: of_metric(f'range: {{last: "1d"}} groupBy: {["t"] * n}'.replace("'", '"')),
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
        lambda n: Question(f"{{eventTypes(first: {n}) {{name}}}}"),
        lambda n: metric_m(f'samples(range: {{last: "1d"}}, last: {n}) {{nodes {{value}}}}'),
        lambda n: metric_m(f"tags {{values(first: {n}) {{value}}}}"),
        lambda n: Question(f"{{eventTypes {{properties {{values(first: {n}) {{value}}}}}}}}"),
        lambda n: Question(f"{{setAside(first: {n}) {{id}}}}"),
    ],
    "tests in a filter": [
        lambda n: listed({"AND": [EQ] * n}),
        lambda n: listed({"AND": [{}] * n}),
        lambda n: sampled({"OR": [{"value": {"gt": number}} for number in range(n)]}),
        lambda n: listed({"OR": [has_text(str(number)) for number in range(n)]}),
    ],
    "levels of `AND`, `OR`, `NOT`, `performed`": [
        lambda n: listed(nested("AND", n)),
        lambda n: listed(nested("OR", n)),
        lambda n: listed(nested("NOT", n)),
        lambda n: listed(mixed(n)),
        lambda n: sampled(renamed(nested("NOT", n))),
    ],
    "entries of a list in a filter": [
        lambda n: listed({"name": {"in": ["e"] * n}}),
        lambda n: listed({"property": {"key": "p", "number": {"notIn": [1.5] * n}}}),
        lambda n: sampled({"tag": {"key": "t", "string": {"in": ["e"] * n}}}),
        lambda n: sampled({"value": {"in": [1.5] * n}}),
    ],
    "`performed` in a filter": [
        lambda n: listed({"AND": [{"performed": {"event": "e"}}] * n}),
        lambda n: listed(performed(n)),
    ],
    "characters of a pattern": [
        lambda n: listed({"name": {"matches": "a" * n}}),
        lambda n: listed({"name": {"notMatches": "é" * n}}),
        lambda n: listed({"name": {"like": "%" * n}}),
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
    "tokens in a query": [words],
}
"""Of each row of the table, requests that are as large as a number says."""


def renamed(where: Any) -> Any:
    """Return a filter of points for one of events."""
    if isinstance(where, list):
        return [renamed(item) for item in where]
    if where == EQ:
        return {"value": {"gt": 0}}
    return {name: renamed(part) for name, part in where.items()}


def performed(many: int) -> dict[str, Any]:
    """Return a filter in which so many `performed` are nested."""
    where: dict[str, Any] = EQ
    for _ in range(many):
        where = {"performed": {"event": "e", "where": where}}
    return where


@pytest_asyncio.fixture(scope="module", autouse=True)
async def _recorded(service: Service) -> AsyncIterator[None]:
    properties = {"p": 5}
    await record(service, "/events", {"event_name": "e", "user_id": "u", "properties": properties})
    await record(service, "/metrics", {"metric_name": "m", "value": 1, "tags": {"t": "e"}})
    yield


def test_every_row_is_tested() -> None:
    """The table and these tests have the same rows."""
    assert DOCUMENTED.keys() == LIMITS.keys()


@pytest.mark.parametrize(
    ("row", "place"), [(row, place) for row, made in LIMITS.items() for place in range(len(made))]
)
async def test_limits(service: Service, row: str, place: int) -> None:
    """At a limit there is an answer; one beyond is refused with the limit, and never with a 500."""
    limit, asked = DOCUMENTED[row], LIMITS[row][place]
    query, variables = asked(limit)
    answer = await service.post("/graphql", {"query": query, "variables": variables})
    assert (answer.status_code, answer.json().get("errors")) == (200, None), row
    query, variables = asked(limit + 1)
    answer = await service.post("/graphql", {"query": query, "variables": variables})
    status, code, _, bound = error_summary(answer)
    assert (status, bound) == (SPEAKS_OF_NO_LIMIT.get(code, 422), None if status == 400 else limit)
