"""Hostile GraphQL requests: each is answered soon and briefly, and others hardly wait for it."""

import gzip
import json
import statistics
from pathlib import Path
from typing import Final

from bench.hostile import probe, send
from bench.hostile_inputs import hostile_inputs
from tests.harness.process import Process
from tests.harness.run_profile import print_figure, short_or_long

MAX_ANSWER_BYTES: Final = 20_000
P99_MS: Final = short_or_long(300, 100)
"""The goal is 100 ms, in the long form. Beside two other processes of tests it was 124 ms."""

MAX_MS: Final = short_or_long(1500, 500)
DOCUMENTS: Final = 20
MIN_PROBES: Final = 3


def test_hostile_requests_are_answered_beside_others(tmp_path: Path) -> None:
    """Every hostile request has its status, names its limit, and is answered in 20 KB.

    A prober of `/livez` beside them waits at most 0.1 s in 99 of 100 cases, and never 0.5 s.
    """
    waits: list[float] = []
    with Process(tmp_path / "data") as service:
        service.await_ready()
        for hostile_input in hostile_inputs():
            body = hostile_input.wire_body()
            with probe(service.port) as own_waits:
                status, answer, ms = send(service.port, body)
            waits += own_waits
            print_figure(f"{hostile_input.name}: {ms:.0f} ms, pause {max(own_waits):.0f} ms")
            assert status == hostile_input.status, (hostile_input.name, answer[:500])
            assert len(answer) <= MAX_ANSWER_BYTES, hostile_input.name
            if hostile_input.limit:
                error = json.loads(answer)["errors"][0]
                assert hostile_input.limit.name in error["message"], hostile_input.name
                assert error["extensions"]["limit"] == hostile_input.limit.value
        percentile = statistics.quantiles(waits, n=100)[98]
        print_figure(f"{len(waits)} probes: p99 {percentile:.1f} ms, max {max(waits):.0f} ms")
        assert percentile <= P99_MS
        assert max(waits) <= MAX_MS
        service.stop()


def test_long_documents_are_read_beside_others(tmp_path: Path) -> None:
    """While the service reads a long document, it answers other requests.

    Each document is new, so none is in memory. Without the thread, one prober's request is
    answered before a document, and one after it.
    """
    probes = 0
    with Process(tmp_path / "data") as service:
        service.await_ready()
        for number in range(DOCUMENTS):
            fields = " ".join(f"a{number}_{field}:status" for field in range(990))
            body = gzip.compress(json.dumps({"query": f"{{health{{{fields}}}}}"}).encode())
            with probe(service.port) as waits:
                status, _, _ = send(service.port, body)
            assert status == 200
            probes += len(waits)
        print_figure(f"{probes} probes beside {DOCUMENTS} documents")
        assert probes >= MIN_PROBES * DOCUMENTS
        service.stop()
