"""Queries and mutations of GraphQL, and the shapes of a document."""

import platform
from typing import Any

import pytest

from schema.scalars import MS_PER_HOUR, parse_instant
from tests.harness.apis import (
    EVENTS,
    METRICS,
    ask,
    canonical_json,
    delete_all,
    error_summary,
    first_error,
    get,
    record,
    stored_totals,
)
from tests.harness.service import Service

TOTAL = "series {total {count sum avg min max}}"
LAST_HOUR = 'query(range: {last: "PT1H"})'
SKIPPED_QUERY = f'metric(name: "nobody") {{name {LAST_HOUR} @skip(if: true) {{{TOTAL}}}}}'
EXCLUDED_QUERY = (
    f'metric(name: "nobody") {{... @include(if: false) {{{LAST_HOUR} {{{TOTAL}}}}} name}}'
)
BETWEEN = """
query($name: String!, $from: DateTime!, $to: DateTime) {
  metric(name: $name) {
    query(range: {between: {from: $from, to: $to}}) {
      series {total {count sum}}
      meta {range {from to}}
    }
  }
}"""


async def between(service: Service, name: str, **range_: str) -> Any:
    """Query a metric between two instants."""
    return (await ask(service, BETWEEN, name=name, **range_))["metric"]["query"]


async def test_health(service: Service) -> None:
    """A service that works says OK, and names no problem."""
    data = await ask(service, "{health {status service pythonVersion checks}}")
    assert data["health"] == {
        "status": "OK",
        "service": "analytics-service",
        "pythonVersion": platform.python_version(),
        "checks": {},
    }


async def test_overview(service: Service) -> None:
    """The overview counts the stored rows, and sorts their names."""
    await delete_all(service)
    query = "{overview {metricCount metricNames eventCount eventNames}}"
    empty = {"metricCount": 0, "metricNames": [], "eventCount": 0, "eventNames": []}
    assert (await ask(service, query))["overview"] == empty
    await record(service, "/metrics", *({"metric_name": n, "value": 1} for n in ("b", "a", "b")))
    await record(service, "/events", *({"event_name": n} for n in ("z", "y", "y", "x")))
    assert (await ask(service, query))["overview"] == {
        "metricCount": 3,
        "metricNames": ["a", "b"],
        "eventCount": 4,
        "eventNames": ["x", "y", "z"],
    }


async def test_metric(service: Service) -> None:
    """A metric has the aggregates of its values in a range: a count, and floats."""
    await record(service, "/metrics", *({"metric_name": "load", "value": n} for n in (1, 2, 6)))
    query = f'{{metric(name: "load") {{name {LAST_HOUR} {{{TOTAL}}}}}}}'
    answer = await service.post("/graphql", {"query": query})
    total = '{"count":3,"sum":9.0,"avg":3.0,"min":1.0,"max":6.0}'
    metric = f'{{"name":"load","query":{{"series":[{{"total":{total}}}]}}}}'
    assert answer.text.startswith(f'{{"data":{{"metric":{metric}}},"extensions":')


async def test_metric_with_nothing_in_range(service: Service) -> None:
    """A metric without points in the range: count and sum are 0, the others null."""
    await service.post("/metrics", {"metric_name": "quiet", "value": 1, "timestamp": 10**11})
    data = await ask(service, f'{{metric(name: "quiet") {{{LAST_HOUR} {{{TOTAL}}}}}}}')
    total = data["metric"]["query"]["series"][0]["total"]
    assert total == {"count": 0, "sum": 0.0, "avg": None, "min": None, "max": None}


async def test_range_between_instants(service: Service) -> None:
    """A range is half-open, may have any offset, and comes back in UTC as executed."""
    times = ["2025-03-30T01:59:59.999Z", "2025-03-30T02:00:00.000Z", "2025-03-30T03:00:00.000Z"]
    rows = [
        {"metric_name": "between", "value": 10**number, "timestamp": time}
        for number, time in enumerate(times)
    ]
    await record(service, "/metrics", *rows)
    time_range = {"from": "2025-03-30T04:00:00+02:00", "to": "2025-03-30T03:00:00.000999Z"}
    assert await between(service, "between", **time_range) == {
        "series": [{"total": {"count": 1, "sum": 10.0}}],
        "meta": {"range": {"from": times[1], "to": times[2]}},
    }
    answer = await between(service, "between", **{"from": times[0]})
    assert answer["series"] == [{"total": {"count": 3, "sum": 111.0}}]
    for first, last in (("0001-01-01", "0001-01-02"), ("0999-12-31", "1000-01-01")):
        utc_range = {"from": f"{first}T00:00:00.000Z", "to": f"{last}T23:59:59.999Z"}
        assert (await between(service, "between", **utc_range))["meta"]["range"] == utc_range


