"""Client ids on faults: unavailable rows are forgotten, stored rows count once.

The tests use stores that fail, restart, grow old, or have little memory, without an API.
"""

import asyncio
import dataclasses
import random
import threading
from pathlib import Path
from typing import Final

import pytest

from schema.errors import AnalyticsError
from store.ingest.client_ids import ClientId, ClientIds
from store.ingest.id_hashes import hash_ids
from store.ingest.outcomes import Original, RecordOutcome
from store.loader import Loader
from store.store import Store
from tests.harness.clock import HOUR, ManualClock
from tests.harness.fault_injection import FailingSync
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

SYNC: Final = "store.journal.open_segment._sync_data"
WEEK: Final = 7 * 24  # hours for which an id is remembered, as the README promises
SCHEDULE: Final = (
    *((0, "old"), (24, "young"), (WEEK - 1, "old"), (WEEK + 1, "young"), (WEEK + 23, "young")),
    *((WEEK + 72, "old"), (WEEK + 72, "young")),
)
"""Hours, and the key of the row to send at each."""


@pytest.mark.parametrize("failing", [(1,), (1, 2), (2,), (1, 2, 3)])
@pytest.mark.parametrize("memory", ["learned", "not learned", "suspected"])
async def test_row_that_was_not_written_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: tuple[int, ...], memory: str
) -> None:
    """No concurrent request with one id is answered as stored unless the row is stored."""
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
            keys = await stored_keys(store)
            assert len(keys) == len(set(keys))
            accepted, duplicates, unavailable = count_outcomes(list(results))
            assert ("x" in keys) or (accepted, duplicates, unavailable) == (0, 0, 6)
            assert ("y" in keys) or isinstance(results[-1], AnalyticsError)
            originals = [
                first.position
                for result in results[:-1]
                if isinstance(result, RecordOutcome)
                for first in result.duplicates.values()
            ]
            assert len(set(originals)) <= 1
        assert sorted(await stored_keys(store)) == ["before", "x", "y"]
        await assert_counters_balance(store)


async def test_resend_after_a_failed_write_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unavailable batch is accepted when it comes again, and a duplicate after that."""
    async with open_store(tmp_path / "data") as store:
        await await_stored_ids(store)
        monkeypatch.setattr(SYNC, FailingSync(1, 3))
        for _ in range(2):
            with pytest.raises(AnalyticsError):
                await send(store, row("a"), row("b"), row("none", ""))
            assert await stored_keys(store) == []
        assert (await send(store, row("a"), row("b"), row("none", ""))).points == 3
        outcome = await send(store, row("b"), row("a"))
        assert (outcome.points, sorted(outcome.duplicates)) == (0, [0, 1])
        assert await stored_keys(store) == ["a", "b", "none"]
        await assert_counters_balance(store)


async def test_refused_batch_leaves_nothing_though_others_came_with_it(tmp_path: Path) -> None:
    """Of two batches with common ids one is too large; an unavailable batch stores nothing."""
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
    """Points and series share ids but no journal; an unavailable request stores nothing."""
    async with open_store(tmp_path / "data") as store:
        store._ids["metrics"]._recent.add(hash_ids(["x"]), 0)
        folder = store._journals["series"]._folder
        # Without its folder the journal of series cannot write.
        hidden_folder = folder.rename(folder.with_name("hidden"))
        points, series = await asyncio.gather(
            send(store, row("x"), row("none", "")), send_series(store, "x", "y"),
            return_exceptions=True,
        )  # fmt: skip
        hidden_folder.rename(folder)
        assert count_outcomes([series]) == (0, 0, 1)
        expected = 0 if isinstance(points, BaseException) else 2
        assert len(await stored_keys(store)) == expected
        if not expected:
            assert (await send(store, row("x"), row("none", ""))).points == 2
        assert await stored_keys(store) == ["x", "none"]
        await assert_counters_balance(store)


@pytest.mark.parametrize("is_suspected", [False, True])
async def test_request_whose_caller_went_away_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_suspected: bool
) -> None:
    """A row whose caller gave up during the write, and sent it again, counts once."""
    has_entered, release = threading.Event(), threading.Event()

    def wait_and_sync(fd: int) -> None:
        has_entered.set()
        assert release.wait(30)
        FailingSync()(fd)

    async with open_store(tmp_path / "data") as store:
        await await_stored_ids(store)
        if is_suspected:
            store._ids["metrics"]._recent.add(hash_ids(["x"]), 0)
        monkeypatch.setattr(SYNC, wait_and_sync)
        first_request = asyncio.create_task(send(store, row("x")))
        await wait_until(has_entered.is_set)
        first_request.cancel()
        await asyncio.wait([first_request])
        second_request = asyncio.create_task(send(store, row("x")))
        await asyncio.sleep(0.1)
        release.set()
        await second_request
        assert await stored_keys(store) == ["x"]
        await assert_counters_balance(store)


def delay_learning(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Delay the reading of stored ids until the event is set."""
    learn, may_learn = ClientIds._read_stored_ids, asyncio.Event()

    async def wait_and_learn(ids: ClientIds) -> None:
        await may_learn.wait()
        await learn(ids)

    monkeypatch.setattr(ClientIds, "_read_stored_ids", wait_and_learn)
    return may_learn


