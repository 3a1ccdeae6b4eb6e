"""Answers that the service joins as text: byte for byte the answers of graphql-core."""

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from resolvers.pages import Page
from resolvers.series.values import BucketedRange, SeriesValues
from schema.buckets import Fill, Granularity
from schema.ranges import TimeRange
from schema.scalars import Instant, rfc3339
from schema.series.aggregates import COUNT, Aggregate, AggregateKind
from schema.series.bucket_times import instants
from store.query.series.plan import NO_RESULTS, Result, Results
from store.query.series.rows import series_rows
from store.query.series.types import Branch
from store.query.time.buckets import Buckets
from tests.harness.apis import record
from tests.harness.run_profile import short_or_long
from tests.harness.service import Service

SPAN = '{between: {from: "1970-01-01T00:00:00Z", to: "1979-01-01T00:00:00Z"}}'
FIELDS = {
    "Event": (
        *("id", "name", "time", "userId", "sessionId", "properties", "__typename"),
        'property(key: "n")',
    ),
    "Sample": ("time", "value", "tags", "__typename"),
}
LISTS = {
    "Event": "{events(%s) {%s}}",
    "Sample": '{metric(name: "m") {samples(range: ' + SPAN + ", %s) {%s}}}",
}
HOSTILE_TEXTS = (
    *("", "%s", "%", '"', "\\", "\n\t\x7f", "é", "𝔘", "a,b", "[1,2]", "</script>", "\u2028"),
    "null",
)


def name_of(field: str) -> str:
    """Return the name of a field that may have arguments."""
    return field.partition("(")[0]


def event_fields(text: str) -> dict[str, Any]:
    """Return the fields of an event with a text in each field that can have it."""
    user_fields = {"user_id": text, "session_id": text} if text.isprintable() and text else {}
    return user_fields | {"properties": {"k" + text: text, "n": 1.0, "list": [text, None, 2**60]}}


@pytest_asyncio.fixture(scope="module", autouse=True)
async def rows(service: Service) -> None:
    """Record rows with hostile texts and numbers, in two batches, at times far apart."""
    times = (0, 1, 999, 951_782_399_999, 1_760_000_400_000, 4_070_908_799_999)
    for texts in (HOSTILE_TEXTS[::2], HOSTILE_TEXTS[1::2]):
        events = [
            {"event_name": f"e{text}" if text.isprintable() else "e", "timestamp": time}
            | event_fields(text)
            for text, time in zip(texts, times, strict=False)
        ]
        await record(service, "/events", *events, {"event_name": "bare", "timestamp": 5})
        points = [
            {"metric_name": "m", "value": value, "timestamp": time % 2**37, "tags": {"t": text}}
            for value, text, time in zip((1, -0.0, 1e300, 5e-324, 0.1), texts, times, strict=False)
        ]
        await record(service, "/metrics", *points, {"metric_name": "m", "value": 2, "timestamp": 7})


