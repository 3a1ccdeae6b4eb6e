"""Bodies that match line templates have the rows that decoding gives."""

import contextlib
import random
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schema.errors import AnalyticsError
from schema.scalars import Instant
from store.ingest.decoder import read_batch
from store.ingest.line_templates import MAX_TEMPLATES, TemplateCache, template_of
from store.ingest.rows import EVENT, MAX_NAME, MAX_ROWS, METRIC
from tests.harness.apis import ask, get, metric_path
from tests.harness.run_profile import short_or_long
from tests.harness.service import NOON, Service

NOW: Final = Instant(1_800_000_000_000)
LINE: Final = '{"metric_name":"cpu","value":1.5,"tags":{"host":"a","dc":"eu"}}'
WITH_TIME: Final = LINE[:-1] + ',"timestamp":1700000000000}'
WITH_ID: Final = '{"id":"1",' + LINE[1:]
NUMBERS: Final = [
    *("0", "1", "-1", "999999999999999", "-999999999999999", "0.1", "-0.5", "-0.0", "1.50"),
    *("1e5", "1E+5", "12.5e-3", "-0e0", "123456789012345.12345678901234567", "5e-99", "9e99"),
    "0.30000000000000004",
]


def repeat_lines(*lines: str, rows: int = 200) -> bytes:
    """Return NDJSON of `rows` rows that repeats the lines in turn."""
    return "".join(f"{lines[n % len(lines)]}\n" for n in range(rows)).encode()


def learned_templates(*lines: str) -> TemplateCache:
    """Return templates that were learned from bodies of these lines."""
    templates = TemplateCache()
    for line in lines:
        templates.learn(repeat_lines(line))
    return templates


def assert_same(templates: TemplateCache, body: bytes) -> bool:
    """Check that a matched body has the rows of its decoding; say whether it matches."""
    batch = templates.match(body, NOW)
    if batch is None:
        return False
    expected = read_batch(METRIC, body, NOW)
    assert expected.errors == ()
    assert [msgspec.to_builtins(row) for row in batch.rows] == [
        msgspec.to_builtins(row) for row in expected.rows
    ]
    for row in batch.rows:
        assert list(row.tags or ()) == sorted(row.tags or ())
    assert (batch.ids, batch.points) == (expected.ids, expected.points)
    if expected.id_hashes is None or batch.id_hashes is None:
        assert batch.id_hashes is expected.id_hashes
    else:
        assert batch.id_hashes.tolist() == expected.id_hashes.tolist()
    assert batch.names == expected.names
    assert batch.lines.count(b"\n") == expected.points
    return True


@pytest.mark.parametrize(
    "line", [LINE, WITH_TIME, WITH_ID, WITH_TIME.replace("{", '{"id":"x",', 1)]
)
@pytest.mark.parametrize("end", ["", "\n"])
def test_learned_templates_match(line: str, end: str) -> None:
    """After one body of a sender the next body matches, with other texts and numbers."""
    other_line = line.replace("cpu", "mémoire 漢").replace('"a"', '""').replace("1.5", "-12e-3")
    body = repeat_lines(line, other_line).rstrip(b"\n") + end.encode()
    assert assert_same(learned_templates(line), body)


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_match(number: str) -> None:
    """Every number of a common form matches, and has the value of its decoding."""
    assert assert_same(learned_templates(LINE), repeat_lines(LINE.replace("1.5", number)))


