"""Rows in variables of large GraphQL requests have the answers of rows in small requests."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings

from api.graphql import row_variables
from schema.errors import AnalyticsError
from tests.harness.graphql_batches import EDITS, batch_requests, damage
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service

pytestmark = pytest.mark.usefixtures("frozen")

_RUNS: Final = count()


@contextmanager
def size_limits(body: int, rows: int) -> Iterator[None]:
    """Set the sizes from which on the rows of a request are parsed before its execution."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_variables, "_MIN_BODY_BYTES", body)
        patch.setattr(row_variables, "_MIN_ROWS_BYTES", rows)
        yield


async def answer(service: Service, body: bytes) -> tuple[int, Any]:
    """Return the status and the content of an answer; each `@` of the body begins new ids."""
    run = f"run{next(_RUNS):06}:"
    response = await service.post("/graphql", body.replace(b"@", run.encode()))
    content = response.json()
    content.pop("extensions", None)
    return response.status_code, json.loads(json.dumps(content).replace(run, "@"))


async def assert_same(service: Service, body: bytes) -> tuple[int, Any]:
    """Check that both ways to read the rows of a request give the same answer; return it."""
    with size_limits(2**30, 2**30):
        expected = await answer(service, body)
    with size_limits(0, 200):
        assert await answer(service, body) == expected
    return expected


@given(body=batch_requests(), edits=EDITS)
@settings(
    max_examples=short_or_long(300, 5_000), deadline=None, suppress_health_check=list(HealthCheck)
)
async def test_any_request(service: Service, body: bytes, edits: list[Any]) -> None:
    """Any request, also a damaged one, has the answer of GraphQL's own check of its rows."""
    await assert_same(service, damage(body, edits))


ROWS: Final = 300
DOCUMENT: Final = (
    "mutation($rows: [MetricInput!]!) {recordMetrics(input: {metrics: $rows})"
    " {accepted rejected errors {__typename at: index index field message}}}"
)
INPUT_DOCUMENT: Final = (
    "mutation($rows: RecordMetricsInput!) {recordMetrics(input: $rows) {accepted rejected}}"
)
POINT: Final = '{"name":"cpu","value":1,"time":"2023-11-14T22:13:20Z"}'


def request(*rows: str, query: str = DOCUMENT, **members: str) -> bytes:
    """Return a request with rows, and with these other members as JSON texts."""
    array = ",".join([*[POINT] * ROWS, *rows])
    text = f'{{"query":{json.dumps(query)},"variables":{{"rows":[{array}]}}'
    return (text + "".join(f',"{key}":{value}' for key, value in members.items()) + "}").encode()


async def test_row_errors_have_indexes_and_names_of_graphql(service: Service) -> None:
    """Rejected rows are reported by index, with aliases, names and types of the selection."""
    body = request('{"name":"cpu","value":1,"time":5}', POINT, '{"name":"","value":1}')
    status, content = await assert_same(service, body)
    payload = content["data"]["recordMetrics"]
    assert (status, payload["accepted"], payload["rejected"]) == (200, ROWS + 1, 2)
    assert payload["errors"][0] == {
        "__typename": "RowError",
        "at": ROWS,
        "index": ROWS,
        "field": "time",
        "message": payload["errors"][0]["message"],
    }
    assert [error["field"] for error in payload["errors"]] == ["time", "name"]


@pytest.mark.parametrize(
    "row", ["null", "1", "[]", "{}", '{"name":"cpu"}', '{"name":"cpu","value":1,"x":1}']
)
async def test_refused_row(service: Service, row: str) -> None:
    """A row that GraphQL refuses refuses the request, with the row's index in the body."""
    status, content = await assert_same(service, request(POINT, row, POINT, row))
    fields = [error["extensions"]["field"] for error in content["errors"]]
    assert status == 422
    assert fields[0].startswith(f"rows[{ROWS + 1}]")
    assert fields[-1].startswith(f"rows[{ROWS + 3}]")


async def test_many_refused_rows(service: Service) -> None:
    """Of many refused rows, the first errors are reported."""
    _, content = await assert_same(service, request(*['{"name":1,"value":"x"}'] * 60))
    assert len(content["errors"]) == 50
    _, content = await assert_same(service, request(*["null"] * 60, '{"name":1}'))
    assert len(content["errors"]) == 50


