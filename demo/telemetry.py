"""Metrics of the shop's servers: latencies, requests, processors, memory, queues."""

import bisect
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from demo.places import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, REGIONS
from demo.rows import SERIES, Row
from demo.story import Story
from demo.traffic import SLOT_MS, Traffic


@dataclass(frozen=True, slots=True)
class Description:
    """What a metric is: its kind and unit in GraphQL, and a sentence."""

    kind: str
    unit: str
    text: str


DESCRIPTIONS: Final[Mapping[str, Description]] = {
    "request_latency": Description("GAUGE", "ms", "Time to answer one request, a sample of many."),
    "checkout_latency": Description("GAUGE", "ms", "Time of one payment at its provider."),
    "http_requests_total": Description("COUNTER", "requests", "Requests since the server's start."),
    "cpu_usage": Description("GAUGE", "%", "Processor time in use."),
    "memory_bytes": Description("GAUGE", "bytes", "Resident memory of the server."),
    "queue_depth": Description("GAUGE", "jobs", "Jobs that wait for a worker."),
    "revenue": Description("GAUGE", "EUR", "Value of one order."),
}

_ROUTES: Final = {
    "/": 28.0,
    "/search": 95.0,
    "/products": 46.0,
    "/cart": 52.0,
    "/checkout": 140.0,
    "/payment": 210.0,
    "/account": 60.0,
    "/static": 6.0,
}
"""Routes with their median latency in milliseconds."""

_SLOW_ROUTES: Final = frozenset({"/checkout", "/payment"})
_DISTANCE: Final = {"eu": 1.0, "us": 1.25, "ap": 1.6}
_PROVIDERS: Final = {"card": 420.0, "paypal": 690.0}
_INSTANCES: Final = {"web-1": 0.28, "web-2": 0.26, "web-3": 0.24, "web-4": 0.22}
_QUEUES: Final = {"mail": 3.0, "invoices": 1.2, "search-index": 6.0}
_CLIENT_ERRORS: Final = 0.031
_LATENCY_SPREAD: Final = 0.36
_HARMED_LATENCY: Final = 3.0
_MEGABYTE: Final = 2**20

_LIVE_MS: Final = 2 * MS_PER_MINUTE
_LIVE_STEP_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Moment:
    """State of the shop at an instant. `uptime_ms` is the time since the servers' last start."""

    ms: int
    load: float
    is_harmed: bool
    uptime_ms: int
    requests: float
    failures: float


Sample: TypeAlias = Callable[[random.Random, Moment], float]


@dataclass(frozen=True, slots=True)
class Series:
    """A series: its metric and tags, and its value at a moment."""

    metric: str
    tags: Mapping[str, str]
    sample: Sample

    def line(self, times: Sequence[int], values: Sequence[float], row_id: str) -> str:
        """Return points as a line of a batch of series."""
        return (
            f'{{"metric_name":"{self.metric}","tags":{json.dumps(self.tags)},"id":"{row_id}",'
            f'"timestamps":{list(times)},"values":{list(values)}}}'
        )


