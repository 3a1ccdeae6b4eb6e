"""What a question waits for: the rows that it is about, and no others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from store.journal.segments import Segment
from store.loader import Loader
from tests.harness.apis import get, metric_path
from tests.harness.service import NOON, Service

SOON: Final = 0.3


@pytest_asyncio.fixture
async def stopped(service: Service, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """Stop the loader until the end of the test, with rows of `known` loaded."""
    assert (await service.post("/metrics", {"metric_name": "known", "value": 1})).is_success
    assert (await get(service, metric_path("known")))["count"] >= 1
    free = asyncio.Event()
    load = Loader._load

    async def wait_and_load(self: Loader, segment: Segment) -> None:
        await free.wait()
        await load(self, segment)

    monkeypatch.setattr(Loader, "_load", wait_and_load)
    yield service
    free.set()
    await get(service, "/dashboard")


async def waits(service: Service, name: str) -> bool:
    """Say whether a question about a metric is not answered at once."""
    asked = asyncio.create_task(service.http.get(metric_path(name)))
    done, _ = await asyncio.wait([asked], timeout=SOON)
    if not done:
        asked.cancel()
        await asyncio.wait([asked])
    return not done


BODIES: Final[dict[str, tuple[str, Any]]] = {
    "single": ("/metrics", {"metric_name": "other", "value": 1}),
    "array": ("/metrics/batch", [{"metric_name": "other", "value": 1}]),
    "lines": ("/metrics/batch", 200 * b'{"metric_name":"other","value":1,"tags":{"a":"b"}}\n'),
    "series": (
        "/metrics/series",
        [{"metric_name": "other", "timestamps": [NOON], "values": [1]}],
    ),
}


@pytest.mark.parametrize("form", BODIES)
async def test_rows_of_other_metrics_are_not_waited_for(stopped: Service, form: str) -> None:
    """While rows of one metric wait for the engine, another one is answered at once."""
    for _ in range(2):  # the second body of lines is recognised
        assert (await stopped.post(*BODIES[form])).is_success
    assert not await waits(stopped, "known")
    assert await waits(stopped, "other")
    assert (await stopped.post("/metrics", {"metric_name": "known", "value": 1})).is_success
    assert await waits(stopped, "known")


async def test_bodies_of_several_metrics(stopped: Service) -> None:
    """Each of the metrics in a recognised body is waited for."""
    line = b'{"metric_name":"%b","value":1,"tags":{"a":"b"}}\n'
    body = line % b"one" * 100 + line % b"two"
    for _ in range(2):
        assert (await stopped.post("/metrics/batch", body)).is_success
    assert stopped.context.store.templates.match(body, stopped.context.now())
    assert await waits(stopped, "two")
    assert not await waits(stopped, "known")


async def test_deletion_waits_for_everything(stopped: Service) -> None:
    """What is deleted must not come back, so a deletion waits for all rows of its table."""
    assert (await stopped.post("/metrics", {"metric_name": "other", "value": 1})).is_success
    asked = asyncio.create_task(stopped.http.delete(metric_path("known")))
    _, pending = await asyncio.wait([asked], timeout=SOON)
    assert pending
    asked.cancel()
    await asyncio.wait([asked])
