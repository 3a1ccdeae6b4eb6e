"""Each hostile input is sent to one service in 1 GiB of memory, beside a prober of `/livez`.

The rows of the table and where else they are tested:

- 1,100 silent connections and 1,024 files: `tests/server/test_edge_connections.py`
- 1,050,000 names of metrics: `tests/faults/test_many_names.py`
- requests of many heavy fields: `tests/cost/test_deadline.py`, `tests/cost/test_cost.py`
- four heavy readers: `test_heavy_readers.py`
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from bench.hostile_inputs import HostileInput, hostile_inputs
from store.limits import Limits
from tests.harness.edge import SMALL_MACHINE, connect, read_all, status_of
from tests.harness.memory_group import (
    GROUP_BYTES,
    HAS_GROUPS,
    group_command,
    memory_group,
    oom_kills,
    peak_bytes,
)
from tests.harness.prober import Probe, Prober
from tests.harness.process import Process
from tests.harness.run_profile import print_figure
from tests.hostile.attacks import BATCHES, BODIES, HEADS, Attack, gzip_post, post

pytestmark = pytest.mark.slow

MAX_PAUSE_MS: Final = 100
"""The pause of others that a request may cause, in 99 of 100 of their requests."""

TRIES: Final = 5
"""On a busy machine, the threads of a core take twice the CPU time; a real pause is there again."""

MAX_BYTES: Final = GROUP_BYTES * 9 // 10
"""Memory that the service may have at one time, with files in the page cache."""

MAX_ANSWER_BYTES: Final = 20_000
CODES: Final = {
    200: {"NOT_FOUND", "BAD_USER_INPUT", "PAYLOAD_TOO_LARGE"},  # of a field
    400: {"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"},
    413: {"PAYLOAD_TOO_LARGE"},
    422: {"BAD_USER_INPUT"},
}
TIMEOUT: Final = 60.0

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Target:
    """A service in a small container, and the prober beside the attacks."""

    service: Process
    prober: Prober
    group: Path | None


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Start a service in 1 GiB; without cgroups, one that believes to have so much."""
    data = tmp_path_factory.mktemp("hostile") / "data"
    with ExitStack() as stack:
        group = stack.enter_context(memory_group()) if HAS_GROUPS else None
        command = group_command(group) if group else SMALL_MACHINE
        service = stack.enter_context(Process(data, command))
        service.await_ready()
        prober = stack.enter_context(Prober(service.port, service.pid))
        prober.take()
        yield Target(service, prober, group)


def attack(target: Target, send: Callable[[], Answer]) -> Answer:
    """Attack, and return the answer; fail if others wait for it each time, or the service ends."""
    for _ in range(TRIES):
        target.prober.take()
        began = time.monotonic()
        answer = send()
        ms = (time.monotonic() - began) * 1000
        probes = target.prober.take()
        print_figure(f"{ms:.0f} ms; {summary(probes)}")
        if pause_ms(probes) <= MAX_PAUSE_MS:
            return answer
    pytest.fail(summary(probes))