@pytest.mark.parametrize("is_learned", [False, True])
async def test_ids_outlive_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_learned: bool
) -> None:
    """After a restart a stored row is a duplicate, even before all ids are read."""
    data = tmp_path / "data"
    rows = [row(f"{n}") for n in range(50)]
    async with open_store(data) as store:
        await send(store, *rows[:30])
        await send_series(store, "s1", "s2")
        await assert_counters_balance(store)
        before = await table_counts(store)
    may_learn = delay_learning(monkeypatch)
    async with open_store(data) as store:
        if is_learned:
            may_learn.set()
            await await_stored_ids(store)
        results = await asyncio.gather(*(send(store, *rows[n : n + 10]) for n in range(0, 50, 5)))
        assert sum(result.points for result in results) == 20
        assert len((await send(store, row("s1"), row("s2"))).duplicates) == 2
        assert (await send_series(store, "s2", "1", "s3")).points == 1
        if not is_learned:
            assert not any(ids.is_ready for ids in store._ids.values())
            may_learn.set()
            await await_stored_ids(store)
        assert not (await send(store, *rows)).points
        assert sorted(await stored_keys(store)) == sorted([*map(str, range(50)), "s1", "s2", "s3"])
        await assert_counters_balance(store, before)


async def test_many_ids_wait_until_those_before_the_start_are_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large batch right after a start waits for the ids instead of a look-up, and counts once."""
    data = tmp_path / "data"
    rows = [row(f"{n}") for n in range(2_000)]
    async with open_store(data) as store:
        await send(store, *rows[:1_500])
        before = await table_counts(store)
    may_learn, lookup_sizes = delay_learning(monkeypatch), []

    async def find(ids: ClientIds, client_ids: set[ClientId]) -> dict[ClientId, Original]:
        lookup_sizes.append(len(client_ids))
        return await look_up(ids, client_ids)

    look_up = ClientIds._find_originals
    monkeypatch.setattr(ClientIds, "_find_originals", find)
    async with open_store(data) as store:
        large = [asyncio.create_task(send(store, *rows[n:])) for n in (1_000, 1_200, 1_400)]
        small = await send(store, *rows[1_450:1_550])
        assert (small.points, len(small.duplicates)) == (50, 50)
        assert lookup_sizes == [100]
        assert not any(task.done() for task in large)
        may_learn.set()
        results = await asyncio.gather(*large)
        assert sum(result.points for result in results) == 450
        assert sorted(await stored_keys(store)) == sorted(map(str, range(2_000)))
        await assert_counters_balance(store, before)


async def test_many_ids_are_refused_for_now_if_learning_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large batch is unavailable for now and not stored; a small batch is looked up."""
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


async def test_cancelled_wait_for_the_ids_counts_its_rows_as_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that is cancelled before the stored ids are read leaves no rows pending."""
    monkeypatch.setattr(ClientIds, "start", lambda _: None)
    async with open_store(tmp_path / "data") as store:
        request = asyncio.create_task(send(store, *(row(f"{n}") for n in range(101))))
        await wait_until(lambda: store.row_counts["metrics"].pending == 101)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await assert_counters_balance(store)
        assert store.row_counts["metrics"].unavailable == 101


async def test_ids_of_a_journal_that_was_left_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that only the journal held at the process's end are duplicates at once."""
    data = tmp_path / "data"

    async def wait_forever(_: Loader) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(Loader, "_gather", wait_forever)
        store = Store(data, data / "store", LIMITS, 2**30, 100_000)
        await store.open()
        await send(store, row("a"), row("b"))
        await store.close(seconds=0)
    async with open_store(data) as store:
        outcome = await send(store, row("b"), row("c"), row("a"))
        assert (outcome.points, sorted(outcome.duplicates)) == (1, [0, 2])
        assert await stored_keys(store) == ["a", "b", "c"]
        await assert_counters_balance(store, {"metrics": 2})


@pytest.mark.parametrize("clock_works", [True, False])
async def test_window_is_seven_days(tmp_path: Path, wall: ManualClock, clock_works: bool) -> None:
    """A row is a duplicate for seven days on any wall clock; after ten days it may count again."""
    answers = []
    now = 0
    async with open_store(tmp_path / "data") as store:
        for hours, key in SCHEDULE:
            wall.wait((hours - now) * HOUR)
            now = hours
            if not clock_works:
                wall.wall_offset = random.choice((-1, 1)) * random.randrange(100 * 24 * HOUR)
            answers.append((await send(store, row(key))).points)
            await stored_keys(store)  # seals the segment, whose time is the time of its first row
        assert answers == [1, 1, 0, 0, 0, 1, 0]
        await assert_counters_balance(store)


async def test_window_is_at_least_seven_days_over_restarts(
    tmp_path: Path, wall: ManualClock
) -> None:
    """A row is a duplicate for seven days, over daily restarts."""
    data = tmp_path / "data"
    for hours in range(0, WEEK, 24):
        async with open_store(data) as store:
            assert (await send(store, row("old"), row(f"{hours}"))).points == (1 if hours else 2)
        wall.wait(24 * HOUR - 1000)
    async with open_store(data) as store:
        await await_stored_ids(store)
        assert (await send(store, row("old"))).points == 0


async def test_busy_hours_of_long_ago_are_not_learned(tmp_path: Path, wall: ManualClock) -> None:
    """A start reads the ids of the last 192 hours with rows, not all ids."""
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
async def test_duplicates_are_exact_with_little_memory(tmp_path: Path, memory: int) -> None:
    """With little memory every id is suspected, and the answers are the same."""
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
    """The limits of queries hold for readers; a row that comes again never breaks one."""
    limits = dataclasses.replace(LIMITS, rows_to_read=3)
    async with open_store(tmp_path / "data", limits) as store:
        await await_stored_ids(store)
        await send(store, *(row(f"{n}") for n in range(10)))
        try:
            outcome = await send(store, row("1"))
        except AnalyticsError as error:
            assert error.code == "UNAVAILABLE", error  # noqa: PT017 - either is fine
        else:
            assert not outcome.points
