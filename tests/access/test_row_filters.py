"""Row filters: each query with a key sees the rows that the filter shows, and no trace of more."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from schema.access import KeyKind, RowFilter, Scope
from schema.errors import AnalyticsError
from schema.filter_json import filter_from_json, filter_to_json
from schema.filters import EventFilter, MetricFilter
from settings import Settings
from store.access.registry import KeyRequest, Registry, add_key
from tests.harness.access import as_caller, error_code
from tests.harness.filter_queries import make_input
from tests.harness.service import Service, run_service

QUOTED_NAMES: Final = ("only-theirs'", "`only-theirs`")
"""The name in messages that quote the request."""

TREND: Final = 'range: {last: "P1D"}'
ROW_FILTER: Final = {
    "events": {"property": {"key": "customer", "string": {"eq": "ours"}}},
    "metrics": {"tag": {"key": "customer", "string": {"eq": "ours"}}},
}


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Start a service with rows of two customers, whose texts name the customer."""
    data = tmp_path_factory.mktemp("data")
    async with run_service(Settings(data=data, store=data / "store")) as filled_service:
        for customer in ("ours", "theirs"):
            for n in range(3):
                tags = {"customer": customer, f"tag-{customer}": f"value-{customer}"}
                metric = {"metric_name": "shared", "value": n, "tags": tags}
                await filled_service.post("/metrics", metric)
                await filled_service.post("/metrics", metric | {"metric_name": f"only-{customer}"})
                event = {
                    "event_name": "shared",
                    "user_id": f"user-{customer}",
                    "properties": {"customer": customer, f"key-{customer}": f"value-{customer}"},
                }
                await filled_service.post("/events", event)
                await filled_service.post("/events", event | {"event_name": f"only-{customer}"})
        hidden_event = {"event_name": "only-theirs", "properties": {"customer": "theirs"}}
        await filled_service.post("/events", hidden_event | {"user_id": "user-ours"})
        yield filled_service


async def caller_with(service: Service, row_filter: dict[str, Any]) -> Service:
    """Return a caller with a key that shows some rows."""
    call = (
        "mutation($f: RowFilter) {createApiKey(input:"
        ' {name: "k", kind: SECRET, scopes: [QUERY], rowFilter: $f}) {secret apiKey {rowFilter}}}'
    )
    answer = await service.graphql(call, f=row_filter)
    payload = answer["data"]["createApiKey"]
    assert payload["apiKey"]["rowFilter"] == row_filter
    return as_caller(service, payload["secret"])


WARNINGS: Final = (
    f"{{eventTrend({TREND}, where: %s)"
    " {series {total {count}} meta {warnings {message}}}}"
)
QUERIES: Final = (
    "{overview {metricCount metricNames eventCount eventNames}}",
    "{metrics {totalCount nodes {id name seriesCount tags {key values {value count}}}}}",
    "{events {totalCount nodes {id name userId properties}}}",
    "{eventTypes {id name count properties {key cardinality values {value count}}}}",
    f"{{eventTrend({TREND}, groupBy: [{{field: NAME}}]) {{series {{label total {{count}}}}}}}}",
    f'{{metric(name: "shared") {{query({TREND}, groupBy: ["customer"]) {{series {{label}}}}}}}}',
    f'{{metric(name: "shared") {{samples({TREND}) {{nodes {{value tags}}}}}}}}',
    f'{{metric(name: "only-theirs") {{query({TREND}) {{series {{label}}}}}}}}',
    WARNINGS % '{name: {eq: "only-their"}}',
    WARNINGS % '{property: {key: "key-their", string: {eq: "x"}}}',
    WARNINGS % '{performed: {event: "only-theirs"}}',
    "{eventTrend(range: {preset: ALL_TIME}) {series {total {count uniqueUsers}}}}",
)