def test_several_templates_in_a_body() -> None:
    """Lines of a body may match different templates, if all have a time or none has."""
    short = '{"value":2,"metric_name":"up"}'
    templates = learned_templates(LINE, short, WITH_TIME)
    assert assert_same(templates, repeat_lines(LINE, short))
    assert not assert_same(templates, repeat_lines(LINE, WITH_TIME))


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace("1.5", '1.5,"value":2'),
        LINE.replace('"dc":"eu"', '"dc":"eu","dc":"us"'),
        LINE.replace('"dc":"eu"', '"host":"eu"'),
        LINE.replace("cpu", ""),
        LINE.replace("cpu", "c" * (MAX_NAME + 1)),
        LINE.replace("cpu", "c\\u0000"),
        LINE.replace("cpu", "c\x7f"),
        LINE.replace("cpu", "c\t"),
        *(LINE.replace("1.5", number) for number in ("-0", "01", "1.", "+1", ".5", "NaN", "1e999")),
        *(LINE.replace("1.5", number) for number in ('"1"', "true", "null", "9007199254740992")),
        LINE.replace('"a"', "1"),
        LINE.replace('"a"', "null"),
        LINE.replace("}}", '},"unknown":1}'),
        WITH_TIME.replace("1700000000000", "4102444800000"),
        WITH_TIME.replace("1700000000000", "-1"),
        WITH_TIME.replace("1700000000000", "1e12"),
        WITH_TIME.replace("1700000000000", '"2023-11-14T22:13:20Z"'),
        WITH_ID.replace('"1"', '""'),
        WITH_ID.replace('"1"', "1"),
        WITH_ID.replace("}}", '},"id":"2"}'),
        "",
        " ",
        "{}",
        LINE + LINE,
        LINE + " ",
        LINE.replace(":", ": "),
    ],
)
def test_ambiguous_lines_do_not_match(line: str) -> None:
    """A body with one bad or ambiguous line is decoded."""
    templates = learned_templates(LINE, WITH_TIME, WITH_ID)
    for known_line in (LINE, WITH_TIME, WITH_ID):
        lines = [known_line] * 200
        lines[100] = line
        assert templates.match("\n".join(lines).encode(), NOW) is None
    with contextlib.suppress(AnalyticsError):  # the line must not teach its own template
        templates.read_batch(METRIC, repeat_lines(line), NOW)
    assert templates.match(repeat_lines(line), NOW) is None


def test_invalid_utf_8_does_not_match() -> None:
    """A body with bytes that are not UTF-8, or half a surrogate pair, does not match."""
    for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"):
        body = repeat_lines(LINE).replace(b"cpu", b"c" + bad, 1)
        assert learned_templates(LINE).match(body, NOW) is None


def test_limits_hold() -> None:
    """A text that could be too long, and a batch that is too long, do not match."""
    templates = learned_templates('{"metric_name":"a","value":1}', LINE)
    longest = LINE.replace("cpu", "c" * (MAX_NAME + 1))
    assert templates.match(repeat_lines(LINE, longest), NOW) is None
    assert templates.match(repeat_lines(LINE, rows=MAX_ROWS), NOW)
    assert templates.match(repeat_lines(LINE, rows=MAX_ROWS + 1), NOW) is None


@pytest.mark.parametrize("key", ["id", "timestamp", "metric_name", 'x\\"id', '\\"metric_name'])
def test_tags_named_like_fields(key: str) -> None:
    """A tag that is named like a field, or ends like one, is not taken for the field."""
    for known_line in (LINE, WITH_TIME, WITH_ID):
        line = known_line.replace("host", key)
        assert template_of(line.encode()) is None
        assert not assert_same(
            learned_templates(line, LINE, WITH_TIME, WITH_ID), repeat_lines(line)
        )


def test_cache_of_templates_is_bounded() -> None:
    """The cache holds at most MAX_TEMPLATES templates, and then starts anew."""
    templates = TemplateCache()
    for n in range(3 * MAX_TEMPLATES + 1):
        templates.learn(repeat_lines(LINE.replace("host", f"h{n}"), rows=1))
    (group,) = templates._any_order_groups.values()
    assert len(group.templates) == 1
    assert template_of(LINE.replace("host", "h" * 3000).encode()) is None


NAMES: Final = st.sampled_from(["cpu", "a b", "é", "}\n", '"', "\\", "x" * 200, "x" * 201, ""])
KEYS: Final = st.sampled_from(
    ["metric_name", "host", "dc", "id", "timestamp", "value", "a.b", "[", "\\d", ""]
)
TEXTS: Final = st.sampled_from(["", "a", "eu-1", "},{", '","', "漢", "\x7f", "\n", "b" * 300])
VALUES: Final = st.one_of(
    st.integers(-(2**54), 2**54), st.floats(allow_nan=False), st.sampled_from([0, -0.0, True, "1"])
)
ROWS: Final = st.fixed_dictionaries(
    {"metric_name": NAMES, "value": VALUES},
    optional={
        "tags": st.dictionaries(KEYS, TEXTS, max_size=3),
        "timestamp": st.sampled_from(
            [0, 1_700_000_000_000, 4_102_444_799_999, 2**53, "2024", None]
        ),
        "id": st.one_of(st.none(), NAMES),
    },
)
EDITS: Final = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.integers(0, 2),
        st.sampled_from([b"", b"0", b"-", b'"', b"}", b"\n", b",", b"\\", b"\xff", b"e", b" "]),
    ),
    max_size=3,
)


