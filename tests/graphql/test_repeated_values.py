"""Values that several fields read: they count again for each field."""

from typing import Final

import pytest
from graphql import parse

from api.graphql.documents.limits import count_selections
from schema import limits
from tests.harness.apis import error_summary, record
from tests.harness.service import Service
from tests.harness.sized_documents import copies

USES: Final = "h#:events(where:{AND:$v}){totalCount}"
QUERIES: Final = "q#:query(range:{preset:TODAY} where:{AND:$v}){times}"
METRICS: Final = 'query($v:[MetricFilter!]){m0:metric(name:"m"){...F} m1:metric(name:"m"){...F}}'


@pytest.mark.parametrize(
    "form",
    [
        f"query($v:[EventFilter!]){{{copies(USES, 100)}}}",
        f"query($v:[EventFilter!]){{...F}} fragment F on Query{{{copies(USES, 100)}}}",
        f"{METRICS} fragment F on Metric{{{copies(QUERIES, 50)}}}",
    ],
    ids=["root fields", "a fragment", "a fragment twice"],
)
async def test_uses_of_variables_count(service: Service, form: str) -> None:
    """A variable counts again for each field that uses it, through fragments, at the limit too."""
    await record(service, "/metrics", {"metric_name": "m", "value": 1})
    filters = [{"name": {"eq": "a"}}] if "Event" in form else [{"value": {"eq": 1}}]
    max_size = limits.VARIABLE_OBJECTS.value // 100 // 2
    for size, status in ((max_size, 200), (max_size + 1, 422)):
        body = {"query": form, "variables": {"v": filters * size}}
        answer = await service.post("/graphql", body)
        assert answer.status_code == status, answer.text[:500]
        if status == 422:
            expected = (422, "BAD_USER_INPUT", "variables", limits.VARIABLE_OBJECTS.value)
            assert error_summary(answer) == expected


async def test_uses_of_texts_count(service: Service) -> None:
    """Texts in a variable count again for each field that uses it."""
    text = f"query($v:[String!]){{{copies('h#:events(where:{name:{in:$v}}){totalCount}', 50)}}}"
    max_size = limits.ARGUMENT_VALUES.value // 50 - 1
    for size, status in ((max_size, 200), (max_size + 1, 422)):
        answer = await service.post("/graphql", {"query": text, "variables": {"v": ["a"] * size}})
        assert answer.status_code == status, answer.text[:500]
    assert error_summary(answer)[3] == limits.ARGUMENT_VALUES.value


@pytest.mark.parametrize("uses", [1, 2])
def test_literals_in_fragments_count_again(uses: int) -> None:
    """Fields of objects in a fragment count wherever the fragment is spread, and so do defaults."""
    fields = copies("p#:1", 600)
    spreads = copies('m#:metric(name:"m"){...F}', uses)
    fragment = f"fragment F on Metric{{query(where:{{{fields}}}){{times}}}}"
    default = (
        f"query($v:EventFilter={{{fields}}}){{{copies('e#:events(where:$v){totalCount}', uses)}}}"
    )
    for text in (f"{{{spreads}}}{fragment}", default):
        counts = count_selections(parse(text), limits.DEFAULT_LIMITS)
        assert counts[limits.INPUT_FIELDS] == 600 * uses


async def test_arguments_of_lists_count_again(service: Service) -> None:
    """Objects in arguments count for each object of a list, and refuse the whole request."""
    count = 100
    rows = [{"metric_name": f"list_{number}", "value": 1} for number in range(count)]
    await record(service, "/metrics", *rows)
    query = (
        "query($v:[MetricFilter!]){metrics(first:100){nodes{query(range:{preset:TODAY}"
        " where:{AND:$v}){series{total{count}}}}}}"
    )
    max_size = (limits.ARGUMENT_OBJECTS.value // count - 2) // 2  # with range and where
    for size, status in ((max_size, 200), (max_size + 1, 422)):
        variables = {"v": [{"value": {"gte": 0}}] * size}
        headers = {"accept": "application/graphql-response+json"}
        body = {"query": query, "variables": variables}
        answer = await service.post("/graphql", body, **headers)
        assert answer.status_code == status, answer.text[:500]
        assert ("data" in answer.json()) == (status == 200)
    assert error_summary(answer)[1:] == (
        "QUERY_TOO_EXPENSIVE",
        None,
        limits.ARGUMENT_OBJECTS.value,
    )
    assert "argumentObjects" in answer.text