async def test_no_query_shows_a_hidden_row(service: Service) -> None:
    """Of two customers, the key of one sees no name, key, value, user or count of the other."""
    caller = await caller_with(service, ROW_FILTER)
    for query in QUERIES:
        answer = await caller.post("/graphql", {"query": query})
        text = answer.text
        for name in QUOTED_NAMES:
            text = text.replace(name, "")
        assert "theirs" not in text
    for path in ("/metrics", "/events", "/dashboard", "/metrics/shared"):
        answer = await caller.http.get(path)
        assert answer.status_code == 200
        assert "theirs" not in answer.text
    assert (await caller.http.get("/metrics/only-theirs")).status_code == 404
    assert (await caller.http.get("/metrics/shared")).json()["count"] == 3
    counts = (await caller.http.get("/dashboard")).json()
    assert (counts["total_metrics_tracked"], counts["total_events_tracked"]) == (6, 6)


async def test_subqueries_see_no_hidden_row(service: Service) -> None:
    """`performed` finds no user by an event that the key does not show."""
    caller = await caller_with(service, ROW_FILTER)
    for count, total in (("", 0), (", count: {eq: 0}", 6)):
        where = f'{{performed: {{event: "only-theirs"{count}}}}}'
        answer = await caller.graphql(f"{{events(where: {where}) {{totalCount}}}}")
        assert answer == {"data": {"events": {"totalCount": total}}}


async def test_ids_of_hidden_rows(service: Service) -> None:
    """The id of a hidden event, metric or event type is not found."""
    caller = await caller_with(service, ROW_FILTER)
    query = "{events {nodes {id properties}} metrics {nodes {id name}} eventTypes {id name}}"
    data = (await service.graphql(query))["data"]
    nodes = data["events"]["nodes"] + data["metrics"]["nodes"] + data["eventTypes"]
    for node in nodes:
        answer = await caller.post(
            "/graphql",
            {"query": "query($id: ID!) {node(id: $id) {id}}", "variables": {"id": node["id"]}},
        )
        is_hidden = "theirs" in str(node)
        assert (answer.json()["data"]["node"] is None) is is_hidden, node


@pytest.mark.parametrize(
    ("row_filter", "metrics", "events"),
    [({}, 0, 0), ({"events": {}}, 0, 13), ({"metrics": {}}, 12, 0), ({"events": {"OR": []}}, 0, 0)],
)
async def test_parts_that_are_left_out(
    service: Service, row_filter: dict[str, Any], metrics: int, events: int
) -> None:
    """A part that is left out shows no row; an empty filter shows all."""
    caller = await caller_with(service, row_filter)
    counts = (await caller.http.get("/dashboard")).json()
    assert (counts["total_metrics_tracked"], counts["total_events_tracked"]) == (metrics, events)


async def test_a_filter_of_the_query_adds_to_it(service: Service) -> None:
    """No filter of a query widens the row filter, whatever it says."""
    caller = await caller_with(service, ROW_FILTER)
    for where in (
        "{OR: [{}, {name: {isSet: true}}]}",
        '{NOT: {property: {key: "customer", string: {eq: "ours"}}}}',
        '{property: {key: "customer", string: {eq: "theirs"}}}',
        "{NOT: {NOT: {}}}",
        '{performed: {event: "shared", count: {gte: 0}}}',
    ):
        query = f"{{events(where: {where}) {{totalCount nodes {{properties}}}}}}"
        answer = await caller.post("/graphql", {"query": query})
        assert error_code(answer) is None, answer.text
        assert "theirs" not in answer.text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": KeyKind.PUBLIC, "scopes": None}, "rowFilter"),
        ({"kind": KeyKind.ADMIN, "scopes": None}, "rowFilter"),
        ({"scopes": None}, "rowFilter"),
        ({"scopes": [Scope.QUERY, Scope.RECORD]}, "rowFilter"),
        ({"row_filter": {"events": {"performed": {"event": "e"}}}}, "rowFilter.events.performed"),
        (
            {"row_filter": {"metrics": {"tag": {"key": "", "string": {}}}}},
            "rowFilter.metrics.tag.key",
        ),
    ],
)
def test_wrong_filters(changes: dict[str, Any], field: str) -> None:
    """A filter that no query could carry is refused when the key is made."""
    wish: dict[str, Any] = {"name": "k", "kind": KeyKind.SECRET, "scopes": [Scope.QUERY]}
    wish |= {"row_filter": ROW_FILTER} | changes
    row_filter = filter_from_json(RowFilter, wish.pop("row_filter"), "rowFilter")
    registry = Registry()
    with pytest.raises(AnalyticsError) as error:
        add_key(registry, KeyRequest(**wish, row_filter=row_filter), 0)
    assert (error.value.field, registry.keys) == (field, [])


