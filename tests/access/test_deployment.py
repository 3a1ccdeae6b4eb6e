"""The deployment on the open internet of docs/security.md: run as written, behind a real nginx."""

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import msgspec
import pytest

from tests.harness.access import bearer
from tests.harness.process import ROOT, free_port
from tests.harness.sockets import OVERVIEW, frame, handshake

needs_nginx: Final = pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("openssl")) and "CI" not in os.environ,
    reason="nginx is not installed (apt-get install nginx-light); in CI this is a failure",
)
TEXT: Final = (ROOT / "docs" / "security.md").read_text()
SECTION: Final = TEXT.partition("## On the open internet\n")[2].partition("\n## ")[0]
START, KEYS = re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL)
(SERVER,) = re.findall(r"```nginx\n(.*?)```", SECTION, re.DOTALL)
HOST: Final = "analytics.example"


@contextlib.contextmanager
def run_beside(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run a command and all that it starts, during a block."""
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def script(folder: Path, tls_port: int) -> str:
    """Return the documented commands as a script: it starts the service, then makes the keys."""
    curl = (
        f"curl -sS --fail-with-body --retry 40 --retry-delay 1 --retry-connrefused"
        f" --connect-to {HOST}:443:127.0.0.1:{tls_port} --cacert {folder / 'analytics.pem'} "
    )
    start = START.rstrip() + " &\n"
    ready = f"until {curl} https://{HOST}/readyz; do sleep 0.1; done\n"
    commands = KEYS.replace("curl ", curl)
    return f"set -e\n{start}{ready}echo\n{commands}echo\necho $ADMIN_KEY\necho finished\nwait\n"


def nginx_command(folder: Path, tls_port: int, service_port: int) -> list[str]:
    """Write a certificate and the documented configuration; return the command of nginx."""
    certificate, key = folder / "analytics.pem", folder / "analytics.key"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={HOST}"]
    request += ["-addext", f"subjectAltName=DNS:{HOST}", "-out", str(certificate)]
    subprocess.run([*request, "-keyout", str(key)], check=True, capture_output=True)
    server = SERVER.replace("443", f"127.0.0.1:{tls_port}").replace("3011", str(service_port))
    server = server.replace("/etc/ssl/analytics", str(folder / "analytics"))
    paths = "".join(
        f"{kind}_temp_path {folder / kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off;\nuser root;\npid {folder / 'nginx.pid'};\nerror_log {folder / 'error.log'};\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{paths}{server}}}\n"
    )
    return ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(configuration)]


def output_lines(folder: Path) -> list[str]:
    """Return the lines of the script, when it has run all commands."""
    deadline = time.monotonic() + 60
    while "finished" not in (lines := (folder / "output").read_text().splitlines()):
        assert time.monotonic() < deadline, lines
        time.sleep(0.05)
    return lines


@needs_nginx
def test_deployment(tmp_path: Path) -> None:
    """The commands work as written. The service is reached by its name only, and with a key.

    The clients of the proxy have limits of their own, and the largest batch passes it.
    """
    service_port, tls_port = free_port(), free_port()
    program = tmp_path / "analytics-service"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "{ROOT}/app.py" "$@"\n')
    program.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PORT": str(service_port),
        "ANALYTICS_LIMITS": "addressRowsPerSecond=1",
    }
    server = nginx_command(tmp_path, tls_port, service_port)
    with (
        run_beside(server, tmp_path, environment),
        run_beside(["bash", "-c", script(tmp_path, tls_port)], tmp_path, environment),
    ):
        lines = output_lines(tmp_path)
        kinds = ("sk_", "pk_", "admin_")
        secrets = {line.partition("_")[0]: line for line in lines if line.startswith(kinds)}
        assert '{"metrics":[],"count":0}' in lines
        check_service(tmp_path, f"https://127.0.0.1:{tls_port}", secrets)
        check_socket(tmp_path, tls_port, secrets["sk"])


def check_service(folder: Path, base: str, secrets: dict[str, str]) -> None:
    """Check hosts, keys, sizes and limits of a service behind a proxy."""
    context = ssl.create_default_context(cafile=str(folder / "analytics.pem"))
    with httpx.Client(base_url=base, verify=context, headers={"host": HOST}) as http:

        def post(path: str, body: bytes, secret: str, **headers: str) -> httpx.Response:
            json = {"content-type": "application/json", **bearer(secret), **headers}
            return http.post(path, content=body, headers=json, extensions={"sni_hostname": HOST})

        def get(path: str, **headers: str) -> httpx.Response:
            return http.get(path, headers=headers, extensions={"sni_hostname": HOST})

        assert get("/metrics").status_code == 401
        assert get("/metrics", **bearer(secrets["admin"])).status_code == 200
        assert get("/metrics", host="evil.example", **bearer(secrets["admin"])).status_code == 400
        batch = b'{"metric_name":"m","value":1,"tags":{"t":"%s"}}' % (b"x" * 200)
        body = b"\n".join([batch] * 50_000)
        assert len(body) > 12_000_000
        answer = post("/metrics/batch", body, secrets["sk"])
        assert (answer.status_code, answer.json()["accepted"]) == (200, 50_000)
        # To the service this machine is a proxy, so it may speak for two visitors.
        page = {"origin": "https://www.example", "x-forwarded-for": "203.0.113.9"}
        statuses = [post("/metrics", batch, secrets["pk"], **page).status_code for _ in range(70)]
        assert set(statuses) == {200, 429}
        page["x-forwarded-for"] = "203.0.113.10"
        assert post("/metrics", batch, secrets["pk"], **page).status_code == 200


def check_socket(folder: Path, tls_port: int, secret: str) -> None:
    """Subscribe over a WebSocket through the proxy."""
    context = ssl.create_default_context(cafile=str(folder / "analytics.pem"))
    with (
        socket.create_connection(("127.0.0.1", tls_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as connection,
    ):
        connection.sendall(handshake(headers={"Host": HOST}))
        assert connection.recv(4096).startswith(b"HTTP/1.1 101 ")
        init = b'{"type":"connection_init","payload":{"key":"%s"}}' % secret.encode()
        connection.sendall(frame(1, init))
        assert b"connection_ack" in connection.recv(4096)
        begin = {"type": "subscribe", "id": "s", "payload": {"query": OVERVIEW}}
        connection.sendall(frame(1, msgspec.json.encode(begin)))
        assert b'"eventCount"' in connection.recv(4096)
