"""A journal at its cap: writes are unavailable until the engine has caught up."""

import asyncio
from itertools import pairwise
from pathlib import Path

from settings import Settings
from tests.faults.writers import SentBatch, audit_rows, is_acknowledged
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service, run_service
from tests.harness.stores import wait_until

CAP = 40_000
BATCH = 50


async def write(
    service: Service, name: str, batches: dict[str, SentBatch], is_over: asyncio.Event
) -> None:
    """Send one batch after the other until the event is set."""
    number = 0
    while not is_over.is_set():
        key = f"{name}-{number}"
        number += 1
        points = [
            {"metric_name": "fault", "value": 1, "tags": {"k": f"{key}/{n}"}} for n in range(BATCH)
        ]
        request = batches[key] = SentBatch("metrics", BATCH)
        answer = await service.post("/metrics/batch", points)
        request.answer = "acknowledged" if is_acknowledged(answer, BATCH) else "unavailable"
        if request.answer == "unavailable":
            assert answer.json()["errors"][0]["extensions"]["limit"] == CAP
            await asyncio.sleep(0.05)


async def test_writers_that_outrun_the_engine_are_refused_and_lose_nothing(tmp_path: Path) -> None:
    """Writes get a 503 with Retry-After at the cap, and 200 again after the engine catches up."""
    data = tmp_path / "data"
    batches: dict[str, SentBatch] = {}
    is_over = asyncio.Event()

    def changes() -> int:
        answers = [batch.answer for batch in batches.values() if batch.answer != "none"]
        return sum(a != b for a, b in pairwise(answers))

    settings = Settings(data=data, store=data / "store", journal_bytes=CAP)
    async with run_service(settings) as service:
        async with asyncio.TaskGroup() as tasks:
            for n in range(8):
                tasks.create_task(write(service, str(n), batches, is_over))
            try:
                for turn in range(1, short_or_long(2, 20)):
                    await wait_until(lambda turn=turn: changes() > turn * 20)  # type: ignore[misc]
                    assert (await service.http.get("/metrics/fault")).status_code == 200
            finally:
                is_over.set()
        total = (await service.http.get("/dashboard")).json()["total_metrics_tracked"]
    await audit_rows(data, batches, {"metrics": total, "events": 0})
