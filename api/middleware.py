"""Middleware for HEAD, slashes, the path prefix of a proxy, other origins, start-up errors."""

import math
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.headers import CONTEXT_KEY, HEAD_KEY
from api.responses import error_answer
from resolvers.context import Context
from schema.errors import AnalyticsError

_NAMES: Final = b"/metrics/"
"""Path of the routes whose last part is the name of a metric."""


class BudgetHeaders:
    """Middleware that says in each answer what the caller's key may spend.

    The headers are those of the IETF's draft: quota and window of the policy, and what remains.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to an answer to a caller with a budget."""

        async def send_with_budget(message: Message) -> None:
            if message["type"] == "http.response.start" and (ctx := scope.get(CONTEXT_KEY)):
                message = {**message, "headers": [*message["headers"], *_budget_headers(ctx)]}
            await send(message)

        await self._app(scope, receive, send_with_budget)


def _budget_headers(ctx: Context) -> list[tuple[bytes, bytes]]:
    budget = ctx.batch.budget
    if budget is None:
        return []
    window = round(budget.limit / budget.per_second)
    remaining = max(0, math.floor(budget.available))
    return [
        (b"ratelimit-policy", b'"cost";q=%d;w=%d' % (budget.limit, window)),
        (b"ratelimit", b'"cost";r=%d;t=%d' % (remaining, budget.full_after)),
    ]


class HeadRequests:
    """Middleware that answers HEAD like GET: the same status and headers, no body."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a HEAD request on as GET, and drop the body of its response."""
        if scope.get("method") != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        get_scope = {**scope, "method": "GET", HEAD_KEY: True}
        try:
            await self._app(get_scope, receive, send_without_body)
        finally:
            scope["route"] = get_scope.get("route")  # for the log


class TrailingSlash:
    """Middleware for the path of a route with a slash at its end.

    GET is redirected to the path without the slash, because pages have relative links. The
    redirect is relative too: only the client knows the prefix that a proxy strips. Other methods
    are routed at once, because few clients repeat a POST after a redirect. Routes with a name in
    their path are left alone, because a metric's name may end in a slash.
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
        """Redirect or route a request whose path ends in a slash."""
        path: str = scope.get("path", "")
        if path.endswith("/"):
            is_read = scope["method"] in {"GET", "HEAD"}
            path = path[:-1]
            if ("GET" if is_read else scope["method"], path) in self._routes:
                if is_read:
                    query = scope["query_string"].decode("latin-1")
                    target = f"../{path.rpartition('/')[2]}" + (f"?{query}" if query else "")
                    await RedirectResponse(target, 308)(scope, receive, send)
                    return
                scope["path"] = path
        await self._app(scope, receive, send)


class EncodedPaths:
    """Middleware that refuses a path with an encoded character, except in the name of a metric.

    A rule of a proxy for `/internal/` sees `/internal%2fmetrics` and `/%69nternal/metrics` as other
    paths. So for the service they are other paths, too.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application; `RootPath` must be outside of it."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 404."""
        raw_path: bytes = scope.get("raw_path") or b""
        if b"%" in raw_path and not _is_name_of_a_metric(scope, raw_path):
            await error_answer(AnalyticsError("NOT_FOUND", "Not Found"))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_name_of_a_metric(scope: Scope, raw_path: bytes) -> bool:
    if scope["method"] == "POST":  # /metrics/batch and /metrics/series are no names
        return False
    prefix = scope.get("root_path", "").encode()  # a proxy may have removed it
    return raw_path.removeprefix(prefix).startswith(_NAMES)


class RootPath:
    """Middleware for a path prefix, whether the proxy strips it or passes it on."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        """Wrap an application; the prefix is like `/analytics`."""
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Strip the prefix from the path. The prefix alone redirects to the start page."""
        path = scope.get("path", "")
        if path == self._prefix:
            query = scope["query_string"].decode("latin-1")
            target = f"{path}/?{query}" if query else f"{path}/"
            await RedirectResponse(target)(scope, receive, send)
            return
        if path.startswith(f"{self._prefix}/"):
            path = path.removeprefix(self._prefix)
        await self._app({**scope, "path": path, "root_path": self._prefix}, receive, send)


_STARTUP_ERRORS: Final = (
    "settings.InvalidSettingError:",
    "store.access.locked_file.UnusableFileError:",
    "store.folder_lock.StoreInUseError:",
    "store.engine_folder.StoreFolderError:",
    "store.driver.EngineError:",
)


class CrossOrigin(CORSMiddleware):
    """Middleware that lets pages of other origins use the API."""

    def __init__(
        self,
        app: ASGIApp,
        origins: Sequence[str],
        key_origins: Callable[[], Container[str]],
        *,
        credentials: bool,
    ) -> None:
        """Wrap an application; pages of these origins and of the origins of keys may use it.

        With `credentials` they may send cookies.
        """
        self._key_origins = key_origins
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=["*"],
            allow_credentials=credentials,
            expose_headers=["Retry-After", "RateLimit", "RateLimit-Policy"],
        )

    def is_allowed_origin(self, origin: str) -> bool:
        """Say whether pages of an origin may use the API. A preflight names no key."""
        return super().is_allowed_origin(origin) or origin.lower() in self._key_origins()


class StartupErrorMessage:
    """Middleware that shows a start-up error as one line instead of Starlette's traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def shorten(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                last_line = message["message"].strip().rpartition("\n")[2]
                if last_line.startswith(_STARTUP_ERRORS):
                    message["message"] = last_line.partition(": ")[2]
            await send(message)

        await self._app(scope, receive, shorten if scope["type"] == "lifespan" else send)
