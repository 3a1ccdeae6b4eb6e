"""All channels of the service: a look at each of them every second, and their running tasks."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Final

from api.subscriptions.hub import Hub

_TICK_SECONDS: Final = 1
_STOP_SECONDS: Final = 5
"""Seconds that executions have to finish when the service stops."""


class ClockedChannel(ABC):
    """A channel that is looked at once a second."""

    @abstractmethod
    def tick(self) -> None:
        """End the channel if its caller may use it no longer."""


class Channels:
    """The open channels. One task looks at all of them: a timer each would cost more."""

    def __init__(self, hub: Hub) -> None:
        """Have no channels; their subscriptions are the hub's."""
        self.hub: Final = hub
        self._channels: set[ClockedChannel] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._clock: asyncio.Task[None] | None = None

    def add(self, channel: ClockedChannel) -> None:
        """Look at a channel from now on."""
        self._channels.add(channel)
        if self._clock is None:
            self._clock = asyncio.create_task(self._run())

    def discard(self, channel: ClockedChannel) -> None:
        """Forget a channel."""
        self._channels.discard(channel)

    def run(self, work: Coroutine[None, None, None]) -> None:
        """Run the work of an operation beside the others."""
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the event loop has no strong reference
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Let executions finish, and look at no channel any more."""
        if self._clock:
            self._clock.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
        for task in self._tasks:
            task.cancel()

    async def _run(self) -> None:
        try:
            while self._channels:
                await asyncio.sleep(_TICK_SECONDS)
                for channel in tuple(self._channels):
                    channel.tick()
        finally:
            self._clock = None
