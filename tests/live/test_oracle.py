"""The state of a client equals a fresh query, whatever happens: late rows, deletions, time."""

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from schema.scalars import Instant, rfc3339
from settings import Settings
from tests.harness.live_state import Result, Subscription, subscribe, wait_for_answers
from tests.harness.service import NOON, Service, prefixed_service, run_service, use_context

SERIES: Final = """{ label isOther key {value} total {%(a)s} previousTotal {%(a)s}
    columns {%(a)s} previousColumns {%(a)s}
    points {time isPartial values {%(a)s} previous {%(a)s}} share change {absolute} }"""
SELECTION: Final = """{ times previousTimes
    meta {isSnapshot firstTime totalGroups truncated range {from to} comparisonRange {from to}}
    series %(s)s overall %(s)s }"""
AGGREGATES: Final = {
    "events": [
        "count",
        'count s: sum(property: "n") m: max(property: "n")',
        'uniqueUsers q: quantile(q: 0.5, property: "n")',
        'v: avg(property: "n")',
    ],
    "metrics": ["count", "avg", "sum min max", "last first", "q: quantile(q: 0.9)", "rate"],
}
RANGES: Final = [
    '{last: "PT2M"}',
    '{last: "PT95S"}',
    '{last: "PT1H"}',
    "{preset: TODAY}",
    '{between: {from: "2025-10-09T08:58:00Z", to: "2025-10-09T09:02:00Z"}}',
]
GRANULARITIES: Final = ["AUTO", "TEN_SECONDS", "THIRTY_SECONDS", "MINUTE"]
FILLS: Final = ["ZERO", "NULL", "NONE", "PREVIOUS", "LINEAR"]
COMPARISONS: Final = ["", "", "compare: {mode: PREVIOUS_PERIOD}"]
GROUPS: Final = {
    "events": ["", "", 'groupBy: [{property: "g"}]', 'groupBy: [{field: NAME}, {property: "g"}]'],
    "metrics": ["", "", 'groupBy: ["g"]'],
}
FILTERS: Final = {
    "events": ["", 'where: {name: {eq: "e1"}}', 'where: {property: {key: "n", number: {gt: 3}}}'],
    "metrics": ["", 'where: {tag: {key: "g", string: {neq: "x"}}}', "where: {value: {gt: 3}}"],
}


class Clock:
    """The clock of the service, which tests move."""

    now: Instant = NOON

    def __call__(self) -> Instant:
        """Return the time."""
        return self.now


@dataclass
class Question:
    """A question as a subscription, and as a query."""

    live: str
    query: str
    is_metric: bool


def question(chance: random.Random) -> Question:
    """Return a random question."""
    table = chance.choice(["events", "metrics"])
    aggregates = chance.choice(AGGREGATES[table])
    series = SERIES % {"a": aggregates}
    if table == "metrics":
        series = series.replace("share", "")
    selection = SELECTION % {"s": series}
    granularity = chance.choice(GRANULARITIES)
    arguments = " ".join(
        [
            f"range: {chance.choice(RANGES)} granularity: {granularity}",
            f"limit: {chance.choice([1, 2, 10])} otherGroup: {chance.choice(['true', 'false'])}",
            f"fill: {chance.choice(FILLS)}",
            chance.choice(COMPARISONS),
            chance.choice(GROUPS[table]),
            chance.choice(FILTERS[table]),
        ]
    )
    if table == "events":
        return Question(
            f'subscription {{ r: eventTrendChanged({arguments} throttle: "PT0.1S") {selection} }}',
            f"{{ r: eventTrend({arguments}) {selection} }}",
            is_metric=False,
        )
    return Question(
        f'subscription {{ r: metricChanged(name: "m1" {arguments} throttle: "PT0.1S")'
        f" {selection} }}",
        f'{{ r: metric(name: "m1") {{ query({arguments}) {selection} }} }}',
        is_metric=True,
    )


