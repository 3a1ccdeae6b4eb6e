"""Bodies that match line templates have the rows that decoding gives."""

import json
from typing import Any, Final

import msgspec
import pytest

from store.ingest.body_lines import lines_of
from store.ingest.decoder import LARGE_BODY_BYTES, read_batch
from store.ingest.line_patterns import template_of
from store.ingest.line_templates import MAX_GROUPS, MAX_TEMPLATES, TemplateCache
from store.ingest.rows import EVENT, MAX_NAME, MAX_ROWS, METRIC, METRIC_SERIES, RowType
from tests.harness.spellings import (
    NOW,
    SPELLINGS,
    TIMES,
    assert_same,
    body_of,
    learn_body,
    match_body,
    repeat_lines,
)

LINE: Final = '{"metric_name":"cpu","value":1.5,"tags":{"host":"a","dc":"eu"}}'
WITH_TIME: Final = LINE[:-1] + ',"timestamp":1700000000000}'
WITH_TEXT_TIME: Final = LINE[:-1] + ',"timestamp":"2023-11-14T22:13:20.000Z"}'
WITH_ID: Final = '{"id":"1",' + LINE[1:]
SPACED_LINE: Final = WITH_TEXT_TIME.replace('":', '": ').replace(',"', ', "')
EVENT_LINE: Final = (
    '{"event_name":"view","user_id":"u1","session_id":null,"timestamp":"2023-11-14T22:13:20Z",'
    '"properties":{"page":"/a","n":1,"ratio":0.5,"ok":true,"no":null,'
    '"geo":{"country":"DE","at":{"lat":52.5}},"items":["a","b"]}}'
)
NUMBERS: Final = [
    *("0", "1", "-1", "999999999999999", "-999999999999999", "0.1", "-0.5", "-0.0", "1.50"),
    *("1e5", "1E+5", "12.5e-3", "-0e0", "123456789012345.12345678901234567", "5e-99", "9e99"),
    "0.30000000000000004",
]


def learned_templates(*lines: str, row_type: RowType[Any] = METRIC) -> TemplateCache:
    """Return templates that were learned from bodies of these lines."""
    templates = TemplateCache()
    for line in lines:
        templates.learn(row_type, repeat_lines(line))
    return templates


