"""Queries that wait for the rows of their own metrics, and for no other rows."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from store.journal.segments import Segment
from store.loader import Loader
from tests.harness.apis import get, metric_path
from tests.harness.service import NOON, Service
from tests.harness.spellings import match_body

SOON: Final = 0.3


@pytest_asyncio.fixture
async def stopped_service(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
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


async def is_waiting(service: Service, name: str) -> bool:
    """Say whether a query of a metric is not answered at once."""
    request = asyncio.create_task(service.http.get(metric_path(name)))
    finished_tasks, _ = await asyncio.wait([request], timeout=SOON)
    if not finished_tasks:
        request.cancel()
        await asyncio.wait([request])
    return not finished_tasks


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
async def test_rows_of_other_metrics_are_not_waited_for(
    stopped_service: Service, form: str
) -> None:
    """While rows of one metric wait for the engine, another metric is answered at once."""
    for _ in range(2):  # the second body of lines matches its template
        assert (await stopped_service.post(*BODIES[form])).is_success
    assert not await is_waiting(stopped_service, "known")
    assert await is_waiting(stopped_service, "other")
    assert (await stopped_service.post("/metrics", {"metric_name": "known", "value": 1})).is_success
    assert await is_waiting(stopped_service, "known")


async def test_bodies_of_several_metrics(stopped_service: Service) -> None:
    """A query waits for a body that matched templates if the body has its metric."""
    line = b'{"metric_name":"%b","value":1,"tags":{"a":"b"}}\n'
    body = line % b"one" * 100 + line % b"two"
    for _ in range(2):
        assert (await stopped_service.post("/metrics/batch", body)).is_success
    assert match_body(stopped_service.context.store.reader.templates, body)
    assert await is_waiting(stopped_service, "two")
    assert not await is_waiting(stopped_service, "known")


async def test_deletion_waits_for_everything(stopped_service: Service) -> None:
    """A deletion waits for all rows of its table, so that no deleted row comes back."""
    assert (await stopped_service.post("/metrics", {"metric_name": "other", "value": 1})).is_success
    request = asyncio.create_task(stopped_service.http.delete(metric_path("known")))
    _, pending = await asyncio.wait([request], timeout=SOON)
    assert pending
    request.cancel()
    await asyncio.wait([request])
