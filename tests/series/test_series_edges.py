"""Series of odd tags, numbers beyond doubles, bad paths, and texts with line breaks."""

import asyncio
from typing import Any, Final

import pytest

from tests.harness.apis import ask, record
from tests.harness.service import Service

DAY: Final = 'range: {between: {from: "1970-01-01T00:00:00Z", to: "1970-01-02T00:00:00Z"}}'
SECOND_DAY: Final = '{range: {between: {from: "1970-01-02T00:00:00Z", to: "1970-01-03T00:00:00Z"}}}'
LATER: Final = 86_400_000


async def metric_result(service: Service, name: str, arguments: str, selection: str) -> Any:
    """Return the result of a metric on January 1, 1970."""
    query = f"query({DAY} {arguments}) {{{selection}}}"
    text = f"query($name: String!) {{metric(name: $name) {{{query}}}}}"
    return (await ask(service, text, name=name))["metric"]["query"]


async def event_result(service: Service, arguments: str, selection: str) -> Any:
    """Return the result of events on January 1, 1970."""
    return (await ask(service, f"{{eventTrend({DAY} {arguments}) {{{selection}}}}}"))["eventTrend"]


def points(name: str, *values: tuple[float, dict[str, str]]) -> list[dict[str, Any]]:
    """Return points, a second apart."""
    return [
        {"metric_name": name, "value": value, "tags": tags, "timestamp": 1000 * n}
        for n, (value, tags) in enumerate(values)
    ]


EQUAL_TAGS: Final[dict[str, list[dict[str, str]]]] = {
    "order": [{"a": "x", "b": "y"}, {"b": "y", "a": "x"}],
    "quote and comma": [{"a": 'x",', "b": "y"}, {"b": "y", "a": 'x",'}],
    "comma": [{"a": ",", "b": "y"}, {"b": "y", "a": ","}],
    "comma as a key": [{",": "x", "b": "y"}, {"b": "y", ",": "x"}],
    "colon": [{"a": "x:", "b": "y"}, {"b": "y", "a": "x:"}],
    "colon and comma": [{"a": ":", ",b": "y", "c": "z"}, {"c": "z", ",b": "y", "a": ":"}],
    "comma, thrice": [{"a": ",", ",": ",", "b": "\\"}, {"b": "\\", ",": ",", "a": ","}],
    "none": [{}, {}],
}
DIFFERENT_TAGS: Final[dict[str, list[dict[str, str]]]] = {
    "brace": [{"a": "x"}, {"a": "x}"}],
    "braces": [{"a": "{x"}, {"{a": "x"}],
    "quote": [{"a": "x"}, {"a": 'x"'}],
    "quoted": [{"a": '"x"'}, {"a": "x"}],
    "backslash": [{"a": "x"}, {"a": "x\\"}],
    "empty": [{"a": ""}, {}],
    "swapped": [{"a": "x", "b": "y"}, {"a": "y", "b": "x"}],
    "one or two": [{"a": 'x","b":"y'}, {"a": "x", "b": "y"}],
    "key or value, a slash": [{"/": 'a"', "b": "c"}, {"/": "a", '"b': "c"}],
    "key or value": [{'a":"b': "c"}, {"a": 'b":"c'}],
}


GROUP_BY: Final = 'groupBy: ["a", "b", "c", ",", ",b"]'


@pytest.mark.parametrize("kind", [*EQUAL_TAGS, *DIFFERENT_TAGS])
async def test_counters_are_told_apart_by_their_tags(service: Service, kind: str) -> None:
    """A counter grows between points with equal tags, whatever the order of the tags."""
    tags, other_tags = (EQUAL_TAGS | DIFFERENT_TAGS)[kind]
    await record(service, "/metrics", *points(kind, (1, tags), (50, other_tags), (2, tags)))
    expected = 49 + 2 if kind in EQUAL_TAGS else 1  # 2 is less than 50: it began at 0 again
    groups = (await metric_result(service, kind, "", "series {total {increase}}"))["series"]
    assert [group["total"]["increase"] for group in groups] == [expected]
    if kind in EQUAL_TAGS:
        selection = "series {total {increase count}}"
        groups = (await metric_result(service, kind, GROUP_BY, selection))["series"]
        assert [group["total"] for group in groups] == [{"increase": expected, "count": 3}]