class Telemetry:
    """All series of the servers."""

    def __init__(self, story: Story) -> None:
        """Measure the servers of a story."""
        self._story = story
        self._traffic = Traffic(story)
        self._starts = sorted((story.start_ms, *story.restarts))
        self._series = list(_all_series())

    def batches(self, after_ms: int, until_ms: int) -> Iterator[list[Row]]:
        """Yield the rows with points in `(after_ms, until_ms]`, one for each series and window.

        The last day has a point a minute, older days one in five minutes. A short range, as while
        the demo runs, has one in five seconds.
        """
        if until_ms - after_ms <= _LIVE_MS:
            yield self._rows(after_ms, until_ms, _LIVE_STEP_MS)
            return
        fine_ms = max(after_ms, until_ms - MS_PER_DAY)
        for windows_end, step, length in (
            (fine_ms, SLOT_MS, MS_PER_DAY),
            (until_ms, MS_PER_MINUTE, MS_PER_HOUR * 6),
        ):
            while after_ms < windows_end:
                window_end = min(after_ms + length, windows_end)
                yield self._rows(after_ms, window_end, step)
                after_ms = window_end

    def _rows(self, after_ms: int, until_ms: int, step: int) -> list[Row]:
        """Return the rows of a window. It seeds the noise, and is a part of the ids."""
        window = f"{after_ms}-{until_ms}"
        times = range(after_ms // step * step + step, until_ms + 1, step)
        moments = [self._moment(ms) for ms in times]
        rows = []
        for number, series in enumerate(self._series if moments else ()):
            rng = random.Random(f"{self._story.seed}:{window}:{number}")
            values = [round(series.sample(rng, moment), 2) for moment in moments]
            line = series.line(times, values, f"telemetry-{window}-{number}")
            rows.append((until_ms, SERIES, line))
        return rows

    def _moment(self, ms: int) -> Moment:
        traffic = self._traffic
        start_ms = self._starts[max(0, bisect.bisect_right(self._starts, ms) - 1)]
        return Moment(
            ms,
            traffic.load(ms),
            self._story.is_harmed(ms),
            ms - start_ms,
            traffic.requests(ms) - traffic.requests(start_ms),
            traffic.failures(ms) - traffic.failures(start_ms),
        )


def _all_series() -> Iterator[Series]:
    for region in REGIONS:
        for route, median in _ROUTES.items():
            sample = _latency(median * _DISTANCE[region], route in _SLOW_ROUTES)
            yield Series("request_latency", {"region": region, "route": route}, sample)
        for provider, median in _PROVIDERS.items():
            sample = _latency(median * _DISTANCE[region], is_slow=True)
            yield Series("checkout_latency", {"provider": provider, "region": region}, sample)
    for instance, share in _INSTANCES.items():
        for status in ("2xx", "4xx", "5xx"):
            tags = {"instance": instance, "status": status}
            yield Series("http_requests_total", tags, _requests(share, status))
    for number, instance in enumerate((*_INSTANCES, "db-1", "db-2")):
        tags = {"instance": instance}
        yield Series("cpu_usage", tags, _processor(1 + number % 3 / 10, instance.startswith("db")))
        yield Series("memory_bytes", tags, _memory(620 + 40 * number))
    for queue, depth in _QUEUES.items():
        yield Series("queue_depth", {"queue": queue}, _queue(depth))


def _latency(median: float, is_slow: bool) -> Sample:
    """Latency grows with the load; the bad deploy makes the slow routes three times as slow."""
    harm = math.log(_HARMED_LATENCY if is_slow else 1.2)
    normal = math.log(median)

    def sample(rng: random.Random, moment: Moment) -> float:
        mean = normal + 0.18 * max(0.0, moment.load - 1) + (harm if moment.is_harmed else 0.0)
        return rng.lognormvariate(mean, _LATENCY_SPREAD)

    return sample


def _requests(share: float, status: str) -> Sample:
    def sample(_: random.Random, moment: Moment) -> float:
        if status == "5xx":
            return int(share * moment.failures)
        client_errors = share * moment.requests * _CLIENT_ERRORS
        if status == "4xx":
            return int(client_errors)
        return int(share * (moment.requests - moment.failures) - client_errors)

    return sample


def _processor(weight: float, is_database: bool) -> Sample:
    def sample(rng: random.Random, moment: Moment) -> float:
        harm = 22.0 if moment.is_harmed and is_database else 0.0
        return min(99.0, max(1.0, 9 + 21 * weight * moment.load + harm + rng.gauss(0, 2.5)))

    return sample


def _memory(start_megabytes: float) -> Sample:
    """Memory grows by a small leak until the next deploy."""

    def sample(rng: random.Random, moment: Moment) -> float:
        leak = 2.4 * moment.uptime_ms / MS_PER_HOUR
        return int((start_megabytes + leak + 30 * moment.load + rng.gauss(0, 6)) * _MEGABYTE)

    return sample


def _queue(depth: float) -> Sample:
    def sample(rng: random.Random, moment: Moment) -> float:
        mean = depth * moment.load**2 * (9 if moment.is_harmed else 1)
        return int(rng.expovariate(1 / mean))

    return sample
