"""`docs/graphql.md` is executed: every query in it, against the rows of a small shop.

In an answer that the document shows, `"…"` stands for any value (an id, a cursor, a time that
something took), fractions are rounded to three digits, and `extensions` may be left out.
"""

import dataclasses
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pytest
import pytest_asyncio
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLObjectType, build_schema

from api.graphql.schema import MAX_TOKENS
from resolvers.event_series import MAX_BOUNDS
from resolvers.formula import MAX_INPUTS
from resolvers.series.request import MAX_CELLS, MAX_GROUP_KEYS, MAX_SERIES
from schema.errors import STATUS
from schema.paging import MAX_PAGE
from schema.ranges import MAX_HOURS, MAX_YEARS
from store.query.filters.conditions import (
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_PATTERN,
    MAX_PERFORMED,
    MAX_TESTS,
)
from store.query.series.formulas import MAX_FORMULA, MAX_LEVELS
from store.query.time.buckets import MAX_BUCKETS
from tests.harness import example_data
from tests.harness.apis import ask, record
from tests.harness.service import Service
from tests.rules.test_sdl import SDL

TEXT: Final = Path("docs/graphql.md").read_text()
SCHEMA: Final = build_schema(SDL)
ANY: Final = "…"


class Example(NamedTuple):
    """A query of the document, the variables that are shown for it, and the answer, if it is."""

    query: str
    variables: str
    answer: str


EXAMPLES: Final = [
    Example(*found)
    for found in re.findall(
        r"```graphql\n(.*?)```(?:\s*```json variables\n(.*?)```)?(?:\s*```json\n(.*?)```)?",
        TEXT,
        re.DOTALL,
    )
]


@pytest_asyncio.fixture(scope="module")
async def opened(service: Service) -> Service:
    """Store what the shop has, and stop its clock."""
    await open_shop(service)
    return service


async def open_shop(service: Service) -> None:
    """Store what the shop has, and stop its clock."""
    await record(service, "/metrics", *example_data.metrics())
    await record(service, "/events", *example_data.events())
    describe = "mutation($input: DescribeMetricInput!) {describeMetric(input: $input) {name}}"
    for said in example_data.DESCRIPTIONS:
        await ask(service, describe, input=said)
    transport: Any = service.http._transport
    state = transport.app.state
    state.context = dataclasses.replace(state.context, now=lambda: example_data.NOW)


async def answered(service: Service, example: Example) -> dict[str, Any]:
    """Return the whole answer to an example, rounded as the document rounds."""
    variables = msgspec.json.decode(example.variables) if example.variables else {}
    body = {"query": example.query, "variables": variables}
    response = await service.post("/graphql", body)
    found: dict[str, Any] = rounded(response.json())
    return found


def rounded(value: Any) -> Any:
    """Round every fraction to three digits."""
    match value:
        case dict():
            return {key: rounded(member) for key, member in value.items()}
        case list():
            return [rounded(item) for item in value]
        case float():
            return round(value, 3)
    return value


def with_gaps(shown: Any, real: Any) -> Any:
    """Return a real answer with the gaps that the shown one has."""
    match shown, real:
        case str(), _ if shown == ANY and real is not None:
            return ANY
        case dict(), dict():
            return {key: with_gaps(shown.get(key), member) for key, member in real.items()}
        case list(), list() if len(shown) == len(real):
            return [with_gaps(*pair) for pair in zip(shown, real, strict=True)]
    return real


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
async def test_every_example_answers_as_shown(opened: Service, number: int) -> None:
    """A reader who tries a query gets the answer beside it, and without one there no error."""
    example = EXAMPLES[number]
    real = await answered(opened, example)
    if not example.answer:
        assert "errors" not in real, example.query
        return
    shown = msgspec.json.decode(example.answer)
    if "extensions" not in shown:
        real.pop("extensions", None)
    assert with_gaps(shown, real) == shown, example.query


def test_every_example_is_found() -> None:
    """No query and no answer of the document is overlooked."""
    assert TEXT.count("```graphql\n") == len(EXAMPLES) > 30
    assert TEXT.count("```json\n") == sum(bool(each.answer) for each in EXAMPLES) > 30
    assert TEXT.count("```json variables\n") == sum(bool(each.variables) for each in EXAMPLES)


def words() -> set[str]:
    """Return all words that the document has in code."""
    code = re.findall(r"```.*?```|`[^`]+`", TEXT, re.DOTALL)
    return set(re.findall(r"\w+", " ".join(code)))


@pytest.mark.parametrize(
    "name",
    [
        *("Query", "Mutation", "MetricAggregates", "EventAggregates", "ResultMeta"),
        *("MetricFilter", "EventFilter", "StringFilter", "NumberFilter", "BooleanFilter"),
        *("DateTimeFilter", "PropertyFilter", "TagFilter", "PerformedFilter", "GroupByInput"),
        *("TimeRangeInput", "TimeRangePreset", "Granularity", "WeekStart", "Fill", "CompareMode"),
        *("AggregateKind", "EventField", "PropertyType", "MetricKind", "Metric", "EventType"),
        *("MetricSeries", "EventSeries", "MetricPoint", "FormulaSeries", "OrderByInput"),
    ],
)
def test_everything_is_mentioned(name: str) -> None:
    """Each field, argument, operator and name of a value that can be used is in the document."""
    kind = SCHEMA.type_map[name]
    if isinstance(kind, GraphQLEnumType):
        known = set(kind.values)
    else:
        assert isinstance(kind, GraphQLObjectType | GraphQLInputObjectType)
        known = set(kind.fields)
        if isinstance(kind, GraphQLObjectType):
            known |= {name for field in kind.fields.values() for name in field.args}
    assert known - words() == set()


def test_every_error_code_is_documented() -> None:
    """The table of codes has each code with its HTTP status, and no other."""
    table = re.findall(r"^\| `([A-Z_]+)` \| (\d{3}) \|", TEXT, re.MULTILINE)
    assert {code: int(status) for code, status in table} == STATUS


def test_every_limit_is_as_documented() -> None:
    """The table of limits has the numbers that the service has."""
    section = TEXT.partition("## Limits")[2]
    numbers = re.findall(r"^\| .*? \| ([\d,]+)[^|]* \|$", section, re.MULTILINE)
    assert [int(number.replace(",", "")) for number in numbers] == [
        *(
            MAX_HOURS,
            MAX_YEARS,
            MAX_BUCKETS,
            MAX_SERIES,
            MAX_CELLS,
            MAX_GROUP_KEYS,
            MAX_BOUNDS,
            MAX_PAGE,
        ),
        *(MAX_TESTS, MAX_DEPTH, MAX_ITEMS, MAX_PERFORMED, MAX_PATTERN),
        *(MAX_INPUTS, MAX_FORMULA, MAX_LEVELS, MAX_TOKENS),
    ]
