"""Watch for clients that disconnect before their answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request


@contextlib.asynccontextmanager
async def cancel_on_disconnect(request: Request, cancel: Callable[[], None]) -> AsyncIterator[None]:
    """Call `cancel` if the client disconnects before the block ends.

    The body must have been read: the watch receives the messages after it.
    """

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        cancel()

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
