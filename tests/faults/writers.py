"""Clients that write while something breaks, and the books they keep of every answer."""

import asyncio
import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal, Self

import httpx
import msgspec

from tests.harness.process import Process, is_free
from tests.harness.run_profile import print_figure
from tests.harness.stores import LIMITS, open_store, stored_keys

_TLS: Final = ssl.create_default_context()  # to make one for each client takes 20 ms
JSON: Final = {"content-type": "application/json"}
RECORD_EVENTS: Final = """
mutation ($input: RecordEventsInput!) { recordEvents(input: $input) { accepted } }
"""
COUNTS_QUERY: Final = """
query ($range: TimeRangeInput!, $any: Boolean!) {
  overview { metricCount eventCount }
  metric(name: "fault") @include(if: $any) {
    query(range: $range) { series { total { count } } }
  }
}
"""
KINDS: Final = ("metric", "event", "metrics", "events", "graphql")
SIZES: Final = (2, 10, 10, 50, 2000)


@dataclass(slots=True)
class SentBatch:
    """A request and its answer, if it got one: its rows have the keys `<key>/<number>`."""

    table: str
    rows: int
    answer: Literal["none", "acknowledged", "refused"] = "none"
    seconds: float = 0.0


@dataclass(slots=True)
class Writers:
    """Threads that write single rows and batches, through both doors.

    They write for as long as the `with` block lasts and somebody listens at the port. A refusal
    has to say when to come back.
    """

    port: int
    dice: random.Random
    name: str = "w"
    threads: int = 4
    sizes: tuple[int, ...] = SIZES
    kinds: tuple[str, ...] = KINDS
    pause: float = 0.05
    batches: dict[str, SentBatch] = field(default_factory=dict)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _problems: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        for n in range(self.threads):
            dice = random.Random(self.dice.random())
            thread = threading.Thread(target=self._run_writer, args=(f"{self.name}-{n}", dice))
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        assert not self._problems, self._problems

    def answer_count(self, answer: str) -> int:
        """Return how many requests got an answer."""
        return sum(sent.answer == answer for sent in list(self.batches.values()))

    def await_answers(self, answer: str, number: int, seconds: float = 30) -> None:
        """Return when so many more requests got an answer."""
        target = self.answer_count(answer) + number
        await_true(lambda: self.answer_count(answer) >= target, seconds, f"{number} {answer}")

    def _run_writer(self, name: str, dice: random.Random) -> None:
        try:
            self._write(name, dice)
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            self._problems.append(repr(error))

    def _write(self, name: str, dice: random.Random) -> None:
        url = f"http://127.0.0.1:{self.port}"
        with httpx.Client(base_url=url, trust_env=False, timeout=60, verify=_TLS) as http:
            for number in count():
                if self._is_over.is_set():
                    return
                key = f"{name}-{number}"
                path, table, rows, body = self._request(key, dice)
                sent = self.batches[key] = SentBatch(table, rows)
                began = time.monotonic()
                try:
                    answer = http.post(path, content=msgspec.json.encode(body), headers=JSON)
                except httpx.TransportError:
                    if is_free(self.port):
                        return
                    continue
                sent.seconds = time.monotonic() - began
                sent.answer = "acknowledged" if is_acknowledged(answer, rows) else "refused"
                if sent.answer == "refused":
                    time.sleep(self.pause)

    def _request(self, key: str, dice: random.Random) -> tuple[str, str, int, object]:
        kind = dice.choice(self.kinds)
        rows = 1 if kind in {"metric", "event"} else dice.choice(self.sizes)
        names = [f"{key}/{n}" for n in range(rows)]
        points = [{"metric_name": "fault", "value": 1, "tags": {"k": name}} for name in names]
        events = [{"event_name": "fault", "user_id": name} for name in names]
        inputs = [{"name": "fault", "userId": name} for name in names]
        match kind:
            case "metric":
                return "/metrics", "metrics", 1, points[0]
            case "event":
                return "/events", "events", 1, events[0]
            case "metrics":
                return "/metrics/batch", "metrics", rows, points
            case "events":
                return "/events/batch", "events", rows, events
        body = {"query": RECORD_EVENTS, "variables": {"input": {"events": inputs}}}
        return "/graphql", "events", rows, body