@contextlib.contextmanager
def leaf_by_leaf() -> Iterator[None]:
    """Let graphql-core complete each leaf."""
    init = Page.__init__

    def plain(self: Page[Any], *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        object.__setattr__(self, "columns", None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Page, "__init__", plain)
        yield


async def compare_answers(service: Service, query: str, **variables: object) -> bytes:
    """Return the answer to a query, which must be the same with and without graphql-core."""
    body = {"query": query, "variables": variables}
    ready = (await service.post("/graphql", body)).content.partition(b',"extensions":')[0]
    with leaf_by_leaf():
        plain = (await service.post("/graphql", body)).content.partition(b',"extensions":')[0]
    assert ready == plain
    assert ready.startswith(b'{"data":'), ready
    return ready


DIRECTIVES = st.sampled_from(
    ("", "", "", " @skip(if: $yes)", " @include(if: $yes)", " @include(if: false)")
)


@st.composite
def selections(draw: st.DrawFn, type_name: str, depth: int = 2) -> str:
    """Draw the selection of an entry: fields, aliases, directives, fragments in fragments."""
    parts = []
    for field in draw(st.lists(st.sampled_from(FIELDS[type_name]), min_size=1, max_size=6)):
        # One key with two meanings makes the document invalid.
        key = name_of(field).strip("_")
        alias = draw(st.sampled_from(("", f"{key}_1: ", f"_{key}: ")))
        parts.append(f"{alias}{field}{draw(DIRECTIVES)}")
    if depth:
        for _ in range(draw(st.integers(0, 2))):
            interface = "on Node" if type_name == "Event" else f"on {type_name}"
            condition = draw(st.sampled_from(("", f"on {type_name}", interface)))
            inner = (
                "id __typename"
                if condition == "on Node"
                else draw(selections(type_name, depth - 1))
            )
            parts.append(f"... {condition}{draw(DIRECTIVES)} {{{inner}}}")
        if draw(st.booleans()):
            parts.append("...F")
    return " ".join(draw(st.permutations(parts)))


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Draw a document that lists entries, as nodes, as edges, as both, more than once."""
    type_name = draw(st.sampled_from(("Event", "Sample")))
    entry = selections(type_name)
    parts = []
    for number in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            alias = draw(st.sampled_from(("", f"n{number}: ")))
            parts.append(f"{alias}nodes{draw(DIRECTIVES)} {{{draw(entry)}}}")
        else:
            alias = draw(st.sampled_from(("", f"e{number}: ")))
            edge_fields = ["cursor", f"node {{{draw(entry)}}}", "__typename", "at: cursor"]
            selection = draw(st.lists(st.sampled_from(edge_fields), min_size=1, unique=True))
            parts.append(f"{alias}edges{draw(DIRECTIVES)} {{{' '.join(selection)}}}")
    arguments = draw(st.sampled_from(("first: 1000", "last: 4", "first: 1")))
    fragment = f"fragment F on {type_name} {{{draw(selections(type_name, 0))}}}"
    query = LISTS[type_name] % (arguments, " ".join(["pageInfo {endCursor} ...G", *parts]))
    of_page = f"fragment G on {type_name}Connection {{__typename @skip(if: $yes) nodes {{...F}}}}"
    return f"query ($yes: Boolean = true) {query} {fragment} {of_page}"


@settings(
    max_examples=short_or_long(20, 100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(documents(), st.booleans())
async def test_ready_is_what_graphql_core_says(service: Service, query: str, yes: bool) -> None:
    """For each selection of a list: names, order, nulls and values are those of graphql-core."""
    await compare_answers(service, query, yes=yes)


@pytest.mark.parametrize("type_name", FIELDS)
async def test_every_field_is_ready(service: Service, type_name: str) -> None:
    """Each field of the schema alone has the same text as graphql-core's."""
    body = {"query": f'{{__type(name: "{type_name}") {{fields {{name}}}}}}'}
    answer = (await service.post("/graphql", body)).json()
    names = {field["name"] for field in answer["data"]["__type"]["fields"]}
    assert names == set(map(name_of, FIELDS[type_name])) - {"__typename"}
    for field in FIELDS[type_name]:
        for selection in (f"nodes {{{field}}}", f"edges {{node {{{field}}}}}"):
            query = LISTS[type_name] % ("first: 1000", selection)
            text = await compare_answers(service, query)
            assert text.count(f'"{name_of(field)}":'.encode()) >= 12


@pytest.mark.parametrize("selection", ["nodes {id}", "nodes {__typename} edges {cursor node {id}}"])
async def test_nothing_is_ready(service: Service, selection: str) -> None:
    """A list without entries is an empty list."""
    answer = await compare_answers(
        service, f'{{events(where: {{name: {{eq: "none"}}}}) {{{selection}}}}}'
    )
    assert b'"nodes":[]' in answer


@given(st.lists(st.integers(-62_135_596_800_000, 253_402_300_799_999)))
@example([0, 951_782_399_999, 951_782_400_000])
@example([-62_135_596_800_000, 253_402_300_799_999])
@example(list(range(0, 10**7, 10**4)))
def test_instants_are_those_of_the_scalar(moments: list[int]) -> None:
    """A list of instants has the text of each: the years 1 to 9999, to the millisecond."""
    assert instants(moments) == msgspec.json.encode(
        [rfc3339(Instant(moment)) for moment in moments]
    )


@given(
    st.integers(-(10**9), 10**9),
    st.integers(0, 300),
    st.sampled_from(
        (1000, 7000, 20_000, 60_000, 300_000, 900_000, 3_600_000, 86_400_000, 1, 90_000)
    ),
    st.sampled_from((1, 1000, 60_000)),
)
def test_buckets_begin_when_the_scalar_says(first: int, count: int, step: int, unit: int) -> None:
    """A range of instants has the text of each, with any step and phase."""
    begin = first * unit
    moments = range(begin, begin + count * step, step)
    expected = msgspec.json.encode([rfc3339(Instant(moment)) for moment in moments])
    assert instants(moments) == instants(list(moments)) == expected


AVG = Aggregate(AggregateKind.AVG)
VALUES = st.one_of(
    st.none(), st.integers(-3, 10**19), st.floats(allow_nan=False, allow_infinity=False)
)


@settings(max_examples=300)
@given(
    st.integers(0, 12),
    st.lists(st.tuples(st.integers(0, 14), VALUES), max_size=12, unique_by=lambda cell: cell[0]),
    st.sampled_from(Fill),
    st.sampled_from((b"", b" ")),
)
def test_unread_columns_are_those_that_were_read(
    count: int, cells: list[tuple[int, float | None]], fill: Fill, space: bytes
) -> None:
    """A column that is padded as text equals the column of decoded values, with any gaps."""
    cells.sort()
    numbers, values = [n for n, _ in cells], [value for _, value in cells]
    row = (0, 'm"[1],[2]', 1, ["]", "["], 1, numbers, values, [n + 1 for n in numbers])
    text = (b"," + space).join(map(msgspec.json.encode, row))
    columns = Results(("avg", "count"), (Result(AVG, (0,), None), Result(COUNT, (1,), None)))
    branch = Branch(0, "", NO_RESULTS, columns)
    (series_row,) = series_rows(b"[" + text + b"]\n", {0: branch})[0]
    identity = (series_row.metric, series_row.series, series_row.keys, series_row.groups)
    assert identity == (row[1], 1, row[3], 1)
    frame = BucketedRange(
        TimeRange(from_=Instant(0), to=Instant(count), granularity=Granularity.SECOND),
        Buckets(Granularity.SECOND, range(count), count, 1),
    )
    table = SeriesValues(frozenset(), frozenset((AVG, COUNT)), fill, range(count), Instant(0))
    with pytest.MonkeyPatch.context() as patch:
        quick = table.columns(series_row, frame)
        patch.setattr(SeriesValues, "_pad", lambda *_: None)
        slow = table.columns(series_row, frame)
    decoded_columns = [
        {name: msgspec.json.decode(text) for name, text in columns.items()}
        for columns in (quick, slow)
    ]
    assert decoded_columns[0] == decoded_columns[1]
