"""Route classes of the REST API, and a short path to the routes that record.

`StrictRoute` refuses undeclared query parameters. `RawRoute` leaves the body to its endpoint.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeAlias

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api.compression import SMALLEST, compress
from api.parameters import check_parameters
from api.responses import error_answer
from schema.errors import AnalyticsError

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
        """Return a handler that checks the parameters first."""
        handle = super().get_route_handler()

        async def check_and_handle(request: Request) -> Response:
            self.check_parameters(request.scope)
            return await handle(request)

        return check_and_handle


class RawRoute(StrictRoute):
    """A route whose endpoint takes the bare request.

    Recording is the hot path, and FastAPI takes longer to read a body than all other steps take.
    """

    def get_route_handler(self) -> _Handler:
        """Return the endpoint itself."""
        return self.endpoint


class FastLane:
    """Middleware that finds a raw route by one look-up, and calls its endpoint.

    The router passes through six wrappers and a scan of all routes, which cost more than
    recording a row. Requests for other routes go on to the router.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        """Wrap an application that has these routes."""
        self._app = app
        self._routes = {
            (method, route.path): route
            for route in routes
            if isinstance(route, RawRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request if it is for a raw route."""
        route = self._routes.get((scope.get("method", ""), scope.get("path", "")))
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        try:
            route.check_parameters(scope)
            response = await route.endpoint(Request(scope, receive))
        except AnalyticsError as error:
            response = error_answer(error)
        if len(response.body) >= SMALLEST:
            send = compress(scope, send)
        await response(scope, receive, send)
