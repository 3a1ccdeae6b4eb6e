"""Lists of names: bounded, beside exact counts, in pages; the same on both APIs."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from schema.access import KeyKind, RowFilter, Scope
from schema.filters import EventFilter, MetricFilter, StringFilter, TagFilter
from schema.limits import LISTED_NAMES
from settings import Settings
from store.access.registry import KeyRequest
from tests.harness.access import as_caller
from tests.harness.apis import ask, delete_all, error_summary, get
from tests.harness.service import Service, run_service
from tests.harness.statements import collect_statements

COUNT: Final = LISTED_NAMES.value + 3
OVERVIEW: Final = """
{overview {metricCount metricNames metricNameCount eventCount eventNames eventNameCount}}"""
NAMES: Final = sorted((f"ü{n}" if n % 9 == 0 else f"n{n}" for n in range(COUNT)), key=str.encode)


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service with three names more than a list has, two points and one event of each."""
    data = tmp_path_factory.mktemp("data")
    async with run_service(Settings(data=data, store=data / "store")) as new_service:
        tags = ({"half": "x"}, {"half": "y"})
        points = [{"metric_name": name, "value": 1, "tags": tag} for name in NAMES for tag in tags]
        for start in range(0, len(points), 20_000):
            await new_service.post("/metrics/batch", points[start : start + 20_000])
        await new_service.post("/events/batch", [{"event_name": name} for name in NAMES])
        yield new_service


async def test_lists_are_bounded_beside_exact_counts(service: Service) -> None:
    """Each list has the first 10,000 names, sorted by bytes, and each count counts all."""
    first_names = NAMES[: LISTED_NAMES.value]
    assert await get(service, "/metrics") == {"metrics": first_names, "count": COUNT}
    dashboard = await get(service, "/dashboard")
    assert dashboard.pop("timestamp")
    assert dashboard == {
        "total_metrics_tracked": 2 * COUNT,
        "unique_metric_types": COUNT,
        "total_events_tracked": COUNT,
        "metric_names": first_names,
    }
    assert (await ask(service, OVERVIEW))["overview"] == {
        "metricCount": 2 * COUNT,
        "metricNames": first_names,
        "metricNameCount": COUNT,
        "eventCount": COUNT,
        "eventNames": first_names,
        "eventNameCount": COUNT,
    }


@pytest.mark.parametrize("limit", [LISTED_NAMES.value, 3_001, 997])
async def test_pages_of_metrics(service: Service, limit: int) -> None:
    """`limit` and `after` page through all metrics, each once, and `count` counts all."""
    names: list[str] = []
    parameters: dict[str, Any] = {"limit": limit}
    while True:
        page = await get(service, "/metrics", **parameters)
        assert page["count"] == COUNT
        names += page["metrics"]
        if len(page["metrics"]) < limit:
            break
        parameters["after"] = names[-1]
    assert names == NAMES


@pytest.mark.parametrize(
    ("query", "field", "limit"),
    [
        ("limit=0", "limit", 1),
        (f"limit={LISTED_NAMES.value + 1}", "limit", LISTED_NAMES.value),
        ("limit=ten", "limit", None),
        (f"after={'x' * 201}", "after", 200),
    ],
)
async def test_bad_pages_are_refused(
    service: Service, query: str, field: str, limit: int | None
) -> None:
    """A limit out of range and a text that is no name are a 422 with field and limit."""
    answer = await service.http.get(f"/metrics?{query}")
    assert error_summary(answer) == (422, "BAD_USER_INPUT", field, limit)


@pytest.mark.parametrize("after", ["", "zzz", "\0", "'", "\\", "n5%", "ü", "\U0001f600"])
async def test_pages_begin_after_any_text(service: Service, after: str) -> None:
    """`after` may be any text: the page has the names that are greater, by their bytes."""
    page = await get(service, "/metrics", limit=5, after=after)
    later_names = [name for name in NAMES if name.encode() > after.encode()]
    assert page == {"metrics": later_names[:5], "count": COUNT}


async def test_lists_of_a_row_filter(service: Service) -> None:
    """With a row filter the lists and the counts are of its rows, in their project."""
    keys = service.context.store.keys
    two_names = EventFilter(name=StringFilter(in_=["n1", "n2"]))
    half = MetricFilter(tag=TagFilter(key="half", string=StringFilter(eq="x")))
    request = KeyRequest(
        "half",
        KeyKind.SECRET,
        scopes=[Scope.QUERY],
        row_filter=RowFilter(events=two_names, metrics=half),
    )
    key, secret = await keys.create(request)
    reader = as_caller(service, secret)
    overview = (await ask(reader, OVERVIEW))["overview"]
    assert (overview["metricCount"], overview["metricNameCount"]) == (COUNT, COUNT)
    assert (overview["eventNames"], overview["eventNameCount"]) == (["n1", "n2"], 2)
    await keys.revoke(key.id)
    await keys.create_project("empty")
    key, secret = await keys.create(KeyRequest("empty", KeyKind.SECRET, project="empty"))
    stranger = as_caller(service, secret)
    assert await get(stranger, "/metrics") == {"metrics": [], "count": 0}
    await keys.revoke(key.id)


async def test_short_lists_take_one_statement(service: Service) -> None:
    """A list of all names counts them itself; only a longer one takes another statement."""
    with collect_statements() as statements:
        await get(service, "/metrics")
    assert len(statements) == 2
    await delete_all(service)
    await service.post("/metrics/batch", [{"metric_name": name, "value": 1} for name in "abc"])
    with collect_statements() as statements:
        assert await get(service, "/metrics", limit=3) == {"metrics": ["a", "b", "c"], "count": 3}
    assert len(statements) == 1
    pages = await asyncio.gather(
        *(get(service, "/metrics", limit=limit, after="a") for limit in (1, 2))
    )
    assert pages == [{"metrics": ["b"], "count": 3}, {"metrics": ["b", "c"], "count": 3}]
