"""Durability in the trace of system calls: rows are synced before their answer."""

import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.faults.strace import needs_strace
from tests.harness.process import SERVE, Process

pytestmark = needs_strace

CALLS: Final = (
    "openat,mkdir,mkdirat,unlink,unlinkat,read,recvfrom,recvmsg,"
    "write,writev,pwrite64,pwritev,sendto,sendmsg,sendmmsg,fdatasync,fsync"
)
WRITES: Final = {"write", "writev", "pwrite64", "pwritev", "sendto", "sendmsg", "sendmmsg"}
RECORD: Final = """
mutation ($metrics: RecordMetricsInput!, $events: RecordEventsInput!) {
  recordMetrics(input: $metrics) { accepted }
  recordEvents(input: $events) { accepted }
}
"""


@dataclass(frozen=True, slots=True)
class Call:
    """A system call: its file, its text, and the trace's lines of its start and end."""

    name: str
    path: str
    text: str
    start: int
    end: int
    result: int


@dataclass(frozen=True, slots=True)
class Trace:
    """The system calls of a service, and the markers of the requests with a 200."""

    data: Path
    calls: list[Call]
    markers: list[str]

    def answers(self) -> dict[str, Call]:
        """Return the first write of the answer to each marked request."""
        reading: dict[str, list[str]] = {}  # by connection: the markers since its last answer
        answers: dict[str, Call] = {}
        for call in self.calls:
            if not call.path.startswith(("socket:", "TCP:")):
                continue
            if call.name not in WRITES:
                reading.setdefault(call.path, []).extend(_MARK.findall(call.text))
            elif '"HTTP/1.1 ' in call.text:
                answers |= dict.fromkeys(reading.pop(call.path, []), call)
        return answers

    def is_synced(self, path: str, name: str, after: Call, before: Call) -> bool:
        """Say whether a file or folder was synced without an error between two calls."""
        return any(
            call.start > after.end and call.end < before.start and call.result == 0
            for call in self.calls
            if call.name == name and call.path == path
        )


_MARK: Final = re.compile(r"mark-\d-\d+-(?:metrics-\d|events-\d|graphql)-")
_LINE: Final = re.compile(
    r"(?P<thread>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<name>\w+)\()(?P<rest>.*)"
)
_RESULT: Final = re.compile(r" = (-?\d+)(?:<.*>)?(?: E\w+ .*)?$")
_FILE: Final = re.compile(r"^\d+<((?:[^<>]|<[^<>]*>)*)>")
_NAME: Final = re.compile(r'^(?:AT_FDCWD<[^<>]*>, )?"([^"]*)"')


def read_trace(file: Path) -> list[Call]:
    """Return the calls of all threads in a trace, ordered by their ends."""
    unfinished_calls: dict[str, tuple[str, int, str]] = {}
    calls = []
    for number, line in enumerate(file.read_text(errors="replace").splitlines()):
        parts = _LINE.match(line)
        if not parts:
            continue
        thread, rest = parts["thread"], parts["rest"]
        if parts["resumed"]:
            name, began, before = unfinished_calls.pop(thread, (parts["resumed"], number, ""))
        else:
            name, began, before = parts["name"], number, ""
        if rest.endswith("<unfinished ...>"):
            unfinished_calls[thread] = name, began, rest.removesuffix("<unfinished ...>")
            continue
        text = before + rest
        result = _RESULT.search(text)
        path = _FILE.match(text) or _NAME.match(text)
        code = int(result[1]) if result else -1
        calls.append(Call(name, path[1] if path else "", text, began, number, code))
    return calls


def marked_rows(marker: str, table: str, count: int) -> list[dict[str, object]]:
    """Return rows with a marker that a trace shows."""
    names = [f"{marker}/{n}" for n in range(count)]
    if table == "metrics":
        return [{"metric_name": "m", "value": 1, "tags": {"k": name}} for name in names]
    return [{"event_name": "e", "user_id": name} for name in names]


