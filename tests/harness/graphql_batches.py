"""GraphQL requests with rows in variables: valid, refused, rejected and damaged."""

import json
from typing import Final, NamedTuple

from hypothesis import strategies as st

_RECORD: Final = "accepted duplicates rejected errors {index id field code message}"


class BatchDocument(NamedTuple):
    """A document, its operation, and the rows in its variables.

    `variables` maps each variable to a field of the input type, "" if the variable has the rows.
    """

    query: str
    variables: dict[str, str]
    operation: str | None = None


def _mutation(head: str, *fields: str) -> str:
    return f"mutation{head} {{{' '.join(fields)}}}"


_METRICS: Final = f"(input: {{metrics: $rows}}) {{{_RECORD}}}"
_METRICS_INPUT: Final = f"(input: $rows) {{{_RECORD}}}"

USUAL_DOCUMENTS: Final = 6
METRIC_DOCUMENTS: Final = [
    BatchDocument(_mutation("($rows: [MetricInput!]!)", "recordMetrics" + _METRICS), {"rows": ""}),
    BatchDocument(
        _mutation("($rows: RecordMetricsInput!)", "recordMetrics" + _METRICS_INPUT),
        {"rows": "metrics"},
    ),
    BatchDocument(  # a default, a fragment, and a variable in two mutations
        "mutation($rows: [MetricInput!] = []) {...F a: recordMetrics" + _METRICS + "}"
        " fragment F on Mutation {b: recordMetrics" + _METRICS + "}",
        {"rows": ""},
    ),
    BatchDocument(  # two variables with the same rows
        "mutation($rows: RecordMetricsInput = {metrics: []}, $more: [MetricInput!]!) {"
        f"a: recordMetrics(input: {{metrics: $more}}) {{{_RECORD}}}"
        f" b: recordMetrics{_METRICS_INPUT}}}",
        {"rows": "metrics", "more": ""},
    ),
    BatchDocument(  # a list of lists is not valid, and neither is a nullable entry
        _mutation("($rows: [MetricInput]!)", "recordMetrics" + _METRICS), {"rows": ""}
    ),
    BatchDocument(  # several operations, and another variable
        "query A {__typename} mutation B($n: Boolean = true, $rows: [MetricInput!]!)"
        " {recordMetrics" + _METRICS.replace(") {", ") @include(if: $n) {") + "}",
        {"rows": ""},
        "B",
    ),
    BatchDocument(
        "query A {__typename} mutation B($rows: [MetricInput!]!) {recordMetrics" + _METRICS + "}",
        {"rows": ""},
    ),
    BatchDocument(
        _mutation(
            "($rows: [MetricInput!]!)",
            'recordEvents(input: {events: [{name: "e", properties: {a: $rows}}]})'
            f" {{{_RECORD}}}",
            "recordMetrics" + _METRICS,
        ),
        {"rows": ""},
    ),
    BatchDocument(
        _mutation(
            "($rows: [MetricInput!]!)",
            "recordMetrics" + _METRICS.replace(") {", ") @skip(if: true) {"),
        ),
        {"rows": ""},
    ),
    BatchDocument(_mutation("($rows: [MetricInput!]!)", "recordMetrics"), {"rows": ""}),
    BatchDocument(
        _mutation("($rows: [MetricInput!]!, $other: Int!)", "recordMetrics" + _METRICS),
        {"rows": ""},
    ),
    BatchDocument("mutation(", {"rows": ""}),
    BatchDocument("query($rows: [MetricInput!]!) {__typename}", {"rows": ""}),
]
EVENT_DOCUMENTS: Final = [
    document._replace(
        query=document.query.replace("recordEvents(input: {events:", "noEvents(input: {metrics:")
        .replace("recordMetrics", "recordEvents")
        .replace("metrics", "events")
        .replace("Metric", "Event"),
        variables={
            name: member.replace("metrics", "events") for name, member in document.variables.items()
        },
    )
    for document in METRIC_DOCUMENTS
]
_TIMES: Final = (
    *('"2023-11-14T22:13:20.123Z"', '"2024-02-29t00:00:00.123456789-23:59"'),
    *('"2023-11-14 22:13:20z"', "null"),
)
_BAD_TIMES: Final = (
    *('"2023-02-30T00:00:00Z"', '"1969-12-31T23:59:59Z"', '"0000-01-01T00:00:00Z"', '""'),
    *('"2023-11-14T22:13:20"', "1700000000000", "1.5", "true", "{}", '["x"]', '"\\u0000"'),
)
_TEXTS: Final = ('"a b"', '"\\ud83d\\ude00"', '"x\\u0041"', '"\\"},{"', "null")
_BAD_TEXTS: Final = (
    *('""', '"\\u0000"', '"\x7f"', f'"{"x" * 201}"', "1", "[]", "{}", "true", '"\\ud800"'),
)
_NUMBERS: Final = ("1", "-0", "1.50", "1e5", "9007199254740992", "0.1", "-0.0", "1E2")
_BAD_NUMBERS: Final = (
    *("9007199254740993", "1e999", "null", '"1"', "true", "01", str(10**30), "1" + "0" * 400),
    "[1]",
)
_OBJECTS: Final = (
    *("null", "{}", '{"a":"b"}', '{"name":"x"}', '{"id":"x","time":"y"}', '{"b":"1","a":"2"}'),
    '{"a":"1","a":"2"}',
)
_BAD_OBJECTS: Final = (
    *(
        "[]",
        "1",
        '{"":"x"}',
        '{"a":1.50}',
        '{"a":{"name":[1,{"b":null}]}}',
        '{"a":' * 70 + "1" + "}" * 70,
    ),
    *('{"a":' + "[" * 300 + "]" * 300 + "}", '{"a":' + "[" * 2000 + "]" * 2000 + "}"),
    *('{"a":' + str(10**30) + "}", '{"a":"\\ud800"}', '{"userId":"x","metric_name":1}'),
    '{"a":"' + "x" * 1001 + '"}',
)


