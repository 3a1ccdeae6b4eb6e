"""Durability as the kernel sees it: no answer before its rows are on the disk."""

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
    """A system call: on what, with what, and when it began and ended (lines of the trace)."""

    name: str
    path: str
    text: str
    began: int
    ended: int
    result: int


@dataclass(frozen=True, slots=True)
class Trace:
    """What a service did, and the marks of the requests that it answered with 200."""

    data: Path
    calls: list[Call]
    markers: list[str]

    def answers(self) -> dict[str, Call]:
        """Find the write with which the answer to each marked request begins."""
        reading: dict[str, list[str]] = {}  # by connection: the marks since its last answer
        found: dict[str, Call] = {}
        for call in self.calls:
            if not call.path.startswith(("socket:", "TCP:")):
                continue
            if call.name not in WRITES:
                reading.setdefault(call.path, []).extend(_MARK.findall(call.text))
            elif '"HTTP/1.1 ' in call.text:
                found |= dict.fromkeys(reading.pop(call.path, []), call)
        return found

    def synced(self, path: str, name: str, after: Call, before: Call) -> bool:
        """Say whether a file or folder was synced, without an error, between two calls."""
        return any(
            call.began > after.ended and call.ended < before.began and call.result == 0
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
    """Return the calls of a trace, those of all threads, in the order of their ends."""
    begun: dict[str, tuple[str, int, str]] = {}
    calls = []
    for number, line in enumerate(file.read_text(errors="replace").splitlines()):
        parts = _LINE.match(line)
        if not parts:
            continue
        thread, rest = parts["thread"], parts["rest"]
        if parts["resumed"]:
            name, began, before = begun.pop(thread, (parts["resumed"], number, ""))
        else:
            name, began, before = parts["name"], number, ""
        if rest.endswith("<unfinished ...>"):
            begun[thread] = name, began, rest.removesuffix("<unfinished ...>")
            continue
        text = before + rest
        result = _RESULT.search(text)
        path = _FILE.match(text) or _NAME.match(text)
        code = int(result[1]) if result else -1
        calls.append(Call(name, path[1] if path else "", text, began, number, code))
    return calls


def rows_of(marker: str, table: str, count: int) -> list[dict[str, object]]:
    """Make rows that can be recognised in a trace."""
    names = [f"{marker}/{n}" for n in range(count)]
    if table == "metrics":
        return [{"metric_name": "m", "value": 1, "tags": {"k": name}} for name in names]
    return [{"event_name": "e", "user_id": name} for name in names]


def write_everything(service: Process, writer: int) -> list[str]:
    """Record through every route, marked; return the marker of each request, all answered 200."""
    markers = []
    with httpx.Client(base_url=service.http.base_url, trust_env=False, timeout=60) as http:
        for turn in range(6):
            for table in ("metrics", "events"):
                for count in (1, 3):
                    marker = f"mark-{writer}-{turn}-{table}-{count}-"
                    rows = rows_of(marker, table, count)
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
def traced(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """Trace a service from its first start, under four writers and a deletion."""
    data = tmp_path_factory.mktemp("traced") / "data"
    file = data.with_name("trace")
    strace = ("strace", "-D", "-f", "-y", "-s", "20000", "-o", str(file), "-e", f"trace={CALLS}")
    markers: list[list[str]] = [[] for _ in range(4)]
    with Process(data, (*strace, *SERVE)) as service:
        service.await_ready()

        def write(n: int) -> None:
            markers[n] = write_everything(service, n)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert service.http.delete("/metrics/m").json()["deleted"] == 4 * 6 * 5
        service.stop()
    while not file.read_text(errors="replace").rstrip().endswith("+++"):
        time.sleep(0.05)  # strace writes the end of its trace after the end of the service
    return Trace(data, read_trace(file), [marker for each in markers for marker in each])


def test_no_answer_before_its_rows_are_synced(traced: Trace) -> None:
    """Every 2xx answer to a write comes after an fdatasync of the very file that got its rows."""
    answers = traced.answers()
    assert sorted(answers) == sorted(traced.markers)
    written: dict[str, int] = dict.fromkeys(traced.markers, 0)
    for call in traced.calls:
        if call.name not in WRITES or not call.path.startswith(f"{traced.data}/journal/"):
            continue
        assert call.result == len_of(call), call.text
        for marker in set(_MARK.findall(call.text)):
            assert traced.synced(call.path, "fdatasync", after=call, before=answers[marker])
            written[marker] += call.text.count(marker)
    rows = {marker: 2 if "graphql" in marker else int(marker[-2]) for marker in traced.markers}
    assert written == rows


def test_new_files_and_folders_are_durable_before_the_first_answer(traced: Trace) -> None:
    """A segment's folder is synced once the segment is in it, and so is each new folder's own."""
    answers = traced.answers()
    first = min(answers.values(), key=lambda call: call.began)
    segments = folders = 0
    for call in traced.calls:
        if call.name == "openat" and "O_CREAT" in call.text and call.path.endswith(".ndjson"):
            segments += 1
            path = str(traced.data / call.path)
            users = [c for c in traced.calls if c.path == path and c.name in WRITES]
            marks = [mark for user in users for mark in _MARK.findall(user.text)]
            answer = min((answers[mark] for mark in marks), key=lambda call: call.began)
            assert traced.synced(str(Path(path).parent), "fsync", after=call, before=answer)
        ours = f"{call.path}/".startswith(f"{traced.data}/") and "/store/" not in call.path
        if call.name == "mkdir" and call.result == 0 and ours:
            folders += 1
            assert traced.synced(str(Path(call.path).parent), "fsync", after=call, before=first)
    assert segments >= 2
    assert folders == 6  # data, data/store, data/journal and one for each stream


def test_deletion_first_forgets_what_it_deletes(traced: Trace) -> None:
    """Before rows are deleted, their segments are gone for good: a power cut can't revive them."""
    folder = str(traced.data / "journal" / "metrics")
    deletions = [call for call in traced.calls if '"DELETE /metrics/m ' in call.text]
    (asked,) = deletions
    done = next(
        call
        for call in traced.calls
        if call.path == asked.path and call.name in WRITES and call.began > asked.ended
    )
    gone = [
        call
        for call in traced.calls
        if call.name in {"unlink", "unlinkat"}
        and call.path.startswith(folder)
        and call.ended < done.began
    ]
    mutation = next(
        call
        for call in traced.calls
        if call.name == "openat"
        and call.began > asked.ended
        and "O_CREAT" in call.text
        and "mutation" in call.path
    )
    assert traced.synced(folder, "fsync", after=gone[-1], before=mutation)


def len_of(call: Call) -> int:
    """Return how many bytes a write was asked to write."""
    asked = re.search(r"(\d+)\) = \d+$", call.text)
    if call.name == "writev":
        return sum(int(size) for size in re.findall(r"iov_len=(\d+)", call.text))
    assert asked
    return int(asked[1])
