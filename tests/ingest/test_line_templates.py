"""Bodies that are recognised by the forms of their lines say what they say when they are read."""

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
TIMED: Final = LINE[:-1] + ',"timestamp":1700000000000}'
WITH_ID: Final = '{"id":"1",' + LINE[1:]
NUMBERS: Final = [
    *("0", "1", "-1", "999999999999999", "-999999999999999", "0.1", "-0.5", "-0.0", "1.50"),
    *("1e5", "1E+5", "12.5e-3", "-0e0", "123456789012345.12345678901234567", "5e-99", "9e99"),
    "0.30000000000000004",
]


def body_of(*lines: str, rows: int = 200) -> bytes:
    """Return NDJSON of so many rows, these lines in turn."""
    return "".join(f"{lines[n % len(lines)]}\n" for n in range(rows)).encode()


def knowing(*lines: str) -> TemplateCache:
    """Return forms that were learned from such bodies."""
    forms = TemplateCache()
    for line in lines:
        forms.learn(body_of(line))
    return forms


def assert_same(forms: TemplateCache, body: bytes) -> bool:
    """Check that a body that is recognised is what reading makes of it; say whether it is."""
    recognised = forms.match(body, NOW)
    if recognised is None:
        return False
    read = read_batch(METRIC, body, NOW)
    assert read.errors == ()
    assert [msgspec.to_builtins(row) for row in recognised.rows] == [
        msgspec.to_builtins(row) for row in read.rows
    ]
    for row in recognised.rows:
        assert list(row.tags or ()) == sorted(row.tags or ())
    assert (recognised.ids, recognised.points) == (read.ids, read.points)
    if read.id_hashes is None or recognised.id_hashes is None:
        assert recognised.id_hashes is read.id_hashes
    else:
        assert recognised.id_hashes.tolist() == read.id_hashes.tolist()
    assert recognised.names == read.names
    assert recognised.lines.count(b"\n") == read.points
    return True


@pytest.mark.parametrize("line", [LINE, TIMED, WITH_ID, TIMED.replace("{", '{"id":"x",', 1)])
@pytest.mark.parametrize("end", ["", "\n"])
def test_learned_forms_are_recognised(line: str, end: str) -> None:
    """After one body of a sender the next is recognised, with other texts and numbers in it."""
    other = line.replace("cpu", "mémoire 漢").replace('"a"', '""').replace("1.5", "-12e-3")
    body = body_of(line, other).rstrip(b"\n") + end.encode()
    assert assert_same(knowing(line), body)


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_recognised(number: str) -> None:
    """Every number of a common form is what it is when it is read."""
    assert assert_same(knowing(LINE), body_of(LINE.replace("1.5", number)))


def test_several_forms_in_a_body() -> None:
    """Lines of a body may have different forms that are known, if all have a time or none."""
    short = '{"value":2,"metric_name":"up"}'
    forms = knowing(LINE, short, TIMED)
    assert assert_same(forms, body_of(LINE, short))
    assert not assert_same(forms, body_of(LINE, TIMED))


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
        TIMED.replace("1700000000000", "4102444800000"),
        TIMED.replace("1700000000000", "-1"),
        TIMED.replace("1700000000000", "1e12"),
        TIMED.replace("1700000000000", '"2023-11-14T22:13:20Z"'),
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
def test_what_has_to_be_read_is_not_recognised(line: str) -> None:
    """One line that is bad, or means something else than it seems to, and the body is read."""
    forms = knowing(LINE, TIMED, WITH_ID)
    for known in (LINE, TIMED, WITH_ID):
        lines = [known] * 200
        lines[100] = line
        assert forms.match("\n".join(lines).encode(), NOW) is None
    with contextlib.suppress(AnalyticsError):  # nor does it teach a form by which it would be
        forms.read_batch(METRIC, body_of(line), NOW)
    assert forms.match(body_of(line), NOW) is None


def test_invalid_utf_8_is_not_recognised() -> None:
    """Bytes that are no text are found, half of a surrogate pair too."""
    for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"):
        body = body_of(LINE).replace(b"cpu", b"c" + bad, 1)
        assert knowing(LINE).match(body, NOW) is None


def test_limits_hold() -> None:
    """A text that could be too long, and a batch that is, are left to who reads."""
    forms = knowing('{"metric_name":"a","value":1}', LINE)
    longest = LINE.replace("cpu", "c" * (MAX_NAME + 1))
    assert forms.match(body_of(LINE, longest), NOW) is None
    assert forms.match(body_of(LINE, rows=MAX_ROWS), NOW)
    assert forms.match(body_of(LINE, rows=MAX_ROWS + 1), NOW) is None


