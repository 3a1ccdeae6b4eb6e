"""Budgets of keys: what a key may spend, over both APIs, and what a refusal says."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import jwt
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from schema.access import KeyKind
from schema.errors import AnalyticsError
from settings import Settings
from store.access.registry import KeyRequest
from store.cost.budgets import Budgets
from tests.harness.access import as_caller, error_code
from tests.harness.service import Service, run_service
from tests.harness.statements import collect_statements

PER_SECOND: Final = 2
SECONDS: Final = 5
LIMIT: Final = PER_SECOND * SECONDS
QUERY: Final = "{eventTypes {name}}"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def small(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Run a service with small budgets."""
    data: Path = tmp_path_factory.mktemp("budgets")
    limits = {"budgetPerSecond": PER_SECOND, "budgetSeconds": SECONDS}
    async with run_service(Settings(data=data, store=data / "store", limits=limits)) as service:
        yield service


async def new_caller(service: Service) -> Service:
    """Return the service with a new key."""
    _, secret = await service.context.store.keys.create(KeyRequest("new", KeyKind.ADMIN))
    return as_caller(service, secret)


@given(st.lists(st.tuples(st.floats(0, 4), st.floats(0, 30), st.floats(-30, 30)), max_size=30))
def test_a_budget_is_a_leaky_bucket(steps: list[tuple[float, float, float]]) -> None:
    """A key spends at most what it has, except once; debts decrease with time, and end at none."""
    now = debt = 0.0
    budgets = Budgets(PER_SECOND, SECONDS, lambda: now)
    for pause, cost, correction in steps:
        now += pause
        debt = max(0.0, debt - pause * PER_SECOND)
        fits = min(cost, LIMIT) <= LIMIT - debt
        if fits:
            budgets.spend("key", cost)
            debt += cost
        else:
            with pytest.raises(AnalyticsError) as refusal:
                budgets.spend("key", cost)
            error = refusal.value
            assert (error.code, error.status) == ("RATE_LIMITED", 429)
            assert error.retry_after is not None
            assert min(cost, LIMIT) <= LIMIT - debt + PER_SECOND * error.retry_after + 1e-6
        budgets.correct("key", correction)
        debt = max(0.0, debt + correction)
        state = budgets.state("key")
        assert state is not None
        assert state.available == pytest.approx(LIMIT - debt)
        assert state.limit == LIMIT
        budgets.spend("another key", 0)


def test_a_request_that_has_begun_may_go_into_debt() -> None:
    """Later statements of a request are paid with debt, and the next request waits for it."""
    budgets = Budgets(PER_SECOND, SECONDS, lambda: 0.0)
    budgets.spend("key", 10 * LIMIT)
    budgets.spend("key", 10 * LIMIT, has_begun=True)
    with pytest.raises(AnalyticsError, match="would fit") as refusal:
        budgets.spend("key", 1)
    assert refusal.value.retry_after == 96  # for 191 at 2 a second


def test_no_limit_is_no_budget() -> None:
    """With a limit of 0 a key spends what it likes, and has no budget."""
    budgets = Budgets(0, SECONDS)
    budgets.spend("key", 1e9)
    assert budgets.state("key") is None


