"""A state machine of the real store with injected faults, compared with a plain dict.

The model holds the acknowledged rows. After every step each acknowledged row is stored exactly
once, no unavailable or deleted row is stored, and the row counters agree.
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
from store.ingest.decoder import Batch, read_batch
from store.ingest.outcomes import RecordOutcome
from store.ingest.streams import SERIES_STREAM, STREAMS, TABLES, AnyStream
from store.journal.row_counts import RowCounts
from store.journal.row_ids import Position
from store.query.sql import Statement
from store.store import Store
from tests.harness.clock import DAY
from tests.harness.fault_injection import NO_FSYNC, FaultRig, FaultyEngine
from tests.oracle.store import ALL_ROWS, Model, Request, SentRow, TableRow, select_all_rows

T = TypeVar("T")
Result = RecordOutcome | BaseException

NOW: Final = Instant(1_800_000_000_000)
BY_NAME: Final = {stream.name: stream for stream in STREAMS}
FOREVER: Final = 10**9

names = st.sampled_from(["a", "b"])
few_ids = st.integers(0, 9).map(lambda number: f"id-{number}")
client_ids = st.one_of(st.none(), st.just("new"), few_ids)
row_drafts = st.tuples(names, client_ids, st.integers(1, 3))
request_drafts = st.tuples(
    st.sampled_from(sorted(BY_NAME)),
    st.lists(row_drafts, min_size=1, max_size=5),
    st.integers(0, 1),
)
resent_row_drafts = st.tuples(names, few_ids, st.just(1))
resend_drafts = st.tuples(
    st.sampled_from(["metrics", "series"]),
    st.lists(resent_row_drafts, min_size=1, max_size=8),
    st.just(0),
)


class StoreMachine(RuleBasedStateMachine):
    """Steps of a store, and the comparison with the model after each step."""

    def __init__(self, rig: FaultRig) -> None:
        """Start with a new journal folder and empty tables."""
        super().__init__()
        self.rig = rig
        rig.runs += 1
        rig.faults.heal()
        rig.faults.is_dead = False
        rig.wall.wall_offset = 0
        self.data = rig.folder / f"data-{rig.runs}"
        rig.faults.link_folder = rig.folder / f"side-{rig.runs}"
        rig.faults.link_folder.mkdir()
        self.row_number = 0
        self.model = Model()
        self.pending_requests: list[Request] = []
        self.store = self._run(self._open_store(empty=True))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.rig.runner.run(work)

    async def _open_store(self, *, empty: bool = False) -> Store:
        if empty and self.rig.engine._connections:
            for table in TABLES:
                await self.rig.engine.write(Statement(f"TRUNCATE TABLE {table}"))
        store = Store(self.data, self.data / "store", self.rig.engine.limits, 2**30)
        await store.open()
        if empty and self.rig.runs == 1:  # no test cuts the engine's power
            for table in TABLES:
                text = f"ALTER TABLE {table} MODIFY SETTING {NO_FSYNC}"
                await self.rig.engine.write(Statement(text))
        self.model.counters = {stream.name: RowCounts() for stream in STREAMS}
        return store

    def teardown(self) -> None:
        """Close the store, also in the middle of its work."""
        self.rig.faults.heal()
        self.rig.faults.is_dead = False
        self._run(self.store.close())

    def _request(self, draft: tuple[str, list[tuple[str, str | None, int]], int]) -> Request:
        stream: AnyStream = BY_NAME[draft[0]]
        _, row_drafts, bad = draft
        bodies, rows = [], []
        for name, id_draft, points in row_drafts:
            self.row_number += 1
            key = f"k{self.row_number}"
            client_id = f"new-{self.row_number}" if id_draft == "new" else id_draft
            body: dict[str, object] = {} if client_id is None else {"id": client_id}
            if stream.table == "events":
                body |= {"event_name": name, "user_id": key}
            elif stream is SERIES_STREAM:
                body |= {"timestamps": [10**11] * points, "values": [1] * points}
            else:
                body |= {"value": 1}
            if stream.table == "metrics":
                body |= {"metric_name": name, "tags": {"k": key}}
            point_count = points if stream is SERIES_STREAM else 1
            rows.append(SentRow(key, stream.name, stream.table, name, client_id, point_count))
            bodies.append(body)
        for _ in range(bad):
            bodies.insert(0, bodies[-1] | {f"{stream.table[:-1]}_name": ""})
        batch: Batch[Any] = read_batch(stream.row_type, msgspec.json.encode(bodies), NOW)
        return Request(stream, rows, bad, batch)

    async def _send(self, request: Request) -> RecordOutcome:
        return await self.store.record(request.stream, request.batch)

    def _accept(self, requests: list[Request], results: list[Result]) -> None:
        """Apply the outcomes of concurrent requests to the model."""
        for request, result in zip(requests, results, strict=True):
            counters = self.model.counters[request.stream.name]
            counters.received += request.points + request.bad_rows
            counters.rejected += request.bad_rows
            if not isinstance(result, RecordOutcome):
                assert isinstance(result, AnalyticsError), repr(result)
                assert (result.code, bool(result.retry_after)) == ("UNAVAILABLE", True)
                counters.unavailable += request.points
                continue
            new = [n for n in range(len(request.rows)) if n not in result.duplicates]
            for offset, index in enumerate(new):
                row = request.rows[index]
                self.model.add(row)
                assert result.position
                if request.stream is not SERIES_STREAM:
                    position = Position(result.position.batch, result.position.row + offset)
                    self.model.positions[row.key] = position
            accepted = sum(request.rows[index].points for index in new)
            assert accepted == result.points
            counters.stored += accepted
            counters.duplicates += request.points - accepted
        for request, result in zip(requests, results, strict=True):
            for index, original in (
                result.duplicates.items() if isinstance(result, RecordOutcome) else ()
            ):
                row = request.rows[index]
                assert row.id is not None
                key = self.model.keys_by_id[row.table, row.id]  # the original is stored
                assert original.position == self.model.positions.get(key, original.position)

    @rule(draft=request_drafts)
    def record(self, draft: Any) -> None:
        """Record one batch."""
        self._record([draft])

    @rule(drafts=st.lists(request_drafts, min_size=2, max_size=8))
    def record_at_once(self, drafts: list[Any]) -> None:
        """Record batches concurrently."""
        self._record(drafts)

    @rule(
        drafts=st.lists(resend_drafts, min_size=2, max_size=8),
        failing=st.sampled_from([0, 0, 1, 2]),
    )
    def resend_at_once(self, drafts: list[Any], failing: int) -> None:
        """Record batches concurrently that repeat each other's rows and stored rows."""
        self.rig.faults.syncs = failing
        self._record(drafts)

    @rule(stream=st.sampled_from(sorted(BY_NAME)), rows=st.lists(row_drafts, min_size=1))
    def fail_write_and_crash(self, stream: str, rows: list[Any]) -> None:
        """Fail a write after rows that the engine has not loaded yet, and crash at once."""
        self.rig.faults.loads = FOREVER
        self._record([(stream, rows, 0)])
        self.rig.faults.syncs = 1
        self._record([(stream, rows, 0)])
        self.crash([], 0, power=False, dice=0)

    @rule(stream=st.sampled_from(sorted(BY_NAME)), name=names)
    def delete_waiting_rows(self, stream: str, name: str) -> None:
        """Delete rows while some of them wait for an engine that can't load them."""
        self._record([(stream, [(name, None, 1)], 0)])
        self.compare_with_model()
        self.rig.faults.loads = FOREVER
        self._record([(stream, [(name, None, 1)], 0)])
        self.delete(name, BY_NAME[stream].table)

    def _record(self, drafts: list[Any]) -> None:
        requests = [self._request(draft) for draft in drafts]
        is_healthy = self._is_healthy()

        async def send() -> list[Result]:
            return await asyncio.gather(*map(self._send, requests), return_exceptions=True)

        results = self._run(send())
        if is_healthy:
            assert not [result for result in results if not isinstance(result, RecordOutcome)]
        self._accept(requests, results)

    @rule(name=names, table=st.sampled_from(TABLES))
    def delete(self, name: str, table: str) -> None:
        """Delete by name. A deletion fails before or after its work, never in the middle."""
        faults, before = self.rig.faults, self.rig.faults.deletions
        try:
            match_count = self._run(self._delete_rows(name, table))
        except AnalyticsError as error:
            assert error.code == "UNAVAILABLE"  # noqa: PT017 - nothing is deleted, or all rows are
            if faults.deletions == before or faults.timing == "before":
                return
            match_count = 1
        if match_count:
            self.model.remove(table, name)
            return
        matches = [
            row for row in self.model.rows.values() if (row.table, row.name) == (table, name)
        ]
        assert not matches or before or not self._is_healthy()

    @rule(name=names, table=st.sampled_from(TABLES), dice=st.integers(0, 2**32))
    def delete_and_crash(self, name: str, table: str, dice: int) -> None:
        """Delete, and lose the power at once: rows that were loaded do not come back."""
        self.delete(name, table)
        self.crash([], 0, power=True, dice=dice)

    async def _delete_rows(self, name: str, table: str) -> int:
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

    def _is_healthy(self) -> bool:
        return self.rig.faults.is_idle and not self.store.problems()

    @rule(
        operation=st.sampled_from(
            ["syncs", "folder_syncs", "writes", "loads", "loads", "deletions"]
        ),
        times=st.sampled_from([1, 2, 3, 8, FOREVER]),
        error_number=st.sampled_from([errno.EIO, errno.ENOSPC]),
        timing=st.sampled_from(["before", "after", "half"]),
        share=st.floats(0, 1),
    )
    def inject_faults(
        self, operation: str, times: int, error_number: int, timing: str, share: float
    ) -> None:
        """Let the next calls of an operation fail."""
        faults = self.rig.faults
        faults.error_number, faults.timing, faults.written_share = error_number, timing, share
        setattr(faults, operation, times)

    @rule()
    def heal(self) -> None:
        """Let all calls succeed again, and wait until all rows are loaded."""
        self.rig.faults.heal()
        self._run(self._await_recovery())

    async def _await_recovery(self) -> None:
        async with asyncio.timeout(60):
            while self.store.problems() or any(x.waiting for x in self.store.stream_stats()):
                await asyncio.sleep(0.001)
                await self.store.select(ALL_ROWS, TableRow)

    @rule(offset=st.sampled_from([0, -DAY, -1000, 1000, 8 * DAY, 30 * DAY]))
    def set_clock(self, offset: int) -> None:
        """Set the wall clock ahead or back."""
        self.rig.wall.wall_offset = offset

    @rule(engine=st.integers(0, 3))
    def restart(self, engine: int) -> None:
        """Stop in order and start again, in one of four cases with the engine."""
        self.rig.faults.heal()
        self._run(self._restart_store(engine=not engine))

    async def _restart_store(self, *, engine: bool) -> None:
        self.rig.engine.stays_open = not engine
        await self.store.close()
        if engine:
            self.rig.engine = FaultyEngine(self.rig.folder / "engine", self.rig.faults)
        self.store = await self._open_store()

    @rule(
        drafts=st.lists(request_drafts, max_size=6),
        moment=st.integers(0, 30),
        power=st.booleans(),
        dice=st.integers(0, 2**32),
    )
    def crash(self, drafts: list[Any], moment: int, *, power: bool, dice: int) -> None:
        """Crash at some moment during requests, and start again.

        A power cut also loses unsynced data.
        """
        requests = [self._request(draft) for draft in drafts]
        results = self._run(self._die(requests, moment))
        answer_indices = [n for n, result in enumerate(results) if result is not None]
        self._accept([requests[n] for n in answer_indices], [r for r in results if r is not None])
        self.pending_requests = [requests[n] for n, result in enumerate(results) if result is None]
        if power:
            for stream in STREAMS:
                folder = self.data / "journal" / stream.name
                self.rig.faults.cut_power(folder, random.Random(dice))
        self.rig.faults.heal()
        self.rig.faults.is_dead = False
        self.store = self._run(self._open_store())

    async def _die(self, requests: list[Request], moment: int) -> list[Result | None]:
        tasks = [asyncio.create_task(self._send(request)) for request in requests]
        for n in range(moment):
            await asyncio.sleep(0.0003 if n % 5 == 4 else 0)
        self.rig.faults.is_dead = True
        results: list[Result | None] = [
            (task.exception() or task.result()) if task.done() else None for task in tasks
        ]
        other_tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in other_tasks - self.rig.engine.partial_deletions:
            task.cancel()
        if other_tasks:
            await asyncio.wait(other_tasks)
        for log in self.store._journals.values():
            await asyncio.to_thread(log._thread.stop)
            if log._current:
                os.close(log._current.fd)
        assert self.store._lock
        self.store._lock.release(is_closed=True)  # the engine stays open
        return results

    @invariant()
    def compare_with_model(self) -> None:
        """Compare the stored rows, positions and counters with the model."""
        self.rig.steps += 1
        is_healthy = self._is_healthy()
        stored_rows = self._run(select_all_rows(self.store))
        has_waiting_rows = any(stats.waiting for stats in self.store.stream_stats())
        assert not (has_waiting_rows and is_healthy)
        if not (has_waiting_rows or is_healthy):  # it may have recovered after the query
            stored_rows = self._run(select_all_rows(self.store))
        key_counts = Counter(row.key for row in stored_rows)
        if not has_waiting_rows:
            self._resolve_pending(key_counts)
        expected = Counter({row.key: row.points for row in self.model.rows.values()})
        if has_waiting_rows:
            pending_keys = {row.key for request in self.pending_requests for row in request.rows}
            key_counts = Counter(
                {key: number for key, number in key_counts.items() if key not in pending_keys}
            )
            assert key_counts <= expected, f"more than was acknowledged: {key_counts - expected}"
        else:
            assert key_counts == expected, (
                f"more: {key_counts - expected}, lost: {expected - key_counts}"
            )
            assert {row.key for row in stored_rows if row.id} == set(self.model.keys_by_id.values())
        for row in stored_rows:
            position = Position(row.batch, row.row)
            assert self.model.positions.get(row.key, position) == position
        for stats in self.store.stream_stats():
            assert stats.counts == self.model.counters[stats.stream], stats
            assert stats.counts.pending == 0
            place_count = stats.loaded + stats.waiting + stats.set_aside
            assert stats.counts.stored + stats.recovered == place_count, stats
            assert stats.set_aside == 0

    def _resolve_pending(self, key_counts: Counter[str]) -> None:
        """Check that a request without an answer is stored whole or not; update the model."""
        ids = Counter(
            (row.table, row.id) for request in self.pending_requests for row in request.rows
        )
        for request in self.pending_requests:
            are_stored = [
                key_counts[row.key] > 0
                for row in request.rows
                if row.id is None
                or (
                    ids[row.table, row.id] == 1 and (row.table, row.id) not in self.model.keys_by_id
                )
            ]
            assert len(set(are_stored)) <= 1, f"a part of {request} is stored"
        for request in self.pending_requests:
            for row in request.rows:
                assert key_counts[row.key] in {0, row.points}
                if key_counts[row.key]:
                    self.model.add(row)
        self.pending_requests = []
