"""Timestamps: one parser of RFC 3339 for both APIs and every format, rounding down."""

import json
from typing import Any, Final

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schema.scalars import Instant, rfc3339
from schema.time.instants import parse_rfc3339
from store.ingest.decoder import read_batch
from store.ingest.rows import EVENT, METRIC
from tests.harness.apis import ask, delete_all, error_summary, first_error, get
from tests.harness.run_profile import short_or_long
from tests.harness.service import NOON, Service
from tests.oracle import rfc3339 as reference

SETTINGS: Final = settings(derandomize=True, deadline=None, max_examples=12)
MIDNIGHT: Final = 1_767_225_600_000
RECORD: Final = """
mutation($rows: [EventInput!]!) {
  recordEvents(input: {events: $rows}) {accepted errors {index field code message}}
}"""


def parse_or_none(text: str) -> int | None:
    """Return the milliseconds that the parser reads from a text, or None."""
    try:
        return parse_rfc3339(text)
    except ValueError:
        return None


@given(text=reference.TEXTS)
@settings(derandomize=True, deadline=None, max_examples=short_or_long(1000, 3000))
def test_parser_follows_the_grammar(text: str) -> None:
    """The parser accepts exactly the RFC's grammar, and rounds down to milliseconds."""
    assert parse_or_none(text) == reference.milliseconds(text)


@pytest.mark.parametrize("text", reference.EDGE_CASES)
def test_parser_follows_the_grammar_in_odd_cases(text: str) -> None:
    """The parser follows the grammar on texts where parsers disagree."""
    assert parse_or_none(text) == reference.milliseconds(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2016-12-31T23:59:60Z", "leap second"),
        ("2016-12-31T15:59:60.5-08:00", "leap second"),
        ("2025-10-30T12:34:56", "offset"),
        ("2025-02-30T00:00:00Z", "calendar"),
        ("2025-10-30T24:00:00Z", "time of day"),
        ("2025-10-30T12:34:61Z", "time of day"),
        ("2025-10-30T12:34:56+24:00", "offset"),
        ("2025-10-30T12:34Z", "RFC 3339"),
    ],
)
async def test_reasons(service: Service, text: str, reason: str) -> None:
    """Both APIs name the error of a time in the same words."""
    rest_row = {"event_name": "reasons", "timestamp": text}
    rest = first_error(await service.post("/events", rest_row))
    row = [{"name": "reasons", "time": text}]
    graphql = first_error(
        await service.post("/graphql", {"query": RECORD, "variables": {"rows": row}})
    )
    (error,) = graphql["extensions"]["rows"]
    assert reason in rest["message"]
    assert error["message"] == rest["message"].replace("timestamp", "time", 1)
    query = "query($t: DateTime!) {events(range: {between: {from: $t}}) {totalCount}}"
    range_error = first_error(
        await service.post("/graphql", {"query": query, "variables": {"t": text}})
    )
    assert reason in range_error["message"]


def escape_all(text: Any) -> str:
    """Return a text as a JSON string of escapes only."""
    units = text.encode("utf-16-be").hex()
    return '"' + "".join(f"\\u{units[n : n + 4]}" for n in range(0, len(units), 4)) + '"'


def read_in_bulk(kind: Any, name: str, texts: list[str]) -> list[list[int | None]]:
    """Read texts as the times of rows: as NDJSON and as an array, escaped and not."""
    rows: list[dict[str, Any]] = [
        {name: "n", "timestamp": text, "id": str(n)} for n, text in enumerate(texts)
    ]
    rows = [row | {"value": 1} for row in rows] if kind is METRIC else rows
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    escaped_lines = [
        line.replace(json.dumps(row["timestamp"], ensure_ascii=False), escape_all(row["timestamp"]))
        for row, line in zip(rows, lines, strict=True)
    ]
    results = []
    for row_texts in (lines, escaped_lines):
        for body in ("\n".join(row_texts), f"[{','.join(row_texts)}]"):
            batch = read_batch(kind, body.encode(), NOON)
            times: list[int | None] = [None] * len(texts)
            for row in batch.rows:
                times[int(row.id)] = row.timestamp
            assert {error.field for error in batch.errors} <= {"timestamp"}
            results.append(times)
    return results


@given(texts=st.lists(reference.TEXTS.filter(lambda text: "\n" not in text), min_size=1))
@settings(derandomize=True, deadline=None, max_examples=short_or_long(70, 200))
def test_batches_are_read_as_single_rows_are(texts: list[str]) -> None:
    """A row's time is read equally alone, among good rows, and among bad rows."""
    expected = [reference.row_time(text) for text in texts]
    good = [text for text in texts if reference.row_time(text) is not None]
    for kind, name in ((EVENT, "event_name"), (METRIC, "metric_name")):
        for times in read_in_bulk(kind, name, texts):
            assert times == expected
        if good:
            for times in read_in_bulk(kind, name, good):
                assert times == [reference.row_time(text) for text in good]


