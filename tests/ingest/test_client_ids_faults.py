"""Client ids when something breaks: what is refused is forgotten, what is stored counts once.

Below the doors, on stores that fail, restart, grow old, or have no memory to speak of.
"""

import asyncio
import dataclasses
import random
import threading
from pathlib import Path
from typing import Final

import pytest

from schema.errors import AnalyticsError
from store.ingest.client_ids import ClientIds
from store.ingest.id_hashes import hash_ids
from store.ingest.outcomes import Original, RecordOutcome
from store.loader import Loader
from store.store import Store
from tests.harness.clock import HOUR, ManualClock
from tests.harness.resends import await_stored_ids, count_outcomes, row, send, send_series
from tests.harness.stores import (
    LIMITS,
    append_lines,
    assert_counters_balance,
    journal_lines,
    open_store,
    stored_keys,
    table_counts,
    wait_until,
)
from tests.store.test_journal import FailingSync

SYNC: Final = "store.journal.journal._sync_data"
WEEK: Final = 7 * 24  # hours, for which an id is remembered: what the README promises
SENT: Final = (
    *((0, "old"), (24, "young"), (WEEK - 1, "old"), (WEEK + 1, "young"), (WEEK + 23, "young")),
    *((WEEK + 72, "old"), (WEEK + 72, "young")),
)
"""What is sent at which hour."""


@pytest.mark.parametrize("failing", [(1,), (1, 2), (2,), (1, 2, 3)])
@pytest.mark.parametrize("memory", ["learned", "not learned", "suspected"])
async def test_row_that_was_not_written_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: tuple[int, ...], memory: str
) -> None:
    """Of concurrent requests with one id none is told that it is stored unless it is."""
    if memory == "not learned":
        monkeypatch.setattr(ClientIds, "start", lambda _: None)
    async with open_store(tmp_path / "data") as store:
        if memory == "learned":
            await await_stored_ids(store)
        if memory == "suspected":
            store._ids["metrics"]._recent.add(hash_ids(["x"]), 0)
        await append_lines(store, journal_lines(["before"]), 1)
        monkeypatch.setattr(SYNC, FailingSync(*failing))
        for _ in range(4):
            results = await asyncio.gather(
                *(send(store, row("x")) for _ in range(5)),
                send(store, row("y"), row("x")),
                return_exceptions=True,
            )
            there = await stored_keys(store)
            assert len(there) == len(set(there))
            accepted, known, refused = count_outcomes(list(results))
            assert ("x" in there) or (accepted, known, refused) == (0, 0, 6)
            assert ("y" in there) or isinstance(results[-1], AnalyticsError)
            told = [
                first.position
                for result in results[:-1]
                if isinstance(result, RecordOutcome)
                for first in result.duplicates.values()
            ]
            assert len(set(told)) <= 1
        assert sorted(await stored_keys(store)) == ["before", "x", "y"]
        await assert_counters_balance(store)


