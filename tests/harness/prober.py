"""A prober of `/livez` in a process of its own, and the pauses that a service itself causes.

On a busy machine, the wall clock of an answer has the turns of other processes in it. The kernel
counts what is left: for each thread, how long it ran, and how long it waited for a core. The
pause of one answer is the larger of two times:

- the CPU time of all threads of Python: while one has the GIL, nobody is answered;
- the time of the answer without the waits of these threads, and of the prober, for a core: a main
  thread that sleeps uses no CPU.

Neither is longer than the answer took. Threads of the engine need no GIL, and have other names.
"""

import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple, Self

_PAUSE_SECONDS: Final = 0.001
_REQUEST: Final = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_TIMEOUT_SECONDS: Final = 300.0
_POOLS: Final = ("answers", "asyncio", "documents", "engine", "journal", "python", "reader")
"""Begins of the names of Python's threads; before Python 3.14 all have the name of the program."""


class Probe(NamedTuple):
    """One answer of `/livez`: milliseconds that the service took itself, and by the wall clock."""

    own_ms: float
    wall_ms: float


class Prober:
    """A process that asks `/livez` without end, and keeps the pauses of a service."""

    def __init__(self, port: int, pid: int) -> None:
        """Start to probe a service by its port and its process."""
        self._process = subprocess.Popen(
            (sys.executable, "-S", "-E", __file__, str(port), str(pid)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        """Return the prober."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def take(self) -> list[Probe]:
        """Return the probes since the last call, of which the last one began before this call."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return [Probe(*probe) for probe in json.loads(self._process.stdout.readline())]


class _Clocks(NamedTuple):
    """Nanoseconds that a thread ran, and that it waited for a core."""

    run: int
    wait: int


def _clocks(thread: Path) -> _Clocks:
    run, wait, _ = (thread / "schedstat").read_text().split()
    return _Clocks(int(run), int(wait))


def _python_threads(process: Path) -> dict[str, _Clocks]:
    """Return the clocks of the threads of a process that may hold the GIL."""
    threads = {}
    for thread in (process / "task").iterdir():
        try:
            if (thread / "comm").read_text().startswith(_POOLS):
                threads[thread.name] = _clocks(thread)
        except OSError:  # it has ended
            continue
    return threads


def _probe(connection: socket.socket, process: Path) -> Probe:
    """Ask once."""
    before, prober_before = _python_threads(process), _clocks(Path("/proc/thread-self"))
    began = time.monotonic_ns()
    connection.sendall(_REQUEST)
    if not connection.recv(65_536).startswith(b"HTTP/1.1 200 "):
        raise SystemExit("/livez does not answer 200")
    wall = time.monotonic_ns() - began
    prober_after, after = _clocks(Path("/proc/thread-self")), _python_threads(process)
    start = _Clocks(0, 0)
    run = sum(clocks.run - before.get(name, start).run for name, clocks in after.items())
    wait = sum(clocks.wait - before.get(name, start).wait for name, clocks in after.items())
    asleep = wall - wait - (prober_after.wait - prober_before.wait)
    return Probe(max(min(run, wall), asleep) / 1e6, wall / 1e6)


def main(port: int, pid: int) -> None:
    """Probe until the end; print the probes so far whenever a line comes in."""
    process = Path(f"/proc/{pid}")
    probes: list[Probe] = []
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT_SECONDS) as connection:
        while True:
            probes.append(_probe(connection, process))
            if select.select([0], [], [], _PAUSE_SECONDS)[0] and os.read(0, 1):
                sys.stdout.write(json.dumps(probes) + "\n")
                sys.stdout.flush()
                probes.clear()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
