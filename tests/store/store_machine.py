"""The real store, with everything that can break under it, against a plain dict.

The model knows what was acknowledged. After every step the store must say the same: what was
acknowledged is there exactly once, what was refused or deleted is not, and the ledgers agree.
"""

import asyncio
import errno
import os
import random
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from resolvers import events, metrics
from resolvers.context import Context
from schema.errors import AnalyticsError
from schema.recording import DeleteEventsInput
from schema.scalars import Instant
from store.engine import EngineError
from store.ingest.decoder import Batch, read_batch
from store.ingest.outcomes import RecordOutcome
from store.ingest.streams import SERIES_STREAM, STREAMS, TABLES, AnyStream
from store.journal.row_counts import RowCounts
from store.journal.row_ids import Position
from store.query.sql import Statement
from store.store import Store
from tests.harness.clock import DAY
from tests.harness.fault_injection import NO_FSYNC, Bench, FaultyEngine
from tests.oracle.store import ALL_ROWS, Model, Request, SentRow, TableRow

T = TypeVar("T")

NOW: Final = Instant(1_800_000_000_000)
BY_NAME: Final = {stream.name: stream for stream in STREAMS}
FOREVER: Final = 10**9

names = st.sampled_from(["a", "b"])
few_ids = st.integers(0, 9).map(lambda number: f"id-{number}")
own_ids = st.one_of(st.none(), st.just("new"), few_ids)
drawn_lines = st.tuples(names, own_ids, st.integers(1, 3))
requests = st.tuples(
    st.sampled_from(sorted(BY_NAME)),
    st.lists(drawn_lines, min_size=1, max_size=5),
    st.integers(0, 1),
)
resent_lines = st.tuples(names, few_ids, st.just(1))
resends = st.tuples(
    st.sampled_from(["metrics", "series"]),
    st.lists(resent_lines, min_size=1, max_size=8),
    st.just(0),
)


