"""Identity of a series: metric and tags, whatever the order and spelling of the tags."""

import itertools
import json
from typing import Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.ingest.rows import METRIC, TAGS_SORTED
from store.query.sql import Scan, Statement
from tests.harness.apis import METRICS as RECORD_METRICS
from tests.harness.apis import ask, record
from tests.harness.run_profile import short_or_long
from tests.harness.service import NOON, Service

EQUAL_TAGS: Final[dict[str, list[str]]] = {
    "order": ['{"a":"1","b":"2"}', '{"b":"2","a":"1"}'],
    "none": ["{}", "null", ""],
    "escapes": ['{"a":"é","/":"x"}', r'{"\/":"x","\u0061":"\u00e9"}', '{ "a" : "é", "/" : "x" }'],
    "key twice": ['{"b":"1","a":"2"}', '{"a":"0","b":"0","a":"2","b":"1"}'],
    "order of UTF-8": ['{"\uffff":"1","\U00010000":"2"}', '{"\U00010000":"2","\uffff":"1"}'],
    "one begins like the other": ['{"a":"1","ab":"2"}', '{"ab":"2","a":"1"}'],
    "tag named tags": ['{"tags":"1","a":"}"}', '{"a":"}","tags":"1"}'],
    "braces": ['{"a":"},{","b":"}"}', '{"b":"}","a":"},{"}'],
    "quotes and commas": [r'{"a":"\",\"","\"b":","}', r'{"\"b":",","a":"\",\""}'],
}
TEXTS: Final = st.text(st.sampled_from('ab,:{}"\\/é\x7f\n\uffff\U00010000'), min_size=1, max_size=3)
KEYS: Final = st.text(st.sampled_from('ab,:{}"\\/é\uffff\U00010000'), min_size=1, max_size=3)
TAGS: Final = st.dictionaries(KEYS, TEXTS, max_size=4)
_names = (f"identity {n}" for n in itertools.count())


def point_line(name: str, value: int, tags: str) -> str:
    """Return a point as a line of JSON, with the text of its tags unchanged."""
    given_tags = f'"tags":{tags},' if tags else ""
    return f'{{"metric_name":"{name}",{given_tags}"value":{value},"timestamp":{NOON + value}}}'


async def record_spellings(service: Service, name: str, path: str, tags: list[str]) -> None:
    """Record a point for each text of tags, by one path of ingestion."""
    lines = [point_line(name, n, text) for n, text in enumerate(tags)]
    if path == "one by one":
        for text in lines:
            assert (await service.post("/metrics", text.encode())).status_code == 200
    elif path == "array":
        await service.post("/metrics/batch", f"[{','.join(lines)}]".encode())
    elif path == "lines":
        await service.post("/metrics/batch", "\n".join(lines).encode())
    elif path == "known templates":
        body = "".join(f"{text}\n" for text in lines * 100).encode()
        service.context.store.reader.templates.learn(METRIC, body)
        await service.post("/metrics/batch", body)
    else:
        series = [
            point_line(name, n, text)
            .replace('"value":', '"values":[1,')
            .replace(',"timestamp":', f'],"timestamps":[{NOON},')
            .removesuffix("}")
            + "]}"
            for n, text in enumerate(tags)
        ]
        answer = await service.post("/metrics/series", "\n".join(series).encode())
        assert answer.json()["accepted"] == 2 * len(tags), answer.text


PATHS: Final = ["one by one", "array", "lines", "known templates", "series"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", EQUAL_TAGS)
async def test_equal_tags_are_one_series(service: Service, kind: str, path: str) -> None:
    """Equal tags make one series, and have one text in samples."""
    name = next(_names)
    await record_spellings(service, name, path, EQUAL_TAGS[kind])
    data = await ask(
        service,
        f"""{{metric(name: "{name}") {{
          seriesCount samples(range: {{preset: ALL_TIME}}) {{nodes {{tags}}}}
        }}}}""",
    )
    tags = json.loads(EQUAL_TAGS[kind][0]) or {}
    assert data["metric"]["seriesCount"] == 1
    sample_tags = {json.dumps(node["tags"]) for node in data["metric"]["samples"]["nodes"]}
    assert sample_tags == {json.dumps(dict(sorted(tags.items())))}


@settings(
    deadline=None,
    max_examples=short_or_long(10, 30),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
async def test_as_many_series_as_sets_of_tags(service: Service, data: st.DataObject) -> None:
    """Each distinct set of tags is one series, whichever path records it."""
    name = next(_names)
    sets = data.draw(st.lists(TAGS, min_size=1, max_size=4))
    shuffled_tags = [
        dict(data.draw(st.permutations(list(tags.items())))) for tags in sets for _ in range(2)
    ]
    texts = [json.dumps(tags, ensure_ascii=data.draw(st.booleans())) for tags in shuffled_tags]
    for path in PATHS:
        await record_spellings(service, name, path, texts)
    points = [{"name": name, "value": 1, "tags": tags} for tags in shuffled_tags]
    await ask(service, RECORD_METRICS, rows=points)
    metric = (await ask(service, f'{{metric(name: "{name}") {{seriesCount}}}}'))["metric"]
    distinct_tags = {frozenset(tags.items()) for tags in sets}
    assert metric["seriesCount"] == len(distinct_tags)
    assert set(await stored_tags(service, name)) == {
        canonical_tags(dict(tags)) for tags in distinct_tags
    }


class _Tags(msgspec.Struct):
    tags: str


async def stored_tags(service: Service, name: str) -> list[str]:
    """Return the stored tags of a metric."""
    statement = Statement(
        "SELECT tags FROM metrics WHERE name = {name:String}",
        {"name": name},
        scans=(Scan("metrics"),),
    )
    return [row.tags for row in await service.context.store.select(statement, _Tags)]


def canonical_tags(tags: dict[str, str]) -> str:
    """Return the stored text of tags, sorted by the UTF-8 bytes of their keys."""
    pairs = sorted(tags.items(), key=lambda pair: pair[0].encode())
    return msgspec.json.encode(dict(pairs)).decode() if tags else ""


async def test_increase_is_over_one_series(service: Service) -> None:
    """A counter grows on if its tags change their order."""
    name = next(_names)
    tag_sets = [{"a": "1", "b": "2"}, {"b": "2", "a": "1"}] * 2
    points = [
        {"metric_name": name, "value": 10 * n, "tags": tag_set, "timestamp": NOON + n}
        for n, tag_set in enumerate(tag_sets)
    ]
    await record(service, "/metrics", *points)
    day = 'range: {between: {from: "2025-10-09T00:00:00Z", to: "2025-10-10T00:00:00Z"}}'
    query = f'{{metric(name: "{name}") {{query({day}) {{series {{total {{increase}}}}}}}}}}'
    (series,) = (await ask(service, query))["metric"]["query"]["series"]
    assert series["total"]["increase"] == 30


@settings(deadline=None)
@given(TAGS)
def test_encoder_sorts_by_bytes(tags: dict[str, str]) -> None:
    """The encoder of journal lines sorts as the engine does."""
    assert TAGS_SORTED.encode(tags).decode() == (canonical_tags(tags) or "{}")
