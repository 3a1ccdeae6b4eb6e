"""A batch of series queries: the queries of one request, run in as few SQL statements as possible.

Queries that arrive in the same turns of the event loop share a statement. A query whose rows were
prefetched gets its reply without a statement.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from schema.access import PROJECT
from schema.answer_budget import AnswerBudget
from schema.errors import AnalyticsError
from store import Store
from store.cost.buckets import BucketState
from store.cost.cost import actual_cost, estimated_cost
from store.driver import Answer, EngineError
from store.query.series.aggregates import THROW_IF_CODE
from store.query.series.exact_sums import OutsideWindowError
from store.query.series.rows import series_rows
from store.query.series.statement import branches, series_statement
from store.query.series.types import Branch, QueryShape, SeriesQuery, SeriesRow
from store.query.sql import Slots, Statement

T = TypeVar("T")

_Branches: TypeAlias = Sequence[tuple[Branch, list[SeriesQuery]]]
"""Branches of a statement, each with the queries that it answers."""

_QUIET_TURNS: Final = 4
"""Turns of the event loop without a new query after which a batch is dispatched.

graphql-core resolves fields of one depth in one turn, and needs a few for each level.
"""

_TURN_REPLIES: Final = 20
"""Queries that get their replies in one turn of the event loop."""


class StatementRun(NamedTuple):
    """A statement that ran: milliseconds until its answer arrived, and the rows that it read."""

    statement: Statement
    elapsed_ms: float
    rows_read: int


class Reply(NamedTuple):
    """The answer to a series query: its rows, and the statement that returned them."""

    rows: list[SeriesRow]
    run: StatementRun


class _WaitingQuery(NamedTuple):
    query: SeriesQuery
    reply: asyncio.Future[Reply]


class _NameRow(msgspec.Struct):
    name: str


_NAME_DECODER: Final = msgspec.json.Decoder(_NameRow)


class _PagePrefetch(NamedTuple):
    """Rows of a query for all metrics on a page, read by the statement of the page."""

    query: SeriesQuery
    metrics: frozenset[str]
    rows: Mapping[str, list[SeriesRow]]
    run: StatementRun

    def reply(self, query: SeriesQuery) -> Reply | None:
        """Return the reply to a query of the same shape; None if the page does not cover it."""
        if query.metric not in self.metrics or not query.is_covered_by(self.query):
            return None
        return Reply(self.rows.get(query.metric, []), self.run)


class _Prefetch(NamedTuple):
    """A query that runs before its GraphQL field is executed."""

    query: SeriesQuery
    reply: asyncio.Task[Reply]

    def covers(self, query: SeriesQuery) -> bool:
        """Say whether the reply is there and contains the answer to another query."""
        is_same_source = (self.query.shape, self.query.metric) == (query.shape, query.metric)
        return is_same_source and self.reply.done() and query.is_covered_by(self.query)


@dataclass(slots=True)
class QueryBatch:
    """Collects the series queries of a request; queries that wait together share a statement."""

    store: Store
    answer: AnswerBudget
    project: str = PROJECT
    key_id: str | None = None
    requested_cost: float = 0.0
    actual_cost: float = 0.0
    slots: Slots = field(default_factory=Slots)
    runs: list[StatementRun] = field(default_factory=list)
    _waiting_queries: list[_WaitingQuery] = field(default_factory=list)
    _page_prefetches: dict[QueryShape, _PagePrefetch] = field(default_factory=dict)
    _prefetches: list[_Prefetch] = field(default_factory=list)
    _dispatch_task: asyncio.Task[None] | None = None
    _statement_tasks: set[asyncio.Task[Answer]] = field(default_factory=set)
    _is_stopped: bool = False
    _deadline: float | None = None

    @property
    def budget(self) -> BucketState | None:
        """What the caller's key may spend; None without a key or a limit."""
        return None if self.key_id is None else self.store.budgets.state(self.key_id)

    async def select(self, statement: Statement, row_type: type[T]) -> list[T]:
        """Run one statement at once; return its rows."""
        answer, _ = await self._run_statement(statement, "JSONEachRow")
        return msgspec.json.Decoder(row_type).decode_lines(answer)

    async def cells(self, statement: Statement) -> list[list[bytes]]:
        """Run one statement at once; return the cells of its rows as raw texts."""
        answer, _ = await self._run_statement(statement, "TSVRaw")
        return [line.split(b"\t") for line in answer.split(b"\n")[:-1]]

    async def select_with(
        self, page: Statement, row_type: type[T], queries: Sequence[SeriesQuery]
    ) -> list[T]:
        """Select a page of metrics, and prefetch queries for all of them in the same statement.

        The values of the page must be in `slots`. A later query of one metric on the page has its
        reply at once. If the engine refuses the statement, only the page is selected.
        """
        page_queries = [query.restricted_to(page) for query in queries]
        page_branches = branches(page_queries, self.slots)
        with_page = series_statement(
            [branch for branch, _ in page_branches],
            [*page.scans, *(query.scan for query in page_queries)],
            self.slots,
            page,
        )
        try:
            answer, run = await self._run_statement(with_page, "TSVRaw")
        except (AnalyticsError, EngineError) as error:
            if self._is_over(error):
                raise
            return await self.select(page, row_type)
        page_text, series_text = _split_page(answer)
        self._keep_page_prefetches(page_branches, page_text, series_text, run)
        return msgspec.json.Decoder(row_type).decode_lines(page_text)

    def _keep_page_prefetches(
        self, page_branches: _Branches, page_text: bytes, series_text: bytes, run: StatementRun
    ) -> None:
        rows = series_rows(series_text, {branch.number: branch for branch, _ in page_branches})
        metrics = frozenset(row.name for row in _NAME_DECODER.decode_lines(page_text))
        for branch, queries in page_branches:
            union = queries[0].union(queries)
            shape = replace(union.shape, names_sql="")
            metric_rows = _rows_by_metric(rows[branch.number])
            self._page_prefetches[shape] = _PagePrefetch(union, metrics, metric_rows, run)

    async def prefetch(self, query: SeriesQuery) -> bool:
        """Run a query before its GraphQL field is executed; the field then has its reply at once.

        Return whether the query has rows. Return True if it fails: the field raises the error.
        """
        reply = asyncio.create_task(self.run(query))
        self._prefetches.append(_Prefetch(query, reply))
        try:
            return bool((await reply).rows)
        except (AnalyticsError, EngineError):
            return True

    async def run(self, query: SeriesQuery) -> Reply:
        """Run a query together with the queries that arrive meanwhile.

        Raises `AnalyticsError` if this query is too expensive; others do not fail with it.
        """
        if reply := self._prefetched_reply(query):
            return reply
        waiting_query = _WaitingQuery(query, asyncio.get_running_loop().create_future())
        self._waiting_queries.append(waiting_query)
        if self._dispatch_task is None:
            self._dispatch_task = asyncio.create_task(self._dispatch())
        return await waiting_query.reply

    def _prefetched_reply(self, query: SeriesQuery) -> Reply | None:
        page_prefetch = self._page_prefetches.get(query.shape)
        if page_prefetch and (reply := page_prefetch.reply(query)):
            return reply
        for prefetch in self._prefetches:
            if prefetch.covers(query):
                return prefetch.reply.result()
        return None

    async def _dispatch(self) -> None:
        """Run batches of waiting queries until no query waits."""
        try:
            while self._waiting_queries:
                await self._until_no_query_arrives()
                batch, self._waiting_queries = self._waiting_queries, []
                await self._run_batch(batch)
        finally:
            self._dispatch_task = None

    async def _until_no_query_arrives(self) -> None:
        count = 0
        while count < len(self._waiting_queries):
            count = len(self._waiting_queries)
            for _ in range(_QUIET_TURNS):
                await asyncio.sleep(0)

    async def _run_batch(self, batch: Sequence[_WaitingQuery]) -> None:
        try:
            batch_branches = branches([waiting.query for waiting in batch], self.slots)
            if not await self._run_branches(batch, batch_branches):
                # Any branch may have been too expensive: alone, only that branch fails.
                for branch in batch_branches:
                    await self._run_branches(batch, [branch])
        except Exception as error:  # noqa: BLE001 - the waiting queries raise it
            await _fail(batch, error)

    async def _run_branches(
        self, batch: Sequence[_WaitingQuery], batch_branches: _Branches
    ) -> bool:
        """Run some branches and resolve their queries; return False if one of several fails."""
        branch_numbers = {
            id(q): branch.number for branch, queries in batch_branches for q in queries
        }
        waiting_queries = [waiting for waiting in batch if id(waiting.query) in branch_numbers]
        batch_statement = self._combine(batch_branches)
        try:
            answer, run = await self._run_statement(batch_statement, "TSVRaw")
            rows = series_rows(answer, {branch.number: branch for branch, _ in batch_branches})
        except (AnalyticsError, EngineError, OutsideWindowError) as error:
            if _has_long_number(error):
                queries = [query for _, queries in batch_branches for query in queries]
                return await self._run_branches(
                    batch, branches(queries, self.slots, long_numbers=True)
                )
            if len(batch_branches) > 1 and not self._is_over(error):
                return False
            await _fail(waiting_queries, error)
            return True
        metric_rows = {number: _rows_by_metric(rows[number]) for number in rows}
        for turn in _turns(waiting_queries):
            for query, reply in turn:
                if not reply.done():
                    query_rows = metric_rows[branch_numbers[id(query)]].get(query.metric, [])
                    reply.set_result(Reply(query_rows, run))
            await asyncio.sleep(0)
        return True

    def _combine(self, batch_branches: _Branches) -> Statement:
        """Return one statement of some branches."""
        scans = [query.scan for _, queries in batch_branches for query in queries]
        return series_statement([branch for branch, _ in batch_branches], scans, self.slots)

    def _is_over(self, error: Exception) -> bool:
        """Say whether smaller statements would be refused, too, or would answer a part only."""
        is_refused = isinstance(error, AnalyticsError) and error.code == "RATE_LIMITED"
        return is_refused or self._is_stopped or self.answer.error is not None

    def stop(self) -> None:
        """Cancel the running statements and start no other; call it when the client has gone."""
        self._is_stopped = True
        for task in self._statement_tasks:
            task.cancel()

    async def _run_statement(self, statement: Statement, output: str) -> tuple[bytes, StatementRun]:
        if self._is_stopped:
            raise _client_closed_request()
        cost = self._spend(statement)
        start = time.perf_counter()
        task = asyncio.create_task(self.store.answer(statement, output, cost, self.key_id or ""))
        self._statement_tasks.add(task)
        try:
            answer = await self._until_deadline(task)
        except asyncio.CancelledError:
            if self._is_stopped:
                raise _client_closed_request() from None
            raise
        except AnalyticsError as error:
            if error.code == "UNAVAILABLE":  # the statement did not run
                self._charge(-cost)
            raise
        finally:
            self._statement_tasks.remove(task)
        run = StatementRun(statement, (time.perf_counter() - start) * 1000, answer.rows_read)
        self.runs.append(run)
        self._correct_cost(statement, cost, answer.rows_read)
        self.answer.spend_bytes(len(answer.data))
        return answer.data, run

    async def _until_deadline(self, task: asyncio.Task[Answer]) -> Answer:
        """Return the answer of a statement, or stop it at the deadline of the request."""
        limit = self.store.engine.limits.request_seconds
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + limit
        try:
            async with asyncio.timeout_at(self._deadline):
                return await task
        except TimeoutError:
            message = f"This request takes too many seconds (limit {limit}); ask for less at once."
            raise AnalyticsError("QUERY_TOO_EXPENSIVE", message, limit=limit) from None

    def _spend(self, statement: Statement) -> float:
        """Return the cost of a statement before it runs, and charge it to the caller's key.

        Raises RATE_LIMITED if the key can't pay for the first statement of the request.
        """
        cost = estimated_cost(statement, partial(self.store.estimates.rows, self.project))
        if self.key_id is not None:
            self.store.budgets.spend(self.key_id, cost, has_begun=self.requested_cost > 0)
        self.requested_cost += cost
        return cost

    def _correct_cost(self, statement: Statement, cost: float, rows_read: int) -> None:
        """Charge the cost of the rows that a statement read instead of the estimate."""
        actual = actual_cost(statement, rows_read)
        self._charge(actual - cost)
        self.actual_cost += actual

    def _charge(self, cost: float) -> None:
        """Charge a further cost to the caller's key; a negative one is given back."""
        if self.key_id is not None:
            self.store.budgets.correct(self.key_id, cost)


