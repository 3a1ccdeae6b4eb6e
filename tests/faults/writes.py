"""Writes of single rows and batches, in every spelling.

A row says its own time in a tag or a property, so that an audit can compare the stored time.
"""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from store.query.sql import Scan, Statement
from tests.harness.spellings import SPELLINGS, body_of, text_of_time

WRITE_KINDS: Final = ("metric", "event", "metrics", "events", "graphql metrics", "graphql events")

_PATHS: Final = {
    "metric": "/metrics",
    "event": "/events",
    "metrics": "/metrics/batch",
    "events": "/events/batch",
    "graphql metrics": "/graphql",
    "graphql events": "/graphql",
}
_RECORD_METRICS: Final = """
mutation ($input: RecordMetricsInput!) { recordMetrics(input: $input) { accepted } }
"""
_RECORD_EVENTS: Final = """
mutation ($input: RecordEventsInput!) { recordEvents(input: $input) { accepted } }
"""
_AGE_MS: Final = 3_600_000
_BAD_ROW: Final = {"metric_name": "", "event_name": "", "value": 1}


_TAG: Final = "x, y/é 😀"
_TITLE: Final = f'{_TAG}: "z"\n\\'
"""Texts that encoders escape in different ways. Templates have no escapes in tags."""


class WrongRow(msgspec.Struct):
    """The tags or the properties of a row that is not stored as it was sent."""

    row: str


WRONG_ROWS: Final = {
    "metrics": Statement(
        """SELECT tags AS row FROM metrics
        WHERE JSONExtractString(tags, 't') NOT IN ('', toString(toUnixTimestamp64Milli(time)))
            OR JSONHas(tags, 'a') AND NOT startsWith(tags, {start:String})""",
        {"start": f'{{"a":"{_TAG}","k":'},
        scans=(Scan("metrics"),),
    ),
    "events": Statement(
        """SELECT properties AS row FROM events
        WHERE JSONExtractString(properties, 't') NOT IN ('', toString(toUnixTimestamp64Milli(time)))
            OR JSONHas(properties, 'title') AND NOT startsWith(properties, {start:String})""",
        {"start": f'{{"title":{msgspec.json.encode(_TITLE).decode()}'},
        scans=(Scan("events"),),
    ),
}
"""Queries of rows with a wrong time, unsorted tags, or other spaces or escapes than ours."""


@dataclass(frozen=True, slots=True)
class Write:
    """A request whose valid rows have the keys `<key>/<number>`."""

    path: str
    table: str
    rows: int
    body: bytes


def make_write(key: str, kind: str, rows: int, dice: random.Random) -> Write:
    """Return a write of some rows; their spelling, times and ids are by chance."""
    is_metric = kind.removeprefix("graphql ").startswith("metric")
    times = [int(time.time() * 1000) - dice.randrange(_AGE_MS) for _ in range(rows)]
    has_times, has_ids = dice.random() < 0.7, dice.random() < 0.3
    make_row = _point if is_metric else _event
    items = [
        make_row(f"{key}/{n}", row_time if has_times else None)
        | ({"id": f"{key}/{n}"} if has_ids else {})
        for n, row_time in enumerate(times)
    ]
    table = "metrics" if is_metric else "events"
    return Write(_PATHS[kind], table, rows, _body(kind, items, dice))


def _point(key: str, time_ms: int | None) -> dict[str, Any]:
    tags = {"k": key, "a": _TAG}
    if time_ms is None:
        return {"metric_name": "fault", "value": 1, "tags": tags}
    return {
        "metric_name": "fault",
        "value": 1,
        "tags": {"t": str(time_ms), **tags},
        "timestamp": time_ms,
    }


def _event(key: str, time_ms: int | None) -> dict[str, Any]:
    event = {"event_name": "fault", "user_id": key, "properties": {"title": _TITLE}}
    if time_ms is None:
        return event
    return event | {"properties": {"title": _TITLE, "t": str(time_ms)}, "timestamp": time_ms}


def _body(kind: str, items: list[dict[str, Any]], dice: random.Random) -> bytes:
    if kind in {"metric", "event"}:
        return json.dumps(items[0]).encode()
    if kind in {"metrics", "events"}:
        if dice.random() < 0.3:
            items.insert(dice.randrange(len(items) + 1), _BAD_ROW)
        return body_of(items, dice.choice(SPELLINGS))
    is_metric = kind == "graphql metrics"
    content = {
        "query": _RECORD_METRICS if is_metric else _RECORD_EVENTS,
        "variables": {"input": {"metrics" if is_metric else "events": _inputs(items)}},
    }
    separators = dice.choice([(",", ":"), (", ", ": ")])
    return json.dumps(
        content, ensure_ascii=dice.choice([True, False]), separators=separators
    ).encode()


def _inputs(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with the names of GraphQL, and times as texts."""
    names = {
        "metric_name": "name",
        "event_name": "name",
        "user_id": "userId",
        "timestamp": "time",
    }
    return [
        {
            names.get(field, field): text_of_time(value) if field == "timestamp" else value
            for field, value in item.items()
        }
        for item in items
    ]
