"""Clients that write during faults, and the check of their answers against the stored rows."""

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

from tests.faults.writes import WRITE_KINDS, WRONG_ROWS, WrongRow, make_write
from tests.harness.process import Process, is_free
from tests.harness.run_profile import print_figure
from tests.harness.stores import LIMITS, open_store, stored_keys

_TLS: Final = ssl.create_default_context()  # to make one for each client takes 20 ms
JSON: Final = {"content-type": "application/json"}
COUNTS_QUERY: Final = """
query ($range: TimeRangeInput!, $any: Boolean!) {
  overview { metricCount eventCount }
  metric(name: "fault") @include(if: $any) {
    query(range: $range) { series { total { count } } }
  }
}
"""
SIZES: Final = (2, 10, 10, 50, 2000)


@dataclass(slots=True)
class SentBatch:
    """A request and its answer, if any; its rows have the keys `<key>/<number>`."""

    table: str
    rows: int
    answer: Literal["none", "acknowledged", "unavailable"] = "none"
    seconds: float = 0.0


@dataclass(slots=True)
class Writers:
    """Threads that write single rows and batches, on both APIs.

    They write during the `with` block, while the port has a listener. Each 503 must have
    Retry-After.
    """

    port: int
    dice: random.Random
    name: str = "w"
    threads: int = 4
    sizes: tuple[int, ...] = SIZES
    kinds: tuple[str, ...] = WRITE_KINDS
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
        """Return the number of requests with this answer."""
        return sum(batch.answer == answer for batch in list(self.batches.values()))

    def await_answers(self, answer: str, number: int, seconds: float = 30) -> None:
        """Return when `number` more requests have this answer."""
        target = self.answer_count(answer) + number
        await_true(lambda: self.answer_count(answer) >= target, seconds, f"{number} {answer}")

    def _run_writer(self, name: str, dice: random.Random) -> None:
        try:
            self._write(name, dice)
        except Exception as error:  # noqa: BLE001 - the test thread raises it
            self._problems.append(repr(error))

    def _write(self, name: str, dice: random.Random) -> None:
        url = f"http://127.0.0.1:{self.port}"
        with httpx.Client(base_url=url, trust_env=False, timeout=60, verify=_TLS) as http:
            for number in count():
                if self._is_over.is_set():
                    return
                key = f"{name}-{number}"
                kind = dice.choice(self.kinds)
                rows = 1 if kind in {"metric", "event"} else dice.choice(self.sizes)
                write = make_write(key, kind, rows, dice)
                batch = self.batches[key] = SentBatch(write.table, rows)
                began = time.monotonic()
                try:
                    answer = http.post(write.path, content=write.body, headers=JSON)
                except httpx.TransportError:
                    if is_free(self.port):
                        return
                    continue
                batch.seconds = time.monotonic() - began
                batch.answer = "acknowledged" if is_acknowledged(answer, rows) else "unavailable"
                if batch.answer == "unavailable":
                    time.sleep(self.pause)


def is_acknowledged(answer: httpx.Response, rows: int) -> bool:
    """Say whether a write was acknowledged; fail unless it was that or unavailable, as a whole."""
    content: dict[str, Any] = answer.json()
    if "errors" not in content or content.get("success"):
        assert answer.status_code == 200, answer.text
        assert rows == 1 or f'"accepted":{rows}' in answer.text, answer.text
        return True
    assert content["errors"][0]["extensions"]["code"] == "UNAVAILABLE", answer.text
    assert answer.status_code in {200, 503}, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    return False


