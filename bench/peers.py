"""The peers: databases packaged by Debian, for comparison with this service.

Each peer runs with its default settings, on a free port, in its own folder.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from bench.client import CheckError
from bench.service import HOST, Program, Service, run_program
from bench.workspace import Workspace

VICTORIA = "victoria-metrics"
INFLUX = "influxd"

PACKAGES = {VICTORIA: "victoria-metrics", INFLUX: "influxdb"}
NAMES = {VICTORIA: "VictoriaMetrics", INFLUX: "InfluxDB"}

_DATABASE = "bench"
_TIMEOUT = 120

_PROGRAMS = (
    Program(
        VICTORIA,
        (VICTORIA, "-storageDataPath={folder}", f"-httpListenAddr={HOST}:{{port}}"),
        "/health",
        200,
    ),
    Program(
        INFLUX,
        (INFLUX, "run", "-config", "/dev/null"),
        "/ping",
        204,
        {
            "INFLUXDB_BIND_ADDRESS": f"{HOST}:0",
            "INFLUXDB_HTTP_BIND_ADDRESS": f"{HOST}:{{port}}",
            "INFLUXDB_HTTP_LOG_ENABLED": "false",
            "INFLUXDB_META_DIR": "{folder}/meta",
            "INFLUXDB_DATA_DIR": "{folder}/data",
            "INFLUXDB_DATA_WAL_DIR": "{folder}/wal",
            "INFLUXDB_MONITOR_STORE_ENABLED": "false",
            "INFLUXDB_REPORTING_DISABLED": "true",
        },
    ),
)


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer, with its running service if it is installed."""

    program: str
    service: Service | None = None

    @property
    def name(self) -> str:
        """The name, with the version if the package manager of Debian knows it."""
        version = _version(PACKAGES[self.program]) if self.service else ""
        return f"{NAMES[self.program]} {version}".rstrip()

    def count(self, metric: str) -> int:
        """Return the number of points of a metric in the peer."""
        if self.service is None:
            return 0
        count_points = _count_in_victoria if self.program == VICTORIA else _count_in_influx
        return count_points(self.service.port, metric)


WRITE_PATH = f"/write?{urlencode({'db': _DATABASE, 'precision': 'ms'})}"
"""Path of both peers for line protocol."""

IMPORT_PATH = "/api/v1/import"
"""Path of VictoriaMetrics for JSON lines."""


@contextmanager
def run_peers(space: Workspace) -> Iterator[list[Peer]]:
    """Start the installed peers, and stop them at the end of the block."""
    with ExitStack() as stack:
        peers = []
        for program in _PROGRAMS:
            service = None
            if shutil.which(program.name):
                service = stack.enter_context(run_program(program, space.new_folder(program.name)))
                if program.name == INFLUX:
                    _post(service.port, "/query", q=f"CREATE DATABASE {_DATABASE}")
            peers.append(Peer(program.name, service))
        yield peers


def _count_in_victoria(port: int, metric: str) -> int:
    """Count the points as of one hour from now.

    As of now, VictoriaMetrics omits the newest points.
    """
    _post(port, "/internal/force_flush")
    query = f"sum(count_over_time({metric}[1d]))"
    as_of = str(int(time.time()) + 3600)
    response = json.loads(_post(port, "/api/v1/query", query=query, nocache="1", time=as_of))
    results: list[dict[str, Any]] = response["data"]["result"]
    return int(results[0]["value"][1]) if results else 0


def _count_in_influx(port: int, metric: str) -> int:
    query = f'SELECT count("value") FROM "{metric}"'  # noqa: S608  (the metric is a constant of the benchmark)
    response = json.loads(_post(port, "/query", db=_DATABASE, q=query))
    series: list[dict[str, Any]] = response["results"][0].get("series", [])
    return int(series[0]["values"][0][1]) if series else 0


def _post(port: int, path: str, **fields: str) -> bytes:
    form = urlencode(fields, quote_via=quote).encode()
    request = Request(f"http://{HOST}:{port}{path}", form, method="POST")
    try:
        with urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            content: bytes = response.read()
    except OSError as error:
        raise CheckError(f"POST {path} on port {port}: {error}") from error
    return content


def _version(package: str) -> str:
    """Return the version of an installed package, without the suffix of Debian."""
    dpkg = shutil.which("dpkg-query")
    if dpkg is None:
        return ""
    command = [dpkg, "--show", "--showformat=${Version}", package]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    return process.stdout.split("+")[0].split("~")[0] if process.returncode == 0 else ""
