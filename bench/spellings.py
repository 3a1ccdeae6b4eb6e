"""Spellings of bulk writes: one entry for each way to send rows to this service or to a peer."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from bench import peers
from bench.bulk_bodies import (
    BAD_ROW_EVERY,
    Encoder,
    RowMaker,
    array,
    dated_points,
    escaped_events,
    flat_events,
    graphql_events,
    graphql_metrics,
    isoformat_points,
    line_protocol,
    make_bodies,
    ndjson,
    nested_events,
    page_points,
    points,
    points_with_bad_rows,
    points_with_ids,
    series_bodies,
    spaced_array,
    spaced_ndjson,
    victoria_bodies,
)
from bench.data import HOSTS, JSON, NDJSON, TEXT
from bench.outcomes import Outcome
from bench.peers import INFLUX, VICTORIA
from bench.service import SERVICE
from bench.workspace import EVENTS, POINTS

SIZES: Final = (1_000, 10_000)
"""Rows per request."""

COMPACT_MS: Final = "ms"
"""The spelling with which all others are compared."""
VICTORIA_LINES: Final = "victoria-lines"
"""The spelling of a peer with which all others are compared."""

GOAL_SENDER: Final = "python"
GOAL_SIZE: Final = 1_000
"""The sender and the rows per request for which the goals are."""


class Goal(NamedTuple):
    """The least ratio of a spelling's rate to the rate of another spelling."""

    baseline: str
    ratio: float


@dataclass(frozen=True, slots=True)
class Spelling:
    """A way to send rows: address, bodies, and the rows that a response must accept.

    `total` is the count of the dashboard that has the rows. `metric_suffix` is added by a peer to
    the name of a metric.
    """

    name: str
    title: str
    path: str
    content_type: str
    bodies: Callable[[int], list[bytes]]
    goals: tuple[Goal, ...] = ()
    total: str = POINTS
    program: str = SERVICE.name
    has_bad_rows: bool = False
    interleaved_rows: int = HOSTS
    sizes: tuple[int, ...] = SIZES
    metric_suffix: str = ""

    def outcome(self, size: int) -> Outcome | None:
        """Return the counts in the response to a body of `size` rows; peers send none."""
        if self.program != SERVICE.name:
            return None
        rejected = size // BAD_ROW_EVERY if self.has_bad_rows else 0
        return Outcome(size - rejected, rejected)

    def accepted(self, size: int) -> int:
        """Return the number of rows that a body of `size` rows adds."""
        outcome = self.outcome(size)
        return outcome.accepted if outcome else size


_METRICS: Final = "/metrics/batch"
_EVENTS: Final = "/events/batch"
_SERIES: Final = "/metrics/series"
_GRAPHQL: Final = "/graphql"
_USUAL: Final = (Goal(COMPACT_MS, 0.85), Goal(VICTORIA_LINES, 0.75))


def _bodies(make_rows: RowMaker, encode: Encoder) -> Callable[[int], list[bytes]]:
    return functools.partial(make_bodies, make_rows, encode)


def _series(count: int) -> Callable[[int], list[bytes]]:
    return functools.partial(series_bodies, count)


SPELLINGS: Final = (
    Spelling(COMPACT_MS, "milliseconds", _METRICS, NDJSON, _bodies(points, ndjson)),
    Spelling("rfc3339", "RFC 3339", _METRICS, NDJSON, _bodies(dated_points, ndjson), _USUAL),
    Spelling(
        "isoformat",
        "RFC 3339, as isoformat() writes",
        _METRICS,
        NDJSON,
        _bodies(isoformat_points, ndjson),
        _USUAL,
    ),
    Spelling(
        "spaced",
        "RFC 3339, as json.dumps() spaces",
        _METRICS,
        NDJSON,
        _bodies(dated_points, spaced_ndjson),
        _USUAL,
    ),
    Spelling(
        "array",
        "RFC 3339, JSON array",
        _METRICS,
        JSON,
        _bodies(dated_points, array),
        _USUAL,
    ),
    Spelling(
        "spaced-array",
        "RFC 3339, JSON array, spaced",
        _METRICS,
        JSON,
        _bodies(dated_points, spaced_array),
        _USUAL,
    ),
    Spelling(
        "pages",
        "RFC 3339, tags page and user_type",
        _METRICS,
        NDJSON,
        _bodies(page_points, ndjson),
        _USUAL,
    ),
    Spelling(
        "bad-row",
        "RFC 3339, one bad row in 1,000",
        _METRICS,
        NDJSON,
        _bodies(points_with_bad_rows, ndjson),
        (Goal(COMPACT_MS, 0.6),),
        has_bad_rows=True,
    ),
    Spelling(
        "ids",
        "milliseconds, with ids",
        _METRICS,
        NDJSON,
        _bodies(points_with_ids, ndjson),
        (Goal(COMPACT_MS, 0.75),),
    ),
    Spelling(
        "events",
        "events, flat",
        _EVENTS,
        NDJSON,
        _bodies(flat_events, ndjson),
        (Goal(VICTORIA_LINES, 0.5),),
        total=EVENTS,
    ),
    Spelling(
        "spaced-events",
        "events, flat, spaced",
        _EVENTS,
        NDJSON,
        _bodies(flat_events, spaced_ndjson),
        (Goal(VICTORIA_LINES, 0.5),),
        total=EVENTS,
    ),
    Spelling(
        "spaced-escaped-events",
        "events, flat, spaced, with escapes",
        _EVENTS,
        NDJSON,
        _bodies(escaped_events, spaced_ndjson),
        total=EVENTS,
    ),
    Spelling(
        "nested-events",
        "events, nested",
        _EVENTS,
        NDJSON,
        _bodies(nested_events, ndjson),
        total=EVENTS,
    ),
    Spelling(
        "graphql-metrics",
        "GraphQL recordMetrics",
        _GRAPHQL,
        JSON,
        _bodies(dated_points, graphql_metrics),
    ),
    Spelling(
        "graphql-events",
        "GraphQL recordEvents",
        _GRAPHQL,
        JSON,
        _bodies(flat_events, graphql_events),
        total=EVENTS,
    ),
    Spelling("series", "100 series", _SERIES, NDJSON, _series(100), interleaved_rows=1),
    Spelling(
        "short-series",
        "1,000 series of one point",
        _SERIES,
        NDJSON,
        _series(1_000),
        interleaved_rows=1,
        sizes=(1_000,),
    ),
    Spelling(
        "long-series",
        "10 series of 100 points",
        _SERIES,
        NDJSON,
        _series(10),
        interleaved_rows=1,
        sizes=(1_000,),
    ),
    Spelling(
        VICTORIA_LINES,
        "line protocol",
        peers.WRITE_PATH,
        TEXT,
        _bodies(points, line_protocol),
        program=VICTORIA,
        metric_suffix="_value",
    ),
    Spelling(
        "victoria-json",
        "JSON lines, 100 series",
        peers.IMPORT_PATH,
        TEXT,
        functools.partial(victoria_bodies, 100),
        program=VICTORIA,
        interleaved_rows=1,
    ),
    Spelling(
        "influx-lines",
        "line protocol",
        peers.WRITE_PATH,
        TEXT,
        _bodies(points, line_protocol),
        program=INFLUX,
    ),
)


def spelling(name: str) -> Spelling:
    """Return the spelling of a name."""
    return next(entry for entry in SPELLINGS if entry.name == name)


@functools.cache
def bodies(name: str, size: int) -> list[bytes]:
    """Return the bodies of a spelling, which take seconds to build."""
    return spelling(name).bodies(size)