async def times_by_rest(service: Service, texts: list[str]) -> list[int | None]:
    """Record an event for each text, one by one; return each answer's time, or None."""
    times = []
    for text in texts:
        answer = await service.post("/events", {"event_name": "one", "timestamp": text})
        if answer.status_code != 200:
            assert error_summary(answer)[:3] == (422, "BAD_USER_INPUT", "timestamp")
        accepted = answer.status_code == 200
        times.append(parse_rfc3339(answer.json()["timestamp"]) if accepted else None)
    return times


async def times_by_graphql(
    service: Service, texts: list[str], *, literal: bool
) -> list[int | None]:
    """Record an event for each text in one request; return each stored time, or None."""
    await delete_all(service)
    count = len(texts)
    if literal:
        rows = ", ".join(
            f'{{name: "g", properties: {{n: {n}}}, time: {json.dumps(text)}}}'
            for n, text in enumerate(texts)
        )
        body = {
            "query": RECORD.replace("($rows: [EventInput!]!)", "").replace("$rows", f"[{rows}]")
        }
    else:
        inputs = [{"name": "g", "properties": {"n": n}, "time": t} for n, t in enumerate(texts)]
        body = {"query": RECORD, "variables": {"rows": inputs}}  # type: ignore[dict-item]
    content = (await service.post("/graphql", body)).json()
    if data := content.get("data", {}).get("recordEvents"):
        errors = data["errors"]
    else:
        errors = content["errors"][0]["extensions"]["rows"]
    times: list[int | None] = [None] * count
    events = (await get(service, "/events", limit=1000))["events"]
    for event in events:
        times[event["properties"]["n"]] = parse_rfc3339(event["timestamp"])
    assert {error["index"] for error in errors} == {n for n in range(count) if times[n] is None}
    assert {(error["field"], error["code"]) for error in errors} <= {("time", "BAD_USER_INPUT")}
    return times


async def times_of_series(service: Service, texts: list[str]) -> list[int | None]:
    """Record a series for each text; return each stored time, or None."""
    await delete_all(service)
    rows = [
        {"metric_name": f"s{n}", "timestamps": [NOON, text], "values": [1, 2]}
        for n, text in enumerate(texts)
    ]
    await service.post("/metrics/series", rows)
    times: list[int | None] = []
    names = (await get(service, "/metrics"))["metrics"]
    for n in range(len(texts)):
        if f"s{n}" not in names:
            times.append(None)
            continue
        query = """query($name: String!) {metric(name: $name) {
            samples(range: {preset: ALL_TIME}, first: 2) {nodes {time value}}
        }}"""
        nodes = (await ask(service, query, name=f"s{n}"))["metric"]["samples"]["nodes"]
        times += [parse_rfc3339(node["time"]) for node in nodes if node["value"] == 2]
    return times


@given(texts=st.lists(reference.TEXTS, min_size=1, max_size=12))
@example(texts=list(reference.EDGE_CASES))
@SETTINGS
async def test_apis_agree(service: Service, texts: list[str]) -> None:
    """REST and GraphQL store the same time for a text, or reject that row by its index."""
    expected = [reference.row_time(text) for text in texts]
    assert await times_by_rest(service, texts) == expected
    assert await times_by_graphql(service, texts, literal=False) == expected
    assert await times_by_graphql(service, texts, literal=True) == expected
    ahead = [text for text, time in zip(texts, expected, strict=True) if (time or 0) < NOON]
    assert await times_of_series(service, ahead) == [reference.row_time(text) for text in ahead]


async def range_starts(service: Service, text: str, end: str) -> list[str | None]:
    """Query a range from a text on, in three ways; return the start in each answer, or None."""
    query = f"""query($t: DateTime!) {{
        eventTrend(range: {{between: {{from: $t, to: "{end}"}}}}) {{meta {{range {{from}}}}}}
    }}"""
    literal = query.replace("($t: DateTime!)", "").replace("$t", json.dumps(text))
    answers = [
        await service.post("/graphql", {"query": query, "variables": {"t": text}}),
        await service.post("/graphql", {"query": literal}),
        await service.http.get(
            "/graphql", params={"query": query, "variables": json.dumps({"t": text})}
        ),
    ]
    starts: list[str | None] = []
    for answer, field in zip(answers, ("t", "from", "t"), strict=True):
        content = answer.json()
        if "errors" in content:
            assert first_error(answer)["extensions"]["code"] == "BAD_USER_INPUT"
            assert first_error(answer)["extensions"]["field"] == field
            starts.append(None)
        else:
            starts.append(content["data"]["eventTrend"]["meta"]["range"]["from"])
    return starts