@given(rows=st.lists(ROWS, min_size=1, max_size=4), edits=EDITS, seed=st.integers(0, 10**6))
@example(rows=[{"metric_name": "cpu", "value": 1}], edits=[], seed=0)
@settings(
    max_examples=short_or_long(200, 600), deadline=None, suppress_health_check=list(HealthCheck)
)
def test_any_body(rows: list[dict[str, Any]], edits: list[Any], seed: int) -> None:
    """After any learned body, a body that matches has the rows of its decoding."""
    dice = random.Random(seed)
    lines = []
    for row in rows:
        fields = list(row.items())
        dice.shuffle(fields)
        lines.append(msgspec.json.encode(dict(fields)).decode("utf-8", "surrogatepass"))
    templates = TemplateCache()
    body = repeat_lines(*lines, rows=8)
    with contextlib.suppress(AnalyticsError):
        if not read_batch(METRIC, body, NOW).errors:
            templates.learn(body)
    assert_same(templates, body)
    for position, length, insert in edits:
        start = position % len(body)
        body = body[:start] + insert + body[start + length :]
    assert_same(templates, body)


def test_only_large_ndjson_of_metrics_is_matched() -> None:
    """Events, arrays and small bodies are decoded; a decoded body teaches its templates."""
    templates = TemplateCache()
    body = repeat_lines(LINE)
    first = templates.read_batch(METRIC, body, NOW)
    assert templates.match(body, NOW)
    second = templates.read_batch(METRIC, body, NOW)
    assert second._rows is None  # not decoded yet
    assert (second.points, second.rows) == (first.points, first.rows)
    array = b"[" + body.rstrip().replace(b"\n", b",") + b"]"
    assert templates.read_batch(METRIC, array, NOW)._rows is not None
    assert templates.read_batch(METRIC, repeat_lines(LINE, rows=2), NOW)._rows is not None
    assert templates.read_batch(EVENT, repeat_lines('{"event_name":"e"}'), NOW)._rows is not None


async def test_engine_reads_the_same(service: Service) -> None:
    """Points of matched and of decoded bodies are stored with equal values, tags and times."""
    lines = [
        WITH_TIME.replace("1.5", number).replace('"a"', f'"{text}"')
        for number in NUMBERS
        for text in ("a", "", "漢 é", "},{", "/")
    ]
    body = repeat_lines(*lines)
    await service.post("/metrics/batch", body)  # teaches
    assert service.context.store.templates.match(body, NOON)
    stored = {}
    for name, metric_body in (
        ("known", body.replace(b"cpu", b"known")),
        ("array", b"[" + body.replace(b"cpu", b"array").rstrip().replace(b"\n", b",") + b"]"),
    ):
        answer = (await service.post("/metrics/batch", metric_body)).json()
        assert (answer["accepted"], answer["rejected"]) == (200, 0)
        query = """query ($name: String!) {metric(name: $name) {seriesCount
            samples(range: {preset: ALL_TIME}, first: 200) {nodes {time value tags}}
        }}"""
        stored[name] = (await ask(service, query, name=name))["metric"]
    assert stored["known"] == stored["array"]


async def test_untimed_bodies_get_the_time_of_their_arrival(service: Service) -> None:
    """Points without a time are stored with the time of the request."""
    body = repeat_lines(LINE.replace("cpu", "untimed"))
    for _ in range(2):
        assert (await service.post("/metrics/batch", body)).json()["accepted"] == 200
    assert (await get(service, metric_path("untimed"), hours=1))["count"] == 400


async def test_ids_of_matched_bodies_count_once(service: Service) -> None:
    """The rows of a matched body count once, within the body and when it comes again."""
    line = '{"metric_name":"own","value":1,"id":"%d","tags":{"host":"a"}}'
    body = "".join(f"{line % (n // 2)}\n" for n in range(200)).encode()
    service.context.store.templates.learn(body)
    assert service.context.store.templates.match(body, NOON)
    first = (await service.post("/metrics/batch", body)).json()
    assert (first["accepted"], first["duplicates"]) == (100, 100)
    second = (await service.post("/metrics/batch", body)).json()
    assert (second["accepted"], second["duplicates"]) == (0, 200)
    assert (await get(service, metric_path("own"), hours=1))["sum"] == 100
