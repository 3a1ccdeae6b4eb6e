"""A service under test: the real application on the real engine, and a client of its APIs."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import msgspec

from app import create_app
from resolvers.context import Context
from schema.scalars import Instant
from settings import Settings

NOON: Final = Instant(1_760_000_400_000)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, and a client of both of its APIs."""

    http: httpx.AsyncClient
    context: Context

    async def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        """POST a body: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        all_headers = {"content-type": "application/json", **headers}
        return await self.http.post(path, content=content, headers=all_headers)

    async def graphql(self, query: str, **variables: object) -> dict[str, Any]:
        """Run a GraphQL operation; return the answer without its extensions."""
        answer = await self.post("/graphql", {"query": query, "variables": variables})
        content: dict[str, Any] = answer.json()
        content.pop("extensions", None)
        return content


@contextlib.asynccontextmanager
async def prefixed_service(service: Service, prefix: str) -> AsyncIterator[Service]:
    """Serve the store of a running service under paths with a prefix, as behind a proxy."""
    app = create_app(Settings(root_path=prefix))
    app.state.context = service.context
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
        yield Service(http, service.context)


@contextlib.contextmanager
def use_context(service: Service, context: Context) -> Iterator[None]:
    """Let a service answer in another context during a block."""
    transport: Any = service.http._transport
    state = transport.app.state
    before = state.context
    state.context = context
    try:
        yield
    finally:
        state.context = before


@contextlib.contextmanager
def stop_clock(service: Service, now: Instant) -> Iterator[None]:
    """Stop the service's clock at an instant."""
    transport: Any = service.http._transport
    context = transport.app.state.context
    with use_context(service, dataclasses.replace(context, now=lambda: now)):
        yield


@contextlib.asynccontextmanager
async def run_service(settings: Settings) -> AsyncIterator[Service]:
    """Run a service in this process. The engine allows one at a time."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service") as http,
    ):
        await app.state.context.store.names.await_stored()
        for ids in app.state.context.store._ids.values():
            await ids._all_read.wait()  # no statement of the start is among those of a test
        yield Service(http, app.state.context)
