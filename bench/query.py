"""The benchmark of reads: the same query over REST and GraphQL, at a million points."""

import json
import math
import statistics
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import quote

from bench import data
from bench.client import CheckError, Client, get, post
from bench.report import Section, quantile, ratio
from bench.service import SERVICE, run_program
from bench.workspace import Workspace

QUERY = """
query ($n: String!) {
  metric(name: $n) {
    query(range: {last: "PT24H"}) { series { total { count sum avg min max } } }
  }
}
"""

_WARM_UP = 30
_REQUESTS = 400
_SLICE = 50
_MAX_SECONDS = 20


def measure(space: Workspace) -> Section:
    """Measure p50 and p95 in milliseconds, one request at a time, on one keep-alive connection.

    The two APIs take turns. The run fails unless both return the right count and the same sum.
    """
    section = Section("One metric, last 24 h, at 1,000,000 points", "GraphQL", "REST")
    with run_program(SERVICE, space.dataset()) as service, Client(service.port) as client:
        _check_apis_agree(client)
        apis: tuple[Iterator[float], Iterator[float]] = (
            response_times(client, [_graphql(name) for name in data.NAMES]),
            response_times(client, [_rest(name) for name in data.NAMES]),
        )
        slices: tuple[list[list[float]], list[list[float]]] = ([], [])
        for api in apis:
            list(islice(api, _WARM_UP))
        deadline = time.monotonic() + _MAX_SECONDS
        while len(slices[0]) < _REQUESTS // _SLICE and time.monotonic() < deadline:
            latencies: tuple[list[float], list[float]] = ([], [])
            for _ in range(_SLICE):
                for api, api_latencies in zip(apis, latencies, strict=True):
                    api_latencies.append(next(api))
            for api_latencies, api_slices in zip(latencies, slices, strict=True):
                api_slices.append(api_latencies)
        _report(section, slices[0], slices[1])
        section.add("memory after the run", "MiB RSS", service.resident_mib())
    return section


def _report(section: Section, graphql: list[list[float]], rest: list[list[float]]) -> None:
    for name, share in (("latency p50", 0.50), ("latency p95", 0.95)):
        section.add(
            name,
            "ms",
            quantile([x for part in graphql for x in part], share),
            quantile([x for part in rest for x in part], share),
        )
    spread = ratio([statistics.median(p) for p in graphql], [statistics.median(p) for p in rest])
    section.notes.append(
        f"{sum(map(len, rest)):,} alternating requests per API, one at a time, over "
        f"{len(data.NAMES)} metrics of {data.POINTS_PER_NAME:,} points; "
        f"p50 ratio over slices: {spread}"
    )


def _rest(name: str) -> bytes:
    return get(f"/metrics/{quote(name, safe='')}?hours=24")


def _graphql(name: str) -> bytes:
    return post("/graphql", json.dumps({"query": QUERY, "variables": {"n": name}}).encode())


def response_times(client: Client, requests: list[bytes]) -> Iterator[float]:
    """Send the requests in turn; yield the latency of each response, in milliseconds."""
    turn = 0
    while True:
        request = requests[turn % len(requests)]
        turn += 1
        began = time.perf_counter()
        status, body = client.send(request)
        latency = (time.perf_counter() - began) * 1000
        if status != 200 or b'"errors"' in body:
            raise CheckError(f"a read returned {status}: {body[:500].decode(errors='replace')}")
        yield latency


def _check_apis_agree(client: Client) -> None:
    for name in data.NAMES:
        rest = client.get_json(_rest(name))
        graphql = _single_total(client.get_json(_graphql(name)))
        pairs = [
            (rest["count"], data.POINTS_PER_NAME),
            (graphql["count"], data.POINTS_PER_NAME),
            (graphql["sum"], rest["sum"]),
            (graphql["avg"], rest["average"]),
            (graphql["min"], rest["min"]),
            (graphql["max"], rest["max"]),
        ]
        if not all(math.isclose(float(a), float(b), rel_tol=1e-12) for a, b in pairs):
            raise CheckError(f"the two APIs disagree about {name}: REST {rest}, GraphQL {graphql}")


def _single_total(response: dict[str, Any]) -> dict[str, Any]:
    """Return the only total in a GraphQL response."""
    try:
        series = response["data"]["metric"]["query"]["series"]
        first_series = series[0] if isinstance(series, list) else series
        total: dict[str, Any] = first_series["total"]
    except (KeyError, TypeError, IndexError):
        raise CheckError(f"unexpected GraphQL response: {json.dumps(response)[:500]}") from None
    return total