@pytest.mark.parametrize(
    "line",
    [
        *(LINE, WITH_TIME, WITH_ID, WITH_TEXT_TIME, SPACED_LINE),
        WITH_TIME.replace("{", '{"id":"x",', 1),
        LINE.replace('{"host":"a","dc":"eu"}', "{}"),
        LINE.replace('{"host":"a","dc":"eu"}', "null"),
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_learned_templates_match(line: str, end: str) -> None:
    """After one body of a sender the next body matches, with other texts and numbers."""
    other_line = line.replace("cpu", "mémoire 漢").replace('"a"', '""').replace("1.5", "-12e-3")
    body = repeat_lines(line, other_line).rstrip(b"\n") + end.encode()
    batch = assert_same(learned_templates(line), body)
    assert batch
    assert not batch.errors


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("row_type", [METRIC, EVENT], ids=["metrics", "events"])
def test_every_spelling_matches(spelling: str, row_type: RowType[Any]) -> None:
    """The second body of a sender matches in every common spelling, and has the same rows."""
    key = "metric_name" if row_type is METRIC else "event_name"
    fields: dict[str, Any] = {"value": 1.5, "tags": {"host": "a b", "dc": "eu"}}
    if row_type is EVENT:
        fields = {"user_id": "u", "properties": {"title": "a, b: c", "n": 1, "list": [1, 2]}}
    rows = [{key: f"n{n % 3}", **fields, "timestamp": 1_700_000_000_000 + n} for n in range(200)]
    body = body_of(rows, spelling)
    templates = TemplateCache()
    templates.read_batch(row_type, body, NOW)
    assert assert_same(templates, body, row_type)


def test_spaced_texts_keep_their_spaces() -> None:
    """White space goes only between values: texts keep theirs, whatever they look like."""
    for text in (" ", ": ", ", ", '", "x": 1', ": {", "a: b, c", "x, ", " : y", "},{", "}, {"):
        rows = [
            {"event_name": "e", "properties": {"a": text, "b": [text, 1], "c": {"d": text}}},
            {"event_name": "e", "properties": {"a": "x", "b": ["x", 1], "c": {"d": "x"}}},
        ]
        for spelling in SPELLINGS:
            body = body_of(rows * 40, spelling)
            templates = TemplateCache()
            templates.read_batch(EVENT, body, NOW)
            assert_same(templates, body, EVENT)


@pytest.mark.parametrize("text", ['"', "\n\r\t\b\f", "\\", '\\"', '"x": "y", ', 'a "},{" b', "a\\"])
@pytest.mark.parametrize("spelling", ["compact", "spaced", "array", "spaced array"])
def test_escapes_in_properties_match(text: str, spelling: str) -> None:
    """Texts of properties with escapes match, and are stored as our encoder writes them."""
    row = {"event_name": "e", "user_id": "u", "properties": {"a": "x", "b": ["x", 1]}}
    escaped_row = row | {"properties": {"a": text, "b": [text, 1]}}
    templates = TemplateCache()
    learn_body(templates, body_of([row] * 100, spelling), EVENT)
    body = body_of([row, escaped_row] * 100, spelling)
    batch = assert_same(templates, body, EVENT)
    if "},{" not in text or "array" not in spelling:
        assert batch
        assert batch.lines == read_batch(EVENT, body, NOW).lines


@pytest.mark.parametrize(
    "escape", [*(f"\\{sign}" for sign in "/x'0aU"), "\\u00e9", "\\u0000", "\\u"]
)
def test_other_escapes_are_decoded(escape: str) -> None:
    """An escape that our encoder does not write is decoded, or is the error of its line."""
    body = repeat_lines(EVENT_LINE, EVENT_LINE.replace("DE", escape))
    templates = learned_templates(EVENT_LINE, row_type=EVENT)
    assert not assert_same(templates, body, EVENT)
    batch = templates.read_batch(EVENT, body, NOW)
    assert batch.lines == read_batch(EVENT, body, NOW).lines


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_match(number: str) -> None:
    """Every number of a common form matches, and has the value of its decoding."""
    assert assert_same(learned_templates(LINE), repeat_lines(LINE.replace("1.5", number)))
    body = repeat_lines(EVENT_LINE.replace('"n":1', f'"n":{number}'))
    assert assert_same(learned_templates(EVENT_LINE, row_type=EVENT), body, EVENT)


@pytest.mark.parametrize("time", TIMES)
def test_times_match(time: str) -> None:
    """RFC 3339 with any offset and up to nine decimals matches, and is the same instant."""
    body = repeat_lines(WITH_TEXT_TIME.replace("2023-11-14T22:13:20.000Z", time))
    batch = assert_same(learned_templates(WITH_TEXT_TIME), body)
    assert batch
    assert not batch.errors


def test_several_templates_in_a_body() -> None:
    """Lines of a body may match different templates of a sender."""
    short = '{"value":2,"metric_name":"up"}'
    templates = TemplateCache()
    templates.learn(METRIC, repeat_lines(LINE, short))
    assert assert_same(templates, repeat_lines(LINE, short))
    assert assert_same(templates, repeat_lines(short))
    templates.learn(METRIC, repeat_lines(WITH_TIME))
    assert not assert_same(templates, repeat_lines(LINE, WITH_TIME))


def test_templates_of_a_sender_are_joined() -> None:
    """A line of a new form joins the templates of the lines around it."""
    short = '{"value":2,"metric_name":"up"}'
    templates = learned_templates(LINE)
    templates.read_batch(METRIC, repeat_lines(LINE, LINE, LINE, short), NOW)
    assert len(templates._groups) == 1
    batch = match_body(templates, repeat_lines(LINE, short))
    assert batch
    assert (batch.points, batch.errors) == (200, ())


ODD_LINES: Final = [
    LINE.replace("1.5", '1.5,"value":2'),
    LINE.replace('"dc":"eu"', '"dc":"eu","dc":"us"'),
    LINE.replace('"dc":"eu"', '"host":"eu"'),
    LINE.replace("cpu", ""),
    LINE.replace("cpu", "c\\u0000"),
    LINE.replace("cpu", "c\x7f"),
    LINE.replace("cpu", "c\t"),
    LINE.replace("cpu", "\\u00e9"),
    *(LINE.replace("1.5", number) for number in ("-0", "01", "1.", "+1", ".5", "NaN", "1e999")),
    *(LINE.replace("1.5", number) for number in ('"1"', "true", "null", "9007199254740992")),
    LINE.replace('"a"', "1"),
    LINE.replace('"a"', "null"),
    LINE.replace("}}", '},"unknown":1}'),
    WITH_TIME.replace("1700000000000", "4102444800000"),
    WITH_TIME.replace("1700000000000", "-1"),
    WITH_TIME.replace("1700000000000", "1e12"),
    WITH_TIME.replace("1700000000000", "1700000000"),
    *(
        WITH_TEXT_TIME.replace("2023-11-14T22:13:20.000Z", time)
        for time in (
            *("2023-02-29T00:00:00Z", "2100-01-01T00:00:00Z", "1969-12-31T23:59:59Z"),
            *("2023-11-31T00:00:00Z", "2023-13-01T00:00:00Z", "2023-11-14T24:00:00Z"),
            *("2023-11-14T22:13:60Z", "2023-11-14T22:13:20", "2023-11-14", "2023-11-14T22:13Z"),
            *("2023-11-14T22:13:20.Z", "2023-11-14T22:13:20,5Z", "2023-11-14T22:13:20+0100"),
            *("2023-11-14T22:13:20+24:00", "2023-11-14 22:13:20Z", "2023-11-14t22:13:20z", ""),
            "2023-11-14T22:13:20.0000000001Z",
        )
    ),
    WITH_ID.replace('"1"', '""'),
    WITH_ID.replace('"1"', "1"),
    WITH_ID.replace("}}", '},"id":"2"}'),
    "",
    " ",
    "{}",
    "1",
    LINE + LINE,
    LINE + "," + LINE,
    LINE + " ",
    LINE.replace(":", ": ", 1),
    LINE.replace('{"host', '{\t"host'),
]


@pytest.mark.parametrize("odd_line", ODD_LINES)
def test_odd_lines_are_decoded(odd_line: str) -> None:
    """One bad or ambiguous line is decoded: it is kept or reported by its index."""
    for known_line in (LINE, WITH_TIME, WITH_TEXT_TIME, WITH_ID, SPACED_LINE):
        templates = learned_templates(known_line)
        for places in ((100,), (0, 100, 101, 199)):
            lines = [known_line] * 200
            for place in places:
                lines[place] = odd_line
            assert_same(templates, "\n".join(lines).encode())
            assert_same(templates, ("[" + ",".join(lines) + "]").encode())
    templates = TemplateCache()  # the line must not teach a template that is too wide
    for line in (odd_line, odd_line.replace("cpu", "x")):
        assert_same(templates, repeat_lines(line))


@pytest.mark.parametrize("text", ["},{", "}, {", "}\n{", '"},{"', "[", "a}", "{b"])
def test_arrays_are_cut_between_rows_only(text: str) -> None:
    """A text of an array that looks like the end of a row is no end."""
    encoded_text = json.dumps(text)[1:-1]
    for line in (LINE.replace("cpu", encoded_text), EVENT_LINE.replace("/a", encoded_text)):
        row_type = METRIC if "metric_name" in line else EVENT
        known_line = LINE if row_type is METRIC else EVENT_LINE
        templates = learned_templates(known_line, row_type=row_type)
        for lines in ([known_line] * 99 + [line], [line] * 100):
            for separator in (",", ", ", ",\n  ", "\n,\n"):
                assert_same(templates, f"[{separator.join(lines)}]".encode(), row_type)


def test_line_feeds_in_the_texts_of_an_array() -> None:
    """An array with a raw line feed in a text is refused, wherever the text is."""
    lines = [WITH_TIME] * 200
    lines[150] = WITH_TIME.replace("cpu", "c\n")
    body = ("[" + ",".join(lines) + "]").encode()
    assert assert_same(learned_templates(WITH_TIME), body) is None
    read_lines = lines_of(body)
    assert read_lines
    assert len(read_lines.ends) == read_lines.text.count(b"\n") == 201


def test_invalid_utf_8_does_not_match() -> None:
    """A body with bytes that are not UTF-8, or half a surrogate pair, does not match."""
    for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"):
        body = repeat_lines(LINE).replace(b"cpu", b"c" + bad, 1)
        assert not assert_same(learned_templates(LINE), body)


def test_limits_hold() -> None:
    """A text that is too long, and a batch that is too long, do not match."""
    templates = learned_templates(LINE, WITH_ID)
    for line in (
        LINE.replace("cpu", "c" * (MAX_NAME + 1)),
        LINE.replace('"a"', f'"{"t" * 1001}"'),
        WITH_ID.replace('"1"', f'"{"i" * (MAX_NAME + 1)}"'),
    ):
        assert not assert_same(templates, repeat_lines(line))
    assert assert_same(templates, repeat_lines(LINE.replace('"a"', f'"{"t" * 1000}"')))
    assert match_body(templates, repeat_lines(LINE, rows=MAX_ROWS))
    assert match_body(templates, repeat_lines(LINE, rows=MAX_ROWS + 1)) is None
    for short, row_type in (
        ('{"metric_name":"x","value":1}', METRIC),
        ('{"value":1,"id":"x","metric_name":"m"}', METRIC),
        ('{"event_name":"x"}', EVENT),
    ):
        templates = learned_templates(short, row_type=row_type)
        longest, too_long = (short.replace("x", "x" * size) for size in (MAX_NAME, MAX_NAME + 1))
        assert assert_same(templates, repeat_lines(longest, rows=50), row_type)
        for place in (0, 1, 49):
            lines = [longest] * 50
            lines[place] = too_long
            assert not assert_same(templates, "\n".join(lines).encode(), row_type)
    events = learned_templates(EVENT_LINE, row_type=EVENT)
    for field in ("view", "u1"):
        line = EVENT_LINE.replace(field, "x" * (MAX_NAME + 1))
        assert not assert_same(events, repeat_lines(line), EVENT)
    assert assert_same(events, repeat_lines(EVENT_LINE.replace("/a", "p" * 5_000)), EVENT)
    assert not assert_same(
        events, repeat_lines(EVENT_LINE.replace("/a", "p" * 33_000), rows=9), EVENT
    )


@pytest.mark.parametrize("size", [MAX_NAME, MAX_NAME + 1])
def test_a_long_name_anywhere_is_found(size: int) -> None:
    """One long name counts at any offset in a body, which is searched in blocks of 32 bytes."""
    templates = learned_templates(WITH_TIME)
    long_line = WITH_TIME.replace("cpu", "c" * size)
    for extra in range(32):
        short_lines = repeat_lines(WITH_TIME.replace('"a"', f'"{"a" * extra}"'), rows=101)
        body = short_lines + repeat_lines(long_line, rows=1) + short_lines
        assert bool(assert_same(templates, body)) is (size == MAX_NAME)


@pytest.mark.parametrize("key", ["id", "timestamp", "metric_name", 'x\\"id', '\\"metric_name', ":"])
def test_tags_named_like_fields(key: str) -> None:
    """A tag that is named like a field, or ends like one, is not taken for the field."""
    for known_line in (LINE, WITH_TIME, WITH_ID, SPACED_LINE):
        line = known_line.replace("host", key)
        templates = learned_templates(line, LINE, WITH_TIME, WITH_ID)
        assert_same(templates, repeat_lines(line))
        assert_same(templates, repeat_lines(line, known_line))


def test_property_keys_like_fields() -> None:
    """A property that is named like a field is not taken for the field."""
    for key in ("id", "event_name", "user_id", "timestamp", "a.b", "é", ": x"):
        for line in (EVENT_LINE, '{"id":"1",' + EVENT_LINE[1:]):
            odd = line.replace('"page"', f'"{key}"').replace('"lat"', f'"{key}"')
            for key_line in (odd, json.dumps(json.loads(odd))):
                templates = learned_templates(key_line, row_type=EVENT)
                value_line = key_line.replace("view", "other").replace("/a", "view")
                assert_same(templates, repeat_lines(key_line, value_line), EVENT)


def test_cache_of_templates_is_bounded() -> None:
    """The cache holds at most MAX_GROUPS groups of at most MAX_TEMPLATES templates."""
    templates = TemplateCache()
    lines = [LINE.replace("host", f"h{n}") for n in range(MAX_TEMPLATES + 10)]
    for start in (0, 30, 40):
        templates.learn(METRIC, repeat_lines(*lines[start:], rows=len(lines) - start))
    assert all(len(group.templates) <= MAX_TEMPLATES for group in templates._groups)
    for n in range(2 * MAX_GROUPS):
        templates.learn(METRIC, repeat_lines(LINE.replace("host", f"k{n}")))
    assert len(templates._groups) == MAX_GROUPS
    long_line = LINE.replace("host", "h" * 9000).encode() + b"\n"
    assert template_of(METRIC, long_line) is None


def test_sender_leaves_a_full_group() -> None:
    """A sender that shares a form with a full group gets a group with all its own forms."""
    templates = TemplateCache()
    full = [LINE.replace("host", f"h{n}") for n in range(MAX_TEMPLATES)]
    for _ in range(2):
        templates.learn(METRIC, repeat_lines(*full, rows=640))
    forms = [full[0], LINE.replace("host", "own"), LINE.replace("host", "second")]
    templates.learn(METRIC, repeat_lines(*forms))
    batch = assert_same(templates, repeat_lines(*forms))
    assert batch
    assert not batch.errors
    assert assert_same(templates, repeat_lines(*full, rows=640))


def test_many_forms_and_senders_match() -> None:
    """A body of 64 forms matches, and so do the bodies of 20 senders, in turns."""
    forms = [LINE.replace("host", f"h{n}") for n in range(64)]
    templates = TemplateCache()
    for _ in range(2):  # a sample may miss a form
        templates.learn(METRIC, repeat_lines(*forms, rows=640))
    senders = [
        repeat_lines(*(EVENT_LINE.replace("page", f"page{n}_{form}") for form in range(3)))
        for n in range(20)
    ]
    for body in senders:
        templates.learn(EVENT, body)
    for _ in range(2):
        assert assert_same(templates, repeat_lines(*forms, rows=640))
        for body in senders:
            batch = assert_same(templates, body, EVENT)
            assert batch
            assert not batch.errors


def test_small_bodies_and_series_are_decoded() -> None:
    """Series and small bodies are decoded; a decoded body teaches its templates."""
    templates = TemplateCache()
    templates.read_batch(METRIC, repeat_lines(LINE, rows=2), NOW)
    series = b'{"metric_name":"a","timestamps":[1700000000000],"values":[1]}\n' * 100
    templates.read_batch(METRIC_SERIES, series, NOW)
    assert not templates._groups
    templates.read_batch(METRIC, repeat_lines(LINE), NOW)
    assert match_body(templates, repeat_lines(LINE))


@pytest.mark.parametrize("spelling", ["escaped", "escaped array"])
@pytest.mark.parametrize("bad_index", [None, 4_321])
def test_large_bodies_without_a_template(spelling: str, bad_index: int | None) -> None:
    """Rows with escapes in their tags are decoded in parts; each keeps its index."""
    rows: list[dict[str, Any]] = [
        {"metric_name": "température", "value": n, "tags": {"host": f"é{n}"}, "timestamp": NOW + n}
        for n in range(6_000)
    ]
    if bad_index is not None:
        rows[bad_index] = rows[bad_index] | {"value": None}
    body = body_of(rows, spelling)
    assert len(body) > LARGE_BODY_BYTES
    batch = TemplateCache().read_batch(METRIC, body, NOW)
    assert [error.index for error in batch.errors] == ([] if bad_index is None else [bad_index])
    good_rows = [row for row in rows if row["value"] is not None]
    assert [msgspec.to_builtins(row) for row in batch.rows] == good_rows