@pytest.mark.parametrize(
    ("text", "hours"),
    [("PT36H", 36), ("P1W", 168), ("P1DT12H", 36), ("90m", 1.5), ("2d", 48), ("PT1800S", 0.5)],
)
async def test_durations(service: Service, text: str, hours: float) -> None:
    """A duration is ISO 8601 of fixed units, or the short form; the range is exactly as long."""
    await service.post("/metrics", {"metric_name": "long", "value": 1})
    query = """
    query($last: Duration!) {
      metric(name: "long") {query(range: {last: $last}) {meta {range {from to}}}}
    }"""
    time_range = (await ask(service, query, last=text))["metric"]["query"]["meta"]["range"]
    assert (
        parse_instant(time_range["to"]) - parse_instant(time_range["from"]) == hours * MS_PER_HOUR
    )


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ('metric(name: "nobody") {name}', "NOT_FOUND", None),
        (f'metric(name: "nobody") {{{LAST_HOUR} {{{TOTAL}}}}}', "NOT_FOUND", None),
        (SKIPPED_QUERY, "NOT_FOUND", None),
        (EXCLUDED_QUERY, "NOT_FOUND", None),
        ("metrics(first: 0) {nodes {name}}", "BAD_USER_INPUT", "first"),
        ("metrics(first: 1001) {nodes {name}}", "BAD_USER_INPUT", "first"),
        ("metrics(first: -1) {nodes {name}}", "BAD_USER_INPUT", "first"),
        ("events(first: 0) {nodes {id}}", "BAD_USER_INPUT", "first"),
        ('events(after: "x") {nodes {id}}', "BAD_USER_INPUT", "after"),
        ('events(range: {last: "0s"}) {nodes {id}}', "BAD_USER_INPUT", "last"),
        ('events(range: {last: "87601h"}) {totalCount}', "BAD_USER_INPUT", "last"),
        (
            'events(range: {between: {from: "9999-01-01T00:00:00Z"}}) {totalCount}',
            "BAD_USER_INPUT",
            "between",
        ),
    ],
)
async def test_refusals(service: Service, query: str, code: str, field: str | None) -> None:
    """A refused field is an error with code, argument and path."""
    error = first_error(await service.post("/graphql", {"query": f"{{alias: {query}}}"}))
    assert (error["extensions"]["code"], error["extensions"].get("field")) == (code, field)
    assert error["path"][0] == "alias"


async def test_error_next_to_an_answer(service: Service) -> None:
    """One field that fails leaves its neighbours their answers: 200 with data and errors."""
    answer = await service.post(
        "/graphql", {"query": '{a: metric(name: "?") {name} health {status}}'}
    )
    content = answer.json()
    assert answer.status_code == 200
    assert content["data"] == {"a": None, "health": {"status": "OK"}}
    assert [error["extensions"]["code"] for error in content["errors"]] == ["NOT_FOUND"]
    mutation = (
        'mutation {a: recordEvents(input: {events: [{name: ""}]}) {accepted} b: recordEvents('
    )
    answer = await service.post(
        "/graphql", {"query": mutation + 'input: {events: [{name: "b"}]}) {accepted}}'}
    )
    assert answer.json()["data"] == {"a": None, "b": {"accepted": 1}}


async def test_record_metrics(service: Service) -> None:
    """Points are recorded with their time, tags and id; bad points are reported."""
    await delete_all(service)
    mutation = """
    mutation($rows: [MetricInput!]!) {
      recordMetrics(input: {metrics: $rows}) {
        accepted rejected errors {index id field code message}
      }
    }"""
    rows = [
        {"name": "m", "value": 1},
        {"name": "m", "value": 2.5, "time": "2020-01-01T00:00:00+01:00", "tags": {"a": "é"}},
        {"name": "", "value": 3, "id": "own"},
        {"name": "m", "value": 4, "tags": {"a": 1}},
        {"name": "m", "value": 5, "time": None, "tags": None, "id": None},
    ]
    answer = (await ask(service, mutation, rows=rows))["recordMetrics"]
    assert (answer["accepted"], answer["rejected"]) == (3, 2)
    assert answer["errors"] == [
        {
            "index": 2,
            "id": "own",
            "field": "name",
            "code": "BAD_USER_INPUT",
            "message": "name: Expected str of length >= 1",
        },
        {
            "index": 3,
            "id": None,
            "field": "tags",
            "code": "BAD_USER_INPUT",
            "message": "tags: Expected str, got int",
        },
    ]
    assert (await get(service, "/metrics/m"))["sum"] == 6
    assert (await get(service, "/metrics/m", hours=87_600))["sum"] == 8.5


