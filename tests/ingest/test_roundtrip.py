"""Round trips: accepted rows of either API come back equal on both."""

import itertools
import json
import math
import struct
from collections import Counter
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from store.query.sql import Scan, Statement
from tests.harness.apis import EVENTS, METRICS, ask, canonical_json, get, metric_path, record
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service

SETTINGS = settings(derandomize=True, deadline=None, max_examples=short_or_long(10, 40))
CONTROLS = "".join(map(chr, [*range(32), 127]))
ODD = [
    *("a b", " a", "a ", "a/b", "100%", "%41", "it's", '"', "\\", "\\n", "C:\\temp", "{p0:String}"),
    *(
        "'; DROP TABLE metrics; --",
        "' OR '1'='1",
        "1) UNION ALL SELECT 1",
        "a', 'b",
        "\\' OR 1=1 #",
    ),
    *("SELECT * FROM file('/etc/passwd')", "name = 'a' /* */", "${jndi:x}", "{{7*7}}", "<b>&amp;"),
    *("e\u0301", "\u00e9", "\ufeffbom", "\u200b", "\u202eabc", "\u2028", "\x80\x9f", "\u00a0"),
    *("👩‍👩‍👧‍👦", "🏳️‍🌈", "\U0010ffff", "\ufffd", "\uffff", "日本語", "عربى", "Ω≈ç√", "ﬁ", "K", "ı"),
    *("null", "NULL", "NaN", "true", "0", "-1", "1e5", "batch", ".", "..", "*", "?", "#", "&", "+"),
]
numbers = itertools.count()

texts = st.text(alphabet=st.characters(codec="utf-8", exclude_characters=CONTROLS), min_size=1)
names = st.one_of(texts.map(lambda text: text[:200]), st.sampled_from(ODD))
any_text = st.one_of(st.text(max_size=60), st.sampled_from(ODD), st.sampled_from(CONTROLS))
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.integers(-(10**60), 10**60),
        st.floats(allow_nan=False, allow_infinity=False),
        any_text,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(any_text, inner, max_size=4)
    ),
    max_leaves=12,
)
properties = st.dictionaries(st.one_of(st.text(max_size=50), names), json_values)
objects = st.lists(properties.map(lambda value: dict(list(value.items())[:20])), max_size=12)

recorded_counts: Counter[str] = Counter()
"""Points of each metric name that the examples of this file recorded."""


async def events_by_api(service: Service, name: str) -> list[list[Any]]:
    """Return the events of a name, oldest first, from REST and from GraphQL."""
    rest = (await get(service, "/events", event_name=name, limit=1000))["events"]
    query = """
    query($name: String!) {events(where: {name: {eq: $name}}, first: 1000) {
      nodes {id event_name: name user_id: userId properties timestamp: time}
    }}"""
    graphql = (await ask(service, query, name=name))["events"]["nodes"]
    return [rest[::-1], graphql[::-1]]


@given(batch=st.lists(names, min_size=1, max_size=25), by_rest=st.booleans())
@SETTINGS
async def test_metric_names(service: Service, batch: list[str], by_rest: bool) -> None:
    """Any name is stored as itself: both APIs list it, count it alone, and find it."""
    if by_rest:
        await record(service, "/metrics", *({"metric_name": name, "value": 1} for name in batch))
    else:
        await ask(service, METRICS, rows=[{"name": name, "value": 1} for name in batch])
    recorded_counts.update(batch)
    assert (await get(service, "/metrics"))["metrics"] == sorted(recorded_counts)
    metrics = list(dict.fromkeys(batch))[:10]
    variables = ", ".join(f"$n{index}: String!" for index in range(len(metrics)))
    fields = " ".join(
        f'a{index}: metric(name: $n{index}) {{name query(range: {{last: "1d"}})'
        " {series {total {count}}}}"
        for index in range(len(metrics))
    )
    names_by_variable = {f"n{index}": name for index, name in enumerate(metrics)}
    answer = await ask(service, f"query({variables}) {{{fields}}}", **names_by_variable)
    for index, name in enumerate(metrics):
        expected = {
            "name": name,
            "query": {"series": [{"total": {"count": recorded_counts[name]}}]},
        }
        assert answer[f"a{index}"] == expected
    for name in metrics[:3]:
        content = await get(service, metric_path(name))
        assert (content["metric_name"], content["count"]) == (name, recorded_counts[name])


