"""Services in processes that are forked from a process that has imported the service.

An import of the service takes 2 s of a core, a fork 10 ms, and the suite starts 150 services.
The rest of a start, the signals and the end are those of `python app.py`.
"""

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

_MODULES: Final = (
    "app",
    "tests.harness.forked_service",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
)
_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(list(_MODULES))


class ForkedService:
    """`python app.py` in its own process group. Its methods are those of `subprocess.Popen`."""

    def __init__(self, log: Path, environment: Mapping[str, str], options: Sequence[str]) -> None:
        """Start the service with an environment and options; append its output to `log`."""
        receiver, sender = _FORKS.Pipe(duplex=False)
        with receiver, sender:
            self._process = _FORKS.Process(
                target=_serve, args=(log, dict(environment), options, sender), daemon=True
            )
            self._process.start()
            sender.close()
            with contextlib.suppress(EOFError):  # a signal to the group needs the group
                receiver.recv()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, or the negative number of the signal that ended the process."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code; None while the process runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process, and return its exit code."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("app.py", timeout or 0)
        return code


def _serve(
    log: Path, environment: dict[str, str], options: Sequence[str], sender: Connection
) -> None:
    """Do what `python app.py` does after its imports; send None once the process group exists."""
    os.setsid()
    sender.send(None)
    sender.close()
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(output, stream.fileno())
    sys.argv = ["app.py", *options]
    runpy.run_path("app.py", run_name="__main__")
