"""The prober: it sees every pause that a service causes, and none that other processes cause."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.harness.prober import Prober
from tests.harness.process import Process

PAUSE_MS: Final = 300
IDLE_MS: Final = 50

_PAUSING_SERVICE: Final = """
import signal, sys, threading, time

def spin(*_):
    end = time.thread_time() + 0.3
    while time.thread_time() < end:
        pass

def hold():
    sum(range(30_000_000))  # one call in C, of 0.4 s and more

signal.signal(signal.SIGUSR1, spin)
signal.signal(signal.SIGUSR2, lambda *_: time.sleep(0.3))
signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=hold).start())
import app, server
sys.exit(server.main(sys.argv[1:], app.create_app))
"""
"""A service that pauses at a signal: its main thread spins, or sleeps; a thread has the GIL."""

SIGNALS: Final = {
    "the main thread spins": signal.SIGUSR1,
    "the main thread sleeps": signal.SIGUSR2,
    "a thread has the GIL": signal.SIGHUP,
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Start a service with planted pauses."""
    data: Path = tmp_path_factory.mktemp("prober") / "data"
    with Process(data, (sys.executable, "-c", _PAUSING_SERVICE)) as process:
        process.await_ready()
        time.sleep(1)  # the start has ended
        yield process


@pytest.mark.parametrize("name", SIGNALS)
def test_pauses_are_seen(service: Process, name: str) -> None:
    """A pause of 0.3 s is in the probes beside it, whatever causes it."""
    with Prober(service.port, service.pid) as prober:
        prober.take()
        os.kill(service.pid, SIGNALS[name])
        time.sleep(1.5)
        pauses = [probe.own_ms for probe in prober.take()]
    assert max(pauses) >= 0.8 * PAUSE_MS


def test_other_processes_cause_no_pause(service: Process) -> None:
    """Beside processes that take all cores, the service has no pause of its own."""
    with ExitStack() as stack, Prober(service.port, service.pid) as prober:
        for _ in range(2 * (os.cpu_count() or 1)):
            spinning = subprocess.Popen((sys.executable, "-S", "-c", "while True: pass"))
            stack.callback(spinning.wait)
            stack.callback(spinning.kill)
        prober.take()
        time.sleep(2)
        pauses = sorted(probe.own_ms for probe in prober.take())
    assert pauses[-1 - len(pauses) // 100] <= IDLE_MS
