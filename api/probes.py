"""Endpoints for operators: liveness, readiness, and row counters for Prometheus."""

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from api.access.credentials import context_of
from api.responses import SAFETY, answer
from resolvers.context import Context
from schema.access import Scope
from store import Store
from store.journal.row_counts import StreamStats


async def livez(_: Request) -> Response:
    """Answer 200: the process is alive."""
    return answer({"alive": True})


async def readyz(request: Request) -> Response:
    """Answer 200 when rows can be recorded and queried, else 503 with the problems."""
    ctx: Context = request.app.state.context
    problems = ctx.store.problems()
    return answer({"ready": not problems, "problems": problems}, 503 if problems else 200)


class _RowCollector(Collector):
    """Collector of the row counters of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Yield the counters and gauges of all streams. Counters begin at 0 with the process."""
        streams = self._store.stream_stats()
        for name, text, value in _COUNTERS:
            counter = CounterMetricFamily(f"analytics_rows_{name}", text, labels=["stream"])
            for stats in streams:
                counter.add_metric([stats.stream], value(stats))
            yield counter
        for name, text, value in _GAUGES:
            gauge = GaugeMetricFamily(f"analytics_{name}", text, labels=["stream"])
            for stats in streams:
                gauge.add_metric([stats.stream], value(stats))
            yield gauge


_Metrics: TypeAlias = tuple[tuple[str, str, Callable[[StreamStats], int]], ...]

_COUNTERS: Final[_Metrics] = (
    ("received", "Rows received in requests.", lambda stats: stats.counts.received),
    ("stored", "Rows acknowledged as durable.", lambda stats: stats.counts.stored),
    ("duplicates", "Rows whose id was recorded before.", lambda stats: stats.counts.duplicates),
    ("rejected", "Rows rejected as not valid.", lambda stats: stats.counts.rejected),
    (
        "unavailable",
        "Rows refused with 503, to be sent again.",
        lambda stats: stats.counts.unavailable,
    ),
    ("recovered", "Rows recovered from the journal at the start.", lambda stats: stats.recovered),
    ("loaded", "Rows loaded from the journal into their table.", lambda stats: stats.loaded),
    (
        "set_aside",
        "Rows set aside because the engine cannot read them.",
        lambda stats: stats.set_aside,
    ),
)
_GAUGES: Final[_Metrics] = (
    (
        "rows_pending",
        "Rows of requests that are not answered yet.",
        lambda stats: stats.counts.pending,
    ),
    ("rows_waiting", "Acknowledged rows that wait for the engine.", lambda stats: stats.waiting),
    (
        "journal_bytes",
        "Bytes of the rows that wait for the engine.",
        lambda stats: stats.journal_bytes,
    ),
    (
        "journal_torn_bytes",
        "Bytes of torn journal ends, set aside.",
        lambda stats: stats.torn_bytes,
    ),
    ("set_aside_rows", "Rows that are set aside now.", lambda stats: stats.set_aside_total),
)


async def internal_metrics(request: Request) -> Response:
    """Answer with the row counters of all streams as Prometheus text; needs the scope OPERATE."""
    ctx = context_of(request)
    ctx.grant.require(Scope.OPERATE)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_RowCollector(ctx.store))
    response = Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
    response.raw_headers += SAFETY
    return response