async def change_rows(service: Service, chance: random.Random, now: Instant) -> None:
    """Record, repeat or delete some rows, mostly new ones, some late, some ahead of the clock."""
    for _ in range(chance.randint(0, 4)):
        late_ms = chance.choice([0, 0, 500, 5_000, 70_000, 200_000, -4_000, 86_400_000])
        row: Result = {"timestamp": rfc3339(Instant(now - late_ms + chance.randint(0, 999)))}
        if chance.random() < 0.3:
            row["id"] = f"id{chance.randint(0, 5)}"
        group = chance.choice(["x", "y", "z", None])
        number = chance.choice([1, 2.5, 7, -3, 1e9, 0.1])
        if chance.random() < 0.5:
            properties = {"n": number} | ({"g": group} if group else {})
            name, user = f"e{chance.randint(1, 2)}", f"u{chance.randint(1, 3)}"
            event = {"event_name": name, "user_id": user, "properties": properties}
            answer = await service.post("/events", event | row)
        else:
            point = {"metric_name": f"m{chance.randint(1, 2)}", "value": number}
            answer = await service.post(
                "/metrics", point | row | ({"tags": {"g": group}} if group else {})
            )
        assert answer.status_code == 200, answer.text
    if chance.random() < 0.15:
        field = chance.choice(
            [
                'deleteEvents(input: {where: {property: {key: "g", string: {eq: "x"}}}})',
                'deleteEvents(input: {where: {name: {eq: "e1"}}})',
                'deleteMetrics(input: {name: "m1"})',
            ]
        )
        assert "errors" not in await service.graphql(f"mutation {{ {field} {{ __typename }} }}")


@pytest.mark.parametrize("seed", range(2))
async def test_state_equals_a_fresh_query(tmp_path: Path, seed: int) -> None:
    """After each step, the merged messages of 8 random questions are what a query returns."""
    chance, clock = random.Random(seed), Clock()
    settings = Settings(data=tmp_path, store=tmp_path / "store")
    async with run_service(settings) as service, prefixed_service(service, "/fresh") as fresh:
        with use_context(service, replace(service.context, now=clock)):
            for name in ("m1", "m2"):
                await service.post("/metrics", {"metric_name": name, "value": 1})
            questions = [question(chance) for _ in range(8)]
            subscriptions = [await subscribe(service, entry.live) for entry in questions]
            for step in range(10):
                clock.now = Instant(clock.now + chance.choice([0, 0, 700, 3_000, 12_000, 61_000]))
                await change_rows(service, chance, clock.now)
                await wait_for_answers(service)
                for entry, subscription in zip(questions, subscriptions, strict=True):
                    await check(fresh, entry, subscription, step)
    messages = [message for entry in subscriptions for message in entry.viewer.messages]
    assert sum(not message["meta"]["isSnapshot"] for message in messages) > 20


async def check(fresh: Service, entry: Question, subscription: Subscription, step: int) -> None:
    """Compare the state of a client with a query whose clock is at the end of the bucket."""
    state: Any = subscription.viewer.state
    live: Any = subscription.topic.question
    moment = Instant(live._bucket.end - 1)
    with use_context(fresh, replace(fresh.context, now=lambda: moment)):
        answer = await ask(fresh, entry.query)
    result = answer["data"]["r"]
    if entry.is_metric and result is None:  # all points were deleted
        assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"
        assert not any(series["total"].get("count") for series in state["series"])
        return
    result = result["query"] if entry.is_metric else result
    mark_partial(result, rfc3339(live._bucket.starts[0]))
    assert without_marks(state) == without_marks(result), (step, entry.live)


def mark_partial(result: Result, start: str) -> None:
    """Mark the current bucket, which ends later than the clock of the query says."""
    for series in [*result["series"], *([result["overall"]] if result["overall"] else [])]:
        for point in series["points"]:
            point["isPartial"] |= point["time"] == start


async def ask(fresh: Service, query: str) -> Result:
    """Run a query in the application under a prefix."""
    answer = await fresh.post("/fresh/graphql", {"query": query})
    content: Result = answer.json()
    return content


def without_marks(result: Result) -> Result:
    """Return a result without the marks of a message."""
    meta = {k: v for k, v in result["meta"].items() if k not in {"isSnapshot", "firstTime"}}
    return {**result, "meta": meta}
