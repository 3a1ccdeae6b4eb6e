"""The benchmark of keys: the same requests with a key and without, on one service."""

import json
from dataclasses import replace
from statistics import median

from bench import data, load
from bench.client import Client, post
from bench.query import response_times
from bench.report import Section
from bench.service import SERVICE, run_program
from bench.workspace import Workspace

CONNECTIONS = 64

_MAKE_KEY = 'mutation {createApiKey(input: {name: "bench", kind: SECRET}) {secret}}'
_SMALL_QUERY = "{health {status}}"
_QUERIES = 300
_WARM_UP_SECONDS = 1


def measure(space: Workspace) -> Section:
    """Measure one row a request on 64 connections, and a small query on one connection.

    Requests with and without a key take turns.
    """
    section = Section("Requests with a key", "with a key", "without")
    with run_program(SERVICE, space.new_folder("access")) as service:
        with Client(service.port) as client:
            body = json.dumps({"query": _MAKE_KEY}).encode()
            answer = client.get_json(post("/graphql", body))
            key = answer["data"]["createApiKey"]["secret"]
        for path, bodies in (("/metrics", data.metric_bodies()), ("/events", data.event_bodies())):
            plain = load.prepare(space.folder, path, data.JSON, bodies, CONNECTIONS)
            loads = (replace(plain, key=key), plain)
            rates: tuple[list[float], list[float]] = ([], [])
            for request_load in loads:
                load.check_response(service, request_load)
                load.run(service, request_load, _WARM_UP_SECONDS)
            for _ in range(space.rounds):
                for request_load, load_rates in zip(loads, rates, strict=True):
                    load_rates.append(load.run(service, request_load, space.seconds).rate)
            section.compare(f"POST {path}", "requests/s", *rates)
        section.compare("small GraphQL query", "queries/s", *_query_rates(service.port, key, space))
    section.notes.append("one service in development: both kinds of requests are accepted")
    return section


def _query_rates(port: int, key: str, space: Workspace) -> tuple[list[float], list[float]]:
    """Return the queries per second of each round, with a key and without."""
    body = json.dumps({"query": _SMALL_QUERY}).encode()
    rates: tuple[list[float], list[float]] = ([], [])
    with Client(port) as client:
        turns = [response_times(client, [post("/graphql", body, key=name)]) for name in (key, "")]
        for _ in range(space.rounds):
            samples: tuple[list[float], list[float]] = ([], [])
            for _ in range(_QUERIES):
                for turn, turn_samples in zip(turns, samples, strict=True):
                    turn_samples.append(next(turn))
            for turn_rates, turn_samples in zip(rates, samples, strict=True):
                turn_rates.append(1000 / median(turn_samples))
    return rates
