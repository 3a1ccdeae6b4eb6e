"""Four clients with heavy queries, and a bystander with a cheap one, on a machine of 1 GiB."""

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from bench.client import Client, post
from tests.harness.edge import SMALL_MACHINE
from tests.harness.memory_group import HAS_GROUPS, group_command, memory_group, oom_kills
from tests.harness.process import Process
from tests.harness.run_profile import print_figure

pytestmark = pytest.mark.slow

EVENTS: Final = 300_000
BATCH: Final = 50_000
USERS: Final = 20_000
CLIENTS: Final = 4
QUERIES: Final = 30
PAUSE_SECONDS: Final = 0.01
ROUNDS: Final = 5
MAX_RATIO: Final = 2.0
HEAVY: Final = """{eventTrend(range: {last: "P30D"}, groupBy: [{property: "uid"}], limit: %d) {
    series {label total {
        uniqueUsers unique(property: "amount") quantile(property: "amount", q: 0.95)}}}}"""
CHEAP: Final = """{metric(name: "m") {query(range: {last: "P30D"}) {
    series {total {count sum avg min max}}}}}"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Start a service with 300,000 events of 20,000 users: each heavy query takes 2 s."""
    data: Path = tmp_path_factory.mktemp("readers") / "data"
    with ExitStack() as stack:
        group = stack.enter_context(memory_group()) if HAS_GROUPS else None
        command = group_command(group) if group else SMALL_MACHINE
        process = stack.enter_context(Process(data, command))
        process.await_ready()
        record_rows(process)
        yield process
        assert process.stop() == 0
        assert not group or oom_kills(group) == 0


def record_rows(process: Process) -> None:
    """Record events of many users, and points of a metric."""
    now = int(time.time() * 1000)
    form = (
        '{"event_name":"e","user_id":"u%d","timestamp":%d,"properties":{"uid":"u%d","amount":%d}}\n'
    )
    for start in range(0, EVENTS, BATCH):
        events = "".join(
            form % (number % USERS, now - 5_000 * number, number * 13 % USERS, number % 977)
            for number in range(start, start + BATCH)
        )
        assert process.post("/events/batch", events.encode()).json()["accepted"] == BATCH
    points = "".join(
        f'{{"metric_name":"m","value":{number},"timestamp":{now - 60_000 * number}}}\n'
        for number in range(20_000)
    )
    assert process.post("/metrics/batch", points.encode()).json()["accepted"] == 20_000


@pytest.fixture
def priority(service: Process) -> Iterator[None]:
    """Let the service and its clients go before other processes of a busy machine, as root may.

    The kernel shares cores among sessions first, so niceness counts for a whole session.
    """
    sessions = [Path(f"/proc/{pid}/autogroup") for pid in ("self", service.pid)]
    with suppress(OSError):
        for session in sessions:
            session.write_text("-20")
    yield
    with suppress(OSError):
        sessions[0].write_text("0")


@contextmanager
def heavy_clients(port: int, answers: Counter[int]) -> Iterator[None]:
    """Let four clients send heavy queries during a block, each with others."""
    is_over = threading.Event()
    numbers = itertools.count(100)

    def send() -> None:
        with Client(port) as client:
            while not is_over.is_set():
                body = json.dumps({"query": HEAVY % next(numbers)}).encode()
                answers[client.send(post("/graphql", body))[0]] += 1

    threads = [threading.Thread(target=send) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.5)  # until the first ones run
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def cheap_query_ms(port: int) -> float:
    """Return the 95th percentile of cheap queries one after another; each one is answered."""
    latencies = []
    body = json.dumps({"query": CHEAP}).encode()
    with Client(port) as client:
        for _ in range(QUERIES):
            began = time.perf_counter()
            assert client.get_json(post("/graphql", body))["data"]["metric"]["query"]["series"]
            latencies.append((time.perf_counter() - began) * 1000)
            time.sleep(PAUSE_SECONDS)
    return sorted(latencies)[QUERIES * 95 // 100]


@pytest.mark.usefixtures("priority")
def test_four_heavy_readers_leave_others_their_turn(service: Process) -> None:
    """A cheap query beside four heavy ones is answered, and takes at most twice its time alone.

    Rounds alone and beside take turns. Other processes of the machine slow both, but not always
    alike, so one of the rounds must keep the ratio.
    """
    answers: Counter[int] = Counter()
    cheap_query_ms(service.port)
    ratios = []
    for _ in range(ROUNDS):
        alone_ms = cheap_query_ms(service.port)
        with heavy_clients(service.port, answers):
            beside_ms = cheap_query_ms(service.port)
        ratios.append(beside_ms / alone_ms)
        print_figure(f"p95 {alone_ms:.1f} ms alone, {beside_ms:.1f} beside; heavy: {answers}")
        if ratios[-1] <= MAX_RATIO:
            break
    assert min(ratios) <= MAX_RATIO, ratios
    assert set(answers) <= {200, 422, 503}
    assert answers[200] >= CLIENTS
