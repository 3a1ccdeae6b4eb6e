"""What operators see: probes, and one-line JSON logs without personal data."""

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from api.responses import answer
from resolvers.context import Context
from store import Store
from store.journal.row_counts import StreamStats


async def livez(_: Request) -> Response:
    """Answer 200 as long as the process answers at all."""
    return answer({"alive": True})


async def readyz(request: Request) -> Response:
    """Answer 200 when rows can be recorded and queried, else 503 with what is not ready."""
    ctx: Context = request.app.state.context
    problems = ctx.store.problems()
    return answer({"ready": not problems, "problems": problems}, 503 if problems else 200)


class _Rows(Collector):
    """Reads the store's accounts when it is asked."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Give each figure of each stream. Counters begin at 0 with the process."""
        accounts = self._store.stream_stats()
        for name, text, value in _COUNTERS:
            counter = CounterMetricFamily(f"analytics_rows_{name}", text, labels=["stream"])
            for account in accounts:
                counter.add_metric([account.stream], value(account))
            yield counter
        for name, text, value in _GAUGES:
            gauge = GaugeMetricFamily(f"analytics_{name}", text, labels=["stream"])
            for account in accounts:
                gauge.add_metric([account.stream], value(account))
            yield gauge


_Figures: TypeAlias = tuple[tuple[str, str, Callable[[StreamStats], int]], ...]

_COUNTERS: Final[_Figures] = (
    ("received", "Rows that came in requests.", lambda of: of.counts.received),
    ("stored", "Rows that were acknowledged as durable.", lambda of: of.counts.stored),
    ("duplicates", "Rows whose id was recorded before.", lambda of: of.counts.duplicates),
    ("rejected", "Rows that are not valid.", lambda of: of.counts.rejected),
    ("unavailable", "Rows refused for now, with 503.", lambda of: of.counts.unavailable),
    ("recovered", "Rows found in the journal at the start.", lambda of: of.recovered),
    ("loaded", "Rows moved from the journal to their table.", lambda of: of.loaded),
    ("set_aside", "Rows set aside, unreadable to the engine.", lambda of: of.set_aside),
)
_GAUGES: Final[_Figures] = (
    ("rows_pending", "Rows whose requests are not answered yet.", lambda of: of.counts.pending),
    ("rows_waiting", "Acknowledged rows that wait for the engine.", lambda of: of.waiting),
    ("journal_bytes", "Bytes of the rows that wait.", lambda of: of.journal_bytes),
    ("journal_torn_bytes", "Bytes of torn ends, set aside.", lambda of: of.torn_bytes),
    ("set_aside_rows", "Rows that are set aside in all.", lambda of: of.set_aside_total),
)


async def internal_metrics(request: Request) -> Response:
    """Answer with the accounts of all rows as Prometheus text."""
    ctx: Context = request.app.state.context
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Rows(ctx.store))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