def pause_ms(probes: list[Probe]) -> float:
    """Return the pause in 99 of 100 probes; the longest one if they are fewer."""
    pauses = sorted(probe.own_ms for probe in probes)
    return pauses[-1 - len(pauses) // 100]


def summary(probes: list[Probe]) -> str:
    """Describe probes for people."""
    wall_ms = max(probe.wall_ms for probe in probes)
    return f"{len(probes)} probes: pause {pause_ms(probes):.1f} ms, by the wall clock {wall_ms:.0f}"


def exchange(port: int, request: bytes) -> tuple[int, bytes]:
    """Send a request; return status and body of the answer, which may come before its end."""
    with connect(port) as connection:
        connection.settimeout(TIMEOUT)
        sender = threading.Thread(target=_send, args=(connection, request))
        sender.start()
        received = connection.recv(2**20)
        head, _, body = received.partition(b"\r\n\r\n")
        while b"content-length: %d" % len(body) not in head.lower():
            part = connection.recv(2**20)
            if not part:
                break
            body += part
        connection.close()
        sender.join()
        return status_of(head), body


def _send(connection: Any, request: bytes) -> None:
    try:
        connection.sendall(request)
    except OSError:
        return


@pytest.mark.parametrize("hostile_input", [*hostile_inputs()], ids=lambda entry: entry.name)
def test_graphql(target: Target, hostile_input: HostileInput) -> None:
    """A request of GraphQL is answered in 20 KB, with the code and the limit that it breaks."""
    request = gzip_post("/graphql", hostile_input.build_body())
    status, content = attack(target, lambda: exchange(target.service.port, request))
    assert status == hostile_input.status, content[:500]
    assert len(content) <= MAX_ANSWER_BYTES
    for error in json.loads(content).get("errors", ())[:1]:
        assert error["extensions"]["code"] in CODES[status]
        if limit := hostile_input.limit:
            assert limit.name in error["message"]
            assert error["extensions"]["limit"] == limit.value


@pytest.mark.parametrize("entry", [*BATCHES, *BODIES, *HEADS], ids=lambda entry: entry.name)
def test_http(target: Target, entry: Attack) -> None:
    """A request of REST, or with an odd body or head, has its status, its code and its limit."""
    request = entry.build_request()
    status, content = attack(target, lambda: exchange(target.service.port, request))
    assert status == entry.status, content[:500]
    assert len(content) <= entry.max_answer_bytes
    if entry.code:
        error = json.loads(content)["errors"][0]["extensions"]
        assert error["code"] == entry.code
        if entry.limit:
            assert error["limit"] == entry.limit


def trend(selection: str) -> bytes:
    """Return a request for all hours that a query may have."""
    arguments = 'range:{last:"PT10999H"},granularity:HOUR,maxPoints:11000'
    query = f"{{eventTrend({arguments}){{{selection}}}}}"
    return gzip_post("/graphql", json.dumps({"query": query}).encode())


def aliases(field: str, count: int) -> str:
    """Return a field with as many aliases."""
    return " ".join(f"a{number}:{field}" for number in range(count))


@pytest.mark.parametrize(
    ("selection", "is_answered"),
    [
        (f"series{{points{{{aliases('time', 300)}}}}}", False),
        (f"series{{points{{{aliases('time', 400)}}}}}", False),
        (f"series{{points{{{aliases('time', 1_000)}}}}}", False),
        (aliases("times", 900), False),
        (aliases("times", 100), True),
    ],
    ids=["300 times", "400 times", "1,000 times", "900 lists", "100 lists"],
)
def test_answers(target: Target, selection: str, is_answered: bool) -> None:
    """A few KB of aliases do not take more memory than an answer may; the error says so."""
    request = trend(selection)
    status, content = attack(target, lambda: exchange(target.service.port, request))
    limit = Limits.of_this_machine().answer_bytes
    if is_answered:
        assert (status, "errors" in json.loads(content)) == (200, False)
        return
    error = json.loads(content)["errors"][0]
    assert (status, error["extensions"]) == (422, {"code": "QUERY_TOO_EXPENSIVE", "limit": limit})
    assert "answerBytes" in error["message"]


def test_unread_answers(target: Target) -> None:
    """Clients that do not read their answers of 27 MB leave the others theirs."""
    request = trend(aliases("times", 100))

    def leave_unread() -> None:
        with ExitStack() as stack:
            for _ in range(4):
                connection = stack.enter_context(connect(target.service.port))
                connection.sendall(request)
            time.sleep(1)
            assert target.service.graphql("{health{status}}")

    attack(target, leave_unread)


def test_silent_bodies(target: Target) -> None:
    """Two bodies of 16 MiB whose last byte does not come leave others theirs."""
    body = bytes(2**24)
    request = post("/metrics/batch", body)[:-1]

    def fall_silent() -> None:
        with ExitStack() as stack:
            for _ in range(2):
                connection = stack.enter_context(connect(target.service.port))
                connection.sendall(request)
            for _ in range(10):
                row = {"metric_name": "beside", "value": 1}
                assert target.service.post("/metrics", row).status_code == 200
                assert target.service.graphql("{health{status}}")

    attack(target, fall_silent)


def test_pipelined_requests(target: Target) -> None:
    """Ninety hostile requests on one connection are answered in turn."""
    body = json.dumps({"query": "{health{status}}", "variables": {"v": [1] * 10_000}}).encode()
    last = post("/graphql", body).replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n", 1)
    requests = post("/graphql", body) * 89 + last

    def send() -> bytes:
        with connect(target.service.port) as connection:
            connection.sendall(requests)
            return read_all(connection)

    assert attack(target, send).count(b"HTTP/1.1 422 ") == 90


@pytest.mark.parametrize("kind", ["texts", "rows", "brackets"])
def test_eight_attackers(target: Target, kind: str) -> None:
    """Eight clients that send their largest bodies at once get an answer or a 503 each."""
    rows = b'{"event_name":"a"}\n' * 50_000
    requests = {
        "texts": gzip_post(
            "/graphql", b'{"query":"{a}","variables":{"v":"' + b"\\n" * 2**22 + b'"}}'
        ),
        "rows": gzip_post("/events/batch", rows),
        "brackets": gzip_post("/metrics/batch", b"[" + b"1," * 2**22 + b"1]"),
    }
    statuses: list[int] = []

    def send() -> None:
        statuses.append(exchange(target.service.port, requests[kind])[0])

    def send_all() -> None:
        statuses.clear()
        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    attack(target, send_all)
    assert len(statuses) == 8
    assert set(statuses) <= {"texts": {400, 422}, "rows": {200}, "brackets": {413}}[kind] | {503}


def test_many_property_names(target: Target) -> None:
    """200,000 names of properties are stored, and queries after them are answered."""
    lines = (
        b'{"event_name":"wide","properties":{%b}}'
        % b",".join(b'"p%d_%d":1' % (row, number) for number in range(100))
        for row in range(2_000)
    )
    request = gzip_post("/events/batch", b"\n".join(lines))
    assert attack(target, lambda: exchange(target.service.port, request))[0] == 200
    count = target.service.graphql('{events(where:{name:{eq:"wide"}}){totalCount}}')
    assert count["events"]["totalCount"] == 2_000


@pytest.mark.parametrize(
    ("tests", "status"), [(0, 200), (1, 422), (10, 422), (300, 422)], ids="{} tests".format
)
def test_long_lists(target: Target, tests: int, status: int) -> None:
    """A list of 1,000 metrics, each with two queries, pauses nobody: answered or refused."""
    lines = [{"metric_name": f"listed.{number}", "value": 1} for number in range(1_000)]
    assert target.service.post("/metrics/batch", lines).status_code == 200
    field = 'query(range:{last:"PT1H"},where:$where){overall{total{count}}}'
    query = f"query($where:MetricFilter){{metrics(first:1000){{nodes{{a:{field} b:{field}}}}}}}"
    entries = [{"tag": {"key": f"k{test}", "string": {"eq": "a"}}} for test in range(tests)]
    where = {"OR": entries} if tests else None
    body = json.dumps({"query": query, "variables": {"where": where}}).encode()
    answer = attack(target, lambda: exchange(target.service.port, post("/graphql", body)))
    assert answer[0] == status
    assert tests == 0 or json.loads(answer[1])["errors"][0]["extensions"]["limit"] == 5_000


@pytest.mark.skipif(not HAS_GROUPS, reason="needs root and memory cgroups of version 1")
def test_memory_after_all_attacks(target: Target) -> None:
    """After all attacks, the service still runs, and has kept its memory; none was killed."""
    assert target.group
    assert target.service.graphql("{health{status}}") == {"health": {"status": "OK"}}
    print_figure(f"at most {peak_bytes(target.group) / 2**20:.0f} MiB")
    assert oom_kills(target.group) == 0
    assert peak_bytes(target.group) <= MAX_BYTES
    assert target.service.stop() == 0
