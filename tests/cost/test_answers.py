"""Answers in bounded memory: bytes and values with each alias, and all answers together."""

import gzip
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from bench.hostile import probe, send
from schema.answer_budget import AnswerBudget, AnswerMemory
from schema.encoding import texts
from schema.errors import AnalyticsError
from schema.limits import ARGUMENT_OBJECTS
from schema.selection import SelectedField
from settings import Settings
from tests.harness.edge import SMALL_MACHINE
from tests.harness.process import Process
from tests.harness.run_profile import print_figure
from tests.harness.service import Service, run_service

ANSWER_BYTES: Final = 15_000
ANSWER_VALUES: Final = 200
HOURS: Final = 100


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def small(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Run a service with small answers, and record some events."""
    data: Path = tmp_path_factory.mktemp("answers")
    limits = {"answerBytes": ANSWER_BYTES, "answerValues": ANSWER_VALUES}
    async with run_service(Settings(data=data, store=data / "store", limits=limits)) as service:
        events = [
            {"event_name": f"e{number}", "properties": {"text": "x" * 200}} for number in range(20)
        ]
        assert (await service.post("/events/batch", events)).status_code == 200
        assert (await service.post("/metrics", {"metric_name": "m", "value": 1})).is_success
        yield service


def repeat(count: int, field: str) -> str:
    """Return a field with as many aliases."""
    return " ".join(f"a{number}: {field}" for number in range(count))


def trend(selection: str) -> str:
    """Query some hours of events."""
    return f'{{eventTrend(range: {{last: "PT{HOURS}H"}}, granularity: HOUR) {{{selection}}}}}'


BYTES: Final = {
    "points": lambda count: trend(f"series {{points {{{repeat(count, 'time')}}}}}"),
    "times": lambda count: trend(repeat(count, "times")),
    "columns": lambda count: trend(f"series {{{repeat(count, 'columns {count}')}}}"),
    "type names": lambda count: trend(f"series {{points {{{repeat(count, '__typename')}}}}}"),
    "nodes": lambda count: f"{{events(first: 20) {{nodes {{{repeat(count, 'properties')}}}}}}}",
    "edges": lambda count: f"{{events(first: 20) {{edges {{{repeat(count, 'cursor')}}}}}}}",
    "lists": lambda count: f"{{{repeat(count, 'events(first: 20) {nodes {properties}}')}}}",
    "texts": lambda count: trend(f"meta {{{repeat(count, 'sql')}}}"),
}
VALUES: Final = {
    "objects": lambda count: f"{{eventTypes {{{repeat(count, 'name')}}}}}",
    "root fields": lambda count: f"{{{repeat(count, 'health {status service}')}}}",
    "nested": lambda count: f"{{viewer {{{repeat(count, 'limits {name}')}}}}}",
}
CASES: Final = [
    *((name, build, ANSWER_BYTES) for name, build in BYTES.items()),
    *((name, build, ANSWER_VALUES) for name, build in VALUES.items()),
]


@pytest.mark.parametrize(("name", "build", "limit"), CASES)
async def test_aliases_count(small: Service, name: str, build: Any, limit: int) -> None:
    """One field is answered; with many aliases it is refused, and the error has the limit."""
    single = await small.post("/graphql", {"query": build(1)})
    assert "errors" not in single.json(), name
    headers = {"accept": "application/graphql-response+json"}
    tenfold = await small.post("/graphql", {"query": build(90)}, **headers)
    assert tenfold.status_code == 422, name
    (error,) = tenfold.json()["errors"]
    assert "data" not in tenfold.json()
    assert error["extensions"] == {"code": "QUERY_TOO_EXPENSIVE", "limit": limit}
    assert len(tenfold.content) < 500
    assert small.context.store.answers._held_bytes == 0


@given(st.lists(st.text("abc", min_size=1), min_size=1), st.integers(0, 50))
def test_texts_spend_their_bytes(keys: list[str], count: int) -> None:
    """The budget counts an encoded text to the byte, but for the marks around an object."""
    fields = [SelectedField(key, "value", {}, (), "T") for key in keys]
    fields.append(SelectedField("type", "__typename", {}, (), "TypeName"))
    budget = AnswerBudget(AnswerMemory(2**40, 2**40, 10), ARGUMENT_OBJECTS)
    text = texts(fields, lambda _: [b"%d" % number for number in range(count)], count, budget)
    assert abs(budget._bytes - len(text)) <= 4 * count


async def test_a_sent_answer_gives_its_memory_back(small: Service) -> None:
    """An answer of megabytes holds memory until it is sent, over GraphQL and over REST."""
    held_bytes: list[int] = []
    memory = small.context.store.answers
    hold = memory.hold

    def note(size: int) -> None:
        hold(size)
        held_bytes.append(memory._held_bytes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "hold", note)
        patch.setattr(memory, "answer_bytes", 2**25)
        query = '{eventTrend(range: {last: "PT9999H"}, granularity: HOUR, maxPoints: 10000) {%s}}'
        await small.graphql(query % repeat(20, "times"))
        event = {"event_name": "e", "properties": {"t": "x" * 9000}}
        await small.post("/events/batch", [event] * 400)
        await small.http.get("/events?limit=400")
    assert len(held_bytes) >= 2
    assert min(held_bytes) > 2**20
    assert memory._held_bytes == 0


def test_all_answers_share_memory() -> None:
    """Answers take memory of all answers, and give it back; without memory one is unavailable."""
    memory = AnswerMemory(10 * 2**20, 8 * 2**20, 10)
    first, second = AnswerBudget(memory, ARGUMENT_OBJECTS), AnswerBudget(memory, ARGUMENT_OBJECTS)
    first.spend_bytes(6 * 2**20)
    with pytest.raises(AnalyticsError, match="at once") as refusal:
        second.spend_bytes(6 * 2**20)
    assert (refusal.value.code, refusal.value.retry_after) == ("UNAVAILABLE", 1)
    assert second.error is refusal.value
    first.release()
    third = AnswerBudget(memory, ARGUMENT_OBJECTS)
    third.spend_bytes(6 * 2**20)
    third.release()
    second.release()
    assert memory._held_bytes == 0


def test_large_answers_on_a_small_machine(tmp_path: Path) -> None:
    """Eight clients with 4 KB of aliases leave a machine of 1 GiB its memory, and others a turn."""
    times = " ".join(f"t{number}:time" for number in range(80))
    query = (
        '{eventTrend(range:{last:"PT10999H"},granularity:HOUR,maxPoints:11000)'
        f"{{series{{points{{{times}}}}}}}}}"
    )
    body = gzip.compress(json.dumps({"query": query}).encode())
    statuses: list[int] = []
    with Process(tmp_path / "data", SMALL_MACHINE) as service:
        service.await_ready()

        def ask() -> None:
            statuses.extend(send(service.port, body)[0] for _ in range(3))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        with probe(service.port) as waits:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        status = Path(f"/proc/{service.pid}/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
        print_figure(f"peak {peak / 2**20:.0f} MiB, longest wait {max(waits):.0f} ms, {statuses}")
        assert set(statuses) <= {200, 503}
        assert 200 in statuses
        assert peak < 2**30
        service.stop()
