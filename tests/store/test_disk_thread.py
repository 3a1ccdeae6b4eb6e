"""The thread of a journal: calls run in turn, and each caller gets its result or its error."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from store.journal.disk_thread import DiskThread
from tests.harness.fault_injection import ProcessKilledError


@pytest.fixture
def thread() -> Iterator[DiskThread]:
    """Return a thread that is stopped after the test."""
    disk_thread = DiskThread("journal-test")
    yield disk_thread
    disk_thread.stop()


async def test_calls_run_in_turn(thread: DiskThread) -> None:
    """A hundred calls run in the order of their callers, in one thread of that name."""
    numbers: list[int] = []
    await asyncio.gather(*(thread.run(numbers.append, n) for n in range(100)))
    assert numbers == list(range(100))
    assert (await thread.run(threading.current_thread)).name == "journal-test"


@pytest.mark.parametrize("error", [OSError(5, "broken"), ProcessKilledError()])
async def test_an_error_reaches_its_caller(thread: DiskThread, error: BaseException) -> None:
    """Any error is raised in the caller, and the thread goes on."""

    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        await thread.run(fail)
    assert await thread.run(int, "7") == 7


async def test_a_caller_that_goes_away(thread: DiskThread) -> None:
    """The call of a cancelled caller still runs, and the next caller gets its own result."""
    may_go_on = threading.Event()
    calls: list[int] = []

    def block() -> None:
        may_go_on.wait(30)
        calls.append(1)

    caller = asyncio.create_task(thread.run(block))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    may_go_on.set()
    assert await thread.run(len, calls) == 1


async def test_stop_waits_for_the_calls(thread: DiskThread) -> None:
    """All calls have run when `stop` returns; a later call is refused."""
    calls: list[int] = []
    callers = [asyncio.create_task(thread.run(calls.append, n)) for n in range(3)]
    await asyncio.sleep(0)
    thread.stop()
    assert calls == [0, 1, 2]
    with pytest.raises(RuntimeError):
        await thread.run(calls.append, 3)
    await asyncio.gather(*callers)
    thread.stop()
