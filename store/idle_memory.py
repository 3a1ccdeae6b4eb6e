"""Memory of freed objects, which goes back to the system when the service is idle after a peak.

glibc keeps memory between objects that are still in use: some tens of MB, 120 after large bodies
that were decoded in a thread. The engine has an allocator of its own, which gives memory back by
itself.
"""

import asyncio
import ctypes
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_LOG: Final = logging.getLogger("analytics")
_STATM: Final = Path("/proc/self/statm")

_LOOK_SECONDS: Final = 1.0
_BUSY_SHARE: Final = 0.25
"""Share of one core, in one look, from which a second has left memory to give back."""

_IDLE_SHARE: Final = 0.1
"""Share of one core below which the service is idle: probes of its health and merges take less."""

_IDLE_LOOKS: Final = 5
_MIB: Final = 2**20


class IdleMemory:
    """Gives memory back once after each busy time, when the process has been idle for 5 s."""

    def __init__(
        self,
        trim: Callable[[], object] | None = None,
        cpu_clock: Callable[[], float] = time.process_time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin idle. `cpu_clock` counts the CPU seconds of all threads."""
        self._trim = trim or _glibc_trim()
        self._cpu_clock = cpu_clock
        self._clock = clock
        self._cpu_seconds = cpu_clock()
        self._moment = clock()
        self._was_busy = False
        self._idle_looks = 0

    async def run(self) -> None:
        """Look every second, for ever; give memory back in a thread when it is time."""
        if self._trim is None:
            return
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self.is_due():
                before = _resident_bytes()
                await asyncio.to_thread(self._trim)
                freed_bytes = before - _resident_bytes()
                if freed_bytes >= _MIB:
                    _LOG.info("gave memory back", extra={"mib": freed_bytes // _MIB})

    def is_due(self) -> bool:
        """Say whether to give memory back now; to be called once a second."""
        cpu_seconds, moment = self._cpu_clock(), self._clock()
        share = (cpu_seconds - self._cpu_seconds) / max(moment - self._moment, _LOOK_SECONDS)
        self._cpu_seconds, self._moment = cpu_seconds, moment
        self._was_busy |= share >= _BUSY_SHARE
        self._idle_looks = self._idle_looks + 1 if share < _IDLE_SHARE else 0
        if not self._was_busy or self._idle_looks < _IDLE_LOOKS:
            return False
        self._was_busy = False
        return True


def _glibc_trim() -> Callable[[], object] | None:
    """Return the function that gives memory back; None with another C library.

    It takes 0.1 ms for a MB, and lets go of the GIL. Threads that need memory of the same arena
    wait for it.
    """
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    return lambda: malloc_trim(0)


def _resident_bytes() -> int:
    """Return the memory of the process; 0 on systems without /proc."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