async def test_record_events(service: Service) -> None:
    """Events are recorded with all their fields, and come back newest first."""
    await delete_all(service)
    properties: dict[str, Any] = {"plan": "premium", "n": [1, 1.0, 2**64, None, {"deep": ""}]}
    rows: list[dict[str, Any]] = [
        {"name": "e", "userId": "u", "properties": properties, "time": "2025-10-30T12:34:56.789Z"},
        {"name": "e", "time": "2025-10-30T12:34:56.788Z", "userId": None, "properties": None},
    ]
    assert (await ask(service, EVENTS, rows=rows))["recordEvents"] == {"accepted": 2}
    data = await ask(service, "{events {nodes {name time userId properties}}}")
    first = {"name": "e", "time": rows[0]["time"], "userId": "u", "properties": properties}
    second = {"name": "e", "time": rows[1]["time"], "userId": None, "properties": {}}
    assert canonical_json(data["events"]["nodes"]) == canonical_json([first, second])


async def test_json_in_a_document(service: Service) -> None:
    """Properties may be a literal with variables; a missing variable is absent."""
    await delete_all(service)
    mutation = r"""
    mutation($plan: String, $none: String, $extra: JSON) {
      recordEvents(input: {events: [{name: "e", properties: {
        text: "\u00e9\"\\\n", number: 1, float: 1.0, big: 123456789012345678901, yes: true,
        nothing: null, list: [1, [2], $none, {plan: $plan, none: $none}], none: $none, extra: $extra
      }}]}) {accepted}
    }"""
    extra = {"any": [1, {"thing": None}]}
    assert await ask(service, mutation, plan="free", extra=extra) == {
        "recordEvents": {"accepted": 1}
    }
    (event,) = (await get(service, "/events"))["events"]
    assert canonical_json(event["properties"]) == canonical_json(
        {
            "text": 'é"\\\n',
            "number": 1,
            "float": 1.0,
            "big": 123456789012345678901,
            "yes": True,
            "nothing": None,
            "list": [1, [2], None, {"plan": "free"}],
            "extra": extra,
        }
    )


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5000, "-" + "9" * 5000])
async def test_numbers_beyond_json(service: Service, number: str) -> None:
    """A number that no double or parser holds is refused, and never becomes null."""
    before = await stored_totals(service)
    for properties in (f"{{n: {number}}}", f"{{n: [{number}]}}", number):
        mutation = f'{{name: "e", properties: {properties}}}'
        query = f"mutation {{recordEvents(input: {{events: [{mutation}]}}) {{accepted}}}}"
        answer = await service.post("/graphql", {"query": query})
        assert error_summary(answer)[:2] == (400, "GRAPHQL_VALIDATION_FAILED")
    row = f'{{name: "m", value: {number}}}'
    query = f"mutation {{recordMetrics(input: {{metrics: [{row}]}}) {{accepted}}}}"
    answer = await service.post("/graphql", {"query": query})
    assert error_summary(answer)[:2] == (400, "GRAPHQL_VALIDATION_FAILED")
    assert await stored_totals(service) == before


async def test_delete_metrics(service: Service) -> None:
    """Deleting a metric returns the number of its points; an unknown metric is NOT_FOUND."""
    await delete_all(service)
    rows = [{"name": name, "value": 1} for name in ("gone", "kept", "gone")]
    await ask(service, METRICS, rows=rows)
    mutation = 'mutation {deleteMetrics(input: {name: "gone"}) {matchedRows}}'
    assert await ask(service, mutation) == {"deleteMetrics": {"matchedRows": 2}}
    assert error_summary(await service.post("/graphql", {"query": mutation}))[:3] == (
        404,
        "NOT_FOUND",
        None,
    )
    assert (await get(service, "/metrics"))["metrics"] == ["kept"]


