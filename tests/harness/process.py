"""A service in a process of its own, for tests of how it starts, crashes and stops."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import httpx
import msgspec

from tests.harness.forked_service import ForkedService

ROOT: Final = Path(__file__).resolve().parent.parent.parent
SERVE: Final = (sys.executable, "app.py")

# A shell's background jobs and their children ignore Ctrl+C until they reset its handler.
_INTERRUPTIBLE: Final = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""
INTERRUPTIBLE: Final = (sys.executable, "-c", _INTERRUPTIBLE)

_ASK_AGAIN_SECONDS: Final = 0.005


def free_port() -> int:
    """Return a port without a listener."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Say whether a port has no listener."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Process:
    """A running command in its own process group, and a client of its port.

    Its output goes to the file `log`, next to the data folder. The end of a `with` block
    kills the rest of the group.
    """

    def __init__(
        self,
        data: Path,
        command: Sequence[str] = (),
        *,
        port: int | None = None,
        folder: Path = ROOT,
        settings: Mapping[str, str] = MappingProxyType({}),
        options: Sequence[str] = (),
    ) -> None:
        """Start a command in `folder`, on `data` and a free port, with more settings.

        Without a command it is `python app.py` with options, forked instead of executed.
        """
        self.port = port or free_port()
        self.log = data.with_name(f"{data.name}.log")
        environment = {
            key: val for key, val in os.environ.items() if not key.startswith("ANALYTICS")
        }
        own_settings = {"PORT": str(self.port), "HOST": "127.0.0.1", "ANALYTICS_DATA": str(data)}
        self._began = time.monotonic()
        environment |= own_settings | dict(settings)
        self._popen: subprocess.Popen[bytes] | ForkedService
        if command:
            self._popen = self._execute(command, folder, environment)
        else:
            self._popen = ForkedService(self.log, environment, options)
        self.pid = self._popen.pid
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False
        )

    def _execute(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        """Return the process, which may not be ready yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the process group and close the client."""
        self.kill()
        self.http.close()

    def await_ready(self, seconds: float = 60) -> float:
        """Return when `/readyz` answers 200; return the seconds since the start."""
        while time.monotonic() < self._began + seconds:
            assert self._popen.poll() is None, (
                f"ended with {self._popen.returncode}: {self.output()}"
            )
            with contextlib.suppress(httpx.TransportError):
                if self.http.get("/readyz").status_code == 200:
                    return time.monotonic() - self._began
            time.sleep(_ASK_AGAIN_SECONDS)
        raise AssertionError(f"not ready in {seconds} s: {self.output()}")

    def post(self, path: str, body: object) -> httpx.Response:
        """POST a body: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {"content-type": "application/json"}
        return self.http.post(path, content=content, headers=headers)

    def graphql(self, query: str, **variables: object) -> dict[str, Any]:
        """Run a GraphQL operation; return the data of an answer without errors."""
        answer = self.post("/graphql", {"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the process, or to its group as a terminal does."""
        (os.killpg if group else os.kill)(self.pid, number)

    def kill(self) -> None:
        """Kill the whole group at once (-9), as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()

    def wait(self, seconds: float = 60) -> int:
        """Wait for the process to end by itself; return its exit code."""
        return self._popen.wait(seconds)

    def stop(self) -> int:
        """Stop the process as a service manager does (SIGTERM); return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def output(self) -> str:
        """Return the output so far."""
        return self.log.read_text(errors="replace")

    def group_commands(self) -> list[str]:
        """List the command lines of the live processes of its group."""
        commands = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.pid and state != "Z":
                    commands.append(stat.with_name("cmdline").read_text().replace("\0", " "))
        return commands

    def await_group_end(self, seconds: float = 60) -> None:
        """Return when its process group has ended."""
        deadline = time.monotonic() + seconds
        while alive := self.group_commands():
            assert time.monotonic() < deadline, alive
            time.sleep(_ASK_AGAIN_SECONDS)

    def await_output(self, text: str, seconds: float = 60) -> None:
        """Return when its output contains a text."""
        deadline = time.monotonic() + seconds
        while text not in self.output():
            assert time.monotonic() < deadline, f"{text!r} is not in {self.output()}"
            time.sleep(_ASK_AGAIN_SECONDS)

    def log_records(self) -> list[dict[str, Any]]:
        """Return the records of its output; fail if a line is no JSON object."""
        return [msgspec.json.decode(line, type=dict[str, Any]) for line in self.output_lines()]

    def output_lines(self) -> list[str]:
        """Return the lines of its output."""
        return self.output().splitlines()