@pytest.mark.parametrize("key", ["id", "timestamp", "metric_name", 'x\\"id', '\\"metric_name'])
def test_tags_named_like_fields(key: str) -> None:
    """A tag that is named like a field, or ends like one, is not taken for it."""
    for known in (LINE, TIMED, WITH_ID):
        line = known.replace("host", key)
        assert template_of(line.encode()) is None
        assert not assert_same(knowing(line, LINE, TIMED, WITH_ID), body_of(line))


def test_few_forms_are_kept() -> None:
    """Senders of endless forms cost no more than these forms; then it begins anew."""
    forms = TemplateCache()
    for n in range(3 * MAX_TEMPLATES + 1):
        forms.learn(body_of(LINE.replace("host", f"h{n}"), rows=1))
    (group,) = forms._any_order_groups.values()
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
    """Whatever was learned, and whatever comes: recognised, it is what reading makes of it."""
    shuffled = random.Random(seed)
    lines = []
    for row in rows:
        fields = list(row.items())
        shuffled.shuffle(fields)
        lines.append(msgspec.json.encode(dict(fields)).decode("utf-8", "surrogatepass"))
    forms = TemplateCache()
    body = body_of(*lines, rows=8)
    with contextlib.suppress(AnalyticsError):
        if not read_batch(METRIC, body, NOW).errors:
            forms.learn(body)
    assert_same(forms, body)
    for place, removed, added in edits:
        at = place % len(body)
        body = body[:at] + added + body[at + removed :]
    assert_same(forms, body)


def test_only_worthwhile_metrics_are_recognised() -> None:
    """Events, arrays and small bodies are read; what is read teaches the forms of the next."""
    forms = TemplateCache()
    body = body_of(LINE)
    first = forms.read_batch(METRIC, body, NOW)
    assert forms.match(body, NOW)
    second = forms.read_batch(METRIC, body, NOW)
    assert second._rows is None  # nobody has read them
    assert (second.points, second.rows) == (first.points, first.rows)
    array = b"[" + body.rstrip().replace(b"\n", b",") + b"]"
    assert forms.read_batch(METRIC, array, NOW)._rows is not None
    assert forms.read_batch(METRIC, body_of(LINE, rows=2), NOW)._rows is not None
    assert forms.read_batch(EVENT, body_of('{"event_name":"e"}'), NOW)._rows is not None


async def test_engine_reads_the_same(service: Service) -> None:
    """Points of recognised bodies are stored as those that are read: values, tags and times."""
    lines = [
        TIMED.replace("1.5", number).replace('"a"', f'"{text}"')
        for number in NUMBERS
        for text in ("a", "", "漢 é", "},{", "/")
    ]
    body = body_of(*lines)
    await service.post("/metrics/batch", body)  # teaches
    assert service.context.store.templates.match(body, NOON)
    stored = {}
    for name, sent in (
        ("known", body.replace(b"cpu", b"known")),
        ("array", b"[" + body.replace(b"cpu", b"array").rstrip().replace(b"\n", b",") + b"]"),
    ):
        answer = (await service.post("/metrics/batch", sent)).json()
        assert (answer["accepted"], answer["rejected"]) == (200, 0)
        query = """query ($name: String!) {metric(name: $name) {seriesCount
            samples(range: {preset: ALL_TIME}, first: 200) {nodes {time value tags}}
        }}"""
        stored[name] = (await ask(service, query, name=name))["metric"]
    assert stored["known"] == stored["array"]


async def test_untimed_bodies_get_the_time_of_their_arrival(service: Service) -> None:
    """Points without a time are stored with the time of the request."""
    body = body_of(LINE.replace("cpu", "untimed"))
    for _ in range(2):
        assert (await service.post("/metrics/batch", body)).json()["accepted"] == 200
    assert (await get(service, metric_path("untimed"), hours=1))["count"] == 400


async def test_ids_of_recognised_bodies_count_once(service: Service) -> None:
    """A recognised body that is sent again is known row by row, also what it repeats itself."""
    line = '{"metric_name":"own","value":1,"id":"%d","tags":{"host":"a"}}'
    body = "".join(f"{line % (n // 2)}\n" for n in range(200)).encode()
    service.context.store.templates.learn(body)
    assert service.context.store.templates.match(body, NOON)
    first = (await service.post("/metrics/batch", body)).json()
    assert (first["accepted"], first["duplicates"]) == (100, 100)
    again = (await service.post("/metrics/batch", body)).json()
    assert (again["accepted"], again["duplicates"]) == (0, 200)
    assert (await get(service, metric_path("own"), hours=1))["sum"] == 100
