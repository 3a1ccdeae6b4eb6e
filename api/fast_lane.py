"""Route classes of the REST API, and a short path to the routes that record.

`StrictRoute` refuses undeclared query parameters, and executes identical queries once. `RawRoute`
leaves the body to its endpoint. `FastLane` serves a raw route without the middleware.
"""

import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, TypeAlias

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access.credentials import KEY_PARAMETER, context_of
from api.bodies import BodyMemory, close_if_unread
from api.compression import SMALLEST, Compression
from api.headers import headers_of
from api.logs import log_request
from api.parameters import check_parameters
from api.responses import error_answer, internal_error
from api.single_flight import Flight
from resolvers.context import Context
from schema.errors import AnalyticsError

_VARY: Final = (b"vary", b"Origin")  # as `CrossOrigin` answers a request without an origin

_Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]


class _Text(Convertor[str]):
    """Path parameter of any text. Starlette's own `path` stops at a line break."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("text", _Text())


class StrictRoute(APIRoute):
    """A route that refuses query parameters it does not declare.

    It declares them as parameters of its function, or in `openapi_extra["parameters"]`.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401 - FastAPI's
        """Make a route, and collect its declared parameters."""
        super().__init__(path, endpoint, **options)
        names = [field.alias for field in self.dependant.query_params]
        extra = (self.openapi_extra or {}).get("parameters", [])
        self._parameters = [*names, *(param["name"] for param in extra if param["in"] == "query")]
        self._title = f"{min(self.methods or ())} {self.path_format}"

    def check_parameters(self, scope: Scope) -> None:
        """Raise BAD_USER_INPUT for a parameter that is undeclared or repeated."""
        if scope["query_string"]:
            check_parameters(scope["query_string"], self._title, self._parameters)

    def get_route_handler(self) -> _Handler:
        """Return a handler that checks the parameters first. Identical queries share a flight."""
        handle = super().get_route_handler()

        async def check_and_handle(request: Request) -> Response:
            self.check_parameters(request.scope)
            if request.method != "GET":
                return await handle(request)

            async def execute(ctx: Context) -> Response:
                request.state.context = ctx
                return await handle(request)

            ctx = context_of(request)
            scope, flights = request.scope, request.app.state.flights
            flight = Flight(self._title, scope["query_string"], scope["path"], ctx.grant)
            response: Response = await flights.answer(request, ctx, flight, execute)
            return response

        return check_and_handle


class RawRoute(StrictRoute):
    """A route whose endpoint takes the bare request.

    Recording is the hot path, and FastAPI takes longer to read a body than all other steps take.
    A public key may be in its query string.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401 - FastAPI's
        """Make a route, and add the parameter of a key, which OpenAPI has as a security scheme."""
        super().__init__(path, endpoint, **options)
        self._parameters.append(KEY_PARAMETER)

    def get_route_handler(self) -> _Handler:
        """Return a handler that checks the parameters, then calls the endpoint."""

        async def check_and_call(request: Request) -> Response:
            self.check_parameters(request.scope)
            response: Response = await self.endpoint(request)
            return response

        return check_and_call


class FastLane:
    """A raw route without the middleware and the router, which cost twice as much as recording.

    One function does what the middleware does for such a route: it logs, answers errors, limits
    the bodies in memory, and adds the headers for other origins and for compression.
    """

    def __init__(
        self, app: ASGIApp, route: RawRoute, memory: BodyMemory, cors: Callable[[ASGIApp], ASGIApp]
    ) -> None:
        """Serve a route of an application; `cors` wraps a response for other origins."""
        self._check_parameters = route.check_parameters
        self._endpoint = route.endpoint
        self._memory = memory
        self._entries = {"app": app, "route": route, **memory.entry}
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        start = time.monotonic()
        scope.update(self._entries)
        headers = headers_of(scope)
        if b"expect" in headers:
            receive, send = close_if_unread(receive, send)
        try:
            try:
                self._check_parameters(scope)
                response = await self._endpoint(Request(scope, receive))
            except AnalyticsError as error:
                response = error_answer(error)
            except Exception as error:  # noqa: BLE001 - the outermost place that can still answer
                response = error_answer(internal_error(error))
            if b"origin" in headers or len(response.body) >= SMALLEST:
                await self._cors(Compression(response))(scope, receive, send)
            else:
                response.raw_headers.append(_VARY)
                await send(
                    {
                        "type": "http.response.start",
                        "status": response.status_code,
                        "headers": response.raw_headers,
                    }
                )
                await send({"type": "http.response.body", "body": response.body})
        finally:
            self._memory.release(scope)
        log_request(scope, response.status_code, time.monotonic() - start)


def fast_lanes(
    app: ASGIApp,
    routes: Iterable[BaseRoute],
    memory: BodyMemory,
    cors: Callable[[ASGIApp], ASGIApp],
    prefix: str,
) -> dict[tuple[str, bytes], FastLane]:
    """Return the lanes of the raw routes by method and path, with and without the prefix.

    The path is the one that was sent: an encoded path has no lane.
    """
    return {
        (method, path.encode()): FastLane(app, route, memory, cors)
        for route in routes
        if isinstance(route, RawRoute)
        for method in route.methods or ()
        for path in (route.path, f"{prefix}{route.path}")
    }
