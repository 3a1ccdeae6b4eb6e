"""Overload: excess requests are unavailable, the memory keeps its limit, the service recovers."""

import contextlib
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.faults.writers import assert_counters_balance
from tests.harness.memory_group import HAS_GROUPS, group_command, memory_group, peak_bytes
from tests.harness.process import Process
from tests.harness.run_profile import print_figure, short_or_long

CLIENTS: Final = 64
ROWS: Final = 30_000
SECONDS: Final = short_or_long(6, 60)

pytestmark = pytest.mark.skipif(not HAS_GROUPS, reason="needs root and memory cgroups of version 1")


def send(
    port: int, deadline: float, answers: Counter[int], retry_after_values: set[str | None]
) -> None:
    """Send one large batch after the other until a deadline."""
    line = b'{"metric_name":"load","value":1,"tags":{"host":"a","dc":"eu"}}\n'
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http:
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):  # a 503 may close the connection
                answer = http.post("/metrics/batch", content=ROWS * line)
                answers[answer.status_code] += 1
                if answer.status_code != 200:
                    retry_after_values.add(answer.headers.get("retry-after"))


def test_overload_is_refused_within_the_memory(tmp_path: Path) -> None:
    """64 clients that send 2 MB each get 200, or 503 with Retry-After, within 1 GiB.

    No acknowledged row is lost, and the service answers normally right after.
    """
    answers: Counter[int] = Counter()
    retry_after_values: set[str | None] = set()
    with memory_group() as group, Process(tmp_path / "data", group_command(group)) as service:
        service.await_ready()
        deadline = time.monotonic() + SECONDS
        clients = [
            threading.Thread(
                target=send, args=(service.port, deadline, answers, retry_after_values)
            )
            for _ in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        service.await_ready(SECONDS + 60)  # counted from the start of the process
        assert set(answers) == {200, 503}, answers
        assert retry_after_values == {"1"}
        stored = service.http.get("/dashboard").json()["total_metrics_tracked"]
        assert stored >= answers[200] * ROWS
        assert stored % ROWS == 0
        assert_counters_balance(service)
        began = time.monotonic()
        assert service.post("/metrics", {"metric_name": "after", "value": 1}).status_code == 200
        assert service.http.get("/metrics/after").json()["count"] == 1
        max_mebibytes = peak_bytes(group) / 2**20
        print_figure(
            f"{answers}, at most {max_mebibytes:.0f} MiB,"
            f" normal after {time.monotonic() - began:.3f} s"
        )
        service.stop()