async def test_delete_events(service: Service) -> None:
    """Deleting events deletes exactly the events that pass the filter."""
    await delete_all(service)
    rows = [
        {"event_name": name, "user_id": user, "timestamp": time}
        for name, user, time in (("a", "u", 1), ("a", "v", 2), ("b", "u", 3), ("b", "v", 4))
    ]
    await record(service, "/events", *rows)
    mutation = """
    mutation($where: EventFilter!) {deleteEvents(input: {where: $where}) {matchedRows}}"""
    for where, matched_rows, remaining_events in (
        ({"name": {"eq": "nobody"}}, 0, 4),
        ({"name": {"eq": "a"}, "userId": {"in": ["u", "x"]}}, 1, 3),
        ({"time": {"gt": "1970-01-01T00:00:00.003Z"}}, 1, 2),
        ({"name": {"in": ["a", "b"]}}, 2, 0),
    ):
        data = await ask(service, mutation, where=where)
        assert data == {"deleteEvents": {"matchedRows": matched_rows}}
        assert (await stored_totals(service))["events"] == remaining_events


async def test_shapes_of_a_document(service: Service) -> None:
    """Aliases, fragments, inline fragments, variables and defaults, @skip and @include."""
    await delete_all(service)
    await record(service, "/metrics", *({"metric_name": n, "value": 1} for n in ("a", "b", "c")))
    query = """
    query Shapes($yes: Boolean!, $no: Boolean = false, $first: Int = 2) {
      page: metrics(first: $first) {...Names totalCount @include(if: $yes)}
      all: metrics {...Names ... on MetricConnection @skip(if: $yes) {totalCount}}
      skipped: metrics @skip(if: $yes) {...Names}
      excluded: metrics @include(if: $no) {...Names}
      metric(name: "a") {...Counted ...Counted @include(if: $no) __typename}
      ... @include(if: $yes) {health {status}}
    }
    query Other {health {service}}
    fragment Names on MetricConnection {nodes {name} ...Names2}
    fragment Names2 on MetricConnection {edges {node {n: name}}}
    fragment Counted on Metric {
      query(range: {last: "1h"}) {series {total {count}}}
      again: query(range: {last: "1h"}) {
        series {total {sum @skip(if: $no) count @include(if: $no)}}
      }
    }"""
    body = {"query": query, "operationName": "Shapes", "variables": {"yes": True}}
    answer = (await service.post("/graphql", body)).json()
    answer.pop("extensions")
    names = ["a", "b", "c"]
    pages = [
        {"nodes": [{"name": n} for n in ns], "edges": [{"node": {"n": n}} for n in ns]}
        for ns in (names[:2], names)
    ]
    assert answer == {
        "data": {
            "page": {**pages[0], "totalCount": 3},
            "all": pages[1],
            "metric": {
                "query": {"series": [{"total": {"count": 1}}]},
                "again": {"series": [{"total": {"sum": 1.0}}]},
                "__typename": "Metric",
            },
            "health": {"status": "OK"},
        }
    }


async def test_introspection(service: Service) -> None:
    """Introspection has exactly these roots, and a description of every field."""
    query = """
    {__schema {types {name kind fields {name description}}}}"""
    types = (await ask(service, query))["__schema"]["types"]
    fields = {
        f"{graphql_type['name']}.{field['name']}": field["description"]
        for graphql_type in types
        if graphql_type["kind"] == "OBJECT" and not graphql_type["name"].startswith("__")
        for field in graphql_type["fields"]
    }
    assert {name for name, description in fields.items() if not description} == set()
    roots = {name.partition(".")[2] for name in fields if name.startswith(("Query.", "Mutation."))}
    assert roots == {
        *("health", "overview", "metrics", "metric", "events", "ingestion", "setAside"),
        *("node", "eventType", "eventTypes", "eventTrend", "metricFormula", "describeMetric"),
        *("recordMetrics", "recordEvents", "deleteMetrics", "deleteEvents", "replaySetAside"),
        *("viewer", "apiKeys", "createApiKey", "revokeApiKey", "projects", "createProject"),
        *("documents", "saveDocuments", "deleteDocument", "sessions", "revokeSession"),
        *("dashboards", "dashboard", "saveDashboard", "restoreDashboard", "deleteDashboard"),
        *("annotations", "annotate"),
    }
