"""Middleware: HEAD, slashes at the end of a path, the prefix of a proxy."""

from collections.abc import Iterable
from typing import Final

from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """Middleware that answers HEAD wherever GET is answered: with the same headers, no body."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask for what HEAD is about, keep its body back."""
        if scope.get("method") != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        got = {**scope, "method": "GET"}
        try:
            await self._app(got, receive, send_without_body)
        finally:
            scope["route"] = got.get("route")  # for the log


class TrailingSlash:
    """Middleware for paths that are a route's but for a slash at their end.

    GET is sent to the path without it, by a relative address: pages link relatively, and only the
    client knows which prefix a proxy takes off. All else is answered at once: few clients repeat a
    POST elsewhere. The name of a metric may end in a slash, so routes with a name are left alone.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        """Wrap an application that has these routes."""
        self._app = app
        self._routes = {
            (method, route.path)
            for route in routes
            if isinstance(route, Route) and "{" not in route.path
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lead a request to its route."""
        path: str = scope.get("path", "")
        if path.endswith("/"):
            reads = scope["method"] in {"GET", "HEAD"}
            path = path[:-1]
            if ("GET" if reads else scope["method"], path) in self._routes:
                if reads:
                    query = scope["query_string"].decode("latin-1")
                    there = f"../{path.rpartition('/')[2]}" + (f"?{query}" if query else "")
                    await RedirectResponse(there, 308)(scope, receive, send)
                    return
                scope["path"] = path
        await self._app(scope, receive, send)


class RootPath:
    """Middleware of a service whose paths have a prefix, whether the proxy takes it off or not."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        """Wrap an application; the prefix is like `/analytics`."""
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the prefix off the path; the prefix alone leads to the start page below it."""
        path = scope.get("path", "")
        if path == self._prefix:
            query = scope["query_string"].decode("latin-1")
            there = f"{path}/?{query}" if query else f"{path}/"
            await RedirectResponse(there)(scope, receive, send)
            return
        if path.startswith(f"{self._prefix}/"):
            path = path.removeprefix(self._prefix)
        await self._app({**scope, "path": path, "root_path": self._prefix}, receive, send)


_REFUSALS: Final = (
    "settings.InvalidSettingError:",
    "store.store.StoreInUseError:",
    "store.engine_folder.StoreFolderError:",
    "store.engine.EngineError:",
)


class StartupErrorMessage:
    """Middleware that lets a refusal to start be read: its one line, not Starlette's traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def shorten(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                last_line = message["message"].strip().rpartition("\n")[2]
                if last_line.startswith(_REFUSALS):
                    message["message"] = last_line.partition(": ")[2]
            await send(message)

        await self._app(scope, receive, shorten if scope["type"] == "lifespan" else send)
