"""Execution of `docs/graphql.md`: every query in it, on the rows of a small shop.

In an answer of the document, `"…"` stands for any value: an id, a cursor, a duration. Fractions
are rounded to three digits, and `extensions` may be absent.
"""

import dataclasses
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pytest
import pytest_asyncio
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLObjectType, build_schema

from resolvers.event_series import MAX_BOUNDS
from resolvers.formula import MAX_INPUTS
from resolvers.series.request import MAX_CELLS, MAX_GROUP_KEYS, MAX_SERIES
from schema.errors import STATUS
from schema.limits import DOCUMENT_TOKENS
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
ANY_VALUE: Final = "…"


class Example(NamedTuple):
    """A query of the document, its variables and its answer; both may be empty."""

    query: str
    variables: str
    answer: str


EXAMPLES: Final = [
    Example(*blocks)
    for blocks in re.findall(
        r"```graphql\n(.*?)```(?:\s*```json variables\n(.*?)```)?(?:\s*```json\n(.*?)```)?",
        TEXT,
        re.DOTALL,
    )
]


@pytest_asyncio.fixture(scope="module")
async def shop(service: Service) -> Service:
    """Record the rows of the shop, and stop its clock."""
    await open_shop(service)
    return service


async def open_shop(service: Service) -> None:
    """Record the rows of the shop, and stop its clock."""
    await record(service, "/metrics", *example_data.metrics())
    await record(service, "/events", *example_data.events())
    describe = "mutation($input: DescribeMetricInput!) {describeMetric(input: $input) {name}}"
    for description in example_data.DESCRIPTIONS:
        await ask(service, describe, input=description)
    transport: Any = service.http._transport
    state = transport.app.state
    state.context = dataclasses.replace(state.context, now=lambda: example_data.NOW)


async def run_example(service: Service, example: Example) -> dict[str, Any]:
    """Return the full answer to an example, with fractions rounded as in the document."""
    variables = msgspec.json.decode(example.variables) if example.variables else {}
    body = {"query": example.query, "variables": variables}
    response = await service.post("/graphql", body)
    content: dict[str, Any] = round_fractions(response.json())
    return content


def round_fractions(value: Any) -> Any:
    """Round every fraction to three digits."""
    match value:
        case dict():
            return {key: round_fractions(member) for key, member in value.items()}
        case list():
            return [round_fractions(item) for item in value]
        case float():
            return round(value, 3)
    return value


def with_placeholders(expected: Any, actual: Any) -> Any:
    """Return an answer with `"…"` where the expected answer has it."""
    match expected, actual:
        case str(), _ if expected == ANY_VALUE and actual is not None:
            return ANY_VALUE
        case dict(), dict():
            return {
                key: with_placeholders(expected.get(key), member) for key, member in actual.items()
            }
        case list(), list() if len(expected) == len(actual):
            return [with_placeholders(*pair) for pair in zip(expected, actual, strict=True)]
    return actual


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
async def test_every_example_answers_as_shown(shop: Service, number: int) -> None:
    """Each query has the answer of the document; without one there, it has no error."""
    example = EXAMPLES[number]
    actual = await run_example(shop, example)
    if not example.answer:
        assert "errors" not in actual, example.query
        return
    expected = msgspec.json.decode(example.answer)
    if "extensions" not in expected:
        actual.pop("extensions", None)
    assert with_placeholders(expected, actual) == expected, example.query


def test_every_example_is_read() -> None:
    """The examples include every query, answer and set of variables of the document."""
    assert TEXT.count("```graphql\n") == len(EXAMPLES) > 30
    assert TEXT.count("```json\n") == sum(bool(example.answer) for example in EXAMPLES) > 30
    assert TEXT.count("```json variables\n") == sum(bool(example.variables) for example in EXAMPLES)


def documented_words() -> set[str]:
    """Return all words in the code of the document."""
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
    """The document names each field, argument, operator and enum value."""
    graphql_type = SCHEMA.type_map[name]
    if isinstance(graphql_type, GraphQLEnumType):
        names = set(graphql_type.values)
    else:
        assert isinstance(graphql_type, GraphQLObjectType | GraphQLInputObjectType)
        names = set(graphql_type.fields)
        if isinstance(graphql_type, GraphQLObjectType):
            names |= {name for field in graphql_type.fields.values() for name in field.args}
    assert names - documented_words() == set()


def test_every_error_code_is_documented() -> None:
    """The table of codes has each code with its HTTP status, and no other."""
    table = re.findall(r"^\| `([A-Z_]+)` \| (\d{3}) \|", TEXT, re.MULTILINE)
    assert {code: int(status) for code, status in table} == STATUS


def test_every_limit_is_as_documented() -> None:
    """The table of limits has the numbers of the service."""
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
        *(MAX_INPUTS, MAX_FORMULA, MAX_LEVELS, DOCUMENT_TOKENS.value),
    ]
