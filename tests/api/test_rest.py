"""The documented REST API, to the letter."""

import platform
import re
import uuid

import pytest

from schema.scalars import Instant, rfc3339
from tests.harness.apis import (
    ask,
    delete_all,
    error_summary,
    first_error,
    get,
    metric_path,
    record,
    stored_totals,
)
from tests.harness.service import NOON, Service

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
HOUR = 3_600_000


def is_id(text: str, kind: str) -> bool:
    """Say whether a text is `<kind>_` and a UUID of version 7, in the form of RFC 9562."""
    prefix, _, number = text.partition("_")
    identifier = uuid.UUID(number)
    return (prefix, str(identifier), identifier.variant, identifier.version) == (
        kind,
        number,
        uuid.RFC_4122,
        7,
    )


@pytest.mark.parametrize("path", ["/health", "/health-check"])
async def test_health(service: Service, path: str) -> None:
    """Both paths have the documented answer, with the version of the running Python."""
    answer = await service.http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "ok": True,
        "service": "analytics-service",
        "python_version": platform.python_version(),
    }


async def test_track_metric(service: Service) -> None:
    """The documented request gets exactly the documented answer."""
    point = {
        "metric_name": "page_views",
        "value": 150,
        "tags": {"page": "/dashboard", "user_type": "premium"},
    }
    answer = await service.post("/metrics", point)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    content = answer.json()
    assert is_id(content.pop("metric_id"), "metric")
    assert TIMESTAMP.fullmatch(content.pop("timestamp"))
    assert content == {
        "success": True,
        "metric_name": "page_views",
        "value": 150,
        "service": "analytics-service",
    }


async def test_track_event(service: Service) -> None:
    """The documented request gets exactly the documented answer."""
    event = {
        "event_name": "user_signup",
        "user_id": "user_123",
        "properties": {"plan": "premium", "referral_source": "google"},
    }
    answer = await service.post("/events", event)
    assert answer.status_code == 200
    content = answer.json()
    assert is_id(content.pop("event_id"), "event")
    assert TIMESTAMP.fullmatch(content.pop("timestamp"))
    assert content == {
        "success": True,
        "event_name": "user_signup",
        "service": "analytics-service",
    }


@pytest.mark.parametrize("text", ["150", "-7", "0", "125.5", "1.0", "1e-7", "9007199254740991"])
async def test_value_comes_back_as_it_was_sent(service: Service, text: str) -> None:
    """An integral value stays an integer, a fraction keeps its digits."""
    body = f'{{"metric_name": "echo", "value": {text}}}'.encode()
    answer = await service.post("/metrics", body)
    assert f'"value":{text},' in answer.text


async def test_aggregation(service: Service) -> None:
    """An aggregation has the documented fields, with integers for integral values."""
    rows = [{"metric_name": "aggregated", "value": value} for value in (50, 150, 500, 100)]
    await record(service, "/metrics", *rows)
    answer = await service.http.get("/metrics/aggregated?hours=24")
    content = answer.json()
    assert answer.status_code == 200
    assert TIMESTAMP.fullmatch(content.pop("period_start"))
    assert TIMESTAMP.fullmatch(content.pop("period_end"))
    assert content == {
        "metric_name": "aggregated",
        "count": 4,
        "sum": 800,
        "average": 200,
        "min": 50,
        "max": 500,
    }
    assert '"count":4,"sum":800,"average":200,"min":50,"max":500,' in answer.text


async def test_aggregation_of_fractions(service: Service) -> None:
    """Fractions stay fractions; an integral aggregate of them is an integer."""
    rows = [{"metric_name": "fractions", "value": value} for value in (0.5, 0.25, 2.25)]
    await record(service, "/metrics", *rows)
    answer = await service.http.get("/metrics/fractions")
    assert '"count":3,"sum":3,"average":1,"min":0.25,"max":2.25,' in answer.text


async def test_sum_beyond_a_double(service: Service) -> None:
    """A sum beyond doubles is null, never Infinity, which is no JSON; the mean is a number."""
    rows = [{"metric_name": "huge", "value": value} for value in (1.7e308, 1.6e308)]
    await record(service, "/metrics", *rows)
    content = await get(service, "/metrics/huge")
    assert (content["count"], content["sum"]) == (2, None)
    assert content["average"] == 0.5 * 1.7e308 + 0.5 * 1.6e308
    assert (content["min"], content["max"]) == (1.6e308, 1.7e308)


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize(("query", "hours"), [({}, 24), ({"hours": 1}, 1), ({"hours": 168}, 168)])
async def test_period(service: Service, query: dict[str, int], hours: int) -> None:
    """The period ends 1 ms after now, is `hours` long (24 by default), and half-open."""
    name = f"period {hours}"
    end = Instant(NOON + 1)
    start = Instant(end - hours * HOUR)
    times = {start - 1: 1, start: 10, NOON: 100, end: 1000}
    rows = [{"metric_name": name, "value": val, "timestamp": time} for time, val in times.items()]
    await record(service, "/metrics", *rows)
    assert await get(service, metric_path(name), **query) == {
        "metric_name": name,
        "count": 2,
        "sum": 110,
        "average": 55,
        "min": 10,
        "max": 100,
        "period_start": rfc3339(start),
        "period_end": rfc3339(end),
    }


