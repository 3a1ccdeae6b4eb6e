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
    ms: float
    rows_read: int


class Reply(NamedTuple):
    """The answer to a question: its series, and the statement that found them."""

    rows: list[SeriesRow]
    run: StatementRun


@dataclass(slots=True)
class _Waiting:
    question: SeriesQuery
    reply: asyncio.Future[Reply]


class _Named(msgspec.Struct):
    name: str


_NAMES: Final = msgspec.json.Decoder(_Named)


class _Known(NamedTuple):
    """What was asked of all metrics of a list: the answers are there before the questions."""

    question: SeriesQuery
    parts: frozenset[str]
    lines: list[SeriesRow]
    ran: StatementRun


class _Early(NamedTuple):
    """A question that was asked before the field that asks it was executed."""

    question: SeriesQuery
    reply: asyncio.Task[Reply]


@dataclass(slots=True)
class QueryBatch:
    """Collects the questions of a request; those that come at the same time share a statement."""

    store: Store
    slots: Slots = field(default_factory=Slots)
    runs: list[StatementRun] = field(default_factory=list)
    _waiting: list[_Waiting] = field(default_factory=list)
    _known: dict[QueryShape, _Known] = field(default_factory=dict)
    _early: list[_Early] = field(default_factory=list)
    _asking: asyncio.Task[None] | None = None
    _running: set[asyncio.Task[Answer]] = field(default_factory=set)
    _stopped: bool = False

    async def select(self, asked: Statement, row: type[T]) -> list[T]:
        """Run one statement at once; return its rows."""
        return msgspec.json.Decoder(row).decode_lines((await self._run(asked, "JSONEachRow"))[0])

    async def cells(self, asked: Statement) -> list[list[bytes]]:
        """Run one statement at once; return the cells of its rows as the texts that they are."""
        answer = (await self._run(asked, "TSVRaw"))[0]
        return [line.split(b"\t") for line in answer.split(b"\n")[:-1]]

    async def select_with(
        self, page: Statement, row: type[T], questions: Sequence[SeriesQuery]
    ) -> list[T]:
        """Run a page of metrics, and ask these questions of all of them, by one statement.

        The values of the page must be in `slots`. Whoever asks one of the questions of a metric
        on the page later is answered at once. When it is too much for one, only the page is run.
        """
        listed = [each.restricted_to(page) for each in questions]
        fused = branches(listed, self.slots)
        made = statement([b for b, _ in fused], [*page.reads, "metrics"], self.slots, page)
        try:
            answer, ran = await self._run(made, "TSVRaw")
        except (AnalyticsError, EngineError):
            return await self.select(page, row)
        parts = answer.splitlines()
        of_page = [line for line in parts if line.startswith(b"{")]
        others = b"\n".join(line for line in parts if not line.startswith(b"{"))
        found = series_rows(others, {branch.number: branch for branch, _ in fused})
        names = frozenset(each.name for each in _NAMES.decode_lines(b"\n".join(of_page)))
        for branch, asked in fused:
            whole = asked[0].union(asked)
            shape = replace(whole.shape, names_sql="")
            self._known[shape] = _Known(whole, names, found[branch.number], ran)
        return msgspec.json.Decoder(row).decode_lines(b"\n".join(of_page))

    async def prefetch(self, question: SeriesQuery) -> bool:
        """Ask what a field below will ask, which then has its reply at once.

        Say whether any rows were found; True as well if that can't be said: the field will say why.
        """
        reply = asyncio.create_task(self.run(question))
        self._early.append(_Early(question, reply))
        try:
            return bool((await reply).rows)
        except (AnalyticsError, EngineError):
            return True

    async def run(self, question: SeriesQuery) -> Reply:
        """Answer a question, together with those that are asked meanwhile.

        Raises `AnalyticsError` when this one is too expensive, whatever becomes of the others.
        """
        known = self._known.get(question.shape)
        if known and question.metric in known.parts and question.is_covered_by(known.question):
            mine = [line for line in known.lines if line.metric == question.metric]
            return Reply(mine, known.ran)
        for early in self._early:
            same = (early.question.shape, early.question.metric) == (
                question.shape,
                question.metric,
            )
            if same and early.reply.done() and question.is_covered_by(early.question):
                return early.reply.result()
        waiting = _Waiting(question, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all())
        return await waiting.reply

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                known = 0
                while known < len(self._waiting):
                    known = len(self._waiting)
                    for _ in range(_QUIET_TURNS):
                        await asyncio.sleep(0)
                group, self._waiting = self._waiting, []
                await self._ask_group(group)
        finally:
            self._asking = None

    async def _ask_group(self, group: Sequence[_Waiting]) -> None:
        try:
            fused = branches([waiting.question for waiting in group], self.slots)
            if not await self._answer(group, fused):
                # Any of them may have been too much; each is asked alone, so that one fails alone.
                for one in fused:
                    await self._answer(group, [one])
        except Exception as error:  # noqa: BLE001 - who asked is told
            _refuse(group, error)

    async def _answer(
        self, group: Sequence[_Waiting], some: Sequence[tuple[Branch, list[SeriesQuery]]]
    ) -> bool:
        """Ask some branches, tell who asked; return False if one of several can't be answered."""
        number_of = {id(q): branch.number for branch, questions in some for q in questions}
        waiting = [each for each in group if id(each.question) in number_of]
        tables = [each.question.shape.table for each in waiting]
        made = statement([branch for branch, _ in some], tables, self.slots)
        names = frozenset().union(*(q.names for _, questions in some for q in questions))
        made = replace(made, names_by_table={"metrics": names})
        try:
            answer, ran = await self._run(made, "TSVRaw")
            found = series_rows(answer, {branch.number: branch for branch, _ in some})
        except (AnalyticsError, EngineError, OutsideWindowError) as error:
            if _needs_wide(error):
                questions = [question for _, asked in some for question in asked]
                return await self._answer(group, branches(questions, self.slots, wide=True))
            if len(some) > 1:
                return False
            _refuse(waiting, error)
            return True
        for each in waiting:
            part = each.question.metric
            mine = [line for line in found[number_of[id(each.question)]] if line.metric == part]
            if not each.reply.done():
                each.reply.set_result(Reply(mine, ran))
        return True

    def stop(self) -> None:
        """End the statements that run, and begin no other: who asked has gone away."""
        self._stopped = True
        for running in self._running:
            running.cancel()

    async def _run(self, asked: Statement, output: str) -> tuple[bytes, StatementRun]:
        if self._stopped:
            raise _gone()
        began = time.perf_counter()
        running = asyncio.create_task(self.store.answer(asked, output))
        self._running.add(running)
        try:
            answer = await running
        except asyncio.CancelledError:
            if self._stopped:
                raise _gone() from None
            raise
        finally:
            self._running.remove(running)
        ran = StatementRun(asked, (time.perf_counter() - began) * 1000, answer.rows_read)
        self.runs.append(ran)
        return answer.data, ran


def _needs_wide(error: Exception) -> bool:
    if isinstance(error, EngineError):
        return error.code == THROW_IF_CODE
    return isinstance(error, OutsideWindowError)


def _gone() -> AnalyticsError:
    return AnalyticsError("CLIENT_CLOSED_REQUEST", "The client did not wait for the answer.")


def _refuse(waiting: Sequence[_Waiting], error: Exception) -> None:
    """Tell those who still wait."""
    for each in waiting:
        if not each.reply.done():
            each.reply.set_exception(error)