async def test_resend_after_a_failed_write_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused batch is a new batch when it comes again; then it is a duplicate."""
    async with open_store(tmp_path / "data") as store:
        await await_stored_ids(store)
        monkeypatch.setattr(SYNC, FailingSync(1, 3))
        for _ in range(2):
            with pytest.raises(AnalyticsError):
                await send(store, row("a"), row("b"), row("none", ""))
            assert await stored_keys(store) == []
        assert (await send(store, row("a"), row("b"), row("none", ""))).points == 3
        again = await send(store, row("b"), row("a"))
        assert (again.points, sorted(again.duplicates)) == (0, [0, 1])
        assert await stored_keys(store) == ["a", "b", "none"]
        await assert_counters_balance(store)


async def test_refused_batch_leaves_nothing_though_others_came_with_it(tmp_path: Path) -> None:
    """Batches with common ids, one of which does not fit: none that is refused is stored."""
    async with open_store(tmp_path / "data", cap=2_000) as store:
        store._ids["metrics"]._recent.add(hash_ids(["x"]), 0)
        small = [row("x"), row("none", "")]
        large = [row("x"), *(row(f"large-{n}") for n in range(100))]
        first, second = await asyncio.gather(
            send(store, *small), send(store, *large), return_exceptions=True
        )
        assert count_outcomes([second]) == (0, 0, 1)
        expected = 0 if isinstance(first, BaseException) else 2
        assert len(await stored_keys(store)) == expected
        if not expected:
            assert (await send(store, *small)).points == 2
        assert await stored_keys(store) == ["x", "none"]
        await assert_counters_balance(store)


async def test_refused_batch_leaves_nothing_though_the_other_journal_took_its_part(
    tmp_path: Path,
) -> None:
    """Points and series share their ids, but not their disk: who is refused has stored nothing."""
    async with open_store(tmp_path / "data") as store:
        store._ids["metrics"]._recent.add(hash_ids(["x"]), 0)
        folder = store._journals["series"]._folder
        hidden = folder.rename(folder.with_name("hidden"))  # the journal of series can't write
        points, series = await asyncio.gather(
            send(store, row("x"), row("none", "")), send_series(store, "x", "y"),
            return_exceptions=True,
        )  # fmt: skip
        hidden.rename(folder)
        assert count_outcomes([series]) == (0, 0, 1)
        expected = 0 if isinstance(points, BaseException) else 2
        assert len(await stored_keys(store)) == expected
        if not expected:
            assert (await send(store, row("x"), row("none", ""))).points == 2
        assert await stored_keys(store) == ["x", "none"]
        await assert_counters_balance(store)


@pytest.mark.parametrize("suspected", [False, True])
async def test_request_whose_caller_went_away_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suspected: bool
) -> None:
    """A caller that gives up while its row is being written, and sends it again, is no second."""
    entered, release = threading.Event(), threading.Event()

    def held(fd: int) -> None:
        entered.set()
        assert release.wait(30)
        FailingSync()(fd)

    async with open_store(tmp_path / "data") as store:
        await await_stored_ids(store)
        if suspected:
            store._ids["metrics"]._recent.add(hash_ids(["x"]), 0)
        monkeypatch.setattr(SYNC, held)
        given_up = asyncio.create_task(send(store, row("x")))
        await wait_until(entered.is_set)
        given_up.cancel()
        await asyncio.wait([given_up])
        again = asyncio.create_task(send(store, row("x")))
        await asyncio.sleep(0.1)
        release.set()
        await again
        assert await stored_keys(store) == ["x"]
        await assert_counters_balance(store)


def held_back(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let no memory learn the stored ids until the event is set."""
    learn, go = ClientIds._read_stored_ids, asyncio.Event()

    async def slowly(ids: ClientIds) -> None:
        await go.wait()
        await learn(ids)

    monkeypatch.setattr(ClientIds, "_read_stored_ids", slowly)
    return go


@pytest.mark.parametrize("known", [False, True])
async def test_ids_outlive_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """After a restart a row is known again, even before all ids were learned again."""
    data = tmp_path / "data"
    rows = [row(f"{n}") for n in range(50)]
    async with open_store(data) as store:
        await send(store, *rows[:30])
        await send_series(store, "s1", "s2")
        await assert_counters_balance(store)
        before = await table_counts(store)
    go = held_back(monkeypatch)
    async with open_store(data) as store:
        if known:
            go.set()
            await await_stored_ids(store)
        results = await asyncio.gather(*(send(store, *rows[n : n + 10]) for n in range(0, 50, 5)))
        assert sum(result.points for result in results) == 20
        assert len((await send(store, row("s1"), row("s2"))).duplicates) == 2
        assert (await send_series(store, "s2", "1", "s3")).points == 1
        if not known:
            assert not any(ids.is_ready for ids in store._ids.values())
            go.set()
            await await_stored_ids(store)
        assert not (await send(store, *rows)).points
        assert sorted(await stored_keys(store)) == sorted([*map(str, range(50)), "s1", "s2", "s3"])
        await assert_counters_balance(store, before)


async def test_many_ids_wait_until_those_before_the_start_are_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large batch right after a start is not looked up id by id, and counts once all the same."""
    data = tmp_path / "data"
    rows = [row(f"{n}") for n in range(2_000)]
    async with open_store(data) as store:
        await send(store, *rows[:1_500])
        before = await table_counts(store)
    go, asked = held_back(monkeypatch), []

    async def find(ids: ClientIds, some: set[str]) -> dict[str, Original]:
        asked.append(len(some))
        return await look_up(ids, some)

    look_up = ClientIds._find_originals
    monkeypatch.setattr(ClientIds, "_find_originals", find)
    async with open_store(data) as store:
        large = [asyncio.create_task(send(store, *rows[n:])) for n in (1_000, 1_200, 1_400)]
        small = await send(store, *rows[1_450:1_550])
        assert (small.points, len(small.duplicates)) == (50, 50)
        assert asked == [100]
        assert not any(task.done() for task in large)
        go.set()
        results = await asyncio.gather(*large)
        assert sum(result.points for result in results) == 450
        assert sorted(await stored_keys(store)) == sorted(map(str, range(2_000)))
        await assert_counters_balance(store, before)


async def test_many_ids_are_refused_for_now_if_learning_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large batch is told to come back, and is not stored; a small one is looked up meanwhile."""
    monkeypatch.setattr(ClientIds, "start", lambda _: None)
    rows = [row(f"{n}") for n in range(101)]
    async with open_store(
        tmp_path / "data", dataclasses.replace(LIMITS, wait_seconds=0.3)
    ) as store:
        with pytest.raises(AnalyticsError, match=r"ids of metrics .* read") as refusal:
            await send(store, *rows)
        assert (refusal.value.code, refusal.value.retry_after) == ("UNAVAILABLE", 5)
        assert await stored_keys(store) == []
        await assert_counters_balance(store)
        assert (await send(store, *rows[1:])).points == 100
        await assert_counters_balance(store)


