"""The README is executed: every curl command in it, in order, against a running service."""

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
    """Start the service as `make run` does, on a free port and an empty folder."""
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


def _settled(text: str) -> object:
    """Return JSON with what differs from run to run replaced, without what it took."""
    content = json.loads(text)
    if "data" in content:
        content.pop("extensions", None)
    text = json.dumps(content)
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text)
    return json.loads(text)


def test_every_documented_command_answers_as_documented(address: str) -> None:
    """A newcomer who follows the README gets what it shows, ids and times aside."""
    assert len(EXAMPLES) == 16
    for command, documented in EXAMPLES:
        local = command.replace("localhost:3011", address).replace("curl ", "curl -sS ")
        answer = subprocess.run(["sh", "-c", local], capture_output=True, text=True, check=True)
        assert _settled(answer.stdout) == _settled(documented), command


def test_every_setting_is_documented() -> None:
    """The README names every setting with its variable, option and default, and no other."""
    table = re.findall(r"^\| `(\w+)` \| `(--[a-z-]+)` \| (?:`(.+?)`|none)", README, re.MULTILINE)
    shown = [(variable, option, default or "none") for variable, option, default in table]
    assert shown == [(each.variable, each.option, each.default) for each in SETTINGS]


def test_every_documented_route_is_in_openapi_and_back() -> None:
    """OpenAPI has the routes that the README shows, and the README has those of OpenAPI."""
    paths = create_app(Settings()).openapi()["paths"]
    shown = README.replace("{name}", "{metric_name}")
    for path in paths:
        stem = path.replace("/{metric_name}", "/")
        assert stem in shown, path
