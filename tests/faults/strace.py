"""Slow and failing system calls of a running service, by strace."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.harness.process import Process

STRACE: Final = shutil.which("strace")
needs_strace: Final = pytest.mark.skipif(
    STRACE is None and "CI" not in os.environ,
    reason="strace is not installed (apt-get install strace); in CI this is a failure",
)


@contextlib.contextmanager
def inject_faults(service: Process, *faults: str) -> Iterator[None]:
    """Inject faults into the system calls of every thread, as `fdatasync:error=EIO`.

    The syntax is strace's; its `when` counts the calls of each thread.
    """
    calls = ",".join(fault.partition(":")[0] for fault in faults)
    rules = [part for fault in faults for part in ("-e", f"inject={fault}")]
    strace = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", *rules)
    with subprocess.Popen((*strace, "-p", str(service.pid))) as tracer:
        try:
            while not _is_traced(service):
                assert tracer.poll() is None, "strace could not attach"
                time.sleep(0.01)
            yield
        finally:
            tracer.send_signal(signal.SIGINT)  # it detaches; the service goes on


def _is_traced(service: Process) -> bool:
    """Say whether every thread of the service has a tracer."""
    for task in Path(f"/proc/{service.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            if "TracerPid:\t0\n" in (task / "status").read_text():
                return False
    return True
