"""The application: composes settings, store and doors, and runs them."""

import contextlib
import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import rest
import schema.http
from operations import RequestLog, internal_metrics, livez, log_to_stderr, readyz
from pages import Pages
from resolvers.context import Context
from schema.errors import STATUS, AnalyticsError, bad_input
from settings import InvalidSettingError, Settings, from_environment
from store import Store
from store.limits import Limits
from transport import Bodies, Prefix, error_answer

GRACE_SECONDS: Final = 8

_LOG: Final = logging.getLogger("analytics")
_REFUSALS: Final = (
    "settings.InvalidSettingError:",
    "store.store.StoreInUseError:",
    "store.engine.EngineError:",
)
_CODES: Final = {status: code for code, status in reversed(STATUS.items())}


def create_app(settings: Settings) -> FastAPI:
    """Compose the application; nothing is opened before its lifespan begins."""
    app = FastAPI(
        title="Analytics Service",
        version="0.1.0",
        description="Record metrics and events; ask for them here or over GraphQL at `/graphql`.",
        openapi_tags=rest.TAGS,
        lifespan=_lifespan,
        redirect_slashes=False,
        docs_url=None,  # ours need no internet
        redoc_url=None,
        # On each request FastAPI looks whether tracing was set up meanwhile: a tenth of recording.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings = settings
    app.include_router(rest.recording_routes)
    app.include_router(rest.routes)
    _add_pages(app, Pages())
    app.add_route("/livez", livez, include_in_schema=False)
    app.add_route("/readyz", readyz, include_in_schema=False)
    app.add_route("/internal/metrics", internal_metrics, include_in_schema=False)
    app.add_exception_handler(AnalyticsError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(rest.FastLane, routes=rest.recording_routes.routes)
    app.add_middleware(Bodies, limit=Limits.of_this_machine().body_bytes)
    app.add_middleware(RequestLog)
    app.add_middleware(_PlainRefusal)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["Retry-After"],
    )
    if settings.root_path:
        app.add_middleware(Prefix, prefix=settings.root_path)
    return app


class _PlainRefusal:
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


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    log_to_stderr("analytics")
    _refuse_workers(sys.argv, os.environ)
    store = Store(settings.data, settings.store, Limits.of_this_machine(), settings.journal_bytes)
    try:
        began = time.monotonic()
        await store.open()
        app.state.context = Context(store=store, production=settings.production)
        ms = round((time.monotonic() - began) * 1000)
        _LOG.info("ready", extra={"data": str(settings.data), "ms": ms})
        # 75,000 objects are here to stay, and a batch makes thousands that die at once: looking at
        # them less often takes a third off the time of a batch.
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        yield
    finally:
        await store.close()
        _LOG.info("stopped")


def _refuse_workers(arguments: list[str], environment: Mapping[str, str]) -> None:
    """One process owns the data folder, so a second worker could only fail."""
    asked = environment.get("WEB_CONCURRENCY", "1")
    for option, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if option == "--workers":
            asked = value
        elif option.startswith("--workers="):
            asked = option.removeprefix("--workers=")
    if asked.isdigit() and int(asked) > 1:
        raise InvalidSettingError(
            f"This service runs as one process, not {asked}: leave out --workers"
            " (and WEB_CONCURRENCY). One process uses all cores for queries."
        )


def _add_pages(app: FastAPI, pages: Pages) -> None:
    explorer = pages.page("explorer.html")

    async def graphql(request: Request) -> Response:
        if request.method != "POST" and "text/html" in request.headers.get("accept", ""):
            return await explorer(request)
        response = await schema.http.graphql(request, rest.context_of(request))
        response.headers["Vary"] = "Accept"
        return response

    app.add_route("/graphql", graphql, methods=["GET", "POST"], include_in_schema=False)
    app.add_route("/", pages.page("index.html"), include_in_schema=False)
    app.add_route("/docs", pages.page("docs.html"), include_in_schema=False)
    app.add_route("/redoc", pages.page("redoc.html"), include_in_schema=False)
    app.add_route("/redoc/logo-mini.svg", pages.file, include_in_schema=False)
    app.add_route("/static/{path:path}", pages.file, include_in_schema=False)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, AnalyticsError)  # noqa: S101 - it is registered for this type only
    return error_answer(error)


async def _invalid(_: Request, error: Exception) -> Response:
    """Say what FastAPI found wrong with a parameter as everything else says it."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    first = error.errors()[0]
    bounds = first.get("ctx", {})
    limit = next((bounds[key] for key in ("le", "ge", "lt", "gt") if key in bounds), None)
    message = first["msg"].removeprefix("Input ")
    return error_answer(bad_input(str(first["loc"][-1]), message, limit=limit))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    code = _CODES.get(error.status_code, "BAD_REQUEST")
    response = error_answer(AnalyticsError(code, error.detail))
    if error.status_code == 405:
        response.headers["Allow"] = ", ".join(_allowed(request))
    return response


def _allowed(request: Request) -> list[str]:
    """List the methods of a path: Starlette names those of the first route that has the path."""
    allowed = []
    for method in ("DELETE", "GET", "HEAD", "POST"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            allowed.append(method)
    return allowed


class _Server(uvicorn.Server):
    """A server that ends in order, and with exit code 0, when it is told to.

    npm passes on the SIGINT that the terminal has already sent to the whole group; uvicorn would
    take the second one as impatience and skip the orderly end. It would also raise the signal
    again after that end, so that a supervisor saw a process that was killed.
    """

    _asked = 0.0
    interrupted = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Begin to stop; make it quick when asked again after a second."""
        if not self.should_exit:
            self._asked = time.monotonic()
            self.should_exit = True
            self.interrupted = sig == signal.SIGINT
        elif sig == signal.SIGINT and time.monotonic() - self._asked > 1:
            self.force_exit = True


def main(arguments: list[str]) -> int:
    """Serve until told to stop; `--reload` restarts on every change of the code."""
    log_to_stderr("analytics", "uvicorn")
    try:
        settings = from_environment()
    except InvalidSettingError as error:
        _LOG.critical("%s", error)
        return 2
    if not _is_loopback(settings.host):
        _LOG.warning(
            "listening on %s: anyone who reaches this address can read and write", settings.host
        )
    reload = "--reload" in arguments
    config = uvicorn.Config(
        "app:app" if reload else create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        reload=reload,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        proxy_headers=False,  # nothing here depends on the client's address
    )
    server = _Server(config)
    try:
        if reload:
            from uvicorn.supervisors import ChangeReload  # noqa: PLC0415 - only development has it

            ChangeReload(config, target=server.run, sockets=[config.bind_socket()]).run()
        else:
            server.run()
    except KeyboardInterrupt:
        pass
    if not reload and not server.started:
        return 3
    if reload or server.interrupted:
        _confirm_stop(settings)
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _confirm_stop(settings: Settings) -> None:
    """Tell who pressed Ctrl+C that the port is free, after looking."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
            state = "free"
        except OSError:
            state = "still in use"
    sys.stderr.write(f"Stopped. Port {settings.port} is {state}.\n")


def run() -> None:
    """Serve as the command `analytics-service`, which the wheel installs."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
else:
    app = create_app(from_environment())
