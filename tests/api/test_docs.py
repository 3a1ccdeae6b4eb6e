"""Execution of the README: every curl command in order, on a running service."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import create_app
from settings import SETTINGS, Settings

README = Path("README.md").read_text()
EXAMPLES = re.findall(r"```bash\n((?:(?!```).)*?curl.*?)```\s*```json\n(.*?)```", README, re.DOTALL)

VARYING = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", "<uuid>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<instant>"),
    (r'"python_version": "[\d.]+"', '"python_version": "<version>"'),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the service like `make run`, on a free port and an empty folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = tmp_path_factory.mktemp("data")
    environment = os.environ | {"PORT": str(port), "ANALYTICS_DATA": str(data)}
    with subprocess.Popen(
        [sys.executable, "app.py"], env=environment, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _await_ready(f"http://127.0.0.1:{port}")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _await_ready(url: str) -> None:
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"{url}/readyz"):  # noqa: S310 - our own address
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    pytest.fail("the service did not get ready")


def _normalize(text: str) -> object:
    """Decode JSON; replace ids and times, drop `extensions`."""
    content = json.loads(text)
    if "data" in content:
        content.pop("extensions", None)
    text = json.dumps(content)
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text)
    return json.loads(text)


def test_every_documented_command_answers_as_documented(address: str) -> None:
    """Each command of the README has its answer there, except ids and times."""
    assert len(EXAMPLES) == 17
    for command, expected in EXAMPLES:
        local = command.replace("localhost:3011", address).replace("curl ", "curl -sS ")
        answer = subprocess.run(["sh", "-c", local], capture_output=True, text=True, check=True)
        assert _normalize(answer.stdout) == _normalize(expected), command


def test_every_setting_is_documented() -> None:
    """The README names every setting with its variable, option and default, and no other."""
    table = re.findall(r"^\| `(\w+)` \| `(--[a-z-]+)` \| (?:`(.+?)`|none)", README, re.MULTILINE)
    rows = [(variable, option, default or "none") for variable, option, default in table]
    assert rows == [(setting.variable, setting.option, setting.default) for setting in SETTINGS]


def test_every_route_is_in_the_readme() -> None:
    """The README has every route of OpenAPI."""
    paths = create_app(Settings()).openapi()["paths"]
    readme = README.replace("{name}", "{metric_name}")
    for path in paths:
        stem = path.replace("/{metric_name}", "/")
        assert stem in readme, path