async def test_known_metric_with_nothing_in_the_period(service: Service) -> None:
    """A metric with only older points is a 200 with count and sum 0."""
    old = {"metric_name": "quiet", "value": 7, "timestamp": "2020-02-29T23:59:59.999Z"}
    await service.post("/metrics", old)
    content = await get(service, "/metrics/quiet")
    assert [content[key] for key in ("count", "sum", "average", "min", "max")] == [
        0,
        0,
        None,
        None,
        None,
    ]
    assert (await get(service, "/metrics/quiet", hours=87_600))["sum"] == 7


async def test_unknown_metric(service: Service) -> None:
    """An unknown metric is a 404 on each path, for GET and DELETE."""
    for path in ("/metrics/nobody", "/metrics/nobody/", "/metrics/%00"):
        assert error_summary(await service.http.get(path))[:2] == (404, "NOT_FOUND")
        assert error_summary(await service.http.get(f"{path}?hours=1"))[:2] == (404, "NOT_FOUND")
        assert error_summary(await service.http.delete(path))[:2] == (404, "NOT_FOUND")
    error = first_error(await service.http.get("/metrics/nobody"))
    assert error["message"] == "There is no metric 'nobody'."


@pytest.mark.parametrize(
    ("path", "field", "limit"),
    [
        ("/metrics/page_views?hours=0", "hours", 1),
        ("/metrics/page_views?hours=-1", "hours", 1),
        ("/metrics/page_views?hours=87601", "hours", 87_600),
        ("/metrics/page_views?hours=99999999999999999999", "hours", 87_600),
        ("/metrics/page_views?hours=x", "hours", None),
        ("/metrics/page_views?hours=1.5", "hours", None),
        ("/metrics/page_views?hours=", "hours", None),
        ("/metrics/page_views?hours=NaN", "hours", None),
        ("/events?limit=0", "limit", 1),
        ("/events?limit=-1", "limit", 1),
        ("/events?limit=1001", "limit", 1000),
        ("/events?limit=1e3", "limit", None),
        ("/events?limit=", "limit", None),
    ],
)
async def test_bounds(service: Service, path: str, field: str, limit: int | None) -> None:
    """`hours` and `limit` out of bounds are a 422 that names the field and the bound."""
    answer = await service.http.get(path)
    assert error_summary(answer) == (422, "BAD_USER_INPUT", field, limit)
    assert str(limit or "") in first_error(answer)["message"]


async def test_bounds_are_inclusive(service: Service) -> None:
    """The smallest and the largest allowed values work."""
    await service.post("/metrics", {"metric_name": "bounds", "value": 1})
    for hours in (1, 87_600):
        assert (await get(service, "/metrics/bounds", hours=hours))["count"] == 1
    for limit in (1, 1000):
        assert (await service.http.get(f"/events?limit={limit}")).status_code == 200


async def test_list_metrics(service: Service) -> None:
    """The list has all names once, sorted, and their count."""
    await delete_all(service)
    assert await get(service, "/metrics") == {"metrics": [], "count": 0}
    names = ["response_time", "api_calls", "page_views", "api_calls", "Zeta"]
    await record(service, "/metrics", *({"metric_name": name, "value": 1} for name in names))
    sorted_names = ["Zeta", "api_calls", "page_views", "response_time"]
    assert await get(service, "/metrics") == {"metrics": sorted_names, "count": 4}


async def test_dashboard(service: Service) -> None:
    """The documented numbers count points, metrics and events."""
    await delete_all(service)
    names = ["page_views", "page_views", "api_calls"]
    await record(service, "/metrics", *({"metric_name": name, "value": 1} for name in names))
    await record(service, "/events", *({"event_name": name} for name in ("a", "b", "a", "c")))
    content = await get(service, "/dashboard")
    assert TIMESTAMP.fullmatch(content.pop("timestamp"))
    assert content == {
        "total_metrics_tracked": 3,
        "unique_metric_types": 2,
        "total_events_tracked": 4,
        "metric_names": ["api_calls", "page_views"],
    }