def _split_page(answer: bytes) -> tuple[bytes, bytes]:
    """Split an answer into the rows of the page (JSON objects) and the rows of series (arrays)."""
    lines = answer.splitlines()
    page_lines = [line for line in lines if line.startswith(b"{")]
    series_lines = [line for line in lines if not line.startswith(b"{")]
    return b"\n".join(page_lines), b"\n".join(series_lines)


def _rows_by_metric(rows: Iterable[SeriesRow]) -> Mapping[str, list[SeriesRow]]:
    rows_by_metric: dict[str, list[SeriesRow]] = {}
    for row in rows:
        rows_by_metric.setdefault(row.metric, []).append(row)
    return rows_by_metric


def _has_long_number(error: Exception) -> bool:
    """Say whether a statement failed because its numbers need the recipes of `long_numbers`."""
    if isinstance(error, EngineError):
        return error.code == THROW_IF_CODE
    return isinstance(error, OutsideWindowError)


def _client_closed_request() -> AnalyticsError:
    return AnalyticsError("CLIENT_CLOSED_REQUEST", "The client did not wait for the answer.")


async def _fail(waiting_queries: Sequence[_WaitingQuery], error: Exception) -> None:
    """Raise an error in all queries that still wait."""
    for turn in _turns(waiting_queries):
        for waiting in turn:
            if not waiting.reply.done():
                waiting.reply.set_exception(error)
        await asyncio.sleep(0)


def _turns(waiting_queries: Sequence[_WaitingQuery]) -> Iterator[Sequence[_WaitingQuery]]:
    """Divide queries into turns, between which other requests go on: a reply takes 0.2 ms."""
    for start in range(0, len(waiting_queries), _TURN_REPLIES):
        yield waiting_queries[start : start + _TURN_REPLIES]
