"""Metrics and event types: summaries, search, kinds, descriptions."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema.scalars import Instant, rfc3339
from tests.harness.apis import ask, delete_all, error_summary, get, record
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service
from tests.harness.statements import collect_statements

SUMMARY = "name kind unit description firstSeenAt lastSeenAt seriesCount"
DESCRIBE = """
mutation($input: DescribeMetricInput!) {
  describeMetric(input: $input) {name kind unit description}
}"""


async def describe(service: Service, **fields: object) -> Any:
    """Describe a metric; return its new description."""
    return (await ask(service, DESCRIBE, input=fields))["describeMetric"]


async def metric_names(service: Service, arguments: str = "") -> list[str]:
    """Return the names of metrics, after a check of their total."""
    page = (await ask(service, f"{{metrics{arguments} {{nodes {{name}} totalCount}}}}"))["metrics"]
    assert page["totalCount"] == len(page["nodes"])
    return [node["name"] for node in page["nodes"]]


async def test_empty_store(service: Service) -> None:
    """An empty store has empty lists without error, with all fields selected."""
    await delete_all(service)
    fields = f"{SUMMARY} tags {{name cardinality values {{value count}}}}"
    data = await ask(
        service,
        f"{{metrics {{nodes {{{fields}}} totalCount}} events {{nodes {{id}} totalCount}}"
        " eventTypes {id name count firstSeenAt lastSeenAt properties {key type coverage}}}",
    )
    assert data == {
        "metrics": {"nodes": [], "totalCount": 0},
        "events": {"nodes": [], "totalCount": 0},
        "eventTypes": [],
    }


async def test_summaries(service: Service) -> None:
    """First and last are by the points' times, series by tags; lists and `metric` agree."""
    await delete_all(service)
    rows = [
        {"metric_name": "a", "value": 1, "timestamp": 5000, "tags": {"h": "1", "r": "x"}},
        {"metric_name": "a", "value": 1, "timestamp": 3000, "tags": {"h": "2"}},
        {"metric_name": "a", "value": 1, "timestamp": 9000, "tags": {"h": "2"}},
        {"metric_name": "b", "value": 1, "timestamp": 7000},
    ]
    await record(service, "/metrics", *rows)
    expected = [
        {
            "name": name,
            "firstSeenAt": rfc3339(Instant(first)),
            "lastSeenAt": rfc3339(Instant(last)),
            "seriesCount": series,
        }
        for name, first, last, series in (("a", 3000, 9000, 2), ("b", 7000, 7000, 1))
    ]
    fields = "name firstSeenAt lastSeenAt seriesCount"
    data = await ask(service, f"{{metrics {{nodes {{{fields}}} edges {{node {{{fields}}}}}}}}}")
    assert data["metrics"]["nodes"] == expected
    assert [edge["node"] for edge in data["metrics"]["edges"]] == expected
    for summary in expected:
        data = await ask(service, f'{{metric(name: "{summary["name"]}") {{{fields}}}}}')
        assert data["metric"] == summary


async def test_event_types(service: Service) -> None:
    """Event types are sorted, with counts and times; `after` takes the id of one."""
    await delete_all(service)
    rows = [{"event_name": f"e{n % 5}", "timestamp": 1000 * n} for n in range(12)]
    await record(service, "/events", *rows)
    fields = "id name count firstSeenAt lastSeenAt"
    event_types = (await ask(service, f"{{eventTypes {{{fields}}}}}"))["eventTypes"]
    assert [(entry["name"], entry["count"]) for entry in event_types] == [
        *(("e0", 3), ("e1", 3), ("e2", 2), ("e3", 2), ("e4", 2)),
    ]
    assert event_types[0]["firstSeenAt"] == rfc3339(Instant(0))
    assert event_types[0]["lastSeenAt"] == rfc3339(Instant(10_000))
    page = f'{{eventTypes(first: 2, after: "{event_types[1]["id"]}") {{{fields}}}}}'
    assert (await ask(service, page))["eventTypes"] == event_types[2:4]
    matches = await ask(service, '{eventTypes(search: "E3") {name}}')
    assert matches["eventTypes"] == [{"name": "e3"}]
    for arguments, field in (
        (f'after: "{event_types[1]["name"]}"', "after"),
        ("first: 0", "first"),
    ):
        answer = await service.post("/graphql", {"query": f"{{eventTypes({arguments}) {{name}}}}"})
        assert error_summary(answer)[:3] == (422, "BAD_USER_INPUT", field)