async def test_events(service: Service) -> None:
    """An event comes back unchanged, with the id from its recording."""
    await delete_all(service)
    properties = {"amount": 99.99, "currency": "USD", "items": 3, "nested": [None, {"é": True}]}
    event = {"event_name": "purchase", "user_id": "user_456", "properties": properties}
    receipt = (await service.post("/events", event)).json()
    assert await get(service, "/events") == {
        "events": [
            {
                "id": receipt["event_id"],
                "event_name": "purchase",
                "user_id": "user_456",
                "properties": properties,
                "timestamp": receipt["timestamp"],
            }
        ],
        "count": 1,
        "total": 1,
    }


async def test_optional_fields(service: Service) -> None:
    """Only the name, and the value of a metric, are required; null means absent."""
    await delete_all(service)
    absent: dict[str, object] = {"event_name": "bare"}
    null = {"user_id": None, "properties": None, "timestamp": None, "id": None}
    empty: dict[str, object] = {"user_id": None, "properties": {}}
    for row in (absent, absent | null, absent | empty):
        assert (await service.post("/events", row)).status_code == 200
    for event in (await get(service, "/events"))["events"]:
        assert (event["user_id"], event["properties"]) == (None, {})
    bare: dict[str, object] = {"metric_name": "bare", "value": 2}
    for row in (bare, bare | {"tags": None, "timestamp": None, "id": None}, bare | {"tags": {}}):
        assert (await service.post("/metrics", row)).status_code == 200
    assert (await get(service, "/metrics/bare"))["sum"] == 6


async def test_event_list_is_newest_first_and_limited(service: Service) -> None:
    """100 events by default, newest first, then last recorded first; `total` counts all."""
    await delete_all(service)
    rows = [
        {"event_name": f"e{n % 2}", "properties": {"n": n}, "timestamp": (n // 3 * 3) * 1000}
        for n in range(120)
    ]
    await record(service, "/events", *rows)
    page = await get(service, "/events")
    assert [event["properties"]["n"] for event in page["events"]] == list(range(119, 19, -1))
    assert (page["count"], page["total"]) == (100, 120)
    page = await get(service, "/events", limit=50, event_name="e1")
    assert [event["properties"]["n"] for event in page["events"]] == list(range(119, 19, -2))
    assert (page["count"], page["total"]) == (50, 60)
    page = await get(service, "/events", limit=1000)
    assert (page["count"], page["total"]) == (120, 120)
    page = await get(service, "/events", event_name="nobody")
    assert page == {"events": [], "count": 0, "total": 0}


async def test_delete_metric(service: Service) -> None:
    """Deleting a metric returns the number of its points, keeps others, and allows new points."""
    await delete_all(service)
    rows = [{"metric_name": name, "value": 1} for name in ("gone", "kept", "gone")]
    await record(service, "/metrics", *rows)
    answer = await service.http.delete("/metrics/gone")
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "deleted": 2,
        "metric_name": "gone",
        "service": "analytics-service",
    }
    assert await get(service, "/metrics") == {"metrics": ["kept"], "count": 1}
    assert error_summary(await service.http.delete("/metrics/gone"))[:2] == (404, "NOT_FOUND")
    await service.post("/metrics", {"metric_name": "gone", "value": 5})
    assert (await get(service, "/metrics/gone"))["sum"] == 5


async def test_delete_events(service: Service) -> None:
    """Deleting events returns their number, also 0, and keeps the metrics."""
    await delete_all(service)
    await record(service, "/events", {"event_name": "a"}, {"event_name": "b", "timestamp": 0})
    await record(service, "/metrics", {"metric_name": "kept", "value": 1})
    for deleted in (2, 0):
        answer = await service.http.delete("/events")
        assert answer.json() == {
            "success": True,
            "deleted": deleted,
            "service": "analytics-service",
        }
    assert await stored_totals(service) == {"metrics": 1, "events": 0, "names": 1}
    await record(service, "/events", {"event_name": "again"})
    assert (await get(service, "/events"))["total"] == 1


async def test_read_after_write(service: Service) -> None:
    """An accepted row is in the next answer of both APIs, every time."""
    await delete_all(service)
    for number in range(1, 11):
        await service.post("/metrics", {"metric_name": "next", "value": 1})
        await service.post("/events", {"event_name": "next"})
        assert (await get(service, "/metrics/next"))["count"] == number
        data = await ask(service, "{overview {metricCount eventCount}}")
        assert data["overview"] == {"metricCount": number, "eventCount": number}
        assert (await get(service, "/events"))["total"] == number