def is_acknowledged(answer: httpx.Response, rows: int) -> bool:
    """Say whether a write was acknowledged, whole; fail unless it was or was refused for now."""
    content: dict[str, Any] = answer.json()
    if "errors" not in content or content.get("success"):
        assert answer.status_code == 200, answer.text
        assert rows == 1 or f'"accepted":{rows}' in answer.text, answer.text
        return True
    assert content["errors"][0]["extensions"]["code"] == "UNAVAILABLE", answer.text
    assert answer.status_code in {200, 503}, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    return False


def await_true(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Return when something is true; fail when it takes too long."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not in {seconds} s: {what}"
        time.sleep(0.01)


def write_for(
    service: Process, seconds: float, dice: random.Random, name: str = "w"
) -> dict[str, SentBatch]:
    """Let four writers write for a while; return what they sent."""
    with Writers(service.port, dice, name) as writers:
        time.sleep(seconds)
    return writers.batches


STREAM_STATS: Final = """
{ ingestion {
  stream received stored duplicates rejected unavailable pending recovered loaded waiting setAside
} }
"""


def assert_counters_balance(service: Process) -> None:
    """Every row that came is accounted for, and every row that was stored (R21)."""
    for account in service.graphql(STREAM_STATS)["ingestion"]:
        outcomes = ("stored", "duplicates", "rejected", "unavailable", "pending")
        assert account["received"] == sum(account[name] for name in outcomes), account
        places = sum(account[name] for name in ("loaded", "waiting", "setAside"))
        assert account["stored"] + account["recovered"] == places, account


def count_rows(service: Process) -> dict[str, int]:
    """Count the rows of each table; both doors must say the same, and the accounts be right."""
    assert_counters_balance(service)
    board = service.http.get("/dashboard").json()
    metrics = service.http.get("/metrics/fault").json().get("count", 0)
    events = service.http.get("/events?event_name=fault&limit=1").json()["total"]
    data = service.graphql(COUNTS_QUERY, range={"last": "1d"}, any=metrics > 0)
    found = {"metrics": metrics, "events": events}
    series = data["metric"]["query"]["series"] if metrics else []
    others = {
        "overview": data["overview"],
        "dashboard": {
            "metricCount": board["total_metrics_tracked"],
            "eventCount": board["total_events_tracked"],
        },
        "series": {
            "metricCount": sum(line["total"]["count"] for line in series),
            "eventCount": events,
        },
    }
    same = {"metricCount": metrics, "eventCount": events}
    assert all(other == same for other in others.values()), f"{same}, but {others}"
    return found


def assert_counts_cover(found: dict[str, int], sent: dict[str, SentBatch]) -> None:
    """At least the acknowledged rows are counted."""
    for table, number in found.items():
        least = acknowledged_rows(sent, table)
        assert number >= least, f"{least} rows of {table} were acknowledged, {number} are there"


def acknowledged_rows(sent: dict[str, SentBatch], *tables: str) -> int:
    """Add up the acknowledged rows, of all tables or of some."""
    answered = [s for s in sent.values() if s.answer == "acknowledged"]
    return sum(s.rows for s in answered if not tables or s.table in tables)


def assert_exactly_once(
    data: Path, sent: dict[str, SentBatch], expected: dict[str, int] | None = None
) -> None:
    """Audit a folder that no service has open."""
    asyncio.run(audit(data, sent, expected))


async def audit(
    data: Path, sent: dict[str, SentBatch], expected: dict[str, int] | None = None
) -> None:
    """Look at every stored row: what was acknowledged is there once, what was refused is not.

    Requests without an answer are there whole or not at all. `expected` is what the doors counted.
    """
    async with open_store(data, replace(LIMITS, result_rows=10**9)) as store:
        found = {table: Counter(await stored_keys(store, table)) for table in ("metrics", "events")}
    rows = found["metrics"] + found["events"]
    batches = Counter(key.partition("/")[0] for key in rows)
    wrong = {
        "twice": sum(times > 1 for times in rows.values()),
        "torn": {key: n for key, n in batches.items() if key in sent and n != sent[key].rows},
        "lost": [k for k, s in sent.items() if s.answer == "acknowledged" and k not in batches],
        "refused": [k for k, s in sent.items() if s.answer == "refused" and k in batches],
        "strange": batches.keys() - sent.keys(),
    }
    answers = Counter(s.answer for s in sent.values())
    print_figure(f"requests {dict(answers)}, rows {acknowledged_rows(sent)}, found {rows.total()}")
    assert not any(wrong.values()), {name: what for name, what in wrong.items() if what}
    if expected is not None:
        totals = {table: counts.total() for table, counts in found.items()}
        assert totals == expected, f"{totals} are stored, {expected} were counted"
