"""Single flight: clients that leave stop only what nobody waits for."""

import asyncio
from collections.abc import Iterator

import pytest
import pytest_asyncio

from tests.harness.flights import Gate, engine_gate, record_rows, request, start_clients
from tests.harness.service import Service


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Put a gate before the engine."""
    with engine_gate() as new_gate:
        yield new_gate


@pytest_asyncio.fixture(scope="module", autouse=True)
async def rows(service: Service) -> None:
    """Record the rows of the requests."""
    await record_rows(service)


@pytest.mark.parametrize("kind", ["GraphQL", "metric"])
async def test_the_first_client_leaves(service: Service, gate: Gate, kind: str) -> None:
    """Its statement is cancelled at once; those who wait have their answer from the next one."""
    first, *waiting_clients = await start_clients(service, gate, kind)
    first.leave()
    await gate.await_statements(2)
    assert gate.cancelled_count == 1
    gate.open()
    assert [await client.task for client in waiting_clients] == [200, 200]
    await first.task


@pytest.mark.parametrize("kind", ["GraphQL", "metric"])
async def test_a_waiting_client_leaves(service: Service, gate: Gate, kind: str) -> None:
    """It has its status at once, and the others have their answer."""
    first, second, third = await start_clients(service, gate, kind)
    second.leave()
    async with asyncio.timeout(10):
        assert await second.task == 499
    assert gate.cancelled_count == 0
    gate.open()
    assert [await first.task, await third.task] == [200, 200]
    assert gate.statement_count == 2


@pytest.mark.parametrize("kind", ["GraphQL", "metric"])
async def test_all_who_wait_leave(service: Service, gate: Gate, kind: str) -> None:
    """An execution for nobody does not begin."""
    first, *waiting_clients = await start_clients(service, gate, kind)
    for client in waiting_clients:
        client.leave()
    assert [await client.task for client in waiting_clients] == [499, 499]
    gate.open()
    assert await first.task == 200
    assert gate.statement_count == 1


@pytest.mark.parametrize("kind", ["GraphQL", "metric"])
async def test_clients_leave_a_shared_execution(service: Service, gate: Gate, kind: str) -> None:
    """A shared execution runs while a client waits, and is cancelled when the last one leaves."""
    first, second, third = await start_clients(service, gate, kind)
    first.leave()
    await gate.await_statements(2)
    second.leave()
    assert await second.task == 499
    await asyncio.sleep(0)
    assert gate.cancelled_count == 1
    third.leave()
    assert await third.task == 499
    async with asyncio.timeout(10):
        while gate.cancelled_count < 2:  # noqa: ASYNC110 - the engine sets no event
            await asyncio.sleep(0.001)
    gate.open()
    await first.task
    assert (await request(service, kind))[0] == 200