class StoreMachine(RuleBasedStateMachine):
    """Steps that a store goes through, and what must be true after each of them."""

    def __init__(self, bench: Bench) -> None:
        """Begin with a new journal folder and empty tables."""
        super().__init__()
        self.bench = bench
        bench.runs += 1
        bench.faults.heal()
        bench.faults.is_dead = False
        bench.wall.wall_offset = 0
        self.data = bench.folder / f"data-{bench.runs}"
        bench.faults.link_folder = bench.folder / f"side-{bench.runs}"
        bench.faults.link_folder.mkdir()
        self.numbered = 0
        self.model = Model()
        self.unanswered: list[Request] = []
        self.store = self._run(self._opened(empty=True))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.bench.runner.run(work)

    async def _opened(self, *, empty: bool = False) -> Store:
        if empty and self.bench.engine._connections:
            for table in TABLES:
                await self.bench.engine.write(Statement(f"TRUNCATE TABLE {table}"))
        store = Store(self.data, self.data / "store", self.bench.engine.limits, 2**30)
        store.engine = self.bench.engine
        await store.open()
        if empty and self.bench.runs == 1:  # nobody cuts the power of the engine itself
            for table in TABLES:
                text = f"ALTER TABLE {table} MODIFY SETTING {NO_FSYNC}"
                await self.bench.engine.write(Statement(text))
        self.model.counters = {stream.name: RowCounts() for stream in STREAMS}
        return store

    def teardown(self) -> None:
        """Close the store, whatever it is in the middle of."""
        self.bench.faults.heal()
        self.bench.faults.is_dead = False
        self._run(self.store.close())

    def _request(self, drawn: tuple[str, list[tuple[str, str | None, int]], int]) -> Request:
        stream: AnyStream = BY_NAME[drawn[0]]
        _, rows, bad = drawn
        made, lines = [], []
        for name, own, points in rows:
            self.numbered += 1
            key = f"k{self.numbered}"
            own_id = f"new-{self.numbered}" if own == "new" else own
            shown: dict[str, object] = {} if own_id is None else {"id": own_id}
            if stream.table == "events":
                shown |= {"event_name": name, "user_id": key}
            elif stream is SERIES_STREAM:
                shown |= {"timestamps": [10**11] * points, "values": [1] * points}
            else:
                shown |= {"value": 1}
            if stream.table == "metrics":
                shown |= {"metric_name": name, "tags": {"k": key}}
            many = points if stream is SERIES_STREAM else 1
            lines.append(SentRow(key, stream.name, stream.table, name, own_id, many))
            made.append(shown)
        for _ in range(bad):
            made.insert(0, made[-1] | {f"{stream.table[:-1]}_name": ""})
        batch: Batch[Any] = read_batch(stream.row_type, msgspec.json.encode(made), NOW)
        return Request(stream, lines, bad, batch)

    async def _send(self, sent: Request) -> RecordOutcome:
        return await self.store.record(sent.stream, sent.batch)

    def _accept(self, sent: list[Request], results: list[RecordOutcome | BaseException]) -> None:
        """Note what became of requests that were made at once."""
        for request, result in zip(sent, results, strict=True):
            books = self.model.counters[request.stream.name]
            books.received += request.points + request.bad_rows
            books.rejected += request.bad_rows
            if not isinstance(result, RecordOutcome):
                assert isinstance(result, AnalyticsError), repr(result)
                assert (result.code, bool(result.retry_after)) == ("UNAVAILABLE", True)
                books.unavailable += request.points
                continue
            new = [n for n in range(len(request.rows)) if n not in result.duplicates]
            for place, number in enumerate(new):
                line = request.rows[number]
                self.model.add(line)
                assert result.position
                if request.stream is not SERIES_STREAM:
                    position = Position(result.position.batch, result.position.row + place)
                    self.model.positions[line.key] = position
            accepted = sum(request.rows[number].points for number in new)
            assert accepted == result.points
            books.stored += accepted
            books.duplicates += request.points - accepted
        for request, result in zip(sent, results, strict=True):
            for number, first in (
                result.duplicates.items() if isinstance(result, RecordOutcome) else ()
            ):
                line = request.rows[number]
                assert line.id is not None
                key = self.model.keys_by_id[line.table, line.id]  # what it repeats is stored
                assert first.position == self.model.positions.get(key, first.position)

    @rule(drawn=requests)
    def record(self, drawn: Any) -> None:
        """Record one batch."""
        self._record([drawn])

    @rule(drawn=st.lists(requests, min_size=2, max_size=8))
    def record_at_once(self, drawn: list[Any]) -> None:
        """Record batches at once."""
        self._record(drawn)

    @rule(drawn=st.lists(resends, min_size=2, max_size=8), failing=st.sampled_from([0, 0, 1, 2]))
    def resend_at_once(self, drawn: list[Any], failing: int) -> None:
        """Record batches at once that repeat one another, and what was there before."""
        self.bench.faults.syncs = failing
        self._record(drawn)

    @rule(stream=st.sampled_from(sorted(BY_NAME)), rows=st.lists(drawn_lines, min_size=1))
    def refuse_and_crash(self, stream: str, rows: list[Any]) -> None:
        """Refuse rows behind others that the engine does not have yet, and die at once."""
        self.bench.faults.loads = FOREVER
        self._record([(stream, rows, 0)])
        self.bench.faults.syncs = 1
        self._record([(stream, rows, 0)])
        self.crash([], 0, power=False, dice=0)

    @rule(stream=st.sampled_from(sorted(BY_NAME)), name=names)
    def delete_what_waits(self, stream: str, name: str) -> None:
        """Delete rows of which some wait for an engine that can't load them."""
        self._record([(stream, [(name, None, 1)], 0)])
        self.says_the_same()
        self.bench.faults.loads = FOREVER
        self._record([(stream, [(name, None, 1)], 0)])
        self.delete(name, BY_NAME[stream].table)

    def _record(self, drawn: list[Any]) -> None:
        sent = [self._request(each) for each in drawn]
        well = self._well()

        async def send() -> list[RecordOutcome | BaseException]:
            return await asyncio.gather(*map(self._send, sent), return_exceptions=True)

        results = self._run(send())
        if well:
            assert not [result for result in results if not isinstance(result, RecordOutcome)]
        self._accept(sent, results)

    @rule(name=names, table=st.sampled_from(TABLES))
    def delete(self, name: str, table: str) -> None:
        """Delete by name. It fails before or after it is done, never in the middle."""
        faults, before = self.bench.faults, self.bench.faults.deletions
        try:
            matched = self._run(self._deleted(name, table))
        except AnalyticsError as error:
            assert error.code == "UNAVAILABLE"  # noqa: PT017 - nothing is deleted
            return
        except EngineError:
            assert faults.deletions < before
            matched = faults.timing != "before"
        if matched:
            self.model.remove(table, name)
            return
        shown = [x for x in self.model.rows.values() if (x.table, x.name) == (table, name)]
        assert not shown or before or not self._well()

    @rule(name=names, table=st.sampled_from(TABLES), dice=st.integers(0, 2**32))
    def delete_and_crash(self, name: str, table: str, dice: int) -> None:
        """Delete, and lose the power at once: what was loaded before does not come back."""
        self.delete(name, table)
        self.crash([], 0, power=True, dice=dice)

    async def _deleted(self, name: str, table: str) -> int:
        ctx = Context(store=self.store)
        if table == "events":
            return (
                await events.delete(ctx, DeleteEventsInput(where=events.name_filter(name)))
            ).matched_rows
        try:
            return (await metrics.delete(ctx, name)).matched_rows
        except AnalyticsError as error:
            if error.code == "NOT_FOUND":
                return 0
            raise

    def _well(self) -> bool:
        return self.bench.faults.is_idle and not self.store.problems()

    @rule(
        of=st.sampled_from(["syncs", "folder_syncs", "writes", "loads", "loads", "deletions"]),
        times=st.sampled_from([1, 2, 3, 8, FOREVER]),
        number=st.sampled_from([errno.EIO, errno.ENOSPC]),
        how=st.sampled_from(["before", "after", "half"]),
        share=st.floats(0, 1),
    )
    def break_something(self, of: str, times: int, number: int, how: str, share: float) -> None:
        """Let the next calls of a kind fail."""
        faults = self.bench.faults
        faults.error_number, faults.timing, faults.written_share = number, how, share
        setattr(faults, of, times)

    @rule()
    def heal(self) -> None:
        """Let everything succeed again, and wait until it does."""
        self.bench.faults.heal()
        self._run(self._recovered())

    async def _recovered(self) -> None:
        async with asyncio.timeout(60):
            while self.store.problems() or any(x.waiting for x in self.store.stream_stats()):
                await asyncio.sleep(0.001)
                await self.store.select(ALL_ROWS, TableRow)

    @rule(ahead=st.sampled_from([0, -DAY, -1000, 1000, 8 * DAY, 30 * DAY]))
    def set_clock(self, ahead: int) -> None:
        """Put the wall clock forward or back."""
        self.bench.wall.wall_offset = ahead

    @rule(engine=st.integers(0, 3))
    def restart(self, engine: int) -> None:
        """Stop in order, and start again, now and then with the engine."""
        self.bench.faults.heal()
        self._run(self._restarted(engine=not engine))

    async def _restarted(self, *, engine: bool) -> None:
        self.bench.engine.stays_open = not engine
        await self.store.close()
        if engine:
            self.bench.engine = FaultyEngine(self.bench.folder / "engine", self.bench.faults)
        self.store = await self._opened()

    @rule(
        drawn=st.lists(requests, max_size=6),
        moment=st.integers(0, 30),
        power=st.booleans(),
        dice=st.integers(0, 2**32),
    )
    def crash(self, drawn: list[Any], moment: int, *, power: bool, dice: int) -> None:
        """Die at some moment while requests are on their way, and start again.

        A power cut also loses what was not synced.
        """
        sent = [self._request(each) for each in drawn]
        results = self._run(self._die(sent, moment))
        answered = [n for n, result in enumerate(results) if result is not None]
        self._accept([sent[n] for n in answered], [r for r in results if r is not None])
        self.unanswered = [sent[n] for n, result in enumerate(results) if result is None]
        if power:
            for stream in STREAMS:
                folder = self.data / "journal" / stream.name
                self.bench.faults.cut_power(folder, random.Random(dice))
        self.bench.faults.heal()
        self.bench.faults.is_dead = False
        self.store = self._run(self._opened())

    async def _die(
        self, sent: list[Request], moment: int
    ) -> list[RecordOutcome | BaseException | None]:
        tasks = [asyncio.create_task(self._send(each)) for each in sent]
        for n in range(moment):
            await asyncio.sleep(0.0003 if n % 5 == 4 else 0)
        self.bench.faults.is_dead = True
        results: list[RecordOutcome | BaseException | None] = [
            (task.exception() or task.result()) if task.done() else None for task in tasks
        ]
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others - self.bench.engine.partial_deletions:
            task.cancel()
        if others:
            await asyncio.wait(others)
        for log in self.store._journals.values():
            await asyncio.to_thread(log._thread.shutdown)
            if log._current:
                os.close(log._current.fd)
        assert self.store._lock_fd
        os.close(self.store._lock_fd)
        return results

    @invariant()
    def says_the_same(self) -> None:
        """Compare what is stored with what must be."""
        self.bench.steps += 1
        well = self._well()
        found = self._run(self.store.select(ALL_ROWS, TableRow))
        waits = any(account.waiting for account in self.store.stream_stats())
        assert not (waits and well)
        if not (waits or well):  # it may have recovered only after it was asked
            found = self._run(self.store.select(ALL_ROWS, TableRow))
        rows = Counter(row.key for row in found)
        if not waits:
            self._settle_doubts(rows)
        expected = Counter({line.key: line.points for line in self.model.rows.values()})
        if waits:
            doubtful = {line.key for request in self.unanswered for line in request.rows}
            rows = Counter({key: number for key, number in rows.items() if key not in doubtful})
            assert rows <= expected, f"more than was acknowledged: {rows - expected}"
        else:
            assert rows == expected, f"more: {rows - expected}, lost: {expected - rows}"
            assert {row.key for row in found if row.id} == set(self.model.keys_by_id.values())
        for row in found:
            place = Position(row.batch, row.row)
            assert self.model.positions.get(row.key, place) == place
        for account in self.store.stream_stats():
            assert account.counts == self.model.counters[account.stream], account
            assert account.counts.pending == 0
            here = account.loaded + account.waiting + account.set_aside
            assert account.counts.stored + account.recovered == here, account
            assert account.set_aside == 0

    def _settle_doubts(self, rows: Counter[str]) -> None:
        """Find out about requests that a crash left without an answer: whole, or not there."""
        ids = Counter((x.table, x.id) for request in self.unanswered for x in request.rows)
        for request in self.unanswered:
            alone = [
                rows[line.key] > 0
                for line in request.rows
                if line.id is None
                or (
                    ids[line.table, line.id] == 1
                    and (line.table, line.id) not in self.model.keys_by_id
                )
            ]
            assert len(set(alone)) <= 1, f"a part of {request} is stored"
        for request in self.unanswered:
            for line in request.rows:
                assert rows[line.key] in {0, line.points}
                if rows[line.key]:
                    self.model.add(line)
        self.unanswered = []