async def test_a_key_without_budget_is_refused_by_both_apis(small: Service) -> None:
    """A key that has spent its budget gets 429 with the time to wait; another key goes on."""
    caller, neighbour = await new_caller(small), await new_caller(small)
    answers = [await caller.http.get("/dashboard") for _ in range(30)]
    refusals = [answer for answer in answers if answer.status_code == 429]
    assert refusals, "thirty requests fit into a budget for ten"
    (error,) = refusals[-1].json()["errors"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert error["extensions"]["limit"] < LIMIT
    assert refusals[-1].headers["retry-after"] == str(error["extensions"]["retryAfter"])
    answer = await caller.http.post("/graphql", json={"query": QUERY})
    assert error_code(answer) == "RATE_LIMITED"
    assert int(answer.headers["retry-after"]) >= 1
    assert (await neighbour.http.get("/metrics")).status_code == 200
    assert (await small.http.get("/metrics")).status_code == 200, "without a key: no budget"


async def test_recording_costs_nothing(small: Service) -> None:
    """A key without budget records as before: budgets are of queries."""
    caller = await new_caller(small)
    while (await caller.http.get("/dashboard")).status_code != 429:
        pass
    answer = await caller.post("/metrics", {"metric_name": "m", "value": 1})
    assert answer.status_code == 200
    mutation = 'mutation {recordEvents(input: {events: [{name: "e"}]}) {accepted}}'
    assert (await caller.graphql(mutation))["data"]["recordEvents"] == {"accepted": 1}


async def test_answers_to_keys_have_headers(small: Service) -> None:
    """Each answer to a key has its policy and what remains; one without a key has neither."""
    caller = await new_caller(small)
    for answer in (
        await caller.http.get("/metrics"),
        await caller.http.post("/graphql", json={"query": QUERY}),
        await caller.http.get("/graphql", params={"query": QUERY}),
    ):
        assert answer.headers["ratelimit-policy"] == f'"cost";q={LIMIT};w={SECONDS}'
        name, remaining, seconds = answer.headers["ratelimit"].split(";")
        assert name == '"cost"'
        assert 0 <= int(remaining.removeprefix("r=")) < LIMIT
        assert 1 <= int(seconds.removeprefix("t=")) <= SECONDS
    assert "ratelimit" not in (await small.http.get("/metrics")).headers


async def test_viewer_shows_the_budget(small: Service) -> None:
    """`viewer` has the budget of a key, which a query makes smaller; without a key it is null."""
    caller = await new_caller(small)
    query = "{viewer {budget {limit available perSecond}}}"
    budget = (await caller.graphql(query))["data"]["viewer"]["budget"]
    assert budget == {"limit": LIMIT, "available": LIMIT, "perSecond": PER_SECOND}
    await caller.graphql(QUERY)
    budget = (await caller.graphql(query))["data"]["viewer"]["budget"]
    assert 0 < budget["available"] < LIMIT
    assert (await small.graphql(query))["data"]["viewer"]["budget"] is None


async def test_a_budget_pays_for_what_was_read(
    small: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The estimate is taken before a query runs, and the cost of the rows read afterwards."""
    caller = await new_caller(small)
    monkeypatch.setattr(small.context.store.estimates, "rows", lambda *_: 1e9)
    answer = (await caller.post("/graphql", {"query": QUERY})).json()
    assert answer["extensions"]["cost"]["requested"] > LIMIT
    assert answer["extensions"]["cost"]["actual"] < LIMIT / 2
    refusal = await caller.http.post("/graphql", json={"query": QUERY})
    assert error_code(refusal) == "RATE_LIMITED", "an estimate of more than a full budget"
    monkeypatch.undo()
    assert (await caller.graphql(QUERY)).keys() == {"data"}


@pytest.mark.parametrize(
    "query",
    [
        """{a: eventTrend(range: {last: "P1D"}) {times series {columns {count}}}
            b: eventTrend(range: {last: "P2D"}) {series {total {count}}}}""",
        '{metrics {nodes {query(range: {last: "P1D"}) {series {total {sum}}}}}}',
    ],
    ids=["trends", "list"],
)
async def test_a_refused_request_runs_nothing(
    small: Service, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    """Queries that share a statement are refused together, not answered one by one while they fit.

    The refusal has the cost of all.
    """
    await small.post("/metrics", {"metric_name": "m", "value": 1})
    caller = await new_caller(small)
    await caller.graphql(QUERY)
    monkeypatch.setattr(small.context.store.estimates, "rows", lambda *_: 3e5)
    with collect_statements() as statements:
        content = await caller.graphql(query)
    codes = {error["extensions"]["code"] for error in content["errors"]}
    assert codes == {"RATE_LIMITED"}
    assert not statements


async def test_a_statement_that_did_not_run_is_free(
    small: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query without a free reader is a 503, and its cost is given back."""
    caller = await new_caller(small)
    engine = small.context.store.engine
    monkeypatch.setattr(small.context.store.estimates, "rows", lambda *_: 1e9)
    monkeypatch.setattr(engine, "limits", replace(engine.limits, wait_seconds=0.1))
    async with engine._no_statements():
        answer = await caller.http.get("/events")
    assert answer.status_code == 503
    monkeypatch.undo()
    assert (await caller.http.get("/events")).status_code == 200


async def test_a_token_spends_the_budget_of_its_key(small: Service) -> None:
    """Tokens of one key share its budget."""
    key, _ = await small.context.store.keys.create(
        KeyRequest("signer", KeyKind.SECRET, signs_tokens=True)
    )
    claims = {"exp": int(time.time()) + 600, "rowFilter": {"events": {}}}
    token = jwt.encode(claims, key.token_secret or "", "HS256", headers={"kid": key.id})
    caller = as_caller(small, token)
    await caller.graphql(QUERY)
    state = small.context.store.budgets.state(key.id)
    assert state is not None
    assert state.available < LIMIT
