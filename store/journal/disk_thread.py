"""A thread for the calls of one journal that wait for the disk."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class _Call(msgspec.Struct):
    function: Callable[..., Any]
    arguments: tuple[object, ...]
    result: asyncio.Future[Any]

    def run(self) -> None:
        """Call the function, and pass its result or its error to the event loop."""
        value, error = None, None
        try:
            value = self.function(*self.arguments)
        except BaseException as exception:  # noqa: BLE001 - the caller gets it
            error = exception
        with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody waits
            self.result.get_loop().call_soon_threadsafe(self._settle, value, error)

    def _settle(self, value: object, error: BaseException | None) -> None:
        if self.result.done():
            return
        if error is None:
            self.result.set_result(value)
        else:
            self.result.set_exception(error)


class DiskThread:
    """A thread that runs calls in turn; it starts with the first one.

    With `ThreadPoolExecutor`, recording one row takes a tenth more CPU.
    """

    def __init__(self, name: str) -> None:
        """Name the thread."""
        self._name = name
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function in the thread; return its result.

        Raises `RuntimeError` if the thread is stopped or can't start.
        """
        if self._is_stopped:
            raise RuntimeError("the thread is stopped")
        if self._thread is None:
            # A daemon: rows that are not written when the process ends were not acknowledged.
            thread = threading.Thread(target=self._run_calls, name=self._name, daemon=True)
            thread.start()
            self._thread = thread
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put(_Call(function, arguments, result))
        return await result

    def stop(self) -> None:
        """Return when all calls have run."""
        self._is_stopped = True
        if self._thread:
            self._calls.put(None)
            self._thread.join()

    def _run_calls(self) -> None:
        while call := self._calls.get():
            call.run()