async def test_odd_names(service: Service) -> None:
    """Names that look like SQL, patterns, templates or other names are found as themselves only."""
    rows = [{"metric_name": f"odd {name}", "value": n} for n, name in enumerate(ODD)]
    await record(service, "/metrics", *rows)
    recorded_counts.update(f"odd {name}" for name in ODD)
    events = [{"event_name": name, "properties": {"n": n}} for n, name in enumerate(ODD)]
    await record(service, "/events", *events)
    query = """
    query($in: [String!]!) {events(where: {name: {in: $in}}, first: 1000) {nodes {name}}}"""
    nodes = (await ask(service, query, **{"in": ODD}))["events"]["nodes"]
    assert sorted(node["name"] for node in nodes) == sorted(ODD)
    for number, name in enumerate(ODD):
        content = await get(service, metric_path(f"odd {name}"))
        assert (content["count"], content["sum"]) == (1, number)
        content = await get(service, "/events", event_name=name)
        assert (content["total"], content["events"][0]["properties"]) == (1, {"n": number})
        search = await ask(
            service, "query($s: String!) {metrics(search: $s) {nodes {name}}}", s=name
        )
        assert {"name": f"odd {name}"} in search["metrics"]["nodes"]


@given(batch=objects, by_rest=st.booleans())
@SETTINGS
async def test_properties(service: Service, batch: list[dict[str, Any]], by_rest: bool) -> None:
    """Any JSON object comes back equal: nesting, types of numbers, big integers, any text."""
    name = f"properties {next(numbers)}"
    batch = [{}, *batch]
    if by_rest:
        rows = [{"event_name": name, "properties": value} for value in batch]
        body = json.dumps(rows, ensure_ascii=False).encode()
        assert (await service.post("/events/batch", body)).json()["accepted"] == len(batch)
    else:
        inputs = [{"name": name, "properties": value} for value in batch]
        body = json.dumps({"query": EVENTS, "variables": {"rows": inputs}}).encode()
        data = (await service.post("/graphql", body)).json()
        assert data == {"data": {"recordEvents": {"accepted": len(batch)}}}
    for events in await events_by_api(service, name):
        assert canonical_json([event["properties"] for event in events]) == canonical_json(batch)


@given(batch=st.lists(st.tuples(names, names), min_size=1, max_size=20), by_rest=st.booleans())
@SETTINGS
async def test_event_names_and_users(
    service: Service, batch: list[tuple[str, str]], by_rest: bool
) -> None:
    """Any name and any user come back equal, and a filter on them finds exactly those events."""
    mark = str(next(numbers))
    if by_rest:
        rows = [
            {"event_name": name, "user_id": user, "properties": {"mark": mark}}
            for name, user in batch
        ]
        await record(service, "/events", *rows)
    else:
        inputs = [
            {"name": name, "userId": user, "properties": {"mark": mark}} for name, user in batch
        ]
        await ask(service, EVENTS, rows=inputs)
    name, user = batch[0]
    query = """
    query($name: String!, $user: String!) {
      events(where: {name: {in: [$name]}, userId: {eq: $user}}, first: 1000) {
        nodes {name userId properties}
      }
    }"""
    nodes = (await ask(service, query, name=name, user=user))["events"]["nodes"]
    marked_nodes = [node for node in nodes if node["properties"].get("mark") == mark]
    assert {(node["name"], node["userId"]) for node in nodes} == {(name, user)}
    assert len(marked_nodes) == batch.count((name, user))
    for events in await events_by_api(service, name):
        users = [event["user_id"] for event in events if event["properties"].get("mark") == mark]
        assert users == [user for event_name, user in batch if event_name == name]