WRONG_JSON: Final[list[tuple[Any, str]]] = [
    (1, "f"),
    ([], "f"),
    ({"user": {}}, "f.user"),
    ({"userId": "x"}, "f.userId"),
    ({"userId": {"eq": 1}}, "f.userId.eq"),
    ({"userId": {"in": "x"}}, "f.userId.in"),
    ({"userId": {"in": ["x", None]}}, "f.userId.in[1]"),
    ({"AND": {}}, "f.AND"),
    ({"time": {"gt": "yesterday"}}, "f.time.gt"),
    ({"time": {"gt": 5}}, "f.time.gt"),
    ({"property": {"string": {"eq": "x"}}}, "f.property.key"),
    ({"property": {"key": None}}, "f.property.key"),
    ({"property": {"key": "k", "cast": "TEXT"}}, "f.property.cast"),
    ({"property": {"key": "k", "number": {"gt": "1"}}}, "f.property.number.gt"),
]


@pytest.mark.parametrize(("value", "field"), WRONG_JSON)
def test_wrong_json(value: Any, field: str) -> None:
    """JSON that is no filter names the wrong member."""
    with pytest.raises(AnalyticsError) as error:
        filter_from_json(EventFilter, value, "f")
    assert (error.value.code, error.value.field) == ("BAD_USER_INPUT", field)


def test_deep_json_is_refused() -> None:
    """JSON of any depth is an error, not a stack overflow."""
    value: dict[str, Any] = {}
    for _ in range(5_000):
        value = {"NOT": value}
    with pytest.raises(AnalyticsError, match="too deeply"):
        filter_from_json(EventFilter, value, "f")


TEXTS: Final = st.fixed_dictionaries(
    {}, optional={"eq": st.text(), "in": st.lists(st.text()), "isSet": st.booleans()}
)
TIMES: Final = st.fixed_dictionaries({}, optional={"gte": st.just("2026-01-02T03:04:05.678Z")})
NUMBERS: Final = st.fixed_dictionaries({}, optional={"lt": st.floats(allow_nan=False)})
PROPERTIES: Final = st.fixed_dictionaries(
    {"key": st.text()}, optional={"string": TEXTS, "number": NUMBERS, "cast": st.just("NUMBER")}
)
LEAVES: Final = st.fixed_dictionaries(
    {}, optional={"name": TEXTS, "userId": TEXTS, "time": TIMES, "property": PROPERTIES}
)
FILTERS: Final = st.recursive(
    LEAVES,
    lambda inner: st.fixed_dictionaries(
        {}, optional={"AND": st.lists(inner, max_size=2), "NOT": inner, "name": TEXTS}
    ),
    max_leaves=6,
)


@given(FILTERS)
def test_json_and_filters_are_equal(value: dict[str, Any]) -> None:
    """A filter that is written as JSON and read again is the same filter."""
    where = filter_from_json(EventFilter, value, "f")
    assert filter_from_json(EventFilter, filter_to_json(where), "f") == where
    if "time" not in str(value) and "cast" not in str(value):
        assert where == make_input(EventFilter, value)


def test_filters_of_points() -> None:
    """Filters of points are read, too."""
    value = {"OR": [{"tag": {"key": "k", "string": {"eq": "v"}}}, {"value": {"gt": 1.5}}]}
    where = filter_from_json(MetricFilter, value, "f")
    assert where == make_input(MetricFilter, value)