def _values(good: tuple[str, ...], bad: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.integers(0, 11).flatmap(lambda n: st.sampled_from(good if n else bad))


_NAMES: Final = _values(('"cpu"', '"a b"', '"é"'), ("null", *_BAD_TEXTS))
_IDS: Final = _values(
    ("null", '"@1"', '"@2"', '"@é"', '"@\\u0000"', '"@\x7f"'),
    ('""', f'"{"x" * 201}"', "1", "[]", "{}", "true", '"\\ud800"'),
)
_TIME_VALUES: Final = _values(_TIMES, _BAD_TIMES)
_UNKNOWN: Final = st.sampled_from(
    [("metric_name", '"x"'), ("timestamp", "1"), ("valu", "1"), ("user_id", '"u"'), ("x", "null")]
)
_METRIC_MEMBERS: Final = {
    "name": _NAMES,
    "value": _values(_NUMBERS, _BAD_NUMBERS),
    "time": _TIME_VALUES,
    "tags": _values(_OBJECTS, _BAD_OBJECTS),
    "id": _IDS,
}
_EVENT_MEMBERS: Final = {
    "name": _NAMES,
    "time": _TIME_VALUES,
    "userId": _values(_TEXTS, _BAD_TEXTS),
    "sessionId": _values(_TEXTS, _BAD_TEXTS),
    "properties": _values(_OBJECTS, _BAD_OBJECTS),
    "id": _IDS,
}
_GOOD_ROWS: Final = {
    "metrics": [
        '{"name":"cpu","value":1.5,"time":"2023-11-14T22:13:20.123Z","tags":{"host":"a"}}',
        '{"name":"cpu","value":2,"tags":{"name":"a"},"id":"@#"}',
    ],
    "events": [
        '{"name":"view","userId":"u","properties":{"n":1,"product":{"name":"x"}}}',
        '{"time":"2023-11-14T22:13:20.123Z","name":"view","sessionId":null,"id":"@#"}',
    ],
}


@st.composite
def _odd_row(draw: st.DrawFn, kind: str) -> str:
    """Draw the text of a row: members in any order, some missing, unknown or repeated."""
    members = _METRIC_MEMBERS if kind == "metrics" else _EVENT_MEMBERS
    required_keys = {"name", "value"} & members.keys()
    keys = [key for key in members if key in required_keys or draw(st.booleans())]
    if draw(st.integers(0, 9)) == 0:
        keys.append(draw(st.sampled_from(list(members))))
    if draw(st.integers(0, 9)) == 0:
        keys.remove(draw(st.sampled_from(keys)))
    pairs = [(key, draw(members[key])) for key in draw(st.permutations(keys))]
    if draw(st.integers(0, 9)) == 0:
        pairs.append(draw(_UNKNOWN))
    return "{" + ",".join(f'"{key}":{value}' for key, value in pairs) + "}"


@st.composite
def row_arrays(draw: st.DrawFn, kind: str) -> str:
    """Draw an array of rows, most of them of one form; each `@` begins an id."""
    form = draw(st.sampled_from(_GOOD_ROWS[kind]))
    rows = [form.replace("#", str(n)) for n in range(draw(st.integers(60, 120)))]
    odd_rows = draw(st.lists(_odd_row(kind), max_size=3))
    if draw(st.integers(0, 4)) == 4:
        odd_rows.append(draw(st.sampled_from(["null", "1", "[]"])))
    for row in odd_rows:
        rows.insert(draw(st.integers(0, len(rows))), row)
    if draw(st.integers(0, 4)) == 4:
        rows += odd_rows * draw(st.integers(1, 30))
    array = "[" + ",".join(rows) + "]"
    return _with_spaces(array) if draw(st.booleans()) else array


@st.composite
def batch_requests(draw: st.DrawFn) -> bytes:
    """Draw a request of GraphQL with rows; each `@` begins an id."""
    kind = draw(st.sampled_from(["metrics", "events"]))
    documents = METRIC_DOCUMENTS if kind == "metrics" else EVENT_DOCUMENTS
    usual_documents = documents[:USUAL_DOCUMENTS]
    document = draw(st.sampled_from([*usual_documents * 4, *documents]))
    array = draw(row_arrays(kind))
    pairs = [
        f'"{name}":' + (f'{{"{member}":{array}}}' if member else array)
        for name, member in document.variables.items()
    ]
    if draw(st.integers(0, 5)) == 5:
        pairs.append(draw(st.sampled_from(_OTHER_VARIABLES)))
    variables = "{" + ",".join(draw(st.permutations(pairs))) + "}"
    members = [f'"query":{json.dumps(document.query)}', f'"variables":{variables}']
    if document.operation:
        members.append(f'"operationName":"{document.operation}"')
    return ("{" + ",".join(draw(st.permutations(members))) + "}").encode()


_OTHER_VARIABLES: Final = ('"n":true', '"n":1', '"n":null', '"rows":[]', '"other":1', '"rows":null')


def _with_spaces(array: str) -> str:
    """Return an array with the spaces of `json.dumps`, if it is JSON of Python."""
    try:
        text = json.dumps(json.loads(array), ensure_ascii=False)
        text.encode()
        return text
    except (ValueError, RecursionError):
        return array.replace("},{", "}, {")


_INSERTS: Final = (
    b"",
    b"0",
    b'"',
    b"}",
    b"\n",
    b",",
    b"\\",
    b"\xff",
    b"]",
    b" ",
    b"{",
    b"},{",
    b":",
)
EDITS: Final = st.integers(0, 3).flatmap(
    lambda n: st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 2), st.sampled_from(_INSERTS)),
        max_size=0 if n else 2,
    )
)


def damage(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Replace bytes of a body, but no mark of an id."""
    for position, length, insert in edits:
        start = position % len(body)
        if b"@" not in body[start : start + length]:
            body = body[:start] + insert + body[start + length :]
    return body