@pytest.mark.parametrize(
    "row",
    [
        '{"name":"\\ud800","value":1}',
        '{"name":"cpu","value":1e999}',
        '{"name":"cpu","value":1,"tags":' + "[" * 2_000 + "]" * 2_000 + "}",
        '{"name":"cpu","value":1}]],"other":[[1',
        '{"name":"cpu","value":1}],"rows":[{"name":"dog","value":1}',
        '{"name":"cpu" "value":1}',
    ],
)
@pytest.mark.parametrize("other_rows", [[], ["null"] * 60])
async def test_unreadable_row(service: Service, row: str, other_rows: list[str]) -> None:
    """A body that is no JSON is refused, also if GraphQL refuses a row before it."""
    await assert_same(service, request(*other_rows, row))


@pytest.mark.parametrize("rows", [50_001, 60_000])
async def test_too_many_rows(service: Service, rows: int) -> None:
    """Too many rows are an error of the mutation, if GraphQL refuses none of them."""
    body = json.dumps(
        {"query": DOCUMENT, "variables": {"rows": [{"name": "cpu", "value": 1}] * rows}}
    )
    response = await service.post("/graphql", body.encode())
    error = response.json()["errors"][0]
    assert response.json()["data"] == {"recordMetrics": None}
    assert (error["extensions"]["code"], error["path"]) == ("PAYLOAD_TOO_LARGE", ["recordMetrics"])
    assert str(rows) in error["message"]
    body = body.replace('"value": 1}]', '"value": "1"}]')
    response = await service.post("/graphql", body.encode())
    assert response.status_code == 422
    field = response.json()["errors"][0]["extensions"]["field"]
    assert field == f"rows[{rows - 1}].value"


@pytest.mark.parametrize("query", [DOCUMENT, "mutation(", "query A {__typename} " + DOCUMENT])
@pytest.mark.parametrize("name", ['"A"', '""', "null", "1", '"B"'])
async def test_operation_names(service: Service, query: str, name: str) -> None:
    """A document and an operation's name decide the answer before the rows do."""
    await assert_same(service, request(query=query, operationName=name))
    await assert_same(service, request("null", query=query, operationName=name))


async def test_large_request_is_parsed_before_its_execution(service: Service) -> None:
    """Rows in variables of a large request are taken out of it, in each spelling of the input."""
    for query, rows in (
        (DOCUMENT, "[%s]"),
        (INPUT_DOCUMENT, ' { "metrics" : [%s] } '),
    ):
        text = rows % ",".join([POINT] * ROWS)
        body = f'{{"query":{json.dumps(query)},"variables":{{"rows":{text}}}}}'.encode()
        row_request = await row_variables.read_rows(body, service.context)
        assert row_request
        graphql_request, context = row_request
        assert graphql_request.variables in ({"rows": []}, {"rows": {"metrics": []}})
        batch = context.row_batches["rows"]
        assert not isinstance(batch, AnalyticsError)
        assert batch.points == ROWS


@pytest.mark.parametrize(
    "members",
    [
        '"variables":{"rows":ROWS,"rows":ROWS}',
        '"variables":{"rows":ROWS,"rows":[]}',
        '"variables":{"rows":ROWS},"variables":{"rows":ROWS}',
        '"variables":{"rows":ROWS},"variables":null',
        '"extensions":{"rows":ROWS},"variables":{"rows":ROWS}',
        '"rows":ROWS,"variables":{"rows":ROWS}',
        '"variables":{"other":ROWS,"rows":ROWS}',
        '"variables":{"rows":[1e999,ROWS],"rows":ROWS}',
        '"variables":{"rows":{"metrics":ROWS}}',
        '"variables":{"rows":[ROWS]}',
        '"variables":{"\\u0072ows":ROWS}',
    ],
)
async def test_rows_in_several_places(service: Service, members: str) -> None:
    """Only the rows of the variable count, also if the body has the same text elsewhere."""
    rows = "[" + ",".join([POINT] * ROWS) + "]"
    for query in (DOCUMENT, INPUT_DOCUMENT):
        text = f'{{{members},"query":{json.dumps(query)}}}'.replace("ROWS", rows)
        await assert_same(service, text.encode())


@pytest.mark.parametrize(
    "members",
    [
        '"metrics":ROWS,"metrics":ROWS',
        '"metrics":ROWS,"metrics":[]',
        '"metrics":[],"metrics":ROWS',
        '"metrics":ROWS,"other":[1]',
        '"metrics":ROWS,"metrics":[null]',
        '"other":1,"metrics":ROWS',
        '"metrics":{"metrics":ROWS}',
    ],
)
async def test_members_of_an_input(service: Service, members: str) -> None:
    """An input with members other than its rows is checked as any other input."""
    rows = "[" + ",".join([POINT] * ROWS) + "]"
    text = f'{{"query":{json.dumps(INPUT_DOCUMENT)},"variables":{{"rows":{{{members}}}}}}}'
    await assert_same(service, text.replace("ROWS", rows).encode())
