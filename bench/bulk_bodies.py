"""Bodies of bulk writes: the same rows in each spelling.

Ids and times are placeholders, which get new values in every request.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from bench.data import HOSTS
from bench.placeholders import ID, RISING_TIME, SCATTERED_DATE, SCATTERED_TIME

Row = dict[str, Any]
RowMaker = Callable[[int, random.Random], Iterator[Row]]
Encoder = Callable[[list[Row]], str]

METRIC: Final = "cpu_load"
"""Metric of the points, which the peers get under another name in each round."""

BAD_ROW_EVERY: Final = 1_000

_MAX_BODIES: Final = 8
_ROWS: Final = 40_000
"""Rows in all bodies, if these are not too many or too few."""

_RFC3339: Final = f"{SCATTERED_DATE}Z"

_PAGES: Final = (
    ("/", "Example Shop"),
    ("/pricing", "Pricing and plans - Example Shop"),
    ("/docs/getting-started", "Getting started - Example Shop"),
    ("/products/espresso-machines", "Espresso machines: compare all models"),
    ("/checkout/address", "Checkout, step 2 of 4"),
    ("/blog/2026/how-we-measure", "How we measure (and why) - Blog"),
)
_ESCAPED_PAGES: Final = (
    ("/search", 'Results for "espresso machine"'),
    ("/error", "Payment failed:\ntimeout after 30 s"),
    ("/download", "C:\\Users\\public"),
)
_AGENTS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:141.0) Gecko/20100101 Firefox/141.0",
)
_USER_TYPES: Final = ("free", "premium", "enterprise")


def make_bodies(make_rows: RowMaker, encode: Encoder, size: int) -> list[bytes]:
    """Return bodies of `size` rows."""
    sources = (random.Random(size + n) for n in range(_body_count(size)))
    return [encode(list(make_rows(size, source))).encode() for source in sources]


def _body_count(size: int) -> int:
    return max(2, min(_MAX_BODIES, _ROWS // size))


def points(size: int, source: random.Random, time: str = SCATTERED_TIME) -> Iterator[Row]:
    """Yield points of rotating hosts, with values of at most two decimals."""
    for n in range(size):
        yield {
            "metric_name": METRIC,
            "value": source.randrange(2000) / 20,
            "tags": {"host": f"h{n % HOSTS}", "dc": "eu"},
            "timestamp": time,
        }


def dated_points(size: int, source: random.Random) -> Iterator[Row]:
    """Yield the points with times in RFC 3339: milliseconds and `Z`."""
    return points(size, source, _RFC3339)


def isoformat_points(size: int, source: random.Random) -> Iterator[Row]:
    """Yield the points with times as `datetime.isoformat` writes them: microseconds, `+00:00`."""
    for point in points(size, source):
        point["timestamp"] = f"{SCATTERED_DATE}{source.randrange(1000):03d}+00:00"
        yield point


def points_with_ids(size: int, source: random.Random) -> Iterator[Row]:
    for point in points(size, source):
        yield {"id": ID, **point}


def points_with_bad_rows(size: int, source: random.Random) -> Iterator[Row]:
    """Yield dated points of which one in 1,000 has an empty name."""
    bad = 0
    for n, point in enumerate(dated_points(size, source)):
        if n % BAD_ROW_EVERY == 0:
            bad = n + source.randrange(BAD_ROW_EVERY)
        yield {**point, "metric_name": ""} if n == bad else point


def page_points(size: int, source: random.Random) -> Iterator[Row]:
    """Yield dated points of pages and user types, some with integers as values."""
    for n in range(size):
        page, _ = source.choice(_PAGES)
        value = source.randrange(1, 40) if n % 4 == 0 else round(source.uniform(0, 5_000), 3)
        yield {
            "metric_name": source.choice(("page_views", "page_load_ms")),
            "value": value,
            "tags": {"page": page, "user_type": source.choice(_USER_TYPES)},
            "timestamp": _RFC3339,
        }


def escaped_events(size: int, source: random.Random) -> Iterator[Row]:
    """Yield flat events whose titles have quotes, line breaks and backslashes."""
    return flat_events(size, source, _ESCAPED_PAGES)


def flat_events(
    size: int, source: random.Random, pages: Sequence[tuple[str, str]] = _PAGES
) -> Iterator[Row]:
    """Yield events with five properties: texts with spaces, a number, a boolean."""
    for _ in range(size):
        page, title = source.choice(pages)
        yield {
            "event_name": source.choice(("page_view", "click", "form_submit")),
            "user_id": f"user_{source.randrange(10_000)}",
            "properties": {
                "page": page,
                "title": title,
                "user_agent": source.choice(_AGENTS),
                "duration_ms": source.randrange(60_000),
                "signed_in": source.random() < 0.5,
            },
            "timestamp": _RFC3339,
        }


def nested_events(size: int, source: random.Random) -> Iterator[Row]:
    """Yield events with properties of three levels, and arrays of different lengths."""
    for _ in range(size):
        page, title = source.choice(_PAGES)
        yield {
            "event_name": "checkout",
            "user_id": f"user_{source.randrange(10_000)}",
            "session_id": f"s{source.randrange(2**32):08x}",
            "properties": {
                "cart": {
                    "total": source.randrange(50_000) / 100,
                    "currency": "EUR",
                    "skus": [f"sku-{source.randrange(900)}" for _ in range(source.randrange(1, 5))],
                },
                "page": {
                    "path": page,
                    "title": title,
                    "referrer": {"host": "www.example.com", "campaign": "spring sale 2026"},
                },
                "returning": source.random() < 0.5,
            },
            "timestamp": _RFC3339,
        }


def ndjson(rows: list[Row]) -> str:
    return "\n".join(map(_compact, rows))


def spaced_ndjson(rows: list[Row]) -> str:
    """Write lines with spaces, as `json.dumps` does."""
    return "\n".join(map(json.dumps, rows))


def array(rows: list[Row]) -> str:
    return _compact(rows)


def spaced_array(rows: list[Row]) -> str:
    return json.dumps(rows)


def graphql_metrics(rows: list[Row]) -> str:
    return _graphql("recordMetrics", "RecordMetricsInput", "metrics", rows)


def graphql_events(rows: list[Row]) -> str:
    return _graphql("recordEvents", "RecordEventsInput", "events", rows)


def line_protocol(rows: list[Row]) -> str:
    """Write points in line protocol, with timestamps in milliseconds."""
    return "\n".join(
        f"{row['metric_name']},host={row['tags']['host']},dc={row['tags']['dc']} "
        f"value={row['value']} {row['timestamp']}"
        for row in rows
    )


def series_bodies(count: int, size: int) -> list[bytes]:
    """Return bodies of `count` lines, each a series with arrays of times and values."""
    head = f'"metric_name":"{METRIC}","tags":{{{{"host":"{{}}","dc":"eu"}}}}'
    return _by_series(count, size // count, head)


def victoria_bodies(count: int, size: int) -> list[bytes]:
    """Return the bodies of `series_bodies` as JSON lines for VictoriaMetrics."""
    head = f'"metric":{{{{"__name__":"{METRIC}","host":"{{}}","dc":"eu"}}}}'
    return _by_series(count, size // count, head)


def _compact(value: object) -> str:
    """Write compact JSON, with times in milliseconds as numbers."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace(f'"{SCATTERED_TIME}"', SCATTERED_TIME)


_GRAPHQL_NAMES: Final = {
    "metric_name": "name",
    "event_name": "name",
    "timestamp": "time",
    "user_id": "userId",
    "session_id": "sessionId",
}


def _graphql(mutation: str, input_type: str, list_name: str, rows: list[Row]) -> str:
    """Write the request of a mutation, with the rows as variables."""
    inputs = [{_GRAPHQL_NAMES.get(name, name): row[name] for name in row} for row in rows]
    query = (
        f"mutation Record($input: {input_type}!) "
        f"{{{mutation}(input: $input) {{accepted duplicates rejected}}}}"
    )
    return _compact({"query": query, "variables": {"input": {list_name: inputs}}})


def _by_series(count: int, series_points: int, head: str) -> list[bytes]:
    times = ",".join([RISING_TIME] * series_points)
    bodies = []
    for n in range(_body_count(count * series_points)):
        source = random.Random(count + n)
        lines = []
        for number in range(count):
            values = ",".join(str(source.randrange(2000) / 20) for _ in range(series_points))
            name = head.format(f"h{number % HOSTS}")
            lines.append(f'{{{name},"values":[{values}],"timestamps":[{times}]}}')
        bodies.append("\n".join(lines).encode())
    return bodies
