"""The application: composes settings, store, REST API, GraphQL API and pages.

`server.py` runs it.
"""

import asyncio
import contextlib
import functools
import gc
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

import access_commands
import server
from api import rest
from api.access import sign_in
from api.addresses import Clients
from api.bodies import BodyMemory, BodyMemoryLimit
from api.compression import Compression
from api.edge.limits import EdgeLimits
from api.fast_lane import fast_lanes
from api.graphql import http
from api.graphql.dashboards.reports import load_files, report_invalid_dashboards
from api.graphql.documents.documents import check_texts
from api.graphql.persisted import report_invalid_documents
from api.graphql.schema import schema
from api.hosts import Hosts
from api.logs import LoggedRoute, RequestLog, log_to_stderr
from api.middleware import (
    BudgetHeaders,
    CrossOrigin,
    EncodedPaths,
    HeadRequests,
    RootPath,
    StartupErrorMessage,
    TrailingSlash,
)
from api.negotiation import prefers_page
from api.openapi.operations import add_security
from api.pages import Pages
from api.probes import internal_metrics, livez, readyz
from api.responses import error_answer
from api.rest_models import COMPONENTS
from api.single_flight import SingleFlight
from api.subscriptions.channels import Channels
from api.subscriptions.hub import Hub
from api.subscriptions.reservations import Reservations
from api.subscriptions.socket_upgrades import is_upgrade, upgrade
from api.subscriptions.stream_requests import (
    answer_for_reserved_stream,
    is_of_reserved_stream,
    open_stream,
)
from resolvers.context import Context
from schema.access import ALL_RIGHTS, NO_RIGHTS
from schema.errors import STATUS, AnalyticsError, bad_input
from schema.limits import LimitTable, check_names
from settings import VERSION, InvalidSettingError, Settings, from_environment
from store import Store
from store.idle_memory import IdleMemory
from store.limits import Limits

if TYPE_CHECKING:
    from api.access.openid import Provider

_DESCRIPTION: Final = """Record metrics and events; query them here or over GraphQL at `/graphql`.

A path takes the listed parameters, each at most once. Any other parameter is a 422 that names it.
HEAD is answered like GET. Responses of 2 KiB and more are compressed (zstd, gzip) if the client
accepts it.
"""
_LOG: Final = logging.getLogger("analytics")
_Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
_CODES: Final = {status: code for code, status in reversed(STATUS.items())}


class _Application(FastAPI):
    fast_lanes: Mapping[tuple[str, bytes], ASGIApp] = MappingProxyType({})
    hosts = Hosts((), is_open=True)
    literal_methods: Mapping[str, Container[str]] = MappingProxyType({})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, past the middleware if its route has a fast lane."""
        if scope["type"] == "http":
            try:
                self.hosts.check(scope)
            except AnalyticsError as error:
                await error_answer(error)(scope, receive, send)
                return
        lane = self.fast_lanes.get((scope.get("method", ""), scope.get("raw_path", b"")))
        await (lane or super().__call__)(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document with the schemas of the answers; FastAPI caches it."""
        document = super().openapi()
        document["components"] = {"schemas": COMPONENTS}
        add_security(document, production=self.state.settings.production)
        return document