@settings(
    max_examples=short_or_long(8, 15),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(alphabet="aAéÉßẞ%_\\'ςΣσİı💥*", min_size=1, max_size=4))
async def test_search_folds_case(service: Service, text: str) -> None:
    """`search` finds names that contain a text, by full Unicode case folding; it is no pattern."""
    names = ["aÉß", "A%_", "STRASSE", "\\'", "ΑΣς", "İı", "💥*", "ab"]
    if await metric_names(service) != sorted(names):
        await delete_all(service)
        await record(service, "/metrics", *({"metric_name": n, "value": 1} for n in names))
    nodes = (await ask(service, "query($s: String) {metrics(search: $s) {nodes {name}}}", s=text))[
        "metrics"
    ]["nodes"]
    expected = sorted(name for name in names if text.casefold() in name.casefold())
    assert [node["name"] for node in nodes] == expected


async def test_describe(service: Service) -> None:
    """An absent field stays, an empty text removes; the next list has the change."""
    await delete_all(service)
    await record(service, "/metrics", *({"metric_name": n, "value": 1} for n in ("d", "e", "f")))
    expected = {"name": "d", "kind": "GAUGE", "unit": None, "description": None}
    for change in (
        {"unit": "ms"},
        {"kind": "COUNTER"},
        {"description": 'it\'s\n\t\\ "é" 💥'},
        {"kind": None, "unit": None, "description": None},
        {"unit": "", "kind": "HISTOGRAM"},
        {"description": ""},
        {"kind": "GAUGE"},
    ):
        values = {key: value for key, value in change.items() if value is not None}
        expected |= {key: value or None for key, value in values.items()}
        assert await describe(service, name="d", **change) == expected
        nodes = (await ask(service, "{metrics {nodes {name kind unit description}}}"))["metrics"]
        assert nodes["nodes"][0] == expected
        assert nodes["nodes"][1] == {
            "name": "e",
            "kind": "GAUGE",
            "unit": None,
            "description": None,
        }


async def test_kinds(service: Service) -> None:
    """`kind` lists the metrics of one kind; a metric without description is a GAUGE."""
    await delete_all(service)
    await record(service, "/metrics", *({"metric_name": n, "value": 1} for n in "abcde"))
    await describe(service, name="a", kind="COUNTER")
    await describe(service, name="b", kind="SUMMARY")
    await describe(service, name="c", kind="GAUGE")
    await describe(service, name="d", unit="s")
    await describe(service, name="nobody", kind="COUNTER")
    assert await metric_names(service) == list("abcde")
    assert await metric_names(service, "(kind: COUNTER)") == ["a"]
    assert await metric_names(service, "(kind: SUMMARY)") == ["b"]
    assert await metric_names(service, "(kind: HISTOGRAM)") == []
    assert await metric_names(service, "(kind: GAUGE)") == ["c", "d", "e"]
    assert await metric_names(service, '(kind: GAUGE, search: "D")') == ["d"]
    assert (await get(service, "/metrics"))["metrics"] == list("abcde")
    answer = await service.post("/graphql", {"query": '{metric(name: "nobody") {kind}}'})
    assert error_summary(answer)[:2] == (404, "NOT_FOUND")
    await delete_all(service)
    assert await metric_names(service, "(kind: COUNTER)") == []
    await record(service, "/metrics", {"metric_name": "a", "value": 1})
    assert await metric_names(service, "(kind: COUNTER)") == ["a"]


