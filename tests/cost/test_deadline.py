"""The deadline of a request: one for all of its statements, whatever they are."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from settings import Settings
from store.query.sql import Statement
from tests.harness.access import error_code
from tests.harness.service import Service, run_service
from tests.harness.stores import Rows

SECONDS: Final = 1
SLOW: Final = Statement("SELECT sum(sleepEachRow(0.1)) AS rows FROM numbers(7)")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hasty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Run a service whose requests have a second."""
    data: Path = tmp_path_factory.mktemp("deadline")
    limits = {"requestSeconds": SECONDS}
    async with run_service(Settings(data=data, store=data / "store", limits=limits)) as service:
        yield service


async def test_statements_share_the_deadline(hasty: Service) -> None:
    """A second statement of 0.7 s is stopped at one second; another request has its own."""
    for _ in range(2):
        batch = hasty.context.for_request().batch
        began = time.monotonic()
        await batch.select(SLOW, Rows)
        with pytest.raises(Exception, match="too many seconds") as refusal:
            await batch.select(SLOW, Rows)
        assert time.monotonic() - began < 2 * 0.7 + 1
        assert getattr(refusal.value, "code", None) == "QUERY_TOO_EXPENSIVE"
        assert getattr(refusal.value, "limit", None) == SECONDS
        with pytest.raises(Exception, match="too many seconds"):
            await batch.select(Statement("SELECT 1 AS rows"), Rows)


async def test_a_request_of_many_heavy_fields_ends(hasty: Service) -> None:
    """Forty heavy trends end at the deadline, also those that are asked one by one."""
    events = [{"event_name": "e", "properties": {"text": "x" * 2000}} for _ in range(20_000)]
    for start in range(0, len(events), 5_000):
        assert (await hasty.post("/events/batch", events[start : start + 5_000])).is_success
    pattern = "(x+x+)+y.*z" * 8
    where = f'where: {{property: {{key: "text", string: {{matches: "{pattern}"}}}}}}'
    trends = " ".join(
        f't{n}: eventTrend(range: {{last: "PT{n + 1}H"}}, {where}) {{series {{total {{count}}}}}}'
        for n in range(40)
    )
    began = time.monotonic()
    answer = await hasty.http.post("/graphql", json={"query": f"{{{trends}}}"})
    seconds = time.monotonic() - began
    assert seconds < 5 * SECONDS
    assert error_code(answer) in {"QUERY_TOO_EXPENSIVE", None}
    assert (await hasty.http.get("/metrics")).status_code == 200