def create_app(settings: Settings) -> FastAPI:
    """Compose the application. Its lifespan opens and closes the store."""
    app = _Application(
        title="Analytics Service",
        version=VERSION,
        description=_DESCRIPTION,
        openapi_tags=rest.TAGS,
        lifespan=_lifespan,
        redirect_slashes=False,
        docs_url=None,  # our own pages need no internet
        redoc_url=None,
        # FastAPI would check for tracing at each request, at a tenth of the cost of recording.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings = settings
    app.state.provider = None
    app.state.flights = SingleFlight()
    app.state.hub = Hub(lambda: app.state.context)
    app.state.channels = Channels(app.state.hub)
    app.state.reservations = Reservations(app.state.channels)
    app.state.open_stream = open_stream
    app.hosts = Hosts(settings.hosts, is_open=not settings.production)
    api_routes: list[BaseRoute] = []
    for router in (rest.recording_routes, rest.routes, rest.probes):
        app.include_router(router)
        api_routes += router.routes
    _add_pages(app, Pages())
    _add_route(app, "/session", sign_in.show_caller)
    _add_route(app, "/session", sign_in.sign_in, methods=["POST"])
    _add_route(app, "/session", sign_in.sign_out, methods=["DELETE"])
    _add_route(app, "/session/openid", sign_in.begin_with_provider, methods=["POST"])
    _add_route(app, "/session/openid/callback", sign_in.finish_with_provider)
    _add_route(app, "/livez", livez)
    _add_route(app, "/readyz", readyz)
    _add_route(app, "/internal/metrics", internal_metrics)
    app.literal_methods = _literal_methods([*app.routes, *api_routes])
    app.add_exception_handler(AnalyticsError, _handle_error)
    app.add_exception_handler(RequestValidationError, _handle_invalid_parameter)
    app.add_exception_handler(HTTPException, _handle_http_error)

    def key_origins() -> Container[str]:
        context: Context = app.state.context
        return context.store.keys.origins

    cross_origin: dict[str, Any] = {
        "origins": settings.allowed_origins,
        "key_origins": key_origins,
        "credentials": settings.production and settings.cors_credentials,
    }
    limits, *_ = _limits(settings)
    clients = app.state.clients = Clients(settings.proxies)
    memory = BodyMemory(limits.body_bytes, clients)
    app.add_middleware(BudgetHeaders)
    app.add_middleware(Compression)
    app.add_middleware(BodyMemoryLimit, memory=memory)
    app.add_middleware(HeadRequests)
    app.add_middleware(TrailingSlash, routes=[*app.routes, *api_routes])
    app.add_middleware(EncodedPaths)
    app.add_middleware(RequestLog)
    app.add_middleware(StartupErrorMessage)
    app.add_middleware(CrossOrigin, **cross_origin)
    if settings.root_path:
        app.add_middleware(RootPath, prefix=settings.root_path)
    cors = functools.partial(CrossOrigin, **cross_origin)
    recording_routes = rest.recording_routes.routes
    app.fast_lanes = fast_lanes(app, recording_routes, memory, cors, settings.root_path)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    log_to_stderr("analytics")
    _refuse_workers(sys.argv, os.environ)
    limits, _, limit_table = _limits(settings)
    store = Store(settings.data, settings.store, limits, settings.journal_bytes, limit_table)
    try:
        start = time.monotonic()
        await store.open()
        rights = NO_RIGHTS if settings.production else ALL_RIGHTS
        app.state.context = Context(
            store,
            replace(rights, trusted_only=settings.trusted_documents_only),
            limits=limit_table,
        )
        app.state.provider = _provider(settings)
        ms = round((time.monotonic() - start) * 1000)
        _LOG.info("ready", extra={"data": str(settings.data), "ms": ms})
        if settings.production and not store.keys.has_usable:
            _LOG.warning("no key exists: %s", access_commands.first_key_hint(settings.data))
        # 75,000 objects live as long as the process; a batch makes thousands of short-lived ones.
        # Fewer collections save a third of the time of a batch.
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        core_schema = schema._schema  # noqa: SLF001 - graphql-core's
        check = functools.partial(check_texts, core_schema, limit_table)
        if settings.dashboards:
            await load_files(store, settings.dashboards, core_schema, limit_table)
        documents_check = asyncio.create_task(report_invalid_documents(store, check))
        dashboards_check = asyncio.create_task(
            report_invalid_dashboards(store, core_schema, limit_table)
        )
        idle_memory = asyncio.create_task(IdleMemory().run())
        yield
        documents_check.cancel()
        dashboards_check.cancel()
        idle_memory.cancel()
    finally:
        await app.state.channels.stop()
        await app.state.hub.stop()
        await store.close()
        _LOG.info("stopped")


def _limits(settings: Settings) -> tuple[Limits, EdgeLimits, LimitTable]:
    """Return the limits of store and edge, and the table of all limits.

    Raises `InvalidSettingError` for an unknown limit, and for a value that it can't have.
    """
    try:
        check_names(settings.limits, Limits, EdgeLimits)
        limits = Limits.of_this_machine(settings.limits)
        edge = EdgeLimits.from_settings(settings.limits)
        return limits, edge, LimitTable(settings.limits, (*limits.table(), *edge.table()))
    except ValueError as error:
        raise InvalidSettingError(f"ANALYTICS_LIMITS {error}") from None


def _provider(settings: Settings) -> "Provider | None":
    """Return the provider of OpenID Connect; None if none is configured."""
    if not settings.openid_issuer:
        return None
    from api.access.openid import Provider  # noqa: PLC0415 - Authlib takes 0.3 s to import

    return Provider(settings.openid_issuer, settings.openid_client, settings.openid_secret or None)


def _refuse_workers(arguments: list[str], environment: Mapping[str, str]) -> None:
    """Refuse several workers: one process owns the data folder, so a second one would fail."""
    workers = environment.get("WEB_CONCURRENCY", "1")
    for option, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if option == "--workers":
            workers = value
        elif option.startswith("--workers="):
            workers = option.removeprefix("--workers=")
    if workers.isdigit() and int(workers) > 1:
        raise InvalidSettingError(
            f"This service runs as one process, not {workers}: leave out --workers"
            " (and WEB_CONCURRENCY). One process uses all cores for queries."
        )


def _add_pages(app: FastAPI, pages: Pages) -> None:
    explorer = pages.page("explorer.html")

    async def graphql(request: Request) -> Response:
        if is_upgrade(request):
            return await upgrade(request)
        if is_of_reserved_stream(request):
            return await answer_for_reserved_stream(request)
        if request.method != "POST" and prefers_page(request.headers, http.MEDIA_TYPES):
            return await explorer(request)
        response = await http.graphql(request)
        response.headers.add_vary_header("Accept")
        return response

    _add_route(app, "/graphql", graphql, methods=["GET", "POST", "PUT", "DELETE"])
    _add_route(app, "/", pages.page("index.html"))
    _add_route(app, "/sign-in", pages.page("sign-in.html"))
    _add_route(app, "/dashboards", pages.page("dashboards.html"))
    _add_route(app, "/dashboards/{view}", pages.page("dashboards/dashboards.html"))
    _add_route(app, "/docs", pages.page("docs.html"))
    _add_route(app, "/redoc", pages.page("redoc.html"))
    _add_route(app, "/redoc/logo-mini.svg", pages.file)
    _add_route(app, "/static/{path:path}", pages.file)


def _add_route(
    app: FastAPI, path: str, endpoint: _Endpoint, methods: Sequence[str] = ("GET",)
) -> None:
    app.router.routes.append(LoggedRoute(path, endpoint, methods=methods, include_in_schema=False))


async def _handle_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, AnalyticsError)  # noqa: S101 - the handler of this type
    return error_answer(error)