@given(batch=st.lists(st.dictionaries(names, any_text, max_size=10), min_size=1, max_size=15))
@SETTINGS
async def test_tags(service: Service, batch: list[dict[str, str]]) -> None:
    """Tags are stored as they were sent, sorted by key, in the order of the rows."""
    marks = [f"tags {next(numbers)}", f"tags {next(numbers)}"]
    await record(
        service, "/metrics", *({"metric_name": marks[0], "value": 1, "tags": t} for t in batch)
    )
    await ask(service, METRICS, rows=[{"name": marks[1], "value": 1, "tags": t} for t in batch])
    recorded_counts.update({mark: len(batch) for mark in marks})
    for mark in marks:
        text = (
            "SELECT CAST(JSONExtractKeysAndValues(tags, 'String'), 'Map(String, String)') AS tags"
            " FROM metrics WHERE name = {name:String} ORDER BY time, batch, row"
        )
        statement = Statement(text, {"name": mark}, scans=(Scan("metrics"),))
        stored = await service.context.store.select(statement, _Tags)
        assert [row.tags for row in stored] == batch
        assert [list(row.tags) for row in stored] == [sorted(tags) for tags in batch]


class _Tags(msgspec.Struct):
    tags: dict[str, str]


FLOATS = [
    *(5e-324, -5e-324, 2.2250738585072014e-308, 2.225073858507201e-308, 1.7976931348623157e308),
    *(0.1, 0.2, 0.30000000000000004, 1 / 3, math.pi, 1e16, 1e21, 1e22, 1e23, 123456789.12345679),
    *(9007199254740991.0, 9007199254740992.0, 9007199254740993.0, 1.8446744073709552e19, 1e308),
    *(4.35, 2.675, 1e-7, 9.5367431640625e-07, 8.98846567431158e307, -1.5, 0.0, 6.02214076e23),
]


def bits(value: float) -> bytes:
    """Return the bits of a double; a zero has no sign, because a sum of zeros has none."""
    return struct.pack("<d", value + 0.0)


@given(
    batch=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=12),
    by_rest=st.booleans(),
)
@settings(derandomize=True, deadline=None, max_examples=short_or_long(7, 25))
async def test_any_finite_value(service: Service, batch: list[float], by_rest: bool) -> None:
    """A value that is recorded alone is bit by bit its own sum, minimum and maximum."""
    await check_values(service, batch, by_rest=by_rest)


async def test_values_at_the_edges(service: Service) -> None:
    """Values that printing and parsing often get wrong come back bit by bit."""
    for by_rest in (True, False):
        await check_values(service, FLOATS, by_rest=by_rest)


async def check_values(service: Service, batch: list[float], *, by_rest: bool) -> None:
    """Record each value under its own name, and compare it on both APIs."""
    marks = {f"value {next(numbers)}": value for value in batch}
    if by_rest:
        rows = [{"metric_name": mark, "value": value} for mark, value in marks.items()]
        await record(service, "/metrics", *rows)
    else:
        await ask(service, METRICS, rows=[{"name": m, "value": v} for m, v in marks.items()])
    recorded_counts.update(dict.fromkeys(marks, 1))
    fields = " ".join(
        f'a{index}: metric(name: "{mark}") {{query(range: {{last: "1d"}})'
        " {series {total {sum average: avg min max}}}}"
        for index, mark in enumerate(marks)
    )
    answer = await ask(service, f"{{{fields}}}")
    for index, (mark, value) in enumerate(marks.items()):
        (series,) = answer[f"a{index}"]["query"]["series"]
        rest = await get(service, metric_path(mark))
        for total in (series["total"], rest):
            for key in ("sum", "average", "min", "max"):
                assert bits(float(total[key])) == bits(value), (key, value)
        assert isinstance(rest["sum"], int) == (value.is_integer() and abs(value) < 2**53)


@given(values=st.lists(st.integers(-(2**53) + 1, 2**53 - 1), min_size=1, max_size=15))
@SETTINGS
async def test_integers(service: Service, values: list[int]) -> None:
    """An integer that is recorded comes back as the same integer, digit by digit."""
    marks = {f"integer {next(numbers)}": value for value in values}
    rows = [{"metric_name": mark, "value": value} for mark, value in marks.items()]
    await record(service, "/metrics", *rows)
    recorded_counts.update(dict.fromkeys(marks, 1))
    for mark, value in list(marks.items())[:4]:
        answer = await service.http.get(metric_path(mark))
        assert f'"sum":{value},"average":{value},"min":{value},"max":{value},' in answer.text
