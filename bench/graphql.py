"""The benchmark of GraphQL at 10 M points and 2 M events.

It compares GraphQL with REST, with the engine alone, and with orjson.
"""

import json
import math
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import repeat

from bench.client import CheckError, Client, get, post
from bench.graphql_queries import (
    DASHBOARD,
    ENGINE_QUERIES,
    LARGE_RESPONSES,
    METRIC_LIST,
    METRIC_TOTAL,
    body,
)
from bench.large_dataset import NAMES
from bench.report import Section, quantile, ratio
from bench.service import INSTRUMENTED_SERVICE, Service, run_program
from bench.workspace import Workspace

_WARM_UP = 3
_SLICES = 10
_REQUESTS = 240
_CONNECTIONS = 8
_TURNS = 11
_MAX_SECONDS = 10
_GOAL_RATIO = 2.0
_GOAL_MS = 3.0


def measure(space: Workspace) -> list[Section]:
    """Measure four tables on one service; the two sides of each comparison take turns."""
    with (
        run_program(INSTRUMENTED_SERVICE, space.large_dataset()) as service,
        Client(service.port) as client,
    ):
        load_note = f"load average of the machine before the run: {os.getloadavg()[0]:.1f}"
        sections = [
            _compare_apis(service),
            _compare_http_and_engine(client),
            _compare_with_orjson(client),
            _measure_screens(client),
        ]
        sections[-1].add("memory after the run", "MiB RSS", service.resident_mib())
        sections[-1].notes.append(load_note)
    return sections


def _compare_apis(service: Service) -> Section:
    """Compare the two APIs on one connection, and on several connections at once."""
    section = Section("One metric of 50, last 24 h, at 10,000,000 points", "GraphQL", "REST")
    request_lists = [_graphql(name) for name in NAMES], [_rest(name) for name in NAMES]
    for connections in (1, _CONNECTIONS):
        with ExitStack() as stack, ThreadPoolExecutor(connections) as pool:
            clients = [stack.enter_context(Client(service.port)) for _ in range(connections)]
            _check_apis_agree(clients[0])
            slices: tuple[list[list[float]], list[list[float]]] = ([], [])
            for _ in range(_SLICES):
                for requests, api_slices in zip(request_lists, slices, strict=True):
                    share = _REQUESTS // _SLICES // connections + _WARM_UP
                    batches = pool.map(_time_slice, clients, repeat(requests), repeat(share))
                    api_slices.append([ms for batch in batches for ms in batch])
        label = f"{connections} connection{'s' if connections > 1 else ''}"
        for name, quantile_level in (("p50", 0.50), ("p99", 0.99)):
            figures = [
                quantile([ms for part in api_slices for ms in part], quantile_level)
                for api_slices in slices
            ]
            section.add(f"{label}, {name}", "ms", *figures)
        spread = ratio(*([statistics.median(part) for part in api_slices] for api_slices in slices))
        section.notes.append(f"{label}: p50 ratio over {_SLICES} alternating slices: {spread}")
    return section


def _time_slice(client: Client, requests: Sequence[bytes], count: int) -> list[float]:
    """Return the latencies of the requests on one connection, without the warm-up turns."""
    latencies = []
    for turn in range(count):
        began = time.perf_counter()
        status, response = client.send(requests[turn % len(requests)])
        latencies.append((time.perf_counter() - began) * 1000)
        _check_response(status, response)
    return latencies[_WARM_UP:]


def _compare_http_and_engine(client: Client) -> Section:
    """Compare each response over HTTP with the statements alone, in the same process."""
    section = Section("Responses over HTTP, and the engine alone", "HTTP", "engine")
    for name, query in ENGINE_QUERIES.items():
        http_times, engine_times = _time_http_and_engine(client, body(query))
        section.compare(name, "ms", http_times, engine_times)
        goal_ms = _GOAL_RATIO * statistics.median(engine_times) + _GOAL_MS
        if goal_ms < statistics.median(http_times):
            section.notes.append(
                f"above {_GOAL_RATIO:.0f} x engine + {_GOAL_MS:.0f} ms ({goal_ms:.1f} ms): {name}"
            )
    section.notes += [
        f"medians of up to {_TURNS} alternating turns; a ratio compares two adjacent turns",
        "engine: the same statements, one by one, through the engine's pool in the service",
    ]
    return section


