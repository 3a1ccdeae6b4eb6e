"""Watches whether the client of a request goes away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request


@contextlib.asynccontextmanager
async def cancel_on_disconnect(request: Request, gone: Callable[[], None]) -> AsyncIterator[None]:
    """Call `gone` if the client goes away before the block ends; the body must have been read."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