async def test_ids_of_a_journal_that_was_left_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that only the journal had when the process ended are duplicates at once."""
    data = tmp_path / "data"

    async def never(_: Loader) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(Loader, "_gather", never)
        store = Store(data, data / "store", LIMITS, 2**30)
        await store.open()
        await send(store, row("a"), row("b"))
        await store.close(seconds=0)
    async with open_store(data) as store:
        again = await send(store, row("b"), row("c"), row("a"))
        assert (again.points, sorted(again.duplicates)) == (1, [0, 2])
        assert await stored_keys(store) == ["a", "b", "c"]
        await assert_counters_balance(store, {"metrics": 2})


@pytest.mark.parametrize("clock_works", [True, False])
async def test_window_is_seven_days(tmp_path: Path, wall: ManualClock, clock_works: bool) -> None:
    """A row is known for seven days, whatever the wall clock says; after ten it may come again."""
    answers = []
    now = 0
    async with open_store(tmp_path / "data") as store:
        for hours, key in SENT:
            wall.wait((hours - now) * HOUR)
            now = hours
            if not clock_works:
                wall.wall_offset = random.choice((-1, 1)) * random.randrange(100 * 24 * HOUR)
            answers.append((await send(store, row(key))).points)
            await stored_keys(store)  # seals the segment: it has the time of its first row
        assert answers == [1, 1, 0, 0, 0, 1, 0]
        await assert_counters_balance(store)


async def test_window_is_at_least_seven_days_over_restarts(
    tmp_path: Path, wall: ManualClock
) -> None:
    """A row is known for seven days though the service is started again and again."""
    data = tmp_path / "data"
    for hours in range(0, WEEK, 24):
        async with open_store(data) as store:
            assert (await send(store, row("old"), row(f"{hours}"))).points == (1 if hours else 2)
        wall.wait(24 * HOUR - 1000)
    async with open_store(data) as store:
        await await_stored_ids(store)
        assert (await send(store, row("old"))).points == 0


async def test_busy_hours_of_long_ago_are_not_learned(tmp_path: Path, wall: ManualClock) -> None:
    """A start reads the ids of 192 hours with rows, not all that there are."""
    async with open_store(tmp_path / "data") as store:
        for hour in range(200):
            await send(store, row(f"{hour}"))
            await stored_keys(store)
            wall.wait(HOUR)
    async with open_store(tmp_path / "data") as store:
        await await_stored_ids(store)
        assert (await send(store, row("199"), row("8"))).points == 0
        assert (await send(store, row("7"))).points == 1


@pytest.mark.parametrize("memory", [1, LIMITS.id_memory_bytes])
async def test_memory_that_is_full_of_ids_still_tells_exactly(tmp_path: Path, memory: int) -> None:
    """With no memory to speak of every id is suspected, and the answers are the same."""
    limits = dataclasses.replace(LIMITS, id_memory_bytes=memory)
    async with open_store(tmp_path / "data", limits) as store:
        await await_stored_ids(store)
        old = [row(f"{n}") for n in range(20_000)]
        assert (await send(store, *old)).points == 20_000
        mixed = [row(f"{n}") for n in range(19_000, 21_000)]
        random.shuffle(mixed)
        results = await asyncio.gather(*(send(store, *mixed[n::4]) for n in range(4)))
        assert sum(result.points for result in results) == 1_000
        assert not (await send(store, *mixed)).points
        assert sorted(await stored_keys(store)) == sorted(str(n) for n in range(21_000))
        await assert_counters_balance(store)


async def test_duplicates_are_no_expensive_query(tmp_path: Path) -> None:
    """Limits on queries are for those who ask: a row that comes again never breaks one."""
    limits = dataclasses.replace(LIMITS, rows_to_read=3)
    async with open_store(tmp_path / "data", limits) as store:
        await await_stored_ids(store)
        await send(store, *(row(f"{n}") for n in range(10)))
        try:
            again = await send(store, row("1"))
        except AnalyticsError as error:
            assert error.code == "UNAVAILABLE", error  # noqa: PT017 - either is fine
        else:
            assert not again.points
