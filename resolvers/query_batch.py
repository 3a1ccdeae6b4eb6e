"""What one request asks of the engine: asked together, answered by as few statements as can be."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeVar

import msgspec

from schema.errors import AnalyticsError
from store import Store
from store.engine import Answer, EngineError
from store.query.series.aggregates import THROW_IF_CODE
from store.query.series.exact_sums import OutsideWindowError
from store.query.series.rows import series_rows
from store.query.series.statement import branches, statement
from store.query.series.types import Branch, QueryShape, SeriesQuery, SeriesRow
from store.query.sql import Slots, Statement

T = TypeVar("T")

_QUIET_TURNS: Final = 4
"""Turns of the event loop without a new question after which those that wait are asked.

graphql-core resolves fields of one depth in one turn, and needs a few for each level.
"""


class StatementRun(NamedTuple):
    """A statement that was run: milliseconds until its answer was there, and the rows it read."""

    statement: Statement
    elapsed_ms: float
    rows_read: int


class Reply(NamedTuple):
    """The answer to a question: its series, and the statement that found them."""

    rows: list[SeriesRow]
    run: StatementRun


@dataclass(slots=True)
class _WaitingQuery:
    query: SeriesQuery
    reply: asyncio.Future[Reply]


class _NameRow(msgspec.Struct):
    name: str


_NAMES: Final = msgspec.json.Decoder(_NameRow)


class _PagePrefetch(NamedTuple):
    """What was asked of all metrics of a list: the answers are there before the questions."""

    query: SeriesQuery
    metrics: frozenset[str]
    rows: list[SeriesRow]
    run: StatementRun


class _Prefetch(NamedTuple):
    """A question that was asked before the field that asks it was executed."""

    query: SeriesQuery
    reply: asyncio.Task[Reply]


@dataclass(slots=True)
class QueryBatch:
    """Collects the questions of a request; those that come at the same time share a statement."""

    store: Store
    slots: Slots = field(default_factory=Slots)
    runs: list[StatementRun] = field(default_factory=list)
    _waiting_queries: list[_WaitingQuery] = field(default_factory=list)
    _page_prefetches: dict[QueryShape, _PagePrefetch] = field(default_factory=dict)
    _prefetches: list[_Prefetch] = field(default_factory=list)
    _dispatch_task: asyncio.Task[None] | None = None
    _statement_tasks: set[asyncio.Task[Answer]] = field(default_factory=set)
    _is_stopped: bool = False

    async def select(self, statement: Statement, row_type: type[T]) -> list[T]:
        """Run one statement at once; return its rows."""
        return msgspec.json.Decoder(row_type).decode_lines(
            (await self._run_statement(statement, "JSONEachRow"))[0]
        )

    async def cells(self, statement: Statement) -> list[list[bytes]]:
        """Run one statement at once; return the cells of its rows as the texts that they are."""
        answer = (await self._run_statement(statement, "TSVRaw"))[0]
        return [line.split(b"\t") for line in answer.split(b"\n")[:-1]]

    async def select_with(
        self, page_statement: Statement, row_type: type[T], queries: Sequence[SeriesQuery]
    ) -> list[T]:
        """Run a page of metrics, and ask these questions of all of them, by one statement.

        The values of the page must be in `slots`. Whoever asks one of the questions of a metric
        on the page later is answered at once. When it is too much for one, only the page is run.
        """
        page_queries = [query.restricted_to(page_statement) for query in queries]
        fused_branches = branches(page_queries, self.slots)
        fused_statement = statement(
            [branch for branch, _ in fused_branches],
            [*page_statement.reads, "metrics"],
            self.slots,
            page_statement,
        )
        try:
            answer, run = await self._run_statement(fused_statement, "TSVRaw")
        except (AnalyticsError, EngineError):
            return await self.select(page_statement, row_type)
        lines = answer.splitlines()
        page_lines = [line for line in lines if line.startswith(b"{")]
        series_lines = b"\n".join(line for line in lines if not line.startswith(b"{"))
        rows_by_branch = series_rows(
            series_lines, {branch.number: branch for branch, _ in fused_branches}
        )
        metrics = frozenset(query.name for query in _NAMES.decode_lines(b"\n".join(page_lines)))
        for branch, branch_queries in fused_branches:
            union = branch_queries[0].union(branch_queries)
            shape = replace(union.shape, names_sql="")
            self._page_prefetches[shape] = _PagePrefetch(
                union, metrics, rows_by_branch[branch.number], run
            )
        return msgspec.json.Decoder(row_type).decode_lines(b"\n".join(page_lines))

    async def prefetch(self, query: SeriesQuery) -> bool:
        """Ask what a field below will ask, which then has its reply at once.

        Say whether any rows were found; True as well if that can't be said: the field will say why.
        """
        reply = asyncio.create_task(self.run(query))
        self._prefetches.append(_Prefetch(query, reply))
        try:
            return bool((await reply).rows)
        except (AnalyticsError, EngineError):
            return True

    async def run(self, query: SeriesQuery) -> Reply:
        """Answer a question, together with those that are asked meanwhile.

        Raises `AnalyticsError` when this one is too expensive, whatever becomes of the others.
        """
        page_prefetch = self._page_prefetches.get(query.shape)
        if (
            page_prefetch
            and query.metric in page_prefetch.metrics
            and query.is_covered_by(page_prefetch.query)
        ):
            rows = [row for row in page_prefetch.rows if row.metric == query.metric]
            return Reply(rows, page_prefetch.run)
        for prefetch in self._prefetches:
            is_same_shape = (prefetch.query.shape, prefetch.query.metric) == (
                query.shape,
                query.metric,
            )
            if is_same_shape and prefetch.reply.done() and query.is_covered_by(prefetch.query):
                return prefetch.reply.result()
        waiting_query = _WaitingQuery(query, asyncio.get_running_loop().create_future())
        self._waiting_queries.append(waiting_query)
        if self._dispatch_task is None:
            self._dispatch_task = asyncio.create_task(self._dispatch())
        return await waiting_query.reply

    async def _dispatch(self) -> None:
        try:
            while self._waiting_queries:
                count = 0
                while count < len(self._waiting_queries):
                    count = len(self._waiting_queries)
                    for _ in range(_QUIET_TURNS):
                        await asyncio.sleep(0)
                waiting_queries, self._waiting_queries = self._waiting_queries, []
                await self._run_batch(waiting_queries)
        finally:
            self._dispatch_task = None

    async def _run_batch(self, waiting_queries: Sequence[_WaitingQuery]) -> None:
        try:
            fused_branches = branches(
                [waiting_query.query for waiting_query in waiting_queries], self.slots
            )
            if not await self._run_branches(waiting_queries, fused_branches):
                # Any of them may have been too much; each is asked alone, so that one fails alone.
                for fused_branch in fused_branches:
                    await self._run_branches(waiting_queries, [fused_branch])
        except Exception as error:  # noqa: BLE001 - who asked is told
            _fail(waiting_queries, error)

    async def _run_branches(
        self,
        batch: Sequence[_WaitingQuery],
        fused_branches: Sequence[tuple[Branch, list[SeriesQuery]]],
    ) -> bool:
        """Ask some branches, tell who asked; return False if one of several can't be answered."""
        branch_numbers = {
            id(query): branch.number for branch, queries in fused_branches for query in queries
        }
        waiting_queries = [
            waiting_query for waiting_query in batch if id(waiting_query.query) in branch_numbers
        ]
        tables = [waiting_query.query.shape.table for waiting_query in waiting_queries]
        fused_statement = statement([branch for branch, _ in fused_branches], tables, self.slots)
        names = frozenset().union(
            *(query.names for _, queries in fused_branches for query in queries)
        )
        fused_statement = replace(fused_statement, names_by_table={"metrics": names})
        try:
            answer, run = await self._run_statement(fused_statement, "TSVRaw")
            rows_by_branch = series_rows(
                answer, {branch.number: branch for branch, _ in fused_branches}
            )
        except (AnalyticsError, EngineError, OutsideWindowError) as error:
            if _needs_wide(error):
                queries = [question for _, queries in fused_branches for question in queries]
                return await self._run_branches(batch, branches(queries, self.slots, wide=True))
            if len(fused_branches) > 1:
                return False
            _fail(waiting_queries, error)
            return True
        for waiting_query in waiting_queries:
            metric = waiting_query.query.metric
            rows = [
                row
                for row in rows_by_branch[branch_numbers[id(waiting_query.query)]]
                if row.metric == metric
            ]
            if not waiting_query.reply.done():
                waiting_query.reply.set_result(Reply(rows, run))
        return True

    def stop(self) -> None:
        """End the statements that run, and begin no other: who asked has gone away."""
        self._is_stopped = True
        for task in self._statement_tasks:
            task.cancel()

    async def _run_statement(self, statement: Statement, output: str) -> tuple[bytes, StatementRun]:
        if self._is_stopped:
            raise _client_closed_request()
        began = time.perf_counter()
        task = asyncio.create_task(self.store.answer(statement, output))
        self._statement_tasks.add(task)
        try:
            answer = await task
        except asyncio.CancelledError:
            if self._is_stopped:
                raise _client_closed_request() from None
            raise
        finally:
            self._statement_tasks.remove(task)
        run = StatementRun(statement, (time.perf_counter() - began) * 1000, answer.rows_read)
        self.runs.append(run)
        return answer.data, run


def _needs_wide(error: Exception) -> bool:
    if isinstance(error, EngineError):
        return error.code == THROW_IF_CODE
    return isinstance(error, OutsideWindowError)


def _client_closed_request() -> AnalyticsError:
    return AnalyticsError("CLIENT_CLOSED_REQUEST", "The client did not wait for the answer.")


def _fail(waiting_queries: Sequence[_WaitingQuery], error: Exception) -> None:
    """Tell those who still wait."""
    for waiting_query in waiting_queries:
        if not waiting_query.reply.done():
            waiting_query.reply.set_exception(error)
