"""A client that queries the metrics of the dataset, beside a load on other metrics."""

import time
from dataclasses import dataclass, field

from bench import data
from bench.client import CheckError, Client, get
from bench.report import quantile

_QUERY_SECONDS = 0.5
_IDLE_QUERIES = 100
_IDLE_PAUSE_SECONDS = 0.02


@dataclass(slots=True)
class QueryClient:
    """A client that queries ten metrics in turn. The load writes to other metrics."""

    port: int
    latencies: list[float] = field(default_factory=list)

    def idle_p95(self) -> float:
        """Send 100 queries without a load; return the 95th percentile of their latencies in ms."""
        with Client(self.port) as client:
            latencies = []
            for turn in range(_IDLE_QUERIES):
                latencies.append(_time_query(client, turn))
                time.sleep(_IDLE_PAUSE_SECONDS)
        return quantile(latencies, 0.95)

    def query_until(self, end: float) -> list[float]:
        """Send a query every half second until ``end``; return the latencies in ms."""
        first = len(self.latencies)
        with Client(self.port) as client:
            while (due := time.monotonic() + _QUERY_SECONDS) <= end:
                self.latencies.append(_time_query(client, len(self.latencies)))
                time.sleep(max(0, due - time.monotonic()))
        time.sleep(max(0, end - time.monotonic()))
        return self.latencies[first:]


def _time_query(client: Client, turn: int) -> float:
    """Send one query and return its latency in ms; fail if a point of the metric is missing."""
    name = data.NAMES[turn % len(data.NAMES)]
    began = time.perf_counter()
    count = client.get_json(get(f"/metrics/{name}?hours=24"))["count"]
    latency = (time.perf_counter() - began) * 1000
    if count != data.POINTS_PER_NAME:
        raise CheckError(f"{name} has {count:,} points, not {data.POINTS_PER_NAME:,}")
    return latency