@pytest.mark.parametrize(
    ("wrong", "field", "limit"),
    [
        ({"name": ""}, "name", None),
        ({"name": "x" * 201}, "name", 200),
        ({"name": "a\nb"}, "name", None),
        ({"name": "a", "unit": "x" * 101}, "unit", 100),
        ({"name": "a", "unit": "\0"}, "unit", None),
        ({"name": "a", "description": "x" * 2001}, "description", 2000),
    ],
)
async def test_refused_descriptions(
    service: Service, wrong: Any, field: str, limit: int | None
) -> None:
    """A refusal names the field and the limit, and stores nothing."""
    before = await ask(service, "{metrics {nodes {name kind unit description}}}")
    answer = await service.post("/graphql", {"query": DESCRIBE, "variables": {"input": wrong}})
    assert error_summary(answer) == (422, "BAD_USER_INPUT", field, limit)
    assert await ask(service, "{metrics {nodes {name kind unit description}}}") == before


async def test_descriptions_at_the_same_time(service: Service) -> None:
    """Concurrent descriptions of one metric all count: none undoes another's field."""
    mutations = [
        f'm{n}: describeMetric(input: {{name: "p", unit: "u{n}"}}) {{unit}}' for n in range(5)
    ]
    for field, text in (("description", '"d"'), ("kind", "COUNTER")):
        mutations.append(f'{field}: describeMetric(input: {{name: "p", {field}: {text}}}) {{name}}')
    await asyncio.gather(*(ask(service, f"mutation {{{mutation}}}") for mutation in mutations))
    description = await describe(service, name="p")
    assert (description["kind"], description["description"]) == ("COUNTER", "d")
    assert description["unit"] in {f"u{n}" for n in range(5)}


async def test_statements_of_a_list(service: Service) -> None:
    """A list of any length is one statement, which computes only the selected fields."""
    await delete_all(service)
    rows = [{"metric_name": f"m{n}", "value": 1, "tags": {"t": str(n)}} for n in range(50)]
    await record(service, "/metrics", *rows)
    rows = [{"event_name": f"e{n}", "properties": {"p": n}} for n in range(50)]
    await record(service, "/events", *rows)
    await get(service, "/dashboard")  # loads all rows
    tags = "tags {name cardinality}"
    for query, count, absent in (
        ("metrics {nodes {id name}}", 1, ("tags", "min(", "max(", "metric_descriptions")),
        ("metrics {edges {node {name kind}}}", 1, ("tags", "min(")),
        ("metrics {nodes {firstSeenAt}}", 1, ("tags", "max(", "metric_descriptions")),
        (f"metrics {{nodes {{{SUMMARY}}}}}", 1, ()),
        (f"metrics {{nodes {{{SUMMARY} {tags}}}}}", 2, ("values",)),
        ("metrics {nodes {tags {name values {value}}}}", 3, ("metric_descriptions",)),
        ("metrics {nodes {name} edges {node {...F}}}", 1, ("tags", "metric_descriptions")),
        ("metrics {nodes {name seriesCount @skip(if: true)}}", 1, ("tags",)),
        ("metrics {nodes {name}} more: metrics {nodes {name}}", 2, ("tags",)),
        ('metric(name: "m1") {name}', 1, ("tags",)),
        ('metric(name: "m1") {name tags {name cardinality values {value}}}', 3, ()),
        ("eventTypes {name}", 1, ("count()", "properties")),
        ("eventTypes {name count lastSeenAt}", 1, ("min(", "properties")),
        ("eventTypes {name properties {key type coverage cardinality}}", 2, ()),
        ("eventTypes {properties {key a: values {value} b: values(first: 1) {value}}}", 4, ()),
    ):
        document = f"{{{query}}}" + " fragment F on Metric {lastSeenAt}" * ("...F" in query)
        with collect_statements() as statements:
            await ask(service, document)
        text = "\n".join(statement.text for statement in statements)
        assert len(statements) == count, (query, text)
        assert [part for part in absent if part in text] == [], (query, text)
