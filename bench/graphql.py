"""GraphQL at 10 M points and 2 M events: against REST, the bare engine, and plain JSON."""

import json
import math
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import repeat

from bench.client import CheckFailed, Client, get, post
from bench.large import NAMES
from bench.questions import DASHBOARD, LARGE, METRIC_LIST, QUESTIONS, SMALL, body
from bench.report import Section, quantile, ratio
from bench.service import INSTRUMENTED_SERVICE, Service, run_program
from bench.workspace import Workspace

_WARM_UP = 3
_SLICES = 10
_REQUESTS = 240
_CONNECTIONS = 8
_TURNS = 11
_SECONDS_AT_MOST = 10
_GOAL = 2.0
_GOAL_MS = 3.0


def measure(space: Workspace) -> list[Section]:
    """Measure four tables on one service, whatever is compared always in turns."""
    with (
        run_program(INSTRUMENTED_SERVICE, space.large()) as service,
        Client(service.port) as client,
    ):
        load = f"load of the machine before it: {os.getloadavg()[0]:.1f}"
        sections = [
            _apis(service),
            _whole_and_bare(client),
            _without_the_engine(client),
            _dashboards(client),
        ]
        sections[-1].add("memory after it", "MiB RSS", service.resident_mib())
        sections[-1].notes.append(load)
    return sections


def _apis(service: Service) -> Section:
    """Compare the doors on one connection, and on several at once."""
    section = Section("One metric of 50, last 24 h, at 10,000,000 points", "GraphQL", "REST")
    request_lists = [_graphql(name) for name in NAMES], [_rest(name) for name in NAMES]
    for connections in (1, _CONNECTIONS):
        with ExitStack() as stack, ThreadPoolExecutor(connections) as pool:
            clients = [stack.enter_context(Client(service.port)) for _ in range(connections)]
            _check_apis(clients[0])
            slices: tuple[list[list[float]], list[list[float]]] = ([], [])
            for _ in range(_SLICES):
                for requests, api_slices in zip(request_lists, slices, strict=True):
                    share = _REQUESTS // _SLICES // connections + _WARM_UP
                    batches = pool.map(_slice, clients, repeat(requests), repeat(share))
                    api_slices.append([ms for batch in batches for ms in batch])
        where = f"{connections} connection{'s' if connections > 1 else ''}"
        for name, quantile_level in (("p50", 0.50), ("p99", 0.99)):
            figures = [
                quantile([ms for part in api_slices for ms in part], quantile_level)
                for api_slices in slices
            ]
            section.add(f"{where}, {name}", "ms", *figures)
        spread = ratio(*([statistics.median(part) for part in api_slices] for api_slices in slices))
        section.notes.append(f"{where}: p50 ratio over {_SLICES} slices in turns: {spread}")
    return section


def _slice(client: Client, requests: Sequence[bytes], count: int) -> list[float]:
    """Time some requests on a connection, the first ones of a slice unkept."""
    latencies = []
    for turn in range(count):
        began = time.perf_counter()
        status, answer = client.send(requests[turn % len(requests)])
        latencies.append((time.perf_counter() - began) * 1000)
        _check(status, answer)
    return latencies[_WARM_UP:]


def _whole_and_bare(client: Client) -> Section:
    """Compare an answer over HTTP with its statements, run by themselves in the same process."""
    section = Section("Whole answer over HTTP, and the engine alone", "whole", "bare engine")
    for name, query in QUESTIONS.items():
        whole, bare = _in_turns(client, body(query))
        section.compare(name, "ms", whole, bare)
        if (goal_ms := _GOAL * statistics.median(bare) + _GOAL_MS) < statistics.median(whole):
            section.notes.append(f"above {_GOAL:.0f} x + {_GOAL_MS:.0f} ms ({goal_ms:.1f}): {name}")
    section.notes += [
        f"medians of up to {_TURNS} in turns; ratios are of one turn with the next",
        "bare: the same statements one after another through the engine's pool, in the service",
    ]
    return section


def _in_turns(client: Client, request_body: str) -> tuple[list[float], list[float]]:
    """Time an answer and its statements in turns, in ms, the first turn unkept."""
    request = post("/graphql", request_body.encode())
    alone = post("/bench/bare", json.dumps({"body": request_body, "rounds": 1}).encode())
    whole: list[float] = []
    bare: list[float] = []
    deadline = time.monotonic() + _SECONDS_AT_MOST
    while len(whole) <= _TURNS and (len(whole) <= 3 or time.monotonic() < deadline):
        began = time.perf_counter()
        status, answer = client.send(request)
        whole.append((time.perf_counter() - began) * 1000)
        _check(status, answer)
        bare += client.get_json(alone)["ms"]
    return whole[1:], bare[1:]


def _without_the_engine(client: Client) -> Section:
    """Compare what an answer costs without its statements with orjson dumping the same data."""
    section = Section("An answer without its statements, and dumped", "service", "orjson")
    for name, queries in LARGE.items():
        large, small = (
            post("/bench/beyond", json.dumps({"body": body(query), "rounds": 10}).encode())
            for query in queries
        )
        rounds = [(client.get_json(large), client.get_json(small)) for _ in range(_TURNS)]
        dump_times = [big["dumped"] for big, _ in rounds]
        section.compare(name, "ms", [big["service"] for big, _ in rounds], dump_times)
        extra_times = [big["service"] - little["service"] for big, little in rounds]
        section.compare("  more than the same request for one", "ms", extra_times, dump_times)
        section.notes.append(
            f"{name}: {rounds[0][0]['bytes']:,} bytes; orjson reads them in "
            f"{statistics.median(big['read'] for big, _ in rounds):.2f} ms"
        )
    section.notes += [
        "service: from the first middleware to the last byte of the body, statements replayed;",
        "any request takes a while in middleware, router and GraphQL; `more` is without that",
    ]
    return section


def _dashboards(client: Client) -> Section:
    """Measure whole screens: what they take, and in how many statements."""
    section = Section("Whole screens", "whole", "bare engine")
    screens = {"dashboard of ten panels": DASHBOARD, "list of 50 metrics": METRIC_LIST}
    for name, query in screens.items():
        whole, bare = _in_turns(client, body(query))
        section.compare(name, "ms", whole, bare)
        extensions = client.get_json(post("/graphql", body(query).encode()))["extensions"]
        section.add(f"{name}: statements", "", extensions["statementCount"])
        section.add(f"{name}: rows read", "", extensions["rowsRead"])
    return section


def _rest(name: str) -> bytes:
    return get(f"/metrics/{name}?hours=24")


def _graphql(name: str) -> bytes:
    return post("/graphql", body(SMALL, n=name).encode())


def _check(status: int, answer: bytes) -> None:
    if status != 200 or b'"errors"' in answer[:20]:
        raise CheckFailed(f"a read answered {status}: {answer[:500].decode(errors='replace')}")


def _check_apis(client: Client) -> None:
    """Fail unless both doors say the same; the range moves on by a point or two in between."""
    for name in NAMES[:5]:
        rest = client.get_json(_rest(name))
        (series,) = client.get_json(_graphql(name))["data"]["metric"]["query"]["series"]
        total = series["total"]
        pairs = [(total["count"], rest["count"]), (total["avg"], rest["average"])]
        if not rest["count"] or not all(math.isclose(a, b, rel_tol=1e-3) for a, b in pairs):
            raise CheckFailed(f"the two doors disagree about {name}: {rest}, {series}")