def _time_http_and_engine(client: Client, request_body: str) -> tuple[list[float], list[float]]:
    """Return the times of a response and of its statements, in ms, after one warm-up turn."""
    request = post("/graphql", request_body.encode())
    engine_request = post(
        "/bench/statements", json.dumps({"body": request_body, "rounds": 1}).encode()
    )
    http_times: list[float] = []
    engine_times: list[float] = []
    deadline = time.monotonic() + _MAX_SECONDS
    while len(http_times) <= _TURNS and (len(http_times) <= 3 or time.monotonic() < deadline):
        began = time.perf_counter()
        status, response = client.send(request)
        http_times.append((time.perf_counter() - began) * 1000)
        _check_response(status, response)
        engine_times += client.get_json(engine_request)["ms"]
    return http_times[1:], engine_times[1:]


def _compare_with_orjson(client: Client) -> Section:
    """Compare the cost of a response without its statements with orjson dumping the data."""
    section = Section("Responses without their statements, and orjson alone", "service", "orjson")
    for name, queries in LARGE_RESPONSES.items():
        large, small = (
            post("/bench/without-engine", json.dumps({"body": body(query), "rounds": 10}).encode())
            for query in queries
        )
        rounds = [(client.get_json(large), client.get_json(small)) for _ in range(_TURNS)]
        service_times = [large_times["service"] for large_times, _ in rounds]
        dump_times = [large_times["dump"] for large_times, _ in rounds]
        section.compare(name, "ms", service_times, dump_times)
        extra_times = [
            large_times["service"] - small_times["service"] for large_times, small_times in rounds
        ]
        section.compare(
            "  extra time over the same request for few rows", "ms", extra_times, dump_times
        )
        section.notes.append(
            f"{name}: {rounds[0][0]['bytes']:,} bytes; orjson parses them in "
            f"{statistics.median(large_times['parse'] for large_times, _ in rounds):.2f} ms"
        )
    section.notes += [
        "service: from the first middleware to the last byte, with replayed statement results",
        "extra time: excludes the fixed cost of a request in middleware, router and GraphQL",
    ]
    return section


def _measure_screens(client: Client) -> Section:
    """Measure the times, the statements and the rows read of complete screens."""
    section = Section("Complete screens", "HTTP", "engine")
    screens = {"dashboard of ten panels": DASHBOARD, "list of 50 metrics": METRIC_LIST}
    for name, query in screens.items():
        http_times, engine_times = _time_http_and_engine(client, body(query))
        section.compare(name, "ms", http_times, engine_times)
        extensions = client.get_json(post("/graphql", body(query).encode()))["extensions"]
        section.add(f"{name}: statements", "", extensions["statementCount"])
        section.add(f"{name}: rows read", "", extensions["rowsRead"])
    return section


def _rest(name: str) -> bytes:
    return get(f"/metrics/{name}?hours=24")


def _graphql(name: str) -> bytes:
    return post("/graphql", body(METRIC_TOTAL, n=name).encode())


def _check_response(status: int, response: bytes) -> None:
    if status != 200 or b'"errors"' in response[:20]:
        raise CheckError(f"a read returned {status}: {response[:500].decode(errors='replace')}")


def _check_apis_agree(client: Client) -> None:
    """Fail unless both APIs return the same figures, within 0.1 %.

    The range ends now, so one or two points leave it between the requests.
    """
    for name in NAMES[:5]:
        rest = client.get_json(_rest(name))
        (series,) = client.get_json(_graphql(name))["data"]["metric"]["query"]["series"]
        total = series["total"]
        pairs = [(total["count"], rest["count"]), (total["avg"], rest["average"])]
        if not rest["count"] or not all(math.isclose(a, b, rel_tol=1e-3) for a, b in pairs):
            raise CheckError(f"the two APIs disagree about {name}: {rest}, {series}")