def write_on_all_routes(service: Process, writer: int) -> list[str]:
    """Record marked rows on every route; return the marker of each request."""
    markers = []
    with httpx.Client(base_url=service.http.base_url, trust_env=False, timeout=60) as http:
        for turn in range(6):
            for table in ("metrics", "events"):
                for count in (1, 3):
                    marker = f"mark-{writer}-{turn}-{table}-{count}-"
                    rows = marked_rows(marker, table, count)
                    path, body = (f"/{table}", rows[0]) if count == 1 else (f"/{table}/batch", rows)
                    assert http.post(path, json=body).status_code == 200
                    markers.append(marker)
            marker = f"mark-{writer}-{turn}-graphql-"
            variables = {
                "metrics": {"metrics": [{"name": "m", "value": 1, "tags": {"k": f"{marker}m"}}]},
                "events": {"events": [{"name": "e", "userId": f"{marker}e"}]},
            }
            answer = http.post("/graphql", json={"query": RECORD, "variables": variables})
            assert answer.json()["data"]["recordMetrics"] == {"accepted": 1}
            markers.append(marker)
            time.sleep(0.02)
    return markers


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """Trace a service from its first start, under four writers and a deletion."""
    data = tmp_path_factory.mktemp("traced") / "data"
    file = data.with_name("trace")
    strace = ("strace", "-D", "-f", "-y", "-s", "20000", "-o", str(file), "-e", f"trace={CALLS}")
    markers: list[list[str]] = [[] for _ in range(4)]
    with Process(data, (*strace, *SERVE)) as service:
        service.await_ready()

        def write(n: int) -> None:
            markers[n] = write_on_all_routes(service, n)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert service.http.delete("/metrics/m").json()["deleted"] == 4 * 6 * 5
        service.stop()
    while not file.read_text(errors="replace").rstrip().endswith("+++"):
        time.sleep(0.05)  # strace writes the end of its trace after the end of the service
    return Trace(
        data, read_trace(file), [marker for writer_markers in markers for marker in writer_markers]
    )


def test_no_answer_before_its_rows_are_synced(trace: Trace) -> None:
    """Every 2xx answer to a write comes after an fdatasync of the file with its rows."""
    answers = trace.answers()
    assert sorted(answers) == sorted(trace.markers)
    row_counts: dict[str, int] = dict.fromkeys(trace.markers, 0)
    for call in trace.calls:
        if call.name not in WRITES or not call.path.startswith(f"{trace.data}/journal/"):
            continue
        assert call.result == requested_bytes(call), call.text
        for marker in set(_MARK.findall(call.text)):
            assert trace.is_synced(call.path, "fdatasync", after=call, before=answers[marker])
            row_counts[marker] += call.text.count(marker)
    rows = {marker: 2 if "graphql" in marker else int(marker[-2]) for marker in trace.markers}
    assert row_counts == rows


def test_new_files_and_folders_are_durable_before_the_first_answer(trace: Trace) -> None:
    """The parent folder of each new segment and folder is synced before the answer."""
    answers = trace.answers()
    first = min(answers.values(), key=lambda call: call.start)
    segments = folders = 0
    for call in trace.calls:
        if call.name == "openat" and "O_CREAT" in call.text and call.path.endswith(".ndjson"):
            segments += 1
            path = str(trace.data / call.path)
            users = [c for c in trace.calls if c.path == path and c.name in WRITES]
            marks = [mark for user in users for mark in _MARK.findall(user.text)]
            answer = min((answers[mark] for mark in marks), key=lambda call: call.start)
            assert trace.is_synced(str(Path(path).parent), "fsync", after=call, before=answer)
        is_own = f"{call.path}/".startswith(f"{trace.data}/") and "/store/" not in call.path
        if call.name == "mkdir" and call.result == 0 and is_own:
            folders += 1
            assert trace.is_synced(str(Path(call.path).parent), "fsync", after=call, before=first)
    assert segments >= 2
    assert folders == 6  # data, data/store, data/journal and one for each stream


def test_deletion_first_forgets_what_it_deletes(trace: Trace) -> None:
    """Before rows are deleted, the removal of their segments is synced, against power cuts."""
    folder = str(trace.data / "journal" / "metrics")
    deletions = [call for call in trace.calls if '"DELETE /metrics/m ' in call.text]
    (request,) = deletions
    answer = next(
        call
        for call in trace.calls
        if call.path == request.path and call.name in WRITES and call.start > request.end
    )
    unlinks = [
        call
        for call in trace.calls
        if call.name in {"unlink", "unlinkat"}
        and call.path.startswith(folder)
        and call.end < answer.start
    ]
    mutation = next(
        call
        for call in trace.calls
        if call.name == "openat"
        and call.start > request.end
        and "O_CREAT" in call.text
        and "mutation" in call.path
    )
    assert trace.is_synced(folder, "fsync", after=unlinks[-1], before=mutation)


def requested_bytes(call: Call) -> int:
    """Return the number of bytes that a write was given."""
    size_match = re.search(r"(\d+)\) = \d+$", call.text)
    if call.name == "writev":
        return sum(int(size) for size in re.findall(r"iov_len=(\d+)", call.text))
    assert size_match
    return int(size_match[1])
