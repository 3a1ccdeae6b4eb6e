"""Processes under test: their start, memory, suspension and stop."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.client import CheckError, Client, get

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"

_READY_TIMEOUT_SECONDS = 60
_STOP_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Program:
    """The command of a program, and the path and the status that show that it is ready.

    In the command and the variables, ``{port}`` and ``{folder}`` are placeholders.
    """

    name: str
    command: tuple[str, ...]
    ready_path: str
    ready_status: int
    variables: Mapping[str, str] = field(default_factory=dict)


SERVICE = Program("service", (sys.executable, "app.py"), "/readyz", 200)

_UVICORN_OPTIONS = (
    *("--host", HOST, "--port", "{port}", "--loop", "uvloop", "--http", "httptools"),
    *("--no-access-log", "--no-server-header", "--no-proxy-headers", "--log-level", "warning"),
)

# These two have only two POST paths: the first status 404 shows that they are ready.
NAIVE = Program(
    "naive",
    (sys.executable, "-m", "uvicorn", "bench.naive:app", *_UVICORN_OPTIONS),
    "/readyz",
    404,
)
RAW = Program(
    "raw ASGI",
    (sys.executable, "-m", "uvicorn", "bench.raw:app", *_UVICORN_OPTIONS),
    "/readyz",
    404,
)

INSTRUMENTED_SERVICE = Program(
    "instrumented service",
    (sys.executable, "-m", "uvicorn", "bench.instrumented_app:app", *_UVICORN_OPTIONS),
    "/readyz",
    200,
)


class Service:
    """A running process of a program, with its own data folder and log file."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.name = program.name
        self.port = _free_port()
        self.log = folder.with_name(f"{folder.name}.log")
        folder.mkdir(parents=True, exist_ok=True)
        command = [part.format(port=self.port, folder=folder) for part in program.command]
        variables = {
            name: value.format(port=self.port, folder=folder)
            for name, value in program.variables.items()
        }
        began = time.perf_counter()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**_environment(self.port, folder), **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready(program)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self.seconds_to_start = time.perf_counter() - began
        """Seconds from the start of the process to the first response that shows it is ready."""

    @property
    def pid(self) -> int:
        return self._process.pid

    def _wait_until_ready(self, program: Program) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_SECONDS
        outcome = "no response"
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                problem = f"{self.name} ended with {self._process.returncode} before it was ready"
                raise CheckError(f"{problem}\n{self.log_tail()}")
            try:
                with Client(self.port, timeout=5) as client:
                    status, _ = client.send(get(program.ready_path))
            except OSError as error:
                outcome = str(error)
            else:
                if status == program.ready_status:
                    return
                outcome = f"status {status}"
            time.sleep(0.005)
        raise CheckError(
            f"{self.name} was not ready after {_READY_TIMEOUT_SECONDS} s "
            f"(GET {program.ready_path}: {outcome})\n{self.log_tail()}"
        )

    def log_tail(self, lines: int = 20) -> str:
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"-- last lines of the log of {self.name} --", *text])

    def resident_mib(self) -> float | None:
        """Return the resident memory of the process and its children in MiB (Linux only)."""
        try:
            return sum(map(_resident_kib, _family(self.pid))) / 1024
        except OSError:
            return None

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Suspend the process for the block, so that its background work disturbs no other turn.

        The process catches up on this work in its own turn.
        """
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL after 30 s; fail unless the process ended cleanly."""
        exit_code = self._process.poll()
        if exit_code is not None:
            raise CheckError(f"{self.name} ended by itself with {exit_code}\n{self.log_tail()}")
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            status = None
        if status not in {0, -signal.SIGTERM, 128 + signal.SIGTERM}:
            outcome = "had to be killed" if status is None else f"ended with {status}"
            raise CheckError(f"{self.name} {outcome} after SIGTERM\n{self.log_tail()}")


@contextmanager
def run_program(program: Program, folder: Path) -> Iterator[Service]:
    """Start a program; stop it at the end of the block."""
    service = Service(program, folder)
    try:
        yield service
    finally:
        service.stop()


def _environment(port: int, folder: Path) -> dict[str, str]:
    """Return the environment of a program, with no setting except address and data folder."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("ANALYTICS_")}
    return {**variables, "HOST": HOST, "PORT": str(port), "ANALYTICS_DATA": str(folder)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _family(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        file = task / "children"
        if file.exists():
            children.extend(map(int, file.read_text().split()))
    return [pid, *(descendant for child in children for descendant in _family(child))]


def _resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0
