"""Too expensive panels, in a service with low limits."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from settings import Settings
from store.limits import Limits
from tests.harness.apis import ask
from tests.harness.service import Service, run_service
from tests.harness.statements import collect_statements

RANGE = 'range: {between: {from: "1970-01-01T00:00:00Z", to: "1970-01-02T00:00:00Z"}}'


@pytest_asyncio.fixture(scope="module")
async def limited_service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service that reads at most 100,000 rows a query, with a metric of 150,000 rows."""
    data = tmp_path_factory.mktemp("limited")
    low = dataclasses.replace(Limits.of_this_machine(), rows_to_read=100_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Limits, "of_this_machine", lambda _: low)
        async with run_service(Settings(data=data, store=data / "store")) as service:
            rows = [
                {"metric_name": name, "timestamps": list(range(count)), "values": [1] * count}
                for name, count in (("a", 10), ("big", 150_000), ("c", 20_000))
            ]
            answer = await service.post("/metrics/series?precision=ms", rows)
            assert answer.status_code == 200, answer.text
            yield service


def panel(alias: str, name: str, arguments: str = "", selection: str = "total {count}") -> str:
    """Return a panel of a metric in GraphQL."""
    return (
        f'{alias}: metric(name: "{name}") {{query({RANGE} {arguments}) {{series {{{selection}}}}}}}'
    )


async def test_too_expensive_panel_fails_alone(limited_service: Service) -> None:
    """A too expensive panel is an error at its path; panels of the same statement answer."""
    panels = [
        panel("a", "a"),
        panel("big", "big", selection="total {sum}"),
        panel("c", "c"),
        panel("chart", "big", "granularity: HOUR", "columns {count}"),
        f"trend: eventTrend({RANGE}) {{series {{total {{count}}}}}}",
    ]
    with collect_statements() as statements:
        answer = await limited_service.graphql(f"{{{' '.join(panels)}}}")
    assert len(statements) <= 1 + len(panels)
    data: dict[str, Any] = answer["data"]
    assert data["a"] == {"query": {"series": [{"total": {"count": 10}}]}}
    assert data["c"] == {"query": {"series": [{"total": {"count": 20_000}}]}}
    assert data["trend"] == {"series": [{"total": {"count": 0}}]}
    assert (data["big"], data["chart"]) == ({"query": None}, {"query": None})
    errors = sorted(answer["errors"], key=lambda error: str(error["path"]))
    assert [error["path"] for error in errors] == [["big", "query"], ["chart", "query"]]
    for error in errors:
        assert error["extensions"] == {"code": "QUERY_TOO_EXPENSIVE", "limit": 100_000}


async def test_too_expensive_rest_of_a_chart(limited_service: Service) -> None:
    """A failure in the second statement of a grouped chart has the path of the chart."""
    day = RANGE.removeprefix("range: ")
    ten_seconds = day.replace("1970-01-02T00:00:00Z", "1970-01-01T00:00:10Z")
    arguments = f'compare: {{range: {day}}} groupBy: ["t"] granularity: HOUR'
    text = panel("big", "big", arguments, "columns {sum}").replace(day, ten_seconds, 1)
    answer = await limited_service.graphql(f"{{{text} {panel('a', 'a')}}}")
    assert answer["data"]["a"] == {"query": {"series": [{"total": {"count": 10}}]}}
    (error,) = answer["errors"]
    assert error["path"] == ["big", "query"]
    assert error["extensions"]["code"] == "QUERY_TOO_EXPENSIVE"


async def test_limits_leave_nothing_behind(limited_service: Service) -> None:
    """After a failed query, the next query returns its own rows."""
    expected = {"a": {"query": {"series": [{"total": {"count": 10}}]}}}
    for _ in range(10):
        await limited_service.graphql(f"{{{panel('big', 'big')} {panel('c', 'c')}}}")
        assert await ask(limited_service, f"{{{panel('a', 'a')}}}") == expected
