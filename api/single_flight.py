"""Single flight: identical queries that arrive together are executed once.

At most one execution of a query runs. Requests that arrive meanwhile share the next execution. It
begins when the running one has ended: after each of them arrived, so it sees all rows that were
acknowledged before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from api.disconnect import cancel_on_disconnect
from api.headers import CONTEXT_KEY
from resolvers.context import Context
from schema.access import Grant
from schema.errors import AnalyticsError

MAX_SHARED_BYTES: Final = 65_536
"""Bytes of a request up to which it is compared with others."""


@dataclass(frozen=True, slots=True)
class Flight:
    """Identity of a query: what it asks, the form of its answer, and the rights of its caller."""

    kind: str
    content: bytes
    query: str
    grant: Grant


Execute: TypeAlias = Callable[[Context], Awaitable[Response]]
"""Execution of a query, in the context that begins with it."""


@dataclass(slots=True)
class _SharedExecution:
    """An execution for the requests that wait for it, each with a reply of its own."""

    context: Context
    execute: Execute
    replies: set[asyncio.Future[Response]] = field(default_factory=set)
    stop: Callable[[], None] | None = None

    def reply(self, response: Response) -> None:
        """Answer all requests that wait."""
        for reply in self.replies:
            if not reply.done():
                reply.set_result(response)

    def fail(self, error: Exception) -> None:
        """Raise an error in all requests that wait."""
        for reply in self.replies:
            if not reply.done():
                reply.set_exception(error)

    def leave(self, reply: asyncio.Future[Response]) -> None:
        """Refuse a request whose client left; stop the execution when no other waits."""
        if not reply.done():
            message = "The client did not wait for the answer."
            reply.set_exception(AnalyticsError("CLIENT_CLOSED_REQUEST", message))
        self.replies.discard(reply)
        if not self.replies and self.stop:
            self.stop()


class SingleFlight:
    """The queries that are executed now, each with the execution that follows."""

    def __init__(self) -> None:
        """Begin with none."""
        self._next_executions: dict[Flight, _SharedExecution | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(
        self, request: Request, ctx: Context, flight: Flight, execute: Execute
    ) -> Response:
        """Execute a query alone or together with its twins; return a response of its own.

        `ctx` is the context of the caller; the execution gets a context of its own. The errors of
        the execution are raised for all who share it.
        """
        if len(flight.content) > MAX_SHARED_BYTES:
            return await execute_alone(request, ctx, execute)
        if flight in self._next_executions:
            return await self._share(request, ctx, flight, execute)
        self._next_executions[flight] = None
        try:
            return await execute_alone(request, ctx, execute)
        finally:
            self._begin_next(flight)

    async def _share(
        self, request: Request, ctx: Context, flight: Flight, execute: Execute
    ) -> Response:
        """Wait for the next execution of a query."""
        execution = self._next_executions[flight]
        if execution is None:
            execution = self._next_executions[flight] = _SharedExecution(ctx, execute)
        reply: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        execution.replies.add(reply)
        request_ctx = request.scope[CONTEXT_KEY] = ctx.for_request()
        try:
            async with cancel_on_disconnect(request, lambda: execution.leave(reply)):
                response = _copy(await reply)
                # Each client may be slow to read its copy.
                request_ctx.answer.spend_bytes(len(response.body))
                return response
        finally:
            execution.leave(reply)  # does nothing after the answer

    def _begin_next(self, flight: Flight) -> None:
        """Begin the execution that requests wait for, or forget the query if none waits."""
        execution = self._next_executions.pop(flight)
        if execution is None or not execution.replies:
            return
        self._next_executions[flight] = None
        request_ctx = execution.context.for_request()
        execution.stop = request_ctx.batch.stop
        task = asyncio.create_task(self._run(flight, execution, request_ctx))
        self._tasks.add(task)  # the event loop has no strong reference
        task.add_done_callback(self._tasks.discard)

    async def _run(self, flight: Flight, execution: _SharedExecution, ctx: Context) -> None:
        """Run a shared execution, and reply to all who wait for it."""
        try:
            execution.reply(await execution.execute(ctx))
        except asyncio.CancelledError:
            execution.fail(AnalyticsError("UNAVAILABLE", "The service stops.", retry_after=5))
            raise
        except Exception as error:  # noqa: BLE001 - those who wait raise it
            execution.fail(error)
        finally:
            ctx.answer.release()
            self._begin_next(flight)


async def execute_alone(request: Request, ctx: Context, execute: Execute) -> Response:
    """Execute a request in a context of its own; stop its statements if its client leaves."""
    request_ctx = request.scope[CONTEXT_KEY] = ctx.for_request()
    async with cancel_on_disconnect(request, request_ctx.batch.stop):
        return await execute(request_ctx)


def _copy(response: Response) -> Response:
    """Return a response with the same content: each request adds headers of its own."""
    copy = Response(response.body, response.status_code)
    copy.raw_headers = list(response.raw_headers)
    return copy