def await_true(condition: Callable[[], object], seconds: float, description: str) -> None:
    """Return when a condition is true; fail after some seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {description}"
        time.sleep(0.01)


STREAM_STATS: Final = """
{ ingestion {
  stream received stored duplicates rejected unavailable pending recovered loaded waiting setAside
} }
"""


def assert_counters_balance(service: Process) -> None:
    """Check that each received row has one outcome, and each stored row one place."""
    for stream in service.graphql(STREAM_STATS)["ingestion"]:
        outcomes = ("stored", "duplicates", "rejected", "unavailable", "pending")
        assert stream["received"] == sum(stream[name] for name in outcomes), stream
        places = sum(stream[name] for name in ("loaded", "waiting", "setAside"))
        assert stream["stored"] + stream["recovered"] == places, stream


def count_rows(service: Process) -> dict[str, int]:
    """Count the rows of each table; check that both APIs agree and row counters add up."""
    assert_counters_balance(service)
    dashboard = service.http.get("/dashboard").json()
    metrics = service.http.get("/metrics/fault").json().get("count", 0)
    events = service.http.get("/events?event_name=fault&limit=1").json()["total"]
    data = service.graphql(COUNTS_QUERY, range={"last": "1d"}, any=metrics > 0)
    counts = {"metrics": metrics, "events": events}
    series = data["metric"]["query"]["series"] if metrics else []
    answers = {
        "overview": data["overview"],
        "dashboard": {
            "metricCount": dashboard["total_metrics_tracked"],
            "eventCount": dashboard["total_events_tracked"],
        },
        "series": {
            "metricCount": sum(result["total"]["count"] for result in series),
            "eventCount": events,
        },
    }
    expected = {"metricCount": metrics, "eventCount": events}
    assert all(actual == expected for actual in answers.values()), f"{expected}, but {answers}"
    return counts


def assert_counts_cover(counts: dict[str, int], batches: dict[str, SentBatch]) -> None:
    """Check that the counts include all acknowledged rows."""
    for table, number in counts.items():
        minimum = acknowledged_rows(batches, table)
        assert number >= minimum, f"{minimum} rows of {table} were acknowledged, {number} are there"


def acknowledged_rows(batches: dict[str, SentBatch], *tables: str) -> int:
    """Add up the acknowledged rows of the tables, or of all tables."""
    acknowledged_batches = [batch for batch in batches.values() if batch.answer == "acknowledged"]
    return sum(batch.rows for batch in acknowledged_batches if not tables or batch.table in tables)


def assert_exactly_once(
    data: Path, batches: dict[str, SentBatch], expected: dict[str, int] | None = None
) -> None:
    """Audit the rows of a folder that no service has open."""
    asyncio.run(audit_rows(data, batches, expected))


async def audit_rows(
    data: Path, batches: dict[str, SentBatch], expected: dict[str, int] | None = None
) -> None:
    """Check that acknowledged rows are stored once and unavailable rows are not stored.

    A request without an answer is stored whole or not at all. `expected` are the APIs' counts.
    """
    async with open_store(data, replace(LIMITS, result_rows=10**9)) as store:
        key_counts = {
            table: Counter(await stored_keys(store, table)) for table in ("metrics", "events")
        }
        wrong_rows = [
            row for query in WRONG_ROWS.values() for row in await store.select(query, WrongRow)
        ]
    rows = key_counts["metrics"] + key_counts["events"]
    batch_counts = Counter(key.partition("/")[0] for key in rows)
    problems = {
        "wrong": wrong_rows[:5],
        "twice": sum(count > 1 for count in rows.values()),
        "torn": {
            key: n for key, n in batch_counts.items() if key in batches and n != batches[key].rows
        },
        "lost": [
            key
            for key, batch in batches.items()
            if batch.answer == "acknowledged" and key not in batch_counts
        ],
        "unavailable": [
            key
            for key, batch in batches.items()
            if batch.answer == "unavailable" and key in batch_counts
        ],
        "strange": batch_counts.keys() - batches.keys(),
    }
    answers = Counter(batch.answer for batch in batches.values())
    print_figure(
        f"requests {dict(answers)}, rows {acknowledged_rows(batches)}, found {rows.total()}"
    )
    assert not any(problems.values()), {
        name: problem for name, problem in problems.items() if problem
    }
    if expected is not None:
        totals = {table: counts.total() for table, counts in key_counts.items()}
        assert totals == expected, f"{totals} are stored, {expected} were counted"
