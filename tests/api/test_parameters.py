"""Query parameters: a route takes its declared ones, each once, and refuses all others."""

from urllib.parse import urlencode

import pytest

from api import rest
from api.fast_lane import StrictRoute
from tests.harness.apis import error_summary, first_error, record, stored_totals
from tests.harness.service import Service

UNKNOWN = [
    ("GET", "/metrics/known?hour=1", "hour", "did you mean hours? It takes hours."),
    ("GET", "/metrics/known?days=7", "days", "did you mean hours? It takes hours."),
    ("GET", "/metrics/known?Hours=7", "Hours", "did you mean hours?"),
    ("GET", "/metrics/known?hours=7&x=1", "x", "it takes hours."),
    ("GET", "/metrics/known?limit=7", "limit", "it takes hours."),
    ("GET", "/metrics/nobody?hour=1", "hour", "did you mean hours?"),
    ("GET", "/metrics/a/b?=1", "", "it takes hours."),
    ("GET", "/metrics?search=x", "search", "it takes limit, after."),
    ("GET", "/metrics?hours=1", "hours", "it takes limit, after."),
    ("GET", "/events?user_id=u", "user_id", "it takes event_name, limit. GraphQL filters by more"),
    ("GET", "/events?event=x", "event", "did you mean event_name? It takes event_name, limit."),
    ("GET", "/events?event-name=x", "event-name", "did you mean event_name?"),
    ("GET", "/events?eventName=x", "eventName", "did you mean event_name?"),
    ("GET", "/events?name=x", "name", "did you mean event_name?"),
    ("GET", "/events?limits=1", "limits", "did you mean limit?"),
    ("GET", "/events?first=1", "first", "did you mean limit?"),
    ("GET", "/events?offset=1", "offset", "it takes event_name, limit."),
    ("GET", "/events?%F0%9F%98%80", "😀", "it takes event_name, limit."),
    ("GET", "/dashboard?hours=1", "hours", "it takes none."),
    ("HEAD", "/dashboard?hours=1", None, ""),
    ("DELETE", "/events?event_name=x", "event_name", "To delete some events use GraphQL"),
    ("DELETE", "/events?limit=1", "limit", "To delete some events use GraphQL"),
    ("DELETE", "/metrics/known?hours=1", "hours", "it takes none."),
    ("POST", "/metrics?metric_name=x", "metric_name", "it takes precision, key."),
    ("POST", "/metrics?precison=s", "precison", "did you mean precision? It takes precision, key."),
    ("POST", "/metrics?precision=s&precision=s", "precision", "must not be given twice"),
    ("POST", "/metrics/batch?hours=1", "hours", ""),
    ("POST", "/metrics/series?hours=1", "hours", ""),
    ("POST", "/events?event_name=x", "event_name", ""),
    ("POST", "/events/batch/?event_name=x", "event_name", ""),
    ("GET", "/metrics/known?hours=1&hours=2", "hours", "must not be given twice"),
    ("GET", "/events?limit=1&event_name=a&limit=1", "limit", "must not be given twice"),
    ("GET", "/graphql?query={health{status}}&hours=1", "hours", "it takes query, variables,"),
    ("GET", "/graphql?query={health{status}}&variable={}", "variable", "did you mean variables?"),
    ("GET", "/graphql?query={health{status}}&operationname=x", "operationname", "operationName?"),
    ("GET", "/graphql?query={health{status}}&query={health{status}}", "query", "given twice"),
]


@pytest.mark.parametrize(("method", "path", "field", "message"), UNKNOWN)
async def test_unknown_parameters(
    service: Service, method: str, path: str, field: str | None, message: str
) -> None:
    """An unknown or repeated parameter is a 422 that lists the known ones; nothing is stored."""
    await record(service, "/metrics", {"metric_name": "known", "value": 1})
    await record(service, "/events", {"event_name": "x"})
    before = await stored_totals(service)
    body = '{"metric_name": "sent", "event_name": "sent", "value": 1}'
    answer = await service.http.request(method, path, content=body if method == "POST" else None)
    assert answer.status_code == 422
    assert await stored_totals(service) == before
    if method != "HEAD":
        assert error_summary(answer) == (422, "BAD_USER_INPUT", field, None)
        assert message in first_error(answer)["message"]


async def test_a_long_name_is_not_repeated(service: Service) -> None:
    """The refusal has the first 100 characters of the parameter."""
    answer = await service.http.get(f"/events?{'x' * 50_000}=1")
    assert first_error(answer)["extensions"]["field"] == "x" * 100
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    "path", ["/health", "/health-check", "/livez", "/readyz", "/internal/metrics", "/", "/docs"]
)
async def test_probes_and_pages_take_any(service: Service, path: str) -> None:
    """Probes and pages accept any parameters, which clients add against caches."""
    for query in ("_=1795000000", "_=1&_=2", "a"):
        assert (await service.http.get(f"{path}?{query}")).status_code == 200


async def test_empty_queries(service: Service) -> None:
    """A question mark alone is no parameter."""
    for path in ("/metrics?", "/dashboard?&&", "/events?"):
        assert (await service.http.get(path)).status_code == 200


async def test_parameters_of_openapi(service: Service) -> None:
    """Each route accepts its parameters in OpenAPI: both have one declaration."""
    paths = (await service.http.get("/openapi.json")).json()["paths"]
    for route in (*rest.routes.routes, *rest.recording_routes.routes):
        assert isinstance(route, StrictRoute)
        method = min(route.methods or ())
        parameters = paths[route.path_format][method.lower()].get("parameters", [])
        names = [parameter["name"] for parameter in parameters if parameter["in"] == "query"]
        query = urlencode(dict.fromkeys(names, "1"))
        route.check_parameters({"query_string": query.encode()})
