"""Routes of the REST API: strict about query parameters, raw and fast for recording."""

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
    """Any text as the end of a path; Starlette's own `path` stops before a line break."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("text", _Text())


class StrictRoute(APIRoute):
    """A route that refuses query parameters it doesn't declare.

    They are those of its function, and those among the `parameters` of its `openapi_extra`.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401 - FastAPI's
        """Find out which parameters are declared."""
        super().__init__(path, endpoint, **options)
        declared = [field.alias for field in self.dependant.query_params]
        extra = (self.openapi_extra or {}).get("parameters", [])
        self._parameters = [*declared, *(each["name"] for each in extra if each["in"] == "query")]
        self._shown = f"{min(self.methods or ())} {self.path_format}"

    def check_parameters(self, scope: Scope) -> None:
        """Refuse a parameter that is not declared, or that is there twice."""
        if scope["query_string"]:
            check_parameters(scope["query_string"], self._shown, self._parameters)

    def get_route_handler(self) -> _Handler:
        """Return a handler that looks at the parameters first."""
        handle = super().get_route_handler()

        async def check_and_handle(request: Request) -> Response:
            self.check_parameters(request.scope)
            return await handle(request)

        return check_and_handle


class RawRoute(StrictRoute):
    """A route that is given the request and nothing else.

    Recording is the hot path: FastAPI's own reading of a body takes longer than all the rest.
    """

    def get_route_handler(self) -> _Handler:
        """Return the endpoint itself."""
        return self.endpoint


class FastLane:
    """Middleware that goes straight to a raw route, by one look-up.

    On the router's way there stand half a dozen wrappers and a scan of all routes, which cost more
    than recording does. What this does not find takes that way as ever.
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
