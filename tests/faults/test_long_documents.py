"""Long documents of GraphQL: others hardly wait while they are read."""

import gzip
import json
from pathlib import Path
from typing import Final

from bench.hostile import probe, send
from tests.harness.process import Process
from tests.harness.run_profile import print_figure

DOCUMENTS: Final = 20
MIN_PROBES: Final = 3


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