async def _handle_invalid_parameter(_: Request, error: Exception) -> Response:
    """Convert FastAPI's first error of a parameter to the one shape of errors."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    first = error.errors()[0]
    bounds = first.get("ctx", {})
    limit = next(
        (bounds[key] for key in ("le", "ge", "lt", "gt", "max_length") if key in bounds), None
    )
    message = first["msg"].removeprefix("Input ")
    return error_answer(bad_input(str(first["loc"][-1]), message, limit=limit))


async def _handle_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    code = _CODES.get(error.status_code, "BAD_REQUEST")
    response = error_answer(AnalyticsError(code, error.detail))
    if error.status_code == 405:
        response.headers["Allow"] = ", ".join(_allowed_methods(request))
    return response


def _literal_methods(routes: Sequence[BaseRoute]) -> dict[str, set[str]]:
    methods: dict[str, set[str]] = {}
    for route in routes:
        if isinstance(route, Route) and "{" not in route.path:
            methods.setdefault(route.path, set()).update(route.methods or ())
    return methods


def _allowed_methods(request: Request) -> list[str]:
    """List the methods of all routes of a path; Starlette lists the first route only.

    `/metrics/batch` could also be the name of a metric: the literal path goes first, as in OpenAPI.
    """
    literal = request.app.literal_methods.get(request.scope["path"])
    methods = []
    for method in ("DELETE", "GET", "POST", "PUT"):
        scope = {**request.scope, "method": method}
        if (
            method in literal
            if literal
            else any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
        ):
            methods += [method, "HEAD"] if method == "GET" else [method]
    return methods


def run() -> None:
    """Run the command `analytics-service` of the wheel."""
    sys.exit(server.main(sys.argv[1:], create_app))


def __getattr__(name: str) -> FastAPI:
    """Create `app` at its first use, by `uvicorn app:app`; the import alone creates nothing."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    application = globals()["app"] = create_app(from_environment())
    return application


if __name__ == "__main__":
    run()
