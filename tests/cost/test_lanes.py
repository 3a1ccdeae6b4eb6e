"""Lanes: short statements beside long ones, turns of keys, statements in the wrong lane."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import AnalyticsError
from store.cost import lanes
from store.cost.lanes import LANES, FairQueue
from store.engine import Engine
from store.query.sql import Statement
from tests.harness.stores import open_engine

LONG: Final = Statement("SELECT max(cityHash64(number)) AS rows FROM numbers(9000000000)")
SHORT: Final = Statement("SELECT 1 AS rows")
COSTS: Final = [lane.max_cost for lane in LANES[:-1]] + [1e9]


async def answer(engine: Engine, statement: Statement, cost: float, key: str = "") -> bytes:
    """Run a statement of a cost; return its answer."""
    return (await engine.answer(statement, "TSV", cost, key)).data


@pytest.mark.parametrize("cost", COSTS)
async def test_long_statements_hold_no_other_lane(tmp_path: Path, cost: float) -> None:
    """While one lane is full, a statement of any other lane is answered at once."""
    async with open_engine(tmp_path, wait_seconds=5) as engine:
        lane = next(lane for lane in LANES if cost <= lane.max_cost)
        count = lane.connections(engine.limits)
        tasks = [asyncio.create_task(answer(engine, LONG, cost)) for _ in range(count + 3)]
        await asyncio.sleep(0.05)
        for short_cost in set(COSTS) - {cost}:
            assert await answer(engine, SHORT, short_cost) == b"1\n"
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_statement_in_the_wrong_lane_moves_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that takes longer than its lane allows ends in the last lane, with its answer."""
    short_lanes = tuple(lane._replace(seconds=lane.seconds and 0.05) for lane in LANES)
    monkeypatch.setattr("store.engine.LANES", short_lanes)
    monkeypatch.setattr("store.engine._ALL_LANES", (lanes.STORE_LANE, *short_lanes))
    slow = Statement("SELECT sleepEachRow(0.1) AS rows FROM numbers(3)")
    async with open_engine(tmp_path) as engine:
        began = time.monotonic()
        assert await answer(engine, slow, 1) == b"0\n" * 3
        assert time.monotonic() - began >= 0.3
        with pytest.raises(AnalyticsError, match="rows"):
            await engine.answer(Statement("SELECT number FROM numbers(2000000)"), "TSV", 1)


async def test_keys_take_turns(tmp_path: Path) -> None:
    """A key with many waiting statements delays another key by one of them."""
    order: list[str] = []

    async def run(engine: Engine, key: str) -> None:
        await engine.answer(Statement("SELECT sleep(0.02) AS rows"), "TSV", 1e9, key)
        order.append(key)

    async with open_engine(tmp_path, long_readers=1, wait_seconds=30) as engine:
        tasks = [asyncio.create_task(run(engine, "greedy")) for _ in range(20)]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(run(engine, "modest")) for _ in range(2)]
        await asyncio.gather(*tasks)
    assert order[:5].count("modest") == 2, order


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 4))
def test_the_queue_is_fair(keys: list[str], connections: int) -> None:
    """Each caller gets a connection once, cancelled ones none, and no key waits for two turns."""

    async def run() -> None:
        queue = FairQueue[int]()
        for number in range(connections):
            queue.add(number)
        turns: list[str] = []

        async def call(key: str) -> int:
            number = await queue.get(key)
            turns.append(key)
            return number

        tasks = [asyncio.create_task(call(key)) for key in keys]
        await asyncio.sleep(0)
        assert len(turns) == min(connections, len(keys))
        waiting = tasks[connections:]
        cancelled_tasks = [task for index, task in enumerate(waiting) if index % 3 == 2]
        for task in cancelled_tasks:
            task.cancel()
        await asyncio.sleep(0)
        remaining = Counter(
            key
            for key, task in zip(keys[connections:], waiting, strict=True)
            if task not in cancelled_tasks
        )
        for task in tasks[:connections]:
            queue.add(await task)
            await asyncio.sleep(0)
        while not all(task.done() for task in tasks):
            queue.add(0)
            await asyncio.sleep(0)
        later_turns = turns[connections:]
        assert Counter(later_turns) == remaining
        for key, count in remaining.items():
            first = later_turns.index(key)
            assert first < len(remaining), (key, later_turns)
            assert later_turns.count(key) == count

    asyncio.run(run())
