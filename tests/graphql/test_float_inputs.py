"""Float inputs in GraphQL: a literal and a variable of one number mean the same."""

import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.apis import delete_all, first_error, record
from tests.harness.run_profile import short_or_long
from tests.harness.service import NOON, Service

INEXACT: Final = [2**53 + 1, -(2**53) - 1, 2**63 - 1, 10**23, 2**64 - 1, 10**309, -(10**400)]
EXACT: Final = [0, -1, 2**53 - 1, 2**53, 2**53 + 2, -(2**60), 2**64, 10**22]
PLACES: Final = [
    'events(where: {property: {key: "n", number: {eq: NUMBER}}}) {totalCount}',
    'events(where: {property: {key: "n", number: {in: [1, NUMBER]}}}) {totalCount}',
    'events(where: {NOT: {property: {key: "n", number: {lte: NUMBER}}}}) {totalCount}',
    'metric(name: "m") {samples(range: {last: "1h"}, where: {value: {gt: NUMBER}}) {totalCount}}',
]


async def answers(service: Service, place: str, number: int) -> list[Any]:
    """Return the answers to a query with a number as a literal, and as a variable."""
    literal = {"query": f"{{{place.replace('NUMBER', str(number))}}}"}
    query = f"query($n: Float!) {{{place.replace('NUMBER', '$n')}}}"
    variable = json.dumps({"query": query, "variables": {"n": number}}).encode()
    return [await service.post("/graphql", literal), await service.post("/graphql", variable)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", INEXACT)
async def test_inexact_integers_are_refused(service: Service, place: str, number: int) -> None:
    """An integer that no double holds is refused, as a literal and as a variable."""
    await record(service, "/metrics", {"metric_name": "m", "value": 1, "timestamp": NOON})
    for answer in await answers(service, place, number):
        assert answer.status_code in {400, 422}
        message = first_error(answer)["message"]
        assert "Float cannot represent" in message or "too large" in message, message


@given(number=st.one_of(st.sampled_from(EXACT), st.integers(-(2**70), 2**70)))
@settings(derandomize=True, deadline=None, max_examples=short_or_long(20, 60))
async def test_literals_mean_what_variables_mean(service: Service, number: int) -> None:
    """Literal and variable find only the event with this number, or are both refused."""
    await delete_all(service)
    neighbours = [number - 1, number, number + 1]
    await record(
        service, "/events", *({"event_name": "e", "properties": {"n": n}} for n in neighbours)
    )
    literal, variable = await answers(service, PLACES[0], number)
    if float(number) == number and int(float(number)) == number:
        for answer in (literal, variable):
            assert answer.json()["data"]["events"]["totalCount"] == 1
    else:
        assert "lose precision" in first_error(literal)["message"]
        assert "lose precision" in first_error(variable)["message"]


@pytest.mark.parametrize("number", [str(number) for number in INEXACT] + ["1e999", "9" * 5000])
async def test_recorded_values(service: Service, number: str) -> None:
    """Each way to record a value refuses one that no double holds."""
    query = 'mutation {recordMetrics(input: {metrics: [{name: "v", value: NUMBER}]}) {accepted}}'
    literal = {"query": query.replace("NUMBER", number)}
    variable = {
        "query": query.replace("NUMBER", "$v").replace("mutation", "mutation($v: Float!)"),
        "variables": {"v": "NUMBER"},
    }
    row = {"metric_name": "v", "value": "NUMBER"}
    series = {"metric_name": "v", "values": ["NUMBER"], "timestamps": [NOON]}
    requests = [("/graphql", literal), ("/graphql", variable), ("/metrics", row)]
    requests += [("/metrics/batch", [row]), ("/metrics/series", [series])]
    bodies = [(path, json.dumps(body).replace('"NUMBER"', number)) for path, body in requests]
    for path, body in bodies:
        answer = await service.post(path, body.encode())
        assert answer.status_code in {400, 422}, (path, answer.text)
        assert first_error(answer)
    assert (await service.http.get("/metrics/v")).status_code == 404


@pytest.mark.parametrize("value", ["1e999", "-1e400", "true", '"1"', "[]", "{}", "ONE"])
async def test_other_literals(service: Service, value: str) -> None:
    """A Float refuses all but finite numbers."""
    query = f"{{{PLACES[0].replace('NUMBER', value)}}}"
    assert "Float" in first_error(await service.post("/graphql", {"query": query}))["message"]
