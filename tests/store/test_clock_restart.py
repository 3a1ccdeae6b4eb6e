"""Jumps of the wall clock between one process and the next."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resolvers.context import Context
from schema.ranges import TimeRangeInput
from schema.scalars import DurationMs
from store.ingest.decoder import read_batch
from store.ingest.streams import METRIC_STREAM
from tests.harness.clock import DAY, HOUR, ManualClock
from tests.harness.resends import row, send
from tests.harness.run_profile import short_or_long
from tests.harness.stores import leave_segments, open_store, stored_keys

SETTINGS = settings(
    deadline=None,
    max_examples=short_or_long(5, 15),
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

offsets = st.sampled_from(
    [0, -1, 1, 60_000, -60_000, HOUR, -HOUR, 8 * DAY, -8 * DAY, 30 * DAY, -300 * DAY]
)


@pytest.mark.parametrize("crash", [False, True])
async def test_newest_arrival_survives_a_restart(
    tmp_path: Path, wall: ManualClock, crash: bool
) -> None:
    """After a restart with the clock set back, ranges still include the earlier rows."""
    data = tmp_path / "data"
    async with open_store(data) as store:
        for key in ("a", "b"):
            now = Context(store).now()
            body = msgspec.json.encode([row(key)])
            await store.record(METRIC_STREAM, read_batch(METRIC_STREAM.row_type, body, now), now)
            wall.wait(400)
        newest = store.arrivals._newest
        assert await stored_keys(store) == ["a", "b"]
    if crash:
        segments = await leave_segments(data / "journal" / "metrics", ["c"])
        newest = max(path.stat().st_mtime_ns // 1_000_000 for path in segments)
    wall.wall_offset -= HOUR
    async with open_store(data) as store:
        time_range = Context(store).resolve_range(TimeRangeInput(last=DurationMs(HOUR)))
        assert newest < time_range.to <= newest + 60_000


steps = st.lists(
    st.one_of(st.integers(0, 5), offsets.map(lambda ms: ("set", ms)), st.just("restart")),
    max_size=12,
)


@SETTINGS
@given(steps=steps)
async def test_ids_count_once_over_jumps_and_restarts(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, steps: list[Any]
) -> None:
    """Each id counts once over restarts and jumps of the clock of up to a month ahead."""
    data = tmp_path_factory.mktemp("data") / "data"
    with monkeypatch.context() as patch:
        wall = ManualClock(patch)
        recorded_ids: set[int] = set()
        for run in _runs(steps):
            async with open_store(data) as store:
                for step in run:
                    if isinstance(step, tuple):
                        wall.wall_offset = step[1]
                        continue
                    answer = await send(store, row(f"{step}"))
                    assert answer.points == (step not in recorded_ids)
                    recorded_ids.add(step)
                assert sorted(await stored_keys(store)) == sorted(map(str, recorded_ids))


def _runs(steps: list[Any]) -> Iterator[list[Any]]:
    """Split steps at the restarts."""
    run: list[Any] = []
    for step in [*steps, "restart"]:
        if step == "restart":
            yield run
            run = []
        else:
            run.append(step)