@given(text=reference.TEXTS)
@settings(derandomize=True, deadline=None, max_examples=60)
async def test_ranges_read_texts_as_rows_do(service: Service, text: str) -> None:
    """A range reads a text as a row does, as a literal, as a variable and in a URL."""
    moment = reference.row_time(text)
    if moment is None and reference.milliseconds(text) is not None:
        return  # before 1970 and after 2099 there are no rows, but there may be ranges
    expected = None if moment is None else rfc3339(Instant(moment))
    end = rfc3339(Instant((moment or 0) + 3_600_000))
    assert set(await range_starts(service, text, end)) == {expected}


@pytest.mark.parametrize(
    "text", ["2025-10-30T12:34Z", "now", "0000-06-01T00:00:00Z", 5, 1.5, [], {}]
)
@pytest.mark.parametrize("test", ["gt", "gte", "lt", "lte"])
async def test_filters_refuse_what_rows_refuse(service: Service, test: str, text: object) -> None:
    """A time filter's error names the variable that is no instant; other fields are answered."""
    query = f"""query($t: DateTime) {{
        bad: events(where: {{time: {{{test}: $t}}}}) {{totalCount}}
        good: events {{totalCount}}
    }}"""
    answer = await service.post("/graphql", {"query": query, "variables": {"t": text}})
    (error,) = answer.json()["errors"]
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("BAD_USER_INPUT", "t")
    assert error["path"] == ["bad"]
    assert answer.json()["data"]["good"] is not None


def test_every_input_refuses_unreadable_instants() -> None:
    """Inputs with a DateTime reject texts that are no instant, except the inputs of rows."""
    from graphql import GraphQLInputObjectType, GraphQLObjectType, get_named_type  # noqa: PLC0415

    from api.graphql.schema import schema  # noqa: PLC0415
    from schema.scalars import ReadableInstants  # noqa: PLC0415

    def has_instants(fields: Any) -> bool:
        return any(get_named_type(item.type).name == "DateTime" for item in fields.values())

    for name, kind in schema._schema.type_map.items():
        if isinstance(kind, GraphQLInputObjectType) and has_instants(kind.fields):
            definition: Any = schema.schema_converter.type_map[name].definition
            is_row = name in {"MetricInput", "EventInput"}
            assert issubclass(definition.origin, ReadableInstants) is not is_row, name
        if isinstance(kind, GraphQLObjectType):
            assert not any(has_instants(field.args) for field in kind.fields.values()), name


FLOATS: Final = [
    ("1767225600000.0", MIDNIGHT),
    ("1.7672256e12", MIDNIGHT),
    ("17672256E5", MIDNIGHT),
    ("1767225600000.5", None),
    ("1767225600000.000001", MIDNIGHT),  # no double is nearer
    ("1.5", None),
    ("1767225600.0", None),
    ("-1767225600000.0", None),
    ("1e13", None),
    ("-0.0", None),
]


@pytest.mark.parametrize(("number", "moment"), FLOATS)
async def test_integral_floats(service: Service, number: str, moment: int | None) -> None:
    """Milliseconds may have a point or an exponent; a fraction of a millisecond is rejected."""
    row = f'{{"metric_name": "floats", "value": 1, "timestamp": {number}}}'.encode()
    answers = [await service.post("/metrics", row)]
    answers += [await service.post("/metrics/batch", body) for body in (row, b"[" + row + b"]")]
    series = f'{{"metric_name": "floats", "values": [1, 1], "timestamps": [{NOON}, {number}]}}'
    answers.append(await service.post("/metrics/series", series.encode()))
    for answer in answers:
        assert (answer.status_code == 200) == (moment is not None), answer.text
    if moment is None:
        assert error_summary(answers[0])[:3] == (422, "BAD_USER_INPUT", "timestamp")
        assert first_error(answers[3])["extensions"]["rows"][0]["field"] == "timestamps"
        assert "item [1]" in first_error(answers[3])["message"]
    else:
        assert answers[0].json()["timestamp"] == rfc3339(Instant(moment))


async def test_series_of_texts(service: Service) -> None:
    """The times of a series may mix texts and numbers."""
    await delete_all(service)
    times = ["2026-01-01T00:00:00Z", MIDNIGHT + 1, "2026-01-01T02:00:00.0029+02:00", MIDNIGHT + 3.0]
    row = {"metric_name": "mixed", "timestamps": times, "values": [1, 2, 3, 4]}
    for body in (msgspec.json.encode(row), msgspec.json.encode([row])):
        assert (await service.post("/metrics/series", body)).json()["accepted"] == 4
    query = """{metric(name: "mixed") {samples(range: {preset: ALL_TIME}) {nodes {time value}}}}"""
    nodes = (await ask(service, query))["metric"]["samples"]["nodes"]
    samples = sorted((parse_rfc3339(node["time"]), node["value"]) for node in nodes)
    assert samples == sorted((MIDNIGHT + n, n + 1) for n in range(4) for _ in range(2))