async def test_numbers_beyond_doubles(service: Service) -> None:
    """A value that no double can hold is null in totals, columns and changes."""
    big = 1.7e308
    rows = points("big", (big, {}), (big, {}), (-big, {"t": "x"}))
    rows += [{"metric_name": "big", "value": -big, "timestamp": LATER + n} for n in range(2)]
    rows += [{"metric_name": "big", "value": 5e-324, "timestamp": 3 * LATER}]
    await record(service, "/metrics", *rows)
    aggregates = 'sum avg min max stddev increase rate(per: "P1000D") quantile(q: 1)'
    aggregates += " e: quantile(q: 0.1, exact: true)"
    changes = " ".join(
        f"{kind}: change(aggregate: {kind.upper()}) {{previous absolute ratio}}"
        for kind in ("sum", "max", "avg", "increase", "rate", "stddev")
    )
    arguments = f"compare: {SECOND_DAY} granularity: HOUR"
    selection = (
        f"series {{total {{{aggregates}}} previousTotal {{{aggregates}}} {changes}"
        f" columns {{{aggregates}}}}}"
    )
    (series,) = (await metric_result(service, "big", arguments, selection))["series"]
    assert series["max"] == {"previous": -big, "absolute": None, "ratio": None}
    assert series["previousTotal"]["sum"] is None
    assert series["total"]["max"] == big
    fourth_day = SECOND_DAY.replace("01-03", "01-05").replace("01-02", "01-04")
    tiny = f"compare: {fourth_day} granularity: HOUR"
    (series,) = (await metric_result(service, "big", tiny, selection))["series"]
    assert series["max"] == {"previous": 5e-324, "absolute": big, "ratio": None}


@pytest.mark.parametrize("path", ["a\\", "a\\n", "k" * 1001, "a." * 20])
async def test_bad_paths_are_refused_at_once(service: Service, path: str) -> None:
    """A bad path is an error that names its argument; the other fields answer."""
    text = """query($p: String!) {{
      bad: eventTrend({day} {arguments}) {{series {{{selection}}}}}
      good: eventTrend({day}) {{series {{total {{count}}}}}}
    }}"""
    for arguments, selection, field in (
        ("", "total {sum(property: $p)}", "property"),
        ("", "columns {unique(property: $p)}", "property"),
        ("", "points {values {avg(property: $p)}}", "property"),
        (
            "compare: {mode: PREVIOUS_WEEK}",
            "change(aggregate: MAX, property: $p) {ratio}",
            "property",
        ),
        ("groupBy: [{property: $p}]", "total {count}", "groupBy.property"),
        (
            "groupBy: [{bucketNumber: {property: $p, bounds: [1]}}]",
            "total {count}",
            "groupBy.bucketNumber.property",
        ),
        (
            "groupBy: [{field: NAME}] orderBy: {aggregate: SUM, property: $p}",
            "total {count}",
            "orderBy.property",
        ),
    ):
        query = text.format(day=DAY, arguments=arguments, selection=selection)
        answer = await asyncio.wait_for(service.graphql(query, p=path), 10)
        (error,) = answer["errors"]
        assert (error["path"], error["extensions"]["field"]) == (["bad"], field), (arguments, error)
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert len(answer["data"]["good"]["series"]) == 1


async def test_users_and_sessions_with_line_breaks(service: Service) -> None:
    """Groups stay apart if users and sessions have line breaks."""
    rows = [("a\nb", "c"), ("a", "b\nc"), ("a", "b\nc")]
    await record(
        service,
        "/events",
        *(
            {"event_name": "broken", "user_id": user, "session_id": session, "timestamp": 5000}
            for user, session in rows
        ),
    )
    arguments = 'where: {name: {eq: "broken"}} groupBy: [{field: USER_ID}, {field: SESSION_ID}]'
    result = await event_result(
        service, arguments, "series {key {value} total {count} columns {count}}"
    )
    counts_by_key = {
        tuple(key["value"] for key in group["key"]): (
            group["total"]["count"],
            sum(group["columns"]["count"]),
        )
        for group in result["series"]
    }
    assert counts_by_key == {("a", "b\nc"): (2, 2), ("a\nb", "c"): (1, 1)}
